//! Writes what imaginary agents send, a file a report: what the wire's dictionary is made of (`shared/wire/dictionary`).
//! Usage: `typical_reports FOLDER`. The same files each time, by the same journal, sender and types as an agent's.
#![allow(clippy::disallowed_methods, reason = "a tool of the developers: the crate itself reads and writes no file")]

use std::{collections::BTreeMap, path::Path};

use upheld_delivery::{
    Moment,
    courier::Courier,
    journal::{Settings, Urgency},
    sender::{Answer, Effect, Event},
    storage::sim::{SimStorage, next},
};
use upheld_evidence::SigningKey;
use upheld_model::{
    AgentEvent, CheckId, Finding, FindingEnd, Mono, ObservedAt, Outcome, Sample, finding::CheckState, sample::Value,
};
use upheld_wire::v1::{Body, CheckNow, ClockReading, DeliverRequest, Delivered, Now, present};

const AGENTS: u64 = 120;
const REPORTS: usize = 3;

/// Names of assets as people give them; none of them is one of the bench that says what the dictionary is worth.
const ASSETS: &[&str] = &[
    "ipc", "door", "gate", "sw", "fw", "ap", "plc", "printer", "ups", "kiosk", "office", "lager", "pos", "till", "rec",
    "db", "mail", "edge", "hv", "pdu", "router", "dc", "file", "backup", "nas", "erp",
];

/// Kinds of checks: how often they are met among twenty, and what they measure (values, digits after the point, about how
/// much).
type Measured = &'static [(&'static str, u32, u64)];
const KINDS: &[(&str, u64, Measured)] = &[
    ("net.icmp", 6, &[("rtt_ms", 3, 4_000)]),
    ("net.tcp", 6, &[("connect_ms", 3, 4_000)]),
    (
        "net.http",
        4,
        &[("connect_ms", 3, 4_000), ("first_byte_ms", 3, 9_000), ("status", 0, 200), ("total_ms", 3, 12_000)],
    ),
    (
        "host",
        1,
        &[
            ("cpu_percent", 1, 300),
            ("disk_used_percent /", 1, 700),
            ("disk_used_percent /var", 1, 700),
            ("inodes_used_percent /", 1, 90),
            ("load_1", 2, 200),
            ("load_15", 2, 90),
            ("load_5", 2, 120),
            ("memory_available_mb", 0, 9_000),
            ("memory_used_percent", 1, 500),
            ("uptime_s", 0, 900_000),
        ],
    ),
    ("net.tls", 1, &[("connect_ms", 3, 4_000), ("days_left", 0, 80), ("tls_ms", 3, 30_000)]),
    ("net.dns", 1, &[("answer_ms", 3, 9_000)]),
    ("net.ntp", 1, &[("delay_ms", 3, 900), ("offset_ms", 3, 900)]),
    (
        "net.quality",
        1,
        &[("jitter_ms", 3, 900), ("loss_percent", 0, 5), ("rtt_max_ms", 3, 9_000), ("rtt_median_ms", 3, 4_000)],
    ),
    ("rec.freshness", 1, &[("newest_age_s", 0, 60), ("newest_bytes", 0, 90_000)]),
    ("ups.nut", 1, &[("charge_percent", 0, 100), ("load_percent", 0, 40), ("runtime_s", 0, 2_400)]),
];

fn main() {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("where to? typical_reports FOLDER");
        std::process::exit(2);
    };
    std::fs::create_dir_all(&folder).expect("a folder");
    for agent in 0..AGENTS {
        for (number, request) in Host::new(agent).reports().into_iter().enumerate() {
            let file = Path::new(&folder).join(format!("{agent:03}-{number}.json"));
            std::fs::write(file, serde_json::to_vec(&request).expect("JSON")).expect("a file");
        }
    }
}

struct Host {
    dice: u64,
    courier: Courier<SimStorage>,
    boot: String,
    /// By check its kind's measurements.
    checks: BTreeMap<CheckId, Measured>,
    states: BTreeMap<CheckId, CheckNow>,
    begun_ms: i64,
    now_ms: u64,
    /// The collector names what it holds.
    names: bool,
}

impl Host {
    fn new(agent: u64) -> Self {
        let mut dice = agent + 1;
        for _ in 0..8 {
            next(&mut dice);
        }
        let begun_ms = 1_790_000_000_000 + i64::try_from(next(&mut dice) % 40_000_000_000).expect("small");
        let boot = format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            next(&mut dice) >> 32,
            next(&mut dice) >> 48,
            next(&mut dice) >> 52,
            next(&mut dice) >> 52,
            next(&mut dice) >> 16
        );
        let mut seed = next(&mut dice);
        let random = Box::new(move |bytes: &mut [u8]| {
            for byte in bytes {
                *byte = next(&mut seed).to_le_bytes()[7];
            }
        });
        let key = SigningKey::from_seed(&[u8::try_from(agent).expect("small"); 32]).expect("a key");
        let settings = Settings::default();
        let (courier, _) =
            Courier::open(SimStorage::new(agent), key, settings, random, at(begun_ms, 0)).expect("memory");
        let mut checks: BTreeMap<CheckId, Measured> = BTreeMap::new();
        let of = 3 + next(&mut dice) % 25;
        let all: u64 = KINDS.iter().map(|(_, weight, _)| weight).sum();
        for _ in 0..of {
            let mut drawn = next(&mut dice) % all;
            let kind = KINDS.iter().find(|(_, weight, _)| {
                let is_it = drawn < *weight;
                drawn = drawn.wrapping_sub(*weight);
                is_it
            });
            let Some((kind, _, measured)) = kind else { continue };
            let asset = ASSETS[usize::try_from(next(&mut dice)).expect("64 bits") % ASSETS.len()];
            let number = next(&mut dice) % 30;
            let between = if next(&mut dice).is_multiple_of(3) { "" } else { "-" };
            checks.insert(format!("{asset}{between}{number}/{kind}").parse().expect("a check"), *measured);
        }
        let states = checks.keys().map(|check| (check.clone(), state(CheckState::Ok, at(begun_ms, 0)))).collect();
        let names = !agent.is_multiple_of(6);
        Self { dice, courier, boot, checks, states, begun_ms, now_ms: 0, names }
    }

    fn roll(&mut self, below: u64) -> u64 {
        (next(&mut self.dice) >> 11) % below.max(1)
    }

    fn reports(mut self) -> Vec<DeliverRequest> {
        let mut reports = Vec::new();
        while reports.len() < REPORTS {
            self.observe();
            self.now_ms += 10_000;
            self.courier.handle_timeout(self.moment()).expect("memory");
            while let Some(effect) = self.courier.poll_effect() {
                let Effect::Post(post) = effect else { continue };
                let clock = ClockReading {
                    wall: self.moment().wall,
                    mono: Mono(self.moment().mono.0 + self.roll(1_000_000)),
                    boot: self.boot.parse().expect("a boot id"),
                };
                let now = Now {
                    version: "0.1.0".to_owned(),
                    config_version: 1 + self.dice % 40,
                    checks: self.states.clone(),
                    ..Now::default()
                };
                let request = self.courier.request(&post, clock, now).expect("memory");
                let answer = Delivered {
                    batch_digest: request.batch_digest,
                    head: None,
                    refused: Vec::new(),
                    receipt: None,
                    renew: false,
                    secrets: None,
                    present: present::name(&self.states).filter(|_| self.names),
                    dictionary: None,
                    config_version: request.now.config_version,
                    collector_time: self.moment().wall.0,
                };
                let answer = Answer::Delivered(answer);
                self.courier.handle(Event::Answered { no: post.no, answer }, self.moment());
                reports.push(request);
            }
        }
        reports
    }

    /// Ten seconds of samples; now and then something fails.
    fn observe(&mut self) {
        let checks: Vec<(CheckId, Measured)> = self.checks.iter().map(|(id, of)| (id.clone(), *of)).collect();
        let mut samples: Vec<Sample> = checks.iter().map(|(check, measured)| self.sample(check, measured)).collect();
        samples.sort_by_key(|sample| sample.at);
        let mut failed = None;
        if self.roll(6) == 0
            && let Some(sample) = samples.last_mut()
        {
            sample.outcome = Outcome::Bad;
            sample.evidence = Some("connection refused".into());
            failed = Some((sample.check.clone(), sample.at));
        }
        let body = Body { samples, events: Vec::new() };
        self.courier.append(&body, Urgency::Soon, self.moment()).expect("memory");
        if let Some((check, at)) = failed {
            let events = self.failed(check, at);
            let body = Body { samples: Vec::new(), events };
            self.courier.append(&body, Urgency::Now, self.moment()).expect("memory");
        }
    }

    fn sample(&mut self, check: &CheckId, measured: Measured) -> Sample {
        let at = at(self.begun_ms, self.now_ms + self.roll(10_000)).wall;
        let mut values = BTreeMap::new();
        for (name, digits, about) in measured {
            let number = about / 3 + self.roll(*about);
            values.insert((*name).to_owned(), Value::from(number as f64 / 10_f64.powi(digits.cast_signed())));
        }
        Sample {
            check: check.clone(),
            at,
            took_us: 200 + self.roll(9_000),
            outcome: Outcome::Ok,
            values,
            counters: BTreeMap::new(),
            evidence: None,
        }
    }

    fn failed(&mut self, check: CheckId, first_bad: ObservedAt) -> Vec<AgentEvent> {
        let confirmed_at = at(self.begun_ms, self.now_ms + 9_000 + self.roll(900)).wall;
        let finding = Finding {
            check: check.clone(),
            last_ok: Some(at(self.begun_ms, self.now_ms.saturating_sub(9_000)).wall),
            first_bad,
            confirmed_at,
            evidence: Some("connection refused".into()),
            culprit: None,
        };
        let is_over = self.roll(2) == 0;
        let state = if is_over { CheckState::Ok } else { CheckState::Failed };
        self.states.insert(check.clone(), self::state(state, Moment { mono: Mono(0), wall: confirmed_at }));
        let changed = AgentEvent::StateChanged { check, state, at: confirmed_at };
        if is_over {
            let end = FindingEnd { last_bad: first_bad, first_ok: confirmed_at, confirmed_at };
            return vec![AgentEvent::FindingClosed { id: finding.id(), end }, changed];
        }
        vec![AgentEvent::FindingOpened { finding }, changed]
    }

    fn moment(&self) -> Moment {
        at(self.begun_ms, self.now_ms)
    }
}

fn state(state: CheckState, since: Moment) -> CheckNow {
    CheckNow { state, since: since.wall }
}

fn at(begun_ms: i64, after_ms: u64) -> Moment {
    let wall = jiff::Timestamp::from_millisecond(begun_ms + i64::try_from(after_ms).expect("small")).expect("a time");
    Moment { mono: Mono(after_ms * 1_000_000), wall: ObservedAt(wall) }
}
