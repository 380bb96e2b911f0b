//! Real files: as programs write them and as they are rotated.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use upheld_model::{Outcome, ProbeSpec};

use super::*;
use crate::testing::{self, check, evidence, number, prober};

/// A log, and a check that reads it.
struct Site {
    folder: TempDir,
    spec: LogSpec,
    kept: Option<Kept>,
    limits: Limits,
}

impl Site {
    fn new() -> Self {
        let spec =
            LogSpec { ignore: vec!["harmless".to_owned()], ..LogSpec::new("app".to_owned(), vec!["ERROR".to_owned()]) };
        Self { folder: TempDir::new().unwrap(), spec, kept: None, limits: Limits::default() }
    }

    /// One whose log was looked at when it had a line.
    fn begun() -> Self {
        let mut site = Self::new();
        site.write(b"ERROR of yesterday\n");
        let first = site.look();
        assert_eq!(first.outcome, Outcome::Ok, "{first:?}");
        assert!(evidence(&first).contains("read from here on"), "{first:?}");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, bytes: &[u8]) {
        self.write_to("app.log", bytes);
    }

    fn write_to(&self, name: &str, bytes: &[u8]) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn look(&mut self) -> ProbeResult {
        let mut kept = Kept::of(self.kept.take(), &LogSource::File(self.path("app.log")), &self.spec);
        let soon = Deadline::after(Duration::from_secs(30));
        let result = kept.look(&self.path("app.log"), &self.spec, Timestamp::now(), self.limits, soon);
        // What is kept outlives a restart.
        let text = serde_json::to_string(&kept).unwrap();
        self.kept = Some(serde_json::from_str(&text).unwrap());
        result
    }

    /// How many lines a look finds that match.
    fn found(&mut self) -> u64 {
        let before = self.kept.as_ref().map_or(0, |kept| kept.matched);
        let result = self.look();
        assert!(!matches!(result.outcome, Outcome::Unknown { .. }), "{result:?}");
        self.kept.as_ref().unwrap().matched - before
    }
}

#[test]
fn lines_since_the_last_look_are_read_once_and_what_is_ignored_does_not_count() {
    let mut site = Site::begun();
    assert_eq!(site.found(), 0);
    site.write(b"all well\nERROR one\nERROR but harmless\nERROR two\n");
    assert_eq!(site.found(), 2);
    assert_eq!(site.found(), 0);
    let result = site.look();
    assert_eq!(result.outcome, Outcome::Bad);
    assert!(evidence(&result).contains("app: 2 lines match within 10 min, since 2"), "{result:?}");
    assert!(evidence(&result).ends_with("Z: ERROR one"), "{result:?}");
    assert_eq!(result.counters["matches"].1, 2);
}

#[test]
fn a_line_that_is_being_written_is_read_when_it_ends_or_stays_as_it_is() {
    let mut site = Site::begun();
    site.write(b"ERR");
    assert_eq!(site.found(), 0);
    site.write(b"OR in two halves\nERROR without an end: the program di");
    assert_eq!(site.found(), 1);
    assert_eq!(site.found(), 1, "nobody ends it");
    assert_eq!(site.found(), 0);
    site.write(b"ed\nERROR\n");
    assert_eq!(site.found(), 1);
}

#[test]
fn a_log_that_is_renamed_is_read_to_its_end_and_then_the_new_one() {
    let mut site = Site::begun();
    site.write(b"ERROR before\n");
    fs::rename(site.path("app.log"), site.path("app.log.1")).unwrap();
    // The program still has the old one open.
    site.write_to("app.log.1", b"ERROR into the old one\n");
    site.write(b"ERROR into the new one\n");
    assert_eq!(site.found(), 3);
    site.write(b"ERROR more\n");
    assert_eq!(site.found(), 1);
    // While there is no new one, what comes into the old one is read on.
    fs::rename(site.path("app.log"), site.path("app.log-20261128")).unwrap();
    site.write_to("app.log-20261128", b"ERROR late\n");
    assert_eq!(site.found(), 1);
    site.write_to("app.log-20261128", b"ERROR later\n");
    assert_eq!(site.found(), 1);
    site.write(b"ERROR first of the new one\n");
    assert_eq!(site.found(), 1);
    assert_eq!(site.found(), 0);
}

#[test]
fn a_log_that_is_renamed_out_of_sight_says_so_and_the_new_one_is_read() {
    let mut site = Site::begun();
    fs::rename(site.path("app.log"), site.path("gone")).unwrap();
    site.write(b"ok\nERROR new\n");
    let result = site.look();
    assert!(evidence(&result).contains("ERROR new; the file before was renamed out of its folder"), "{result:?}");
    assert_eq!(site.kept.as_ref().unwrap().matched, 1);
}

#[test]
fn a_log_that_is_emptied_is_read_from_its_beginning_also_when_it_has_grown_past_the_old_place() {
    let mut site = Site::begun();
    site.write(&b"a line of no interest\n".repeat(50));
    assert_eq!(site.found(), 0);
    fs::write(site.path("app.log"), b"ERROR after it was emptied\n").unwrap();
    assert_eq!(site.found(), 1);
    fs::write(site.path("app.log"), [&b"ERROR grown\n"[..], &b"another line\n".repeat(500)].concat()).unwrap();
    assert_eq!(site.found(), 1);
    // A program that does not append goes on where it was: before it is a hole.
    let file = OpenOptions::new().write(true).open(site.path("app.log")).unwrap();
    file.set_len(0).unwrap();
    file.set_len(5 << 20).unwrap();
    drop(file);
    site.write(b"ERROR behind a hole\n");
    assert_eq!(site.found(), 1);
}

#[test]
fn a_log_that_comes_into_being_is_read_from_its_beginning() {
    let mut site = Site::new();
    let result = site.look();
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::CannotProbe));
    assert!(evidence(&result).contains("yet; it is read from its beginning"), "{result:?}");
    site.write(b"ERROR at once\n");
    assert_eq!(site.found(), 1);
}

#[test]
fn a_log_that_stays_away_is_unknown_and_never_well() {
    let mut site = Site::begun();
    fs::remove_file(site.path("app.log")).unwrap();
    let result = site.look();
    assert_eq!(result.outcome, Outcome::Ok, "it may come back: {result:?}");
    site.kept.as_mut().unwrap().missing_since = Some(Timestamp::now() - SignedDuration::from_mins(11));
    assert_eq!(site.look().outcome, Outcome::unknown(UnknownReason::CannotProbe));
}

#[test]
fn a_flood_takes_a_bounded_look_and_says_what_was_skipped() {
    let mut site = Site::begun();
    site.limits = Limits { bytes: 1 << 20, chunk: 1_000 };
    site.write(&b"ERROR of a flood\n".repeat(200_000));
    let result = site.look();
    assert_eq!(number(&result, "skipped_bytes"), (200_000.0 * 17.0) - f64::from(1 << 20), "{result:?}");
    assert_eq!(number(&result, "lines_read"), f64::from((1 << 20) / 17), "whole lines, the newest");
    assert!(evidence(&result).contains("; skipped 2351424 bytes"), "{result:?}");
    assert!(serde_json::to_string(site.kept.as_ref().unwrap()).unwrap().len() < 2_000);
    assert_eq!(site.found(), 0);
}

#[test]
fn a_look_that_has_no_time_goes_on_where_it_was() {
    let mut site = Site::begun();
    site.write(b"ERROR one\nERROR two\n");
    let mut kept = site.kept.take().unwrap();
    let result =
        kept.look(&site.path("app.log"), &site.spec, Timestamp::now(), site.limits, Deadline::after(Duration::ZERO));
    assert!(evidence(&result).contains("the rest is read at the next look"), "{result:?}");
    site.kept = Some(kept);
    assert_eq!(site.found(), 2);
}

#[test]
fn patterns_that_are_dear_elsewhere_and_bytes_that_are_no_text_take_little_time() {
    let mut site = Site::begun();
    site.spec.patterns = vec!["(a+)+$".to_owned(), "(x|xx|x)*y.*z".to_owned(), "ERROR".to_owned()];
    site.look();
    let begin = Instant::now();
    site.write(
        &[&b"a".repeat(60_000)[..], b"!\n", &[0xff; 3_000], b" ERROR \x1b[2J\n", &b"x".repeat(10 << 20), b"\n"]
            .concat(),
    );
    let result = site.look();
    // Elsewhere it is the age of the universe.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(site.kept.as_ref().unwrap().matched, 1, "{result:?}");
    assert!(!evidence(&result).contains('\x1b'), "{result:?}");
}

#[test]
fn security_8_links_pipes_devices_and_folders_are_refused() {
    let mut site = Site::new();
    let path = site.path("app.log");
    let folder = site.folder.path().to_owned();
    let mut refused = |part: &str| {
        site.kept = None;
        let result = site.look();
        assert_eq!(result.outcome, Outcome::unknown(UnknownReason::NotAllowed), "{result:?}");
        assert!(evidence(&result).contains(part), "{result:?}");
    };
    symlink("/etc/passwd", &path).unwrap();
    refused("is a link, which is not followed");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused("no ordinary file");
    fs::remove_dir(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    refused("no ordinary file");
    // A link on the way, which somebody who owns the folder above could have made.
    let real = folder.join("real");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("app.log"), b"x\n").unwrap();
    symlink(&real, folder.join("way")).unwrap();
    let through = folder.join("way/app.log");
    assert!(matches!(open::open(&through), Err(Refused::Link { part }) if part.ends_with("way")));
    assert!(matches!(open::open(Path::new("/dev/null")), Err(Refused::NotAFile)));
}

#[tokio::test]
async fn only_a_log_that_the_site_names_is_read_and_a_restart_goes_on() {
    let site = Site::new();
    site.write(b"ERROR old\n");
    let probe = check(ProbeSpec::Log(site.spec.clone()));
    let refused = prober("").run(&probe).await;
    assert_eq!(refused.outcome, Outcome::unknown(UnknownReason::NotAllowed));
    assert!(evidence(&refused).contains(r#"[logs] app = "/var/log/app.log""#), "{refused:?}");

    let allow = format!("[logs]\napp = \"{}\"", site.path("app.log").display());
    let first = prober(&allow);
    assert_eq!(first.run(&probe).await.outcome, Outcome::Ok);
    site.write(b"ERROR while nobody looked\n");
    let second = prober(&allow);
    second.recall(first.memory());
    let result = second.run(&probe).await;
    assert_eq!(result.outcome, Outcome::Bad, "{result:?}");
    assert!(evidence(&result).ends_with(": ERROR while nobody looked"), "{result:?}");
}

#[test]
fn a_log_that_may_not_be_read_says_what_to_do() {
    testing::in_namespace_as_nobody("log::tests::a_log_that_may_not_be_read_says_what_to_do", "true", async || {
        let site = Site::new();
        site.write(b"x\n");
        fs::set_permissions(site.path("app.log"), fs::Permissions::from_mode(0o000)).unwrap();
        let allow = format!("[logs]\napp = \"{}\"", site.path("app.log").display());
        let result = prober(&allow).run(&check(ProbeSpec::Log(site.spec.clone()))).await;
        assert_eq!(result.outcome, Outcome::unknown(UnknownReason::Permission));
        assert!(evidence(&result).contains("setfacl"), "{result:?}");
    });
}
