//! One run: hosts, a line, a collector's tables, and what is checked of them.

use std::{collections::BTreeMap, time::Duration};

use upheld_delivery::{
    journal::Settings,
    sender::Answer,
    storage::sim::{Crash, SimStorage},
};
use upheld_evidence::{PublicKey, SigningKey};
use upheld_wire::v1::{DeliverRequest, Head};

use super::{
    agent::{Agent, SEED, Snapshot},
    chaos::{Chaos, Plan},
    collector::{Mark, Reply, Tables},
};
use crate::{Broken, Length, Ran, Seam, dice::Dice, dice::Trace, faults::Counts, faults::Fault};

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// The shortest step: several things may fall due within it.
const STEP_MS: u64 = 100;
/// I1: how soon a live transition is committed.
const LIVE_MS: u64 = 10_000;
/// I1: how long a day's backlog takes at most once the line is back.
const DRAIN_PER_DAY_MS: u64 = 10 * MINUTE;
/// A quarantined agent asks so often whether it still is, and then sends what waits.
const ASKS_WITHIN_MS: u64 = 5 * MINUTE + LIVE_MS;
/// What any drain may take beside that: refused agents ask every five minutes, and failures back off.
const DRAIN_MS: u64 = 30 * MINUTE;
/// I8.
const CLONE_WITHIN_MS: u64 = 60 * MINUTE;
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
    pub(super) quarantined_at: Option<u64>,
    /// When a person let it back in.
    released_at: Option<u64>,
    pub(super) tables: Tables,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) line_down_until: u64,
    pub(super) next_sight: u64,
    /// Bytes that flipped on its disk.
    pub(super) flips: usize,
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) plan: Plan,
    pub(super) broken: Broken,
    pub(super) now_ms: u64,
    key: PublicKey,
    pub(super) posts: Vec<Post>,
    pub(super) collector_down_until: u64,
    /// When each was made, and how far it reaches for each agent.
    pub(super) backups: Vec<(u64, Vec<Mark>)>,
    /// By time and a running number: what travels.
    travelling: BTreeMap<(u64, u64), Travel>,
    next_travel: u64,
    next_fact: u64,
    /// How often the collector was set back.
    pub(super) restores: u32,
    pub(super) counts: Counts,
    pub(super) trace: Trace,
    is_calm: bool,
}

/// Who sent: the agent's number, and whether its copy did.
#[derive(Debug, Clone, Copy)]
struct Sender {
    post: usize,
    is_clone: bool,
}

enum Travel {
    Request {
        from: Sender,
        no: u64,
        request: Box<DeliverRequest>,
    },
    /// `restores`: how often the collector had been set back as it answered.
    Answer {
        to: Sender,
        no: u64,
        reply: Box<Reply>,
        restores: u32,
    },
}

impl World {
    pub(super) fn new(seed: u64, length: Length, broken: Broken) -> Self {
        let mut dice = Dice::new(seed, 1);
        let plan = Plan::draw(seed, length, &mut dice);
        let settings = Settings {
            segment_bytes: 8 << 10,
            budget_bytes: if plan.is_tight { 80 << 10 } else { Settings::default().budget_bytes },
            ..Settings::default()
        };
        let posts = (0..plan.agents).map(|_| Post {
            agent: Agent::new(
                SimStorage::new(dice.draw()),
                settings.clone(),
                Duration::from_millis(plan.heartbeat_ms),
                dice.draw(),
            ),
            clone: None,
            cloned_at: None,
            together_ms: 0,
            quarantined_at: None,
            released_at: None,
            tables: Tables::default(),
            snapshots: Vec::new(),
            line_down_until: 0,
            next_sight: 0,
            flips: 0,
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
            backups: vec![nothing],
            travelling: BTreeMap::new(),
            next_travel: 0,
            next_fact: 1,
            restores: 0,
            counts: Counts::default(),
            trace: Trace::default(),
            is_calm: false,
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
        let ended = self.now_ms;
        let days = self.plan.longest_ms.div_ceil(24 * HOUR);
        while !self.is_drained() {
            if self.now_ms > ended + DRAIN_MS + days * DRAIN_PER_DAY_MS {
                return Err(self.undrained());
            }
            self.step(None)?;
        }
        self.is_calm = true;
        let calm_from = self.now_ms;
        while self.now_ms < calm_from + CALM_MS {
            self.step(None)?;
        }
        self.is_calm = false;
        while !self.is_drained() {
            if self.now_ms > calm_from + CALM_MS + DRAIN_MS {
                return Err(self.undrained());
            }
            self.step(None)?;
        }
        self.check(calm_from)
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
            if post.together_ms > CLONE_WITHIN_MS && post.quarantined_at.is_none() {
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
        Ok(())
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
        if self.posts[index].tables.is_quarantined {
            self.resolve_clone(index);
        }
        Ok(())
    }

    /// An agent does what is due and sends what it wants to send.
    fn work(&mut self, who: Sender) {
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
        let (number, now_ms) = (self.next_fact, self.now_ms);
        self.next_fact += 1;
        if let Some(agent) = self.posts[index].who(is_clone) {
            agent.observe(number, is_transition, now_ms);
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
    fn resolve_clone(&mut self, index: usize) {
        let post = &mut self.posts[index];
        let at = *post.quarantined_at.get_or_insert(self.now_ms);
        if self.now_ms > at + MINUTE {
            post.clone = None;
            post.tables.release();
            post.released_at = Some(self.now_ms);
        }
    }

    pub(super) fn set_back(&mut self, marks: &[Mark]) {
        for (post, mark) in self.posts.iter_mut().zip(marks) {
            post.tables.set_back(*mark);
            post.together_ms = 0;
        }
        self.restores += 1;
    }

    /// The last fault may be a restored collector that meets an idle agent; then there are none.
    fn settle(&mut self) {
        if let Some((_, marks)) = self.backups.last().cloned().filter(|_| !self.plan.flips && self.dice.once_in(2)) {
            self.set_back(&marks);
            self.counts.count(Fault::CollectorSetBack);
        }
        self.collector_down_until = 0;
        let now_ms = self.now_ms;
        for post in &mut self.posts {
            post.line_down_until = 0;
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

    fn send(&mut self, from: Sender, no: u64, request: DeliverRequest) {
        if self.now_ms < self.posts[from.post].line_down_until {
            return;
        }
        let copies = if self.faulty() && self.dice.once_in(12) { 2 } else { 1 };
        if copies == 2 {
            self.counts.count(Fault::RequestDoubled);
        }
        for _ in 0..copies {
            if self.faulty() && self.dice.once_in(12) {
                self.counts.count(Fault::RequestLost);
                continue;
            }
            let request = Box::new(request.clone());
            self.travel(Travel::Request { from, no, request });
        }
    }

    /// Whether the line loses, doubles and delays.
    fn faulty(&self) -> bool {
        self.now_ms < self.plan.faulty_ms
    }

    fn travel(&mut self, what: Travel) {
        let mut delay = self.dice.roll(800);
        if self.faulty() && self.dice.once_in(12) {
            delay = self.dice.roll(90_000);
            self.counts.count(Fault::Delayed);
        }
        self.next_travel += 1;
        self.travelling.insert((self.now_ms + delay, self.next_travel), what);
    }

    fn arrive(&mut self, what: Travel) -> Result<(), String> {
        match what {
            Travel::Request { from, no, request } => {
                if self.now_ms < self.collector_down_until {
                    return Ok(());
                }
                let key = self.key;
                let by_id = self.broken == Broken::Seam(Seam::DedupById);
                let tables = &mut self.posts[from.post].tables;
                let before = tables.mark();
                let reply = tables.deliver(&request, key, self.now_ms, by_id);
                if let Some(problem) = tables.problems.first() {
                    return Err(format!("the collector could not read what an agent sent: {problem}"));
                }
                let is_killed = self.faulty() && self.dice.once_in(25);
                let is_before = self.dice.once_in(2);
                if is_killed && is_before {
                    self.posts[from.post].tables.set_back(before);
                    self.counts.count(Fault::KilledBeforeCommit);
                    if self.broken != Broken::Seam(Seam::AckBeforeCommit) {
                        return Ok(());
                    }
                } else if is_killed {
                    self.counts.count(Fault::KilledAfterCommit);
                    return Ok(());
                } else if self.faulty() && self.dice.once_in(12) {
                    self.counts.count(Fault::AnswerLost);
                    return Ok(());
                }
                let restores = self.restores;
                self.travel(Travel::Answer { to: from, no, reply: Box::new(reply), restores });
            }
            Travel::Answer { to, no, reply, restores } => {
                let before = self.believed(to);
                self.answer(to, no, *reply);
                if restores == self.restores {
                    return self.check_acknowledged(to, &before);
                }
            }
        }
        Ok(())
    }

    fn believed(&mut self, of: Sender) -> Vec<Head> {
        let agent = self.posts[of.post].who(of.is_clone);
        agent.and_then(|agent| agent.status()).map(|status| status.heads).unwrap_or_default()
    }

    /// I2: what an answer made the agent believe is committed at that moment.
    fn check_acknowledged(&mut self, to: Sender, before: &[Head]) -> Result<(), String> {
        let now = self.believed(to);
        let is_fresh = |head: &&Head| before.iter().all(|old| old.epoch != head.epoch || old.len < head.len);
        match now.iter().filter(is_fresh).find(|head| !self.posts[to.post].holds(head)) {
            Some(head) => Err(format!("I2: agent {}: {head:?} was acknowledged and is not committed", to.post)),
            None => Ok(()),
        }
    }

    fn answer(&mut self, to: Sender, no: u64, reply: Reply) {
        let (now_ms, is_mixed_up) = (self.now_ms, self.faulty());
        let Some(agent) = self.posts[to.post].who(to.is_clone).filter(|agent| !agent.is_asleep(now_ms)) else { return };
        let Some((current, _)) = agent.under_way else { return };
        // A careless proxy hands a late answer to the request that waits for one.
        let is_other = is_mixed_up && no != current;
        let answer = match reply {
            Reply::Delivered(delivered) => Answer::Delivered(delivered),
            Reply::Conflict(conflict) => Answer::Conflict(conflict),
            Reply::Refused(status, code) => Answer::Refused { status, code, retry_after: None },
        };
        agent.answered(if is_other { current } else { no }, answer, now_ms);
        if is_other {
            self.counts.count(Fault::AnswerMixedUp);
        }
        self.trace.note(now_ms, no);
        // As the real shell does: what an answer brings about is done at once, not when something falls due.
        self.work(to);
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

    fn check(&mut self, calm_from: u64) -> Result<(), String> {
        for (index, post) in self.posts.iter().enumerate() {
            let said = |what: String| format!("agent {index}: {what}");
            post.tables.check_chains().map_err(said)?;
            post.check_facts(&self.plan).map_err(said)?;
            post.check_heads().map_err(said)?;
            post.check_live(calm_from).map_err(said)?;
            post.check_room().map_err(said)?;
        }
        Ok(())
    }
}

impl Post {
    pub(super) fn who(&mut self, is_clone: bool) -> Option<&mut Agent> {
        if is_clone { self.clone.as_mut() } else { Some(&mut self.agent) }
    }

    fn holds(&self, head: &Head) -> bool {
        self.tables.head(head.epoch).is_some_and(|held| held.len >= head.len)
    }

    /// I1: what was durable and not destroyed is held exactly once, or said to be gone.
    fn check_facts(&self, plan: &Plan) -> Result<(), String> {
        // A sample may be in a summary as well, when its machine was set back in between.
        let counts =
            |number: &u64| !plan.may_thin() || self.agent.seen.get(number).is_some_and(|seen| seen.is_transition);
        let doubled: Vec<u64> = self.tables.doubled().into_iter().filter(counts).collect();
        if !doubled.is_empty() {
            return Err(format!("I1: doubled: {doubled:?}"));
        }
        let lost = self.agent.durable.iter().filter(|number| self.tables.committed(**number).is_none());
        let unsaid = lost.filter(|number| {
            let Some(seen) = self.agent.seen.get(number) else { return true };
            let may_go = plan.may_lose(seen.is_transition, self.tables.ever.contains(number));
            let is_thinned = !seen.is_transition && plan.may_thin() && self.tables.is_thinned();
            !may_go || !(is_thinned || self.tables.is_told_gone(seen.dated_ms))
        });
        let unsaid: Vec<&u64> = unsaid.collect();
        // A flipped byte costs at most the record in which it lies; that this is not always told is an open finding
        // (README.md).
        if unsaid.len() <= self.flips {
            return Ok(());
        }
        let example = unsaid.first().and_then(|number| self.agent.seen.get(number));
        Err(format!(
            "I1: {} of {} lost: {unsaid:?}, {example:?}; told gone: {:?}; {plan:?}",
            unsaid.len(),
            self.agent.durable.len(),
            self.tables.gone()
        ))
    }

    fn check_heads(&self) -> Result<(), String> {
        for head in self.agent.status().iter().flat_map(|status| &status.heads) {
            let held = self.tables.head(head.epoch);
            if held.is_none_or(|held| held.len < head.len || (held.len == head.len && held.chain != head.chain)) {
                return Err(format!("I2: the agent believes {head:?}, held is {held:?}"));
            }
        }
        Ok(())
    }

    /// I1: while nothing goes wrong, a transition is committed within ten seconds. One in quarantine asks every five minutes
    /// whether it has ended.
    fn check_live(&self, calm_from: u64) -> Result<(), String> {
        let from = self.released_at.map_or(0, |at| at + ASKS_WITHIN_MS).max(calm_from + 2 * MINUTE);
        let calm = self.agent.seen.iter().filter(|(_, seen)| seen.is_transition && seen.at_ms > from);
        let late = calm.filter(|(number, seen)| {
            self.tables.committed(**number).is_none_or(|committed| committed > seen.at_ms + LIVE_MS)
        });
        let late: Vec<_> = late.map(|(number, seen)| (seen.at_ms, self.tables.committed(*number))).collect();
        if late.is_empty() { Ok(()) } else { Err(format!("I1: live, seen and committed at: {late:?}")) }
    }

    /// I12: budget, one segment more while it is written, and the reserve.
    fn check_room(&self) -> Result<(), String> {
        let most = self.agent.budget() + 4 * (8 << 10) + (16 << 10);
        if self.agent.disk_bytes_max <= most {
            Ok(())
        } else {
            Err(format!("I12: {} bytes on disk, the budget is {}", self.agent.disk_bytes_max, self.agent.budget()))
        }
    }
}
