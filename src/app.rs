//! The open application: every service in one place, for whoever holds a wire. Knows no HTTP.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use crate::auth::{Auth, Passwords, Throttle};
use crate::bucket::Chosen;
use crate::collections::migrations::Folder;
use crate::collections::{self, Collections};
use crate::config::Config;
use crate::files::{Buckets, Files};
use crate::kit::clock::Clock;
use crate::kit::secret::Secret;
use crate::mail::{self, Mailer};
use crate::ops::cron::{Crons, Work};
use crate::ops::settings::Fixed;
use crate::ops::ship::Progress;
use crate::ops::{self, Backups, Limiter, Logs, Metrics, Settings};
use crate::outbound::{Outbound, Pool};
use crate::realtime::Hub;
use crate::records::Records;
use crate::store::{Access, OpenOptions, Remote, Storage, Store, StoreError, moved_to};

/// All services. Cheap to clone: one reference count.
#[derive(Clone, Debug)]
pub struct App(Arc<Services>);

/// What [`App`] derefs to.
#[derive(Debug)]
pub struct Services {
    /// How the process was started.
    pub config: Config,
    /// How it uses the directory.
    pub access: Access,
    /// Source of time.
    pub clock: Clock,
    /// Connections to object stores.
    pub pool: Pool,
    /// The database.
    pub store: Store,
    /// What superusers have set.
    pub settings: Settings,
    /// What happened.
    pub logs: Logs,
    /// Archives of the whole directory.
    pub backups: Backups,
    /// How far writes are shipped, where they are.
    pub shipping: Progress,
    /// What happens by the clock.
    pub crons: Crons,
    /// How often clients may ask.
    pub limiter: Limiter,
    /// What the server counts of itself.
    pub metrics: Metrics,
    /// What records hold besides cells.
    pub files: Files,
    /// What is sent to people.
    pub mailer: Mailer,
    /// Who people are.
    pub auth: Auth,
    /// Collections as superusers manage them.
    pub collections: Collections,
    /// Records of all collections.
    pub records: Records,
    /// Who hears of changes.
    pub hub: Hub,
}

/// Why the application cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings.
    #[error(transparent)]
    Settings(#[from] ops::Error),
    /// Our own collections.
    #[error(transparent)]
    Collections(#[from] collections::Error),
    /// The operating system has no more threads.
    #[error("cannot start a thread: {0}")]
    Threads(#[from] std::io::Error),
    /// The file of authorities for mail servers.
    #[error("cannot use {0}: {1}")]
    Authorities(PathBuf, std::io::Error),
}

impl App {
    /// Opens the floors from the lowest to the highest.
    ///
    /// # Errors
    /// When the directory or its settings cannot be used.
    pub async fn open(config: Config, clock: Clock, access: Access) -> Result<Self, OpenError> {
        let (store, settings) = ground(&config, &clock, access).await?;
        let logs = Logs::start(store.logs().clone(), settings.clone(), clock.clone());
        let limiter = Limiter::new(settings.clone(), store.common().cloned());
        let pool = Pool::new();
        let files = files(&config, &settings, &pool);
        if access == Access::Alone {
            files.sweep(&store).await?;
        }
        let passwords = Passwords::start(config.scheme)?;
        let records = records(&store, &passwords, &files, &settings);
        let mailer = mailer(&config, &settings)?;
        let backups = Backups::new(
            &config.dir,
            store.clone(),
            files.clone(),
            settings.clone(),
            clock.clone(),
            &pool,
        );
        let crons = Crons::start(Work {
            store: store.clone(),
            logs: logs.clone(),
            settings: settings.clone(),
            backups: backups.clone(),
            mailer: mailer.clone(),
            clock: clock.clone(),
        });
        let auth = Auth::new(
            store.clone(),
            passwords,
            settings.clone(),
            records.clone(),
            Outbound::new(config.open_networks.clone()),
            mailer.clone(),
            logs.clone(),
        );
        let hub = Hub::start(&store, settings.clone(), clock.clone())?;
        let collections = Collections::new(store.clone(), files.clone(), settings.clone())
            .written_down_in(journal(&config));
        if access == Access::Alone {
            auth.remember(clock.now());
            collections.make_own(clock.now()).await?;
        }
        Ok(Self::new(Services {
            metrics: Metrics::new(clock.now()),
            config,
            access,
            clock,
            pool,
            store,
            settings,
            logs,
            backups,
            shipping: Progress::default(),
            crons,
            limiter,
            files,
            mailer,
            auth,
            collections,
            records,
            hub,
        }))
    }

    /// Shuts down, the highest floor first. Blocks until everything that was promised is on the disk.
    pub fn close(&self) {
        self.hub.close();
        self.auth.close();
        if self.access == Access::Alone {
            self.files.close(&self.store);
        }
        self.store.close();
    }

    /// Ties services together.
    #[must_use]
    pub fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

fn records(store: &Store, passwords: &Passwords, files: &Files, settings: &Settings) -> Records {
    Records::new(
        store.clone(),
        passwords.clone(),
        Throttle::of(store),
        files.clone(),
        settings.clone(),
    )
}

/// Where changes of collections are written down, if they are to be.
fn journal(config: &Config) -> Option<Folder> {
    let dir = config.migrations_dir.clone();
    dir.filter(|_| config.automigrate).map(Folder::new)
}

/// What superusers have set, and the environment has decided. Names that mean nothing are told of: they may be misspelt.
async fn settings(config: &Config, store: &Store) -> Result<Settings, ops::Error> {
    let (fixed, unknown) = Fixed::of(&config.variables)?;
    for name in unknown {
        tracing::warn!(%name, "the variable names neither a flag nor a setting");
    }
    let (key, name) = (config.encryption_key.clone(), config.encryption_env.clone());
    Settings::open(store.clone(), key, name, fixed).await
}

fn open_store(config: &Config, clock: &Clock, access: Access) -> Result<Store, StoreError> {
    let store = Store::open(&OpenOptions {
        database: remote(config)?,
        durable: config.durable,
        query_timeout: config.query_timeout,
        access,
        safety_copy: config.safety_copy,
        tapped: access == Access::Alone && config.ship.is_some(),
        bulk: config.bulk,
        ..OpenOptions::new(&config.dir, clock.clone())
    })?;
    if store.is_embedded() && config.files_dir.is_some() {
        return Err(StoreError::Directory(
            "--files-dir is for servers that share a PostgreSQL".to_owned(),
        ));
    }
    Ok(store)
}

/// What everything stands on: the store, in company where there is some, and the settings in it.
async fn ground(
    config: &Config,
    clock: &Clock,
    access: Access,
) -> Result<(Store, Settings), OpenError> {
    let store = open_store(config, clock, access)?;
    let settings = settings(config, &store).await?;
    if access == Access::Alone {
        store.join(storage(config, &settings))?;
    }
    Ok((store, settings))
}

/// Where uploaded files lie.
fn storage(config: &Config, settings: &Settings) -> Storage {
    if config.files_dir.is_some() || settings.current().files_bucket().is_some() {
        Storage::Shared
    } else {
        Storage::Own
    }
}

/// The PostgreSQL that holds the data, if one does.
fn remote(config: &Config) -> Result<Option<Remote>, StoreError> {
    let address = database(config)?;
    Ok(address.map(|address| Remote {
        listen: config.database_listen.clone(),
        read: config.database_read.clone(),
        connections: config.database_connections,
        ..Remote::at(address)
    }))
}

/// Its address: what the flags say, else where the data of the directory has gone to.
///
/// # Errors
/// When a file that says so cannot be read.
pub fn database(config: &Config) -> Result<Option<Secret<String>>, StoreError> {
    if config.database.is_some() {
        return Ok(config.database.clone());
    }
    let Some(file) = &config.database_file else {
        return moved_to(&config.dir);
    };
    let text = std::fs::read_to_string(file).map_err(|error| {
        StoreError::Directory(format!("cannot read {}: {error}", file.display()))
    })?;
    Ok(Some(Secret::new(text.trim().to_owned())))
}

fn files(config: &Config, settings: &Settings, pool: &Pool) -> Files {
    let (of_used, of_left) = (settings.clone(), settings.clone());
    let buckets = Buckets {
        used: Chosen::new(pool.clone(), move || of_used.current().files_bucket()),
        left: Chosen::new(pool.clone(), move || of_left.current().left_bucket()),
    };
    let stored = config.files_dir.clone();
    let stored = stored.unwrap_or_else(|| config.dir.join("storage"));
    Files::new(&config.dir, stored, config.durable, buckets)
}

fn mailer(config: &Config, settings: &Settings) -> Result<Mailer, OpenError> {
    let authorities = match &config.mail_ca {
        None => Vec::new(),
        Some(file) => {
            mail::authorities(file).map_err(|error| OpenError::Authorities(file.clone(), error))?
        }
    };
    let here = mail::Options {
        sendmail: config.sendmail.clone(),
        authorities,
    };
    let settings = settings.clone();
    Ok(Mailer::new(here, move || settings.current().outgoing()))
}

impl Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}
