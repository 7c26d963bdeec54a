//! Power cuts, with `--durability full`: whatever was never synced may be gone, sector by sector.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use burrow::kit::id;
use burrow::store::{Disk, Raw, Refused, put_below};
use parking_lot::Mutex;

use super::rounds;
use super::work::{KINDS, Kind, Work};
use crate::support::TestApp;

/// What a disk writes as a whole, or not at all.
const SECTOR: u64 = 512;

/// A disk that remembers what would survive a power cut, and makes one.
#[derive(Default)]
struct FragileDisk(Mutex<State>);

#[derive(Default)]
struct State {
    files: HashMap<PathBuf, Synced>,
    /// Calls until the cut; never when there is none.
    left: Option<u32>,
    cut: bool,
}

/// A file that was written to since its last sync: its size then, and what the sectors held that changed.
struct Synced {
    size: u64,
    sectors: HashMap<u64, Vec<u8>>,
}

impl State {
    /// Counts a call; whether it is still done.
    fn goes_on(&mut self) -> Result<(), Refused> {
        if self.cut {
            return Err(Refused::Broken);
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            self.cut = *left == 0;
        }
        Ok(())
    }

    fn keep(&mut self, file: &Raw<'_>, from: u64, to: u64) {
        let synced = self
            .files
            .entry(file.path().to_owned())
            .or_insert_with(|| Synced {
                size: file.size(),
                sectors: HashMap::new(),
            });
        let mut sector = from / SECTOR;
        while sector * SECTOR < to {
            synced
                .sectors
                .entry(sector)
                .or_insert_with(|| file.read(sector * SECTOR, SECTOR as usize));
            sector += 1;
        }
    }
}

impl Disk for FragileDisk {
    fn before_write(&self, file: &Raw<'_>, offset: u64, len: usize) -> Result<(), Refused> {
        let mut state = self.0.lock();
        state.goes_on()?;
        state.keep(file, offset, offset + len as u64);
        Ok(())
    }

    fn before_truncate(&self, file: &Raw<'_>, size: u64) -> Result<(), Refused> {
        let mut state = self.0.lock();
        state.goes_on()?;
        state.keep(file, size, file.size());
        Ok(())
    }

    fn sync(&self, file: &Raw<'_>) -> Result<(), Refused> {
        let mut state = self.0.lock();
        state.goes_on()?;
        if state.cut {
            // The power went before the sync was done.
            return Err(Refused::Broken);
        }
        state.files.remove(file.path());
        Ok(())
    }

    fn before_delete(&self, path: &Path) -> Result<(), Refused> {
        let mut state = self.0.lock();
        state.goes_on()?;
        state.files.remove(path);
        Ok(())
    }
}

impl FragileDisk {
    fn cut_after(&self, calls: u32) {
        self.0.lock().left = Some(calls);
    }

    fn wait_for_the_cut(&self) {
        let patience = Instant::now();
        while !self.0.lock().cut {
            assert!(
                patience.elapsed() < Duration::from_secs(120),
                "nobody writes"
            );
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Leaves on the real disk what survives, of each unsynced sector the old or the new content, and goes on as new.
    fn power_returns(&self, dir: &Path) {
        let mut state = self.0.lock();
        let (nothing, half) = (id::below(3) == 0, id::below(2) == 0);
        for (path, synced) in state.files.drain() {
            let Ok(mut content) = std::fs::read(&path) else {
                continue;
            };
            for (sector, old) in synced.sectors {
                if nothing || id::below(2) == 0 {
                    let start = usize::try_from(sector * SECTOR).unwrap();
                    let end = (start + old.len()).max(content.len());
                    content.resize(end, 0);
                    content[start..start + old.len()].copy_from_slice(&old);
                }
            }
            if nothing || half {
                content.resize(usize::try_from(synced.size).unwrap(), 0);
            }
            std::fs::write(&path, content).unwrap();
        }
        state.left = None;
        state.cut = false;
        // The process could not say that it ended in order.
        std::fs::write(dir.join(".burrow").join("state"), "open").unwrap();
        // Shared memory never survives.
        std::fs::remove_file(dir.join("data.db-shm")).ok();
        std::fs::remove_file(dir.join("auxiliary.db-shm")).ok();
    }
}

fn cut_the_power(kinds: &[Kind], rounds: usize) {
    let disk = Arc::new(FragileDisk::default());
    let mut t = TestApp::configured(|config| {
        config.durable = true;
        put_below(&config.dir, disk.clone());
    });
    let token = t.superuser().token().to_owned();
    let mut work = Arc::new(Work::prepare(t.address(), &token));
    for _ in 0..rounds {
        let heard = t.app.store.head();
        let writers = work.begin(kinds);
        disk.cut_after(5 + id::below(150));
        disk.wait_for_the_cut();
        work.end(writers);
        // What was told to listeners and clients before the cut is there after it: positions are given out once.
        let told = t.app.store.head();

        t.restart_after(|t| disk.power_returns(t.dir()));

        let now = t.app.store.head();
        assert!(now.epoch == heard.epoch && now.position >= told.position);
        let mine = Arc::get_mut(&mut work).unwrap();
        mine.moved_to(t.address());
        mine.check(t.dir());
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    cut_the_power(&KINDS, rounds(4));
}

#[test]
fn a_power_cut_in_the_middle_of_each_kind_of_write_leaves_it_whole_or_absent() {
    for kind in KINDS {
        // What hardly writes to the databases itself needs somebody who does.
        cut_the_power(&[kind, Kind::Create], rounds(1));
    }
}
