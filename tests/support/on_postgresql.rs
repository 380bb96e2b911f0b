//! A site whose collector keeps its facts in PostgreSQL: agents, a service to open and close, a receiver of tickets; and
//! what PostgreSQL itself offers against a lost disk.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use upheld_delivery::journal::Urgency;
use upheld_model::{ObservedAt, Outcome, Sample};
use upheld_wire::v1::Body;

use crate::{
    Agent, Collector, book,
    held::{Held, assert_holds_once, wait_until_drained},
    journal,
    postgresql::{self, Server},
    program,
    receiver::{self, Receiver},
    wait_for, watched,
};

/// How long anything may take.
pub const SOON: Duration = Duration::from_secs(60);

/// The database's name in every server of these tests.
pub const DATABASE: &str = "desk_0";

/// A collector on PostgreSQL, with its agents and its receiver.
pub struct Site {
    /// The collector; it serves.
    pub collector: Collector,
    /// Its agents; they do not run yet.
    pub agents: Vec<Agent>,
    /// Who takes its tickets.
    pub receiver: Receiver,
    /// The port of the service that its agents check each second.
    pub service_port: u16,
    files: TempDir,
}

impl Site {
    /// A site whose collector looks for [`DATABASE`] on these ports of loopback.
    pub fn on(server: &Server, ports: &[u16], agents: usize) -> Self {
        Self::of(server, ports, agents, |_, _| ())
    }

    /// The same, whose receiver can be asked what it has.
    pub fn asking(server: &Server, ports: &[u16], agents: usize) -> Self {
        Self::of(server, ports, agents, receiver::can_be_asked)
    }

    fn of(server: &Server, ports: &[u16], agents: usize, amend: impl Fn(&Path, u16)) -> Self {
        let files = TempDir::new().expect("a folder");
        let password = files.path().join("password");
        program::write(&password, "upheld\n");
        std::fs::copy(server.ca(), files.path().join("ca.pem")).expect("the authority");
        let hosts: Vec<String> = ports.iter().map(|port| format!("localhost:{port}")).collect();
        let url = format!("postgres://upheld@{}/{DATABASE}", hosts.join(","));
        let name = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let (password, ca) = (name(&password), name(&files.path().join("ca.pem")));
        let collector =
            Collector::made_with(&["--database", &url, "--database-ca", &ca, "--database-password-file", &password]);
        receiver::allow(&collector);
        let (receiver, service_port) = (Receiver::start(), crate::free_port());
        let folder = collector.folder().join("book");
        book::write_book(&folder, &watched::tcp_asset(service_port), Some((&receiver::url(receiver.port), "desk")));
        amend(&folder, receiver.port);
        collector.apply(&folder);
        let mut site = Self { collector, agents: Vec::new(), receiver, service_port, files };
        site.collector.serve();
        site.agents = (0..agents).map(|_| site.enroll()).collect();
        site
    }

    /// One with agents that have not sent an hour of theirs yet; the database is made.
    pub fn with_backlog(server: &Server, agents: usize) -> Self {
        assert!(server.database().ends_with(DATABASE));
        let site = Self::on(server, &[server.port], agents);
        for agent in &site.agents {
            journal::write_history(&agent.state(), &an_hour());
        }
        site
    }

    /// One more agent.
    pub fn enroll(&self) -> Agent {
        Agent::enroll(&self.collector.link(self.collector.port), &watched::allow(self.service_port))
    }

    /// Its service, up.
    pub fn service(&self) -> TcpListener {
        TcpListener::bind(("127.0.0.1", self.service_port)).expect("the service's port")
    }

    /// Starts all agents.
    pub fn run(&mut self) {
        self.agents.iter_mut().for_each(Agent::run);
    }

    /// Waits until all agents are heard and have next to nothing left, ends them, and holds their journals against the
    /// database; how many records there are.
    pub fn assert_all_arrived_once(&mut self, server: &Server) -> u64 {
        self.agents.iter().for_each(wait_until_drained);
        self.agents.iter_mut().for_each(|agent| agent.program().stop());
        let total = assert_holds_once(&self.agents, &held(server));
        self.collector.program().assert_no_errors();
        total
    }

    /// Facts born at the collector are gone: nothing is taken or told, and nobody who was kept out gets in. How many
    /// records there are.
    pub fn assert_waits_for_a_person(&mut self, server: &Server, doomed: &Agent, link: &str) -> u64 {
        wait_for("recovery begins by itself", SOON, || (audited(server, "recovery.begun") > 0).then_some(()));
        let (waiting, told) = (records(server), self.receiver.ids("incident.opened").len());
        wait_for("the agents are told to wait", SOON, || {
            self.collector.program().log_text().contains("facts may be missing").then_some(())
        });
        let (code, ..) = program::run(&mut Agent::unenrolled(&watched::allow(self.service_port)).enrolment(link));
        assert_ne!(code, Some(0), "a token that was used is void");
        let status = format!("SELECT status FROM agents WHERE agent = '{}'", doomed.id());
        assert_eq!(server.sql(DATABASE, &status), "active", "the revocation is lost");
        assert_eq!(audited(server, "recovery.begun"), 1);
        assert_eq!(records(server), waiting, "nothing is taken meanwhile");
        assert_eq!(self.receiver.ids("incident.opened").len(), told, "nothing is told meanwhile");
        waiting
    }

    /// How many tickets were opened, by the messages' ids; and how many messages said so.
    pub fn tickets(&self) -> (usize, usize) {
        let ids = self.receiver.ids_of_clients("incident.opened");
        let mut distinct = ids.clone();
        distinct.sort();
        distinct.dedup();
        (distinct.len(), ids.len())
    }

    /// A copy of the collector's data folder as it stands.
    pub fn copy_data(&self, name: &str) -> PathBuf {
        let copy = self.files.path().join(name);
        let told = std::process::Command::new("cp").arg("-a").arg(self.collector.data()).arg(&copy).status();
        assert!(told.expect("cp runs").success());
        copy
    }
}

/// An hour of an agent's, in so many records.
pub const BACKLOG: u64 = 360;

fn an_hour() -> Vec<(Timestamp, Body, Urgency)> {
    let begun = Timestamp::now() - SignedDuration::from_mins(61);
    (0..i64::try_from(BACKLOG).expect("small"))
        .map(|round| {
            let at = begun + SignedDuration::from_secs(10 * round);
            let samples = (0..20).map(|number| Sample {
                check: format!("cam-{number}/net.icmp").parse().expect("a check"),
                at: ObservedAt(at + SignedDuration::from_millis(100 * number)),
                took_us: 900,
                outcome: Outcome::Ok,
                values: BTreeMap::new(),
                counters: BTreeMap::new(),
                evidence: None,
            });
            (at + SignedDuration::from_secs(10), Body { samples: samples.collect(), ..Body::default() }, Urgency::Soon)
        })
        .collect()
}

/// A count in the database.
pub fn count(server: &Server, query: &str) -> u64 {
    server.sql(DATABASE, query).parse().expect("a count")
}

/// How often the audit log says `what`.
pub fn audited(server: &Server, what: &str) -> u64 {
    count(server, &format!("SELECT count(*) FROM audit WHERE what = '{what}'"))
}

/// How many records there are.
pub fn records(server: &Server) -> u64 {
    count(server, "SELECT count(*) FROM records")
}

fn held(server: &Server) -> Held {
    let heads = server.sql(DATABASE, "SELECT epoch, len FROM heads");
    let length = |line: &str| {
        let (epoch, len) = line.split_once('|').expect("two columns");
        let epoch: i64 = epoch.parse().expect("an epoch");
        (format!("{:016x}", epoch.cast_unsigned()), len.parse().expect("a length"))
    };
    let lengths: BTreeMap<String, u64> = heads.lines().map(length).collect();
    let distinct = count(server, "SELECT count(DISTINCT record_id) FROM records");
    Held { records: records(server), distinct, lengths }
}

/// Waits until so many records more are there.
pub fn wait_for_more(server: &Server, more: u64) {
    let before = records(server);
    wait_for("more records arrive", SOON, || (records(server) >= before + more).then_some(()));
}

/// A copy of a running server's data, of one moment. With `follows` it asks that server for what comes after it.
pub fn base_backup(server: &Server, follows: bool) -> TempDir {
    let folder = Server::folder();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    postgresql::owned_by_postgres(&data);
    let mut command = postgresql::program("pg_basebackup");
    command.arg("-D").arg(&data).args(["-X", "stream", "-c", "fast", "--no-sync"]).args(follows.then_some("-R"));
    let (code, _, err) = program::run(command.arg("-d").arg(connection(server)));
    assert_eq!(code, Some(0), "pg_basebackup: {err}");
    folder
}

/// Follows a server's log into a folder, as `pg_receivewal` does; ends when it is dropped.
pub struct Archive {
    folder: TempDir,
    following: Child,
}

impl Archive {
    /// From now on each commit waits until it is in the archive.
    pub fn of(server: &Server) -> Self {
        let folder = Server::folder();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
        let log = folder.path().join("log");
        std::fs::create_dir(&log).expect("a folder");
        postgresql::owned_by_postgres(&log);
        // By a slot, as docs/postgresql.md says: the server keeps what the archive does not have yet.
        server.sql("postgres", "SELECT pg_create_physical_replication_slot('archive', true)");
        let mut command = postgresql::program("pg_receivewal");
        command
            .args(["--synchronous", "--slot", "archive", "-D"])
            .arg(&log)
            .arg("-d")
            .arg(connection(server) + " application_name=archive");
        let following = command.stdin(Stdio::null()).spawn().expect("pg_receivewal runs");
        server.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'archive'");
        server.sql("postgres", "SELECT pg_reload_conf()");
        wait_for("the archive follows", SOON, || {
            let state = server.sql("postgres", "SELECT sync_state FROM pg_stat_replication");
            (state == "sync").then_some(())
        });
        Self { folder, following }
    }

    /// Ends following: what answers at the same place later is another server.
    pub fn end(&mut self) {
        // It may have ended with its server.
        let _ = self.following.kill();
        let _ = self.following.wait();
    }

    /// Lets a base go through all that is in the archive when it is started.
    pub fn put_behind(&self, base: &TempDir) {
        let log = self.folder.path().join("log");
        for entry in std::fs::read_dir(&log).expect("the archive").flatten() {
            // The last one, as far as it was written.
            if let Some(whole) = entry.path().to_str().and_then(|path| path.strip_suffix(".partial")) {
                std::fs::rename(entry.path(), whole).expect("its name");
            }
        }
        let data = base.path().join("data");
        let settings = format!("restore_command = 'cp {}/%f %p'\n", log.display());
        let mut file =
            std::fs::File::options().append(true).open(data.join("postgresql.auto.conf")).expect("its settings");
        std::io::Write::write_all(&mut file, settings.as_bytes()).expect("its settings");
        std::fs::write(data.join("recovery.signal"), "").expect("the signal");
        postgresql::owned_by_postgres(&data.join("recovery.signal"));
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.end();
    }
}

fn connection(server: &Server) -> String {
    format!("host=127.0.0.1 port={} user=upheld password=upheld sslmode=require", server.port)
}
