//! Putting another state in the place of the directory's: all of it or nothing, whenever the process ends.
//!
//! Whoever restores lays the new state into `.burrow/restore/new` and marks it ready. The next opening moves the present
//! state aside and the new one in, a step at a time, each of which can be taken again after a crash. The phase is written
//! down before its steps begin. When the new state cannot be used, the same steps go back; when it can, the state before
//! it stays in `.burrow/before-restore`, until the next restore.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{FOLDER, Hold, Paths};
use crate::store::StoreError;

/// What stands in the data directory and is no part of its state.
const NO_STATE: [&str; 6] = [
    FOLDER,
    "backups",
    ".pb_temp_to_delete",
    ".notify",
    ".autocert_cache",
    "lost+found",
];

/// Whether an entry of the data directory belongs to its state, which is backed up and restored.
#[must_use]
pub fn is_state(name: &str) -> bool {
    !NO_STATE.contains(&name)
}

/// How far a restore has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The new state is complete; the present one is being moved aside.
    Ready,
    /// The present state is aside; the new one is being moved in.
    Aside,
    /// The new state is in, and not known to be usable.
    Placed,
    /// It was not: it is being moved out.
    Out,
    /// It is out; the old state is being moved back.
    Back,
}

const PHASES: [(Phase, &str); 5] = [
    (Phase::Ready, "ready"),
    (Phase::Aside, "aside"),
    (Phase::Placed, "placed"),
    (Phase::Out, "out"),
    (Phase::Back, "back"),
];

/// A restore that is prepared or under way.
#[derive(Debug)]
pub struct Restore {
    dir: PathBuf,
    folder: PathBuf,
}

impl Restore {
    /// The restore of the data directory `dir`, if any.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            folder: dir.join(FOLDER).join("restore"),
        }
    }

    /// An empty folder for the new state; what was prepared before is gone.
    ///
    /// # Errors
    /// The disk's own.
    pub fn prepare(&self) -> io::Result<PathBuf> {
        self.forget()?;
        let new = self.folder.join("new");
        fs::create_dir_all(&new)?;
        Ok(new)
    }

    /// Drops what was prepared and is not ready.
    ///
    /// # Errors
    /// The disk's own.
    pub fn forget(&self) -> io::Result<()> {
        gone(fs::remove_dir_all(&self.folder))
    }

    /// Puts everything of the present state but the main database into the new one, which lies in `new`: files as further
    /// names of the same content, which never changes, the other database as a copy.
    ///
    /// # Errors
    /// The disk's own.
    pub fn keep_rest(&self, new: &Path) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(text) = name.to_str().filter(|name| is_state(name)) else {
                continue;
            };
            if text.starts_with("data.db") {
                continue;
            }
            let to = new.join(&name);
            if entry.file_type()?.is_dir() {
                link_all(&entry.path(), &to)?;
            } else if entry.file_type()?.is_file() {
                fs::copy(entry.path(), &to)?;
                fs::File::open(&to)?.sync_all()?;
            }
        }
        sync_dir(new)
    }

    /// The new state is complete and on the disk: the next opening of the directory puts it in.
    ///
    /// # Errors
    /// The disk's own.
    pub fn ready(&self) -> io::Result<()> {
        self.enter(Phase::Ready)
    }

    /// Goes on where the last process stopped. The caller holds the directory and has nothing open.
    fn advance(&self) -> io::Result<()> {
        let old = self.folder.join("old");
        if self.phase().is_none() {
            return self.forget();
        }
        while let Some(phase) = self.phase() {
            match phase {
                Phase::Ready => {
                    self.move_state(&old)?;
                    self.enter(Phase::Aside)?;
                }
                Phase::Aside => {
                    move_all(&self.folder.join("new"), &self.dir)?;
                    self.enter(Phase::Placed)?;
                }
                Phase::Placed => return Ok(()),
                Phase::Out => {
                    self.move_state(&self.folder.join("failed"))?;
                    self.enter(Phase::Back)?;
                }
                Phase::Back => {
                    move_all(&old, &self.dir)?;
                    self.forget()?;
                }
            }
        }
        Ok(())
    }

    /// The new state can be used: the old one stays beside it. Nothing happens where nothing was restored.
    ///
    /// # Errors
    /// The disk's own.
    pub fn confirm(&self) -> io::Result<()> {
        if self.phase() != Some(Phase::Placed) {
            return Ok(());
        }
        let kept = self.dir.join(FOLDER).join("before-restore");
        gone(fs::remove_dir_all(&kept))?;
        fs::rename(self.folder.join("old"), kept)?;
        self.forget()
    }

    /// The new state cannot be used: brings the old one back. `false` when nothing was restored.
    ///
    /// # Errors
    /// The disk's own; or somebody else holds the directory.
    pub fn revert(&self) -> Result<bool, StoreError> {
        if self.phase() != Some(Phase::Placed) {
            return Ok(false);
        }
        let back = || {
            self.enter(Phase::Out)?;
            self.advance()
        };
        back().map_err(|error| self.cannot(&error))?;
        Ok(true)
    }

    fn cannot(&self, error: &io::Error) -> StoreError {
        StoreError::Directory(format!(
            "cannot finish the restore in {}: {error}",
            self.folder.display()
        ))
    }

    /// Moves what stands in the directory and belongs to its state to `to`.
    fn move_state(&self, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            if name.to_str().is_none_or(is_state) {
                fs::rename(self.dir.join(&name), to.join(&name))?;
            }
        }
        sync_dir(to)?;
        sync_dir(&self.dir)
    }

    fn phase(&self) -> Option<Phase> {
        let text = fs::read_to_string(self.folder.join("phase")).ok()?;
        let known = PHASES.into_iter().find(|(_, name)| text.trim() == *name);
        known.map(|(phase, _)| phase)
    }

    fn enter(&self, phase: Phase) -> io::Result<()> {
        let name = PHASES.iter().find(|(known, _)| *known == phase);
        let draft = self.folder.join("phase.new");
        fs::write(&draft, name.map_or("", |(_, name)| name))?;
        fs::File::open(&draft)?.sync_all()?;
        fs::rename(&draft, self.folder.join("phase"))?;
        sync_dir(&self.folder)
    }
}

impl Hold {
    /// Finishes what a restore began, before anything is opened.
    pub(super) fn finish_restore(dir: &Path, paths: &Paths) -> Result<(), StoreError> {
        let restore = Restore::of(dir);
        restore.advance().map_err(|error| restore.cannot(&error))?;
        // What the present state was when it was open last says nothing of one that came since.
        if restore.phase().is_some() {
            gone(fs::remove_file(paths.own.join("state")))
                .map_err(|error| restore.cannot(&error))?;
        }
        Ok(())
    }
}

/// Moves all entries of `from` into `to`.
fn move_all(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        fs::rename(from.join(&name), to.join(&name))?;
    }
    sync_dir(from)?;
    sync_dir(to)
}

/// Gives every file below `from` a name below `to`, too; where the disk has no such thing, a copy.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push((entry.path(), target));
            } else if kind.is_file() && fs::hard_link(entry.path(), &target).is_err() {
                fs::copy(entry.path(), &target)?;
                fs::File::open(&target)?.sync_all()?;
            }
        }
        sync_dir(&to)?;
    }
    Ok(())
}

/// Makes the names in a directory last.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::id;

    struct Dir(PathBuf);

    impl Dir {
        /// A directory with an old state, and a new one that is prepared.
        fn new() -> Self {
            let dir = std::env::temp_dir().join(format!("burrow-restore-{}", id::record_id()));
            for folder in [".burrow", "backups", "storage"] {
                fs::create_dir_all(dir.join(folder)).unwrap();
            }
            fs::write(dir.join("data.db"), "old").unwrap();
            fs::write(dir.join("data.db-wal"), "old").unwrap();
            fs::write(dir.join("backups/a.zip"), "kept").unwrap();
            let new = Restore::of(&dir).prepare().unwrap();
            fs::write(new.join("data.db"), "new").unwrap();
            Self(dir)
        }

        fn entries(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }

        fn data(&self) -> String {
            fs::read_to_string(self.0.join("data.db")).unwrap()
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    const OLD: [&str; 5] = [".burrow", "backups", "data.db", "data.db-wal", "storage"];
    const NEW: [&str; 3] = [".burrow", "backups", "data.db"];

    #[test]
    fn what_is_not_ready_never_was() {
        let dir = Dir::new();
        Restore::of(&dir.0).advance().unwrap();
        assert_eq!(
            (dir.entries(), dir.data()),
            (OLD.map(String::from).to_vec(), "old".into())
        );
        assert!(!dir.0.join(".burrow/restore").exists());
    }

    #[test]
    fn the_new_state_comes_in_whole_and_the_old_one_is_kept() {
        let dir = Dir::new();
        let restore = Restore::of(&dir.0);
        restore.ready().unwrap();
        restore.advance().unwrap();
        assert_eq!(
            (dir.entries(), dir.data()),
            (NEW.map(String::from).to_vec(), "new".into())
        );
        restore.confirm().unwrap();
        assert!(dir.0.join(".burrow/before-restore/storage").exists());
        assert!(dir.0.join("backups/a.zip").exists());
        assert!(!restore.revert().unwrap());
    }

    #[test]
    fn a_state_that_cannot_be_used_goes_again() {
        let dir = Dir::new();
        let restore = Restore::of(&dir.0);
        restore.ready().unwrap();
        restore.advance().unwrap();
        assert!(restore.revert().unwrap());
        assert_eq!(
            (dir.entries(), dir.data()),
            (OLD.map(String::from).to_vec(), "old".into())
        );
    }

    #[test]
    fn a_crash_between_two_steps_is_made_good() {
        // The old state is half aside.
        let dir = Dir::new();
        let restore = Restore::of(&dir.0);
        restore.ready().unwrap();
        let old = dir.0.join(".burrow/restore/old");
        fs::create_dir_all(&old).unwrap();
        fs::rename(dir.0.join("storage"), old.join("storage")).unwrap();
        restore.advance().unwrap();
        assert_eq!(
            (dir.entries(), dir.data()),
            (NEW.map(String::from).to_vec(), "new".into())
        );

        // The new state is half in.
        let dir = Dir::new();
        let restore = Restore::of(&dir.0);
        fs::write(dir.0.join(".burrow/restore/new/types.d.ts"), "").unwrap();
        restore.ready().unwrap();
        restore
            .move_state(&dir.0.join(".burrow/restore/old"))
            .unwrap();
        restore.enter(Phase::Aside).unwrap();
        fs::rename(
            dir.0.join(".burrow/restore/new/data.db"),
            dir.0.join("data.db"),
        )
        .unwrap();
        restore.advance().unwrap();
        assert_eq!(
            dir.entries(),
            [".burrow", "backups", "data.db", "types.d.ts"]
        );

        // The way back was begun.
        restore.enter(Phase::Out).unwrap();
        restore.advance().unwrap();
        assert_eq!(
            (dir.entries(), dir.data()),
            (OLD.map(String::from).to_vec(), "old".into())
        );
    }
}
