//! What the settings say of mail, in the words of the mailer.

use super::document::{Document, Smtp};
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
