//! What people do to an incident. Each command appends a fact with its effective time, replays the clocks, writes
//! an audit entry and the messages that follow, in one transaction.

mod agreed;
mod ask;
mod command;
mod lived;
mod merge;
mod report;
pub(crate) mod work;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upheld_agreement::words::Manner;
use upheld_model::IncidentRef;
use upheld_store::StoreError;

use crate::{
    Actor, Desk, DeskError, IncidentView, Role, Scope, SignedIn,
    case::Case,
    clock,
    roles::{Action, allowed},
    views,
};
use ask::Ask;

pub(crate) use agreed::{disputable, open_disputes, standing};
pub use command::{Command, DismissReason, Given, Words};
pub(crate) use lived::Lived;
pub use report::ProblemReport;

/// How long a command's key is remembered, in time that a collector has lived: no step of a clock forgets it.
pub const KEY_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// How often that time is put forward.
const LIVED_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// A response fact (F12): who answered, when, in what manner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// When it happened: as it is recorded when absent; it may lie before that (a call logged afterwards), never after.
    #[serde(default)]
    pub effective_at: Option<Timestamp>,
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
        why: String,
    },
    /// A field that the command needs was not given.
    #[error("it needs {field}: {allowed}")]
    Missing {
        /// Which.
        field: &'static str,
        /// What may be given.
        allowed: String,
    },
    /// Something happened since its giver looked; what he saw may not be so any more.
    #[error("it has changed since: you saw revision {seen}, it is at {stands}; look again and repeat")]
    Stale {
        /// The revision that was seen.
        seen: u64,
        /// The one that stands.
        stands: u64,
    },
    /// The giver's role may not ([`crate::roles`]), or his token may only look.
    #[error("a {role} may not {command} here; {} may", allowed(Action::Give(command)).iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", "))]
    Role {
        /// His role.
        role: Role,
        /// The command's name.
        command: &'static str,
    },
    /// The key stands for another command of the same giver's.
    #[error("this idempotency key was used for another command within the last 24 h: take a new key")]
    KeyReused,
    /// Looking up or storing failed.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Desk(error.into())
    }
}

impl Desk {
    /// Carries out one command for the host's command line, where all of the provider's may be done; in the scope of a
    /// client what his owner may.
    pub async fn give(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        given: Given,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        self.give_as(&SignedIn::of_host(who.clone(), scope.clone()), incident, given, now).await
    }

    /// Carries out one command, if its giver's role may. The same is said again by nobody: what was so already stays as
    /// it was. Whether the incident is there comes before who may: another client's is as one that does not exist.
    pub async fn give_as(
        &self,
        by: &SignedIn,
        incident: &IncidentRef,
        given: Given,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        let now = clock::stored(now);
        self.note_denial(&by.scope, incident, &by.actor, now).await?;
        let once = self.once.clone();
        let (by, incident, shared) = (by.clone(), incident.clone(), Arc::clone(&self.shared));
        let view = self
            .store
            .write("desk.command", move |tx| {
                let book = shared.books.current(&*tx)?;
                let row = views::find(&*tx, &by.scope, &incident)?;
                let command = given.command.name();
                if !by.may(Action::Give(command)) {
                    return Err(CommandError::Role { role: by.role, command });
                }
                let ask = Ask::new(given, &by.actor, now);
                let case = Case::open(&*tx, row)?;
                let is_repeated = match once {
                    Some(key) => ask.is_repeated(tx, &incident, &key)?,
                    None => false,
                };
                let case = if is_repeated { case } else { ask.carry_out(tx, &book, case)? };
                views::incident_view(&*tx, &book, &case, now).map_err(CommandError::from)
            })
            .await?;
        self.shared.wake.all();
        Ok(view)
    }

    /// Takes the incident: acknowledges it and owns it. Satisfies `acknowledge` only (F12).
    pub async fn acknowledge(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        self.give(scope, incident, Given::now(Command::Acknowledge), who, now).await
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
        let Response { effective_at: at, manner, with_whom, note } = response;
        let manner: Manner = manner.parse().map_err(|_| CommandError::NotAllowed {
            what: "manner",
            given: manner.chars().take(80).collect(),
            allowed: Manner::ALL.iter().map(|manner| manner.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        let command = Command::Respond { manner, with_whom: with_whom.as_deref().map(words) };
        let given = Given { at, note: note.as_deref().map(words), ..Given::now(command) };
        self.give(scope, incident, given, who, now).await
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
        let Pause { effective_at, reason, note } = pause;
        let reason = reason.parse().map_err(|_| CommandError::NotAllowed {
            what: "reason to pause",
            given: reason.chars().take(80).collect(),
            allowed: "the reasons that the terms name in pause_for".to_owned(),
        })?;
        let given = Given { at: Some(effective_at), note: Some(words(&note)), ..Given::now(Command::Pause { reason }) };
        self.give(scope, incident, given, who, now).await
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
        let given = Given { at: Some(effective_at), ..Given::now(Command::Resume) };
        self.give(scope, incident, given, who, now).await
    }

    /// Resolves the incident: a person says that it is over. While something in it still fails, that is his word
    /// against the measurement and the note must say on what it rests.
    pub async fn resolve(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        effective_at: Timestamp,
        note: Option<String>,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        let note = note.as_deref().map(words).filter(|note| !note.is_empty());
        let given = Given { at: Some(effective_at), note, ..Given::now(Command::Resolve) };
        self.give(scope, incident, given, who, now).await
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
        let given = Given { note: Some(words(&text)), ..Given::now(Command::Note) };
        self.give(scope, incident, given, who, now).await
    }
}

/// A person's words as they are kept: without control and bidirectional characters, which could move a cursor or turn a
/// line around, trimmed, and bounded, because a ledger is not a place for books.
pub(crate) fn words(text: &str) -> String {
    const CHARS_MAX: usize = 2_000;
    let mut clean = String::new();
    for c in text.trim().chars().take(CHARS_MAX) {
        match c {
            '\n' | '\r' | '\t' => clean.push(' '),
            _ if upheld_model::text::is_hostile(c) => clean.extend(c.escape_unicode()),
            _ => clean.push(c),
        }
    }
    if text.trim().chars().nth(CHARS_MAX).is_some() {
        clean.push('…');
    }
    clean
}
