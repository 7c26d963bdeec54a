//! `import`: records from a file, collections from a file, or a whole directory of PocketBase.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::console::{Console, Failure};
use super::progress::Bar;
use super::run::with_app;
use super::{adopt, superuser};
use crate::app::App;
use crate::config::{Config, ImportCommand, ImportFlags, ImportRecords};
use crate::kit::json::{self, Json};
use crate::kit::limits::{IMPORT_TOGETHER_SECS_ALONE_MAX, IMPORT_TOGETHER_SECS_MAX};
use crate::records::transfer::{Asked, Format, ImportReport, Input, Progress, Watch};

/// Between two transactions beside a server that runs: its own writes get their turn.
const TURN_OF_OTHERS: Duration = Duration::from_millis(20);
/// Errors that are shown to people; programs get all.
const ERRORS_SHOWN: usize = 20;

/// Runs the command.
pub(super) fn import(console: Console, config: Config, flags: &ImportFlags) -> Result<(), Failure> {
    match &flags.from {
        Some(ImportCommand::Pocketbase { from }) => adopt::adopt(console, &config, from),
        Some(ImportCommand::Collections {
            file,
            delete_missing,
        }) => with_app(config, async |app, _| {
            collections(console, app, file, *delete_missing).await
        }),
        None => {
            let config = Config {
                bulk: true,
                ..config
            };
            with_app(config, async |app, alone| {
                records(console, app, alone, &flags.records).await
            })
        }
    }
}

async fn records(
    console: Console,
    app: &App,
    alone: bool,
    flags: &ImportRecords,
) -> Result<(), Failure> {
    let Some(file) = &flags.file else {
        return Err(Failure::message(
            "name a file to import (- is standard input), or see `burrow import --help`",
        ));
    };
    let is_stdin = file == Path::new("-");
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let into = flags.into.as_deref().or(stem.filter(|_| !is_stdin));
    let into = into.ok_or_else(|| Failure::message("name the collection with --into"))?;
    let mapping = mapping(&flags.map)?;
    let asked = Asked {
        format: flags.format.as_deref().unwrap_or(""),
        separator: flags.separator.as_deref().unwrap_or(""),
        mapping: &mapping,
        upsert: flags.upsert.as_deref().unwrap_or(""),
        dry_run: if flags.dry_run { "true" } else { "" },
        on_error: flags.on_error.as_deref().unwrap_or(""),
    };
    let guess = file.to_str().and_then(Format::of_file);
    let mut options = asked.options(guess).map_err(superuser::failure)?;
    // Servers of a PostgreSQL take turns with it, whoever holds this directory.
    options.is_alone = alone && app.store.is_embedded();
    if alone {
        options.together_max = Duration::from_secs(IMPORT_TOGETHER_SECS_ALONE_MAX);
    } else {
        options.together_max = Duration::from_secs(IMPORT_TOGETHER_SECS_MAX.min(5));
        options.pause = TURN_OF_OTHERS;
    }
    let bar = Bar::new(console.json);
    let watch: Watch = {
        let bar = bar.clone();
        Arc::new(move |progress: Progress| {
            bar.draw(progress.bytes, progress.bytes_total, &line(&progress, &bar));
            true
        })
    };
    let call = superuser::call(app)?;
    let input = input(file, is_stdin)?;
    let report = app.records.import(&call, into, input, options, watch).await;
    let seconds = bar.seconds();
    drop(bar);
    tell(console, into, &report.map_err(superuser::failure)?, seconds)
}

fn input(file: &Path, is_stdin: bool) -> Result<Input, Failure> {
    if is_stdin {
        return Ok(Input {
            reader: Box::new(std::io::stdin()),
            bytes: None,
        });
    }
    let unreadable = |error| Failure::message(format!("cannot read {}: {error}", file.display()));
    let opened = File::open(file).map_err(unreadable)?;
    let bytes = opened.metadata().map_err(unreadable)?.len();
    Ok(Input {
        reader: Box::new(opened),
        bytes: Some(bytes),
    })
}

/// `NAME=FIELD` pairs as the JSON that the API takes.
fn mapping(pairs: &[String]) -> Result<String, Failure> {
    if pairs.is_empty() {
        return Ok(String::new());
    }
    let mut map = json::JsonMap::new();
    for pair in pairs {
        let (name, field) = pair.rsplit_once('=').ok_or_else(|| {
            Failure::message(format!("--map takes NAME=FIELD, which {pair:?} is not"))
        })?;
        map.insert(name.to_owned(), Json::from(field));
    }
    Ok(json::to_text(&Json::Object(map)))
}

fn line(progress: &Progress, bar: &Bar) -> String {
    let failed = match progress.failed {
        0 => String::new(),
        failed => format!(", {failed} refused"),
    };
    format!(
        "{} rows, {} a second{failed}",
        progress.rows,
        rate(progress.rows, bar.seconds())
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rate for people to read"
)]
fn rate(rows: u64, seconds: f64) -> u64 {
    (rows as f64 / seconds.max(0.001)) as u64
}

fn tell(console: Console, into: &str, report: &ImportReport, seconds: f64) -> Result<(), Failure> {
    let done = report.progress;
    if console.json {
        let Json::Object(mut facts) = report.to_json() else {
            return Ok(());
        };
        facts.insert("seconds".to_owned(), Json::from(seconds));
        let facts: Vec<(&str, Json)> = facts.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
        console.say("", &facts);
    } else {
        for error in report.errors.iter().take(ERRORS_SHOWN) {
            let field = match error.field.as_str() {
                "" => String::new(),
                field => format!(" {field}:"),
            };
            console.warn(&format!(
                "line {}:{field} {} ({})",
                error.line, error.message, error.code
            ));
        }
        let more = report.errors.len().saturating_sub(ERRORS_SHOWN) as u64 + report.errors_omitted;
        if more > 0 {
            console.warn(&format!(
                "... and {more} more errors (--json lists more of them)"
            ));
        }
        if !report.ignored.is_empty() {
            console.warn(&format!(
                "no field of {into} is called: {}",
                report.ignored.join(", ")
            ));
        }
        let how = if report.dry_run {
            "Dry run, nothing was kept"
        } else if report.undone {
            "Nothing was kept"
        } else {
            "Imported"
        };
        console.say(
            &format!(
                "{how}: {} rows into {into}: {} created, {} updated, {} refused, in {seconds:.1} s ({} rows/s)",
                done.rows,
                done.created,
                done.updated,
                done.failed,
                rate(done.rows, seconds)
            ),
            &[],
        );
    }
    if let Some(why) = &report.stopped {
        return Err(Failure::message(format!("the import ended early: {why}")));
    }
    if done.failed > 0 {
        return Err(Failure::message(format!(
            "{} rows were refused",
            done.failed
        )));
    }
    Ok(())
}

/// Collections as PocketBase exports them: an array, or an object with `collections`.
async fn collections(
    console: Console,
    app: &App,
    file: &Path,
    delete_missing: bool,
) -> Result<(), Failure> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Failure::message(format!("cannot read {}: {why}", file.display()))
    };
    let text = std::fs::read(file).map_err(|error| unreadable(&error))?;
    let parsed = json::parse_first(&text).map_err(|error| unreadable(&error))?;
    let items = match parsed {
        Json::Array(items) => items,
        Json::Object(mut map) => match map.remove("collections") {
            Some(Json::Array(items)) => items,
            _ => return Err(unreadable(&"it is no list of collections")),
        },
        _ => return Err(unreadable(&"it is no list of collections")),
    };
    let items: Option<Vec<json::JsonMap>> =
        items.iter().map(|item| item.as_object().cloned()).collect();
    let items = items.ok_or_else(|| unreadable(&"it is no list of collections"))?;
    let count = items.len();
    let call = superuser::call(app)?;
    app.collections
        .import(&call, items, delete_missing)
        .await
        .map_err(|error| match &error {
            crate::collections::Error::Import(errors) | crate::collections::Error::Form(errors) => {
                Failure::message(superuser::lines(errors))
            }
            _ => Failure::message(error.to_string()),
        })?;
    console.say(
        &format!("Imported {count} collections"),
        &[("collections", count.into())],
    );
    Ok(())
}
