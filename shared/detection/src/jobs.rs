//! Jobs that are expected to run: who could have heard of a run, what a file says of one, and what expected runs say
//! of their check (DETECTION 6). The same for a replay and for the running collector.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{CheckId, Outcome, UnknownReason};

use crate::{
    facts::CheckFacts,
    fold::FoldRule,
    observe::{Reading, observe},
    plan::{Check, minus, plus},
    schedule::{self, Expected},
    uptime::Span,
};

/// Longer than any job waits for its next run.
const JOB_STALE: Duration = Duration::from_secs(400 * 86_400);
/// A file that was not touched for so long is complete.
const COMPLETE_AFTER: Duration = Duration::from_secs(120);
/// Two instants of one file are no further apart: its age is told in whole seconds, and a copy may touch it once more.
const SAME_FILE: Duration = Duration::from_secs(60);

/// One agent, as far as it could have heard of a job's runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// When it reported, or what it has replayed.
    pub heard: Vec<Span>,
    /// When it last told of a run of this job.
    pub spoke: Option<Timestamp>,
}

/// Those who would have heard of a run: the agent that told of one last. While none ever has, nobody knows to whom the
/// job will speak, so all must have listened.
pub fn voices<T>(listeners: &[T], spoke: impl Fn(&T) -> Option<Timestamp>) -> Vec<&T> {
    let voice = listeners.iter().filter(|one| spoke(one).is_some()).max_by_key(|one| spoke(one));
    voice.map_or_else(|| listeners.iter().collect(), |voice| vec![voice])
}

/// When a run of the job would have been heard.
pub fn heard(listeners: &[Listener]) -> Vec<Span> {
    let all = voices(listeners, |listener| listener.spoke);
    all.into_iter().map(|listener| listener.heard.clone()).reduce(|all, own| both(&all, &own)).unwrap_or_default()
}

/// The stretches that lie in both.
fn both(all: &[Span], own: &[Span]) -> Vec<Span> {
    let cut = |a: &Span, b: &Span| {
        let span = Span { from: a.from.max(b.from), to: a.to.min(b.to) };
        (span.from < span.to).then_some(span)
    };
    all.iter().flat_map(|one| own.iter().filter_map(move |other| cut(one, other))).collect()
}

/// When a run ended, as the newest file that it left says; `None` where that file is still written, is too small, or
/// was known: `latest` is the end that was known last.
pub fn ended(reading: &Reading, latest: Option<Timestamp>) -> Option<Timestamp> {
    let age = Duration::try_from_secs_f64(reading.newest_age_s?).ok().filter(|age| *age >= COMPLETE_AFTER)?;
    match reading.outcome {
        Outcome::Ok | Outcome::Warn => {}
        // Too old it was new once, and known then.
        Outcome::Bad | Outcome::Unknown { .. } => return None,
    }
    let at = minus(reading.at, Duration::from_secs(age.as_secs()));
    latest.is_none_or(|latest| at > plus(latest, SAME_FILE)).then_some(at)
}

/// A check as its expected runs, and samples of it where there are any, say. A job that has said something is as it
/// said until it is expected again, however rarely that is.
pub fn facts(
    check: &CheckId,
    plan: &Check,
    zone: &TimeZone,
    expected: &[Expected],
    samples: impl Iterator<Item = Reading>,
    until: Timestamp,
) -> CheckFacts {
    let readings: Vec<Reading> = expected.iter().flat_map(readings).chain(samples).collect();
    let rule = FoldRule { fail_after: 1, recover_after: 1, stale_after: JOB_STALE };
    observe(check, &Check { rule, ..plan.clone() }, zone, &readings, &[], until)
}

/// What an expected run says of its check: done is good, failed or missed is bad from when that was sure, unknown is
/// unknown.
fn readings(expected: &Expected) -> Vec<Reading> {
    let reading = |at: Timestamp, received: Timestamp, outcome| Reading {
        received: received.max(at),
        ..Reading::new(at, outcome)
    };
    // It failed, or its time passed, whichever was first: what is said later is about the same fault.
    let bad = || match expected.failed {
        Some(word) if word.at <= expected.until => reading(word.at, word.received.max(expected.overdue), Outcome::Bad),
        Some(_) | None => reading(expected.until, expected.overdue, Outcome::Bad),
    };
    match expected.outcome {
        schedule::Outcome::Pending | schedule::Outcome::Excused => Vec::new(),
        schedule::Outcome::Ok { at } => vec![reading(at, expected.received, Outcome::Ok)],
        schedule::Outcome::Late { at } => vec![bad(), reading(at, expected.received, Outcome::Ok)],
        schedule::Outcome::Missed { .. } => vec![bad()],
        schedule::Outcome::Failed { .. } if expected.failed.is_some() => vec![bad()],
        schedule::Outcome::Failed { at } => vec![reading(at, expected.received, Outcome::Bad)],
        schedule::Outcome::Unknown => {
            let unknown = Outcome::unknown(UnknownReason::AgentSilent);
            vec![reading(expected.until, expected.received, unknown)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::CheckKind;

    #[test]
    fn who_told_of_a_run_last_is_who_would_have_heard_the_next_one() {
        let silent = Listener { heard: vec![span(0, 10)], spoke: None };
        let other = Listener { heard: vec![span(5, 100)], spoke: None };
        assert_eq!(heard(&[silent.clone(), other.clone()]), [span(5, 10)], "nobody knows to whom it will speak");
        let spoke = |listener: &Listener, second| Listener { spoke: Some(at(second)), ..listener.clone() };
        assert_eq!(heard(&[spoke(&silent, 7), other.clone()]), [span(0, 10)], "the other one hears nothing of it");
        assert_eq!(heard(&[spoke(&silent, 7), spoke(&other, 8)]), [span(5, 100)], "the job has moved");
        assert_eq!(heard(&[]), []);
    }

    #[test]
    fn a_file_says_once_when_its_run_ended_and_only_when_it_is_complete() {
        let seen = |second: i64, age: f64| Reading { newest_age_s: Some(age), ..Reading::new(at(second), Outcome::Ok) };
        assert_eq!(ended(&seen(1_000, 30.0), None), None, "it is still written");
        assert_eq!(ended(&seen(1_000, 130.0), None), Some(at(870)));
        assert_eq!(ended(&seen(1_060, 190.4), Some(at(870))), None, "known");
        assert_eq!(ended(&seen(2_000, 200.0), Some(at(870))), Some(at(1_800)));
        let small = Reading { outcome: Outcome::Bad, ..seen(1_000, 130.0) };
        assert_eq!(ended(&small, None), None);
        assert_eq!(ended(&Reading::new(at(0), Outcome::Ok), None), None);
    }

    #[test]
    fn what_is_said_later_of_a_run_does_not_move_the_begin_of_its_fault() {
        let run = |outcome, failed: Option<i64>| Expected {
            at: at(0),
            until: at(100),
            outcome,
            failed: failed.map(|second| schedule::Word { at: at(second), received: at(second) }),
            overdue: at(100),
            received: at(400),
        };
        let begins = |expected: Expected| {
            let plan = Check {
                kind: CheckKind::new("backup.job"),
                rule: CheckKind::new("x").usual_rule(),
                promised: Default::default(),
            };
            let facts = facts(&"a/b".parse().unwrap(), &plan, &TimeZone::UTC, &[expected], std::iter::empty(), at(900));
            facts.findings.iter().map(|finding| (finding.started.not_after, finding.restored())).collect::<Vec<_>>()
        };
        let missed = schedule::Outcome::Missed { at: at(100) };
        assert_eq!(begins(run(missed, None)), [(at(100), None)]);
        let failed = schedule::Outcome::Failed { at: at(300) };
        assert_eq!(begins(run(failed, Some(300))), [(at(100), None)], "it was overdue before it failed");
        let late = schedule::Outcome::Late { at: at(400) };
        assert_eq!(begins(run(late, Some(300))), [(at(100), Some(at(400)))]);
        assert_eq!(begins(run(schedule::Outcome::Failed { at: at(50) }, Some(50))), [(at(50), None)]);
        let good = schedule::Outcome::Ok { at: at(80) };
        assert_eq!(begins(run(good, Some(50))), [], "a retry made it good");
        assert_eq!(begins(run(schedule::Outcome::Unknown, None)), []);
    }

    fn span(from: i64, to: i64) -> Span {
        Span { from: at(from), to: at(to) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
