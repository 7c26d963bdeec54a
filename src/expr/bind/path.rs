//! Paths from one row to the next: relations, back-relations, lists, JSON, and the modifiers of the last segment.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};

use crate::expr::back_relation;
use crate::expr::bound::{Access, Column, From, Join, JoinId, JoinKind, Operand};
use crate::expr::catalog::{BindError, Guard};
use crate::expr::request::{Part, affinity_of, stored_as};
use crate::kit::limits::PATH_JOINS_MAX;
use crate::schema::field::RelationOptions;
use crate::schema::{Collection, Field, FieldKind};

use super::binder::{Binder, error};

impl Binder<'_> {
    /// Follows `segments` from a row of `collection` to a column.
    pub(super) fn field_path(
        &mut self,
        mut at: Option<JoinId>,
        collection: &Arc<Collection>,
        segments: &[&str],
    ) -> Result<Operand, BindError> {
        let mut collection = Arc::clone(collection);
        let mut rest = segments;
        loop {
            let Some((&segment, after)) = rest.split_first() else {
                return Err(error("a relation needs a field after it"));
            };
            let (name, modifier) = if after.is_empty() {
                split_modifier(segment)?
            } else {
                (segment, None)
            };
            let Some(index) = collection.field_index(name) else {
                let (join, target) = self.back_relation(at, &collection, name)?;
                (at, collection, rest) = (Some(join), target, after);
                continue;
            };
            let field = &collection.fields[index];
            if self.guard == Guard::Client && field.hidden {
                return Err(error(format!("unknown field {name:?}")));
            }
            if after.is_empty() {
                return self.column(at, &collection, index, modifier);
            }
            match &field.kind {
                FieldKind::Json(_) | FieldKind::GeoPoint => {
                    return json_column(at, &collection, index, after);
                }
                FieldKind::Relation(options) => {
                    if !field.kind.is_multiple() && after.len() == 1 {
                        // With a modifier the record itself is joined, as for any other of its fields.
                        if after[0] == "id" {
                            self.check_depth(at)?;
                            return self.column(at, &collection, index, None);
                        }
                    }
                    let (join, target) =
                        self.relation(From::Column(at, field.name.clone()), at, field, options)?;
                    (at, collection, rest) = (Some(join), target, after);
                }
                FieldKind::Text(_)
                | FieldKind::Number(_)
                | FieldKind::Bool
                | FieldKind::Email(_)
                | FieldKind::Url(_)
                | FieldKind::Editor(_)
                | FieldKind::Date(_)
                | FieldKind::Autodate(_)
                | FieldKind::Select(_)
                | FieldKind::File(_)
                | FieldKind::Password(_) => {
                    return Err(error(format!("field {name:?} is not a relation")));
                }
            }
        }
    }

    /// Joins the records that a relation field points to.
    pub(super) fn relation(
        &mut self,
        from: From,
        at: Option<JoinId>,
        field: &Field,
        options: &RelationOptions,
    ) -> Result<(JoinId, Arc<Collection>), BindError> {
        let target = self
            .schema
            .by_id(&options.collection_id)
            .cloned()
            .ok_or_else(|| error(format!("relation {:?} points nowhere", field.name)))?;
        let many = field.kind.is_multiple();
        // Submitted lists are joined apart from their items (`:each`); stored ones are the same joined rows.
        let tag = match &from {
            From::Column(..) | From::Item(_) => "",
            From::Given(given) => match given.part {
                Part::Body(_) => "@body.ids.",
                _ => "@auth.",
            },
        };
        let key = format!("{tag}{}", field.name);
        let join = if many {
            let items = self.each(from, at, &key)?;
            let from = From::Item(items);
            self.join(
                Some(items),
                JoinKind::One(from),
                "id".to_owned(),
                &target,
                false,
            )?
        } else {
            self.join(at, JoinKind::One(from), key, &target, false)?
        };
        Ok((join, target))
    }

    pub(super) fn back_relation(
        &mut self,
        at: Option<JoinId>,
        collection: &Arc<Collection>,
        name: &str,
    ) -> Result<(JoinId, Arc<Collection>), BindError> {
        let from = From::Column(at, CompactString::const_new("id"));
        self.back_relation_from(from, at, collection, name)
    }

    /// Joins the records that point here through the field that `name` (`coll_via_field`) says.
    pub(super) fn back_relation_from(
        &mut self,
        from: From,
        at: Option<JoinId>,
        collection: &Arc<Collection>,
        name: &str,
    ) -> Result<(JoinId, Arc<Collection>), BindError> {
        let (referrer, index) = back_relation::find(self.schema, collection, name)
            .ok_or_else(|| error(format!("unknown field {name:?}")))?;
        let field = &referrer.fields[index];
        if self.guard == Guard::Client && field.hidden {
            return Err(error(format!("unknown field {name:?}")));
        }
        let column = field.name.clone();
        let many = field.kind.is_multiple();
        let unique = !many && back_relation::is_unique(&referrer, &field.name);
        let tag = if matches!(from, From::Given(_)) {
            "@auth."
        } else {
            ""
        };
        let key = format!("{tag}{}<{column}", referrer.id.as_str());
        let kind = if many {
            JoinKind::BackMany(from, column)
        } else {
            JoinKind::Back(from, column)
        };
        let join = self.join(at, kind, key, &referrer, !unique)?;
        Ok((join, referrer))
    }

    /// The join of a path: the one that is there already, or a new one.
    pub(super) fn join(
        &mut self,
        parent: Option<JoinId>,
        kind: JoinKind,
        key: String,
        target: &Arc<Collection>,
        many: bool,
    ) -> Result<JoinId, BindError> {
        let id = self.add_join(parent, kind, key, Some(target), many)?;
        if self.guard == Guard::Client {
            if target.rules.list.is_none() {
                return Err(error(format!("{:?} cannot be joined", target.name)));
            }
            if !self.protected.iter().any(|(known, _)| *known == id) {
                self.protected.push((id, Arc::clone(target)));
            }
        }
        Ok(id)
    }

    pub(super) fn add_join(
        &mut self,
        parent: Option<JoinId>,
        kind: JoinKind,
        key: String,
        target: Option<&Arc<Collection>>,
        many: bool,
    ) -> Result<JoinId, BindError> {
        let key = match parent {
            Some(parent) => format!("{}/{key}", self.joins[parent].key),
            None => key,
        };
        if let Some(known) = self.joins.iter().position(|join| join.key == key) {
            return Ok(known);
        }
        if target.is_some() {
            self.check_depth(parent)?;
        }
        self.joins.push(Join {
            key,
            parent,
            kind,
            target: target.cloned(),
            many,
        });
        Ok(self.joins.len() - 1)
    }

    /// Whether one more relation may follow the joined row `at`.
    pub(super) fn check_depth(&self, at: Option<JoinId>) -> Result<(), BindError> {
        let mut depth = 1;
        let mut above = at;
        while let Some(join) = above.filter(|join| Some(*join) != self.base) {
            depth += usize::from(self.joins[join].target.is_some());
            above = self.joins[join].parent;
        }
        if depth > PATH_JOINS_MAX {
            return Err(error("too many relations in one path"));
        }
        Ok(())
    }

    /// Joins the items of a list.
    pub(super) fn each(
        &mut self,
        from: From,
        at: Option<JoinId>,
        key: &str,
    ) -> Result<JoinId, BindError> {
        self.add_join(at, JoinKind::Each(from), format!("{key}[]"), None, true)
    }

    pub(super) fn column(
        &mut self,
        at: Option<JoinId>,
        collection: &Collection,
        index: usize,
        modifier: Option<Modifier>,
    ) -> Result<Operand, BindError> {
        let field = &collection.fields[index];
        let mut column = plain_column(at, collection, index);
        column.guarded_email =
            self.guard == Guard::Client && collection.is_auth() && field.name == "email";
        // Whether the address is public stands in a cell that only SQL finds by its name.
        self.in_memory &= !column.guarded_email;
        let lists = matches!(
            field.kind,
            FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_)
        );
        match modifier {
            Some(Modifier::Lower) => column.lower = true,
            Some(Modifier::Length) if lists => column.access = Access::Length,
            Some(Modifier::Each) if field.kind.is_multiple() => {
                let from = From::Column(at, field.name.clone());
                column.join = Some(self.each(from, at, &field.name)?);
                column.access = Access::Each;
            }
            Some(Modifier::Each) if lists => column.access = Access::Item,
            Some(Modifier::IsSet | Modifier::Changed | Modifier::Length | Modifier::Each)
            | None => {}
        }
        Ok(Operand::Column(column))
    }
}

/// A suffix of the last segment of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Modifier {
    IsSet,
    Changed,
    Length,
    Each,
    Lower,
}

/// The column of a field, unmodified.
pub(super) fn plain_column(at: Option<JoinId>, collection: &Collection, index: usize) -> Column {
    let field = &collection.fields[index];
    let json = matches!(field.kind, FieldKind::Json(_));
    Column {
        join: at,
        index,
        name: field.name.clone(),
        access: if json {
            Access::Json(CompactString::const_new("$"))
        } else {
            Access::Plain
        },
        lower: false,
        affinity: affinity_of(collection, &field.kind),
        stored: stored_as(&field.kind),
        nullable: json || collection.is_view(),
        multiple: field.kind.is_multiple(),
        guarded_email: false,
    }
}

fn json_column(
    at: Option<JoinId>,
    collection: &Collection,
    index: usize,
    segments: &[&str],
) -> Result<Operand, BindError> {
    let mut column = plain_column(at, collection, index);
    column.access = Access::Json(json_path(segments)?);
    column.nullable = true;
    Ok(Operand::Column(column))
}

/// The JSON path of the segments after a json field. Modifiers mean nothing here: they are part of the key.
pub(super) fn json_path(segments: &[&str]) -> Result<CompactString, BindError> {
    let mut path = CompactString::const_new("$");
    for segment in segments {
        if segment.is_empty() {
            return Err(error("empty JSON path segment"));
        }
        if segment.bytes().all(|b| b.is_ascii_digit()) {
            path.push_str(&format_compact!("[{segment}]"));
        } else {
            path.push_str(&format_compact!(".{segment}"));
        }
    }
    Ok(path)
}

/// A segment's name and modifier; more than one colon makes no modifier.
pub(super) fn split_modifier(segment: &str) -> Result<(&str, Option<Modifier>), BindError> {
    let Some((name, modifier)) = segment.split_once(':') else {
        return Ok((segment, None));
    };
    let modifier = match modifier {
        "isset" => Modifier::IsSet,
        "changed" => Modifier::Changed,
        "length" => Modifier::Length,
        "each" => Modifier::Each,
        "lower" => Modifier::Lower,
        other if other.contains(':') => return Ok((segment, None)),
        other => return Err(error(format!("unknown modifier {other:?}"))),
    };
    Ok((name, Some(modifier)))
}
