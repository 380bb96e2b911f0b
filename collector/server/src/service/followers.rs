//! What PostgreSQL keeps of its log for those who follow it: where nobody does any more it would fill its disk, and a
//! follower that is gone cannot say so.

use std::time::{Duration, Instant};

use tokio::{task::spawn_blocking, time::sleep};
use tracing::{debug, warn};
use upheld_store::postgres::follow::Slot;

use crate::{
    backup::postgresql::{SLOTS, held_back},
    config::{Config, Database, Outbound},
    failure::Failure,
};

/// How often is looked.
const LOOKED_EVERY: Duration = Duration::from_secs(60);
/// How often the same is said.
const WARNED_EVERY: Duration = Duration::from_secs(3_600);

/// Never returns. Where the facts are in a file there is nothing to look at.
pub(super) async fn watch(config: &Config) {
    let Some(database) = &config.database else { return std::future::pending().await };
    let mut warned: Option<Instant> = None;
    loop {
        let (database, outbound) = (database.clone(), config.outbound.clone());
        match spawn_blocking(move || slots(&database, &outbound)).await {
            Ok(Ok(slots)) => {
                let held: Vec<_> = slots.iter().filter_map(|(name, slot)| said(name, slot)).collect();
                if held.is_empty() {
                    warned = None;
                } else if warned.is_none_or(|at| at.elapsed() >= WARNED_EVERY) {
                    held.iter().for_each(|text| warn!("{text}"));
                    warned = Some(Instant::now());
                }
            }
            // A database that does not answer is the tasks' to report.
            Ok(Err(failure)) => debug!(error = failure.text(false), "the slots of followers cannot be looked at"),
            Err(error) => debug!(%error, "the slots of followers cannot be looked at"),
        }
        sleep(LOOKED_EVERY).await;
    }
}

fn slots(database: &Database, outbound: &Outbound) -> Result<Vec<(String, Slot)>, Failure> {
    let slots = database.server(outbound)?.0.slots(SLOTS)?;
    for (name, slot) in &slots {
        metrics::gauge!("upheld_follow_behind_bytes", "slot" => name.clone()).set(slot.behind as f64);
    }
    Ok(slots)
}

/// What a person has to know of a slot, and what to do.
fn said(name: &str, slot: &Slot) -> Option<String> {
    let held = held_back(slot)?;
    let reader = if slot.reader.is_some() { "is read too slowly" } else { "is read by nobody" };
    Some(format!(
        "PostgreSQL holds back its log for the slot {name}, which {reader}: {held}. Start its `backup --follow` again, or \
         give its folder up: psql -c \"SELECT pg_drop_replication_slot('{name}')\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_that_is_gone_is_missed_before_the_servers_disk_is_full() {
        let slot = |reader, behind: u64| {
            let state = "extended".to_owned();
            Slot { reader, kept: None, state, behind, room: None }
        };
        assert_eq!(said("upheld_1", &slot(None, 1 << 20)), None);
        let text = said("upheld_1", &slot(None, 3 << 30)).unwrap();
        assert!(text.contains("read by nobody: 3072 MiB") && text.contains("pg_drop_replication_slot('upheld_1')"));
        assert!(said("upheld_1", &slot(Some(7), 3 << 30)).unwrap().contains("too slowly"));
    }
}
