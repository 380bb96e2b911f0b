//! Ids as types, so that a site never stands where a client is meant.
//!
//! Names that people choose (client, site, asset, check) are short slugs; numbers that machines choose (record,
//! epoch, digest) are written in hexadecimal, because JSON numbers above 2^53 do not survive every reader.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text breaks the rule for names people choose.
    #[error("{text:?} is not {what}: use 1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit")]
    Slug {
        /// Which id was expected, with its article.
        what: &'static str,
        /// The text as it was given, cut at 80 characters.
        text: String,
    },
    /// The text is not the fixed number of hexadecimal digits.
    #[error("{text:?} is not a {what}: expected {digits} hexadecimal digits")]
    Hex {
        /// Which id was expected.
        what: &'static str,
        /// How many digits it has.
        digits: usize,
        /// The text as it was given, cut at 80 characters.
        text: String,
    },
    /// The text is not `asset/check`, `INC-n` or `client/INC-n`.
    #[error("{text:?} is not {what}")]
    Form {
        /// The form that was expected, in words.
        what: &'static str,
        /// The text as it was given, cut at 80 characters.
        text: String,
    },
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

fn is_slug(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

macro_rules! slug_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_slug(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError::Slug { what: $what, text: cut(text) })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

slug_id!(
    /// A client of the provider: the folder name in the book, e.g. `northgate`.
    ClientId,
    "a client id"
);
slug_id!(
    /// A site of a client, unique within that client, e.g. `plant-2`.
    SiteId,
    "a site id"
);
slug_id!(
    /// An asset, unique within its site, e.g. `nvr-02`.
    AssetId,
    "an asset id"
);
slug_id!(
    /// The name of one check, unique within its asset; by default its kind, e.g. `net.tcp`.
    CheckName,
    "a check name"
);
slug_id!(
    /// An agent: given by the collector at enrolment, never chosen by the host (SECURITY 12).
    AgentId,
    "an agent id"
);

slug_id!(
    /// A secret of a site's probes, unique within that site, e.g. `nvr-web` (SECURITY 4). The name is no secret.
    SecretName,
    "the name of a secret"
);

/// One configured check of one asset, unique within its site; written `asset/check`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckId {
    /// The asset that is looked at.
    pub asset: AssetId,
    /// The check's own name.
    pub name: CheckName,
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.asset, self.name))
    }
}

impl FromStr for CheckId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (asset, name) = text
            .split_once('/')
            .ok_or_else(|| IdError::Form { what: "a check: write asset/check", text: cut(text) })?;
        Ok(Self { asset: asset.parse()?, name: name.parse()? })
    }
}

impl TryFrom<String> for CheckId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<CheckId> for String {
    fn from(id: CheckId) -> String {
        id.to_string()
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError::Hex { what: $what, digits: 2 * $bytes, text: cut(text) };
                if text.len() != 2 * $bytes || !text.is_ascii() {
                    return Err(wrong());
                }
                let mut bytes = [0; $bytes];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
                }
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

hex_id!(
    /// 128 bits from the kernel's generator that name one record (DELIVERY 1).
    RecordId, 16, "record id"
);
hex_id!(
    /// 128 random bits that name one drill (UX 3.2).
    DrillId, 16, "drill id"
);
hex_id!(
    /// The states of an agent's checks at one moment, named by the first 64 bits of a digest of them.
    PresentId, 8, "name of a present state"
);
hex_id!(
    /// A SHA-256 digest: of a record's content, of a chain, of resolved terms.
    Digest, 32, "SHA-256 digest"
);

impl Digest {
    /// Thirty-two zero bytes: the chain before an epoch's first record.
    pub const ZERO: Self = Self([0; 32]);
}

/// One life of an agent's journal: random, new at first start, after a fork, after a gap that cannot be filled.
/// Sixteen hexadecimal digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

impl FromStr for Epoch {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Hex { what: "journal epoch", digits: 16, text: cut(text) };
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for Epoch {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Epoch> for String {
    fn from(epoch: Epoch) -> String {
        epoch.to_string()
    }
}

/// A record's place in its epoch: 0, 1, 2, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A finding, named by what it is about and when it began: the same samples give the same name on every machine
/// and in every order of arrival. Written `asset/check@2026-11-16T16:10:07Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FindingId {
    /// The check that found it.
    pub check: CheckId,
    /// Its first bad sample.
    pub first_bad: crate::time::ObservedAt,
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.check, self.first_bad)
    }
}

/// A client's own count of its incidents, from 1; written `INC-2041`. Numbers are per client, so that one client's
/// numbers say nothing about another's (SECURITY 23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentNumber(pub u32);

impl fmt::Display for IncidentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INC-{}", self.0)
    }
}

impl FromStr for IncidentNumber {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Form { what: "an incident number: write INC-2041", text: cut(text) };
        let digits = text.strip_prefix("INC-").or_else(|| text.strip_prefix("inc-")).ok_or_else(wrong)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || digits.starts_with('0') {
            return Err(wrong());
        }
        digits.parse().map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for IncidentNumber {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<IncidentNumber> for String {
    fn from(number: IncidentNumber) -> String {
        number.to_string()
    }
}

/// An incident among all clients of a provider; written `northgate/INC-2041`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentRef {
    /// Whose incident it is.
    pub client: ClientId,
    /// Its number among that client's.
    pub number: IncidentNumber,
}

impl fmt::Display for IncidentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.client, self.number)
    }
}

impl FromStr for IncidentRef {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (client, number) = text
            .split_once('/')
            .ok_or_else(|| IdError::Form { what: "an incident: write client/INC-2041", text: cut(text) })?;
        Ok(Self { client: client.parse()?, number: number.parse()? })
    }
}

impl TryFrom<String> for IncidentRef {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<IncidentRef> for String {
    fn from(incident: IncidentRef) -> String {
        incident.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_short_plain_and_starts_with_a_letter_or_digit() {
        for good in ["northgate", "plant-2", "recorder.service", "CAM_111", "9"] {
            assert_eq!(good.parse::<AssetId>().unwrap().as_str(), good);
        }
        for bad in ["", "-x", "a b", "a/b", "ä", "../etc", &"x".repeat(65)] {
            assert!(bad.parse::<AssetId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_survive_their_text() {
        let check: CheckId = "nvr-02/rec.freshness".parse().unwrap();
        assert_eq!(check.to_string().parse::<CheckId>().unwrap(), check);
        let epoch = Epoch(0x00ab);
        assert_eq!(epoch.to_string(), "00000000000000ab");
        assert_eq!(epoch.to_string().parse::<Epoch>().unwrap(), epoch);
        let digest = Digest([7; 32]);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        let incident: IncidentRef = "northgate/INC-2041".parse().unwrap();
        assert_eq!(incident.to_string(), "northgate/INC-2041");
    }

    #[test]
    fn incident_numbers_have_one_spelling() {
        for bad in ["INC-", "INC-0", "INC-01", "INC-+1", "INC--1", "2041", "INC-99999999999"] {
            assert!(bad.parse::<IncidentNumber>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hexadecimal_ids_refuse_signs_and_wrong_lengths() {
        for bad in ["+0000000000000ab", "ab", "00000000000000zz", "é0000000000000"] {
            assert!(bad.parse::<Epoch>().is_err(), "{bad:?}");
        }
        assert!("é".repeat(16).parse::<RecordId>().is_err());
    }
}
