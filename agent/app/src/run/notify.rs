//! What the service manager is told: ready, how it goes, alive, stopping (systemd's sd_notify(3) protocol).
//!
//! Everything is told from the loop itself, so a loop that hangs tells nothing, and the manager starts the agent anew.
//! Without a manager that listens (`NOTIFY_SOCKET` unset, another platform) nothing is said and nothing changes.

use std::time::Duration;

use tokio::time::Instant;

/// Tells the service manager how this agent is.
#[derive(Debug)]
pub(super) struct Notifier {
    /// How often it wants to hear of us: half of what it waits, as sd_watchdog_enabled(3) asks; `None` for never.
    sign_every: Option<Duration>,
    signed_at: Instant,
    /// What was said last, so that nothing is said twice.
    status: String,
}

impl Notifier {
    pub(super) fn new() -> Self {
        let sign_every = manager::watchdog().map(|patience| patience / 2);
        Self { sign_every, signed_at: Instant::now(), status: String::new() }
    }

    /// The agent runs: everything that can be wrong with this host at the start was found before.
    pub(super) fn ready(&mut self) {
        manager::ready();
    }

    /// One turn of the loop has ended; `status` is asked for when there is something to say.
    pub(super) fn turned(&mut self, status: impl FnOnce() -> String) {
        let Some(every) = self.sign_every else { return };
        if self.signed_at.elapsed() >= every {
            self.signed_at = Instant::now();
            manager::alive();
            self.say(status());
        }
    }

    /// Says how it goes, where that is news.
    pub(super) fn say(&mut self, status: String) {
        if self.status != status {
            manager::status(&status);
            self.status = status;
        }
    }

    /// The agent was told to end.
    pub(super) fn stopping(&mut self) {
        manager::stopping();
    }

    /// When the loop must turn at the latest.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.sign_every.map(|every| self.signed_at + every)
    }
}

#[cfg(target_os = "linux")]
mod manager {
    use std::time::Duration;

    use sd_notify::NotifyState;

    pub(super) fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    pub(super) fn ready() {
        tell(&[NotifyState::Ready]);
    }

    pub(super) fn alive() {
        tell(&[NotifyState::Watchdog]);
    }

    pub(super) fn status(text: &str) {
        tell(&[NotifyState::Status(text)]);
    }

    pub(super) fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    fn tell(states: &[NotifyState<'_>]) {
        // A manager that cannot be told acts by itself, at its own deadline.
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(%error, "The service manager was not told.");
        }
    }
}

/// Windows' manager knows states, and no words or signs of life.
#[cfg(windows)]
mod manager {
    use std::time::Duration;

    pub(super) use crate::platform::manager::{ready, stopping};

    pub(super) fn watchdog() -> Option<Duration> {
        None
    }

    pub(super) fn alive() {}

    pub(super) fn status(_: &str) {}
}

/// No manager here has such a protocol.
#[cfg(not(any(target_os = "linux", windows)))]
mod manager {
    use std::time::Duration;

    pub(super) fn watchdog() -> Option<Duration> {
        None
    }

    pub(super) fn ready() {}

    pub(super) fn alive() {}

    pub(super) fn status(_: &str) {}

    pub(super) fn stopping() {}
}
