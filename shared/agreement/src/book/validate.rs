//! What can be wrong between the parts of a book, once each of them could be read.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{Timestamp, civil::Date};

use super::{
    Book, CalendarFile,
    code::Code,
    diagnostic::{Diagnostic, Severity},
    nearest::nearest,
    source::{Files, Located, Place},
};
use crate::{
    bands::{Bands, BandsError},
    calendar::{Calendar, CalendarDef, CalendarWarning},
    words::BookName,
};

mod agreements;
mod catalogue;
mod dues;
mod plans;
mod sites;

use dues::Dues;

/// How many days ahead a list of holidays that ends is worth a warning.
const HOLIDAYS_WARN_DAYS: i32 = 90;

/// Reports everything that is wrong between the parts.
pub(crate) fn validate(book: &Book, files: &Files, found: &mut Vec<Diagnostic>) {
    let wrong = found.iter().filter(|found| found.severity() == Severity::Error);
    let wrong = wrong.map(|found| Arc::clone(&found.primary.place.file)).collect();
    let mut check = Check { book, files, wrong, found };
    let mut dues = Dues::of(book);
    check.calendars();
    catalogue::validate(&mut check);
    check.manufacturers();
    plans::validate(&mut check, &mut dues);
    sites::validate(&mut check);
    agreements::validate(&mut check, &mut dues);
}

/// The book under examination.
pub(super) struct Check<'a> {
    pub(super) book: &'a Book,
    files: &'a Files,
    /// The files with mistakes.
    wrong: BTreeSet<Arc<str>>,
    pub(super) found: &'a mut Vec<Diagnostic>,
}

impl Check<'_> {
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity() == Severity::Error {
            self.wrong.insert(Arc::clone(&diagnostic.primary.place.file));
        }
        self.found.push(diagnostic);
    }

    /// Whether something is wrong with a file already.
    pub(super) fn has_mistakes(&self, file: &str) -> bool {
        self.wrong.contains(file)
    }

    /// Whether the book has a file, readable or not.
    pub(super) fn has_file(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Reports a reference to a file that the book does not have. A file that is there and could not be read has
    /// been reported already.
    pub(super) fn reference(&mut self, what: &str, folder: &str, name: &Located<BookName>) {
        let is_ics = folder == "holidays" && self.has_file(&format!("{folder}/{}.ics", name.value));
        if is_ics || self.has_file(&format!("{folder}/{}.toml", name.value)) {
            return;
        }
        let there: Vec<&str> = self
            .files
            .keys()
            .filter_map(|path| Some(path.strip_prefix(folder)?.strip_prefix('/')?.rsplit_once('.')?.0))
            .collect();
        self.no_such_thing(what, name.as_str(), &name.place, &there);
    }

    pub(super) fn no_such_thing(&mut self, what: &str, name: &str, place: &Place, there: &[&str]) {
        let missing = Diagnostic::new(Code::NoSuchThing, place, format!("there is no {what} `{name}`"));
        self.report(match nearest(name, there.iter().copied()) {
            Some(meant) => missing.help(format!("did you mean `{meant}`?")),
            None if there.is_empty() => missing.help(format!("the book has no {what} at all")),
            None => missing.help(format!("there are {}", there.join(", "))),
        });
    }

    fn calendars(&mut self) {
        for (name, file) in &self.book.calendar_files {
            for list in &file.holidays {
                self.reference("list of holidays", "holidays", list);
            }
            // Hours and holidays that could not be read are missing in the calendar, so it says nothing.
            let lists = file
                .holidays
                .iter()
                .flat_map(|list| ["toml", "ics"].map(|end| format!("holidays/{}.{end}", list.value)));
            let was_read = lists.chain([file.place.file.to_string()]).all(|path| !self.has_mistakes(&path));
            let Some(def) = self.book.calendars.get(name).filter(|_| was_read) else { continue };
            match Calendar::compile(def) {
                Err(error) => {
                    let lists: Vec<String> =
                        file.holidays.iter().map(|list| format!("holidays/{}.toml", list.value)).collect();
                    let bad = Diagnostic::new(Code::BadCalendar, &file.place, error.to_string());
                    self.report(match lists.as_slice() {
                        [] => bad,
                        some => bad.help(format!("its holidays stand in {}", some.join(", "))),
                    });
                }
                Ok(calendar) if is_never_open(&calendar) => {
                    let message = format!("calendar `{name}` covers no time at all: no target can fall due");
                    let never = Diagnostic::new(Code::NeverOpen, &file.place, message);
                    self.report(never.help("write weekly hours that its holidays leave: mon = [\"08:00-18:00\"]"));
                }
                Ok(_) => {}
            }
            self.bands(file, def);
        }
    }

    /// E0215: bands partition all time or are refused.
    fn bands(&mut self, file: &CalendarFile, def: &CalendarDef) {
        let Some(place) = file.bands_place.as_ref() else { return };
        match Bands::compile(def, &file.bands) {
            Ok(_) | Err(BandsError::Calendar(_)) => {}
            Err(error) => {
                let bad = Diagnostic::new(Code::BadBands, place, error.to_string());
                self.report(bad.help("the last band is \"rest\": after-hours = \"rest\""));
            }
        }
    }

    fn manufacturers(&mut self) {
        for maker in self.book.manufacturers.values() {
            if let Some(hours) = maker.support.as_ref().and_then(|support| support.hours.as_ref()) {
                self.reference("calendar", "calendars", hours);
            }
        }
    }
}

/// Whether a calendar covers no instant of the two centuries that it knows, be it for its hours or for its holidays.
fn is_never_open(calendar: &Calendar) -> bool {
    calendar.warnings().contains(&CalendarWarning::CoversNothing) || calendar.next_opening(Timestamp::MIN).is_none()
}

/// W0107: a list of holidays ends within [`HOLIDAYS_WARN_DAYS`] of `today`, or has ended, while an agreement counts
/// under it for longer.
pub(crate) fn holidays_ending(book: &Book, today: Date) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (client, calendar, covered_until) in agreements::calendars_in_use(book, today) {
        let Some(file) = book.calendar_files.get(&calendar) else { continue };
        for list in file.holidays.iter().filter_map(|name| book.holidays.get(&name.value)) {
            let Some(valid_until) = &list.valid_until else { continue };
            let is_near = days_between(today, valid_until.value) <= HOLIDAYS_WARN_DAYS;
            let outlasts = covered_until.is_none_or(|until| until > valid_until.value);
            if list.dated.is_empty() || !is_near || !outlasts {
                continue;
            }
            let message = format!(
                "{} holidays end with {}; the coverage of `{client}` under calendar `{calendar}` goes on without them",
                list.dated.len(),
                valid_until.value
            );
            let ending = Diagnostic::new(Code::HolidaysEnd, &valid_until.place, message);
            let ending = ending.help("add the next year's dates and move `valid_until`");
            if !found.contains(&ending) {
                found.push(ending);
            }
        }
    }
    found
}

fn days_between(from: Date, to: Date) -> i32 {
    from.until(to).map_or(i32::MAX, |span| span.get_days())
}
