//! Judges sites at their deadlines: the end of a wait, of a time to settle, of a watch, a site's midnight. It costs by
//! the sites that are due: the next deadline of each is an indexed column.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::Report;
use crate::{Desk, DeskError, clock, site};

/// Incidents that one run takes; the next run takes the rest.
const INCIDENTS_MAX: u32 = 1_000;

impl Desk {
    /// Judges the sites that are due, and resolves restored incidents whose watch is over.
    pub async fn watch_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("watch");
        if self.is_clock_in_doubt() {
            return Ok(report);
        }
        let sites: BTreeSet<_> = self
            .store
            .read("watch.due", move |tx| {
                let incidents = tx.incidents_due(now, INCIDENTS_MAX)?.into_iter().map(|row| (row.client, row.site));
                let sites = tx.sites_due(now, INCIDENTS_MAX)?;
                Ok::<_, DeskError>(incidents.chain(sites).collect())
            })
            .await?;
        for (client, at) in sites {
            report.seen += 1;
            let (shared, what) = (Arc::clone(&self.shared), format!("{client}/{at}"));
            let reacted = self
                .store
                .write("watch.react", move |tx| {
                    let book = shared.books.current(&*tx)?;
                    site::wake(tx, &book, &client, &at, now)
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
