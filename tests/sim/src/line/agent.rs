//! One host: the real courier on a virtual disk that may crash, be set back or be copied.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use upheld_delivery::{
    Moment, Random,
    courier::Courier,
    journal::{Opened, Settings, Status, Urgency},
    sender::{Answer, Effect, Event, Post},
    storage::sim::{Crash, Disk, SimStorage, next},
};
use upheld_evidence::SigningKey;
use upheld_model::{AgentEvent, BootId, DeviceText, Digest, Mono, ObservedAt, Outcome, Sample, sample::Value};
use upheld_wire::v1::{Body, ClockReading, DeliverRequest, Now};

pub(crate) const SEED: [u8; 32] = [42; 32];
/// A Saturday in November 2026.
pub(crate) const START_MS: i64 = 1_795_300_000_000;

/// A snapshot of a machine: its disk, its generator, and what it had promised to keep by then.
#[derive(Clone)]
pub(crate) struct Snapshot {
    disk: Disk,
    durable: BTreeSet<u64>,
    dice: u64,
}

/// What an agent saw once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// True time.
    pub(crate) at_ms: u64,
    /// As the agent dated it.
    pub(crate) dated_ms: i64,
    pub(crate) is_transition: bool,
    /// The collector cannot read it.
    pub(crate) is_poison: bool,
}

pub(crate) struct Agent {
    pub(crate) disk: SimStorage,
    courier: Option<Courier<SimStorage>>,
    /// What its last start found in the journal; taken by who goes on from there.
    pub(crate) opened: Option<Opened>,
    /// What it says of the present beside its records.
    pub(crate) present: Now,
    boot: BootId,
    settings: Settings,
    heartbeat: Duration,
    evidence_bytes: usize,
    /// Facts whose append and sync returned, and which nobody destroyed.
    pub(crate) durable: BTreeSet<u64>,
    /// Samples that wait for their sync: number, and when on the monotonic clock.
    soon: Vec<(u64, u64)>,
    /// Everything it ever saw, by its number.
    pub(crate) seen: BTreeMap<u64, Seen>,
    pub(crate) restart_at: Option<u64>,
    /// The digest of the request that is under way, with its number.
    pub(crate) under_way: Option<(u64, Digest)>,
    /// When it was posted; `None` once it is answered.
    posted_at: Option<u64>,
    /// It was asked to send nothing before.
    pub(crate) pause_until: u64,
    /// When its monotonic clock was 0.
    mono_origin: u64,
    /// By how much its wall clock is off.
    pub(crate) wall_off_ms: i64,
    /// Until when the machine sleeps.
    pub(crate) asleep_until: u64,
    dice: u64,
    /// Of segments, and of what gives room for smaller ones.
    pub(crate) disk_bytes_max: u64,
    /// Of the small memory beside them.
    pub(crate) state_bytes_max: u64,
}

impl Agent {
    pub(crate) fn new(disk: SimStorage, settings: Settings, heartbeat: Duration, dice: u64) -> Self {
        Self {
            disk,
            courier: None,
            opened: None,
            present: Now::default(),
            boot: "boot".parse().expect("a boot's id"),
            settings,
            heartbeat,
            evidence_bytes: 0,
            durable: BTreeSet::new(),
            soon: Vec::new(),
            seen: BTreeMap::new(),
            restart_at: Some(0),
            under_way: None,
            posted_at: None,
            pause_until: 0,
            mono_origin: 0,
            wall_off_ms: 0,
            asleep_until: 0,
            dice,
            disk_bytes_max: 0,
            state_bytes_max: 0,
        }
    }

    /// Its samples tell so much besides their numbers.
    pub(crate) fn telling(mut self, evidence_bytes: usize) -> Self {
        self.evidence_bytes = evidence_bytes;
        self
    }

    pub(crate) fn is_up(&self) -> bool {
        self.courier.is_some()
    }

    pub(crate) fn budget(&self) -> u64 {
        self.settings.budget_bytes
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { disk: self.disk.snapshot(), durable: self.durable.clone(), dice: self.dice }
    }

    /// A copy of this machine's disk in another one.
    pub(crate) fn copied(&self, dice: u64, now_ms: u64) -> Self {
        let disk = well(&self.disk.snapshot());
        let mut copy = Self::new(disk, self.settings.clone(), self.heartbeat, dice).telling(self.evidence_bytes);
        copy.restart_at = Some(now_ms + 2_000);
        copy
    }

    /// The machine is set back; what it learned since is destroyed. `alike`: its generator is set back as well.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot, alike: bool, now_ms: u64) {
        self.courier = None;
        self.under_way = None;
        // A pause is asked of a process.
        self.pause_until = 0;
        self.soon.clear();
        self.disk = well(&snapshot.disk);
        self.durable.clone_from(&snapshot.durable);
        if alike {
            self.dice = snapshot.dice;
        }
        self.mono_origin = now_ms;
        self.asleep_until = self.asleep_until.min(now_ms);
        self.restart_at = Some(now_ms + 2_000);
    }

    /// The process dies, and with it (unless it was only killed) what the kernel did not write.
    pub(crate) fn crash(&mut self, crash: Crash, now_ms: u64) {
        self.courier = None;
        self.under_way = None;
        // A pause is asked of a process.
        self.pause_until = 0;
        self.soon.clear();
        self.disk.reboot(crash);
        if crash != Crash::Kill {
            self.mono_origin = now_ms;
        }
        self.restart_at = Some(now_ms + 1_000 + next(&mut self.dice) % 20_000);
    }

    /// The machine sleeps: its monotonic clock stands still.
    pub(crate) fn sleep(&mut self, until_ms: u64, now_ms: u64) {
        self.asleep_until = until_ms;
        self.mono_origin += until_ms - now_ms;
        if let Some(at) = &mut self.restart_at {
            *at = (*at).max(until_ms);
        }
    }

    /// Somebody opens the lid.
    pub(crate) fn wake(&mut self, now_ms: u64) {
        self.mono_origin -= self.asleep_until.saturating_sub(now_ms).min(self.mono_origin);
        self.asleep_until = self.asleep_until.min(now_ms);
        self.restart_at = self.restart_at.map(|at| at.min(now_ms + 2_000));
    }

    pub(crate) fn is_asleep(&self, now_ms: u64) -> bool {
        now_ms < self.asleep_until
    }

    pub(crate) fn start_if_due(&mut self, now_ms: u64) -> Result<(), String> {
        if self.courier.is_some() || self.restart_at.is_none_or(|at| at > now_ms) {
            return Ok(());
        }
        let key = SigningKey::from_seed(&SEED).map_err(|error| error.to_string())?;
        let mut dice = next(&mut self.dice);
        let random: Random = Box::new(move |bytes: &mut [u8]| {
            for chunk in bytes.chunks_mut(8) {
                let drawn = next(&mut dice).to_le_bytes();
                chunk.copy_from_slice(&drawn[..chunk.len()]);
            }
        });
        let now = self.moment(now_ms);
        let opened = Courier::open(self.disk.clone(), key, self.settings.clone(), random, now);
        if opened.is_err() && self.disk.is_down() {
            return Ok(()); // It died while it started.
        }
        let (mut courier, opened) = opened.map_err(|error| format!("a journal does not open: {error}"))?;
        self.opened = Some(opened);
        courier.handle(Event::Pace { heartbeat: self.heartbeat }, now);
        self.restart_at = None;
        self.courier = Some(courier);
        Ok(())
    }

    /// A fact is seen. Its number names it for ever.
    pub(crate) fn observe(&mut self, number: u64, is_transition: bool, is_poison: bool, now_ms: u64) {
        let now = self.moment(now_ms);
        let Some(courier) = &mut self.courier else { return };
        let (at, dated_ms) = (now.wall, now.wall.0.as_millisecond());
        let (body, urgency) = if is_transition {
            let event = AgentEvent::Configured { at, version: number, refused: None };
            (Body { samples: Vec::new(), events: vec![event] }, Urgency::Now)
        } else {
            (
                Body { samples: vec![sample(number, at, is_poison, self.evidence_bytes)], events: Vec::new() },
                Urgency::Soon,
            )
        };
        let appended = courier.append(&body, urgency, now).is_ok();
        self.seen.insert(number, Seen { at_ms: now_ms, dated_ms, is_transition, is_poison });
        match (appended, is_transition) {
            (false, _) => {}
            (true, true) => {
                self.durable.insert(number);
                self.durable.extend(self.soon.drain(..).map(|(number, _)| number));
            }
            (true, false) => self.soon.push((number, now.mono.0)),
        }
    }

    /// When it has something to do.
    pub(crate) fn due(&self) -> Option<u64> {
        match &self.courier {
            Some(courier) => {
                let due = courier.poll_timeout()?;
                Some(self.true_ms(due).max(self.asleep_until))
            }
            None => self.restart_at.map(|at| at.max(self.asleep_until)),
        }
    }

    /// When its monotonic clock will show this, unless it sleeps.
    pub(crate) fn true_ms(&self, mono: Mono) -> u64 {
        self.mono_origin + mono.0.div_ceil(1_000_000)
    }

    /// Runs what is due and gives out what it wants to post.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Vec<(Post, DeliverRequest)> {
        let now = self.moment(now_ms);
        let Some(courier) = &mut self.courier else { return Vec::new() };
        if courier.poll_timeout().is_some_and(|due| due <= now.mono) {
            let flushed = courier.handle_timeout(now);
            if flushed.is_ok() && !courier.is_volatile() {
                let is_synced = |at: &u64| at + 1_000_000_000 <= now.mono.0;
                let waiting = self.soon.iter().filter(|(_, at)| !is_synced(at)).copied().collect();
                let all: Vec<(u64, u64)> = std::mem::replace(&mut self.soon, waiting);
                self.durable.extend(all.into_iter().filter(|(_, at)| is_synced(at)).map(|(number, _)| number));
            }
        }
        let mut posts = Vec::new();
        while let Some(effect) = courier.poll_effect() {
            let Effect::Post(post) = effect else { continue };
            let clock = ClockReading { wall: now.wall, mono: now.mono, boot: self.boot.clone() };
            let Ok(request) = courier.request(&post, clock, self.present.clone()) else { continue };
            self.under_way = Some((post.no, request.batch_digest));
            self.posted_at = Some(now_ms);
            posts.push((post, request));
        }
        let is_state = |name: &str| name.starts_with("state");
        let (state, rest): (Vec<_>, Vec<_>) = self.disk.files().into_iter().partition(|(name, _)| is_state(name));
        let bytes_of = |files: &[(String, u64)]| files.iter().map(|(_, bytes)| *bytes).sum::<u64>();
        self.disk_bytes_max = self.disk_bytes_max.max(bytes_of(&rest));
        self.state_bytes_max = self.state_bytes_max.max(bytes_of(&state));
        posts
    }

    pub(crate) fn answered(&mut self, no: u64, answer: Answer, now_ms: u64) {
        let now = self.moment(now_ms);
        let is_awaited = self.under_way.is_some_and(|(current, _)| current == no);
        if let Some(posted_at) = self.posted_at.take_if(|_| is_awaited)
            && let Answer::Refused { status: 429, retry_after: Some(wait), .. } = &answer
            // Later, it has given up waiting and may have asked again.
            && now_ms < posted_at + 30_000
        {
            self.pause_until = now_ms + u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        }
        if let Some(courier) = &mut self.courier {
            courier.handle(Event::Answered { no, answer }, now);
        }
    }

    /// What it believes to be held, and how much waits.
    pub(crate) fn status(&self) -> Option<Status> {
        self.courier.as_ref().map(Courier::status)
    }

    /// Its journal and what sends it, while it is up: for who has bodies of his own to journal.
    #[cfg(feature = "desk")]
    pub(crate) fn courier(&mut self) -> Option<&mut Courier<SimStorage>> {
        self.courier.as_mut()
    }

    /// Its clocks.
    pub(crate) fn moment(&self, now_ms: u64) -> Moment {
        let wall_ms = START_MS.saturating_add_unsigned(now_ms).saturating_add(self.wall_off_ms);
        let wall = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Moment { mono: Mono(now_ms.saturating_sub(self.mono_origin) * 1_000_000), wall: ObservedAt(wall) }
    }
}

/// A disk with this content that is neither full nor read-only, whatever the one was that it was copied from.
fn well(content: &Disk) -> SimStorage {
    let disk = SimStorage::from_snapshot(content);
    disk.refuse(None);
    disk.set_capacity(None);
    disk
}

/// No number of ours is not finite; written as JSON, one that was could not be read again.
fn sample(number: u64, at: ObservedAt, is_poison: bool, evidence_bytes: usize) -> Sample {
    // Noise, so that it does not pack.
    let mut dice = number;
    let noise: Vec<String> = (0..evidence_bytes / 16).map(|_| format!("{:016x}", next(&mut dice))).collect();
    let poison = is_poison.then(|| ("age_s".to_owned(), Value::Number(f64::NAN)));
    Sample {
        check: "nvr-02/rec.freshness".parse().expect("a check's id"),
        at,
        took_us: number,
        outcome: Outcome::Ok,
        values: poison.into_iter().collect(),
        counters: BTreeMap::new(),
        evidence: (evidence_bytes > 0).then(|| DeviceText::new(&noise.concat())),
    }
}
