//! `export`: the records of a collection to a file or to standard output.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use super::console::{Console, Failure};
use super::progress::Bar;
use super::run::small_runtime;
use super::superuser;
use crate::app::App;
use crate::config::{Config, ExportFlags};
use crate::kit::clock::Clock;
use crate::records::transfer::Format;
use crate::store::Access;

/// Runs the command.
pub(super) fn export(console: Console, config: Config, flags: &ExportFlags) -> Result<(), Failure> {
    small_runtime()?.block_on(async {
        let app = App::open(config, Clock::system(), Access::Beside).await?;
        let done = write(console, &app, flags).await;
        app.close();
        done
    })
}

async fn write(console: Console, app: &App, flags: &ExportFlags) -> Result<(), Failure> {
    let format = format(flags)?;
    let mut call = superuser::call(app)?;
    let asked = [("filter", &flags.filter), ("sort", &flags.sort)];
    let query = asked.into_iter().filter_map(|(key, value)| {
        let value = value.as_ref()?;
        Some((key.into(), value.as_str().into()))
    });
    call.query = Arc::new(query.collect());
    let only = (!flags.fields.is_empty()).then(|| flags.fields.clone());
    let mut export = app.records.export(&call, &flags.collection, format, only);
    let failed = |error: std::io::Error| Failure::message(format!("cannot write: {error}"));
    let first = export.next().await.map_err(superuser::failure)?;
    let to_file = flags
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    // Beside the place it will have: a file that is there is whole.
    let beside = to_file.map(|path| path.with_extension("partial"));
    let mut out: Box<dyn Write> = match &beside {
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(|error| {
            Failure::message(format!("cannot write {}: {error}", path.display()))
        })?)),
        None => Box::new(std::io::stdout().lock()),
    };
    let bar = Bar::new(console.json || to_file.is_none());
    let mut bytes = 0_u64;
    let mut piece = first;
    while let Some(some) = piece {
        out.write_all(&some).map_err(failed)?;
        bytes += some.len() as u64;
        bar.draw(0, None, &format!("{} KiB", bytes >> 10));
        piece = export.next().await.map_err(superuser::failure)?;
    }
    out.flush().map_err(failed)?;
    drop(out);
    drop(bar);
    if let (Some(beside), Some(path)) = (beside, to_file) {
        std::fs::rename(&beside, path).map_err(failed)?;
        let shown = path.display().to_string();
        console.say(
            &format!("Exported {} to {shown} ({bytes} bytes)", flags.collection),
            &[("file", shown.as_str().into()), ("bytes", bytes.into())],
        );
    }
    Ok(())
}

fn format(flags: &ExportFlags) -> Result<Format, Failure> {
    let by_name = || Format::of_file(flags.output.as_ref()?.to_str()?);
    match flags.format.as_deref() {
        None => Ok(by_name().unwrap_or(Format::Csv)),
        Some(name) => Format::parse(name)
            .ok_or_else(|| Failure::message("the format must be csv, json or ndjson")),
    }
}
