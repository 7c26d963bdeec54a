//! A server in this process over a fresh directory; it ends, and the directory goes, with the value.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use burrow::app::{App, OpenError};
use burrow::auth::password::Scheme;
use burrow::auth::session_token;
use burrow::call::{Actor, Call, Identity};
use burrow::config::Config;
use burrow::kit::clock::Clock;
use burrow::kit::id;
use burrow::kit::secret::Secret;
use burrow::kit::time::Timestamp;
use burrow::kit::value::Value;
use burrow::records::Submission;
use burrow::schema::Record;
use burrow::store::{Access, ReadTx, StoreError};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::Person;

/// 2026-01-02 03:04:05.678Z, when every test begins.
const BEGINNING: Timestamp = Timestamp::from_millis(1_767_323_045_678);

/// A running server.
pub struct TestApp {
    /// The clock of the server; it moves only by hand.
    pub clock: Clock,
    /// The services, for what cannot be seen from outside.
    pub app: App,
    /// The directory that holds everything of the test.
    pub root: PathBuf,
    address: SocketAddr,
    /// Whether the database goes with it.
    owns_database: bool,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<tokio::task::JoinHandle<Result<(), burrow::certs::CertError>>>,
}

impl TestApp {
    /// A server over a fresh directory.
    pub fn new() -> Self {
        Self::configured(|_| {})
    }

    /// The same, started otherwise.
    pub fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let (root, mut config) = fresh();
        change(&mut config);
        let owns = on_postgres() && config.database.is_none();
        if owns {
            config.database = Some(Secret::new(super::postgres::fresh_database()));
        }
        let mut app = Self::start(root, config, Clock::manual(BEGINNING));
        app.owns_database = owns;
        app
    }

    /// A server with a fresh PostgreSQL, beside which others can be started.
    pub fn node() -> Self {
        let files = std::env::temp_dir().join(format!("burrow-it-{}", id::record_id()));
        let mut app = Self::configured(|config| {
            config.database = Some(Secret::new(super::postgres::fresh_database()));
            config.files_dir = Some(files);
        });
        app.owns_database = true;
        app
    }

    /// Another server of the same database, by the same clock.
    pub fn beside(&self) -> Self {
        self.try_beside(|_| {}).unwrap()
    }

    /// The same, started otherwise.
    pub fn try_beside(&self, change: impl FnOnce(&mut Config)) -> Result<Self, OpenError> {
        let (root, mut config) = fresh();
        config.database.clone_from(&self.app.config.database);
        config.files_dir.clone_from(&self.app.config.files_dir);
        change(&mut config);
        Self::try_start(root.clone(), config, self.clock.clone()).inspect_err(|_| {
            std::fs::remove_dir_all(&root).ok();
        })
    }

    fn start(root: PathBuf, config: Config, clock: Clock) -> Self {
        Self::try_start(root, config, clock).unwrap()
    }

    fn try_start(root: PathBuf, config: Config, clock: Clock) -> Result<Self, OpenError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (app, listener) = runtime.block_on(async {
            let app = App::open(config, clock.clone(), Access::Alone).await?;
            Ok::<_, OpenError>((app, TcpListener::bind("127.0.0.1:0").await.unwrap()))
        })?;
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = runtime.spawn(burrow::http::serve(
            app.clone(),
            listener,
            async {
                stopped.await.ok();
            },
            Duration::from_millis(100),
        ));
        Ok(Self {
            clock,
            app,
            root,
            address,
            owns_database: false,
            runtime: Some(runtime),
            stop: Some(stop),
            served: Some(served),
        })
    }

    /// Ends in order and starts again over the same directory, at another address.
    pub fn restart(&mut self) {
        self.restart_after(|_| {});
    }

    /// The same, with something done between the end and the start.
    pub fn restart_after(&mut self, between: impl FnOnce(&Self)) {
        self.stop();
        between(self);
        let config = self.app.config.clone();
        self.go_on(config);
    }

    fn go_on(&mut self, config: Config) {
        let root = std::mem::take(&mut self.root);
        let owns = std::mem::take(&mut self.owns_database);
        *self = Self::start(root, config, self.clock.clone());
        self.owns_database = owns;
    }

    /// Ends in order and starts otherwise over the same directory.
    pub fn restart_configured(&mut self, change: impl FnOnce(&mut Config)) {
        self.stop();
        let mut config = self.app.config.clone();
        change(&mut config);
        self.go_on(config);
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        if let Some(served) = self.served.take() {
            runtime.block_on(served).ok();
        }
        runtime.shutdown_timeout(Duration::from_millis(100));
        self.app.close();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.app.config.dir
    }

    /// Somebody without a token.
    pub fn guest(&self) -> Person {
        Person::new(self.address, None)
    }

    /// Somebody who may do everything.
    pub fn superuser(&self) -> Person {
        self.signed_in("_superusers", "sue@example.com")
    }

    /// A superuser besides all others.
    pub fn superuser_again(&self) -> Person {
        let name = id::random(8, id::LOWER_ALNUM);
        self.signed_in("_superusers", &format!("{name}@example.com"))
    }

    /// A member of `users`.
    pub fn user(&self, name: &str) -> Person {
        self.signed_in("users", &format!("{name}@example.com"))
    }

    /// A new record of an auth collection, with its token. Its password is `1234567890`.
    pub fn signed_in(&self, collection: &str, email: &str) -> Person {
        let password = "1234567890";
        let body = json!({"email": email, "password": password, "passwordConfirm": password});
        let Json::Object(values) = body else {
            unreachable!("an object");
        };
        let call = self.owner();
        let submission = Submission {
            values,
            ..Submission::default()
        };
        self.wait(self.app.records.create(&call, collection, submission))
            .unwrap();
        let catalog = self.app.store.catalog();
        let collection = catalog.find(collection).unwrap().clone();
        let email = Value::text(email);
        let find =
            |tx: &ReadTx<'_>| -> Result<_, StoreError> { tx.find_by(&collection, "email", &email) };
        let record = self.app.store.read_now(find).unwrap().unwrap();
        let token = session_token(&record, self.clock.now()).unwrap();
        let mut person = Person::new(self.address, Some(token));
        record.id().clone_into(&mut person.id);
        person
    }

    /// Makes a collection.
    pub fn collection(&self, definition: &Json) {
        let definition = definition.as_object().unwrap().clone();
        let call = self.owner();
        self.wait(self.app.collections.create(&call, definition))
            .unwrap();
    }

    /// Runs something of the server's to its end.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }

    /// A call of whoever holds the directory.
    pub fn owner(&self) -> Call {
        let collection = self
            .app
            .store
            .catalog()
            .find("_superusers")
            .unwrap()
            .clone();
        let cells = vec![Value::Null; collection.fields.len()];
        let identity = Identity {
            record: Record::from_cells(collection, cells),
            expires: None,
            refreshable: false,
            session: None,
            key: None,
        };
        Call::new(Actor::Auth(Arc::new(identity)), self.clock.now())
    }
}

/// A fresh folder, and the configuration of a server in it.
fn fresh() -> (PathBuf, Config) {
    let root = std::env::temp_dir().join(format!("burrow-it-{}", id::random(12, id::LOWER_ALNUM)));
    std::fs::create_dir_all(&root).unwrap();
    let mut config = Config::new(root.join("data"));
    config.scheme = Scheme::Argon2id;
    (root, config)
}

/// Whether this run is about PostgreSQL.
#[expect(
    clippy::disallowed_methods,
    reason = "the Makefile says so by a variable"
)]
pub fn on_postgres() -> bool {
    std::env::var_os("BURROW_TEST_DATABASE").is_some_and(|engine| engine == "postgres")
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop();
        if self.owns_database {
            let config = &self.app.config;
            if let Some(address) = &config.database {
                super::postgres::drop_database(address.reveal());
            }
            if let Some(files) = &config.files_dir {
                std::fs::remove_dir_all(files).ok();
            }
        }
        if !self.root.as_os_str().is_empty() {
            std::fs::remove_dir_all(&self.root).ok();
        }
    }
}
