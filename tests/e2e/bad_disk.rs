//! An agent that runs while its disk is slow or refuses, and while it has no descriptors left: it goes on observing, says so,
//! and what it saw arrives once. strace joins the running agent and lets its calls be late or fail.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use upheld_model::ObservedAt;
use upheld_tests::{
    Agent, Collector, Line, book,
    held::{assert_all_arrived_once, wait_until_drained},
    peer, wait_for,
};
use upheld_wire::v1::Body;

/// What the agent logs, as an ERROR: somebody has to look at this host.
const SAID: &str = "The journal cannot be written; observing goes on in memory.";

struct Site {
    collector: Collector,
    line: Line,
    agent: Agent,
    /// Where a service is looked at each second.
    port: u16,
    service: Option<TcpListener>,
}

fn site() -> Site {
    let service = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = service.local_addr().expect("its address").port();
    let mut collector = Collector::new();
    let asset = format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{{ kind = \"net.tcp\", target = \"127.0.0.1\", port = {port}, \
         every = \"1s\", timeout = \"1s\", fail_after = 1, recover_after = 1 }}]\n"
    );
    let folder = collector.folder().join("book");
    book::write_book(&folder, &asset, None);
    collector.apply(&folder);
    collector.serve();
    let line = Line::to(collector.port);
    let mut agent = Agent::enroll(&collector.link(line.port), &format!("loopback_ports = [{port}]\n"));
    agent.run();
    wait_for("the service is seen", Duration::from_secs(30), || {
        (agent.status()?["checks"][0]["state"] == "ok").then_some(())
    });
    Site { collector, line, agent, port, service: Some(service) }
}

impl Site {
    fn state_of_check(&self) -> Option<String> {
        self.agent.status()?["checks"][0]["state"].as_str().map(str::to_owned)
    }

    /// The service goes and comes, and the agent sees both: two transitions.
    fn toggle(&mut self) {
        self.service = None;
        let is_ok = |site: &Self, wanted| ((site.state_of_check()? == "ok") == wanted).then_some(());
        wait_for("it is seen to be away", Duration::from_secs(30), || is_ok(self, false));
        self.service = Some(TcpListener::bind(("127.0.0.1", self.port)).expect("its port"));
        wait_for("it is seen to be back", Duration::from_secs(30), || is_ok(self, true));
    }

    fn ailments(&self) -> Option<String> {
        Some(self.agent.status()?["ailments"].to_string())
    }

    /// Joins the running agent; leaves it with the returned guard.
    fn befall(&mut self, inject: &str) -> Joined {
        let mut command = Command::new(peer("strace"));
        let pid = self.agent.program().pid().to_string();
        command.args(["-f", "-qq", "-p", &pid, "-o"]).arg(self.agent.folder().join("trace"));
        command.args(["-e", "trace=write,fsync,fdatasync", "-e", inject]);
        let journal = self.agent.state().join("journal");
        command.arg("-P").arg(&journal);
        for number in 1..40 {
            command.arg("-P").arg(journal.join(format!("{number:010}.seg")));
        }
        for name in ["state.new", "reserve", "segment.new"] {
            command.arg("-P").arg(journal.join(name));
        }
        let strace = command.stdin(Stdio::null()).spawn().expect("strace");
        let status = format!("/proc/{}/status", self.agent.program().pid());
        wait_for("strace has joined", Duration::from_secs(20), || {
            let text = fs::read_to_string(&status).expect("the agent runs");
            text.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0")).then_some(())
        });
        Joined(strace)
    }

    fn arrives_once(mut self) {
        self.line.mend();
        wait_until_drained(&self.agent);
        self.agent.program().stop();
        assert_all_arrived_once(&self.agent, &self.collector);
        self.collector.program().stop();
    }
}

/// strace, as long as it is there.
struct Joined(Child);

impl Drop for Joined {
    fn drop(&mut self) {
        // SIGTERM lets it leave the agent alone; it may have ended with it.
        let _ = rustix::process::kill_process(Pid::from_child(&self.0), rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn a_disk_that_takes_five_seconds_to_sync_delays_no_probe() {
    let mut site = site();
    let joined = site.befall("inject=fsync,fdatasync:delay_enter=5s");
    for _ in 0..3 {
        site.toggle();
    }
    let trace = site.agent.folder().join("trace");
    wait_for("three syncs were slow", Duration::from_secs(60), || {
        (fs::read_to_string(&trace).ok()?.matches("(DELAYED)").count() >= 3).then_some(())
    });
    drop(joined);
    wait_until_drained(&site.agent);
    // With its last words goes the last batch of samples.
    site.agent.program().stop();
    let database = site.collector.database();
    let mut bodies = database.prepare("SELECT body FROM records ORDER BY epoch, seq").expect("a query");
    let mut instants: Vec<ObservedAt> = Vec::new();
    for body in bodies.query_map([], |row| row.get::<_, String>(0)).expect("rows") {
        let body: Body = serde_json::from_str(&body.expect("a row")).expect("a body");
        let of_service = body.samples.iter().filter(|sample| sample.check.to_string().contains("tcp"));
        instants.extend(of_service.map(|sample| sample.at));
    }
    instants.sort_by_key(|at| at.0);
    let longest = instants.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0)).max().expect("samples");
    println!("{} samples, one a second; the longest pause {longest:?} beside syncs of 5 s", instants.len());
    assert!(longest < jiff::SignedDuration::from_secs(5), "{longest:?}");
    assert_all_arrived_once(&site.agent, &site.collector);
    drop(bodies);
    drop(database);
    site.collector.program().stop();
}

#[test]
fn a_disk_that_is_read_only_for_a_while_costs_nothing_and_is_said() {
    let mut site = site();
    site.agent.program().expect_error(SAID);
    wait_until_drained(&site.agent);
    site.line.cut();
    let joined = site.befall("inject=write,fsync,fdatasync:error=EROFS");
    site.toggle();
    let ailment = wait_for("it says so", Duration::from_secs(30), || {
        site.ailments().filter(|said| said.contains("in memory only") && said.contains("Read-only file system"))
    });
    println!("{ailment}");
    site.toggle();
    drop(joined);
    wait_for("the journal is written again", Duration::from_secs(30), || {
        site.ailments().filter(|ailments| !ailments.contains("in memory only"))
    });
    site.agent.program().kill();
    site.agent.run();
    site.agent.program().expect_error(SAID);
    site.arrives_once();
}

#[test]
fn an_agent_without_descriptors_says_unknown_and_not_down_and_loses_nothing() {
    let mut site = site();
    let pid = Pid::from_raw(site.agent.program().pid().try_into().expect("a number")).expect("a process");
    let none = Rlimit { current: Some(1), maximum: Some(1024) };
    let before = prlimit(Some(pid), Resource::Nofile, none).expect("its limit");
    // Its connection to the collector goes as well, and cannot be made anew.
    site.line.cut();
    site.line.mend();
    std::thread::sleep(Duration::from_secs(8));
    let restored = Rlimit { current: before.current.map(|limit| limit.min(1024)), maximum: Some(1024) };
    prlimit(Some(pid), Resource::Nofile, restored).expect("its limit");
    wait_for("it looks again", Duration::from_secs(30), || (site.state_of_check()? == "ok").then_some(()));
    wait_until_drained(&site.agent);
    let database = site.collector.database();
    let count = |query: &str| -> i64 { database.query_row(query, [], |row| row.get(0)).expect("a count") };
    let local = count("SELECT count(*) FROM records WHERE body LIKE '%\"local\"%'");
    let incidents = count("SELECT count(*) FROM incidents WHERE client <> 'collector'");
    println!("{local} records say unknown (local), {incidents} incidents");
    assert!(local > 0, "nothing says that it could not look");
    assert_eq!(incidents, 0, "what could not be looked at was called down");
    drop(database);
    site.arrives_once();
}
