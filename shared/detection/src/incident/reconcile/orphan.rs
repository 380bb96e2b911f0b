//! A stored incident that the facts no longer make: a better cause explains it, it passed, or it lives by itself.

use jiff::Timestamp;
use upheld_model::DeviceText;

use super::{
    Table,
    birth::{may_be_taken_over, shares},
    places::Places,
    symptom,
};
use crate::{
    correlate::Judged,
    incident::{Change, Desk, Holder, Incident, IncidentState, Who, decide::passed},
};

pub(super) fn part(table: &mut Table<'_>, judged: &[Judged], places: &Places) {
    for at in &places.left {
        let incident = table.incidents[*at].clone();
        // It may have been taken over by its cause.
        if incident.judged.is_some_and(|key| judged.iter().any(|judged| judged.key == key)) {
            continue;
        }
        let home = judged.iter().filter(|judged| judged.opened <= table.now).find(|judged| shares(&incident, judged));
        let home = home.map(|judged| table.name_of(judged.key)).filter(|home| *home != incident.key);
        let home = home.and_then(|key| table.incidents.iter().find(|known| known.key == key).cloned());
        match (&incident.state, home) {
            (IncidentState::Candidate { .. }, None) => pass(table, incident),
            (IncidentState::Merged { .. } | IncidentState::Closed { .. } | IncidentState::Dismissed { .. }, _) => {}
            (IncidentState::Resolved { by: Who::Rule(_), .. }, Some(home)) if !incident.is_ticketed() => {
                merge(table, incident, home);
            }
            (IncidentState::Resolved { .. }, _) => {}
            (_, Some(home)) if !incident.is_ticketed() || may_be_taken_over(table, &incident) => {
                merge(table, incident, home);
            }
            (_, Some(home)) => link(table, *at, incident, &home),
            (_, None) => by_itself(table, *at, incident),
        }
    }
}

/// Late facts say that what was over went on: as the one that is open, whose clock begins as early. What somebody had in
/// hand a person merges.
pub(super) fn supersede(table: &mut Table<'_>, over: usize, open: usize) {
    let (mut over, open) = (table.incidents[over].clone(), table.incidents[open].clone());
    match over.state.holder() {
        Holder::Nobody => merge(table, over, open),
        Holder::Taken { .. } | Holder::InProgress { .. } => propose(table, &mut over, &open),
    }
}

/// Its failure was over before its time.
fn pass(table: &mut Table<'_>, mut incident: Incident) {
    renew(table, &mut incident);
    let over = ends(&incident).unwrap_or(table.now);
    incident.restored = Some(over);
    incident.state = passed(over);
    table.say(incident, Change::Passed, Desk::AsBefore, over);
}

/// It is part of what explains it, whose clock begins as early as its own did.
fn merge(table: &mut Table<'_>, mut incident: Incident, mut home: Incident) {
    let now = table.now;
    let is_earlier = incident.is_ticketed() && home.is_ticketed() && incident.received < home.received;
    if is_earlier {
        (home.detected, home.received) = (incident.detected.min(home.detected), incident.received);
        table.say(home.clone(), Change::Amended, Desk::AsBefore, now);
    }
    incident.state = IncidentState::Merged { into: home.key, at: now, by: Who::Rule("cause".to_owned()) };
    incident.parent = Some(home.key);
    table.say(incident, Change::Merged, Desk::AsBefore, now);
}

/// Somebody deals with it, or it is old: the cause is proposed, a person merges.
fn link(table: &mut Table<'_>, at: usize, mut incident: Incident, home: &Incident) {
    propose(table, &mut incident, home);
    by_itself(table, at, incident);
}

fn propose(table: &mut Table<'_>, incident: &mut Incident, home: &Incident) {
    if incident.parent != Some(home.key) {
        incident.parent = Some(home.key);
        let (now, cause) = (table.now, home.title.clone());
        table.say(incident.clone(), Change::CauseProposed { cause }, Desk::AsBefore, now);
    }
}

/// It is over when its own findings are; `at` is its place.
pub(super) fn by_itself(table: &mut Table<'_>, at: usize, mut incident: Incident) {
    let before = table.incidents[at].clone();
    renew(table, &mut incident);
    let holder = before.state.holder();
    match (&before.state, ends(&incident)) {
        (IncidentState::Open | IncidentState::Taken { .. } | IncidentState::InProgress { .. }, Some(restored)) => {
            incident.restored = Some(restored);
            incident.evidence_restoration = Some(DeviceText::new(&format!("good since {restored}")));
            incident.state = IncidentState::Watching { until: table.watched_until(restored), holder };
            table.say(incident, Change::Restored, Desk::AsBefore, restored);
        }
        (IncidentState::Watching { .. }, None) => {
            incident.state = holder.into();
            (incident.restored, incident.evidence_restoration) = (None, None);
            let now = table.now;
            table.say(incident, Change::Relapsed { finding: None }, Desk::AsBefore, now);
        }
        (_, _) if incident != before => {
            let now = table.now;
            table.say(incident, Change::Amended, Desk::AsBefore, now);
        }
        (_, _) => {}
    }
}

/// Its findings as they are now. One that the facts no longer have is over.
fn renew(table: &Table<'_>, incident: &mut Incident) {
    for (id, own) in &mut incident.symptoms {
        match table.findings.get(id) {
            Some(fact) => *own = symptom(fact),
            None => {
                own.restored.get_or_insert(own.started);
            }
        }
    }
}

fn ends(incident: &Incident) -> Option<Timestamp> {
    let all: Option<Vec<Timestamp>> =
        incident.symptoms.values().map(|symptom| symptom.restored.map(|bounds| bounds.not_after)).collect();
    all?.into_iter().max()
}
