//! What journalctl answers, taken piece by piece. The program itself runs in `tests/e2e/services.rs`, on a real journal.

use jiff::Timestamp;
use upheld_model::{Outcome, check::LogSpec};

use super::*;
use crate::{
    log::{Kept, Read},
    testing::{evidence, number},
};

fn spec() -> LogSpec {
    LogSpec::new("ssh".to_owned(), vec!["ERROR".to_owned()])
}

fn cursor(number: usize, is_of_log: bool) -> Cursor {
    Cursor { text: format!("s=a;i={number}"), is_of_log }
}

/// Entries of these numbers, each an error.
fn printed(numbers: std::ops::Range<usize>) -> Vec<u8> {
    let entry = |number: usize| {
        let at = 1_795_886_069_000_000 + number * 1_000_000;
        format!(
            "{{\"MESSAGE\":\"ERROR {number}\",\"__REALTIME_TIMESTAMP\":\"{at}\",\"__CURSOR\":\"s=a;i={number}\"}}\n"
        )
    };
    numbers.map(entry).collect::<String>().into_bytes()
}

fn answer(out: Vec<u8>) -> Answer {
    Answer { is_refused: false, out, is_cut: false, complaint: String::new() }
}

fn reading(from: Cursor) -> Reading {
    Reading::new(from, Matcher::new(&spec()).unwrap())
}

/// What is taken of an answer, and what has been read then.
fn taken(from: Cursor, answer: &Answer) -> (Taken, Followed) {
    let (taken, reading) = reading(from).take(answer);
    (taken.unwrap(), reading.done(""))
}

#[test]
fn the_entry_of_the_last_look_is_not_read_again_and_one_of_another_unit_was_none() {
    for (from, read, notes) in [
        (cursor(7, true), 2, ""),
        (cursor(7, false), 2, ""),
        // The end of the journal at the first look, of which this unit wrote nothing.
        (cursor(3, false), 3, ""),
        (cursor(3, true), 3, "; where the last look ended was deleted from the journal meanwhile: read on behind it"),
    ] {
        let (taken, followed) = taken(from, &answer(printed(7..10)));
        assert_eq!((taken, followed.lines, followed.notes.as_str()), (Taken::All, read, notes));
        assert_eq!(followed.cursor, cursor(9, true));
        assert_eq!(followed.matcher.seen.count, read);
    }
    let (taken, followed) = taken(cursor(7, true), &answer(Vec::new()));
    assert_eq!((taken, followed.lines, followed.cursor), (Taken::All, 0, cursor(7, true)), "nothing came");
}

#[test]
fn more_than_is_asked_for_at_once_is_read_on_piece_by_piece() {
    let first = answer(printed(0..ENTRIES_MAX));
    let (more, read) = reading(cursor(0, true)).take(&first);
    assert_eq!(more.unwrap(), Taken::More);
    assert_eq!(read.cursor, cursor(ENTRIES_MAX - 1, true));
    let (rest, read) = read.take(&answer(printed(ENTRIES_MAX - 1..ENTRIES_MAX + 5)));
    assert_eq!(rest.unwrap(), Taken::All);
    let followed = read.done("");
    assert_eq!(followed.lines, ENTRIES_MAX as u64 - 1 + 5, "each once");
    assert_eq!(followed.notes, "");
}

#[test]
fn what_the_cap_cut_off_is_asked_for_again_and_one_entry_that_fills_it_is_passed_over() {
    let mut out = printed(7..10);
    out.extend_from_slice(b"{\"MESSAGE\":\"ERROR cut");
    let (read, followed) = taken(cursor(7, true), &Answer { is_cut: true, ..answer(out) });
    assert_eq!((read, followed.lines, followed.cursor), (Taken::More, 2, cursor(9, true)));
    let mut out = printed(7..8);
    out.resize(OUT_MAX, b'x');
    let (read, followed) = taken(cursor(7, true), &Answer { is_cut: true, ..answer(out) });
    assert_eq!((read, followed.lines), (Taken::TooLarge, 0));
}

#[test]
fn an_answer_that_is_no_journal_is_unknown_and_what_else_is_said_stands_beside_the_judgement() {
    let (refused, _) = reading(cursor(7, true)).take(&answer(b"Segmentation fault\n".to_vec()));
    assert!(evidence(&refused.unwrap_err()).contains("no entries of the journal"));
    let mut out = printed(8..9);
    out.extend_from_slice(b"{\"MESSAGE\":7}\n");
    let complaint = "Journal file system@x.journal is truncated, ignoring file.\nand so on".to_owned();
    let (_, followed) = taken(cursor(7, false), &Answer { complaint, ..answer(out) });
    let said =
        "; 1 entries could not be read; journalctl says: Journal file system@x.journal is truncated, ignoring file.";
    assert_eq!(followed.notes, said);
}

#[test]
fn the_judgement_is_that_of_any_log_and_what_is_kept_outlives_a_restart_also_of_an_older_agent() {
    let source = LogSource::Journal { journal: "ssh.service".to_owned() };
    let mut kept = Kept::of(None, &source, &spec());
    let (_, followed) = taken(cursor(7, true), &answer(printed(7..10)));
    kept.cursor = Some(followed.cursor);
    let read = Read { is_first: false, lines: followed.lines, skipped_bytes: None, notes: followed.notes };
    let result = kept.judged(&spec(), &followed.matcher.seen, &read, Timestamp::now());
    assert_eq!(result.outcome, Outcome::Bad, "{result:?}");
    assert!(evidence(&result).ends_with("Z: ERROR 8") && number(&result, "lines_read") == 2.0, "{result:?}");
    assert!(!result.counters.contains_key("skipped_bytes"), "the journal does not tell: {result:?}");

    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
    let file = Kept::of(None, &LogSource::File("/var/log/app.log".into()), &spec());
    let text = serde_json::to_string(&file).unwrap();
    assert!(text.starts_with(r#"{"path":"/var/log/app.log","asked""#) && !text.contains("cursor"), "as it was: {text}");
    assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), file);
    let anew = Kept::of(Some(kept), &file.source, &spec());
    assert_eq!((anew.cursor, anew.bout), (None, None), "another source begins anew");
}

#[test]
fn the_questions_are_words_of_our_own_the_units_name_and_a_place() {
    let said = question("ssh.service", &cursor(7, true)).join(" ");
    let fixed = "--output=json --no-pager --lines=4000 --output-fields=MESSAGE --all --cursor=s=a;i=7";
    assert_eq!(said, format!("{fixed} --unit=ssh.service"));
    assert_eq!(question("*", &cursor(7, true)).join(" "), fixed);
}

#[test]
fn a_user_has_a_name_where_it_stands_in_the_file() {
    let users = "root:x:0:0:root:/root:/bin/sh\nodd\nupheld:x:107:113::/var/lib/upheld:/usr/sbin/nologin\n";
    assert_eq!(name_of(users, 107), Some("upheld"));
    assert_eq!(name_of(users, 113), None, "a group's number is none");
    assert_eq!(name_of("", 107), None);
}
