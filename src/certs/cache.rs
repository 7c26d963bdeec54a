//! What was had from an authority, kept in `.autocert_cache` of the data directory: a file a name, the key and then its
//! chain in PEM, as PocketBase keeps them too (contract-auth 9.3), so that neither has to ask for what the other has.
//! Only the owner of the process may read it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::CertError;
use super::keyed::Keyed;

/// The account at the authority, in our library's form.
const ACCOUNT: &str = "burrow_account.json";

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Cache(PathBuf);

impl Cache {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self(data_dir.join(".autocert_cache"))
    }

    /// The pair of a name, if a usable one is kept.
    pub(super) fn pair(&self, name: &str) -> Option<Keyed> {
        let text = fs::read(self.0.join(name)).ok()?;
        match Keyed::from_pem(&text, &text) {
            Ok(keyed) => Some(keyed),
            Err(error) => {
                tracing::warn!(%error, name, "a kept certificate cannot be used");
                None
            }
        }
    }

    pub(super) fn keep_pair(&self, name: &str, key: &str, chain: &str) -> Result<(), CertError> {
        self.write(name, format!("{}\n{chain}", key.trim_end()).as_bytes())
    }

    pub(super) fn account(&self) -> Option<Vec<u8>> {
        fs::read(self.0.join(ACCOUNT)).ok()
    }

    pub(super) fn keep_account(&self, text: &[u8]) -> Result<(), CertError> {
        self.write(ACCOUNT, text)
    }

    /// Whole or not at all.
    fn write(&self, name: &str, text: &[u8]) -> Result<(), CertError> {
        let path = self.0.join(name);
        self.try_write(&path, text)
            .map_err(|error| CertError::File {
                path: path.display().to_string(),
                error,
            })
    }

    fn try_write(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let fresh = path.with_added_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    }
}
