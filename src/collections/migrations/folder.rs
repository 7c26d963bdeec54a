//! The directory of migrations: which files there are, in which order, and how a new one gets there whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{Migration, has_end};
use crate::kit::limits::MIGRATION_BYTES_MAX;
use crate::kit::time::Timestamp;

/// End of the name of a file whose change is not committed yet.
const PENDING: &str = ".pending";

/// A directory of migrations, which need not exist.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// At `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the migrations that can be applied here, in order.
    ///
    /// # Errors
    /// The file system's.
    pub fn names(&self) -> io::Result<Vec<String>> {
        self.list(|name| has_end(name, "json") || has_end(name, "sql"))
    }

    /// Names of migrations in JavaScript.
    ///
    /// # Errors
    /// The file system's.
    pub fn scripts(&self) -> io::Result<Vec<String>> {
        self.list(|name| has_end(name, "js") || has_end(name, "ts"))
    }

    fn list(&self, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && !name.starts_with('.')
                && !name.ends_with(".d.ts")
                && wanted(&name)
                && entry.path().is_file()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Reads a migration.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(&self, name: &str) -> Result<Migration, String> {
        let path = self.path.join(name);
        let size = fs::metadata(&path)
            .map_err(|error| error.to_string())?
            .len();
        if size > MIGRATION_BYTES_MAX {
            return Err(format!(
                "it is larger than {} MiB",
                MIGRATION_BYTES_MAX >> 20
            ));
        }
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        Migration::parse(name, &text)
    }

    /// A name for a new file that comes after all others, also when several are made in one second.
    ///
    /// # Errors
    /// The file system's.
    pub fn fresh_name(&self, what: &str, end: &str, now: Timestamp) -> io::Result<String> {
        let stamp = |name: &String| name.split('_').next().and_then(|n| n.parse::<i64>().ok());
        let known = self.list(|_| true)?;
        let last = known.iter().filter_map(stamp).max().unwrap_or(0);
        let seconds = now.as_millis().div_euclid(1_000);
        // A stamp far off (of another unit) would drag all later ones along.
        let next = if last >= seconds && last < seconds + 86_400 {
            last + 1
        } else {
            seconds
        };
        Ok(format!("{next}_{}.{end}", snake(what)))
    }

    /// Writes a file that counts at once.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let pending = self.begin(name, text)?;
        let path = self.path.join(name);
        pending.publish()?;
        Ok(path)
    }

    /// Writes a file that does not count yet.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn begin(&self, name: &str, text: &str) -> io::Result<Pending> {
        fs::create_dir_all(&self.path)?;
        let path = self.path.join(name);
        let mut beside = path.clone().into_os_string();
        beside.push(PENDING);
        let pending = Pending {
            beside: beside.into(),
            path,
            published: false,
        };
        fs::write(&pending.beside, text)?;
        Ok(pending)
    }

    /// After a crash: files whose change was committed count, others go.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn settle(&self, is_applied: impl Fn(&str) -> bool) -> io::Result<()> {
        for name in self.list(|name| name.ends_with(PENDING))? {
            let Some(real) = name.strip_suffix(PENDING) else {
                continue;
            };
            if is_applied(real) {
                fs::rename(self.path.join(&name), self.path.join(real))?;
            } else {
                fs::remove_file(self.path.join(&name))?;
            }
        }
        Ok(())
    }
}

/// Letters, digits and underscores of a name; nothing else gets into a file's name.
fn snake(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    out.trim_matches('_').chars().take(200).collect()
}

/// A file on its way; it goes when its change is not committed.
#[derive(Debug)]
pub(super) struct Pending {
    beside: PathBuf,
    path: PathBuf,
    published: bool,
}

impl Pending {
    /// The change was committed.
    pub(super) fn publish(mut self) -> io::Result<()> {
        self.published = true;
        fs::rename(&self.beside, &self.path)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.published {
            fs::remove_file(&self.beside).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_nothing_but_letters() {
        for (text, name) in [
            ("created_posts", "created_posts"),
            ("../../etc/passwd", "etc_passwd"),
            ("a b\u{e4}\0c", "a_b_c"),
            ("..", ""),
        ] {
            assert_eq!(snake(text), name);
        }
        assert!(snake(&"x".repeat(1_000)).len() <= 200);
    }
}
