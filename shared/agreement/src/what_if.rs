//! A period of ledgers under other terms, beside what happened (TERMS 6).
//!
//! [`what_if`] replays each incident twice: under the terms that were pinned to it, and under those that another book
//! would have given it. Both columns come from the same clocks (F9), so that what differs is the terms and nothing else.
//! The facts are what they were: nobody answers faster because more was promised. It reads no ledger itself, and it
//! changes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{AssetId, CheckName, ClientId, IncidentClass, IncidentKind, SiteId};

use crate::{
    book::Book,
    clock::{Calendars, Clock, ClockError, ClockStart, ClockState, DueAt, Fact},
    matching::{MatchQuery, resolve},
    money::{Money, Per},
    terms::PinnedTerms,
    words::Stage,
};

/// An incident of the past.
#[derive(Debug, Clone)]
pub struct PastIncident {
    /// As people call it: `northgate/INC-2041`.
    pub name: String,
    /// What the matcher was asked.
    pub query: MatchQuery,
    /// From when its clocks counted.
    pub start: ClockStart,
    /// Its ledger.
    pub facts: Vec<Fact>,
    /// The terms that were pinned to it; `None` where nothing was promised.
    pub pinned: Option<PinnedTerms>,
}

/// How a target came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Satisfied by its due.
    InTime,
    /// Satisfied after it.
    Late,
    /// Its due passed, and nothing has satisfied it.
    Missed,
    /// It runs, and its due has not passed.
    Open,
    /// It ended without being needed, before it was due.
    NotNeeded,
}

/// One stage of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which.
    pub stage: Stage,
    /// How it came out.
    pub kept: Kept,
    /// When it was due.
    pub due: DueAt,
    /// The due that passed unsatisfied.
    pub breached_at: Option<Timestamp>,
}

/// All incidents under one set of terms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Incidents for which something was promised.
    pub promised: u64,
    /// Incidents for which nothing was.
    pub none_promised: u64,
    /// Dues that passed unsatisfied.
    pub breaches: u64,
    /// How often each stage came out how.
    pub stages: BTreeMap<Stage, BTreeMap<Kept, u64>>,
}

/// An incident that would have come out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// As people call it.
    pub incident: String,
    /// What happened.
    pub before: Vec<Outcome>,
    /// What would have.
    pub after: Vec<Outcome>,
}

/// Both columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatIf {
    /// Under the terms that were pinned.
    pub before: Column,
    /// Under the other book.
    pub after: Column,
    /// The incidents of which a stage was kept otherwise, in the order given. A due that moved and was kept all the same
    /// is not among them.
    pub changed: Vec<Changed>,
}

/// Replays incidents under another book, as of one instant.
pub fn what_if(past: &[PastIncident], other: &Book, as_of: Timestamp) -> Result<WhatIf, ClockError> {
    let mut replay = Replay { book: other, as_of, calendars: Calendars::default(), known: BTreeMap::new() };
    let mut found = WhatIf::default();
    for incident in past {
        let before = incident.pinned.as_ref().map(|terms| replay.outcomes(incident, terms)).transpose()?;
        let after = replay.under_the_other_book(incident)?;
        found.before.take(before.as_deref());
        found.after.take(after.as_deref());
        let kept = |outcomes: &Option<Vec<Outcome>>| -> Vec<(Stage, Kept)> {
            outcomes.iter().flatten().map(|outcome| (outcome.stage, outcome.kept)).collect()
        };
        if kept(&before) != kept(&after) {
            let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
            found.changed.push(Changed { incident: incident.name.clone(), before, after });
        }
    }
    Ok(found)
}

/// What an agreement costs a month at an instant: its fee and the riders in force; `None` where it says no fee, or the
/// fee is not one a month.
pub fn monthly_fee(book: &Book, client: &ClientId, at: Timestamp) -> Option<Money> {
    let version = book.client(client)?.agreement.as_ref()?.in_force(at).next()?;
    let riders = version.riders.iter().filter_map(|rider| book.riders.get(&rider.value)?.price);
    let mut sum: Option<Money> = None;
    for price in version.fee.into_iter().chain(riders) {
        match price.per {
            Per::Month => {
                let minor = sum.map_or(0, |sum| sum.minor).checked_add(price.amount.minor)?;
                sum = Some(Money { minor, currency: price.amount.currency });
            }
            Per::Once | Per::Hour | Per::Year => return None,
        }
    }
    sum.filter(|_| version.fee.is_some())
}

/// What is kept from one incident to the next: terms that were resolved, calendars that were compiled.
struct Replay<'a> {
    book: &'a Book,
    as_of: Timestamp,
    calendars: Calendars,
    known: BTreeMap<Alike, Option<PinnedTerms>>,
}

/// Incidents that are alike get the same terms, but for the words in which their instants are explained.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    place: (ClientId, SiteId, AssetId),
    what: (IncidentClass, IncidentKind, Option<CheckName>),
    affected: (u32, Option<u32>, bool),
    version: u32,
}

impl Replay<'_> {
    fn under_the_other_book(&mut self, incident: &PastIncident) -> Result<Option<Vec<Outcome>>, ClockError> {
        let query = &incident.query;
        let Some(alike) = self.alike(query) else {
            // No version, or the bounds of detection straddle an amendment: asked by itself.
            let terms = resolve(self.book, query).ok();
            return terms.map(|terms| self.outcomes(incident, &terms)).transpose();
        };
        let mut known = std::mem::take(&mut self.known);
        let terms = known.entry(alike).or_insert_with(|| resolve(self.book, query).ok());
        let outcomes = terms.as_ref().map(|terms| self.outcomes(incident, terms)).transpose();
        self.known = known;
        outcomes
    }

    fn alike(&self, query: &MatchQuery) -> Option<Alike> {
        let MatchQuery { client, site, asset, detected, class, kind, check, affected } = query;
        let known = self.book.client(client)?;
        // A client who has left gets his terms by the day, which is the matcher's business.
        let agreement = known.agreement.as_ref().filter(|_| known.ended.is_none())?;
        let version = |at| agreement.in_force(at).next().map(|version| version.number);
        let number = version(detected.latest).filter(|_| version(detected.earliest) == version(detected.latest))?;
        Some(Alike {
            place: (client.clone(), site.clone(), asset.clone()),
            what: (*class, *kind, check.clone()),
            affected: (affected.of_kind, affected.of_kind_total, affected.critical_symptom),
            version: number,
        })
    }

    fn outcomes(&mut self, incident: &PastIncident, terms: &PinnedTerms) -> Result<Vec<Outcome>, ClockError> {
        let clocks = Clock::replay_all_with(terms, &incident.start, &incident.facts, &mut self.calendars)?;
        Ok(clocks.iter().map(|clock| outcome(clock, self.as_of)).collect())
    }
}

fn outcome(clock: &Clock, as_of: Timestamp) -> Outcome {
    let view = clock.view(as_of);
    let kept = match (&view.state, view.breached_at) {
        (ClockState::Met { .. }, _) => Kept::InTime,
        (ClockState::MetLate { .. }, _) => Kept::Late,
        (ClockState::Cancelled { .. }, None) => Kept::NotNeeded,
        (ClockState::Scheduled { .. } | ClockState::Running { .. } | ClockState::Paused { .. }, None) => Kept::Open,
        (
            ClockState::Scheduled { .. }
            | ClockState::Running { .. }
            | ClockState::Paused { .. }
            | ClockState::Cancelled { .. },
            Some(_),
        ) => Kept::Missed,
    };
    Outcome { stage: clock.stage(), kept, due: view.due, breached_at: view.breached_at }
}

impl Column {
    fn take(&mut self, outcomes: Option<&[Outcome]>) {
        let Some(outcomes) = outcomes else {
            self.none_promised += 1;
            return;
        };
        self.promised += 1;
        for outcome in outcomes {
            self.breaches += u64::from(outcome.breached_at.is_some());
            *self.stages.entry(outcome.stage).or_default().entry(outcome.kept).or_default() += 1;
        }
    }
}
