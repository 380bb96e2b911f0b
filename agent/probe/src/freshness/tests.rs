//! Real folders: links, rights, growth, bounds.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, SystemTime},
};

use upheld_model::{CheckSpec, Outcome, ProbeSpec};

use super::*;
use crate::testing::{self, evidence, number};

fn fresh(path: &Path) -> CheckSpec {
    let path = path.to_str().unwrap().to_owned();
    testing::check(ProbeSpec::RecFreshness(FreshnessSpec { path, age_max_s: 120, bytes_min: 100, ends_with: None }))
}

/// A folder for the test and a prober that may look into it.
fn folder() -> (tempfile::TempDir, crate::Prober) {
    let dir = tempfile::tempdir().unwrap();
    let prober = testing::prober(&format!("paths = [{:?}]", dir.path()));
    (dir, prober)
}

/// Writes a file that was changed so many seconds ago.
fn file(path: PathBuf, bytes: usize, age_s: i64) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, vec![b'x'; bytes]).unwrap();
    let now = SystemTime::now();
    let far = Duration::from_secs(age_s.unsigned_abs());
    let modified = if age_s < 0 { now + far } else { now - far };
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    path
}

#[tokio::test]
async fn the_newest_file_in_a_tree_decides_and_is_measured() {
    let (dir, prober) = folder();
    file(dir.path().join("cam-1/2026/11/16/a.mp4"), 5_000, 4_000);
    file(dir.path().join("cam-2/2026/11/16/b.mp4"), 7_000, 30);
    let result = prober.run(&fresh(dir.path())).await;
    assert_eq!(result.outcome, Outcome::Ok, "{result:?}");
    assert!((30.0..33.0).contains(&number(&result, "newest_age_s")));
    assert_eq!((number(&result, "newest_bytes"), number(&result, "files")), (7_000.0, 2.0));
    let one_camera = prober.run(&fresh(&dir.path().join("cam-1"))).await;
    assert_eq!(one_camera.outcome, Outcome::Bad);
    assert!(evidence(&one_camera).contains("a.mp4 is 66 min 40 s old"), "{one_camera:?}");
}

#[tokio::test]
async fn only_files_with_the_right_ending_count() {
    let (dir, prober) = folder();
    file(dir.path().join("a.mp4"), 5_000, 4_000);
    file(dir.path().join("a.mp4.tmp"), 5_000, 1);
    let mut check = fresh(dir.path());
    let ProbeSpec::RecFreshness(spec) = &mut check.probe else { panic!() };
    spec.ends_with = Some(".mp4".to_owned());
    let result = prober.run(&check).await;
    assert_eq!((result.outcome.clone(), number(&result, "files")), (Outcome::Bad, 1.0));
}

#[tokio::test]
async fn growth_is_what_was_written_between_two_runs() {
    let (dir, prober) = folder();
    let path = file(dir.path().join("a.mp4"), 1_000, 1);
    let check = fresh(dir.path());
    let first = prober.run(&check).await;
    assert!(!first.values.contains_key("bytes_per_h"));
    file(path, 1_600, 0);
    file(dir.path().join("b.mp4"), 400, 0);
    let second = prober.run(&check).await;
    assert_eq!(second.counters["bytes_written"].since(&first.counters["bytes_written"]), Some(1_000));
    assert!(number(&second, "bytes_per_h") > 1_000.0);
    let third = prober.run(&check).await;
    assert_eq!(third.counters["bytes_written"], second.counters["bytes_written"]);
    assert_eq!(number(&third, "bytes_per_h"), 0.0);
}

#[tokio::test]
async fn a_frozen_recorder_and_a_wrong_clock_are_seen() {
    let (dir, prober) = folder();
    file(dir.path().join("header.mp4"), 48, 100);
    let frozen = prober.run(&fresh(dir.path())).await;
    assert_eq!(frozen.outcome, Outcome::Bad);
    assert!(evidence(&frozen).contains("48 bytes"), "{frozen:?}");
    file(dir.path().join("whole.mp4"), 5_000, -7_200);
    let future = prober.run(&fresh(dir.path())).await;
    assert_eq!(future.outcome, Outcome::Warn, "{future:?}");
    assert!(number(&future, "newest_ahead_s") > 7_000.0);
    assert_eq!(prober.run(&fresh(dir.path())).await.outcome, Outcome::Bad, "and nothing is written any more");
}

#[tokio::test]
async fn missing_and_empty_folders_are_bad_and_say_how_far_the_path_leads() {
    let (dir, prober) = folder();
    let empty = prober.run(&fresh(dir.path())).await;
    assert!(empty.outcome == Outcome::Bad && evidence(&empty).contains("holds no file"), "{empty:?}");
    let missing = prober.run(&fresh(&dir.path().join("gone/deeper"))).await;
    assert_eq!(missing.outcome, Outcome::Bad);
    assert!(evidence(&missing).ends_with("/gone does not exist"), "{missing:?}");
    let plain = file(dir.path().join("file"), 1, 0);
    let not_a_folder = prober.run(&fresh(&plain)).await;
    assert!(evidence(&not_a_folder).ends_with("/file is not a folder"), "{not_a_folder:?}");
}

#[tokio::test]
async fn security_8_no_link_leads_out_of_the_root() {
    let (dir, prober) = folder();
    let outside = tempfile::tempdir().unwrap();
    file(outside.path().join("deep/fresh.mp4"), 5_000, 0);
    let not_allowed = Outcome::unknown(UnknownReason::NotAllowed);
    symlink(outside.path(), dir.path().join("link")).unwrap();
    for path in ["link", "link/deep"] {
        let result = prober.run(&fresh(&dir.path().join(path))).await;
        assert_eq!(result.outcome, not_allowed, "{path}: {result:?}");
        assert!(evidence(&result).contains("/link is a link"), "{result:?}");
    }
    let within = prober.run(&fresh(dir.path())).await;
    assert!(
        within.outcome == Outcome::Bad && number(&within, "files") == 0.0,
        "links inside count for nothing: {within:?}"
    );
    symlink(outside.path().join("deep/fresh.mp4"), dir.path().join("fresh.mp4")).unwrap();
    assert_eq!(prober.run(&fresh(dir.path())).await.outcome, Outcome::Bad);
    let up = dir.path().join("..").join(outside.path().file_name().unwrap());
    assert_eq!(prober.run(&fresh(&up)).await.outcome, not_allowed);
    assert_eq!(prober.run(&fresh(outside.path())).await.outcome, not_allowed);
}

#[tokio::test]
async fn the_walk_ends_at_its_bounds_and_does_not_call_that_stale() {
    let (dir, prober) = folder();
    let deep = (0..12).fold(dir.path().to_owned(), |path, n| path.join(n.to_string()));
    file(deep.join("a.mp4"), 5_000, 0);
    let result = prober.run(&fresh(dir.path())).await;
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::Local), "{result:?}");
    assert!(evidence(&result).contains("narrower"), "{result:?}");
}

#[test]
fn what_may_not_be_read_is_unknown() {
    let name = "freshness::tests::what_may_not_be_read_is_unknown";
    testing::in_namespace_as_nobody(name, "umask 022", async || {
        let (dir, prober) = folder();
        file(dir.path().join("open/old.mp4"), 5_000, 4_000);
        let closed = dir.path().join("closed");
        file(closed.join("a.mp4"), 5_000, 0);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
        for path in [dir.path(), &closed] {
            let result = prober.run(&fresh(path)).await;
            assert_eq!(result.outcome, Outcome::unknown(UnknownReason::Permission), "{result:?}");
            assert!(evidence(&result).contains("/closed may not be read"), "{result:?}");
        }
        file(dir.path().join("open/new.mp4"), 5_000, 0);
        assert_eq!(prober.run(&fresh(dir.path())).await.outcome, Outcome::Ok);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    });
}
