//! What a sample costs on an agent's disk and on the wire: 20 checks (8 pings, 8 ports, 3 pages, the host) every 10 s for
//! a day of virtual time, by the agent's own engine, journal, sender and compression. Usage: `bytes_per_sample [HOURS]`
//! (default 24).
//!
//! The ceiling is what zstd makes of the same samples' JSON in one stream over the whole time, at the agent's own level
//! and at a high one: no identity, no chain, no record that can be read alone. "On the wire" are the bodies of requests as
//! they are posted, heartbeats with the state of all checks too; the headers of HTTP and TLS come on top.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    time::Duration,
};

use upheld_delivery::{
    Moment, Random,
    courier::Courier,
    intake::deflate,
    journal::{Settings, Urgency},
    sender::{Answer, Effect as Sending, Event, Post},
    storage::sim::{SimStorage, next},
};
use upheld_engine::{Effect, Engine, ProbeResult, Reading, Start};
use upheld_evidence::SigningKey;
use upheld_model::{AgentId, BootId, CheckId, CheckSpec, Mono, ObservedAt, Outcome, ProbeSpec, sample::Value};
use upheld_wire::v1::{AgentConfig, Body, Delivered, Relations, dictionary, present};

/// What DELIVERY 1 asks for: bytes a sample on disk and on the wire.
const GOALS: (f64, f64) = (40.0, 25.0);
const CONFIG_VERSION: u64 = 1;

fn main() {
    let hours: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(24);
    println!("20 checks every 10 s for {hours} h of virtual time; bytes a sample");
    println!("| | samples | records | requests | disk | of {} | wire | of {} |", GOALS.0, GOALS.1);
    println!("|---|---|---|---|---|---|---|---|");
    for line in [Line::Up, Line::Down] {
        let mut host = Host::new(line);
        host.run_until(Mono(hours * 3_600_000_000_000));
        let on_disk = host.disk.used();
        host.line = Line::Up;
        let end = host.now;
        while host.courier.status().waiting > 0 {
            assert!(host.now.since(end) < Duration::from_secs(7_200), "a day's backlog drains within two hours");
            // The checks rest: what goes over the line from here on is the backlog alone.
            host.now = host.courier.poll_timeout().map_or(host.now, |due| due.max(host.now));
            host.deliver();
        }
        let each = |bytes: u64| bytes as f64 / host.samples as f64;
        let (disk, wire) = (each(on_disk), each(host.wire));
        println!(
            "| {} | {} | {} | {} | {disk:.1} | {:.2} x | {wire:.1} | {:.2} x |",
            line.said(),
            host.samples,
            host.records,
            host.requests,
            disk / GOALS.0,
            wire / GOALS.1
        );
        if matches!(line, Line::Up) {
            for (what, stream) in [("zstd 3, 128 KiB", host.shipped), ("zstd 16, all of it", host.best)] {
                let bytes = each(stream.finish().expect("memory").len() as u64);
                println!(
                    "| one stream, {what} | {} | 1 | – | {bytes:.1} | ours {:.2} x | {bytes:.1} | ours {:.2} x |",
                    host.samples,
                    disk / bytes,
                    wire / bytes
                );
            }
            println!("| the same as JSON | {} | – | – | {:.1} | | | |", host.samples, each(host.json));
        }
    }
}

/// Whether the collector answers.
#[derive(Debug, Clone, Copy)]
enum Line {
    Up,
    Down,
}

impl Line {
    fn said(self) -> &'static str {
        match self {
            Self::Up => "live, a heartbeat per 30 s",
            Self::Down => "no line, then the backlog",
        }
    }
}

type Stream = zstd::stream::write::Encoder<'static, Vec<u8>>;

/// One agent in virtual time.
struct Host {
    engine: Engine,
    courier: Courier<SimStorage>,
    disk: SimStorage,
    line: Line,
    now: Mono,
    /// Probes under way, by when they return.
    returning: BTreeMap<(Mono, CheckId), ProbeResult>,
    dice: u64,
    samples: u64,
    records: u64,
    requests: u64,
    wire: u64,
    json: u64,
    shipped: Stream,
    best: Stream,
}

impl Host {
    fn new(line: Line) -> Self {
        let agent: AgentId = "a-bench".parse().expect("an id");
        let boot: BootId = "4d1f0f0a-70e3-4f0e-9d2b-6f6f6b1f9d11".parse().expect("a boot id");
        let disk = SimStorage::new(1);
        let key = SigningKey::from_seed(&[1; 32]).expect("a seed of 32 bytes is a key");
        let now = Mono(0);
        let (courier, _) =
            Courier::open(disk.clone(), key, Settings::default(), random(), moment(now)).expect("an empty disk opens");
        let mut engine = Engine::start(agent.clone(), boot, Start::default(), reading(now));
        let config = AgentConfig {
            version: CONFIG_VERSION,
            agent,
            heartbeat_ms: 30_000,
            checks: checks(),
            relations: Relations::default(),
            jobs: BTreeSet::new(),
        };
        engine.configure(config, reading(now)).expect("a good configuration");
        let mut shipped = Stream::new(Vec::new(), 3).expect("an encoder");
        shipped.window_log(17).expect("a window");
        let mut best = Stream::new(Vec::new(), 16).expect("an encoder");
        best.window_log(27).expect("a window");
        Self {
            engine,
            courier,
            disk,
            line,
            now,
            returning: BTreeMap::new(),
            dice: 7,
            samples: 0,
            records: 0,
            requests: 0,
            wire: 0,
            json: 0,
            shipped,
            best,
        }
    }

    /// The agent's loop: whatever is due next, until `end`.
    fn run_until(&mut self, end: Mono) {
        loop {
            self.observe();
            self.deliver();
            let returns = self.returning.keys().next().map(|(at, _)| *at);
            let next = [self.engine.poll_timeout(), self.courier.poll_timeout(), returns].into_iter().flatten().min();
            let next = next.expect("checks are always due").max(self.now);
            if next > end {
                return;
            }
            self.now = next;
        }
    }

    fn observe(&mut self) {
        while let Some(entry) = self.returning.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((_, check), result) = entry.remove_entry();
            self.engine.handle_outcome(&check, result, reading(self.now)).expect("its outcome is awaited");
        }
        if self.engine.poll_timeout().is_some_and(|due| due <= self.now) {
            self.engine.handle_timeout(reading(self.now));
        }
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Probe(spec) => {
                    let result = result(&mut self.dice, &spec, self.now);
                    self.returning.insert((self.now.plus(result.took), spec.id.clone()), result);
                }
                Effect::Write { body, urgency } => self.append(&body, urgency),
            }
        }
    }

    fn append(&mut self, body: &Body, urgency: upheld_engine::Urgency) {
        self.samples += body.samples.len() as u64;
        self.records += 1;
        for sample in &body.samples {
            let text = serde_json::to_vec(sample).expect("a sample is JSON");
            self.json += text.len() as u64;
            if matches!(self.line, Line::Up) {
                self.shipped.write_all(&text).expect("memory");
                self.best.write_all(&text).expect("memory");
            }
        }
        let urgency = match urgency {
            upheld_engine::Urgency::Batch => Urgency::Soon,
            upheld_engine::Urgency::AtOnce => Urgency::Now,
        };
        self.courier.append(body, urgency, moment(self.now)).expect("the disk takes it");
    }

    fn deliver(&mut self) {
        if self.courier.poll_timeout().is_some_and(|due| due <= self.now) {
            self.courier.handle_timeout(moment(self.now)).expect("the disk takes it");
        }
        while let Some(effect) = self.courier.poll_effect() {
            let Sending::Post(post) = effect else { continue };
            let answer = self.post(&post);
            self.courier.handle(Event::Answered { no: post.no, answer }, moment(self.now));
        }
    }

    fn post(&mut self, post: &Post) -> Answer {
        if matches!(self.line, Line::Down) {
            return Answer::Failed { what: "no line".to_owned() };
        }
        let (clock, now) = (self.engine.clock_reading(reading(self.now)), self.engine.now_header(reading(self.now)));
        let held = present::name(&now.checks);
        let request = self.courier.request(post, clock, now).expect("the journal is whole");
        self.wire += deflate(&request, self.courier.dictionary()).expect("memory").len() as u64;
        self.requests += 1;
        Answer::Delivered(Delivered {
            batch_digest: request.batch_digest,
            head: None,
            refused: Vec::new(),
            receipt: None,
            renew: false,
            secrets: None,
            present: held,
            dictionary: dictionary::best(),
            config_version: CONFIG_VERSION,
            collector_time: request.clock.wall.0,
        })
    }
}

fn checks() -> Vec<CheckSpec> {
    let at = |number: u64| format!("192.0.2.{}", number + 10);
    let probe = |number: u64| match number {
        0..8 => (format!("cam-{number:02}/net.icmp"), ProbeSpec::NetIcmp { target: at(number), tcp_port: None }),
        8..16 => (format!("nvr-{number:02}/net.tcp"), ProbeSpec::NetTcp { target: at(number), port: 554 }),
        16..19 => {
            let json = serde_json::json!({ "kind": "net.http", "url": format!("http://{}/", at(number)) });
            (format!("web-{number:02}/net.http"), serde_json::from_value(json).expect("a page"))
        }
        _ => ("srv-01/host".to_owned(), ProbeSpec::Host { disk_bad_percent: 95 }),
    };
    let check = |number| {
        let (id, probe) = probe(number);
        CheckSpec { every_ms: 10_000, ..CheckSpec::with_defaults(id.parse().expect("a check id"), probe) }
    };
    (0..20).map(check).collect()
}

/// One good run, with the values that the agent's probe of this kind gives, as they jitter on a quiet network.
fn result(dice: &mut u64, spec: &CheckSpec, started: Mono) -> ProbeResult {
    let mut micros = |from: u64, spread: u64| from + next(dice) % spread;
    let ms = |micros: u64| Value::from(micros as f64 / 1e3);
    let (took, values): (u64, Vec<(&str, Value)>) = match spec.probe.kind() {
        "net.icmp" => {
            let rtt = micros(200, 4_000);
            (rtt + micros(60, 200), vec![("rtt_ms", ms(rtt))])
        }
        "net.tcp" => {
            let connect = micros(200, 4_000);
            (connect + micros(40, 100), vec![("connect_ms", ms(connect))])
        }
        "net.http" => {
            let connect = micros(200, 4_000);
            let first = connect + micros(500, 9_000);
            let total = first + micros(50, 900);
            let values = [("connect_ms", connect), ("first_byte_ms", first), ("total_ms", total)];
            let status = ("status", Value::from(200.0));
            (
                total + micros(10, 60),
                values.map(|(name, value)| (name, ms(value))).into_iter().chain([status]).collect(),
            )
        }
        // The host: the only other kind here.
        _ => {
            let tenth = |number: u64| Value::from(number as f64 / 10.0);
            let hundredth = |number: u64| Value::from(number as f64 / 100.0);
            let values = vec![
                ("boot_id", Value::from("4d1f0f0a-70e3-4f0e-9d2b-6f6f6b1f9d11")),
                ("cpu_percent", tenth(micros(0, 300))),
                ("disk_used_percent /", tenth(632)),
                ("disk_used_percent /srv/rec", tenth(871)),
                ("inodes_used_percent /", tenth(101)),
                ("inodes_used_percent /srv/rec", tenth(3)),
                ("load_1", hundredth(micros(0, 200))),
                ("load_15", hundredth(micros(40, 60))),
                ("load_5", hundredth(micros(20, 100))),
                ("memory_available_mb", Value::from(micros(9_700, 200) as f64)),
                ("memory_used_percent", tenth(micros(408, 6))),
                ("uptime_s", Value::from((started.0 / 1_000_000_000) as f64)),
            ];
            (micros(900, 2_000), values)
        }
    };
    ProbeResult {
        outcome: Outcome::Ok,
        values: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        counters: BTreeMap::new(),
        evidence: None,
        started,
        took: Duration::from_micros(took),
    }
}

fn random() -> Random {
    let mut dice = 99;
    Box::new(move |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&next(&mut dice).to_le_bytes()[..chunk.len()]);
        }
    })
}

fn reading(now: Mono) -> Reading {
    Reading { wall: moment(now).wall.0, mono: now, boottime: Some(now) }
}

fn moment(now: Mono) -> Moment {
    let since = i64::try_from(now.0 / 1_000_000).unwrap_or(0);
    let wall = jiff::Timestamp::from_millisecond(1_795_300_000_000 + since).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Moment { mono: now, wall: ObservedAt(wall) }
}
