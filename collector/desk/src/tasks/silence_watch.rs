//! Opens incidents for sites and agents that are not heard any more, and blames nobody for the collector's own absence
//! (DETECTION 4.6, 4.7). Each silent site has an incident and a clock of its own; sites that fell silent together are
//! told in one message.

mod look;

pub(crate) use look::Told;

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use upheld_detection::incident::Trigger;

use super::Report;
use crate::{Desk, DeskError, clock, site};

impl Desk {
    /// Opens an incident for each silence that has lasted long enough, dated by its deadline. Without a run
    /// ([`Desk::start_run`]) it does nothing: only a collector that listens may call anybody silent.
    pub async fn silence_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("silence");
        let Some(run) = self.this_run() else { return Ok(report) };
        // While something is wrong with the collector itself, or it was out and has not noticed yet, it blames nobody.
        if self.is_in_trouble() || run.was_out(now) {
            return Ok(report);
        }
        let shared = Arc::clone(&self.shared);
        let told = self.shared.told_silent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let silent = self
            .store
            .read("silence.look", move |tx| match shared.books.current(tx) {
                Ok(book) => look::silent(tx, &book, &run, told.as_ref(), now),
                // Without a book there is no site to be silent.
                Err(DeskError::NoBook) => Ok(Vec::new()),
                Err(error) => Err(error),
            })
            .await?;
        for look::Due { client, site, seen, group } in silent {
            report.seen += 1;
            let (shared, agent) = (Arc::clone(&self.shared), seen.agent.clone());
            let (message, told) = group.map(|group| (group.message, group.told)).unzip();
            let reacted = self
                .store
                .write("silence.react", move |tx| {
                    let book = shared.books.current(&*tx)?;
                    let trigger = Trigger::AgentSilent(seen);
                    site::react_in(tx, &book, &client, &site, &[trigger], message.as_ref(), now)
                })
                .await;
            match reacted {
                Ok(changes) => {
                    report.changed += changes;
                    if told.is_some() && changes > 0 {
                        *self.shared.told_silent.lock().unwrap_or_else(PoisonError::into_inner) = told;
                    }
                }
                Err(error) => report.failures.push(format!("{agent}: {error}")),
            }
        }
        if report.changed > 0 {
            self.shared.wake.all();
        }
        Ok(report)
    }
}
