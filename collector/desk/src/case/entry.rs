//! The ledger's entries: what detection changed, the fact that the agreement's clocks run on, or both in one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_agreement::clock::{CancelReason, Fact, FactKind};
use upheld_detection::incident::{Change, Incident, IncidentKey, IncidentState, Who};
use upheld_store::{ReadTx, Tx, incidents::IncidentRow, ledger::LedgerRow};

use super::{Deed, text};
use crate::{Actor, DeskError};

/// One entry, its author by name.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) ordinal: u32,
    pub(crate) effective_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
    pub(crate) who: Actor,
    pub(crate) said: Said,
}

/// What an entry says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Said {
    /// What changed in detection's eyes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Change>,
    /// The fact for the clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fact: Option<FactKind>,
    /// In the author's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// In which message it is told with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) told_in: Option<ToldIn>,
    /// The key under which a receiver was found to have its ticket, from before commits were lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) known_as: Option<IncidentKey>,
}

/// A message that tells several incidents at once (DETECTION 4.6, 4.9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub(crate) enum ToldIn {
    /// Of sites that fell silent together. The ticket is its own, the page is not.
    SilentTogether {
        /// How many sites.
        sites: usize,
        /// Of how many clients.
        clients: usize,
    },
    /// Of more incidents of one client than people can be told of one by one.
    Storm,
}

impl ToldIn {
    /// As the timeline says it.
    fn sentence(&self) -> String {
        match self {
            Self::SilentTogether { sites, clients: 1 } => {
                format!("{sites} sites of 1 client fell silent together; people are told in one message")
            }
            Self::Storm => {
                "more than 20 incidents of this client opened within 5 minutes; told with the others in one \
                            message, without a ticket of its own"
                    .to_owned()
            }
            Self::SilentTogether { sites, clients } => {
                format!("{sites} sites of {clients} clients fell silent together; people are told in one message")
            }
        }
    }
}

impl Entry {
    /// Says in which message it is told.
    pub(crate) fn told_in(told_in: ToldIn, now: Timestamp) -> Self {
        let deed = Deed { fact: None, who: Actor::Collector, note: Some(told_in.sentence()) };
        let entry = Self::new(now, now, None, deed);
        Self { said: Said { told_in: Some(told_in), ..entry.said }, ..entry }
    }

    /// Says by which key a ticket system knows it.
    pub(crate) fn known_as(key: IncidentKey, now: Timestamp) -> Self {
        let name = &key.to_string()[..16];
        let note = format!(
            "its ticket was opened before commits of the database were lost, as UPHELD-{name}; it goes on as that"
        );
        let entry = Self::new(now, now, None, Deed { fact: None, who: Actor::Collector, note: Some(note) });
        Self { said: Said { known_as: Some(key), ..entry.said }, ..entry }
    }

    /// An entry whose place is given when it is appended.
    pub(crate) fn new(effective_at: Timestamp, recorded_at: Timestamp, change: Option<Change>, deed: Deed) -> Self {
        let Deed { fact, who, note } = deed;
        Self {
            ordinal: 0,
            effective_at,
            recorded_at,
            who,
            said: Said { change, fact, note, told_in: None, known_as: None },
        }
    }

    /// The entry as the clocks read it.
    pub(crate) fn fact(&self) -> Option<Fact> {
        let kind = self.said.fact.clone()?;
        Some(Fact {
            number: u64::from(self.ordinal) + 1,
            effective_at: self.effective_at,
            recorded_at: self.recorded_at,
            who: self.who.label(),
            kind,
        })
    }

    pub(super) fn write(&self, tx: &mut dyn Tx, row: &IncidentRow) -> Result<(), DeskError> {
        let ledger_row = LedgerRow {
            ordinal: self.ordinal,
            effective_at: self.effective_at,
            recorded_at: self.recorded_at,
            kind: self.said.word().to_owned(),
            who: self.who.id(tx)?,
            body: text("ledger entry", &self.said)?,
        };
        Ok(tx.append_fact(&row.client, row.number, &ledger_row)?)
    }
}

/// Reads an incident's ledger in the order of recording.
pub(crate) fn read(tx: &dyn ReadTx, row: &IncidentRow) -> Result<Vec<Entry>, DeskError> {
    let mut entries = Vec::new();
    for LedgerRow { ordinal, effective_at, recorded_at, kind: _, who, body } in tx.ledger(&row.client, row.number)? {
        let said = serde_json::from_str(&body).map_err(|error| DeskError::unreadable("ledger entry", &error))?;
        entries.push(Entry { ordinal, effective_at, recorded_at, who: Actor::of(tx, &who)?, said });
    }
    Ok(entries)
}

/// The facts of a ledger.
pub(crate) fn facts(ledger: &[Entry]) -> Vec<Fact> {
    ledger.iter().filter_map(Entry::fact).collect()
}

impl Said {
    /// The entry's word on the timeline.
    pub(crate) fn word(&self) -> &'static str {
        match (&self.change, &self.fact) {
            (Some(change), _) => change_word(change),
            (None, Some(fact)) => fact.word(),
            (None, None) => "noted",
        }
    }
}

/// The word of a change on the timeline.
fn change_word(change: &Change) -> &'static str {
    match change {
        Change::CandidateNoted => "noticed",
        Change::Opened => "opened",
        Change::Passed => "passed",
        Change::SymptomAdded { .. } => "symptom added",
        Change::SymptomEnded { .. } => "symptom ended",
        Change::Restored => "restored",
        Change::Relapsed { .. } => "relapsed",
        Change::WatchExtended => "watch extended",
        Change::Resolved => "resolved",
        Change::Taken => "acknowledged",
        Change::Assigned { .. } => "assigned",
        Change::Responded => "responded",
        Change::Reported { .. } => "reported",
        Change::CauseSet { .. } => "cause set",
        Change::CarriesOn => "carries on",
        Change::Noted { .. } => "noted",
        Change::Reopened => "reopened",
        Change::Closed => "closed",
        Change::Merged => "merged",
        Change::Dismissed => "dismissed",
        Change::CauseFound { .. } => "cause found",
        Change::CauseProposed { .. } => "cause proposed",
        Change::Amended => "amended",
    }
}

/// The fact that a change of detection is for the clocks; `None` where it is none, or where the person's command
/// says it in full (a response and its manner).
pub(crate) fn fact_of(change: &Change) -> Option<FactKind> {
    match change {
        Change::Opened => Some(FactKind::Opened),
        Change::Taken | Change::Assigned { .. } => Some(FactKind::Acknowledged),
        Change::Restored => Some(FactKind::Restored),
        Change::Relapsed { .. } | Change::Reopened => Some(FactKind::Reopened),
        Change::Resolved => Some(FactKind::Resolved),
        Change::Merged => Some(FactKind::Cancelled { why: CancelReason::Merged }),
        Change::Dismissed => Some(FactKind::Cancelled { why: CancelReason::FalseAlarm }),
        Change::CandidateNoted
        | Change::Passed
        | Change::SymptomAdded { .. }
        | Change::SymptomEnded { .. }
        | Change::WatchExtended
        | Change::Responded
        | Change::Reported { .. }
        | Change::CauseSet { .. }
        | Change::CarriesOn
        | Change::Noted { .. }
        | Change::Closed
        | Change::CauseFound { .. }
        | Change::CauseProposed { .. }
        | Change::Amended => None,
    }
}

/// When a change takes effect. A resolution that the watch confirmed is as old as the restoration that it watched.
pub(crate) fn effective_at(incident: &Incident, change: &Change, due_at: Timestamp) -> Timestamp {
    let by_watch = match &incident.state {
        IncidentState::Resolved { by: Who::Rule(_), .. } => *change == Change::Resolved,
        IncidentState::Resolved { by: Who::Person(_), .. }
        | IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Watching { .. }
        | IncidentState::Closed { .. }
        | IncidentState::Merged { .. }
        | IncidentState::Dismissed { .. } => false,
    };
    match incident.restored {
        Some(restored) if by_watch => restored,
        Some(_) | None => due_at,
    }
}
