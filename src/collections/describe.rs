//! The description of the API in OpenAPI 3.1: every collection with its fields, for generators of clients and for tests that
//! make up calls from it.

use serde_json::json;

use super::Collections;
use crate::kit::json::{Json, JsonMap};
use crate::schema::{Collection, Field, FieldKind};

impl Collections {
    /// The description of the API over the present schema.
    #[must_use]
    pub fn describe(&self) -> Json {
        let catalog = self.store.catalog();
        let mut paths = JsonMap::new();
        let mut schemas = JsonMap::new();
        fixed(&mut paths);
        for collection in catalog.iter().filter(|collection| !collection.system) {
            schemas.insert(collection.name.to_string(), record(collection));
            records(collection, &mut paths);
            if collection.is_auth() {
                identities(collection, &mut paths);
            }
        }
        let token = json!({"type": "apiKey", "in": "header", "name": "Authorization",
            "description": "The token of a sign-in, as it is."});
        json!({
            "openapi": "3.1.0",
            "info": {"title": "Burrow", "version": env!("CARGO_PKG_VERSION")},
            "paths": paths,
            "components": {"schemas": schemas, "securitySchemes": {"token": token}},
            "security": [{}, {"token": []}],
        })
    }
}

/// Paths that are there whatever the collections are.
fn fixed(paths: &mut JsonMap) {
    let mut read = |path: &str, summary: &str| {
        paths.insert(path.to_owned(), json!({"get": operation(summary, &[200])}));
    };
    read("/api/health", "Whether the server is there");
    read("/api/collections", "Collections; superusers only");
    read("/api/settings", "Settings; superusers only");
    read("/api/logs", "Requests as they were logged; superusers only");
    read("/api/crons", "Scheduled jobs; superusers only");
    read("/api/backups", "Backups; superusers only");
    let mut batch = operation("Several writes of records, all or none", &[200]);
    let one = json!({"type": "object", "properties": {
        "method": {"type": "string", "enum": ["POST", "PATCH", "PUT", "DELETE"]},
        "url": {"type": "string"}, "body": {"type": "object"}
    }});
    let requests = json!({"type": "array", "items": one});
    body(
        &mut batch,
        &json!({"type": "object", "properties": {"requests": requests}}),
    );
    paths.insert("/api/batch".to_owned(), json!({"post": batch}));
}

/// The paths of a collection's records.
fn records(collection: &Collection, paths: &mut JsonMap) {
    let name = &collection.name;
    let seen = json!({"$ref": format!("#/components/schemas/{name}")});
    let mut list = operation(&format!("Records of {name}"), &[200]);
    list["parameters"] = json!([
        query("page", "number", "From 1"),
        query("perPage", "number", "At most 1000"),
        query("filter", "string", "An expression of the filter language"),
        query(
            "sort",
            "string",
            "Names of fields, `-` before one for descending"
        ),
        query("expand", "string", "Relations to bring along"),
        query("fields", "string", "What to leave in the answer"),
        query("skipTotal", "boolean", "Not to count"),
    ]);
    let page = json!({"type": "object", "properties": {
        "page": {"type": "integer"}, "perPage": {"type": "integer"},
        "totalItems": {"type": "integer"}, "totalPages": {"type": "integer"},
        "items": {"type": "array", "items": seen}
    }});
    answers(&mut list, &page);
    let mut view = operation(&format!("One record of {name}"), &[200]);
    answers(&mut view, &seen);
    view["parameters"] = json!([id_in_path()]);
    let (mut all, mut one) = (json!({"get": list}), json!({"get": view}));
    if !collection.is_view() {
        let submitted = submitted(collection);
        let mut create = operation(&format!("Makes a record of {name}"), &[200]);
        body(&mut create, &submitted);
        answers(&mut create, &seen);
        all["post"] = create;
        let mut update = operation(&format!("Changes a record of {name}"), &[200]);
        update["parameters"] = json!([id_in_path()]);
        body(&mut update, &submitted);
        answers(&mut update, &seen);
        one["patch"] = update;
        let mut delete = operation(&format!("Removes a record of {name}"), &[204]);
        delete["parameters"] = json!([id_in_path()]);
        one["delete"] = delete;
    }
    let path = format!("/api/collections/{name}/records");
    paths.insert(format!("{path}/{{id}}"), one);
    paths.insert(path, all);
}

/// The paths of signing in to a collection.
fn identities(collection: &Collection, paths: &mut JsonMap) {
    let path = |end: &str| format!("/api/collections/{}/{end}", collection.name);
    let mut password = operation("Signs in by password", &[200, 401]);
    let text = json!({"type": "string"});
    body(
        &mut password,
        &json!({"type": "object", "properties": {"identity": text, "password": text}}),
    );
    paths.insert(path("auth-with-password"), json!({"post": password}));
    let refresh = operation("Renews a token", &[200]);
    paths.insert(path("auth-refresh"), json!({"post": refresh}));
    let methods = operation("How to sign in", &[200]);
    paths.insert(path("auth-methods"), json!({"get": methods}));
}

fn id_in_path() -> Json {
    json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string"}})
}

fn query(name: &str, kind: &str, description: &str) -> Json {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": kind}})
}

/// An operation with the answers of a success and those that any call may get.
fn operation(summary: &str, successes: &[u16]) -> Json {
    let mut responses = JsonMap::new();
    for status in successes {
        responses.insert(status.to_string(), json!({"description": "Done"}));
    }
    let errors = [
        (
            "400",
            "What was submitted cannot be taken, or may not be created",
        ),
        ("401", "A token is wanted"),
        ("403", "Not for this caller"),
        ("404", "Not there, or not for this caller to see"),
        ("413", "Too large"),
        ("429", "Too often"),
        ("503", "Busy: try again later"),
    ];
    for (status, description) in errors {
        responses
            .entry(status)
            .or_insert_with(|| json!({"description": description}));
    }
    json!({"summary": summary, "responses": responses})
}

fn body(operation: &mut Json, schema: &Json) {
    operation["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
}

fn answers(operation: &mut Json, schema: &Json) {
    operation["responses"]["200"]["content"] = json!({"application/json": {"schema": schema}});
}

/// A record as it is seen.
fn record(collection: &Collection) -> Json {
    let mut properties = JsonMap::new();
    properties.insert(
        "collectionId".to_owned(),
        json!({"type": "string", "readOnly": true}),
    );
    properties.insert(
        "collectionName".to_owned(),
        json!({"type": "string", "readOnly": true}),
    );
    for field in collection.fields.iter().filter(|field| !field.hidden) {
        if !matches!(field.kind, FieldKind::Password(_)) {
            properties.insert(field.name.to_string(), value(field));
        }
    }
    json!({"type": "object", "properties": properties})
}

/// What is submitted for a record.
fn submitted(collection: &Collection) -> Json {
    let mut properties = JsonMap::new();
    let mut required = Vec::new();
    for field in &collection.fields {
        if matches!(field.kind, FieldKind::Autodate(_))
            || (field.system && field.hidden && field.name != "password")
        {
            continue;
        }
        if field.required && field.name != "id" {
            required.push(field.name.to_string());
        }
        properties.insert(field.name.to_string(), value(field));
        if field.name == "password" && collection.is_auth() {
            properties.insert("passwordConfirm".to_owned(), value(field));
        }
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn value(field: &Field) -> Json {
    let text = || json!({"type": "string"});
    let one = match &field.kind {
        FieldKind::Text(options) => {
            let mut text = text();
            if options.max > 0 {
                text["maxLength"] = json!(options.max);
            }
            if options.min > 0 {
                text["minLength"] = json!(options.min);
            }
            text
        }
        FieldKind::Number(_) => json!({"type": "number"}),
        FieldKind::Bool => json!({"type": "boolean"}),
        FieldKind::Email(_) => json!({"type": "string", "format": "email"}),
        FieldKind::Url(_) => json!({"type": "string", "format": "uri"}),
        FieldKind::Date(_) => {
            json!({"type": "string", "description": "2026-01-02 03:04:05.678Z, or empty"})
        }
        FieldKind::Autodate(_) => json!({"type": "string", "readOnly": true}),
        FieldKind::Select(options) => json!({"type": "string", "enum": options.values}),
        FieldKind::Password(_) => json!({"type": "string", "writeOnly": true}),
        FieldKind::GeoPoint => json!({"type": "object", "properties": {
            "lon": {"type": "number"}, "lat": {"type": "number"}
        }}),
        FieldKind::Json(_) => json!({}),
        FieldKind::Editor(_) | FieldKind::File(_) | FieldKind::Relation(_) => text(),
    };
    if field.kind.is_multiple() {
        return json!({"type": "array", "items": one});
    }
    one
}
