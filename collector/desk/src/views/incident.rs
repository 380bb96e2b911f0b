//! One incident with its terms, clocks, timeline and messages.

use jiff::Timestamp;
use upheld_agreement::{
    clock::{Calendars, FactKind, ManufacturerState, TermsChange},
    explain::Explanation,
};
use upheld_detection::incident::{Change, Holder, IncidentState, Root, Who};
use upheld_model::IncidentRef;
use upheld_store::{ReadTx, incidents::IncidentRow, outbox::OutboxStatus};

use super::{
    CauseView, ClockView, DeliveryView, Explained, IncidentView, ManufacturerClockView, Related, ReportView, TermsView,
    TimelineEntry, clock::clock_view, dispute, offers,
};
use crate::{
    Actor, DeskError,
    book::CurrentBook,
    case::{Case, clocks, entry::Entry, promise::Promise, read_incident},
};

/// The view of a case as of `now`.
pub(crate) fn incident_view(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    case: &Case,
    now: Timestamp,
) -> Result<IncidentView, DeskError> {
    let incident = &case.incident;
    let client = book.book.client(&incident.client);
    let site = book.book.site(&incident.client, &incident.site);
    let clocks = clock_views(case, now)?;
    let site_zone = || site.map_or_else(|| "UTC".to_owned(), |site| site.zone.clone());
    let zone = clocks.first().map_or_else(site_zone, |clock| clock.time_zone.clone());
    Ok(IncidentView {
        incident: case.reference(),
        key: case.row.incident_key.to_string(),
        title: incident.title.clone(),
        is_drill: incident.is_drill(),
        client_name: client.map_or_else(|| incident.client.to_string(), |client| client.name.clone()),
        site: incident.site.clone(),
        site_name: site.map_or_else(|| incident.site.to_string(), |site| site.name.clone()),
        time_zone: zone.clone(),
        asset: incident.root.asset().cloned(),
        check: incident.root.check().cloned(),
        class: incident.class,
        kind: incident.kind,
        state: incident.state.word().to_owned(),
        revision: case.revision(),
        cause: CauseView {
            cause: incident.cause.cause,
            confidence_percent: incident.cause.confidence_percent,
            by: named(tx, &incident.cause.by)?,
        },
        merged_into: merged_into(tx, case)?,
        brought_about_by: brought_about_by(tx, case)?,
        did_not_come_back: did_not_come_back(tx, case)?,
        reports: reports(tx, case)?,
        owner: owner(tx, &incident.state)?,
        started_after: incident.started.not_before,
        started_by: incident.started.not_after,
        detected_at: incident.detected,
        received_at: incident.received,
        opened_at: incident.opened.unwrap_or(case.row.opened_at),
        restored_at: incident.restored,
        resolved_at: resolved_at(&incident.state),
        evidence: incident.evidence_opening.as_ref().map(ToString::to_string),
        terms: terms_view(&case.promise),
        disputes: dispute::disputes(case, now)?,
        cost: None,
        owed_if_missed: Vec::new(),
        manufacturer: manufacturer(case, &zone, now)?,
        offers: offers::offers(book, case, &clocks, now),
        clocks,
        timeline: timeline(tx, case)?,
        deliveries: deliveries(tx, case)?,
    })
}

/// How each clock of a case stands, in the words of queue, page, API and mail, and then [`minutes`].
pub(super) fn explain(tx: &dyn ReadTx, case: &Case, now: Timestamp) -> Result<Explained, DeskError> {
    let explained = minutes(tx, case, now)?;
    let mut text: String = clock_views(case, now)?.iter().map(|clock| format!("{}\n", clock.said.line)).collect();
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&explained.text);
    Ok(Explained { text, ..explained })
}

/// Why each clock of a case is due when it is, and with which other incidents it has to do.
pub(crate) fn minutes(tx: &dyn ReadTx, case: &Case, now: Timestamp) -> Result<Explained, DeskError> {
    let mut explained =
        Explained { incident: case.reference(), text: String::new(), clocks: Vec::new(), manufacturer: None };
    match &case.promise {
        Promise::NotAsked => explained.text.push_str("No clock runs: people and clocks do not deal with it.\n"),
        Promise::None(none) => explained.text.push_str(&format!("No clock runs, none is promised: {}.\n", none.why)),
        Promise::Pinned(pinned) => {
            explained.clocks = clocks::replay(case)?.iter().map(|clock| clock.explain(&pinned.terms, now)).collect();
            for clock in &explained.clocks {
                explained.text.push_str(&format!("{}\n", clock.clock_text()));
            }
            let zone = explained.clocks.first().map_or("UTC", |clock| clock.zone.as_str());
            explained.manufacturer = manufacturer(case, zone, now)?.map(|view| view.sentence);
            if let Some(sentence) = &explained.manufacturer {
                explained.text.push_str(&format!("Manufacturer: {sentence}\n\n"));
            }
            // Why these terms is the same for every clock: it is read once.
            explained.text.push_str(&explained.clocks.first().map(Explanation::terms_text).unwrap_or_default());
        }
    }
    if let Some(Related { incident, title }) = brought_about_by(tx, case)? {
        explained.text.push_str(&format!("brought about by {incident}: {title}\n"));
    }
    for Related { incident, title } in did_not_come_back(tx, case)? {
        explained.text.push_str(&format!("did not come back: {incident}: {title}\n"));
    }
    Ok(explained)
}

/// The manufacturer's clock, its sentence in a zone.
fn manufacturer(case: &Case, zone: &str, now: Timestamp) -> Result<Option<ManufacturerClockView>, DeskError> {
    let Some(clock) = clocks::manufacturer(case)? else { return Ok(None) };
    let view = clock.view(now);
    Ok(Some(ManufacturerClockView {
        sentence: view.sentence(zone),
        state: view.state.word().to_owned(),
        answered_at: match view.state {
            ManufacturerState::Answered { at, .. } => Some(at),
            ManufacturerState::NotHandedOver
            | ManufacturerState::Waiting { .. }
            | ManufacturerState::NotNeeded { .. } => None,
        },
        maker: view.maker.to_string(),
        name: view.name,
        handed_over_at: view.handed_over_at,
        reference: view.reference,
        counted_s: view.counted_s,
        due: view.due.instant(),
        breached_at: view.breached_at,
    }))
}

/// The clocks, the one that runs out first at the head; those that are over last.
pub(crate) fn clock_views(case: &Case, now: Timestamp) -> Result<Vec<ClockView>, DeskError> {
    clock_views_with(case, &mut Calendars::default(), now)
}

/// The same with calendars that were compiled before: a queue has few of them.
pub(super) fn clock_views_with(
    case: &Case,
    calendars: &mut Calendars,
    now: Timestamp,
) -> Result<Vec<ClockView>, DeskError> {
    let Promise::Pinned(pinned) = &case.promise else { return Ok(Vec::new()) };
    let replayed = clocks::replay_with(case, calendars)?;
    let mut views: Vec<_> = replayed.iter().map(|clock| clock_view(&pinned.terms, clock, now)).collect();
    views.sort_by_key(|view| (!is_open(view), view.due.is_none(), view.due, view.stage.clone()));
    Ok(views)
}

/// Whether a clock can still run out.
pub(super) fn is_open(view: &ClockView) -> bool {
    matches!(view.state.as_str(), "running" | "paused" | "scheduled")
}

/// Who deals with an incident, by name.
pub(super) fn owner(tx: &dyn ReadTx, state: &IncidentState) -> Result<Option<String>, DeskError> {
    match state.holder() {
        Holder::Nobody => Ok(None),
        Holder::Taken { by, .. } | Holder::InProgress { by, .. } => named(tx, &by).map(Some),
    }
}

/// A rule by its id, a person by his name.
fn named(tx: &dyn ReadTx, who: &Who) -> Result<String, DeskError> {
    match who {
        Who::Rule(rule) => Ok(rule.clone()),
        Who::Person(id) => Ok(Actor::of(tx, id)?.label()),
    }
}

fn merged_into(tx: &dyn ReadTx, case: &Case) -> Result<Option<IncidentRef>, DeskError> {
    let IncidentState::Merged { into, .. } = &case.incident.state else { return Ok(None) };
    let client = &case.row.client;
    let row = tx.incident_by_key(client, &into.0)?;
    Ok(row.map(|row| IncidentRef { client: client.clone(), number: row.number }))
}

fn brought_about_by(tx: &dyn ReadTx, case: &Case) -> Result<Option<Related>, DeskError> {
    let Some(parent) = case.incident.parent else { return Ok(None) };
    tx.incident_by_key(&case.row.client, &parent.0)?.as_ref().map(related).transpose()
}

/// The incidents of the site that name this one as their parent, by number; those that never opened are none.
fn did_not_come_back(tx: &dyn ReadTx, case: &Case) -> Result<Vec<Related>, DeskError> {
    let incident = &case.incident;
    let since = incident.started.not_before.unwrap_or(incident.started.not_after);
    let mut rows = tx.incidents_of_site(&incident.client, &incident.site, since)?;
    // What does not name it need not be read.
    let name = incident.key.to_string();
    rows.retain(|row| row.number != case.row.number && row.body.contains(&name));
    rows.sort_by_key(|row| row.number);
    let mut children = Vec::new();
    for row in rows {
        let child = read_incident(&row)?;
        if child.parent == Some(incident.key) && child.opened.is_some() {
            children.push(related(&row)?);
        }
    }
    Ok(children)
}

fn related(row: &IncidentRow) -> Result<Related, DeskError> {
    let incident = IncidentRef { client: row.client.clone(), number: row.number };
    Ok(Related { incident, title: read_incident(row)?.title })
}

fn reports(tx: &dyn ReadTx, case: &Case) -> Result<Vec<ReportView>, DeskError> {
    let mut reports = Vec::new();
    for entry in &case.ledger {
        let Some(Change::Reported { id, text, entered_by }) = &entry.said.change else { continue };
        reports.push(ReportView {
            id: id.clone(),
            by: entry.who.label(),
            called_at: entry.effective_at,
            entered_at: entry.recorded_at,
            entered_by: named(tx, entered_by)?,
            text: text.clone(),
        });
    }
    Ok(reports)
}

fn resolved_at(state: &IncidentState) -> Option<Timestamp> {
    match state {
        IncidentState::Resolved { at, .. } | IncidentState::Closed { at, .. } => Some(*at),
        IncidentState::Candidate { .. }
        | IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Watching { .. }
        | IncidentState::Merged { .. }
        | IncidentState::Dismissed { .. } => None,
    }
}

fn terms_view(promise: &Promise) -> TermsView {
    match promise {
        Promise::Pinned(pinned) => TermsView::Pinned {
            agreement: pinned.terms.agreement.clone(),
            version: pinned.terms.version_label(),
            hash: pinned.terms.hash().to_string(),
            priority: pinned.terms.priority.to_string(),
            because: pinned.terms.explanation.text().lines().map(ToOwned::to_owned).collect(),
        },
        Promise::None(none) => TermsView::None { refusal: none.refusal.clone(), why: none.why.clone() },
        Promise::NotAsked => TermsView::None {
            refusal: "not-asked".to_owned(),
            why: "it was over when it arrived, or its site is in commissioning".to_owned(),
        },
    }
}

/// What happened, oldest first by when it took effect; what detection and clocks know by themselves comes first.
fn timeline(tx: &dyn ReadTx, case: &Case) -> Result<Vec<TimelineEntry>, DeskError> {
    let incident = &case.incident;
    let measured = |what: &str, at, text: String| TimelineEntry {
        number: None,
        effective_at: at,
        recorded_at: incident.received,
        what: what.to_owned(),
        who: None,
        text,
    };
    let mut entries = match incident.root {
        // Who reported it, and when, stands in the ledger.
        Root::Report { .. } => Vec::new(),
        Root::Drill { .. } => {
            vec![measured("began", incident.started.not_after, "a drill: nothing is wrong".to_owned())]
        }
        Root::Check { .. } | Root::Agent { .. } | Root::Collector { .. } => vec![
            measured("started", incident.started.not_after, "the first bad sample".to_owned()),
            measured("detected", incident.detected, "confirmed".to_owned()),
        ],
    };
    for entry in &case.ledger {
        entries.push(timeline_entry(tx, entry)?);
    }
    entries.sort_by_key(|entry| (entry.effective_at, entry.recorded_at));
    Ok(entries)
}

fn timeline_entry(tx: &dyn ReadTx, entry: &Entry) -> Result<TimelineEntry, DeskError> {
    let Entry { effective_at, recorded_at, who, said, ordinal } = entry;
    let mut text = match (&said.fact, &said.change) {
        (_, Some(Change::Assigned { to })) => format!("to {}", named(tx, to)?),
        (_, Some(Change::Reported { id: _, text, entered_by })) => {
            format!("{text} (entered by {})", named(tx, entered_by)?)
        }
        (Some(FactKind::CauseSet { cause: _, note }), Some(Change::CauseSet { cause })) => {
            format!("{cause}{}", after_colon(note.as_ref()))
        }
        (_, Some(Change::CauseSet { cause })) => cause.to_string(),
        (Some(FactKind::Responded { manner, with_whom: Some(with) }), _) => format!("{manner} with {with}"),
        (Some(FactKind::Responded { manner, with_whom: None }), _) => manner.to_string(),
        (Some(FactKind::Paused { reason, note }), _) => {
            format!("{reason}{}", after_colon(note.as_ref()))
        }
        (Some(FactKind::Updated { note }), _) => note.clone().unwrap_or_default(),
        (Some(FactKind::Cancelled { why }), Some(Change::Dismissed)) => why.to_string(),
        (Some(FactKind::TermsChanged { why, terms }), _) => match why {
            TermsChange::Priority => format!("priority {}", terms.priority),
            TermsChange::Merge => format!("{}, of the incident that it carries on", terms.priority),
            TermsChange::Expedite => {
                let riders: Vec<_> = terms.riders.iter().map(ToString::to_string).collect();
                format!("expedited with {}", riders.join(", "))
            }
        },
        (Some(FactKind::Disputed { item, why }), _) => format!("fact {item}: {why}"),
        (Some(FactKind::DisputeSettled { item, outcome }), _) => format!("fact {item}: {outcome}"),
        (Some(FactKind::HandedOver { maker, reference }), _) => {
            format!("to {maker}{}", reference.as_ref().map(|its| format!(", there {its}")).unwrap_or_default())
        }
        (Some(FactKind::ManufacturerAnswered { with_whom }), _) => with_whom.clone().unwrap_or_default(),
        (Some(FactKind::Worked { worker, manner, .. }), _) => format!("{worker}, {manner}"),
        (_, Some(Change::SymptomAdded { finding } | Change::SymptomEnded { finding })) => finding.to_string(),
        (_, Some(Change::Noted { text })) => text.clone(),
        (_, Some(Change::CauseFound { was })) => format!("until then: {was}"),
        (_, Some(Change::CauseProposed { cause })) => format!("{cause}: merge it if it is part of that"),
        (_, Some(_) | None) => String::new(),
    };
    if let Some(note) = &said.note {
        text = if text.is_empty() { note.clone() } else { format!("{text}: {note}") };
    }
    Ok(TimelineEntry {
        number: said.fact.as_ref().map(|_| u64::from(*ordinal) + 1),
        effective_at: *effective_at,
        recorded_at: *recorded_at,
        what: said.word().to_owned(),
        who: match who {
            Actor::Collector => None,
            Actor::Person(_) | Actor::Token(_) | Actor::Agent(_) => Some(who.label()),
        },
        text,
    })
}

fn after_colon(note: Option<&String>) -> String {
    note.map(|note| format!(": {note}")).unwrap_or_default()
}

fn deliveries(tx: &dyn ReadTx, case: &Case) -> Result<Vec<DeliveryView>, DeskError> {
    let rows = tx.messages_of(&case.row.client, case.row.number)?;
    Ok(rows
        .into_iter()
        .map(|row| DeliveryView {
            event: row.event,
            channel: row.channel,
            key: row.key,
            status: match row.status {
                OutboxStatus::Pending if row.lease_owner.is_some() => "leased".to_owned(),
                OutboxStatus::Pending | OutboxStatus::Delivered | OutboxStatus::Failed | OutboxStatus::Dropped => {
                    row.status.to_string()
                }
            },
            reference: row.reference,
            created_at: row.created_at,
            delivered_at: row.delivered_at,
            attempts: row.attempts,
            last_error: row.last_error,
        })
        .collect())
}
