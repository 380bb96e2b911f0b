//! An agent that is not heard any more, and one that is heard again (DETECTION 4.6).

use jiff::Timestamp;
use upheld_model::{AgentId, Cause, DeviceText, IncidentClass, IncidentKind};

use super::{Case, SilenceSeen, deadline::resolve_by_watch, desk_for, undetermined};
use crate::{
    incident::{
        Begun, Bounds, CauseClaim, Change, DedupKey, Desk, Holder, Incident, IncidentEffect, IncidentState,
        OpeningCause, Root, Who,
    },
    silence::{Extent, Told},
};

/// How sure a power failure is by last words: a person who looked knows better.
const LAST_WORDS_PERCENT: u8 = 70;

/// A silence opens an incident about its agent, or reopens the one that is still watched.
pub(super) fn silent(case: &Case<'_>, seen: &SilenceSeen) -> Vec<IncidentEffect> {
    let root = Root::Agent { agent: seen.agent.clone(), host: seen.host.clone() };
    let dedup = dedup(case, &root);
    if is_known_down(case, seen) {
        return Vec::new();
    }
    let of_agent = case.view.incidents.iter().filter(|incident| incident.dedup == dedup);
    let latest = of_agent.max_by_key(|incident| (incident.is_open(), incident.started.not_after));
    let resolved = match latest.map(|incident| (incident, meets(incident, seen.last_heard))) {
        Some((_, Meets::Known)) => return Vec::new(),
        Some((incident, Meets::Relapse(holder))) => return vec![relapse(case, incident.clone(), seen, holder)],
        Some((incident, Meets::WatchedOut)) => Some(resolve_by_watch(case, incident.clone())),
        Some((_, Meets::Past)) | None => None,
    };
    resolved.into_iter().chain([create(case, seen, root)]).collect()
}

/// A silent agent was heard: restored, and watched.
pub(super) fn back(case: &Case<'_>, agent: &AgentId, heard: Timestamp) -> Vec<IncidentEffect> {
    let dedup = dedup(case, &Root::Agent { agent: agent.clone(), host: None });
    let is_silent = |incident: &&Incident| incident.dedup == dedup && incident.restored.is_none() && incident.is_open();
    let Some(incident) = case.view.incidents.iter().find(is_silent) else { return Vec::new() };
    let mut incident = incident.clone();
    incident.restored = Some(heard);
    incident.evidence_restoration = Some(DeviceText::new(&format!("heard again at {heard}")));
    incident.state = IncidentState::Watching { until: case.watched_until(heard), holder: incident.state.holder() };
    vec![case.effect(incident, Change::Restored, Desk::AsBefore, heard)]
}

/// How a silence since `last_heard` meets an earlier incident of the same agent.
enum Meets {
    /// It is that silence.
    Known,
    /// It falls into the watch over that one.
    Relapse(Holder),
    /// That one's watch ended before, and nobody has said so yet.
    WatchedOut,
    /// That one is over.
    Past,
}

fn meets(incident: &Incident, last_heard: Timestamp) -> Meets {
    match &incident.state {
        IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. } => Meets::Known,
        IncidentState::Watching { until, holder } if last_heard < *until => Meets::Relapse(holder.clone()),
        IncidentState::Watching { .. } => Meets::WatchedOut,
        IncidentState::Resolved { at, by: Who::Rule(_), holder } if last_heard < *at => Meets::Relapse(holder.clone()),
        IncidentState::Resolved { by: Who::Rule(_), .. } => Meets::Past,
        // A person ended it while the agent was silent, and it has not been heard since.
        IncidentState::Resolved { at, by: Who::Person(_), .. }
        | IncidentState::Closed { at, .. }
        | IncidentState::Merged { at, .. }
        | IncidentState::Dismissed { at, .. } => {
            // Once it was heard again, a silence is another one, also if that was just before he ended it.
            if last_heard <= *at && incident.restored.is_none() { Meets::Known } else { Meets::Past }
        }
    }
}

fn relapse(case: &Case<'_>, mut incident: Incident, seen: &SilenceSeen, holder: Holder) -> IncidentEffect {
    incident.state = holder.into();
    incident.restored = None;
    incident.evidence_restoration = None;
    case.effect(incident, Change::Relapsed { finding: None }, Desk::AsBefore, seen.deadline)
}

fn create(case: &Case<'_>, seen: &SilenceSeen, root: Root) -> IncidentEffect {
    let (client, site) = (&case.view.client, &case.view.site);
    let cause = OpeningCause::concluded(format!("silence/{}", seen.agent), seen.last_heard);
    let power = power_out(case, seen);
    let told = Told {
        site,
        zone: &seen.zone,
        extent: &seen.extent,
        since: seen.last_heard,
        is_power: seen.said_power || power.is_some(),
        went_on: false,
        together: seen.together.as_ref(),
    };
    let (title, blamed) = told.sentence();
    let incident = Incident {
        cause: claim(blamed),
        handling: case.handling(seen.deadline),
        parent: power.map(|incident| incident.key),
        evidence_opening: Some(DeviceText::new(&format!(
            "last heard at {}, expected by {}",
            seen.last_heard, seen.expected_by
        ))),
        ..Incident::begun(Begun {
            client,
            site,
            class: IncidentClass::Monitoring,
            kind: IncidentKind::Silent,
            root,
            opening: &cause,
            rule: "silence",
            title,
            started: Bounds { not_before: Some(seen.last_heard), not_after: seen.expected_by },
            detected: seen.deadline,
            received: seen.deadline,
        })
    };
    let desk = desk_for(&incident, seen.deadline, seen.deadline);
    case.effect(incident, Change::Opened, desk, seen.deadline)
}

/// Whether an incident says already that the host of a single silent agent is down: one asset, one incident.
fn is_known_down(case: &Case<'_>, seen: &SilenceSeen) -> bool {
    let Extent::Agent { .. } = seen.extent else { return false };
    let Some(host) = &seen.host else { return false };
    let mut open = case.view.incidents.iter().filter(|incident| is_down_over(incident, seen));
    open.any(|incident| incident.assets().contains(&host))
}

/// The power failure that was open when it fell silent.
fn power_out<'a>(case: &'a Case<'_>, seen: &SilenceSeen) -> Option<&'a Incident> {
    let mut open = case.view.incidents.iter().filter(|incident| is_down_over(incident, seen));
    open.find(|incident| incident.class == IncidentClass::Power)
}

fn is_down_over(incident: &Incident, seen: &SilenceSeen) -> bool {
    incident.kind == IncidentKind::Down
        && incident.opened.is_some_and(|opened| opened <= seen.deadline)
        && incident.restored.is_none_or(|restored| restored > seen.last_heard)
}

/// What the last words say; nobody has looked.
fn claim(cause: Cause) -> CauseClaim {
    if cause == Cause::Undetermined {
        return undetermined();
    }
    CauseClaim { cause, confidence_percent: LAST_WORDS_PERCENT, by: Who::Rule("silence".to_owned()) }
}

fn dedup(case: &Case<'_>, root: &Root) -> DedupKey {
    DedupKey::new(&case.view.client, &case.view.site, root, IncidentClass::Monitoring, IncidentKind::Silent)
}
