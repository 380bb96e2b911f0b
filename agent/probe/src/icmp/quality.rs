//! `net.quality`: a round of twenty echoes, 50 ms apart: how many are lost, how long they take, how much that varies.
//!
//! Beside `net.icmp`, which says within seconds whether somebody is there. Half of a round lost is bad. One lost echo is
//! nothing, but some lost in five of the last ten rounds is a way that loses (PROBES 5). The echoes of rounds share a part of
//! those that may be in flight, so that dead targets never keep liveness from being asked.
//!
//! Not counted: duplicates and replies out of order, which the socket below drops.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{sync::Semaphore, time::sleep};
use upheld_model::{CheckId, Outcome, UnknownReason};

use super::{Echo, Echoes};
use crate::{ProbeResult, allow::Reach, deadline::Deadline, target::Targets};

/// Echoes in a round.
const ROUND: usize = 20;
/// Between two of them.
const BETWEEN: Duration = Duration::from_millis(50);
/// An echo that is not back by then is lost; the time for its turn included.
const WAIT: Duration = Duration::from_secs(1);
/// Echoes of all rounds in flight at once, of 64 in all.
const IN_FLIGHT_MAX: usize = 40;
/// A round of which fewer were sent says nothing.
const SENT_MIN: usize = 10;
/// Rounds that are remembered.
const RECENT: usize = 10;
/// So many of them that lost something are a way that loses.
const LOSSY: usize = 5;

/// The checks of quality.
pub(crate) struct Quality {
    slots: Semaphore,
    recent: Mutex<BTreeMap<CheckId, Recent>>,
}

/// The last rounds of one check.
#[derive(Debug, Default, PartialEq)]
struct Recent {
    target: String,
    /// Sent and lost.
    rounds: VecDeque<(usize, usize)>,
}

impl Quality {
    pub(crate) fn new() -> Self {
        Self { slots: Semaphore::new(IN_FLIGHT_MAX), recent: Mutex::default() }
    }

    pub(crate) async fn run(
        &self,
        echoes: &Echoes,
        targets: &Targets,
        check: &CheckId,
        target: &str,
        deadline: Deadline,
    ) -> ProbeResult {
        let addresses = match targets.addresses(target, Reach::Echo, deadline).await {
            Ok(addresses) => addresses,
            Err(result) => return result,
        };
        let address = addresses[0];
        let round =
            (0..ROUND).map(|place| self.echo(echoes, address, BETWEEN * u32::try_from(place).unwrap_or_default()));
        let Some(came) = deadline.bound(join_all(round)).await else {
            let why = "this host was too busy for a whole round of echoes";
            return ProbeResult::unknown(UnknownReason::Local, why);
        };
        let round = match Round::of(came) {
            Ok(round) => round,
            Err(result) => return result,
        };
        let mut all = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = all.entry(check.clone()).or_default();
        if recent.target != target {
            *recent = Recent { target: target.to_owned(), rounds: VecDeque::new() };
        }
        recent.add(&round);
        round.judge(address, recent)
    }

    /// One echo in its turn; `None` where it was not sent.
    async fn echo(&self, echoes: &Echoes, address: IpAddr, after: Duration) -> Option<Echo> {
        sleep(after).await;
        let deadline = Deadline::after(WAIT);
        let _slot = deadline.bound(self.slots.acquire()).await?.ok()?;
        // What is left of the time must be worth an echo.
        if deadline.left() < WAIT / 2 { None } else { Some(echoes.echo(address, deadline).await) }
    }
}

impl Recent {
    fn add(&mut self, round: &Round) {
        self.rounds.push_back((round.sent, round.lost()));
        self.rounds.drain(..self.rounds.len().saturating_sub(RECENT));
    }

    /// How many of the last rounds lost something.
    fn lossy(&self) -> usize {
        self.rounds.iter().filter(|(_, lost)| *lost > 0).count()
    }
}

/// What a round came to.
#[derive(Debug, Default, PartialEq)]
struct Round {
    sent: usize,
    /// In the order of sending.
    rtts: Vec<Duration>,
    /// What somebody on the way said last.
    refused: Option<String>,
}

impl Round {
    /// Counts; the error is the result of a round that says nothing about the target.
    fn of(came: Vec<Option<Echo>>) -> Result<Self, ProbeResult> {
        let mut round = Self::default();
        let mut failed = None;
        for echo in came.into_iter().flatten() {
            match echo {
                Echo::Reply { rtt } => {
                    round.sent += 1;
                    round.rtts.push(rtt);
                }
                Echo::Silent { .. } => round.sent += 1,
                Echo::Refused { why } => {
                    round.sent += 1;
                    round.refused = Some(why);
                }
                Echo::NoRight => {
                    let why = "the agent may not open an ICMP socket: give its service CAP_NET_RAW";
                    return Err(ProbeResult::unknown(UnknownReason::CannotProbe, why));
                }
                // Ours, or an unreachable target that the kernel itself knows of.
                Echo::Failed(result) => failed = Some(result),
            }
        }
        match failed {
            Some(result) if round.sent < SENT_MIN => Err(result),
            None if round.sent < SENT_MIN => {
                let why =
                    format!("only {} of {ROUND} echoes could be sent: other rounds wait for dead targets", round.sent);
                Err(ProbeResult::unknown(UnknownReason::Local, why))
            }
            Some(_) | None => Ok(round),
        }
    }

    fn lost(&self) -> usize {
        self.sent - self.rtts.len()
    }

    fn judge(&self, address: IpAddr, recent: &Recent) -> ProbeResult {
        let (sent, lost, lossy) = (self.sent, self.lost(), recent.lossy());
        let result = if lost * 2 >= sent {
            let said = self.refused.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            ProbeResult::bad(format!("{address}: {lost} of {sent} echoes were lost{said}"))
        } else if lossy >= LOSSY {
            let (all_sent, all_lost) = recent.rounds.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
            let rounds = recent.rounds.len();
            ProbeResult::new(Outcome::Warn).evidence(format!(
                "{address}: echoes were lost in {lossy} of the last {rounds} rounds, {all_lost} of {all_sent}"
            ))
        } else {
            ProbeResult::new(Outcome::Ok)
        };
        self.times(result.value("sent", sent as f64).value("lost", lost as f64))
    }

    /// Least, middle and longest time, and jitter: the mean difference from one reply to the next (RFC 3550 6.4.1 without
    /// its filter).
    fn times(&self, result: ProbeResult) -> ProbeResult {
        let mut sorted = self.rtts.clone();
        sorted.sort_unstable();
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { return result };
        let upper = sorted[sorted.len() / 2];
        let median = (upper + sorted[(sorted.len() - 1) / 2]) / 2;
        let result = result.millis("rtt_min_ms", *min).millis("rtt_median_ms", median).millis("rtt_max_ms", *max);
        let steps = self.rtts.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
        match u32::try_from(self.rtts.len()) {
            Ok(replies @ 2..) => result.millis("jitter_ms", steps.sum::<Duration>() / (replies - 1)),
            Ok(_) | Err(_) => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(lost: usize) -> Round {
        let rtts = (lost..ROUND).map(|place| Duration::from_millis(10 + 2 * (place as u64 % 2))).collect();
        Round { sent: ROUND, rtts, refused: None }
    }

    /// The outcomes of rounds that lose so many.
    fn outcomes(rounds: &[usize]) -> Vec<(Outcome, String)> {
        let mut recent = Recent::default();
        let judged = rounds.iter().map(|lost| {
            recent.add(&round(*lost));
            let result = round(*lost).judge([10, 0, 0, 1].into(), &recent);
            (result.outcome, result.evidence.map(|why| why.to_string()).unwrap_or_default())
        });
        judged.collect()
    }

    #[test]
    fn half_of_a_round_is_bad_and_some_in_five_of_ten_is_a_warning() {
        let one_bad = outcomes(&[0, 10, 9]);
        let kinds: Vec<_> = one_bad.iter().map(|(outcome, _)| outcome.clone()).collect();
        assert_eq!(kinds, [Outcome::Ok, Outcome::Bad, Outcome::Ok]);
        assert_eq!(one_bad[1].1, "10.0.0.1: 10 of 20 echoes were lost");
        let lossy = outcomes(&[1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0]);
        let warns: Vec<usize> = (0..12).filter(|place| lossy[*place].0 == Outcome::Warn).collect();
        assert_eq!(warns, [8, 9], "the fifth, and until the first is forgotten");
        assert_eq!(lossy[9].1, "10.0.0.1: echoes were lost in 5 of the last 10 rounds, 5 of 200");
        assert!(outcomes(&[1, 1, 1, 1, 0, 0, 0, 0, 0, 0]).iter().all(|(outcome, _)| *outcome == Outcome::Ok));
    }

    #[test]
    fn times_are_the_least_the_middle_the_longest_and_the_mean_step() {
        let result = round(0).judge([10, 0, 0, 1].into(), &Recent::default());
        for (name, ms) in [("rtt_min_ms", 10.0), ("rtt_median_ms", 11.0), ("rtt_max_ms", 12.0), ("jitter_ms", 2.0)] {
            assert_eq!(crate::testing::number(&result, name), ms, "{name}");
        }
        let none = round(20).judge([10, 0, 0, 1].into(), &Recent::default());
        assert!(!none.values.contains_key("rtt_median_ms") && !none.values.contains_key("jitter_ms"));
        let one = round(19).judge([10, 0, 0, 1].into(), &Recent::default());
        assert!(one.values.contains_key("rtt_median_ms") && !one.values.contains_key("jitter_ms"));
    }

    #[test]
    fn a_round_that_could_not_be_sent_says_nothing() {
        let silent = |count: usize| (0..ROUND).map(|n| (n < count).then_some(Echo::Silent { waited: WAIT })).collect();
        assert!(Round::of(silent(SENT_MIN)).is_ok());
        let nothing = Round::of(silent(SENT_MIN - 1)).unwrap_err();
        assert_eq!(nothing.outcome, Outcome::unknown(UnknownReason::Local));
        let no_right = Round::of(vec![Some(Echo::NoRight)]).unwrap_err();
        assert_eq!(no_right.outcome, Outcome::unknown(UnknownReason::CannotProbe));
    }
}
