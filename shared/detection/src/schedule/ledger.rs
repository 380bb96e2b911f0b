//! What became of each expected run (DETECTION 6).

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::Schedule;
use crate::{
    plan::{minus, plus},
    uptime::Span,
};

/// A job and how it is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// When it is expected to run.
    pub schedule: Schedule,
    /// In the job host's own zone.
    pub zone: TimeZone,
    /// How long after the expected instant it may say that it is done.
    pub grace: Duration,
    /// Since when it is watched: nothing is expected before.
    pub since: Timestamp,
}

/// Something that was said about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// When.
    pub at: Timestamp,
    /// What.
    pub said: Said,
}

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// It began.
    Start,
    /// It failed.
    Fail,
    /// It is done.
    Ok,
}

/// One expected run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// When it was expected.
    pub at: Timestamp,
    /// By when it had to be done.
    pub until: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an expected run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its time is not over.
    Pending,
    /// Done in time.
    Ok {
        /// When.
        at: Timestamp,
    },
    /// Done, but after its time.
    Late {
        /// When.
        at: Timestamp,
    },
    /// It said that it failed, or began and never said that it was done.
    Failed {
        /// When that was known.
        at: Timestamp,
    },
    /// Nothing was said although the agent was there to hear it.
    Missed {
        /// When that was sure.
        at: Timestamp,
    },
    /// Not run while that was agreed.
    Excused,
    /// The agent was silent for a part of its time, and nothing was replayed.
    Unknown,
}

/// How much before its time a run may be done: two clocks are never the same.
const EARLY: Duration = Duration::from_secs(60);

/// Lays runs beside what was expected up to `until`. `heard` are the stretches in which the agent reported, or which
/// it has replayed; `excused` those in which the job need not run. The order of runs decides nothing.
///
/// A run belongs to the latest occurrence that it can belong to; what comes before the first occurrence is nobody's.
/// Of several the last word counts: a retry that is done in time makes a failure good.
pub fn ledger(job: &Job, runs: &[Run], heard: &[Span], excused: &[Span], until: Timestamp) -> Vec<Expected> {
    let mut runs = runs.to_vec();
    runs.sort();
    runs.dedup();
    let mut all: Vec<Expected> = Vec::new();
    let mut at = first(job, &runs);
    while let Some(expected) = at.filter(|at| *at <= until) {
        let own = own(job, &runs, expected);
        let next = job.schedule.next(base(job, own, expected), &job.zone).filter(|next| *next > expected);
        let due = plus(expected, job.grace);
        let outcome = judge(own, due, next.unwrap_or(Timestamp::MAX), until)
            .unwrap_or_else(|| absent(Span { from: expected, to: due }, heard, excused, until));
        all.push(Expected { at: expected, until: due, outcome });
        at = next;
    }
    all
}

/// When the first run is expected: an interval begins with the first run that is known, or when watching began.
fn first(job: &Job, runs: &[Run]) -> Option<Timestamp> {
    let before = minus(job.since, Duration::from_nanos(1));
    match job.schedule {
        Schedule::Calendar(_) => job.schedule.next(before, &job.zone),
        Schedule::Every(_) => {
            let known = runs.iter().map(|run| run.at).find(|at| *at >= job.since);
            let begun = known.filter(|at| job.schedule.next(job.since, &job.zone).is_some_and(|due| *at <= due));
            Some(begun.unwrap_or(job.schedule.next(job.since, &job.zone)?))
        }
    }
}

/// After what the next run is expected: an interval counts from the run itself.
fn base(job: &Job, own: &[Run], expected: Timestamp) -> Timestamp {
    match job.schedule {
        Schedule::Calendar(_) => expected,
        Schedule::Every(_) => own.first().map_or(expected, |run| run.at.max(minus(expected, EARLY))),
    }
}

/// The runs of one occurrence.
fn own<'a>(job: &Job, runs: &'a [Run], expected: Timestamp) -> &'a [Run] {
    let begin = runs.partition_point(|run| run.at < minus(expected, EARLY));
    let next = match job.schedule {
        Schedule::Calendar(_) => job.schedule.next(expected, &job.zone),
        // The first run ends an interval, however late; what is said within its grace is about the same run.
        Schedule::Every(_) => runs.get(begin).map(|run| plus(run.at, job.grace.max(EARLY * 2))),
    };
    let end = next.map_or(runs.len(), |next| runs.partition_point(|run| run.at < minus(next, EARLY)));
    &runs[begin..end.max(begin)]
}

/// What was said decides; `None` when nothing was.
fn judge(own: &[Run], due: Timestamp, next: Timestamp, until: Timestamp) -> Option<Outcome> {
    let done = own.iter().find(|run| run.said == Said::Ok);
    let failed = own.iter().rev().find(|run| run.said == Said::Fail);
    Some(match (done, failed, own.last()) {
        (Some(run), _, _) if run.at <= due => Outcome::Ok { at: run.at },
        (Some(run), _, _) => Outcome::Late { at: run.at },
        (None, Some(run), _) => Outcome::Failed { at: run.at },
        // Begun and not done: given until the next one is due.
        (None, None, Some(_)) if until < next => Outcome::Pending,
        (None, None, Some(_)) => Outcome::Failed { at: next },
        (None, None, None) => return None,
    })
}

fn absent(window: Span, heard: &[Span], excused: &[Span], until: Timestamp) -> Outcome {
    if until < window.to {
        return Outcome::Pending;
    }
    if excused.iter().any(|span| span.from < window.to && window.from < span.to) {
        return Outcome::Excused;
    }
    if is_covered(window, heard) { Outcome::Missed { at: window.to } } else { Outcome::Unknown }
}

/// Whether stretches, together, leave nothing of a window out.
fn is_covered(window: Span, stretches: &[Span]) -> bool {
    let mut sorted = stretches.to_vec();
    sorted.sort_by_key(|span| span.from);
    let end = sorted.iter().fold(window.from, |end, span| if span.from <= end { end.max(span.to) } else { end });
    end >= window.to
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_expected_run_has_its_outcome() {
        let runs = [
            said("2026-03-02T02:00:05Z", Said::Start),
            said("2026-03-02T02:40:00Z", Said::Ok),
            said("2026-03-03T02:10:00Z", Said::Fail),
            said("2026-03-03T03:10:00Z", Said::Ok),
            said("2026-03-04T02:10:00Z", Said::Fail),
            said("2026-03-05T09:00:00Z", Said::Ok),
            said("2026-03-08T02:00:01Z", Said::Start),
        ];
        let heard = [
            span("2026-03-01T00:00:00Z", "2026-03-06T23:00:00Z"),
            span("2026-03-07T03:00:00Z", "2026-04-01T00:00:00Z"),
        ];
        let excused = [span("2026-03-09T00:00:00Z", "2026-03-09T06:00:00Z")];
        let all = ledger(&nightly(), &runs, &heard, &excused, at("2026-03-11T03:00:00Z"));
        let told: Vec<String> =
            all.iter().map(|one| format!("{} {}", &one.at.to_string()[8..10], word(one.outcome))).collect();
        assert_eq!(
            told,
            [
                "02 ok 02:40",
                "03 ok 03:10",
                "04 failed 02:10",
                "05 late 09:00",
                "06 missed 04:00",
                "07 unknown",
                "08 failed 02:00",
                "09 excused",
                "10 missed 04:00",
                "11 pending",
            ]
        );
    }

    #[test]
    fn a_replay_turns_unknown_into_what_it_was() {
        let until = at("2026-03-03T00:00:00Z");
        let outcome = |runs: &[Run], heard: &[Span]| ledger(&nightly(), runs, heard, &[], until)[0].outcome;
        assert_eq!(outcome(&[], &[]), Outcome::Unknown);
        assert_eq!(
            outcome(&[], &[span("2026-03-02T01:00:00Z", "2026-03-02T05:00:00Z")]),
            Outcome::Missed { at: at("2026-03-02T04:00:00Z") }
        );
        let ok = said("2026-03-02T02:30:00Z", Said::Ok);
        assert_eq!(outcome(&[ok], &[]), Outcome::Ok { at: ok.at });
    }

    #[test]
    fn an_interval_counts_from_the_run_before() {
        let job = Job { schedule: Schedule::read("every 1h").unwrap(), grace: Duration::from_secs(600), ..nightly() };
        let runs = [
            said("2026-03-01T23:20:00Z", Said::Ok),
            said("2026-03-02T00:25:00Z", Said::Ok),
            said("2026-03-02T03:00:00Z", Said::Ok),
        ];
        let heard = [span("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z")];
        let job = Job { since: at("2026-03-01T23:00:00Z"), ..job };
        let all = ledger(&job, &runs, &heard, &[], at("2026-03-02T04:05:00Z"));
        let told: Vec<String> =
            all.iter().map(|one| format!("{} {}", &one.at.to_string()[11..16], word(one.outcome))).collect();
        assert_eq!(told, ["23:20 ok 23:20", "00:20 ok 00:25", "01:25 late 03:00", "04:00 pending"]);
    }

    #[test]
    fn an_hour_that_is_left_out_and_one_that_comes_twice_are_one_run_each() {
        let zone = TimeZone::get("America/Chicago").unwrap();
        let job = Job { schedule: Schedule::read("cron */30 1-2 * * *").unwrap(), zone, ..nightly() };
        let between = |from: &str, to: &str| {
            let Schedule::Calendar(calendar) = &job.schedule else { panic!() };
            calendar
                .between(at(from), at(to), &job.zone)
                .map(|at| at.to_string()[11..16].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(between("2026-03-08T06:00:00Z", "2026-03-09T05:00:00Z"), ["07:00", "07:30", "08:00"]);
        assert_eq!(between("2026-11-01T05:00:00Z", "2026-11-02T06:00:00Z"), ["06:00", "06:30", "08:00", "08:30"]);
    }

    proptest! {
        #[test]
        fn nothing_overflows_over_a_century_and_each_run_is_expected_once(
            which in 0usize..SCHEDULES.len(), zone in 0usize..ZONES.len(), year in 1971i64..2100, day in 0i64..365,
        ) {
            let Schedule::Calendar(calendar) = Schedule::read(SCHEDULES[which]).unwrap() else { unreachable!() };
            let zone = TimeZone::get(ZONES[zone]).unwrap();
            let from = Timestamp::from_second((year - 1970) * 31_556_952 + day * 86_400).unwrap();
            let to = plus(from, Duration::from_secs(86_400 * 40));
            let all: Vec<Timestamp> = calendar.between(from, to, &zone).collect();
            prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(all.iter().all(|at| from <= *at && *at < to));
            for at in &all {
                let before = minus(*at, Duration::from_nanos(1));
                prop_assert_eq!(calendar.next_after(before, &zone), Some(*at));
            }
        }

        #[test]
        fn the_order_of_runs_decides_nothing(seconds in proptest::collection::vec((0i64..2_000_000, 0usize..3), 0..30)) {
            let mut runs: Vec<Run> = seconds.iter().map(|(second, said)| Run {
                at: Timestamp::from_second(1_772_400_000 + second).unwrap(),
                said: [Said::Start, Said::Fail, Said::Ok][*said],
            }).collect();
            for job in [nightly(), Job { schedule: Schedule::read("every 6h").unwrap(), ..nightly() }] {
                let until = at("2026-03-25T00:00:00Z");
                let before = ledger(&job, &runs, &[], &[], until);
                runs.reverse();
                prop_assert_eq!(&ledger(&job, &runs, &[], &[], until), &before);
                prop_assert!(before.windows(2).all(|pair| pair[0].at < pair[1].at));
                prop_assert!(!before.is_empty());
            }
        }
    }

    const SCHEDULES: &[&str] = &[
        "cron 30 2 * * *",
        "cron */20 1-3 * * 0",
        "cron 0 0 1 * *",
        "calendar *-*-* 02:15",
        "calendar Sun *-*~07/1 01:30",
        "calendar Mon..Fri 00:00",
    ];
    const ZONES: &[&str] =
        &["UTC", "America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"];

    fn nightly() -> Job {
        Job {
            schedule: Schedule::read("cron 0 2 * * *").unwrap(),
            zone: TimeZone::UTC,
            grace: Duration::from_secs(7_200),
            since: at("2026-03-01T12:00:00Z"),
        }
    }

    fn said(text: &str, said: Said) -> Run {
        Run { at: at(text), said }
    }

    fn span(from: &str, to: &str) -> Span {
        Span { from: at(from), to: at(to) }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn word(outcome: Outcome) -> String {
        let time = |at: Timestamp| at.to_string()[11..16].to_owned();
        match outcome {
            Outcome::Pending => "pending".to_owned(),
            Outcome::Ok { at } => format!("ok {}", time(at)),
            Outcome::Late { at } => format!("late {}", time(at)),
            Outcome::Failed { at } => format!("failed {}", time(at)),
            Outcome::Missed { at } => format!("missed {}", time(at)),
            Outcome::Excused => "excused".to_owned(),
            Outcome::Unknown => "unknown".to_owned(),
        }
    }
}
