//! Which stored incident a judged one is.

use std::collections::BTreeSet;

use jiff::Timestamp;
use upheld_model::IncidentKind;

use super::{Table, birth::shares, dedup};
use crate::{
    correlate::Judged,
    incident::{Incident, IncidentState, Root, Who},
};

/// The places of judged incidents among the stored ones.
pub(super) struct Places {
    /// For each judged one, the stored one.
    pub(super) of_judged: Vec<Option<usize>>,
    /// The stored ones that no judged one has.
    pub(super) left: BTreeSet<usize>,
    /// Stored ones that were over, and of which late facts say that they went on as another one that is open.
    pub(super) superseded: Vec<(usize, usize)>,
}

pub(super) fn find(table: &Table<'_>, judged: &[Judged]) -> Places {
    let mut left: BTreeSet<usize> =
        (0..table.incidents.len()).filter(|at| is_of_facts(&table.incidents[*at])).collect();
    let mut of_judged: Vec<Option<usize>> = vec![None; judged.len()];
    for (place, judged) in of_judged.iter_mut().zip(judged) {
        let by_key = |at: &&usize| {
            let incident = &table.incidents[**at];
            incident.judged.unwrap_or(incident.key) == judged.key
        };
        *place = left.iter().find(by_key).copied();
        if let Some(at) = place {
            left.remove(at);
        }
    }
    for (place, judged) in of_judged.iter_mut().zip(judged).filter(|(place, _)| place.is_none()) {
        let same = left.iter().copied().filter(|at| is_same(table, &table.incidents[*at], judged));
        *place = same.max_by_key(|at| {
            let incident = &table.incidents[*at];
            (incident.is_open(), incident.started.not_after)
        });
        if let Some(at) = place {
            left.remove(at);
        }
    }
    let mut superseded = Vec::new();
    for (place, judged) in of_judged.iter_mut().zip(judged) {
        let Some(over) = place.filter(|at| !table.incidents[*at].is_open()) else { continue };
        let goes_on = left.iter().copied().find(|at| {
            let incident = &table.incidents[*at];
            incident.is_open() && incident.dedup == table.incidents[over].dedup && shares(incident, judged)
        });
        if let Some(open) = goes_on.filter(|_| is_over_by_rule(&table.incidents[over])) {
            superseded.push((over, open));
            left.remove(&open);
            *place = Some(open);
        }
    }
    Places { of_judged, left, superseded }
}

fn is_over_by_rule(incident: &Incident) -> bool {
    match &incident.state {
        IncidentState::Resolved { by, .. } | IncidentState::Dismissed { by, .. } => matches!(by, Who::Rule(_)),
        IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Watching { .. }
        | IncidentState::Closed { .. }
        | IncidentState::Merged { .. } => false,
    }
}

/// Whether an incident comes from facts of checks: what silence, clones and people opened is not judged here, and what
/// follows a closed ticket lives by its own.
fn is_of_facts(incident: &Incident) -> bool {
    let is_asset = match incident.root {
        Root::Check { .. } => true,
        Root::Agent { .. } | Root::Report { .. } | Root::Collector { .. } | Root::Drill { .. } => false,
    };
    is_asset
        && incident.follows.is_none()
        && !is_merged_by_rule(incident)
        && match incident.kind {
            IncidentKind::Down
            | IncidentKind::Unstable
            | IncidentKind::AtRisk
            | IncidentKind::Noncompliant
            | IncidentKind::Lingering => true,
            IncidentKind::Degraded | IncidentKind::Silent | IncidentKind::Reported => false,
        }
}

/// The same thing about the same asset, with a finding in common or at the same time.
fn is_same(table: &Table<'_>, incident: &Incident, judged: &Judged) -> bool {
    if dedup(table.view, judged).as_ref() != Some(&incident.dedup) || is_merged(incident) {
        return false;
    }
    let shares = judged.symptoms.iter().any(|finding| incident.symptoms.contains_key(finding));
    let end = |restored: Option<Timestamp>| restored.map_or(Timestamp::MAX, |at| table.watched_until(at));
    let touches =
        judged.started.not_after < end(incident.restored) && incident.started.not_after < end(judged.restored);
    shares || (touches && (judged.symptoms.is_empty() || incident.symptoms.is_empty()))
}

/// Part of its cause by our own rule: if it does not come back with that, it is another incident beside it.
fn is_merged_by_rule(incident: &Incident) -> bool {
    matches!(&incident.state, IncidentState::Merged { by: Who::Rule(_), .. })
}

pub(super) fn is_merged(incident: &Incident) -> bool {
    match incident.state {
        IncidentState::Merged { .. } => true,
        IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Watching { .. }
        | IncidentState::Resolved { .. }
        | IncidentState::Closed { .. }
        | IncidentState::Dismissed { .. } => false,
    }
}
