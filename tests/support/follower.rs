//! A running `backup --follow` of a collector on PostgreSQL, and what is restored of its folder.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use jiff::Timestamp;

use crate::{
    Collector,
    on_postgresql::SOON,
    postgresql::{self, Server},
    program::Program,
    wait_for,
};

/// A running `backup --follow`.
pub struct Follower {
    program: Option<Program>,
    /// Its folder.
    pub folder: PathBuf,
    log: PathBuf,
}

impl Follower {
    /// Starts one, and waits until its folder can be restored.
    pub fn of(collector: &Collector) -> Self {
        let folder = collector.folder().join("away");
        let mut follower = Self { program: None, folder, log: collector.folder().join("follower.log") };
        follower.start(collector);
        wait_for("the copy of the whole", SOON, || {
            assert!(follower.program().ended().is_none(), "it ended:\n{}", follower.program().log_text());
            follower.seen_at()
        });
        follower
    }

    /// Starts it, for the first time or again.
    pub fn start(&mut self, collector: &Collector) {
        let mut command = collector.command(&["backup", "--follow", text(&self.folder)]);
        self.program = Some(Program::start("the follower", &mut command, &self.log));
    }

    /// The running program.
    pub fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("it follows")
    }

    fn read(&self, name: &str) -> Option<serde_json::Value> {
        serde_json::from_slice(&std::fs::read(self.folder.join(name)).ok()?).ok()
    }

    /// Everything that was committed before this moment is in the folder, it says.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.read("head.json")?["seen_at"].as_str()?.parse().ok()
    }

    /// Until everything of this moment is in the folder.
    pub fn wait_for_now(&self) {
        let now = Timestamp::now();
        wait_for("the follower", SOON, || self.seen_at().filter(|seen| *seen > now));
    }

    /// The name of its slot.
    pub fn slot(&self) -> String {
        self.read("archive.json").expect("its description")["slot"].as_str().expect("a name").to_owned()
    }

    /// The files of the log in its folder.
    pub fn files_of_the_log(&self) -> BTreeSet<PathBuf> {
        std::fs::read_dir(self.folder.join("wal"))
            .expect("the log")
            .map(|entry| entry.expect("a file").path())
            .collect()
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// From here on a write is answered once it is in the folder.
pub fn wait_for_the_follower(server: &Server, slot: &str) {
    server.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{slot}'"));
    server.sql("postgres", "SELECT pg_reload_conf()");
    wait_for("the server waits for its follower", SOON, || {
        let asked = format!("SELECT sync_state FROM pg_stat_replication WHERE application_name = '{slot}'");
        (server.sql("postgres", &asked) == "sync").then_some(())
    });
}

/// A place for a data directory that is restored.
pub fn place() -> tempfile::TempDir {
    let place = Server::folder();
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    place
}

/// Makes a data directory of what was followed.
pub fn restore(collector: &Collector, follower: &Follower, place: &tempfile::TempDir, more: &[&str]) -> Command {
    let data = place.path().join("data");
    let mut command = collector.command(&["restore", "--segments", text(&follower.folder), "--pgdata", text(&data)]);
    command.args(more);
    command
}

/// Starts what was restored, on the old port, with no setting but its own.
pub fn start(place: tempfile::TempDir, port: u16) -> Server {
    postgresql::owned_by_postgres(&place.path().join("data"));
    let server = Server::around(place, port, &[]);
    wait_for("the log is gone through", SOON, || {
        (server.sql("postgres", "SELECT pg_is_in_recovery()") == "f").then_some(())
    });
    server
}
