//! What holds for every ledger (F6, F7, F12), and for every rider (TERMS 2).

use std::sync::OnceLock;

use common::{at, book, recorder_down};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use upheld_agreement::{
    clock::{Announced, CancelReason, Clock, ClockStart, ClockState, Effect, Fact, FactKind},
    matching::resolve,
    terms::PinnedTerms,
    words::{Manner, Stage},
};

mod common;

const DETECTED: &str = "2026-11-16T22:10:00Z";

fn terms() -> &'static PinnedTerms {
    static TERMS: OnceLock<PinnedTerms> = OnceLock::new();
    TERMS.get_or_init(|| resolve(&book(&[]), &recorder_down(DETECTED)).unwrap())
}

fn start() -> ClockStart {
    ClockStart::new(at(DETECTED), at(DETECTED))
}

fn after_start(seconds: i64) -> Timestamp {
    at(DETECTED) + SignedDuration::from_secs(seconds)
}

fn millis_after_start(millis: i64) -> Timestamp {
    at(DETECTED) + SignedDuration::from_millis(millis)
}

fn kind() -> impl Strategy<Value = FactKind> {
    prop_oneof![
        Just(FactKind::Opened),
        Just(FactKind::Acknowledged),
        prop_oneof![Just(Manner::Remote), Just(Manner::Phone), Just(Manner::OnSite)]
            .prop_map(|manner| FactKind::Responded { manner, with_whom: Some("x".to_owned()) }),
        prop_oneof![Just("site-access"), Just("client-decision"), Just("not-allowed")]
            .prop_map(|reason| FactKind::Paused { reason: reason.parse().unwrap(), note: None }),
        Just(FactKind::Resumed),
        Just(FactKind::Restored),
        Just(FactKind::Resolved),
        Just(FactKind::Reopened),
        Just(FactKind::Cancelled { why: CancelReason::Duplicate }),
    ]
}

/// Facts of two weeks at any millisecond, each recorded up to a day after it took effect.
fn ledger() -> impl Strategy<Value = Vec<Fact>> {
    let fact = (0..14 * 86_400_000_i64, 0..86_400_000_i64, kind());
    proptest::collection::vec(fact, 0..8).prop_map(|facts| {
        facts
            .into_iter()
            .zip(1..)
            .map(|((effective, lag, kind), number)| Fact {
                number,
                effective_at: millis_after_start(effective),
                recorded_at: millis_after_start(effective + lag),
                who: "ana".to_owned(),
                kind,
            })
            .collect()
    })
}

fn apply(effects: Vec<Effect>, told: &mut Vec<Announced>) {
    for effect in effects {
        match effect {
            Effect::Announce { announced } => told.push(announced),
            Effect::Withdraw { announced, .. } => told.retain(|known| *known != announced),
        }
    }
}

fn dated(told: &[Announced]) -> Vec<(upheld_agreement::clock::Milestone, Timestamp)> {
    let mut dated: Vec<_> = told.iter().map(|told| (told.milestone, told.due_at)).collect();
    dated.sort();
    dated
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_order_in_which_facts_arrive_does_not_show(
        facts in ledger(),
        order in proptest::collection::vec(any::<u64>(), 8),
        at_s in 0..20 * 86_400_i64,
    ) {
        let terms = terms();
        let mut shuffled: Vec<_> = facts.iter().zip(&order).map(|(fact, key)| (*key, fact.clone())).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let twice: Vec<Fact> = shuffled.iter().chain(&shuffled).map(|(_, fact)| fact.clone()).collect();
        let now = after_start(at_s);
        for stage in terms.stages() {
            let clock = Clock::replay(terms, stage, &start(), &facts).unwrap();
            let other = Clock::replay(terms, stage, &start(), &twice).unwrap();
            prop_assert_eq!(clock.view(now), other.view(now));
            prop_assert_eq!(clock.next_deadline(now), other.next_deadline(now));
            prop_assert_eq!(clock.explain(terms, now), other.explain(terms, now));
        }
    }

    #[test]
    fn what_was_told_live_ends_as_what_a_replay_tells(facts in ledger()) {
        let terms = terms();
        let mut by_receipt = facts.clone();
        by_receipt.sort_by_key(|fact| (fact.recorded_at, fact.number));
        let end = after_start(40 * 86_400);
        for stage in terms.stages() {
            let mut live = Vec::new();
            for known in 1..=by_receipt.len() {
                let clock = Clock::replay(terms, stage, &start(), &by_receipt[..known]).unwrap();
                apply(clock.milestones_due(by_receipt[known - 1].recorded_at, &live), &mut live);
            }
            let clock = Clock::replay(terms, stage, &start(), &facts).unwrap();
            apply(clock.milestones_due(end, &live), &mut live);
            let mut replayed = Vec::new();
            apply(clock.milestones_due(end, &replayed), &mut replayed);
            prop_assert_eq!(dated(&live), dated(&replayed));
            prop_assert_eq!(clock.milestones_due(end, &live), vec![]);
        }
    }

    #[test]
    fn waking_at_every_deadline_misses_nothing(facts in ledger()) {
        let terms = terms();
        let end = after_start(40 * 86_400);
        for stage in terms.stages() {
            let clock = Clock::replay(terms, stage, &start(), &facts).unwrap();
            let (mut told, mut now) = (Vec::new(), start().received);
            while let Some(next) = clock.next_deadline(now).filter(|&next| next <= end) {
                prop_assert!(next > now);
                let effects = clock.milestones_due(next, &told);
                for effect in &effects {
                    match effect {
                        Effect::Announce { announced } => prop_assert_eq!(announced.due_at, next, "told in time"),
                        Effect::Withdraw { .. } => prop_assert!(false, "nothing was told wrongly"),
                    }
                }
                apply(effects, &mut told);
                now = next;
            }
            prop_assert_eq!(clock.milestones_due(end, &told), vec![]);
        }
    }

    #[test]
    fn acknowledging_never_satisfies_respond(facts in ledger()) {
        let terms = terms();
        let acknowledged: Vec<Fact> = facts
            .into_iter()
            .filter(|fact| !matches!(fact.kind, FactKind::Responded { .. }))
            .collect();
        let clock = Clock::replay(terms, Stage::Respond, &start(), &acknowledged).unwrap();
        let state = clock.view(after_start(40 * 86_400)).state;
        let is_met = matches!(state, ClockState::Met { .. } | ClockState::MetLate { .. });
        prop_assert!(!is_met, "{state:?}");
    }

    #[test]
    fn the_rows_of_an_explanation_follow_each_other_and_add_up(facts in ledger(), at_s in 0..20 * 86_400_i64) {
        let terms = terms();
        let now = after_start(at_s);
        for stage in terms.stages() {
            let clock = Clock::replay(terms, stage, &start(), &facts).unwrap();
            let explained = clock.explain(terms, now);
            prop_assert!(explained.rows.windows(2).all(|pair| pair[0].to == pair[1].from));
            let past: u64 = explained.rows.iter().filter(|row| row.is_past).map(|row| row.counted_s).sum();
            prop_assert_eq!(past, explained.clock.counted_s);
            let reaches_due = explained.clock.breached_at.is_none() && explained.clock.due.instant().is_some();
            if let (true, Some(promised), false) = (reaches_due, explained.promised_s, explained.rows.is_empty()) {
                let all: u64 = explained.rows.iter().map(|row| row.counted_s).sum();
                prop_assert_eq!(all, promised);
                prop_assert_eq!(explained.rows.last().and_then(|row| row.left_s), Some(0));
            }
        }
    }

    #[test]
    fn a_rider_never_lengthens(hours in 1..40_u64, calendar in prop_oneof![Just("24x7"), Just("business")], begins in 0..30 * 86_400_i64) {
        let without = book(&[("clients/northgate/ssa.toml", "riders = [\"premium-response\"]", "riders = []")]);
        let rider = format!("within = \"{hours}h\"\ncalendar = \"{calendar}\"");
        let with = book(&[("plans/premium-response.toml", "within = \"1h\"\ncalendar = \"24x7\"", &rider)]);
        let detected = after_start(begins);
        let due = |book| {
            let terms = &resolve(book, &recorder_down(&detected.to_string())).unwrap();
            let start = ClockStart::new(detected, detected);
            Clock::replay(terms, Stage::Respond, &start, &[]).unwrap().view(detected).due.instant().unwrap()
        };
        prop_assert!(due(&with) <= due(&without));
    }
}
