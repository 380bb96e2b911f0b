//! The rules of time, the slow way: walk step by step, ask the zone what the wall clock shows, and look whether that
//! reading is in any of the hours. It shares no code and no idea with the calendar it judges.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use upheld_agreement::calendar::{ByNextBusinessDay, CalendarDef, Hours, Pause};

/// A calendar with its texts read, nothing else done to it.
pub(crate) struct Naive {
    pub(crate) tz: TimeZone,
    /// From Monday to Sunday: `[from, to)` in seconds of the wall clock, `to` before `from` overnight.
    weekly: [Vec<(i32, i32)>; 7],
    holidays: Vec<(Date, i32, i32)>,
    yearly: Vec<(String, i32, i32)>,
    extra: Vec<(Date, (i32, i32), bool)>,
}

/// What the walk found.
pub(crate) struct Walked {
    /// Counted seconds of the whole window.
    pub(crate) elapsed_s: u64,
    /// When the target was reached, if that was within the window.
    pub(crate) due: Option<Timestamp>,
    /// Where counting stopped: at a closing, a holiday or a pause, with the seconds counted until then.
    pub(crate) stops: Vec<(Timestamp, u64)>,
}

impl Naive {
    pub(crate) fn new(def: &CalendarDef) -> Self {
        let part = |from: &Option<String>, to: &Option<String>| {
            (from.as_deref().map_or(0, clock), to.as_deref().map_or(86_400, clock))
        };
        let of_date = |date: &str| date.parse::<Date>().unwrap();
        let holidays = def.holidays.iter().map(|holiday| {
            let (from, to) = part(&holiday.from, &holiday.to);
            (of_date(&holiday.date), from, to)
        });
        let yearly = def.yearly_holidays.iter().map(|holiday| {
            let (from, to) = part(&holiday.from, &holiday.to);
            (holiday.date.clone(), from, to)
        });
        let extra = def
            .extra
            .iter()
            .map(|extra| (of_date(&extra.date), (clock(&extra.from), clock(&extra.to)), extra.counts_on_holiday));
        Self {
            tz: TimeZone::get(&def.tz).unwrap(),
            weekly: def.weekly.days().map(|day| day.iter().map(|Hours(from, to)| (clock(from), clock(to))).collect()),
            holidays: holidays.collect(),
            yearly: yearly.collect(),
            extra: extra.collect(),
        }
    }

    pub(crate) fn is_open(&self, at: Timestamp) -> bool {
        let wall = self.tz.to_datetime(at);
        let (date, yesterday) = (wall.date(), wall.date().yesterday().unwrap());
        let second = i32::from(wall.hour()) * 3600 + i32::from(wall.minute()) * 60 + i32::from(wall.second());
        let of = |date: Date| &self.weekly[date.weekday().to_monday_zero_offset() as usize];
        let mut is_regular = of(date).iter().any(|hours| begun_today(*hours, second))
            || of(yesterday).iter().any(|hours| begun_yesterday(*hours, second));
        for (begins, hours, counts_on_holiday) in &self.extra {
            let is_inside = (*begins == date && begun_today(*hours, second))
                || (*begins == yesterday && begun_yesterday(*hours, second));
            if is_inside && *counts_on_holiday {
                return true;
            }
            is_regular |= is_inside;
        }
        is_regular && !self.is_holiday(date, second)
    }

    fn is_holiday(&self, date: Date, second: i32) -> bool {
        let is_inside = |from: &i32, to: &i32| *from <= second && second < *to;
        if self.holidays.iter().any(|(on, from, to)| *on == date && is_inside(from, to)) {
            return true;
        }
        if self.yearly.is_empty() {
            return false;
        }
        let month_and_day = format!("{:02}-{:02}", date.month(), date.day());
        self.yearly.iter().any(|(on, from, to)| *on == month_and_day && is_inside(from, to))
    }

    /// Walks `[start, end)` in steps that no boundary falls into.
    pub(crate) fn walk(
        &self,
        start: Timestamp,
        end: Timestamp,
        step_s: i64,
        target_s: u64,
        pauses: &[Pause],
    ) -> Walked {
        let mut walked = Walked { elapsed_s: 0, due: (target_s == 0).then_some(start), stops: Vec::new() };
        let (mut now, mut was_counting) = (start, false);
        while now < end {
            let next = after(now, step_s);
            let counts = self.is_open(now) && !pauses.iter().any(|pause| is_paused(pause, now));
            if counts {
                walked.elapsed_s += step_s.unsigned_abs();
                if walked.due.is_none() && walked.elapsed_s >= target_s {
                    walked.due = Some(next);
                }
            } else if was_counting {
                walked.stops.push((now, walked.elapsed_s));
            }
            (now, was_counting) = (next, counts);
        }
        walked
    }

    /// R9 within `[start, end)`; `None` when the window is too short to tell. Open pauses are not looked at.
    pub(crate) fn due_by(
        &self,
        start: Timestamp,
        end: Timestamp,
        rule: ByNextBusinessDay,
        pauses: &[Pause],
    ) -> Option<Timestamp> {
        let first = self.tz.to_datetime(start);
        let is_late = rule.received_by.is_some_and(|cut_off| first.time() > cut_off);
        let mut wanted = if is_late { 2 } else { 1 };
        let mut day = first.date();
        loop {
            day = self
                .instants(start, end)
                .find(|at| self.is_open(*at) && self.date(*at) > day)
                .map(|at| self.date(at))?;
            let of_day: Vec<Timestamp> = self.instants(start, end).filter(|at| self.date(*at) == day).collect();
            if self.date(end) <= day.tomorrow().unwrap() {
                return None;
            }
            let ended = |at: &Timestamp| pauses.iter().any(|pause| pause.to.is_some() && is_paused(pause, *at));
            if !of_day.iter().filter(|at| self.is_open(**at)).all(ended) {
                wanted -= 1;
            }
            if wanted == 0 {
                let by = day.to_datetime(rule.by);
                return self.instants(start, end).find(|at| self.tz.to_datetime(*at) >= by);
            }
        }
    }

    fn date(&self, at: Timestamp) -> Date {
        self.tz.to_datetime(at).date()
    }

    fn instants(&self, start: Timestamp, end: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(Some(start), |at| Some(after(*at, 60))).take_while(move |at| *at < end)
    }
}

pub(crate) fn after(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(at.as_second() + seconds).unwrap()
}

pub(crate) fn is_paused(pause: &Pause, at: Timestamp) -> bool {
    pause.from <= at && pause.to.is_none_or(|to| at < to)
}

fn begun_today((from, to): (i32, i32), second: i32) -> bool {
    if to < from { second >= from } else { (from..to).contains(&second) }
}

fn begun_yesterday((from, to): (i32, i32), second: i32) -> bool {
    to < from && second < to
}

fn clock(text: &str) -> i32 {
    let (hour, minute) = text.split_once(':').unwrap();
    hour.parse::<i32>().unwrap() * 3600 + minute.parse::<i32>().unwrap() * 60
}
