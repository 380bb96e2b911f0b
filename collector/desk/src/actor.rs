//! Who did something.

use serde::{Deserialize, Serialize};

/// Who gives a command. Names of people are kept in one table; ledger and audit hold only the id that the store
/// gave the name (SECURITY 40).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", content = "name", rename_all = "kebab-case")]
pub enum Actor {
    /// A person, by the name he signed in with (or the operating system's, on the command line).
    Person(String),
    /// An API token, by its name.
    Token(String),
    /// An agent, by its id.
    Agent(String),
    /// The collector itself.
    Collector,
}

impl Actor {
    /// A person.
    pub fn person(name: impl Into<String>) -> Self {
        Self::Person(name.into())
    }
}
