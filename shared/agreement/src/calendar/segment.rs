//! Every minute, explained (F10): a period cut into stretches, each with its reason.

use jiff::{SignedDuration, Timestamp};

use super::{Compiled, Segment, Why, day::Kind, pause::Pauses, split};

/// The segments of `[start, end)`, made as they are asked for: a period may have millions.
pub struct Segments<'a> {
    calendar: &'a Compiled,
    pauses: Pauses,
    reached: Timestamp,
    end: Timestamp,
    /// What the segments so far counted.
    counted: SignedDuration,
}

/// A [`Why`] that is cheap to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Is(Kind),
    Paused(usize),
}

impl<'a> Segments<'a> {
    pub(super) fn new(calendar: &'a Compiled, start: Timestamp, end: Timestamp, pauses: Pauses) -> Self {
        Self { calendar, pauses, reached: start, end, counted: SignedDuration::ZERO }
    }

    /// The reason at an instant, and a later instant up to which it holds.
    fn step(&self, from: Timestamp) -> (Reason, Timestamp) {
        let (kind, end) = self.calendar.line.at(split(from).0);
        let end = Timestamp::from_second(end).map_or(self.end, |end| end.min(self.end));
        if kind != Kind::Open {
            return (Reason::Is(kind), end);
        }
        match self.pauses.since(from).first() {
            Some(pause) if pause.from <= from => (Reason::Paused(pause.tag), pause.to.min(end)),
            Some(pause) => (Reason::Is(kind), pause.from.min(end)),
            None => (Reason::Is(kind), end),
        }
    }

    fn why(&self, reason: Reason) -> Why {
        match reason {
            Reason::Is(Kind::Open) => Why::Counted,
            Reason::Is(Kind::Outside) => Why::OutsideCoverage,
            Reason::Is(Kind::Holiday(name)) => {
                Why::Holiday { name: self.calendar.names.get(name as usize).cloned().flatten() }
            }
            Reason::Paused(pause) => Why::Paused { pause },
        }
    }
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.reached >= self.end {
            return None;
        }
        let from = self.reached;
        let (reason, mut to) = self.step(from);
        while to < self.end {
            let (next, end) = self.step(to);
            if next != reason {
                break;
            }
            to = end;
        }
        self.reached = to;
        let before = self.counted;
        if reason == Reason::Is(Kind::Open) {
            self.counted += to.duration_since(from);
        }
        let counted_s = (self.counted.as_secs() - before.as_secs()).unsigned_abs();
        Some(Segment { from, to, why: self.why(reason), counted_s })
    }
}
