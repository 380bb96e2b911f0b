//! Accounts by the command line on the host: the real binary, good and bad input.

#[path = "support/run.rs"]
mod support;

use serde_json::Value;
use support::{Run, collector, text};

#[test]
fn an_account_is_made_listed_disabled_enabled_and_given_another_role() {
    let house = House::with_a_book();
    let made = house.run(&[
        "user",
        "add",
        "Rita@North.example",
        "--name",
        "Rita Reader",
        "--role",
        "client-reader",
        "--client",
        "north",
    ]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(
        made.stdout.trim().starts_with("https://127.0.0.1:") && made.stdout.contains("/password/"),
        "{}",
        made.stdout
    );
    let told = "rita@north.example (Rita Reader) is client-reader of north. Hand over this link; it works once, until ";
    assert!(made.stderr.contains(told), "{}", made.stderr);
    house.ok(&["user", "add", "ben", "--role", "technician"]);
    let list = house.ok(&["user", "list"]);
    assert!(list.contains("rita@north.example") && list.contains("client-reader of north"), "{list}");
    assert!(list.contains("no password chosen yet"), "{list}");
    assert_eq!(house.ok(&["user", "list", "--client", "north"]).lines().count(), 2, "the heading and Rita");
    assert_eq!(house.ok(&["user", "disable", "RITA@north.example"]).trim(), "rita@north.example is disabled.");
    assert!(house.ok(&["user", "list"]).contains("disabled 20"));
    let refused = house.run(&["user", "reset", "rita@north.example"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("upheld-collector user enable 'rita@north.example'"), "{}", refused.stderr);
    assert_eq!(house.ok(&["user", "enable", "Rita Reader"]).trim(), "rita@north.example is enabled.");
    assert_eq!(house.ok(&["user", "role", "ben", "dispatcher"]).trim(), "ben is dispatcher.");
    assert!(house.ok(&["user", "invite", "ben"]).contains("/password/"));
    assert!(house.ok(&["user", "reset", "ben"]).contains("/password/"));
    assert_eq!(house.ok(&["user", "sessions", "end", "ben"]).trim(), "There was no session.");
    let users = house.json(&["user", "list"]);
    assert_eq!(users["schema"], "upheld.users/1");
    let logins: Vec<_> = users["users"].as_array().unwrap().iter().map(|user| &user["login"]).collect();
    assert_eq!(logins, ["admin", "ben", "rita@north.example"], "`init` made the first by its log-in link");
    assert!(!users.to_string().contains("argon2"), "{users}");
    let link = house.json(&["user", "invite", "ben"]);
    assert_eq!((link["schema"].as_str(), link["kind"].as_str()), (Some("upheld.password-link/1"), Some("invite")));
}

#[test]
fn what_is_no_account_is_refused_with_what_to_do_and_changes_nothing() {
    let house = House::with_a_book();
    let long = "x".repeat(10_000);
    let before = house.json(&["user", "list"]);
    for (arguments, code, expected) in [
        (&["user", "add", "", "--role", "dispatcher"][..], 1, "the log-in name is empty: give one"),
        (&["user", "add", &long, "--role", "dispatcher"], 1, "10000 characters, and at most 254 are kept"),
        (&["user", "add", "eve\u{202e}", "--role", "dispatcher"], 1, "turns the text around (\\u{202e})"),
        (&["user", "add", "eve", "--role", "emperor"], 2, "possible values: provider-admin, dispatcher, technician"),
        (&["user", "add", "eve", "--role", "client-owner"], 2, "name the client (--client)"),
        (&["user", "add", "eve", "--role", "dispatcher", "--client", "north"], 2, "leave the client out"),
        (&["user", "add", "eve", "--role", "client-owner", "--client", "nobody"], 1, "the book has no client nobody"),
        (&["user", "add", "ADMIN", "--role", "dispatcher"], 1, "is taken: choose another"),
        (&["user", "disable", "nobody"], 1, "there is no account nobody: see `upheld-collector user list`"),
        (&["user", "disable", "admin"], 1, "make another provider-admin first"),
        (&["user", "role", "admin", "technician"], 1, "make another provider-admin first"),
    ] {
        let run = house.run(arguments);
        assert_eq!(run.code, code, "{arguments:.30?}: {}", run.stderr);
        let said = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(expected), "{arguments:.30?}: {}", run.stderr);
        assert!(!run.stderr.contains('\u{202e}'), "{}", run.stderr);
    }
    assert_eq!(house.json(&["user", "list"]), before);
    let refused = house.run(&["user", "disable", "nobody", "--json"]);
    assert_eq!(refused.last_json()["type"], "exit_error");
}

#[test]
fn a_disabled_person_gets_no_log_in_link() {
    let house = House::with_a_book();
    house.ok(&["user", "add", "ben", "--role", "technician"]);
    house.ok(&["login-link", "--name", "Ben"]);
    house.ok(&["user", "disable", "ben"]);
    let refused = house.run(&["login-link", "--name", "ben"]);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(refused.stderr.contains("upheld-collector user enable 'ben'"), "{}", refused.stderr);
}

/// A collector's folder with a book of one client.
struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn with_a_book() -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap() };
        house.ok(&["init", "--listen", "127.0.0.1:0"]);
        let book = house.folder.path().join("book");
        std::fs::create_dir_all(book.join("clients/north")).unwrap();
        let provider = "name = \"Example\"\ncurrency = \"USD\"\ntime_zone = \"UTC\"\n";
        std::fs::write(book.join("provider.toml"), provider).unwrap();
        let issue =
            "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"medium\"\n";
        std::fs::write(book.join("catalogue.toml"), issue).unwrap();
        std::fs::write(book.join("clients/north/client.toml"), "name = \"North\"\n").unwrap();
        house.ok(&["book", "apply", &text(&book)]);
        house
    }

    fn run(&self, arguments: &[&str]) -> Run {
        collector(&[arguments, &["--data", &text(&self.folder.path().join("data"))]].concat())
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.stderr);
        run.stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.stderr);
        run.last_json()
    }
}
