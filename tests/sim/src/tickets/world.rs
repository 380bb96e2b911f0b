//! One run: agents and people who bring incidents about, the desk that keeps them, and the ticket system that is told.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use upheld_desk::tasks::{Surroundings, Task};
use upheld_evidence::SigningKey;
use upheld_model::Mono;
use upheld_store::{
    StoreError,
    agents::{AgentRow, AgentStatus},
    outbox::{OutboxStatus, Settled},
};

use super::{
    agent::Agent,
    checks::Seen,
    people::{Asked, ana},
    place::{CHECKS, SITES, book},
    server::{Mood, Server},
};
use crate::{
    Broken, Counts, Fault, Length, Ran, Seam,
    dice::{Dice, Trace},
    house::{Backup, Dead, House},
};

pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
/// A Saturday in November 2026.
const START_MS: i64 = 1_795_300_000_000;
/// How often a living agent says so.
const HEARTBEAT: u64 = 45 * SECOND;
const HOURLY: u64 = HOUR;
/// How long the outbox may take once nothing goes wrong any more: the longest wait, and what follows from it.
const DRAIN: u64 = 26 * HOUR;

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) broken: Broken,
    pub(super) now_ms: u64,
    pub(super) house: House,
    pub(super) around: Surroundings,
    pub(super) server: Server,
    pub(super) agents: Vec<Agent>,
    /// What truly failed: the site and the check, each as often as it did.
    pub(super) failed: Vec<(usize, usize)>,
    pub(super) heard_at: Vec<u64>,
    pub(super) asked: Vec<Asked>,
    pub(super) seen: Seen,
    pub(super) next_token: u64,
    /// By how much the collector's clock is off.
    pub(super) off_ms: i64,
    /// A process was started by a clock that was ahead.
    pub(super) was_misled: bool,
    pub(super) clock_right_at: Option<u64>,
    pub(super) mood_until: u64,
    pub(super) start_at: Option<u64>,
    pub(super) accept_at: Option<u64>,
    pub(super) hourly_at: u64,
    pub(super) backups: Vec<(u64, Backup)>,
    /// Restores that lost facts.
    pub(super) losses: u32,
    pub(super) counts: Counts,
    pub(super) trace: Trace,
    pub(super) is_calm: bool,
    pub(super) length_ms: u64,
}

impl World {
    pub(super) fn new(seed: u64, length: Length, broken: Broken) -> Result<Self, String> {
        let mut dice = Dice::new(seed, 3);
        let mut house = House::build()?;
        let server = Server::new(Dice::new(dice.draw(), 4));
        let around = house.surroundings(Arc::new(server.clone()));
        let (now, key) = (stamp(0, 0), || SigningKey::from_seed(&[7; 32]).map_err(|error| error.to_string()));
        let public = key()?.public();
        let agents: Vec<Agent> =
            (0..SITES.len()).map(|site| Ok(Agent::new(site, key()?, now))).collect::<Result<_, String>>()?;
        let rows: Vec<AgentRow> = agents.iter().map(|agent| row(agent, public.0, now)).collect();
        house.set_clocks(now, Mono(0));
        let begun = house.call(async |desk| {
            let enrol = desk.store().write::<_, StoreError, _>("sim.enrol", move |tx| {
                // Her id would be the machine's.
                tx.insert_person("p-ana", "ana")?;
                tx.insert_person("p-maria", "Maria of the office")?;
                rows.iter().try_for_each(|row| tx.insert_agent(row))
            });
            enrol.await.map_err(|error| error.to_string())?;
            desk.apply_book(book(), &ana(), now).await.map_err(|error| format!("{error:?}"))?;
            desk.start_run(now).await.map_err(|error| error.to_string())
        });
        begun.map_err(|Dead| "it died before it began".to_owned())??;
        let length_ms = match length {
            Length::Short => dice.between(60, 150) * MINUTE,
            Length::Full => dice.between(120, 420) * MINUTE,
        };
        Ok(Self {
            dice,
            broken,
            now_ms: 0,
            house,
            around,
            server,
            heard_at: vec![0; agents.len()],
            agents,
            failed: Vec::new(),
            asked: Vec::new(),
            seen: Seen::default(),
            next_token: 0,
            off_ms: 0,
            was_misled: false,
            clock_right_at: None,
            mood_until: 0,
            start_at: None,
            accept_at: None,
            hourly_at: 0,
            backups: Vec::new(),
            losses: 0,
            counts: Counts::default(),
            trace: Trace::default(),
            is_calm: false,
            length_ms,
        })
    }

    pub(super) fn run(mut self) -> Ran {
        let ended = self.faulty().and_then(|()| self.calm());
        let mut counts = self.counts.clone();
        counts.add(&self.server.inside().counts);
        let hours = self.now_ms as f64 / HOUR as f64;
        let agents = f64::from(u32::try_from(SITES.len()).unwrap_or(0));
        Ran { agent_hours: hours * agents, counts, trace: self.trace.value(), violation: ended.err() }
    }

    /// The stretch in which things go wrong.
    fn faulty(&mut self) -> Result<(), String> {
        let mut step = 0_u64;
        let until = self.length_ms;
        // Hours in which the collector is away count too, once.
        while self.now_ms < until || step < 200 {
            step += 1;
            self.now_ms += self.dice.between(2, 15) * SECOND;
            self.faults()?;
            self.turn()?;
            if step.is_multiple_of(16) {
                self.check(false)?;
            }
            if step > 2_000 {
                break;
            }
        }
        Ok(())
    }

    /// Nothing goes wrong any more: everything drains.
    fn calm(&mut self) -> Result<(), String> {
        self.is_calm = true;
        self.house.spare();
        self.off_ms = 0;
        self.server.inside().mood = Mood::Well;
        self.start_at = self.start_at.map(|at| at.min(self.now_ms));
        self.accept_at = self.accept_at.map(|at| at.min(self.now_ms));
        let until = self.now_ms + DRAIN;
        while self.now_ms < until {
            // Quick at first, until what was open is judged; then by the next thing that falls due.
            self.now_ms += if until - self.now_ms > DRAIN - 20 * MINUTE { 15 * SECOND } else { 10 * MINUTE };
            self.turn()?;
            if until - self.now_ms < DRAIN - 20 * MINUTE
                && !self.has_waiting()?
                && self.asked.iter().all(|it| it.again_at.is_none())
            {
                break;
            }
        }
        self.check(true)
    }

    /// One round of everybody.
    fn turn(&mut self) -> Result<(), String> {
        self.server.inside().now_ms = self.now_ms;
        self.start()?;
        if !self.is_calm {
            self.sights();
        }
        self.house.set_clocks(self.wall(), self.mono());
        self.accept()?;
        self.agents_send()?;
        self.people_ask()?;
        self.tasks()?;
        self.server.inside().violation.take().map_or(Ok(()), Err)
    }

    /// A dead process is started again, as its supervisor does it.
    fn start(&mut self) -> Result<(), String> {
        if !self.house.is_up() && self.start_at.is_none() {
            self.start_at = Some(self.now_ms + self.dice.roll(30 * SECOND));
        }
        if self.start_at.is_none_or(|at| at > self.now_ms) {
            return Ok(());
        }
        self.start_at = None;
        self.was_misled |= self.off_ms > 0;
        self.house.reopen()?;
        self.house.set_clocks(self.wall(), self.mono());
        let now = self.wall();
        match self.house.call(async |desk| desk.start_run(now).await) {
            Ok(begun) => begun.map_err(|error| format!("a run does not begin: {error}")),
            Err(Dead) => {
                self.died();
                Ok(())
            }
        }
    }

    fn died(&mut self) {
        self.counts.count(Fault::CollectorKilled);
        self.start_at = Some(self.now_ms + self.dice.roll(60 * SECOND));
    }

    /// A person has seen what a restore may lack.
    fn accept(&mut self) -> Result<(), String> {
        if self.accept_at.is_none_or(|at| at > self.now_ms) || !self.house.is_up() {
            return Ok(());
        }
        let now = self.wall();
        match self.house.call(async |desk| desk.accept_recovery(&ana(), now).await) {
            Ok(accepted) => drop(accepted.map_err(|error| error.to_string())?),
            // Whether it was accepted the next one sees: asked again it says so.
            Err(Dead) => {
                self.died();
                return Ok(());
            }
        }
        self.accept_at = None;
        self.server.inside().is_recovering = false;
        Ok(())
    }

    /// What agents see in this step.
    pub(super) fn sights(&mut self) {
        let now = stamp(self.now_ms, 0);
        for (site, agent) in self.agents.iter_mut().enumerate() {
            if !self.dice.once_in(60) {
                continue;
            }
            let number = usize::try_from(self.dice.roll(CHECKS.len() as u64)).unwrap_or(0);
            if agent.failing.contains_key(&number) {
                agent.mend(number, now);
            } else {
                agent.fail(number, now);
                self.failed.push((site, number));
            }
        }
    }

    /// How often a check of a client's truly failed.
    pub(super) fn faults_of(&self, client: &str, check: &str) -> usize {
        let is_it = |(site, number): &&(usize, usize)| SITES[*site].1 == client && CHECKS[*number] == check;
        self.failed.iter().filter(is_it).count()
    }

    fn agents_send(&mut self) -> Result<(), String> {
        for at in 0..self.agents.len() {
            let is_due = self.agents[at].has_news() || self.heard_at[at] + HEARTBEAT <= self.now_ms;
            if !is_due || !self.house.is_up() {
                continue;
            }
            let (now, request) = (self.wall(), self.agents[at].request(stamp(self.now_ms, 0), self.mono()));
            let peer = self.agents[at].peer.clone();
            match self.house.call(async |desk| desk.deliver(&peer, request, now).await) {
                Ok(answer) => {
                    self.agents[at].answered(answer)?;
                    self.heard_at[at] = self.now_ms;
                }
                Err(Dead) => {
                    self.died();
                    if self.broken == Broken::Seam(Seam::MessagesAfterwards) {
                        self.lose_messages(now)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// As if what was committed just now had left its messages to a second transaction, which never came.
    fn lose_messages(&self, now: Timestamp) -> Result<(), String> {
        let desk = self.house.reader()?;
        let lost = desk.store().write::<_, StoreError, _>("sim.lose", move |tx| {
            let until = now + SignedDuration::from_secs(60);
            for row in tx
                .messages_due(now, 1_000)?
                .iter()
                .filter(|row| row.created_at.duration_since(now).abs() < SignedDuration::from_secs(1))
            {
                tx.lease_message(&row.client, &row.key, "nobody", now, until)?;
                let dropped = Settled {
                    status: OutboxStatus::Dropped,
                    next_attempt_at: None,
                    reference: None,
                    delivered_at: None,
                    last_error: None,
                };
                tx.settle_message(&row.client, &row.key, "nobody", &dropped)?;
            }
            Ok(())
        });
        self.house.block_on(lost).map_err(|error| error.to_string())
    }

    fn people_ask(&mut self) -> Result<(), String> {
        if !self.house.is_up() {
            return Ok(());
        }
        // What they enter by a clock that is off is not modelled (README.md); what was answered they may ask again by it.
        let is_right = self.off_ms == 0;
        if is_right && !self.is_calm && self.dice.once_in(6) {
            let open = self.open_incidents()?;
            self.next_token += 1;
            let now = self.wall();
            let asked = Asked::draw(&mut self.dice, self.next_token, &open, now, self.now_ms);
            self.asked.push(asked);
            self.ask(self.asked.len() - 1)?;
        }
        for at in 0..self.asked.len() {
            let is_due = self.asked[at].again_at.is_some_and(|again_at| again_at <= self.now_ms);
            if is_due && self.house.is_up() && (is_right || self.asked[at].answered_at.is_some()) {
                self.asked[at].again_at = None;
                if self.asked[at].is_fresh(self.now_ms) {
                    self.ask(at)?;
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, at: usize) -> Result<(), String> {
        let (asked, now) = (self.asked[at].clone(), self.wall());
        match self.house.call(async |desk| asked.ask(desk, now).await) {
            Ok(Ok(())) => drop(self.asked[at].answered_at.get_or_insert(self.now_ms)),
            Ok(Err(upheld_desk::CommandError::Desk(error))) if !error.to_string().contains("no incident") => {
                return Err(format!("a command fails: {error}"));
            }
            // What was carried out is not refused as a repetition.
            Ok(Err(error)) if self.asked[at].answered_at.is_some() => {
                return Err(format!("I2: {} was carried out, and again it is refused: {error}", self.asked[at].token));
            }
            Ok(Err(_)) => {}
            Err(Dead) => {
                self.died();
                self.asked[at].is_unclear = true;
                // Whoever hears nothing asks again.
                let again_at = self.now_ms + self.dice.between(SECOND, 10 * MINUTE);
                self.asked[at].again_at = Some(again_at);
            }
        }
        Ok(())
    }

    fn tasks(&mut self) -> Result<(), String> {
        let mut due =
            vec![Task::Alive, Task::Own, Task::Clocks, Task::Watch, Task::Silence, Task::Deliverer, Task::Deliverer];
        if self.hourly_at <= self.now_ms {
            self.hourly_at = self.now_ms + HOURLY;
            due.extend([Task::Digests, Task::Retention]);
        }
        for task in due {
            if !self.house.is_up() {
                return Ok(());
            }
            match self.house.task(task, &self.around) {
                Err(Dead) => {
                    self.server.inside().call_ended(false);
                    self.died();
                }
                Ok(Err(error)) => return Err(format!("the task {} fails: {error}", task.name())),
                Ok(Ok(report)) if !report.failures.is_empty() => {
                    return Err(format!("the task {} fails: {:?}", task.name(), report.failures));
                }
                Ok(Ok(report)) => {
                    self.server.inside().call_ended(true);
                    self.trace.note(self.now_ms, report.changed ^ (task.name().len() as u64) << 32);
                }
            }
        }
        let items = self.server.inside().items.len() as u64;
        self.trace.note(self.now_ms, items);
        Ok(())
    }

    /// What its wall clock shows.
    pub(super) fn wall(&self) -> Timestamp {
        stamp(self.now_ms, self.off_ms)
    }

    pub(super) fn mono(&self) -> Mono {
        Mono(self.now_ms * 1_000_000)
    }
}

/// An instant of the run by a clock that is off.
pub(super) fn stamp(now_ms: u64, off_ms: i64) -> Timestamp {
    let ms = START_MS.saturating_add_unsigned(now_ms).saturating_add(off_ms);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn row(agent: &Agent, signing_key: [u8; 32], now: Timestamp) -> AgentRow {
    AgentRow {
        client: agent.peer.client.clone(),
        agent: agent.peer.agent.clone(),
        site: agent.peer.site.clone(),
        host: "srv-1".to_owned(),
        status: AgentStatus::Active,
        signing_key,
        enrolled_at: now,
        status_at: now,
        first_seen: None,
    }
}
