//! The collector watches itself: its line, its data door, its clock (DETECTION 4.6, 4.7; DELIVERY 4).
//!
//! The machines are detection's ([`upheld_detection::own`]); they stand in this process's memory. What they say is stored
//! by [`Desk::own_once`]: the stretch, for guards and for clients' time, and one incident of the reserved client
//! [`OWN_CLIENT`], which no book may name, so that only the provider sees it. Until it is stored nobody is called silent.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upheld_detection::{
    incident::{DedupKey, OwnSeen, Root, Trigger},
    own::{Change, ClockGuard, Door, Line, Look, QUORUM, Reading, Trouble},
    silence::{Deaf, GUARD_MAX},
};
use upheld_model::{AgentId, ClientId, IncidentClass, IncidentKind, SiteId};
use upheld_store::{ReadTx, Tx, agents::AgentStatus, facts::SiteKey};

use crate::{
    Desk, DeskError,
    book::put_all_due,
    case::text,
    clock, site,
    tasks::{Report, Surroundings},
};

/// The client and the site under which the collector's own incidents stand.
pub const OWN_CLIENT: &str = "collector";
/// An agent that was not heard for longer says nothing about the clock.
const OFFSET_KEPT: SignedDuration = SignedDuration::from_secs(90);
/// How long a new process waits for agents whose clocks contradict its own: it has no reading from before.
const COMPARED_WITHIN: SignedDuration = SignedDuration::from_secs(90);

/// By how much a clock may be off otherwise than it is stored: the agents' median is never twice the same.
const KEPT_WITHIN_MS: u64 = 1_000;
/// As whose fold the collector's clock is kept, beside those of agents' samples.
const CLOCK: &str = "clock";

/// How both clocks are read.
pub(crate) type Clocks = Box<dyn Fn() -> Reading + Send + Sync>;

/// The machines of this process, and what they said and is not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Own {
    line: Line,
    door: Door,
    clock: ClockGuard,
    pub(crate) reading: Option<Reading>,
    /// The collector's clock minus each agent's, and when that was measured.
    offsets: BTreeMap<AgentId, (SignedDuration, Timestamp)>,
    said: VecDeque<(Trouble, Change)>,
    /// What each trouble that stands was said to have begun with.
    began: BTreeMap<Trouble, Change>,
    /// The doubt about the clock as it is stored.
    kept: Option<Doubt>,
    pub(crate) next_look: Option<Timestamp>,
    pub(crate) beat: Beat,
}

/// By how much the clock is off while it is in doubt, for the process after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doubt {
    /// Since when it is in doubt: of another doubt this says nothing.
    since: Timestamp,
    off_ms: i64,
}

/// What lasted when the process before this one ended.
#[derive(Debug, Default)]
pub(crate) struct Before {
    troubles: Vec<(Trouble, Timestamp)>,
    doubt: Option<Doubt>,
}

/// The heartbeat that goes out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Beat {
    /// When the last one was taken.
    pub last_good: Option<Timestamp>,
    /// When the next one is due.
    #[serde(skip)]
    pub next: Option<Timestamp>,
    /// Why the last one did not go out, or was not taken; `None` when it was.
    pub failure: Option<String>,
}

/// How the collector itself is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OwnHealth {
    /// Whether anybody watches the line.
    pub is_line_watched: bool,
    /// What is wrong at present.
    pub troubles: Vec<Trouble>,
    /// The heartbeat that goes out.
    pub beat: Beat,
}

impl Own {
    fn observe(&mut self, reading: Reading) {
        self.reading = Some(reading);
        let change = self.clock.read(reading);
        self.note(Trouble::Clock, change);
    }

    fn note(&mut self, trouble: Trouble, change: Option<Change>) {
        let Some(change) = change else { return };
        match &change {
            Change::Begins { since, why, .. } => {
                tracing::warn!(%trouble, %since, why, "the collector itself is in trouble");
            }
            Change::Ends { until, why, .. } => {
                tracing::info!(%trouble, %until, why, "the collector's own trouble is over");
            }
        }
        if trouble == Trouble::Clock {
            // What was measured by another clock says nothing about this one.
            self.offsets.clear();
        }
        match &change {
            Change::Begins { .. } => drop(self.began.insert(trouble, change.clone())),
            Change::Ends { .. } => drop(self.began.remove(&trouble)),
        }
        self.said.push_back((trouble, change));
    }

    fn troubles(&self) -> Vec<Trouble> {
        let stands = |trouble: &Trouble| match trouble {
            Trouble::Line => self.line.is_lost(),
            Trouble::Door => self.door.is_refusing(),
            Trouble::Clock => self.clock.is_in_doubt(),
        };
        Trouble::ALL.into_iter().filter(stands).collect()
    }

    /// The doubt about the clock where it is not stored as it stands.
    fn doubt_to_keep(&self) -> Option<Doubt> {
        let (since, off) = self.clock.doubt()?;
        let since = clock::stored(since);
        let doubt = Doubt { since, off_ms: i64::try_from(off.as_millis()).unwrap_or(i64::MAX) };
        let is_kept = |kept: Doubt| kept.since == since && kept.off_ms.abs_diff(doubt.off_ms) <= KEPT_WITHIN_MS;
        (!self.kept.is_some_and(is_kept)).then_some(doubt)
    }

    fn offsets(&mut self, now: Timestamp) -> Vec<SignedDuration> {
        self.offsets.retain(|_, (_, at)| now.duration_since(*at).abs() <= OFFSET_KEPT);
        self.offsets.values().map(|(offset, _)| *offset).collect()
    }
}

impl Desk {
    pub(crate) fn own(&self) -> MutexGuard<'_, Own> {
        self.shared.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares both clocks. Call it before anything is judged by the wall clock, so that nothing is announced by a
    /// clock that has just jumped.
    pub fn observe(&self, reading: Reading) {
        self.own().observe(reading);
    }

    /// How the clocks are read from here on, also where no task turns: an upload may come before one has looked.
    pub(crate) fn clocks_are(&self, around: &Surroundings) {
        self.shared.clocks.get_or_init(|| {
            let (wall, mono) = (Arc::clone(&around.clock), Arc::clone(&around.mono));
            Box::new(move || Reading { wall: wall(), mono: mono() })
        });
    }

    /// What an upload that comes now, from who has this clock, is dated by: while the collector's is in doubt the time that
    /// is likely ([`ClockGuard::likely`]).
    pub(crate) fn dated(&self, now: Timestamp, witness: Option<Timestamp>) -> Timestamp {
        let reading = self.shared.clocks.get().map(|read| read());
        let mut own = self.own();
        reading.into_iter().for_each(|reading| own.observe(reading));
        clock::stored(own.clock.likely(now, witness))
    }

    /// Takes one look at the anchors.
    pub fn line_looked(&self, look: Look, now: Timestamp) {
        let mut own = self.own();
        let change = own.line.looked(look, clock::stored(now));
        own.note(Trouble::Line, change);
    }

    /// An upload was refused before the desk could look at it: the store did not answer.
    pub fn refused_upload(&self, agent: &AgentId, now: Timestamp) {
        drop(Inside::came(self, agent, clock::stored(now)));
    }

    /// How the collector itself is.
    pub fn own_health(&self) -> OwnHealth {
        let own = self.own();
        OwnHealth { is_line_watched: own.line != Line::Unwatched, troubles: own.troubles(), beat: own.beat.clone() }
    }

    /// Whether the clock is in doubt: nothing is announced by it.
    pub(crate) fn is_clock_in_doubt(&self) -> bool {
        self.own().clock.is_in_doubt()
    }

    /// Whether spans of time may be measured by the wall clock: it is not in doubt, what was said of it is stored, and
    /// since this process began it was held against the agents' or had the time to be.
    pub(crate) async fn is_clock_settled(&self, now: Timestamp) -> Result<bool, DeskError> {
        let is_new = self.this_run().is_some_and(|run| now.duration_since(run.started_at).abs() < COMPARED_WITHIN);
        let is_heard = {
            let mut own = self.own();
            if own.clock.is_in_doubt() || own.said.iter().any(|(trouble, _)| *trouble == Trouble::Clock) {
                return Ok(false);
            }
            own.offsets(now).len() >= QUORUM
        };
        if is_heard || !is_new {
            return Ok(true);
        }
        // Fewer could not contradict it either.
        let agents = self.store.read("own.agents", |tx| tx.agents(None).map_err(DeskError::from)).await?;
        let can_say = agents.iter().filter(|agent| agent.status == AgentStatus::Active).count();
        Ok(can_say < QUORUM)
    }

    /// Whether a trouble lasts, or is not stored yet: nobody is called silent.
    pub(crate) fn is_in_trouble(&self) -> bool {
        let own = self.own();
        !own.said.is_empty() || !own.troubles().is_empty()
    }

    /// Asks the machines what time has made of them, and stores what they said: the stretch and its incident. Call it
    /// every second or so.
    pub async fn own_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("own");
        self.ask_machines(now).await?;
        loop {
            let Some((trouble, change)) = self.own().said.front().cloned() else { break };
            report.seen += 1;
            let (shared, doubt) = (Arc::clone(&self.shared), self.own().doubt_to_keep());
            self.store
                .write("own.store", move |tx| {
                    doubt.into_iter().try_for_each(|doubt| keep(tx, doubt))?;
                    let book = match shared.books.current(&*tx) {
                        Ok(book) => Some(book),
                        Err(DeskError::NoBook) => None,
                        Err(error) => return Err(error),
                    };
                    let is_clock_believed = trouble == Trouble::Clock && matches!(change, Change::Ends { .. });
                    let trigger = store(tx, trouble, change, now)?;
                    // Without a book nobody can be told.
                    let Some(book) = book else { return Ok(0) };
                    if is_clock_believed {
                        // By another time other facts lie ahead, and what was made of them may not hold.
                        put_all_due(tx, &book.book, now)?;
                    }
                    let (client, site) = place()?;
                    site::react(tx, &book, &client, &site, &[trigger], now)
                })
                .await?;
            if trouble == Trouble::Clock && !self.is_clock_in_doubt() {
                self.alive_at_most(now);
            }
            let mut own = self.own();
            own.kept = doubt.or(own.kept);
            // Only this task takes from the front.
            own.said.pop_front();
            report.changed += 1;
        }
        // It moved again, or the agents know better.
        let doubt = self.own().doubt_to_keep();
        if let Some(doubt) = doubt {
            self.store.write("own.keep", move |tx| keep(tx, doubt)).await?;
            self.own().kept = Some(doubt);
        }
        for trouble in Trouble::ALL {
            let stands = f64::from(u8::from(self.own().troubles().contains(&trouble)));
            metrics::gauge!("upheld_own_trouble", "trouble" => trouble.as_str()).set(stands);
        }
        if report.changed > 0 {
            self.shared.wake.all();
        }
        Ok(report)
    }

    async fn ask_machines(&self, now: Timestamp) -> Result<(), DeskError> {
        let is_settled =
            self.is_clock_in_doubt() && self.own().said.is_empty() && self.was_closed(Trouble::Clock).await?;
        let mut own = self.own();
        let change = own.door.handle_timeout(now);
        own.note(Trouble::Door, change);
        let Some(reading) = own.reading else { return Ok(()) };
        let offsets = own.offsets(now);
        let change = if is_settled {
            own.clock.settled_by_person(&offsets, reading)
        } else {
            own.clock.asked(&offsets, reading)
        };
        own.note(Trouble::Clock, change);
        Ok(())
    }

    /// Another collector stores what is wrong: the machines of this one go on, and what they say is kept as where they
    /// stand.
    pub(crate) async fn own_beside(&self, now: Timestamp) -> Result<(), DeskError> {
        self.ask_machines(clock::stored(now)).await?;
        self.own().said.clear();
        Ok(())
    }

    /// From here on this collector stores what is wrong: what the one before it stored as lasting and is not seen from here
    /// ends, and what stands here begins.
    pub(crate) async fn own_taken(&self, now: Timestamp) -> Result<(), DeskError> {
        let now = clock::stored(now);
        let open: BTreeMap<Trouble, Timestamp> =
            self.store.read("own.open", |tx| open(tx)).await?.into_iter().collect();
        let mut own = self.own();
        own.said.clear();
        // The one before it kept what its own clock was off by.
        own.kept = None;
        let stands = own.troubles();
        for (trouble, since) in open.iter().filter(|(trouble, _)| !stands.contains(trouble)) {
            let why = "it is not seen from another collector, which took over".to_owned();
            own.said.push_back((*trouble, Change::Ends { since: *since, until: now, why }));
        }
        let new: Vec<_> = stands.into_iter().filter(|trouble| !open.contains_key(trouble)).collect();
        for trouble in new {
            let begins = own.began.get(&trouble).cloned();
            own.said.extend(begins.map(|change| (trouble, change)));
        }
        Ok(())
    }

    /// Whether a person has closed the incident of a trouble that lasts.
    async fn was_closed(&self, trouble: Trouble) -> Result<bool, DeskError> {
        let shared = Arc::clone(&self.shared);
        self.store
            .read("own.closed", move |tx| {
                if matches!(shared.books.current(tx), Err(DeskError::NoBook)) {
                    return Ok(false);
                }
                let (client, site) = place()?;
                let root = Root::Collector { trouble };
                let dedup = DedupKey::new(&client, &site, &root, IncidentClass::Monitoring, IncidentKind::Down);
                Ok::<_, DeskError>(tx.open_incident(&client, dedup.as_str())?.is_none())
            })
            .await
    }

    /// What lasted when the process before this one ended goes on until this one knows better; its door is a new one.
    /// A clock that is behind the last sign of life of any process is in doubt from the start.
    pub(crate) fn own_of_before(&self, before: &Before, last_alive: Option<Timestamp>, now: Timestamp) {
        let mut own = self.own();
        own.kept = before.doubt;
        for (trouble, since) in &before.troubles {
            match trouble {
                Trouble::Line => own.line = Line::lost_since(*since),
                Trouble::Clock => {
                    let known = before.doubt.filter(|doubt| doubt.since == *since);
                    let off = SignedDuration::from_millis(known.map_or(0, |doubt| doubt.off_ms));
                    own.clock = ClockGuard::in_doubt_since(*since, off);
                }
                Trouble::Door => {
                    let why = "the collector was started again".to_owned();
                    own.said.push_back((Trouble::Door, Change::Ends { since: *since, until: now, why }));
                }
            }
        }
        let change = last_alive.and_then(|last_alive| own.clock.started(last_alive, now));
        own.note(Trouble::Clock, change);
    }
}

/// An upload inside the door. Dropped before its end is known, as when its line breaks, it counts as not taken.
pub(crate) struct Inside<'a> {
    desk: &'a Desk,
    agent: &'a AgentId,
    now: Timestamp,
    is_known: bool,
}

impl<'a> Inside<'a> {
    pub(crate) fn came(desk: &'a Desk, agent: &'a AgentId, now: Timestamp) -> Self {
        desk.own().door.came(agent, now);
        Self { desk, agent, now, is_known: false }
    }

    /// It was told that it has no business here.
    pub(crate) fn told(mut self) {
        self.is_known = true;
        self.desk.own().door.took(self.agent, self.now);
    }

    /// It was answered by what is committed, or is a sign of life that will be. `offset` is the collector's clock minus the agent's.
    pub(crate) fn took(mut self, offset: SignedDuration) {
        self.is_known = true;
        let mut own = self.desk.own();
        own.door.took(self.agent, self.now);
        own.offsets.insert(self.agent.clone(), (offset, self.now));
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if !self.is_known {
            self.desk.own().door.refused(self.agent, self.now);
        }
    }
}

/// Stores a stretch; what detection is told of it.
fn store(tx: &mut dyn Tx, trouble: Trouble, change: Change, now: Timestamp) -> Result<Trigger, DeskError> {
    Ok(match change {
        Change::Begins { since, noticed, why } => {
            tx.begin_own_outage(trouble.as_str(), since)?;
            Trigger::OwnTrouble(OwnSeen { trouble, since, noticed, why })
        }
        Change::Ends { since: _, until, why } => {
            tx.end_own_outage(trouble.as_str(), until)?;
            if trouble == Trouble::Clock {
                tx.last_seen_at_most(now)?;
                tx.runs_at_most(now)?;
                // How long ago they were tried was measured by a clock that was wrong.
                tx.doubt_waiting_messages(now)?;
                tx.wake_waiting_messages(now)?;
            }
            Trigger::OwnTroubleOver { trouble, until, why }
        }
    })
}

/// The stretches that reach into the last quarter of an hour and more, as silence is judged by them.
pub(crate) fn deaf(tx: &dyn ReadTx, now: Timestamp) -> Result<Vec<Deaf>, DeskError> {
    let since = now.saturating_sub(GUARD_MAX).unwrap_or(now);
    let rows = tx.own_outages(since)?;
    Ok(rows.into_iter().map(|row| Deaf { from: row.since, until: row.until }).collect())
}

/// The stretches, ended or not, in which the collector could not hear, from `since` on: those of its clock too.
pub(crate) fn outages(tx: &dyn ReadTx, since: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>, DeskError> {
    let rows = tx.own_outages(since)?;
    Ok(rows.into_iter().map(|row| (row.since, row.until.unwrap_or(Timestamp::MAX))).collect())
}

/// What lasted when the process before this one ended. Where there are several collectors nobody knows whose clock it was,
/// and so not by how much it is off.
pub(crate) fn before(tx: &dyn ReadTx) -> Result<Before, DeskError> {
    let ((client, site), clock) = (place()?, clock_name()?);
    let key = SiteKey { client: &client, site: &site };
    let kept = if tx.leases()?.is_empty() { tx.kept_now(key, &clock)? } else { None };
    let read =
        |body: &str| serde_json::from_str(body).map_err(|error| DeskError::unreadable("doubt of the clock", &error));
    Ok(Before { troubles: open(tx)?, doubt: kept.as_deref().map(read).transpose()? })
}

fn keep(tx: &mut dyn Tx, doubt: Doubt) -> Result<(), DeskError> {
    let ((client, site), clock) = (place()?, clock_name()?);
    let key = SiteKey { client: &client, site: &site };
    Ok(tx.put_kept_now(key, &clock, &text("doubt of the clock", &doubt)?)?)
}

/// The troubles that are stored as lasting.
fn open(tx: &dyn ReadTx) -> Result<Vec<(Trouble, Timestamp)>, DeskError> {
    let mut open = Vec::new();
    for trouble in Trouble::ALL {
        open.extend(tx.own_outage_open(trouble.as_str())?.map(|since| (trouble, since)));
    }
    Ok(open)
}

fn clock_name() -> Result<AgentId, DeskError> {
    CLOCK.parse().map_err(|error| DeskError::unreadable("the collector's own name", &error))
}

fn place() -> Result<(ClientId, SiteId), DeskError> {
    let what = "the collector's own name";
    let client = OWN_CLIENT.parse().map_err(|error| DeskError::unreadable(what, &error))?;
    Ok((client, OWN_CLIENT.parse().map_err(|error| DeskError::unreadable(what, &error))?))
}
