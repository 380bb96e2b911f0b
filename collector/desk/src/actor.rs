//! Who did something, and under which id that is written down.

use serde::{Deserialize, Serialize};
use upheld_store::{ReadTx, StoreError, Tx};

use crate::{DeskError, random};

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

const COLLECTOR: &str = "collector";
const TOKEN: &str = "token:";
const AGENT: &str = "agent:";

impl Actor {
    /// A person.
    pub fn person(name: impl Into<String>) -> Self {
        Self::Person(name.into())
    }

    /// The id that ledger and audit hold; a person's is made at his first deed.
    pub(crate) fn id(&self, tx: &mut dyn Tx) -> Result<String, DeskError> {
        match self {
            Self::Person(name) => match tx.person(name)? {
                Some(id) => Ok(id),
                None => {
                    let id = random::id("p-")?;
                    tx.insert_person(&id, name)?;
                    Ok(id)
                }
            },
            Self::Token(name) => Ok(format!("{TOKEN}{name}")),
            Self::Agent(id) => Ok(format!("{AGENT}{id}")),
            Self::Collector => Ok(COLLECTOR.to_owned()),
        }
    }

    /// Whoever is behind an id. An erased name shows as the id.
    pub(crate) fn of(tx: &dyn ReadTx, id: &str) -> Result<Self, StoreError> {
        if let Some(name) = id.strip_prefix(TOKEN) {
            return Ok(Self::Token(name.to_owned()));
        }
        if let Some(agent) = id.strip_prefix(AGENT) {
            return Ok(Self::Agent(agent.to_owned()));
        }
        if id == COLLECTOR {
            return Ok(Self::Collector);
        }
        Ok(Self::Person(tx.name_of(id)?.unwrap_or_else(|| id.to_owned())))
    }

    /// For people to read.
    pub fn label(&self) -> String {
        match self {
            Self::Person(name) => name.clone(),
            Self::Token(name) => format!("token {name}"),
            Self::Agent(id) => format!("agent {id}"),
            Self::Collector => COLLECTOR.to_owned(),
        }
    }
}
