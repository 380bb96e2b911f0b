//! Amendments the slow way (F2, F3): each rule of the page as it is written, walked step by step through the versions.

use jiff::Timestamp;
use upheld_agreement::{
    calendar::{Calendar, Due, Pause},
    cases::{AmendMode, AmendedDue, Version, amend},
};

use super::{
    draw::{Dice, Question, Subject, Zones},
    walk::{Naive, after, is_paused},
};

/// The history of one target: the first version is in force at the start.
struct History {
    start: Timestamp,
    end: Timestamp,
    step_s: i64,
    pauses: Vec<Pause>,
    versions: Vec<NaiveVersion>,
}

struct NaiveVersion {
    from: Timestamp,
    calendar: Naive,
    target_s: u64,
}

/// Judges one random history under each of the modes.
pub(crate) fn judge(zones: &Zones, dice: &mut Dice) -> Result<(), String> {
    let subject = Subject::draw(zones, dice);
    let Question { start, end, target_s, pauses, .. } = Question::draw(&subject, dice);
    let step_s = subject.step_s;
    let steps = (end.as_second() - start.as_second()) / step_s;
    let mut later: Vec<Timestamp> =
        (0..dice.number(0, 4)).map(|_| after(start, dice.number(1, steps.max(2)) * step_s)).collect();
    later.sort();
    later.dedup();
    let mut defs = vec![(start, subject.def.clone(), target_s)];
    for from in later {
        let def = if dice.chance(40) { subject.def.clone() } else { subject.other(dice) };
        defs.push((from, def, dice.number(0, steps + 1).unsigned_abs() * step_s.unsigned_abs()));
    }
    let versions: Vec<Version> = defs
        .iter()
        .enumerate()
        .map(|(index, (from, def, target_s))| Version {
            effective_from: (index > 0).then_some(*from),
            calendar: Calendar::compile(def).unwrap(),
            target_s: *target_s,
        })
        .collect();
    let naive = defs.iter().map(|(from, def, target_s)| NaiveVersion {
        from: *from,
        calendar: Naive::new(def),
        target_s: *target_s,
    });
    let history = History { start, end, step_s, pauses: pauses.clone(), versions: naive.collect() };
    for mode in [
        AmendMode::Pin,
        AmendMode::CarryElapsed,
        AmendMode::Prorate,
        AmendMode::RestartFromChange,
        AmendMode::RestartFromStart,
    ] {
        let AmendedDue { recomputed, due } = amend(start, mode, &versions, &pauses).unwrap().due;
        let (walked, floor) = history.walk(mode);
        let floored = walked.map(|walked| walked.max(floor));
        if !(agrees(walked, recomputed, &history) && agrees(floored, due, &history)) {
            return Err(format!(
                "{mode:?}: {recomputed:?} and {due:?}, walked {walked:?} and {floored:?}\n  {start} {pauses:?}\n  {defs:?}"
            ));
        }
    }
    Ok(())
}

/// What the walk did not reach lies behind its end, or never comes.
fn agrees(walked: Option<Timestamp>, due: Due, history: &History) -> bool {
    match (walked, due) {
        (Some(walked), due) => due == Due::At(walked),
        (None, Due::At(due)) => due > history.end,
        (None, Due::Paused) => history.pauses.iter().any(|pause| pause.to.is_none()),
        (None, Due::Never) => true,
    }
}

impl History {
    /// The recomputed due, and the instant before which F3 lets no due fall.
    fn walk(&self, mode: AmendMode) -> (Option<Timestamp>, Timestamp) {
        let (first, last) = (&self.versions[0], &self.versions[self.versions.len() - 1]);
        match mode {
            AmendMode::Pin => (self.reach(&first.calendar, self.start, first.target_s), self.start),
            AmendMode::RestartFromChange => (self.reach(&last.calendar, last.from, last.target_s), last.from),
            AmendMode::RestartFromStart => (self.reach(&last.calendar, self.start, last.target_s), last.from),
            AmendMode::CarryElapsed => (self.through(|_, counted_s, next| next.saturating_sub(counted_s)), self.start),
            AmendMode::Prorate => {
                let rest = |whole_s: u64, used_s: u64, next_s: u64| {
                    let (whole, left) = (u128::from(whole_s), u128::from(whole_s - used_s));
                    u64::try_from((left * u128::from(next_s)).div_ceil(whole.max(1))).unwrap()
                };
                (self.through(rest), self.start)
            }
        }
    }

    fn reach(&self, calendar: &Naive, from: Timestamp, target_s: u64) -> Option<Timestamp> {
        calendar.walk(from, self.end, self.step_s, target_s, &self.pauses).due
    }

    /// Through the versions in order: at each change `rest` says, from the whole target, what of it is used and the new
    /// target, what is left.
    fn through(&self, rest: impl Fn(u64, u64, u64) -> u64) -> Option<Timestamp> {
        let mut versions = self.versions.iter();
        let mut version = versions.next()?;
        let mut next = versions.next();
        let (mut whole_s, mut used_s) = (version.target_s, 0);
        let mut now = self.start;
        while now <= self.end {
            // A clock that runs out at the very change has not run out before it.
            if let Some(change) = next.filter(|change| change.from == now) {
                let left_s = rest(whole_s, used_s, change.target_s);
                (whole_s, used_s) = (change.target_s, change.target_s.saturating_sub(left_s));
                (version, next) = (change, versions.next());
            }
            if used_s >= whole_s {
                return Some(now);
            }
            let step_s = self.step_s.unsigned_abs();
            if version.calendar.is_open(now) && !self.pauses.iter().any(|pause| is_paused(pause, now)) {
                if used_s + step_s > whole_s {
                    return Some(after(now, i64::try_from(whole_s - used_s).unwrap()));
                }
                used_s += step_s;
            }
            now = after(now, self.step_s);
        }
        None
    }
}
