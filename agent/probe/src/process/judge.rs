//! What a look at processes is worth, beside the looks before it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use upheld_model::{Counter, Outcome, check::ProcessSpec};

use super::look::{Found, Running};
use crate::ProbeResult;

/// So many restarts within [`LATELY`] are a loop, as with services.
const LOOP: usize = 3;
/// How far back restarts are counted.
const LATELY: Duration = Duration::from_secs(600);
/// For how long the processor's bound may be passed.
const BUSY_FOR: Duration = Duration::from_secs(600);
/// The numbers of so many processes are told.
const PIDS_MAX: usize = 5;

/// What is kept of one check between looks.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The processes of the last look that found any, with their processor time.
    last: BTreeMap<u32, Running>,
    looked: Option<Instant>,
    restarted: VecDeque<Instant>,
    restarts: u64,
    busy_since: Option<Instant>,
}

impl Watch {
    /// Judges what was found at `now`; `before` is when such a process was seen last, also by an earlier agent.
    pub(super) fn judge(
        &mut self,
        spec: &ProcessSpec,
        found: &Found,
        before: Option<Timestamp>,
        epoch: &str,
        now: Instant,
    ) -> ProbeResult {
        let cpu_percent = self.cpu_percent(found, now);
        let lately = self.restarts(found, now);
        let memory = found.running.iter().map(|running| running.memory).sum::<u64>();
        let count = found.running.len();
        let (name, seen) = (named(spec), seen(found));
        let mut faults = Vec::new();
        let mut warnings = Vec::new();
        if count < usize::try_from(spec.at_least).unwrap_or(usize::MAX) {
            let ended =
                if found.ended > 0 { format!(" ({} ended, not yet cleared away)", found.ended) } else { String::new() };
            faults.push(match (count, before) {
                (0, Some(at)) => format!("{name} does not run{ended}; it was seen last at {}", moment(at)),
                (0, None) => format!(
                    "{name} does not run{ended}, and never did while this agent looked; if it is called otherwise, \
                     correct `process` in the book"
                ),
                (_, _) => format!("{} run where {} must{ended}: {seen}", counted(count, &name), spec.at_least),
            });
        }
        if let Some(most) = spec.at_most.filter(|most| count > usize::try_from(*most).unwrap_or(usize::MAX)) {
            faults.push(format!("{} run where {most} may: {seen}", counted(count, &name)));
        }
        if lately >= LOOP && spec.at_least > 0 {
            faults.push(format!("{name} is started again and again: {lately} times in 10 minutes ({seen})"));
        }
        if let Some(most) = spec.memory_max.filter(|most| memory > *most) {
            faults.push(format!("{name} holds {} of memory where {} are allowed", size(memory), size(most)));
        }
        if let (Some(percent), Some(most)) = (cpu_percent, spec.cpu_max_percent) {
            let words = format!("{name} takes {percent:.0} % of a core where {most} % are allowed");
            match self.busy_for(percent > f64::from(most), now) {
                None => {}
                Some(long) if long >= BUSY_FOR => faults.push(format!("{words}, for ten minutes")),
                Some(_) => warnings.push(words),
            }
        }
        let result = match (faults.is_empty(), warnings.is_empty(), count) {
            (false, _, _) => {
                faults.append(&mut warnings);
                ProbeResult::bad(faults.join("; "))
            }
            (true, false, _) => ProbeResult::new(Outcome::Warn).evidence(warnings.join("; ")),
            (true, true, 0) => ProbeResult::new(Outcome::Ok).evidence(format!("no {name} runs, and none must")),
            (true, true, _) => ProbeResult::new(Outcome::Ok).evidence(format!("{}: {seen}", counted(count, &name))),
        };
        let mut result = result
            .value("processes", count as f64)
            .value("memory_mib", (memory as f64 / 104_857.6).round() / 10.0)
            .value("restarts_in_10_min", lately as f64)
            .counter("restarts", Counter(epoch.into(), self.restarts));
        if let Some(percent) = cpu_percent {
            result = result.value("cpu_percent", (percent * 10.0).round() / 10.0);
        }
        result
    }

    /// What they took of one core since the last look, in percent.
    fn cpu_percent(&mut self, found: &Found, now: Instant) -> Option<f64> {
        let looked = self.looked.replace(now)?;
        let elapsed_ms = now.duration_since(looked).as_secs_f64() * 1_000.0;
        let took = |running: &Running| {
            let before = self.last.get(&running.pid).filter(|before| is_same(before, running));
            running.cpu_ms.saturating_sub(before.map_or(0, |before| before.cpu_ms))
        };
        let took_ms = found.running.iter().map(took).sum::<u64>();
        // One that started long before the first look that found it brings all that it took in its life.
        let is_new = |running: &&Running| !self.last.get(&running.pid).is_some_and(|before| is_same(before, running));
        let is_certain = found.running.iter().filter(is_new).all(|new| (new.cpu_ms as f64) <= elapsed_ms);
        (elapsed_ms >= 100.0 && is_certain).then(|| took_ms as f64 * 100.0 / elapsed_ms)
    }

    /// Counts a restart where none of the last ones is there any more and others are; how many there were lately.
    fn restarts(&mut self, found: &Found, now: Instant) -> usize {
        if !found.running.is_empty() {
            let stays = |running: &Running| self.last.get(&running.pid).is_some_and(|before| is_same(before, running));
            if !self.last.is_empty() && !found.running.iter().any(stays) {
                self.restarted.push_back(now);
                self.restarts += 1;
            }
            self.last = found.running.iter().map(|running| (running.pid, *running)).collect();
        }
        while self.restarted.front().is_some_and(|at| now.duration_since(*at) > LATELY) {
            self.restarted.pop_front();
        }
        self.restarted.len()
    }

    fn busy_for(&mut self, is_busy: bool, now: Instant) -> Option<Duration> {
        if !is_busy {
            self.busy_since = None;
            return None;
        }
        Some(now.duration_since(*self.busy_since.get_or_insert(now)))
    }
}

/// A number is given again; a birth is not. Both are rounded to seconds.
fn is_same(one: &Running, other: &Running) -> bool {
    one.pid == other.pid && one.birth.abs_diff(other.birth) <= 1
}

/// The processes as the book names them; a whole command line is told to nobody.
fn named(spec: &ProcessSpec) -> String {
    let user = spec.user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default();
    let argument = spec.argument.as_ref().map(|argument| format!(" with {argument}")).unwrap_or_default();
    format!("{}{argument}{user}", spec.process)
}

/// `3 processes nginx`.
fn counted(count: usize, name: &str) -> String {
    let word = if count == 1 { "process" } else { "processes" };
    format!("{count} {word} {name}")
}

/// `pid 12, 13, since 2026-11-16T16:10:07Z`.
fn seen(found: &Found) -> String {
    let pids: Vec<String> = found.running.iter().take(PIDS_MAX).map(|running| running.pid.to_string()).collect();
    let more = if found.running.len() > PIDS_MAX { " and more" } else { "" };
    let started = |running: &Running| Timestamp::from_second(i64::try_from(running.started).ok()?).ok();
    let since = match found.running.first().and_then(started) {
        Some(at) if found.running.len() == 1 => format!(", since {}", moment(at)),
        Some(at) => format!(", the oldest since {}", moment(at)),
        None => String::new(),
    };
    if pids.is_empty() { "none runs".to_owned() } else { format!("pid {}{more}{since}", pids.join(", ")) }
}

/// To the second.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// In the largest unit of which there are at least two.
fn size(bytes: u64) -> String {
    match bytes {
        0..2_147_483_648 => format!("{} MiB", bytes >> 20),
        2_147_483_648.. => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(at_least: u32) -> ProcessSpec {
        ProcessSpec {
            process: "nginx".to_owned(),
            argument: None,
            user: None,
            at_least,
            at_most: None,
            memory_max: None,
            cpu_max_percent: None,
        }
    }

    /// Processes by number and birth, in seconds since a boot at 16:00.
    fn found(running: &[(u32, u64)]) -> Found {
        let of = |&(pid, birth)| Running { pid, started: 1_795_017_600 + birth, birth, memory: 10 << 20, cpu_ms: 0 };
        Found { running: running.iter().map(of).collect(), ended: 0 }
    }

    fn judged(watch: &mut Watch, spec: &ProcessSpec, found: &Found, now: Instant) -> (Outcome, String) {
        let result = watch.judge(spec, found, None, "e", now);
        (result.outcome, result.evidence.map(|text| text.to_string()).unwrap_or_default())
    }

    #[test]
    fn each_count_has_its_worth_and_says_what_was_seen() {
        let now = Instant::now();
        let few = ProcessSpec { at_most: Some(2), ..spec(2) };
        for (spec, running, outcome, part) in [
            (spec(1), &[(7, 7)][..], Outcome::Ok, "1 process nginx: pid 7, since 2026-11-18T16:00:07Z"),
            (spec(1), &[(7, 7), (8, 8)], Outcome::Ok, "2 processes nginx: pid 7, 8, the oldest since"),
            (spec(1), &[], Outcome::Bad, "nginx does not run, and never did while this agent looked"),
            (few.clone(), &[(7, 7)], Outcome::Bad, "1 process nginx run where 2 must: pid 7"),
            (few, &[(7, 7), (8, 8), (9, 9)], Outcome::Bad, "3 processes nginx run where 2 may: pid 7, 8, 9"),
            (ProcessSpec { at_most: Some(0), ..spec(0) }, &[], Outcome::Ok, "no nginx runs, and none must"),
            (
                ProcessSpec { memory_max: Some(5 << 20), ..spec(1) },
                &[(7, 7)],
                Outcome::Bad,
                "nginx holds 10 MiB of memory where 5 MiB are allowed",
            ),
        ] {
            let (seen, why) = judged(&mut Watch::default(), &spec, &found(running), now);
            assert!(seen == outcome && why.contains(part), "{spec:?}: {seen:?} {why}");
        }
        let gone = Watch::default().judge(&spec(1), &found(&[]), Some(Timestamp::UNIX_EPOCH), "e", now);
        assert_eq!(gone.evidence.unwrap().as_str(), "nginx does not run; it was seen last at 1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_program_that_is_started_three_times_in_ten_minutes_is_wrong_and_workers_that_change_are_not() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let mut watch = Watch::default();
        let spec = spec(1);
        assert_eq!(judged(&mut watch, &spec, &found(&[(1, 1), (2, 2)]), at(0)).0, Outcome::Ok);
        assert_eq!(judged(&mut watch, &spec, &found(&[(1, 1), (3, 30)]), at(30)).0, Outcome::Ok, "a worker of one");
        assert_eq!(judged(&mut watch, &spec, &found(&[]), at(60)).0, Outcome::Bad);
        assert_eq!(judged(&mut watch, &spec, &found(&[(9, 85)]), at(90)).0, Outcome::Ok, "started once");
        assert_eq!(judged(&mut watch, &spec, &found(&[(9, 86)]), at(95)).0, Outcome::Ok, "rounded otherwise");
        assert_eq!(judged(&mut watch, &spec, &found(&[(9, 110)]), at(120)).0, Outcome::Ok, "its number given again");
        let (outcome, why) = judged(&mut watch, &spec, &found(&[(12, 140)]), at(150));
        assert_eq!(outcome, Outcome::Bad);
        assert!(why.starts_with("nginx is started again and again: 3 times in 10 minutes (pid 12"), "{why}");
        assert_eq!(judged(&mut watch, &spec, &found(&[(12, 140)]), at(691)).0, Outcome::Ok);
        let result = watch.judge(&spec, &found(&[(12, 140)]), None, "e", at(692));
        assert_eq!(result.counters["restarts"], Counter("e".into(), 3));
    }

    #[test]
    fn the_processors_bound_warns_at_once_and_is_bad_after_ten_minutes() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let spec = ProcessSpec { cpu_max_percent: Some(150), ..spec(1) };
        let mut watch = Watch::default();
        let mut look = |second: u64, cpu_ms| {
            let mut found = found(&[(1, 1)]);
            found.running[0].cpu_ms = cpu_ms;
            watch.judge(&spec, &found, None, "e", at(second))
        };
        let first = look(0, 900_000);
        assert_eq!(first.outcome, Outcome::Ok);
        assert!(!first.values.contains_key("cpu_percent"), "of its life before nobody knows when");
        for second in (30..=600).step_by(30) {
            let busy = look(second, 900_000 + second * 2_000);
            assert_eq!(busy.outcome, Outcome::Warn, "{second}");
        }
        let long = look(630, 900_000 + 630 * 2_000);
        assert_eq!(long.outcome, Outcome::Bad);
        assert_eq!(
            long.evidence.unwrap().as_str(),
            "nginx takes 200 % of a core where 150 % are allowed, for ten minutes"
        );
        assert_eq!(look(660, 900_000 + 630 * 2_000).outcome, Outcome::Ok);
    }
}
