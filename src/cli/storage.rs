//! `storage move`: all files of records to the bucket of the settings, or back to the data directory.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::console::{Console, Failure};
use super::progress::Bar;
use super::run::{small_runtime, with_app};
use crate::app::App;
use crate::bucket::Bucket;
use crate::config::{Config, StorageCommand, StoragePlace};
use crate::files::{Progress, Relocation};
use crate::kit::task::Task;
use crate::ops::settings::probe;
use crate::outbound::Pool;

/// Between two drawings of the progress.
const PACE: Duration = Duration::from_millis(100);

/// Where the bucket is tried: always the same, so that a try that was cut off leaves nothing for long.
const PROBE: &str = "pb_settings_test_move";

/// Runs the command.
pub(super) fn storage(
    console: Console,
    config: Config,
    command: &StorageCommand,
) -> Result<(), Failure> {
    let StorageCommand::Move { to, keep } = *command;
    let dir = config.dir.clone();
    let mut options = None;
    // The directory is let go before files are moved, so that a server hears of the change and may be started meanwhile.
    with_app(config, async |app, _| {
        let s3 = app.settings.current().s3.clone();
        let chosen = s3.options();
        check(app, &s3.endpoint, &s3.bucket)?;
        let bucket = Bucket::new(&app.pool, &chosen);
        let unusable = |error| Failure::message(format!("the bucket cannot be used: {error}"));
        probe::attempt(&bucket, PROBE).await.map_err(unusable)?;
        if to == StoragePlace::Local {
            let noted = Relocation::new(&app.config.dir, bucket, keep).begin_home();
            noted.map_err(|error| Failure::message(format!("cannot begin: {error}")))?;
        }
        switch(app, to == StoragePlace::S3).await?;
        options = Some(chosen);
        Ok(())
    })?;
    let Some(options) = options else {
        return Ok(());
    };
    small_runtime()?.block_on(async {
        let bucket = Bucket::new(&Pool::new(), &options);
        let relocation = Arc::new(Relocation::new(&dir, bucket, keep));
        let bar = Bar::new(console.json);
        let _drawing = draw(&relocation, &bar);
        let moved = match to {
            StoragePlace::S3 => relocation.to_bucket().await,
            StoragePlace::Local => relocation.to_folder().await,
        };
        let seconds = bar.seconds();
        tell(console, &relocation, to, &options.bucket, seconds);
        moved.map_err(|error| {
            Failure::message(format!(
                "the move ended early: {error}\nNothing is lost: files are found in both places. Run the same command to go on."
            ))
        })
    })
}

fn check(app: &App, endpoint: &str, bucket: &str) -> Result<(), Failure> {
    if endpoint.is_empty() || bucket.is_empty() {
        return Err(Failure::message(format!(
            "the settings name no bucket for files: fill in s3 in the dashboard of {} first (it need not be enabled)",
            app.settings.current().meta.app_name
        )));
    }
    Ok(())
}

/// From here on new files go to the new place.
async fn switch(app: &App, enabled: bool) -> Result<(), Failure> {
    let change = json!({"s3": {"enabled": enabled}});
    let refused = match app.settings.update(&change).await {
        Ok(settings) if settings.s3.enabled == enabled => return Ok(()),
        Ok(_) => "the environment of this command says otherwise (BURROW_S3_ENABLED)".to_owned(),
        Err(crate::ops::Error::InvalidSettings(errors)) => super::superuser::lines(&errors),
        Err(error) => error.to_string(),
    };
    Err(Failure::message(format!(
        "the settings cannot be changed: {refused}"
    )))
}

/// Shows how far it has come, as long as the task lives.
fn draw(relocation: &Arc<Relocation>, bar: &Bar) -> Task {
    let (relocation, bar) = (Arc::clone(relocation), bar.clone());
    Task::spawn(async move {
        loop {
            let done = relocation.progress();
            bar.draw(done.bytes, Some(done.bytes_total), &line(&done));
            tokio::time::sleep(PACE).await;
        }
    })
}

fn line(done: &Progress) -> String {
    format!("{} of {} files", done.files, done.files_total)
}

fn tell(console: Console, relocation: &Relocation, to: StoragePlace, bucket: &str, seconds: f64) {
    let (done, strange) = (relocation.progress(), relocation.strange());
    for name in &strange {
        console.warn(&format!(
            "{name} is no file of a record and stays where it is"
        ));
    }
    let place = match to {
        StoragePlace::S3 => format!("the bucket {bucket}"),
        StoragePlace::Local => "the data directory".to_owned(),
    };
    console.say(
        &format!(
            "Moved {} files ({} bytes) to {place} in {seconds:.1} s",
            done.files, done.bytes
        ),
        &[
            ("files", done.files.into()),
            ("bytes", done.bytes.into()),
            ("left", strange.into()),
            ("seconds", seconds.into()),
        ],
    );
}
