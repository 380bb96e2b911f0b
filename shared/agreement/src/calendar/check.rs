//! From what is written to what is meant: every text of a [`CalendarDef`] is read here, once.

use std::collections::BTreeMap;

use jiff::{civil::Date, tz::TimeZone};

use super::{
    CalendarDef, CalendarError, CalendarWarning, Holiday, Hours, Place, Weekly, YEAR_MAX, YEAR_MIN, stretch::Stretch,
};

/// Seconds of a local date, so that `24:00` is a number like any other.
pub(super) const DAY_S: i64 = 86_400;

/// The most hours of one weekday, dated holidays, extra hours, and yearly holidays (two for each date). They bound
/// the compiled calendar to some tens of megabytes; a real one has a few dozen entries and some 200 kB.
const HOURS_A_DAY_MAX: usize = 1_440;
const DATED_MAX: usize = 100_000;
const YEARLY_MAX: usize = 732;

/// A calendar without texts. Hours that run over midnight are two stretches, one on each date: a holiday then
/// removes its own date only (R3).
pub(super) struct Checked {
    pub tz: TimeZone,
    pub zone_name: String,
    /// From Monday to Sunday.
    pub weekly: [Vec<Stretch<i64, ()>>; 7],
    pub dated: Vec<(Date, Special)>,
    pub yearly: Vec<YearlyPart>,
    pub names: Vec<Option<String>>,
    pub warnings: Vec<CalendarWarning>,
}

/// A holiday that comes back each year on the same date.
pub(super) struct YearlyPart {
    pub month: i8,
    pub day: i8,
    pub special: Special,
}

/// What one date has beside its weekday's hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Special {
    Holiday(Stretch<i64, u32>),
    Extra(Stretch<i64, ()>),
    ExtraOnHoliday(Stretch<i64, ()>),
}

impl Checked {
    pub(super) fn read(def: &CalendarDef) -> Result<Self, CalendarError> {
        check_sizes(def)?;
        let (tz, zone_name) = zone(&def.tz)?;
        let mut checked = Self {
            tz,
            zone_name,
            weekly: Default::default(),
            dated: Vec::new(),
            yearly: Vec::new(),
            names: Vec::new(),
            warnings: Vec::new(),
        };
        checked.read_weekly(&def.weekly)?;
        checked.read_holidays(def)?;
        checked.read_extra(def)?;
        let extra = |(_, special): &(Date, Special)| !matches!(special, Special::Holiday(_));
        if checked.weekly.iter().all(Vec::is_empty) && !checked.dated.iter().any(extra) {
            checked.warnings.push(CalendarWarning::CoversNothing);
        }
        Ok(checked)
    }

    fn read_weekly(&mut self, weekly: &Weekly) -> Result<(), CalendarError> {
        for (day, hours) in weekly.days().into_iter().enumerate() {
            for (index, Hours(from, to)) in hours.iter().enumerate() {
                let [today, tomorrow] = self.hours(Place::Weekly { day, index }, from, to)?;
                self.weekly[day].extend(today);
                self.weekly[(day + 1) % 7].extend(tomorrow);
            }
        }
        Ok(())
    }

    fn read_holidays(&mut self, def: &CalendarDef) -> Result<(), CalendarError> {
        let mut names = BTreeMap::new();
        let mut number = |name: &Option<String>| {
            let next = u32::try_from(names.len()).unwrap_or(u32::MAX);
            *names.entry(name.clone()).or_insert(next)
        };
        for (index, holiday) in def.holidays.iter().enumerate() {
            let place = Place::Holiday { index };
            let date = date(place, &holiday.date)?;
            if let Some((from, to)) = self.part(place, holiday)? {
                self.dated.push((date, Special::Holiday(Stretch { from, to, tag: number(&holiday.name) })));
            }
        }
        for (index, holiday) in def.yearly_holidays.iter().enumerate() {
            let place = Place::YearlyHoliday { index };
            let (month, day) = yearly_date(place, &holiday.date)?;
            if let Some((from, to)) = self.part(place, holiday)? {
                let special = Special::Holiday(Stretch { from, to, tag: number(&holiday.name) });
                self.yearly.push(YearlyPart { month, day, special });
            }
        }
        let mut numbered: Vec<_> = names.into_iter().collect();
        numbered.sort_by_key(|(_, number)| *number);
        self.names = numbered.into_iter().map(|(name, _)| name).collect();
        Ok(())
    }

    fn read_extra(&mut self, def: &CalendarDef) -> Result<(), CalendarError> {
        for (index, extra) in def.extra.iter().enumerate() {
            let place = Place::Extra { index };
            let date = date(place, &extra.date)?;
            let [today, tomorrow] = self.hours(place, &extra.from, &extra.to)?;
            let special = if extra.counts_on_holiday { Special::ExtraOnHoliday } else { Special::Extra };
            self.dated.extend(today.map(|stretch| (date, special(stretch))));
            if let (Some(stretch), Ok(next)) = (tomorrow, date.tomorrow()) {
                self.dated.push((next, special(stretch)));
            }
        }
        Ok(())
    }

    /// Hours as their stretch on the date where they begin and the one on the next date.
    fn hours(&mut self, place: Place, from: &str, to: &str) -> Result<[Option<Stretch<i64, ()>>; 2], CalendarError> {
        let (from, to) = (clock(place, from)?, clock(place, to)?);
        let stretch = |from, to| (from < to).then_some(Stretch { from, to, tag: () });
        if from == DAY_S {
            return Err(CalendarError::BeginsAtMidnightsEnd { place });
        }
        if from == to {
            self.warnings.push(CalendarWarning::Empty { place });
        }
        Ok(if to < from { [stretch(from, DAY_S), stretch(0, to)] } else { [stretch(from, to), None] })
    }

    fn part(&mut self, place: Place, holiday: &Holiday) -> Result<Option<(i64, i64)>, CalendarError> {
        let from = holiday.from.as_deref().map_or(Ok(0), |text| clock(place, text))?;
        let to = holiday.to.as_deref().map_or(Ok(DAY_S), |text| clock(place, text))?;
        if to < from {
            return Err(CalendarError::PartEndsFirst { place });
        }
        if to == from {
            self.warnings.push(CalendarWarning::Empty { place });
        }
        Ok((from < to).then_some((from, to)))
    }
}

fn check_sizes(def: &CalendarDef) -> Result<(), CalendarError> {
    let bound = |what, count, max| if count > max { Err(CalendarError::TooMany { what, count, max }) } else { Ok(()) };
    for (key, hours) in Weekly::DAYS.into_iter().zip(def.weekly.days()) {
        bound(key, hours.len(), HOURS_A_DAY_MAX)?;
    }
    bound("holidays", def.holidays.len(), DATED_MAX)?;
    bound("yearly_holidays", def.yearly_holidays.len(), YEARLY_MAX)?;
    bound("extra", def.extra.len(), DATED_MAX)
}

fn zone(name: &str) -> Result<(TimeZone, String), CalendarError> {
    if name.is_empty() {
        return Err(CalendarError::NoZone);
    }
    let unknown = || CalendarError::UnknownZone { tz: cut(name) };
    let tz = TimeZone::get(name).map_err(|_| unknown())?;
    if tz.is_unknown() {
        return Err(unknown());
    }
    let spelt = tz.iana_name().unwrap_or(name).to_owned();
    Ok((tz, spelt))
}

/// `HH:MM` in seconds of the day, `24:00` too.
fn clock(place: Place, text: &str) -> Result<i64, CalendarError> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60;
        (minute < 60 && seconds <= DAY_S).then_some(seconds)
    };
    read().ok_or_else(|| CalendarError::Clock { place, text: cut(text) })
}

fn date(place: Place, text: &str) -> Result<Date, CalendarError> {
    let read = || {
        let (century, rest) = text.split_at_checked(2)?;
        let (year, rest) = rest.split_at_checked(2)?;
        let (month, day) = month_and_day(rest.strip_prefix('-')?)?;
        let year = i16::from(two_digits(century)?) * 100 + i16::from(two_digits(year)?);
        let date = Date::new(year, month, day).ok()?;
        (YEAR_MIN..=YEAR_MAX).contains(&year).then_some(date)
    };
    read().ok_or_else(|| CalendarError::Date { place, text: cut(text) })
}

fn yearly_date(place: Place, text: &str) -> Result<(i8, i8), CalendarError> {
    const A_LEAP_YEAR: i16 = 2000;
    month_and_day(text)
        .filter(|(month, day)| Date::new(A_LEAP_YEAR, *month, *day).is_ok())
        .ok_or_else(|| CalendarError::YearlyDate { place, text: cut(text) })
}

fn month_and_day(text: &str) -> Option<(i8, i8)> {
    let (month, day) = text.split_once('-')?;
    Some((two_digits(month)?, two_digits(day)?))
}

fn two_digits(text: &str) -> Option<i8> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::ExtraHours;

    fn in_utc() -> CalendarDef {
        CalendarDef { tz: "UTC".into(), ..CalendarDef::default() }
    }

    fn refusal(def: &CalendarDef) -> String {
        Checked::read(def).map(|_| ()).unwrap_err().to_string()
    }

    fn on(date: &str) -> Holiday {
        Holiday { date: date.into(), ..Holiday::default() }
    }

    #[test]
    fn a_zone_must_be_there_and_known() {
        assert!(refusal(&CalendarDef::default()).starts_with("the calendar has no time zone"));
        for tz in ["America/Nowhere", "Etc/Unknown", "../etc/passwd", " UTC", "+02:00"] {
            let def = CalendarDef { tz: tz.into(), ..CalendarDef::default() };
            assert!(refusal(&def).contains("is not a time zone"), "{tz}");
        }
    }

    #[test]
    fn clock_texts_are_read_strictly() {
        let at = Place::Extra { index: 0 };
        for (text, seconds) in [("00:00", 0), ("09:30", 34_200), ("23:59", 86_340), ("24:00", 86_400)] {
            assert_eq!(clock(at, text), Ok(seconds), "{text}");
        }
        for text in ["", "9:00", "24:01", "25:00", "12:60", "12", "12:0", "12:000", "-1:00", "+1:00", "12:00 ", "1é:00"]
        {
            assert!(clock(at, text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_that_no_calendar_has_are_refused() {
        for text in
            ["2025-02-29", "2025-13-01", "2025-00-10", "2025-1-1", "20250101", "1899-12-31", "3000-01-01", "é-é"]
        {
            let def = CalendarDef { holidays: vec![on(text)], ..in_utc() };
            assert!(refusal(&def).starts_with("holidays[0]: "), "{text}");
        }
        for text in ["02-30", "13-01", "2025-12-25", "1-1", "12-32", "00-01"] {
            let def = CalendarDef { yearly_holidays: vec![on(text)], ..in_utc() };
            assert!(refusal(&def).starts_with("yearly_holidays[0]: "), "{text}");
        }
        assert!(Checked::read(&CalendarDef { yearly_holidays: vec![on("02-29")], ..in_utc() }).is_ok());
    }

    #[test]
    fn hours_over_midnight_are_two_stretches() {
        let weekly = Weekly { sun: vec![Hours("22:00".into(), "06:00".into())], ..Weekly::default() };
        let checked = Checked::read(&CalendarDef { weekly, ..in_utc() }).unwrap();
        assert_eq!(checked.weekly[6], [Stretch { from: 79_200, to: 86_400, tag: () }]);
        assert_eq!(checked.weekly[0], [Stretch { from: 0, to: 21_600, tag: () }]);
    }

    #[test]
    fn empty_hours_are_a_warning_and_nothing_else() {
        let weekly = Weekly { mon: vec![Hours("09:00".into(), "09:00".into())], ..Weekly::default() };
        let checked = Checked::read(&CalendarDef { weekly, ..in_utc() }).unwrap();
        let empty = CalendarWarning::Empty { place: Place::Weekly { day: 0, index: 0 } };
        assert_eq!(checked.warnings, [empty, CalendarWarning::CoversNothing]);
    }

    #[test]
    fn a_mistake_names_its_place() {
        let extra =
            ExtraHours { date: "2025-11-29".into(), from: "24:00".into(), to: "10:00".into(), ..Default::default() };
        let late = CalendarDef { extra: vec![extra], ..in_utc() };
        assert!(refusal(&late).starts_with("extra[0]: hours cannot begin at 24:00"));
        let part = Holiday { from: Some("18:00".into()), to: Some("12:00".into()), ..on("2025-12-24") };
        let backwards = CalendarDef { holidays: vec![on("2025-12-25"), part], ..in_utc() };
        assert!(refusal(&backwards).starts_with("holidays[1]: the part ends before it begins"));
        let weekly = Weekly { wed: vec![Hours("08:00".into(), "18.00".into())], ..Weekly::default() };
        assert!(refusal(&CalendarDef { weekly, ..in_utc() }).starts_with("weekly.wed[0]: \"18.00\""));
    }

    #[test]
    fn sizes_are_bounded() {
        let many = CalendarDef { holidays: vec![on("2025-12-25"); 100_001], ..in_utc() };
        assert_eq!(refusal(&many), "holidays has 100001 entries, at most 100000 are allowed");
    }
}
