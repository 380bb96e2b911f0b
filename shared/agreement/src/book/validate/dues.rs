//! When targets fall due, start by start: two of them are compared by what they promise and not by how they are written.
//!
//! Eight weeks of starts, three hours apart, across a change to summer time: hours, weekends and cut-offs all show. A
//! target that is later than another at each of them is later at any hour that a person would think of.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::{
    book::{Book, TargetTerms},
    calendar::{ByNextBusinessDay, Calendar, Due},
    terms::Within,
    words::BookName,
};

/// 2026-03-02T00:00:00Z, a Monday.
const FIRST_START_S: i64 = 1_772_409_600;
const STARTS: i64 = 8 * 7 * 8;
const STEP_S: i64 = 3 * 3600;

/// The calendars of a book, compiled as they are asked for.
pub(super) struct Dues<'a> {
    book: &'a Book,
    calendars: BTreeMap<&'a BookName, Option<Calendar>>,
    /// By where the target is written.
    at_starts: BTreeMap<&'a str, Option<Arc<[Timestamp]>>>,
}

impl<'a> Dues<'a> {
    pub(super) fn of(book: &'a Book) -> Self {
        Self { book, calendars: BTreeMap::new(), at_starts: BTreeMap::new() }
    }

    /// When a target falls due that begins at `start`; `None` where its calendar cannot be used.
    pub(super) fn due(&mut self, target: &'a TargetTerms, start: Timestamp) -> Option<Due> {
        self.calendar(target).map(|calendar| due(calendar, target, start))
    }

    /// When a target falls due at each of the starts; never is later than everything.
    pub(super) fn all(&mut self, target: &'a TargetTerms) -> Option<Arc<[Timestamp]>> {
        if let Some(known) = self.at_starts.get(target.source.as_str()) {
            return known.clone();
        }
        let start = |n: i64| Timestamp::from_second(FIRST_START_S + n * STEP_S).unwrap_or(Timestamp::MAX);
        let dues = self.calendar(target).map(|calendar| {
            (0..STARTS).map(|n| due(calendar, target, start(n)).at().unwrap_or(Timestamp::MAX)).collect()
        });
        self.at_starts.insert(&target.source, dues.clone());
        dues
    }

    fn calendar(&mut self, target: &'a TargetTerms) -> Option<&Calendar> {
        let (name, book) = (&target.calendar.value, self.book);
        let compiled = self
            .calendars
            .entry(name)
            .or_insert_with(|| book.calendars.get(name).and_then(|def| Calendar::compile(def).ok()));
        compiled.as_ref()
    }
}

fn due(calendar: &Calendar, target: &TargetTerms, start: Timestamp) -> Due {
    match target.within.value {
        Within::Covered { seconds } => calendar.due(start, seconds.0, &[]),
        Within::NextBusinessDay { by, received_by } => {
            calendar.due_by(start, ByNextBusinessDay { by, received_by }, &[])
        }
    }
}
