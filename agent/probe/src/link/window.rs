//! What a port counted of late: the differences of the kernel's counters over the last hour or two, at most.

use std::time::{Duration, Instant};

use super::seen::Seen;

/// A count is begun anew after this; what is told covers up to twice as long.
const HOUR: Duration = Duration::from_secs(3_600);
/// Frames that arrived damaged; Windows counts them as one (`rx_errors`).
const DAMAGED: &[&str] = &["rx_crc_errors", "rx_frame_errors", "rx_length_errors", "rx_errors"];

/// Differences of counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lately {
    /// Over so many minutes.
    pub(super) minutes: u64,
    /// Frames that arrived damaged.
    pub(super) damaged: u64,
    /// Carrier drops.
    pub(super) drops: u64,
    /// Frames that this host did not fetch in time.
    pub(super) missed: u64,
    /// Frames that were being sent when the carrier was lost.
    pub(super) carrier_errors: u64,
}

/// Where the counters stood.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    earlier: Option<(Instant, Seen)>,
    latest: Option<(Instant, Seen)>,
}

impl Window {
    /// Takes a look, and says what was counted since the oldest one that is kept, as it would be in one hour at the most.
    pub(super) fn take(&mut self, seen: &Seen, now: Instant) -> Lately {
        let is_same = |(_, kept): &(Instant, Seen)| kept.index == seen.index && kept.address == seen.address;
        if !self.latest.as_ref().is_some_and(is_same) {
            *self = Self { earlier: None, latest: Some((now, seen.clone())) };
            return Lately::default();
        }
        if let Some(latest) = self.latest.take_if(|(at, _)| now.saturating_duration_since(*at) >= HOUR) {
            self.earlier = Some(latest);
            self.latest = Some((now, seen.clone()));
        }
        let Some((at, before)) = self.earlier.as_ref().or(self.latest.as_ref()) else { return Lately::default() };
        let spans = now.saturating_duration_since(*at);
        let count = |names: &[&str]| {
            let sum = |seen: &Seen| {
                let own = seen.counters.iter().filter(|(name, _)| names.contains(name));
                own.map(|(_, count)| *count).fold(0_u64, u64::saturating_add)
            };
            sum(seen).saturating_sub(sum(before))
        };
        // Over more than an hour it is a rate: two slow hours make no bad one.
        let hourly = |count: u64| count * HOUR.as_secs() / spans.as_secs().max(HOUR.as_secs());
        Lately {
            minutes: spans.min(HOUR).as_secs() / 60,
            damaged: hourly(count(DAMAGED)),
            drops: hourly(count(&["carrier_down"])),
            missed: hourly(count(&["rx_missed_errors"])),
            carrier_errors: hourly(count(&["tx_carrier_errors"])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_of_the_last_hour_and_a_new_adapter_begins_anew() {
        let begun = Instant::now();
        let at = |minutes: u64| begun + Duration::from_secs(60 * minutes);
        let mut window = Window::default();
        assert_eq!(window.take(&seen(2, 500), at(0)), Lately::default(), "what was before is not of late");
        let lately = window.take(&seen(2, 530), at(30));
        assert_eq!((lately.minutes, lately.damaged), (30, 30));
        assert_eq!(window.take(&seen(2, 530), at(60)).damaged, 30);
        let lately = window.take(&seen(2, 530), at(119));
        assert_eq!((lately.minutes, lately.damaged), (60, 15), "by the hour");
        assert_eq!(window.take(&seen(2, 530), at(125)).damaged, 0, "forgotten after two");
        assert_eq!(window.take(&seen(3, 900), at(126)), Lately::default());
    }

    fn seen(index: u32, damaged: u64) -> Seen {
        Seen { index, counters: vec![("rx_crc_errors", damaged)], ..Seen::default() }
    }
}
