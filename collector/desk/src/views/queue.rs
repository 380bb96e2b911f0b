//! The queue: open incidents, the clock that runs out first at the head (UX 2.2).

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use upheld_agreement::{clock::Calendars, terms::PinnedTerms};
use upheld_detection::incident::IncidentState;
use upheld_store::{ReadTx, agents::AgentStatus};

use super::{
    ClockView, Queue, QueueGroup, QueueRow, Scope,
    incident::{clock_views_with, is_open, owner},
};
use crate::{
    DeskError,
    book::CurrentBook,
    case::{Case, promise::Promise},
    commissioning, recovery,
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The queue as of `now`.
pub(super) fn queue(tx: &dyn ReadTx, book: &CurrentBook, scope: &Scope, now: Timestamp) -> Result<Queue, DeskError> {
    let (mut rows, mut calendars) = (Vec::new(), Calendars::default());
    for row in tx.open_incidents(scope.client())? {
        let case = Case::open(tx, row)?;
        if is_shown(&case) {
            rows.push(queue_row(tx, book, &case, &mut calendars, now)?);
        }
    }
    rows.sort_by_key(|row| {
        let due = row.clock.as_ref().and_then(|clock| clock.due);
        (row.group, due.is_none(), due, row.opened_at, row.incident.clone())
    });
    let agents = tx.agents(scope.client())?;
    let active = agents.iter().filter(|agent| agent.status == AgentStatus::Active);
    let last_report = match scope.client() {
        None => tx.last_seen_of_any()?,
        Some(client) => {
            let mut last = None;
            for agent in &agents {
                last = last.max(tx.agent_now(client, &agent.agent)?.map(|now| now.last_seen));
            }
            last
        }
    };
    let commissioning = match scope {
        Scope::Provider => commissioning::reminders(tx, book, now)?,
        Scope::Client(_) => Vec::new(),
    };
    let recovery = match scope {
        Scope::Provider => recovery::waiting(tx)?,
        Scope::Client(_) => None,
    };
    Ok(Queue {
        as_of: now,
        rows,
        recovery,
        commissioning,
        assets: watched(book, scope),
        agents: active.count() as u64,
        last_report,
    })
}

/// A candidate is not an incident yet, and what nobody deals with is on the digest, not in the queue.
fn is_shown(case: &Case) -> bool {
    match case.incident.state {
        IncidentState::Candidate { .. } => false,
        IncidentState::Open
        | IncidentState::Taken { .. }
        | IncidentState::InProgress { .. }
        | IncidentState::Watching { .. }
        | IncidentState::Resolved { .. }
        | IncidentState::Closed { .. }
        | IncidentState::Merged { .. }
        | IncidentState::Dismissed { .. } => case.incident.is_ticketed(),
    }
}

fn queue_row(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    case: &Case,
    calendars: &mut Calendars,
    now: Timestamp,
) -> Result<QueueRow, DeskError> {
    let incident = &case.incident;
    let clock = clock_views_with(case, calendars, now)?.into_iter().find(is_open);
    let client = book.book.client(&incident.client);
    let site = book.book.site(&incident.client, &incident.site);
    Ok(QueueRow {
        incident: case.reference(),
        group: group(clock.as_ref(), now),
        title: incident.title.clone(),
        is_drill: incident.is_drill(),
        client_name: client.map_or_else(|| incident.client.to_string(), |client| client.name.clone()),
        site: incident.site.clone(),
        site_name: site.map_or_else(|| incident.site.to_string(), |site| site.name.clone()),
        asset: incident.root.asset().cloned(),
        class: incident.class,
        kind: incident.kind,
        state: incident.state.word().to_owned(),
        priority: match &case.promise {
            Promise::Pinned(pinned) => Some(pinned.terms.priority.to_string()),
            Promise::NotAsked | Promise::None(_) => None,
        },
        plan: match &case.promise {
            Promise::Pinned(pinned) => Some(plan(book, &pinned.terms)),
            Promise::NotAsked | Promise::None(_) => None,
        },
        owner: owner(tx, &incident.state)?,
        opened_at: incident.opened.unwrap_or(case.row.opened_at),
        clock,
    })
}

/// `Gold + Premium Response`.
fn plan(book: &CurrentBook, terms: &PinnedTerms) -> String {
    let name = |rider| book.book.riders.get(rider).map_or_else(|| rider.to_string(), |known| known.name.clone());
    let riders = terms.riders.iter().map(|rider| format!(" + {}", name(rider)));
    std::iter::once(terms.plan_name.clone()).chain(riders).collect()
}

/// The assets in scope that have a check.
fn watched(book: &CurrentBook, scope: &Scope) -> u64 {
    let clients = book.book.clients.values().filter(|client| scope.includes(&client.id));
    let assets = clients.flat_map(|client| client.sites.values()).flat_map(|site| site.assets.values());
    assets.filter(|asset| !asset.checks.is_empty()).count() as u64
}

fn group(clock: Option<&ClockView>, now: Timestamp) -> QueueGroup {
    let Some(clock) = clock else { return QueueGroup::NoClock };
    match clock.due {
        Some(due) if due <= now => QueueGroup::Overdue,
        _ if clock.state == "paused" => QueueGroup::Paused,
        Some(due) if due.duration_since(now) <= HOUR => QueueGroup::WithinHour,
        Some(_) if clock.state == "running" && !clock.is_counting => QueueGroup::OutsideHours,
        Some(due) if is_same_day(due, now, &clock.time_zone) => QueueGroup::LaterToday,
        Some(_) | None => QueueGroup::Later,
    }
}

fn is_same_day(at: Timestamp, now: Timestamp, zone: &str) -> bool {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    zone.to_datetime(at).date() == zone.to_datetime(now).date()
}
