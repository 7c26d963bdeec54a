//! The program: parse, call, exit code.

use std::process::ExitCode;

use burrow::cli;
use burrow::config::Arguments;
use clap::Parser;

fn main() -> ExitCode {
    cli::run(Arguments::parse())
}
