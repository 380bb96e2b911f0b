//! The command line from outside: the real binary, bad input, exit codes (UX 3.1).

#[path = "support/run.rs"]
mod support;

use support::{Run, collector, command, text};

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
        &["report", "northgate", "--month", "2026-10", "-o", "x.pdf"][..],
        &["secret", "recovery-key", "0a1b"],
        &["secret", "reseal", "--with", "key"],
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
    for arguments in [
        &["queue"][..],
        &["serve"],
        &["agent", "list"],
        &["login-link"],
        &["explain", "INC-1"],
        &["backup", "--follow", "nowhere"],
    ] {
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
fn a_book_is_begun_applied_accepted_changed_and_compared_by_the_commands_that_each_names() {
    let data = Made::new();
    let folder = tempfile::tempdir().unwrap();
    let book = text(&folder.path().join("book"));
    let begun = collector(&["book", "new", "harbor", "--book", &book]);
    assert_eq!(begun.code, 0, "{begun:?}");
    assert!(begun.stdout.contains("clients/harbor/ssa.toml") && begun.stdout.contains("edit "), "{}", begun.stdout);
    assert_eq!(collector(&["book", "new", "harbor", "--book", &book]).code, 1, "never over files");
    assert_eq!(collector(&["book", "new", "second", "--book", &book]).code, 0, "beside what is there");
    let checked = collector(&["book", "check", &book]);
    assert_eq!((checked.code, checked.stdout.contains("0 errors, 0 warnings")), (0, true), "{checked:?}");
    assert_eq!(collector(&["book", "fmt", "--check", &book]).code, 0, "a start is in its usual form");
    assert!(data.collector(&["book", "plan", &book]).stdout.contains("No book is in force yet"));
    assert_eq!(data.collector(&["book", "apply", &book]).code, 0);
    assert!(data.collector(&["book", "plan", &book]).stdout.contains("Nothing would change"));

    let said = data.collector(&["book", "explain", "harbor", "--json"]).last_json();
    let hash = said["hash"].as_str().unwrap();
    let wrong = "sha256:".to_owned() + &"0".repeat(64);
    let wrong = if hash.starts_with("sha256:") { wrong } else { "0".repeat(hash.len()) };
    let refused = data.collector(&["accept", "harbor", "1", "--hash", &wrong, "--by", "Owner Example"]);
    assert_eq!((refused.code, refused.stderr.contains(hash)), (1, true), "{refused:?}");
    assert_eq!(data.collector(&["accept", "harbor", "1", "--hash", hash, "--by", "Owner Example"]).code, 0);
    let said = data.collector(&["book", "explain", "harbor"]);
    assert!(said.stdout.contains("Owner Example accepted this version"), "{}", said.stdout);

    let export = text(&folder.path().join("export"));
    assert_eq!(data.collector(&["book", "export", &export]).code, 0);
    assert!(collector(&["book", "diff", &export, &book]).stdout.contains("Nothing differs"));
    assert_eq!(data.collector(&["book", "export", &export]).code, 1, "never over files");
    let plan = folder.path().join("book/plans/silver.toml");
    let slower = std::fs::read_to_string(&plan).unwrap().replace("\"4h\"", "\"6h\"");
    std::fs::write(&plan, slower).unwrap();
    let diff = collector(&["book", "diff", &export, &book]);
    assert!(diff.stdout.contains("target · respond · within: \"4h\" → \"6h\""), "{}", diff.stdout);
    let planned = data.collector(&["book", "plan", &book]);
    assert_eq!((planned.code, planned.stdout.contains("It would be REFUSED")), (0, true), "{planned:?}");
    let refused = data.collector(&["book", "apply", &book]);
    assert_eq!((refused.code, refused.stderr.contains("book export DIR")), (78, true), "{refused:?}");
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

#[test]
fn a_collector_is_made_once_for_its_owner_only_and_links_name_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let data = text(&folder.path().join("data"));
    let made = collector(&["init", "--listen", "127.0.0.1:0", "--data", &data, "--json"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let said = made.last_json();
    let url = said["url"].as_str().unwrap();
    assert!(!url.ends_with(":0"), "{url}");
    assert!(said["login_link"].as_str().unwrap().starts_with(&format!("{url}/in/")), "{said}");
    #[cfg(unix)]
    for entry in ["collector.toml", "upheld.db", "pki/root.pem", "pki/portal.pem"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("data").join(entry)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{entry} is {mode:o}");
    }
    let root = std::fs::read(folder.path().join("data/pki/root.pem")).unwrap();
    let again = collector(&["init", "--data", &data]);
    assert_eq!(again.code, 78);
    assert!(again.stderr.contains(&format!("do:  upheld-collector serve --data {data}")), "{}", again.stderr);
    assert_eq!(std::fs::read(folder.path().join("data/pki/root.pem")).unwrap(), root, "the keys are untouched");
}

#[test]
fn without_a_book_no_token_is_made_and_the_next_command_is_named() {
    let house = Made::new();
    let run = house.collector(&["agent", "token", "--client", "c", "--site", "s"]);
    assert_eq!(run.code, 78, "{}", run.stderr);
    assert!(run.stderr.contains("upheld-collector book apply DIR"), "{}", run.stderr);
    let run = house.collector(&["agent", "token", "--client", "../x", "--site", "s"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("client id"), "{}", run.stderr);
    let run = house.collector(&["agent", "token", "--client", "c", "--site", "s", "--ttl", "3"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("24h"), "{}", run.stderr);
}

#[test]
fn an_incident_that_does_not_exist_and_a_word_that_is_none_are_told_apart() {
    let house = Made::new();
    for arguments in [
        &["explain", "INC-9"][..],
        &["acknowledge", "north/INC-9"],
        &["respond", "INC-9", "--manner", "phone", "--by", "d"],
    ] {
        let run = house.collector(arguments);
        assert_eq!(run.code, 1, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains("upheld-collector queue"), "{}", run.stderr);
    }
    let run = house.collector(&["respond", "INC-9", "--manner", "pigeon", "--by", "d"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("[possible values: phone, remote, on-site]"), "{}", run.stderr);
    let run = house.collector(&["explain", "INC-9", "--at", "yesterday"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("2026-11-16 16:10"), "{}", run.stderr);
}

#[test]
fn a_port_that_is_taken_changes_nothing_and_exits_75() {
    let house = Made::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = house.collector(&["serve", "--listen", &address]);
    assert_eq!(run.code, 75, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("{address} is in use by another program")), "{}", run.stderr);
    assert!(run.stderr.contains("ss -ltnp"), "{}", run.stderr);
}

#[test]
fn one_folder_has_one_server_and_a_stopped_one_exits_0() {
    use std::io::{BufRead, BufReader};
    let house = Made::new();
    let mut first = command(&["serve", "--data", &house.data]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("Serving on https://127.0.0.1:"), "{line}");
    let second = house.collector(&["serve"]);
    assert_eq!(second.code, 11, "{}", second.stderr);
    assert!(second.stderr.contains(&format!("by process {}", first.id())), "{}", second.stderr);
    let beside = house.collector(&["agent", "list"]);
    assert_eq!(beside.code, 0, "commands work beside the server: {}", beside.stderr);
    terminate(&first);
    let status = first.wait().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(house.collector(&["agent", "list"]).code, 0);
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_with_the_nearest() {
    let house = Made::new();
    let path = std::path::Path::new(&house.data).join("collector.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("listen = ", "lisen = ")).unwrap();
    let run = house.collector(&["queue"]);
    assert_eq!(run.code, 78, "{}", run.stderr);
    assert!(run.stderr.contains("write listen where it says lisen"), "{}", run.stderr);
}

#[test]
fn a_database_that_is_not_ours_or_newer_is_left_alone() {
    let house = Made::new();
    let path = std::path::Path::new(&house.data).join("upheld.db");
    let ours = std::fs::read(&path).unwrap();
    let mut newer = ours;
    // SQLite keeps `user_version`, our schema's number, in these bytes of the file.
    newer[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    for (what, content, said) in [
        ("nonsense", b"nonsense, and more of it".to_vec(), "not a database of Upheld"),
        ("newer", newer, "written by a newer version (schema 9999"),
    ] {
        std::fs::write(&path, &content).unwrap();
        let run = house.collector(&["queue"]);
        assert_eq!(run.code, 78, "{what}: {}", run.stderr);
        assert!(run.stderr.contains(said) && run.stderr.contains("left alone"), "{what}: {}", run.stderr);
        assert_eq!(std::fs::read(&path).unwrap(), content, "{what}");
    }
}

/// A collector made in a folder of its own.
struct Made {
    data: String,
    _folder: tempfile::TempDir,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = text(&folder.path().join("data"));
        let run = collector(&["init", "--listen", "127.0.0.1:0", "--data", &data, "--json"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        Self { data, _folder: folder }
    }

    fn collector(&self, arguments: &[&str]) -> Run {
        collector(&[arguments, &["--data", &self.data]].concat())
    }
}

fn terminate(child: &std::process::Child) {
    let pid = child.id().to_string();
    let status = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_mistake_in_the_book_to_begin_with_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let book = folder.path().join("book");
    std::fs::create_dir_all(&book).unwrap();
    std::fs::write(book.join("provider.toml"), "nam = \"X\"\n").unwrap();
    let wrong = book.display().to_string();
    let refused = collector(&["init", "--listen", "127.0.0.1:0", "--data", &data, "--serve", "--book", &wrong]);
    assert_eq!(refused.code, 78, "{}", refused.stderr);
    assert!(refused.stderr.contains("nothing was made") && refused.stderr.contains("book check"), "{}", refused.stderr);
    let nowhere = folder.path().join("nowhere").display().to_string();
    let refused = collector(&["init", "--listen", "127.0.0.1:0", "--data", &data, "--serve", "--book", &nowhere]);
    assert_ne!(refused.code, 0);
    let alone = collector(&["init", "--data", &data, "--book", &wrong]);
    assert_eq!(alone.code, 2, "a book is for a collector that serves at once: {}", alone.stderr);
    assert!(!folder.path().join("data").exists());
}
