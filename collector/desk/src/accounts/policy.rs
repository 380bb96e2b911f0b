//! Which passwords are taken (NIST SP 800-63B-4, 3.1.1.2): long ones, of any characters, and none of the worst.

use upheld_model::text::is_hostile;

use super::{Login, PersonName};

/// The shortest, in characters: what the guideline asks of a password that is the only factor.
pub const CHARS_MIN: usize = 15;
/// The longest, in characters: enough for any sentence, and no work to speak of.
pub const CHARS_MAX: usize = 256;

/// What bad passwords are made of, beside the person's own names; digits and signs around them hide nothing.
const WORST: &[&str] = &[
    "abc",
    "abcdef",
    "abcdefgh",
    "abcdefghijklmno",
    "abcdefghijklmnop",
    "admin",
    "administrator",
    "asdf",
    "asdfgh",
    "asdfghjkl",
    "changeme",
    "changeit",
    "correcthorsebatterystaple",
    "default",
    "dragon",
    "football",
    "iloveyou",
    "letmein",
    "login",
    "master",
    "monkey",
    "pass",
    "passphrase",
    "passw0rd",
    "password",
    "passwort",
    "princess",
    "qazwsx",
    "qwert",
    "qwerty",
    "qwertyuiop",
    "qwertyuiopasdfgh",
    "qwertyuiopasdfghjkl",
    "qwertzuiop",
    "secret",
    "superman",
    "sunshine",
    "temporary",
    "test",
    "trustno1",
    "upheld",
    "user",
    "welcome",
];

/// A password as it was typed, in the one form in which it is hashed (NFKC, so that "é" is one letter however a keyboard
/// makes it). Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(String);

impl Password {
    /// What was typed, bounded; `None` for what is too long to have been taken.
    pub(crate) fn typed(text: &str) -> Option<Self> {
        // Bytes first: normalising a megabyte is work.
        if text.len() > 4 * CHARS_MAX {
            return None;
        }
        Some(Self(icu_normalizer::ComposingNormalizerBorrowed::new_nfkc().normalize(text).into_owned()))
    }

    /// The bytes that are hashed.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(REDACTED)")
    }
}

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error(
        "the password has {chars} characters, and at least {CHARS_MIN} are needed: four words of your own do, with or without spaces"
    )]
    TooShort {
        /// How many it has.
        chars: usize,
    },
    /// Too long.
    #[error("the password has more than {CHARS_MAX} characters: shorten it")]
    TooLong,
    /// A character that nobody types.
    #[error("the password has a character that is not seen, such as a line's end: type it again without")]
    Unseen,
    /// One of the first that anybody tries.
    #[error(
        "this is among the first passwords that anybody would try (a well-known one, your name, or a short piece repeated): take words of your own"
    )]
    Guessable,
    /// The two fields differ.
    #[error("the two fields differ: type the same password in both")]
    Differs,
}

/// The password, if it may be chosen by this person.
pub(crate) fn choose(text: &str, login: &Login, name: &PersonName) -> Result<Password, PasswordError> {
    let password = Password::typed(text).ok_or(PasswordError::TooLong)?;
    let chars = password.0.chars().count();
    if chars > CHARS_MAX {
        return Err(PasswordError::TooLong);
    }
    if chars < CHARS_MIN {
        return Err(PasswordError::TooShort { chars });
    }
    if password.0.chars().any(is_hostile) {
        return Err(PasswordError::Unseen);
    }
    if is_guessable(&password.0, login, name) { Err(PasswordError::Guessable) } else { Ok(password) }
}

fn is_guessable(password: &str, login: &Login, name: &PersonName) -> bool {
    let letters: Vec<char> = password.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    let core: String = letters.iter().collect();
    let core = core.trim_matches(|c: char| !c.is_alphabetic());
    let own = [login.as_str(), name.as_str(), login.as_str().split('@').next().unwrap_or_default()];
    let own = own.map(|text| text.to_lowercase().split_whitespace().collect::<String>());
    let is_own = |text: &str| own.iter().any(|own| !own.is_empty() && own == text);
    let whole: String = letters.iter().collect();
    is_own(&whole)
        || is_own(core)
        || is_counting(&whole)
        || repeated(core).is_some_and(|piece| is_bad(piece, &is_own))
        || repeated(&whole).is_some_and(|piece| is_bad(piece, &is_own))
        || is_bad_word(core)
}

fn is_bad(piece: &str, is_own: &impl Fn(&str) -> bool) -> bool {
    let core = piece.trim_matches(|c: char| !c.is_alphabetic());
    piece.chars().count() <= 6 || is_bad_word(core) || is_own(core)
}

/// Whether each digit follows the one before: up or down, round by the nought.
fn is_counting(text: &str) -> bool {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(10)).collect();
    let Some(digits) = digits else { return false };
    [1, 9].iter().any(|step| digits.windows(2).all(|pair| (pair[0] + step) % 10 == pair[1]))
}

fn is_bad_word(core: &str) -> bool {
    WORST.contains(&core)
}

/// The piece of which a text is several copies, the last of them perhaps cut.
fn repeated(text: &str) -> Option<&str> {
    let ends = text.char_indices().map(|(at, _)| at).skip(1);
    ends.take_while(|at| *at <= text.len() / 2).map(|at| text.split_at(at)).find_map(|(piece, rest)| {
        let cycled = piece.chars().cycle();
        rest.chars().zip(cycled).all(|(a, b)| a == b).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ones_of_any_characters_are_taken_and_the_worst_are_not() {
        use PasswordError::{Guessable, TooLong, TooShort, Unseen};
        for (text, expected) in [
            ("four words of mine", Ok(())),
            ("correct horse battery", Ok(())),
            ("žluťoučký kůň úpěl", Ok(())),
            ("パスワードは十五文字以上必要です", Ok(())),
            ("123 tall trees 456", Ok(())),
            ("83920174650912837465", Ok(())),
            ("987654321098765432", Err(Guessable)),
            ("x", Err(TooShort { chars: 1 })),
            ("fourteen chars", Err(TooShort { chars: 14 })),
            ("", Err(TooShort { chars: 0 })),
            ("aaaaaaaaaaaaaaaaaaaa", Err(Guessable)),
            ("abcabcabcabcabcab", Err(Guessable)),
            ("password12345678", Err(Guessable)),
            ("PasswordPassword", Err(Guessable)),
            ("Password1Password1", Err(Guessable)),
            ("123456789012345", Err(Guessable)),
            ("qwertyuiopasdfgh", Err(Guessable)),
            ("correct horse battery staple", Err(Guessable)),
            ("ana.ruiz@example.net", Err(Guessable)),
            ("Ana Maria Ruiz 2026", Err(Guessable)),
            ("ana.ruizana.ruiz", Err(Guessable)),
            ("...............", Err(Guessable)),
            ("four words\nof mine", Err(Unseen)),
            ("four words \u{202e}of mine", Err(Unseen)),
        ] {
            assert_eq!(chosen(text).map(drop), expected, "{text:?}");
        }
        assert_eq!(chosen(&"long words ".repeat(24)), Err(TooLong));
        assert_eq!(chosen(&"x".repeat(1 << 20)), Err(TooLong));
        assert!(chosen("a sentence of sixty-four characters or more is welcome, says NIST").is_ok());
    }

    #[test]
    fn a_letter_is_one_letter_however_a_keyboard_makes_it() {
        assert_eq!(chosen("caf\u{e9} au lait, deux"), chosen("cafe\u{301} au lait, deux"));
    }

    #[test]
    fn no_password_is_ever_printed() {
        let password = chosen("four words of mine").unwrap();
        assert_eq!(format!("{password:?}"), "Password(REDACTED)");
    }

    fn chosen(text: &str) -> Result<Password, PasswordError> {
        choose(text, &"ana.ruiz@example.net".parse().unwrap(), &"Ana Maria Ruiz".parse().unwrap())
    }
}
