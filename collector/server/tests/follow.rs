//! A folder that follows a collector: what was committed within a second is in it, and nothing that is damaged or missing
//! is passed over in silence.

#[path = "support/run.rs"]
mod run;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use run::{collector, command, text};
use serde_json::Value;
use tempfile::TempDir;

struct Made {
    folder: TempDir,
}

impl Made {
    fn new() -> Self {
        let made = Self { folder: TempDir::new().unwrap() };
        let run = collector(&["init", "--listen", "127.0.0.1:7443", "--data", &made.name("data")]);
        assert_eq!(run.code, 0, "{run:?}");
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        text(&self.path(name))
    }

    /// A fact born at the collector.
    fn fact(&self, person: &str) {
        let run = collector(&["login-link", "--name", person, "--data", &self.name("data")]);
        assert_eq!(run.code, 0, "{run:?}");
    }

    fn follow(&self) -> Following {
        let mut command = command(&["backup", "--follow", &self.name("away"), "--data", &self.name("data")]);
        let before = fs::read(self.path("away/head.json")).unwrap_or_default();
        let following = Following(command.stdout(Stdio::null()).spawn().unwrap());
        wait_for("the copy of the whole", || fs::read(self.path("away/head.json")).is_ok_and(|head| head != before));
        following
    }

    /// Waits until everything that was committed before now is there.
    fn catch_up(&self) {
        let now = jiff::Timestamp::now();
        wait_for("the follower", || {
            let head = fs::read(self.path("away/head.json")).unwrap_or_default();
            let head: Value = serde_json::from_slice(&head).unwrap_or_default();
            head["seen_at"].as_str().is_some_and(|seen| seen.parse::<jiff::Timestamp>().unwrap() > now)
        });
    }

    fn restore(&self, into: &str, more: &[&str]) -> run::Run {
        let (away, into) = (self.name("away"), self.name(into));
        collector(&[&["restore", "--segments", &away, "--into", &into], more].concat())
    }

    fn people(&self, data: &str) -> Vec<String> {
        let database = rusqlite::Connection::open(self.path(data).join("upheld.db")).unwrap();
        let mut rows = database.prepare("SELECT name FROM people ORDER BY name").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut names: Vec<_> = fs::read_dir(self.path("away")).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("segment-"));
        names.sort();
        names
    }
}

struct Following(Child);

impl Following {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Gone already after `kill`.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_lost_disk_costs_nothing_that_was_committed_a_moment_before() {
    let made = Made::new();
    made.fact("before");
    let following = made.follow();
    for person in ["one", "two", "three"] {
        made.fact(person);
        made.catch_up();
    }
    let verified = collector(&["backup", "verify", &made.name("away"), "--json", "--max-age", "1m"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(verified.last_json()["segments"].as_u64().unwrap() >= 3, "{verified:?}");
    following.kill();
    fs::remove_dir_all(made.path("data")).unwrap();

    let restored = made.restore("new", &["--nothing-after-by", "Ana Example"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    assert!(restored.stdout.contains("nothing was written after that"), "{restored:?}");
    for person in ["before", "one", "two", "three", "Ana Example"] {
        assert!(made.people("new").contains(&person.to_owned()), "{person}: {:?}", made.people("new"));
    }
    let show = collector(&["recovery", "show", "--data", &made.name("new")]);
    assert!(show.stdout.contains("not in recovery"), "{show:?}");

    // Without that word the last moments may be missing, and a person has to see it.
    let careful = made.restore("careful", &[]);
    assert!(careful.stdout.contains("and in recovery"), "{careful:?}");
    wait_for("a second to pass", || collector(&["backup", "verify", &made.name("away"), "--max-age", "1s"]).code == 4);
}

#[test]
fn a_damaged_or_missing_segment_is_named_and_what_was_before_it_can_be_had() {
    let made = Made::new();
    let following = made.follow();
    for person in ["one", "two", "three"] {
        made.fact(person);
        made.catch_up();
    }
    following.kill();
    let segments = made.segments();
    let whole: Vec<_> = segments.iter().map(|path| fs::read(path).unwrap()).collect();
    let is_refused = |what: &str| {
        let run = made.restore("new", &[]);
        assert!(run.code == 1 && run.stderr.contains(what) && run.stderr.contains("--as-far-as-whole"), "{run:?}");
        assert!(!made.path("new").exists() && !made.path("new.restoring").exists());
        assert_eq!(collector(&["backup", "verify", &made.name("away")]).code, 1);
    };
    let last = segments.last().unwrap();
    flip(last);
    is_refused("SHA-256 differs");
    fs::remove_file(last).unwrap();
    is_refused("is missing");
    // A segment in the place of another one.
    fs::write(last, &whole[whole.len() - 2]).unwrap();
    is_refused("does not follow");
    let run = made.restore("new", &["--as-far-as-whole"]);
    assert!(run.code == 0 && run.stdout.contains("in recovery"), "{run:?}");
    assert!(made.people("new").contains(&"two".to_owned()) && !made.people("new").contains(&"three".to_owned()));
    fs::write(last, whole.last().unwrap()).unwrap();
    assert_eq!(made.restore("all", &[]).code, 0);
    assert!(made.people("all").contains(&"three".to_owned()));
}

#[test]
fn a_follower_that_was_away_begins_anew_and_says_nothing_of_the_time_between() {
    let made = Made::new();
    let following = made.follow();
    made.fact("one");
    made.catch_up();
    following.kill();
    let first = collector(&["backup", "verify", &made.name("away"), "--json"]).last_json();
    made.fact("unseen");
    let following = made.follow();
    made.fact("two");
    made.catch_up();
    let again = command(&["backup", "--follow", &made.name("other"), "--data", &made.name("data")]).output().unwrap();
    assert_eq!(again.status.code(), Some(11), "{again:?}");
    following.kill();

    let second = collector(&["backup", "verify", &made.name("away"), "--json"]).last_json();
    assert_ne!(first["base"], second["base"]);
    assert_eq!(made.restore("new", &[]).code, 0);
    assert!(made.people("new").contains(&"unseen".to_owned()) && made.people("new").contains(&"two".to_owned()));
    // The older copy is still there, and reaches as far as its own run did.
    let older = made.restore("older", &[first["base"].as_str().unwrap(), "--json"]);
    assert_eq!(older.last_json()["missing_from"], first["up_to"], "{older:?}");
    assert!(!made.people("older").contains(&"unseen".to_owned()) && made.people("older").contains(&"one".to_owned()));
}

#[test]
fn what_cannot_be_followed_or_restored_is_refused_with_what_to_do() {
    let made = Made::new();
    let inside = collector(&["backup", "--follow", &made.name("data/away"), "--data", &made.name("data")]);
    assert!(inside.code == 2 && inside.stderr.contains("another disk"), "{inside:?}");
    fs::create_dir(made.path("empty")).unwrap();
    let nothing = collector(&["restore", "--segments", &made.name("empty"), "--into", &made.name("new")]);
    assert!(nothing.code == 1 && nothing.stderr.contains("no such copy"), "{nothing:?}");
    let nobody = collector(&["restore", "--into", &made.name("new")]);
    assert_eq!(nobody.code, 2, "{nobody:?}");
    let file = made.name("b1");
    assert_eq!(collector(&["backup", "--out", &file, "--data", &made.name("data")]).code, 0);
    let foreign = collector(&["restore", &file, "--segments", &made.name("empty"), "--into", &made.name("new")]);
    assert!(foreign.code == 1 && foreign.stderr.contains("of their own folder"), "{foreign:?}");
    assert!(!made.path("new").exists());
}
