//! Scenarios, one file a feature: mostly over HTTP, with a server in this process on a real socket, a clock that stands
//! still, and people who ask.

#![expect(
    clippy::unwrap_used,
    reason = "what cannot be had ends the test, and a test ends by failing"
)]
#![expect(unreachable_pub, reason = "nobody uses a test's modules from outside")]

mod support;

mod account;
mod api_keys;
mod architecture;
mod auth;
mod authenticator;
mod backups;
mod batch;
mod bulk;
mod cascade;
mod collections;
mod command;
mod dependencies;
mod directory;
mod expand;
mod explain;
mod faults;
mod files;
mod fuzzing;
mod graduate;
mod http;
mod https;
mod logs;
mod mail;
mod migrations;
mod nodes;
mod oauth2;
mod operations;
mod realtime;
mod records;
mod restore;
mod rules;
mod s3;
mod s3_backups;
mod s3_direct;
mod security;
mod sessions;
mod settings;
mod ship;
mod stateful;
mod statics;
mod storage;
mod transfer;
