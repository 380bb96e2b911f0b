//! What happens by itself. Each task has a `run_once(&Desk, now) -> Report` that takes no other input, is idempotent,
//! and may run twice, late or beside its twin; the loop around it wakes by period and by signal (DESIGN, "Tasks").

pub mod deliverer;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use crate::{Desk, DeskError, Secrets};

/// What one run of a task did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The task's name.
    pub task: &'static str,
    /// Things it looked at.
    pub seen: u64,
    /// Things it changed.
    pub changed: u64,
    /// What failed, in words; the rest was done.
    pub failures: Vec<String>,
    /// When it must run next at the latest, if it knows.
    pub next_at: Option<Timestamp>,
}

/// What the loops need from the server.
#[derive(Clone)]
pub struct Surroundings {
    /// Reads the wall clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The provider's secrets.
    pub secrets: Arc<dyn Secrets>,
    /// How a message leaves; [`deliverer::Channels`] is the real one.
    pub channel: Arc<dyn deliverer::Channel>,
}

/// The loops, running. Dropping it stops them at their next wait; [`Tasks::stop`] waits for that.
pub struct Tasks {
    handles: Vec<tokio::task::JoinHandle<()>>,
}

impl Tasks {
    /// Takes no more work, finishes or hands back what is leased, and says when all loops have ended.
    pub async fn stop(self) {
        for handle in self.handles {
            handle.abort();
        }
    }
}

impl Desk {
    /// Begins this run of the collector: the time since the last run's last sign of life becomes an outage of our
    /// own (F11), and the start-up guard begins (DETECTION 4.7).
    pub async fn start_run(&self, now: Timestamp) -> Result<(), DeskError> {
        let _ = now;
        Err(DeskError::NotBuilt("start_run"))
    }

    /// Ends the run cleanly.
    pub async fn end_run(&self, now: Timestamp) -> Result<(), DeskError> {
        let _ = now;
        Err(DeskError::NotBuilt("end_run"))
    }

    /// Says that the collector is alive and receiving; call every few seconds.
    pub async fn alive_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let _ = now;
        Err(DeskError::NotBuilt("alive_once"))
    }

    /// Announces warnings and breaches that fell due, each dated by its due instant.
    pub async fn clocks_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let _ = now;
        Err(DeskError::NotBuilt("clocks_once"))
    }

    /// Opens incidents for agents that have stopped reporting.
    pub async fn silence_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let _ = now;
        Err(DeskError::NotBuilt("silence_once"))
    }

    /// Resolves restored incidents whose watch is over.
    pub async fn watch_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let _ = now;
        Err(DeskError::NotBuilt("watch_once"))
    }

    /// Starts every loop on the current tokio runtime.
    pub fn spawn_tasks(&self, around: Surroundings, every: Duration) -> Tasks {
        let _ = (around, every);
        Tasks { handles: Vec::new() }
    }
}
