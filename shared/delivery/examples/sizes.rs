//! What a sample costs on disk and on the wire: 20 checks (8 pings, 8 ports, 3 pages, the host) every 10 s for a day,
//! through the real journal and requests. Goals: at most 40 bytes on disk and 25 on the wire (DELIVERY 1).
//!
//! `cargo run --release -p upheld-delivery --example sizes`

use std::collections::BTreeMap;

use upheld_delivery::{
    Moment, Random,
    courier::Courier,
    intake::deflate,
    journal::{Settings, Urgency},
    sender::{Answer, Effect, Event},
    storage::sim::{SimStorage, next},
};
use upheld_evidence::SigningKey;
use upheld_model::{Mono, ObservedAt, Outcome, Sample, sample::Value};
use upheld_wire::v1::{Body, ClockReading, Delivered, Now};

const ROUNDS: u64 = 8640;

fn main() {
    let mut dice = 7;
    for (name, live) in [("backlog of a day", false), ("live, a request per 30 s", true)] {
        let disk = SimStorage::new(1);
        let key = SigningKey::from_seed(&[1; 32]).expect("a seed of 32 bytes is a key");
        let opened = Courier::open(disk.clone(), key, Settings::default(), random(), moment(0));
        let (mut courier, _) = opened.expect("an empty disk opens");
        let (mut samples, mut wire, mut requests) = (0, 0, 0);
        for round in 1..=ROUNDS {
            let body = Body { samples: round_of(&mut dice, round), events: Vec::new() };
            samples += body.samples.len() as u64;
            courier.append(&body, Urgency::Soon, moment(round * 10_000)).expect("the disk takes it");
            if live {
                drain(&mut courier, round * 10_000 + 1000, &mut wire, &mut requests);
            } else {
                courier.handle_timeout(moment(round * 10_000 + 1000)).expect("the disk takes it");
                while courier.poll_effect().is_some() {}
            }
        }
        let on_disk = disk.used();
        for more in 0..200 {
            drain(&mut courier, (ROUNDS + 10 + more) * 10_000, &mut wire, &mut requests);
        }
        println!(
            "{name}: {samples} samples, {:.1} bytes a sample on disk, {:.1} on the wire in {requests} requests, {} wait",
            on_disk as f64 / samples as f64,
            wire as f64 / samples as f64,
            courier.status().waiting
        );
    }
}

fn drain(courier: &mut Courier<SimStorage>, ms: u64, wire: &mut u64, requests: &mut u64) {
    courier.handle_timeout(moment(ms)).expect("the disk takes it");
    while let Some(effect) = courier.poll_effect() {
        let Effect::Post(post) = effect else { continue };
        let clock =
            ClockReading { wall: moment(ms).wall, mono: moment(ms).mono, boot: "b".parse().expect("a boot id") };
        let request = courier.request(&post, clock, Now::default()).expect("the journal is whole");
        *wire += deflate(&request).expect("memory").len() as u64;
        *requests += 1;
        let answer = Delivered {
            batch_digest: request.batch_digest,
            head: None,
            refused: Vec::new(),
            receipt: None,
            renew: false,
            secrets: None,
            config_version: 0,
            collector_time: request.clock.wall.0,
        };
        courier.handle(Event::Answered { no: post.no, answer: Answer::Delivered(answer) }, moment(ms));
    }
}

fn round_of(dice: &mut u64, round: u64) -> Vec<Sample> {
    (0..20).map(|check| sample(dice, round, check)).collect()
}

/// One run of a check, shaped like the agent's probes, with times and measurements that jitter.
fn sample(dice: &mut u64, round: u64, check: u64) -> Sample {
    let took_us = 300 + next(dice) % 2400;
    let ms = |dice: &mut u64| Value::Number((200 + next(dice) % 4000) as f64 / 1000.0);
    let (name, values) = match check {
        0..8 => (format!("cam-{check}/net.icmp"), vec![("rtt_ms".to_owned(), ms(dice))]),
        8..16 => (format!("nvr-{check}/net.tcp"), vec![("connect_ms".to_owned(), ms(dice))]),
        16..19 => {
            let values = [("connect_ms", ms(dice)), ("first_byte_ms", ms(dice)), ("status", Value::Number(200.0))];
            (format!("web-{check}/net.http"), values.map(|(name, value)| (name.to_owned(), value)).to_vec())
        }
        _ => {
            let tenth = |dice: &mut u64, of: u64| Value::Number((next(dice) % of) as f64 / 10.0);
            let values = [
                ("cpu_percent", tenth(dice, 300)),
                ("load_1", tenth(dice, 20)),
                ("memory_used_percent", Value::Number(41.0 + (round % 7) as f64 / 10.0)),
                ("disk_used_percent /", Value::Number(63.2)),
                ("uptime_s", Value::Number((round * 10) as f64)),
            ];
            ("server/host".to_owned(), values.map(|(name, value)| (name.to_owned(), value)).to_vec())
        }
    };
    Sample {
        check: name.parse().expect("a check id"),
        at: moment(round * 10_000 + next(dice) % 10_000).wall,
        took_us,
        outcome: Outcome::Ok,
        values: values.into_iter().collect::<BTreeMap<_, _>>(),
        counters: BTreeMap::new(),
        evidence: None,
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

fn moment(ms: u64) -> Moment {
    let millisecond = 1_795_300_000_000 + i64::try_from(ms).unwrap_or(0);
    let wall = jiff::Timestamp::from_millisecond(millisecond).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Moment { mono: Mono(ms * 1_000_000), wall: ObservedAt(wall) }
}
