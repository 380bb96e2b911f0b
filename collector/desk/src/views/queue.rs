//! The queue: open incidents, the clock that runs out first at the head (UX 2.2).

use jiff::{SignedDuration, Timestamp};
use upheld_detection::incident::IncidentState;
use upheld_store::{ReadTx, agents::AgentStatus};

use super::{
    ClockView, Queue, QueueGroup, QueueRow, Scope,
    incident::{clock_views, is_open, owner},
};
use crate::{
    DeskError,
    book::CurrentBook,
    case::{Case, promise::Promise},
    commissioning,
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The queue as of `now`.
pub(super) fn queue(tx: &dyn ReadTx, book: &CurrentBook, scope: &Scope, now: Timestamp) -> Result<Queue, DeskError> {
    let mut rows = Vec::new();
    for row in tx.open_incidents(scope.client())? {
        let case = Case::open(tx, row)?;
        if is_shown(&case) {
            rows.push(queue_row(tx, book, &case, now)?);
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
    Ok(Queue { as_of: now, rows, commissioning, agents: active.count() as u64, last_report })
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

fn queue_row(tx: &dyn ReadTx, book: &CurrentBook, case: &Case, now: Timestamp) -> Result<QueueRow, DeskError> {
    let incident = &case.incident;
    let clock = clock_views(case, now)?.into_iter().find(is_open);
    let client = book.book.client(&incident.client);
    let site = book.book.site(&incident.client, &incident.site);
    Ok(QueueRow {
        incident: case.reference(),
        group: group(clock.as_ref(), now),
        title: incident.title.clone(),
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
        owner: owner(tx, &incident.state)?,
        opened_at: incident.opened.unwrap_or(case.row.opened_at),
        clock,
    })
}

fn group(clock: Option<&ClockView>, now: Timestamp) -> QueueGroup {
    let Some(clock) = clock else { return QueueGroup::NoClock };
    match clock.due {
        Some(due) if due <= now => QueueGroup::Overdue,
        _ if clock.state == "paused" => QueueGroup::Paused,
        Some(due) if due.duration_since(now) <= HOUR => QueueGroup::WithinHour,
        Some(_) if clock.state == "running" && !clock.is_counting => QueueGroup::OutsideHours,
        Some(_) | None => QueueGroup::Later,
    }
}
