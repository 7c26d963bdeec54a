//! The built-in jobs and what each of them does.

use std::time::Duration;

use super::Expression;
use crate::call::{Actor, Call};
use crate::kit::clock::Clock;
use crate::kit::limits::WRITE_ALONE_SECS_MAX;
use crate::kit::time::Timestamp;
use crate::ops::{Error, Logs};
use crate::schema::{AuthOptions, CollectionId, Record};
use crate::store::{Select, Store, WriteTx};

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
}

impl Job {
    /// All of them, in the order in which they are listed.
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
        }
    }

    /// The time, as text.
    #[must_use]
    pub fn expression(self) -> &'static str {
        match self {
            Self::Optimize => "0 0 * * *",
            Self::MfaCleanup | Self::OtpCleanup => "0 * * * *",
            Self::LogsCleanup => "0 */6 * * *",
        }
    }

    /// Whether it is due in the minute of `now`.
    #[must_use]
    pub fn is_due(self, now: Timestamp) -> bool {
        Expression::parse(self.expression()).is_some_and(|when| when.is_due(now.civil()))
    }

    /// Does it.
    ///
    /// # Errors
    /// The store's own.
    pub(super) async fn run(self, store: &Store, logs: &Logs, clock: &Clock) -> Result<(), Error> {
        let now = clock.now();
        match self {
            Self::Optimize => {
                let most = Duration::from_secs(WRITE_ALONE_SECS_MAX);
                store
                    .write_alone(most, |tx| Ok::<_, Error>(tx.optimize()?))
                    .await
            }
            Self::MfaCleanup => expire(store, now, "_mfas", |options| options.mfa.duration).await,
            Self::OtpCleanup => expire(store, now, "_otps", |options| options.otp.duration).await,
            Self::LogsCleanup => logs.prune().await,
        }
    }
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
