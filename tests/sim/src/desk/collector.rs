//! The collector of a run: its process, its tasks by the clock, its backups, and the person who accepts a restore.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use upheld_desk::{
    Actor, AgentPeer, DeliverAnswer, Desk,
    deliverer::{Address, Boxed, Channel, How},
    tasks::{Surroundings, Task},
};
use upheld_model::{Mono, SiteId};
use upheld_store::{
    StoreError,
    agents::{AgentRow, AgentStatus},
    facts::SiteKey,
    incidents::IncidentRow,
    records::AgentKey,
};
use upheld_wire::v1::{AgentConfig, DeliverRequest, Head};

use super::place::{SITES, book, peer};
use crate::{
    house::{Backup, Dead, House},
    line::{HOUR, MINUTE, agent::START_MS},
};

/// How often it says that it lives. Three of them are less than the gap after which it was out.
const ALIVE_EVERY: u64 = 15_000;
/// How often its other tasks turn by themselves; what arrives wakes them as well.
const TASKS_EVERY: u64 = MINUTE;

/// What turns each minute, in this order.
const MINUTELY: [Task; 5] = [Task::Own, Task::Clocks, Task::Watch, Task::Silence, Task::Deliverer];
const HOURLY: [Task; 2] = [Task::Digests, Task::Retention];

pub(super) struct Collector {
    pub(super) house: House,
    around: Surroundings,
    /// When a dead process is started again.
    pub(super) start_at: Option<u64>,
    /// When a person has seen what a restore may lack.
    pub(super) accept_at: Option<u64>,
    alive_at: u64,
    tasks_at: u64,
    hourly_at: u64,
    /// By how much its wall clock is off.
    pub(super) off_ms: i64,
    /// A process of it was started by a wrong clock: what it is told is dated by its last sign of life at best.
    pub(super) was_misled: bool,
    /// That clock was not behind the last sign of life: only agents can tell, and there are too few.
    pub(super) was_unaware: bool,
    /// When its clock was set wrong: since then no sign of life is written.
    pub(super) wrong_at: u64,
    /// When its process did not run or waited for a person, in true time.
    pub(super) away: Vec<(u64, u64)>,
    /// Since when that is so.
    away_since: Option<u64>,
    /// Silences that opened since they were asked for.
    known_silent: BTreeSet<String>,
}

impl Collector {
    /// A collector with its book and its agents, at work.
    pub(super) fn begin(signing_key: [u8; 32]) -> Result<Self, String> {
        let mut house = House::build()?;
        let around = house.surroundings(Arc::new(TakesAll));
        let now = stamp(0, 0);
        house.set_clocks(now, Mono(0));
        let begun = house.call(async |desk| {
            desk.apply_book(book(), &ana(), now).await.map_err(|error| format!("{error:?}"))?;
            let enrolled = desk.store().write::<_, StoreError, _>("sim.enroll", move |tx| {
                (0..SITES.len()).try_for_each(|site| tx.insert_agent(&row(&peer(site), signing_key, now)))
            });
            enrolled.await.map_err(|error| error.to_string())?;
            desk.start_run(now).await.map_err(|error| error.to_string())
        });
        begun.map_err(|Dead| "it died before it began".to_owned())??;
        Ok(Self {
            house,
            around,
            start_at: None,
            accept_at: None,
            alive_at: 0,
            tasks_at: 0,
            hourly_at: 0,
            off_ms: 0,
            was_misled: false,
            was_unaware: false,
            wrong_at: 0,
            away: Vec::new(),
            away_since: None,
            known_silent: BTreeSet::new(),
        })
    }

    /// What its wall clock shows.
    pub(super) fn wall(&self, now_ms: u64) -> Timestamp {
        stamp(now_ms, self.off_ms)
    }

    pub(super) fn config(&mut self, of: &AgentPeer) -> Result<AgentConfig, String> {
        let config = self.house.call(async |desk| desk.config_for(of).await);
        config.map_err(|Dead| "it is dead".to_owned())?.map_err(|error| error.to_string())
    }

    /// When it has something to do.
    pub(super) fn due(&self) -> u64 {
        match self.start_at {
            Some(at) => at,
            None => self.alive_at.min(self.tasks_at).min(self.accept_at.unwrap_or(u64::MAX)),
        }
    }

    /// Whether an upload could be taken.
    pub(super) fn hears(&self) -> bool {
        self.house.is_up() && self.start_at.is_none() && self.accept_at.is_none()
    }

    /// Its process ends here, or has ended, and is started again then.
    pub(super) fn goes(&mut self, now_ms: u64, back_at: u64) {
        self.house.kill();
        self.start_at = Some(self.start_at.unwrap_or(0).max(back_at));
        self.away_since.get_or_insert(now_ms);
    }

    /// A new process with an old file, in recovery until a person has seen it.
    pub(super) fn set_back(&mut self, to: &Backup, taken_at: u64, now_ms: u64, accepted_at: u64) -> Result<(), String> {
        self.house.set_back(to)?;
        // The last sign of life in it is old.
        self.was_unaware |= self.off_ms != 0;
        self.away_since.get_or_insert(now_ms);
        self.house.set_clocks(self.wall(now_ms), mono(now_ms));
        let (missing_from, now) = (stamp(taken_at, 0), self.wall(now_ms));
        let begun = self.house.call(async |desk| desk.begin_recovery(missing_from, now).await);
        if let Ok(Err(error)) = begun {
            return Err(error.to_string());
        }
        self.start_at = Some(now_ms);
        self.accept_at = Some(accepted_at);
        Ok(())
    }

    /// Does what is due by the clock. Whether it died in it.
    pub(super) fn tick(&mut self, now_ms: u64) -> Result<Turn, String> {
        let mut turn = Turn::default();
        if self.start_at.is_some_and(|at| at <= now_ms) {
            self.house.reopen()?;
            self.start_at = None;
            self.was_misled |= self.off_ms != 0;
            self.was_unaware |= self.off_ms != 0 && !self.sees_it_is_behind(now_ms) && !self.was_in_doubt()?;
            self.house.set_clocks(self.wall(now_ms), mono(now_ms));
            let now = self.wall(now_ms);
            match self.house.call(async |desk| desk.start_run(now).await) {
                Ok(begun) => begun.map_err(|error| format!("a run does not begin: {error}"))?,
                Err(Dead) => return Ok(Turn { died: true, ..turn }),
            }
            (self.alive_at, self.tasks_at) = (now_ms, now_ms);
            turn.has_started = true;
        }
        if !self.house.is_up() {
            return Ok(turn);
        }
        self.house.set_clocks(self.wall(now_ms), mono(now_ms));
        if self.accept_at.is_some_and(|at| at <= now_ms) {
            let now = self.wall(now_ms);
            match self.house.call(async |desk| desk.accept_recovery(&ana(), now).await) {
                Ok(accepted) => drop(accepted.map_err(|error| error.to_string())?),
                Err(Dead) => return Ok(Turn { died: true, ..turn }),
            }
            self.accept_at = None;
        }
        if self.accept_at.is_none() {
            self.away.extend(self.away_since.take().map(|since| (since, now_ms)));
        }
        let mut due = Vec::new();
        if self.alive_at <= now_ms {
            self.alive_at = now_ms + ALIVE_EVERY;
            due.push(Task::Alive);
        }
        if self.tasks_at <= now_ms {
            self.tasks_at = now_ms + TASKS_EVERY;
            due.extend(MINUTELY);
        }
        if self.hourly_at <= now_ms {
            self.hourly_at = now_ms + HOUR;
            due.extend(HOURLY);
        }
        self.turn(&due, now_ms, &mut turn)?;
        Ok(turn)
    }

    /// Whether a process that starts now sees that its clock is behind: it was alive by more than half a minute later. Its
    /// last sign of life is a quarter of a minute older than its end at most.
    fn sees_it_is_behind(&self, now_ms: u64) -> bool {
        let away = now_ms - self.away_since.unwrap_or(now_ms).min(self.wrong_at);
        self.off_ms < 0 && away + ALIVE_EVERY + 30_000 < self.off_ms.unsigned_abs()
    }

    /// Whether the process before one that starts now stored that its clock is in doubt.
    fn was_in_doubt(&self) -> Result<bool, String> {
        Ok(self.read(|tx| tx.own_outage_open("clock"))?.is_some())
    }

    /// What an upload wakes.
    pub(super) fn woken(&mut self, now_ms: u64) -> Result<Turn, String> {
        let mut turn = Turn::default();
        self.turn(&[Task::Clocks, Task::Watch, Task::Silence, Task::Deliverer], now_ms, &mut turn)?;
        Ok(turn)
    }

    fn turn(&mut self, tasks: &[Task], now_ms: u64, turn: &mut Turn) -> Result<(), String> {
        self.house.set_clocks(self.wall(now_ms), mono(now_ms));
        for task in tasks {
            match self.house.task(*task, &self.around) {
                Err(Dead) => turn.died = true,
                Ok(Err(error)) => return Err(format!("the task {} fails: {error}", task.name())),
                Ok(Ok(report)) if !report.failures.is_empty() => {
                    return Err(format!("the task {} fails: {:?}", task.name(), report.failures));
                }
                Ok(Ok(report)) => {
                    turn.changed = turn.changed.wrapping_mul(31).wrapping_add(report.changed);
                    turn.has_silence |= *task == Task::Silence && report.changed > 0;
                }
            }
            if turn.died {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One upload, as the door brings it in: the peer is the certificate's.
    pub(super) fn take(&mut self, site: usize, request: DeliverRequest, now_ms: u64) -> Result<DeliverAnswer, Dead> {
        self.house.set_clocks(self.wall(now_ms), mono(now_ms));
        let (now, agent) = (self.wall(now_ms), peer(site).agent);
        self.house.call(async |desk| match desk.peer(&agent).await {
            Ok(Some(peer)) => desk.deliver(&peer, request, now).await,
            Ok(None) => DeliverAnswer::Problem(unknown_agent()),
            Err(error) => DeliverAnswer::Problem(upheld_desk::unavailable(&error)),
        })
    }

    /// What is held of an agent.
    pub(super) fn heads(&self, site: usize) -> Result<Vec<Head>, String> {
        let peer = peer(site);
        let rows = self.read(move |tx| tx.heads(AgentKey { client: &peer.client, agent: &peer.agent }))?;
        Ok(rows.into_iter().map(|row| Head { epoch: row.epoch, len: row.len, chain: row.chain }).collect())
    }

    /// Every incident there is.
    pub(super) fn incidents(&self) -> Result<Vec<IncidentRow>, String> {
        self.read(|tx| tx.newest_incidents(None, 10_000))
    }

    /// What the file says, whatever became of the process.
    pub(super) fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn upheld_store::ReadTx) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, String> {
        let desk = self.house.reader()?;
        self.house.block_on(desk.store().read::<_, StoreError, _>("sim.read", what)).map_err(|error| error.to_string())
    }

    /// Asks a desk that reads the file beside the process.
    pub(super) fn ask<T>(&self, what: impl AsyncFnOnce(&Desk) -> T) -> Result<T, String> {
        let desk = self.house.reader()?;
        Ok(self.house.block_on(what(&desk)))
    }

    /// Silences that opened since this was asked last.
    pub(super) fn new_silences(&mut self) -> Result<Vec<IncidentRow>, String> {
        let mut rows = self.incidents()?;
        rows.retain(|row| {
            row.body.contains("\"silent\"") && !self.known_silent.contains(&row.incident_key.to_string())
        });
        self.known_silent.extend(rows.iter().map(|row| row.incident_key.to_string()));
        Ok(rows)
    }

    /// Judges every site again by its facts alone: how much that changes. After the tasks have turned it must be nothing
    /// (I4). `None`: it died in it.
    pub(super) fn judged_again(&mut self, now_ms: u64) -> Result<Option<u64>, String> {
        let mut turn = Turn::default();
        self.turn(&[Task::Own, Task::Watch], now_ms, &mut turn)?;
        // By the right time: a deadline that is put off by a clock that is ahead is none.
        let now = stamp(now_ms, 0);
        let due = self.house.call(async |desk| {
            let due = desk.store().write::<_, StoreError, _>("sim.due", move |tx| {
                for site in 0..SITES.len() {
                    let (client, site): (_, SiteId) = (peer(site).client, peer(site).site);
                    tx.put_site_due(SiteKey { client: &client, site: &site }, Some(now))?;
                }
                Ok(())
            });
            due.await
        });
        match due {
            Err(Dead) => return Ok(None),
            Ok(due) => due.map_err(|error| error.to_string())?,
        }
        match self.house.task(Task::Watch, &self.around) {
            Err(Dead) => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(report)) => Ok(Some(report.changed)),
        }
    }
}

/// What came of turns of tasks.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Turn {
    pub(super) died: bool,
    /// What they changed, mixed.
    pub(super) changed: u64,
    /// Whether a silence was opened.
    pub(super) has_silence: bool,
    /// Whether a new process began.
    pub(super) has_started: bool,
}

pub(super) fn ana() -> Actor {
    Actor::person("ana")
}

/// An instant of the run by a clock that is off.
pub(super) fn stamp(now_ms: u64, off_ms: i64) -> Timestamp {
    let ms = START_MS.saturating_add_unsigned(now_ms).saturating_add(off_ms);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The run's time at an instant.
pub(super) fn run_ms(at: Timestamp) -> i64 {
    at.as_millisecond() - START_MS
}

fn mono(now_ms: u64) -> Mono {
    Mono(now_ms * 1_000_000)
}

fn row(peer: &AgentPeer, signing_key: [u8; 32], now: Timestamp) -> AgentRow {
    AgentRow {
        client: peer.client.clone(),
        agent: peer.agent.clone(),
        site: peer.site.clone(),
        host: "srv-1".to_owned(),
        status: AgentStatus::Active,
        signing_key,
        enrolled_at: now - SignedDuration::from_secs(1),
        status_at: now - SignedDuration::from_secs(1),
        first_seen: None,
    }
}

fn unknown_agent() -> upheld_wire::v1::Problem {
    upheld_desk::unavailable(&upheld_desk::DeskError::NoBook)
}

/// Whoever is told takes it; what may go wrong there is the ticket room's.
struct TakesAll;

impl Channel for TakesAll {
    fn send<'a>(
        &'a self,
        _: &'a Address,
        _: &'a upheld_outbound::Delivery,
        _: How,
        _: Timestamp,
    ) -> Boxed<'a, upheld_outbound::Outcome> {
        Box::pin(std::future::ready(upheld_outbound::Outcome::Delivered {
            reference: "T-1".to_owned(),
            known_as: None,
        }))
    }

    fn has_mail(&self) -> bool {
        true
    }
}
