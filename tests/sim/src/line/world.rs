//! One run: hosts, a line, a collector's tables, and what is checked of them.

use std::{collections::BTreeMap, time::Duration};

use upheld_delivery::{
    journal::Settings,
    storage::sim::{Crash, SimStorage},
};
use upheld_evidence::{PublicKey, SigningKey};
use upheld_wire::v1::Head;

use super::{
    agent::{Agent, SEED, Snapshot},
    chaos::{BACKUP_AGE_MAX, Chaos, Plan},
    collector::{Mark, Tables},
    traffic::{Sender, Travel},
};
use crate::{Broken, Length, Ran, dice::Dice, dice::Trace, faults::Counts, faults::Fault};

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// The shortest step: several things may fall due within it.
const STEP_MS: u64 = 100;
/// I1: how long a day's backlog takes at most once the line is back.
const DRAIN_PER_DAY_MS: u64 = 10 * MINUTE;
/// What any drain may take beside that: refused agents ask every five minutes, and failures back off.
const DRAIN_MS: u64 = 30 * MINUTE;
/// I8.
const CLONE_WITHIN_MS: u64 = 60 * MINUTE;
/// What a request that was lost before the faults ended may still cost: its answer is waited for, and then its agent backs off.
const AFTERMATH_MS: u64 = 2 * MINUTE;
/// How long a person takes to decide about a quarantine at most; at the end, and at least, a minute.
const DECIDES_MS: u64 = 40 * MINUTE;
/// At the end nothing goes wrong for so long, and live transitions are timed.
const CALM_MS: u64 = 10 * MINUTE;

/// One agent, its line, and its tables at the collector.
pub(super) struct Post {
    pub(super) agent: Agent,
    /// A copy of its machine that runs beside it.
    pub(super) clone: Option<Agent>,
    pub(super) cloned_at: Option<u64>,
    /// How long both have been connected to a collector that forgot nothing.
    pub(super) together_ms: u64,
    pub(super) quarantines: Vec<Quarantine>,
    pub(super) tables: Tables,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) line_down_until: u64,
    pub(super) next_sight: u64,
    /// What its state was each time that a byte of it flipped.
    pub(super) flipped_states: Vec<Vec<u8>>,
}

/// A stretch in which an agent was refused as a clone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quarantine {
    pub(super) from: u64,
    /// When a person decides.
    decided_at: u64,
    /// When the real host was let back in.
    pub(super) released: Option<u64>,
    /// When it asked first after that.
    pub(super) asked: Option<u64>,
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) plan: Plan,
    pub(super) broken: Broken,
    pub(super) now_ms: u64,
    pub(super) key: PublicKey,
    pub(super) posts: Vec<Post>,
    pub(super) collector_down_until: u64,
    /// Until when it asks everybody for a pause.
    pub(super) busy_until: u64,
    /// When each was made, and how far it reaches for each agent.
    pub(super) backups: Vec<(u64, Vec<Mark>)>,
    /// By time and a running number: what travels.
    pub(super) travelling: BTreeMap<(u64, u64), Travel>,
    pub(super) next_travel: u64,
    next_fact: u64,
    /// How often the collector was set back.
    pub(super) restores: u32,
    pub(super) counts: Counts,
    pub(super) trace: Trace,
    is_calm: bool,
    /// What was noticed where nothing can be returned.
    pub(super) noticed: Option<String>,
}

impl World {
    pub(super) fn new(seed: u64, length: Length, broken: Broken) -> Self {
        let mut dice = Dice::new(seed, 1);
        let plan = Plan::draw(seed, length, &mut dice);
        let settings = Settings {
            segment_bytes: plan.segment_bytes,
            budget_bytes: plan.tight_bytes().unwrap_or(Settings::default().budget_bytes),
            ..Settings::default()
        };
        let posts = (0..plan.agents).map(|_| Post {
            agent: Agent::new(
                SimStorage::new(dice.draw()),
                settings.clone(),
                Duration::from_millis(plan.heartbeat_ms),
                dice.draw(),
            )
            .telling(plan.evidence_bytes),
            clone: None,
            cloned_at: None,
            together_ms: 0,
            quarantines: Vec::new(),
            tables: Tables::default(),
            snapshots: Vec::new(),
            line_down_until: 0,
            next_sight: 0,
            flipped_states: Vec::new(),
        });
        let posts: Vec<Post> = posts.collect();
        let nothing = (0, posts.iter().map(|post| post.tables.mark()).collect());
        Self {
            dice,
            plan,
            broken,
            now_ms: 0,
            key: SigningKey::from_seed(&SEED).expect("a seed of 32 bytes").public(),
            posts,
            collector_down_until: 0,
            busy_until: 0,
            backups: vec![nothing],
            travelling: BTreeMap::new(),
            next_travel: 0,
            next_fact: 1,
            restores: 0,
            counts: Counts::default(),
            trace: Trace::default(),
            is_calm: false,
            noticed: None,
        }
    }

    /// Faults for a while, then none until all is drained, then a calm stretch; then everything is checked.
    pub(super) fn run(mut self) -> Ran {
        let verdict = self.live();
        let agent_hours = self.now_ms as f64 / HOUR as f64 * self.posts.len() as f64;
        Ran { agent_hours, counts: self.counts, trace: self.trace.value(), violation: verdict.err() }
    }

    fn live(&mut self) -> Result<(), String> {
        let mut chaos = Chaos::new(&self.plan, &mut self.dice);
        while self.now_ms < self.plan.faulty_ms {
            self.step(Some(&mut chaos))?;
        }
        self.settle();
        let settled = self.now_ms;
        self.drain()?;
        // The last fault may be a restored collector that meets agents with nothing to say.
        if self.dice.roll(4) > 0 {
            self.set_back_while_idle();
            self.drain()?;
        }
        while self.now_ms < settled + AFTERMATH_MS {
            self.step(None)?;
        }
        self.is_calm = true;
        let calm_from = self.now_ms;
        while self.now_ms < calm_from + CALM_MS {
            self.step(None)?;
        }
        self.is_calm = false;
        self.drain()?;
        self.check(calm_from)
    }

    /// Nobody sees anything, and all that waits is sent.
    fn drain(&mut self) -> Result<(), String> {
        let began = self.now_ms;
        let days = self.plan.longest_ms.div_ceil(24 * HOUR);
        while !self.is_drained() {
            if self.now_ms > began + DRAIN_MS + days * DRAIN_PER_DAY_MS {
                return Err(self.undrained());
            }
            self.step(None)?;
        }
        Ok(())
    }

    fn step(&mut self, chaos: Option<&mut Chaos>) -> Result<(), String> {
        let has_chaos = chaos.is_some();
        let dues = self.posts.iter().flat_map(|post| {
            let sight = (has_chaos || self.is_calm).then_some(post.next_sight);
            [post.agent.due(), post.clone.as_ref().and_then(Agent::due), sight].into_iter().flatten()
        });
        let travel = self.travelling.keys().next().map(|(at, _)| *at);
        let next = dues.chain(travel).chain(chaos.as_ref().map(|chaos| chaos.next())).min();
        let before = self.now_ms;
        self.now_ms = next.unwrap_or(u64::MAX).clamp(before + STEP_MS, before + MINUTE);
        for (index, post) in self.posts.iter_mut().enumerate() {
            let is_connected = before >= self.collector_down_until.max(post.line_down_until);
            let is_up = |agent: &Agent| agent.is_up() && !agent.is_asleep(before);
            if is_connected && is_up(&post.agent) && post.clone.as_ref().is_some_and(is_up) {
                post.together_ms += self.now_ms - before;
            }
            if post.together_ms > CLONE_WITHIN_MS && post.quarantine().is_none() {
                return Err(format!(
                    "I8: agent {index} and its copy have been connected for an hour, without quarantine"
                ));
            }
        }
        if let Some(chaos) = chaos {
            chaos.strike(self);
        }
        for index in 0..self.posts.len() {
            self.look(index, has_chaos)?;
        }
        while let Some(entry) = self.travelling.first_entry()
            && entry.key().0 <= self.now_ms
        {
            let travel = entry.remove();
            self.arrive(travel)?;
        }
        self.noticed.take().map_or(Ok(()), Err)
    }

    /// One agent's turn, and its copy's.
    fn look(&mut self, index: usize, is_faulty: bool) -> Result<(), String> {
        let now_ms = self.now_ms;
        for is_clone in [false, true] {
            let Some(agent) = self.posts[index].who(is_clone).filter(|agent| !agent.is_asleep(now_ms)) else {
                continue;
            };
            agent.start_if_due(now_ms)?;
            if now_ms >= self.posts[index].next_sight && (is_faulty || self.is_calm) {
                self.see(index, is_clone);
            }
            self.work(Sender { post: index, is_clone });
        }
        if now_ms >= self.posts[index].next_sight {
            let wait = if self.is_calm { 20_000 } else { self.dice.wait(self.plan.sight_ms) };
            self.posts[index].next_sight = now_ms + wait;
        }
        self.resolve_clone(index)
    }

    /// An agent does what is due and sends what it wants to send.
    pub(super) fn work(&mut self, who: Sender) {
        let now_ms = self.now_ms;
        let Some(agent) = self.posts[who.post].who(who.is_clone) else { return };
        for (post, request) in agent.tick(now_ms) {
            self.trace.note(now_ms, request.records.len() as u64);
            self.send(who, post.no, request);
        }
        self.bury(who.post, who.is_clone);
    }

    fn see(&mut self, index: usize, is_clone: bool) {
        let is_transition = self.is_calm || self.dice.once_in(6);
        let is_poison = !is_transition && self.dice.once_in(50);
        let (number, now_ms) = (self.next_fact, self.now_ms);
        self.next_fact += 1;
        if let Some(agent) = self.posts[index].who(is_clone).filter(|agent| agent.is_up()) {
            agent.observe(number, is_transition, is_poison, now_ms);
            if is_poison {
                self.counts.count(Fault::Poison);
            }
        }
    }

    /// An agent whose disk killed it comes back, after a kill or a power loss.
    fn bury(&mut self, index: usize, is_clone: bool) {
        let crash = self.dice.roll(4);
        let now_ms = self.now_ms;
        let Some(agent) = self.posts[index].who(is_clone).filter(|agent| agent.disk.is_down()) else { return };
        let (crash, fault) = match crash {
            0 => (Crash::Kill, Fault::AgentKilled),
            1 => (Crash::Drop, Fault::PowerLost),
            2 => (Crash::Tear(512), Fault::Torn512),
            _ => (Crash::Tear(4096), Fault::Torn4096),
        };
        agent.crash(crash, now_ms);
        self.counts.count(fault);
    }

    /// A person looks at the quarantine, ends the copy, and lets the real host back in.
    fn resolve_clone(&mut self, index: usize) -> Result<(), String> {
        let (now_ms, is_faulty) = (self.now_ms, self.faulty());
        let post = &mut self.posts[index];
        let is_refused = post.tables.is_quarantined;
        match post.quarantine() {
            Some(_) if !is_refused => {
                Err(format!("I8: agent {index} is in quarantine no more, and nobody let it back in"))
            }
            Some(open) if now_ms > open.decided_at => {
                open.released = Some(now_ms);
                post.clone = None;
                post.together_ms = 0;
                post.tables.release();
                Ok(())
            }
            None if is_refused => {
                let takes = if is_faulty { self.dice.between(MINUTE, DECIDES_MS) } else { MINUTE };
                let open = Quarantine { from: now_ms, decided_at: now_ms + takes, released: None, asked: None };
                post.quarantines.push(open);
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn set_back(&mut self, marks: &[Mark]) {
        for (post, mark) in self.posts.iter_mut().zip(marks) {
            post.tables.set_back(*mark);
            post.together_ms = 0;
            if !post.tables.is_quarantined {
                // It was lost with the rest.
                post.quarantines.retain(|one| one.released.is_some());
            }
        }
        self.restores += 1;
    }

    /// From any backup of the last two days, while nobody sees anything.
    fn set_back_while_idle(&mut self) {
        let youngest = self.now_ms.saturating_sub(BACKUP_AGE_MAX);
        let fit: Vec<usize> = (0..self.backups.len()).filter(|at| self.backups[*at].0 >= youngest).collect();
        // Rather an old one.
        let fits = fit.len() as u64;
        let chosen = self.dice.roll(fits).min(self.dice.roll(fits));
        let Some(at) = usize::try_from(chosen).ok().and_then(|chosen| fit.get(chosen)) else { return };
        let marks = self.backups[*at].1.clone();
        self.set_back(&marks);
        self.counts.count(Fault::SetBackWhileIdle);
    }

    /// The last fault but one may be a restored collector; then lines and disks are well.
    fn settle(&mut self) {
        if let Some((_, marks)) = self.backups.last().cloned().filter(|_| self.dice.once_in(2)) {
            self.set_back(&marks);
            self.counts.count(Fault::CollectorSetBack);
        }
        self.collector_down_until = 0;
        self.busy_until = 0;
        let now_ms = self.now_ms;
        for post in &mut self.posts {
            post.line_down_until = 0;
            for open in post.quarantines.iter_mut().filter(|one| one.released.is_none()) {
                open.decided_at = open.decided_at.min(now_ms + MINUTE);
            }
            // Nobody sees anything until all is drained, so that a copy would go unnoticed.
            post.clone = None;
            for agent in std::iter::once(&mut post.agent).chain(&mut post.clone) {
                agent.wake(now_ms);
                agent.disk.fail_syncs(0);
                agent.disk.refuse(None);
                agent.disk.set_capacity(None);
                agent.disk.crash_at(u64::MAX);
            }
        }
    }

    fn is_drained(&self) -> bool {
        let is_drained = |post: &Post| {
            let status = post.agent.status().filter(|status| status.waiting == 0);
            status.is_some_and(|status| status.heads.iter().all(|head| post.holds(head))) && post.clone.is_none()
        };
        self.travelling.is_empty() && self.posts.iter().all(is_drained)
    }

    fn undrained(&self) -> String {
        let waits = self.posts.iter().enumerate().map(|(index, post)| {
            let status = post.agent.status();
            let waiting = status.as_ref().map(|status| status.waiting);
            let ailments = status.map(|status| status.ailments).unwrap_or_default();
            let (quarantine, clone) = (post.tables.is_quarantined, post.clone.is_some());
            let heads = post.agent.status().map(|status| status.heads).unwrap_or_default();
            let unheld = heads.iter().filter(|head| !post.holds(head)).count();
            format!(
                "agent {index}: {waiting:?} wait, {unheld} of {} heads are not held, quarantined {quarantine}, cloned {clone}, {ailments:?}",
                heads.len()
            )
        });
        format!("I13: the queues do not drain: {}", waits.collect::<Vec<_>>().join("; "))
    }
}

impl Post {
    pub(super) fn who(&mut self, is_clone: bool) -> Option<&mut Agent> {
        if is_clone { self.clone.as_mut() } else { Some(&mut self.agent) }
    }

    /// The one that nobody has ended yet.
    fn quarantine(&mut self) -> Option<&mut Quarantine> {
        self.quarantines.last_mut().filter(|one| one.released.is_none())
    }

    pub(super) fn holds(&self, head: &Head) -> bool {
        self.tables.head(head.epoch).is_some_and(|held| held.len >= head.len)
    }
}
