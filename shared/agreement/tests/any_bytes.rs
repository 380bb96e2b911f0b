//! Whatever bytes arrive, the book and the calculators answer in words; the fuzz targets of tests/fuzz go further.

use proptest::prelude::*;
use upheld_agreement::{
    book::{Book, Files},
    cases, uptime_cases,
};

mod common;

/// Reads a book and shows what is said of it; a panic is the only failure.
fn read(files: &Files) {
    match Book::read(files) {
        Ok(book) => {
            book.canonical_json();
            book.versions();
        }
        Err(refused) => {
            assert!(!refused.errors.is_empty());
            refused.errors.iter().chain(&refused.warnings).for_each(|one| {
                one.render(files, true);
                one.line_column(files);
            });
        }
    }
}

/// A file of the sample with a stretch of it replaced.
fn damaged(path: usize, at: f64, len: usize, by: &str) -> Files {
    let mut files = common::whole();
    let path = files.keys().nth(path % files.len()).cloned().unwrap();
    let text = &files[&path];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a draw")]
    let from = (at * text.len() as f64) as usize;
    let to = (from + len).min(text.len());
    let mut bytes = text.as_bytes().to_vec();
    bytes.splice(from.min(to)..to, by.bytes());
    let text = String::from_utf8_lossy(&bytes).into_owned();
    files.insert(path, text);
    files
}

/// What files of the book are made of, so that damage often stays TOML.
const PIECES: &[&str] = &[
    "",
    "\"",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    "\n",
    ",",
    "0",
    "-1",
    "99999999999999999999",
    "true",
    "\"4h\"",
    "\"-4h\"",
    "\"100%\"",
    "\"24:00\"",
    "2026-02-30",
    "2026-11-03",
    "9999-12-31",
    "0001-01-01",
    "\"Etc/Unknown\"",
    "\u{0}",
    "\u{202e}",
    "é",
    "extends = \"gold\"\n",
    "[[target]]\n",
    "\"FREQ=DAILY\"",
    "\"0.00/month\"",
    "\"999999999999999999.99/month\"",
    "'",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_text_in_any_file_of_a_book_is_answered(path in 0usize..100, text in "\\PC{0,200}|[\\x00-\\x7f\n]{0,300}") {
        let mut files = common::built();
        let path = files.keys().nth(path % files.len()).cloned().unwrap();
        files.insert(path, text);
        read(&files);
    }

    #[test]
    fn a_damaged_sample_is_answered(path in 0usize..100, at in 0.0f64..1.0, len in 0usize..40, by in proptest::sample::select(PIECES)) {
        read(&damaged(path, at, len, by));
    }

    #[test]
    fn any_line_is_answered_by_the_calculators(line in "\\PC{0,300}") {
        cases::answer_line(&line);
        uptime_cases::answer_line(&line);
    }

    #[test]
    fn a_damaged_case_is_answered(at in 0usize..400, len in 0usize..20, by in proptest::sample::select(PIECES)) {
        let case = r#"{"id":"x3","kind":"amend","start":"2025-11-28T15:00:00Z","mode":"carry_elapsed","pauses":[["2025-11-28T16:00:00Z",null]],"versions":[{"effective_from":null,"calendar":{"tz":"America/Chicago","weekly":{"mon":[["09:00","17:00"]]},"holidays":[{"date":"2025-12-24","from":"12:00","to":"24:00"}],"yearly_holidays":[{"date":"12-25"}],"extra":[]},"target_s":28800}]}"#;
        let (from, to) = (at.min(case.len()), (at + len).min(case.len()));
        let line = format!("{}{by}{}", &case[..from], &case[to..]);
        cases::answer_line(&line);
    }
}
