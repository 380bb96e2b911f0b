//! What the service manager is told: ready, alive, stopping (systemd's sd_notify(3) protocol).
//!
//! Alive means that the clocks are looked after: their task comes round and the store answers. A collector whose
//! tasks hang is started anew by the manager. Without one that listens nothing is said.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use upheld_desk::Desk;

/// How long the clocks' task may be away: a locked database is waited for, and a restart would not unlock it.
const PATIENCE: Duration = Duration::from_secs(180);

/// The doors are open.
pub(super) fn ready(url: &str) {
    told::ready(&format!("serving on {url}"));
}

/// Stopping has begun.
pub(super) fn stopping() {
    told::stopping();
}

/// Tells the manager, as often as it asked for, that the clocks are looked after. Never returns.
pub(super) async fn watch(desk: &Desk) {
    let Some(asked) = told::watchdog() else { return std::future::pending().await };
    // Looking may take as long as waiting: both together are half of what it waits (sd_watchdog_enabled(3)).
    let every = asked / 4;
    let (mut last_run, mut came_round) = (None, Instant::now());
    loop {
        let health = timeout(every, desk.health()).await.ok().and_then(Result::ok);
        let ran = health.and_then(|health| health.tasks.get("clocks")?.last_run);
        if ran.is_some() && ran != last_run {
            (last_run, came_round) = (ran, Instant::now());
        }
        if came_round.elapsed() < PATIENCE {
            told::alive();
        }
        sleep(every).await;
    }
}

#[cfg(target_os = "linux")]
mod told {
    use std::time::Duration;

    use sd_notify::NotifyState;

    pub(super) fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    pub(super) fn ready(status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    pub(super) fn alive() {
        tell(&[NotifyState::Watchdog]);
    }

    pub(super) fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    fn tell(states: &[NotifyState<'_>]) {
        // A manager that cannot be told acts by itself, at its own deadline.
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

/// No manager here has such a protocol.
#[cfg(not(target_os = "linux"))]
mod told {
    use std::time::Duration;

    pub(super) fn watchdog() -> Option<Duration> {
        None
    }

    pub(super) fn ready(_: &str) {}

    pub(super) fn alive() {}

    pub(super) fn stopping() {}
}
