//! "By 12:00 next business day" (R9).

use jiff::{Timestamp, civil::Time};

use super::{ByNextBusinessDay, Compiled, Due, Pause, pause::Pauses, split};

impl Compiled {
    /// A business day is a local date with at least one second of coverage. One whose coverage was paused from its
    /// first second to its last does not count; a pause that left any of it counts as no pause.
    pub(super) fn due_by(&self, start: Timestamp, rule: ByNextBusinessDay, pauses: &[Pause]) -> Due {
        let Some(day) = self.due_day(start, rule, &Pauses::ended(pauses)) else { return Due::Never };
        let due = self.line.first_at_wall(day, second_of(rule.by)).map(Timestamp::from_second);
        let Some(Ok(due)) = due else { return Due::Never };
        let is_held = pauses.iter().any(|pause| pause.to.is_none() && pause.from < due);
        if is_held { Due::Paused } else { Due::At(due) }
    }

    fn due_day(&self, start: Timestamp, rule: ByNextBusinessDay, ended: &Pauses) -> Option<i64> {
        let (start_s, start_ns) = split(start);
        let (mut day, second) = self.line.wall_at(start_s);
        let is_past = |cut_off: Time| (second, start_ns) > (second_of(cut_off), cut_off.subsec_nanosecond());
        let mut wanted = if rule.received_by.is_some_and(is_past) { 2 } else { 1 };
        loop {
            let (next, opening) = self.covered_day_after(day)?;
            day = next;
            match self.pause_of_whole_day(day, opening, ended) {
                // The days before the one on which the pause ends are paused too: go there in one step.
                Some(until) => day = day.max(self.line.wall_at(split(until).0).0 - 1),
                None => wanted -= 1,
            }
            if wanted == 0 {
                return Some(day);
            }
        }
    }

    /// The next local date with coverage, and where its coverage begins.
    fn covered_day_after(&self, day: i64) -> Option<(i64, i64)> {
        let mut from = self.line.first_at_wall(day + 1, 0)?;
        loop {
            let opening = self.line.first_open(from)?;
            let (found, _) = self.line.wall_at(opening);
            if found > day {
                return Timestamp::from_second(opening).is_ok().then_some((found, opening));
            }
            // The clock went back over midnight: the old date comes once more.
            from = self.line.instants_of(found).last().map(|(_, end)| *end).filter(|end| *end > from)?;
        }
    }

    /// The end of the pause that holds the opening of a date, if pauses took all of the date's coverage.
    fn pause_of_whole_day(&self, day: i64, opening: i64, ended: &Pauses) -> Option<Timestamp> {
        let until = ended.holding(Timestamp::from_second(opening).ok()?)?.to;
        let is_all_paused = self.line.instants_of(day).into_iter().all(|(from, to)| {
            match (Timestamp::from_second(from), Timestamp::from_second(to)) {
                (Ok(from), Ok(to)) => self.elapsed(from, to, ended).is_zero(),
                (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
            }
        });
        is_all_paused.then_some(until)
    }
}

fn second_of(time: Time) -> i64 {
    i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
}
