//! What the settings say of mail and of buckets, in the words of those who use them.

use super::document::{Document, S3, Smtp};
use crate::bucket;
use crate::kit::secret::Secret;
use crate::mail::{self, Login, Outgoing, Relay};

impl Document {
    /// Who sends mails, and by which way.
    #[must_use]
    pub fn outgoing(&self) -> Outgoing {
        let relay = if self.smtp.enabled {
            Relay::Smtp(server(&self.smtp))
        } else {
            Relay::Sendmail
        };
        Outgoing {
            relay,
            sender_name: self.meta.sender_name.clone(),
            sender_address: self.meta.sender_address.clone(),
        }
    }
}

impl S3 {
    /// The bucket, whether it is enabled or not.
    #[must_use]
    pub fn options(&self) -> bucket::Options {
        bucket::Options {
            endpoint: self.endpoint.clone(),
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            access_key: self.access_key.clone(),
            secret: Secret::new(self.secret.clone()),
            path_style: self.force_path_style,
        }
    }
}

fn server(smtp: &Smtp) -> mail::Smtp {
    mail::Smtp {
        host: smtp.host.clone(),
        port: u16::try_from(smtp.port).unwrap_or_default(),
        username: smtp.username.clone(),
        password: Secret::new(smtp.password.clone().unwrap_or_default()),
        login: if smtp.auth_method == "LOGIN" {
            Login::Login
        } else {
            Login::Plain
        },
        tls: smtp.tls,
        local_name: smtp.local_name.clone(),
    }
}
