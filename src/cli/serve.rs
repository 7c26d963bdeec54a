//! `serve`: opens the directory, listens, says where, and ends politely.

use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::console::{Console, Failure};
use super::doors::{Bound, Doors};
use super::{migrate, ship, superuser};
use crate::app::{App, OpenError};
use crate::collections::migrations::Folder;
use crate::config::{Common, Config, Serve};
use crate::http;
use crate::kit::clock::Clock;
use crate::kit::limits::MAIL_DRAIN_SECS_MAX;
use crate::kit::task::Task;
use crate::ops::ship::Shipper;
use crate::store::{Access, Restore, moved_to};

/// How long open requests may go on after the signal to end.
const GRACE: Duration = Duration::from_secs(1);
/// How often the server looks for commands that wrote beside it.
const NEIGHBOUR_LOOK: Duration = Duration::from_millis(100);

/// Runs the command until a signal ends it.
pub(super) fn serve(
    console: Console,
    common: &Common,
    mut config: Config,
    flags: &Serve,
) -> Result<(), Failure> {
    let mut doors = Doors::of(flags)?;
    config.www_hosts = doors.www_hosts();
    config.origins.clone_from(&flags.origins);
    config.open_networks.clone_from(&flags.open_networks);
    if !common.without_hooks {
        refuse_hooks(&common.hooks_dir(&config))?;
    }
    let migrations = common.migrations_dir(&config);
    config.migrations_dir = Some(migrations.clone());
    let start = Start {
        console,
        migrations: Folder::new(migrations),
        without_scripts: common.without_hooks,
    };
    let mut apply = true;
    while let Ended::Restart(at) = start.run(&config, &doors, apply)? {
        // A state that was put back stays as it was: what it lacks is applied by whoever starts the server next.
        apply = false;
        // Who asked for port 0 was told which one it became, and goes on asking there.
        doors.again_at(at);
    }
    Ok(())
}

/// Why a server ended.
enum Ended {
    /// Somebody said so.
    Stop,
    /// Another state of the directory is ready to be put in, or its data has gone to PostgreSQL; clients will come back to
    /// these addresses.
    Restart(Bound),
}

/// What every start of the server needs.
struct Start {
    console: Console,
    migrations: Folder,
    /// Start although there are migrations that cannot be applied.
    without_scripts: bool,
}

impl Start {
    /// Serves the directory until told to end or to begin anew.
    fn run(&self, config: &Config, doors: &Doors, apply: bool) -> Result<Ended, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::message(format!("cannot start: {error}")))?;
        let app = runtime.block_on(open(config))?;
        let shipper = ship::start(&app).inspect_err(|_| app.close())?;
        let ended = runtime.block_on(async {
            if !self.without_scripts {
                migrate::refuse_scripts(&app, &self.migrations).await?;
            }
            if apply {
                migrate::up(self.console, &app, &self.migrations).await?;
            }
            listen(self.console, &app, doors).await
        });
        // Whatever outlived its grace ends here, and lets go of the database.
        runtime.shutdown_timeout(Duration::from_millis(100));
        shipper.iter().for_each(Shipper::settle);
        app.close();
        // What was written last is in the tap now.
        shipper.iter().for_each(Shipper::close);
        ended
    }
}

/// Opens the directory. Where a backup was put in that cannot be used, what was there before comes back.
async fn open(config: &Config) -> Result<App, OpenError> {
    let restore = Restore::of(&config.dir);
    let error = match App::open(config.clone(), Clock::system(), Access::Alone).await {
        Ok(app) => {
            if let Err(error) = restore.confirm() {
                tracing::warn!(%error, "the state before the restore was not kept");
            }
            return Ok(app);
        }
        Err(error) => error,
    };
    if !restore.revert()? {
        return Err(error);
    }
    tracing::error!(%error, "the backup cannot be used; the state before it is back");
    App::open(config.clone(), Clock::system(), Access::Alone).await
}

async fn listen(console: Console, app: &App, doors: &Doors) -> Result<Ended, Failure> {
    let open = doors.open(&app.config.dir).await?;
    let (url, at) = (open.url, open.at);
    let (asked, hub, backups) = (signal()?, app.hub.clone(), app.backups.clone());
    let gone = gone_to_postgres(app.clone());
    let (tell, mut told) = oneshot::channel();
    let stop = async move {
        let ended = tokio::select! {
            () = asked => Ended::Stop,
            () = backups.restart_wanted() => Ended::Restart(at),
            () = gone => Ended::Restart(at),
        };
        // Event streams never end by themselves: without this each would use up the whole grace.
        hub.shutdown();
        drop(tell.send(ended));
    };
    greet(console, app, &url, at);
    let _installer = Task::spawn(offer_installer(console, app.clone(), url));
    let _certificates = open.keepers;
    let _neighbours = Task::spawn(look_for_neighbours(app.clone()));
    let _metrics = match &app.config.metrics_address {
        None => None,
        Some(address) => {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                Failure::message(format!("cannot listen at {address}: {error}"))
            })?;
            Some(Task::spawn(http::serve_metrics(app.clone(), listener)))
        }
    };
    let _export = app
        .config
        .otlp
        .clone()
        .map(|otlp| Task::spawn(http::export(app.clone(), otlp)));
    http::serve(app.clone(), open.doors, stop, GRACE)
        .await
        .map_err(|error| Failure::message(error.to_string()))?;
    let drain = Duration::from_secs(MAIL_DRAIN_SECS_MAX);
    app.mailer.drain(drain).await;
    app.auth.flush_usage().await;
    app.logs.flush().await;
    Ok(told.try_recv().unwrap_or(Ended::Stop))
}

fn greet(console: Console, app: &App, url: &str, at: Bound) {
    let time = app.clock.now().to_text();
    let time = time.get(..19).unwrap_or("");
    let text =
        format!("{time} Server started at {url}\n  REST API:  {url}/api/\n  Dashboard: {url}/_/");
    console.say(
        &text,
        &[
            ("event", "started".into()),
            ("url", url.into()),
            ("http", at.http.to_string().into()),
            ("https", at.https.map(|at| at.to_string()).into()),
        ],
    );
}

async fn offer_installer(console: Console, app: App, url: String) {
    match superuser::installer_token(&app).await {
        Ok(Some(token)) => {
            let link = format!("{url}/_/#/pbinstall/{token}");
            let text = format!(
                "\nThere is no superuser yet. Open this link in a browser to make one (good for 30 minutes):\n\n  {link}\n\n\
                 or run: burrow superuser upsert EMAIL PASS\n"
            );
            console.say(
                &text,
                &[("event", "installer".into()), ("url", link.into())],
            );
        }
        Ok(None) => {}
        Err(failure) => tracing::error!(?failure, "cannot offer to make the first superuser"),
    }
}

async fn look_for_neighbours(app: App) {
    let mut tick = tokio::time::interval(NEIGHBOUR_LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        app.store.notice_neighbours();
    }
}

/// Resolves when the data of the directory has gone to PostgreSQL, where the server goes on.
async fn gone_to_postgres(app: App) {
    let mut tick = tokio::time::interval(NEIGHBOUR_LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    if !app.store.is_embedded() {
        return std::future::pending().await;
    }
    loop {
        tick.tick().await;
        if matches!(moved_to(&app.config.dir), Ok(Some(_))) {
            return;
        }
    }
}

/// Resolves at the signal to end.
#[cfg(unix)]
fn signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| Failure::message(format!("cannot wait for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves at the signal to end.
#[cfg(not(unix))]
fn signal() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// People keep checks in their hooks: starting without them could let through what they forbid.
fn refuse_hooks(dir: &Path) -> Result<(), Failure> {
    match names(dir, ".pb.js").first() {
        None => Ok(()),
        Some(name) => Err(Failure::message(format!(
            "{} holds hooks ({name}), which this version cannot run; --without-hooks starts all the same",
            dir.display()
        ))),
    }
}

/// Names of the files in `dir` that end so, in order; none when there is no such directory.
fn names(dir: &Path, end: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(end))
        .collect();
    names.sort();
    names
}
