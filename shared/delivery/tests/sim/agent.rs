//! One host: a courier on a virtual disk that may crash, be rolled back or be copied.

use std::collections::{BTreeMap, BTreeSet};

use upheld_delivery::{
    Moment, Random,
    courier::Courier,
    journal::{Settings, Urgency},
    sender::{Answer, Effect, Event, Post},
    storage::sim::{Crash, Disk, SimStorage, next},
};
use upheld_evidence::SigningKey;
use upheld_model::{AgentEvent, Mono, ObservedAt, Outcome, Sample};
use upheld_wire::v1::{Body, ClockReading, DeliverRequest, Delivered, Now};

use crate::world::Broken;

pub(crate) const SEED: [u8; 32] = [42; 32];

/// A snapshot of a machine: its disk and what it had promised to keep by then.
#[derive(Clone)]
pub(crate) struct Snapshot {
    disk: Disk,
    durable: BTreeSet<u64>,
}

pub(crate) struct Agent {
    pub(crate) disk: SimStorage,
    courier: Option<Courier<SimStorage>>,
    /// Facts whose append and sync returned, and which nobody destroyed.
    pub(crate) durable: BTreeSet<u64>,
    /// Samples that wait for their sync: number and time.
    soon: Vec<(u64, u64)>,
    /// When a transition happened, by its number.
    pub(crate) transitions: BTreeMap<u64, u64>,
    pub(crate) restart_at: Option<u64>,
    /// The digest of the request that is under way, with its number.
    pub(crate) under_way: Option<(u64, upheld_model::Digest)>,
    dice: u64,
}

impl Agent {
    pub(crate) fn new(disk: SimStorage, dice: u64) -> Self {
        Self {
            disk,
            courier: None,
            durable: BTreeSet::new(),
            soon: Vec::new(),
            transitions: BTreeMap::new(),
            restart_at: Some(0),
            under_way: None,
            dice,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.courier.is_some()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { disk: self.disk.snapshot(), durable: self.durable.clone() }
    }

    /// The machine is set back; what it learned since is destroyed.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot, now_ms: u64) {
        self.courier = None;
        self.under_way = None;
        self.soon.clear();
        self.disk = SimStorage::from_snapshot(&snapshot.disk);
        self.durable.clone_from(&snapshot.durable);
        self.restart_at = Some(now_ms + 2000);
    }

    /// The process dies, and with it what the kernel did not write.
    pub(crate) fn crash(&mut self, crash: Crash, now_ms: u64) {
        self.courier = None;
        self.under_way = None;
        self.soon.clear();
        self.disk.reboot(crash);
        self.restart_at = Some(now_ms + 1000 + next(&mut self.dice) % 20_000);
    }

    pub(crate) fn start_if_due(&mut self, now_ms: u64) -> Result<(), String> {
        if self.courier.is_some() || self.restart_at.is_none_or(|at| at > now_ms) {
            return Ok(());
        }
        let key = SigningKey::from_seed(&SEED).unwrap();
        let settings = Settings { segment_bytes: 8 << 10, ..Settings::default() };
        let mut dice = next(&mut self.dice);
        let random: Random = Box::new(move |bytes: &mut [u8]| {
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&next(&mut dice).to_le_bytes()[..chunk.len()]);
            }
        });
        let opened = Courier::open(self.disk.clone(), key, settings, random, moment(now_ms));
        if opened.is_err() && self.disk.is_down() {
            return Ok(()); // It died while it started.
        }
        let (mut courier, _) = opened.map_err(|error| format!("a journal does not open: {error}"))?;
        courier.handle(Event::Pace { heartbeat: std::time::Duration::from_secs(10) }, moment(now_ms));
        self.restart_at = None;
        self.courier = Some(courier);
        Ok(())
    }

    /// A fact is seen. Its number names it for ever.
    pub(crate) fn observe(&mut self, number: u64, is_transition: bool, now_ms: u64) {
        let Some(courier) = &mut self.courier else { return };
        let at = moment(now_ms).wall;
        if is_transition {
            let event = AgentEvent::Configured { at, version: number, refused: None };
            let body = Body { samples: Vec::new(), events: vec![event] };
            if courier.append(&body, Urgency::Now, moment(now_ms)).is_ok() {
                self.durable.insert(number);
                self.durable.extend(self.soon.drain(..).map(|(number, _)| number));
                self.transitions.insert(number, now_ms);
            }
        } else {
            let sample = Sample {
                check: "nvr-02/rec.freshness".parse().unwrap(),
                at,
                took_us: number,
                outcome: Outcome::Ok,
                values: BTreeMap::new(),
                counters: BTreeMap::new(),
                evidence: None,
            };
            let body = Body { samples: vec![sample], events: Vec::new() };
            if courier.append(&body, Urgency::Soon, moment(now_ms)).is_ok() {
                self.soon.push((number, now_ms));
            }
        }
    }

    /// Runs what is due and gives out what it wants to post.
    pub(crate) fn tick(&mut self, now_ms: u64, broken: Broken) -> Vec<(Post, DeliverRequest)> {
        let Some(courier) = &mut self.courier else { return Vec::new() };
        if courier.poll_timeout().is_some_and(|due| due <= moment(now_ms).mono) {
            let flushed = courier.handle_timeout(moment(now_ms));
            if flushed.is_ok() {
                let (synced, waiting) = self.soon.drain(..).partition(|(_, at)| at + 1000 <= now_ms);
                self.soon = waiting;
                let synced: Vec<(u64, u64)> = synced;
                self.durable.extend(synced.into_iter().map(|(number, _)| number));
            }
        }
        let mut posts = Vec::new();
        while let Some(effect) = courier.poll_effect() {
            let Effect::Post(post) = effect else { continue };
            let boot = "boot".parse().unwrap();
            let clock = ClockReading { wall: moment(now_ms).wall, mono: moment(now_ms).mono, boot };
            let Ok(request) = courier.request(&post, clock, Now::default()) else { continue };
            self.under_way = Some((post.no, request.batch_digest));
            if broken == Broken::DeleteOnSend {
                let answer = Answer::Delivered(Delivered {
                    batch_digest: request.batch_digest,
                    head: None,
                    refused: Vec::new(),
                    receipt: None,
                    renew: false,
                    secrets: None,
                    config_version: 0,
                    collector_time: request.clock.wall.0,
                });
                courier.handle(Event::Answered { no: post.no, answer }, moment(now_ms));
            }
            posts.push((post, request));
        }
        posts
    }

    pub(crate) fn answered(&mut self, no: u64, answer: Answer, now_ms: u64) {
        if let Some(courier) = &mut self.courier {
            courier.handle(Event::Answered { no, answer }, moment(now_ms));
        }
    }

    /// What it believes to be held, and how much waits.
    pub(crate) fn status(&self) -> Option<upheld_delivery::journal::Status> {
        self.courier.as_ref().map(Courier::status)
    }
}

pub(crate) fn moment(ms: u64) -> Moment {
    let wall = jiff::Timestamp::from_millisecond(1_795_300_000_000 + i64::try_from(ms).unwrap()).unwrap();
    Moment { mono: Mono(ms * 1_000_000), wall: ObservedAt(wall) }
}
