//! A copy and what was followed after it are the database, whoever writes and carries over meanwhile.

use std::{
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tempfile::TempDir;

use super::*;
use crate::sqlite::{backup, open as open_store};

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        drop(open_store(&folder.path().join("a.db")).unwrap());
        let world = Self { folder };
        world.writer().execute_batch("CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)").unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that knows nothing of followers, and carries over after each commit if it may.
    fn writer(&self) -> Connection {
        let connection = Connection::open(self.path("a.db")).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 1).unwrap();
        connection
    }

    fn copy(&self) -> File {
        backup::snapshot(&self.path("a.db"), &self.path("b.db")).unwrap();
        OpenOptions::new().read(true).write(true).open(self.path("b.db")).unwrap()
    }

    fn is_the_same(&self) {
        let all = |name: &str| {
            let connection = Connection::open(self.path(name)).unwrap();
            let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(verdict, "ok");
            let mut rows = connection.prepare("SELECT k, v FROM t ORDER BY k").unwrap();
            let rows = rows.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
            rows.collect::<Result<Vec<_>, _>>().unwrap()
        };
        assert!(all("a.db") == all("b.db"), "the copy differs");
    }
}

/// Writes what was followed into a copy.
fn apply(follower: &mut Follower, copy: &File) -> Option<Pending> {
    follower.follow(|follower, pending| keep(follower, pending, copy)).unwrap()
}

fn keep(follower: &Follower, pending: &Pending, copy: &File) -> Result<(), FollowError> {
    let mut pages = Vec::new();
    follower.copy(pending, &mut pages)?;
    let size = pending.page_size as usize;
    assert_eq!(pages.len() as u64, pending.frames * (8 + size as u64));
    for page in pages.chunks(8 + size) {
        let number = u32::from_be_bytes(*page.first_chunk().unwrap());
        copy.write_all_at(&page[8..], u64::from(number - 1) * size as u64).unwrap();
    }
    copy.set_len(u64::from(pending.pages_after) * size as u64).unwrap();
    Ok(())
}

#[test]
fn a_copy_and_what_was_followed_are_the_database_whoever_carries_over_in_between() {
    for seed in 1..=40_u64 {
        let world = World::new();
        let mut writer = world.writer();
        // Carrying over with RESTART would wait for the open read.
        writer.busy_timeout(std::time::Duration::ZERO).unwrap();
        let mut follower = Follower::begin(&world.path("a.db")).unwrap();
        let mut random = seed;
        let mut next = |bound: u64| -> i64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((random >> 33) % bound).unwrap()
        };
        let copy = world.copy();
        for step in 0..60 {
            match next(10) {
                0 => drop(apply(&mut follower, &copy)),
                1 => assert!(follower.carry_over(|follower, pending| keep(follower, pending, &copy)).unwrap()),
                2 => writer.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap_or(()),
                3 => {
                    let undone = writer.transaction().unwrap();
                    undone.execute("INSERT INTO t (v) VALUES (randomblob(20000))", []).unwrap();
                    undone.rollback().unwrap();
                }
                4 => drop(writer.execute("DELETE FROM t WHERE k % 3 = ?1", [next(3)]).unwrap()),
                5 => writer.execute_batch("PRAGMA incremental_vacuum; VACUUM").unwrap_or(()),
                _ => {
                    let bytes = next(30_000);
                    writer.execute("INSERT INTO t (v) VALUES (randomblob(?1))", [bytes]).unwrap();
                }
            }
            if step % 20 == 19 {
                apply(&mut follower, &copy);
                world.is_the_same();
            }
        }
        assert_eq!(apply(&mut follower, &copy), None, "seed {seed}: nothing is pending twice");
    }
}

#[test]
fn two_writers_never_outrun_a_follower_and_the_log_is_begun_anew() {
    let world = World::new();
    let mut follower = Follower::begin(&world.path("a.db")).unwrap();
    let copy = world.copy();
    let stop = AtomicBool::new(false);
    let keep_all = |follower: &Follower, pending: &Pending| keep(follower, pending, &copy);
    thread::scope(|scope| {
        let mut writers = Vec::new();
        for _ in 0..2 {
            writers.push(scope.spawn(|| {
                let writer = world.writer();
                for _ in 0..1_500 {
                    writer.execute("INSERT INTO t (v) VALUES (randomblob(40000))", []).unwrap();
                    writer.execute("DELETE FROM t WHERE k < (SELECT max(k) FROM t) - 50", []).unwrap();
                }
            }));
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                apply(&mut follower, &copy);
                follower.shorten(keep_all).unwrap();
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        stop.store(true, Ordering::Relaxed);
    });
    // How often it came to carry over beside two writers is theirs to say; alone it does.
    apply(&mut follower, &copy);
    follower.shorten(keep_all).unwrap();
    world.writer().execute("INSERT INTO t (v) VALUES (randomblob(40000))", []).unwrap();
    apply(&mut follower, &copy);
    world.is_the_same();
    let frames = follower.place.unwrap().frames;
    assert!(frames < LONG_LOG, "after 30,000 pages the log has {frames}");
}

#[test]
fn what_is_not_kept_is_pending_still_and_only_one_may_follow() {
    let world = World::new();
    let mut follower = Follower::begin(&world.path("a.db")).unwrap();
    let copy = world.copy();
    let writer = world.writer();
    for round in 0..3 {
        writer.execute("INSERT INTO t (v) VALUES (randomblob(9000))", []).unwrap();
        let full = follower.follow(|_, _| Err(FollowError::Keep(io::ErrorKind::StorageFull.into())));
        assert!(matches!(full, Err(FollowError::Keep(_))), "round {round}: {full:?}");
        let full = follower.carry_over(|_, _| Err(FollowError::Keep(io::ErrorKind::StorageFull.into())));
        assert!(matches!(full, Err(FollowError::Keep(_))), "round {round}: {full:?}");
    }
    let second = Follower::begin(&world.path("a.db"));
    assert!(matches!(second, Err(FollowError::Followed(_))), "{second:?}");
    assert!(apply(&mut follower, &copy).unwrap().frames >= 9);
    world.is_the_same();
}
