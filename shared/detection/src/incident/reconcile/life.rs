//! A stored incident lives on with what the facts say of it.

use jiff::{SignedDuration, Timestamp};
use upheld_model::{DeviceText, FindingId};

use super::{Table, birth, handling, orphan::by_itself, root};
use crate::{
    correlate::Judged,
    incident::{
        CauseClaim, Change, Desk, Handling, Holder, Incident, IncidentState, Who,
        decide::{desk_for, resolved_by_watch},
    },
};

/// After a ticket was closed by hand, what fails again opens one new ticket in this long (DETECTION 5).
const FOLLOWS_AFTER: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn go_on(table: &mut Table<'_>, at: usize, judged: &Judged) {
    let incident = table.incidents[at].clone();
    match &incident.state {
        IncidentState::Candidate { .. } => grow(table, incident, judged),
        IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Watching { .. } => live(table, incident, judged),
        IncidentState::Resolved { by: Who::Rule(_), .. } => live(table, incident, judged),
        IncidentState::Resolved { at, by: Who::Person(_), .. }
        | IncidentState::Closed { at, .. }
        | IncidentState::Dismissed { at, by: Who::Person(_), .. } => {
            let at = *at;
            rest(table, incident, judged, at);
        }
        IncidentState::Dismissed { by: Who::Rule(_), .. } => grow(table, incident, judged),
        IncidentState::Merged { .. } => {}
    }
}

/// Whether another one that is open is about the same: there is at most one.
fn is_occupied(table: &Table<'_>, incident: &Incident) -> bool {
    table.incidents.iter().any(|known| known.dedup == incident.dedup && known.is_open() && known.key != incident.key)
}

/// A candidate, or what passed as one, becomes an incident when its time has come.
fn grow(table: &mut Table<'_>, mut incident: Incident, judged: &Judged) {
    if is_occupied(table, &incident) {
        return;
    }
    if judged.opened > table.now {
        let candidate = IncidentState::Candidate { open_due: judged.opened };
        let is_news = incident.state != candidate || follow(table, &mut incident, judged);
        if is_news {
            incident.state = candidate;
            incident.restored = None;
            table.say(incident, Change::CandidateNoted, Desk::AsBefore, judged.detected);
        }
        return;
    }
    follow(table, &mut incident, judged);
    (incident.detected, incident.received) = (judged.detected, judged.received);
    birth::open(table, incident, judged);
}

/// An incident that people may deal with.
fn live(table: &mut Table<'_>, mut incident: Incident, judged: &Judged) {
    let would_reopen = table.restored(judged).is_none_or(|at| table.watched_until(at) > table.now);
    if !incident.is_open() && would_reopen && is_occupied(table, &incident) {
        return;
    }
    let before = incident.clone();
    let added: Vec<FindingId> =
        judged.symptoms.iter().filter(|id| !before.symptoms.contains_key(*id)).cloned().collect();
    let is_changed = follow(table, &mut incident, judged);
    let desk = begin(&before, &mut incident, judged);
    let restored = table.restored(judged);
    let holder = before.state.holder();
    match (&before.state, restored) {
        (IncidentState::Watching { .. } | IncidentState::Resolved { .. }, None) => {
            let first = added.first().cloned();
            let at = first.as_ref().and_then(|id| incident.symptoms.get(id)).map_or(table.now, |s| s.detected);
            incident.state = holder.into();
            (incident.restored, incident.evidence_restoration) = (None, None);
            table.say(incident, Change::Relapsed { finding: first }, desk, at);
        }
        (IncidentState::Open | IncidentState::Taken { .. } | IncidentState::InProgress { .. }, Some(restored)) => {
            // That everything works again says of each of its findings that it ended.
            let mut desk = desk;
            for (change, at) in came(&incident, &added) {
                table.say(incident.clone(), change, std::mem::replace(&mut desk, Desk::AsBefore), at);
            }
            incident.restored = Some(restored);
            incident.evidence_restoration = Some(DeviceText::new(&format!("good since {restored}")));
            incident.state = IncidentState::Watching { until: table.watched_until(restored), holder };
            table.say(incident, Change::Restored, desk, restored);
        }
        (IncidentState::Watching { until, .. }, Some(restored)) if before.restored != Some(restored) => {
            incident.restored = Some(restored);
            let until = (*until).max(table.watched_until(restored));
            incident.state = IncidentState::Watching { until, holder };
            table.say(incident, Change::Amended, desk, restored);
        }
        (IncidentState::Resolved { .. }, Some(restored)) if before.restored != Some(restored) => {
            incident.restored = Some(restored);
            let until = table.watched_until(restored);
            incident.state = if until <= table.now {
                resolved_by_watch(until, holder)
            } else {
                IncidentState::Watching { until, holder }
            };
            table.say(incident, Change::Amended, desk, restored);
        }
        (
            IncidentState::Open
            | IncidentState::Taken { .. }
            | IncidentState::InProgress { .. }
            | IncidentState::Watching { .. }
            | IncidentState::Resolved { .. }
            | IncidentState::Candidate { .. }
            | IncidentState::Closed { .. }
            | IncidentState::Merged { .. }
            | IncidentState::Dismissed { .. },
            _,
        ) => {
            if is_changed || desk != Desk::AsBefore {
                tell_of_symptoms(table, &before, &incident, desk, &added);
            }
        }
    }
}

/// One entry for each finding that came or ended; one for anything else that changed.
fn tell_of_symptoms(
    table: &mut Table<'_>,
    before: &Incident,
    incident: &Incident,
    mut desk: Desk,
    added: &[FindingId],
) {
    let mut all = came(incident, added);
    all.extend(went(before, incident));
    if all.is_empty() && (incident != before || desk != Desk::AsBefore) {
        all.push((Change::Amended, table.now));
    }
    for (change, at) in all {
        table.say(incident.clone(), change, std::mem::replace(&mut desk, Desk::AsBefore), at);
    }
}

fn came(incident: &Incident, added: &[FindingId]) -> Vec<(Change, Timestamp)> {
    let came = |id: &FindingId| {
        let at = incident.symptoms.get(id)?.detected;
        Some((Change::SymptomAdded { finding: id.clone() }, at))
    };
    added.iter().filter_map(came).collect()
}

fn went(before: &Incident, incident: &Incident) -> Vec<(Change, Timestamp)> {
    let was_open = |id: &FindingId| before.symptoms.get(id).is_some_and(|symptom| symptom.restored.is_none());
    let went = incident.symptoms.iter().filter(|(id, _)| was_open(id));
    went.filter_map(|(id, symptom)| {
        let at = symptom.restored?.not_after;
        Some((Change::SymptomEnded { finding: id.clone() }, at))
    })
    .collect()
}

/// What a person ended stays ended. What fails anew afterwards is another ticket, one a day.
fn rest(table: &mut Table<'_>, mut incident: Incident, judged: &Judged, ended: Timestamp) {
    let news = table.symptoms(judged).into_iter().filter(|(_, symptom)| symptom.started.not_after > ended);
    let failing = news.filter(|(_, symptom)| symptom.restored.is_none()).min_by_key(|(_, s)| s.started.not_after);
    let before = incident.clone();
    incident.symptoms.extend(table.symptoms(judged).into_iter().filter(|(_, s)| s.started.not_after <= ended));
    incident.restored = table.restored(judged).filter(|at| *at <= ended).or(incident.restored);
    tell_of_symptoms(table, &before, &incident, Desk::AsBefore, &[]);
    if let Some(at) = table.incidents.iter().position(|known| known.follows == Some(incident.key) && known.is_open()) {
        return goes_on_after(table, at, judged, ended);
    }
    let Some((_, first)) = failing else { return };
    let recent = |known: &Incident| {
        known.follows == Some(incident.key)
            && (known.is_open() || known.opened.is_some_and(|at| table.now.duration_since(at) < FOLLOWS_AFTER))
    };
    let is_due = judged.opened.max(first.detected) <= table.now;
    if is_due && !is_occupied(table, &incident) && !table.incidents.iter().any(recent) {
        birth::follow_up(table, &incident, judged, ended);
    }
}

/// What follows a closed ticket has the findings since, and is over when they are.
fn goes_on_after(table: &mut Table<'_>, at: usize, judged: &Judged, ended: Timestamp) {
    let mut incident = table.incidents[at].clone();
    let since = table.symptoms(judged).into_iter().filter(|(_, symptom)| symptom.started.not_after > ended);
    incident.symptoms.extend(since);
    by_itself(table, at, incident);
}

/// Takes over what the judgement says beside the state. Whether anything is another than before.
fn follow(table: &Table<'_>, incident: &mut Incident, judged: &Judged) -> bool {
    let before = incident.clone();
    incident.judged = (judged.key != incident.key).then_some(judged.key);
    incident.symptoms.retain(|id, _| judged.symptoms.contains(id));
    incident.symptoms.extend(table.symptoms(judged));
    incident.class = judged.class;
    name(table, incident, judged);
    incident.parent = judged.parent.map(|parent| table.name_of(parent)).or(incident.parent);
    incident.started = judged.started;
    if matches!(incident.cause.by, Who::Rule(_)) {
        incident.cause = claim(judged);
    }
    *incident != before
}

/// What failed first, and the sentence that says it. Once somebody has it in hand a late fact makes it nothing else, as no
/// better cause takes it over; what came behind is said as ever.
fn name(table: &Table<'_>, incident: &mut Incident, judged: &Judged) {
    let said = table.title(judged);
    match root(judged) {
        Some(other) if other != incident.root && incident.state.holder() != Holder::Nobody => {
            let first = incident.title.split_once("; ").map_or(incident.title.as_str(), |(first, _)| first);
            let rest = said.split_once("; ").map(|(_, rest)| format!("; {rest}")).unwrap_or_default();
            incident.title = format!("{first}{rest}");
        }
        Some(root) => (incident.root, incident.title) = (root, said),
        None => incident.title = said,
    }
}

impl Table<'_> {
    /// The key by which the incident of a judged key is stored.
    pub(super) fn name_of(&self, judged: crate::incident::IncidentKey) -> crate::incident::IncidentKey {
        self.incidents.iter().find(|known| known.judged == Some(judged)).map_or(judged, |known| known.key)
    }
}

pub(super) fn claim(judged: &Judged) -> CauseClaim {
    let confidence_percent = if judged.cause == upheld_model::Cause::Undetermined { 0 } else { 80 };
    CauseClaim { cause: judged.cause, confidence_percent, by: Who::Rule("correlate".to_owned()) }
}

/// What had bothered nobody so far may begin to: once people deal with it they go on to.
fn begin(before: &Incident, incident: &mut Incident, judged: &Judged) -> Desk {
    match (before.handling, handling(judged)) {
        (Handling::Retroactive | Handling::Cause, Handling::Desk) => {
            incident.handling = Handling::Desk;
            (incident.detected, incident.received) = (judged.detected, judged.received);
            incident.opened = incident.opened.or(Some(judged.opened));
            desk_for(incident, judged.detected, judged.received)
        }
        (Handling::Desk, _) if before.taken_on.is_none() && judged.received < before.received => {
            // A late fact shows that it was received before: the earliest clock holds.
            (incident.detected, incident.received) = (judged.detected.min(before.detected), judged.received);
            Desk::AsBefore
        }
        (Handling::Retroactive, Handling::Cause) => {
            incident.handling = Handling::Cause;
            Desk::AsBefore
        }
        (Handling::Desk | Handling::Cause | Handling::Retroactive | Handling::AsFound, _) => Desk::AsBefore,
    }
}
