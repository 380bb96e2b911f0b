//! When an agent that is not heard becomes unknown, and when it becomes an incident (DETECTION 4.6, 4.7).
//!
//! The collector blames nobody for its own absence: after its start nothing is called silent until every agent had
//! time to report. Both verdicts are dated by their deadlines, never by the moment at which somebody looked (TERMS F11).

mod told;

use std::time::Duration;

use jiff::Timestamp;

pub use told::{Extent, LastWords, TOGETHER, Together, Told, is_together};

/// After how many heartbeats that did not come an agent's checks are unknown.
pub const UNKNOWN_AFTER_HEARTBEATS: u32 = 3;
/// After how long at the latest silence is an incident. Doubled, a client's outage could go unseen for ten minutes.
pub const INCIDENT_AFTER: Duration = Duration::from_secs(5 * 60);
/// How long a shutdown that was announced by an agent of which no host is known is given before it is a silence.
pub const ANNOUNCED: Duration = Duration::from_secs(15 * 60);
/// The longest start-up guard that the collector's own downtime can cause.
pub const GUARD_MAX: Duration = Duration::from_secs(15 * 60);

/// What is known of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastHeard {
    /// When its last request was committed, or when it was enrolled if it never sent one.
    pub at: Timestamp,
    /// The time between two heartbeats.
    pub heartbeat: Duration,
}

/// A stretch in which the collector itself could not hear: it was not running, its line was out, its door refused, or
/// its clock was in doubt ([`crate::own`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deaf {
    /// When it began.
    pub from: Timestamp,
    /// From when on it could hear again; `None` while it cannot.
    pub until: Option<Timestamp>,
}

/// The verdict on one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was heard lately.
    Heard {
        /// Look again then.
        next: Timestamp,
    },
    /// The collector itself was not there to hear it.
    Guarded {
        /// Look again then; `None`: when it can hear again.
        until: Option<Timestamp>,
    },
    /// Its checks are unknown (agent silent).
    Unknown {
        /// Since it was last heard.
        since: Timestamp,
        /// When that verdict fell due.
        due_at: Timestamp,
        /// When it becomes an incident.
        next: Timestamp,
    },
    /// Its silence is an incident.
    Silent {
        /// Since it was last heard.
        since: Timestamp,
        /// By when it should have been heard.
        expected_by: Timestamp,
        /// When that verdict fell due: detected and received at once.
        due_at: Timestamp,
    },
}

/// Judges one agent as of `now`. `deaf` are the collector's own stretches that reach into the last
/// [`GUARD_MAX`]; its last start is one of them, however short it was out before.
///
/// ```
/// use std::time::Duration;
/// use upheld_detection::silence::{Deaf, LastHeard, Verdict, judge};
/// let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
/// let agent = LastHeard { at: at("2026-11-16T16:00:00Z"), heartbeat: Duration::from_secs(30) };
/// let start = at("2026-11-01T00:00:00Z");
/// let started = Deaf { from: start, until: Some(start) };
/// let verdict = judge(&agent, &[started], at("2026-11-16T17:23:00Z"));
/// assert_eq!(verdict, Verdict::Silent {
///     since: agent.at,
///     expected_by: at("2026-11-16T16:00:30Z"),
///     due_at: at("2026-11-16T16:05:00Z"), // not the moment at which somebody looked
/// });
/// ```
pub fn judge(agent: &LastHeard, deaf: &[Deaf], now: Timestamp) -> Verdict {
    let unknown_due = agent.at.saturating_add(unknown_after(agent.heartbeat)).unwrap_or(Timestamp::MAX);
    if now < unknown_due {
        return Verdict::Heard { next: unknown_due };
    }
    let Some(guard_ends) = guard_end(agent.heartbeat, deaf) else { return Verdict::Guarded { until: None } };
    if now < guard_ends {
        return Verdict::Guarded { until: Some(guard_ends) };
    }
    let silent_due = listened(agent.at, incident_after(agent.heartbeat), deaf).max(guard_ends);
    if now < silent_due {
        return Verdict::Unknown { since: agent.at, due_at: unknown_due.max(guard_ends), next: silent_due };
    }
    Verdict::Silent {
        since: agent.at,
        expected_by: agent.at.saturating_add(agent.heartbeat).unwrap_or(Timestamp::MAX),
        due_at: silent_due,
    }
}

/// Three heartbeats, but never later than the incident.
fn unknown_after(heartbeat: Duration) -> Duration {
    heartbeat.saturating_mul(UNKNOWN_AFTER_HEARTBEATS).min(incident_after(heartbeat))
}

/// Five minutes; a minute after the first missing heartbeat where heartbeats are as rare as that.
pub fn incident_after(heartbeat: Duration) -> Duration {
    INCIDENT_AFTER.max(heartbeat.saturating_add(Duration::from_secs(60)))
}

/// When the collector had listened for so long since `at`: stretches in which it was deaf do not count. Agents that met nobody
/// wait for up to a minute before they try again, and the one or other try is lost.
pub fn listened(at: Timestamp, long: Duration, deaf: &[Deaf]) -> Timestamp {
    let later = |at: Timestamp, by: Duration| at.saturating_add(by).unwrap_or(Timestamp::MAX);
    let mut stretches: Vec<_> =
        deaf.iter().map(|deaf| (deaf.from.max(at), deaf.until.unwrap_or(Timestamp::MAX))).collect();
    stretches.sort();
    let (mut due, mut counted) = (later(at, long), at);
    for (from, until) in stretches {
        let from = from.max(counted);
        if from < until.min(due) {
            due = later(due, Duration::try_from(from.duration_until(until)).unwrap_or_default());
            counted = until;
        }
    }
    due
}

/// When the collector has listened long enough to blame others: three heartbeats, or as long as it was deaf, at most
/// [`GUARD_MAX`] (DETECTION 4.7). `None` while it is deaf.
fn guard_end(heartbeat: Duration, deaf: &[Deaf]) -> Option<Timestamp> {
    let mut end = Timestamp::MIN;
    for Deaf { from, until } in deaf {
        let until = (*until)?;
        let lasted = Duration::try_from(from.duration_until(until)).unwrap_or_default();
        let listens = heartbeat.saturating_mul(UNKNOWN_AFTER_HEARTBEATS).max(lasted).min(GUARD_MAX);
        end = end.max(until.saturating_add(listens).unwrap_or(Timestamp::MAX));
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn silence_is_unknown_after_three_heartbeats_and_an_incident_after_five_minutes() {
        for (second, verdict) in [
            (1_000, "heard 1090"),
            (1_089, "heard 1090"),
            (1_090, "unknown@1090 1300"),
            (1_299, "unknown@1090 1300"),
            (1_300, "silent@1300"),
            (99_999, "silent@1300"),
        ] {
            assert_eq!(told(&judge(&heard(1_000, 30), &[RUN], at(second))), verdict, "at {second}");
        }
    }

    #[test]
    fn rare_heartbeats_are_given_one_and_a_minute() {
        assert_eq!(told(&judge(&heard(1_000, 300), &[RUN], at(1_359))), "heard 1360");
        assert_eq!(told(&judge(&heard(1_000, 300), &[RUN], at(1_360))), "silent@1360");
    }

    #[test]
    fn a_collector_that_was_away_blames_nobody_until_it_has_listened() {
        for (was_down, heartbeat, until) in [(0, 30, 10_090), (600, 30, 10_600), (86_400, 30, 10_900), (0, 300, 10_900)]
        {
            let run = [Deaf { from: at(10_000 - was_down), until: Some(at(10_000)) }];
            let agent = heard(1_000, heartbeat);
            assert_eq!(told(&judge(&agent, &run, at(10_001))), format!("guarded {until}"));
            assert_eq!(told(&judge(&agent, &run, at(until))), format!("silent@{until}"), "dated by the guard's end");
        }
    }

    #[test]
    fn nobody_is_blamed_while_the_collector_is_deaf_nor_before_it_has_listened() {
        let out = Deaf { from: at(8_800), until: None };
        assert_eq!(told(&judge(&heard(1_000, 30), &[RUN, out], at(9_000))), "guarded until it hears");
        let back = [Deaf { until: Some(at(9_100)), ..out }, RUN];
        assert_eq!(told(&judge(&heard(1_000, 30), &back, at(9_399))), "guarded 9400");
        assert_eq!(told(&judge(&heard(1_000, 30), &back, at(9_400))), "silent@9400");
        assert_eq!(told(&judge(&heard(9_390, 30), &back, at(9_395))), "heard 9480", "what is heard needs no guard");
    }

    #[test]
    fn five_minutes_are_those_in_which_the_collector_listened() {
        let out = |from, until| Deaf { from: at(from), until: Some(at(until)) };
        // A restart of a minute and a half just after a heartbeat: its guard alone would leave three minutes and a half.
        let restart = [RUN, out(1_010, 1_100)];
        assert_eq!(told(&judge(&heard(1_000, 30), &restart, at(1_389))), "unknown@1190 1390");
        assert_eq!(told(&judge(&heard(1_000, 30), &restart, at(1_390))), "silent@1390");
        for (why, deaf, due) in [
            ("twice, and seen in two ways", vec![out(1_250, 1_300), out(1_010, 1_100), out(1_050, 1_120)], 1_460),
            ("one within another", vec![out(1_010, 1_100), out(1_020, 1_030)], 1_390),
            ("before it was heard", vec![out(900, 1_010)], 1_310),
            ("after it was due", vec![out(1_300, 1_400)], 1_300),
        ] {
            assert_eq!(listened(at(1_000), INCIDENT_AFTER, &deaf), at(due), "{why}");
        }
    }

    proptest! {
        #[test]
        fn a_client_is_never_without_an_incident_for_more_than_six_minutes(
            last in 100_000i64..200_000, heartbeat in 1u64..=300, was_down in 0i64..100_000, later in 0i64..5_000,
        ) {
            let run = Deaf { from: at(-was_down), ..RUN };
            let agent = heard(last, heartbeat);
            match judge(&agent, &[run], at(last + later)) {
                Verdict::Silent { due_at, .. } => {
                    prop_assert!(due_at <= at(last + 360) && due_at >= at(last + 300) && due_at <= at(last + later));
                }
                Verdict::Heard { next } | Verdict::Unknown { next, .. } => {
                    prop_assert!(next > at(last + later) && next <= at(last + 360));
                }
                Verdict::Guarded { .. } => prop_assert!(false, "the guard ended long ago"),
            }
        }
    }

    const RUN: Deaf = Deaf { from: Timestamp::UNIX_EPOCH, until: Some(Timestamp::UNIX_EPOCH) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn heard(second: i64, heartbeat: u64) -> LastHeard {
        LastHeard { at: at(second), heartbeat: seconds(heartbeat) }
    }

    fn told(verdict: &Verdict) -> String {
        let second = |at: &Timestamp| at.as_second();
        match verdict {
            Verdict::Heard { next } => format!("heard {}", second(next)),
            Verdict::Guarded { until: Some(until) } => format!("guarded {}", second(until)),
            Verdict::Guarded { until: None } => "guarded until it hears".to_owned(),
            Verdict::Unknown { due_at, next, .. } => format!("unknown@{} {}", second(due_at), second(next)),
            Verdict::Silent { due_at, .. } => format!("silent@{}", second(due_at)),
        }
    }
}
