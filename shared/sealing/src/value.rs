//! What may be a secret: the same at the site and at the provider.

/// The longest secret, in bytes.
pub const VALUE_BYTES_MAX: usize = 4096;

/// Why a text is not taken as a secret. It holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// There is none.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it has more than {VALUE_BYTES_MAX} bytes")]
    TooLong,
    /// It holds a control character: a second line, a zero byte.
    #[error("it holds a control character or a second line")]
    Control,
}

/// Refuses what no device takes as a password, user's key or token.
pub fn check_value(text: &str) -> Result<(), ValueError> {
    if text.is_empty() {
        Err(ValueError::Empty)
    } else if text.len() > VALUE_BYTES_MAX {
        Err(ValueError::TooLong)
    } else if text.chars().any(char::is_control) {
        Err(ValueError::Control)
    } else {
        Ok(())
    }
}
