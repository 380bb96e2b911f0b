//! How a failure comes into the world: as an incident, as a candidate, or as what was over before anybody could know.

use jiff::Timestamp;
use upheld_model::IncidentKind;

use super::{Arrival, Case, FindingSeen, deadline::resolved_by_watch, desk_for, later, undetermined};
use crate::incident::{
    Bounds, Change, DedupKey, Handling, Holder, Incident, IncidentEffect, IncidentKey, IncidentState, Root, Symptom,
    Who, class_of, open_after, title,
};

/// A new incident, a candidate, or what was over before anybody could know.
pub(super) fn create(
    case: &Case<'_>,
    seen: &FindingSeen,
    root: Root,
    dedup: DedupKey,
    follows: Option<IncidentKey>,
) -> IncidentEffect {
    let (client, site) = (&case.view.client, &case.view.site);
    let wait = case.view.assets.get(&seen.id.check.asset).map(open_after).unwrap_or_default();
    let open_due = later(seen.detected, wait);
    let born = birth(case, seen, open_due);
    let incident = Incident {
        key: IncidentKey::new(client, site, &root, &seen.cause),
        judged: None,
        dedup,
        client: client.clone(),
        site: site.clone(),
        class: class_of(case.view, &seen.id.check),
        kind: IncidentKind::Down,
        title: title(case.view, &root),
        root,
        started: seen.started,
        detected: seen.detected,
        received: seen.received,
        opened: born.opened,
        restored: born.restored,
        state: born.state,
        cause: undetermined(),
        symptoms: [(seen.id.clone(), symptom(seen))].into(),
        handling: born.handling,
        taken_on: None,
        follows,
        parent: None,
        evidence_opening: seen.evidence.clone(),
        evidence_restoration: None,
    };
    let desk = desk_for(&incident, seen.detected, seen.received);
    let due_at = incident.opened.unwrap_or(seen.detected);
    case.effect(incident, born.change, desk, due_at)
}

/// How an incident comes into the world.
struct Birth {
    state: IncidentState,
    handling: Handling,
    opened: Option<Timestamp>,
    restored: Option<Timestamp>,
    change: Change,
}

fn birth(case: &Case<'_>, seen: &FindingSeen, open_due: Timestamp) -> Birth {
    let opened = open_due.max(seen.received);
    let handling = case.handling(seen.detected);
    match seen.arrival {
        Arrival::StillFailing if case.now < open_due => Birth {
            state: IncidentState::Candidate { open_due },
            handling,
            opened: None,
            restored: None,
            change: Change::CandidateNoted,
        },
        Arrival::StillFailing => {
            Birth { state: IncidentState::Open, handling, opened: Some(opened), restored: None, change: Change::Opened }
        }
        Arrival::Over { restored } if restored.not_after < open_due => Birth {
            state: passed(restored.not_after),
            handling: Handling::Retroactive,
            opened: None,
            restored: Some(restored.not_after),
            change: Change::Passed,
        },
        Arrival::Over { restored } => {
            let until = case.watched_until(restored.not_after);
            Birth {
                state: if until <= case.now {
                    resolved_by_watch(until, Holder::Nobody)
                } else {
                    IncidentState::Watching { until, holder: Holder::Nobody }
                },
                handling: match handling {
                    Handling::Desk | Handling::Cause | Handling::Retroactive => Handling::Retroactive,
                    Handling::AsFound => Handling::AsFound,
                },
                opened: Some(opened),
                restored: Some(restored.not_after),
                change: Change::Opened,
            }
        }
    }
}

/// Over while it was a candidate: an event, counted.
pub(in crate::incident) fn passed(at: Timestamp) -> IncidentState {
    IncidentState::Dismissed {
        at,
        by: Who::Rule("open-after".to_owned()),
        reason: "over before its class counts it as an incident".to_owned(),
    }
}

/// The finding as its incident keeps it.
pub(super) fn symptom(seen: &FindingSeen) -> Symptom {
    let restored: Option<Bounds> = match seen.arrival {
        Arrival::StillFailing => None,
        Arrival::Over { restored } => Some(restored),
    };
    Symptom { started: seen.started, detected: seen.detected, received: seen.received, restored }
}
