//! When a supply ran on battery, as far as samples saw it.

use jiff::Timestamp;
use upheld_model::Outcome;

use super::{Reading, Supply};
use crate::{facts::OnBattery, incident::Bounds, kind::Family, plan::Check};

/// The stretches on battery, in order; the last one may not be over.
pub(super) fn stretches(plan: &Check, readings: &[Reading]) -> Vec<OnBattery> {
    let mut found: Vec<OnBattery> = Vec::new();
    if plan.kind.family() != Family::Power {
        return found;
    }
    let (mut last_on_mains, mut is_open): (Option<Timestamp>, bool) = (None, false);
    for reading in readings {
        // Of one that no sample saw the counter tells; it is not the one before.
        if let (Some(dip), Some(stretch), true) = (&reading.dip, found.last_mut(), is_open) {
            stretch.dip.get_or_insert_with(|| dip.clone());
        }
        match supply(reading) {
            Some(Supply::Battery { is_low }) => {
                if !is_open {
                    is_open = true;
                    found.push(begun(reading, last_on_mains));
                }
                if let Some(stretch) = found.last_mut() {
                    stretch.last_seen = reading.at;
                    if is_low {
                        stretch.low.get_or_insert(reading.at);
                    }
                }
            }
            Some(Supply::Mains) => {
                last_on_mains = Some(reading.at);
                if let Some(stretch) = found.last_mut()
                    && is_open
                {
                    is_open = false;
                    stretch.until = Some(reading.at);
                    stretch.ended_received = Some(reading.received);
                }
            }
            None => {}
        }
    }
    found
}

fn begun(reading: &Reading, last_on_mains: Option<Timestamp>) -> OnBattery {
    OnBattery {
        from: Bounds { not_before: last_on_mains, not_after: reading.at },
        until: None,
        last_seen: reading.at,
        low: None,
        received: reading.received,
        ended_received: None,
        dip: None,
    }
}

/// What the status says; where there is none, a supply that is bad is on battery.
fn supply(reading: &Reading) -> Option<Supply> {
    reading.supply.or(match reading.outcome {
        Outcome::Bad => Some(Supply::Battery { is_low: false }),
        Outcome::Ok | Outcome::Warn => Some(Supply::Mains),
        Outcome::Unknown { .. } => None,
    })
}
