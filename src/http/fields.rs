//! The `fields` parameter: which keys of an answer the caller wants (contract 1.9).

use super::error::Fault;
use crate::call::Call;
use crate::kit::json::Json;

/// A compiled `fields` parameter.
#[derive(Debug)]
pub struct Picker(());

impl Picker {
    /// The picker of a call, when it asks for one.
    ///
    /// # Errors
    /// 400 when the parameter cannot be read.
    pub fn of(_call: &Call) -> Result<Option<Self>, Fault> {
        Ok(None)
    }

    /// Narrows an answer.
    pub fn pick(&self, _answer: &mut Json) {
        let () = self.0;
    }
}
