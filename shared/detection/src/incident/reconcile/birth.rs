//! A new incident, or one that was open already under the name of a symptom.

use jiff::{SignedDuration, Timestamp};
use upheld_model::{DeviceText, ObservedAt};

use super::{
    Table, dedup, handling,
    life::claim,
    places::{Places, is_merged},
    root,
};
use crate::{
    correlate::Judged,
    incident::{
        Change, DedupKey, Desk, Handling, Holder, Incident, IncidentKey, IncidentState, OpeningCause, Root,
        decide::{desk_for, resolved_by_watch},
    },
};

/// A better cause takes over an incident by itself for this long, while nobody has taken it (DETECTION 4.4).
pub(super) const REPARENTS_WITHIN: SignedDuration = SignedDuration::from_mins(15);

pub(super) fn be_born(table: &mut Table<'_>, judged: &Judged, places: &Places) {
    let latest = judged.opened.max(judged.received);
    if table.now.duration_since(latest) > SignedDuration::try_from(table.rules.look_back).unwrap_or(SignedDuration::MAX)
    {
        // What lies as far back was judged when it was new.
        return;
    }
    let mut taken: Vec<Incident> = places.left.iter().map(|at| table.incidents[*at].clone()).collect();
    taken.retain(|incident| may_be_taken_over(table, incident) && shares(incident, judged));
    taken.sort_by_key(|incident| (!incident.is_ticketed(), incident.opened.unwrap_or(Timestamp::MAX), incident.key));
    let is_due = judged.opened <= table.now;
    match taken.into_iter().next().filter(|_| is_due) {
        Some(earlier) => take_over(table, earlier, judged),
        None => anew(table, judged),
    }
}

pub(super) fn shares(incident: &Incident, judged: &Judged) -> bool {
    judged.symptoms.iter().any(|finding| incident.symptoms.contains_key(finding))
}

/// Whether nobody would miss it: it is open, nobody took it, and it is young.
pub(super) fn may_be_taken_over(table: &Table<'_>, incident: &Incident) -> bool {
    let is_young = incident.opened.is_none_or(|at| table.now.duration_since(at) <= REPARENTS_WITHIN);
    incident.is_open() && incident.state.holder() == Holder::Nobody && is_young && !is_merged(incident)
}

/// One ticket, the earliest clock: the incident stays, and is told by its cause.
fn take_over(table: &mut Table<'_>, mut incident: Incident, judged: &Judged) {
    let Some((dedup, root)) = dedup(table.view, judged).zip(root(judged)) else { return };
    if table.incidents.iter().any(|known| known.dedup == dedup && known.is_open() && known.key != incident.key) {
        return;
    }
    let was = incident.title.clone();
    let was_ticketed = incident.is_ticketed();
    incident.judged = (judged.key != incident.key).then_some(judged.key);
    (incident.dedup, incident.root, incident.class, incident.kind) = (dedup, root, judged.class, judged.kind);
    incident.title = table.title(judged);
    incident.started = judged.started;
    incident.cause = claim(judged);
    incident.symptoms = table.symptoms(judged);
    incident.parent = judged.parent.map(|parent| table.name_of(parent));
    if !was_ticketed {
        (incident.detected, incident.received) = (judged.detected, judged.received);
        incident.handling = handling(judged);
        if matches!(incident.state, IncidentState::Candidate { .. }) {
            return open(table, incident, judged);
        }
    }
    let desk = if was_ticketed { Desk::AsBefore } else { desk_for(&incident, judged.detected, judged.received) };
    let now = table.now;
    table.say(incident, Change::CauseFound { was }, desk, now);
}

fn anew(table: &mut Table<'_>, judged: &Judged) {
    let Some((dedup, root)) = dedup(table.view, judged).zip(root(judged)) else { return };
    let holds_place = |known: &&Incident| known.dedup == dedup && known.is_open() && !is_past(table, judged);
    if let Some(known) = table.incidents.iter().find(holds_place) {
        let IncidentState::Watching { until, holder } = known.state.clone() else {
            // Another one about the same holds the place; this one is told when that is over.
            return;
        };
        // Its watch is over, and nobody has said so yet.
        let resolved = Incident { state: resolved_by_watch(until.min(table.now), holder), ..known.clone() };
        table.say(resolved, Change::Resolved, Desk::AsBefore, until);
    }
    let key = own_key(table, judged, &root);
    let mut incident =
        Incident { judged: (key != judged.key).then_some(judged.key), ..new(table, judged, (key, dedup, root)) };
    if judged.opened > table.now {
        incident.state = IncidentState::Candidate { open_due: judged.opened };
        return table.say(incident, Change::CandidateNoted, Desk::AsBefore, judged.detected);
    }
    open(table, incident, judged);
}

/// Whether it is over, bothers nobody and is watched no more: it is never open, and needs no place.
fn is_past(table: &Table<'_>, judged: &Judged) -> bool {
    let is_over = table.restored(judged).is_some_and(|restored| table.watched_until(restored) <= table.now);
    is_over && handling(judged) == Handling::Retroactive
}

/// The judgement's key, unless an incident that its cause has taken over was born with it.
fn own_key(table: &Table<'_>, judged: &Judged, root: &Root) -> IncidentKey {
    let (client, site) = (&table.view.client, &table.view.site);
    let mut key = said_key(table, judged, root).unwrap_or(judged.key);
    while table.incidents.iter().any(|known| known.key == key) {
        let cause = OpeningCause::Concluded { source: format!("beside/{key}"), occurrence: judged.started.not_after };
        key = IncidentKey::new(client, site, root, &cause);
    }
    key
}

/// The key of what a check found itself, by the instant that its agent said.
fn said_key(table: &Table<'_>, judged: &Judged, root: &Root) -> Option<IncidentKey> {
    let (client, site) = (&table.view.client, &table.view.site);
    let Root::Check { check } = root else { return None };
    if judged.key != IncidentKey::found(client, site, check, ObservedAt(judged.started.not_after)) {
        return None;
    }
    let symptoms = judged.symptoms.iter().filter_map(|id| table.findings.get_key_value(id));
    let begun: Vec<_> = symptoms.filter(|(_, fact)| fact.started.not_after == judged.started.not_after).collect();
    let (said, _) = begun.iter().find(|(id, _)| id.check == *check).or(begun.first())?;
    Some(IncidentKey::found(client, site, check, said.first_bad))
}

fn new(table: &Table<'_>, judged: &Judged, (key, dedup, root): (IncidentKey, DedupKey, Root)) -> Incident {
    let symptoms = table.symptoms(judged);
    let first =
        judged.symptoms.iter().filter_map(|id| table.findings.get(id)).min_by_key(|fact| fact.started.not_after);
    Incident {
        key,
        judged: None,
        dedup,
        client: table.view.client.clone(),
        site: table.view.site.clone(),
        class: judged.class,
        kind: judged.kind,
        root,
        title: table.title(judged),
        started: judged.started,
        detected: judged.detected,
        received: judged.received,
        opened: None,
        restored: None,
        state: IncidentState::Open,
        cause: claim(judged),
        symptoms,
        handling: handling(judged),
        taken_on: None,
        follows: None,
        parent: judged.parent.map(|parent| table.name_of(parent)),
        evidence_opening: first.and_then(|fact| fact.evidence.clone()),
        evidence_restoration: None,
    }
}

/// Opens it as of its own time, and says at once if it was over then.
pub(super) fn open(table: &mut Table<'_>, mut incident: Incident, judged: &Judged) {
    incident.handling = handling(judged);
    incident.opened = Some(judged.opened);
    incident.state = IncidentState::Open;
    let restored = table.restored(judged);
    let told = match incident.handling {
        Handling::Retroactive => restored,
        Handling::Desk | Handling::Cause | Handling::AsFound => None,
    };
    if let Some(restored) = told {
        over(table, &mut incident, restored);
        return table.say(incident, Change::Opened, Desk::AsBefore, judged.opened);
    }
    let desk = desk_for(&incident, judged.detected, judged.received);
    table.say(incident.clone(), Change::Opened, desk, judged.opened);
    if let Some(restored) = restored {
        incident.restored = Some(restored);
        incident.evidence_restoration = Some(DeviceText::new(&format!("good since {restored}")));
        incident.state = IncidentState::Watching { until: table.watched_until(restored), holder: Holder::Nobody };
        table.say(incident, Change::Restored, Desk::AsBefore, restored);
    }
}

fn over(table: &Table<'_>, incident: &mut Incident, restored: Timestamp) {
    let until = table.watched_until(restored);
    incident.restored = Some(restored);
    incident.evidence_restoration = Some(DeviceText::new(&format!("good since {restored}")));
    incident.state = if until <= table.now {
        resolved_by_watch(until, Holder::Nobody)
    } else {
        IncidentState::Watching { until, holder: Holder::Nobody }
    };
}

/// What fails again after its ticket was closed by hand: a new one that follows it.
pub(super) fn follow_up(table: &mut Table<'_>, closed: &Incident, judged: &Judged, ended: Timestamp) {
    let cause = OpeningCause::Concluded { source: format!("again/{}", closed.key), occurrence: ended };
    let key = IncidentKey::new(&closed.client, &closed.site, &closed.root, &cause);
    let mut symptoms = table.symptoms(judged);
    symptoms.retain(|_, symptom| symptom.started.not_after > ended);
    let Some(first) = symptoms.values().min_by_key(|symptom| symptom.started.not_after).cloned() else { return };
    let mut incident = Incident {
        started: first.started,
        detected: first.detected,
        received: first.received,
        symptoms,
        follows: Some(closed.key),
        ..new(table, judged, (key, closed.dedup.clone(), closed.root.clone()))
    };
    incident.opened = Some(first.received.max(first.detected));
    let desk = desk_for(&incident, first.detected, first.received);
    let at = incident.opened.unwrap_or(table.now);
    table.say(incident, Change::Opened, desk, at);
}
