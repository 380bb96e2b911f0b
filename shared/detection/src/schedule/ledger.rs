//! What became of each expected run (DETECTION 6).

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use upheld_model::CheckId;

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
    /// Until when: nothing is expected from then on.
    pub until: Timestamp,
    /// The check that sees what a run leaves behind.
    pub seen_by: Option<CheckId>,
}

/// Something that was said about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// When.
    pub at: Timestamp,
    /// What.
    pub said: Said,
    /// When that was received.
    pub received: Timestamp,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// When it was expected.
    pub at: Timestamp,
    /// By when it had to be done.
    pub until: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
    /// When it first said that it failed, also where a retry made that good.
    pub failed: Option<Word>,
    /// When it was known that its time had passed: that very instant, unless its agent's journal came later.
    pub overdue: Timestamp,
    /// When that was received from which the outcome follows; what is concluded, at its deadline (TERMS F11).
    pub received: Timestamp,
}

/// A word of a run, and its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// When it was said.
    pub at: Timestamp,
    /// When it was received.
    pub received: Timestamp,
}

/// What became of an expected run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
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
        /// When that was known first.
        at: Timestamp,
    },
    /// Nothing was said although the agent was there to hear it.
    Missed {
        /// When that was sure.
        at: Timestamp,
    },
    /// Not run in time while that was agreed.
    Excused,
    /// The agent was silent for a part of its time, and nothing was replayed.
    Unknown,
}

impl Outcome {
    /// `pending`, `ok`, `late`, `failed`, `missed`, `excused`, `unknown`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ok { .. } => "ok",
            Self::Late { .. } => "late",
            Self::Failed { .. } => "failed",
            Self::Missed { .. } => "missed",
            Self::Excused => "excused",
            Self::Unknown => "unknown",
        }
    }

    /// When that happened, where it has an instant of its own.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::Ok { at } | Self::Late { at } | Self::Failed { at } | Self::Missed { at } => Some(at),
            Self::Pending | Self::Excused | Self::Unknown => None,
        }
    }
}

/// How much before its time a run may be done: two clocks are never the same. Of a job that runs every few minutes it
/// is a quarter of the time between two runs.
const EARLY: Duration = Duration::from_secs(60);

/// Lays runs beside what was expected up to `until`. `heard` are the stretches in which the agent reported, or which
/// it has replayed; `excused` those in which the job need not run. The order of runs decides nothing.
///
/// A run belongs to the latest occurrence that it can belong to; what comes before the first occurrence is nobody's.
/// Of several the last word counts: a retry that is done in time makes a failure good.
pub fn ledger(job: &Job, runs: &[Run], heard: &[Span], excused: &[Span], until: Timestamp) -> Vec<Expected> {
    resume(job, None, runs, heard, excused, until).0
}

/// The same from an occurrence on that is known already (the runs of an interval hang on each other), and the first
/// one after them.
pub fn resume(
    job: &Job,
    known: Option<Timestamp>,
    runs: &[Run],
    heard: &[Span],
    excused: &[Span],
    until: Timestamp,
) -> (Vec<Expected>, Option<Timestamp>) {
    let mut runs = runs.to_vec();
    runs.sort();
    runs.dedup_by_key(|run| (run.at, run.said));
    let mut all: Vec<Expected> = Vec::new();
    let mut at = known.or_else(|| first(job, &runs));
    while let Some(expected) = at.filter(|at| *at <= until && *at < job.until) {
        let own = own(job, &runs, expected);
        let next = job.schedule.next(base(job, own, expected), &job.zone).filter(|next| *next > expected);
        let window = Span { from: expected, to: plus(expected, job.grace) };
        let absent = absent(window, heard, excused, until);
        all.push(judge(own, window, next.unwrap_or(Timestamp::MAX), until, absent));
        at = next;
    }
    (all, at.filter(|at| *at < job.until))
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
        Schedule::Every(_) => own.first().map_or(expected, |run| run.at.max(minus(expected, early(job, expected)))),
    }
}

/// How much before this occurrence a run may be done.
fn early(job: &Job, expected: Timestamp) -> Duration {
    let next = job.schedule.next(expected, &job.zone).unwrap_or(Timestamp::MAX);
    let apart = Duration::try_from(expected.duration_until(next)).unwrap_or_default();
    EARLY.min(apart / 4)
}

/// The runs of one occurrence.
fn own<'a>(job: &Job, runs: &'a [Run], expected: Timestamp) -> &'a [Run] {
    let early_by = early(job, expected);
    let begin = runs.partition_point(|run| run.at < minus(expected, early_by));
    let end = match job.schedule {
        Schedule::Calendar(_) => job.schedule.next(expected, &job.zone).map(|next| minus(next, early(job, next))),
        // The first run ends an interval, however late; what is said within its grace is about the same run.
        Schedule::Every(period) => runs.get(begin).map(|run| {
            let about_it = job.grace.max(early_by * 2).min(period.saturating_sub(early_by));
            plus(run.at, about_it)
        }),
    };
    let end = end.map_or(runs.len(), |end| runs.partition_point(|run| run.at < end));
    &runs[begin..end.max(begin)]
}

/// What was said decides, and else what is to be concluded where nothing was.
fn judge(own: &[Run], window: Span, next: Timestamp, until: Timestamp, absent: Outcome) -> Expected {
    let due = window.to;
    let done = own.iter().find(|run| run.said == Said::Ok);
    let failed = own.iter().find(|run| run.said == Said::Fail);
    let failed = failed.filter(|run| done.is_none_or(|done| run.at < done.at));
    let (outcome, received) = match (done, failed, own.first()) {
        (Some(run), _, _) if run.at <= due || absent == Outcome::Excused => (Outcome::Ok { at: run.at }, run.received),
        (Some(run), _, _) => (Outcome::Late { at: run.at }, run.received),
        // Until its time is over a retry may make it good.
        (None, Some(_), _) if until < due => (Outcome::Pending, due),
        (None, Some(run), _) => (Outcome::Failed { at: run.at }, run.received),
        // Begun in time and not done: given until the next one is due.
        (None, None, Some(begun)) if begun.at <= due && until < next => (Outcome::Pending, due),
        (None, None, Some(begun)) if begun.at <= due => (Outcome::Failed { at: next }, next),
        (None, None, Some(_) | None) => (absent, due),
    };
    let failed = failed.map(|run| Word { at: run.at, received: run.received.max(run.at) });
    Expected { at: window.from, until: due, outcome, failed, overdue: due, received }
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

    #[test]
    fn a_job_of_every_minute_has_its_runs_where_they_belong() {
        let job =
            Job { schedule: Schedule::read("cron * * * * *").unwrap(), grace: Duration::from_secs(30), ..nightly() };
        let job = Job { since: at("2026-03-02T02:00:00Z"), until: at("2026-03-02T02:04:00Z"), ..job };
        // One a little early, one missed, one late.
        let runs = ["02:00:05", "02:00:50", "02:03:40"].map(|time| said(&format!("2026-03-02T{time}Z"), Said::Ok));
        let heard = [span("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z")];
        let all = ledger(&job, &runs, &heard, &[], at("2026-03-02T02:10:00Z"));
        let told: Vec<String> = all.iter().map(|one| word(one.outcome)).collect();
        assert_eq!(told, ["ok 02:00", "ok 02:00", "missed 02:02", "late 02:03"], "nothing is expected after its end");
    }

    #[test]
    fn what_is_resumed_is_what_the_whole_says() {
        let job = Job { schedule: Schedule::read("every 5h").unwrap(), ..nightly() };
        let runs: Vec<Run> = [3, 8, 14, 30]
            .map(|hour| {
                let at = plus(job.since, Duration::from_secs(3_600 * hour + 90));
                Run { at, said: Said::Ok, received: at }
            })
            .to_vec();
        let until = at("2026-03-05T00:00:00Z");
        let whole = ledger(&job, &runs, &[], &[], until);
        assert!(whole.len() > 8, "{whole:?}");
        for (place, one) in whole.iter().enumerate() {
            assert_eq!(resume(&job, Some(one.at), &runs, &[], &[], until).0, whole[place..]);
        }
    }

    #[test]
    fn a_run_that_is_late_was_overdue_at_its_deadline_and_one_that_was_agreed_was_not() {
        let runs = [said("2026-03-02T09:00:00Z", Said::Ok)];
        let until = at("2026-03-02T10:00:00Z");
        let late = ledger(&nightly(), &runs, &[], &[], until)[0];
        assert_eq!((late.outcome, late.overdue), (Outcome::Late { at: runs[0].at }, at("2026-03-02T04:00:00Z")));
        let excused = [span("2026-03-02T01:00:00Z", "2026-03-02T08:00:00Z")];
        assert_eq!(ledger(&nightly(), &runs, &[], &excused, until)[0].outcome, Outcome::Ok { at: runs[0].at });
        // It began after its time: what was missed stays missed until it is done.
        let begun = [said("2026-03-02T09:00:00Z", Said::Start)];
        let heard = [span("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z")];
        let missed = ledger(&nightly(), &begun, &heard, &[], until)[0].outcome;
        assert_eq!(missed, Outcome::Missed { at: at("2026-03-02T04:00:00Z") });
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
                received: Timestamp::MAX,
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
            until: Timestamp::MAX,
            seen_by: None,
        }
    }

    fn said(text: &str, said: Said) -> Run {
        Run { at: at(text), said, received: at(text) }
    }

    fn span(from: &str, to: &str) -> Span {
        Span { from: at(from), to: at(to) }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn word(outcome: Outcome) -> String {
        let at = outcome.at().map(|at| format!(" {}", &at.to_string()[11..16]));
        format!("{}{}", outcome.word(), at.unwrap_or_default())
    }
}
