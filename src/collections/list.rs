//! Listing collections: the table of collections, seen as a collection with six fields (contract 2.11).

use std::sync::{Arc, LazyLock};

use super::Error;
use crate::call::Call;
use crate::expr::{BindError, Catalog, Filter, Guard};
use crate::records::ListQuery;
use crate::schema::field::blank_kind;
use crate::schema::system;
use crate::schema::{Collection, CollectionId, Field, Kind, write_json};
use crate::store::{Page, ReadTx, Select};

/// What may be filtered and sorted by.
static TABLE: LazyLock<Arc<Collection>> = LazyLock::new(|| {
    let fields = [
        ("id", "text"),
        ("created", "date"),
        ("updated", "date"),
        ("name", "text"),
        ("system", "bool"),
        ("type", "text"),
    ];
    Arc::new(Collection {
        id: CollectionId::new("_collections"),
        name: "_collections".into(),
        fields: fields
            .into_iter()
            .filter_map(|(name, kind)| Some(Field::new(name, blank_kind(kind)?)))
            .collect(),
        ..Collection::scaffold(Kind::Base)
    })
});

/// Whether our own system collections are left out: clients of PocketBase count what they see.
fn own_are_hidden(call: &Call) -> bool {
    call.query("own") != Some("1")
}

/// The condition that a collection is none of [`system::OWN`].
fn theirs(catalog: &Catalog) -> Result<Filter, BindError> {
    let conditions = system::OWN.map(|name| format!("name != '{name}'"));
    let text = format!("system = false || ({})", conditions.join(" && "));
    catalog.filter(&TABLE, &text, Guard::Trusted)
}

/// One page, encoded.
pub(super) fn list(tx: &ReadTx<'_>, call: &Call) -> Result<Vec<u8>, Error> {
    let query = ListQuery::of(call).map_err(|error| Error::BadQuery(error.to_string()))?;
    let text = |name: &str| call.query(name).unwrap_or("");
    // Nothing but the six fields is known here.
    if [text("filter"), text("sort")]
        .iter()
        .any(|text| text.contains("@request.") || text.contains("@collection."))
    {
        return Err(Error::BadQuery("no such field".to_owned()));
    }
    let catalog = tx.catalog();
    let bad = |error: BindError| Error::BadQuery(error.to_string());
    let filter = match text("filter") {
        "" => None,
        text => Some(catalog.filter(&TABLE, text, Guard::Trusted).map_err(bad)?),
    };
    let sort = match text("sort") {
        "" => None,
        text => Some(catalog.sort(&TABLE, text, Guard::Trusted).map_err(bad)?),
    };
    let mut select = Select::all(catalog, call, &TABLE);
    let filter = match (filter, own_are_hidden(call)) {
        (filter, false) => filter,
        (None, true) => Some(theirs(catalog).map_err(bad)?),
        (Some(filter), true) => Some(filter.and(&theirs(catalog).map_err(bad)?)),
    };
    select.filter = filter.as_ref();
    select.sort = sort.as_ref();
    select.page = Some(Page {
        offset: (query.page - 1).saturating_mul(u64::from(query.per_page)),
        limit: u64::from(query.per_page),
    });
    let total = if query.count == crate::records::list::Count::Skip {
        None
    } else {
        Some(tx.count(&select)?)
    };
    let rows = tx.select(&select)?;
    let shown = rows
        .iter()
        .filter_map(|row| catalog.by_id(&CollectionId::new(row.id())));
    let mut out = b"{\"items\":[".to_vec();
    for (at, collection) in shown.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_json(collection, &mut out);
    }
    let (items, pages) = match total {
        Some(total) => (
            total.to_string(),
            total.div_ceil(u64::from(query.per_page)).to_string(),
        ),
        None => ("-1".to_owned(), "-1".to_owned()),
    };
    let tail = format!(
        "],\"page\":{},\"perPage\":{},\"totalItems\":{items},\"totalPages\":{pages}}}",
        query.page, query.per_page
    );
    out.extend_from_slice(tail.as_bytes());
    Ok(out)
}
