//! What one run of a probe gives back: a sample without the check's name and the time, which the caller knows.

use std::{collections::BTreeMap, time::Duration};

use upheld_model::{
    Counter, DeviceText, Outcome, UnknownReason,
    sample::Value,
    text::{CHARS_MAX, is_hostile},
};

/// The outcome of one run, with what was measured on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeResult {
    /// The judgement of this one run.
    pub outcome: Outcome,
    /// Measured values by name, unit last (`connect_ms`, `newest_age_s`).
    pub values: BTreeMap<String, Value>,
    /// Counters by name, each with its epoch.
    pub counters: BTreeMap<String, Counter>,
    /// What a person would want to read beside the outcome.
    pub evidence: Option<DeviceText>,
    /// How long the run took, by the monotonic clock.
    pub took: Duration,
}

impl ProbeResult {
    /// A result with nothing measured.
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self { outcome, values: BTreeMap::new(), counters: BTreeMap::new(), evidence: None, took: Duration::ZERO }
    }

    /// The device failed; `why` is for a person.
    pub(crate) fn bad(why: impl AsRef<str>) -> Self {
        Self::new(Outcome::Bad).evidence(why)
    }

    /// The probe could not judge; `why` is for a person and says what to do about it.
    pub(crate) fn unknown(reason: UnknownReason, why: impl AsRef<str>) -> Self {
        Self::new(Outcome::unknown(reason)).evidence(why)
    }

    /// Adds evidence; the last one stands.
    pub(crate) fn evidence(mut self, text: impl AsRef<str>) -> Self {
        self.evidence = Some(DeviceText::new(text.as_ref()));
        self
    }

    /// Adds a value.
    pub(crate) fn value(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.put(name, value);
        self
    }

    /// The same in place.
    pub(crate) fn put(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.values.insert(clean(name.into()), value.into());
    }

    /// Adds a duration in milliseconds, rounded to a microsecond.
    pub(crate) fn millis(self, name: &str, took: Duration) -> Self {
        self.value(name, (took.as_secs_f64() * 1e6).round() / 1e3)
    }

    /// Adds a counter.
    pub(crate) fn counter(mut self, name: &str, counter: Counter) -> Self {
        self.counters.insert(clean(name.to_owned()), counter);
        self
    }
}

/// A part of a name may be from outside: a plugin's label, a place where a disk is mounted (SECURITY 6).
fn clean(name: String) -> String {
    if name.len() <= CHARS_MAX && !name.chars().any(is_hostile) { name } else { DeviceText::new(&name).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_6_what_turns_a_line_is_escaped_in_the_names_of_values_too() {
        let counter = Counter("boot".into(), 1);
        let result = ProbeResult::new(Outcome::Ok).value("disk /a\u{1b}[2J", 1.0).counter("perf \u{202e}b", counter);
        assert_eq!(result.values.keys().collect::<Vec<_>>(), [r"disk /a\u{1b}[2J"]);
        assert_eq!(result.counters.keys().collect::<Vec<_>>(), [r"perf \u{202e}b"]);
        let long = ProbeResult::new(Outcome::Ok).value("x".repeat(10 << 20), 1.0);
        assert_eq!(long.values.keys().map(|name| name.chars().count()).max(), Some(CHARS_MAX + 1));
    }
}
