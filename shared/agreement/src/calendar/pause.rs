//! Pauses as a set of instants (R5).

use jiff::{SignedDuration, Timestamp};

use super::{
    Compiled, Pause,
    stretch::{Stretch, disjoint, holding},
};

/// The union of some pauses, ascending; each stretch knows which pause it came from. An open pause lasts to the last
/// instant that there is.
pub(super) struct Pauses(Vec<Stretch<Timestamp, usize>>);

impl Pauses {
    pub(super) fn new(pauses: &[Pause]) -> Self {
        let stretch =
            |(tag, pause): (usize, &Pause)| Stretch { from: pause.from, to: pause.to.unwrap_or(Timestamp::MAX), tag };
        Self(disjoint(pauses.iter().enumerate().map(stretch).collect()))
    }

    /// The same without those that are still open.
    pub(super) fn ended(pauses: &[Pause]) -> Self {
        let ended: Vec<Pause> = pauses.iter().filter(|pause| pause.to.is_some()).copied().collect();
        Self::new(&ended)
    }

    /// What the union takes from the counted time of `[from, to)`.
    pub(super) fn taken(&self, calendar: &Compiled, from: Timestamp, to: Timestamp) -> SignedDuration {
        let mut taken = SignedDuration::ZERO;
        for stretch in self.since(from) {
            if stretch.from >= to {
                break;
            }
            taken += calendar.counted(stretch.to.min(to)) - calendar.counted(stretch.from.max(from));
        }
        taken
    }

    /// The stretches that end after `from`, ascending.
    pub(super) fn since(&self, from: Timestamp) -> &[Stretch<Timestamp, usize>] {
        &self.0[self.0.partition_point(|stretch| stretch.to <= from)..]
    }

    /// The stretch that holds the instant.
    pub(super) fn holding(&self, instant: Timestamp) -> Option<&Stretch<Timestamp, usize>> {
        holding(&self.0, instant)
    }
}
