//! Text that a device, a file or another host chose: hostile until shown otherwise (SECURITY 6).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The longest text that is kept, in characters, before escapes.
pub const CHARS_MAX: usize = 256;

/// Text from a device: at most [`CHARS_MAX`] characters, with control and bidirectional characters escaped as
/// `\u{..}`, so that it can neither move a cursor nor turn a line around. Escaping is done once, at the edge; a
/// value that is read back from a store or the wire passes through the same door and stays as it is.
///
/// ```
/// use upheld_model::DeviceText;
/// assert_eq!(DeviceText::new("NVR\u{1b}[2J\u{202e}x").as_str(), r"NVR\u{1b}[2J\u{202e}x");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeviceText(String);

impl DeviceText {
    /// Takes text from outside.
    pub fn new(raw: &str) -> Self {
        let mut clean = String::with_capacity(raw.len().min(CHARS_MAX));
        for c in raw.chars().take(CHARS_MAX) {
            if is_hostile(c) {
                clean.extend(c.escape_unicode());
            } else {
                clean.push(c);
            }
        }
        if raw.chars().nth(CHARS_MAX).is_some() {
            clean.push('…');
        }
        Self(clean)
    }

    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character could move a cursor or turn a line around, or is not seen at all.
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Display for DeviceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for DeviceText {
    fn from(raw: &str) -> Self {
        Self::new(raw)
    }
}

impl<'de> Deserialize<'de> for DeviceText {
    /// Accepts what [`DeviceText::new`] can have made (escapes may lengthen it up to tenfold) and escapes again
    /// whatever a lying sender left in.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = String::deserialize(deserializer)?;
        if raw.chars().count() <= 10 * CHARS_MAX && !raw.chars().any(is_hostile) {
            Ok(Self(raw))
        } else {
            Ok(Self::new(&raw))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_6_what_moves_a_cursor_or_turns_a_line_is_escaped_and_reads_back_as_it_is() {
        for (hostile, escaped) in
            [('\u{1b}', r"\u{1b}"), ('\n', r"\u{a}"), ('\u{202e}', r"\u{202e}"), ('\u{2066}', r"\u{2066}")]
        {
            let text = DeviceText::new(&format!("cam{hostile}era"));
            assert_eq!(text.as_str(), format!("cam{escaped}era"));
            let written = serde_json::to_string(&text).unwrap();
            assert_eq!(serde_json::from_str::<DeviceText>(&written).unwrap(), text);
        }
        let lie: DeviceText = serde_json::from_str("\"cam\\u202eera\"").unwrap();
        assert_eq!(lie.as_str(), r"cam\u{202e}era", "a sender that did not escape");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let text = DeviceText::new(&"x".repeat(300));
        assert_eq!(text.as_str().chars().count(), 257);
        assert!(text.as_str().ends_with('…'));
    }
}
