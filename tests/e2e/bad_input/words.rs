//! What a person reads, and what a machine reads, when something is refused.

use std::process::Command;

use upheld_tests::{Agent, Collector, book, program};

#[test]
fn a_book_with_a_mistake_is_shown_where_it_is_and_the_book_in_force_stays() {
    let collector = super::collector(1);
    let folder = collector.folder().join("proposed");
    book::write_book(&folder, &super::tcp_asset(1).replace("fail_after", "fail_afer"), None);
    let apply = || collector.command(&["book", "apply", folder.to_str().expect("UTF-8")]);
    let (code, out, err) = program::run(&mut apply());
    assert_eq!(code, Some(78));
    let at = folder.display().to_string();
    assert_eq!(out.replace(&at, "BOOK"), SHOWN);
    assert_eq!(
        err.replace(&at, "BOOK"),
        "Error: the book in BOOK/ is refused: 7 files, 1 error, 0 warnings.\n  \
         do:  put right what is shown, then: upheld-collector book check BOOK/\n"
    );
    assert_eq!(collector.audited("book.applied"), 1, "nothing was applied");
}

/// File, line, caret, nearest key, and what explains more.
const SHOWN: &str = r#"error[E0101]: unknown key `fail_afer` in a check
 --> BOOK/clients/northgate/sites/plant-2.toml:9:85
  |
9 |   { kind = "net.tcp", target = "127.0.0.1", port = 1, every = "1s", timeout = "1s", fail_afer = 1, recover_after = 1 },
  |                                                                                     ^^^^^^^^^
  |
  = help: did you mean `fail_after`?
  = note: explain more with `upheld-collector explain-error E0101`
7 files, 1 error, 0 warnings.
"#;

#[test]
fn every_refusal_is_one_line_for_a_machine_with_the_same_code() {
    let collector = Collector::new();
    let host = Agent::unenrolled("");
    let at = |arguments: &[&str]| collector.command(arguments);
    let on = |arguments: &[&str]| host.command(arguments);
    let bare = |arguments: &[&str]| {
        let mut command = Command::new(upheld_tests::binary("upheld-collector"));
        command.args(arguments);
        command
    };
    let nowhere = collector.folder().join("nowhere").display().to_string();
    let unreachable =
        format!("https://127.0.0.1:{}/e/{}#{}.1800000000", upheld_tests::free_port(), "A".repeat(43), "B".repeat(43));
    let table: &[(i32, &dyn Fn() -> Command)] = &[
        (1, &|| at(&["explain", "INC-9"])),
        (1, &|| at(&["book", "check", "no/such/book"])),
        (69, &|| at(&["report"])),
        (78, &|| at(&["agent", "token", "--client", "c", "--site", "s"])),
        (78, &|| at(&["init"])),
        (78, &|| bare(&["serve", "--data", &nowhere])),
        (10, &|| on(&["run"])),
        (10, &|| on(&["status"])),
        (10, &|| on(&["check", "now"])),
        (13, &|| on(&["enroll", &unreachable])),
        (1, &|| on(&["secret", "set", "x"])),
        (78, &|| on(&["enroll", "https://127.0.0.1/e/cut"])),
    ];
    for (code, command) in table {
        let refusal = program::refused(command);
        assert_eq!(refusal.code, *code, "{:?}: {}", command(), refusal.text);
        let what = refusal.exit_error["what"].as_str().expect("what failed");
        // The same words for both; what is said before the error is progress.
        assert!(refusal.text.contains(&format!("Error: {what}\n")), "{}: {}", refusal.text, refusal.exit_error);
        for (key, word) in [("why", "why: "), ("todo", "do:  ")] {
            for said in refusal.exit_error[key].as_array().expect("a list") {
                let first = said.as_str().and_then(|said| said.lines().next()).expect("words");
                assert!(refusal.text.contains(&format!("  {word}{first}")), "{}: {said}", refusal.text);
            }
        }
        let is_advised = refusal.exit_error["todo"] != serde_json::json!([]) || what.contains("`upheld-");
        assert!(is_advised, "what to do? {}", refusal.text);
    }
}
