//! The channels of the settings, with their rules bound: made once for a schema and the settings in force.

use std::collections::HashSet;
use std::sync::Arc;

use compact_str::CompactString;

use crate::call::{Actor, Call, Context};
use crate::expr::{Catalog, Filter, Reach, channel_row};
use crate::kit::time::Timestamp;
use crate::ops::settings::{InForce, fits};
use crate::schema::CollectionId;
use crate::store::{ReadTx, StoreError};

/// All patterns, in the order of the settings.
#[derive(Debug)]
pub(super) struct Rules {
    catalog: Arc<Catalog>,
    settings: Arc<InForce>,
    patterns: Vec<Arc<Pattern>>,
}

/// Who may use the channels of a pattern. A channel without a pattern has the default: superusers only.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    text: String,
    pub(super) join: Gate,
    pub(super) publish: Gate,
    /// Whether members see each other.
    pub(super) presence: bool,
}

/// One rule.
#[derive(Debug, Default)]
pub(super) enum Gate {
    /// Superusers only; also where the rule does not resolve any more.
    #[default]
    Locked,
    /// Everybody.
    Open,
    /// Those for whom it holds.
    Where(Filter),
}

impl Rules {
    pub(super) fn new(catalog: Arc<Catalog>, settings: Arc<InForce>) -> Self {
        let gate = |rule: &Option<String>| {
            match rule.as_deref() {
            None => Gate::Locked,
            Some("") => Gate::Open,
            Some(text) => catalog.channel_rule(text).map_or_else(
                |error| {
                    tracing::warn!(%error, rule = text, "the rule of a channel does not resolve: superusers only");
                    Gate::Locked
                },
                Gate::Where,
            ),
        }
        };
        let patterns = settings
            .realtime
            .channels
            .iter()
            .map(|channel| {
                Arc::new(Pattern {
                    text: channel.pattern.clone(),
                    join: gate(&channel.join_rule),
                    publish: gate(&channel.publish_rule),
                    presence: channel.presence,
                })
            })
            .collect();
        Self {
            catalog,
            settings,
            patterns,
        }
    }

    /// Whether they were made for these.
    pub(super) fn are_of(&self, catalog: &Arc<Catalog>, settings: &Arc<InForce>) -> bool {
        Arc::ptr_eq(&self.catalog, catalog)
            && (Arc::ptr_eq(&self.settings, settings)
                || self.settings.realtime.channels == settings.realtime.channels)
    }

    /// Whether some right depends on the rows of tables.
    pub(super) fn read_tables(&self) -> bool {
        self.patterns
            .iter()
            .any(|pattern| pattern.join.asks_tables())
    }

    /// Whether a change of one of `tables` may change some right.
    pub(super) fn read_any(&self, tables: &HashSet<CollectionId>) -> bool {
        self.patterns
            .iter()
            .any(|pattern| tables.iter().any(|table| pattern.join.reads(table)))
    }

    /// The first pattern that fits; superusers only where none does.
    pub(super) fn of(&self, channel: &str) -> Arc<Pattern> {
        self.patterns
            .iter()
            .find(|pattern| fits(&pattern.text, channel))
            .cloned()
            .unwrap_or_else(|| {
                Arc::new(Pattern {
                    presence: true,
                    ..Pattern::default()
                })
            })
    }
}

impl Gate {
    fn asks_tables(&self) -> bool {
        match self {
            Self::Locked | Self::Open => false,
            Self::Where(filter) => filter.reach() == Reach::Tables,
        }
    }

    /// Whether a change of `collection` may change the verdict.
    pub(super) fn reads(&self, collection: &CollectionId) -> bool {
        match self {
            Self::Locked | Self::Open => false,
            Self::Where(filter) => {
                filter.depends_on_caller() || filter.footprint().contains(collection)
            }
        }
    }

    /// The verdict where the caller's own cells are enough; nothing where the database must be asked.
    pub(super) fn admits_by_itself(
        &self,
        actor: &Actor,
        channel: &CompactString,
        now: Timestamp,
    ) -> Option<bool> {
        if actor.is_superuser() {
            return Some(true);
        }
        // The scopes of keys speak of collections: of channels they give none.
        if actor.scoped_key().is_some() {
            return Some(false);
        }
        match self {
            Self::Locked => Some(false),
            Self::Open => Some(true),
            Self::Where(filter) if filter.reach() == Reach::Record => {
                filter.holds(&call(actor, channel, now), &channel_row())
            }
            Self::Where(_) => None,
        }
    }

    /// The verdict.
    pub(super) fn admits(
        &self,
        tx: &ReadTx<'_>,
        actor: &Actor,
        channel: &CompactString,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if let Some(verdict) = self.admits_by_itself(actor, channel, now) {
            return Ok(verdict);
        }
        let Self::Where(filter) = self else {
            return Ok(false);
        };
        let call = call(actor, channel, now);
        tx.exists(&filter.write_select_for_row(tx.catalog(), &call, &channel_row(), tx.dialect()))
    }
}

fn call(actor: &Actor, channel: &CompactString, now: Timestamp) -> Call {
    let mut call = Call::new(actor.clone(), now).in_context(Context::Realtime);
    call.channel = channel.clone();
    call
}
