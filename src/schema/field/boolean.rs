//! `bool`: casting (contract 3.4).

use crate::kit::json::Json;

/// A few spellings of true and every number but zero; everything else is false.
pub(super) fn cast(submitted: &Json) -> bool {
    match submitted {
        Json::Bool(flag) => *flag,
        Json::Number(n) => n.as_f64().is_some_and(|n| n != 0.0),
        Json::String(text) => matches!(text.as_str(), "1" | "t" | "T" | "TRUE" | "true" | "True"),
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    }
}
