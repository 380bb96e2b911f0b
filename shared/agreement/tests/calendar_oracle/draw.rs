//! Random calendars and questions, biased to where calendars go wrong: transitions of the zone, midnight, closing.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time, date},
    tz::TimeZone,
};
use upheld_agreement::calendar::{ByNextBusinessDay, CalendarDef, ExtraHours, Holiday, Hours, Pause, Weekly};

use super::walk::after;

/// SplitMix64: small, good enough, the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `from` to before `to`.
    pub(crate) fn number(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next() % (to - from).unsigned_abs()) as i64
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.next() as usize % from.len()]
    }
}

/// All zones, and their transitions that are not the usual hour.
pub(crate) struct Zones {
    names: Vec<String>,
    odd: Vec<(usize, Timestamp)>,
}

impl Zones {
    pub(crate) fn all() -> Self {
        let mut names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        names.retain(|name| TimeZone::get(name).is_ok_and(|tz| !tz.is_unknown()));
        names.sort();
        let mut odd = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let tz = TimeZone::get(name).unwrap();
            let mut offset = tz.to_offset(Timestamp::UNIX_EPOCH).seconds();
            for change in tz.following(Timestamp::UNIX_EPOCH).take_while(|change| change.timestamp() < year(2038)) {
                let moved = (change.offset().seconds() - offset).abs();
                let wall = tz.to_datetime(change.timestamp());
                let is_at_midnight = wall.hour() == 23 || wall.hour() < 2;
                if moved != 0 && (moved != 3600 || is_at_midnight) {
                    odd.push((index, change.timestamp()));
                }
                offset = change.offset().seconds();
            }
        }
        Self { names, odd }
    }

    pub(crate) fn count(&self) -> (usize, usize) {
        (self.names.len(), self.odd.len())
    }

    /// A zone and an instant of interest in it.
    fn draw(&self, dice: &mut Dice) -> (&str, Timestamp) {
        if dice.chance(40) {
            let (zone, at) = *dice.pick(&self.odd);
            return (&self.names[zone], at);
        }
        let name = dice.pick(&self.names);
        let last = if dice.chance(5) { year(9000) } else { year(2100) };
        let at = Timestamp::from_second(dice.number(0, last.as_second())).unwrap();
        let at = Timestamp::from_second(at.as_second() / 60 * 60).unwrap();
        if dice.chance(25) {
            return (name, at);
        }
        let change = TimeZone::get(name).unwrap().following(at).next().map(|change| change.timestamp());
        (name, change.filter(|change| *change < last).unwrap_or(at))
    }
}

/// A calendar and the instant about which it is asked.
pub(crate) struct Subject {
    pub(crate) def: CalendarDef,
    pub(crate) about: Timestamp,
    /// No boundary falls between steps of so many seconds from the epoch.
    pub(crate) step_s: i64,
}

impl Subject {
    pub(crate) fn draw(zones: &Zones, dice: &mut Dice) -> Self {
        let (tz, about) = zones.draw(dice);
        let zone = TimeZone::get(tz).unwrap();
        let is_whole = |days: i64| zone.to_offset(after(about, days * 86_400)).seconds() % 60 == 0;
        let is_whole = (-9..10).all(is_whole) && about.as_second() % 60 == 0;
        let step_s = if is_whole && dice.chance(92) { 60 } else { 1 };
        let def = CalendarDef { tz: tz.to_owned(), ..CalendarDef::default() };
        let mut subject = Self { def, about, step_s };
        subject.def = subject.other(dice);
        subject
    }

    /// Another calendar of the same zone, for another version.
    pub(crate) fn other(&self, dice: &mut Dice) -> CalendarDef {
        let wall = TimeZone::get(&self.def.tz).unwrap().to_datetime(self.about);
        let weekly = weekly(dice, wall.time());
        let mut def = CalendarDef { tz: self.def.tz.clone(), weekly, ..CalendarDef::default() };
        let near = |dice: &mut Dice| wall.date().checked_add(dice.number(-3, 4).days()).unwrap_or(wall.date());
        for _ in 0..dice.number(0, 3) {
            let on = near(dice);
            if (1900..3000).contains(&on.year()) {
                def.holidays.push(holiday(dice, on.to_string(), wall.time()));
            }
        }
        if dice.chance(30) {
            let on = near(dice);
            let on = if dice.chance(10) { "02-29".to_owned() } else { format!("{:02}-{:02}", on.month(), on.day()) };
            def.yearly_holidays.push(holiday(dice, on, wall.time()));
        }
        for _ in 0..dice.number(0, 3) {
            let (on, Hours(from, to)) = (near(dice), hours(dice, wall.time()));
            if (1900..2999).contains(&on.year()) {
                let counts_on_holiday = dice.chance(40);
                def.extra.push(ExtraHours { date: on.to_string(), from, to, counts_on_holiday });
            }
        }
        def
    }
}

/// One question about a calendar.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) start: Timestamp,
    /// As far as the oracle walks.
    pub(crate) end: Timestamp,
    pub(crate) target_s: u64,
    pub(crate) pauses: Vec<Pause>,
    /// R9, in windows that are long enough.
    pub(crate) rule: Option<ByNextBusinessDay>,
}

impl Question {
    pub(crate) fn draw(subject: &Subject, dice: &mut Dice) -> Self {
        let is_long = subject.step_s == 60 && dice.chance(5);
        let window_s = match (subject.step_s, is_long) {
            (60, true) => dice.number(5, 8) * 86_400,
            (60, false) => *dice.pick(&[6, 24, 36, 60]) * 3600,
            _ => dice.number(600, 3 * 3600),
        };
        let step_s = subject.step_s;
        let on_step = |seconds: i64| seconds.div_euclid(step_s) * step_s;
        let start = after(subject.about, -on_step(dice.number(0, window_s)));
        let at = |dice: &mut Dice| after(start, on_step(dice.number(-window_s / 4, window_s * 5 / 4)));
        let mut pauses = Vec::new();
        while pauses.len() < 4 && dice.chance(40) {
            let from = at(dice);
            let length = on_step(dice.number(0, window_s / 3));
            pauses.push(Pause { from, to: (!dice.chance(12)).then(|| after(from, length)) });
        }
        let longest = *dice.pick(&[1, window_s / 8, window_s / 3, window_s]);
        let target_s = on_step(dice.number(0, longest + 1)).unsigned_abs();
        let rule = is_long.then(|| ByNextBusinessDay {
            by: minute_of_day(dice),
            received_by: dice.chance(50).then(|| minute_of_day(dice)),
        });
        Self { start, end: after(start, on_step(window_s)), target_s, pauses, rule }
    }
}

fn minute_of_day(dice: &mut Dice) -> Time {
    Time::new(dice.number(0, 24) as i8, dice.number(0, 60) as i8, 0, 0).unwrap()
}

fn weekly(dice: &mut Dice, wall: Time) -> Weekly {
    let style = dice.number(0, 6);
    let mut day = || match style {
        0 => vec![Hours("00:00".into(), "24:00".into())],
        1 => vec![Hours("08:00".into(), "12:00".into()), Hours("13:00".into(), "18:00".into())],
        2 => vec![Hours("22:00".into(), "06:00".into())],
        3 => Vec::new(),
        _ => (0..dice.number(0, 4)).map(|_| hours(dice, wall)).collect(),
    };
    Weekly { mon: day(), tue: day(), wed: day(), thu: day(), fri: day(), sat: day(), sun: day() }
}

/// Hours that begin or end near what the wall clock shows at the instant of interest, or at midnight, or anywhere.
fn hours(dice: &mut Dice, wall: Time) -> Hours {
    let to = if dice.chance(15) { "24:00".to_owned() } else { clock(dice, wall) };
    Hours(clock(dice, wall), to)
}

fn clock(dice: &mut Dice, wall: Time) -> String {
    let here = i64::from(wall.hour()) * 60 + i64::from(wall.minute());
    let minute = match dice.number(0, 5) {
        0 => here,
        1 => here + dice.number(-130, 130),
        2 => dice.number(0, 48) * 30,
        3 => 0,
        _ => dice.number(0, 1440),
    };
    let minute = minute.rem_euclid(1440);
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn holiday(dice: &mut Dice, date: String, wall: Time) -> Holiday {
    let mut holiday = Holiday { date, ..Holiday::default() };
    if dice.chance(40) {
        let mut part = [clock(dice, wall), clock(dice, wall)];
        part.sort();
        let [from, to] = part;
        holiday.from = Some(from);
        holiday.to = dice.chance(70).then_some(to);
    }
    holiday
}

fn year(year: i16) -> Timestamp {
    let first: Date = date(year, 1, 1);
    first.to_zoned(TimeZone::UTC).unwrap().timestamp()
}
