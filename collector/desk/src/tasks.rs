//! What happens by itself. Each task is a `…_once(now) -> Report` that takes no other input, is idempotent, and may
//! run twice, late or beside its twin; the loop around it wakes by period and by signal (DESIGN, "Tasks").

mod among;
mod clock_driver;
pub mod deliverer;
mod health;
mod lease;
mod loops;
mod outside;
mod retention;
mod run;
mod servers;
mod silence_watch;
mod watch_resolver;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use upheld_detection::own::Reading;
use upheld_model::Mono;

use crate::Secrets;

pub use among::Among;
#[cfg(test)]
pub(crate) use among::WhileHeld;
pub use health::{Health, MailHealth, TaskHealth};
pub(crate) use lease::Grants;
pub(crate) use loops::Wake;
pub use loops::{Task, Tasks};
pub use outside::Outside;
pub(crate) use retention::refuse_forgotten;
pub(crate) use run::{Run, gaps};
pub use servers::{Leased, Servers, Serving, Unwell};
pub(crate) use silence_watch::Told;

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
}

impl Report {
    pub(crate) fn of(task: &'static str) -> Self {
        Self { task, ..Self::default() }
    }
}

/// What the loops need from the server.
#[derive(Clone)]
pub struct Surroundings {
    /// Reads the wall clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Reads the monotonic clock, against which the wall clock is held.
    pub mono: Arc<dyn Fn() -> Mono + Send + Sync>,
    /// The anchors, and who takes the heartbeat; [`deliverer::Channels`] is the real one.
    pub outside: Arc<dyn Outside>,
    /// The provider's secrets.
    pub secrets: Arc<dyn Secrets>,
    /// How a message leaves; [`deliverer::Channels`] is the real one.
    pub channel: Arc<dyn deliverer::Channel>,
    /// How this collector is known to others on its database; `None` where it is alone, on a file.
    pub among: Option<Among>,
}

impl Surroundings {
    /// Both clocks at this moment.
    pub(crate) fn reading(&self) -> Reading {
        Reading { wall: (self.clock)(), mono: (self.mono)() }
    }
}
