//! What a refusal leaves for the log: which rule, which of its clauses, which record. Never a value.

use compact_str::CompactString;

use super::Error;
use crate::expr::{Clause, Filter, Shape};
use crate::kit::limits::REFUSAL_CLAUSES_MAX;
use crate::schema::{Action, Collection};
use crate::store::ReadTx;

/// Why a rule said no, for those who run the server. Clients are never told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the collection whose rule it is.
    pub collection: CompactString,
    /// The rule, as the API names it.
    pub rule: &'static str,
    /// The clause that did not hold, as it is written; empty when the rule is null or does not resolve.
    pub clause: String,
    /// Id of the record under judgement; empty for one that was to be made.
    pub record: CompactString,
}

/// The name that the API gives to the rule for `action`.
#[must_use]
pub fn rule_name(action: Action) -> &'static str {
    match action {
        Action::List => "listRule",
        Action::View => "viewRule",
        Action::Create => "createRule",
        Action::Update => "updateRule",
        Action::Delete => "deleteRule",
    }
}

impl Refusal {
    /// A rule that lets nobody through, whatever the record.
    #[must_use]
    pub fn locked(collection: &Collection, rule: &'static str) -> Self {
        Self {
            collection: collection.name.clone(),
            rule,
            ..Self::default()
        }
    }

    /// The refusal by the rule `text`; `judge` says again what its clauses hold for.
    ///
    /// # Errors
    /// Those of `judge`.
    pub fn find(
        tx: &ReadTx<'_>,
        collection: &std::sync::Arc<Collection>,
        (rule, text): (&'static str, &str),
        record: &str,
        judge: impl Fn(&Filter) -> Result<bool, Error>,
    ) -> Result<Self, Error> {
        let mut refusal = Self::locked(collection, rule);
        refusal.record = record.into();
        if let Ok(clauses) = tx.catalog().clauses(collection, text) {
            failing(&clauses, &judge)?.clone_into(&mut refusal.clause);
        }
        Ok(refusal)
    }
}

/// The smallest clause that did not hold by itself. Of alternatives none held: they are named together. How many are
/// judged is bounded, since whoever is refused decides how often.
fn failing<'c>(
    clause: &'c Clause,
    judge: &impl Fn(&Filter) -> Result<bool, Error>,
) -> Result<&'c str, Error> {
    let mut at = clause;
    let mut left = REFUSAL_CLAUSES_MAX;
    'down: while at.shape == Shape::All {
        for part in &at.parts {
            if left == 0 {
                break 'down;
            }
            left -= 1;
            if !judge(&part.filter)? {
                at = part;
                continue 'down;
            }
        }
        // Each holds for some related record, but not for the same one.
        break;
    }
    Ok(&at.text)
}
