//! `@request.*`: constants of a call, and the joins that start from them.

use std::sync::Arc;

use compact_str::CompactString;

use crate::expr::bound::{Access, Column, From, Operand, Stored};
use crate::expr::catalog::BindError;
use crate::expr::request::{Given, GivenAccess, Part, is_auth_constant};
use crate::schema::{Collection, FieldKind};

use super::binder::{Binder, error};
use super::path::{Modifier, json_path, plain_column, split_modifier};

/// The request half of binding: `@request.context`, `.method`, `.query.x`, `.headers.x`, `.body.x...`, `.auth.x...`.
impl Binder<'_> {
    pub(super) fn request(&mut self, segments: &[&str]) -> Result<Option<Operand>, BindError> {
        let Some((last, path)) = segments.split_last() else {
            return Ok(None);
        };
        let (last_name, modifier) = split_modifier(last)?;
        let given = |part: Part| {
            Operand::Given(Given {
                part,
                access: match modifier {
                    Some(Modifier::IsSet) => GivenAccess::IsSet,
                    Some(
                        Modifier::Changed | Modifier::Length | Modifier::Each | Modifier::Lower,
                    )
                    | None => GivenAccess::Plain,
                },
                lower: modifier == Some(Modifier::Lower),
            })
        };
        let plain = path.iter().chain([&last_name]).copied().skip(1);
        self.reads.request |= segments[0] != "auth";
        Ok(match segments[0] {
            _ if path.is_empty() => match last_name {
                "context" => Some(given(Part::Context)),
                "method" => Some(given(Part::Method)),
                _ => None,
            },
            "query" => Some(given(Part::Query(
                plain.collect::<Vec<_>>().join(".").into(),
            ))),
            "headers" => Some(given(Part::Header(
                plain.collect::<Vec<_>>().join(".").into(),
            ))),
            "body" => Some(self.request_body(&segments[1..])?),
            "auth" => Some(self.request_auth(&segments[1..])?),
            _ => None,
        })
    }

    /// `@channel.name`, `@channel.parts` and `@channel.parts.N`, in rules of channels only.
    pub(super) fn channel(&mut self, segments: &[&str]) -> Result<Option<Operand>, BindError> {
        self.reads.request = true;
        let given = |part: Part, access: GivenAccess, modifier: Option<Modifier>| {
            Operand::Given(Given {
                part,
                access,
                lower: modifier == Some(Modifier::Lower),
            })
        };
        let plain = GivenAccess::Plain;
        Ok(match segments {
            [name] => {
                let (name, modifier) = split_modifier(name)?;
                match (name, modifier) {
                    ("name", None | Some(Modifier::Lower)) => {
                        Some(given(Part::Channel, plain, modifier))
                    }
                    ("parts", None | Some(Modifier::Lower)) => {
                        Some(given(Part::ChannelSegments, plain, modifier))
                    }
                    ("parts", Some(Modifier::Length)) => {
                        Some(given(Part::ChannelSegments, GivenAccess::Length, None))
                    }
                    ("parts", Some(Modifier::Each)) => Some(
                        self.each_given(Given::plain(Part::ChannelSegments), "@channel.parts")?,
                    ),
                    _ => None,
                }
            }
            ["parts", at] => {
                let (at, modifier) = split_modifier(at)?;
                let at: usize = at
                    .parse()
                    .map_err(|_| error("@channel.parts is followed by a number"))?;
                match modifier {
                    None | Some(Modifier::Lower) => {
                        Some(given(Part::ChannelSegment(at), plain, modifier))
                    }
                    Some(_) => None,
                }
            }
            _ => None,
        })
    }

    pub(super) fn request_body(&mut self, segments: &[&str]) -> Result<Operand, BindError> {
        let root = self.root;
        let (first, after) = segments.split_first().ok_or_else(|| error("empty path"))?;
        let (name, modifier) = if after.is_empty() {
            split_modifier(first)?
        } else {
            (*first, None)
        };
        let part = Part::Body(vec![name.into()]);
        let field = root.field_index(name);
        if let Some(index) = field {
            let field = &root.fields[index];
            match (&field.kind, modifier) {
                (_, Some(Modifier::Changed)) => {
                    let column = plain_column(None, root, index);
                    return Ok(Operand::Changed(Given::plain(part), column));
                }
                (
                    FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_),
                    Some(Modifier::Length),
                ) => {
                    return Ok(Operand::Given(Given {
                        part,
                        access: GivenAccess::Length,
                        lower: false,
                    }));
                }
                (
                    FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_),
                    Some(Modifier::Each),
                ) => {
                    if !field.kind.is_multiple() {
                        return Ok(Operand::Given(Given::plain(part)));
                    }
                    return self.each_given(Given::plain(part), &format!("@body.{name}"));
                }
                (_, Some(Modifier::Length | Modifier::Each)) => {
                    return Err(error(format!("{name:?} holds no list")));
                }
                (FieldKind::Relation(options), None) if !after.is_empty() => {
                    let from = From::Given(Given::plain(part));
                    let (join, target) = self.relation(from, None, field, options)?;
                    return self.field_path(Some(join), &target, after);
                }
                (_, Some(Modifier::IsSet | Modifier::Lower) | None) => {}
            }
        } else if matches!(
            modifier,
            Some(Modifier::Changed | Modifier::Length | Modifier::Each)
        ) {
            return Err(error(format!("unknown field {name:?}")));
        }
        let mut keys: Vec<CompactString> = segments.iter().map(|&key| key.into()).collect();
        let (last, modifier) = split_modifier(segments[segments.len() - 1])?;
        if let Some(key) = keys.last_mut() {
            *key = last.into();
        }
        Ok(Operand::Given(Given {
            part: Part::Body(keys),
            access: if modifier == Some(Modifier::IsSet) {
                GivenAccess::IsSet
            } else {
                GivenAccess::Plain
            },
            lower: modifier == Some(Modifier::Lower),
        }))
    }

    /// The items of a list in the request, as joined rows.
    pub(super) fn each_given(&mut self, given: Given, key: &str) -> Result<Operand, BindError> {
        let join = self.each(From::Given(given), None, key)?;
        Ok(Operand::Column(Column {
            join: Some(join),
            index: 0,
            name: CompactString::const_new("value"),
            access: Access::Each,
            lower: false,
            affinity: crate::expr::bound::Affinity::None,
            stored: Stored::Text,
            nullable: true,
            multiple: false,
            guarded_email: false,
        }))
    }

    pub(super) fn request_auth(&mut self, segments: &[&str]) -> Result<Operand, BindError> {
        let nothing = || Operand::Given(Given::plain(Part::Auth(CompactString::default())));
        let (first, after) = segments.split_first().ok_or_else(|| error("empty path"))?;
        let (name, modifier) = if after.is_empty() {
            split_modifier(first)?
        } else {
            (*first, None)
        };
        self.reads
            .auth(if name.contains("_via_") { "id" } else { name });
        let given = |access, lower| {
            Operand::Given(Given {
                part: Part::Auth(name.into()),
                access,
                lower,
            })
        };
        if after.is_empty() && (is_auth_constant(name) || modifier != Some(Modifier::Each)) {
            return Ok(match modifier {
                Some(Modifier::Length) if !is_auth_constant(name) => {
                    self.auth_length(name, given(GivenAccess::Length, false))
                }
                Some(Modifier::Lower) => given(GivenAccess::Plain, true),
                Some(Modifier::IsSet | Modifier::Changed | Modifier::Length | Modifier::Each)
                | None => given(GivenAccess::Plain, false),
            });
        }
        self.needs_actor = true;
        self.reads.auth("collectionId");
        let Some(actor) = self.actor.map(Arc::clone) else {
            return Ok(nothing());
        };
        let field = actor.field(name);
        let part = Given::plain(Part::Auth(name.into()));
        match field.map(|field| (field, &field.kind)) {
            Some((field, kind)) if after.is_empty() => {
                if kind.is_multiple() {
                    return self.each_given(part, &format!("@auth.{}", field.name));
                }
                Ok(Operand::Given(part))
            }
            Some((_, FieldKind::Json(_) | FieldKind::GeoPoint)) => {
                let path = json_path(after)?;
                Ok(Operand::Given(Given::plain(Part::AuthJson(
                    name.into(),
                    path,
                ))))
            }
            Some((field, FieldKind::Relation(options))) => {
                if !field.kind.is_multiple() && after == ["id"] {
                    return Ok(Operand::Given(part));
                }
                let (join, target) = self.relation(From::Given(part), None, field, options)?;
                self.field_path(Some(join), &target, after)
            }
            None if !after.is_empty() && name.contains("_via_") => {
                let id = Given::plain(Part::Auth(CompactString::const_new("id")));
                let (join, target) =
                    self.back_relation_from(From::Given(id), None, &actor, name)?;
                self.field_path(Some(join), &target, after)
            }
            Some(_) | None => Ok(nothing()),
        }
    }

    /// `:length` counts lists only; it is ignored on everything else. Which it is depends on the caller's collection.
    pub(super) fn auth_length(&mut self, name: &str, counted: Operand) -> Operand {
        let listed = |collection: &Collection| {
            collection.field(name).is_some_and(|field| {
                matches!(
                    field.kind,
                    FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_)
                )
            })
        };
        let anywhere = self.schema.iter().any(|c| c.is_auth() && listed(c));
        match self.actor {
            Some(actor) if listed(actor) => counted,
            None if anywhere => {
                self.needs_actor = true;
                counted
            }
            Some(_) | None => Operand::Given(Given::plain(Part::Auth(name.into()))),
        }
    }
}
