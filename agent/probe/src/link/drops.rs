//! When a port's carrier went and came back, as the kernel announced it: begin and end of each drop.
//!
//! The count stays the kernel's own: announcements come in bursts and are folded together (within a second the kernel sends
//! one, and 500 flaps were seen as 1,989 of them). Each carries the count, so a drop that no announcement dates is known
//! as one that is not dated. When the kernel's buffer overran, what was announced meanwhile is lost: dates begin anew with
//! the next look, and that is said.

use std::{collections::VecDeque, time::Instant};

use jiff::{SignedDuration, Timestamp};

use crate::{ups::battery::Moment, words};

/// Drops of which the dates are kept; more between two looks are told by their number.
const DROPS_MAX: usize = 16;
/// Drops whose dates a sentence has.
const TOLD_MAX: usize = 3;

/// What the kernel announced of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    /// The kernel's number for the port.
    pub(super) index: u32,
    /// `None` where the port is gone.
    pub(super) has_carrier: Option<bool>,
    /// How often it was down since the kernel made it; Linux 4.16.
    pub(super) downs: Option<u64>,
}

/// One drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Drop {
    from: Timestamp,
    lasted: std::time::Duration,
}

impl Drop {
    fn to(&self) -> Timestamp {
        let lasted = SignedDuration::try_from(self.lasted).unwrap_or_default();
        self.from.checked_add(lasted).unwrap_or(self.from)
    }
}

/// The drops of one port.
#[derive(Debug)]
pub(super) struct Drops {
    index: u32,
    has_carrier: bool,
    downs: Option<u64>,
    /// Since when it is down, where that was announced.
    since: Option<Moment>,
    over: VecDeque<Drop>,
    /// How many that were over were never told.
    forgotten: u64,
    /// How many were counted and not dated.
    undated: u64,
    is_lost: bool,
}

/// What a look has to tell of the time since the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    drops: Vec<Drop>,
    more: u64,
    undated: u64,
    /// Since when it is down.
    pub(super) down_since: Option<Timestamp>,
    is_lost: bool,
}

impl Drops {
    /// Begins to watch a port that is as a look saw it.
    pub(super) fn new(seen: Announced) -> Self {
        Self {
            index: seen.index,
            has_carrier: seen.has_carrier == Some(true),
            downs: seen.downs,
            since: None,
            over: VecDeque::new(),
            forgotten: 0,
            undated: 0,
            is_lost: false,
        }
    }

    pub(super) fn is_of(&self, index: u32) -> bool {
        self.index == index
    }

    /// Takes what the kernel announced; of other ports nothing.
    pub(super) fn hear(&mut self, announced: Announced, now: Moment) {
        if announced.index != self.index || self.is_lost {
            return;
        }
        let counted = self.counted(announced.downs);
        match (self.has_carrier, announced.has_carrier.unwrap_or(false)) {
            (true, false) => {
                self.since = Some(now);
                self.undated += counted.unwrap_or(1).saturating_sub(1);
            }
            (false, true) => {
                self.undated += counted.unwrap_or(0);
                self.end(now.mono);
            }
            // Too short for an announcement of its own: it was down and is up again, or the other way round.
            (true, true) | (false, false) => self.undated += counted.unwrap_or(0),
        }
        self.has_carrier = announced.has_carrier.unwrap_or(false);
    }

    /// The kernel's buffer overran: what was announced is not known any more.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
        self.since = None;
    }

    /// What is to be told at a look that saw this, once.
    pub(super) fn tell(&mut self, seen: Announced) -> Told {
        if self.is_lost {
            *self = Self::new(seen);
            return Told { is_lost: true, ..Told::default() };
        }
        let drops: Vec<Drop> = self.over.drain(..).collect();
        let more = std::mem::take(&mut self.forgotten);
        let undated = std::mem::take(&mut self.undated);
        Told { drops, more, undated, down_since: self.since.map(|since| since.wall), is_lost: false }
    }

    /// How many drops the count says there were since the last announcement.
    fn counted(&mut self, downs: Option<u64>) -> Option<u64> {
        let before = self.downs;
        self.downs = downs.or(before);
        Some(downs?.saturating_sub(before?))
    }

    fn end(&mut self, now: Instant) {
        let Some(since) = self.since.take() else { return };
        if self.over.len() == DROPS_MAX {
            self.over.pop_front();
            self.forgotten += 1;
        }
        self.over.push_back(Drop { from: since.wall, lasted: now.saturating_duration_since(since.mono) });
    }
}

impl Told {
    /// `it was down for 8.6 s (2026-11-28 14:03:11.2 to 14:03:19.8 UTC)`; `None` where there was nothing.
    pub(super) fn sentence(&self) -> Option<String> {
        let first = self.drops.len().saturating_sub(TOLD_MAX);
        let mut parts: Vec<String> = self.drops[first..]
            .iter()
            .map(|drop| format!("for {}", words::span(drop.from, drop.to(), drop.lasted)))
            .collect();
        let more = self.more + first as u64;
        if more > 0 {
            parts.push(format!("{more} times before that"));
        }
        if self.undated > 0 {
            let times = if self.undated == 1 { "once".to_owned() } else { format!("{} times", self.undated) };
            parts.push(format!("{times} for less than the kernel dates"));
        }
        let mut sentence = (!parts.is_empty()).then(|| format!("it was down {}", parts.join(", ")));
        if self.is_lost {
            let lost = "the kernel announced more than was heard: drops of late are counted and not dated";
            sentence = Some(sentence.map_or(lost.to_owned(), |said| format!("{said}; {lost}")));
        }
        sentence
    }

    /// The last drop that is over: its begin, its end, and its length in seconds.
    pub(super) fn last(&self) -> Option<(Timestamp, Timestamp, f64)> {
        self.drops.last().map(|drop| (drop.from, drop.to(), drop.lasted.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_drop_is_told_once_with_its_begin_its_end_and_its_length() {
        let mut port = Port::new();
        port.announces(1_240, false, 1);
        let down = port.told(true);
        assert_eq!(
            (down.down_since.map(|at| at.to_string()), down.sentence()),
            (Some("2026-11-28T14:00:01.24Z".into()), None)
        );
        port.announces(9_861, true, 1);
        let up = port.told(true);
        assert_eq!(up.sentence().as_deref(), Some("it was down for 8.6 s (2026-11-28 14:00:01.2 to 14:00:09.8 UTC)"));
        assert_eq!(up.last().map(|(_, _, seconds)| seconds), Some(8.621));
        assert_eq!(port.told(true), Told::default());
    }

    #[test]
    fn a_clock_that_is_set_meanwhile_lengthens_no_drop() {
        let mut port = Port::new();
        port.announces(1_000, false, 1);
        port.clock_error_s = -3_600;
        port.announces(3_000, true, 1);
        assert_eq!(
            port.told(true).sentence().as_deref(),
            Some("it was down for 2 s (2026-11-28 14:00:01.0 to 14:00:03.0 UTC)")
        );
    }

    #[test]
    fn what_the_kernel_folds_together_is_counted_and_not_dated() {
        let mut port = Port::new();
        port.announces(1_000, true, 2);
        assert_eq!(port.told(true).sentence().as_deref(), Some("it was down 2 times for less than the kernel dates"));
        port.announces(2_000, false, 4);
        port.announces(3_000, true, 5);
        assert_eq!(
            port.told(true).sentence().as_deref(),
            Some(
                "it was down for 1 s (2026-11-28 14:00:02.0 to 14:00:03.0 UTC), 2 times for less than the kernel dates"
            )
        );
    }

    #[test]
    fn an_announcement_that_changes_nothing_and_one_of_another_port_say_nothing() {
        let mut port = Port::new();
        port.announces(1_000, true, 0);
        port.drops.hear(Announced { index: 3, has_carrier: Some(false), downs: Some(9) }, port.at(1_500));
        assert_eq!(port.told(true), Told::default());
    }

    #[test]
    fn a_buffer_that_overran_is_said_and_dates_begin_anew() {
        let mut port = Port::new();
        port.announces(1_000, false, 1);
        port.drops.lose();
        port.announces(2_000, true, 3);
        port.downs = 7;
        let lost = port.told(true).sentence().unwrap();
        assert!(lost.contains("counted and not dated"), "{lost}");
        assert_eq!(port.told(true), Told::default());
        port.announces(5_000, false, 8);
        port.announces(6_000, true, 8);
        assert!(port.told(true).sentence().unwrap().starts_with("it was down for 1 s"));
    }

    #[test]
    fn of_many_drops_the_last_are_dated_and_the_others_counted() {
        let mut port = Port::new();
        for drop in 0..20 {
            port.announces(2_000 * drop, false, drop + 1);
            port.announces(2_000 * drop + 500, true, drop + 1);
        }
        let told = port.told(true).sentence().unwrap();
        assert!(told.ends_with("17 times before that") && told.contains("14:00:38.0 to 14:00:38.5"), "{told}");
    }

    /// A port and its kernel.
    struct Port {
        drops: Drops,
        began: Instant,
        clock_error_s: i64,
        downs: u64,
    }

    impl Port {
        fn new() -> Self {
            let drops = Drops::new(Announced { index: 2, has_carrier: Some(true), downs: Some(0) });
            Self { drops, began: Instant::now(), clock_error_s: 0, downs: 0 }
        }

        fn at(&self, milli: u64) -> Moment {
            let begin: Timestamp = "2026-11-28T14:00:00Z".parse().unwrap();
            let wall =
                begin + SignedDuration::from_millis(milli as i64) + SignedDuration::from_secs(self.clock_error_s);
            Moment { mono: self.began + Duration::from_millis(milli), wall }
        }

        fn announces(&mut self, milli: u64, has_carrier: bool, downs: u64) {
            self.downs = downs;
            let now = self.at(milli);
            self.drops.hear(Announced { index: 2, has_carrier: Some(has_carrier), downs: Some(downs) }, now);
        }

        fn told(&mut self, has_carrier: bool) -> Told {
            self.drops.tell(Announced { index: 2, has_carrier: Some(has_carrier), downs: Some(self.downs) })
        }
    }
}
