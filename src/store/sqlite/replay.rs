//! Writes to a write-ahead log, made good on a copy of the database: page by page, a transaction at a time, up to a moment.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::tap::TAPPED_HEADER;
use crate::kit::time::Timestamp;

const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
/// The only size of pages that is shipped: SQLite's own choice, and PocketBase's.
pub(super) const PAGE: u64 = 4096;
const FRAME: u64 = FRAME_HEADER + PAGE;

/// A copy of a database under way to a later moment.
#[derive(Debug)]
pub struct Replay {
    database: File,
    /// Pages of transactions that have not committed.
    scratch: File,
    scratch_end: u64,
    pending: BTreeMap<u64, Pending>,
    /// Where the first frame of the present transaction is, once that is known.
    base: Option<u64>,
    until: Timestamp,
    last: Option<Timestamp>,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    page: u32,
    /// Pages of the database after the transaction, zero where it does not commit here.
    commits: u32,
    /// Where the content is in the scratch file; nothing while it has not come.
    content: Option<u64>,
}

impl Replay {
    /// Over the copy at `database`; commits after `until` are left out. `scratch` is a file that may be used meanwhile.
    ///
    /// # Errors
    /// The disk's own.
    pub fn of(database: &Path, scratch: &Path, until: Timestamp) -> io::Result<Self> {
        Ok(Self {
            database: OpenOptions::new().read(true).write(true).open(database)?,
            scratch: OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(scratch)?,
            scratch_end: 0,
            pending: BTreeMap::new(),
            base: None,
            until,
            last: None,
            ended: false,
        })
    }

    /// Makes good what a tap gave; `false` when the moment was reached and nothing more is to come.
    ///
    /// # Errors
    /// The disk's own; and writes that are none of a log.
    pub fn apply(&mut self, mut tapped: &[u8]) -> io::Result<bool> {
        while !tapped.is_empty() && !self.ended {
            let Some((head, rest)) = tapped.split_first_chunk::<TAPPED_HEADER>() else {
                return Err(unfit());
            };
            let time = i64::from_le_bytes(part(head, 0));
            let at = i64::from_le_bytes(part(head, 8));
            let length = u32::from_le_bytes(part(head, 16)) as usize;
            let (bytes, rest) = rest.split_at_checked(length).ok_or_else(unfit)?;
            let at = u64::try_from(at).map_err(|_| unfit())?;
            self.write(Timestamp::from_millis(time), at, bytes)?;
            tapped = rest;
        }
        Ok(!self.ended)
    }

    /// The moment of the last commit that was made good.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Makes the copy last.
    ///
    /// # Errors
    /// The disk's own.
    pub fn finish(self) -> io::Result<()> {
        self.database.sync_all()
    }

    fn write(&mut self, time: Timestamp, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        if at == 0 {
            // The log begins again.
            let (_, rest) = bytes.split_at_checked(32).ok_or_else(unfit)?;
            self.forget();
            self.base = Some(LOG_HEADER);
            (at, bytes) = (LOG_HEADER, rest);
        }
        while !bytes.is_empty() && !self.ended {
            let inside = (at.checked_sub(LOG_HEADER).ok_or_else(unfit)?) % FRAME;
            let size = match inside {
                0 => FRAME_HEADER,
                FRAME_HEADER => PAGE,
                _ => return Err(unfit()),
            };
            let size = usize::try_from(size).map_err(|_| unfit())?;
            let (piece, rest) = bytes.split_at_checked(size).ok_or_else(unfit)?;
            if inside == 0 {
                self.header(at, piece);
            } else {
                self.page(time, at - FRAME_HEADER, piece)?;
            }
            at += size as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn header(&mut self, frame: u64, bytes: &[u8]) {
        // Sums of frames that have committed are sometimes written again.
        if self.base.is_some_and(|base| frame < base) {
            return;
        }
        self.base.get_or_insert(frame);
        let page = u32::from_be_bytes(part(bytes, 0));
        let commits = u32::from_be_bytes(part(bytes, 4));
        let known = self.pending.get(&frame);
        let content = known
            .filter(|known| known.page == page)
            .and_then(|known| known.content);
        let pending = Pending {
            page,
            commits,
            content,
        };
        self.pending.insert(frame, pending);
    }

    fn page(&mut self, time: Timestamp, frame: u64, bytes: &[u8]) -> io::Result<()> {
        let Some(pending) = self.pending.get_mut(&frame) else {
            // Of a transaction whose beginning nobody saw, or that has committed.
            return match self.base {
                Some(base) if frame < base => Ok(()),
                _ => Err(unfit()),
            };
        };
        let at = *pending.content.get_or_insert_with(|| {
            let at = self.scratch_end;
            self.scratch_end += PAGE;
            at
        });
        let commits = pending.commits;
        self.scratch.seek(SeekFrom::Start(at))?;
        self.scratch.write_all(bytes)?;
        if commits == 0 {
            return Ok(());
        }
        if time > self.until {
            self.ended = true;
            return Ok(());
        }
        self.commit(frame, commits)?;
        self.last = Some(time);
        Ok(())
    }

    /// The transaction is what lies between its beginning and the frame that commits; what lies behind is of others that
    /// were taken back.
    fn commit(&mut self, last: u64, pages: u32) -> io::Result<()> {
        let mut page = vec![0; usize::try_from(PAGE).map_err(|_| unfit())?];
        for (_, pending) in self.pending.range(..=last) {
            let content = pending.content.ok_or_else(unfit)?;
            let number = u64::from(pending.page).checked_sub(1).ok_or_else(unfit)?;
            self.scratch.seek(SeekFrom::Start(content))?;
            self.scratch.read_exact(&mut page)?;
            self.database.seek(SeekFrom::Start(number * PAGE))?;
            self.database.write_all(&page)?;
        }
        self.database.set_len(u64::from(pages) * PAGE)?;
        self.forget();
        self.base = Some(last + FRAME);
        Ok(())
    }

    fn forget(&mut self) {
        self.pending.clear();
        self.scratch_end = 0;
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn unfit() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "what was shipped is no part of a write-ahead log",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::rig::{Home, Rows, checkpoint, whole_rows, write};
    use super::super::tap::{self, Tap};
    use super::*;
    use crate::kit::clock::Clock;

    #[test]
    fn every_moment_comes_back_whatever_was_taken_back_between() {
        let home = Home::new();
        let (live, base) = (home.0.join("a.db"), home.0.join("base.db"));
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        let tap = Arc::new(Tap::new(clock.clone()));
        tap::put_at(&home.0.join("a.db-wal"), Arc::clone(&tap));
        let mut connection = home.open();
        let mut model = write(&mut connection, &Rows::new());
        checkpoint(&connection, "TRUNCATE");
        std::fs::copy(&live, &base).unwrap();
        assert!(tap.take().bytes.is_empty());
        drop(tap.reopen());

        let mut moments = vec![(clock.now(), model.clone())];
        let mut shipped = Vec::new();
        for round in 0..40 {
            clock.advance(Duration::from_millis(10));
            model = write(&mut connection, &model);
            moments.push((clock.now(), model.clone()));
            if round % 7 == 6 {
                checkpoint(
                    &connection,
                    ["PASSIVE", "RESTART", "TRUNCATE"][round / 7 % 3],
                );
            }
            let tapped = tap.take();
            assert!(!tapped.lost);
            shipped.push(tapped.bytes);
        }

        for (at, expected) in moments {
            let copy = home.0.join("copy.db");
            std::fs::copy(&base, &copy).unwrap();
            let mut replay = Replay::of(&copy, &home.0.join("scratch"), at).unwrap();
            for part in &shipped {
                if !replay.apply(part).unwrap() {
                    break;
                }
            }
            replay.finish().unwrap();
            assert!(whole_rows(&copy) == expected, "at {at}");
        }
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let home = Home::new();
        let database = home.0.join("a.db");
        std::fs::write(&database, "").unwrap();
        for bad in [
            vec![1, 2, 3],
            vec![0xff; 40],
            [
                &[0; 8][..],
                &33_i64.to_le_bytes(),
                &4_u32.to_le_bytes(),
                b"abcd",
            ]
            .concat(),
        ] {
            let scratch = home.0.join("scratch");
            let at = Timestamp::from_millis(i64::MAX);
            let mut replay = Replay::of(&database, &scratch, at).unwrap();
            assert!(replay.apply(&bad).is_err());
        }
    }
}
