//! One check's time in one pass over what is known of it: the cost grows with the facts, not with their square.

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_model::{
    UnknownReason,
    finding::CheckState,
    mutant::{Rule, is_broken},
};

use super::{CheckHistory, Piece, Span, Status, WhenFailed, push};

/// Something that begins or ends. Of two at one instant the order does not matter: nothing lies between them.
#[derive(Clone, Copy)]
enum Edge {
    /// The next change of state, in the order of their instants.
    Change,
    Down(i32),
    Degraded(i32),
    Unwatched(UnknownReason, i32),
}

/// The partition of a period by one check.
pub(super) fn of_check(period: Span, check: &CheckHistory, when: WhenFailed) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if period.from >= period.to {
        return pieces;
    }
    let mut changes = check.changes.clone();
    changes.sort_by_key(|(at, _)| *at);
    let mut now = Now { changes: &changes, next: 0, down: 0, degraded: 0, unwatched: BTreeMap::new() };
    let mut reached = period.from;
    for (at, edge) in edges(check, &changes) {
        if at > reached && at < period.to {
            push(&mut pieces, Piece { span: Span { from: reached, to: at }, status: now.status(when) });
            reached = at;
        } else if at >= period.to {
            break;
        }
        now.pass(edge);
    }
    push(&mut pieces, Piece { span: Span { from: reached, to: period.to }, status: now.status(when) });
    pieces
}

fn edges(check: &CheckHistory, changes: &[(Timestamp, CheckState)]) -> Vec<(Timestamp, Edge)> {
    let mut edges: Vec<(Timestamp, Edge)> = changes.iter().map(|(at, _)| (*at, Edge::Change)).collect();
    let mut add = |span: &Span, edge: fn(i32) -> Edge| {
        if span.from < span.to {
            edges.extend([(span.from, edge(1)), (span.to, edge(-1))]);
        }
    };
    check.down.iter().for_each(|span| add(span, Edge::Down));
    check.degraded.iter().for_each(|span| add(span, Edge::Degraded));
    for (span, reason) in &check.unwatched {
        if span.from < span.to {
            edges.extend([(span.from, Edge::Unwatched(*reason, 1)), (span.to, Edge::Unwatched(*reason, -1))]);
        }
    }
    edges.sort_by_key(|(at, _)| *at);
    edges
}

/// What holds between two edges.
struct Now<'a> {
    changes: &'a [(Timestamp, CheckState)],
    /// How many changes have passed.
    next: usize,
    down: i32,
    degraded: i32,
    unwatched: BTreeMap<UnknownReason, i32>,
}

impl Now<'_> {
    fn pass(&mut self, edge: Edge) {
        match edge {
            Edge::Change => self.next += 1,
            Edge::Down(by) => self.down += by,
            Edge::Degraded(by) => self.degraded += by,
            Edge::Unwatched(reason, by) => *self.unwatched.entry(reason).or_default() += by,
        }
    }

    fn status(&self, when: WhenFailed) -> Status {
        let known = self.known(when);
        let is_unknown = matches!(known, Status::Unknown { .. });
        if is_unknown && is_broken(Rule::UnknownIsNotUp) { Status::Up } else { known }
    }

    fn known(&self, when: WhenFailed) -> Status {
        let unwatched = self.unwatched.iter().find(|(_, count)| **count > 0);
        if let Some((reason, _)) = unwatched {
            return Status::Unknown { reason: *reason };
        }
        let Some((_, state)) = self.next.checked_sub(1).map(|last| self.changes[last]) else {
            return Status::Unknown { reason: UnknownReason::NotMonitored };
        };
        let failed = match when {
            WhenFailed::Down => Status::Down,
            WhenFailed::Degraded => Status::Degraded,
        };
        let is_latest = self.next == self.changes.len();
        match state {
            CheckState::Unknown { reason } => Status::Unknown { reason },
            CheckState::Failed => failed,
            CheckState::Ok | CheckState::Suspect | CheckState::Recovering if self.down > 0 => failed,
            // What is not confirmed yet: one good sample is not a recovery, one bad sample is no failure and not up.
            CheckState::Recovering if is_latest => failed,
            CheckState::Suspect if is_latest => Status::Unknown { reason: UnknownReason::Pending },
            CheckState::Ok | CheckState::Suspect | CheckState::Recovering if self.degraded > 0 => Status::Degraded,
            CheckState::Ok | CheckState::Suspect | CheckState::Recovering => Status::Up,
        }
    }
}
