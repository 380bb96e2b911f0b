//! The collector's own runs: its signs of life, and so the stretches in which it could not receive (TERMS F11,
//! DELIVERY 6).

use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use upheld_store::{Tx, runs::RunRow};

use super::Report;
use crate::{Actor, Desk, DeskError, clock, maintenance, own};

/// How often a sign of life is written. An outage is known to be at most so much shorter than it is counted, in the
/// client's favour.
pub(super) const ALIVE_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// Without a sign of life for longer than this the run is over although the process goes on: the machine was
/// suspended, or the disk full.
pub(super) const ALIVE_GAP_MAX: SignedDuration = SignedDuration::from_secs(20);

/// This run of the collector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) number: i64,
    /// When it began to accept requests.
    pub(crate) started_at: Timestamp,
    /// How long it was out before.
    pub(crate) was_down: SignedDuration,
    pub(crate) last_alive: Timestamp,
}

impl Run {
    /// Whether its last sign of life is so old that it was out since.
    pub(super) fn was_out(&self, now: Timestamp) -> bool {
        now.duration_since(self.last_alive) > ALIVE_GAP_MAX
    }
}

impl Desk {
    /// Begins this run of the collector: the time since the last run's last sign of life becomes an outage of our
    /// own (F11), and the start-up guard begins (DETECTION 4.7).
    pub async fn start_run(&self, now: Timestamp) -> Result<(), DeskError> {
        let now = clock::stored(now);
        let shared = Arc::clone(&self.shared);
        let (run, last_alive, before) = self
            .store
            .write("desk.start_run", move |tx| {
                // Windows of a book that was applied by a version that did not keep them yet.
                match shared.books.current(&*tx) {
                    Ok(book) => maintenance::follow_book(tx, &book.book, &Actor::Collector, book.applied_at)?,
                    Err(DeskError::NoBook) => {}
                    Err(error) => return Err(error),
                }
                let last_alive = tx.runs_since(now)?.into_iter().map(|run| run.last_alive).max();
                Ok((begin(tx, now)?, last_alive, own::before(&*tx)?))
            })
            .await?;
        self.own_of_before(&before, last_alive, now);
        *self.shared.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
        Ok(())
    }

    /// Ends the run cleanly.
    pub async fn end_run(&self, now: Timestamp) -> Result<(), DeskError> {
        let now = clock::stored(now);
        let run = self.shared.run.lock().unwrap_or_else(PoisonError::into_inner).take();
        match run {
            None => Ok(()),
            Some(run) => {
                self.store.write("desk.end_run", move |tx| tx.end_run(run.number, now).map_err(DeskError::from)).await
            }
        }
    }

    /// Says that the collector is alive and receiving; call it every few seconds. A gap since the last time ends the
    /// run and begins another, so that a suspended collector's absence counts as its own.
    pub async fn alive_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("alive");
        let Some(run) = self.this_run() else { return Ok(report) };
        // A clock in doubt dates no sign of life; afterwards its time counts as our own.
        if self.is_clock_in_doubt() {
            return Ok(report);
        }
        report.seen = 1;
        let next = if run.was_out(now) {
            tracing::warn!(since = %run.last_alive, "the collector was out without being stopped; that time is its own");
            report.changed = 1;
            self.store.write("desk.new_run", move |tx| begin(tx, now)).await?
        } else {
            let number = run.number;
            self.store.write("desk.alive", move |tx| tx.run_is_alive(number, now).map_err(DeskError::from)).await?;
            Run { last_alive: run.last_alive.max(now), ..run }
        };
        *self.shared.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        Ok(report)
    }

    /// It was alive at `now` at the latest: what was noted later was by a clock that was wrong.
    pub(crate) fn alive_at_most(&self, now: Timestamp) {
        if let Some(run) = self.shared.run.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            run.last_alive = run.last_alive.min(now);
        }
    }

    pub(crate) fn this_run(&self) -> Option<Run> {
        *self.shared.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stretches in which no collector ran, in order, of runs that may lie over one another.
pub(crate) fn gaps(runs: &[RunRow]) -> Vec<(Timestamp, Timestamp)> {
    let mut runs: Vec<_> = runs.iter().collect();
    runs.sort_by_key(|run| run.started_at);
    let (mut gaps, mut alive) = (Vec::new(), None);
    for run in runs {
        gaps.extend(alive.filter(|alive| *alive < run.started_at).map(|alive| (alive, run.started_at)));
        alive = alive.max(Some(run.last_alive));
    }
    gaps
}

fn begin(tx: &mut dyn Tx, now: Timestamp) -> Result<Run, DeskError> {
    // Another collector of this database may be alive.
    let alive = tx.runs_since(now)?.into_iter().map(|run| run.last_alive).max();
    let was_down = alive.map_or(SignedDuration::ZERO, |alive| now.duration_since(alive));
    let number = tx.begin_run(now)?;
    Ok(Run { number, started_at: now, was_down: was_down.max(SignedDuration::ZERO), last_alive: now })
}
