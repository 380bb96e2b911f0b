//! A provider's secret on its way: typed at the collector, sealed to the site's agents, used against a real nginx, and
//! found in clear nowhere (SECURITY 4, 22).

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use upheld_tests::{Agent, Collector, Nginx, book, free_port, nginx::Signer, program, wait_for};

/// What must not be found.
const CANARY: &str = "canary-Q3v9-woodpecker";
/// The same in the form in which it is sent: base64 of `viewer:canary-Q3v9-woodpecker`.
const CANARY_SENT: &str = "dmlld2VyOmNhbmFyeS1RM3Y5LXdvb2RwZWNrZXI";
const PLACE: &str = "northgate/plant-2/nvr-web";
const WAIT: Duration = Duration::from_secs(90);

#[test]
fn a_sealed_secret_reaches_the_check_that_names_it_and_is_found_in_clear_nowhere() {
    let port = free_port();
    let mut nginx = Nginx::at(port);
    nginx.user("viewer", CANARY);
    nginx.certify(90, Signer::Authority);
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    let check = format!(
        "kind = \"net.http\", url = \"https://127.0.0.1:{port}/private\", every = \"1s\", fail_after = 1, recover_after = 1, \
         auth = {{ basic = \"viewer\", secret = \"nvr-web\" }}"
    );
    book::write_book(
        &folder,
        &format!("\n[[asset]]\nid = \"nvr\"\nclass = \"server\"\nchecks = [{{ {check} }}]\n"),
        None,
    );
    collector.apply(&folder);
    collector.serve();
    let allow = format!("loopback_ports = [{port}]\n");
    let mut agent = Agent::enroll(&collector.link(collector.port), &allow);

    let typed = Typed::new(CANARY);
    let (code, _, err) = typed.set(&collector);
    assert!(code == Some(1) && err.contains("told no key yet"), "{code:?} {err}");
    agent.run();
    stands(&agent, "unknown", Some("secret-missing"));
    let (_, now, _) = program::run(&mut agent.command(&["check", "now"]));
    assert!(now.contains("unknown (secret missing)") && now.contains("upheld-agent secret set nvr-web"), "{now}");

    wait_for("the agent's key is known", WAIT, || (typed.set(&collector).0 == Some(0)).then_some(()));
    stands(&agent, "ok", None);
    let listed = collector.cli_json(&["secret", "list", "northgate/plant-2"]);
    assert_eq!(listed["secrets"][0]["sealed_to"], serde_json::json!([agent.id()]), "{listed}");
    assert_eq!(listed["secrets"][0]["lacking"], serde_json::json!([]), "{listed}");

    // A host that comes later lacks it, is named, and has it once it is set again.
    let mut later = Agent::enroll(&collector.link(collector.port), &allow);
    later.run();
    stands(&later, "unknown", Some("secret-missing"));
    wait_for("the later agent is said to lack it", WAIT, || {
        let lacking = collector.cli_json(&["secret", "list", "northgate/plant-2"])["secrets"][0]["lacking"].clone();
        (lacking[0]["agent"] == later.id() && lacking[0]["why"] == "set-before").then_some(())
    });
    assert_eq!(typed.set(&collector).0, Some(0));
    stands(&later, "ok", None);
    stands(&agent, "ok", None);

    // Another value: what the device refuses is no failure of the device.
    assert_eq!(Typed::new("another-word").set(&collector).0, Some(0));
    stands(&agent, "unknown", Some("credentials"));
    assert_eq!(typed.set(&collector).0, Some(0));
    stands(&agent, "ok", None);

    let sealed: i64 = collector
        .database()
        .query_row("SELECT count(*) FROM sealed_boxes WHERE length(sealed) > 96", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(sealed, 2, "a box for each agent");
    collector.cli_json(&["secret", "remove", PLACE]);
    stands(&agent, "unknown", Some("secret-missing"));
    stands(&later, "unknown", Some("secret-missing"));
    assert_eq!((collector.audited("secret.set"), collector.audited("secret.removed")), (4, 1));
    assert_eq!(collector.audited("agent.sealing-key"), 2);

    for agent in [&mut agent, &mut later] {
        agent.program().stop();
        agent.program().assert_no_errors();
    }
    collector.program().stop();
    collector.program().assert_no_errors();
    let mut looked_at = 0;
    for folder in [collector.folder(), agent.folder(), later.folder()] {
        for path in files(folder) {
            let bytes = fs::read(&path).unwrap_or_default();
            looked_at += 1;
            for canary in [CANARY, CANARY_SENT] {
                let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
                assert!(!found, "{canary} stands in {}", path.display());
            }
        }
    }
    assert!(looked_at > 20, "{looked_at} files are not all of them");
}

#[test]
fn what_cannot_be_sealed_is_refused_with_what_to_do_and_shows_nothing() {
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    book::write_book(&folder, "", None);
    collector.apply(&folder);
    collector.serve();
    let typed = Typed::new(CANARY);
    for (place, code, words) in [
        ("northgate/plant-2", 2, "CLIENT/SITE/NAME"),
        ("northgate/plant-2/../x", 2, ""),
        ("northgate/plant-2/a b", 2, "name of a secret"),
        ("northgate/plant-9/nvr-web", 1, "no site northgate/plant-9"),
        (PLACE, 1, "agent token --client northgate --site plant-2"),
    ] {
        let (ended, out, err) = typed.set_at(&collector, place);
        assert!(ended == Some(code) && err.contains(words), "{place}: {ended:?} {err}");
        assert!(!format!("{out}{err}").contains(CANARY), "{place}");
    }
    let (code, _, err) = Typed::new("a\nb").set(&collector);
    assert!(code == Some(1) && err.contains("second line"), "{err}");
    for unbuilt in [&["secret", "recovery-key", "abc"][..], &["secret", "reseal", "--with", "key"]] {
        let (code, _, err) = program::run(&mut collector.command(unbuilt));
        assert!(code == Some(69) && err.contains("not built"), "{unbuilt:?} {code:?} {err}");
    }
    let (code, _, err) = program::run(&mut collector.command(&["secret", "remove", PLACE]));
    assert!(code == Some(1) && err.contains("secret list northgate/plant-2"), "{err}");
    collector.program().stop();
    collector.program().assert_no_errors();
}

/// A value in a file of its own, which a command reads as its standard input.
struct Typed {
    folder: TempDir,
}

impl Typed {
    fn new(value: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        program::write(&folder.path().join("value"), &format!("{value}\n"));
        Self { folder }
    }

    fn set(&self, collector: &Collector) -> (Option<i32>, String, String) {
        self.set_at(collector, PLACE)
    }

    fn set_at(&self, collector: &Collector, place: &str) -> (Option<i32>, String, String) {
        let input = File::open(self.folder.path().join("value")).expect("the value");
        program::run_given(&mut collector.command(&["secret", "set", place]), input)
    }
}

/// Waits until the agent's one check stands so, with that reason where it is unknown.
fn stands(agent: &Agent, state: &str, reason: Option<&str>) {
    wait_for(&format!("the check is {state} {reason:?}"), WAIT, || {
        let status: Value = agent.status()?;
        let check = &status["checks"][0];
        (check["state"] == state && reason.is_none_or(|reason| check["reason"] == reason)).then_some(())
    });
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] }).collect()
}
