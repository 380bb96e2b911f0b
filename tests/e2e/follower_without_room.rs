//! `backup --follow` into a folder whose disk is full, of a collector with its facts in a file and of one on PostgreSQL, whose
//! server may throw its log away meanwhile: it is said, what was followed can be restored, and once there is room nothing is
//! missing (DELIVERY 4).

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use jiff::{SignedDuration, Timestamp};
use upheld_tests::{
    Collector,
    follower::{Follower, place, restore, start, text},
    namespace::{Own, fill_up, inside, mount_small},
    on_postgresql::{DATABASE, SOON, Site, records, wait_for_more},
    postgresql::Server,
    program, wait_for,
};

/// The length of a file of the log.
const SEGMENT: u64 = 16 << 20;
/// What it says when it follows, at first and again.
const FOLLOWS: &str = "(PostgreSQL 15) by the slot ";
/// Within so long what failed of a file is tried twice more.
const TWICE: SignedDuration = SignedDuration::from_secs(12);

/// A site whose collector's database is followed into a small folder, and who takes all of its room.
struct Small {
    server: Server,
    site: Site,
    follower: Follower,
    filler: PathBuf,
}

impl Small {
    fn with(settings: &[&str]) -> Self {
        let server = Server::start_in(Server::folder(), settings);
        let mut site = Site::with_backlog(&server, 1);
        let folder = site.collector.folder().join("away");
        mount_small(&folder, 256);
        let follower = Follower::of(&site.collector);
        site.run();
        wait_for_more(&server, 1);
        follower.wait_for_now();
        Self { server, site, follower, filler: folder.join("filler") }
    }

    /// Takes all room but a megabyte: not enough for one more file of the log.
    fn fill(&mut self) {
        fill_up(&self.filler);
        let filler = fs::File::options().write(true).open(&self.filler).expect("the filler");
        filler.set_len(filler.metadata().expect("its length").len() - (1 << 20)).expect("a megabyte of room");
        self.server.sql("postgres", "SELECT pg_switch_wal()");
        self.site.collector.cli_json(&["login-link", "--name", "Ana Example"]);
        self.wait_until_said("No space left on device");
    }

    fn said(&mut self, words: &str) -> usize {
        self.follower.program().log_text().matches(words).count()
    }

    fn wait_until_said(&mut self, words: &str) {
        wait_for(words, SOON, || (self.said(words) > 0).then_some(()));
    }

    /// The disk is lost once everything of now is in the folder: what is restored of it has all, and goes on.
    fn loses_nothing(self) {
        let at_loss = records(&self.server);
        self.follower.wait_for_now();
        let Self { mut server, mut site, mut follower, .. } = self;
        site.collector.cli_json(&["backup", "verify", text(&follower.folder), "--max-age", "5m"]);
        let port = server.port;
        server.end("KILL");
        drop(server);
        follower.program().stop();
        let pgdata = place();
        let made = program::json(restore(&site.collector, &follower, &pgdata, &[]).arg("--json"));
        assert!(made["up_to"].is_string(), "{made}");
        let server = start(pgdata, port);
        let restored = records(&server);
        let total = site.assert_all_arrived_once(&server);
        println!("{at_loss} records when all was followed again, {restored} restored, {total} at the end");
        assert!(at_loss <= restored && restored <= total);
    }
}

/// The files of the log that the receiver could not make as long as they must be, by their numbers on the disk.
fn unfilled(follower: &Follower) -> BTreeSet<u64> {
    let files = follower.files_of_the_log().into_iter().filter(|path| path.extension().is_some());
    // It may be gone again.
    let short = files.filter_map(|path| fs::metadata(path).ok()).filter(|file| (1..SEGMENT).contains(&file.len()));
    short.map(|file| file.ino()).collect()
}

#[test]
fn a_full_folder_that_follows_a_file_is_said_once_and_lacks_nothing_once_there_is_room() {
    inside(Own::Mounts, "a_full_folder_that_follows_a_file_is_said_once_and_lacks_nothing_once_there_is_room", || {
        let collector = Collector::new();
        let fact = |name: &str| drop(collector.cli_json(&["login-link", "--name", name]));
        let folder = collector.folder().join("away");
        mount_small(&folder, 64);
        let mut follower = Follower::of(&collector);
        fact("Ana Example");
        follower.wait_for_now();
        let filler = folder.join("filler");
        fill_up(&filler);
        let said = |follower: &mut Follower, words: &str| follower.program().log_text().matches(words).count();
        // Whatever number of facts: the last bytes of a page may have room for one more segment.
        let mut facts = 1;
        wait_for("the follower says so", SOON, || {
            facts += 1;
            fact(&format!("Person {facts}"));
            (said(&mut follower, "No space left on device") > 0).then_some(())
        });
        let full_at = Timestamp::now();
        wait_for("it was tried again", SOON, || (Timestamp::now().duration_since(full_at) > TWICE).then_some(()));
        assert_eq!(said(&mut follower, "Error: "), 1, "{}", follower.program().log_text());
        assert!(follower.seen_at().is_some_and(|seen| seen < full_at), "it follows no further");

        fs::remove_file(&filler).expect("the filler");
        follower.wait_for_now();
        wait_for("that is said", SOON, || (said(&mut follower, "follows again") == 1).then_some(()));
        follower.program().kill();
        let into = collector.folder().join("restored");
        let restored = ["restore", "--segments", text(&folder), "--into", text(&into)];
        program::json(collector.command(&restored).arg("--json"));
        let database = rusqlite::Connection::open(into.join("upheld.db")).expect("the database");
        let people = database.query_row("SELECT count(*) FROM people WHERE name LIKE 'Person %'", [], |row| row.get(0));
        assert_eq!(people, Ok(facts - 1), "each fact that was born while the folder was full");
    });
}

#[test]
fn a_full_folder_is_said_once_and_follows_from_where_it_ended_once_there_is_room() {
    inside(Own::Mounts, "a_full_folder_is_said_once_and_follows_from_where_it_ended_once_there_is_room", || {
        let mut small = Small::with(&[]);
        small.fill();
        let mut tried = BTreeSet::new();
        wait_for("it is tried three times", SOON, || {
            tried.extend(unfilled(&small.follower));
            (tried.len() >= 3).then_some(())
        });
        assert_eq!(small.said("the log of "), 1, "{}", small.follower.program().log_text());
        assert_eq!(small.said(FOLLOWS), 1, "{}", small.follower.program().log_text());
        let verify = ["backup", "verify", text(&small.follower.folder), "--max-age", "1s"];
        let (code, ..) = program::run(&mut small.site.collector.command(&verify));
        assert_eq!(code, Some(4), "it follows no further");

        fs::remove_file(&small.filler).expect("the filler");
        small.follower.wait_for_now();
        wait_for("that is said", SOON, || (small.said(FOLLOWS) == 2).then_some(()));
        small.loses_nothing();
    });
}

#[test]
fn a_log_that_the_server_threw_away_meanwhile_begins_anew_once_there_is_room() {
    inside(Own::Mounts, "a_log_that_the_server_threw_away_meanwhile_begins_anew_once_there_is_room", || {
        let mut small = Small::with(&["max_slot_wal_keep_size=32MB"]);
        small.fill();
        wait_for("its slot is thrown away", SOON, || {
            small.server.sql(DATABASE, "CHECKPOINT");
            small.server.sql(DATABASE, "SELECT pg_switch_wal()");
            (small.said("no longer has the log") > 0).then_some(())
        });
        small.wait_until_said("MiB left");
        assert!(small.follower.seen_at().is_none(), "nothing says that it follows");
        let pgdata = place();
        let made = program::json(restore(&small.site.collector, &small.follower, &pgdata, &[]).arg("--json"));
        assert!(
            made["up_to"].is_null(),
            "what was followed before can be restored, up to no moment that is known: {made}"
        );

        fs::remove_file(&small.filler).expect("the filler");
        wait_for("a new copy of the whole", SOON, || small.follower.seen_at());
        let left = fs::read_dir(&small.follower.folder).expect("the folder");
        let left: Vec<_> = left.map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8")).collect();
        assert!(!left.iter().any(|name| name.starts_with("wal-until-")), "{left:?}");
        small.loses_nothing();
    });
}
