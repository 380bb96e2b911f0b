//! What changes by itself, dated by its deadline.

use jiff::Timestamp;

use super::{Case, desk_for, later};
use crate::incident::{Change, Desk, Holder, Incident, IncidentEffect, IncidentState, Root, Who, drill};

/// Everything of the site that is due.
pub(super) fn due(case: &Case<'_>) -> Vec<IncidentEffect> {
    let is_due = |incident: &&Incident| incident.next_deadline().is_some_and(|at| at <= case.now);
    case.view.incidents.iter().filter(is_due).filter_map(|incident| pass(case, incident)).collect()
}

fn pass(case: &Case<'_>, incident: &Incident) -> Option<IncidentEffect> {
    if incident.is_drill() {
        return drill::end(incident, case.now);
    }
    match &incident.state {
        IncidentState::Candidate { .. } => Some(promote(case, incident.clone())),
        IncidentState::Watching { until, holder } if is_unknown(case, incident) => {
            let mut incident = incident.clone();
            let (due_at, holder) = (*until, holder.clone());
            incident.state = IncidentState::Watching { until: later(case.now, case.rules.watch), holder };
            Some(case.effect(incident, Change::WatchExtended, Desk::AsBefore, due_at))
        }
        IncidentState::Watching { .. } => Some(resolve_by_watch(case, incident.clone())),
        IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Resolved { .. }
        | IncidentState::Closed { .. }
        | IncidentState::Merged { .. }
        | IncidentState::Dismissed { .. } => None,
    }
}

/// A candidate whose time is over becomes an incident, as of then. Response clocks still count from the receipt of
/// its finding, never from this promotion (TERMS F11).
fn promote(case: &Case<'_>, mut incident: Incident) -> IncidentEffect {
    let opened = incident.state.next_deadline().unwrap_or(incident.received).max(incident.received);
    incident.opened = Some(opened);
    incident.state = IncidentState::Open;
    let desk = desk_for(&incident, incident.detected, incident.received);
    case.effect(incident, Change::Opened, desk, opened)
}

/// A watch that ended without a relapse resolves the incident, as of its end.
pub(super) fn resolve_by_watch(case: &Case<'_>, mut incident: Incident) -> IncidentEffect {
    let at = incident.state.next_deadline().unwrap_or(case.now);
    let holder = incident.state.holder();
    incident.state = resolved_by_watch(at, holder);
    case.effect(incident, Change::Resolved, Desk::AsBefore, at)
}

pub(in crate::incident) fn resolved_by_watch(at: Timestamp, holder: Holder) -> IncidentState {
    IncidentState::Resolved { at, by: Who::Rule("watch".to_owned()), holder }
}

/// Over while it was a candidate: an event, counted.
pub(in crate::incident) fn passed(at: Timestamp) -> IncidentState {
    IncidentState::Dismissed {
        at,
        by: Who::Rule("open-after".to_owned()),
        reason: "over before its class counts it as an incident".to_owned(),
    }
}

/// Whether something in it cannot be judged just now: unknown never resolves an incident.
fn is_unknown(case: &Case<'_>, incident: &Incident) -> bool {
    match &incident.root {
        Root::Check { check: _ } => incident.symptoms.keys().any(|finding| case.view.unknown.contains(&finding.check)),
        Root::Agent { .. } | Root::Report { .. } | Root::Collector { .. } | Root::Drill { .. } => false,
    }
}
