//! Who may do what: the one place where a collection's rules become a decision.

use std::sync::Arc;

use super::Error;
use super::refusal::{Refusal, rule_name};
use crate::call::{Actor, Call, Context};
use crate::expr::{Catalog, Filter, RuleState};
use crate::schema::{Action, Collection, CollectionId};
use crate::store::{ReadTx, Select};

/// What a rule leaves of a collection for a caller.
#[derive(Clone, Debug)]
pub enum Gate {
    /// Every record.
    Open,
    /// The records that the rule holds for.
    Where(Filter),
    /// None: the rule does not resolve any more.
    Broken(String),
}

/// The collection that a path names.
///
/// # Errors
/// [`Error::UnknownCollection`].
pub fn collection<'c>(
    catalog: &'c Catalog,
    name_or_id: &str,
) -> Result<&'c Arc<Collection>, Error> {
    catalog.find(name_or_id).ok_or(Error::UnknownCollection)
}

/// What the caller may reach by `action`.
///
/// # Errors
/// [`Error::OutOfScope`] past the reach of an API key, [`Error::SuperusersOnly`] when the rule is null and the caller is
/// none.
pub fn gate(
    catalog: &Catalog,
    call: &Call,
    collection: &Collection,
    action: Action,
) -> Result<Gate, Error> {
    if !call.actor.may(collection, action) {
        return Err(Error::OutOfScope);
    }
    if call.actor.is_above_rules() {
        return Ok(Gate::Open);
    }
    match catalog.rule(collection, action) {
        RuleState::Locked => {
            let refusal = Refusal::locked(collection, rule_name(action));
            Err(Error::SuperusersOnly(Box::new(refusal)))
        }
        RuleState::Public => Ok(Gate::Open),
        RuleState::Bound(filter) => Ok(Gate::Where(filter)),
        RuleState::Broken(error) => Ok(Gate::Broken(error.to_string())),
    }
}

/// Refuses what would tell a key of records that it may not list: a filter or a sort that reads them.
///
/// # Errors
/// [`Error::OutOfScope`].
pub fn within_reach(
    catalog: &Catalog,
    actor: &Actor,
    read: impl IntoIterator<Item = CollectionId>,
) -> Result<(), Error> {
    let all = read.into_iter().all(|id| {
        let collection = catalog.by_id(&id);
        collection.is_some_and(|collection| actor.may(collection, Action::List))
    });
    if all { Ok(()) } else { Err(Error::OutOfScope) }
}

impl Gate {
    /// Whether the stored record `row` of `collection` is behind this gate's open side. A rule over the record alone
    /// is judged in memory, any other by the database.
    ///
    /// # Errors
    /// The store's own.
    pub fn admits(
        &self,
        tx: &ReadTx<'_>,
        call: &Call,
        record: &crate::schema::Record,
    ) -> Result<bool, Error> {
        let filter = match self {
            Self::Open => return Ok(true),
            Self::Broken(_) => return Ok(false),
            Self::Where(filter) => filter,
        };
        holds(tx, call, filter, record)
    }

    /// As [`Gate::admits`] for the rule of `action`, with what the log keeps when it does not.
    ///
    /// # Errors
    /// [`Error::Refused`], and the store's own.
    pub fn check(
        &self,
        tx: &ReadTx<'_>,
        call: &Call,
        record: &crate::schema::Record,
        action: Action,
    ) -> Result<(), Error> {
        if self.admits(tx, call, record)? {
            return Ok(());
        }
        let collection = record.collection();
        let text = collection.rules.of(action).unwrap_or("");
        let rule = (rule_name(action), text);
        let judge = |filter: &Filter| holds(tx, call, filter, record);
        let refusal = Refusal::find(tx, collection, rule, record.id(), judge)?;
        Err(Error::Refused(Box::new(refusal)))
    }
}

/// Whether `filter` holds for a stored record.
///
/// # Errors
/// The store's own.
pub fn holds(
    tx: &ReadTx<'_>,
    call: &Call,
    filter: &Filter,
    record: &crate::schema::Record,
) -> Result<bool, Error> {
    if let Some(verdict) = filter.holds(call, record) {
        return Ok(verdict);
    }
    let ids = [record.id()];
    let mut select = Select::all(tx.catalog(), call, record.collection());
    select.ids = Some(&ids);
    select.filter = Some(filter);
    Ok(tx.count(&select)? > 0)
}

/// What the caller sees of the collection `id` when a relation is followed into it: `None` when nothing at all.
#[must_use]
pub fn expand_gate(
    catalog: &Catalog,
    call: &Call,
    id: &CollectionId,
) -> Option<(Arc<Collection>, Gate)> {
    debug_assert_eq!(call.context, Context::Expand);
    let target = catalog.by_id(id)?;
    match gate(catalog, call, target, Action::View) {
        Ok(Gate::Broken(_)) | Err(_) => None,
        Ok(gate) => Some((Arc::clone(target), gate)),
    }
}
