//! Thousands of agents whose collector was killed while each had something to tell, and who all come back to it: how long
//! until all are served, at what price, and whether a record is lost or doubled. Usage: `storm [AGENTS] [DOWN]` (default
//! 5,000, ten seconds down), after `cargo build --release --bins`. It takes about a minute and a half.
//!
//! The agents are the real journal and the real sender (in memory), with its own waits, jitter and Retry-After, a
//! connection each and the real collector (release, SQLite). A fifth of them then meet a collector that takes one request
//! of each a second, and so are refused with 429. The ceiling is a bare hyper-and-rustls server that demands
//! the same certificates and answers a constant: all agents connect to it at once and post one heartbeat, in the same run.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::Notify,
    task::{JoinSet, LocalSet},
    time::{Instant, sleep, timeout},
};
use upheld_benches::{
    Usage,
    fleet::{Bare, Line, Member, book_of, enrol, heartbeat, peak_kib, raise_files, serve_if_asked},
};
use upheld_delivery::{
    Moment,
    courier::Courier,
    intake::deflate,
    journal::{Settings, Urgency},
    sender::{Answer, Effect, Event, Post},
    storage::sim::{SimStorage, next},
};
use upheld_model::{AgentEvent, Mono, ObservedAt};
use upheld_tests::Collector;
use upheld_wire::v1::{Body, ClockReading, Conflict, Delivered, Now, Problem};

/// Records that each agent has to tell before the collector is killed, and again while it is down.
const BEFORE: u64 = 2;
const WHILE_DOWN: u64 = 2;
/// A refusal that does not say when to come again.
const NO_WAIT: &str = "refused without Retry-After";
/// Nobody waits longer than this for all to be served.
const PATIENCE: Duration = Duration::from_secs(70);

fn main() {
    serve_if_asked();
    let files = raise_files();
    let argument = |number: usize, default: usize| {
        std::env::args().nth(number).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (agents, down) = (argument(1, 5_000), Duration::from_secs(argument(2, 10) as u64));
    println!(
        "{agents} agents, the collector killed for {} s; open files are limited to {files} a process",
        down.as_secs()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, run(agents, down, None));
    // And fewer, whom the collector refuses: their second request comes sooner than it takes one.
    println!();
    println!("{} agents, of each of whom one request a second is taken", agents / 5);
    LocalSet::new().block_on(&runtime, run(agents / 5, down, Some(1)));
}

/// `most` is how many requests of an agent the collector takes in a second, and at once.
async fn run(agents: usize, down: Duration, most: Option<u32>) {
    let mut collector = Collector::new();
    if let Some(most) = most {
        let file = collector.data().join("collector.toml");
        let text = std::fs::read_to_string(&file).expect("its settings");
        let bounds = format!("{text}\n[agents]\nrequests_per_second = {most}\nat_once = {most}\n");
        std::fs::write(&file, bounds).expect("its settings");
    }
    let folder = collector.folder().join("book");
    book_of(&folder, agents);
    collector.apply(&folder);
    let members = Rc::new(enrol(&collector, agents).await);
    let bare = Bare::start(&collector.data().join("pki"));
    let (bare_wall, bare_cpu) = rush(&bare, &members).await;
    drop(bare);

    collector.serve();
    let port = collector.port;
    let house = Rc::new(House { port, told: RefCell::default() });
    let began = Instant::now();
    let mut hosts = Vec::new();
    for index in 0..agents {
        let host = Rc::new(Host::new(&members[index], index, began));
        (0..BEFORE).for_each(|number| host.say(number));
        tokio::task::spawn_local(Rc::clone(&host).live(Rc::clone(&house), Arc::clone(&members[index].tls)));
        hosts.push(host);
        // Spread over some seconds, as agents that were started one after the other.
        if index % 50 == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }
    all_told(&hosts, "before the storm").await;
    println!("all {agents} had told all within {:.1} s of their start", began.elapsed().as_secs_f64());
    house.told.borrow_mut().clear();

    collector.kill();
    hosts.iter().for_each(|host| (0..WHILE_DOWN).for_each(|number| host.say(BEFORE + number)));
    sleep(down).await;
    let while_down = house.told.replace(BTreeMap::new());
    collector.serve();
    let (pid, back) = (collector.program().pid(), Instant::now());
    all_told(&hosts, "after the storm").await;
    let wall = back.elapsed();
    let cpu = Usage::of(pid).expect("the collector runs").cpu;
    let peak = peak_kib(pid);

    println!("while it was down: {while_down:?}; after it was back: {:?}", house.told.borrow());
    println!("| | all served after | CPU | us CPU an agent | peak of memory |");
    println!("|---|---|---|---|---|");
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / agents as f64;
    println!(
        "| collector, agents with their own waits | {:.1} s | {:.2} s | {:.0} | {:.0} MB |",
        wall.as_secs_f64(),
        cpu.as_secs_f64(),
        each(cpu),
        peak as f64 / 1024.0
    );
    println!(
        "| bare hyper and rustls, all at once | {:.1} s | {:.2} s | {:.0} | |",
        bare_wall.as_secs_f64(),
        bare_cpu.as_secs_f64(),
        each(bare_cpu)
    );
    println!("| ratio | {:.2} | {:.2} | | |", wall.as_secs_f64() / bare_wall.as_secs_f64(), each(cpu) / each(bare_cpu));
    let held = |sql: &str| -> i64 { collector.database().query_row(sql, [], |row| row.get(0)).expect("a count") };
    let wanted = i64::try_from(agents as u64 * (BEFORE + WHILE_DOWN)).expect("small");
    let rows = held("SELECT count(*) FROM records");
    let distinct = held("SELECT count(*) FROM (SELECT DISTINCT agent, record_id FROM records)");
    println!("records written {wanted}, held {rows}: {} lost, {} doubled", wanted - distinct, rows - distinct);
    assert_eq!((rows, distinct), (wanted, wanted), "each record is held once");
    let told = house.told.borrow();
    let refused = told.get("429").copied().unwrap_or(0);
    assert_eq!(refused > 0, most.is_some(), "refused by its bound alone: {told:?}");
    assert_eq!(told.get(NO_WAIT), None, "whoever is refused is told for how long");
    collector.program().stop();
    collector.program().assert_no_errors();
}

/// All connect at once and post one heartbeat: how long until the last is answered, and the server's processor time.
async fn rush(bare: &Bare, members: &Rc<Vec<Member>>) -> (Duration, Duration) {
    let began = Instant::now();
    let mut rushing = JoinSet::new();
    for member in members.iter() {
        let (tls, port) = (Arc::clone(&member.tls), bare.port);
        rushing.spawn_local(async move {
            loop {
                let Ok(mut line) = Line::connect(port, &tls).await else { continue };
                if line.deliver(&heartbeat(Timestamp::UNIX_EPOCH)).await.is_ok_and(|answer| answer.status == 200) {
                    return line;
                }
            }
        });
    }
    let lines = rushing.join_all().await;
    let figures = (began.elapsed(), Usage::of(bare.pid()).expect("it runs").cpu);
    drop(lines);
    figures
}

async fn all_told(hosts: &[Rc<Host>], when: &str) {
    let began = Instant::now();
    loop {
        let waiting = hosts.iter().filter(|host| host.courier.borrow().status().waiting > 0).count();
        if waiting == 0 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{when}: {waiting} agents have something to tell after {PATIENCE:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// What all agents share.
struct House {
    port: u16,
    /// How often each kind of answer came.
    told: RefCell<BTreeMap<String, usize>>,
}

/// One agent.
struct Host {
    courier: RefCell<Courier<SimStorage>>,
    woken: Notify,
    began: Instant,
}

impl Host {
    fn new(member: &Member, index: usize, began: Instant) -> Self {
        let mut dice = 1 + index as u64;
        let random = Box::new(move |bytes: &mut [u8]| {
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&next(&mut dice).to_le_bytes()[..chunk.len()]);
            }
        });
        let now = moment(began);
        let (courier, _) = Courier::open(SimStorage::new(index as u64), member.key(), Settings::default(), random, now)
            .expect("a journal in memory");
        Self { courier: RefCell::new(courier), woken: Notify::new(), began }
    }

    /// Writes a transition down, which is to be told at once.
    fn say(&self, version: u64) {
        let now = moment(self.began);
        let event = AgentEvent::Configured { at: now.wall, version, refused: None };
        let body = Body { samples: Vec::new(), events: vec![event] };
        self.courier.borrow_mut().append(&body, Urgency::Now, now).expect("memory takes it");
        self.woken.notify_one();
    }

    /// The agent's loop.
    async fn live(self: Rc<Self>, house: Rc<House>, tls: Arc<rustls::ClientConfig>) {
        let mut line = None;
        loop {
            let now = moment(self.began);
            let due = self.courier.borrow().poll_timeout();
            if due.is_some_and(|due| due <= now.mono) {
                self.courier.borrow_mut().handle_timeout(now).expect("memory takes it");
            }
            let effect = self.courier.borrow_mut().poll_effect();
            match effect {
                Some(Effect::Post(post)) => {
                    let answer = self.post(&post, &house, &tls, &mut line).await;
                    self.courier.borrow_mut().handle(Event::Answered { no: post.no, answer }, moment(self.began));
                }
                Some(Effect::FetchConfig { .. } | Effect::Renew | Effect::RenewEarly | Effect::Standing(_)) => {}
                None => {
                    let due = self.courier.borrow().poll_timeout();
                    let wait = due.map_or(Duration::from_secs(60), |due| due.since(moment(self.began).mono));
                    drop(timeout(wait, self.woken.notified()).await);
                }
            }
        }
    }

    async fn post(
        &self,
        post: &Post,
        house: &House,
        tls: &Arc<rustls::ClientConfig>,
        line: &mut Option<Line>,
    ) -> Answer {
        let now = moment(self.began);
        let clock = ClockReading { wall: now.wall, mono: now.mono, boot: "bench".parse().expect("a boot id") };
        let header = Now { version: env!("CARGO_PKG_VERSION").to_owned(), config_version: 1, ..Now::default() };
        let request = self.courier.borrow_mut().request(post, clock, header).expect("memory holds it");
        let body = deflate(&request, self.courier.borrow().dictionary()).expect("memory");
        let answer = match ask(house.port, tls, line, &body).await {
            Ok(answer) => answer,
            Err(error) => {
                *line = None;
                house.count(&format!("{:?}", error.kind()));
                return Answer::Failed { what: error.to_string() };
            }
        };
        house.count(&answer.status.to_string());
        if matches!(answer.status, 429 | 503) && answer.retry_after.is_none() {
            house.count(NO_WAIT);
        }
        match answer.status {
            200 => Answer::Delivered(serde_json::from_slice::<Delivered>(&answer.body).expect("an answer of ours")),
            409 => Answer::Conflict(serde_json::from_slice::<Conflict>(&answer.body).expect("an answer of ours")),
            status => {
                let code = serde_json::from_slice::<Problem>(&answer.body).map(|problem| problem.code);
                Answer::Refused { status, code: code.unwrap_or_default(), retry_after: answer.retry_after }
            }
        }
    }
}

impl House {
    fn count(&self, what: &str) {
        *self.told.borrow_mut().entry(what.to_owned()).or_default() += 1;
    }
}

async fn ask(
    port: u16,
    tls: &Arc<rustls::ClientConfig>,
    line: &mut Option<Line>,
    body: &[u8],
) -> std::io::Result<upheld_benches::fleet::Answer> {
    let open = match line {
        Some(open) => open,
        none @ None => none.insert(Line::connect(port, tls).await?),
    };
    open.deliver(body).await
}

fn moment(began: Instant) -> Moment {
    // The monotonic clock begins at one second: an agent's is never at its zero.
    let mono = Mono(1_000_000_000 + u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    Moment { mono, wall: ObservedAt(Timestamp::now()) }
}
