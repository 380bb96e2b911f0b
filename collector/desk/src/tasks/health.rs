//! How the tasks are, for the status page and `/healthz`.

use std::{collections::BTreeMap, sync::PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Report;
use crate::{Desk, DeskError, own::OwnHealth};

/// After how long without an end of its work a task is stuck. A worker of the outbox may wait for one slow receiver after
/// the other.
const STUCK_AFTER: [(&str, SignedDuration); 6] = [
    ("alive", SignedDuration::from_mins(2)),
    ("clocks", SignedDuration::from_mins(2)),
    ("watch", SignedDuration::from_mins(2)),
    ("silence", SignedDuration::from_mins(2)),
    ("own", SignedDuration::from_mins(2)),
    ("deliverer", SignedDuration::from_mins(15)),
];

/// How all tasks are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Each task by name.
    pub tasks: BTreeMap<&'static str, TaskHealth>,
    /// How the collector itself is.
    pub own: OwnHealth,
}

/// How one task is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TaskHealth {
    /// When it last ran.
    pub last_run: Option<Timestamp>,
    /// When it last ran without a failure.
    pub last_good: Option<Timestamp>,
    /// When it last came to the end of its work, whatever of it failed.
    pub last_done: Option<Timestamp>,
    /// What failed in its last run; empty when nothing did.
    pub failures: Vec<String>,
}

impl Desk {
    /// How the tasks of this process are, and whether the store answers (`Err` when it does not).
    pub async fn health(&self) -> Result<Health, DeskError> {
        self.store.read("desk.health", |tx| tx.book_version().map(drop).map_err(DeskError::from)).await?;
        let health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Health { own: self.own_health(), ..health })
    }

    /// Notes a run. A failure is logged when it begins or changes, not at every run that repeats it.
    pub(crate) fn note_run(&self, task: &'static str, ran: &Result<Report, DeskError>, now: Timestamp) {
        let is_done = ran.is_ok();
        let failures = match ran {
            Ok(report) => report.failures.clone(),
            Err(error) => vec![error.to_string()],
        };
        let mut health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = health.tasks.entry(task).or_default();
        if failures.is_empty() {
            entry.last_good = Some(now);
        } else if failures != entry.failures {
            tracing::warn!(task, failures = failures.len(), first = %failures[0], "a task could not do all of its work");
        }
        entry.failures = failures;
        entry.last_run = Some(now);
        if is_done {
            entry.last_done = Some(now);
        }
    }

    /// The tasks on which everything rests that have not come to the end of their work for too long, or never did.
    pub(super) fn stuck_tasks(&self, now: Timestamp) -> Vec<&'static str> {
        let health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stuck = |(task, most): &(&str, SignedDuration)| {
            let done = health.tasks.get(task).and_then(|one| one.last_done);
            done.is_none_or(|done| now.duration_since(done) > *most)
        };
        STUCK_AFTER.iter().filter(|one| is_stuck(one)).map(|(task, _)| *task).collect()
    }
}
