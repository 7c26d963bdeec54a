//! Holding, reading and changing the settings.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::sync::Notify;

use super::document::{Document, OWN_GROUPS, OWN_KEYS, S3};
use super::fixed::{Answered, Fixed};
use super::{crypt, merge, validate};
use crate::bucket;
use crate::kit::json::{Json, JsonMap};
use crate::kit::secret::Secret;
use crate::kit::task::Task;
use crate::kit::value::Value;
use crate::ops::Error;
use crate::store::{ChangeKind, ReadTx, Store};

/// Row of `_params` that holds the document.
const ROW: &str = "settings";
/// Row of `_params` that holds the groups that are Burrow's own.
const OWN_ROW: &str = "burrow";

/// Settings that hold now, with what is read from them once.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    document: Document,
    /// Where superusers may come from; empty is anywhere.
    superuser_networks: Vec<IpNet>,
    /// Who is not limited.
    pub excluded_networks: Vec<IpNet>,
    /// Whose headers tell a client's address; empty is anybody's.
    proxy_networks: Vec<IpNet>,
    /// Where files are, when not in the data directory.
    files_bucket: Option<Arc<bucket::Options>>,
    /// Where files may have been, when they are in the data directory.
    left_bucket: Option<Arc<bucket::Options>>,
    /// Where backups are, when not in the data directory.
    backups_bucket: Option<Arc<bucket::Options>>,
}

impl InForce {
    /// What follows from a document.
    #[must_use]
    pub fn new(document: Document) -> Self {
        let networks =
            |texts: &[String]| texts.iter().filter_map(|t| validate::network(t)).collect();
        let bucket = |s3: &S3| s3.enabled.then(|| Arc::new(s3.options()));
        Self {
            files_bucket: bucket(&document.s3),
            left_bucket: left_bucket(&document.s3),
            backups_bucket: bucket(&document.backups.s3),
            superuser_networks: networks(&document.superuser_ips),
            excluded_networks: networks(&document.rate_limits.excluded_ips),
            proxy_networks: networks(&document.trusted_proxy.addresses),
            document,
        }
    }

    /// The bucket that files are kept in, if they are.
    #[must_use]
    pub fn files_bucket(&self) -> Option<Arc<bucket::Options>> {
        self.files_bucket.clone()
    }

    /// The bucket that is named for files and not in use.
    #[must_use]
    pub fn left_bucket(&self) -> Option<Arc<bucket::Options>> {
        self.left_bucket.clone()
    }

    /// The bucket that backups are kept in, if they are.
    #[must_use]
    pub fn backups_bucket(&self) -> Option<Arc<bucket::Options>> {
        self.backups_bucket.clone()
    }

    /// Whether what the other end of a connection says of a client's address is believed.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        let networks = &self.proxy_networks;
        networks.is_empty() || networks.iter().any(|network| network.contains(&peer))
    }

    /// Whether superusers may come from there.
    #[must_use]
    pub fn admits_superuser(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        let networks = &self.superuser_networks;
        networks.is_empty() || networks.iter().any(|network| network.contains(&from))
    }
}

impl Deref for InForce {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.document
    }
}

/// The bucket that is named although it is not enabled.
fn left_bucket(s3: &S3) -> Option<Arc<bucket::Options>> {
    let named = !s3.endpoint.is_empty() && !s3.bucket.is_empty();
    (named && !s3.enabled).then(|| Arc::new(s3.options()))
}

/// The settings service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Settings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    key: Option<Secret<String>>,
    key_name: String,
    /// What holds whatever is stored.
    fixed: Fixed,
    /// What is stored, and kept for the day when nothing is fixed any more.
    stored: ArcSwap<Document>,
    /// The rows that it was read from, or written to.
    rows: ArcSwap<Rows>,
    current: ArcSwap<InForce>,
    /// One change at a time: the next merges over what the last one made.
    changing: tokio::sync::Mutex<()>,
    /// Reads them again when somebody else changed them.
    watch: parking_lot::Mutex<Option<Task>>,
}

/// The rows of `_params`, the contract's and our own, as they are stored.
type Rows = (Option<Value>, Option<Value>);

/// Marks of secrets outside the settings document.
const SEALED: &str = "sealed:";
const PLAIN: &str = "plain:";

impl Settings {
    /// A secret as it is kept elsewhere than in the settings: under their key, where there is one.
    ///
    /// # Errors
    /// [`Error::Encryption`].
    pub fn seal(&self, plain: &str) -> Result<String, Error> {
        match &self.0.key {
            Some(key) => Ok(SEALED.to_owned() + &crypt::seal(key.reveal(), plain.as_bytes())?),
            None => Ok(PLAIN.to_owned() + plain),
        }
    }

    /// What [`Settings::seal`] was given, with or without today's key.
    ///
    /// # Errors
    /// [`Error::Encryption`] when the key is missing or another one.
    pub fn unseal(&self, stored: &str) -> Result<String, Error> {
        if let Some(plain) = stored.strip_prefix(PLAIN) {
            return Ok(plain.to_owned());
        }
        let opened = match (stored.strip_prefix(SEALED), &self.0.key) {
            (Some(sealed), Some(key)) => crypt::open(key.reveal(), sealed)?,
            _ => None,
        };
        opened
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Error::Encryption("a secret is kept under another key".to_owned()))
    }

    /// Reads the settings of `store`; a directory without any gets those of a fresh one. `key` is what they are
    /// encrypted with, `key_name` the variable it came from; `fixed` holds whatever is stored.
    ///
    /// # Errors
    /// When they are not readable, or not with this key.
    pub async fn open(
        store: Store,
        key: Option<Secret<String>>,
        key_name: String,
        fixed: Fixed,
    ) -> Result<Self, Error> {
        let settings = Self(Arc::new(Inner {
            store,
            key,
            key_name,
            fixed,
            stored: ArcSwap::default(),
            rows: ArcSwap::default(),
            current: ArcSwap::default(),
            changing: tokio::sync::Mutex::new(()),
            watch: parking_lot::Mutex::new(None),
        }));
        // Of several servers that start, one writes them.
        while !settings.reload().await? {
            settings.save(Document::fresh()).await?;
        }
        settings.watch();
        Ok(settings)
    }

    /// Another process, or the console, may change the row: every change of the schema kind makes us look.
    fn watch(&self) {
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        self.0.store.on_commit(move |group| {
            let concerns = |kind: &ChangeKind| matches!(kind, ChangeKind::Schema { .. });
            if group.changes.iter().any(|change| concerns(&change.kind)) {
                notify.notify_one();
            }
        });
        let weak = Arc::downgrade(&self.0);
        let task = Task::spawn(async move {
            loop {
                changed.notified().await;
                let Some(inner) = weak.upgrade() else {
                    return;
                };
                if let Err(error) = Self(inner).reload().await {
                    tracing::error!(%error, "the settings cannot be read: the last ones stay in force");
                }
            }
        });
        *self.0.watch.lock() = Some(task);
    }

    /// The settings in force.
    #[must_use]
    pub fn current(&self) -> Arc<InForce> {
        self.0.current.load_full()
    }

    /// Reads them again, after another process may have changed them. Whether there are any.
    ///
    /// # Errors
    /// As [`Settings::open`].
    pub async fn reload(&self) -> Result<bool, Error> {
        // What is read must not be put in force over what was saved meanwhile.
        let _one_at_a_time = self.0.changing.lock().await;
        self.read().await
    }

    async fn read(&self) -> Result<bool, Error> {
        let rows = self.0.store.read(rows).await?;
        let (Some(row), own) = &rows else {
            return Ok(false);
        };
        let mut stored = self.decode(row)?;
        if let Some(own) = own {
            join(&mut stored, &self.decode(own)?);
        }
        // Stored documents may lack keys of newer versions: those have their defaults.
        let document = merge::merged(&Document::defaults(), &Json::Object(stored))?;
        self.enforce(document)?;
        self.0.rows.store(Arc::new(rows));
        Ok(true)
    }

    /// From here on `stored` holds, but for what is fixed.
    fn enforce(&self, stored: Document) -> Result<Arc<InForce>, Error> {
        let in_force = Arc::new(InForce::new(self.0.fixed.over(&stored)?));
        self.0.stored.store(Arc::new(stored));
        self.0.current.store(Arc::clone(&in_force));
        Ok(in_force)
    }

    /// As superusers are shown them: without secrets, and with the paths of what is fixed.
    #[must_use]
    pub fn answered(&self) -> Answered {
        Answered::new(self.current().redacted(), &self.0.fixed)
    }

    /// Lays `patch` over the settings, saves and applies them.
    ///
    /// # Errors
    /// When the result does not hold, or cannot be saved.
    pub async fn update(&self, patch: &Json) -> Result<Arc<InForce>, Error> {
        let _one_at_a_time = self.0.changing.lock().await;
        let patch = self.0.fixed.spare(patch).map_err(Error::InvalidSettings)?;
        loop {
            let document = merge::merged(&self.0.stored.load(), &patch)?;
            let to_hold = self.0.fixed.over(&document)?;
            let mut errors = validate::errors(&to_hold);
            if errors.is_empty() {
                let catalog = self.0.store.catalog();
                errors = validate::channel_rules(&catalog, &to_hold, &self.current());
            }
            if !errors.is_empty() {
                return Err(Error::InvalidSettings(errors));
            }
            if let Some(saved) = self.save(document).await? {
                return Ok(saved);
            }
            self.read().await?;
        }
    }

    /// Replaces the settings by what `change` makes of them: for services whose own doings concern them.
    ///
    /// # Errors
    /// When they cannot be saved.
    pub async fn edit(
        &self,
        change: impl Fn(&mut Document) + Send + Sync,
    ) -> Result<Arc<InForce>, Error> {
        let _one_at_a_time = self.0.changing.lock().await;
        loop {
            let stored = self.0.stored.load_full();
            let mut document = Document::clone(&stored);
            change(&mut document);
            if document == *stored {
                return Ok(self.current());
            }
            if let Some(saved) = self.save(document).await? {
                return Ok(saved);
            }
            self.read().await?;
        }
    }

    /// Saves and applies a document that was made of what is stored; nothing where somebody else has changed that since.
    async fn save(&self, document: Document) -> Result<Option<Arc<InForce>>, Error> {
        let (row, own) = split(&document)?;
        let written = (Some(self.encode(&row)?), Some(self.encode(&own)?));
        let (known, new) = (self.0.rows.load_full(), written.clone());
        let saving = self.0.store.write(move |tx| {
            if rows(tx)? != *known {
                return Ok(false);
            }
            for (name, row) in [(ROW, new.0), (OWN_ROW, new.1)] {
                row.map_or(Ok(()), |row| tx.set_param(name, &row))?;
            }
            Ok::<_, Error>(true)
        });
        if !saving.await? {
            return Ok(None);
        }
        self.0.rows.store(Arc::new(written));
        self.enforce(document).map(Some)
    }

    /// Text as a BLOB in the clear, as TEXT under a key: as PocketBase keeps them.
    fn encode(&self, groups: &JsonMap) -> Result<Value, Error> {
        let text = serde_json::to_vec(groups).map_err(|_| Error::UnreadableSettings)?;
        match &self.0.key {
            Some(key) => Ok(Value::text(crypt::seal(key.reveal(), &text)?)),
            None => Ok(Value::Blob(text)),
        }
    }

    fn decode(&self, row: &Value) -> Result<JsonMap, Error> {
        let bytes = match row {
            Value::Blob(bytes) => bytes.as_slice(),
            Value::Text(text) => text.as_bytes(),
            Value::Null | Value::Int(_) | Value::Real(_) => &[],
        };
        // Plain text is understood under a key too, and encrypted at the next save.
        if let Ok(document) = parse(bytes) {
            return Ok(document);
        }
        let unreadable = || {
            Error::Encryption(format!(
                "invalid settings db data or missing encryption key {:?}",
                self.0.key_name
            ))
        };
        let key = self.0.key.as_ref().ok_or_else(unreadable)?;
        let sealed = std::str::from_utf8(bytes).map_err(|_| unreadable())?;
        let plain = crypt::open(key.reveal(), sealed)?.ok_or_else(unreadable)?;
        parse(&plain).map_err(|_| unreadable())
    }
}

fn rows(tx: &ReadTx<'_>) -> Result<Rows, Error> {
    Ok((tx.param(ROW)?, tx.param(OWN_ROW)?))
}

fn parse(bytes: &[u8]) -> Result<JsonMap, Error> {
    serde_json::from_slice(bytes).map_err(|_| Error::UnreadableSettings)
}

/// The groups of the contract, and those that are ours.
fn split(document: &Document) -> Result<(JsonMap, JsonMap), Error> {
    let Ok(Json::Object(mut contract)) = serde_json::to_value(document) else {
        return Err(Error::UnreadableSettings);
    };
    let mut own: JsonMap = OWN_GROUPS
        .into_iter()
        .filter_map(|group| Some((group.to_owned(), contract.remove(group)?)))
        .collect();
    for (group, key) in OWN_KEYS {
        let value = contract
            .get_mut(group)
            .and_then(|group| group.as_object_mut()?.remove(key));
        let kept = own.entry(group).or_insert_with(|| JsonMap::new().into());
        if let (Some(value), Some(kept)) = (value, kept.as_object_mut()) {
            kept.insert(key.to_owned(), value);
        }
    }
    Ok((contract, own))
}

/// The opposite of [`split`].
fn join(contract: &mut JsonMap, own: &JsonMap) {
    for group in OWN_GROUPS {
        if let Some(value) = own.get(group) {
            contract.insert(group.to_owned(), value.clone());
        }
    }
    for (group, key) in OWN_KEYS {
        let value = own.get(group).and_then(|kept| kept.get(key));
        let group = contract.get_mut(group).and_then(Json::as_object_mut);
        if let (Some(value), Some(group)) = (value, group) {
            group.insert(key.to_owned(), value.clone());
        }
    }
}
