//! Making a database of a generation, as it was at a moment.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::generation::{Generation, MAGIC};
use super::place::{Place, Scratch, blocking};
use crate::kit::time::Timestamp;
use crate::store::{Replay, check_database};

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The moment of its base.
    pub base: Timestamp,
    /// The moment of the last commit that is in it, if one came after the base.
    pub last: Option<Timestamp>,
    /// Bytes of it.
    pub bytes: u64,
}

/// Makes the database at `to`, which must not be there, as it was at `at`, and checks that it opens. `None` is as late as
/// there is anything.
///
/// # Errors
/// When the place holds nothing from before that moment, or nothing whole.
pub async fn recover(place: &Place, at: Option<Timestamp>, to: &Path) -> io::Result<Recovered> {
    let until = at.unwrap_or(Timestamp::from_millis(i64::MAX));
    let all = Generation::all(place).await?;
    let generation = all.into_iter().rev().find(|one| one.begun <= until);
    let generation = generation.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "nothing was shipped before that moment",
        )
    })?;
    let work = Scratch::inside(to.parent().unwrap_or(to))?;
    let made = make(place, &generation, until, &work.0, to).await;
    if made.is_err() {
        fs::remove_file(to).ok();
    }
    made
}

async fn make(
    place: &Place,
    generation: &Generation,
    until: Timestamp,
    work: &Path,
    to: &Path,
) -> io::Result<Recovered> {
    let packed = work.join("base.gz");
    place.fetch(&generation.base(), &packed).await?;
    let (target, scratch) = (to.to_owned(), work.join("pages"));
    let mut replay = blocking(move || {
        let mut out = File::create_new(&target)?;
        io::copy(
            &mut GzDecoder::new(BufReader::new(File::open(&packed)?)),
            &mut out,
        )?;
        fs::remove_file(packed)?;
        Replay::of(&target, &scratch, until)
    })
    .await?;
    for name in generation.without_gap()? {
        let part = work.join("part");
        place.fetch(name, &part).await?;
        let goes_on;
        (replay, goes_on) = blocking(move || {
            let tapped = unpack(&part)?;
            fs::remove_file(part)?;
            let goes_on = replay.apply(&tapped)?;
            Ok((replay, goes_on))
        })
        .await?;
        if !goes_on {
            break;
        }
    }
    let (target, base) = (to.to_owned(), generation.begun);
    blocking(move || {
        let last = replay.last();
        replay.finish()?;
        check_database(&target).map_err(|why| {
            let text = format!("what was shipped makes no whole database: {why}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let bytes = fs::metadata(&target)?.len();
        Ok(Recovered { base, last, bytes })
    })
    .await
}

/// What is in a part of the log.
fn unpack(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    if magic != *MAGIC {
        let text = "a part of the log was written by another version";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut tapped = Vec::new();
    GzDecoder::new(BufReader::new(file)).read_to_end(&mut tapped)?;
    Ok(tapped)
}
