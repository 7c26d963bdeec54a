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
        let superuser = self.call.actor.is_superuser();
        Lens {
            tx: self.tx,
            call: self.call,
            layout: self.tx.catalog().layout(collection),
            superuser,
            emails: self.emails(collection, superuser),
            only: None,
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
    superuser: bool,
    emails: Emails,
    only: Option<Vec<bool>>,
}

impl Lens<'_> {
    /// Narrows the answer to the keys named: a column mask made once, for pickers of plain names.
    #[must_use]
    pub fn only(mut self, names: &[String]) -> Self {
        self.only = Some(
            self.layout
                .entries()
                .iter()
                .map(|entry| names.iter().any(|name| *name == entry.name))
                .collect(),
        );
        self
    }

    /// Appends `row` as a JSON object with its keys in alphabetical order. `expand` is the encoded `expand` object.
    pub fn write(&self, row: &dyn Columns, expand: Option<&[u8]>, out: &mut Vec<u8>) {
        let hidden_email = self.hidden_email(row);
        out.push(b'{');
        let mut first = true;
        for (at, entry) in self.layout.entries().iter().enumerate() {
            if self.only.as_ref().is_some_and(|only| !only[at]) {
                continue;
            }
            let begins = out.len();
            if !first {
                out.push(b',');
            }
            match entry.slot {
                Slot::Field(index) => {
                    let field = &self.collection.fields[index];
                    if !self.shows(field) || hidden_email == Some(index) {
                        out.truncate(begins);
                        continue;
                    }
                    out.extend_from_slice(&entry.key);
                    field::write_json(field, row.cell(index), out);
                }
                Slot::CollectionId => {
                    out.extend_from_slice(&entry.key);
                    json::write_str(self.collection.id.as_str(), out);
                }
                Slot::CollectionName => {
                    out.extend_from_slice(&entry.key);
                    json::write_str(&self.collection.name, out);
                }
                Slot::Expand => {
                    let Some(expand) = expand else {
                        out.truncate(begins);
                        continue;
                    };
                    out.extend_from_slice(&entry.key);
                    out.extend_from_slice(expand);
                }
            }
            first = false;
        }
        out.push(b'}');
    }

    /// Whether the caller sees `field` at all. Hash and token key of accounts are nobody's to see.
    fn shows(&self, field: &crate::schema::Field) -> bool {
        if self.collection.is_auth() && matches!(field.name.as_str(), "password" | "tokenKey") {
            return false;
        }
        self.superuser || !field.hidden
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
