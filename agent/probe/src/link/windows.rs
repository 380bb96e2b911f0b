//! One interface as Windows counts at it. Drops and duplex it does not tell.

use super::seen::{Seen, Unseen};
use crate::tables::{Interface, interfaces};

/// The interface of this name, as its owner sees it; Windows tells no large letters from small ones there.
pub(super) fn read(interface: &str) -> Result<Seen, Unseen> {
    let all = interfaces().map_err(|error| Unseen::Unreadable { error })?;
    let is_it = |known: &&Interface| known.name.to_lowercase() == interface.to_lowercase();
    let Some(found) = all.iter().find(is_it) else {
        let mut others: Vec<String> = all.into_iter().map(|other| other.name).collect();
        others.sort();
        return Err(Unseen::Missing { others });
    };
    let [rx_errors, tx_errors] = found.errors;
    let [rx_dropped, tx_dropped] = found.discards;
    Ok(Seen {
        index: found.index,
        address: found.address.clone(),
        is_enabled: found.is_enabled,
        has_carrier: found.has_carrier,
        speed_mbps: found
            .speed
            .filter(|_| found.has_carrier)
            .and_then(|speed| u32::try_from(speed / 1_000_000).ok())
            .filter(|speed| *speed > 0),
        is_half_duplex: None,
        counters: vec![
            ("rx_errors", rx_errors),
            ("tx_errors", tx_errors),
            ("rx_dropped", rx_dropped),
            ("tx_dropped", tx_dropped),
        ],
    })
}
