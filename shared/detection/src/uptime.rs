//! A gap-free account of an asset's time: up, degraded, down, unknown by kind (DETECTION 7).
//!
//! Computed on read from facts: the state changes and findings of the asset's checks, and the stretches that nobody
//! watched. It never fails and never guesses: what no fact covers is unknown, and nothing becomes up by default. The
//! pieces touch, so they sum to the period. Maintenance, coverage and excluded causes are overlays of the agreement.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upheld_model::{UnknownReason, finding::CheckState};

mod sweep;

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

/// What the failure of a check makes of its asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhenFailed {
    /// It is down.
    Down,
    /// It works in part: the agreement does not call this function's failure down.
    Degraded,
}

/// Parts `period` into touching pieces by the worst of `checks`, neighbours of one status joined. An asset without
/// checks is unknown (not monitored). An empty period has no pieces.
pub fn partition(period: Span, checks: &[CheckHistory]) -> Vec<Piece> {
    partition_of(period, checks.iter().map(|check| (check, WhenFailed::Down)))
}

/// The same with checks whose failure makes the asset down or degraded.
pub fn partition_of<'a>(period: Span, checks: impl IntoIterator<Item = (&'a CheckHistory, WhenFailed)>) -> Vec<Piece> {
    let parts: Vec<Vec<Piece>> = checks.into_iter().map(|(check, when)| sweep::of_check(period, check, when)).collect();
    if parts.is_empty() && period.from < period.to {
        let status = Status::Unknown { reason: UnknownReason::NotMonitored };
        return vec![Piece { span: period, status }];
    }
    worst(parts)
}

/// The worst at each instant of several partitions of one period, neighbours of one status joined.
pub fn worst(mut parts: Vec<Vec<Piece>>) -> Vec<Piece> {
    while parts.len() > 1 {
        // In pairs, so that many checks cost their number times its logarithm.
        let mut rest = parts.into_iter();
        let mut merged = Vec::new();
        while let Some(one) = rest.next() {
            merged.push(match rest.next() {
                Some(other) => worse(&one, &other),
                None => one,
            });
        }
        parts = merged;
    }
    parts.pop().unwrap_or_default()
}

/// Two partitions of one period as one.
fn worse(one: &[Piece], other: &[Piece]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(one.len() + other.len());
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (one.get(i), other.get(j)) {
        let from = a.span.from.max(b.span.from);
        let to = a.span.to.min(b.span.to);
        push(&mut pieces, Piece { span: Span { from, to }, status: a.status.max(b.status) });
        i += usize::from(a.span.to <= to);
        j += usize::from(b.span.to <= to);
    }
    pieces
}

fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match pieces.last_mut() {
        Some(last) if last.status == piece.status => last.span.to = piece.span.to,
        Some(_) | None if piece.span.from < piece.span.to => pieces.push(piece),
        Some(_) | None => {}
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OK: CheckState = CheckState::Ok;
    const CREDENTIALS: CheckState = CheckState::Unknown { reason: UnknownReason::Credentials };

    #[test]
    fn downtime_is_from_the_first_bad_to_the_first_good_sample() {
        let check = CheckHistory {
            changes: states(&[
                (0, OK),
                (20, CheckState::Suspect),
                (24, CheckState::Failed),
                (60, CheckState::Recovering),
                (70, OK),
            ]),
            down: vec![span(20, 60)],
            ..CheckHistory::default()
        };
        assert_eq!(told(&[check]), "up 0..20, down 20..60, up 60..100");
    }

    #[test]
    fn what_is_not_confirmed_yet_is_not_up() {
        let suspect = changing(&[(0, OK), (90, CheckState::Suspect)]);
        assert_eq!(told(&[suspect]), "up 0..90, unknown(pending) 90..100");
        let passed = changing(&[(0, OK), (50, CheckState::Suspect), (54, OK)]);
        assert_eq!(told(&[passed]), "up 0..100");
        let recovering = changing(&[(0, CheckState::Failed), (90, CheckState::Recovering)]);
        assert_eq!(told(&[recovering]), "down 0..100");
    }

    #[test]
    fn nothing_is_up_before_a_fact_says_so() {
        assert_eq!(told(&[]), "unknown(not monitored) 0..100");
        assert_eq!(told(&[CheckHistory::default()]), "unknown(not monitored) 0..100");
        assert_eq!(told(&[changing(&[(40, OK)])]), "unknown(not monitored) 0..40, up 40..100");
    }

    #[test]
    fn the_worst_check_decides_and_unknown_is_worse_than_up() {
        let sees = changing(&[(0, OK)]);
        let blind = changing(&[(0, OK), (30, CREDENTIALS), (50, OK)]);
        let down =
            CheckHistory { down: vec![span(40, 60)], ..changing(&[(0, OK), (40, CheckState::Failed), (60, OK)]) };
        assert_eq!(told(&[sees, blind, down]), "up 0..30, unknown(credentials) 30..40, down 40..60, up 60..100");
    }

    #[test]
    fn an_unwatched_stretch_is_unknown_even_inside_downtime() {
        let check = CheckHistory {
            down: vec![span(20, 100)],
            unwatched: vec![(span(50, 80), UnknownReason::AgentSilent), (span(70, 90), UnknownReason::Suspended)],
            ..changing(&[(0, OK), (20, CheckState::Failed)])
        };
        assert_eq!(
            told(&[check]),
            "up 0..20, down 20..50, unknown(agent silent) 50..70, unknown(suspended) 70..90, down 90..100"
        );
    }

    #[test]
    fn degraded_is_neither_up_nor_down() {
        let check = CheckHistory { degraded: vec![span(10, 20)], ..changing(&[(0, OK)]) };
        assert_eq!(told(&[check]), "up 0..10, degraded 10..20, up 20..100");
    }

    #[test]
    fn a_function_that_is_not_called_down_leaves_its_asset_degraded() {
        let failed =
            CheckHistory { down: vec![span(20, 60)], ..changing(&[(0, OK), (20, CheckState::Failed), (60, OK)]) };
        let silent =
            CheckHistory { unwatched: vec![(span(50, 70), UnknownReason::AgentSilent)], ..changing(&[(0, OK)]) };
        let of = [(&failed, WhenFailed::Degraded), (&silent, WhenFailed::Down)];
        assert_eq!(
            said(&partition_of(span(0, 100), of)),
            "up 0..20, degraded 20..50, unknown(agent silent) 50..70, up 70..100"
        );
    }

    /// The rule of [`sweep`], asked at one instant by itself: an oracle that looks at everything every time.
    fn status_at(check: &CheckHistory, at: Timestamp) -> Status {
        let holds = |span: &Span| span.from <= at && at < span.to;
        let unwatched = check.unwatched.iter().filter(|(span, _)| holds(span)).map(|(_, reason)| *reason);
        if let Some(reason) = unwatched.min() {
            return Status::Unknown { reason };
        }
        let mut changes = check.changes.clone();
        changes.sort_by_key(|(at, _)| *at);
        let next = changes.partition_point(|(changed, _)| *changed <= at);
        let Some((_, state)) = next.checked_sub(1).map(|last| changes[last]) else {
            return Status::Unknown { reason: UnknownReason::NotMonitored };
        };
        let (is_down, is_degraded) = (check.down.iter().any(holds), check.degraded.iter().any(holds));
        match state {
            CheckState::Unknown { reason } => Status::Unknown { reason },
            CheckState::Failed => Status::Down,
            CheckState::Ok | CheckState::Suspect | CheckState::Recovering if is_down => Status::Down,
            CheckState::Recovering if next == changes.len() => Status::Down,
            CheckState::Suspect if next == changes.len() => Status::Unknown { reason: UnknownReason::Pending },
            CheckState::Ok | CheckState::Suspect | CheckState::Recovering if is_degraded => Status::Degraded,
            CheckState::Ok | CheckState::Suspect | CheckState::Recovering => Status::Up,
        }
    }

    proptest! {
        #[test]
        fn every_second_is_what_the_rule_says_of_it(
            from in -200i64..200, length in 1i64..200,
            checks in proptest::collection::vec(history(), 1..4),
        ) {
            let pieces = partition(span(from, from + length), &checks);
            for second in from..from + length {
                let piece = pieces.iter().find(|piece| piece.span.from <= at(second) && at(second) < piece.span.to);
                let worst = checks.iter().map(|check| status_at(check, at(second))).max();
                prop_assert_eq!(piece.map(|piece| piece.status), worst, "second {}", second);
            }
        }

        #[test]
        fn pieces_touch_and_sum_to_the_period(
            from in -200i64..200, length in 0i64..300,
            checks in proptest::collection::vec(history(), 0..4),
        ) {
            let period = span(from, from + length);
            let pieces = partition(period, &checks);
            let mut end = period.from;
            for piece in &pieces {
                prop_assert_eq!(piece.span.from, end);
                prop_assert!(piece.span.to > piece.span.from);
                end = piece.span.to;
            }
            prop_assert_eq!(end, period.to);
            prop_assert!(pieces.windows(2).all(|pair| pair[0].status != pair[1].status));
            let sums = totals(&pieces);
            let all = sums.unknown.values().fold(sums.up + sums.degraded + sums.down, |sum, part| sum + *part);
            prop_assert_eq!(all, SignedDuration::from_secs(length));
            let mut turned = checks;
            turned.reverse();
            turned.iter_mut().for_each(|check| { check.down.reverse(); check.unwatched.reverse(); });
            prop_assert_eq!(partition(period, &turned), pieces);
        }
    }

    fn history() -> impl Strategy<Value = CheckHistory> {
        let state = prop_oneof![
            Just(OK),
            Just(CheckState::Suspect),
            Just(CheckState::Failed),
            Just(CheckState::Recovering),
            Just(CREDENTIALS),
        ];
        let changes = proptest::collection::btree_map(-300i64..300, state, 0..8);
        let spans = || proptest::collection::vec((-300i64..300, 0i64..100), 0..4);
        (changes, spans(), spans(), spans()).prop_map(|(changes, down, degraded, unwatched)| {
            let spans = |list: Vec<(i64, i64)>| list.into_iter().map(|(from, length)| span(from, from + length));
            CheckHistory {
                changes: changes.into_iter().map(|(second, state)| (at(second), state)).collect(),
                down: spans(down).collect(),
                degraded: spans(degraded).collect(),
                unwatched: spans(unwatched).map(|span| (span, UnknownReason::AgentSilent)).collect(),
            }
        })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn span(from: i64, to: i64) -> Span {
        Span { from: at(from), to: at(to) }
    }

    fn states(changes: &[(i64, CheckState)]) -> Vec<(Timestamp, CheckState)> {
        changes.iter().map(|(second, state)| (at(*second), *state)).collect()
    }

    fn changing(changes: &[(i64, CheckState)]) -> CheckHistory {
        CheckHistory { changes: states(changes), ..CheckHistory::default() }
    }

    fn told(checks: &[CheckHistory]) -> String {
        said(&partition(span(0, 100), checks))
    }

    fn said(pieces: &[Piece]) -> String {
        let one = |piece: &Piece| {
            let status = match piece.status {
                Status::Up => "up".to_owned(),
                Status::Degraded => "degraded".to_owned(),
                Status::Unknown { reason } => format!("unknown({reason})"),
                Status::Down => "down".to_owned(),
            };
            format!("{status} {}..{}", piece.span.from.as_second(), piece.span.to.as_second())
        };
        pieces.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}
