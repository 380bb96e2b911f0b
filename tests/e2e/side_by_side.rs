//! Two collectors on one PostgreSQL, under the load of two hundred agents: one is frozen, one is killed, one is stopped.
//! Nothing is lost or doubled, clocks fire once, and there is one ticket.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use upheld_delivery::{
    Moment,
    courier::Courier,
    journal::{Settings, Urgency},
    sender::{Answer, Effect, Event},
    storage::sim::SimStorage,
};
use upheld_evidence::{SigningKey, from_hex};
use upheld_model::{CheckId, Mono, ObservedAt, Outcome, Sample, sample::Value};
use upheld_tests::{
    Agent, Collector, book,
    door::DataDoor,
    postgresql::Server,
    program::write,
    receiver::{self, Receiver},
    wait_for,
};
use upheld_wire::v1::{Body, ClockReading, Delivered, Now};

/// Agents that are a few lines long; two real ones come besides.
const AGENTS: usize = 200;
/// How often each of them tells something: 40 uploads a second in all.
const EVERY: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(60);
/// A message whose end nobody saw is looked at again after its lease and the wait that DELIVERY 3 asks for.
const UNCLEAR: Duration = Duration::from_secs(300);
const TASKS: [&str; 8] = ["clocks", "deliverer", "digests", "heartbeat", "own", "retention", "silence", "watch"];

struct Desk {
    server: Server,
    database: String,
    one: Collector,
    two: Collector,
    receiver: Receiver,
    service_port: u16,
}

fn desk() -> Desk {
    let server = Server::start();
    let address = server.database();
    let database = address.rsplit('/').next().expect("a name").to_owned();
    let files = tempfile::TempDir::new().expect("a folder");
    let password = files.path().join("password");
    write(&password, "upheld\n");
    let (url, ca) = (address.replace("upheld:upheld@", "upheld@"), server.ca());
    let text = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    let one = Collector::made_with(&[
        "--database",
        &url,
        "--database-ca",
        &text(&ca),
        "--database-password-file",
        &text(&password),
    ]);
    receiver::allow(&one);
    // Kept where both collectors read it.
    let kept = one.folder().join("password");
    std::fs::copy(&password, &kept).expect("a copy");
    let settings = one.data().join("collector.toml");
    let said = std::fs::read_to_string(&settings).expect("the settings").replace(&text(&password), &text(&kept));
    std::fs::write(&settings, said).expect("the settings");
    let receiver = Receiver::start();
    let service_port = upheld_tests::free_port();
    let assets = format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {{ kind = \"net.tcp\", target = \"127.0.0.1\", \
         port = {service_port}, every = \"1s\", timeout = \"1s\", fail_after = 2, recover_after = 2 }},\n]\n"
    );
    let folder = one.folder().join("book");
    book::write_book(&folder, &assets, Some((&receiver::url(receiver.port), "desk")));
    let plan = folder.join("plans/round-the-clock.toml");
    let terms = std::fs::read_to_string(&plan).expect("the plan").replace("within = \"1h\"", "within = \"2min\"");
    std::fs::write(&plan, terms).expect("the plan");
    one.apply(&folder);
    let two = one.beside();
    Desk { server, database, one, two, receiver, service_port }
}

impl Desk {
    fn sql(&self, text: &str) -> String {
        self.server.sql(&self.database, text)
    }

    fn number(&self, text: &str) -> u64 {
        self.sql(text).parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// How many tasks are held by a collector whose name has this port, at this moment.
    fn held_by(&self, port: u16) -> u64 {
        self.number(&format!(
            "SELECT count(*) FROM leases WHERE holder LIKE '%:{port}#%' \
             AND until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        ))
    }

    /// Waits until a collector does every task, and says how long that took since `since`.
    fn does_all(&self, port: u16, since: Instant, what: &str) -> Duration {
        wait_for(what, SOON, || (self.held_by(port) == TASKS.len() as u64).then_some(()));
        let took = since.elapsed();
        println!("{what}: {:.1} s", took.as_secs_f64());
        took
    }

    /// The ids under which messages of a kind were taken.
    fn told(&self, kind: &str) -> BTreeSet<String> {
        self.receiver
            .all()
            .into_iter()
            .filter(|message| message.body["type"] == kind)
            .map(|message| message.id)
            .collect()
    }
}

#[test]
fn what_one_of_two_collectors_had_in_hand_is_done_once_by_the_other() {
    let mut desk = desk();
    desk.one.serve();
    let (one, two) = (desk.one.port, desk.two.port);
    desk.does_all(one, Instant::now(), "the first collector does every task");
    desk.two.serve();
    wait_for("both are listed", SOON, || {
        let listed = desk.two.cli_json(&["collectors"]);
        (listed["servers"]["collectors"].as_array().map(Vec::len) == Some(2)).then_some(())
    });
    println!("{}", upheld_tests::program::run(&mut desk.two.command(&["collectors"])).1);

    let _service = TcpListener::bind(("127.0.0.1", desk.service_port)).expect("the service's port");
    let mut real: Vec<Agent> =
        [(&desk.one, two), (&desk.two, one)].map(|(first, second)| real_agent(first, second, desk.service_port)).into();
    let load = Load::start(&desk.one, [one, two]);
    for agent in &mut real {
        agent.run();
    }
    wait_for("uploads are taken", SOON, || (load.taken() > AGENTS as u64).then_some(()));
    assert_eq!(desk.held_by(two), 0, "the second one stands by");

    // A fault; half of the time for an answer is told of at 60 s, and over at 120 s.
    drop(_service);
    wait_for("the ticket is there", SOON, || (desk.told("incident.opened").len() == 1).then_some(()));
    println!("the ticket is there; {} uploads are taken", load.taken());

    // The holder freezes in the midst of all that. The clock's warning falls into the other one's time.
    let frozen = Instant::now();
    signal(desk.one.program().pid(), "STOP");
    let took = desk.does_all(two, frozen, "frozen: the other collector does every task after");
    assert!(took <= Duration::from_secs(10), "{took:?}");
    let before = load.taken();
    wait_for("uploads are taken by the other one", SOON, || (load.taken() > before + 100).then_some(()));
    wait_for("the clock's warning is told", Duration::from_secs(150), || {
        (!desk.told("clock.warning").is_empty()).then_some(())
    });
    let marks = "SELECT count(*) FROM attempts WHERE ended_at IS NULL";
    println!("attempts without an end when it wakes: {}", desk.number(marks));
    signal(desk.one.program().pid(), "CONT");
    wait_for("the one that was frozen is asked again", SOON, || {
        desk.one.cli_json(&["queue"])["queue"]["rows"][0]["incident"].as_str().map(|_| ())
    });
    assert_eq!(desk.held_by(one), 0, "it stands by now");

    // And the new holder is killed, before the time for an answer is over.
    let killed = Instant::now();
    desk.two.kill();
    let took = desk.does_all(one, killed, "killed: the other collector does every task after");
    assert!(took <= Duration::from_secs(10), "{took:?}");
    wait_for("the breach is told", Duration::from_secs(200), || {
        (!desk.told("clock.breached").is_empty()).then_some(())
    });

    // One that is stopped hands over at once.
    desk.two.serve();
    let before = load.taken();
    wait_for("uploads go on", SOON, || (load.taken() > before + 100).then_some(()));
    let stopped = Instant::now();
    desk.one.program().stop();
    let took = desk.does_all(two, stopped, "stopped: the other collector does every task after");
    assert!(took <= Duration::from_secs(10), "{took:?}");

    let sent = load.stop();
    let total: u64 = sent.values().sum();
    let list = |ids: &BTreeMap<String, u64>| ids.keys().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
    let held = desk.sql(&format!(
        "SELECT coalesce(string_agg(agent || ' ' || n || ' ' || d, E'\\n'), '') FROM (SELECT agent, count(*) n, \
         count(DISTINCT record_id) d FROM records WHERE agent IN ({}) GROUP BY agent) a",
        list(&sent)
    ));
    let held: BTreeMap<String, (u64, u64)> = held
        .lines()
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            (words[0].to_owned(), (words[1].parse().expect("a count"), words[2].parse().expect("a count")))
        })
        .collect();
    let lost: u64 = sent.iter().map(|(id, sent)| sent.saturating_sub(held.get(id).map_or(0, |held| held.1))).sum();
    let doubled: u64 = held.iter().map(|(id, (rows, _))| rows.saturating_sub(sent[id])).sum();
    println!("{} agents, {total} records acknowledged: {lost} lost, {doubled} doubled", sent.len());
    assert_eq!((lost, doubled), (0, 0));

    wait_for("nothing waits to be sent", UNCLEAR, || {
        (desk.number("SELECT count(*) FROM outbox WHERE status = 'pending' AND next_attempt_at IS NOT NULL") == 0)
            .then_some(())
    });
    let of_fault = "SELECT count(*) FROM incidents WHERE number = 1";
    assert_eq!(desk.number(of_fault), 1);
    for kind in ["incident.opened", "clock.warning", "clock.breached"] {
        let arrived =
            desk.receiver.all().into_iter().filter(|message| {
                message.body["type"] == kind && message.body["data"]["incident"] == "northgate/INC-1"
            });
        let ids: Vec<String> = arrived.map(|message| message.id).collect();
        let distinct: BTreeSet<_> = ids.iter().collect();
        println!("{kind} of northgate/INC-1: {} under one id, arrived {} times", distinct.len(), ids.len());
        assert_eq!(distinct.len(), 1, "{kind}: {ids:?}");
    }
    for agent in &mut real {
        // It may notice only now that one was stopped, and be on its way to the other.
        wait_for("it reports", UNCLEAR, || (agent.status()?["standing"]["is"] == "good").then_some(()));
        agent.program().stop();
    }
    desk.one.program().assert_no_errors();
    desk.two.program().stop();
}

/// A real agent that is enrolled at one collector and knows the other one.
fn real_agent(at: &Collector, other: u16, service_port: u16) -> Agent {
    let agent = Agent::unenrolled(&format!("loopback_ports = [{service_port}]\n"));
    let settings = agent.folder().join("agent.toml");
    write(&settings, &format!("collectors = [\"127.0.0.1:{other}\"]\n"));
    let mut command = agent.enrolment(&at.link(at.port));
    let (code, out, err) = upheld_tests::program::run(command.arg("--config").arg(&settings));
    assert_eq!(code, Some(0), "enrolment failed:\n{err}\n{out}");
    agent
}

fn signal(pid: u32, name: &str) {
    let done = Command::new("kill").args(["-s", name]).arg(pid.to_string()).status().expect("kill runs");
    assert!(done.success(), "kill -s {name} {pid}");
}

/// Agents that send a record every few seconds, to whichever collector answers.
struct Load {
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
    agents: Vec<JoinHandle<(String, u64)>>,
}

impl Load {
    fn start(collector: &Collector, ports: [u16; 2]) -> Self {
        let uses = AGENTS.to_string();
        let token = collector.cli_json(&[
            "agent",
            "token",
            "--client",
            book::CLIENT,
            "--site",
            book::SITE,
            "--site-token",
            "--uses",
            &uses,
            "--from",
            "127.0.0.0/8",
            "--approve-rule",
            "net:127.0.0.0/8",
        ]);
        let link = token["link"].as_str().expect("a link").to_owned();
        let began = Instant::now();
        let enrol = |_| {
            // The enrolment door takes ten a second of one address.
            thread::sleep(Duration::from_millis(120));
            Agent::enroll(&link, "")
        };
        let enrolled: Vec<Agent> = (0..AGENTS).map(enrol).collect();
        println!("{AGENTS} agents are enrolled in {:.0} s", began.elapsed().as_secs_f64());
        let (stop, taken) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let agents = enrolled.into_iter().enumerate().map(|(number, agent)| {
            let sender = Sender { agent, number, ports, stop: Arc::clone(&stop), taken: Arc::clone(&taken) };
            thread::Builder::new().stack_size(1 << 20).spawn(move || sender.run()).expect("a thread")
        });
        Self { agents: agents.collect(), stop, taken }
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Ends when each agent has all that it wrote acknowledged; how many records that were, by agent.
    fn stop(self) -> BTreeMap<String, u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.agents.into_iter().map(|agent| agent.join().expect("an agent's thread")).collect()
    }
}

struct Sender {
    agent: Agent,
    number: usize,
    ports: [u16; 2],
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
}

impl Sender {
    fn run(self) -> (String, u64) {
        let began = Instant::now();
        let moment = || Moment {
            mono: Mono(u64::try_from(began.elapsed().as_nanos()).expect("a short test") + 1),
            wall: ObservedAt(Timestamp::now()),
        };
        let text = std::fs::read_to_string(self.agent.state().join("signing.key")).expect("the key");
        let key = SigningKey::from_seed(&from_hex::<32>(text.trim()).expect("a key")).expect("a key");
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(self.number as u64 + 1);
        let random = Box::new(move |into: &mut [u8]| {
            for byte in into {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (seed >> 56) as u8;
            }
        });
        let storage = SimStorage::new(self.number as u64);
        let (mut courier, _) =
            Courier::open(storage, key, Settings::default(), random, moment()).expect("a journal in memory");
        let (mut written, mut at, mut door) = (0, self.number % 2, None);
        thread::sleep(EVERY.mul_f64(self.number as f64 / AGENTS as f64));
        while !self.stop.load(Ordering::Relaxed) {
            let due = Instant::now() + EVERY;
            courier.append(&self.body(), Urgency::Now, moment()).expect("memory takes it");
            written += 1;
            courier.handle_timeout(moment()).expect("memory takes it");
            while let Some(effect) = courier.poll_effect() {
                let Effect::Post(post) = effect else { continue };
                let now = moment();
                let clock = ClockReading { wall: now.wall, mono: now.mono, boot: "load".parse().expect("a boot id") };
                let request = courier.request(&post, clock, Now::default()).expect("a request");
                let body = serde_json::to_vec(&request).expect("JSON");
                let answer = self.post(&body, &mut at, &mut door);
                courier.handle(Event::Answered { no: post.no, answer: Answer::Delivered(answer) }, moment());
                self.taken.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        (self.agent.id(), written)
    }

    /// Sends until one of the collectors has taken it.
    fn post(&self, body: &[u8], at: &mut usize, door: &mut Option<DataDoor>) -> Delivered {
        let since = Instant::now();
        loop {
            let open = door
                .take()
                .map_or_else(|| DataDoor::connect(self.ports[*at], &self.agent.state(), &self.agent.state()), Ok);
            let answered =
                open.and_then(|mut open| open.ask("POST", "/v1/deliver", &[], body).map(|answer| (open, answer)));
            let why = match answered {
                Ok((open, answer)) if answer.status == 200 => {
                    *door = Some(open);
                    return serde_json::from_value(answer.body).expect("what was delivered");
                }
                Ok((_, answer)) => {
                    assert!(matches!(answer.status, 429 | 503), "agent {}: {answer:?}", self.number);
                    format!("{answer:?}")
                }
                Err(error) => error.to_string(),
            };
            assert!(since.elapsed() < Duration::from_secs(180), "agent {}: nobody takes it: {why}", self.number);
            *at = (*at + 1) % self.ports.len();
            thread::sleep(Duration::from_millis(500));
        }
    }

    fn body(&self) -> Body {
        let sample = Sample {
            check: format!("cam-{}/net.icmp", self.number).parse::<CheckId>().expect("a check"),
            at: ObservedAt(Timestamp::now()),
            took_us: 900,
            outcome: Outcome::Ok,
            values: [("rtt_median_ms".to_owned(), Value::from(0.4))].into(),
            counters: BTreeMap::new(),
            evidence: None,
        };
        Body { samples: vec![sample], ..Body::default() }
    }
}
