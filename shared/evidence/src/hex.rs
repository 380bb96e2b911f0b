//! Bytes as lower-case hexadecimal text.

use std::fmt::Write as _;

/// A text that is not the hexadecimal form of so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} hexadecimal digits")]
pub struct HexError {
    /// How many were expected.
    pub digits: usize,
}

/// Two lower-case digits per byte.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Exactly `N` bytes from `2 * N` digits, of either case.
pub fn decode<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let wrong = HexError { digits: 2 * N };
    if text.len() != 2 * N {
        return Err(wrong);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0]).ok_or(wrong)? << 4 | digit(pair[1]).ok_or(wrong)?;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_their_text() {
        let bytes = [0x00, 0x0f, 0xa5, 0xff];
        assert_eq!(encode(&bytes), "000fa5ff");
        assert_eq!(decode::<4>("000Fa5ff"), Ok(bytes));
    }

    #[test]
    fn signs_blanks_and_wrong_lengths_are_refused() {
        for bad in ["", "000fa5f", "000fa5ff0", "+00fa5ff", " 00fa5ff", "000fa5fg", "é0é0"] {
            assert_eq!(decode::<4>(bad), Err(HexError { digits: 8 }), "{bad:?}");
        }
    }
}
