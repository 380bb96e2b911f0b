//! How the tasks are, for the status page and `/healthz`.

use std::{collections::BTreeMap, sync::PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::Report;
use crate::{Desk, DeskError};

/// How all tasks are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Each task by name.
    pub tasks: BTreeMap<&'static str, TaskHealth>,
}

/// How one task is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TaskHealth {
    /// When it last ran.
    pub last_run: Option<Timestamp>,
    /// When it last ran without a failure.
    pub last_good: Option<Timestamp>,
    /// What failed in its last run; empty when nothing did.
    pub failures: Vec<String>,
}

impl Desk {
    /// How the tasks of this process are, and whether the store answers (`Err` when it does not).
    pub async fn health(&self) -> Result<Health, DeskError> {
        self.store.read("desk.health", |tx| tx.book_version().map(drop).map_err(DeskError::from)).await?;
        Ok(self.shared.health.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Notes a run. A failure is logged when it begins or changes, not at every run that repeats it.
    pub(super) fn note_run(&self, task: &'static str, ran: &Result<Report, DeskError>, now: Timestamp) {
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
    }
}
