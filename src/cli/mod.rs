//! The command line: one file a command. Exit codes are stable: 0 done, 1 failed, 2 wrong usage, 3 the data directory
//! is in use by another server.

mod adopt;
mod console;
mod doctor;
mod doors;
mod export;
mod graduate;
mod health;
mod import;
mod migrate;
mod progress;
mod restore;
mod run;
mod serve;
mod ship;
mod storage;
mod superuser;

pub use run::run;
