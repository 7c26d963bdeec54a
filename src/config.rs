//! What the process was told when it was started: flags, each with a `BURROW_` variable, and their defaults. The only
//! reader of the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::auth::password::Scheme;
use crate::certs::LETS_ENCRYPT;
use crate::kit::limits;
use crate::kit::secret::Secret;

/// How this process runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub dir: PathBuf,
    /// Address of the PostgreSQL that holds the data, when it is not the directory.
    pub database: Option<Secret<String>>,
    /// File that holds the address instead.
    pub database_file: Option<PathBuf>,
    /// Address of the database itself, where the other one is a pooler's.
    pub database_listen: Option<Secret<String>>,
    /// Address of a replica that answers reads.
    pub database_read: Option<Secret<String>>,
    /// Connections to the database at most.
    pub database_connections: usize,
    /// Directory of uploaded files that all servers of the database reach.
    pub files_dir: Option<PathBuf>,
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
    /// Directory of migrations, where there is to be one.
    pub migrations_dir: Option<PathBuf>,
    /// Whether changes of collections by callers are written there.
    pub automigrate: bool,
    /// Variables that begin with `BURROW_` and are no flag's, with their texts, or those of the files that they name.
    pub variables: Vec<(String, Secret<String>)>,
    /// Where metrics are told without a password, besides `/api/metrics`.
    pub metrics_address: Option<String>,
    /// Where metrics are sent by OTLP, and how often.
    pub otlp: Option<Otlp>,
    /// Where writes are shipped to, if they are.
    pub ship: Option<Ship>,
    /// Many rows are going to be written, and little else is done.
    pub bulk: bool,
    /// Prints more, and limits less.
    pub dev: bool,
}

/// How writes are shipped.
#[derive(Clone, Debug)]
pub struct Ship {
    /// Where to.
    pub to: ShipTo,
    /// How far back one may go.
    pub keep: Duration,
}

/// Where writes are shipped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShipTo {
    /// A folder.
    Folder(PathBuf),
    /// The bucket that the settings name for backups.
    S3,
}

/// A collector of metrics.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Its URL, without `/v1/metrics`.
    pub endpoint: Url,
    /// Headers for it, which may hold a secret.
    pub headers: Vec<(String, Secret<String>)>,
    /// Between two exports.
    pub every: Duration,
}

/// Where `sendmail` is looked for before the search path.
const SENDMAIL_PLACES: [&str; 2] = ["/usr/sbin/sendmail", "/usr/bin/sendmail"];

impl Config {
    /// The defaults over a data directory.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            database: None,
            database_file: None,
            database_listen: None,
            database_read: None,
            database_connections: limits::DATABASE_CONNECTIONS,
            files_dir: None,
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
            migrations_dir: None,
            automigrate: false,
            variables: Vec::new(),
            metrics_address: None,
            otlp: None,
            ship: None,
            bulk: false,
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
    /// Import records from a file, collections, or a directory of PocketBase
    Import(ImportFlags),
    /// Export the records of a collection
    Export(ExportFlags),
    /// Apply migrations, go back, and see where they stand
    Migrate(MigrateFlags),
    /// Manage superusers
    #[command(subcommand)]
    Superuser(Superuser),
    /// Move the files of records
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Put the database back as it was at a moment, of what was shipped
    Restore(RestoreFlags),
    /// Move the data to PostgreSQL while the server goes on, or back
    Graduate(GraduateFlags),
    /// Check the data directory and the configuration, and say what to do
    Doctor,
    /// Ask a running server whether it is well
    Health(Health),
}

/// `graduate`
#[derive(Args, Clone, Debug)]
pub struct GraduateFlags {
    /// Address of an empty PostgreSQL database, or of one that an interrupted move was to
    #[arg(
        long,
        env = "BURROW_GRADUATE_TO",
        hide_env_values = true,
        value_name = "URL",
        required_unless_present_any = ["to_file", "back"]
    )]
    pub to: Option<String>,
    /// Read that address from this file
    #[arg(
        long = "to-file",
        env = "BURROW_GRADUATE_TO_FILE",
        value_name = "FILE",
        conflicts_with = "to"
    )]
    pub to_file: Option<PathBuf>,
    /// Bring the data back into the data directory; no server may run meanwhile
    #[arg(long, conflicts_with_all = ["to", "to_file", "anew"])]
    pub back: bool,
    /// Forget what an interrupted move has left in the database
    #[arg(long)]
    pub anew: bool,
    /// Leave out the view collections whose SQL the other engine does not take
    #[arg(long = "without-views")]
    pub without_views: bool,
}

/// `restore`
#[derive(Args, Clone, Debug)]
pub struct RestoreFlags {
    /// Moment, as 2026-11-28T13:45:00Z, or latest; no server may use the directory meanwhile
    #[arg(long, value_name = "TIME", required_unless_present_any = ["drill", "list"])]
    pub at: Option<String>,
    /// Change nothing: prove that the newest copy can be made and opens
    #[arg(long, conflicts_with_all = ["at", "list"])]
    pub drill: bool,
    /// Change nothing: list the moments from which on there is something
    #[arg(long, conflicts_with = "at")]
    pub list: bool,
}

/// What `storage` does.
#[derive(Clone, Debug, Subcommand)]
pub enum StorageCommand {
    /// Move all files to the bucket of the settings, or back to the data directory; a server may run meanwhile
    Move {
        /// Where to
        to: StoragePlace,
        /// Leave the files where they were, too
        #[arg(long)]
        keep: bool,
    },
}

/// Where files of records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoragePlace {
    /// The data directory.
    Local,
    /// The bucket that the settings name.
    S3,
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Data directory [default: burrow_data, or pb_data where only that exists]
    #[arg(long, env = "BURROW_DIR", global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the data in this PostgreSQL (15 or newer) instead of the data directory
    #[arg(
        long,
        env = "BURROW_DATABASE",
        hide_env_values = true,
        global = true,
        value_name = "URL",
        conflicts_with = "database_file"
    )]
    database: Option<String>,
    /// Read the address of the PostgreSQL from this file
    #[arg(
        long = "database-file",
        env = "BURROW_DATABASE_FILE",
        global = true,
        value_name = "FILE"
    )]
    database_file: Option<PathBuf>,
    /// Address of the PostgreSQL itself, where --database is that of a pooler which shares connections between transactions
    #[arg(
        long = "database-listen",
        env = "BURROW_DATABASE_LISTEN",
        hide_env_values = true,
        global = true,
        value_name = "URL"
    )]
    database_listen: Option<String>,
    /// Address of a replica of the PostgreSQL, which answers reads as far as it has followed
    #[arg(
        long = "database-read",
        env = "BURROW_DATABASE_READ",
        hide_env_values = true,
        global = true,
        value_name = "URL"
    )]
    database_read: Option<String>,
    /// Connections to the PostgreSQL that this server opens at most
    #[arg(
        long = "database-connections",
        env = "BURROW_DATABASE_CONNECTIONS",
        global = true,
        value_name = "N",
        default_value_t = limits::DATABASE_CONNECTIONS,
        value_parser = connections
    )]
    database_connections: usize,
    /// Keep uploaded files in this directory, which all servers of the PostgreSQL reach
    #[arg(
        long = "files-dir",
        env = "BURROW_FILES_DIR",
        global = true,
        value_name = "DIR"
    )]
    files_dir: Option<PathBuf>,
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
    /// Least level of log lines on the console [default: warn, or debug with --dev]
    #[arg(
        long = "log-level",
        env = "BURROW_LOG_LEVEL",
        global = true,
        value_enum,
        value_name = "LEVEL"
    )]
    pub log_level: Option<LogLevel>,
    /// Address to tell metrics at without a password, besides /api/metrics
    #[arg(long, env = "BURROW_METRICS", global = true, value_name = "ADDRESS")]
    metrics: Option<String>,
    /// Collector to send metrics to by OTLP over HTTP, for instance http://localhost:4318
    #[arg(
        long = "otlp-endpoint",
        env = "BURROW_OTLP_ENDPOINT",
        global = true,
        value_name = "URL"
    )]
    otlp_endpoint: Option<Url>,
    /// Headers for the collector, separated by commas
    #[arg(
        long = "otlp-headers",
        env = "BURROW_OTLP_HEADERS",
        global = true,
        value_delimiter = ',',
        hide_env_values = true,
        value_name = "NAME=VALUE"
    )]
    otlp_headers: Vec<String>,
    /// Seconds between two exports
    #[arg(long = "otlp-interval", env = "BURROW_OTLP_INTERVAL", global = true,
        default_value_t = limits::OTLP_SECS_DEFAULT, value_name = "SECONDS")]
    otlp_interval: u64,
    /// Ship every write of a server within a second to this folder, or to the bucket of backups (s3)
    #[arg(
        long = "ship-to",
        env = "BURROW_SHIP_TO",
        global = true,
        value_name = "FOLDER|s3"
    )]
    ship_to: Option<PathBuf>,
    /// Days that one may go back to in what was shipped
    #[arg(long = "ship-days", env = "BURROW_SHIP_DAYS", global = true,
        default_value_t = limits::SHIP_DAYS_DEFAULT, value_name = "DAYS")]
    ship_days: u64,
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
    /// Write changes of collections in the dashboard and by the API to the directory of migrations
    #[arg(long, env = "BURROW_AUTOMIGRATE", value_parser = BoolishValueParser::new(), global = true, num_args = 0..=1,
        require_equals = true, default_value_t = true, default_missing_value = "true",
        action = ArgAction::Set, value_name = "BOOL")]
    automigrate: bool,
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

/// See `--log-level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What may fail.
    Warn,
    /// Every request, too.
    Info,
    /// Everything.
    Debug,
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
    /// Domains to serve by HTTPS, with certificates from the ACME authority unless --tls-cert gives one
    #[arg(env = "BURROW_DOMAINS", value_delimiter = ',')]
    pub domains: Vec<String>,
    /// Address to serve HTTP at [default: 127.0.0.1:8090, or 0.0.0.0:80 beside HTTPS]
    #[arg(long, env = "BURROW_HTTP", value_name = "ADDRESS")]
    pub http: Option<String>,
    /// Address to serve HTTPS at [default: 0.0.0.0:443 with domains or --tls-cert]
    #[arg(long, env = "BURROW_HTTPS", value_name = "ADDRESS")]
    pub https: Option<String>,
    /// PEM file of the certificate to show, and those that lead to its authority; read again when it changes
    #[arg(
        long = "tls-cert",
        env = "BURROW_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(
        long = "tls-key",
        env = "BURROW_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
    /// Directory of the authority that certificates of the domains come from (ACME)
    #[arg(
        long = "acme-directory",
        env = "BURROW_ACME_DIRECTORY",
        default_value = LETS_ENCRYPT,
        value_name = "URL"
    )]
    pub acme_directory: String,
    /// Where the authority writes when something is wrong
    #[arg(long = "acme-email", env = "BURROW_ACME_EMAIL", value_name = "EMAIL")]
    pub acme_email: Option<String>,
    /// PEM file of authorities whose certificates the ACME directory may show, besides the system's
    #[arg(long = "acme-ca", env = "BURROW_ACME_CA", value_name = "FILE")]
    pub acme_ca: Option<PathBuf>,
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

/// `import`
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ImportFlags {
    /// Something else than records.
    #[command(subcommand)]
    pub from: Option<ImportCommand>,
    /// Records.
    #[command(flatten)]
    pub records: ImportRecords,
}

/// `import` of something else than records.
#[derive(Clone, Debug, Subcommand)]
pub enum ImportCommand {
    /// Copy a data directory of PocketBase to --dir, compare the copy row by row, and open it
    Pocketbase {
        /// Its data directory, which may be in use
        #[arg(value_name = "DIR")]
        from: PathBuf,
    },
    /// Import collections from a file that PocketBase or Burrow exported
    Collections {
        /// The file
        file: PathBuf,
        /// Delete the collections and fields that are not in it
        #[arg(long = "delete-missing")]
        delete_missing: bool,
    },
}

/// `import` of records.
#[derive(Args, Clone, Debug)]
pub struct ImportRecords {
    /// File of rows: .csv, .tsv, .json, .ndjson; - is standard input
    pub file: Option<PathBuf>,
    /// Collection [default: the name of the file]
    #[arg(long, value_name = "COLLECTION")]
    pub into: Option<String>,
    /// csv, json or ndjson [default: by the end of the file's name]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Character between the cells of CSV, or tab [default: found out]
    #[arg(long, value_name = "CHAR")]
    pub separator: Option<String>,
    /// Column or key of the file that means a field of another name; an empty field leaves it out
    #[arg(long, value_name = "NAME=FIELD")]
    pub map: Vec<String>,
    /// Unique field by which records that are there already are found and changed
    #[arg(long, value_name = "FIELD")]
    pub upsert: Option<String>,
    /// Judge every row, keep nothing
    #[arg(long = "dry-run")]
    pub dry_run: bool,
    /// What a refused row means: skip it, stop there, or undo everything [default: skip]
    #[arg(long = "on-error", value_name = "skip|stop|undo")]
    pub on_error: Option<String>,
}

/// `migrate`
#[derive(Args, Clone, Debug)]
pub struct MigrateFlags {
    /// What to do; applying what is pending where nothing is said.
    #[command(subcommand)]
    pub command: Option<MigrateCommand>,
    /// Change nothing: fail when migrations are pending or missing, or do not make the collections that are there
    #[arg(long)]
    pub check: bool,
}

/// What `migrate` does.
#[derive(Clone, Debug, Subcommand)]
pub enum MigrateCommand {
    /// Apply what is pending
    Up,
    /// Go back over the last migrations
    Down {
        /// How many; a negative number is all of them
        #[arg(default_value_t = 1, allow_negative_numbers = true)]
        count: i64,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Make an empty migration to be filled in
    Create {
        /// What it does, in a few words
        name: String,
        /// Of SQL statements
        #[arg(long)]
        sql: bool,
    },
    /// Make a migration of all collections as they are now
    Collections,
    /// Forget applied migrations whose files are gone
    HistorySync,
    /// List all migrations
    Status,
}

/// `export`
#[derive(Args, Clone, Debug)]
pub struct ExportFlags {
    /// Collection
    pub collection: String,
    /// File; standard output where there is none
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// csv, json or ndjson [default: by the end of the file's name, else csv]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only records for which this filter holds
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Order, as in the API
    #[arg(long, value_name = "SORT")]
    pub sort: Option<String>,
    /// Only these fields, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    pub fields: Vec<String>,
}

/// `health`
#[derive(Args, Clone, Debug)]
pub struct Health {
    /// URL to ask [default: /api/health at the address of --http]
    pub url: Option<String>,
    /// Address that the server listens at
    #[arg(
        long,
        env = "BURROW_HTTP",
        default_value = "127.0.0.1:8090",
        value_name = "ADDRESS"
    )]
    pub http: String,
    /// Seconds to wait for the answer
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    pub timeout: u64,
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

/// A number of connections that a server can do with.
fn connections(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "not a number".to_owned())?;
    if number < limits::DATABASE_CONNECTIONS_MIN {
        return Err(format!(
            "a server needs {} connections",
            limits::DATABASE_CONNECTIONS_MIN
        ));
    }
    Ok(number)
}

impl Common {
    /// The configuration of these flags and of the environment.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn config(&self) -> Result<Config, String> {
        let dir = self
            .dir
            .clone()
            .unwrap_or_else(|| ours_or_theirs("burrow_data", "pb_data"));
        let public = self
            .public_dir
            .clone()
            .unwrap_or_else(|| ours_or_theirs("burrow_public", "pb_public"));
        Ok(Config {
            variables: variables()?,
            database: self.database.clone().map(Secret::new),
            database_file: self.database_file.clone(),
            database_listen: self.database_listen.clone().map(Secret::new),
            database_read: self.database_read.clone().map(Secret::new),
            database_connections: self.database_connections,
            files_dir: self.files_dir.clone(),
            public_dir: Some(public),
            index_fallback: self.index_fallback,
            encryption_key: key(&self.encryption_env)?,
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
            automigrate: self.automigrate,
            metrics_address: self.metrics.clone(),
            otlp: self.otlp(),
            ship: self.ship(),
            bulk: false,
            dev: self.dev,
            ..Config::new(dir)
        })
    }

    fn ship(&self) -> Option<Ship> {
        let to = self.ship_to.clone()?;
        Some(Ship {
            to: if to == Path::new("s3") {
                ShipTo::S3
            } else {
                ShipTo::Folder(to)
            },
            keep: Duration::from_secs(self.ship_days.max(1).saturating_mul(24 * 3_600)),
        })
    }

    fn otlp(&self) -> Option<Otlp> {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=')?;
            Some((name.trim().to_owned(), Secret::new(value.trim().to_owned())))
        };
        Some(Otlp {
            endpoint: self.otlp_endpoint.clone()?,
            headers: self.otlp_headers.iter().filter_map(pair).collect(),
            every: Duration::from_secs(self.otlp_interval.max(1)),
        })
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

/// The key in the variable `name`, or in the file that `name` with `_FILE` names; an empty one is none.
fn key(name: &str) -> Result<Option<Secret<String>>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the reader of the environment"
    )]
    let (key, file) = (
        std::env::var(name).ok(),
        std::env::var(format!("{name}{OF_FILE}")).ok(),
    );
    let key = match (key, file) {
        (Some(key), _) => Some(key),
        (None, Some(file)) => Some(content(name, &file)?),
        (None, None) => None,
    };
    Ok(key.filter(|key| !key.is_empty()).map(Secret::new))
}

/// End of the name of a variable that names a file.
const OF_FILE: &str = "_FILE";

/// The text of the file that the variable of `name` names, without the end of its last line.
fn content(name: &str, file: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{name}{OF_FILE}: cannot read {file}: {error}"))?;
    Ok(text
        .strip_suffix('\n')
        .map_or(text.as_str(), |t| t.trim_end_matches('\r'))
        .to_owned())
}

/// Variables of ours that are no flag's.
fn variables() -> Result<Vec<(String, Secret<String>)>, String> {
    let mut flags = Vec::new();
    flag_names(&Arguments::command(), &mut flags);
    let mut found = Vec::new();
    for (name, text) in std::env::vars_os() {
        let Ok(name) = name.into_string() else {
            continue;
        };
        if !name.starts_with("BURROW_") || flags.contains(&name) {
            continue;
        }
        let text = text
            .into_string()
            .map_err(|_| format!("{name} is not UTF-8"))?;
        match name.strip_suffix(OF_FILE) {
            Some(named) => found.push((named.to_owned(), Secret::new(content(named, &text)?))),
            None => found.push((name, Secret::new(text))),
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(twice) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!(
            "{} is given both as text and as a file",
            twice[0].0
        ));
    }
    Ok(found)
}

/// The variables of all flags.
fn flag_names(command: &clap::Command, names: &mut Vec<String>) {
    for flag in command.get_arguments() {
        if let Some(name) = flag.get_env().and_then(std::ffi::OsStr::to_str) {
            names.push(name.to_owned());
        }
    }
    for below in command.get_subcommands() {
        flag_names(below, names);
    }
}
