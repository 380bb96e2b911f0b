//! A period of ledgers under other terms, beside what happened (TERMS 6).
//!
//! [`what_if`] replays each incident twice: under the terms that were pinned to it, and under those that another book
//! would have given it. Both columns come from the same clocks (F9), so that what differs is the terms and nothing else.
//! The facts are what they were: nobody answers faster because more was promised. [`Columns`] sets credits, labour and
//! fee beside each other, each from the one account (F9). It reads no ledger itself, and it changes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{AssetId, CheckName, ClientId, IncidentClass, IncidentKind, SiteId};

use crate::{
    account::IncidentTargets,
    book::Book,
    clock::{Calendars, ClockError, ClockStart, Fact, FactKind, TermsChange},
    matching::{MatchQuery, Set, expedited, reprioritised, resolve},
    money::{Money, Per},
    outcome::outcomes,
    terms::{Input, PinnedTerms, SetBy},
    words::Stage,
};

mod columns;
mod condition;
mod rows;

pub use crate::outcome::{Kept, Outcome};
pub use columns::{ClientColumn, Columns, Sums, columns};
pub use condition::{Condition, ConditionError};
pub use rows::{Row, Value, rows, table};

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
    /// Every breach under the pinned terms, by client: what credits are owed for.
    #[serde(skip)]
    pub breached_before: BTreeMap<ClientId, Vec<IncidentTargets>>,
    /// Every breach under the other book.
    #[serde(skip)]
    pub breached_after: BTreeMap<ClientId, Vec<IncidentTargets>>,
}

/// Replays incidents under another book, as of one instant.
pub fn what_if(past: &[PastIncident], other: &Book, as_of: Timestamp) -> Result<WhatIf, ClockError> {
    let mut replay = Replay::new(other, as_of);
    past.iter().try_for_each(|incident| replay.take(incident))?;
    Ok(replay.found)
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

/// A replay under way, one incident after another: terms that were resolved and calendars that were compiled are kept
/// from one to the next.
pub struct Replay<'a> {
    /// Both columns so far.
    pub found: WhatIf,
    book: &'a Book,
    as_of: Timestamp,
    calendars: Calendars,
    known: BTreeMap<Alike, Option<PinnedTerms>>,
}

/// Incidents that are alike get the same terms, but for the words in which their instants are explained.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    place: (ClientId, SiteId, Option<AssetId>),
    what: (IncidentClass, IncidentKind, Option<CheckName>),
    affected: (u32, Option<u32>, bool),
    version: u32,
}

impl<'a> Replay<'a> {
    /// A replay under another book, as of one instant.
    pub fn new(book: &'a Book, as_of: Timestamp) -> Self {
        let found = WhatIf::default();
        Self { found, book, as_of, calendars: Calendars::default(), known: BTreeMap::new() }
    }

    /// Replays one incident under both.
    pub fn take(&mut self, incident: &PastIncident) -> Result<(), ClockError> {
        let before = incident.pinned.as_ref().map(|terms| self.outcomes(incident, terms)).transpose()?;
        let after = self.under_the_other_book(incident)?;
        let found = &mut self.found;
        found.before.take(before.as_ref());
        found.after.take(after.as_ref());
        note_breaches(&mut found.breached_before, incident, before.as_ref());
        note_breaches(&mut found.breached_after, incident, after.as_ref());
        let kept = |outcomes: &Option<Out>| -> Vec<(Stage, Kept)> {
            outcomes.iter().flat_map(|out| &out.outcomes).map(|outcome| (outcome.stage, outcome.kept)).collect()
        };
        if kept(&before) != kept(&after) {
            let (before, after) = (before.map(|out| out.outcomes), after.map(|out| out.outcomes));
            let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
            found.changed.push(Changed { incident: incident.name.clone(), before, after });
        }
        Ok(())
    }

    fn under_the_other_book(&mut self, incident: &PastIncident) -> Result<Option<Out>, ClockError> {
        let query = &incident.query;
        let Some(alike) = self.alike(query) else {
            // No version, or the bounds of detection straddle an amendment: asked by itself.
            let terms = resolve(self.book, query).ok();
            return terms.map(|terms| self.of_other(incident, &terms)).transpose();
        };
        let mut known = std::mem::take(&mut self.known);
        let terms = known.entry(alike).or_insert_with(|| resolve(self.book, query).ok());
        let outcomes = terms.as_ref().map(|terms| self.of_other(incident, terms)).transpose();
        self.known = known;
        outcomes
    }

    /// The outcomes under terms of the other book. What people changed in the terms while the incident was open is
    /// changed in these instead: the same priority, the same rider where the other book sells it.
    fn of_other(&mut self, incident: &PastIncident, terms: &PinnedTerms) -> Result<Out, ClockError> {
        if incident.facts.iter().all(|fact| fact.kind.changed_terms().is_none()) {
            return self.outcomes(incident, terms);
        }
        let mut now = terms.clone();
        let mut facts = Vec::new();
        for fact in &incident.facts {
            let FactKind::TermsChanged { why, terms: then } = &fact.kind else {
                facts.push(fact.clone());
                continue;
            };
            let Some(changed) = self.changed(incident, &now, *why, then, fact) else { continue };
            now = changed.clone();
            facts.push(Fact { kind: FactKind::TermsChanged { why: *why, terms: Box::new(changed) }, ..fact.clone() });
        }
        self.outcomes(&PastIncident { facts, ..incident.clone() }, terms)
    }

    fn changed(
        &self,
        incident: &PastIncident,
        now: &PinnedTerms,
        why: TermsChange,
        then: &PinnedTerms,
        fact: &Fact,
    ) -> Option<PinnedTerms> {
        match why {
            TermsChange::Priority => {
                let inputs = then.inputs.as_ref()?;
                let set = Set {
                    impact: by_person(&inputs.impact),
                    urgency: by_person(&inputs.urgency),
                    complexity: inputs.complexity.as_ref().and_then(by_person),
                    priority: by_person(&inputs.priority),
                };
                reprioritised(self.book, &incident.query, now, set, &fact.who).ok()
            }
            TermsChange::Expedite => {
                let rider = &then.expedited.last()?.rider;
                expedited(self.book, &incident.query, now, rider, fact.effective_at, &fact.who).ok()
            }
            // What another incident's terms would have been is that incident's question.
            TermsChange::Merge => None,
        }
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

    fn outcomes(&mut self, incident: &PastIncident, terms: &PinnedTerms) -> Result<Out, ClockError> {
        let outcomes = outcomes(terms, &incident.start, &incident.facts, &mut self.calendars, self.as_of)?;
        Ok(Out { version: terms.version, outcomes })
    }
}

/// How an incident came out under one set of terms.
struct Out {
    version: u32,
    outcomes: Vec<Outcome>,
}

fn by_person<T: Copy>(input: &Input<T>) -> Option<T> {
    match input.by {
        SetBy::Person { .. } => Some(input.value),
        SetBy::Book { .. } => None,
    }
}

fn note_breaches(found: &mut BTreeMap<ClientId, Vec<IncidentTargets>>, incident: &PastIncident, out: Option<&Out>) {
    let Some(out) = out else { return };
    let breached: Vec<Outcome> = out.outcomes.iter().filter(|outcome| outcome.breached_at.is_some()).copied().collect();
    if !breached.is_empty() {
        found.entry(incident.query.client.clone()).or_default().push(IncidentTargets {
            incident: incident.name.clone(),
            version: out.version,
            outcomes: breached,
            if_disputes_hold: None,
        });
    }
}

impl Column {
    fn take(&mut self, out: Option<&Out>) {
        let Some(Out { outcomes, .. }) = out else {
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
