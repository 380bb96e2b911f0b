//! Secrets that the book names but never contains (TERMS 1).

use std::fmt;

/// A secret in memory. It prints as `REDACTED`, by type.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the secret's bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one call that needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REDACTED")
    }
}

/// Where the provider keeps the secrets that its book names.
pub trait Secrets: Send + Sync {
    /// The secret of this name, as it is at this moment; `None` when it was never set.
    fn secret(&self, name: &str) -> Option<Secret>;
}
