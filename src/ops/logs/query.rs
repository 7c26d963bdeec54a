//! Questions about the log: its table as a collection, so that the filter language can speak about it.

use std::sync::{Arc, LazyLock};

use compact_str::CompactString;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::call::Call;
use crate::expr::{BindError, Catalog, Filter, Guard};
use crate::kit::limits::FILTER_BYTES_MAX;
use crate::kit::paging::Paging;
use crate::kit::value::{Columns, Value};
use crate::ops::Error;
use crate::schema::field::{JsonOptions, NumberOptions, TextOptions};
use crate::schema::{Collection, CollectionId, Field, FieldKind, Kind, Rules};
use crate::store::{LogTx, Page, Select, StoreError};

/// One line as it is answered; keys in this order.
#[derive(Debug, Serialize)]
pub struct LogRow {
    id: CompactString,
    created: CompactString,
    data: Box<RawValue>,
    message: String,
    level: i64,
}

/// A page of lines as it is answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogList {
    items: Vec<LogRow>,
    page: u64,
    per_page: u32,
    total_items: i64,
    total_pages: i64,
}

/// Lines of one hour.
#[derive(Debug, Serialize)]
pub struct LogHour {
    date: CompactString,
    total: u64,
}

/// A failure of a question, before it is said in the words of its endpoint.
pub(super) enum Trouble {
    Bind,
    Other(Error),
}

impl Trouble {
    pub(super) fn unless_bound(self, message: &'static str) -> Error {
        match self {
            Self::Bind => Error::BadQuery(message),
            Self::Other(error) => error,
        }
    }
}

impl From<BindError> for Trouble {
    fn from(_: BindError) -> Self {
        Self::Bind
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

pub(super) fn list(tx: &LogTx<'_>, call: &Call, paging: Paging) -> Result<LogList, Trouble> {
    if call
        .query("filter")
        .is_some_and(|filter| filter.len() > FILTER_BYTES_MAX)
    {
        return Err(Trouble::Bind);
    }
    let catalog = tx.catalog();
    let mut select = Select::all(catalog, call, &SHAPE);
    let filter = filter(catalog, call)?;
    select.filter = filter.as_ref();
    let sort = match call.query("sort") {
        None | Some("") => None,
        Some(text) => Some(catalog.sort(&SHAPE, text, Guard::Trusted)?),
    };
    select.sort = sort.as_ref();
    let (mut total_items, mut total_pages) = (-1, -1);
    if !paging.skip_total {
        let total = tx.count(&select)?;
        total_items = i64::try_from(total).unwrap_or(i64::MAX);
        total_pages = i64::try_from(paging.pages(total)).unwrap_or(i64::MAX);
    }
    select.page = Some(Page {
        offset: paging.offset(),
        limit: u64::from(paging.per_page),
    });
    Ok(LogList {
        items: rows(tx, &select)?,
        page: paging.page,
        per_page: paging.per_page,
        total_items,
        total_pages,
    })
}

pub(super) fn stats(tx: &LogTx<'_>, call: &Call) -> Result<Vec<LogHour>, Trouble> {
    let mut select = Select::all(tx.catalog(), call, &SHAPE);
    let filter = filter(tx.catalog(), call)?;
    select.filter = filter.as_ref();
    let hours = tx.hourly(&select)?;
    Ok(hours
        .into_iter()
        .map(|(date, total)| LogHour { date, total })
        .collect())
}

fn filter(catalog: &Catalog, call: &Call) -> Result<Option<Filter>, Trouble> {
    match call.query("filter") {
        None | Some("") => Ok(None),
        // The log knows neither requests nor collections.
        Some(text)
            if ["@request.", "@collection."]
                .iter()
                .any(|word| text.contains(word)) =>
        {
            Err(Trouble::Bind)
        }
        Some(text) => Ok(catalog.filter(&SHAPE, text, Guard::Trusted).map(Some)?),
    }
}

pub(super) fn rows(tx: &LogTx<'_>, select: &Select<'_>) -> Result<Vec<LogRow>, StoreError> {
    let mut rows = Vec::new();
    tx.for_each(select, &mut |row| rows.push(log_row(row)))?;
    Ok(rows)
}

/// The cells stand in the order of the fields of [`SHAPE`].
fn log_row(row: &dyn Columns) -> LogRow {
    let text = |index| match row.cell(index).to_value() {
        Value::Text(text) => text,
        Value::Null | Value::Int(_) | Value::Real(_) | Value::Blob(_) => CompactString::default(),
    };
    let level = match row.cell(2).to_value() {
        Value::Int(n) => n,
        Value::Null | Value::Real(_) | Value::Text(_) | Value::Blob(_) => 0,
    };
    let data = RawValue::from_string(text(4).into()).unwrap_or_else(|_| RawValue::NULL.to_owned());
    LogRow {
        id: text(0),
        created: text(1),
        level,
        message: text(3).into(),
        data,
    }
}

/// The table of logs as a collection, so that the filter language can speak about it.
pub(super) static SHAPE: LazyLock<Arc<Collection>> = LazyLock::new(|| {
    let text = |name: &str, primary_key| {
        let options = TextOptions {
            primary_key,
            ..TextOptions::default()
        };
        field(name, FieldKind::Text(options))
    };
    Arc::new(Collection {
        id: CollectionId::new("_logs"),
        name: CompactString::const_new("_logs"),
        system: true,
        kind: Kind::Base,
        fields: vec![
            text("id", true),
            text("created", false),
            field("level", FieldKind::Number(NumberOptions::default())),
            text("message", false),
            field("data", FieldKind::Json(JsonOptions::default())),
        ],
        indexes: Vec::new(),
        rules: Rules::default(),
        created: CompactString::default(),
        updated: CompactString::default(),
    })
});

fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        id: name.into(),
        name: name.into(),
        system: true,
        hidden: false,
        presentable: false,
        help: String::new(),
        required: false,
        kind,
    }
}
