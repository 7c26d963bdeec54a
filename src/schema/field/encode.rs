//! A stored cell as JSON: on the path of every answer, so without trees and mostly without allocation.

use super::{Field, FieldKind, boolean, date, geo_point, json as json_field, list, number};
use crate::kit::json::{self, Json};
use crate::kit::value::Cell;

/// Appends `cell` as the answer shows it. Cells that the field could not have stored (views, foreign tools) are cast.
pub fn write_json(field: &Field, cell: Cell<'_>, out: &mut Vec<u8>) {
    match &field.kind {
        FieldKind::Text(_) | FieldKind::Email(_) | FieldKind::Url(_) | FieldKind::Editor(_) => {
            write_text(cell, out);
        }
        FieldKind::Number(_) => write_number(cell, out),
        FieldKind::Bool => {
            let flag = match cell {
                Cell::Int(n) => n == 1,
                Cell::Real(n) => n == 1.0,
                Cell::Text(text) => boolean::cast(&Json::from(text)),
                Cell::Null | Cell::Blob(_) => false,
            };
            out.extend_from_slice(if flag { b"true" } else { b"false" });
        }
        FieldKind::Date(_) | FieldKind::Autodate(_) => match cell {
            Cell::Text(text) => json::write_str(&date::normalize(text), out),
            Cell::Null | Cell::Int(_) | Cell::Real(_) | Cell::Blob(_) => {
                out.extend_from_slice(b"\"\"");
            }
        },
        FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_) => {
            if field.kind.is_multiple() {
                write_list(cell, out);
            } else {
                write_single(cell, out);
            }
        }
        FieldKind::Json(_) => write_raw(cell, out),
        FieldKind::Password(_) => out.extend_from_slice(b"\"\""),
        FieldKind::GeoPoint => write_geo(cell, out),
    }
}

fn write_text(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Text(text) => json::write_str(text, out),
        Cell::Null => out.extend_from_slice(b"\"\""),
        Cell::Int(_) | Cell::Real(_) | Cell::Blob(_) => {
            json::write_str(&cell.to_value().to_display(), out);
        }
    }
}

fn write_number(cell: Cell<'_>, out: &mut Vec<u8>) {
    /// Beyond this a double cannot hold every integer, and answers speak in doubles.
    const EXACT: i64 = 1 << 53;
    match cell {
        Cell::Int(n) if (-EXACT..=EXACT).contains(&n) => write_int(n, out),
        Cell::Int(_) | Cell::Real(_) => {
            let n = cell.to_value().as_f64().unwrap_or(0.0);
            out.extend_from_slice(json::number_text(n).as_bytes());
        }
        Cell::Text(text) => {
            let n = number::cast(&Json::from(text)).as_f64().unwrap_or(0.0);
            out.extend_from_slice(json::number_text(n).as_bytes());
        }
        Cell::Null | Cell::Blob(_) => out.push(b'0'),
    }
}

fn write_int(n: i64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = n.unsigned_abs();
    loop {
        at -= 1;
        // Below ten by the remainder.
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if n < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_single(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        // A list in a single field: the last item, as casting has it.
        Cell::Text(text) if text.starts_with('[') => {
            let items = list::items_of_cell(cell);
            json::write_str(items.last().map_or("", |item| item.as_str()), out);
        }
        _ => write_text(cell, out),
    }
}

fn write_list(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Text(text) if is_plain_list(text) => out.extend_from_slice(text.as_bytes()),
        _ => list::write(&list::items_of_cell(cell), out),
    }
}

/// Whether the text is `["...","..."]` with nothing in it that needs a second look: what this field itself stores.
fn is_plain_list(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix("[\"")
        .and_then(|rest| rest.strip_suffix("\"]"))
    else {
        return text == "[]";
    };
    // Quotes may only stand as separators; then there are no escapes, no other values and no way out of the text.
    !inner.is_empty()
        && inner.split("\",\"").all(|item| {
            !item.is_empty()
                && item
                    .bytes()
                    .all(|byte| byte != b'"' && byte != b'\\' && byte >= 0x20)
        })
}

fn write_raw(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Int(n) => write_int(n, out),
        Cell::Real(n) => out.extend_from_slice(number::go_text(n).as_bytes()),
        Cell::Text(text) if json_field::is_valid(text) => write_compact(text, out),
        Cell::Text("") => out.extend_from_slice(b"null"),
        Cell::Text(text) => json::write_str(text, out),
        // Bytes that a view computes are read as text.
        Cell::Blob(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => write_raw(Cell::Text(text), out),
            Err(_) => json::write_str(&cell.to_value().to_display(), out),
        },
    }
}

/// Copies JSON text without the white space between its tokens.
fn write_compact(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let is_space = |byte: u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    if memchr::memchr3(b' ', b'\n', b'\t', bytes).is_none() && !bytes.contains(&b'\r') {
        out.extend_from_slice(bytes);
        return;
    }
    let mut in_text = false;
    let mut escaped = false;
    for &byte in bytes {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if is_space(byte) {
            continue;
        } else {
            in_text = byte == b'"';
        }
        out.push(byte);
    }
}

fn write_geo(cell: Cell<'_>, out: &mut Vec<u8>) {
    let Cell::Text(text) = cell else {
        out.extend_from_slice(super::column::GEO_ZERO.as_bytes());
        return;
    };
    if text == super::column::GEO_ZERO {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let (lon, lat) = geo_point::read(text).unwrap_or((0.0, 0.0));
    out.extend_from_slice(b"{\"lon\":");
    out.extend_from_slice(json::number_text(lon).as_bytes());
    out.extend_from_slice(b",\"lat\":");
    out.extend_from_slice(json::number_text(lat).as_bytes());
    out.push(b'}');
}

/// The cell as a JSON tree: for rules and callers that look inside.
#[must_use]
pub fn to_json(field: &Field, cell: Cell<'_>) -> Json {
    let mut out = Vec::new();
    write_json(field, cell, &mut out);
    json::parse_first(&out).unwrap_or(Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::value::Value;
    use crate::schema::field::blank_kind;

    fn shown(kind: &str, value: impl Into<Value>) -> String {
        let mut kind = blank_kind(kind).unwrap();
        if let FieldKind::Relation(options) = &mut kind {
            options.max_select = 9;
        }
        let mut out = Vec::new();
        write_json(&Field::new("f", kind), value.into().as_cell(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_shown_as_the_contract_says() {
        assert_eq!(shown("number", -12), "-12");
        assert_eq!(shown("number", i64::MIN), "-9223372036854776000");
        assert_eq!(shown("number", Value::Real(1e21)), "1e+21");
        assert_eq!(shown("bool", 1), "true");
        assert_eq!(shown("select", "a\"b"), r#""a\"b""#);
        assert_eq!(shown("relation", r#"["a","b"]"#), r#"["a","b"]"#);
        assert_eq!(shown("relation", r#"[ "a" , "a" ]"#), r#"["a"]"#);
        assert_eq!(
            shown("relation", r#"["a"],"b":["c"]"#),
            r#"["[\"a\"],\"b\":[\"c\"]"]"#
        );
        assert_eq!(shown("relation", "[]"), "[]");
        assert_eq!(shown("relation", ""), "[]");
        assert_eq!(
            shown("json", r#"{"b": [1.0, " x\" y"]}"#),
            r#"{"b":[1.0," x\" y"]}"#
        );
        assert_eq!(shown("json", Value::Real(1_234_567.5)), "1.2345675e+06");
        assert_eq!(shown("json", Value::Real(0.000_01)), "1e-05");
        assert_eq!(shown("json", Value::Real(0.5)), "0.5");
        assert_eq!(shown("json", "not json"), "\"not json\"");
        assert_eq!(shown("json", Value::Null), "null");
        assert_eq!(
            shown("json", Value::Real(1.234_567_890_123_456_7e19)),
            "1.2345678901234567e+19"
        );
        assert_eq!(shown("json", Value::Real(-0.25)), "-0.25");
        assert_eq!(shown("json", 9_007_199_254_740_993), "9007199254740993");
        assert_eq!(
            shown("geoPoint", r#"{"lat":2,"lon":1.50}"#),
            r#"{"lon":1.5,"lat":2}"#
        );
        assert_eq!(shown("password", "$2a$10$x"), "\"\"");
    }
}
