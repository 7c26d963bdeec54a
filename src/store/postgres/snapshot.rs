//! A connection that holds one state of the database.

use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::log;
use super::session::Session;
use crate::expr::Catalog;
use crate::kit::limits;
use crate::store::shared::Shared;
use crate::store::{Position, ReadTx, StoreError};

/// One state, while it is held. What is asked in it takes locks on tables; each question is a savepoint that is undone,
/// so that nothing which changes a table must wait for its holder.
pub(in crate::store) struct Held {
    session: Session,
    address: Address,
    shared: Arc<Shared>,
}

impl Held {
    pub(super) fn open(address: &Address, shared: &Arc<Shared>) -> Result<Self, StoreError> {
        Ok(Self {
            session: Session::connect(address)?.questions(),
            address: address.clone(),
            shared: Arc::clone(shared),
        })
    }

    /// Moves on to the present and tells its place in the log.
    pub(in crate::store) fn refresh(&mut self) -> Result<Position, StoreError> {
        if self.session.is_broken() {
            self.session = Session::connect(&self.address)?.questions();
        }
        self.session.end();
        self.session.begin_later(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
             SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = 0",
            limits::READ_SECS_MAX * 1_000,
            limits::DATABASE_LOCK_MILLIS_MAX,
        ));
        // A transaction takes its snapshot at its first read: this one.
        log::last_position(&self.session).map(Position)
    }

    /// Lets go of its state.
    pub(in crate::store) fn rest(&mut self) -> Result<(), StoreError> {
        self.session.end();
        Ok(())
    }

    /// Whether it holds a state.
    pub(in crate::store) fn is_open(&self) -> bool {
        self.session.is_open() && !self.session.is_broken()
    }

    /// What is read from now on has `span` to end; after that it fails.
    pub(in crate::store) fn hurry(&self, span: Duration) {
        self.session
            .hurry(u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1));
    }

    /// Reads in this state, under the rules of `catalog`.
    pub(in crate::store) fn tx_under(&self, catalog: &Arc<Catalog>) -> ReadTx<'_> {
        self.session.under(catalog.generation());
        ReadTx::new(&self.session, Arc::clone(catalog))
    }

    /// Reads in this state, under the rules of now.
    pub(in crate::store) fn tx(&self) -> ReadTx<'_> {
        self.tx_under(&self.shared.catalog.load_full())
    }
}
