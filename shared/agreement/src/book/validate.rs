//! What can be wrong between the parts of a book, once each of them could be read.

use jiff::civil::Date;

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
mod plans;
mod sites;

/// How many days ahead a list of holidays that ends is worth a warning.
const HOLIDAYS_WARN_DAYS: i32 = 90;

/// Reports everything that is wrong between the parts.
pub(crate) fn validate(book: &Book, files: &Files, found: &mut Vec<Diagnostic>) {
    let mut check = Check { book, files, found };
    check.calendars();
    check.catalogue();
    check.manufacturers();
    plans::validate(&mut check);
    sites::validate(&mut check);
    agreements::validate(&mut check);
}

/// The book under examination.
pub(super) struct Check<'a> {
    pub(super) book: &'a Book,
    files: &'a Files,
    pub(super) found: &'a mut Vec<Diagnostic>,
}

impl Check<'_> {
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Whether something is wrong with a file already.
    pub(super) fn has_mistakes(&self, file: &str) -> bool {
        self.found.iter().any(|found| found.severity() == Severity::Error && &*found.primary.place.file == file)
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
                Ok(calendar) if calendar.warnings().contains(&CalendarWarning::CoversNothing) => {
                    let message = format!("calendar `{name}` covers no time at all: no target can fall due");
                    self.report(Diagnostic::new(Code::NeverOpen, &file.place, message));
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

    fn catalogue(&mut self) {
        let catalogue = &self.book.catalogue;
        let mut catch_all: Option<&Place> = None;
        let mut seen: Vec<&Located<String>> = Vec::new();
        for issue in &catalogue.issues {
            if let Some(first) = seen.iter().find(|first| first.value == issue.id.value) {
                let message = format!("issue `{}` is there twice", issue.id.value);
                let twice = Diagnostic::new(Code::Twice, &issue.id.place, message).other(&first.place, "the first one");
                self.report(twice);
            }
            seen.push(&issue.id);
            if let Some(first) = catch_all {
                let message = format!("issue `{}` can never match", issue.id.value);
                let unreachable = Diagnostic::new(Code::Unreachable, &issue.id.place, message);
                self.report(unreachable.other(first, "this one matches everything, and the first match wins"));
            } else if issue.matches.is_catch_all() {
                catch_all = Some(&issue.id.place);
            }
        }
        // A catalogue that could not be read has been reported already, and stands here without entries.
        let was_read = !self.has_mistakes(&catalogue.place.file);
        if catch_all.is_none() && was_read {
            let missing = Diagnostic::new(
                Code::NoCatchAll,
                &catalogue.place,
                "the catalogue has no entry that matches everything",
            );
            self.report(missing.help("end it with an entry that has `match = {}`"));
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
