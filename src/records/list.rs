//! Reading a page of records: rule AND filter as one condition, rows written straight to bytes.

use std::sync::Arc;

use super::access::{self, Gate};
use super::cursor::Pages;
use super::expand::{self, Paths};
use super::{Error, Lens, Sight};
use crate::call::Call;
use crate::expr::{Catalog, Filter, Guard, Sort};
use crate::kit::json;
use crate::kit::limits::{
    ANSWER_BYTES_MAX, COUNT_EXACT_MAX, FILTER_BYTES_MAX, PER_PAGE_DEFAULT, PER_PAGE_MAX,
};
use crate::kit::value::Columns;
use crate::schema::{Action, Collection, Record};
use crate::store::{CursorSeal, Page, ReadTx, Select};

/// Whether and how the rows of all pages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// All of them.
    Exact,
    /// Exactly up to a bound, from there on as well as it can be told at no cost.
    Estimate,
    /// Not at all: the answer says -1.
    Skip,
}

/// What a list asks for, as its query parameters say it.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// From 1; without meaning where a cursor says where the page begins.
    pub page: u64,
    /// 1 to [`PER_PAGE_MAX`].
    pub per_page: u32,
    /// Of all pages.
    pub count: Count,
    /// Filter text; empty is none.
    pub filter: String,
    /// Sort text; empty is none.
    pub sort: String,
    /// Relations to follow.
    pub expand: Paths,
    /// Where the page begins, when pages are not counted; empty is by `page`, with cursors from there on.
    pub cursor: Option<String>,
    /// Only these keys of the records; `None` is all.
    pub only: Option<Vec<String>>,
}

impl ListQuery {
    /// From the query parameters of `call`.
    ///
    /// # Errors
    /// [`Error::BadQuery`] for numbers and flags that are none, [`Error::SuperusersFilter`] for words of superusers.
    pub fn of(call: &Call) -> Result<Self, Error> {
        let text = |name| call.query(name).unwrap_or("");
        let (filter, sort) = (text("filter"), text("sort"));
        if !call.actor.is_superuser() {
            for word in ["@collection.", "@request."] {
                if filter.contains(word) || sort.contains(word) {
                    return Err(Error::SuperusersFilter(word.trim_end_matches('.')));
                }
            }
        }
        if filter.len() > FILTER_BYTES_MAX {
            return Err(Error::BadQuery("the filter is too long".to_owned()));
        }
        let skip = flag("skipTotal", text("skipTotal"))?;
        let cursor = call.query("cursor").map(str::to_owned);
        let count = match (skip || cursor.is_some(), text("count")) {
            (true, _) => Count::Skip,
            (false, "estimate") => Count::Estimate,
            (false, _) => Count::Exact,
        };
        Ok(Self {
            page: if cursor.as_deref().is_some_and(|text| !text.is_empty()) {
                1
            } else {
                page(text("page"))?
            },
            per_page: per_page(text("perPage"))?,
            count,
            filter: filter.to_owned(),
            sort: sort.to_owned(),
            expand: Paths::parse(text("expand")),
            cursor,
            only: None,
        })
    }
}

fn integer(name: &str, text: &str) -> Result<i64, Error> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse()
        .map_err(|_| Error::BadQuery(format!("{name} is not a whole number")))
}

fn page(text: &str) -> Result<u64, Error> {
    Ok(u64::try_from(integer("page", text)?).unwrap_or(0).max(1))
}

fn per_page(text: &str) -> Result<u32, Error> {
    let asked = integer("perPage", text)?;
    if asked <= 0 {
        return Ok(PER_PAGE_DEFAULT);
    }
    Ok(u32::try_from(asked)
        .unwrap_or(PER_PAGE_MAX)
        .min(PER_PAGE_MAX))
}

fn flag(name: &str, text: &str) -> Result<bool, Error> {
    match text {
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        _ => Err(Error::BadQuery(format!("{name} is neither true nor false"))),
    }
}

/// An encoded page, and whether the caller should be made to wait for it (contract 5.2).
#[derive(Debug)]
pub struct Listed {
    /// The JSON answer.
    pub body: Vec<u8>,
    /// An empty page under both a rule and a filter: guesses are slowed down.
    pub guess: bool,
}

/// Conditions and order of a list, bound for its caller.
#[derive(Debug)]
pub struct Bound {
    /// Whose records.
    pub collection: Arc<Collection>,
    /// Rule and filter as one; none when neither restricts.
    pub filter: Option<Filter>,
    /// In which order.
    pub sort: Option<Sort>,
    guess: bool,
}

/// What `call` asks of the collection that `name` names, under its rule.
///
/// # Errors
/// As the contract's precedence says (1.5).
pub fn ask(catalog: &Catalog, call: &Call, name: &str) -> Result<(Bound, ListQuery), Error> {
    let collection = access::collection(catalog, name)?;
    let gate = access::gate(catalog, call, collection, Action::List)?;
    let query = ListQuery::of(call)?;
    Ok((bind(catalog, call, collection, gate, &query)?, query))
}

fn bind(
    catalog: &Catalog,
    call: &Call,
    collection: &Arc<Collection>,
    gate: Gate,
    query: &ListQuery,
) -> Result<Bound, Error> {
    let guard = if call.actor.is_superuser() {
        Guard::Trusted
    } else {
        Guard::Client
    };
    let bad = |error: crate::expr::BindError| Error::BadQuery(error.to_string());
    let asked = if query.filter.is_empty() {
        None
    } else {
        Some(
            catalog
                .filter(collection, &query.filter, guard)
                .map_err(bad)?,
        )
    };
    let sort = if query.sort.is_empty() {
        None
    } else {
        Some(catalog.sort(collection, &query.sort, guard).map_err(bad)?)
    };
    if call.actor.scoped_key().is_some() {
        let read = asked.iter().flat_map(Filter::footprint);
        let sorted = sort.iter().flat_map(Sort::footprint);
        access::within_reach(catalog, &call.actor, read.chain(sorted))?;
    }
    let asked = match (asked, sort.as_ref().and_then(Sort::restriction)) {
        (Some(asked), Some(restriction)) => Some(asked.and(restriction)),
        (asked, restriction) => asked.or_else(|| restriction.cloned()),
    };
    let guess = matches!(gate, Gate::Where(_)) && !query.filter.is_empty();
    let filter = match (gate, asked) {
        (Gate::Broken(error), _) => return Err(Error::BadQuery(error)),
        (Gate::Open, asked) => asked,
        (Gate::Where(rule), None) => Some(rule),
        (Gate::Where(rule), Some(asked)) => Some(rule.and(&asked)),
    };
    Ok(Bound {
        collection: Arc::clone(collection),
        filter,
        sort,
        guess,
    })
}

/// One page of the records of the collection that `name` names; `only` names the keys to give.
///
/// # Errors
/// As the contract's precedence says (1.5).
pub fn list(
    tx: &ReadTx<'_>,
    call: &Call,
    name: &str,
    only: Option<Vec<String>>,
    seal: &CursorSeal,
) -> Result<Listed, Error> {
    let catalog = tx.catalog();
    let (bound, mut query) = ask(catalog, call, name)?;
    query.only = only;
    let collection = &bound.collection;
    let mut select = Select::all(catalog, call, collection);
    select.filter = bound.filter.as_ref();
    let total = count(tx, &select, &query)?;
    select.sort = bound.sort.as_ref();
    let page = Listing {
        tx,
        call,
        collection,
        query: &query,
    };
    let mut out = Vec::with_capacity(4 << 10);
    let mut before = None;
    let rows = match &query.cursor {
        None => page.by_number(select, &mut out)?,
        Some(cursor) => {
            let pages = Pages::new(seal, call, collection, &query, bound.sort.as_ref())?;
            let (rows, prev) = page.by_cursor(&select, &pages, cursor, &mut out)?;
            before = Some(prev);
            rows
        }
    };
    write_totals(&query, total, before.as_ref(), &mut out);
    Ok(Listed {
        body: out,
        guess: rows == 0 && bound.guess,
    })
}

fn count(tx: &ReadTx<'_>, select: &Select<'_>, query: &ListQuery) -> Result<Option<u64>, Error> {
    Ok(match query.count {
        Count::Skip => None,
        Count::Exact => Some(tx.count(select)?),
        Count::Estimate => {
            let counted = tx.count_up_to(select, COUNT_EXACT_MAX)?;
            let all = select.filter.is_none() && !select.collection.is_view();
            Some(if counted < COUNT_EXACT_MAX || !all {
                counted
            } else {
                tx.rowid_span(select.collection)?.max(counted)
            })
        }
    })
}

/// A page on its way to bytes.
struct Listing<'a> {
    tx: &'a ReadTx<'a>,
    call: &'a Call,
    collection: &'a Arc<Collection>,
    query: &'a ListQuery,
}

impl Listing<'_> {
    /// The page by its number. Gives the number of rows, as all of these do.
    fn by_number(&self, mut select: Select<'_>, out: &mut Vec<u8>) -> Result<usize, Error> {
        let limit = u64::from(self.query.per_page);
        select.page = Some(Page {
            offset: (self.query.page - 1).saturating_mul(limit),
            limit,
        });
        self.items(&select, &|_| {}, out)
    }

    /// The page after a cursor, or before it; with the number of rows comes the cursor before the page. A full page has
    /// another one behind it, which may turn out empty; where it came from there is one as well.
    fn by_cursor(
        &self,
        select: &Select<'_>,
        pages: &Pages<'_>,
        cursor: &str,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<String>), Error> {
        let after = pages.after(cursor)?;
        let limit = u64::from(self.query.per_page);
        let offset = (self.query.page - 1).saturating_mul(limit);
        let select = Select {
            after: Some(&after),
            page: Some(Page { offset, limit }),
            ..select.clone()
        };
        let rows = self.items(&select, &|row| pages.note(row), out)?;
        let full = rows as u64 == limit;
        let (prev, next) = pages.beside(&after).unzip();
        let next = next.filter(|_| full || after.backward);
        let prev = prev.filter(|_| {
            if after.backward {
                full
            } else {
                offset > 0 || after.row.is_some()
            }
        });
        out.extend_from_slice(b"\"nextCursor\":");
        write_cursor(next.as_deref(), out);
        out.push(b',');
        Ok((rows, prev))
    }

    fn items(
        &self,
        select: &Select<'_>,
        note: &dyn Fn(&dyn Columns),
        out: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        out.extend_from_slice(b"{\"items\":[");
        let backward = select.after.is_some_and(|after| after.backward);
        let rows = if self.query.expand.is_empty() && !backward {
            self.rows(select, note, out)?
        } else {
            self.expanded(select, note, out)?
        };
        out.extend_from_slice(b"],");
        Ok(rows)
    }

    fn lens(&self) -> Lens<'_> {
        let lens = Sight::new(self.tx, self.call).lens(self.collection);
        match &self.query.only {
            Some(only) => lens.only(only),
            None => lens,
        }
    }

    /// Writes the rows as they come.
    fn rows(
        &self,
        select: &Select<'_>,
        note: &dyn Fn(&dyn Columns),
        out: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let lens = self.lens();
        let mut rows = 0;
        self.tx.for_each(select, &mut |row| {
            if out.len() > ANSWER_BYTES_MAX {
                return;
            }
            if rows > 0 {
                out.push(b',');
            }
            lens.write(row, None, out);
            note(row);
            rows += 1;
        })?;
        within(out)?;
        Ok(rows)
    }

    /// Reads the rows, follows their relations in batches, then writes them: those that were read backward in the order of
    /// the list.
    fn expanded(
        &self,
        select: &Select<'_>,
        note: &dyn Fn(&dyn Columns),
        out: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let mut records = Vec::new();
        self.tx.for_each(select, &mut |row| {
            note(row);
            let cells = (0..self.collection.fields.len()).map(|at| row.cell(at).to_value());
            records.push(Record::from_cells(
                Arc::clone(self.collection),
                cells.collect(),
            ));
        })?;
        if select.after.is_some_and(|after| after.backward) {
            records.reverse();
        }
        let paths = &self.query.expand;
        let expanded = expand::expand(self.tx, self.call, self.collection, &records, paths)?;
        let lens = self.lens();
        for (at, record) in records.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            lens.write(record, expanded.of(at), out);
            within(out)?;
        }
        Ok(records.len())
    }
}

fn within(out: &[u8]) -> Result<(), Error> {
    if out.len() > ANSWER_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    Ok(())
}

/// `before` is the cursor before the page, where pages have cursors.
fn write_totals(
    query: &ListQuery,
    total: Option<u64>,
    before: Option<&Option<String>>,
    out: &mut Vec<u8>,
) {
    let member = |key: &str, n: i64, out: &mut Vec<u8>| {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(n.to_string().as_bytes());
    };
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    member("\"page\":", signed(query.page), out);
    member(",\"perPage\":", i64::from(query.per_page), out);
    if let Some(before) = before {
        out.extend_from_slice(b",\"prevCursor\":");
        write_cursor(before.as_deref(), out);
    }
    member(",\"totalItems\":", total.map_or(-1, signed), out);
    let pages = total.map_or(-1, |n| signed(n.div_ceil(u64::from(query.per_page))));
    member(",\"totalPages\":", pages, out);
    out.push(b'}');
}

fn write_cursor(cursor: Option<&str>, out: &mut Vec<u8>) {
    match cursor {
        Some(cursor) => json::write_str(cursor, out),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Actor;
    use crate::kit::time::Timestamp;

    fn asked(pairs: &[(&str, &str)]) -> Result<ListQuery, Error> {
        let mut call = Call::new(Actor::Guest, Timestamp::from_millis(0));
        call.query = Arc::new(
            pairs
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
        );
        ListQuery::of(&call)
    }

    #[test]
    fn pages_are_clamped_and_words_refused() {
        let query = asked(&[("page", "-3"), ("perPage", "5000")]).unwrap();
        assert_eq!((query.page, query.per_page), (1, 1000));
        assert!(matches!(asked(&[("page", "x")]), Err(Error::BadQuery(_))));
        assert!(matches!(
            asked(&[("skipTotal", "x")]),
            Err(Error::BadQuery(_))
        ));
        assert_eq!(asked(&[("skipTotal", "T")]).unwrap().count, Count::Skip);
    }

    #[test]
    fn guests_may_not_name_the_request() {
        let error = asked(&[("filter", "title = '@request.'")]).unwrap_err();
        assert_eq!(error.to_string(), "Only superusers can filter by @request.");
    }
}
