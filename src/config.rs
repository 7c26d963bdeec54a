//! What the process was told when it was started: flags, each with a `BURROW_` variable, and their defaults. The only
//! reader of the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::auth::password::Scheme;
use crate::kit::limits;
use crate::kit::secret::Secret;

/// How this process runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub dir: PathBuf,
    /// Directory of static files served from `/`, when there is one.
    pub public_dir: Option<PathBuf>,
    /// Whether a missing static file is answered with `index.html`.
    pub index_fallback: bool,
    /// Origins that browsers may call from; `*` and `?` are wildcards.
    pub origins: Vec<String>,
    /// Private networks that pictures of new accounts may come from.
    pub open_networks: Vec<IpNet>,
    /// Hosts of ours whose `www.` twin redirects to them.
    pub www_hosts: Vec<String>,
    /// Key that settings are encrypted with, when there is one.
    pub encryption_key: Option<Secret<String>>,
    /// Name of the variable that held the key, for messages.
    pub encryption_env: String,
    /// Whether a commit is on the disk, and not only with the operating system, before it is answered.
    pub durable: bool,
    /// Longest read.
    pub query_timeout: Duration,
    /// How new passwords are hashed.
    pub scheme: Scheme,
    /// Whether the databases of a directory of PocketBase are copied before the first write.
    pub safety_copy: bool,
    /// Where the program that sends mail may be, while SMTP is off; the first place that has it counts.
    pub sendmail: Vec<PathBuf>,
    /// PEM file of authorities whose certificates mail servers may show, besides the system's.
    pub mail_ca: Option<PathBuf>,
    /// Prints more, and limits less.
    pub dev: bool,
}

/// Where `sendmail` is looked for before the search path.
const SENDMAIL_PLACES: [&str; 2] = ["/usr/sbin/sendmail", "/usr/bin/sendmail"];

impl Config {
    /// The defaults over a data directory.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            public_dir: None,
            index_fallback: true,
            origins: vec!["*".to_owned()],
            open_networks: Vec::new(),
            www_hosts: Vec::new(),
            encryption_key: None,
            encryption_env: String::new(),
            durable: false,
            query_timeout: Duration::from_secs(limits::READ_SECS_MAX),
            scheme: Scheme::Argon2id,
            safety_copy: true,
            sendmail: SENDMAIL_PLACES.iter().map(PathBuf::from).collect(),
            mail_ca: None,
            dev: false,
        }
    }
}

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "burrow",
    about = "A backend in one executable: SQLite, REST, realtime and a dashboard",
    version = concat!("version ", env!("CARGO_PKG_VERSION")),
    disable_version_flag = true,
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// Print the version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// What every command knows.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the web server
    Serve(Serve),
    /// Manage superusers
    #[command(subcommand)]
    Superuser(Superuser),
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Data directory [default: burrow_data, or pb_data where only that exists]
    #[arg(long, env = "BURROW_DIR", global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print logs to the console, whatever their level
    #[arg(long, env = "BURROW_DEV", value_parser = BoolishValueParser::new(), global = true, num_args = 0..=1, require_equals = true,
        default_value_t = false, default_missing_value = "true", value_name = "BOOL")]
    dev: bool,
    /// Name of the variable with the key (16, 24 or 32 bytes) that settings are encrypted with
    #[arg(
        long = "encryptionEnv",
        env = "BURROW_ENCRYPTION_ENV",
        global = true,
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    encryption_env: String,
    /// Longest time a query may take, in seconds
    #[arg(long = "queryTimeout", env = "BURROW_QUERY_TIMEOUT", global = true,
        default_value_t = limits::READ_SECS_MAX, value_name = "SECONDS")]
    query_timeout: u64,
    /// Hash new passwords with bcrypt, so that PocketBase can read them
    #[arg(long = "keep-bcrypt", env = "BURROW_KEEP_BCRYPT", value_parser = BoolishValueParser::new(), global = true)]
    keep_bcrypt: bool,
    /// `full` survives a power failure at every commit, `normal` the end of the process
    #[arg(long, env = "BURROW_DURABILITY", global = true, value_enum,
        default_value_t = Durability::Normal, value_name = "HOW")]
    durability: Durability,
    /// Open a directory of PocketBase without copying its databases first
    #[arg(long = "no-safety-copy", env = "BURROW_NO_SAFETY_COPY", value_parser = BoolishValueParser::new(), global = true)]
    no_safety_copy: bool,
    /// PEM file of authorities whose certificates mail servers may show, besides the system's
    #[arg(
        long = "mail-ca",
        env = "BURROW_MAIL_CA",
        global = true,
        value_name = "FILE"
    )]
    mail_ca: Option<PathBuf>,
    /// Form of log lines on the console
    #[arg(long = "log-format", env = "BURROW_LOG_FORMAT", global = true, value_enum,
        default_value_t = LogFormat::Text, value_name = "FORM")]
    pub log_format: LogFormat,
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Directory of hooks [default: pb_hooks next to the data directory]
    #[arg(
        long = "hooksDir",
        env = "BURROW_HOOKS_DIR",
        global = true,
        value_name = "DIR"
    )]
    hooks_dir: Option<PathBuf>,
    /// Accepted for PocketBase's sake
    #[arg(long = "hooksWatch", value_parser = BoolishValueParser::new(), global = true, hide = true, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    hooks_watch: Option<bool>,
    /// Accepted for PocketBase's sake
    #[arg(long = "hooksPool", global = true, hide = true, value_name = "N")]
    hooks_pool: Option<u32>,
    /// Directory of migrations [default: pb_migrations next to the data directory]
    #[arg(
        long = "migrationsDir",
        env = "BURROW_MIGRATIONS_DIR",
        global = true,
        value_name = "DIR"
    )]
    migrations_dir: Option<PathBuf>,
    /// Accepted for PocketBase's sake: changes of collections are not written to files yet
    #[arg(long, env = "BURROW_AUTOMIGRATE", value_parser = BoolishValueParser::new(), global = true, hide = true, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    automigrate: Option<bool>,
    /// Start although there are hooks or migrations, which this version cannot run
    #[arg(long = "without-hooks", env = "BURROW_WITHOUT_HOOKS", value_parser = BoolishValueParser::new(), global = true)]
    pub without_hooks: bool,
    /// Directory of static files [default: burrow_public, or pb_public where only that exists]
    #[arg(
        long = "publicDir",
        env = "BURROW_PUBLIC_DIR",
        global = true,
        value_name = "DIR"
    )]
    public_dir: Option<PathBuf>,
    /// Answer missing static files with index.html
    #[arg(long = "indexFallback", env = "BURROW_INDEX_FALLBACK", value_parser = BoolishValueParser::new(), global = true, num_args = 0..=1,
        require_equals = true, default_value_t = true, default_missing_value = "true",
        action = ArgAction::Set, value_name = "BOOL")]
    index_fallback: bool,
}

/// See `--durability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// As PocketBase.
    Normal,
    /// Synced.
    Full,
}

/// See `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `serve`
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// Domains to serve by HTTPS
    pub domains: Vec<String>,
    /// Address to serve HTTP at
    #[arg(
        long,
        env = "BURROW_HTTP",
        default_value = "127.0.0.1:8090",
        value_name = "ADDRESS"
    )]
    pub http: String,
    /// Address to serve HTTPS at
    #[arg(long, env = "BURROW_HTTPS", value_name = "ADDRESS")]
    pub https: Option<String>,
    /// Origins that browsers may call from, separated by commas
    #[arg(
        long,
        env = "BURROW_ORIGINS",
        default_value = "*",
        value_delimiter = ',',
        value_name = "LIST"
    )]
    pub origins: Vec<String>,
    /// Private networks that pictures of people signed in by OAuth2 may come from, separated by commas
    #[arg(
        long = "open-networks",
        env = "BURROW_OPEN_NETWORKS",
        value_delimiter = ',',
        value_name = "LIST"
    )]
    pub open_networks: Vec<IpNet>,
}

/// `superuser`
#[derive(Clone, Debug, Subcommand)]
pub enum Superuser {
    /// Create a superuser, or change the password of the one that exists
    Upsert(Credentials),
    /// Create a superuser
    Create(Credentials),
    /// Change a superuser's password
    Update(Credentials),
    /// Delete a superuser
    Delete {
        /// E-mail address
        email: String,
    },
    /// Make a one-time code for a superuser to sign in with
    Otp {
        /// E-mail address
        email: String,
    },
}

/// Who, and how he proves it.
#[derive(Args, Clone, Debug)]
pub struct Credentials {
    /// E-mail address
    pub email: String,
    /// Password
    pub password: String,
}

impl Common {
    /// The configuration of these flags.
    #[must_use]
    pub fn config(&self) -> Config {
        let dir = self
            .dir
            .clone()
            .unwrap_or_else(|| ours_or_theirs("burrow_data", "pb_data"));
        let public = self
            .public_dir
            .clone()
            .unwrap_or_else(|| ours_or_theirs("burrow_public", "pb_public"));
        Config {
            public_dir: Some(public),
            index_fallback: self.index_fallback,
            encryption_key: key(&self.encryption_env),
            encryption_env: self.encryption_env.clone(),
            durable: self.durability == Durability::Full,
            query_timeout: Duration::from_secs(self.query_timeout.max(1)),
            scheme: if self.keep_bcrypt {
                Scheme::Bcrypt
            } else {
                Scheme::Argon2id
            },
            safety_copy: !self.no_safety_copy,
            sendmail: sendmail_places(),
            mail_ca: self.mail_ca.clone(),
            dev: self.dev,
            ..Config::new(dir)
        }
    }

    /// Where hooks are kept.
    #[must_use]
    pub fn hooks_dir(&self, config: &Config) -> PathBuf {
        beside(self.hooks_dir.as_deref(), config, "pb_hooks")
    }

    /// Where migrations are kept.
    #[must_use]
    pub fn migrations_dir(&self, config: &Config) -> PathBuf {
        beside(self.migrations_dir.as_deref(), config, "pb_migrations")
    }
}

/// `given`, else the directory `name` next to the data directory.
fn beside(given: Option<&Path>, config: &Config, name: &str) -> PathBuf {
    if let Some(path) = given {
        return path.to_owned();
    }
    // The data directory may not exist yet, so that `<dir>/..` would lead nowhere.
    let dir = std::path::absolute(&config.dir).unwrap_or_else(|_| config.dir.clone());
    dir.parent().unwrap_or(&dir).join(name)
}

fn ours_or_theirs(ours: &str, theirs: &str) -> PathBuf {
    let (ours, theirs) = (PathBuf::from(ours), PathBuf::from(theirs));
    if !ours.exists() && theirs.exists() {
        theirs
    } else {
        ours
    }
}

/// The usual places of `sendmail`, then those of the search path.
fn sendmail_places() -> Vec<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the reader of the environment"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = SENDMAIL_PLACES.iter().map(PathBuf::from);
    let searched = std::env::split_paths(&path).map(|dir| dir.join("sendmail"));
    usual.chain(searched).collect()
}

/// The key in the variable `name`; an empty one is none.
fn key(name: &str) -> Option<Secret<String>> {
    if name.is_empty() {
        return None;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the reader of the environment"
    )]
    let key = std::env::var(name).ok();
    key.filter(|key| !key.is_empty()).map(Secret::new)
}
