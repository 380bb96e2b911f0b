//! Checks of logs: `{ kind = "log", log = "nginx-error", match = ["\\[(crit|alert|emerg)\\]"], bad_after = 3 }`.

use upheld_model::{
    ProbeSpec,
    check::{LogSeverity, LogSpec, PATTERNS_MAX, pattern_refused},
};

use super::small;
use crate::book::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, shown},
    scalar::{PlainSeconds, read_words},
    schema::Shape,
};

/// Reads what `log` asks.
pub(super) fn read(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let log = fields.required("log", reading);
    let matching = fields.node("match");
    if matching.is_none() {
        fields.missing("match", reading);
    }
    let mut patterns = |key| {
        let read = fields.list_up_to::<Pattern>(PATTERNS_MAX, key, reading);
        read.into_iter().map(|pattern| pattern.0).collect::<Vec<_>>()
    };
    let (patterns, ignore) = (patterns("match"), patterns("ignore"));
    // None where one that was written could not be read: it has been reported, and the others alone ask something else.
    let usual = LogSpec::new(log?, matching.filter(|_| !patterns.is_empty()).map(|_| patterns)?);
    let severity = fields.optional("severity", reading).unwrap_or(usual.severity);
    let bad_after_node = fields.node("bad_after");
    let bad_after = small(fields, "bad_after", reading).unwrap_or(usual.bad_after);
    if let (LogSeverity::Warn, Some(node)) = (severity, bad_after_node) {
        let place = reading.place(node);
        let refused =
            Diagnostic::new(Code::BadValue, &place, "`severity = \"warn\"` is never bad, after however many lines");
        reading.report(refused.help("take `bad_after` out, or `severity`"));
    }
    let within_s = fields.optional::<PlainSeconds>("within", reading).map_or(usual.within_s, |within| within.0);
    let clear_after = fields.optional::<PlainSeconds>("clear_after", reading);
    let clear_after_s = clear_after.map_or(within_s, |clear_after| clear_after.0);
    Some(ProbeSpec::Log(LogSpec { ignore, severity, bad_after, within_s, clear_after_s, ..usual }))
}

/// A regular expression of a line.
struct Pattern(String);

impl Read for Pattern {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        if let Some(why) = pattern_refused(&text) {
            reading.bad_value(value, format!("{:?} is no pattern for lines of a log: {why}", shown(&text)));
            return None;
        }
        Some(Self(text))
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

read_words! { LogSeverity "severity of a log's lines" }
