//! What the client's agreement promises for one incident, pinned to it (TERMS F1, F2, F11).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_agreement::{
    clock::{ClockStart, FactKind, TermsChange},
    matching::{self, Affected, Detected, MatchQuery, NoMatch, Set},
    terms::PinnedTerms,
};
use upheld_detection::incident::{Desk, Incident, Root};
use upheld_model::AssetId;
use upheld_store::{ReadTx, incidents::IncidentRow, runs::RunRow};

use super::{entry::Entry, text};
use crate::{DeskError, book::CurrentBook, own, tasks::gaps};

/// What is promised.
#[derive(Debug, Clone)]
pub(crate) enum Promise {
    /// Nobody has asked: a candidate, or an incident that people and clocks do not deal with.
    NotAsked,
    /// These terms.
    Pinned(Box<Pinned>),
    /// Nothing, by name.
    None(NonePromised),
}

/// Terms and the instants from which their clocks start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pinned {
    pub(crate) terms: PinnedTerms,
    pub(crate) start: ClockStart,
}

/// Why nothing is promised (F1).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NonePromised {
    /// `no-agreement`, `not-in-force`, …
    pub(crate) refusal: String,
    /// The sentence.
    pub(crate) why: String,
}

impl Promise {
    /// Reads what the row holds.
    pub(crate) fn of(row: &IncidentRow) -> Result<Self, DeskError> {
        match (&row.terms, &row.refusal) {
            (Some(pinned), _) => serde_json::from_str(pinned)
                .map(|pinned| Self::Pinned(Box::new(pinned)))
                .map_err(|error| DeskError::unreadable("terms of an incident", &error)),
            (None, Some(refusal)) => serde_json::from_str(refusal)
                .map(Self::None)
                .map_err(|error| DeskError::unreadable("terms of an incident", &error)),
            (None, None) => Ok(Self::NotAsked),
        }
    }

    /// The row's two columns.
    pub(super) fn columns(&self) -> Result<(Option<String>, Option<String>), DeskError> {
        match self {
            Self::NotAsked => Ok((None, None)),
            Self::Pinned(pinned) => Ok((Some(text("terms of an incident", pinned)?), None)),
            Self::None(refusal) => Ok((None, Some(text("terms of an incident", refusal)?))),
        }
    }

    /// Asks for the terms when people and clocks begin with the incident, and moves the start when late data moved
    /// it. Terms once pinned stay (F2).
    pub(super) fn follow(
        &mut self,
        tx: &dyn ReadTx,
        book: &CurrentBook,
        incident: &Incident,
        desk: &Desk,
    ) -> Result<(), DeskError> {
        match (&mut *self, desk) {
            (Self::Pinned(pinned), _) => {
                if (pinned.start.detected, pinned.start.received) != (incident.detected, incident.received) {
                    let reported = pinned.start.reported;
                    pinned.start = ClockStart { reported, ..start(tx, incident)? };
                }
            }
            (Self::NotAsked, Desk::Begins { .. }) if matches!(incident.root, Root::Collector { .. }) => {
                let why = "it is the collector's own: no client's agreement promises anything for it".to_owned();
                *self = Self::None(NonePromised { refusal: "own".to_owned(), why });
            }
            (Self::NotAsked, Desk::Begins { detected, received: _ }) => {
                *self = match matching::resolve(&book.book, &query(book, incident, *detected)?) {
                    Ok(terms) => Self::Pinned(Box::new(Pinned { terms, start: start(tx, incident)? })),
                    Err(refusal) => Self::None(NonePromised::new(&refusal)),
                };
            }
            (Self::NotAsked, Desk::AsBefore) | (Self::None(_), _) => {}
        }
        Ok(())
    }
}

impl Pinned {
    /// The terms that hold after these facts.
    fn present<'a>(&'a self, ledger: &'a [Entry]) -> &'a PinnedTerms {
        let changed = ledger.iter().rev().find_map(|entry| match &entry.said.fact {
            Some(FactKind::TermsChanged { terms, .. }) => Some(&**terms),
            Some(_) | None => None,
        });
        changed.unwrap_or(&self.terms)
    }
}

impl Promise {
    /// What the symptoms that an incident has now make of its priority, where that is a higher one: other terms hold
    /// from here on (F3). Fewer symptoms never lower it; what people have set stays.
    pub(super) fn raised(
        &self,
        book: &CurrentBook,
        incident: &Incident,
        ledger: &[Entry],
    ) -> Result<Option<FactKind>, DeskError> {
        let Self::Pinned(pinned) = self else { return Ok(None) };
        let present = pinned.present(ledger);
        let query = query(book, incident, incident.detected)?;
        // A version that gives no terms any more changes nothing that was pinned.
        let Ok(terms) = matching::reprioritised(&book.book, &query, present, Set::default(), "what fails with it")
        else {
            return Ok(None);
        };
        let is_higher = terms.priority < present.priority;
        Ok(is_higher.then(|| FactKind::TermsChanged { why: TermsChange::Priority, terms: Box::new(terms) }))
    }
}

impl Promise {
    /// Gives pinned terms the amendments that act on open incidents as this book has them (F2). Whether that changed
    /// them; a book that no longer has the client leaves them as they are. Terms that a fact has changed since (another
    /// priority, a rider, a merge) keep the amendments that they were changed with.
    pub(crate) fn amend(&mut self, book: &CurrentBook, incident: &Incident) -> Result<bool, DeskError> {
        let Self::Pinned(pinned) = self else { return Ok(false) };
        let query = query(book, incident, pinned.start.detected)?;
        let amended = matching::amended(&book.book, &query, pinned.terms.clone());
        let is_changed = amended.amendments != pinned.terms.amendments;
        pinned.terms = amended;
        Ok(is_changed)
    }
}

impl NonePromised {
    fn new(refusal: &NoMatch) -> Self {
        Self { refusal: refusal.name().to_owned(), why: refusal.to_string() }
    }
}

/// What the agreement is asked for an incident.
pub(crate) fn query(book: &CurrentBook, incident: &Incident, detected: Timestamp) -> Result<MatchQuery, DeskError> {
    let asset = match &incident.root {
        Root::Check { check } => Some(check.asset.clone()),
        Root::Agent { agent: _, host: Some(host) } => Some(host.clone()),
        // An agent on a host that the book does not name: the agreement is asked for an asset that it cannot know,
        // and answers so by name.
        Root::Agent { agent, host: None } => {
            Some(agent.as_str().parse().map_err(|error| DeskError::unreadable("agent id", &error))?)
        }
        // What a person says about a site is about no asset in particular.
        Root::Report { id: _, asset } => asset.clone(),
        Root::Collector { trouble: _ } => None,
        // A drill asks what the site is promised, not one of its assets.
        Root::Drill { .. } => None,
    };
    Ok(MatchQuery {
        affected: asset
            .as_ref()
            .map_or(Affected { of_kind: 0, ..Affected::one() }, |asset| affected(book, incident, asset)),
        client: incident.client.clone(),
        site: incident.site.clone(),
        asset,
        detected: Detected::at(detected),
        class: incident.class,
        kind: incident.kind,
        check: incident.root.check().map(|check| check.name.clone()),
    })
}

/// How many assets of the root's class fail in this incident, and whether a critical one is among them.
fn affected(book: &CurrentBook, incident: &Incident, root: &AssetId) -> Affected {
    let Some(site) = book.book.site(&incident.client, &incident.site) else { return Affected::one() };
    let class_of = |asset: &AssetId| site.assets.get(asset).map(|asset| asset.class);
    let assets = incident.assets();
    let of_kind = assets.iter().filter(|asset| class_of(asset) == class_of(root)).count();
    Affected {
        of_kind: u32::try_from(of_kind).unwrap_or(u32::MAX).max(1),
        of_kind_total: None,
        critical_symptom: assets.iter().any(|asset| book.book.is_critical(&incident.client, &incident.site, asset)),
    }
}

/// The clocks' start, with the stretches in which this collector could not receive.
pub(crate) fn start(tx: &dyn ReadTx, incident: &Incident) -> Result<ClockStart, DeskError> {
    let (detected, received) = (incident.detected, incident.received);
    let mut start = ClockStart::new(detected, received);
    // Whoever reports it has detected it, when he says he called.
    start.reported = matches!(incident.root, Root::Report { .. }).then_some(detected);
    start.outages = outages(&tx.runs_since(detected)?, detected, received);
    // Its line was out, its door refused, or its clock could not be believed: all of that is the provider's.
    let own = own::outages(tx, detected)?.into_iter().map(|(from, to)| (from, to.min(received)));
    start.outages.extend(own.filter(|(from, to)| from < to));
    start.outages.sort_unstable();
    Ok(start)
}

/// The gaps between runs that touch `[from, to)`: a provider's outage buys no time (F11).
fn outages(runs: &[RunRow], from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    gaps(runs).into_iter().filter(|&(down, up)| down < to && up > from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gaps_that_touch_the_stretch_are_our_outages() {
        let at = |minute: i64| Timestamp::from_second(1_795_000_000 + 60 * minute).unwrap();
        let run = |run, started: i64, alive: i64| RunRow {
            run,
            started_at: at(started),
            last_alive: at(alive),
            is_over: false,
        };
        let runs = [run(4, 60, 90), run(3, 30, 60), run(2, 15, 20), run(1, 0, 10)];
        assert_eq!(outages(&runs, at(12), at(25)), [(at(10), at(15)), (at(20), at(30))]);
        assert_eq!(outages(&runs, at(16), at(19)), []);
        assert_eq!(outages(&runs, at(59), at(61)), [], "a restart without a gap is no outage");
        let beside = [run(6, 12, 40), run(5, 11, 14), run(3, 30, 60), run(1, 0, 10)];
        assert_eq!(outages(&beside, at(0), at(60)), [(at(10), at(11))], "while another one ran there was none");
    }
}
