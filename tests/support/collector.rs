//! A collector of its own, in a folder of its own.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    binary,
    book::{CLIENT, SITE},
    free_port,
    program::{self, Program},
    wait_for,
};

/// A collector: its folder, its port, and the running program if it runs.
pub struct Collector {
    /// The port of all three doors.
    pub port: u16,
    program: Option<Program>,
    folder: TempDir,
    /// What its server and its commands find in their environment.
    surroundings: Vec<(OsString, OsString)>,
}

impl Collector {
    /// Initialises a collector; it does not run yet.
    pub fn new() -> Self {
        Self::prepared(|_| {})
    }

    /// The same, with something done to the place of its data folder before.
    pub fn prepared(prepare: impl FnOnce(&Path)) -> Self {
        Self::made(prepare, &[])
    }

    /// One whose `init` is told more.
    pub fn made_with(options: &[&str]) -> Self {
        Self::made(|_| {}, options)
    }

    fn made(prepare: impl FnOnce(&Path), options: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        prepare(&folder.path().join("data"));
        let port = free_port();
        let collector = Self { port, program: None, folder, surroundings: Vec::new() };
        let listen = format!("127.0.0.1:{port}");
        collector.cli_json(&[&["init", "--listen", &listen], options].concat());
        collector
    }

    /// Another one beside it on the same database, as an operator makes it: a copy of the settings, secrets and keys, with
    /// an address of its own. It does not run yet.
    pub fn beside(&self) -> Self {
        let folder = TempDir::new().expect("a folder");
        let (data, port) = (folder.path().join("data"), free_port());
        std::fs::create_dir(&data).expect("a folder");
        for name in ["collector.toml", "secrets.toml", "pki"] {
            let from = self.data().join(name);
            if from.exists() {
                let done = Command::new("cp").arg("-a").arg(&from).arg(&data).status().expect("cp runs");
                assert!(done.success(), "copying {}", from.display());
            }
        }
        std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("its owner's only");
        let settings = data.join("collector.toml");
        let text = std::fs::read_to_string(&settings).expect("the settings");
        std::fs::write(&settings, text.replace(&format!(":{}", self.port), &format!(":{port}"))).expect("the settings");
        Self { port, program: None, folder, surroundings: Vec::new() }
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder of this test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Applies the book in `folder`.
    pub fn apply(&self, folder: &Path) {
        self.cli_json(&["book", "apply", folder.to_str().expect("UTF-8")]);
    }

    /// From here on its server and its commands run with this in their environment, such as another day.
    pub fn surroundings(&mut self, values: Vec<(OsString, OsString)>) {
        self.surroundings = values;
    }

    /// Starts it and waits until it serves.
    pub fn serve(&mut self) {
        let mut command = self.command(&["serve"]);
        self.program =
            Some(Program::start("upheld-collector", &mut command, &self.folder.path().join("collector.log")));
        wait_for("the collector listens", Duration::from_secs(20), || {
            assert!(self.program().ended().is_none(), "the collector ended:\n{}", self.program().log_text());
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    /// The running program.
    pub fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("the collector runs")
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.program().kill();
        self.program().assert_no_errors();
    }

    /// A fresh enrolment link that leads through `port`.
    pub fn link(&self, port: u16) -> String {
        self.link_for(port, "24h")
    }

    /// The same for so long.
    pub fn link_for(&self, port: u16, ttl: &str) -> String {
        let token = self.cli_json(&["agent", "token", "--client", CLIENT, "--site", SITE, "--ttl", ttl]);
        let link = token["link"].as_str().expect("a link");
        link.replacen(&format!(":{}/", self.port), &format!(":{port}/"), 1)
    }

    /// The command line on this collector's data.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("upheld-collector"));
        command.args(arguments).arg("--data").arg(self.data()).envs(self.surroundings.iter().cloned());
        command
    }

    /// Runs a command to its end and reads its JSON.
    pub fn cli_json(&self, arguments: &[&str]) -> Value {
        program::json(self.command(arguments).arg("--json"))
    }

    /// The database, for counting what is in it.
    pub fn database(&self) -> rusqlite::Connection {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        rusqlite::Connection::open_with_flags(self.database_file(), flags).expect("opening the database for reading")
    }

    /// The file of the database.
    pub fn database_file(&self) -> PathBuf {
        self.data().join("upheld.db")
    }

    /// How often the audit log says `what`.
    pub fn audited(&self, what: &str) -> i64 {
        let count = "SELECT count(*) FROM audit WHERE what = ?1";
        self.database().query_row(count, [what], |row| row.get(0)).expect("a count")
    }
}

impl Default for Collector {
    fn default() -> Self {
        Self::new()
    }
}
