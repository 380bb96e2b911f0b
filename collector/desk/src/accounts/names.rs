//! A person's name, and the one he logs in with: bounded, and free of what could pass one person off as another.

use std::{fmt, str::FromStr};

use upheld_model::text::is_hostile;

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 200;
/// The longest name to log in with, in characters: that of an address of mail (RFC 5321, 4.5.3.1.3).
pub const LOGIN_CHARS_MAX: usize = 254;

/// A person's name as ledger, pages and tickets show it.
///
/// ```
/// use upheld_desk::accounts::PersonName;
/// assert_eq!("  Ana   Ruiz ".parse::<PersonName>().unwrap().as_str(), "Ana Ruiz");
/// assert!("Ana\u{202e}ziuR".parse::<PersonName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a person logs in with: most often his address of mail. Upper and lower case are one name.
///
/// ```
/// use upheld_desk::accounts::Login;
/// let typed: Login = " Ana@Example.NET ".parse().unwrap();
/// assert_eq!(typed.as_str(), "ana@example.net");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Login(String);

impl Login {
    /// The folded name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as an address of mail, where it has the form of one.
    pub fn as_mail(&self) -> Option<&str> {
        let (local, host) = self.0.split_once('@')?;
        let is_address = !local.is_empty() && host.contains('.') && !host.contains('@') && !self.0.contains(' ');
        is_address.then_some(self.0.as_str())
    }
}

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but spaces.
    #[error("the {what} is empty: give one")]
    Empty {
        /// Which name.
        what: &'static str,
    },
    /// Too long.
    #[error("the {what} has {chars} characters, and at most {max} are kept: shorten it")]
    TooLong {
        /// Which name.
        what: &'static str,
        /// How many it has.
        chars: usize,
        /// How many it may have.
        max: usize,
    },
    /// A character that is not seen, turns the line around or moves a cursor.
    #[error("the {what} has a character that nobody sees or that turns the text around ({}): leave it out", .found.escape_unicode())]
    Hostile {
        /// Which name.
        what: &'static str,
        /// The character.
        found: char,
    },
}

impl FromStr for PersonName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        clean(text, "name", NAME_CHARS_MAX).map(Self)
    }
}

impl FromStr for Login {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        clean(&text.to_lowercase(), "log-in name", LOGIN_CHARS_MAX).map(Self)
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Without spaces at its ends, each run of them one.
fn clean(text: &str, what: &'static str, max: usize) -> Result<String, NameError> {
    let text = text.trim();
    let chars = text.chars().count();
    if chars > max {
        return Err(NameError::TooLong { what, chars, max });
    }
    if let Some(found) = text.chars().find(|c| is_hostile(*c)) {
        return Err(NameError::Hostile { what, found });
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { Err(NameError::Empty { what }) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_login_has_one_spelling() {
        let login = |text: &str| text.parse::<Login>().map(|login| login.to_string());
        assert_eq!(login("ANA@example.net"), login("  ana@EXAMPLE.net"));
        assert_eq!(login("Ana  Ruiz").unwrap(), "ana ruiz");
        assert_eq!(login("ÄNNE").unwrap(), "änne");
        assert_eq!(login(" \u{a0} "), Err(NameError::Empty { what: "log-in name" }));
    }

    #[test]
    fn only_what_has_the_form_of_an_address_is_one() {
        for (text, is_mail) in [
            ("ana@example.net", true),
            ("ana", false),
            ("@example.net", false),
            ("ana@localhost", false),
            ("a@b@example.net", false),
            ("ana ruiz@example.net", false),
        ] {
            assert_eq!(text.parse::<Login>().unwrap().as_mail().is_some(), is_mail, "{text}");
        }
    }

    #[test]
    fn what_is_too_long_or_not_seen_is_refused_with_what_to_do() {
        let long = "x".repeat(10_000).parse::<PersonName>().unwrap_err();
        assert_eq!(long.to_string(), "the name has 10000 characters, and at most 200 are kept: shorten it");
        for text in ["a\u{202e}b", "a\nb", "a\0b", "a\u{200b}b", "a\u{1b}[2Jb"] {
            let refused = text.parse::<PersonName>().unwrap_err();
            assert!(matches!(refused, NameError::Hostile { .. }), "{text:?}: {refused}");
            assert!(!refused.to_string().chars().any(is_hostile), "{refused}");
        }
        assert!("ا‎".parse::<Login>().is_err(), "a mark of direction is not seen");
        assert_eq!("אנה".parse::<PersonName>().unwrap().as_str(), "אנה", "letters of any script are letters");
    }
}
