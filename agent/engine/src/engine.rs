//! The engine: one lane per check, from the schedule to the record.

mod restart;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use upheld_detection::fold::{CheckFold, FoldRule};
use upheld_model::{
    AgentEvent, AgentId, AssetId, BootId, CheckId, CheckSpec, Counter, DeviceText, Mono, ObservedAt, Outcome,
    ProbeSpec, Sample, UnknownReason,
    check::{SpecError, validate_all},
    finding::CheckState,
    sample::Value,
};
use upheld_wire::v1::{AgentConfig, Body, CheckNow, ClockReading, Now};

use crate::{
    batch::Outgoing,
    clock::{AgentClock, ClockNote, Reading},
    schedule::{EARLY_MAX, Schedule, early, next_on_grid},
};

/// The time between two runs of a suspect check (DETECTION 2).
const SUSPECT_EVERY: Duration = Duration::from_secs(2);
/// New checks run for the first time within this, however rare they are.
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// Bounds of [`AgentConfig::heartbeat_ms`].
const HEARTBEAT_MS: std::ops::RangeInclusive<u64> = 1_000..=300_000;

/// The agent's core. Two axes of time: the schedule runs on [`Mono`], samples are dated in [`ObservedAt`].
///
/// After every call fetch [`Engine::poll_effect`] until it is empty, then wait until [`Engine::poll_timeout`] or an
/// outcome. Effects are in order: write a body before acting on what follows it.
#[derive(Debug)]
pub struct Engine {
    agent: AgentId,
    boot: BootId,
    clock: AgentClock,
    config: Option<AgentConfig>,
    refused_version: Option<u64>,
    lanes: Vec<Lane>,
    by_check: BTreeMap<CheckId, usize>,
    /// Checks that are not configured any more and had an open finding: it goes on if they come back.
    retired: BTreeMap<CheckId, CheckFold>,
    schedule: Schedule,
    outgoing: Outgoing,
    is_stopped: bool,
}

/// One check: what to ask, what it said so far, whether it is being asked.
#[derive(Debug)]
struct Lane {
    spec: Arc<CheckSpec>,
    fold: CheckFold,
    run: Run,
}

#[derive(Debug)]
enum Run {
    Idle,
    InFlight {
        since: Mono,
        asked: Arc<CheckSpec>,
        /// The machine slept in the meantime: a failure says nothing.
        slept: bool,
    },
}

/// How the agent comes up.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The last moment at which the agent is known to have been alive before.
    pub last_alive: Option<ObservedAt>,
    /// Whether its previous run ended by request.
    pub clean: bool,
    /// What [`Engine::snapshot`] gave last.
    pub snapshot: Option<EngineSnapshot>,
    /// Every body that was journalled after that snapshot was taken, in order.
    pub journalled_since: Vec<Body>,
}

/// What must survive a restart: configuration and folds. Take it when every effect before it has been written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSnapshot {
    /// When it was taken.
    pub at: ObservedAt,
    /// The configuration in use.
    pub config: Option<AgentConfig>,
    /// Every check's fold, those of retired checks too.
    pub folds: Vec<CheckFold>,
}

/// What the shell must now do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Run this check and return its [`ProbeResult`], always, and within its timeout.
    Probe(Arc<CheckSpec>),
    /// Journal this body as one record, after every body before it.
    Write {
        /// The record's body.
        body: Body,
        /// How soon it must be on disk.
        urgency: Urgency,
    },
}

/// How soon a record must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// With the next group commit, within a second.
    Batch,
    /// Synced at once, and sent at once.
    AtOnce,
}

/// What one run of a probe saw.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeResult {
    /// The probe's judgement.
    pub outcome: Outcome,
    /// Measured values.
    pub values: BTreeMap<String, Value>,
    /// Counters with their epochs.
    pub counters: BTreeMap<String, Counter>,
    /// What a person would want to read.
    pub evidence: Option<DeviceText>,
    /// When the run began.
    pub started: Mono,
    /// How long it took.
    pub took: Duration,
}

/// Which checks a person wants to run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All of them.
    All,
    /// Those of one asset.
    Asset(AssetId),
    /// One.
    Check(CheckId),
}

/// Why a configuration is refused; the old one stays in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigRefused {
    /// It is another agent's.
    #[error("configuration {version} is for agent {meant}, this is {this}; the collector must send this agent's own")]
    NotMine {
        /// Its version.
        version: u64,
        /// Whose it is.
        meant: AgentId,
        /// Who we are.
        this: AgentId,
    },
    /// The heartbeat is out of bounds.
    #[error("configuration {version}: heartbeat_ms is {heartbeat_ms}, allowed is 1000 to 300000")]
    Heartbeat {
        /// Its version.
        version: u64,
        /// The value.
        heartbeat_ms: u64,
    },
    /// A check is refused.
    #[error("configuration {version} is refused as a whole")]
    Check {
        /// Its version.
        version: u64,
        /// Which check, and why.
        #[source]
        why: SpecError,
    },
}

/// An outcome that nobody waits for: the check is not configured (any more), or is not being run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no run of check {check} is awaited; its outcome is dropped")]
pub struct NotAwaited {
    /// The check.
    pub check: CheckId,
}

impl Engine {
    /// Comes up: says `Started`, goes on with the findings of before, schedules every check of the snapshot.
    pub fn start(agent: AgentId, boot: BootId, start: Start, now: Reading) -> Self {
        let mut engine = Self {
            agent,
            boot,
            clock: AgentClock::new(now),
            config: None,
            refused_version: None,
            lanes: Vec::new(),
            by_check: BTreeMap::new(),
            retired: BTreeMap::new(),
            schedule: Schedule::default(),
            outgoing: Outgoing::default(),
            is_stopped: false,
        };
        engine.restart(start, now);
        engine
    }

    /// Takes a configuration, or refuses it as a whole and keeps the old one. Either is said once per version; the
    /// version in use again changes nothing.
    pub fn configure(&mut self, config: AgentConfig, now: Reading) -> Result<(), ConfigRefused> {
        self.observe(now);
        if self.config.as_ref() == Some(&config) {
            return Ok(());
        }
        let (at, version) = (self.clock.at(now.mono), config.version);
        if let Err(refused) = self.judge(&config) {
            if self.refused_version != Some(version) {
                self.refused_version = Some(version);
                let refused = Some(DeviceText::new(&in_full(&refused)));
                self.outgoing.transition(vec![AgentEvent::Configured { at, version, refused }]);
            }
            return Err(refused);
        }
        self.refused_version = None;
        self.outgoing.transition(vec![AgentEvent::Configured { at, version, refused: None }]);
        self.install(&config.checks, now.mono);
        self.config = Some(config);
        Ok(())
    }

    /// Takes the outcome of a run. A run whose check was changed in the meantime says nothing of the new one and is
    /// dropped; a failure while the machine slept is unknown (suspended).
    pub fn handle_outcome(&mut self, check: &CheckId, result: ProbeResult, now: Reading) -> Result<(), NotAwaited> {
        self.observe(now);
        let not_awaited = || NotAwaited { check: check.clone() };
        let index = *self.by_check.get(check).ok_or_else(not_awaited)?;
        let lane = &mut self.lanes[index];
        let Run::InFlight { since, asked, slept } = std::mem::replace(&mut lane.run, Run::Idle) else {
            return Err(not_awaited());
        };
        if asked.probe == lane.spec.probe {
            let started = result.started.clamp(since, now.mono.max(since));
            let sample = sample(check, self.clock.at(started), result, slept);
            let events = lane.fold.handle(&sample);
            self.outgoing.sample(sample, now.mono);
            self.outgoing.transition(events);
        }
        if !self.is_stopped {
            let next = lane.next_run(since, now.mono);
            self.schedule.set(index, Some(next));
        }
        Ok(())
    }

    /// Starts what is due, closes a batch that is due, and lets checks go stale whose probe does not return.
    pub fn handle_timeout(&mut self, now: Reading) {
        self.observe(now);
        let due: Vec<_> = self.schedule.until(now.mono.plus(EARLY_MAX)).collect();
        for (at, index) in due {
            self.run_lane(index, at, now.mono);
        }
        self.outgoing.flush_due(now.mono.plus(EARLY_MAX));
    }

    /// When [`Engine::handle_timeout`] must be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.schedule.next().into_iter().chain(self.outgoing.due()).min()
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.outgoing.poll()
    }

    /// Runs checks now, without waiting for their turn. Returns those that run, also if they ran already; empty when
    /// the selector names none.
    pub fn check_now(&mut self, which: &Selector, now: Reading) -> Vec<CheckId> {
        self.observe(now);
        let chosen = |id: &CheckId| match which {
            Selector::All => true,
            Selector::Asset(asset) => id.asset == *asset,
            Selector::Check(check) => id == check,
        };
        let found: Vec<_> =
            self.by_check.iter().filter(|(id, _)| chosen(id)).map(|(id, lane)| (id.clone(), *lane)).collect();
        for (_, index) in &found {
            self.start_run(*index, now.mono);
        }
        found.into_iter().map(|(id, _)| id).collect()
    }

    /// Says something that the shell noticed (trouble with the journal), after everything sampled so far.
    pub fn say(&mut self, event: AgentEvent) {
        self.outgoing.transition(vec![event]);
    }

    /// Closes the batch: before an upload that should carry everything, or a snapshot.
    pub fn flush(&mut self) {
        self.outgoing.flush();
    }

    /// Says the last words and starts nothing more.
    pub fn stop(&mut self, reason: DeviceText, now: Reading) {
        self.observe(now);
        if !self.is_stopped {
            self.is_stopped = true;
            self.schedule = Schedule::default();
            let at = self.clock.at(now.mono);
            self.outgoing.transition(vec![AgentEvent::Stopping { at, reason }]);
        }
    }

    /// The present state of every check, for the "now" header. Version, backlog and ailments are the shell's.
    pub fn now_header(&mut self, now: Reading) -> Now {
        self.observe(now);
        let state = |lane: &Lane| CheckNow { state: lane.fold.state(), since: lane.fold.since() };
        Now {
            config_version: self.config_version(),
            checks: self.lanes.iter().map(|lane| (lane.spec.id.clone(), state(lane))).collect(),
            ..Now::default()
        }
    }

    /// The agent's clocks, for an upload.
    pub fn clock_reading(&mut self, now: Reading) -> ClockReading {
        self.observe(now);
        ClockReading { wall: self.clock.at(now.mono), mono: now.mono, boot: self.boot.clone() }
    }

    /// The agent's time at a reading of the monotonic clock.
    pub fn observed_at(&self, mono: Mono) -> ObservedAt {
        self.clock.at(mono)
    }

    /// The configuration in use; `None` before the first.
    pub fn config(&self) -> Option<&AgentConfig> {
        self.config.as_ref()
    }

    /// The version of the configuration in use; 0 before the first.
    pub fn config_version(&self) -> u64 {
        self.config.as_ref().map_or(0, |config| config.version)
    }

    /// What must survive a restart.
    pub fn snapshot(&mut self, now: Reading) -> EngineSnapshot {
        self.observe(now);
        EngineSnapshot {
            at: self.clock.at(now.mono),
            config: self.config.clone(),
            folds: self.lanes.iter().map(|lane| &lane.fold).chain(self.retired.values()).cloned().collect(),
        }
    }

    fn judge(&self, config: &AgentConfig) -> Result<(), ConfigRefused> {
        let version = config.version;
        if config.agent != self.agent {
            return Err(ConfigRefused::NotMine { version, meant: config.agent.clone(), this: self.agent.clone() });
        }
        if !HEARTBEAT_MS.contains(&config.heartbeat_ms) {
            return Err(ConfigRefused::Heartbeat { version, heartbeat_ms: config.heartbeat_ms });
        }
        validate_all(&config.checks).map_err(|why| ConfigRefused::Check { version, why })
    }

    /// Replaces the lanes by those of `checks`: what was known of a check that stays is kept.
    fn install(&mut self, checks: &[CheckSpec], now: Mono) {
        let at = self.clock.at(now);
        let mut before: BTreeMap<CheckId, Lane> =
            self.lanes.drain(..).map(|lane| (lane.spec.id.clone(), lane)).collect();
        let mut lanes = Vec::new();
        for spec in checks {
            lanes.push(match before.remove(&spec.id) {
                Some(lane) => lane.with_spec(spec),
                None => self.new_lane(spec, at),
            });
        }
        for (id, lane) in before {
            let state = CheckState::Unknown { reason: UnknownReason::NotMonitored };
            self.outgoing.transition(vec![AgentEvent::StateChanged { check: id.clone(), state, at }]);
            if lane.fold.finding().is_some() {
                self.retired.insert(id, lane.fold);
            }
        }
        self.adopt(lanes, now);
    }

    /// A check that was not watched until now: new, or one that comes back with an open finding.
    fn new_lane(&mut self, spec: &CheckSpec, at: ObservedAt) -> Lane {
        let mut fold = match self.retired.remove(&spec.id) {
            Some(fold) => fold,
            None => CheckFold::new(spec.id.clone(), FoldRule::from(spec), at),
        };
        // That it went stale while nobody watched is no news: it was said to be not monitored.
        fold.handle_timeout(at);
        let state = AgentEvent::StateChanged { check: spec.id.clone(), state: fold.state(), at };
        self.outgoing.transition(vec![state]);
        Lane { spec: Arc::new(spec.clone()), fold, run: Run::Idle }.with_spec(spec)
    }

    /// Takes these lanes and places each on the schedule.
    fn adopt(&mut self, lanes: Vec<Lane>, now: Mono) {
        let at = self.clock.at(now);
        self.schedule = Schedule::default();
        for (index, lane) in lanes.iter().enumerate() {
            let next = match &lane.run {
                Run::Idle => Some(next_on_grid(&lane.spec.id, lane.spec.every().min(FIRST_WITHIN), now)),
                Run::InFlight { .. } => lane.stale_at(now, at),
            };
            self.schedule.set(index, next);
        }
        self.by_check = lanes.iter().enumerate().map(|(index, lane)| (lane.spec.id.clone(), index)).collect();
        self.lanes = lanes;
    }

    /// A lane whose instant has come, or nearly.
    fn run_lane(&mut self, index: usize, at: Mono, now: Mono) {
        let lane = &mut self.lanes[index];
        match &lane.run {
            Run::Idle if at <= now.plus(early(lane.spec.every())) => self.start_run(index, now),
            Run::InFlight { .. } if at <= now => {
                let events = lane.fold.handle_timeout(self.clock.at(now));
                let next = lane.stale_at(now, self.clock.at(now));
                self.schedule.set(index, next);
                self.outgoing.transition(events);
            }
            Run::Idle | Run::InFlight { .. } => {}
        }
    }

    /// Asks for a run unless one is under way: a check never overlaps with itself.
    fn start_run(&mut self, index: usize, now: Mono) {
        let lane = &mut self.lanes[index];
        match lane.run {
            Run::InFlight { .. } => {}
            Run::Idle => {
                lane.run = Run::InFlight { since: now, asked: Arc::clone(&lane.spec), slept: false };
                let stale_at = lane.stale_at(now, self.clock.at(now));
                self.outgoing.probe(Effect::Probe(Arc::clone(&lane.spec)));
                self.schedule.set(index, stale_at);
            }
        }
    }

    /// Looks at the clocks first, so that everything after is in one time.
    fn observe(&mut self, now: Reading) {
        for note in self.clock.observe(now) {
            match note {
                ClockNote::Slept { from, to } => {
                    self.outgoing.transition(vec![AgentEvent::Gap { from, to, reason: UnknownReason::Suspended }]);
                    for lane in &mut self.lanes {
                        if let Run::InFlight { slept, .. } = &mut lane.run {
                            *slept = true;
                        }
                        self.outgoing.transition(lane.fold.handle_timeout(to));
                    }
                }
                ClockNote::Stepped { at, by } => {
                    let by_ms =
                        i64::try_from(by.as_millis()).unwrap_or(if by.is_negative() { i64::MIN } else { i64::MAX });
                    self.outgoing.transition(vec![AgentEvent::ClockStepped { at, by_ms }]);
                    let folds = self.lanes.iter_mut().map(|lane| &mut lane.fold).chain(self.retired.values_mut());
                    folds.for_each(|fold| fold.clock_stepped(by));
                }
            }
        }
    }
}

impl Lane {
    fn with_spec(mut self, spec: &CheckSpec) -> Self {
        self.fold.set_rule(FoldRule::from(spec));
        if *self.spec != *spec {
            self.spec = Arc::new(spec.clone());
        }
        self
    }

    /// When to run again after a run that began at `began` and has ended.
    fn next_run(&self, began: Mono, now: Mono) -> Mono {
        let every = self.spec.every();
        match (self.fold.state(), confirms_fast(&self.spec.probe)) {
            (CheckState::Suspect, true) => began.plus(SUSPECT_EVERY.min(every)).max(now),
            (
                CheckState::Ok
                | CheckState::Suspect
                | CheckState::Failed
                | CheckState::Recovering
                | CheckState::Unknown { .. },
                _,
            ) => next_on_grid(&self.spec.id, every, now.max(began.plus(early(every)))),
        }
    }

    /// When the check goes stale, on the monotonic clock; `observed` is the agent's time at `now`.
    fn stale_at(&self, now: Mono, observed: ObservedAt) -> Option<Mono> {
        let left = observed.0.duration_until(self.fold.poll_timeout()?.0);
        Some(now.plus(left.max(jiff::SignedDuration::ZERO).unsigned_abs()))
    }
}

/// Whether a suspect check of this kind is probed every two seconds. Not where `fail_after` stands for a duration:
/// a host is bad when it is so for ten minutes (PROBES 10).
fn confirms_fast(probe: &ProbeSpec) -> bool {
    match probe {
        ProbeSpec::Host { .. } => false,
        ProbeSpec::NetIcmp { .. }
        | ProbeSpec::NetTcp { .. }
        | ProbeSpec::NetHttp { .. }
        | ProbeSpec::RecFreshness(_)
        | ProbeSpec::BackupFiles(_) => true,
    }
}

fn sample(check: &CheckId, at: ObservedAt, result: ProbeResult, slept: bool) -> Sample {
    let is_good = matches!(result.outcome, Outcome::Ok | Outcome::Warn);
    let outcome = if slept && !is_good { Outcome::unknown(UnknownReason::Suspended) } else { result.outcome };
    Sample {
        check: check.clone(),
        at,
        took_us: u64::try_from(result.took.as_micros()).unwrap_or(u64::MAX),
        outcome,
        values: result.values,
        counters: result.counters,
        evidence: result.evidence,
    }
}

/// An error with its causes, for a person.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
