//! `doctor`: looks at a directory and at how it would be served, and says what to do.

use super::console::{Console, Failure};
use crate::config::{Common, Config};
use crate::kit::clock::Clock;
use crate::kit::json::Json;
use crate::ops::doctor::{Finding, Level, Surroundings, examine_directory};

/// Runs the command; it fails when something is broken.
pub(super) fn doctor(console: Console, common: &Common, config: &Config) -> Result<(), Failure> {
    let around = Surroundings {
        hooks_dir: common.hooks_dir(config),
        now: Clock::system().now(),
    };
    let findings = examine_directory(config, &around);
    let lines: Vec<String> = findings.iter().map(line).collect();
    let worst = findings.iter().map(|finding| finding.level).max();
    let json: Vec<Json> = findings.iter().map(in_json).collect();
    console.say(
        &lines.join("\n"),
        &[
            ("status", worst.map_or("ok", Level::name).into()),
            ("findings", Json::Array(json)),
        ],
    );
    match worst {
        Some(Level::Bad) => Err(Failure::message("something needs to be mended")),
        _ => Ok(()),
    }
}

fn line(finding: &Finding) -> String {
    let mark = match finding.level {
        Level::Good => "ok     ",
        Level::Warning => "warning",
        Level::Bad => "ERROR  ",
    };
    let mut line = format!("{mark}  {}: {}", finding.subject, finding.text);
    if !finding.advice.is_empty() {
        line.push_str(&format!("\n         {}", finding.advice));
    }
    line
}

fn in_json(finding: &Finding) -> Json {
    serde_json::json!({
        "subject": finding.subject,
        "status": finding.level.name(),
        "message": finding.text,
        "advice": finding.advice,
    })
}
