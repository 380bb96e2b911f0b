//! Carries out what falls due on incidents by itself: a candidate that becomes an incident, a watch that ends.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use upheld_detection::incident::Trigger;

use super::Report;
use crate::{Desk, DeskError, clock, site};

/// Incidents that one run takes; the next run takes the rest.
const INCIDENTS_MAX: u32 = 1_000;

impl Desk {
    /// Opens candidates whose time has come and resolves restored incidents whose watch is over.
    pub async fn watch_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("watch");
        let sites: BTreeSet<_> = self
            .store
            .read("watch.due", move |tx| tx.incidents_due(now, INCIDENTS_MAX).map_err(DeskError::from))
            .await?
            .into_iter()
            .map(|row| (row.client, row.site))
            .collect();
        for (client, at) in sites {
            report.seen += 1;
            let (shared, what) = (Arc::clone(&self.shared), format!("{client}/{at}"));
            let reacted = self
                .store
                .write("watch.react", move |tx| {
                    let book = shared.books.current(&*tx)?;
                    site::react(tx, &book, &client, &at, &[Trigger::Deadline], now)
                })
                .await;
            match reacted {
                Ok(changes) => report.changed += changes,
                Err(error) => report.failures.push(format!("{what}: {error}")),
            }
        }
        if report.changed > 0 {
            self.shared.wake.all();
        }
        Ok(report)
    }
}
