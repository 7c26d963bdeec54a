//! Values that must not reach a log.

use std::fmt;

/// Wraps a value whose `Debug` form hides it and which cannot be serialised by accident.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Takes `value` into hiding.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The hidden value: every use of this is a place to read twice.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
