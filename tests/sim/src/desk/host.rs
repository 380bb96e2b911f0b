//! One host: the real engine before the real journal and courier, with probes that see the truth.

use std::{collections::BTreeMap, time::Duration};

use upheld_delivery::{
    journal::{Position, Settings, Urgency},
    sender::{Answer, Post},
    storage::sim::{Crash, SimStorage},
};
use upheld_engine::{Effect, Engine, EngineSnapshot, ProbeResult, Reading, Start, Urgency as Soon};
use upheld_model::{BootId, CheckSpec, Mono, Outcome};
use upheld_wire::v1::{AgentConfig, DeliverRequest};

use super::{
    place::{SUPPLY, peer},
    truth::Truth,
};
use crate::line::agent::{Agent, Snapshot};

/// How often the folds are kept for the next start.
const REMEMBER_EVERY: u64 = 30_000;
/// How long a probe takes.
const TOOK: Duration = Duration::from_millis(5);

pub(super) struct Host {
    pub(super) agent: Agent,
    site: usize,
    config: AgentConfig,
    engine: Option<Engine>,
    /// The folds as they were kept last, on the same disk.
    memory: Option<(EngineSnapshot, Position)>,
    remember_at: u64,
    boots: u64,
    /// Bodies that it wrote.
    pub(super) bodies: u64,
}

/// A machine as it was, with the clock of its hardware, which hypervisors keep beside the disk.
#[derive(Clone)]
pub(super) struct Machine {
    agent: Snapshot,
    wall_off_ms: i64,
    memory: Option<(EngineSnapshot, Position)>,
    pub(super) at: u64,
}

impl Host {
    pub(super) fn new(site: usize, config: AgentConfig, dice: &mut crate::dice::Dice) -> Self {
        let settings = Settings { segment_bytes: 8 << 10, ..Settings::default() };
        let heartbeat = Duration::from_millis(config.heartbeat_ms);
        let agent = Agent::new(SimStorage::new(dice.draw()), settings, heartbeat, dice.draw());
        Self { agent, site, config, engine: None, memory: None, remember_at: 0, boots: 0, bodies: 0 }
    }

    pub(super) fn machine(&self, now_ms: u64) -> Machine {
        let (agent, wall_off_ms) = (self.agent.snapshot(), self.agent.wall_off_ms);
        Machine { agent, wall_off_ms, memory: self.memory.clone(), at: now_ms }
    }

    /// The machine is set back to what it was.
    pub(super) fn restore(&mut self, machine: &Machine, alike: bool, now_ms: u64) {
        self.agent.restore(&machine.agent, alike, now_ms);
        self.agent.wall_off_ms = machine.wall_off_ms;
        self.memory.clone_from(&machine.memory);
        self.engine = None;
        self.boots += 1;
    }

    pub(super) fn crash(&mut self, crash: Crash, now_ms: u64) {
        self.agent.crash(crash, now_ms);
        self.engine = None;
        self.boots += u64::from(crash != Crash::Kill);
    }

    /// When it has something to do.
    pub(super) fn due(&self) -> Option<u64> {
        let engine = self.engine.as_ref().and_then(Engine::poll_timeout).map(|due| self.agent.true_ms(due));
        let engine = engine.map(|due| due.max(self.agent.asleep_until));
        self.agent.due().into_iter().chain(engine).min()
    }

    /// Does what is due, and gives out what it wants to post.
    pub(super) fn tick(&mut self, truth: &Truth, now_ms: u64) -> Result<Vec<(Post, DeliverRequest)>, String> {
        if self.agent.is_asleep(now_ms) {
            return Ok(Vec::new());
        }
        self.agent.start_if_due(now_ms)?;
        if !self.agent.is_up() {
            return Ok(Vec::new());
        }
        self.start(truth, now_ms)?;
        let now = self.reading(now_ms);
        if let Some(engine) = &mut self.engine {
            engine.handle_timeout(now);
        }
        self.carry_out(truth, now_ms)?;
        self.remember(now_ms);
        if let Some(engine) = &mut self.engine {
            self.agent.present = engine.now_header(now);
        }
        Ok(self.agent.tick(now_ms))
    }

    pub(super) fn answered(&mut self, no: u64, answer: Answer, now_ms: u64) {
        if !self.agent.is_asleep(now_ms) {
            self.agent.answered(no, answer, now_ms);
        }
    }

    /// The engine goes on where the journal and what was kept beside it say that it was.
    fn start(&mut self, truth: &Truth, now_ms: u64) -> Result<(), String> {
        let Some(opened) = self.agent.opened.take() else { return Ok(()) };
        let now = self.reading(now_ms);
        let memory = self.memory.clone();
        let Some(courier) = self.agent.courier() else { return Ok(()) };
        let tail = match &memory {
            Some((_, position)) => courier.bodies_since(*position).map_err(|error| error.to_string())?,
            None => Vec::new(),
        };
        let start = Start {
            last_alive: opened.last_written,
            clean: opened.clean,
            snapshot: memory.map(|(snapshot, _)| snapshot),
            journalled_since: tail,
        };
        let boot: BootId = format!("boot-{}", self.boots).parse().map_err(|error| format!("a boot's id: {error}"))?;
        let mut engine = Engine::start(peer(self.site).agent, boot, start, now);
        engine.configure(self.config.clone(), now).map_err(|error| error.to_string())?;
        self.engine = Some(engine);
        self.remember_at = now_ms;
        self.carry_out(truth, now_ms)
    }

    /// Journals what the engine says, and has its probes look.
    fn carry_out(&mut self, truth: &Truth, now_ms: u64) -> Result<(), String> {
        let (now, moment) = (self.reading(now_ms), self.agent.moment(now_ms));
        let Some(engine) = &mut self.engine else { return Ok(()) };
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Probe(spec) => {
                    let seen = look(truth, self.site, &spec, now_ms, now.mono);
                    engine.handle_outcome(&spec.id, seen, now).map_err(|error| error.to_string())?;
                }
                Effect::Write { body, urgency } => {
                    let urgency = match urgency {
                        Soon::Batch => Urgency::Soon,
                        Soon::AtOnce => Urgency::Now,
                    };
                    self.bodies += 1;
                    // A disk that refuses is met again; that the body is lost then is the journal's to tell.
                    if let Some(courier) = self.agent.courier() {
                        drop(courier.append(&body, urgency, moment));
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps the folds, as the disk thread does: only when every record before them is durable.
    fn remember(&mut self, now_ms: u64) {
        if now_ms < self.remember_at + REMEMBER_EVERY {
            return;
        }
        self.remember_at = now_ms;
        let (now, moment) = (self.reading(now_ms), self.agent.moment(now_ms));
        let Some(snapshot) = self.engine.as_mut().map(|engine| engine.snapshot(now)) else { return };
        let position = self.agent.courier().and_then(|courier| courier.position(moment).ok());
        if let Some(position) = position {
            self.memory = Some((snapshot, position));
        }
    }

    fn reading(&self, now_ms: u64) -> Reading {
        let moment = self.agent.moment(now_ms);
        Reading { wall: moment.wall.0, mono: moment.mono, boottime: Some(Mono(now_ms * 1_000_000)) }
    }
}

/// What a probe sees.
fn look(truth: &Truth, site: usize, spec: &CheckSpec, now_ms: u64, started: Mono) -> ProbeResult {
    let outcome = truth.outcome(site, &spec.id, now_ms);
    let mut values = BTreeMap::new();
    if spec.id.to_string() == SUPPLY {
        let word = if truth.is_on_battery(site, now_ms) { "OB DISCHRG" } else { "OL" };
        values.insert("status".to_owned(), word.into());
    }
    let evidence = (outcome == Outcome::Bad).then(|| "no answer".into());
    ProbeResult { outcome, values, counters: BTreeMap::new(), evidence, started, took: TOOK }
}
