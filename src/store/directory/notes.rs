//! Small files of our folder that hold what is not worth a row: written whole, or not at all.

use std::fs;
use std::io::ErrorKind;

use super::Paths;
use crate::store::StoreError;

impl Paths {
    /// Replaces what is kept under `name`.
    pub(in crate::store) fn keep(
        &self,
        name: &'static str,
        content: &[u8],
    ) -> Result<(), StoreError> {
        let path = self.own.join(name);
        let fresh = self.own.join(format!("{name}.new"));
        fs::write(&fresh, content)
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| {
                StoreError::Directory(format!("cannot write {}: {error}", path.display()))
            })
    }

    /// What is kept under `name`, if anything.
    pub(in crate::store) fn kept(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.own.join(name);
        match fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Directory(format!(
                "cannot read {}: {error}",
                path.display()
            ))),
        }
    }
}
