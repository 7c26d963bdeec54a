//! What a caller may see of records, and the one encoder that writes it. Every way out of the product passes here: a
//! hidden field or a hidden e-mail address cannot be forgotten by one of them.

use std::sync::Arc;

use crate::call::Call;
use crate::expr::{Catalog, Filter, Guard};
use crate::kit::json;
use crate::kit::value::{Cell, Columns};
use crate::schema::layout::{Layout, Slot};
use crate::schema::{Collection, field};
use crate::store::{ReadTx, Select};

/// A caller's sight on the records of one snapshot. Cheap to make; asks for a [`Lens`] for each collection.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    tx: &'a ReadTx<'a>,
    call: &'a Call,
    all_emails: bool,
}

impl<'a> Sight<'a> {
    /// What the caller of `call` may see.
    #[must_use]
    pub fn new(tx: &'a ReadTx<'a>, call: &'a Call) -> Self {
        Self {
            tx,
            call,
            all_emails: false,
        }
    }

    /// The same, with e-mail addresses whatever their owners say: for the answer to a sign-in.
    #[must_use]
    pub fn with_emails(self) -> Self {
        Self {
            all_emails: true,
            ..self
        }
    }

    /// The sight on one collection's records.
    #[must_use]
    pub fn lens(&self, collection: &Arc<Collection>) -> Lens<'a> {
        let superuser = self.call.actor.is_above_rules();
        let layout = self.tx.catalog().layout(collection);
        let shown = layout
            .entries()
            .iter()
            .enumerate()
            .filter(|(_, entry)| shows(collection, superuser, entry.slot))
            .map(|(at, _)| at)
            .collect();
        Lens {
            tx: self.tx,
            call: self.call,
            layout,
            shown,
            emails: self.emails(collection, superuser),
            collection: Arc::clone(collection),
        }
    }

    fn emails(&self, collection: &Collection, superuser: bool) -> Emails {
        let Some(options) = collection.auth() else {
            return Emails::All;
        };
        if superuser || self.all_emails {
            return Emails::All;
        }
        let Some(email) = collection.field_index("email") else {
            return Emails::All;
        };
        let visibility = collection.field_index("emailVisibility");
        let manage = match (&options.manage_rule, self.call.actor.record()) {
            (Some(rule), Some(_)) => manage_rule(self.tx.catalog(), collection, rule),
            _ => None,
        };
        Emails::Guarded {
            email,
            visibility,
            manage,
        }
    }
}

/// The bound manage rule; one that does not resolve gives nobody anything.
fn manage_rule(catalog: &Catalog, collection: &Collection, rule: &str) -> Option<Manage> {
    if rule.is_empty() {
        return Some(Manage::Everybody);
    }
    catalog
        .filter(collection, rule, Guard::Trusted)
        .ok()
        .map(Manage::Where)
}

enum Manage {
    Everybody,
    Where(Filter),
}

/// Who sees the e-mail addresses of an auth collection.
enum Emails {
    All,
    Guarded {
        email: usize,
        visibility: Option<usize>,
        manage: Option<Manage>,
    },
}

/// A sight on the records of one collection: writes any of them as the caller may see it.
pub struct Lens<'a> {
    tx: &'a ReadTx<'a>,
    call: &'a Call,
    collection: Arc<Collection>,
    layout: Arc<Layout>,
    /// Which entries of the layout this caller sees at all, in order: found once for all rows.
    shown: Vec<usize>,
    emails: Emails,
}

/// Whether a caller sees what stands in `slot` at all. Hash and token key of accounts are nobody's to see.
fn shows(collection: &Collection, superuser: bool, slot: Slot) -> bool {
    let Slot::Field(index) = slot else {
        return true;
    };
    let field = &collection.fields[index];
    if collection.is_auth() && matches!(field.name.as_str(), "password" | "tokenKey") {
        return false;
    }
    superuser || !field.hidden
}

impl Lens<'_> {
    /// Narrows the answer to the keys named.
    #[must_use]
    pub fn only(mut self, names: &[String]) -> Self {
        let entries = self.layout.entries();
        self.shown
            .retain(|&at| names.iter().any(|name| *name == entries[at].name));
        self
    }

    /// Appends `row` as a JSON object with its keys in alphabetical order. `expand` is the encoded `expand` object.
    pub fn write(&self, row: &dyn Columns, expand: Option<&[u8]>, out: &mut Vec<u8>) {
        let hidden_email = self.hidden_email(row);
        let entries = self.layout.entries();
        let mut separator = b'{';
        for entry in self.shown.iter().map(|&at| &entries[at]) {
            let absent = match entry.slot {
                Slot::Field(index) => hidden_email == Some(index),
                Slot::Expand => expand.is_none(),
                Slot::CollectionId | Slot::CollectionName => false,
            };
            if absent {
                continue;
            }
            out.push(separator);
            separator = b',';
            out.extend_from_slice(&entry.key);
            match entry.slot {
                Slot::Field(index) => {
                    field::write_json(&self.collection.fields[index], row.cell(index), out);
                }
                Slot::CollectionId => json::write_str(self.collection.id.as_str(), out),
                Slot::CollectionName => json::write_str(&self.collection.name, out),
                Slot::Expand => out.extend_from_slice(expand.unwrap_or(b"{}")),
            }
        }
        if separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
    }

    /// The position of the e-mail address when this caller must not see that of `row`.
    fn hidden_email(&self, row: &dyn Columns) -> Option<usize> {
        let Emails::Guarded {
            email,
            visibility,
            manage,
        } = &self.emails
        else {
            return None;
        };
        let public = visibility.is_some_and(|index| row.cell(index).to_value().as_bool());
        if public || self.is_caller(row) || self.manages(manage.as_ref(), row) {
            return None;
        }
        Some(*email)
    }

    fn is_caller(&self, row: &dyn Columns) -> bool {
        let id = self.id_of(row);
        self.call.actor.is(self.collection.id.as_str(), id)
    }

    fn id_of<'r>(&self, row: &'r dyn Columns) -> &'r str {
        self.collection
            .field_index("id")
            .map_or("", |index| match row.cell(index) {
                Cell::Text(text) => text,
                Cell::Null | Cell::Int(_) | Cell::Real(_) | Cell::Blob(_) => "",
            })
    }

    /// Whether the manage rule holds for `row`. A rule that reads other tables is asked of the database.
    fn manages(&self, manage: Option<&Manage>, row: &dyn Columns) -> bool {
        let filter = match manage {
            None => return false,
            Some(Manage::Everybody) => return true,
            Some(Manage::Where(filter)) => filter,
        };
        if let Some(verdict) = filter.holds(self.call, row) {
            return verdict;
        }
        let id = self.id_of(row);
        let ids = [id];
        let mut select = Select::all(self.tx.catalog(), self.call, &self.collection);
        select.ids = Some(&ids);
        select.filter = Some(filter);
        // A rule that cannot be judged gives nothing.
        self.tx.count(&select).is_ok_and(|count| count > 0)
    }
}
