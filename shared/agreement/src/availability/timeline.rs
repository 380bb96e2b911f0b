//! What was seen of an asset: a partition of time without gaps.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", content = "why", rename_all = "kebab-case")]
pub enum Seen {
    /// It worked.
    Up,
    /// It worked in part.
    Degraded,
    /// It did not work.
    Down,
    /// Nobody knows: never stored or shown as up.
    Unknown(UnknownWhy),
}

upheld_model::vocabulary!(
    /// Why nobody knows.
    UnknownWhy, "reason for not knowing", {
        /// The agent that watches it was not heard.
        AgentSilent = "agent-silent",
        /// It was switched off, and said so before: counted nowhere.
        Off = "off",
        /// It was not watched yet, or not any more.
        NotMonitored = "not-monitored",
        /// The collector could not look.
        Collector = "collector",
        /// It is not decided yet.
        Pending = "pending",
        /// The probe could not judge: no right, no credentials, a source without fresh data.
        CannotJudge = "cannot-judge",
    }
);

/// A stretch `[from, to)` in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// What was seen.
    pub state: Seen,
}

/// Pieces of time that follow each other without gap or overlap. What lies before the first and after the last was not
/// monitored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline(Vec<Piece>);

/// The seconds of a period by what was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// It worked.
    pub up_s: u64,
    /// It worked in part.
    pub degraded_s: u64,
    /// It did not work.
    pub down_s: u64,
    /// Nobody knows, by why.
    pub unknown: BTreeMap<UnknownWhy, u64>,
}

impl Sums {
    /// How long nobody knew, whyever.
    pub fn unknown_s(&self) -> u64 {
        self.unknown.values().sum()
    }

    /// The period.
    pub fn total_s(&self) -> u64 {
        self.up_s + self.degraded_s + self.down_s + self.unknown_s()
    }

    fn share(&mut self, seen: Seen) -> &mut u64 {
        match seen {
            Seen::Up => &mut self.up_s,
            Seen::Degraded => &mut self.degraded_s,
            Seen::Down => &mut self.down_s,
            Seen::Unknown(why) => self.unknown.entry(why).or_default(),
        }
    }
}

/// Why pieces are no partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimelineError {
    /// A piece ends before it begins.
    #[error("piece {index} ends at {to}, before it begins at {from}")]
    Backwards {
        /// Which, from 0.
        index: usize,
        /// Its beginning.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// A piece does not begin where the one before it ends.
    #[error("piece {index} begins at {from}, but the one before it ends at {ended}")]
    NotGapFree {
        /// Which, from 0.
        index: usize,
        /// Its beginning.
        from: Timestamp,
        /// The end of the piece before it.
        ended: Timestamp,
    },
}

impl Timeline {
    /// Checks that the pieces partition the time from the first to the last.
    pub fn new(pieces: Vec<Piece>) -> Result<Self, TimelineError> {
        for (index, piece) in pieces.iter().enumerate() {
            let Piece { from, to, .. } = *piece;
            if to < from {
                return Err(TimelineError::Backwards { index, from, to });
            }
            match index.checked_sub(1).map(|before| pieces[before].to) {
                Some(ended) if ended != from => return Err(TimelineError::NotGapFree { index, from, ended }),
                Some(_) | None => {}
            }
        }
        Ok(Self(pieces))
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The whole seconds of `[from, to)` by what was seen. They sum to the period: what no piece covers was not
    /// monitored.
    pub fn sums(&self, from: Timestamp, to: Timestamp) -> Sums {
        let second = |at: Timestamp| crate::clock::whole_second(at).as_second();
        let (from, to) = (second(from), second(to).max(second(from)));
        let mut sums = Sums::default();
        let mut reached = from;
        for piece in &self.0 {
            let (a, b) = (second(piece.from).clamp(reached, to), second(piece.to).clamp(reached, to));
            *sums.share(Seen::Unknown(UnknownWhy::NotMonitored)) += a.abs_diff(reached);
            *sums.share(piece.state) += b.abs_diff(a);
            reached = b;
        }
        *sums.share(Seen::Unknown(UnknownWhy::NotMonitored)) += to.abs_diff(reached);
        sums.unknown.retain(|_, seconds| *seconds > 0);
        sums
    }
}
