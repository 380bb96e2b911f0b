//! One incident's file: its row, its ledger, its terms, its clocks, and who is told.
//!
//! [`apply`] stores what detection decided; [`Case::append`] stores a fact that changes no state of detection's. Both
//! end the same way: the clocks are replayed from the ledger, what fell due or turned out wrong is announced or
//! withdrawn by name, and the messages lie in the outbox, all in the caller's transaction.

pub(crate) mod clocks;
pub(crate) mod entry;
pub(crate) mod messages;
pub(crate) mod promise;
pub(crate) mod storm;

use jiff::Timestamp;
use upheld_agreement::clock::{CancelReason, FactKind};
use upheld_detection::incident::{self, Change, Incident, IncidentEffect, IncidentKey};
use upheld_model::IncidentRef;
use upheld_store::{ReadTx, Tx, incidents::IncidentRow};

use crate::{Actor, DeskError, book::CurrentBook};
use entry::{Entry, ToldIn};
use messages::SilentTogether;
use promise::Promise;

/// One incident's file, read.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) row: IncidentRow,
    pub(crate) incident: Incident,
    pub(crate) promise: Promise,
    pub(crate) ledger: Vec<Entry>,
}

/// Reads the incident in a row.
pub(crate) fn read_incident(row: &IncidentRow) -> Result<Incident, DeskError> {
    serde_json::from_str(&row.body).map_err(|error| DeskError::unreadable("incident", &error))
}

/// Stores one effect of detection, and all that follows from it.
pub(crate) fn apply(tx: &mut dyn Tx, book: &CurrentBook, effect: &IncidentEffect) -> Result<Case, DeskError> {
    let fact = if effect.incident.is_drill() && effect.change == Change::Resolved {
        // Its clocks come to nothing: they were promised for nothing that failed.
        Some(FactKind::Cancelled { why: CancelReason::Drill })
    } else {
        entry::fact_of(&effect.change)
    };
    apply_as(tx, book, effect, Deed { fact, who: Actor::Collector, note: None })
}

/// What came with an effect of detection, where a person asked for it.
pub(crate) struct Deed {
    /// The fact for the agreement's ledger.
    pub(crate) fact: Option<FactKind>,
    /// Who asked for it.
    pub(crate) who: Actor,
    /// A note.
    pub(crate) note: Option<String>,
}

/// Stores one effect of detection about a silence that is told with those of other sites: it has a ticket of its own,
/// and one message for all of them disturbs people.
pub(crate) fn apply_together(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    effect: &IncidentEffect,
    group: &SilentTogether,
) -> Result<(), DeskError> {
    let fact = entry::fact_of(&effect.change);
    let deed = Deed { fact, who: Actor::Collector, note: None };
    let told = ToldIn::SilentTogether { sites: group.together.sites, clients: group.together.clients };
    let case = apply_told(tx, book, effect, deed, Some(told))?;
    messages::tell_together(tx, book, &case, group, effect.due_at, effect.noticed_at)
}

/// Stores one effect that a person brought about.
pub(crate) fn apply_as(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    effect: &IncidentEffect,
    deed: Deed,
) -> Result<Case, DeskError> {
    apply_told(tx, book, effect, deed, None)
}

fn apply_told(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    effect: &IncidentEffect,
    deed: Deed,
    told: Option<ToldIn>,
) -> Result<Case, DeskError> {
    let IncidentEffect { incident, change, desk, due_at, noticed_at } = effect;
    let mut case = match tx.incident_by_key(&incident.client, &incident.key.0)? {
        Some(row) => Case::open(&*tx, row)?,
        None => Case::begin(tx, incident, *noticed_at)?,
    };
    case.incident = incident.clone();
    case.promise.follow(&*tx, book, incident, desk)?;
    case.save(tx, *noticed_at)?;
    for finding in incident.symptoms.keys() {
        tx.assign_finding(&incident.client, &incident.site, finding, case.row.number)?;
    }
    let effective_at = entry::effective_at(incident, change, *due_at);
    let entry = Entry::new(effective_at, *noticed_at, Some(change.clone()), deed);
    case.append(tx, entry)?;
    let begins = matches!(desk, incident::Desk::Begins { .. }) && incident.is_ticketed() && !incident.is_drill();
    let told = if begins && storm::brakes(&*tx, &case)? { Some(ToldIn::Storm) } else { told };
    if let Some(told) = told
        && case.told_in().is_none()
    {
        case.append(tx, Entry::told_in(told, *noticed_at))?;
    }
    if adds_symptoms(change)
        && let Some(fact) = case.promise.raised(book, incident, &case.ledger)?
    {
        let deed = Deed { fact: Some(fact), who: Actor::Collector, note: None };
        case.append(tx, Entry::new(*noticed_at, *noticed_at, None, deed))?;
    }
    case.announce(tx, book, change, *desk, effective_at, *noticed_at)?;
    Ok(case)
}

impl Case {
    /// Reads a whole file.
    pub(crate) fn open(tx: &dyn ReadTx, row: IncidentRow) -> Result<Self, DeskError> {
        let incident = read_incident(&row)?;
        let promise = Promise::of(&row)?;
        let ledger = entry::read(tx, &row)?;
        Ok(Self { row, incident, promise, ledger })
    }

    fn begin(tx: &mut dyn Tx, incident: &Incident, now: Timestamp) -> Result<Self, DeskError> {
        let promise = Promise::NotAsked;
        let row = IncidentRow {
            client: incident.client.clone(),
            number: tx.next_number(&incident.client)?,
            site: incident.site.clone(),
            incident_key: incident.key.0,
            dedup: incident.dedup.as_str().to_owned(),
            state: incident.state.word().to_owned(),
            opened_at: incident.opened.unwrap_or(now),
            over_at: (!incident.is_open()).then_some(now),
            next_deadline: incident.next_deadline(),
            revision: 0,
            body: text("incident", incident)?,
            terms: None,
            refusal: None,
        };
        tx.insert_incident(&row)?;
        Ok(Self { row, incident: incident.clone(), promise, ledger: Vec::new() })
    }

    /// How people name it.
    pub(crate) fn reference(&self) -> IncidentRef {
        IncidentRef { client: self.row.client.clone(), number: self.row.number }
    }

    /// Writes the row from the incident as it stands.
    fn save(&mut self, tx: &mut dyn Tx, now: Timestamp) -> Result<(), DeskError> {
        let incident = &self.incident;
        self.row.state = incident.state.word().to_owned();
        self.row.dedup = incident.dedup.as_str().to_owned();
        self.row.opened_at = incident.opened.unwrap_or(self.row.opened_at);
        self.row.over_at = if incident.is_open() { None } else { Some(self.row.over_at.unwrap_or(now)) };
        self.row.next_deadline = incident.next_deadline();
        self.row.body = text("incident", incident)?;
        (self.row.terms, self.row.refusal) = self.promise.columns()?;
        if !tx.update_incident(&self.row)? {
            return Err(DeskError::Overtaken("the incident"));
        }
        self.row.revision += 1;
        Ok(())
    }

    /// How often something happened to it: what a command was given against.
    pub(crate) fn revision(&self) -> u64 {
        self.ledger.len() as u64
    }

    /// The message in which it is told with others; `None`: it is told by itself.
    pub(crate) fn told_in(&self) -> Option<&ToldIn> {
        self.ledger.iter().find_map(|entry| entry.said.told_in.as_ref())
    }

    /// The key by which a ticket system knows it, where that is another one than its own.
    pub(crate) fn known_as(&self) -> Option<IncidentKey> {
        self.ledger.iter().find_map(|entry| entry.said.known_as)
    }

    /// Whether the manufacturer has it too, and has not answered since.
    pub(crate) fn was_handed_over(&self) -> bool {
        let mut facts = self.ledger.iter().rev().filter_map(|entry| entry.said.fact.as_ref());
        let last =
            facts.find(|fact| matches!(fact, FactKind::HandedOver { .. } | FactKind::ManufacturerAnswered { .. }));
        matches!(last, Some(FactKind::HandedOver { .. }))
    }

    /// Notes that a person says he called about it before it was received: what is measured from the report counts
    /// from there (F11). A later call moves nothing.
    pub(crate) fn reported_before(
        &mut self,
        tx: &mut dyn Tx,
        book: &CurrentBook,
        called_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), DeskError> {
        let Promise::Pinned(pinned) = &mut self.promise else { return Ok(()) };
        if called_at >= pinned.start.reported.unwrap_or(pinned.start.received) {
            return Ok(());
        }
        pinned.start.reported = Some(called_at);
        self.save(tx, now)?;
        let replayed = clocks::replay(self)?;
        clocks::settle(tx, book, self, &replayed, now)
    }

    /// Stores terms that an amendment of the book has changed, with a note of it, and replays the clocks.
    pub(crate) fn amended(
        &mut self,
        tx: &mut dyn Tx,
        book: &CurrentBook,
        note: String,
        who: Actor,
        now: Timestamp,
    ) -> Result<(), DeskError> {
        self.save(tx, now)?;
        self.append(tx, Entry::new(now, now, None, Deed { fact: None, who, note: Some(note) }))?;
        let clocks = clocks::replay(self)?;
        clocks::settle(tx, book, self, &clocks, now)
    }

    /// Appends an entry to the ledger.
    pub(crate) fn append(&mut self, tx: &mut dyn Tx, mut entry: Entry) -> Result<(), DeskError> {
        entry.ordinal = u32::try_from(self.ledger.len()).unwrap_or(u32::MAX);
        entry.write(tx, &self.row)?;
        self.ledger.push(entry);
        Ok(())
    }

    /// Replays the clocks and puts into the outbox what this change tells.
    fn announce(
        &self,
        tx: &mut dyn Tx,
        book: &CurrentBook,
        change: &Change,
        desk: incident::Desk,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), DeskError> {
        let clocks = clocks::replay(self)?;
        if let Some(event) = messages::event_of(change, desk)
            && self.incident.is_ticketed()
        {
            messages::tell(tx, book, self, &clocks, event, &messages::Subject::Incident, at, now)?;
        }
        clocks::settle(tx, book, self, &clocks, now)
    }
}

/// Whether more may fail in an incident than before.
fn adds_symptoms(change: &Change) -> bool {
    match change {
        Change::SymptomAdded { .. } | Change::CauseFound { .. } => true,
        Change::CandidateNoted
        | Change::Opened
        | Change::Passed
        | Change::SymptomEnded { .. }
        | Change::Restored
        | Change::Relapsed { .. }
        | Change::WatchExtended
        | Change::Resolved
        | Change::Taken
        | Change::Assigned { .. }
        | Change::Responded
        | Change::Reported { .. }
        | Change::CauseSet { .. }
        | Change::CarriesOn
        | Change::Noted { .. }
        | Change::Reopened
        | Change::Closed
        | Change::Merged
        | Change::Dismissed
        | Change::CauseProposed { .. }
        | Change::Amended => false,
    }
}

/// A value as the store keeps it.
pub(crate) fn text(what: &'static str, value: &impl serde::Serialize) -> Result<String, DeskError> {
    serde_json::to_string(value).map_err(|error| DeskError::unreadable(what, &error))
}
