//! Scenarios, one file a feature: mostly over HTTP, with a server in this process on a real socket, a clock that stands
//! still, and people who ask.

mod support;

mod architecture;
mod auth;
mod collections;
mod command;
mod directory;
mod files;
mod http;
mod logs;
mod settings;
mod statics;
