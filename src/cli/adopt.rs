//! `import pocketbase`: a directory of PocketBase copied to a new place, compared, and opened there.

use std::path::Path;

use super::console::{Console, Failure};
use super::progress::Bar;
use super::run::small_runtime;
use crate::app::App;
use crate::config::Config;
use crate::expr::RuleState;
use crate::kit::clock::Clock;
use crate::kit::json::Json;
use crate::schema::check::ACTIONS;
use crate::store::{Access, transplant};

/// Runs the command.
pub(super) fn adopt(console: Console, config: &Config, from: &Path) -> Result<(), Failure> {
    let bar = Bar::new(console.json);
    let done = transplant(from, &config.dir, &mut |what| bar.draw(0, None, what))?;
    drop(bar);
    // The directory that it came from is the safety copy.
    let config = Config {
        safety_copy: false,
        ..config.clone()
    };
    let dir = config.dir.clone();
    let broken = small_runtime()?.block_on(async {
        let app = App::open(config, Clock::system(), Access::Alone).await?;
        let broken = broken_rules(&app);
        app.close();
        Ok::<_, Failure>(broken)
    })?;
    let rows: u64 = done.tables.iter().map(|table| table.rows).sum();
    if !console.json {
        for table in &done.tables {
            console.say(&format!("{:>12} rows  {}", table.rows, table.name), &[]);
        }
    }
    for rule in &broken {
        console.warn(&format!(
            "{rule} does not resolve: only superusers get through until it is mended"
        ));
    }
    let tables = done
        .tables
        .iter()
        .map(|table| (table.name.clone(), Json::from(table.rows)));
    console.say(
        &format!(
            "Copied {} to {}: {rows} rows of {} tables and {} files ({} bytes), each compared and the same",
            from.display(),
            dir.display(),
            done.tables.len(),
            done.files,
            done.file_bytes
        ),
        &[
            ("rows", rows.into()),
            ("tables", Json::Object(tables.collect())),
            ("files", done.files.into()),
            ("fileBytes", done.file_bytes.into()),
            ("brokenRules", broken.clone().into()),
        ],
    );
    let parent = from.parent().unwrap_or(from);
    for name in ["pb_hooks", "pb_migrations"] {
        if parent.join(name).is_dir() {
            console.warn(&format!(
                "{} was not copied: JavaScript cannot run here",
                parent.join(name).display()
            ));
        }
    }
    Ok(())
}

/// Rules that cannot be read, as `collection.rule`.
fn broken_rules(app: &App) -> Vec<String> {
    let catalog = app.store.catalog();
    let mut broken = Vec::new();
    for collection in catalog.iter() {
        for (key, action) in ACTIONS {
            if matches!(catalog.rule(collection, action), RuleState::Broken(_)) {
                broken.push(format!("{}.{key}", collection.name));
            }
        }
    }
    broken
}
