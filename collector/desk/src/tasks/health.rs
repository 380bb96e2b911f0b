//! How the tasks are, for the status page and `/healthz`.

use std::{collections::BTreeMap, sync::PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use upheld_outbound::Outcome;

use super::Report;
use crate::{Desk, DeskError, own::OwnHealth};

/// After how long without an end of its work a task is stuck. A worker of the outbox may wait for one slow receiver after
/// the other.
const STUCK_AFTER: [(&str, SignedDuration); 7] = [
    ("alive", SignedDuration::from_mins(2)),
    ("seen", SignedDuration::from_mins(2)),
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
    /// How mail is.
    pub mail: MailHealth,
}

/// How mail is, as this process has seen it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MailHealth {
    /// Whether the book in force names anybody who is told by mail.
    pub is_needed: bool,
    /// Whether there is a server to hand mail to.
    pub is_set: bool,
    /// What the last try said that the server neither took nor refused for good; `None` after one that it did.
    pub failure: Option<String>,
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
        let is_needed = match self.current_book().await {
            Ok(book) => book.book.tells_by_mail(),
            Err(DeskError::NoBook) => false,
            Err(error) => return Err(error),
        };
        let health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mail = MailHealth { is_needed, ..health.mail };
        Ok(Health { own: self.own_health(), mail, ..health })
    }

    /// Notes whether mail can be sent at all.
    pub(super) fn note_mail_server(&self, is_set: bool) {
        self.shared.health.lock().unwrap_or_else(PoisonError::into_inner).mail.is_set = is_set;
    }

    /// Notes what came of a try to hand over a mail.
    pub(super) fn note_mail(&self, outcome: &Outcome) {
        let failure = match outcome {
            Outcome::Delivered { .. } | Outcome::Permanent { .. } => None,
            Outcome::Retry { why, .. } | Outcome::Unclear { why } => Some(why.clone()),
        };
        let mut health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.is_some() && health.mail.failure.is_none() {
            tracing::warn!("the mail server takes no mail for the moment; it is tried again");
        }
        health.mail.failure = failure;
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

    /// The tasks that have run here and did not come round again for too long.
    pub(super) fn hung_tasks(&self, now: Timestamp) -> Vec<&'static str> {
        let health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        let is_hung = |(task, most): &(&str, SignedDuration)| {
            let done = health.tasks.get(task).and_then(|one| one.last_done);
            done.is_some_and(|done| now.duration_since(done) > *most)
        };
        STUCK_AFTER.iter().filter(|one| is_hung(one)).map(|(task, _)| *task).collect()
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
