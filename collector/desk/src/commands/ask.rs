//! One command inside its transaction: what it is to detection, to the clocks, to the world, and whether it was given
//! before.

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use upheld_agreement::clock::{self as terms_clock, CancelReason, Fact, FactKind, FactRefused};
use upheld_detection::incident::{Action, IncidentEffect, Refused, Resolution, Who, act};
use upheld_model::{
    Digest, IncidentRef,
    mutant::{Rule, is_broken},
};
use upheld_outbound::EventKind;
use upheld_store::Tx;

use super::{Command, CommandError, Given, KEY_BYTES_MAX, agreed, lived, merge};
use crate::{
    Actor, audit,
    book::CurrentBook,
    case::{
        self, Case, Deed, clocks, entry,
        messages::{self, Subject},
        promise::Promise,
    },
    clock,
};

/// One command about one incident, by one giver.
pub(super) struct Ask<'a> {
    given: Given,
    who: &'a Actor,
    /// When it is given.
    now: Timestamp,
    /// When it takes effect.
    at: Timestamp,
}

impl<'a> Ask<'a> {
    /// The command as it is given.
    pub(super) fn new(given: Given, who: &'a Actor, now: Timestamp) -> Self {
        let at = given.at.map_or(now, clock::stored);
        Self { given, who, now, at }
    }

    /// Whether this very command was carried out under this key before; notes it when not.
    pub(super) fn is_repeated(&self, tx: &mut dyn Tx, incident: &IncidentRef, key: &str) -> Result<bool, CommandError> {
        // What takes effect as it is given is the same command a minute later.
        let at = self.given.at.map(|_| self.at);
        let asked = json!([self.verb(), incident, at, self.given.command, self.given.note]);
        is_repeated(tx, self.who, key, &asked, self.now)
    }

    /// Carries it out; one from the future is refused. A repetition may lie there: the clock may have been set back since.
    pub(super) fn carry_out(&self, tx: &mut dyn Tx, book: &CurrentBook, case: Case) -> Result<Case, CommandError> {
        if self.at > self.now {
            return Err(self.impossible("it lies in the future"));
        }
        if let Some(seen) = self.given.revision.filter(|seen| *seen != case.revision()) {
            return Err(CommandError::Stale { seen, stands: case.revision() });
        }
        if case.incident.is_drill() && self.given.command != Command::Note {
            return Err(state_error(&case, &Refused::Drill.to_string()));
        }
        let fact = self.fact(book, &case)?;
        self.admit(&case, fact.as_ref())?;
        let action = self.action(tx, &case)?;
        let effect = self.ask_detection(tx, &case, action.as_ref())?;
        if effect.is_none() && action.is_some() {
            // It was so already: taking what one has taken says nothing new.
            return Ok(case);
        }
        let detail = json!({ "incident": case.reference(), "effective_at": self.at });
        audit::note(tx, self.now, self.who, Some(&case.row.client), self.verb(), &detail)?;
        let deed = Deed { fact, who: self.who.clone(), note: self.note_beside() };
        let merged = case.incident.clone();
        let case = match effect {
            Some(effect) => case::apply_as(tx, book, &effect, deed)?,
            // A pause is no business of detection's, and a fact all the same.
            None => self.append(tx, book, case, deed)?,
        };
        if let Command::Merge { into } = &self.given.command {
            merge::carry_on(tx, book, &merged, &case, *into, self.who, self.now)?;
        }
        Ok(case)
    }

    fn append(&self, tx: &mut dyn Tx, book: &CurrentBook, mut case: Case, deed: Deed) -> Result<Case, CommandError> {
        case.append(tx, entry::Entry::new(self.at, self.now, None, deed))?;
        let replayed = clocks::replay(&case)?;
        if let Some(event) = self.event().filter(|_| case.incident.is_ticketed()) {
            let subject = match &self.given.note {
                Some(text) => Subject::Said { text: text.clone() },
                None => Subject::Incident,
            };
            messages::tell(tx, book, &case, &replayed, event, &subject, self.at, self.now)?;
        }
        clocks::settle(tx, book, &case, &replayed, self.now)?;
        Ok(case)
    }

    /// The audit's word.
    fn verb(&self) -> &'static str {
        match self.given.command {
            Command::Acknowledge => "incident.acknowledged",
            Command::Respond { .. } => "incident.responded",
            Command::Assign { .. } => "incident.assigned",
            Command::Pause { .. } => "clock.paused",
            Command::Resume => "clock.resumed",
            Command::Note => "incident.noted",
            Command::WorkedAround => "incident.worked-around",
            Command::Update => "incident.updated",
            Command::Resolve => "incident.resolved",
            Command::Close => "incident.closed",
            Command::Reopen => "incident.reopened",
            Command::Merge { .. } => "incident.merged",
            Command::Dismiss { .. } => "incident.dismissed",
            Command::SetCause { .. } => "incident.cause-set",
            Command::SetPriority { .. } => "incident.priority-set",
            Command::HandOver { .. } => "incident.handed-over",
            Command::ManufacturerAnswered { .. } => "incident.manufacturer-answered",
            Command::Expedite { .. } => "incident.expedited",
            Command::Dispute { .. } => "dispute.opened",
            Command::Settle { .. } => "dispute.settled",
            Command::VisitReported => "incident.visit-reported",
            Command::Work { .. } => "incident.worked",
        }
    }

    /// What is told where detection has nothing to tell.
    fn event(&self) -> Option<EventKind> {
        match self.given.command {
            Command::Pause { .. } => Some(EventKind::ClockPaused),
            Command::Resume => Some(EventKind::ClockResumed),
            Command::Update => Some(EventKind::IncidentUpdated),
            Command::Dispute { .. } => Some(EventKind::DisputeOpened),
            Command::Settle { .. } => Some(EventKind::DisputeSettled),
            Command::VisitReported => Some(EventKind::VisitReported),
            Command::Acknowledge
            | Command::Respond { .. }
            | Command::Assign { .. }
            | Command::Note
            | Command::WorkedAround
            | Command::Resolve
            | Command::Close
            | Command::Reopen
            | Command::Merge { .. }
            | Command::Dismiss { .. }
            | Command::SetCause { .. }
            | Command::HandOver { .. }
            | Command::ManufacturerAnswered { .. }
            | Command::SetPriority { .. }
            | Command::Expedite { .. }
            | Command::Work { .. } => None,
        }
    }

    /// What it is to the clocks.
    fn fact(&self, book: &CurrentBook, case: &Case) -> Result<Option<FactKind>, CommandError> {
        let note = self.given.note.clone();
        Ok(Some(match &self.given.command {
            Command::Acknowledge | Command::Assign { .. } => FactKind::Acknowledged,
            Command::Respond { manner, with_whom } => {
                FactKind::Responded { manner: *manner, with_whom: with_whom.clone() }
            }
            Command::Pause { reason } => FactKind::Paused { reason: reason.clone(), note },
            Command::Resume => FactKind::Resumed,
            Command::WorkedAround => FactKind::WorkedAround,
            Command::Update => FactKind::Updated { note },
            Command::Resolve => FactKind::Resolved,
            Command::Reopen => FactKind::Reopened,
            Command::Merge { .. } => FactKind::Cancelled { why: CancelReason::Merged },
            Command::Dismiss { reason } => FactKind::Cancelled { why: reason.cancels() },
            Command::SetCause { cause } => FactKind::CauseSet { cause: agreed::excluding(*cause), note },
            Command::SetPriority { priority } => agreed::reprioritised(book, case, *priority, self.who)?,
            Command::HandOver { maker, reference } => agreed::handed_over(case, maker.as_ref(), reference.as_ref())?,
            Command::ManufacturerAnswered { with_whom } => {
                FactKind::ManufacturerAnswered { with_whom: with_whom.clone() }
            }
            Command::Expedite { rider } => agreed::expedited(book, case, rider, self.at, self.who)?,
            Command::Dispute { item } => agreed::disputed(case, *item, note)?,
            Command::Settle { item, outcome } => agreed::settled(case, *item, *outcome)?,
            Command::VisitReported => FactKind::VisitReported,
            Command::Work { worker, manner, from, to, corrects } => FactKind::Worked {
                worker: worker.clone(),
                manner: *manner,
                from: *from,
                to: *to,
                role: None,
                corrects: *corrects,
            },
            Command::Note | Command::Close => return Ok(None),
        }))
    }

    /// The giver's words where the fact does not hold them itself.
    fn note_beside(&self) -> Option<String> {
        match self.given.command {
            Command::Pause { .. }
            | Command::Update
            | Command::SetCause { .. }
            | Command::Dispute { .. }
            | Command::Note => None,
            Command::Acknowledge
            | Command::Respond { .. }
            | Command::Assign { .. }
            | Command::Resume
            | Command::WorkedAround
            | Command::Resolve
            | Command::Close
            | Command::Reopen
            | Command::Merge { .. }
            | Command::Dismiss { .. }
            | Command::SetPriority { .. }
            | Command::HandOver { .. }
            | Command::ManufacturerAnswered { .. }
            | Command::Expedite { .. }
            | Command::Settle { .. }
            | Command::VisitReported
            | Command::Work { .. } => self.given.note.clone(),
        }
    }

    /// What it is to detection.
    fn action(&self, tx: &mut dyn Tx, case: &Case) -> Result<Option<Action>, CommandError> {
        let note = self.given.note.clone();
        Ok(Some(match &self.given.command {
            Command::Acknowledge => Action::Take,
            Command::Respond { .. } => Action::Respond,
            Command::Assign { to } => Action::Assign { to: Who::Person(Actor::person(to).id(tx)?) },
            // While something in it still fails, that is his word against the measurement, and the note says on what
            // it rests.
            Command::Resolve => Action::Resolve(if note.is_some() { Resolution::OnWord } else { Resolution::Measured }),
            Command::Close => Action::Close,
            Command::Reopen => {
                merge::refuse_a_second(tx, case)?;
                Action::Reopen
            }
            Command::Merge { into } => Action::Merge { into: merge::target(tx, case, *into)? },
            Command::Dismiss { reason } => Action::Dismiss { reason: reason.as_str().to_owned() },
            Command::SetCause { cause } => Action::SetCause { cause: *cause },
            Command::Note => Action::Note { text: note.unwrap_or_default() },
            Command::Pause { .. }
            | Command::Resume
            | Command::WorkedAround
            | Command::Update
            | Command::SetPriority { .. }
            | Command::HandOver { .. }
            | Command::ManufacturerAnswered { .. }
            | Command::Expedite { .. }
            | Command::Dispute { .. }
            | Command::Settle { .. }
            | Command::VisitReported
            | Command::Work { .. } => return Ok(None),
        }))
    }

    /// What the terms say to the fact.
    fn admit(&self, case: &Case, fact: Option<&FactKind>) -> Result<(), CommandError> {
        if self.at < case.incident.started.not_before.unwrap_or(case.incident.started.not_after) {
            return Err(self.impossible("it lies before the incident began"));
        }
        let Some(kind) = fact.cloned() else { return Ok(()) };
        match &case.promise {
            Promise::Pinned(pinned) => {
                let number = case.ledger.len() as u64 + 1;
                let (effective_at, recorded_at) = (self.at, self.now);
                let fact = Fact { number, effective_at, recorded_at, who: self.who.label(), kind };
                terms_clock::admit(&pinned.terms, &entry::facts(&case.ledger), &fact)
                    .map_err(|refused| self.fact_error(case, refused))
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
        action: Option<&Action>,
    ) -> Result<Option<IncidentEffect>, CommandError> {
        let Some(action) = action else { return Ok(None) };
        let by = Who::Person(self.who.id(tx)?);
        match act(&case.incident, action, &by, self.at, self.now) {
            Ok(effect) => Ok(effect),
            Err(refused) => Err(state_error(case, &refused.to_string())),
        }
    }

    fn impossible(&self, why: &'static str) -> CommandError {
        CommandError::Time { what: self.verb(), effective_at: self.at, why }
    }

    fn fact_error(&self, case: &Case, refused: FactRefused) -> CommandError {
        match refused {
            FactRefused::InTheFuture { .. } => self.impossible("it lies in the future"),
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
}

/// Whether this very thing was asked under this key before by the same person; notes it when not.
pub(super) fn is_repeated(
    tx: &mut dyn Tx,
    who: &Actor,
    key: &str,
    asked: &serde_json::Value,
    now: Timestamp,
) -> Result<bool, CommandError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(CommandError::NotAllowed {
            what: "idempotency key",
            given: key.chars().take(80).collect(),
            allowed: format!("1 to {KEY_BYTES_MAX} bytes"),
        });
    }
    let asked = Digest(Sha256::digest(asked.to_string().as_bytes()).into());
    let who = who.id(tx)?;
    let shown = lived::shown(tx, now)?;
    match tx.command(&who, key, lived::kept_since(shown))? {
        Some(before) if before == asked => Ok(!is_broken(Rule::CommandIsOnce)),
        Some(_other) => Err(CommandError::KeyReused),
        None => {
            tx.put_command(&who, key, &asked, shown)?;
            Ok(false)
        }
    }
}

pub(super) fn state_error(case: &Case, why: &str) -> CommandError {
    CommandError::State { state: case.incident.state.word().to_owned(), why: why.to_owned() }
}
