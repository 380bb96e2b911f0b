//! Compiled calendars by their text.

use std::collections::BTreeMap;

use crate::calendar::{Calendar, CalendarDef};

use super::{CaseError, is_object};

/// The most calendars kept, and the most table entries and bytes of text in all of them: some 200 MB at the worst.
pub(super) const CALENDARS_MAX: usize = 1_000;
const WEIGHT_MAX: usize = 4_000_000;

/// Calendars by the text that defines them. When a bound is reached it starts anew: case files that use a few
/// calendars never reach it, and those that use a new one each line gain nothing from keeping them.
#[derive(Default)]
pub(super) struct Calendars {
    known: BTreeMap<Box<str>, Calendar>,
    weight: usize,
}

impl Calendars {
    pub(super) fn get(&mut self, text: &str) -> Result<Calendar, CaseError> {
        if let Some(known) = self.known.get(text) {
            return Ok(known.clone());
        }
        if !is_object(text) {
            return Err(CaseError::key("calendar", "expected a JSON object"));
        }
        let def: CalendarDef = serde_json::from_str(text).map_err(|error| CaseError::key("calendar", error))?;
        let calendar = Calendar::compile(&def).map_err(CaseError::Calendar)?;
        let weight = calendar.weight() + text.len() / 40;
        if self.known.len() >= CALENDARS_MAX || self.weight + weight > WEIGHT_MAX {
            self.known.clear();
            self.weight = 0;
        }
        self.weight += weight;
        self.known.insert(text.into(), calendar.clone());
        Ok(calendar)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
