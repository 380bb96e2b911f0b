//! SNMP, as far as probes use it: values by OID, tables by walking them, and why an agent says nothing.
//!
//! [`Agent`] is all that a probe knows. The library stands behind it in one file (`snmp/client.rs`), because it is young.
//! Nothing is ever set. Whatever the other side does, a walk ends: after [`ROWS_MAX`] rows or [`BYTES_MAX`] bytes, when an
//! OID does not follow the one before, or with the check's time.

mod boot;
mod client;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod keep;

pub(crate) use boot::{BootMemory, Boots};
use client::Session;
pub(crate) use keep::{Asked, Sessions};

use std::{collections::BTreeMap, fmt};

use upheld_model::{DeviceText, UnknownReason, snmp::SnmpLogin};

use crate::{ProbeResult, deadline::Deadline};

/// The most rows of one walk: a chassis of many modules has some thousand interfaces.
const ROWS_MAX: usize = 4_096;
/// The most that the values of one walk may hold.
const BYTES_MAX: usize = 512 * 1024;

/// The name of an object, number by number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Oid(Vec<u32>);

impl Oid {
    /// The object beneath `base` at `index`.
    pub(crate) fn of(base: &[u32], index: &[u32]) -> Self {
        Self([base, index].concat())
    }

    /// What follows `base`; `None` when it is not beneath it.
    pub(crate) fn beneath(&self, base: &[u32]) -> Option<&[u32]> {
        self.0.strip_prefix(base)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an object holds. That it is not there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// An INTEGER.
    Integer(i64),
    /// A counter, a gauge, or hundredths of a second.
    Count(u64),
    /// An octet string, not yet known to be text.
    Octets(Vec<u8>),
    Oid(Oid),
}

/// What an agent told, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table(BTreeMap<Oid, Value>);

impl Table {
    pub(crate) fn insert(&mut self, oid: Oid, value: Value) {
        self.0.insert(oid, value);
    }

    /// Adds what was told later; of a name that comes twice the later stands.
    pub(crate) fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    fn get(&self, base: &[u32], index: &[u32]) -> Option<&Value> {
        self.0.get(&Oid::of(base, index))
    }

    /// A number, whatever type it has; some devices confuse them.
    pub(crate) fn number(&self, base: &[u32], index: &[u32]) -> Option<i64> {
        match self.get(base, index)? {
            Value::Integer(number) => Some(*number),
            Value::Count(number) => i64::try_from(*number).ok(),
            Value::Octets(_) | Value::Oid(_) => None,
        }
    }

    /// A counter; a negative number is none.
    pub(crate) fn count(&self, base: &[u32], index: &[u32]) -> Option<u64> {
        u64::try_from(self.number(base, index)?).ok()
    }

    /// A text, without blanks and without the zero that some devices end it with; `None` when there is nothing else.
    pub(crate) fn text(&self, base: &[u32], index: &[u32]) -> Option<String> {
        match self.get(base, index)? {
            Value::Octets(octets) => text(octets),
            Value::Integer(_) | Value::Count(_) | Value::Oid(_) => None,
        }
    }

    pub(crate) fn oid(&self, base: &[u32], index: &[u32]) -> Option<&Oid> {
        match self.get(base, index)? {
            Value::Oid(oid) => Some(oid),
            Value::Integer(_) | Value::Count(_) | Value::Octets(_) => None,
        }
    }

    /// The rows beneath `base`, each with its index.
    pub(crate) fn rows<'a>(&'a self, base: &'a [u32]) -> impl Iterator<Item = (&'a [u32], &'a Value)> {
        self.0.iter().filter_map(|(oid, value)| Some((oid.beneath(base)?, value)))
    }
}

/// An octet string as text.
pub(crate) fn text(octets: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(octets);
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!text.is_empty()).then(|| text.to_owned())
}

/// One SNMP agent, asked by one run of a check.
pub(crate) trait Agent {
    /// What these objects hold; those that are not there are left out.
    async fn get(&self, objects: &[Oid]) -> Result<Table, SnmpError>;

    /// Everything beneath `base`. A table of which rows came, and no end in time, is [`SnmpError::Unfinished`].
    async fn walk(&self, base: &[u32], deadline: Deadline) -> Result<Table, SnmpError>;
}

/// Why an agent tells nothing.
#[derive(Debug)]
pub(crate) enum SnmpError {
    /// Nothing came back in time.
    Silence,
    /// It knows no such user.
    User,
    /// It, or this host, could not verify a message: the password or the method of authentication.
    Authentication,
    /// It could not decrypt, or says nothing to what is encrypted: the password or the method of privacy.
    Privacy,
    /// It wants another level of security of this user.
    Level,
    /// It answered that this may not be read.
    Access,
    /// It answered with an error.
    Refused(String),
    /// It answered with what no agent says.
    Strange(String),
    /// It answered with a table whose end did not come in time.
    Unfinished,
    /// This host could not ask.
    Local(String),
}

impl SnmpError {
    /// Never bad: an agent that cannot be understood says nothing about what it watches. `at` is it in words.
    pub(crate) fn judge(&self, at: &str, login: &SnmpLogin) -> ProbeResult {
        let (who, user) = match login {
            SnmpLogin::Community { .. } => ("", ""),
            SnmpLogin::User { user, .. } => (" of the user ", user.as_str()),
        };
        let (reason, why) = match self {
            Self::Silence => (UnknownReason::Stale, format!("{at} does not answer: {}", silence(login))),
            Self::User => (UnknownReason::Credentials, format!("{at} knows no user {user}")),
            Self::Authentication => {
                let why = "is not taken: the password (auth_secret) or the method (auth) is another there";
                (UnknownReason::Credentials, format!("{at}: the authentication{who}{user} {why}"))
            }
            Self::Privacy => {
                let why = "is not taken: the password (privacy_secret) or the method (privacy) is another there";
                (UnknownReason::Credentials, format!("{at}: the encryption{who}{user} {why}"))
            }
            Self::Level => {
                let why = "lets this user in at another level of security than with authentication and privacy";
                (UnknownReason::Credentials, format!("{at} {why}: {user}"))
            }
            Self::Access => (UnknownReason::Credentials, format!("{at} does not let us read what this check asks for")),
            Self::Refused(what) => (UnknownReason::CannotProbe, format!("{at} answers with an error: {what}")),
            Self::Strange(what) => {
                (UnknownReason::CannotProbe, format!("{at} cannot be understood: {}", DeviceText::new(what)))
            }
            Self::Unfinished => {
                let why = format!("{at} answers, but the end of its table did not come in time");
                (UnknownReason::Stale, why)
            }
            Self::Local(what) => (UnknownReason::Local, format!("{at} could not be asked: {what}")),
        };
        ProbeResult::unknown(reason, why)
    }
}

/// An agent answers a wrong community with silence, and some a wrong user too.
fn silence(login: &SnmpLogin) -> String {
    let off = "it is off, cannot be reached or has SNMP switched off";
    match login {
        SnmpLogin::Community { community_secret: None } => format!(
            "{off}, or its community is not \"public\", which is asked with where the check has no community_secret (an agent answers a wrong community with silence)"
        ),
        SnmpLogin::Community { community_secret: Some(name) } => format!(
            "{off}, or the community in the secret {name} is wrong (an agent answers a wrong community with silence)"
        ),
        SnmpLogin::User { user, .. } => format!("{off}, or does not speak SNMPv3 with the user {user}"),
    }
}

#[cfg(test)]
mod tests;
