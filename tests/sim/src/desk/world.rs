//! One run: sites where things fail, agents that see it, a line, a collector that may die, and what is checked of them.

use std::collections::BTreeMap;

use upheld_delivery::sender::Answer;
use upheld_desk::DeliverAnswer;
use upheld_evidence::SigningKey;
use upheld_store::{incidents::IncidentRow, sqlite::faulty::Kill};
use upheld_wire::v1::{DeliverRequest, Head};

use super::{
    chaos::{Chaos, Plan},
    checks,
    collector::{Collector, Turn},
    host::{Host, Machine},
    place::{SITES, peer},
    truth::Truth,
};
use crate::{
    Length, Ran,
    dice::{Dice, Trace},
    faults::{Counts, Fault},
    house::{Backup, Dead},
    line::{HOUR, MINUTE, agent::SEED},
};

/// The shortest step: several things may fall due within it.
const STEP_MS: u64 = 100;
/// What any drain may take: refused agents ask every five minutes, and failures back off.
const DRAIN_MS: u64 = 60 * MINUTE;
/// When all is drained nothing goes wrong for so long: every watch ends.
const CALM_MS: u64 = 100 * MINUTE;
/// How often the sites are judged again by their facts.
const JUDGE_EVERY: u64 = 47 * MINUTE;

/// An agent and its line.
pub(super) struct Post {
    pub(super) host: Host,
    pub(super) machines: Vec<Machine>,
    pub(super) line_down_until: u64,
    /// When it did not observe, or what it observed was destroyed.
    pub(super) troubled: Vec<(u64, u64)>,
    /// When it could not be heard, whatever the reason on its own side.
    pub(super) unheard: Vec<(u64, u64)>,
    /// Since when its process has been down.
    down_since: Option<u64>,
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) plan: Plan,
    pub(super) now_ms: u64,
    pub(super) truth: Truth,
    pub(super) posts: Vec<Post>,
    pub(super) collector: Collector,
    pub(super) backups: Vec<(u64, Backup)>,
    travelling: BTreeMap<(u64, u64), Travel>,
    next_travel: u64,
    judge_at: u64,
    pub(super) counts: Counts,
    pub(super) trace: Trace,
}

enum Travel {
    Request { from: usize, no: u64, request: Box<DeliverRequest> },
    Answer { to: usize, no: u64, answer: Box<Answer> },
}

impl World {
    pub(super) fn new(seed: u64, length: Length) -> Result<Self, String> {
        let mut dice = Dice::new(seed, 2);
        let plan = Plan::draw(length, &mut dice);
        let truth = Truth::draw(SITES.len(), plan.faulty_ms, &mut dice);
        let key = SigningKey::from_seed(&SEED).map_err(|error| error.to_string())?.public();
        let mut collector = Collector::begin(key.0)?;
        let mut posts = Vec::new();
        for site in 0..SITES.len() {
            let host = Host::new(site, collector.config(&peer(site))?, &mut dice);
            posts.push(Post {
                host,
                machines: Vec::new(),
                line_down_until: 0,
                troubled: Vec::new(),
                unheard: Vec::new(),
                down_since: None,
            });
        }
        Ok(Self {
            dice,
            plan,
            now_ms: 0,
            truth,
            posts,
            collector,
            backups: Vec::new(),
            travelling: BTreeMap::new(),
            next_travel: 0,
            judge_at: JUDGE_EVERY,
            counts: Counts::default(),
            trace: Trace::default(),
        })
    }

    /// Faults for a while, then none until all is drained and every watch is over; then everything is checked.
    pub(super) fn run(mut self) -> Ran {
        let verdict = self.live();
        let agent_hours = self.now_ms as f64 / HOUR as f64 * self.posts.len() as f64;
        Ran { agent_hours, counts: self.counts, trace: self.trace.value(), violation: verdict.err() }
    }

    fn live(&mut self) -> Result<(), String> {
        let mut chaos = Chaos::new(&self.plan, &self.truth, &mut self.dice);
        while self.now_ms < self.plan.faulty_ms {
            self.step(Some(&mut chaos))?;
        }
        self.settle();
        self.drain()?;
        let calm = self.now_ms;
        while self.now_ms < calm + CALM_MS {
            self.step(None)?;
        }
        self.drain()?;
        self.judge()?;
        checks::at_the_end(self)
    }

    fn step(&mut self, chaos: Option<&mut Chaos>) -> Result<(), String> {
        let hosts = self.posts.iter().filter_map(|post| post.host.due());
        let travel = self.travelling.keys().next().map(|(at, _)| *at);
        let chance = chaos.as_ref().map(|chaos| chaos.next());
        let judge = self.may_judge().then_some(self.judge_at);
        let next = hosts.chain(travel).chain(chance).chain(judge).chain([self.collector.due()]).min();
        let before = self.now_ms;
        self.now_ms = next.unwrap_or(u64::MAX).clamp(before + STEP_MS, before + MINUTE);
        if let Some(chaos) = chaos {
            chaos.strike(self)?;
        }
        for index in 0..self.posts.len() {
            self.look(index)?;
            self.note_whereabouts(index, before);
        }
        while let Some(entry) = self.travelling.first_entry()
            && entry.key().0 <= self.now_ms
        {
            let travel = entry.remove();
            self.arrive(travel)?;
        }
        if self.collector.due() <= self.now_ms {
            let turn = self.collector.tick(self.now_ms)?;
            self.turned(turn)?;
        }
        if self.judge_at <= self.now_ms && self.may_judge() {
            self.judge_at = self.now_ms + JUDGE_EVERY;
            self.judge()?;
        }
        Ok(())
    }

    /// One agent's turn.
    fn look(&mut self, index: usize) -> Result<(), String> {
        let now_ms = self.now_ms;
        for (post, request) in self.posts[index].host.tick(&self.truth, now_ms)? {
            self.trace.note(now_ms, request.records.len() as u64);
            self.send(index, post.no, request);
        }
        if self.posts[index].host.agent.disk.is_down() {
            self.bury(index);
        }
        Ok(())
    }

    /// When an agent could not observe, and when it could not be heard.
    fn note_whereabouts(&mut self, index: usize, before: u64) {
        let now_ms = self.now_ms;
        let is_cut_off = self.truth.is_cut_off(index, now_ms);
        let post = &mut self.posts[index];
        let is_well = post.host.agent.is_up() && !post.host.agent.is_asleep(now_ms);
        match (is_well, post.down_since) {
            (false, None) => post.down_since = Some(before),
            (true, Some(since)) => {
                post.troubled.push((since, now_ms));
                post.down_since = None;
            }
            (true, None) | (false, Some(_)) => {}
        }
        if !is_well || is_cut_off || now_ms < post.line_down_until {
            match post.unheard.last_mut() {
                Some((_, to)) if *to == before => *to = now_ms,
                Some(_) | None => post.unheard.push((before, now_ms)),
            }
        }
    }

    fn bury(&mut self, index: usize) {
        use upheld_delivery::storage::sim::Crash;
        let (crash, fault) = match self.dice.roll(4) {
            0 => (Crash::Kill, Fault::AgentKilled),
            1 => (Crash::Drop, Fault::PowerLost),
            2 => (Crash::Tear(512), Fault::Torn512),
            _ => (Crash::Tear(4096), Fault::Torn4096),
        };
        let now_ms = self.now_ms;
        self.posts[index].host.crash(crash, now_ms);
        // What was not synced yet is gone with it.
        self.posts[index].troubled.push((now_ms.saturating_sub(MINUTE), now_ms + MINUTE));
        self.counts.count(fault);
    }

    fn send(&mut self, from: usize, no: u64, request: DeliverRequest) {
        if self.now_ms < self.posts[from].line_down_until || self.truth.is_cut_off(from, self.now_ms) {
            self.fail(from, no);
            return;
        }
        let copies = if self.is_faulty() && self.dice.once_in(20) { 2 } else { 1 };
        if copies == 2 {
            self.counts.count(Fault::RequestDoubled);
        }
        for _ in 0..copies {
            if self.is_faulty() && self.dice.once_in(25) {
                self.counts.count(Fault::RequestLost);
                continue;
            }
            let request = Box::new(request.clone());
            self.travel(Travel::Request { from, no, request });
        }
    }

    /// A request meets a line that is down: the agent is told after its timeout.
    fn fail(&mut self, to: usize, no: u64) {
        let answer = Box::new(Answer::Failed { what: "no way".to_owned() });
        self.next_travel += 1;
        self.travelling.insert((self.now_ms + 5_000, self.next_travel), Travel::Answer { to, no, answer });
    }

    /// Whether the line loses, doubles and delays.
    pub(super) fn is_faulty(&self) -> bool {
        self.now_ms < self.plan.faulty_ms
    }

    fn travel(&mut self, what: Travel) {
        let mut delay = self.dice.roll(400);
        if self.is_faulty() && self.dice.once_in(25) {
            delay = self.dice.roll(90_000);
            self.counts.count(Fault::Delayed);
        }
        self.next_travel += 1;
        self.travelling.insert((self.now_ms + delay, self.next_travel), what);
    }

    fn arrive(&mut self, what: Travel) -> Result<(), String> {
        match what {
            Travel::Request { from, no, request } => self.deliver(from, no, *request),
            Travel::Answer { to, no, answer } => {
                let now_ms = self.now_ms;
                self.posts[to].host.answered(no, *answer, now_ms);
                // As the real shell does: what an answer brings about is done at once, not when something falls due.
                self.look(to)
            }
        }
    }

    fn deliver(&mut self, from: usize, no: u64, request: DeliverRequest) -> Result<(), String> {
        if !self.collector.house.is_up() || self.collector.start_at.is_some() {
            self.fail(from, no);
            return Ok(());
        }
        let has_records = !request.records.is_empty();
        // What tells of a finding is where it hurts.
        let is_grave = request.records.iter().any(|record| record.body.get().contains("finding"));
        let is_killed = has_records && self.is_faulty() && self.dice.once_in(if is_grave { 5 } else { 60 });
        if is_killed {
            self.kill_in_upload();
        }
        let answer = match self.collector.take(from, request, self.now_ms) {
            // At once, before a deadline has the site judged again anyway.
            Err(Dead) if is_killed => {
                self.collector.goes(self.now_ms, self.now_ms);
                return Ok(());
            }
            Err(Dead) => return self.died(),
            Ok(answer) => answer,
        };
        let answer = match answer {
            DeliverAnswer::Delivered(delivered) => {
                self.check_committed(from, delivered.head)?;
                if let Some(refused) = delivered.refused.first() {
                    return Err(format!("the collector could not read what an agent sent: {refused:?}"));
                }
                Answer::Delivered(delivered)
            }
            DeliverAnswer::Conflict(conflict) => Answer::Conflict(conflict),
            DeliverAnswer::Problem(problem) if problem.status == 503 => {
                if self.collector.accept_at.is_none() {
                    return Err(format!("I13: an upload is not taken: {} {}", problem.title, problem.detail));
                }
                Answer::Refused { status: problem.status, code: problem.code, retry_after: None }
            }
            DeliverAnswer::Problem(problem) => {
                return Err(format!("an upload is refused: {} {} {}", problem.status, problem.title, problem.detail));
            }
        };
        if self.is_faulty() && self.dice.once_in(25) {
            self.counts.count(Fault::AnswerLost);
        } else {
            self.travel(Travel::Answer { to: from, no, answer: Box::new(answer) });
        }
        if has_records && self.collector.hears() {
            let turn = self.collector.woken(self.now_ms)?;
            self.turned(turn)?;
        }
        Ok(())
    }

    /// The collector dies in the next upload, before its commit or between commit and answer.
    fn kill_in_upload(&mut self) {
        let (kill, fault) = if self.dice.once_in(3) {
            (Kill::BeforeCommit, Fault::KilledBeforeCommit)
        } else {
            (Kill::AfterCommit, Fault::KilledAfterCommit)
        };
        self.collector.house.kill_at(0, kill);
        self.counts.count(fault);
    }

    /// I2: what is acknowledged is in the database at that moment.
    fn check_committed(&mut self, from: usize, head: Option<Head>) -> Result<(), String> {
        let Some(head) = head else { return Ok(()) };
        let held = self.collector.heads(from)?;
        let is_held = held.iter().any(|held| held.epoch == head.epoch && held.len >= head.len);
        if is_held {
            return Ok(());
        }
        Err(format!("I2: agent {from}: {head:?} is acknowledged and not committed; held are {held:?}"))
    }

    /// What tasks of the collector came to.
    fn turned(&mut self, turn: Turn) -> Result<(), String> {
        self.trace.note(self.now_ms, turn.changed);
        if turn.has_started {
            // Nothing of what was stored waits for a memory that is gone.
            self.judge_at = self.now_ms;
        }
        // A turn in which it died may have stored one and not said so.
        if turn.has_silence || turn.died {
            self.check_silences()?;
        }
        if turn.died { self.died() } else { Ok(()) }
    }

    /// A kill struck: somebody starts the collector again.
    fn died(&mut self) -> Result<(), String> {
        let wait = 1_000 + self.dice.wait(2 * MINUTE);
        self.collector.goes(self.now_ms, self.now_ms + wait);
        Ok(())
    }

    /// I9: who is called silent was away himself, while the collector could hear.
    fn check_silences(&mut self) -> Result<(), String> {
        for row in self.collector.new_silences()? {
            let Some(site) = (0..SITES.len()).find(|site| peer(*site).client == row.client) else { continue };
            let now_ms = self.now_ms;
            let post = &self.posts[site];
            let (since, asleep) = (now_ms.saturating_sub(20 * MINUTE), post.down_since);
            let own = post.unheard.iter().map(|(from, to)| to.saturating_sub(*from.max(&since))).sum::<u64>();
            // A request or two that were lost on the way add to it.
            let own = own + asleep.map_or(0, |from| now_ms - from.max(since));
            if own < 2 * MINUTE && !self.collector.was_misled {
                let away: Vec<_> = self.collector.away.iter().rev().take(3).collect();
                return Err(format!(
                    "I9: at {now_ms} {}/INC-{} calls agent {site} silent, which could not be heard for {own} ms; the \
                     collector was away in {away:?}",
                    row.client, row.number
                ));
            }
        }
        Ok(())
    }

    /// Not by a wrong clock by which the collector was started without seeing that (README.md).
    fn may_judge(&self) -> bool {
        self.collector.hears() && (self.collector.off_ms == 0 || !self.collector.was_unaware)
    }

    /// I4: what is stored is what the facts say: judged again, nothing changes.
    fn judge(&mut self) -> Result<(), String> {
        let before = self.collector.incidents()?;
        match self.collector.judged_again(self.now_ms)? {
            None => self.died(),
            Some(0) => Ok(()),
            Some(changes) => {
                let after = self.collector.incidents()?;
                let is_other = |row: &&IncidentRow| !before.contains(row);
                let other: Vec<&IncidentRow> = after.iter().filter(is_other).collect();
                Err(format!(
                    "I4: at {} the sites judged again by their facts change in {changes} ways: {}",
                    self.now_ms,
                    checks::said(&other)
                ))
            }
        }
    }

    /// The last fault is over.
    fn settle(&mut self) {
        self.collector.house.spare();
        self.collector.off_ms = 0;
        let now_ms = self.now_ms;
        if let Some(at) = &mut self.collector.start_at {
            *at = now_ms;
        }
        if let Some(at) = &mut self.collector.accept_at {
            *at = now_ms;
        }
        for post in &mut self.posts {
            post.line_down_until = 0;
            post.host.agent.wake(now_ms);
            post.host.agent.disk.crash_at(u64::MAX);
        }
    }

    /// I13: until nothing is on its way and each agent had nothing waiting since this was asked. Not all at one moment: what
    /// each saw lately always waits for its next report, and their reports may never fall together.
    fn drain(&mut self) -> Result<(), String> {
        let ended = self.now_ms;
        let mut behind: Vec<usize> = (0..self.posts.len()).collect();
        loop {
            behind.retain(|index| !self.is_caught_up(*index));
            if behind.is_empty() && self.travelling.is_empty() {
                return Ok(());
            }
            if self.now_ms > ended + DRAIN_MS {
                return Err(self.undrained(&behind));
            }
            self.step(None)?;
        }
    }

    /// Whether nothing of an agent's waits, and what it sends is heard.
    pub(super) fn is_caught_up(&self, index: usize) -> bool {
        let post = &self.posts[index];
        let is_heard = self.now_ms >= post.line_down_until && !self.truth.is_cut_off(index, self.now_ms);
        let waits = post.host.agent.status().is_none_or(|status| status.waiting > 0);
        is_heard && self.collector.hears() && !waits
    }

    fn undrained(&self, behind: &[usize]) -> String {
        let waits =
            self.posts.iter().map(|post| post.host.agent.status().map(|status| (status.waiting, status.ailments)));
        let (waits, hears) = (waits.collect::<Vec<_>>(), self.collector.hears());
        let travel = self.travelling.len();
        format!(
            "I13: the queues of agents {behind:?} do not drain: {waits:?}, {travel} messages are on their way, the \
             collector hears: {hears}"
        )
    }
}
