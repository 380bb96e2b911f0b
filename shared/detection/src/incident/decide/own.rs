//! The collector's own troubles: an incident that pages the provider and is no client's (DETECTION 4.6).

use jiff::Timestamp;
use upheld_model::{Cause, DeviceText, IncidentClass, IncidentKind};

use super::{Case, OwnSeen, desk_for};
use crate::{
    incident::{
        Begun, Bounds, CauseClaim, Change, DedupKey, Desk, Incident, IncidentEffect, IncidentState, OpeningCause, Root,
        Who,
    },
    own::Trouble,
};

/// A trouble opens an incident, or reopens the one that is still watched.
pub(super) fn begins(case: &Case<'_>, seen: &OwnSeen) -> Vec<IncidentEffect> {
    let root = Root::Collector { trouble: seen.trouble };
    let dedup = dedup(case, seen.trouble);
    match case.view.incidents.iter().find(|incident| incident.dedup == dedup && incident.is_open()) {
        Some(incident) => match &incident.state {
            IncidentState::Watching { holder, .. } => {
                let (holder, mut incident) = (holder.clone(), incident.clone());
                incident.state = holder.into();
                (incident.restored, incident.evidence_restoration) = (None, None);
                vec![case.effect(incident, Change::Relapsed { finding: None }, Desk::AsBefore, seen.noticed)]
            }
            IncidentState::Candidate { .. }
            | IncidentState::Open
            | IncidentState::Taken { .. }
            | IncidentState::InProgress { .. }
            | IncidentState::Resolved { .. }
            | IncidentState::Closed { .. }
            | IncidentState::Merged { .. }
            | IncidentState::Dismissed { .. } => Vec::new(),
        },
        None => vec![open(case, seen, root)],
    }
}

/// It is over: restored, and watched.
pub(super) fn over(case: &Case<'_>, trouble: Trouble, until: Timestamp, why: &str) -> Vec<IncidentEffect> {
    let dedup = dedup(case, trouble);
    let lasts = |incident: &&Incident| incident.dedup == dedup && incident.restored.is_none() && incident.is_open();
    let Some(incident) = case.view.incidents.iter().find(lasts) else { return Vec::new() };
    let mut incident = incident.clone();
    incident.restored = Some(until);
    incident.evidence_restoration = Some(DeviceText::new(why));
    incident.state = IncidentState::Watching { until: case.watched_until(until), holder: incident.state.holder() };
    vec![case.effect(incident, Change::Restored, Desk::AsBefore, until)]
}

fn open(case: &Case<'_>, seen: &OwnSeen, root: Root) -> IncidentEffect {
    let (client, site) = (&case.view.client, &case.view.site);
    let cause = OpeningCause::Concluded { source: format!("own/{}", seen.trouble), occurrence: seen.since };
    let incident = Incident {
        cause: CauseClaim { cause: Cause::Collector, confidence_percent: 90, by: Who::Rule("own".to_owned()) },
        evidence_opening: Some(DeviceText::new(&seen.why)),
        ..Incident::begun(Begun {
            client,
            site,
            class: IncidentClass::Monitoring,
            kind: IncidentKind::Down,
            root,
            opening: &cause,
            rule: "own",
            title: seen.trouble.sentence().to_owned(),
            started: Bounds { not_before: Some(seen.since), not_after: seen.noticed.max(seen.since) },
            detected: seen.noticed,
            received: seen.noticed,
        })
    };
    let desk = desk_for(&incident, seen.noticed, seen.noticed);
    case.effect(incident, Change::Opened, desk, seen.noticed)
}

fn dedup(case: &Case<'_>, trouble: Trouble) -> DedupKey {
    let root = Root::Collector { trouble };
    DedupKey::new(&case.view.client, &case.view.site, &root, IncidentClass::Monitoring, IncidentKind::Down)
}
