//! A failure or a recovery that an agent confirmed.

use jiff::Timestamp;
use upheld_model::{DeviceText, IncidentKind};

use super::{
    Arrival, Case, FindingEnded, FindingSeen,
    birth::{create, passed, symptom},
    deadline::{promote, resolve_by_watch},
    desk_for,
};
use crate::incident::{
    Change, DedupKey, Desk, Handling, Holder, Incident, IncidentEffect, IncidentState, Root, Who, class_of,
};

/// A failure joins the incident of its asset that it falls into, or opens one.
pub(super) fn opened(case: &Case<'_>, seen: &FindingSeen) -> Vec<IncidentEffect> {
    if case.view.incidents.iter().any(|incident| incident.symptoms.contains_key(&seen.id)) {
        return Vec::new();
    }
    let root = Root::Check { check: seen.id.check.clone() };
    let class = class_of(case.view, &seen.id.check);
    let dedup = DedupKey::new(&case.view.client, &case.view.site, &root, class, IncidentKind::Down);
    let of_asset = || case.view.incidents.iter().filter(|incident| incident.dedup == dedup);
    let home = of_asset()
        .filter(|incident| belongs(case, incident, seen))
        .max_by_key(|incident| (incident.is_open(), incident.started.not_after));
    if let Some(home) = home {
        return vec![join(case, home.clone(), seen)];
    }
    let watched_out = of_asset().find(|incident| match incident.state {
        IncidentState::Watching { .. } => matches!(seen.arrival, Arrival::StillFailing),
        IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Resolved { .. }
        | IncidentState::Closed { .. }
        | IncidentState::Merged { .. }
        | IncidentState::Dismissed { .. } => false,
    });
    let resolved = watched_out.map(|incident| resolve_by_watch(case, incident.clone()));
    let follows =
        of_asset().filter(|incident| ended_by_hand(incident)).max_by_key(|incident| incident.started.not_after);
    let new = create(case, seen, root, dedup, follows.map(|incident| incident.key));
    resolved.into_iter().chain([new]).collect()
}

/// A recovery ends its finding; with the last one the incident is restored, and watched.
pub(super) fn closed(case: &Case<'_>, ended: &FindingEnded) -> Vec<IncidentEffect> {
    let Some(home) = case.view.incidents.iter().find(|incident| incident.symptoms.contains_key(&ended.id)) else {
        return Vec::new();
    };
    let mut incident = home.clone();
    let Some(symptom) = incident.symptoms.get_mut(&ended.id) else { return Vec::new() };
    let before = symptom.restored.replace(ended.restored);
    if before == Some(ended.restored) {
        return Vec::new();
    }
    let change = match before {
        Some(_) => Change::Amended,
        None => Change::SymptomEnded { finding: ended.id.clone() },
    };
    let Some(restored) = restored_at(&incident) else {
        return vec![case.effect(incident, change, Desk::AsBefore, ended.restored.not_after)];
    };
    let measured =
        DeviceText::new(&format!("good since {}, confirmed at {}", ended.restored.not_after, ended.confirmed));
    restore(case, incident, restored, measured, change)
}

/// Whether a failure falls into an incident of its asset: it began before the incident's end, and what is over ended
/// no longer than a watch before the incident's begin.
fn belongs(case: &Case<'_>, incident: &Incident, seen: &FindingSeen) -> bool {
    let over_at = match seen.arrival {
        Arrival::StillFailing => None,
        Arrival::Over { restored } => Some(restored.not_after),
    };
    if over_at.is_some_and(|over| case.watched_until(over) < incident.started.not_after) {
        return false;
    }
    match &incident.state {
        IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. } => true,
        IncidentState::Watching { until, .. } => may_begin_before(seen, *until),
        IncidentState::Resolved { at, by: Who::Rule(_), .. } => may_begin_before(seen, *at),
        IncidentState::Resolved { at, by: Who::Person(_), .. } => seen.started.not_after <= *at,
        IncidentState::Closed { at, .. } | IncidentState::Merged { at, .. } | IncidentState::Dismissed { at, .. } => {
            over_at.is_some_and(|over| over <= *at)
        }
    }
}

/// Between its bounds the fault may have begun inside the watch: then it is the same incident.
fn may_begin_before(seen: &FindingSeen, end: Timestamp) -> bool {
    seen.started.not_before.unwrap_or(seen.started.not_after) < end
}

fn ended_by_hand(incident: &Incident) -> bool {
    match &incident.state {
        IncidentState::Resolved { by: Who::Person(_), .. } | IncidentState::Closed { .. } => true,
        IncidentState::Resolved { by: Who::Rule(_), .. }
        | IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Watching { .. }
        | IncidentState::Merged { .. }
        | IncidentState::Dismissed { .. } => false,
    }
}

/// One more finding in an incident: beside others, as a relapse, or as a late fact.
fn join(case: &Case<'_>, mut incident: Incident, seen: &FindingSeen) -> IncidentEffect {
    incident.symptoms.insert(seen.id.clone(), symptom(seen));
    if seen.started.not_after < incident.started.not_after {
        incident.started = seen.started;
    }
    let added = Change::SymptomAdded { finding: seen.id.clone() };
    let is_failing = matches!(seen.arrival, Arrival::StillFailing);
    match incident.state.clone() {
        IncidentState::Watching { holder, .. } | IncidentState::Resolved { holder, .. } if is_failing => {
            relapse(case, incident, seen, holder)
        }
        IncidentState::Watching { holder, .. } => {
            let restored = restored_at(&incident).or(incident.restored).unwrap_or(case.now);
            incident.restored = Some(restored);
            incident.state = IncidentState::Watching { until: case.watched_until(restored), holder };
            case.effect(incident, added, Desk::AsBefore, seen.detected)
        }
        IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. } => {
            if is_failing {
                incident.restored = None;
            }
            case.effect(incident, added, Desk::AsBefore, seen.detected)
        }
        IncidentState::Resolved { .. }
        | IncidentState::Closed { .. }
        | IncidentState::Merged { .. }
        | IncidentState::Dismissed { .. } => {
            incident.restored = restored_at(&incident).or(incident.restored);
            case.effect(incident, added, Desk::AsBefore, seen.detected)
        }
    }
}

/// Failing again inside the watch: the same incident, with whoever had it. What had bothered nobody so far, because
/// it was over when it arrived, begins to.
fn relapse(case: &Case<'_>, mut incident: Incident, seen: &FindingSeen, holder: Holder) -> IncidentEffect {
    incident.state = holder.into();
    incident.restored = None;
    incident.evidence_restoration = None;
    let desk = match incident.handling {
        Handling::Retroactive => {
            incident.handling = case.handling(seen.detected);
            incident.opened = incident.opened.or(Some(seen.received));
            desk_for(&incident, seen.detected, seen.received)
        }
        Handling::Desk | Handling::Cause | Handling::AsFound => Desk::AsBefore,
    };
    case.effect(incident, Change::Relapsed { finding: Some(seen.id.clone()) }, desk, seen.detected)
}

/// Everything in it works again, as of `restored`.
fn restore(
    case: &Case<'_>,
    mut incident: Incident,
    restored: Timestamp,
    measured: DeviceText,
    otherwise: Change,
) -> Vec<IncidentEffect> {
    let mut effects = Vec::new();
    if let IncidentState::Candidate { open_due } = incident.state {
        if restored < open_due {
            incident.state = passed(restored);
            incident.restored = Some(restored);
            incident.evidence_restoration = Some(measured);
            return vec![case.effect(incident, Change::Passed, Desk::AsBefore, restored)];
        }
        effects.push(promote(case, incident.clone()));
        incident.opened = Some(open_due.max(incident.received));
        incident.state = IncidentState::Open;
    }
    let holder = incident.state.holder();
    let until = case.watched_until(restored);
    incident.restored = Some(restored);
    incident.evidence_restoration = Some(measured);
    let change = match &incident.state {
        IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. } => {
            incident.state = IncidentState::Watching { until, holder };
            Change::Restored
        }
        IncidentState::Watching { .. } => {
            incident.state = IncidentState::Watching { until, holder };
            otherwise
        }
        IncidentState::Resolved { .. }
        | IncidentState::Closed { .. }
        | IncidentState::Merged { .. }
        | IncidentState::Dismissed { .. } => otherwise,
    };
    effects.push(case.effect(incident, change, Desk::AsBefore, restored));
    effects
}

/// When the last of its findings ended; `None` while one has not.
fn restored_at(incident: &Incident) -> Option<Timestamp> {
    let ends = incident.symptoms.values().map(|symptom| symptom.restored.map(|bounds| bounds.not_after));
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}
