//! What people do to an incident. Each command appends a fact with its effective time, replays the clocks, writes
//! an audit entry and the messages that follow, in one transaction.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::IncidentRef;

use crate::{Actor, Desk, DeskError, IncidentView, Scope};

/// A response fact (F12): who answered, when, in what manner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// When it happened; it may lie before the record (a call logged afterwards), never after.
    pub effective_at: Timestamp,
    /// `remote`, `phone` or `on-site`; must be one that a target accepts to satisfy it.
    pub manner: String,
    /// With whom, for a call.
    #[serde(default)]
    pub with_whom: Option<String>,
    /// A note.
    #[serde(default)]
    pub note: Option<String>,
}

/// A pause (F4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// From when.
    pub effective_at: Timestamp,
    /// A reason that the terms allow.
    pub reason: String,
    /// A note.
    pub note: String,
}

/// Why a command was not carried out. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// The effective time lies after the record, or before the incident.
    #[error("{what} at {effective_at} cannot be: {why}")]
    Time {
        /// Which fact.
        what: &'static str,
        /// The time that was given.
        effective_at: Timestamp,
        /// Why not.
        why: &'static str,
    },
    /// A word that the terms do not know or do not allow.
    #[error("{what} {given:?} is not allowed here; allowed are: {allowed}")]
    NotAllowed {
        /// Which word.
        what: &'static str,
        /// As it was given.
        given: String,
        /// The allowed ones.
        allowed: String,
    },
    /// The incident's state does not take this command.
    #[error("the incident is {state}: {why}")]
    State {
        /// Its state.
        state: String,
        /// Why it does not.
        why: &'static str,
    },
    /// Looking up or storing failed.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

macro_rules! not_built {
    ($name:literal, $($arg:ident),+) => {{
        let _ = ($($arg),+);
        Err(DeskError::NotBuilt($name).into())
    }};
}

impl Desk {
    /// Takes the incident: acknowledges it and owns it. Satisfies `acknowledge` only (F12).
    pub async fn acknowledge(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        not_built!("acknowledge", scope, incident, who, now)
    }

    /// Records a response fact.
    pub async fn respond(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        response: Response,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        not_built!("respond", scope, incident, response, who, now)
    }

    /// Pauses the clocks whose targets allow the reason.
    pub async fn pause(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        pause: Pause,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        not_built!("pause", scope, incident, pause, who, now)
    }

    /// Ends the pause.
    pub async fn resume(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        effective_at: Timestamp,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        not_built!("resume", scope, incident, effective_at, who, now)
    }

    /// Resolves the incident: a person says that it is over.
    pub async fn resolve(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        effective_at: Timestamp,
        note: Option<String>,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        not_built!("resolve", scope, incident, effective_at, note, who, now)
    }

    /// Adds a note.
    pub async fn note(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        text: String,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        not_built!("note", scope, incident, text, who, now)
    }
}
