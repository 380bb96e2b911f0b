//! Where the stretches of a check that are no longer the latest begin and end: a late one must not run over them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Stretch;

/// So many begins and ends are known. Between those that are forgotten each late reading is a stretch of its own: fewer
/// cost rows, more make the fold longer, which is written with every upload.
const KNOWN: usize = 8;

/// Begins and ends, in order; each with whether some between it and the next one are forgotten. Those that lie close
/// together are forgotten first: readings overtake each other by a minute or two on their way, while what a wrong clock put
/// years ahead is never run over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Others(Vec<(Timestamp, bool)>);

impl Others {
    /// One more is no longer the latest.
    pub(super) fn add(&mut self, stretch: &Stretch) {
        for at in [stretch.from, stretch.to] {
            if let Err(place) = self.place(at) {
                let is_among_forgotten = place.checked_sub(1).is_some_and(|before| self.0[before].1);
                self.0.insert(place, (at, is_among_forgotten));
            }
        }
        while self.0.len() > KNOWN {
            let apart = |place: &usize| -> SignedDuration { self.0[place - 1].0.duration_until(self.0[place + 1].0) };
            let Some(closest) = (1..self.0.len() - 1).min_by_key(apart) else { break };
            self.0.remove(closest);
            self.0[closest - 1].1 = true;
        }
    }

    /// Whether one of them begins or ends at this very instant.
    pub(super) fn has(&self, at: Timestamp) -> bool {
        self.place(at).is_ok()
    }

    /// The next begin or end after an instant, at which a stretch that grows must stop; that instant itself where one does
    /// not know.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.0.partition_point(|(at, _)| *at <= after);
        let is_among_forgotten = next.checked_sub(1).is_some_and(|before| self.0[before].1);
        if is_among_forgotten { Some(after) } else { self.0.get(next).map(|(at, _)| *at) }
    }

    fn place(&self, at: Timestamp) -> Result<usize, usize> {
        self.0.binary_search_by_key(&at, |(known, _)| *known)
    }
}
