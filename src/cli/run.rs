//! From arguments to the command.

use std::process::ExitCode;

use clap::CommandFactory;
use tracing::level_filters::LevelFilter;

use super::console::{Console, Failure};
use super::{
    doctor, export, graduate, health, import, migrate, restore, serve, storage, superuser,
};
use crate::app::{App, OpenError};
use crate::config::{Arguments, Command, Common, Config, LogFormat, LogLevel};
use crate::kit::clock::Clock;
use crate::store::{Access, StoreError};

/// Runs the command of `arguments` to its end.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let console = Console {
        json: arguments.common.json,
    };
    let Some(command) = arguments.command else {
        console.say(&Arguments::command().render_help().to_string(), &[]);
        return ExitCode::SUCCESS;
    };
    let common = arguments.common;
    let config = match common.config() {
        Ok(config) => config,
        Err(error) => return console.complain(&Failure::message(error)),
    };
    start_log(&common, config.dev);
    let done = match command {
        Command::Serve(flags) => serve::serve(console, &common, config, &flags),
        Command::Import(flags) => import::import(console, config, &flags),
        Command::Export(flags) => export::export(console, config, &flags),
        Command::Migrate(flags) => migrate::migrate(console, &common, config, flags),
        Command::Doctor => doctor::doctor(console, &common, &config),
        Command::Health(flags) => health::health(console, &flags),
        Command::Graduate(flags) => graduate::graduate(console, &config, &flags),
        Command::Restore(flags) => restore::restore(console, config, &flags),
        Command::Storage(command) => storage::storage(console, config, &command),
        Command::Superuser(command) => superuser::superuser(console, config, command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => console.complain(&failure),
    }
}

/// Our own log lines go to standard error.
fn start_log(common: &Common, dev: bool) {
    let level = match common.log_level {
        Some(LogLevel::Error) => LevelFilter::ERROR,
        Some(LogLevel::Warn) => LevelFilter::WARN,
        Some(LogLevel::Info) => LevelFilter::INFO,
        Some(LogLevel::Debug) => LevelFilter::DEBUG,
        None if dev => LevelFilter::DEBUG,
        None => LevelFilter::WARN,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr);
    match common.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// A runtime for a command that does one thing.
pub(super) fn small_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::message(format!("cannot start: {error}")))
}

/// Opens the directory, to itself where no server holds it.
pub(super) fn with_app(
    config: Config,
    work: impl AsyncFnOnce(&App, bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // Two threads: the file is read on one while the other waits for the database.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::message(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let opened = App::open(config.clone(), Clock::system(), Access::Alone).await;
        let (app, alone) = match opened {
            Ok(app) => (app, true),
            Err(OpenError::Store(StoreError::Taken { .. })) => (
                App::open(config, Clock::system(), Access::Beside).await?,
                false,
            ),
            Err(error) => return Err(error.into()),
        };
        let done = work(&app, alone).await;
        app.close();
        done
    })
}
