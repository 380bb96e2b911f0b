//! The engine: one lane per check, from the schedule to the record.

mod job;
mod restart;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use upheld_detection::fold::{CheckFold, FoldRule};
use upheld_model::{
    AgentEvent, AgentId, AssetId, BootId, CheckId, CheckSpec, DeviceText, Finding, Mono, ObservedAt, UnknownReason,
    finding::CheckState,
};
use upheld_wire::v1::{AgentConfig, Body, CheckNow, ClockReading, Now, Relations};

use crate::{
    ConfigRefused, Effect, ProbeResult,
    batch::Outgoing,
    clock::{AgentClock, ClockNote, Reading},
    config::judge,
    lane::{Lane, Run, sample},
    schedule::{Schedule, next_on_grid},
};

pub use job::RanRefused;

/// New checks run for the first time within this, however rare they are.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

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
    /// By lane, the lanes of what its asset hangs on.
    parents: Vec<Vec<usize>>,
    /// Checks that are not configured any more and had an open finding: it goes on if they come back.
    retired: BTreeMap<CheckId, CheckFold>,
    /// Runs of checks that are not configured any more: if they come back before the answer, they do not overlap.
    leaving: BTreeMap<CheckId, Run>,
    schedule: Schedule,
    outgoing: Outgoing,
    is_stopped: bool,
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
    /// By what a step of the wall clock can be told after a restart within the same boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
}

/// A moment on the clock that nobody sets and that goes on while the machine sleeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The boot in which it counts.
    pub boot: BootId,
    /// Its reading.
    pub boottime: Mono,
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
            parents: Vec::new(),
            retired: BTreeMap::new(),
            leaving: BTreeMap::new(),
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
        if let Err(refused) = judge(&self.agent, &config) {
            if self.refused_version != Some(version) {
                self.refused_version = Some(version);
                let refused = Some(DeviceText::new(&in_full(&refused)));
                self.outgoing.transition(vec![AgentEvent::Configured { at, version, refused }]);
            }
            return Err(refused);
        }
        self.refused_version = None;
        self.outgoing.transition(vec![AgentEvent::Configured { at, version, refused: None }]);
        self.install(&config.checks, &config.relations, now.mono);
        self.config = Some(config);
        Ok(())
    }

    /// Takes the outcome of a run. A run whose check was changed in the meantime says nothing of the new one and is
    /// dropped; a failure while the machine slept is unknown (suspended).
    pub fn handle_outcome(&mut self, check: &CheckId, result: ProbeResult, now: Reading) -> Result<(), NotAwaited> {
        self.observe(now);
        let not_awaited = || NotAwaited { check: check.clone() };
        let Some(&index) = self.by_check.get(check) else {
            return self.leaving.remove(check).map(drop).ok_or_else(not_awaited);
        };
        let lane = &mut self.lanes[index];
        let Run::InFlight { since, asked, slept } = std::mem::replace(&mut lane.run, Run::Idle) else {
            return Err(not_awaited());
        };
        let failed_before = is_failing(lane.fold.state());
        if asked.probe == lane.spec.probe {
            let started = result.started.clamp(since, now.mono.max(since));
            let sample = sample(check, self.clock.at(started), result, slept);
            let events = lane.fold.handle(&sample);
            let is_last_gasp = lane.hears_of_a_dying_supply(&sample);
            self.outgoing.sample(sample, now.mono);
            if is_last_gasp {
                self.outgoing.flush_at_once();
            }
            self.outgoing.transition(events);
        }
        let next = lane.next_run(since, now.mono);
        let begins_to_fail = is_failing(lane.fold.state()) && !failed_before;
        let next = if begins_to_fail { self.not_before_the_way_is_known(index, next, now.mono) } else { next };
        self.schedule.set(index, Some(next));
        if begins_to_fail {
            self.check_parents(index, now.mono);
        }
        Ok(())
    }

    /// Starts what is due, closes a batch that is due, and lets checks go stale whose probe does not return.
    pub fn handle_timeout(&mut self, now: Reading) {
        self.observe(now);
        let due: Vec<_> = self.schedule.until(now.mono).map(|(_, index)| index).collect();
        due.into_iter().for_each(|index| self.run_lane(index, now.mono));
        self.outgoing.flush_due(now.mono);
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

    /// Says the last words. Nothing is started, sampled or said after them.
    pub fn stop(&mut self, reason: DeviceText, now: Reading) {
        self.observe(now);
        if !self.is_stopped {
            self.is_stopped = true;
            self.schedule = Schedule::default();
            self.lanes.iter_mut().for_each(|lane| lane.run = Run::Idle);
            self.leaving.clear();
            let at = self.clock.at(now.mono);
            self.outgoing.transition(vec![AgentEvent::Stopping { at, reason }]);
        }
    }

    /// Confirmed failures of critical assets that are not over.
    pub fn critical_findings(&self) -> impl Iterator<Item = &Finding> {
        let critical = self.config.as_ref().map(|config| &config.relations.critical);
        let is_critical = move |finding: &&Finding| critical.is_some_and(|all| all.contains(&finding.check.asset));
        self.lanes.iter().filter_map(|lane| lane.fold.finding()).filter(is_critical)
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

    /// The agent's clocks, for an upload. Whatever [`Engine::poll_effect`] gives is to be journalled before that is built: a
    /// step that was seen now parts its records from this reading.
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
            running: now.boottime.map(|boottime| Running { boot: self.boot.clone(), boottime }),
        }
    }

    /// Replaces the lanes by those of `checks`: what was known of a check that stays is kept.
    fn install(&mut self, checks: &[CheckSpec], relations: &Relations, now: Mono) {
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
        for (id, mut lane) in before {
            self.outgoing.transition(lane.fold.interrupt(UnknownReason::NotMonitored, at));
            if matches!(lane.run, Run::InFlight { .. }) {
                self.leaving.insert(id.clone(), lane.run);
            }
            if lane.fold.finding().is_some() {
                self.retired.insert(id, lane.fold);
            }
        }
        self.adopt(lanes, relations, now);
    }

    /// A check that was not watched until now: new, or one that comes back with an open finding.
    fn new_lane(&mut self, spec: &CheckSpec, at: ObservedAt) -> Lane {
        let (fold, events) = match self.retired.remove(&spec.id) {
            Some(mut fold) => {
                let events = fold.interrupt(UnknownReason::Pending, at);
                (fold, events)
            }
            None => {
                let fold = CheckFold::new(spec.id.clone(), FoldRule::from(spec), at);
                let state = AgentEvent::StateChanged { check: spec.id.clone(), state: fold.state(), at };
                (fold, vec![state])
            }
        };
        self.outgoing.transition(events);
        let run = self.leaving.remove(&spec.id).unwrap_or(Run::Idle);
        Lane { spec: Arc::new(spec.clone()), fold, run, began: None, supply: None }.with_spec(spec)
    }

    /// Takes these lanes and places each on the schedule.
    fn adopt(&mut self, lanes: Vec<Lane>, relations: &Relations, now: Mono) {
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
        self.parents = parents(&lanes, relations);
        self.lanes = lanes;
    }

    /// A lane whose instant has come.
    fn run_lane(&mut self, index: usize, now: Mono) {
        let at = self.clock.at(now);
        let lane = &mut self.lanes[index];
        match &lane.run {
            Run::Idle => self.start_run(index, now),
            Run::InFlight { .. } => {
                let events = lane.fold.handle_timeout(at);
                let next = lane.stale_at(now, at);
                self.schedule.set(index, next);
                self.outgoing.transition(events);
            }
        }
    }

    /// A check began to fail: what its asset hangs on is asked at once, so that a cause is known as early as its symptom;
    /// and the way out of the site, before the failure is confirmed.
    /// Many that fail together ask once.
    fn check_parents(&mut self, index: usize, now: Mono) {
        let ways = (0..self.lanes.len()).filter(|lane| self.lanes[*lane].is_way_out());
        let asked: Vec<usize> = self.parents[index].iter().copied().chain(ways).collect();
        for parent in asked {
            if !self.lanes[parent].was_asked_lately(now) {
                self.start_run(parent, now);
            }
        }
    }

    /// When to run again a check that began to fail: where it would be confirmed before the way out of the site was looked
    /// at, only after that look. Usual checks are not that fast.
    fn not_before_the_way_is_known(&self, index: usize, next: Mono, now: Mono) -> Mono {
        let lane = &self.lanes[index];
        let looks = self.lanes.iter().filter(|lane| lane.is_way_out()).map(|lane| lane.spec.timeout());
        let Some(longest) = looks.max().filter(|_| !lane.is_way_out()) else { return next };
        let confirmed = next.since(now) + lane.least_until_confirmed();
        if longest < confirmed { next } else { next.max(now.plus(longest)) }
    }

    /// Asks for a run unless one is under way: a check never overlaps with itself.
    fn start_run(&mut self, index: usize, now: Mono) {
        let lane = &mut self.lanes[index];
        match lane.run {
            Run::InFlight { .. } => {}
            Run::Idle => {
                lane.run = Run::InFlight { since: now, asked: Arc::clone(&lane.spec), slept: false };
                lane.began = Some(now);
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

/// Whether the latest sample that could judge was bad.
fn is_failing(state: CheckState) -> bool {
    match state {
        CheckState::Suspect | CheckState::Failed => true,
        CheckState::Ok | CheckState::Recovering | CheckState::Unknown { .. } => false,
    }
}

/// By lane, the lanes of the assets that its asset hangs on. An asset without a check here is somebody else's to look at.
fn parents(lanes: &[Lane], relations: &Relations) -> Vec<Vec<usize>> {
    let mut by_asset: BTreeMap<&AssetId, Vec<usize>> = BTreeMap::new();
    for (index, lane) in lanes.iter().enumerate() {
        by_asset.entry(&lane.spec.id.asset).or_default().push(index);
    }
    let above = |lane: &Lane| {
        let assets = relations.parents.get(&lane.spec.id.asset).into_iter().flatten();
        assets.filter_map(|asset| by_asset.get(asset)).flatten().copied().collect()
    };
    lanes.iter().map(above).collect()
}

/// An error with its causes, for a person.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
