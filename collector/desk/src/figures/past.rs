//! Incidents of the past as replays want them: with the matcher's question, their ledger and their pinned terms.

use jiff::Timestamp;
use upheld_agreement::{
    account::{IncidentTargets, WorkDone},
    clock::{Calendars, Fact},
    outcome::{if_disputes_hold, outcomes},
    rate,
    what_if::PastIncident,
};
use upheld_model::{ClientId, IncidentNumber};
use upheld_store::ReadTx;

use crate::{
    Desk, DeskError,
    book::CurrentBook,
    case::{Case, entry, promise, promise::Promise},
};

/// Incidents read at once: enough that a page costs nothing beside its incidents, few enough that a writer never waits.
pub(crate) const PAGE: u32 = 500;

/// Some incidents of one client, and behind which number the next ones stand.
#[derive(Debug, Clone, Default)]
pub struct PastPage {
    /// The incidents.
    pub incidents: Vec<PastIncident>,
    /// The last number that was looked at; `None` when there are no more.
    pub behind: Option<IncidentNumber>,
}

impl Desk {
    /// A page of a client's incidents that were detected in `[since, until)`: those that people and clocks dealt with.
    pub async fn past_page(
        &self,
        client: &ClientId,
        (since, until): (Timestamp, Timestamp),
        behind: IncidentNumber,
    ) -> Result<PastPage, DeskError> {
        let (client, shared) = (client.clone(), std::sync::Arc::clone(&self.shared));
        self.store
            .read("desk.past_page", move |tx| {
                let book = shared.books.current(tx)?;
                let rows = tx.incidents_behind(&client, behind, PAGE)?;
                let last = rows.last().map(|row| row.number).filter(|_| rows.len() == PAGE as usize);
                let mut page = PastPage { incidents: Vec::new(), behind: last };
                for row in rows {
                    let case = Case::open(tx, row)?;
                    let detected = case.incident.detected;
                    if since <= detected && detected < until {
                        page.incidents.extend(past(tx, &book, &case)?);
                    }
                }
                Ok(page)
            })
            .await
    }
}

/// A case as a replay wants it; `None` for one that nobody dealt with, and for a drill.
pub(crate) fn past(tx: &dyn ReadTx, book: &CurrentBook, case: &Case) -> Result<Option<PastIncident>, DeskError> {
    let incident = &case.incident;
    if incident.is_drill() {
        return Ok(None);
    }
    let (start, pinned) = match &case.promise {
        Promise::NotAsked => return Ok(None),
        Promise::Pinned(pinned) => (pinned.start.clone(), Some(pinned.terms.clone())),
        Promise::None(_) => (promise::start(tx, incident)?, None),
    };
    Ok(Some(PastIncident {
        name: case.reference().to_string(),
        query: promise::query(book, incident, incident.detected)?,
        start,
        facts: entry::facts(&case.ledger),
        pinned,
    }))
}

/// How an incident's promises came out, both ways where something is disputed.
pub(crate) fn targets(
    past: &PastIncident,
    calendars: &mut Calendars,
    as_of: Timestamp,
) -> Result<Option<IncidentTargets>, DeskError> {
    let Some(terms) = &past.pinned else { return Ok(None) };
    let mut came_out = |facts: &[Fact]| {
        outcomes(terms, &past.start, facts, calendars, as_of)
            .map_err(|error| DeskError::unreadable("calendar of an incident", &error))
    };
    Ok(Some(IncidentTargets {
        incident: past.name.clone(),
        version: terms.version,
        outcomes: came_out(&past.facts)?,
        if_disputes_hold: if_disputes_hold(&past.facts).map(|facts| came_out(&facts)).transpose()?,
    }))
}

/// The work of an incident that is charged.
pub(crate) fn work(past: &PastIncident) -> impl Iterator<Item = WorkDone> {
    let charged = rate::entries(&past.facts).into_iter().filter(rate::Entry::is_charged);
    let incident = past.name.clone();
    charged.map(move |entry| WorkDone { incident: incident.clone(), fact: entry.fact, work: entry.work })
}
