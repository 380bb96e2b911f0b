//! The end: take no more, say the last words, give them a moment to arrive, close the journal.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};
use upheld_delivery::journal::JournalError;
use upheld_model::DeviceText;

use super::{Agent, Incoming};
use crate::{
    clocks,
    failure::{Code, Failure},
    recorder::Command,
    state::StateFolder,
};

/// How long the last words may take to be acknowledged. They are in the journal either way.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long the disk may take to close the journal; service managers kill after 90 s.
const CLOSING: Duration = Duration::from_secs(20);
/// How often a stopping agent looks whether it is done.
const LOOK: Duration = Duration::from_millis(50);

/// How far the end has come.
#[derive(Debug, Default)]
pub(super) enum Stop {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// The last words are on their way.
    Saying {
        /// When to wait no longer.
        until: Instant,
    },
    /// The disk thread closes the journal.
    Closing {
        /// When to wait no longer.
        until: Instant,
        /// Whether it has been told.
        is_told: bool,
    },
}

impl Stop {
    pub(super) fn next_wake(&self) -> Option<Instant> {
        match self {
            Self::NotAsked => None,
            Self::Saying { .. } | Self::Closing { .. } => Some(Instant::now() + LOOK),
        }
    }
}

impl Agent {
    /// Says the last words; asked twice, once is enough.
    pub(super) fn begin_stop(&mut self, reason: &'static str) {
        let reason = last_words(reason, self.prober.is_on_battery());
        match self.stop {
            Stop::NotAsked => {
                tracing::info!(reason, "The agent stops.");
                self.notifier.stopping();
                self.engine.stop(DeviceText::new(reason), clocks::reading());
                self.prober.end(reason);
                self.remember();
                self.stop = Stop::Saying { until: Instant::now() + LAST_WORDS };
            }
            Stop::Saying { .. } | Stop::Closing { .. } => {}
        }
    }

    /// Closes when the last words have arrived or had their time.
    pub(super) fn go_on_stopping(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        match self.stop {
            Stop::NotAsked => Ok(()),
            Stop::Saying { until } => {
                let nobody_listens = !self.link.may_answer();
                let said = self.recorder.is_caught_up() && self.recorder.status().waiting == 0 && self.link.is_idle();
                if said || nobody_listens || until <= now {
                    self.stop = Stop::Closing { until: now + CLOSING, is_told: false };
                }
                Ok(())
            }
            Stop::Closing { until, .. } if until <= now => {
                Err(Failure::new(Code::Failed, "the disk did not close the journal in time")
                    .why(format!("waited {} s", CLOSING.as_secs()))
                    .help("what was synced is kept; look at this host's disk"))
            }
            Stop::Closing { until, is_told: false } => {
                let at = self.moment();
                let is_told = self.recorder.tell(at, Command::Close);
                self.stop = Stop::Closing { until, is_told };
                Ok(())
            }
            Stop::Closing { is_told: true, .. } => Ok(()),
        }
    }
}

/// Who shuts a host down while its supply is on battery does so for want of power (upsmon, apcupsd, or a person who sees it
/// coming): that is an outage and not a host that was switched off as announced.
fn last_words(reason: &'static str, is_on_battery: bool) -> &'static str {
    match reason {
        "shutdown requested" if is_on_battery => "the host shuts down on battery: its power fails",
        _ => reason,
    }
}

/// How the run ends once the journal is closed.
pub(super) fn end(state: &StateFolder, closed: Result<(), JournalError>) -> Result<(), Failure> {
    // Best effort: a socket that nobody serves is replaced at the next start.
    #[cfg(unix)]
    let _ = std::fs::remove_file(state.status_socket());
    closed.map_err(|error| {
        Failure::new(Code::Failed, "the journal was not closed cleanly")
            .because(error)
            .help(format!("what was synced is kept; look at the disk: df -h {}", state.root().display()))
    })
}

/// Turns the system's signals into [`Incoming::Stop`].
#[cfg(unix)]
pub(super) fn listen(incoming: mpsc::Sender<Incoming>) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};

    use crate::service::why_terminated;

    let failed = |error: std::io::Error| Failure::new(Code::Failed, "cannot listen for signals").because(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::task::spawn_local(async move {
        loop {
            let reason = tokio::select! {
                _ = terminate.recv() => why_terminated().await,
                _ = interrupt.recv() => "SIGINT",
            };
            if incoming.send(Incoming::Stop(reason)).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Turns what the service manager and the console ask into [`Incoming::Stop`].
#[cfg(windows)]
pub(super) fn listen(incoming: mpsc::Sender<Incoming>) -> Result<(), Failure> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

    use crate::platform::manager;

    let failed = |error: std::io::Error| Failure::new(Code::Failed, "cannot listen for Ctrl-C").because(error);
    let (mut interrupt, mut broken) = (ctrl_c().map_err(failed)?, ctrl_break().map_err(failed)?);
    let (mut closed, mut shutdown) = (ctrl_close().map_err(failed)?, ctrl_shutdown().map_err(failed)?);
    tokio::task::spawn_local(async move {
        let reason = tokio::select! {
            reason = manager::asked_to_end() => reason,
            _ = interrupt.recv() => "Ctrl-C",
            _ = broken.recv() => "Ctrl-Break",
            _ = closed.recv() => "console closed",
            _ = shutdown.recv() => "shutdown requested",
        };
        // Once is enough: the end cannot be taken back.
        let _ = incoming.send(Incoming::Stop(reason)).await;
    });
    Ok(())
}

/// Turns Ctrl-C into [`Incoming::Stop`].
#[cfg(not(any(unix, windows)))]
pub(super) fn listen(incoming: mpsc::Sender<Incoming>) -> Result<(), Failure> {
    tokio::task::spawn_local(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if incoming.send(Incoming::Stop("Ctrl-C")).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use upheld_detection::silence::LastWords;

    use super::last_words;

    #[test]
    fn a_shutdown_on_battery_is_an_outage_and_any_other_end_is_what_it_was() {
        for (reason, is_on_battery, words) in [
            ("shutdown requested", false, LastWords::Requested),
            ("shutdown requested", true, LastWords::Power),
            ("reboot requested", true, LastWords::Requested),
            ("SIGTERM", true, LastWords::Other),
        ] {
            assert_eq!(LastWords::of(last_words(reason, is_on_battery)), words, "{reason}");
        }
    }
}
