//! What people do to an incident. Each command appends a fact with its effective time, replays the clocks, writes
//! an audit entry and the messages that follow, in one transaction.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use upheld_agreement::{
    clock::{self as terms_clock, Fact, FactKind, FactRefused},
    words::{Manner, PauseReason},
};
use upheld_detection::incident::{Action, IncidentEffect, Resolution, Who, act};
use upheld_model::{Digest, IncidentRef};
use upheld_outbound::EventKind;
use upheld_store::{StoreError, Tx};

use crate::{
    Actor, Desk, DeskError, IncidentView, Scope, audit,
    book::CurrentBook,
    case::{
        self, Case, Deed, clocks, entry,
        messages::{self, Subject},
        promise::Promise,
    },
    clock, views,
};

/// How long a command's key is remembered.
pub const KEY_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 255;

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
        why: String,
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
    /// Takes the incident: acknowledges it and owns it. Satisfies `acknowledge` only (F12).
    pub async fn acknowledge(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        let ask = Ask {
            verb: "incident.acknowledged",
            action: Some(Action::Take),
            fact: Some(FactKind::Acknowledged),
            ..Ask::default()
        };
        self.carry_out(scope, incident, who, now, ask).await
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
        let Response { effective_at, manner, with_whom, note } = response;
        let manner: Manner = manner.parse().map_err(|_| CommandError::NotAllowed {
            what: "manner",
            given: manner.chars().take(80).collect(),
            allowed: Manner::ALL.iter().map(|manner| manner.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        let ask = Ask {
            verb: "incident.responded",
            action: Some(Action::Respond),
            fact: Some(FactKind::Responded { manner, with_whom: with_whom.map(short) }),
            note: note.map(short),
            ..Ask::at(effective_at)
        };
        self.carry_out(scope, incident, who, now, ask).await
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
        let not_a_name = |_| CommandError::NotAllowed {
            what: "reason to pause",
            given: reason.chars().take(80).collect(),
            allowed: "the reasons that the terms name in pause_for".to_owned(),
        };
        let reason: PauseReason = reason.parse().map_err(not_a_name)?;
        let note = short(note);
        let ask = Ask {
            verb: "clock.paused",
            fact: Some(FactKind::Paused { reason, note: Some(note) }),
            event: Some(EventKind::ClockPaused),
            ..Ask::at(effective_at)
        };
        self.carry_out(scope, incident, who, now, ask).await
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
        let ask = Ask {
            verb: "clock.resumed",
            fact: Some(FactKind::Resumed),
            event: Some(EventKind::ClockResumed),
            ..Ask::at(effective_at)
        };
        self.carry_out(scope, incident, who, now, ask).await
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
        let note = note.map(short).filter(|note| !note.trim().is_empty());
        let rests_on = if note.is_some() { Resolution::OnWord } else { Resolution::Measured };
        let ask = Ask {
            verb: "incident.resolved",
            action: Some(Action::Resolve(rests_on)),
            fact: Some(FactKind::Resolved),
            note,
            ..Ask::at(effective_at)
        };
        self.carry_out(scope, incident, who, now, ask).await
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
        let text = short(text);
        let ask = Ask { verb: "incident.noted", action: Some(Action::Note { text }), ..Ask::default() };
        self.carry_out(scope, incident, who, now, ask).await
    }

    async fn carry_out(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        who: &Actor,
        now: Timestamp,
        mut ask: Ask,
    ) -> Result<IncidentView, CommandError> {
        let now = clock::stored(now);
        ask.at = ask.at.map(clock::stored);
        if let Some(effective_at) = ask.at.filter(|at| *at > now) {
            let why = "it lies in the future";
            return Err(CommandError::Time { what: ask.verb, effective_at, why });
        }
        self.note_denial(scope, incident, now).await?;
        let once = self.once.clone();
        let (scope, incident, who, shared) = (scope.clone(), incident.clone(), who.clone(), Arc::clone(&self.shared));
        let view = self
            .store
            .write("desk.command", move |tx| {
                let book = shared.books.current(&*tx)?;
                let row = views::find(&*tx, &scope, &incident)?;
                let case = Case::open(&*tx, row)?;
                let is_repeated = match once {
                    Some(key) => ask.is_repeated(tx, &incident, &who, &key, now)?,
                    None => false,
                };
                let case = if is_repeated { case } else { ask.carry_out(tx, &book, case, &who, now)? };
                views::incident_view(&*tx, &book, &case, now).map_err(CommandError::from)
            })
            .await?;
        self.shared.wake.all();
        Ok(view)
    }
}

/// One command, taken apart.
#[derive(Default)]
struct Ask {
    /// The audit's word.
    verb: &'static str,
    /// When it took effect, if its giver said so; else it takes effect as it is given.
    at: Option<Timestamp>,
    /// What it is to detection.
    action: Option<Action>,
    /// What it is to the clocks.
    fact: Option<FactKind>,
    /// What is told where detection has nothing to tell.
    event: Option<EventKind>,
    /// In the author's words.
    note: Option<String>,
}

impl Ask {
    fn at(at: Timestamp) -> Self {
        Self { at: Some(at), ..Self::default() }
    }

    /// Whether this very command was carried out under this key before; notes it when not.
    fn is_repeated(
        &self,
        tx: &mut dyn Tx,
        incident: &IncidentRef,
        who: &Actor,
        key: &str,
        now: Timestamp,
    ) -> Result<bool, CommandError> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(CommandError::NotAllowed {
                what: "idempotency key",
                given: key.chars().take(80).collect(),
                allowed: format!("1 to {KEY_BYTES_MAX} bytes"),
            });
        }
        let asked = self.digest(incident);
        let who = who.id(tx)?;
        let since = now.saturating_sub(KEY_KEPT).unwrap_or(Timestamp::MIN);
        match tx.command(&who, key, since)? {
            Some(before) if before == asked => Ok(true),
            Some(_other) => Err(CommandError::KeyReused),
            None => {
                tx.forget_commands(since)?;
                tx.put_command(&who, key, &asked, now)?;
                Ok(false)
            }
        }
    }

    /// What is asked, in 32 bytes.
    fn digest(&self, incident: &IncidentRef) -> Digest {
        let action = self.action.as_ref().map(|action| format!("{action:?}"));
        let asked = json!([self.verb, incident, self.at, action, self.fact, self.note]);
        Digest(Sha256::digest(asked.to_string().as_bytes()).into())
    }

    fn carry_out(
        self,
        tx: &mut dyn Tx,
        book: &CurrentBook,
        case: Case,
        who: &Actor,
        now: Timestamp,
    ) -> Result<Case, CommandError> {
        let at = self.at.unwrap_or(now);
        self.admit(&case, who, at, now)?;
        let effect = self.ask_detection(tx, &case, who, at, now)?;
        if effect.is_none() && self.action.is_some() {
            // It was so already: taking what one has taken says nothing new.
            return Ok(case);
        }
        let detail = json!({ "incident": case.reference(), "effective_at": at });
        audit::note(tx, now, who, Some(&case.row.client), self.verb, &detail)?;
        let deed = Deed { fact: self.fact.clone(), who: who.clone(), note: self.note.clone() };
        match effect {
            Some(effect) => Ok(case::apply_as(tx, book, &effect, deed)?),
            // A pause is no business of detection's, and a fact all the same.
            None => self.append(tx, book, case, deed, at, now),
        }
    }

    fn append(
        &self,
        tx: &mut dyn Tx,
        book: &CurrentBook,
        mut case: Case,
        deed: Deed,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Case, CommandError> {
        case.append(tx, entry::Entry::new(at, now, None, deed))?;
        let replayed = clocks::replay(&case)?;
        if let Some(event) = self.event.filter(|_| case.incident.is_ticketed()) {
            messages::tell(tx, book, &case, &replayed, event, &Subject::Incident, at, now)?;
        }
        clocks::settle(tx, book, &case, &replayed, now)?;
        Ok(case)
    }

    /// What the terms say to the fact.
    fn admit(&self, case: &Case, who: &Actor, at: Timestamp, now: Timestamp) -> Result<(), CommandError> {
        if at < case.incident.started.not_before.unwrap_or(case.incident.started.not_after) {
            let why = "it lies before the incident began";
            return Err(CommandError::Time { what: self.verb, effective_at: at, why });
        }
        let Some(kind) = self.fact.clone() else { return Ok(()) };
        match &case.promise {
            Promise::Pinned(pinned) => {
                let number = case.ledger.len() as u64 + 1;
                let fact = Fact { number, effective_at: at, recorded_at: now, who: who.label(), kind };
                terms_clock::admit(&pinned.terms, &entry::facts(&case.ledger), &fact)
                    .map_err(|refused| fact_error(case, self.verb, refused))
            }
            Promise::None(_) | Promise::NotAsked => match kind {
                FactKind::Paused { .. } | FactKind::Resumed => {
                    Err(state_error(case, "nothing is promised for it, so there is no clock to pause"))
                }
                FactKind::Opened
                | FactKind::Acknowledged
                | FactKind::Responded { .. }
                | FactKind::WorkedAround
                | FactKind::Restored
                | FactKind::Resolved
                | FactKind::Reopened
                | FactKind::Cancelled { .. } => Ok(()),
            },
        }
    }

    /// What detection says to the action.
    fn ask_detection(
        &self,
        tx: &mut dyn Tx,
        case: &Case,
        who: &Actor,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<IncidentEffect>, CommandError> {
        let Some(action) = &self.action else { return Ok(None) };
        let by = Who::Person(who.id(tx)?);
        match act(&case.incident, action, &by, at, now) {
            Ok(effect) => Ok(effect),
            Err(refused) => Err(state_error(case, &refused.to_string())),
        }
    }
}

fn state_error(case: &Case, why: &str) -> CommandError {
    CommandError::State { state: case.incident.state.word().to_owned(), why: why.to_owned() }
}

fn fact_error(case: &Case, what: &'static str, refused: FactRefused) -> CommandError {
    match refused {
        FactRefused::InTheFuture { effective_at, .. } => {
            CommandError::Time { what, effective_at, why: "it lies in the future" }
        }
        FactRefused::PauseNotAllowed { reason, allowed } => {
            let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
            CommandError::NotAllowed {
                what: "reason to pause",
                given: reason.to_string(),
                allowed: if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") },
            }
        }
        other @ (FactRefused::NumberTaken { .. }
        | FactRefused::NobodySaysSo
        | FactRefused::NotPaused { .. }
        | FactRefused::NotEnded { .. }
        | FactRefused::PhoneWithNobody) => state_error(case, &other.to_string()),
    }
}

/// A person's words, bounded: a ledger is not a place for books.
fn short(text: String) -> String {
    const CHARS_MAX: usize = 2_000;
    if text.chars().count() <= CHARS_MAX { text } else { text.chars().take(CHARS_MAX).chain(['…']).collect() }
}
