//! One command inside its transaction: what it is to detection, to the clocks, to the world, and whether it was given
//! before.

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use upheld_agreement::clock::{self as terms_clock, Fact, FactKind, FactRefused};
use upheld_detection::incident::{Action, IncidentEffect, Who, act};
use upheld_model::{Digest, IncidentRef};
use upheld_outbound::EventKind;
use upheld_store::Tx;

use super::{CommandError, KEY_BYTES_MAX, KEY_KEPT};
use crate::{
    Actor, audit,
    book::CurrentBook,
    case::{
        self, Case, Deed, clocks, entry,
        messages::{self, Subject},
        promise::Promise,
    },
};

/// One command, taken apart.
#[derive(Default)]
pub(super) struct Ask {
    /// The audit's word.
    pub(super) verb: &'static str,
    /// When it took effect, if its giver said so; else it takes effect as it is given.
    pub(super) at: Option<Timestamp>,
    /// What it is to detection.
    pub(super) action: Option<Action>,
    /// What it is to the clocks.
    pub(super) fact: Option<FactKind>,
    /// What is told where detection has nothing to tell.
    pub(super) event: Option<EventKind>,
    /// In the author's words.
    pub(super) note: Option<String>,
}

impl Ask {
    pub(super) fn at(at: Timestamp) -> Self {
        Self { at: Some(at), ..Self::default() }
    }

    /// Whether this very command was carried out under this key before; notes it when not.
    pub(super) fn is_repeated(
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

    pub(super) fn carry_out(
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
                FactKind::TermsChanged { .. }
                | FactKind::Disputed { .. }
                | FactKind::DisputeSettled { .. }
                | FactKind::HandedOver { .. }
                | FactKind::ManufacturerAnswered { .. } => {
                    Err(state_error(case, "nothing is promised for it, so no agreement provides for this"))
                }
                FactKind::Opened
                | FactKind::Acknowledged
                | FactKind::Responded { .. }
                | FactKind::WorkedAround
                | FactKind::Restored
                | FactKind::Resolved
                | FactKind::Reopened
                | FactKind::Cancelled { .. }
                | FactKind::Updated { .. }
                | FactKind::VisitReported
                | FactKind::RestoreTested
                | FactKind::CauseSet { .. }
                | FactKind::Worked { .. } => Ok(()),
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
        | FactRefused::PhoneWithNobody
        | FactRefused::HasEnded { .. }
        | FactRefused::TermsOfAnother
        | FactRefused::NoVisit { .. }
        | FactRefused::NotDisputable { .. }
        | FactRefused::NoDisputes
        | FactRefused::DisputeTooLate { .. }
        | FactRefused::DisputedBefore { .. }
        | FactRefused::NotDisputed { .. }
        | FactRefused::NoReason
        | FactRefused::MaintenanceIsAgreed
        | FactRefused::NotTheManufacturer { .. }
        | FactRefused::NotHandedOver { .. }
        | FactRefused::NoWork
        | FactRefused::WorkNotDone { .. }) => state_error(case, &other.to_string()),
    }
}
