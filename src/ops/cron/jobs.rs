//! The built-in jobs and what each of them does.

use std::time::Duration;

use super::Work;
use crate::call::{Actor, Call};
use crate::kit::limits::{SESSION_NOTE_MILLIS, WRITE_ALONE_SECS_MAX};
use crate::kit::time::Timestamp;
use crate::mail::{self, Letter};
use crate::ops::Error;
use crate::schema::system::is_own;
use crate::schema::{AuthOptions, CollectionId, Record, SUPERUSERS};
use crate::store::{Select, Store, StoreError, WriteTx};

/// A built-in job. Its name and time are the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Statistics of the database.
    Optimize,
    /// Second factors that were begun and never finished.
    MfaCleanup,
    /// Mailed codes that nobody used in time.
    OtpCleanup,
    /// Log lines past their days.
    LogsCleanup,
    /// A backup at the time that the settings say; there is no such job where they say none.
    AutoBackup,
}

impl Job {
    /// Those that are always there, in the order in which they are listed.
    pub const ALL: [Self; 4] = [
        Self::Optimize,
        Self::MfaCleanup,
        Self::OtpCleanup,
        Self::LogsCleanup,
    ];

    /// The name.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Optimize => "__pbDBOptimize__",
            Self::MfaCleanup => "__pbMFACleanup__",
            Self::OtpCleanup => "__pbOTPCleanup__",
            Self::LogsCleanup => "__pbLogsCleanup__",
            Self::AutoBackup => "__pbAutoBackup__",
        }
    }

    /// The time, as text; empty where the settings say it.
    #[must_use]
    pub fn expression(self) -> &'static str {
        match self {
            Self::Optimize => "0 0 * * *",
            Self::MfaCleanup | Self::OtpCleanup => "0 * * * *",
            Self::LogsCleanup => "0 */6 * * *",
            Self::AutoBackup => "",
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// The store's own.
    pub(super) async fn run(self, work: &Work) -> Result<(), Error> {
        let (now, store) = (work.clock.now(), &work.store);
        match self {
            Self::Optimize => {
                let most = Duration::from_secs(WRITE_ALONE_SECS_MAX);
                store
                    .write_alone(most, |tx| Ok::<_, Error>(tx.optimize()?))
                    .await
            }
            Self::MfaCleanup => {
                expire(store, now, "_mfas", |options| options.mfa.duration).await?;
                end_sessions(store, now).await
            }
            Self::OtpCleanup => expire(store, now, "_otps", |options| options.otp.duration).await,
            Self::LogsCleanup => work.logs.prune().await,
            Self::AutoBackup => back_up(work).await,
        }
    }
}

/// Makes a backup; when that fails, every superuser is told.
async fn back_up(work: &Work) -> Result<(), Error> {
    let Err(error) = work.backups.create_automatic().await else {
        return Ok(());
    };
    let superusers = work.store.read(|tx| {
        let catalog = tx.catalog();
        let Some(collection) = catalog.find(SUPERUSERS) else {
            return Ok(Vec::new());
        };
        let call = Call::new(Actor::Guest, Timestamp::from_millis(0));
        tx.select(&Select::all(catalog, &call, collection))
    });
    let superusers: Result<Vec<Record>, StoreError> = superusers.await;
    let app = work.settings.current().meta.app_name.clone();
    for superuser in superusers? {
        let letter = Letter {
            to: superuser.text("email").to_owned(),
            subject: format!("[{app} system alert] Autobackup failure"),
            body: format!(
                "<p>The scheduled backup was not made.</p><p>{}</p>",
                mail::escaped(&error.to_string())
            ),
        };
        if let Err(error) = work.mailer.post(letter) {
            tracing::error!(%error, "a superuser was not told of the failed backup");
        }
    }
    Err(error)
}

/// Removes the records of `collection` that are older than the auth collection they speak of allows.
async fn expire(
    store: &Store,
    now: Timestamp,
    collection: &'static str,
    life_secs: fn(&AuthOptions) -> i64,
) -> Result<(), Error> {
    store
        .write(move |tx| {
            for record in expired(tx, now, collection, life_secs)? {
                tx.delete(&record)?;
            }
            Ok(())
        })
        .await
}

/// Removes sessions whose tokens have all ended: our own share of a job of the contract, whose list is not ours to add to.
async fn end_sessions(store: &Store, now: Timestamp) -> Result<(), Error> {
    store
        .write(move |tx| {
            let catalog = std::sync::Arc::clone(tx.catalog());
            let Some(sessions) = catalog.find("_sessions").filter(|found| is_own(found)) else {
                return Ok(());
            };
            let call = Call::new(Actor::Guest, now);
            for row in tx.select(&Select::all(&catalog, &call, sessions))? {
                let ends = row.text("expires");
                let late = now.plus_millis(-2 * SESSION_NOTE_MILLIS).to_text();
                if !ends.is_empty() && ends < late.as_str() {
                    tx.delete(&row)?;
                }
            }
            Ok(())
        })
        .await
}

fn expired(
    tx: &WriteTx<'_>,
    now: Timestamp,
    collection: &str,
    life_secs: fn(&AuthOptions) -> i64,
) -> Result<Vec<Record>, Error> {
    let catalog = tx.catalog();
    let Some(collection) = catalog.find(collection) else {
        return Ok(Vec::new());
    };
    let call = Call::new(Actor::Guest, now);
    let mut records = tx.select(&Select::all(catalog, &call, collection))?;
    records.retain(|record| {
        let owner = catalog.by_id(&CollectionId::new(record.text("collectionRef")));
        // Whose collection is gone, or cannot sign in any more, is of no use to anybody.
        let Some(options) = owner.and_then(|owner| owner.auth()) else {
            return true;
        };
        let oldest = now.plus_millis(-life_secs(options).saturating_mul(1000));
        record.text("created") < oldest.to_text().as_str()
    });
    Ok(records)
}
