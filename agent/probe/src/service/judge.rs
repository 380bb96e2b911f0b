//! What a unit's state is worth (systemd's `org.freedesktop.systemd1` interface, its man page by that name).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// So many restarts within [`LATELY`] are a loop.
pub(super) const LOOP: u32 = 3;
/// How far back restarts are counted.
pub(super) const LATELY: Duration = Duration::from_secs(600);

/// A unit at one moment, in systemd's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) name: String,
    /// `loaded`, `not-found`, `masked`, `error`, `bad-setting`.
    pub(super) load: String,
    /// `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`, `maintenance`, `refreshing`.
    pub(super) active: String,
    pub(super) sub: String,
    /// How the service ended last: `success`, `exit-code`, `signal`, `timeout`, `watchdog`, `start-limit-hit`, …
    pub(super) result: String,
    /// `simple`, `oneshot`, …; empty for a unit that is no service.
    pub(super) kind: String,
    /// Since somebody started it last; `None` for a unit that is no service.
    pub(super) restarts: Option<u32>,
    /// How the main process ended last: 1 by itself, 2 by a signal, 3 with a core dump (waitid(2), `si_code`).
    pub(super) exit_code: i32,
    /// Its exit status, or the signal.
    pub(super) exit_status: i32,
    /// The units that start it: timers, sockets, paths.
    pub(super) triggers: Vec<String>,
    /// Whether a condition of its file kept it from starting.
    pub(super) is_condition_unmet: bool,
}

/// What a state is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is as it should be.
    Good(String),
    /// It is on its way somewhere.
    Turning(String),
    /// It should run and does not.
    Wrong(String),
    /// There is no such unit.
    Missing,
}

/// Judges a unit that is meant to run; `lately` is how often it restarted within [`LATELY`].
pub(super) fn judge(unit: &Unit, lately: u32) -> Verdict {
    let name = &unit.name;
    match unit.load.as_str() {
        "not-found" => return Verdict::Missing,
        "masked" => return Verdict::Wrong(format!("{name} is masked: nothing can start it")),
        "error" | "bad-setting" => return Verdict::Wrong(format!("the unit file of {name} cannot be used")),
        _ => {}
    }
    if lately >= LOOP {
        let how = ended(unit).map(|how| format!(", the last time after it {how}")).unwrap_or_default();
        return Verdict::Wrong(format!("{name} restarts again and again: {lately} times in 10 minutes{how}"));
    }
    match unit.active.as_str() {
        "active" | "reloading" | "refreshing" => Verdict::Good(format!("{name} is active ({})", unit.sub)),
        "activating" if unit.sub.starts_with("auto-restart") => match ended(unit) {
            Some(how) => Verdict::Wrong(format!("{name} does not run: it {how}, and waits to be started again")),
            None => Verdict::Turning(format!("{name} ended well, and waits to be started again")),
        },
        "activating" if unit.kind == "oneshot" => Verdict::Good(format!("{name} is at work")),
        "activating" => Verdict::Turning(format!("{name} is starting ({})", unit.sub)),
        "deactivating" => Verdict::Turning(format!("{name} is stopping ({})", unit.sub)),
        "maintenance" => Verdict::Turning(format!("{name} is being maintained")),
        "failed" => {
            let how = ended(unit).unwrap_or_else(|| "did not start or end as it should".to_owned());
            Verdict::Wrong(format!("{name} has failed: it {how}"))
        }
        "inactive" => inactive(unit),
        other => Verdict::Turning(format!("{name} is {other} ({})", unit.sub)),
    }
}

/// A unit that does nothing at the moment.
fn inactive(unit: &Unit) -> Verdict {
    let name = &unit.name;
    let is_success = matches!(unit.result.as_str(), "success" | "");
    if is_success && !unit.triggers.is_empty() {
        return Verdict::Good(format!("{name} waits to be started by {}", unit.triggers.join(", ")));
    }
    if is_success && unit.kind == "oneshot" && !unit.is_condition_unmet {
        return Verdict::Good(format!("{name} has done its work, or has none yet"));
    }
    if unit.is_condition_unmet {
        return Verdict::Wrong(format!("{name} was not started: a condition of its unit file is not met"));
    }
    let how = ended(unit).map(|how| format!("; it {how}")).unwrap_or_default();
    Verdict::Wrong(format!("{name} does not run: nobody started it, or somebody stopped it{how}"))
}

/// How it ended last, to be read after "it"; `None` where it never ran, or ended well.
fn ended(unit: &Unit) -> Option<String> {
    let main = match unit.exit_code {
        1 => format!("ended with exit status {}", unit.exit_status),
        2 => format!("was ended by signal {}", unit.exit_status),
        3 => format!("crashed by signal {}", unit.exit_status),
        _ => "ended".to_owned(),
    };
    Some(match unit.result.as_str() {
        "success" | "" => return None,
        "exit-code" | "signal" | "core-dump" => main,
        "timeout" => "did not start or stop in time".to_owned(),
        "watchdog" => "hung, and the watchdog ended it".to_owned(),
        "start-limit-hit" => "failed so often that systemd does not start it any more".to_owned(),
        "oom-kill" => "was ended because memory ran out".to_owned(),
        "resources" => "could not be given what it needs to start".to_owned(),
        "protocol" => "did not say that it is ready".to_owned(),
        "exec-condition" => "was kept from starting by its own condition".to_owned(),
        other => format!("ended: {other}"),
    })
}

/// The restarts of one unit within [`LATELY`].
#[derive(Debug, Default)]
pub(super) struct Restarts {
    last: Option<u32>,
    seen: VecDeque<(Instant, u32)>,
}

impl Restarts {
    /// Takes systemd's count at `now`; how many of them were lately. What was counted before the first look is of
    /// nobody knows when.
    pub(super) fn counted(&mut self, count: u32, now: Instant) -> u32 {
        let more = match self.last {
            None => 0,
            // Somebody started the unit by hand: the count began anew.
            Some(last) => count.checked_sub(last).unwrap_or(count),
        };
        self.last = Some(count);
        if more > 0 {
            self.seen.push_back((now, more));
        }
        while self.seen.front().is_some_and(|(at, _)| now.duration_since(*at) > LATELY) {
            self.seen.pop_front();
        }
        self.seen.iter().fold(0, |sum, (_, more)| sum.saturating_add(*more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(active: &str, sub: &str) -> Unit {
        let text = str::to_owned;
        Unit {
            name: text("recorder.service"),
            load: text("loaded"),
            active: text(active),
            sub: text(sub),
            result: text("success"),
            kind: text("simple"),
            restarts: Some(0),
            ..Unit::default()
        }
    }

    fn failed(unit: Unit, result: &str, exit_code: i32, exit_status: i32) -> Unit {
        Unit { result: result.to_owned(), exit_code, exit_status, ..unit }
    }

    fn said(verdict: Verdict) -> (char, String) {
        match verdict {
            Verdict::Good(why) => ('+', why),
            Verdict::Turning(why) => ('~', why),
            Verdict::Wrong(why) => ('-', why),
            Verdict::Missing => ('?', String::new()),
        }
    }

    #[test]
    fn each_state_has_its_worth_and_a_sentence() {
        let oneshot = |active, sub| Unit { kind: "oneshot".to_owned(), ..unit(active, sub) };
        let timed = Unit { triggers: vec!["recorder.timer".to_owned()], ..unit("inactive", "dead") };
        let load = |load: &str| Unit { load: load.to_owned(), ..unit("inactive", "dead") };
        for (unit, worth, part) in [
            (unit("active", "running"), '+', "is active (running)"),
            (unit("reloading", "reload"), '+', "is active"),
            (unit("activating", "start"), '~', "is starting"),
            (unit("deactivating", "stop-sigterm"), '~', "is stopping"),
            (unit("inactive", "dead"), '-', "does not run: nobody started it"),
            (failed(unit("failed", "failed"), "exit-code", 1, 3), '-', "has failed: it ended with exit status 3"),
            (failed(unit("failed", "failed"), "signal", 2, 9), '-', "was ended by signal 9"),
            (failed(unit("failed", "failed"), "core-dump", 3, 11), '-', "crashed by signal 11"),
            (failed(unit("failed", "failed"), "start-limit-hit", 1, 1), '-', "does not start it any more"),
            (failed(unit("failed", "failed"), "a-new-word", 0, 0), '-', "ended: a-new-word"),
            (failed(unit("activating", "auto-restart"), "exit-code", 1, 7), '-', "exit status 7, and waits"),
            (failed(unit("activating", "auto-restart-queued"), "watchdog", 2, 6), '-', "the watchdog ended it"),
            (unit("activating", "auto-restart"), '~', "ended well, and waits"),
            (oneshot("inactive", "dead"), '+', "has done its work"),
            (oneshot("activating", "start"), '+', "is at work"),
            (failed(oneshot("failed", "failed"), "exit-code", 1, 1), '-', "exit status 1"),
            (timed.clone(), '+', "waits to be started by recorder.timer"),
            (failed(timed, "exit-code", 1, 1), '-', "exit status 1"),
            (Unit { is_condition_unmet: true, ..unit("inactive", "dead") }, '-', "condition of its unit file"),
            (unit("a-new-state", "x"), '~', "is a-new-state"),
            (load("masked"), '-', "masked"),
            (load("bad-setting"), '-', "cannot be used"),
            (load("not-found"), '?', ""),
        ] {
            let (seen, why) = said(judge(&unit, 0));
            assert!(seen == worth && why.contains(part), "{unit:?}: {seen} {why}");
        }
    }

    #[test]
    fn a_unit_that_runs_at_the_moment_but_restarted_three_times_is_wrong() {
        let crashing = failed(unit("active", "running"), "exit-code", 1, 1);
        assert_eq!(said(judge(&crashing, 2)).0, '+');
        let (worth, why) = said(judge(&crashing, 3));
        assert_eq!(worth, '-');
        assert_eq!(
            why,
            "recorder.service restarts again and again: 3 times in 10 minutes, the last time after it ended with exit \
             status 1"
        );
    }

    #[test]
    fn restarts_are_counted_over_a_start_by_hand_and_forgotten_after_ten_minutes() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let mut restarts = Restarts::default();
        assert_eq!(restarts.counted(40, at(0)), 0, "nobody knows when those were");
        assert_eq!(restarts.counted(42, at(30)), 2);
        assert_eq!(restarts.counted(42, at(60)), 2);
        assert_eq!(restarts.counted(1, at(90)), 3, "started by hand, and restarted once since");
        assert_eq!(restarts.counted(1, at(631)), 1);
        assert_eq!(restarts.counted(1, at(691)), 0);
    }
}
