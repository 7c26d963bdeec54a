//! Which bucket, and who we are there.

use rusty_s3::{Bucket, BucketError, UrlStyle};
use url::Url;

use crate::kit::secret::Secret;

/// A bucket and the key to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the store is; `https` where no scheme is said.
    pub endpoint: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Region, which is signed along.
    pub region: String,
    /// Access key.
    pub access_key: String,
    /// Its secret.
    pub secret: Secret<String>,
    /// Whether the bucket is named in the path instead of the host.
    pub path_style: bool,
}

impl Options {
    /// The bucket's address.
    pub(super) fn place(&self) -> Result<Bucket, String> {
        let text = self.endpoint.trim();
        let text = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url: Url = text
            .parse()
            .map_err(|error| format!("the endpoint {text:?} is no URL: {error}"))?;
        let style = if self.path_style {
            UrlStyle::Path
        } else {
            UrlStyle::VirtualHost
        };
        if self.bucket.is_empty() {
            return Err("the bucket has no name".to_owned());
        }
        Bucket::new(url, style, self.bucket.clone(), self.region.clone()).map_err(|error| {
            match error {
                BucketError::UnsupportedScheme => {
                    format!("the endpoint {text:?} is neither http nor https")
                }
                BucketError::MissingHost => format!("the endpoint {text:?} names no host"),
                BucketError::ParseError(_) => format!(
                    "{:?} cannot be part of the host of {text:?}: turn \"force path style\" on",
                    self.bucket
                ),
            }
        })
    }
}
