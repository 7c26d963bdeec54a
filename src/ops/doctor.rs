//! What is wrong with a data directory and how it is served, and what to do about it. Looks, and changes nothing.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::kit::json::{self, Json};
use crate::kit::limits::{DISK_FREE_BYTES_MIN, UNINDEXED_ROWS_MAX};
use crate::kit::time::Timestamp;
use crate::records::INSTALLER_EMAIL;
use crate::schema::index::Index;
use crate::schema::{Collection, FieldKind, Schema};
use crate::store::{Examined, examine, free_bytes};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, but somebody should know.
    Warning,
    /// Does not work, or will lose something.
    Bad,
}

impl Level {
    /// Its name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was looked at: `directory`, `disk`, `database`, and so on
    pub subject: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub text: String,
    /// What to do; empty when there is nothing to do.
    pub advice: String,
}

/// What a server would be started with, beside its configuration.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where hooks are kept.
    pub hooks_dir: PathBuf,
    /// The present moment.
    pub now: Timestamp,
}

/// Looks at everything; the findings come in the order in which one would mend them.
#[must_use]
pub fn examine_directory(config: &Config, around: &Surroundings) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    findings.clock(around.now);
    findings.configuration(config, around);
    if findings.directory(&config.dir) {
        match examine(&config.dir, INSTALLER_EMAIL) {
            Ok(found) => findings.databases(config, &found, around.now),
            Err(error) => findings.bad(
                "database",
                format!("the database cannot be read: {error}"),
                "put the newest backup back, or ask PRAGMA integrity_check what is left of it",
            ),
        }
    }
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, subject: &'static str, text: impl Into<String>) {
        self.push(subject, Level::Good, text.into(), "");
    }

    fn warn(&mut self, subject: &'static str, text: impl Into<String>, advice: &str) {
        self.push(subject, Level::Warning, text.into(), advice);
    }

    fn bad(&mut self, subject: &'static str, text: impl Into<String>, advice: &str) {
        self.push(subject, Level::Bad, text.into(), advice);
    }

    fn push(&mut self, subject: &'static str, level: Level, text: String, advice: &str) {
        self.0.push(Finding {
            subject,
            level,
            text,
            advice: advice.to_owned(),
        });
    }

    /// A clock that was never set makes tokens that have ended before they begin.
    fn clock(&mut self, now: Timestamp) {
        if now.as_millis() < BUILT_AFTER_MILLIS {
            let text = format!("the clock says {}", now.to_text());
            self.bad(
                "clock",
                text,
                "set the clock, and keep it by NTP: tokens and crons go by it",
            );
        } else {
            self.good("clock", now.to_text().to_string());
        }
    }

    fn configuration(&mut self, config: &Config, around: &Surroundings) {
        let before = self.0.len();
        if !config.encryption_env.is_empty() {
            let name = &config.encryption_env;
            match config.encryption_key.as_ref().map(|key| key.reveal().len()) {
                None => self.bad(
                    "configuration",
                    format!("the variable {name} of --encryptionEnv is empty or not set"),
                    "set it, or leave the flag out if settings were never encrypted",
                ),
                Some(16 | 24 | 32) => {}
                Some(length) => self.bad(
                    "configuration",
                    format!("the key in {name} has {length} bytes"),
                    "a key has 16, 24 or 32 bytes",
                ),
            }
        }
        if let Some(hook) = first_with_ending(&around.hooks_dir, ".pb.js") {
            self.bad(
                "configuration",
                format!("{} is a hook, which this version cannot run", hook.display()),
                "serve refuses to start: move what it checks into rules, then start with --without-hooks",
            );
        }
        if let Some(public) = config.public_dir.as_ref().filter(|dir| dir.exists())
            && (public.starts_with(&config.dir) || config.dir.starts_with(public))
        {
            self.bad(
                "configuration",
                format!(
                    "the public directory {} overlaps the data directory",
                    public.display()
                ),
                "keep them apart: everything in the public directory is served to everybody",
            );
        }
        if self.0.len() == before {
            self.good("configuration", "flags and variables fit");
        }
    }

    /// Whether there is anything to look at further.
    fn directory(&mut self, dir: &Path) -> bool {
        let shown = dir.display();
        let Ok(meta) = std::fs::metadata(dir) else {
            self.warn(
                "directory",
                format!("{shown} is not there"),
                "serve makes it at the first start; if data should be there, check --dir",
            );
            return false;
        };
        if !meta.is_dir() {
            self.bad(
                "directory",
                format!("{shown} is no directory"),
                "check --dir",
            );
            return false;
        }
        if let Err(error) = tempfile_in(dir) {
            self.bad(
                "directory",
                format!("{shown} cannot be written: {error}"),
                "give the directory and all in it to the user that serves (chown -R), and mount it for writing",
            );
        } else {
            self.good("directory", format!("{shown} can be written"));
        }
        self.permissions(dir, &meta);
        self.space(dir);
        true
    }

    #[cfg(unix)]
    fn permissions(&mut self, dir: &Path, meta: &std::fs::Metadata) {
        use std::os::unix::fs::PermissionsExt;
        let data = std::fs::metadata(dir.join("data.db"));
        let open_to_others = |mode: u32| mode & 0o007 != 0;
        let dir_open = open_to_others(meta.permissions().mode());
        let data_open = data.is_ok_and(|meta| open_to_others(meta.permissions().mode()));
        if dir_open && data_open {
            self.warn(
                "permissions",
                "everybody on this machine can read the database",
                &format!("chmod 700 {}", dir.display()),
            );
        } else {
            self.good(
                "permissions",
                "only the owner and his group get at the data",
            );
        }
    }

    #[cfg(not(unix))]
    fn permissions(&mut self, _dir: &Path, _meta: &std::fs::Metadata) {}

    fn space(&mut self, dir: &Path) {
        let Some(free) = free_bytes(dir) else {
            return;
        };
        let size = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |meta| meta.len());
        // A backup, a VACUUM or an upgrade's copy needs as much as there is.
        let wanted = (size("data.db") + size("auxiliary.db")).max(DISK_FREE_BYTES_MIN);
        let text = format!("{} MiB are free", free >> 20);
        if free < DISK_FREE_BYTES_MIN / 8 {
            self.bad("disk", text, "make room: writes will fail soon");
        } else if free < wanted {
            let advice = format!(
                "make room: a backup or an upgrade may need {} MiB",
                wanted >> 20
            );
            self.warn("disk", text, &advice);
        } else {
            self.good("disk", text);
        }
    }

    fn databases(&mut self, config: &Config, found: &Examined, now: Timestamp) {
        if found.damage.is_empty() {
            self.good("database", format!("whole; {} MiB", found.bytes >> 20));
        } else {
            self.bad(
                "database",
                format!("damaged: {}", found.damage.join("; ")),
                "stop the server, keep a copy of the directory, and put the newest good backup back",
            );
        }
        if found.free_bytes > found.bytes / 2 && found.free_bytes > (64 << 20) {
            self.warn(
                "database",
                format!("{} MiB of it are empty", found.free_bytes >> 20),
                "run VACUUM in the SQL console when the server is quiet, if the disk needs the room",
            );
        }
        if found.wal_bytes > (1 << 30) {
            self.warn(
                "database",
                format!("the write-ahead log has {} MiB", found.wal_bytes >> 20),
                "something reads for very long: restart the server, or look for a program that keeps data.db open",
            );
        }
        if found.newest_change.is_some_and(|newest| newest > now) {
            self.warn(
                "clock",
                "the newest change was made in the future",
                "the clock went back: check it, and NTP",
            );
        }
        self.settings(config, found);
        if found.superusers == 0 {
            self.warn(
                "superusers",
                "there is no superuser",
                "burrow superuser upsert EMAIL PASSWORD, or open the link that serve prints",
            );
        } else {
            self.good("superusers", format!("{}", found.superusers));
        }
        self.indexes(&found.schema, &found.rows);
    }

    fn settings(&mut self, config: &Config, found: &Examined) {
        let Some(stored) = &found.settings else {
            return;
        };
        let Ok(settings) = json::parse(stored) else {
            match config.encryption_key {
                Some(_) => self.good("settings", "encrypted"),
                None => self.bad(
                    "settings",
                    "the settings are encrypted, and no key was given",
                    "start with --encryptionEnv and the variable that holds the key",
                ),
            }
            return;
        };
        let before = self.0.len();
        let flag = |path: [&str; 2]| {
            let group = settings.get(path[0])?;
            group.get(path[1])?.as_bool()
        };
        if config.encryption_key.is_some() {
            self.warn(
                "settings",
                "a key was given, but the settings are stored as they are",
                "save the settings once: they are encrypted from then on",
            );
        }
        if flag(["smtp", "enabled"]) != Some(true) && !config.sendmail.iter().any(|at| at.exists())
        {
            self.warn(
                "settings",
                "no mail can be sent: SMTP is off and there is no sendmail",
                "set up SMTP: resets, verifications, codes and alerts go by mail",
            );
        }
        let url = settings.get("meta").and_then(|meta| meta.get("appURL"));
        let url = url.and_then(Json::as_str).unwrap_or("");
        if url.contains("localhost") || url.contains("127.0.0.1") {
            self.warn(
                "settings",
                format!("links in mails lead to {url}"),
                "set the application's URL in the settings",
            );
        }
        let cron = settings.get("backups").and_then(|group| group.get("cron"));
        if cron.and_then(Json::as_str).is_none_or(str::is_empty) {
            self.warn(
                "settings",
                "no backups are made by the clock",
                "give backups a schedule in the settings",
            );
        }
        if self.0.len() == before {
            self.good("settings", "mail, links and backups are set up");
        }
    }

    /// Relations without an index: each delete of what they point to, and each back-relation, reads the whole table.
    fn indexes(&mut self, schema: &Schema, rows: &[(String, u64)]) {
        let before = self.0.len();
        for (id, count) in rows.iter().filter(|(_, count)| *count > UNINDEXED_ROWS_MAX) {
            let Some(collection) = schema.iter().find(|one| one.id.as_str() == id) else {
                continue;
            };
            for field in unindexed_relations(collection) {
                let name = &collection.name;
                self.warn(
                    "indexes",
                    format!("{name}.{field} has no index, and {name} has about {count} rows"),
                    &format!("add to the collection: CREATE INDEX `idx_{name}_{field}` ON `{name}` (`{field}`)"),
                );
            }
        }
        if self.0.len() == before {
            self.good(
                "indexes",
                "large collections have indexes on their relations",
            );
        }
    }
}

/// Single relations that no index begins with.
fn unindexed_relations(collection: &Collection) -> impl Iterator<Item = &str> {
    let leading: Vec<String> = collection
        .indexes
        .iter()
        .filter_map(|text| Index::parse(text))
        .filter(|index| index.condition.is_empty())
        .filter_map(|index| Some(index.columns.first()?.name.clone()))
        .collect();
    collection
        .fields
        .iter()
        .filter(|field| matches!(field.kind, FieldKind::Relation(_)) && !field.kind.is_multiple())
        .map(|field| field.name.as_str())
        .filter(move |name| {
            !leading
                .iter()
                .any(|column| column.eq_ignore_ascii_case(name))
        })
}

/// Makes a file and takes it away.
fn tempfile_in(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".burrow-doctor-{}", std::process::id()));
    std::fs::write(&path, "")?;
    std::fs::remove_file(&path)
}

fn first_with_ending(dir: &Path, ending: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    paths.sort();
    paths.into_iter().next()
}

/// 2026-01-01: no clock that is right can be before this program.
const BUILT_AFTER_MILLIS: i64 = 1_767_225_600_000;
