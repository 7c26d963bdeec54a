//! The options of one field (contract 3).

use super::collection::World;
use super::limit::{
    SAFE_INT, below, length, must_be_blank, outside, required_length, required_within, via, word,
};
use crate::kit::limits::PASSWORD_BYTES_MAX;
use crate::schema::collection::Collection;
use crate::schema::error::{FieldError, FieldErrors};
use crate::schema::field::{
    AutodateOptions, Check, DomainOptions, Field, FieldKind, FileOptions, NumberOptions,
    PasswordOptions, Pattern, RelationOptions, SelectOptions, TextOptions, number,
};

/// Names that mean something else wherever a field can be named.
const RESERVED: [&str; 7] = [
    "null",
    "true",
    "false",
    "_rowid_",
    "collectionId",
    "collectionName",
    "expand",
];
/// Names that auth forms use for themselves.
const RESERVED_AUTH: [&str; 2] = ["passwordConfirm", "oldPassword"];
/// Autogenerate patterns are tried this many times.
const SAMPLES: usize = 10;

/// What is wrong with a definition; `before` is the stored field of the same id.
pub(super) fn check(
    field: &Field,
    before: Option<&Field>,
    collection: &Collection,
    world: &World<'_>,
) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut add = |key: &str, error: Option<FieldError>| {
        if let Some(error) = error {
            errors.add(key, error);
        }
    };
    add("id", required_length(&field.id, 1, 100));
    add("name", check_name(&field.name, collection.is_auth()));
    add("help", length(&field.help, 1, 300));
    match &field.kind {
        FieldKind::Text(o) => check_text(field, o, &mut add),
        FieldKind::Number(o) => check_number(o, &mut add),
        FieldKind::Editor(o) => add("maxSize", outside(o.max_size, 0, SAFE_INT)),
        FieldKind::Json(o) => add("maxSize", outside(o.max_size, 0, SAFE_INT)),
        FieldKind::Autodate(o) => check_autodate(field, o, before, &mut add),
        FieldKind::Select(o) => check_select(o, &mut add),
        FieldKind::Relation(o) => check_relation(o, before, collection, world, &mut add),
        FieldKind::Password(o) => check_password(o, &mut add),
        FieldKind::File(o) => {
            add("maxSelect", outside(o.max_select, 0, SAFE_INT));
            add("maxSize", outside(o.max_size, 0, SAFE_INT));
            errors.nest("thumbs", check_thumbs(o));
        }
        FieldKind::Email(o) | FieldKind::Url(o) => check_domains(o, &mut errors),
        FieldKind::Bool | FieldKind::Date(_) | FieldKind::GeoPoint => {}
    }
    errors
}

type Add<'a> = dyn FnMut(&str, Option<FieldError>) + 'a;

fn check_name(name: &str, is_auth: bool) -> Option<FieldError> {
    let reserved = || {
        RESERVED
            .contains(&name)
            .then(|| FieldError::new("validation_not_in_invalid", "Must not be in list."))
    };
    let reserved_auth = || {
        (is_auth && RESERVED_AUTH.contains(&name)).then(|| {
            FieldError::new(
                "validation_reserved_field_name",
                "The field name is reserved and cannot be used.",
            )
        })
    };
    required_length(name, 1, 100)
        .or_else(|| word(name))
        .or_else(reserved)
        .or_else(|| via(name))
        .or_else(reserved_auth)
}

fn check_text(field: &Field, options: &TextOptions, add: &mut Add<'_>) {
    if options.primary_key {
        add(
            "name",
            (field.name != "id").then(|| {
                FieldError::new(
                    "validation_in_invalid",
                    "The primary key must be named \"id\".",
                )
            }),
        );
        add(
            "pattern",
            options.pattern.is_empty().then(FieldError::required),
        );
        add("required", (!field.required).then(FieldError::required));
        add("hidden", must_be_blank(!field.hidden));
    }
    add("min", outside(options.min, 0, SAFE_INT));
    add("max", outside(options.max, options.min, SAFE_INT));
    add("pattern", check_pattern(&options.pattern));
    if !options.autogenerate_pattern.is_empty() {
        add("autogeneratePattern", check_autogenerate(field, options));
    }
}

fn check_pattern(pattern: &Pattern) -> Option<FieldError> {
    if pattern.is_empty() {
        return None;
    }
    pattern
        .check()
        .err()
        .map(|error| FieldError::new("validation_invalid_regex", error))
}

fn check_autogenerate(field: &Field, options: &TextOptions) -> Option<FieldError> {
    let pattern = &options.autogenerate_pattern;
    if let Some(error) = check_pattern(&Pattern::new(pattern.as_str())) {
        return Some(error);
    }
    for _ in 0..SAMPLES {
        let sample = match crate::schema::field::generate::from_pattern(pattern) {
            Ok(sample) => sample,
            Err(error) => {
                return Some(FieldError::new(
                    "validation_invalid_autogenerate_pattern",
                    error,
                ));
            }
        };
        if field
            .validate(&sample.as_str().into(), &Check::default())
            .is_some()
        {
            return Some(FieldError::new(
                "validation_invalid_autogenerate_pattern_value",
                format!(
                    "The provided autogenerate pattern could produce invalid field values, ex.: \"{sample}\"."
                ),
            ));
        }
    }
    None
}

fn check_number(options: &NumberOptions, add: &mut Add<'_>) {
    let fraction = |bound: Option<f64>| {
        (options.only_int && bound.is_some_and(|n| !number::is_whole(n))).then(number::only_int)
    };
    add("min", fraction(options.min));
    add("max", fraction(options.max));
    if let (Some(min), Some(max)) = (options.min, options.max) {
        add("max", (max < min).then(|| number::below_min(min)));
    }
}

fn check_autodate(
    field: &Field,
    options: &AutodateOptions,
    before: Option<&Field>,
    add: &mut Add<'_>,
) {
    if !options.on_create && !options.on_update {
        for key in ["onCreate", "onUpdate"] {
            add(
                key,
                Some(FieldError::new(
                    "validation_required",
                    "Either onCreate or onUpdate must be enabled.",
                )),
            );
        }
    }
    if field.system
        && let Some(FieldKind::Autodate(old)) = before.map(|before| &before.kind)
    {
        for (key, changed) in [
            ("onCreate", old.on_create != options.on_create),
            ("onUpdate", old.on_update != options.on_update),
        ] {
            add(key, changed.then(FieldError::invalid));
        }
    }
}

fn check_select(options: &SelectOptions, add: &mut Add<'_>) {
    add(
        "values",
        options.values.is_empty().then(FieldError::required),
    );
    let most = i64::try_from(options.values.len())
        .unwrap_or(i64::MAX)
        .max(1);
    add("maxSelect", outside(options.max_select, 0, most));
}

fn check_relation(
    options: &RelationOptions,
    before: Option<&Field>,
    collection: &Collection,
    world: &World<'_>,
    add: &mut Add<'_>,
) {
    add(
        "collectionId",
        check_target(options, before, collection, world),
    );
    add("minSelect", below(options.min_select, 0));
    add(
        "maxSelect",
        if options.min_select > 0 {
            required_within(options.max_select, options.min_select, i64::MAX)
        } else {
            below(options.max_select, options.min_select)
        },
    );
}

fn check_target(
    options: &RelationOptions,
    before: Option<&Field>,
    collection: &Collection,
    world: &World<'_>,
) -> Option<FieldError> {
    let id = &options.collection_id;
    if id.as_str().is_empty() {
        return Some(FieldError::required());
    }
    if let Some(FieldKind::Relation(old)) = before.map(|before| &before.kind)
        && old.collection_id != *id
    {
        return Some(FieldError::new(
            "validation_field_relation_change",
            "The relation collection cannot be changed.",
        ));
    }
    let target_is_view = if *id == collection.id {
        collection.is_view()
    } else if let Some(target) = world.schema.by_id(id) {
        target.is_view()
    } else {
        return Some(FieldError::new(
            "validation_field_relation_missing_collection",
            "The relation collection doesn't exist.",
        ));
    };
    (target_is_view && !collection.is_view()).then(|| {
        FieldError::new(
            "validation_relation_field_non_view_base_collection",
            "Only view collections are allowed to have relations to other views.",
        )
    })
}

fn check_password(options: &PasswordOptions, add: &mut Add<'_>) {
    let most = PASSWORD_BYTES_MAX.cast_signed();
    add("min", outside(options.min, 1, most));
    add("max", outside(options.max, options.min, most));
    add("cost", outside(options.cost, 4, 31));
    add("pattern", check_pattern(&options.pattern));
}

fn check_thumbs(options: &FileOptions) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (at, format) in options.thumbs.iter().enumerate() {
        if format.is_empty() {
            continue;
        }
        let size = format.strip_suffix(['t', 'b', 'f']).unwrap_or(format);
        let sides = size.split_once('x').filter(|(width, height)| {
            [width, height]
                .iter()
                .all(|side| !side.is_empty() && side.bytes().all(|b| b.is_ascii_digit()))
        });
        match sides {
            None => errors.add(
                at.to_string(),
                FieldError::new("validation_match_invalid", "Must be in a valid format."),
            ),
            Some(("0", "0")) => errors.add(
                at.to_string(),
                FieldError::new("validation_not_in_invalid", "Must not be in list."),
            ),
            Some(_) => {}
        }
    }
    errors
}

fn check_domains(options: &DomainOptions, errors: &mut FieldErrors) {
    let both = !options.only_domains.is_empty() && !options.except_domains.is_empty();
    for (key, domains) in [
        ("onlyDomains", &options.only_domains),
        ("exceptDomains", &options.except_domains),
    ] {
        if both {
            errors.add(key, FieldError::new("validation_empty", "Must be blank."));
            continue;
        }
        let mut wrong = FieldErrors::new();
        for (at, domain) in domains.iter().enumerate() {
            if !domain.is_empty() && !is_domain(domain) {
                wrong.add(
                    at.to_string(),
                    FieldError::new("validation_is_domain", "Must be a valid domain."),
                );
            }
        }
        errors.nest(key, wrong);
    }
}

fn is_domain(text: &str) -> bool {
    let Some((front, last)) = text.rsplit_once('.') else {
        return false;
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    front.split('.').all(label)
        && (last.bytes().all(|b| b.is_ascii_alphabetic()) || last.starts_with("xn--"))
        && label(last)
}
