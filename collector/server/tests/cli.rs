//! The command line from outside: the real binary, bad input, exit codes (UX 3.1).

#[path = "support/run.rs"]
mod support;

use support::{Run, collector, text};

#[test]
fn a_wrong_command_line_exits_2_and_says_so_as_json_where_that_was_asked_for() {
    let run = collector(&["agent", "tokens"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("tokens"), "{}", run.stderr);
    let run = collector(&["agent", "tokens", "--json"]);
    assert_eq!(run.code, 2);
    assert_eq!(run.last_json()["type"], "exit_error");
    assert_eq!(run.last_json()["code"], 2);
}

#[test]
fn commands_of_later_issues_refuse_by_name() {
    for arguments in [
        &["ca", "rotate"][..],
        &["report", "northgate", "--month", "2026-10", "-o", "x.pdf"],
        &["what-if", "--book", "proposed/"],
        &["book", "plan", "book/"],
        &["agent", "approve", "a1"],
        &["backup", "--follow", "/mnt"],
    ] {
        let run = collector(arguments);
        assert_eq!(run.code, 69, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(&format!("`upheld-collector {}", arguments[0])), "{}", run.stderr);
        assert!(run.stderr.contains("is not built yet"), "{}", run.stderr);
    }
}

#[test]
fn a_folder_without_a_collector_names_the_command_that_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["queue"][..], &["serve"], &["agent", "list"], &["login-link"], &["explain", "INC-1"]] {
        let data = text(folder.path());
        let run = collector(&[arguments, &["--data", &data]].concat());
        assert_eq!(run.code, 78, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(&format!("do:  upheld-collector init --data {data}")), "{}", run.stderr);
        assert!(run.stdout.is_empty(), "a refusal is no result: {}", run.stdout);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "looking must not leave anything behind");
}

#[test]
fn a_book_with_an_unknown_key_shows_file_line_caret_and_the_nearest_key() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("provider.toml"), "nane = \"Example\"\ncurrency = \"USD\"\n").unwrap();
    let run = collector(&["book", "check", &text(folder.path())]);
    assert_eq!(run.code, 78);
    assert!(run.stdout.contains("provider.toml:1:1"), "{}", run.stdout);
    assert!(run.stdout.contains("^^^^"), "{}", run.stdout);
    assert!(run.stdout.contains("name"), "{}", run.stdout);
    assert!(run.stderr.contains("refused: 1 file"), "{}", run.stderr);
    let run = collector(&["book", "check", &text(folder.path()), "--json"]);
    let lines: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["schema"], "upheld.book-check/1");
    assert_eq!(lines[0]["ok"], false);
    let errors = lines[0]["errors"].as_array().unwrap();
    let unknown = errors.iter().find(|error| error["message"].as_str().unwrap().contains("nane")).unwrap();
    assert_eq!((&unknown["file"], &unknown["line"]), (&"provider.toml".into(), &1.into()));
    assert_eq!(lines[1]["code"], 78);
}

#[test]
fn a_book_folder_that_is_missing_is_said_as_missing() {
    let run = collector(&["book", "check", "no/such/book"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("no/such/book does not exist"), "{}", run.stderr);
}

#[test]
fn a_code_is_explained_and_an_unknown_one_lists_the_known() {
    let run = collector(&["explain-error", "E0001"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.starts_with("E0001: "), "{}", run.stdout);
    let run = collector(&["explain-error", "E9999"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("E0001"), "{}", run.stderr);
}

const CASES: &str = r#"{"id":"open","kind":"due","calendar":{"tz":"America/Chicago","weekly":{"mon":[["08:00","18:00"]],"tue":[["08:00","18:00"]]}},"start":"2026-11-16T22:10:00Z","pauses":[],"target_s":28800,"more":"ignored"}
{"id":"span","kind":"elapsed","calendar":{"tz":"UTC","weekly":{"mon":[["09:00","17:00"]]}},"start":"2026-11-16T08:00:00Z","end":"2026-11-16T10:00:00Z","pauses":[]}
{"id":"bad","kind":"due","calendar":{"tz":"Mars/Olympus"},"start":"2026-11-16T22:10:00Z","target_s":1}
nonsense
{"id":"last","kind":"elapsed","calendar":{"tz":"UTC","weekly":{"mon":[["09:00","17:00"]]}},"start":"2026-11-16T09:00:00Z","end":"2026-11-16T09:00:01Z","pauses":[]}
"#;

#[test]
fn cases_are_answered_in_place_and_a_bad_line_makes_the_exit_code_3() {
    let run = Run::with_input(&["clock", "due", "--cases", "-"], CASES);
    assert_eq!(run.code, 3, "{}", run.stderr);
    let answers: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 5);
    // Ten to ten past six on Monday leaves 6 h 10 min of 8 h for Tuesday from 8:00.
    assert_eq!(answers[0]["due"], "2026-11-17T20:10:00Z");
    assert_eq!(answers[1]["elapsed_s"], 3600);
    assert_eq!(answers[2]["id"], "bad");
    assert!(answers[2]["error"].as_str().unwrap().contains("Mars/Olympus"), "{}", answers[2]);
    assert!(answers[3]["error"].is_string());
    assert_eq!(answers[4]["elapsed_s"], 1);
    assert!(run.stderr.contains("2 of the lines"), "{}", run.stderr);
}

#[test]
fn good_cases_exit_0_and_timings_are_told_beside_the_result() {
    let good: String = CASES.lines().take(2).map(|line| format!("{line}\n")).collect();
    let run = Run::with_input(&["clock", "due", "--cases", "-", "--timings"], &good);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(run.stderr.starts_with("2 cases, "), "{}", run.stderr);
    let missing = collector(&["clock", "due", "--cases", "no-such-file"]);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("cannot read no-such-file"), "{}", missing.stderr);
}

#[test]
fn uptime_cases_are_answered_the_same_way() {
    let case = r#"{"id":"u","period_s":3600,"states":[[0,"up"],[1800,"down"]],"maintenance":[],"coverage":[[0,3600]],"unknown":"exclude"}"#;
    let run = Run::with_input(&["uptime", "--cases", "-"], &format!("{case}\n[]\n"));
    assert_eq!(run.code, 3, "{}", run.stderr);
    let answers: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers[0]["availability"], "1800/3600");
    assert!(answers[1]["error"].is_string());
}
