//! A gap-free account of an asset's time: up, degraded, down, unknown by kind (DETECTION 7).
//!
//! Computed on read from facts: the state changes and findings of the asset's checks, and the stretches that nobody
//! watched. It never fails and never guesses: what no fact covers is unknown, and nothing becomes up by default. The
//! pieces touch, so they sum to the period. Maintenance, coverage and excluded causes are overlays of the agreement.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upheld_model::{UnknownReason, finding::CheckState};

/// From one instant up to, but not including, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
}

/// What is known of one check, in the collector's time. Order does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckHistory {
    /// Every change of its state; the latest one before the period belongs in.
    pub changes: Vec<(Timestamp, CheckState)>,
    /// From the first bad to the first good sample of every finding; an open one ends with the period.
    pub down: Vec<Span>,
    /// When it worked worse than it should.
    pub degraded: Vec<Span>,
    /// Stretches that nobody watched, whatever the states say.
    pub unwatched: Vec<(Span, UnknownReason)>,
}

/// How an asset was for a stretch. In this order the worst of its checks decides: what is surely down stays down,
/// and what cannot be judged is not up (TERMS F8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Status {
    /// It worked.
    Up,
    /// It worked worse than it should.
    Degraded,
    /// Nobody can say.
    Unknown {
        /// Why not.
        reason: UnknownReason,
    },
    /// It did not work.
    Down,
}

/// A stretch of one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// When.
    pub span: Span,
    /// How it was.
    pub status: Status,
}

/// The sums of a partition; they add up to the period exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Time up.
    pub up: SignedDuration,
    /// Time degraded.
    pub degraded: SignedDuration,
    /// Time down.
    pub down: SignedDuration,
    /// Time unknown, by reason.
    pub unknown: BTreeMap<UnknownReason, SignedDuration>,
}

/// Parts `period` into touching pieces by the worst of `checks`, neighbours of one status joined. An asset without
/// checks is unknown (not monitored). An empty period has no pieces.
pub fn partition(period: Span, checks: &[CheckHistory]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let checks: Vec<Sorted<'_>> = checks.iter().map(Sorted::new).collect();
    for span in cells(period, &checks) {
        let worst = checks.iter().map(|check| check.status(span.from)).max();
        let status = worst.unwrap_or(Status::Unknown { reason: UnknownReason::NotMonitored });
        match pieces.last_mut() {
            Some(last) if last.status == status => last.span.to = span.to,
            Some(_) | None => pieces.push(Piece { span, status }),
        }
    }
    pieces
}

/// Sums a partition.
pub fn totals(pieces: &[Piece]) -> Totals {
    let mut totals = Totals::default();
    for piece in pieces {
        let took = piece.span.from.duration_until(piece.span.to);
        let sum = match piece.status {
            Status::Up => &mut totals.up,
            Status::Degraded => &mut totals.degraded,
            Status::Down => &mut totals.down,
            Status::Unknown { reason } => totals.unknown.entry(reason).or_default(),
        };
        *sum = sum.saturating_add(took);
    }
    totals
}

/// The period cut at every instant at which anything changes: within a cell nothing does.
fn cells(period: Span, checks: &[Sorted<'_>]) -> Vec<Span> {
    if period.from >= period.to {
        return Vec::new();
    }
    let mut cuts = BTreeSet::from([period.from, period.to]);
    for check in checks {
        cuts.extend(check.changes.iter().map(|(at, _)| *at));
        let spans = check.history.down.iter().chain(&check.history.degraded);
        let unwatched = check.history.unwatched.iter().map(|(span, _)| span);
        cuts.extend(spans.chain(unwatched).flat_map(|span| [span.from, span.to]));
    }
    let inside: Vec<Timestamp> = cuts.range(period.from..=period.to).copied().collect();
    inside.windows(2).map(|pair| Span { from: pair[0], to: pair[1] }).collect()
}

/// One check's history with its changes in order.
struct Sorted<'a> {
    history: &'a CheckHistory,
    changes: Vec<(Timestamp, CheckState)>,
}

impl<'a> Sorted<'a> {
    fn new(history: &'a CheckHistory) -> Self {
        let mut changes = history.changes.clone();
        changes.sort_by_key(|(at, _)| *at);
        Self { history, changes }
    }

    /// The status in the cell that begins at `at`.
    fn status(&self, at: Timestamp) -> Status {
        let holds = |span: &Span| span.from <= at && at < span.to;
        let unwatched = self.history.unwatched.iter().filter(|(span, _)| holds(span)).map(|(_, reason)| *reason);
        if let Some(reason) = unwatched.min() {
            return Status::Unknown { reason };
        }
        let next = self.changes.partition_point(|(changed, _)| *changed <= at);
        let Some((_, state)) = next.checked_sub(1).map(|last| &self.changes[last]) else {
            return Status::Unknown { reason: UnknownReason::NotMonitored };
        };
        let is_down = self.history.down.iter().any(holds);
        let is_latest = next == self.changes.len();
        let is_degraded = self.history.degraded.iter().any(holds);
        match state {
            CheckState::Unknown { reason } => Status::Unknown { reason: *reason },
            CheckState::Failed => Status::Down,
            CheckState::Ok | CheckState::Suspect | CheckState::Recovering if is_down => Status::Down,
            // What is not confirmed yet: one good sample is not a recovery, one bad sample is no failure and not up.
            CheckState::Recovering if is_latest => Status::Down,
            CheckState::Suspect if is_latest => Status::Unknown { reason: UnknownReason::Pending },
            CheckState::Ok | CheckState::Suspect | CheckState::Recovering if is_degraded => Status::Degraded,
            CheckState::Ok | CheckState::Suspect | CheckState::Recovering => Status::Up,
        }
    }
}
