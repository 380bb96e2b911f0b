//! One run: hosts, a line that loses, doubles, delays and mixes up, a collector that dies and is restored.

use std::collections::{BTreeMap, BTreeSet};

use upheld_delivery::{
    sender::Answer,
    storage::sim::{Crash, SimStorage, next},
};
use upheld_evidence::{PublicKey, SigningKey};
use upheld_wire::v1::{Conflict, DeliverRequest, Head};

use crate::{
    agent::{Agent, SEED, Snapshot},
    collector::{Collector, Reply},
};

const TICK_MS: u64 = 500;
const FAULTY_MS: u64 = 45 * 60 * 1000;
const DRAIN_MS: u64 = 30 * 60 * 1000;
const CLONE_WITHIN_MS: u64 = 60 * 60 * 1000;

/// A rule of the protocol that the harness breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Nothing,
    AckBeforeCommit,
    DeleteOnSend,
    DedupBySequence,
    NoForkCheck,
    NoNewEpoch,
    CumulativeAck,
    NoHeads,
}

/// What may happen in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) line: bool,
    pub(crate) agent: bool,
    pub(crate) collector: bool,
    pub(crate) rollback: bool,
    pub(crate) clone: bool,
}

impl Faults {
    pub(crate) fn all() -> Self {
        Self { line: true, agent: true, collector: true, rollback: true, clone: false }
    }

    pub(crate) fn none() -> Self {
        Self { line: false, agent: false, collector: false, rollback: false, clone: false }
    }
}

pub(crate) struct World {
    dice: u64,
    faults: Faults,
    broken: Broken,
    now_ms: u64,
    key: PublicKey,
    agents: Vec<Agent>,
    collector: Collector,
    collector_down_until: u64,
    line_down_until: u64,
    backups: Vec<Collector>,
    snapshots: Vec<Snapshot>,
    /// By time and a running number: what travels.
    travelling: BTreeMap<(u64, u64), Travel>,
    next_travel: u64,
    next_fact: u64,
    cloned_at: Option<u64>,
    quarantined_at: Option<u64>,
    /// How often the collector was set back.
    restores: u32,
    trace: u64,
}

enum Travel {
    Request {
        agent: usize,
        no: u64,
        request: Box<DeliverRequest>,
    },
    /// `restores`: how often the collector had been set back as it answered.
    Answer {
        agent: usize,
        no: u64,
        reply: Reply,
        restores: u32,
    },
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults, broken: Broken) -> Self {
        let mut dice = seed.wrapping_mul(0x1234_5678_9abc_def1) ^ 0xfeed;
        let agent = Agent::new(SimStorage::new(next(&mut dice)), next(&mut dice));
        Self {
            dice,
            faults,
            broken,
            now_ms: 0,
            key: SigningKey::from_seed(&SEED).unwrap().public(),
            agents: vec![agent],
            collector: Collector::default(),
            collector_down_until: 0,
            line_down_until: 0,
            backups: vec![Collector::default()],
            snapshots: Vec::new(),
            travelling: BTreeMap::new(),
            next_travel: 0,
            next_fact: 1,
            cloned_at: None,
            quarantined_at: None,
            restores: 0,
            trace: 0,
        }
    }

    /// Faults for a while, then none until all is drained; then everything is checked. Gives the run's trace.
    pub(crate) fn run(&mut self) -> Result<u64, String> {
        while self.now_ms < FAULTY_MS {
            self.happen();
            self.step()?;
        }
        self.settle();
        while self.now_ms < FAULTY_MS + DRAIN_MS && !self.is_drained() {
            self.step()?;
        }
        self.check()?;
        Ok(self.trace)
    }

    /// The longest time between a transition and its commit.
    pub(crate) fn slowest_transition_ms(&self) -> Option<u64> {
        let all = self.agents.iter().flat_map(|agent| &agent.transitions);
        all.filter_map(|(number, at)| self.collector.facts.get(number).map(|(_, committed)| committed - at)).max()
    }

    fn step(&mut self) -> Result<(), String> {
        self.now_ms += TICK_MS;
        for index in 0..self.agents.len() {
            self.agents[index].start_if_due(self.now_ms)?;
            if self.now_ms < FAULTY_MS {
                self.observe(index);
            }
            for (post, request) in self.agents[index].tick(self.now_ms, self.broken) {
                self.note(request.records.len() as u64);
                self.send(index, post.no, request);
            }
            if self.agents[index].disk.is_down() {
                let crash = match self.roll(4) {
                    0 => Crash::Kill,
                    1 => Crash::Drop,
                    2 => Crash::Tear(512),
                    _ => Crash::Tear(4096),
                };
                self.agents[index].crash(crash, self.now_ms);
            }
        }
        while let Some(entry) = self.travelling.first_entry()
            && entry.key().0 <= self.now_ms
        {
            let travel = entry.remove();
            self.arrive(travel)?;
        }
        if self.collector.is_quarantined {
            self.resolve_clone();
        }
        Ok(())
    }

    fn observe(&mut self, index: usize) {
        if self.roll(8) == 0 {
            let is_transition = self.roll(6) == 0;
            let number = self.next_fact;
            self.next_fact += 1;
            let now_ms = self.now_ms;
            self.agents[index].observe(number, is_transition, now_ms);
        }
    }

    /// Draws this moment's faults.
    fn happen(&mut self) {
        let minute = 60_000 / TICK_MS;
        if self.faults.agent && self.roll(2 * minute) == 0 {
            let at = self.agents[0].disk.ops() + self.roll(12);
            self.agents[0].disk.crash_at(at);
        }
        if self.faults.agent && self.roll(10 * minute) == 0 {
            self.agents[0].disk.fail_syncs(1);
        }
        if self.faults.line && self.roll(8 * minute) == 0 {
            self.line_down_until = self.now_ms + self.roll(6 * 60_000);
        }
        if self.faults.collector {
            if self.roll(4 * minute) == 0 {
                self.collector_down_until = self.now_ms + self.roll(60_000);
            }
            if self.roll(5 * minute) == 0 {
                self.backups.push(self.collector.clone());
            }
            if self.roll(15 * minute) == 0 {
                self.restore_collector();
            }
        }
        if self.faults.rollback {
            if self.roll(6 * minute) == 0 {
                self.snapshots.push(self.agents[0].snapshot());
            }
            if self.roll(12 * minute) == 0 {
                self.roll_agent_back();
            }
        }
        if self.faults.clone && self.cloned_at.is_none() && self.now_ms > 60_000 && self.agents[0].is_up() {
            let snapshot = self.agents[0].snapshot();
            let mut clone = Agent::new(SimStorage::new(next(&mut self.dice)), next(&mut self.dice));
            clone.restore(&snapshot, self.now_ms);
            clone.durable.clear();
            self.agents.push(clone);
            self.cloned_at = Some(self.now_ms);
        }
    }

    fn restore_collector(&mut self) {
        let back = self.roll(3).min(self.backups.len() as u64 - 1);
        let kept = self.backups.len() - usize::try_from(back).unwrap();
        self.backups.truncate(kept);
        self.collector.clone_from(&self.backups[kept - 1]);
        self.restores += 1;
        self.note(0xbac);
    }

    fn roll_agent_back(&mut self) {
        let Some(last) = self.snapshots.len().checked_sub(1) else { return };
        let back = usize::try_from(self.roll(3)).unwrap().min(last);
        let snapshot = self.snapshots[last - back].clone();
        self.snapshots.truncate(last - back + 1);
        self.agents[0].restore(&snapshot, self.now_ms);
        self.note(0x5ea);
    }

    /// A person looks at the quarantine, ends the copy, and lets the real host back in.
    fn resolve_clone(&mut self) {
        let at = *self.quarantined_at.get_or_insert(self.now_ms);
        if self.now_ms > at + 60_000 {
            self.agents.truncate(1);
            self.collector.release();
        }
    }

    /// The last fault may be a restored collector that meets an idle agent; then there are none.
    fn settle(&mut self) {
        if self.faults.collector && self.roll(2) == 0 {
            self.restore_collector();
        }
        self.faults = Faults::none();
        self.collector_down_until = 0;
        self.line_down_until = 0;
        for agent in &self.agents {
            agent.disk.fail_syncs(0);
            agent.disk.crash_at(u64::MAX);
        }
    }

    fn is_drained(&self) -> bool {
        self.travelling.is_empty()
            && self.agents.iter().all(|agent| {
                agent
                    .status()
                    .is_some_and(|status| status.waiting == 0 && status.heads.iter().all(|head| self.holds(head)))
            })
            && self.now_ms > FAULTY_MS + 120_000
    }

    fn holds(&self, head: &Head) -> bool {
        self.collector.head(head.epoch).is_some_and(|held| held.len >= head.len)
    }

    fn send(&mut self, agent: usize, no: u64, request: DeliverRequest) {
        if self.now_ms < self.line_down_until {
            return;
        }
        let copies = if self.faults.line && self.roll(12) == 0 { 2 } else { 1 };
        for _ in 0..copies {
            if self.faults.line && self.roll(12) == 0 {
                continue;
            }
            let request = Box::new(request.clone());
            self.travel(Travel::Request { agent, no, request });
        }
    }

    fn travel(&mut self, what: Travel) {
        let delay = if self.faults.line && self.roll(12) == 0 { self.roll(90_000) } else { self.roll(800) };
        self.next_travel += 1;
        self.travelling.insert((self.now_ms + delay, self.next_travel), what);
    }

    fn arrive(&mut self, what: Travel) -> Result<(), String> {
        match what {
            Travel::Request { agent, no, mut request } => {
                if self.now_ms < self.collector_down_until {
                    return Ok(());
                }
                if self.broken == Broken::NoHeads {
                    request.heads.clear();
                }
                let before = (self.broken == Broken::AckBeforeCommit).then(|| self.collector.clone());
                let reply = self.collector.deliver(&request, self.key, self.now_ms, self.broken);
                if let Some(before) = before
                    && self.roll(10) == 0
                {
                    // It dies between the answer and the commit.
                    self.collector = before;
                }
                // It dies between the commit and the answer, or the line does.
                if self.faults.collector && self.roll(15) == 0 || self.faults.line && self.roll(12) == 0 {
                    return Ok(());
                }
                let restores = self.restores;
                self.travel(Travel::Answer { agent, no, reply, restores });
            }
            Travel::Answer { agent, no, reply, restores } => {
                let before = self.believed(agent);
                self.answer(agent, no, reply);
                if restores == self.restores {
                    return self.check_acknowledged(agent, &before);
                }
            }
        }
        Ok(())
    }

    fn believed(&self, agent: usize) -> Vec<Head> {
        self.agents.get(agent).and_then(Agent::status).map(|status| status.heads).unwrap_or_default()
    }

    /// I2: what an answer made the agent believe is committed at that moment.
    fn check_acknowledged(&self, agent: usize, before: &[Head]) -> Result<(), String> {
        let is_fresh = |head: &&Head| before.iter().all(|old| old.epoch != head.epoch || old.len < head.len);
        match self.believed(agent).iter().filter(is_fresh).find(|head| !self.holds(head)) {
            Some(head) => Err(format!("{head:?} was acknowledged and is not committed")),
            None => Ok(()),
        }
    }

    fn answer(&mut self, index: usize, no: u64, reply: Reply) {
        let is_mixed_up = self.faults.line;
        let Some(agent) = self.agents.get_mut(index) else { return };
        let Some((current, digest)) = agent.under_way else { return };
        // A careless proxy hands a late answer to the request that waits for one.
        let no = if is_mixed_up && no != current { current } else { no };
        let answer = match reply {
            Reply::Delivered(mut delivered) => {
                if self.broken == Broken::CumulativeAck && delivered.head.is_some() {
                    delivered.batch_digest = digest;
                }
                Answer::Delivered(delivered)
            }
            Reply::Conflict(Conflict::Fork { held, .. }) if self.broken == Broken::NoNewEpoch => {
                Answer::Conflict(Conflict::Behind { heads: vec![held] })
            }
            Reply::Conflict(conflict) => Answer::Conflict(conflict),
            Reply::Refused(status, code) => Answer::Refused { status, code, retry_after: None },
        };
        agent.answered(no, answer, self.now_ms);
        self.note(no);
    }

    fn check(&self) -> Result<(), String> {
        if let Some(problem) = self.collector.problems.first() {
            return Err(format!("{problem} (and {} more)", self.collector.problems.len() - 1));
        }
        self.collector.check_chains()?;
        if let Some(at) = self.cloned_at {
            let found = self.quarantined_at.is_some_and(|quarantined| quarantined <= at + CLONE_WITHIN_MS);
            if !found {
                return Err(format!("cloned at {at} ms, quarantined at {:?}", self.quarantined_at));
            }
        }
        let doubled: Vec<&u64> =
            self.collector.facts.iter().filter(|(_, (count, _))| *count > 1).map(|(n, _)| n).collect();
        if !doubled.is_empty() {
            return Err(format!("doubled: {doubled:?}"));
        }
        let must: BTreeSet<u64> = self.agents.iter().flat_map(|agent| agent.durable.iter().copied()).collect();
        let lost: Vec<&u64> = must.iter().filter(|number| !self.collector.facts.contains_key(number)).collect();
        if !lost.is_empty() {
            return Err(format!("{} of {} lost: {lost:?}", lost.len(), must.len()));
        }
        for head in self.agents.iter().filter_map(Agent::status).flat_map(|status| status.heads) {
            let held = self.collector.head(head.epoch);
            if held.is_none_or(|held| held.len < head.len || (held.len == head.len && held.chain != head.chain)) {
                return Err(format!("the agent believes {head:?}, held is {held:?}"));
            }
        }
        if self.faults_left_waiting() { Err("the queue does not drain".to_owned()) } else { Ok(()) }
    }

    fn faults_left_waiting(&self) -> bool {
        self.agents.iter().any(|agent| agent.status().is_none_or(|status| status.waiting > 0))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        next(&mut self.dice) % sides
    }

    fn note(&mut self, what: u64) {
        let mut mixed = self.trace ^ what ^ self.now_ms.rotate_left(17);
        self.trace = next(&mut mixed);
    }
}
