//! When to try a delivery again: one pure function for every integration (DELIVERY 3).
//!
//! After a clear failure the wait doubles from 5 s to an hour, with up to a quarter more that depends on the key,
//! so that a thousand deliveries that failed together do not come back together. After anything unclear the wait is
//! at least 120 s, the time that search indexes of ticket systems lag behind, and then one looks up before sending.
//! 80 tries take about three days.

use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use upheld_model::mutant::{Rule, is_broken};

use crate::{DeliveryKey, Outcome};

/// The wait after the first failure.
const FIRST: SignedDuration = SignedDuration::from_secs(5);
/// The longest wait. Doubled, a receiver that is back would be without its tickets for two hours.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);
/// The least wait after anything unclear (DELIVERY 3). Halved, a look-up could miss what is there.
pub const UNCLEAR: SignedDuration = SignedDuration::from_secs(120);
/// However long a receiver wants to be left alone.
const NOT_BEFORE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// After so many tries a person is told.
pub const ATTEMPTS_MAX: usize = 80;

/// One try and what came of it. A try whose end nobody saw (the collector was killed) counts as
/// [`Outcome::Unclear`]: note it so before the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended, or began if nobody saw its end.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
}

/// What to do with a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send it then.
    At(Timestamp),
    /// Then look it up and send it only if it is not there.
    LookUpFirst {
        /// When.
        at: Timestamp,
    },
    /// Tell a person; it is not tried again by itself.
    GiveUp {
        /// Why.
        why: String,
    },
    /// It is there.
    Done,
}

/// What to do next after `attempts`, oldest first. The same arguments give the same answer. An instant that has
/// passed means at once; one that a wrong clock put into the future is counted from `now`.
///
/// ```
/// use upheld_outbound::{Outcome, retry::{Attempt, Next, next_attempt}};
/// let (key, at) = ("inc-2041-opened".parse().unwrap(), "2026-11-16T16:10:00Z".parse().unwrap());
/// assert_eq!(next_attempt(&key, &[], at), Next::At(at));
/// let unclear = Attempt { at, outcome: Outcome::Unclear { why: "no answer".into() } };
/// assert!(matches!(next_attempt(&key, &[unclear], at), Next::LookUpFirst { .. }));
/// ```
pub fn next_attempt(key: &DeliveryKey, attempts: &[Attempt], now: Timestamp) -> Next {
    let Some(last) = attempts.last() else { return Next::At(now) };
    let give_up = |why: &str| Next::GiveUp { why: format!("{} tries in vain; the last: {why}", attempts.len()) };
    let is_last = attempts.len() >= ATTEMPTS_MAX;
    let from = last.at.min(now);
    let wait = wait(key, attempts.len());
    match &last.outcome {
        Outcome::Delivered { .. } => Next::Done,
        Outcome::Permanent { why } => Next::GiveUp { why: why.clone() },
        Outcome::Retry { why, .. } | Outcome::Unclear { why } if is_last => give_up(why),
        Outcome::Retry { not_before, .. } => {
            let asked = not_before.map_or(SignedDuration::ZERO, |at| at.duration_since(from).min(NOT_BEFORE_MAX));
            Next::At(later(from, wait.max(asked)))
        }
        Outcome::Unclear { .. } if is_broken(Rule::UnclearWaits) => Next::LookUpFirst { at: now },
        Outcome::Unclear { .. } => Next::LookUpFirst { at: later(from, wait.max(UNCLEAR)) },
    }
}

/// The wait after the `tries`-th failure, from 1: doubled each time up to the longest, and up to a quarter more.
fn wait(key: &DeliveryKey, tries: usize) -> SignedDuration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    let plain_ms = FIRST.as_millis().saturating_mul(1 << doublings).min(LONGEST.as_millis());
    let hash = digest(&SHA256, format!("{key} {tries}").as_bytes());
    // A digest has 32 bytes.
    let share = i128::from(u16::from_be_bytes([hash.as_ref()[0], hash.as_ref()[1]]));
    let with_jitter = plain_ms + plain_ms * share / (4 * 65_536);
    // At most an hour and a quarter, which fits.
    SignedDuration::from_millis(i64::try_from(with_jitter).unwrap_or(i64::MAX))
}

fn later(from: Timestamp, wait: SignedDuration) -> Timestamp {
    from.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> DeliveryKey {
        "inc-2041-opened".parse().unwrap()
    }

    fn start() -> Timestamp {
        "2026-11-16T16:10:00Z".parse().unwrap()
    }

    fn retry() -> Outcome {
        Outcome::Retry { why: "503".into(), not_before: None }
    }

    fn unclear() -> Outcome {
        Outcome::Unclear { why: "no answer".into() }
    }

    fn after(outcomes: &[Outcome], now: Timestamp) -> Next {
        let attempts: Vec<_> =
            outcomes.iter().map(|outcome| Attempt { at: start(), outcome: outcome.clone() }).collect();
        next_attempt(&key(), &attempts, now)
    }

    fn wait_s(next: &Next) -> f64 {
        match next {
            Next::At(at) | Next::LookUpFirst { at } => at.duration_since(start()).as_secs_f64(),
            Next::GiveUp { .. } | Next::Done => panic!("{next:?}"),
        }
    }

    #[test]
    fn the_first_try_is_at_once_and_a_delivered_or_refused_one_is_the_last() {
        assert_eq!(after(&[], start()), Next::At(start()));
        assert_eq!(
            after(&[retry(), Outcome::Delivered { reference: "T1".into(), known_as: None }], start()),
            Next::Done
        );
        let refused = after(&[Outcome::Permanent { why: "410".into() }], start());
        assert_eq!(refused, Next::GiveUp { why: "410".into() });
    }

    #[test]
    fn clear_failures_wait_5_s_then_double_up_to_an_hour() {
        for (tries, least) in [(1, 5.0), (2, 10.0), (5, 80.0), (10, 2_560.0), (11, 3_600.0), (79, 3_600.0)] {
            let wait = wait_s(&after(&vec![retry(); tries], start()));
            assert!((least..least * 1.25).contains(&wait), "{tries}: {wait}");
        }
    }

    #[test]
    fn the_eightieth_failure_is_told_to_a_person() {
        let given_up = after(&vec![retry(); ATTEMPTS_MAX], start());
        assert_eq!(given_up, Next::GiveUp { why: "80 tries in vain; the last: 503".into() });
        assert!(matches!(after(&vec![unclear(); ATTEMPTS_MAX], start()), Next::GiveUp { .. }));
    }

    #[test]
    fn what_is_unclear_is_looked_up_after_two_minutes_at_the_earliest() {
        let first = after(&[unclear()], start());
        assert!(matches!(first, Next::LookUpFirst { .. }) && wait_s(&first) == 120.0, "{first:?}");
        assert!(wait_s(&after(&vec![unclear(); 8], start())) >= 640.0);
    }

    #[test]
    fn a_receiver_is_left_alone_as_it_asked_but_not_for_more_than_a_day() {
        let asked =
            |hours| Outcome::Retry { why: "429".into(), not_before: Some(start() + SignedDuration::from_hours(hours)) };
        assert_eq!(wait_s(&after(&[asked(2)], start())), 7_200.0);
        assert_eq!(wait_s(&after(&[asked(2_000)], start())), 86_400.0);
        assert!(wait_s(&after(&[asked(-1)], start())) >= 5.0);
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_hold_a_delivery_up() {
        let now = start() - SignedDuration::from_hours(24 * 365);
        let Next::At(at) = after(&[retry()], now) else { panic!() };
        assert!(at.duration_since(now) < SignedDuration::from_secs(7));
    }

    fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
        let one = prop_oneof![
            Just(retry()),
            Just(unclear()),
            (0..200_000i64).prop_map(|s| Outcome::Retry {
                why: "429".into(),
                not_before: Some(start() + SignedDuration::from_secs(s))
            }),
        ];
        prop::collection::vec(one, 1..ATTEMPTS_MAX)
    }

    proptest! {
        #[test]
        fn every_wait_is_bounded_and_at_least_what_the_policy_says(outcomes in outcomes()) {
            let next = after(&outcomes, start());
            let wait = wait_s(&next);
            prop_assert!((5.0..=86_400.0).contains(&wait));
            match outcomes.last().unwrap() {
                Outcome::Unclear { .. } => {
                    let is_look_up = matches!(next, Next::LookUpFirst { .. });
                    prop_assert!(is_look_up && wait >= 120.0);
                }
                Outcome::Retry { not_before: Some(at), .. } => {
                    let asked = at.duration_since(start()).as_secs_f64().min(86_400.0);
                    prop_assert!(wait >= asked);
                }
                Outcome::Retry { not_before: None, .. } | Outcome::Delivered { .. } | Outcome::Permanent { .. } => {
                    prop_assert!(wait <= 4_500.0);
                }
            }
        }

        #[test]
        fn the_same_history_gives_the_same_answer_and_keys_spread(outcomes in outcomes(), other in "[a-z]{8,20}") {
            prop_assert_eq!(after(&outcomes, start()), after(&outcomes, start()));
            let (a, b) = (wait(&key(), 30), wait(&other.parse().unwrap(), 30));
            prop_assert!(a != b || other == key().as_str());
        }

        #[test]
        fn waits_never_shrink_below_the_one_before_without_its_jitter(tries in 1..200usize) {
            let (now, next) = (wait(&key(), tries), wait(&key(), tries + 1));
            prop_assert!(next.as_secs_f64() * 1.25 >= now.as_secs_f64());
        }
    }
}
