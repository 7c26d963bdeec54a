//! Reading records: one description of a query for list, view, expand and realtime.

use crate::call::Call;
use crate::expr::{Catalog, Filter, Sort};
use crate::schema::Collection;

/// Which rows of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows to leave out.
    pub offset: u64,
    /// Most rows to give.
    pub limit: u64,
}

/// A query over one collection's rows; cells come in the order of its fields.
#[derive(Clone, Debug)]
pub struct Select<'a> {
    /// Collections and compiled rules.
    pub catalog: &'a Catalog,
    /// Who asks.
    pub call: &'a Call,
    /// Whose rows.
    pub collection: &'a Collection,
    /// Which rows; all conditions hold together.
    pub filter: Option<&'a Filter>,
    /// Only these ids; `Some(&[])` is no row.
    pub ids: Option<&'a [&'a str]>,
    /// In which order; none is the database's.
    pub sort: Option<&'a Sort>,
    /// How many.
    pub page: Option<Page>,
}
