//! `calendars/*.toml` and `holidays/*.toml`: when time counts.

use jiff::civil::Date;
use serde::Serialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, entries, shown},
    provider::Zone,
    scalar::wall_time,
    schema::Shape,
    source::{Located, Place},
};
use crate::{
    bands::{Band, BandRule},
    calendar::{CalendarDef, ExtraHours, Holiday, Hours, Weekly},
    words::BookName,
};

/// A coverage calendar as its file says it; its holidays are names still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CalendarFile {
    /// The zone, the hours and the extra hours, without holidays.
    pub hours: CalendarDef,
    /// The lists of holidays that it observes.
    pub holidays: Vec<Located<BookName>>,
    /// Named bands that partition all time; the first that matches wins.
    pub bands: Vec<Band>,
    /// Where the bands stand.
    #[serde(skip)]
    pub bands_place: Option<Place>,
    /// Its file.
    #[serde(skip)]
    pub place: Place,
}

/// A list of holidays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HolidayList {
    /// Its name.
    pub name: String,
    /// The last day for which the list is complete.
    pub valid_until: Option<Located<Date>>,
    /// Holidays on one date.
    pub dated: Vec<Holiday>,
    /// Holidays of every year.
    pub yearly: Vec<Holiday>,
}

impl CalendarFile {
    /// The calendar with the holidays of its lists inside; a list that the book lacks was refused before.
    pub fn with_holidays(&self, list: impl Fn(&BookName) -> Option<HolidayList>) -> CalendarDef {
        let mut def = self.hours.clone();
        for found in self.holidays.iter().filter_map(|name| list(name)) {
            def.holidays.extend(found.dated);
            def.yearly_holidays.extend(found.yearly);
        }
        def
    }
}

pub(crate) fn read_calendar(table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<CalendarFile> {
    let place = reading.start_of_file();
    let mut fields = Fields::top(table, "a calendar", reading);
    let zone = fields.required::<Zone>("time_zone", reading);
    let holidays = fields.list("holidays", reading);
    let weekly_node = fields.node("weekly");
    let extra_node = fields.node("extra");
    if weekly_node.is_none() && extra_node.is_none() {
        fields.missing("weekly", reading);
    }
    let weekly = weekly_node.and_then(|node| Weekly::read(node, reading)).unwrap_or_default();
    let extra = fields.list::<ExtraDay>("extra", reading).into_iter().flat_map(|day| day.0).collect();
    let bands_node = fields.node("bands");
    let bands = bands_node.map(|node| read_bands(node, reading)).unwrap_or_default();
    let bands_place = bands_node.map(|node| reading.place(node));
    fields.finish(reading);
    let hours = CalendarDef { tz: zone?.0, weekly, holidays: Vec::new(), yearly_holidays: Vec::new(), extra };
    Some(CalendarFile { hours, holidays, bands, bands_place, place })
}

impl Read for Weekly {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "weekly hours", reading)?;
        let [mon, tue, wed, thu, fri, sat, sun] = Self::DAYS.map(|day| fields.list::<Hours>(day, reading));
        let every: Vec<Hours> = fields.list("every-day", reading);
        fields.finish(reading);
        let day = |own: Vec<Hours>| own.into_iter().chain(every.iter().cloned()).collect();
        Some(Self {
            mon: day(mon),
            tue: day(tue),
            wed: day(wed),
            thu: day(thu),
            fri: day(fri),
            sat: day(sat),
            sun: day(sun),
        })
    }
}

impl Read for Hours {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let hours = text.split_once('-').map(|(from, to)| (from.trim(), to.trim()));
        match hours {
            Some((from, to)) if wall_time(from).is_some() && (to == "24:00" || wall_time(to).is_some()) => {
                if from == to {
                    let place = reading.place(value);
                    reading.report(
                        Diagnostic::new(
                            Code::EmptyHours,
                            &place,
                            "these hours end when they begin, so they cover nothing",
                        )
                        .help("a whole day is \"00:00-24:00\""),
                    );
                }
                Some(Self(from.to_owned(), to.to_owned()))
            }
            Some(_) | None => {
                reading.bad_value(value, format!("{:?} are not hours: write \"08:00-18:00\"", shown(&text)));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

/// The extra hours of one date.
struct ExtraDay(Vec<ExtraHours>);

impl Read for ExtraDay {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "extra hours", reading)?;
        let date = fields.required::<Date>("date", reading);
        let hours: Vec<Hours> = fields.list("hours", reading);
        if fields.node("hours").is_none() {
            fields.missing("hours", reading);
        }
        let counts_on_holiday = fields.optional("counts_on_holiday", reading).unwrap_or(false);
        fields.finish(reading);
        let date = date?.to_string();
        let extra = |Hours(from, to)| ExtraHours { date: date.clone(), from, to, counts_on_holiday };
        Some(Self(hours.into_iter().map(extra).collect()))
    }
}

fn read_bands(node: &Node<'_>, reading: &mut Reading<'_>) -> Vec<Band> {
    let found = entries(node, "bands", reading);
    found
        .into_iter()
        .filter_map(|(key, value)| {
            Some(Band { name: key.get_ref().to_string(), when: BandRule::read(value, reading)? })
        })
        .collect()
}

impl Read for BandRule {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if let DeValue::Table(_) = value.get_ref() {
            let mut fields = Fields::of(value, "a band", reading)?;
            let days: Vec<WeekDay> = fields.list("days", reading);
            fields.finish(reading);
            return Some(Self::Days(days.into_iter().map(|day| day.0).collect()));
        }
        match String::read(value, reading)?.as_str() {
            "holidays" => Some(Self::Holidays),
            "weekly" => Some(Self::Weekly),
            "rest" => Some(Self::Rest),
            other => {
                reading.unknown_word(value, "band", &shown(other), &["holidays", "weekly", "rest"]);
                None
            }
        }
    }
}

/// A day of the week, 0 is Monday.
pub(crate) struct WeekDay(pub(crate) usize);

impl Read for WeekDay {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let day = Weekly::DAYS.iter().position(|day| *day == text);
        if day.is_none() {
            reading.unknown_word(value, "day of the week", &shown(&text), &Weekly::DAYS);
        }
        day.map(Self)
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

pub(crate) fn read_holidays(table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<HolidayList> {
    let mut fields = Fields::top(table, "a list of holidays", reading);
    let name = fields.required("name", reading);
    let valid_until = fields.optional("valid_until", reading);
    let days: Vec<HolidayDay> = fields.list("days", reading);
    fields.finish(reading);
    let (mut dated, mut yearly) = (Vec::new(), Vec::new());
    for day in days {
        match day {
            HolidayDay::Dated(day) => dated.push(day),
            HolidayDay::Yearly(day) => yearly.push(day),
        }
    }
    Some(HolidayList { name: name?, valid_until, dated, yearly })
}

enum HolidayDay {
    Dated(Holiday),
    Yearly(Holiday),
}

impl Read for HolidayDay {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a holiday", reading)?;
        let date = fields.optional::<Date>("date", reading);
        let yearly = fields.optional::<YearlyDate>("yearly", reading);
        let from = fields.optional::<ClockText>("from", reading).map(|text| text.0);
        let to = fields.optional::<ClockText>("to", reading).map(|text| text.0);
        let name = fields.optional("name", reading);
        let given = (fields.node("date").is_some(), fields.node("yearly").is_some());
        let place = fields.place().clone();
        match given {
            (false, false) => fields.missing("date", reading),
            (true, true) => {
                let both = Diagnostic::new(Code::BadValue, &place, "a holiday has `date` or `yearly`, not both");
                reading.report(both.help("write two holidays"));
            }
            (true, false) | (false, true) => {}
        }
        if from.as_deref().unwrap_or("00:00") >= to.as_deref().unwrap_or("24:00") {
            let message = "this part of a holiday ends before it begins";
            let backwards = Diagnostic::new(Code::BadValue, &place, message);
            reading.report(backwards.help("a holiday is within one date: write one for each date"));
        }
        fields.finish(reading);
        let holiday = |date| Holiday { date, from, to, name };
        match (date, yearly) {
            (Some(date), None) => Some(Self::Dated(holiday(date.to_string()))),
            (None, Some(yearly)) => Some(Self::Yearly(holiday(yearly.0))),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}

/// `HH:MM` from 00:00 to 24:00.
struct ClockText(String);

impl Read for ClockText {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        if text == "24:00" || wall_time(&text).is_some() {
            return Some(Self(text));
        }
        reading.bad_value(value, format!("{:?} is not a time of day: write \"12:00\"", shown(&text)));
        None
    }
}

/// `MM-DD` of some year.
struct YearlyDate(String);

impl Read for YearlyDate {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        // 2024 is a leap year, so every date of any year is one of it.
        if text.len() == 5 && format!("2024-{text}").parse::<Date>().is_ok() {
            return Some(Self(text));
        }
        reading.bad_value(value, format!("{:?} is not a date of the year: write \"12-25\"", shown(&text)));
        None
    }
}
