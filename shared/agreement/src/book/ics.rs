//! `holidays/*.ics`: a list of holidays as an iCalendar file (RFC 5545), as countries and companies publish them.
//!
//! Read are whole days, several days in a row, parts of a day in floating time (which is that of the calendar that
//! observes the list), and events that repeat every year on their date. What cannot be said exactly with dates (a time
//! in a zone of its own, the fourth Thursday of a month, exceptions) is refused by name: a holiday that is silently
//! left out would count as a working day. Cancelled events are no holidays. The list is taken to be complete until the
//! end of the year of its last dated event, so that `book check` can warn before it runs out.

use std::ops::Range;

use jiff::{
    ToSpan,
    civil::{Date, Time, date},
};

use super::{
    calendars::HolidayList,
    code::Code,
    diagnostic::Diagnostic,
    fields::{Reading, shown},
    source::Located,
};
use crate::calendar::Holiday;

/// The most days of one event.
const EVENT_DAYS_MAX: usize = 366;

/// The most years of one event that ends.
const EVENT_YEARS_MAX: i16 = 200;

/// One content line, unfolded.
struct Line {
    name: String,
    parameters: String,
    value: String,
    span: Range<usize>,
}

/// The lines of an event that say when it is.
#[derive(Default)]
struct Event {
    summary: Option<String>,
    start: Option<Line>,
    end: Option<Line>,
    rule: Option<Line>,
    /// A line that changes the dates in a way that is not read.
    unread: Option<Line>,
    is_cancelled: bool,
}

/// A start or an end.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Moment {
    Day(Date),
    At(Date, Time),
}

/// A date, and the part of it where it is not the whole: from when, and until when where that is not its end.
type Day = (Date, Option<(Time, Option<Time>)>);

/// How often an event takes place.
enum Repeats {
    Once,
    EveryYear,
    Years(i16),
    Until(Date),
}

pub(crate) fn read(name: &str, text: &str, reading: &mut Reading<'_>) -> Option<HolidayList> {
    let lines = unfolded(text);
    let is_one = lines.first().is_some_and(|line| line.name == "BEGIN" && line.value == "VCALENDAR");
    if !is_one || !lines.last().is_some_and(|line| line.name == "END" && line.value == "VCALENDAR") {
        report(Code::Syntax, 0..0, "the file is not an iCalendar file, from BEGIN:VCALENDAR to END:VCALENDAR", reading);
        return None;
    }
    let mut list = HolidayList { name: name.to_owned(), valid_until: None, dated: Vec::new(), yearly: Vec::new() };
    let mut event: Option<Event> = None;
    // Below an event may stand others, alarms for example: theirs are not its lines.
    let mut depth = 0;
    for line in lines {
        match (line.name.as_str(), &mut event) {
            ("BEGIN", None) if line.value == "VEVENT" => event = Some(Event::default()),
            ("BEGIN", Some(_)) => depth += 1,
            ("END", Some(_)) if depth > 0 => depth -= 1,
            ("END", Some(_)) => {
                if let Some(event) = event.take() {
                    event.add_to(&mut list, line.span, reading);
                }
            }
            (_, Some(event)) if depth == 0 => event.take(line),
            ("X-WR-CALNAME", None) => list.name = unescaped(&line.value),
            (_, Some(_) | None) => {}
        }
    }
    Some(list)
}

impl Event {
    fn take(&mut self, line: Line) {
        match line.name.as_str() {
            "SUMMARY" => self.summary = Some(unescaped(&line.value)),
            "DTSTART" => self.start = Some(line),
            "DTEND" => self.end = Some(line),
            "RRULE" => self.rule = Some(line),
            "DURATION" | "RDATE" | "EXDATE" | "EXRULE" | "RECURRENCE-ID" => self.unread = Some(line),
            "STATUS" => self.is_cancelled = line.value.eq_ignore_ascii_case("CANCELLED"),
            _ => {}
        }
    }

    fn add_to(self, list: &mut HolidayList, end_of_event: Range<usize>, reading: &mut Reading<'_>) {
        if self.is_cancelled {
            return;
        }
        if let Some(line) = &self.unread {
            let message = format!("{} of a holiday is known but not built yet", line.name);
            return report(Code::NotBuilt, line.span.clone(), message, reading);
        }
        let Some(start) = &self.start else {
            return report(Code::MissingKey, end_of_event, "the event has no DTSTART", reading);
        };
        let Some(from) = moment(start, reading) else { return };
        let to = match &self.end {
            None => None,
            Some(line) => match moment(line, reading) {
                Some(to) => Some(to),
                None => return,
            },
        };
        let repeats = match &self.rule {
            None => Some(Repeats::Once),
            Some(line) => repeats(line, from, reading),
        };
        let (Some(repeats), Some(days)) = (repeats, self.days(from, to, start, reading)) else { return };
        self.write(&days, &repeats, start, list, reading);
    }

    /// The dates of the event in its first year, each with the part of it.
    fn days(&self, from: Moment, to: Option<Moment>, line: &Line, reading: &mut Reading<'_>) -> Option<Vec<Day>> {
        let midnight = Time::midnight();
        match (from, to) {
            (Moment::Day(day), None) => return Some(vec![(day, None)]),
            // The end is the first day after the holiday.
            (Moment::Day(first), Some(Moment::Day(end))) if end > first => {
                let days: Vec<_> =
                    first.series(1.day()).take_while(|day| *day < end).take(EVENT_DAYS_MAX + 1).collect();
                if days.len() <= EVENT_DAYS_MAX {
                    return Some(days.into_iter().map(|day| (day, None)).collect());
                }
            }
            (Moment::At(day, from), Some(Moment::At(end, to))) if end == day && to > from => {
                return Some(vec![(day, Some((from, Some(to))))]);
            }
            (Moment::At(day, from), Some(Moment::At(end, to)))
                if to == midnight && day.tomorrow().is_ok_and(|next| next == end) =>
            {
                return Some(vec![(day, Some((from, None)))]);
            }
            (Moment::Day(_) | Moment::At(..), Some(_)) | (Moment::At(..), None) => {}
        }
        let message = "the event is neither whole days, at most 366, nor a part of one day";
        report(Code::BadValue, line.span.clone(), message, reading);
        None
    }

    fn write(&self, days: &[Day], repeats: &Repeats, line: &Line, list: &mut HolidayList, reading: &Reading<'_>) {
        let clock = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        for (day, part) in days {
            let holiday = |date: String| Holiday {
                date,
                from: part.map(|(from, _)| clock(from)),
                to: part.and_then(|(_, to)| to).map(clock),
                name: self.summary.clone(),
            };
            let years = match repeats {
                Repeats::EveryYear => {
                    list.yearly.push(holiday(format!("{:02}-{:02}", day.month(), day.day())));
                    continue;
                }
                Repeats::Once => 1,
                Repeats::Years(count) => *count,
                Repeats::Until(last) => (last.year() - day.year() + 1).clamp(0, EVENT_YEARS_MAX),
            };
            for year in day.year()..day.year().saturating_add(years) {
                // The 29th of February is in leap years only, as RFC 5545 has it.
                let Ok(date) = Date::new(year, day.month(), day.day()) else { continue };
                if matches!(repeats, Repeats::Until(last) if date > *last) {
                    continue;
                }
                list.dated.push(holiday(date.to_string()));
                let complete = self::date(year, 12, 31);
                if list.valid_until.as_ref().is_none_or(|until| until.value < complete) {
                    let place = reading.stretch(line.span.clone());
                    list.valid_until = Some(Located { value: complete, place });
                }
            }
        }
    }
}

/// `FREQ=YEARLY` on the date of the event, with `COUNT` or `UNTIL` where it ends.
fn repeats(line: &Line, from: Moment, reading: &mut Reading<'_>) -> Option<Repeats> {
    let (Moment::Day(day) | Moment::At(day, _)) = from;
    let mut found = None;
    for part in line.value.split(';') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let same = |number: i8| value.parse() == Ok(number);
        match key {
            "FREQ" if value == "YEARLY" => found = found.or(Some(Repeats::EveryYear)),
            "INTERVAL" if value == "1" => {}
            "BYMONTH" if same(day.month()) => {}
            "BYMONTHDAY" if same(day.day()) => {}
            "WKST" => {}
            "COUNT" => {
                found = value.parse().ok().filter(|count| (1..=EVENT_YEARS_MAX).contains(count)).map(Repeats::Years);
            }
            "UNTIL" => found = value.get(..8).and_then(basic_date).map(Repeats::Until),
            _ => {
                let message = format!("a holiday that repeats by {} is known but not built yet", shown(part));
                let unread = Diagnostic::new(Code::NotBuilt, &reading.stretch(line.span.clone()), message);
                reading.report(unread.help("write its dates one by one, or FREQ=YEARLY on its date"));
                return None;
            }
        }
    }
    let is_yearly = line.value.split(';').any(|part| part == "FREQ=YEARLY");
    if !is_yearly || found.is_none() {
        report(Code::BadValue, line.span.clone(), "the rule is not one that can be read", reading);
        return None;
    }
    found
}

fn moment(line: &Line, reading: &mut Reading<'_>) -> Option<Moment> {
    let value = line.value.as_str();
    if line.parameters.contains("TZID=") || value.ends_with('Z') {
        let message = "a part of a holiday in a zone of its own is known but not built yet";
        let unread = Diagnostic::new(Code::NotBuilt, &reading.stretch(line.span.clone()), message);
        reading.report(unread.help("write it in floating time, 20261224T120000: it is that of the calendar"));
        return None;
    }
    let found = match value.split_once('T') {
        None => basic_date(value).map(Moment::Day),
        Some((day, time)) => basic_date(day).zip(basic_time(time)).map(|(day, time)| Moment::At(day, time)),
    };
    if found.is_none() {
        let message = format!("{:?} is not a date or a time to the minute of the calendar", shown(value));
        report(Code::BadValue, line.span.clone(), message, reading);
    }
    found
}

fn basic_date(text: &str) -> Option<Date> {
    let digits = (text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)?;
    Date::new(digits[..4].parse().ok()?, digits[4..6].parse().ok()?, digits[6..].parse().ok()?).ok()
}

/// `HHMM00`: coverage is cut at minutes.
fn basic_time(text: &str) -> Option<Time> {
    let digits = (text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)?;
    Time::new(digits[..2].parse().ok()?, digits[2..4].parse().ok()?, 0, 0).ok().filter(|_| digits.ends_with("00"))
}

/// The content lines: a line that begins with a space or a tab goes on with the one before it.
fn unfolded(text: &str) -> Vec<Line> {
    let mut whole: Vec<(String, Range<usize>)> = Vec::new();
    let mut begins = 0;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\r', '\n']);
        let span = begins..begins + line.len();
        begins += raw.len();
        match (line.strip_prefix([' ', '\t']), whole.last_mut()) {
            (Some(rest), Some((before, before_span))) => {
                before.push_str(rest);
                before_span.end = span.end;
            }
            (_, _) if line.is_empty() => {}
            (_, _) => whole.push((line.to_owned(), span)),
        }
    }
    whole.into_iter().map(|(line, span)| split(&line, span)).collect()
}

/// `NAME;PARAMETER=…:value`; a colon within quotes belongs to a parameter.
fn split(line: &str, span: Range<usize>) -> Line {
    let mut is_quoted = false;
    let colon = line.find(|letter| {
        is_quoted ^= letter == '"';
        letter == ':' && !is_quoted
    });
    let (head, value) = colon.map_or((line, ""), |at| (&line[..at], &line[at + 1..]));
    let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
    Line {
        name: name.trim_start_matches('\u{feff}').to_ascii_uppercase(),
        parameters: parameters.to_ascii_uppercase(),
        value: value.trim().to_owned(),
        span,
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n' | 'N') => plain.push(' '),
                Some(other) => plain.push(other),
                None => {}
            },
            (plain_letter, false) => plain.push(plain_letter),
        }
    }
    shown(&plain)
}

fn report(code: Code, span: Range<usize>, message: impl Into<String>, reading: &mut Reading<'_>) {
    let place = reading.stretch(span);
    reading.report(Diagnostic::new(code, &place, message));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(events: &str) -> (Option<HolidayList>, Vec<(Code, String)>) {
        let text =
            format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Office\\, north\r\n{events}END:VCALENDAR\r\n");
        let (mut found, mut kept) = (Vec::new(), Vec::new());
        let list = read("us", &text, &mut Reading::new("holidays/us.ics", None, &mut found, &mut kept));
        let found = found
            .into_iter()
            .map(|error| (error.code, text[error.primary.place.from..error.primary.place.to].to_owned()));
        (list, found.collect())
    }

    fn event(lines: &str) -> String {
        format!("BEGIN:VEVENT\r\nUID:1\r\n{}\r\nEND:VEVENT\r\n", lines.replace('\n', "\r\n"))
    }

    fn days(holidays: &[Holiday]) -> Vec<String> {
        let part = |holiday: &Holiday| match (&holiday.from, &holiday.to) {
            (None, None) => String::new(),
            (from, to) => format!(" {}-{}", from.as_deref().unwrap_or_default(), to.as_deref().unwrap_or("24:00")),
        };
        holidays.iter().map(|holiday| format!("{}{}", holiday.date, part(holiday))).collect()
    }

    #[test]
    fn whole_days_several_days_and_parts_of_a_day_are_holidays() {
        let events = [
            "DTSTART;VALUE=DATE:20261126\nSUMMARY:Thanks\n giving\\, at last",
            "DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227\nTRANSP:TRANSPARENT",
            "DTSTART:20261231T120000\nDTEND:20270101T000000",
            "DTSTART:20261130T080000\nDTEND:20261130T093000\nBEGIN:VALARM\nDTSTART:junk\nEND:VALARM",
            "DTSTART;VALUE=DATE:20261001\nSTATUS:CANCELLED",
        ];
        let (list, found) = list(&events.map(event).concat());
        let list = list.unwrap();
        assert_eq!(found, []);
        let expected = [
            "2026-11-26",
            "2026-12-24",
            "2026-12-25",
            "2026-12-26",
            "2026-12-31 12:00-24:00",
            "2026-11-30 08:00-09:30",
        ];
        assert_eq!(days(&list.dated), expected);
        assert_eq!(list.dated[0].name.as_deref(), Some("Thanksgiving, at last"));
        assert_eq!(
            (list.name.as_str(), list.valid_until.map(|until| until.value)),
            ("Office, north", Some(date(2026, 12, 31)))
        );
    }

    #[test]
    fn every_year_is_for_ever_or_as_long_as_it_says() {
        let of = |rule: &str| {
            let (list, found) = list(&event(&format!("DTSTART;VALUE=DATE:20240229\nRRULE:{rule}")));
            assert_eq!(found, []);
            let list = list.unwrap();
            (days(&list.dated), days(&list.yearly))
        };
        assert_eq!(of("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"), (vec![], vec!["02-29".to_owned()]));
        assert_eq!(of("FREQ=YEARLY;UNTIL=20280301").0, ["2024-02-29", "2028-02-29"]);
        assert_eq!(of("COUNT=5;FREQ=YEARLY").0, ["2024-02-29", "2028-02-29"]);
    }

    #[test]
    fn what_cannot_be_said_exactly_is_refused_where_it_stands() {
        for (lines, code, at) in [
            (
                "DTSTART;VALUE=DATE:20261126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
                Code::NotBuilt,
                "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
            ),
            ("DTSTART;VALUE=DATE:20261126\nRRULE:COUNT=3", Code::BadValue, "RRULE:COUNT=3"),
            ("DTSTART;VALUE=DATE:20261126\nEXDATE;VALUE=DATE:20271126", Code::NotBuilt, "EXDATE;VALUE=DATE:20271126"),
            (
                "DTSTART;TZID=Europe/Vienna:20261224T120000",
                Code::NotBuilt,
                "DTSTART;TZID=Europe/Vienna:20261224T120000",
            ),
            ("DTSTART:20261224T120000Z", Code::NotBuilt, "DTSTART:20261224T120000Z"),
            ("DTSTART;VALUE=DATE:20260230", Code::BadValue, "DTSTART;VALUE=DATE:20260230"),
            ("DTSTART:20261224T120000", Code::BadValue, "DTSTART:20261224T120000"),
            ("DTSTART;VALUE=DATE:20261226\nDTEND;VALUE=DATE:20261224", Code::BadValue, "DTSTART;VALUE=DATE:20261226"),
            ("DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:99991231", Code::BadValue, "DTSTART;VALUE=DATE:20260101"),
            ("SUMMARY:never", Code::MissingKey, "END:VEVENT"),
        ] {
            assert_eq!(list(&event(lines)).1, [(code, at.to_owned())], "{lines}");
        }
        let (mut found, mut kept) = (Vec::new(), Vec::new());
        for text in ["", "name = \"x\"", "BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "\u{feff}é"] {
            assert!(read("us", text, &mut Reading::new("holidays/us.ics", None, &mut found, &mut kept)).is_none());
        }
        assert!(found.len() == 4 && found.iter().all(|error| error.code == Code::Syntax));
    }
}
