//! Input that is hostile, or only far too much: a clear refusal, in bounded time and memory.
//!
//! No test here asserts wall time; each would run for minutes or take gigabytes if its bound were missing.

use upheld_agreement::book::{BOOK_BYTES_MAX, Book, Code, FILE_BYTES_MAX, FILES_MAX, Files};

mod common;

const GOLD: &str = "plans/gold.toml";
const SITE: &str = "clients/northgate/sites/plant-2.toml";
const HOLIDAYS: &str = "holidays/us-2026.toml";

fn refusal(files: &Files) -> Vec<(Code, String)> {
    let refused = Book::read(files).unwrap_err();
    // What is listed can be shown.
    refused.errors.iter().for_each(|error| assert!(error.render(files, false).contains(error.code.as_str())));
    refused.errors.into_iter().map(|error| (error.code, error.message)).collect()
}

fn with(path: &str, text: String) -> Files {
    let mut files = common::built();
    files.insert(path.to_owned(), text);
    files
}

fn edited(path: &str, from: &str, to: &str) -> Files {
    let mut files = common::built();
    common::edit(&mut files, path, from, to);
    files
}

#[test]
fn ten_megabytes_of_toml_are_refused_unread() {
    let text = "x = 1\n".repeat(10 * 1024 * 1024 / 6);
    let said = refusal(&with("plans/huge.toml", text));
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, Code::TooLarge);
    assert!(said[0].1.contains("at most 4194304 are read"), "{}", said[0].1);
}

#[test]
fn a_book_of_too_many_bytes_is_refused_unread() {
    let file = "#".repeat(FILE_BYTES_MAX);
    let count = BOOK_BYTES_MAX / FILE_BYTES_MAX + 1;
    let files: Files = (0..count).map(|n| (format!("plans/p{n}.toml"), file.clone())).collect();
    assert_eq!(refusal(&files)[0].0, Code::TooLarge);
    let many: Files = (0..=FILES_MAX).map(|n| (format!("plans/p{n}.toml"), String::new())).collect();
    assert_eq!(refusal(&many)[0].0, Code::TooLarge);
}

#[test]
fn a_file_of_nothing_but_mistakes_lists_the_first_hundred() {
    let text: String = (0..200_000).map(|n| format!("key{n} = 1\n")).collect();
    let said = refusal(&with("plans/wrong.toml", text));
    assert_eq!(said.len(), 101);
    assert_eq!(said[100].0, Code::MoreMistakes);
}

#[test]
fn errors_behind_a_thousand_warnings_are_found() {
    let hours = "\"08:00-08:00\", ".repeat(1_400);
    let text = format!("time_zone = \"America/Chicago\"\n[weekly]\nmon = [{hours}]\ntue = 5\n");
    let refused = Book::read(&with("calendars/odd.toml", text)).unwrap_err();
    assert!(refused.errors.iter().any(|error| error.code == Code::WrongType), "{:?}", refused.errors);
    assert_eq!(refused.warnings.len(), 101);
    assert_eq!(refused.warnings[100].code, Code::MoreWarnings);
}

#[test]
fn ten_thousand_holidays_are_a_calendar() {
    let day = |n: i64| jiff::civil::date(1990, 1, 1).checked_add(jiff::Span::new().days(3 * n)).unwrap();
    let days: Vec<String> = (0..10_000).map(|n| format!("{{ date = {} }}", day(n))).collect();
    let files = with(HOLIDAYS, format!("name = \"Many\"\ndays = [{}]\n", days.join(",\n")));
    let book = Book::read(&files).unwrap();
    assert_eq!(book.calendars[&"business".parse().unwrap()].holidays.len(), 10_000);
    let events: String = (0..10_000)
        .map(|n| format!("BEGIN:VEVENT\nDTSTART;VALUE=DATE:{}\nSUMMARY:x\nEND:VEVENT\n", day(n).strftime("%Y%m%d")))
        .collect();
    let mut files = common::built();
    files.remove(HOLIDAYS);
    files.insert("holidays/us-2026.ics".to_owned(), format!("BEGIN:VCALENDAR\n{events}END:VCALENDAR\n"));
    let book = Book::read(&files).unwrap();
    assert_eq!(book.calendars[&"business".parse().unwrap()].holidays.len(), 10_000);
}

#[test]
fn lists_have_an_end() {
    let targets = "[[target]]\nstage = \"respond\"\nwithin = \"1h\"\ncalendar = \"24x7\"\n".repeat(101);
    assert_eq!(refusal(&with("plans/many.toml", format!("name = \"Many\"\n{targets}")))[0].0, Code::TooLarge);
    let issues: String = (0..2_001)
        .map(|n| format!("[[issue]]\nid = \"I{n}\"\nname = \"x\"\ncategory = \"hardware\"\nmatch = {{ class = \"power\" }}\nurgency = \"low\"\n"))
        .collect();
    assert_eq!(refusal(&with("catalogue.toml", issues))[0].0, Code::TooLarge);
    let versions = "[[version]]\neffective_from = 2026-01-01\nplan = \"gold\"\n".repeat(1_001);
    let ssa = format!("number = \"X\"\nsites = [\"plant-2\"]\n{versions}");
    assert_eq!(refusal(&with("clients/northgate/ssa.toml", ssa))[0].0, Code::TooLarge);
}

#[test]
fn a_chain_of_ten_thousand_assets_and_its_circle_are_walked_once() {
    let asset = |n: usize| format!("[[asset]]\nid = \"a{n}\"\nclass = \"switch\"\nconnected_to = \"a{}\"\n", n + 1);
    let chain: String = (0..10_000).map(asset).collect();
    let site = |last: &str| {
        let head = "name = \"Long\"\ntime_zone = \"America/Chicago\"\n";
        with(
            "clients/northgate/sites/long.toml",
            format!("{head}{chain}[[asset]]\nid = \"a10000\"\nclass = \"switch\"\n{last}"),
        )
    };
    Book::read(&site("")).unwrap();
    let said = refusal(&site("connected_to = \"a0\"\n"));
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, Code::Cycle);
    assert!(said[0].1.len() < 1_000, "{} bytes are no message", said[0].1.len());
}

#[test]
fn times_that_are_none_are_said_where_they_stand() {
    for (path, from, to, code) in [
        ("calendars/24x7.toml", "time_zone = \"America/Chicago\"", "", Code::MissingKey),
        ("calendars/24x7.toml", "America/Chicago", "Mars/Olympus", Code::UnknownWord),
        (HOLIDAYS, "date = 2026-11-26", "date = 2026-11-31", Code::Syntax),
        (HOLIDAYS, "yearly = \"12-25\"", "yearly = \"02-30\"", Code::BadValue),
        (GOLD, "within = \"4h\"", "within = \"-4h\"", Code::BadValue),
        (GOLD, "within = \"4h\"", "within = \"99999999999999999999h\"", Code::BadValue),
        (GOLD, "within = \"4h\"", "within = \"999999999h\"", Code::OutOfBounds),
        (GOLD, "longest_pause = \"5d\"", "longest_pause = \"-5d\"", Code::BadValue),
        (GOLD, "longest_pause = \"5d\"", "longest_pause = \"999999999y\"", Code::OutOfBounds),
        (SITE, "for = \"1h\"", "for = \"1e9h\"", Code::BadValue),
    ] {
        let said = refusal(&edited(path, from, to));
        assert_eq!(said[0].0, code, "{to}: {said:?}");
    }
}

#[test]
fn deeply_nested_toml_overflows_nothing() {
    let nested = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(refusal(&with("plans/deep.toml", nested))[0].0, Code::Syntax);
    let tables = format!("x = {}1{}", "{ a = ".repeat(50_000), " }".repeat(50_000));
    assert_eq!(refusal(&with("plans/deep.toml", tables))[0].0, Code::Syntax);
    let dotted = format!("a{} = 1", ".b".repeat(100_000));
    assert!(!refusal(&with("plans/deep.toml", dotted)).is_empty());
}
