//! A pair given as two files, which others renew: read again when either changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::keyed::Keyed;
use super::{CertError, Shelf};
use crate::kit::limits::CERT_LOOK_SECS;

/// Where the pair is.
#[derive(Clone, Debug)]
pub struct Pair {
    /// PEM of the certificate and those that lead to its authority.
    pub chain: PathBuf,
    /// PEM of the private key.
    pub key: PathBuf,
}

impl Pair {
    /// Reads the pair and shows it to everybody.
    ///
    /// # Errors
    /// When a file cannot be read, or they are no pair.
    pub fn show(&self, shelf: &Shelf) -> Result<(), CertError> {
        let keyed = Keyed::from_pem(&read(&self.key)?, &read(&self.chain)?)?;
        shelf.show_anybody(&keyed);
        Ok(())
    }

    /// Shows each new pair as it comes. One that cannot be used changes nothing and is told of.
    pub async fn follow(self, shelf: Arc<Shelf>) {
        let mut known = self.stamp();
        loop {
            tokio::time::sleep(Duration::from_secs(CERT_LOOK_SECS)).await;
            let now = self.stamp();
            if now == known {
                continue;
            }
            match self.show(&shelf) {
                Ok(()) => {
                    tracing::info!(chain = %self.chain.display(), "the certificate was read again");
                    known = now;
                }
                // Perhaps only one of the two is new yet: the next look tries again.
                Err(error) => {
                    tracing::warn!(%error, "the new certificate cannot be used; the old one stays");
                }
            }
        }
    }

    fn stamp(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.chain, &self.key].map(|path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertError> {
    std::fs::read(path).map_err(|error| CertError::File {
        path: path.display().to_string(),
        error,
    })
}
