//! `graduate`: the data of the directory to PostgreSQL, while the server goes on, and back.

use std::time::Duration;

use super::console::{Console, Failure};
use super::progress::Bar;
use super::restore::put_in;
use super::run::{small_runtime, with_app};
use crate::app;
use crate::config::{Config, GraduateFlags};
use crate::kit::json::{Json, JsonMap};
use crate::kit::secret::Secret;
use crate::store::{Graduated, Step, back, graduate as bring_over, is_ours, moved_to};

/// Runs the command.
pub(super) fn graduate(
    console: Console,
    config: &Config,
    flags: &GraduateFlags,
) -> Result<(), Failure> {
    if flags.back {
        return come_back(console, config, flags);
    }
    let to = target(flags)?;
    let embedded = Config {
        database: None,
        database_file: None,
        ..config.clone()
    };
    if moved_to(&config.dir)?.is_none() && !is_ours(&config.dir) {
        // A directory of PocketBase, or none: made ours.
        with_app(embedded, async |_, _| Ok(()))?;
    }
    let bar = Bar::new(console.json);
    let mut draw = |step: Step<'_>| bar.draw(step.rows, Some(step.of), &line(&step));
    let done = bring_over(&config.dir, &to, flags.without_views, flags.anew, &mut draw)?;
    drop(bar);
    tell(console, "Moved to PostgreSQL", &done);
    if !console.json {
        console.say(
            "A server that runs goes on there by itself; burrow serve does so from now on. Back: burrow graduate --back",
            &[],
        );
    }
    Ok(())
}

fn come_back(console: Console, config: &Config, flags: &GraduateFlags) -> Result<(), Failure> {
    if config.files_dir.is_some() {
        return Err(Failure::message(
            "the files of records are in --files-dir: copy them to the folder storage of the data directory, and leave \
             --files-dir away",
        ));
    }
    let from = app::database(config)?.ok_or_else(|| {
        Failure::message(
            "the data of this directory has not gone to PostgreSQL: give --database if it has",
        )
    })?;
    let bar = Bar::new(console.json);
    let mut draw = |step: Step<'_>| bar.draw(step.rows, None, &line(&step));
    let done = back(&config.dir, &from, flags.without_views, &mut draw)?;
    drop(bar);
    let embedded = Config {
        database: None,
        database_file: None,
        ..config.clone()
    };
    small_runtime()?.block_on(put_in(embedded))?;
    tell(console, "Back in the data directory", &done);
    Ok(())
}

fn target(flags: &GraduateFlags) -> Result<Secret<String>, Failure> {
    if let Some(to) = &flags.to {
        return Ok(Secret::new(to.clone()));
    }
    let Some(file) = &flags.to_file else {
        return Err(Failure::message(
            "say where to: --to postgres://..., or --to-file FILE",
        ));
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::message(format!("cannot read {}: {error}", file.display())))?;
    Ok(Secret::new(text.trim().to_owned()))
}

fn line(step: &Step<'_>) -> String {
    format!("{} rows, {}", step.rows, step.what)
}

fn tell(console: Console, what: &str, done: &Graduated) {
    let mut tables = JsonMap::new();
    for table in &done.tables {
        let (rows, hash) = (table.sum.rows, table.sum.short());
        if !console.json {
            console.say(&format!("{rows:>12} rows  {hash}  {}", table.name), &[]);
        }
        let facts = [("rows", Json::from(rows)), ("hash", Json::from(hash))];
        let facts = facts.map(|(key, value)| (key.to_owned(), value));
        tables.insert(
            table.name.clone(),
            Json::Object(facts.into_iter().collect()),
        );
    }
    for name in &done.left_out {
        console.warn(&format!("the view collection {name} was left out"));
    }
    let seconds = |span: Duration| Json::from(span.as_secs_f64());
    console.say(
        &format!(
            "{what}: {} tables compared and the same; {} rows in {:.1} s, {} changes followed, writes held up for {} ms",
            done.tables.len(),
            done.rows,
            done.copying.as_secs_f64(),
            done.followed,
            done.held_up.as_millis(),
        ),
        &[
            ("tables", Json::Object(tables)),
            ("rows", done.rows.into()),
            ("seconds", seconds(done.copying)),
            ("followed", done.followed.into()),
            ("heldUpSeconds", seconds(done.held_up)),
            ("leftOut", done.left_out.clone().into()),
        ],
    );
}
