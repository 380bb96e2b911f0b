//! Drills: an outage that a person plays at an agent's host goes the way of a real one, marked on each step
//! ([`upheld_detection::incident::drill`]), and the agent is told how far it has come ([`upheld_wire::v1::drill`]).
//!
//! Its ticket is a real message of the provider's own channel, because only that shows that the receiver takes one: an
//! `incident.opened` with `drill`, without `page`, then its `incident.resolved`. Statements, credits, uptime, digest
//! and clients' pages leave it out.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_agreement::maintenance::Upon;
use upheld_detection::incident::{Root, drill};
use upheld_model::DrillId;
use upheld_outbound::EventKind;
use upheld_store::{
    ReadTx, Tx,
    incidents::IncidentRow,
    outbox::{OutboxRow, OutboxStatus},
};
use upheld_wire::v1::drill::{DrillClock, DrillDelivered, DrillDelivery, DrillOpened, DrillReport, DrillTerms};

use crate::{
    Actor, AgentPeer, Desk, DeskError, audit,
    book::CurrentBook,
    case::{self, Case, promise::Promise, read_incident},
    clock, maintenance, views,
};

/// For how long an agent may ask what became of a drill; longer than anybody waits.
const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(1);

impl Desk {
    /// What became of an agent's drill so far; before its record has arrived, that drills are known here and what would
    /// keep a real failure from being told.
    pub async fn drill(&self, peer: &AgentPeer, id: DrillId, now: Timestamp) -> Result<DrillReport, DeskError> {
        let now = clock::stored(now);
        let (peer, shared) = (peer.clone(), std::sync::Arc::clone(&self.shared));
        self.store
            .read("desk.drill", move |tx| {
                let book = shared.books.current(tx)?;
                let opened = match played(tx, &peer, Some(id), now)? {
                    Some(row) => Some(opened(tx, &Case::open(tx, row)?)?),
                    None => None,
                };
                Ok(DrillReport { id, now, notes: notes(tx, &book, &peer, now)?, opened })
            })
            .await
    }
}

/// Takes the record of a drill that began at `began`. Whether it opened one: the same record twice, and one that comes
/// when nobody waits any more, do not.
pub(crate) fn take(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    peer: &AgentPeer,
    id: DrillId,
    began: Timestamp,
    now: Timestamp,
) -> Result<bool, DeskError> {
    let AgentPeer { agent, client, site } = peer;
    let host = tx.agent(agent)?.map_or_else(|| agent.to_string(), |row| row.host);
    let played_now = drill::Played { id, agent: agent.clone(), host, began };
    let Some(effect) = drill::open(client, site, &played_now, now) else {
        tracing::info!(agent.id = %agent, drill.id = %id, %began, "a drill came when nobody waited for it any more");
        return Ok(false);
    };
    if tx.incident_by_key(client, &effect.incident.key.0)?.is_some() {
        return Ok(false);
    }
    if let Some(before) = played(&*tx, peer, None, now)?
        && let Some(over) = drill::end(&read_incident(&before)?, now)
    {
        case::apply(tx, book, &over)?;
    }
    let case = case::apply(tx, book, &effect)?;
    let detail = json!({ "incident": case.reference(), "agent": agent, "drill": id });
    audit::note(tx, now, &Actor::Agent(agent.to_string()), Some(client), "drill.played", &detail)?;
    Ok(true)
}

/// The agent's drill of this name; without one, the one that is open.
fn played(
    tx: &dyn ReadTx,
    peer: &AgentPeer,
    wanted: Option<DrillId>,
    now: Timestamp,
) -> Result<Option<IncidentRow>, DeskError> {
    let since = now.saturating_sub(KNOWN_FOR).unwrap_or(Timestamp::MIN);
    for row in tx.incidents_of_site(&peer.client, &peer.site, since)? {
        let incident = read_incident(&row)?;
        let Root::Drill { agent, id } = &incident.root else { continue };
        let is_meant = wanted.map_or_else(|| incident.is_open(), |wanted| *id == wanted);
        if *agent == peer.agent && is_meant {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

fn opened(tx: &dyn ReadTx, case: &Case) -> Result<DrillOpened, DeskError> {
    let incident = &case.incident;
    let clocks = views::clock_views(case, incident.received)?.into_iter().map(|view| DrillClock {
        stage: view.stage,
        is_counting: view.is_counting,
        counts_from: view.counts_again,
        due: view.due,
        due_local: view.due_local,
        said: view.said.line,
    });
    let messages = tx.messages_of(&case.row.client, case.row.number)?;
    let opening = messages.into_iter().filter(|row| row.event == EventKind::IncidentOpened.as_str());
    Ok(DrillOpened {
        incident: case.reference().to_string(),
        title: incident.title.clone(),
        received: incident.received,
        ends: drill::ends(incident.received),
        terms: match &case.promise {
            Promise::Pinned(pinned) => DrillTerms::Found {
                agreement: pinned.terms.version_label(),
                plan: pinned.terms.plan_name.clone(),
                priority: pinned.terms.priority.to_string(),
            },
            Promise::None(none) => DrillTerms::None { refusal: none.refusal.clone(), why: none.why.clone() },
            Promise::NotAsked => {
                DrillTerms::None { refusal: "not-asked".to_owned(), why: "nobody has asked for its terms".to_owned() }
            }
        },
        clocks: clocks.collect(),
        deliveries: opening.map(delivery).collect(),
    })
}

fn delivery(row: OutboxRow) -> DrillDelivery {
    let state = match row.status {
        OutboxStatus::Pending => DrillDelivered::Pending { why: row.last_error },
        OutboxStatus::Delivered => {
            DrillDelivered::Taken { at: row.delivered_at.unwrap_or(row.created_at), attempts: row.attempts }
        }
        OutboxStatus::Failed | OutboxStatus::Dropped => {
            DrillDelivered::Failed { why: row.last_error.unwrap_or_default() }
        }
    };
    DrillDelivery { channel: row.channel, state }
}

/// What a drill walks past and a real failure would not.
fn notes(tx: &dyn ReadTx, book: &CurrentBook, peer: &AgentPeer, now: Timestamp) -> Result<Vec<String>, DeskError> {
    let AgentPeer { client, site, .. } = peer;
    let mut notes = Vec::new();
    let Some(entry) = book.book.site(client, site) else {
        return Ok(vec![format!("the book has no site {client}/{site} any more: what fails here is promised nothing")]);
    };
    match entry.commissioned_at() {
        Some(at) if at <= now => {}
        Some(at) => notes.push(format!(
            "{client}/{site} is in commissioning until {at}: what fails before is listed and opens no ticket"
        )),
        None => notes.push(format!(
            "{client}/{site} is in commissioning: what fails is listed and opens no ticket until its file in the book says \
             commissioned = DATE"
        )),
    }
    let end = now.checked_add(SignedDuration::from_micros(1)).unwrap_or(now);
    let work = maintenance::stretches(tx, client, site, now, end)?;
    for stretch in work.into_iter().filter(|stretch| stretch.holds_at(now)) {
        let on = match &stretch.upon {
            Upon::Site => "the site".to_owned(),
            Upon::Parts { assets, checks } => {
                let names = assets.iter().map(ToString::to_string).chain(checks.iter().map(ToString::to_string));
                names.collect::<Vec<_>>().join(", ")
            }
        };
        notes.push(format!(
            "a window of work on {on} (M-{}) lasts until {}: what fails in it opens no ticket",
            stretch.number, stretch.to
        ));
    }
    Ok(notes)
}
