//! JSON text as the contract reads and writes it: strict on input, numbers through doubles, shortest numbers out.

use std::fmt;

use compact_str::CompactString;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::limits::JSON_DEPTH_MAX;

/// A parsed JSON value; object keys are sorted.
pub type Json = serde_json::Value;
/// A JSON object; keys are sorted.
pub type JsonMap = serde_json::Map<String, Json>;

/// Why a text is not acceptable JSON.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(#[from] serde_json::Error);

/// Reads the first JSON value of `bytes`; what follows it is ignored (contract 1.3). Duplicate keys, invalid UTF-8
/// and nesting beyond [`JSON_DEPTH_MAX`] are errors; every number passes through a double.
///
/// # Errors
/// When the text is not such a value.
pub fn parse_first(bytes: &[u8]) -> Result<Json, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Ok(Strict { depth: 0 }.deserialize(&mut reader)?)
}

/// Reads `text` as exactly one JSON value, otherwise as [`parse_first`].
///
/// # Errors
/// When the text is not such a value, or something follows it.
pub fn parse(text: &str) -> Result<Json, JsonError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        if self.depth > JSON_DEPTH_MAX {
            return Err(de::Error::custom("nested too deeply"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, b: bool) -> Result<Json, E> {
        Ok(Json::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Json, E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers pass through doubles (contract 1.11)"
        )]
        Ok(number(n as f64))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Json, E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers pass through doubles (contract 1.11)"
        )]
        Ok(number(n as f64))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Json, E> {
        Ok(number(n))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Self {
            depth: self.depth + 1,
        })? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = JsonMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Self {
                depth: self.depth + 1,
            })?;
            if object.insert(key, value).is_some() {
                return Err(de::Error::custom("duplicate key"));
            }
        }
        Ok(Json::Object(object))
    }
}

/// A JSON number: an integer where the double is one, so that it prints without a fraction.
#[must_use]
pub fn number(n: f64) -> Json {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be integral and in range"
    )]
    if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 && !(n == 0.0 && n.is_sign_negative())
    {
        Json::from(n as i64)
    } else {
        serde_json::Number::from_f64(n).map_or(Json::Null, Json::Number)
    }
}

/// The shortest decimal form of a double, as ECMAScript prints it (exponent from 1e21 and below 1e-6); `0` for NaN
/// and infinities, which JSON cannot hold.
#[must_use]
pub fn number_text(n: f64) -> CompactString {
    if n.is_finite() {
        CompactString::from(ryu_js::Buffer::new().format_finite(n))
    } else {
        CompactString::const_new("0")
    }
}

/// Appends `value` to `out` in compact form, object keys sorted, numbers as [`number_text`].
pub fn write(value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(n) => out.extend_from_slice(number_text(n.as_f64().unwrap_or(0.0)).as_bytes()),
        Json::String(text) => write_str(text, out),
        Json::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Json::Object(map) => {
            out.push(b'{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_str(key, out);
                out.push(b':');
                write(item, out);
            }
            out.push(b'}');
        }
    }
}

/// `value` as text; see [`write`].
#[must_use]
pub fn to_text(value: &Json) -> String {
    let mut out = Vec::new();
    write(value, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends `text` as a JSON string. `<`, `>`, `&` and non-ASCII letters stay as they are (contract 1.11).
pub fn write_str(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain_from..i]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            out.extend_from_slice(b"00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
        plain_from = i + 1;
    }
    out.extend_from_slice(&bytes[plain_from..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_pass_through_doubles() {
        let value = parse("[12345678901234567890,1e21,0.0000001,1.50,-0.5]").unwrap();
        assert_eq!(
            to_text(&value),
            "[12345678901234567000,1e+21,1e-7,1.5,-0.5]"
        );
    }

    #[test]
    fn duplicate_keys_and_bad_utf8_are_refused_and_trailing_text_is_not() {
        assert!(parse_first(br#"{"a":1,"a":2}"#).is_err());
        assert!(parse_first(b"\"\xff\"").is_err());
        assert!(parse_first(br#"{"a":1} tail"#).is_ok());
        assert!(parse(r#"{"a":1} tail"#).is_err());
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = "[".repeat(100_000);
        assert!(parse_first(deep.as_bytes()).is_err());
    }

    #[test]
    fn strings_escape_control_characters_only() {
        let mut out = Vec::new();
        write_str("a<b>&\u{2028}\"\\\n\u{1}", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"a<b>&\u{2028}\\\"\\\\\\n\\u0001\""
        );
    }
}
