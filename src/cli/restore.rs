//! `restore`: the database as it was at a moment, of what was shipped; and the proof that it could be done.

use std::path::Path;

use super::console::{Console, Failure};
use super::run::small_runtime;
use super::ship::bucket;
use crate::app::{self, App};
use crate::config::{Config, RestoreFlags, ShipTo};
use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::json::Json;
use crate::kit::time::Timestamp;
use crate::ops::settings::Fixed;
use crate::ops::ship::{Generation, Place, Recovered, recover};
use crate::store::{Access, Restore, hold_alone};

/// Runs the command.
pub(super) fn restore(
    console: Console,
    config: Config,
    flags: &RestoreFlags,
) -> Result<(), Failure> {
    small_runtime()?.block_on(async {
        let place = place_of(&config).await?;
        if flags.list {
            return list(console, &place).await;
        }
        if flags.drill {
            return drill(console, &config, &place).await;
        }
        let at = moment(flags.at.as_deref())?;
        put_back(console, config, &place, at).await
    })
}

/// Where writes are shipped to, by the flags; a bucket by the environment, else by the settings of the directory.
async fn place_of(config: &Config) -> Result<Place, Failure> {
    let ship = config.ship.as_ref().ok_or_else(|| {
        Failure::message("say where writes were shipped to: --ship-to FOLDER, or --ship-to s3")
    })?;
    match &ship.to {
        ShipTo::Folder(folder) => Ok(Place::Folder(folder.clone())),
        ShipTo::S3 => {
            let (fixed, _) = Fixed::of(&config.variables).map_err(failed)?;
            let mut known = fixed.alone().map_err(failed)?.backups.s3;
            if known.endpoint.is_empty() {
                let app = App::open(config.clone(), Clock::system(), Access::Beside).await?;
                known = app.settings.current().backups.s3.clone();
                app.close();
            }
            bucket(&known)
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::message(error.to_string())
}

/// A moment as people write it; none is as late as possible.
fn moment(text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let text = match text.map(str::trim) {
        None | Some("latest") => return Ok(None),
        Some(text) => text,
    };
    let parsed = text.replacen(' ', "T", 1).parse::<jiff::Timestamp>();
    let parsed = parsed.map_err(|_| {
        Failure::message(format!(
            "{text:?} is no moment: write 2026-11-28T13:45:00Z, with the zone, or \"latest\""
        ))
    })?;
    Ok(Some(Timestamp::from_millis(parsed.as_millisecond())))
}

async fn list(console: Console, place: &Place) -> Result<(), Failure> {
    let all = Generation::all(place).await.map_err(failed)?;
    if !console.json {
        for generation in &all {
            console.say(&format!("from {}", generation.begun), &[]);
        }
        return Ok(());
    }
    let begun = all
        .iter()
        .map(|one| Json::from(one.begun.to_text().as_str()));
    console.say("", &[("generations", Json::Array(begun.collect()))]);
    Ok(())
}

/// Makes the newest state beside everything, looks whether it is whole, and throws it away.
async fn drill(console: Console, config: &Config, place: &Place) -> Result<(), Failure> {
    let folder = config.dir.join(".burrow").join("tmp");
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let to = folder.join(format!("drill-{}.db", id::random(12, id::LOWER_ALNUM)));
    let recovered = recover(place, None, &to).await;
    std::fs::remove_file(&to).ok();
    tell(
        console,
        "The newest copy opens",
        &recovered.map_err(failed)?,
    );
    Ok(())
}

async fn put_back(
    console: Console,
    config: Config,
    place: &Place,
    at: Option<Timestamp>,
) -> Result<(), Failure> {
    if app::database(&config)?.is_some() {
        return Err(Failure::message(
            "the data is in PostgreSQL, and not in the directory that was shipped",
        ));
    }
    let held = hold_alone(&config.dir)?;
    let restore = Restore::of(&config.dir);
    // One that was put in and not looked at yet counts: what was there before it is kept.
    restore.confirm().map_err(failed)?;
    let laid_out = lay_out(&restore, place, at).await;
    let recovered = match laid_out {
        Ok(recovered) => recovered,
        Err(error) => {
            restore.forget().ok();
            return Err(failed(error));
        }
    };
    drop(held);
    put_in(config).await?;
    tell(console, "Restored", &recovered);
    Ok(())
}

/// Opens the directory, which puts in what was made ready; a state that cannot be used goes again.
pub(super) async fn put_in(config: Config) -> Result<(), Failure> {
    let restore = Restore::of(&config.dir);
    match App::open(config.clone(), Clock::system(), Access::Alone).await {
        Ok(app) => {
            app.close();
            restore.confirm().map_err(failed)
        }
        Err(error) => {
            // Where a server has taken the directory meanwhile, it looks after what was put in.
            if let Ok(_held) = hold_alone(&config.dir) {
                restore.revert()?;
            }
            Err(error.into())
        }
    }
}

async fn lay_out(
    restore: &Restore,
    place: &Place,
    at: Option<Timestamp>,
) -> std::io::Result<Recovered> {
    let new = restore.prepare()?;
    let data = Path::new(&new).join("data.db");
    let recovered = recover(place, at, &data).await?;
    restore.keep_rest(&new)?;
    restore.ready()?;
    Ok(recovered)
}

fn tell(console: Console, what: &str, recovered: &Recovered) {
    let last = recovered.last.unwrap_or(recovered.base);
    console.say(
        &format!(
            "{what}: {} bytes, as of {last} (from a copy of {})",
            recovered.bytes, recovered.base
        ),
        &[
            ("asOf", last.to_text().as_str().into()),
            ("base", recovered.base.to_text().as_str().into()),
            ("bytes", recovered.bytes.into()),
        ],
    );
}
