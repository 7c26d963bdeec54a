//! Following relations for `expand`: the paths of the parameter, and the loading of what they name, one query for each
//! relation of a page. Nothing here is an error for the caller: what he may not see, or what is not there, is left out.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;

use super::access::{self, Gate};
use super::{Error, Sight};
use crate::call::{Call, Context};
use crate::expr::{Catalog, back_relation};
use crate::kit::json;
use crate::kit::limits::{
    ANSWER_BYTES_MAX, BACK_RELATION_EXPAND_MAX, EXPAND_DEPTH_MAX, EXPAND_PATHS_MAX,
};
use crate::schema::{Collection, FieldKind, Record};
use crate::store::{ReadTx, Referring, Select};

/// The paths of an `expand` parameter, as a tree by their segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths(Vec<Step>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Step {
    name: CompactString,
    next: Paths,
}

impl Paths {
    /// From the parameter's text: spaces and stray dots do not count, `a` is part of `a.b`, what is too deep is cut.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut paths = Self::default();
        for path in text.split(',').take(EXPAND_PATHS_MAX) {
            let path: String = path.chars().filter(|c| !c.is_whitespace()).collect();
            let path = path.trim_matches('.');
            let mut level = &mut paths;
            for name in path
                .split('.')
                .filter(|_| !path.is_empty())
                .take(EXPAND_DEPTH_MAX)
            {
                level = level.step(name);
            }
        }
        paths
    }

    fn step(&mut self, name: &str) -> &mut Self {
        let at = self.0.iter().position(|step| step.name == name);
        let at = at.unwrap_or_else(|| {
            self.0.push(Step {
                name: name.into(),
                next: Self::default(),
            });
            self.0.len() - 1
        });
        &mut self.0[at].next
    }

    /// The first names of the paths, each with what follows it.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().map(|step| (step.name.as_str(), &step.next))
    }

    /// Whether nothing is to be expanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The encoded `expand` objects of a list of records.
#[derive(Debug, Default)]
pub struct Expanded(Vec<Vec<u8>>);

impl Expanded {
    /// That of the record at `at`; `None` when it has none.
    #[must_use]
    pub fn of(&self, at: usize) -> Option<&[u8]> {
        self.0.get(at).map(Vec::as_slice)
    }
}

/// Follows `paths` from `records` of `collection`, each target under its own view rule.
///
/// # Errors
/// The store's own, and [`Error::TooLarge`].
pub fn expand(
    tx: &ReadTx<'_>,
    call: &Call,
    collection: &Arc<Collection>,
    records: &[Record],
    paths: &Paths,
) -> Result<Expanded, Error> {
    if paths.is_empty() || records.is_empty() {
        return Ok(Expanded::default());
    }
    let call = call.in_context(Context::Expand);
    let expander = Expander { tx, call: &call };
    Ok(expander
        .level(collection, records, paths)?
        .unwrap_or_default())
}

struct Expander<'a> {
    tx: &'a ReadTx<'a>,
    call: &'a Call,
}

/// What one step leads to, for each of the records it starts from.
struct Reached {
    collection: Arc<Collection>,
    records: Vec<Record>,
    /// Positions in `records`, for each origin.
    of: Vec<Vec<usize>>,
    /// Whether an origin shows one object instead of an array.
    single: bool,
}

impl Expander<'_> {
    /// The `expand` objects of `records`, or `None` when no path was good. The depth is bounded by [`Paths::parse`].
    fn level(
        &self,
        collection: &Arc<Collection>,
        records: &[Record],
        paths: &Paths,
    ) -> Result<Option<Expanded>, Error> {
        let mut members: Vec<(&CompactString, Vec<Vec<u8>>)> = Vec::new();
        for step in &paths.0 {
            if let Some(values) = self.step(collection, records, step)? {
                members.push((&step.name, values));
            }
        }
        if members.is_empty() {
            return Ok(None);
        }
        members.sort_by(|a, b| a.0.cmp(b.0));
        let objects: Vec<Vec<u8>> = (0..records.len())
            .map(|at| object(members.iter().map(|(name, values)| (*name, &values[at]))))
            .collect();
        if objects.iter().map(Vec::len).sum::<usize>() > ANSWER_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        Ok(Some(Expanded(objects)))
    }

    /// The encoded value of one step for each record (empty where there is nothing), or `None` when the path is bad.
    fn step(
        &self,
        collection: &Arc<Collection>,
        records: &[Record],
        step: &Step,
    ) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let Some(reached) = self.reach(collection, records, &step.name)? else {
            return Ok(None);
        };
        let next = if step.next.is_empty() || reached.records.is_empty() {
            Expanded::default()
        } else {
            match self.level(&reached.collection, &reached.records, &step.next)? {
                Some(next) => next,
                None => return Ok(None),
            }
        };
        let lens = Sight::new(self.tx, self.call).lens(&reached.collection);
        let encoded: Vec<Vec<u8>> = reached
            .records
            .iter()
            .enumerate()
            .map(|(at, record)| {
                let mut out = Vec::new();
                lens.write(record, next.of(at), &mut out);
                out
            })
            .collect();
        let values = reached
            .of
            .iter()
            .map(|positions| value(positions, &encoded, reached.single))
            .collect();
        Ok(Some(values))
    }

    fn reach(
        &self,
        collection: &Arc<Collection>,
        records: &[Record],
        name: &str,
    ) -> Result<Option<Reached>, Error> {
        let catalog = self.tx.catalog();
        if let Some(index) = collection.field_index(name)
            && let FieldKind::Relation(options) = &collection.fields[index].kind
        {
            let Some((target, gate)) =
                access::expand_gate(catalog, self.call, &options.collection_id)
            else {
                return Ok(None);
            };
            return self.forward(records, index, target, &gate).map(Some);
        }
        let Some((source, field)) = back_relation(catalog, collection, name) else {
            return Ok(None);
        };
        let Some((source, gate)) = access::expand_gate(catalog, self.call, &source.id) else {
            return Ok(None);
        };
        self.backward(records, source, field, &gate).map(Some)
    }

    fn forward(
        &self,
        records: &[Record],
        index: usize,
        target: Arc<Collection>,
        gate: &Gate,
    ) -> Result<Reached, Error> {
        let wanted: Vec<Vec<CompactString>> = records
            .iter()
            .map(|record| record.collection().fields[index].items(record.cells()[index].as_cell()))
            .collect();
        let mut ids: Vec<&str> = wanted.iter().flatten().map(CompactString::as_str).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = self.load(&target, &ids, gate)?;
        let by_id: HashMap<&str, usize> = found
            .iter()
            .enumerate()
            .map(|(at, record)| (record.id(), at))
            .collect();
        let of = wanted
            .iter()
            .map(|ids| {
                ids.iter()
                    .filter_map(|id| by_id.get(id.as_str()).copied())
                    .collect()
            })
            .collect();
        let single = records
            .first()
            .is_some_and(|record| !record.collection().fields[index].kind.is_multiple());
        drop(by_id);
        Ok(Reached {
            collection: target,
            records: found,
            of,
            single,
        })
    }

    fn backward(
        &self,
        records: &[Record],
        source: Arc<Collection>,
        field: usize,
        gate: &Gate,
    ) -> Result<Reached, Error> {
        let ids: Vec<&str> = records.iter().map(Record::id).collect();
        let found = self.tx.referring(&Referring {
            catalog: self.tx.catalog(),
            call: self.call,
            collection: &source,
            field,
            ids: &ids,
            filter: filter_of(gate),
            limit: BACK_RELATION_EXPAND_MAX * ids.len(),
        })?;
        let origin: HashMap<&str, usize> =
            ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let mut of: Vec<Vec<usize>> = vec![Vec::new(); records.len()];
        for (at, record) in found.iter().enumerate() {
            for id in source.fields[field].items(record.cells()[field].as_cell()) {
                if let Some(&origin) = origin.get(id.as_str())
                    && of[origin].len() < BACK_RELATION_EXPAND_MAX
                    && of[origin].last() != Some(&at)
                {
                    of[origin].push(at);
                }
            }
        }
        let single = back_relation::is_unique(&source, &source.fields[field].name);
        Ok(Reached {
            collection: source,
            records: found,
            of,
            single,
        })
    }

    fn load(
        &self,
        target: &Arc<Collection>,
        ids: &[&str],
        gate: &Gate,
    ) -> Result<Vec<Record>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut select = Select::all(self.tx.catalog(), self.call, target);
        select.ids = Some(ids);
        select.filter = filter_of(gate);
        Ok(self.tx.select(&select)?)
    }
}

/// The referring collection and the position of its relation field: `coll_via_field`, or the old `coll(field)`.
pub(super) fn back_relation(
    catalog: &Catalog,
    collection: &Collection,
    name: &str,
) -> Option<(Arc<Collection>, usize)> {
    let old = || {
        let (source, field) = name.strip_suffix(')')?.split_once('(')?;
        back_relation::find(catalog, collection, &format!("{source}_via_{field}"))
    };
    back_relation::find(catalog, collection, name).or_else(old)
}

fn filter_of(gate: &Gate) -> Option<&crate::expr::Filter> {
    match gate {
        Gate::Where(filter) => Some(filter),
        Gate::Open | Gate::Broken(_) => None,
    }
}

fn object<'m>(members: impl Iterator<Item = (&'m CompactString, &'m Vec<u8>)>) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (name, value) in members.filter(|(_, value)| !value.is_empty()) {
        if out.len() > 1 {
            out.push(b',');
        }
        json::write_str(name, &mut out);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out
}

/// What stands under a relation's name for one record; empty bytes when there is nothing.
fn value(positions: &[usize], encoded: &[Vec<u8>], single: bool) -> Vec<u8> {
    let Some(&first) = positions.first() else {
        return Vec::new();
    };
    if single {
        return encoded[first].clone();
    }
    let mut out = vec![b'['];
    for (at, &position) in positions.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&encoded[position]);
    }
    out.push(b']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &Paths) -> String {
        let parts: Vec<String> = paths
            .0
            .iter()
            .map(|step| {
                if step.next.is_empty() {
                    step.name.to_string()
                } else {
                    format!("{}({})", step.name, names(&step.next))
                }
            })
            .collect();
        parts.join(" ")
    }

    #[test]
    fn paths_become_a_bounded_tree() {
        for (text, expected) in [
            ("", ""),
            ("a", "a"),
            (" a . b , a, .c. ", "a(b) c"),
            ("a.b,a.c", "a(b c)"),
            ("a.b.c.d.e.f.g.h", "a(b(c(d(e(f)))))"),
            ("posts(author)", "posts(author)"),
        ] {
            assert_eq!(names(&Paths::parse(text)), expected, "{text}");
        }
    }
}
