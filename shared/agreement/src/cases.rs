//! Case files: the calculator on its own (TERMS 8). One JSON case a line, one JSON answer a line.
//!
//! [`Cases::read`] parses a line and finds its calendars, [`Case::work`] computes, [`Worked::json`] writes: apart, so
//! that a caller can time the computing alone. [`Cases::answer_line`] does all three. A bad line gets an answer with
//! `error`; nothing that a line says can make it fail, run without end or grow without bound.
//!
//! Readings of the page, where it leaves a choice:
//! - Instants are RFC 3339 with `Z` or an offset. Fractions of a second are kept. A pause that ends before it begins
//!   and an `end` before its `start` are errors; unknown keys of a case are ignored.
//! - `segments` cover `[start, due]`; without a due they go on to the beginning of what holds the clock: the open
//!   pause, whose own segment has `"to":null`. A calendar that is never due has none. At most [`SEGMENTS_MAX`] are
//!   written; `"segments_left_off":true` follows when there were more.
//! - `due_local` is the due on the calendar's wall clock with its offset, and null without a due.

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::calendar::{Calendar, Pause};

mod amend;
mod answer;
mod read;
mod store;

pub use amend::{AmendError, AmendMode, Amended, AmendedDue, VERSIONS_MAX, Version, amend};
use answer::Answer;
pub(crate) use answer::{line, refused};
pub use read::CaseError;
pub(crate) use read::{id_of, is_object};
use store::Calendars;

/// The longest line that is read, in bytes: 10,000 holidays are some 600 kB.
pub const LINE_BYTES_MAX: usize = 32 << 20;

/// The most segments that an answer writes: some twenty years of office hours.
pub const SEGMENTS_MAX: usize = 10_000;

/// The answer to one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// One line of JSON, without its end.
    pub json: String,
    /// Whether it says `error`.
    pub is_error: bool,
}

/// Answers one line; a caller with many keeps a [`Cases`], which compiles a calendar once.
pub fn answer_line(line: &str) -> Answered {
    Cases::default().answer_line(line)
}

/// Calendars compiled for earlier lines, by their text, within bounds.
#[derive(Default)]
pub struct Cases {
    calendars: Calendars,
}

/// A line that was read: what is asked, or why it cannot be.
pub struct Case<'l> {
    id: Option<&'l RawValue>,
    question: Result<Question, CaseError>,
}

/// What a case asks.
enum Question {
    Due { calendar: Calendar, start: Timestamp, target_s: u64, pauses: Vec<Pause> },
    Elapsed { calendar: Calendar, start: Timestamp, end: Timestamp, pauses: Vec<Pause> },
    Amend { start: Timestamp, mode: AmendMode, versions: Vec<Version>, pauses: Vec<Pause> },
}

/// The result of a case.
pub struct Worked<'l> {
    id: Option<&'l RawValue>,
    answer: Answer,
}

impl Cases {
    /// Reads, computes and writes.
    pub fn answer_line(&mut self, line: &str) -> Answered {
        self.read(line).work().json()
    }

    /// Parses one line and compiles what calendars of it are new.
    pub fn read<'l>(&mut self, line: &'l str) -> Case<'l> {
        read::case(line, &mut self.calendars)
    }
}

impl<'l> Case<'l> {
    /// Computes the result. A due's segments are left to [`Worked::json`]: they are its explanation.
    pub fn work(self) -> Worked<'l> {
        let answer = match self.question {
            Ok(Question::Due { calendar, start, target_s, pauses }) => {
                let due = calendar.due(start, target_s, &pauses);
                Answer::Due { calendar, start, pauses, due }
            }
            Ok(Question::Elapsed { calendar, start, end, pauses }) => {
                Answer::Elapsed(calendar.elapsed_s(start, end, &pauses))
            }
            Ok(Question::Amend { start, mode, versions, pauses }) => match amend(start, mode, &versions, &pauses) {
                Ok(amended) => Answer::Amended(amended),
                Err(error) => Answer::Refused(CaseError::Amend(error)),
            },
            Err(error) => Answer::Refused(error),
        };
        Worked { id: self.id, answer }
    }
}

impl Worked<'_> {
    /// Writes the answer's line.
    pub fn json(&self) -> Answered {
        answer::write(self.id, &self.answer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OFFICE: &str = r#"{"tz":"America/Chicago","weekly":{"mon":[["08:00","18:00"]],"tue":[["08:00","18:00"]],"wed":[["08:00","18:00"]],"thu":[["08:00","18:00"]],"fri":[["08:00","18:00"]]},"holidays":[{"date":"2026-11-26","name":"Thanksgiving"}]}"#;

    fn ask(line: &str) -> Value {
        let answered = answer_line(line);
        let value: Value = serde_json::from_str(&answered.json).unwrap();
        assert_eq!(value.get("error").is_some(), answered.is_error, "{value}");
        assert!(!answered.json.contains('\n'));
        value
    }

    fn error_of(line: &str) -> String {
        ask(line)["error"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_due_comes_with_its_wall_time_and_segments() {
        let line = format!(
            r#"{{"id":"x1","kind":"due","calendar":{OFFICE},"start":"2026-11-25T23:00:00Z","pauses":[],"target_s":7200,"note":1}}"#
        );
        let expected = json!({
            "id": "x1", "due": "2026-11-27T15:00:00Z", "due_local": "2026-11-27T09:00:00-06:00",
            "segments": [
                {"from": "2026-11-25T23:00:00Z", "to": "2026-11-26T00:00:00Z", "why": "counted", "counted_s": 3600},
                {"from": "2026-11-26T00:00:00Z", "to": "2026-11-26T14:00:00Z", "why": "outside", "counted_s": 0},
                {"from": "2026-11-26T14:00:00Z", "to": "2026-11-27T00:00:00Z", "why": "holiday", "name": "Thanksgiving", "counted_s": 0},
                {"from": "2026-11-27T00:00:00Z", "to": "2026-11-27T14:00:00Z", "why": "outside", "counted_s": 0},
                {"from": "2026-11-27T14:00:00Z", "to": "2026-11-27T15:00:00Z", "why": "counted", "counted_s": 3600},
            ],
        });
        assert_eq!(ask(&line), expected);
    }

    #[test]
    fn an_open_pause_and_an_empty_calendar_have_a_reason() {
        let paused = ask(&format!(
            r#"{{"id":7,"kind":"due","calendar":{OFFICE},"start":"2026-11-25T23:00:00Z","pauses":[["2026-11-25T23:30:00Z",null]],"target_s":7200}}"#
        ));
        assert_eq!((&paused["id"], &paused["due"], &paused["reason"]), (&json!(7), &Value::Null, &json!("paused")));
        let held = json!({"from": "2026-11-25T23:30:00Z", "to": null, "why": "paused", "pause": 0, "counted_s": 0});
        assert_eq!(paused["segments"][1], held);
        let never = ask(
            r#"{"id":"n","kind":"due","calendar":{"tz":"UTC","weekly":{}},"start":"2026-11-25T23:00:00Z","target_s":1}"#,
        );
        let expected = json!({"id": "n", "due": null, "reason": "never", "due_local": null, "segments": []});
        assert_eq!(never, expected);
    }

    #[test]
    fn elapsed_counts_what_is_covered_and_not_paused() {
        let line = format!(
            r#"{{"id":"x2","kind":"elapsed","calendar":{OFFICE},"start":"2026-11-25T23:00:00Z","end":"2026-11-27T15:00:00Z","pauses":[["2026-11-25T23:30:00Z","2026-11-27T14:10:00Z"]]}}"#
        );
        assert_eq!(ask(&line), json!({"id": "x2", "elapsed_s": 1800 + 3000}));
    }

    #[test]
    fn an_amendment_carries_the_elapsed_time_over() {
        let line = format!(
            r#"{{"id":"x3","kind":"amend","start":"2026-11-23T14:00:00Z","mode":"carry_elapsed","pauses":[],"versions":[{{"effective_from":null,"calendar":{OFFICE},"target_s":28800}},{{"effective_from":"2026-11-23T16:00:00Z","calendar":{OFFICE},"target_s":14400}}]}}"#
        );
        let due = "2026-11-23T18:00:00Z";
        assert_eq!(ask(&line), json!({"id": "x3", "recomputed_due": due, "due": due}));
    }

    #[test]
    fn a_bad_line_is_answered_in_place() {
        assert_eq!(ask("{")["id"], Value::Null);
        assert_eq!(ask(r#"{"id":"b","kind":"due"}"#)["id"], json!("b"));
        for (line, said) in [
            ("", "expected a JSON object"),
            ("{", "not a case"),
            ("[1]", "expected a JSON object"),
            (r#"{"id":"a"}"#, "kind"),
            (r#"{"kind":"due","calendar":["UTC"],"start":"2026-01-01T00:00:00Z","target_s":1}"#, "calendar"),
            (r#"{"kind":"dew"}"#, "dew"),
            (r#"{"kind":"due","calendar":{"weekly":{}},"start":"2026-01-01T00:00:00Z","target_s":1}"#, "no time zone"),
            (
                r#"{"kind":"due","calendar":{"tz":"X/Y","weekly":{}},"start":"2026-01-01T00:00:00Z","target_s":1}"#,
                "X/Y",
            ),
            (r#"{"kind":"due","calendar":{"tz":"UTC"},"start":"2026-01-01T00:00:00Z","target_s":-1}"#, "target_s"),
            (r#"{"kind":"due","calendar":{"tz":"UTC"},"start":"2026-01-01T00:00:00Z"}"#, "target_s"),
            (r#"{"kind":"due","calendar":{"tz":"UTC"},"start":"2026-01-01T00:00:00","target_s":1}"#, "start"),
            (
                r#"{"kind":"due","calendar":{"tz":"UTC","weekly":{"monday":[]}},"start":"2026-01-01T00:00:00Z","target_s":1}"#,
                "monday",
            ),
            (
                r#"{"kind":"due","calendar":{"tz":"UTC"},"start":"2026-01-01T00:00:00Z","target_s":1,"pauses":[["2026-01-02T00:00:00Z","2026-01-01T00:00:00Z"]]}"#,
                "pauses[0]",
            ),
            (
                r#"{"kind":"elapsed","calendar":{"tz":"UTC"},"start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}"#,
                "end",
            ),
            (r#"{"kind":"amend","start":"2026-01-02T00:00:00Z","mode":"pin","versions":[]}"#, "no version"),
        ] {
            assert!(error_of(line).contains(said), "{line}: {}", error_of(line));
        }
    }

    #[test]
    fn a_huge_target_is_never_due_and_a_huge_number_is_an_error() {
        let all = r#"{"tz":"UTC","weekly":{"mon":[["00:00","24:00"]]}}"#;
        let line = |target: &str| {
            format!(r#"{{"id":1,"kind":"due","calendar":{all},"start":"2026-01-01T00:00:00Z","target_s":{target}}}"#)
        };
        assert_eq!(ask(&line("18446744073709551615"))["reason"], json!("never"));
        assert!(error_of(&line("18446744073709551616")).contains("target_s"));
    }

    #[test]
    fn segments_are_bounded() {
        let daily = r#"{"tz":"UTC","weekly":{"mon":[["09:00","10:00"]],"tue":[["09:00","10:00"]]}}"#;
        let line = format!(
            r#"{{"id":1,"kind":"due","calendar":{daily},"start":"2000-01-01T00:00:00Z","target_s":{}}}"#,
            3600 * 20_000
        );
        let answer = ask(&line);
        assert_eq!(answer["segments"].as_array().unwrap().len(), SEGMENTS_MAX);
        assert_eq!(answer["segments_left_off"], json!(true));
    }

    #[test]
    fn a_calendar_is_compiled_once_and_the_cache_is_bounded() {
        let mut cases = Cases::default();
        for year in 0..3_000 {
            let holiday = format!(r#"{{"date":"{}-07-01"}}"#, 1900 + year % 1_000);
            let line = format!(
                r#"{{"kind":"due","calendar":{{"tz":"UTC","weekly":{{"mon":[["00:00","24:00"]]}},"holidays":[{holiday}]}},"start":"2026-01-01T00:00:00Z","target_s":1}}"#
            );
            assert!(!cases.answer_line(&line).is_error);
        }
        assert!(cases.calendars.len() <= store::CALENDARS_MAX);
    }
}
