//! `migrate`: applies migrations, goes back, and says where they stand.

use std::io::{BufRead, IsTerminal, Write};

use super::console::{Console, Failure};
use super::run::small_runtime;
use crate::app::App;
use crate::collections::migrations::{Folder, Migration, MigrationError, State, Status};
use crate::config::{Common, Config, MigrateCommand, MigrateFlags};
use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::json::{self, Json, JsonMap};
use crate::store::Access;

impl From<MigrationError> for Failure {
    fn from(error: MigrationError) -> Self {
        Self::message(error.to_string())
    }
}

/// Runs the command.
pub(super) fn migrate(
    console: Console,
    common: &Common,
    config: Config,
    flags: MigrateFlags,
) -> Result<(), Failure> {
    let folder = Folder::new(common.migrations_dir(&config));
    if let Some(MigrateCommand::Create { name, sql }) = &flags.command {
        return create(console, &folder, name, *sql);
    }
    small_runtime()?.block_on(async {
        let app = App::open(config, Clock::system(), Access::Beside).await?;
        let done = run(console, &app, &folder, flags).await;
        app.close();
        done
    })
}

async fn run(
    console: Console,
    app: &App,
    folder: &Folder,
    flags: MigrateFlags,
) -> Result<(), Failure> {
    if flags.check {
        return check(console, app, folder).await;
    }
    match flags.command.unwrap_or(MigrateCommand::Up) {
        MigrateCommand::Up => {
            refuse_scripts(app, folder).await?;
            if up(console, app, folder).await? == 0 {
                console.say("No new migrations to apply.", &[("applied", 0.into())]);
            }
            Ok(())
        }
        MigrateCommand::Down { count, yes } => down(console, app, folder, count, yes).await,
        MigrateCommand::Create { name, sql } => create(console, folder, &name, sql),
        MigrateCommand::Collections => {
            let name = app
                .collections
                .snapshot_migration(folder, app.clock.now())
                .await?;
            made(console, folder, &name);
            Ok(())
        }
        MigrateCommand::HistorySync => {
            let gone = app.collections.sync_migrations(folder).await?;
            let text = match gone.as_slice() {
                [] => "Nothing to forget.".to_owned(),
                gone => format!("Forgotten: {}", gone.join(", ")),
            };
            console.say(&text, &[("forgotten", gone.into())]);
            Ok(())
        }
        MigrateCommand::Status => {
            let status = app.collections.migration_status(folder).await?;
            if !console.json {
                for line in &status {
                    console.say(&format!("{:<8} {}", line.state.name(), line.file), &[]);
                }
                return Ok(());
            }
            console.say("", &[("migrations", listed(&status))]);
            Ok(())
        }
    }
}

fn listed(status: &[Status]) -> Json {
    let lines = status
        .iter()
        .map(|line| serde_json::json!({ "file": line.file, "state": line.state.name() }));
    Json::Array(lines.collect())
}

/// Applies what is pending; how many there were.
pub(super) async fn up(console: Console, app: &App, folder: &Folder) -> Result<usize, Failure> {
    let mut count = 0;
    let each = |name: &str| {
        count += 1;
        console.say(
            &format!("Applied {name}"),
            &[("event", "migrated".into()), ("file", name.into())],
        );
    };
    let done = app
        .collections
        .migrate_up(folder, app.clock.now(), each)
        .await;
    done?;
    Ok(count)
}

/// Migrations in JavaScript that were not applied would leave the collections other than the application expects.
pub(super) async fn refuse_scripts(app: &App, folder: &Folder) -> Result<(), Failure> {
    let status = app.collections.migration_status(folder).await?;
    let script = |line: &&Status| {
        line.state == State::Pending && (line.file.ends_with(".js") || line.file.ends_with(".ts"))
    };
    match status.iter().find(script) {
        None => Ok(()),
        Some(line) => Err(Failure::message(format!(
            "{} holds a migration that was not applied ({}), and this version cannot apply it; \
             --without-hooks starts all the same",
            folder.path().display(),
            line.file
        ))),
    }
}

async fn down(
    console: Console,
    app: &App,
    folder: &Folder,
    count: i64,
    yes: bool,
) -> Result<(), Failure> {
    let files = app.collections.last_migrations(count).await?;
    if files.is_empty() {
        console.say("No migrations to revert.", &[("reverted", 0.into())]);
        return Ok(());
    }
    if !yes && !agreed(&files)? {
        return Err(Failure::message("nothing was reverted"));
    }
    let each = |name: &str| {
        console.say(
            &format!("Reverted {name}"),
            &[("event", "reverted".into()), ("file", name.into())],
        );
    };
    let done = app
        .collections
        .migrate_down(folder, &files, app.clock.now(), each);
    Ok(done.await?)
}

/// Asks whoever sits at the terminal.
fn agreed(files: &[String]) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::message(
            "reverting may delete records: say --yes where nobody can be asked",
        ));
    }
    let mut err = std::io::stderr().lock();
    drop(write!(
        err,
        "{}\nRevert these? Records may be deleted. [y/N] ",
        files.join("\n")
    ));
    drop(err.flush());
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::message(error.to_string()))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn create(console: Console, folder: &Folder, name: &str, sql: bool) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::message(format!(
            "cannot write to {}: {error}",
            folder.path().display()
        ))
    };
    let (end, text) = if sql {
        ("sql", "-- migrate:up\n\n-- migrate:down\n".to_owned())
    } else {
        let empty = Migration {
            up: Vec::new(),
            down: Some(Vec::new()),
        };
        ("json", empty.to_text())
    };
    let name = folder
        .fresh_name(name, end, Clock::system().now())
        .map_err(failed)?;
    folder.write(&name, &text).map_err(failed)?;
    made(console, folder, &name);
    Ok(())
}

fn made(console: Console, folder: &Folder, name: &str) {
    let path = folder.path().join(name).display().to_string();
    console.say(
        &format!("Successfully created file \"{path}\""),
        &[("file", path.as_str().into())],
    );
}

/// Whether the files alone make the collections of the directory.
async fn check(console: Console, app: &App, folder: &Folder) -> Result<(), Failure> {
    let status = app.collections.migration_status(folder).await?;
    let mut wrong: Vec<String> = status
        .iter()
        .filter(|line| line.state != State::Applied)
        .map(|line| format!("{} is {}", line.file, line.state.name()))
        .collect();
    if wrong.is_empty() {
        wrong = drift(app, folder).await?;
    }
    if wrong.is_empty() {
        let count = status.len();
        console.say(
            &format!("{count} migrations, all applied; they make the collections that are there"),
            &[("migrations", count.into())],
        );
        return Ok(());
    }
    Err(Failure::message(wrong.join("\n")))
}

/// What the collections of a fresh directory, after all migrations, have otherwise.
async fn drift(app: &App, folder: &Folder) -> Result<Vec<String>, Failure> {
    let dir = std::env::temp_dir().join(format!("burrow-check-{}", id::record_id()));
    let fresh = App::open(Config::new(dir.clone()), Clock::system(), Access::Alone).await?;
    let replayed = fresh
        .collections
        .migrate_up(folder, fresh.clock.now(), |_| {})
        .await;
    let made = fresh.collections.shown_collections();
    fresh.close();
    drop(fresh);
    std::fs::remove_dir_all(&dir).ok();
    replayed.map_err(|error| {
        Failure::message(format!(
            "the migrations do not run on an empty directory: {error}"
        ))
    })?;
    Ok(differences(&app.collections.shown_collections(), &made))
}

fn differences(here: &[JsonMap], made: &[JsonMap]) -> Vec<String> {
    let name = |map: &JsonMap| {
        map.get("name")
            .and_then(Json::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let find =
        |list: &[JsonMap], wanted: &str| list.iter().find(|map| name(map) == wanted).cloned();
    let mut wrong = Vec::new();
    for collection in here {
        let called = name(collection);
        let Some(other) = find(made, &called) else {
            wrong.push(format!("collection {called} is in no migration"));
            continue;
        };
        for (key, value) in collection {
            // Ids are drawn at random where no migration says them.
            if key != "id" && other.get(key) != Some(value) {
                wrong.push(format!(
                    "collection {called}: {key} is {} here and {} by the migrations",
                    json::to_text(value),
                    other
                        .get(key)
                        .map_or_else(|| "nothing".to_owned(), json::to_text)
                ));
            }
        }
    }
    for collection in made {
        let called = name(collection);
        if find(here, &called).is_none() {
            wrong.push(format!(
                "collection {called} is made by a migration and not there"
            ));
        }
    }
    wrong
}
