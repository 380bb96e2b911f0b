//! What must hold of what the desk has stored, and of what the ticket system was told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;
use upheld_desk::{IncidentView, Scope};
use upheld_model::IncidentRef;
use upheld_outbound::{EventKind, retry::ATTEMPTS_MAX};
use upheld_store::{
    ReadTx, StoreError,
    clocks::ClockRow,
    incidents::IncidentRow,
    ledger::LedgerRow,
    outbox::{OutboxRow, OutboxStatus},
};

use super::{
    people::Asked,
    server::Item,
    world::{World, stamp},
};

/// A clock's due as it stood, and the length of the ledger that explained it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stood {
    due: Option<Timestamp>,
    was_paused: bool,
    facts: usize,
}

/// How each clock stood at the last look.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<(IncidentRef, String), Stood>);

/// One incident with all that is stored about it.
struct File {
    row: IncidentRow,
    ledger: Vec<LedgerRow>,
    clocks: Vec<ClockRow>,
    messages: Vec<OutboxRow>,
}

impl File {
    fn reference(&self) -> IncidentRef {
        IncidentRef { client: self.row.client.clone(), number: self.row.number }
    }
}

fn files(tx: &dyn ReadTx, with_messages: bool) -> Result<Vec<File>, StoreError> {
    let mut files = Vec::new();
    for row in tx.newest_incidents(None, 10_000)? {
        let ledger = tx.ledger(&row.client, row.number)?;
        let clocks = tx.clocks(&row.client, row.number)?;
        let messages = if with_messages { tx.messages_of(&row.client, row.number)? } else { Vec::new() };
        files.push(File { row, ledger, clocks, messages });
    }
    Ok(files)
}

impl World {
    fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn ReadTx) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, String> {
        let desk = self.house.reader()?;
        self.house.block_on(desk.store().read::<_, StoreError, _>("sim.read", what)).map_err(|error| error.to_string())
    }

    /// The incidents that people still deal with.
    pub(super) fn open_incidents(&self) -> Result<Vec<IncidentRef>, String> {
        let rows = self.read(|tx| tx.open_incidents(None))?;
        Ok(rows.into_iter().map(|row| IncidentRef { client: row.client, number: row.number }).collect())
    }

    /// Whether a message waits to be sent.
    pub(super) fn has_waiting(&self) -> Result<bool, String> {
        self.read(|tx| tx.next_message_at()).map(|next| next.is_some())
    }

    /// What holds at any time; at the end nothing waits any more.
    pub(super) fn check(&mut self, is_end: bool) -> Result<(), String> {
        let files = self.read(move |tx| files(tx, is_end))?;
        one_open_each(&files)?;
        self.no_clock_moved(&files)?;
        self.said_once(&files)?;
        if is_end {
            self.all_is_told(&files)?;
            self.clocks_are_told_once(&files)?;
            self.tickets_of_truth()?;
        }
        Ok(())
    }

    /// I10: a due moves with a fact of the ledger; a pause alone ends by itself.
    fn no_clock_moved(&mut self, files: &[File]) -> Result<(), String> {
        let now = stamp(self.now_ms, 0);
        // What an upload brought to a collector that was started by a clock that was ahead lies in the future: it is so when
        // that has come (README.md).
        let is_right = !self.was_misled;
        let is_dated_right =
            |file: &&File| is_right || file.ledger.iter().all(|row| row.effective_at <= now && row.recorded_at <= now);
        self.seen
            .0
            .retain(|(incident, _), _| files.iter().filter(is_dated_right).any(|file| file.reference() == *incident));
        for file in files.iter().filter(|file| file.row.terms.is_some()).filter(is_dated_right) {
            // As it stands at this moment: what is stored was computed as it was looked at last.
            for clock in self.view(&file.reference())?.clocks {
                let (at, facts) = ((file.reference(), clock.stage.clone()), file.ledger.len());
                let stands = Stood { due: clock.due, was_paused: clock.state == "paused", facts };
                match self.seen.0.insert(at, stands) {
                    Some(stood) if stood.facts == facts && stood.due != clock.due && !stood.was_paused => {
                        let (incident, name) = (file.reference(), &clock.stage);
                        let (from, to) = (stood.due, clock.due);
                        return Err(format!(
                            "I10: {incident} {name} moves from {from:?} to {to:?} and no fact says why"
                        ));
                    }
                    Some(_) | None => {}
                }
            }
        }
        Ok(())
    }

    /// I2: what was answered is there once, what was not is there once at most.
    fn said_once(&self, files: &[File]) -> Result<(), String> {
        for asked in &self.asked {
            let says = |row: &&LedgerRow| row.body.contains(&asked.token);
            let times: usize = files.iter().map(|file| file.ledger.iter().filter(says).count()).sum();
            let Asked { token, answered_at, is_unclear, leaves_fact, what, .. } = asked;
            let is_right = match (answered_at.is_some(), *is_unclear) {
                (true, _) if *leaves_fact => times == 1,
                (true, _) | (false, true) => times <= 1,
                (false, false) => times == 0,
            };
            if !is_right {
                let answered = if answered_at.is_some() { "answered" } else { "not answered" };
                return Err(format!("I2: {token} was {answered} and is there {times} times: {what:?}"));
            }
        }
        Ok(())
    }

    /// I13 and I5: every message reached its receiver, or was refused or given up with a word; every incident has its ticket.
    fn all_is_told(&self, files: &[File]) -> Result<(), String> {
        let server = self.server.inside();
        let there: BTreeSet<&str> = server.items.iter().map(|item| item.key.as_str()).collect();
        // One that was opened before commits were lost may be there under another key.
        let is_there = |message: &OutboxRow| {
            let named = message.reference.as_deref().and_then(|reference| reference.strip_prefix("T-"));
            there.contains(message.key.as_str()) || named.is_some_and(|named| there.contains(named))
        };
        for file in files {
            let is_dealt_with = file.row.terms.is_some() || file.row.refusal.is_some();
            let opened = EventKind::IncidentOpened.as_str();
            if is_dealt_with && !file.messages.iter().any(|message| message.event == opened) {
                return Err(format!("I5: {} has no ticket in the outbox", file.reference()));
            }
            for message in &file.messages {
                let what = || format!("{} of {} ({})", message.event, file.reference(), message.key);
                match message.status {
                    OutboxStatus::Pending => {
                        let (next, why) = (message.next_attempt_at, &message.last_error);
                        return Err(format!("I13: {} still waits until {next:?}: {why:?}", what()));
                    }
                    OutboxStatus::Delivered if is_there(message) => {}
                    OutboxStatus::Failed if message.last_error.is_some() => {
                        let is_late = usize::try_from(message.attempts).unwrap_or(0) >= ATTEMPTS_MAX;
                        if !is_late && !server.refused.contains(&message.key) {
                            return Err(format!("I13: {} was given up: {:?}", what(), message.last_error));
                        }
                    }
                    status @ (OutboxStatus::Delivered | OutboxStatus::Failed | OutboxStatus::Dropped) => {
                        return Err(format!("I5: {} is {status:?} and never arrived", what()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Each clock announces once, whatever became of the process, and what stands announced is what happened (F6, F7).
    fn clocks_are_told_once(&self, files: &[File]) -> Result<(), String> {
        for file in files {
            let told: Vec<Value> =
                file.messages.iter().filter_map(|row| serde_json::from_str(&row.body).ok()).collect();
            let stand = standing(told.iter())?;
            let view = self.view(&file.reference())?;
            for clock in &view.clocks {
                let breached = stand.get(&(clock.stage.clone(), "breach".to_owned())).copied().unwrap_or(0);
                if breached != i64::from(clock.breached_at.is_some()) {
                    let (incident, stage, at) = (&view.incident, &clock.stage, clock.breached_at);
                    let row = file.clocks.iter().find(|row| row.clock == *stage);
                    return Err(format!(
                        "{incident} {stage} is breached at {at:?}, and {breached} such stand told: {row:?}"
                    ));
                }
            }
        }
        // What the receiver saw, over all lives of the collector.
        let server = self.server.inside();
        let losses = i64::from(self.losses);
        let mut by_incident: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for item in &server.items {
            by_incident.entry(item.incident()).or_default().push(&item.body);
        }
        for (incident, told) in by_incident {
            for ((stage, milestone), times) in standing(told.into_iter()).unwrap_or_default() {
                if times > 1 + losses {
                    return Err(format!(
                        "{stage} of incident {incident} is told {times} times to be at its {milestone}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn view(&self, incident: &IncidentRef) -> Result<IncidentView, String> {
        let (desk, now) = (self.house.reader()?, stamp(self.now_ms, 0));
        self.house.block_on(desk.incident(&Scope::Provider, incident, now)).map_err(|error| error.to_string())
    }

    /// I5 by what truly failed: a check's incidents are no more than its faults.
    fn tickets_of_truth(&self) -> Result<(), String> {
        let server = self.server.inside();
        let mut tickets: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
        // Of one that was deleted by hand a collector that was set back to before it knows nothing.
        let is_forgotten = |item: &&Item| item.is_deleted && item.at_ms < server.lost_at_ms;
        let opened = server.items.iter().filter(|item| item.kind == EventKind::IncidentOpened);
        for item in opened.filter(|item| !is_forgotten(item)) {
            let data = &item.body["data"];
            let word = |name: &str| data[name].as_str().map(str::to_owned);
            let (Some(client), Some(check)) = (word("client"), word("check")) else { continue };
            tickets.entry((client, check)).or_default().insert(item.incident());
        }
        for ((client, check), incidents) in tickets {
            let faults = self.faults_of(&client, &check);
            if incidents.len() > faults {
                let tickets = incidents.len();
                return Err(format!("I5: {check} of {client} failed {faults} times and has {tickets} tickets"));
            }
        }
        Ok(())
    }
}

/// I5: at most one open incident of a key.
fn one_open_each(files: &[File]) -> Result<(), String> {
    let mut open = BTreeSet::new();
    for file in files.iter().filter(|file| file.row.over_at.is_none()) {
        if !open.insert((&file.row.client, &file.row.dedup)) {
            return Err(format!("I5: {} is not the only open one of its key", file.reference()));
        }
    }
    Ok(())
}

/// How often each milestone stands told: as announced, less what was taken back.
fn standing<'a>(told: impl Iterator<Item = &'a Value>) -> Result<BTreeMap<(String, String), i64>, String> {
    let mut stand: BTreeMap<(String, String), i64> = BTreeMap::new();
    for message in told {
        let clock = &message["data"]["clock"];
        let (Some(stage), Some(milestone)) = (clock["stage"].as_str(), clock["milestone"].as_str()) else { continue };
        let times = match message["type"].as_str() {
            Some("clock.withdrawn") => -1,
            Some("clock.warning" | "clock.breached") => 1,
            Some(_) | None => 0,
        };
        *stand.entry((stage.to_owned(), milestone.to_owned())).or_default() += times;
    }
    match stand.iter().find(|(_, times)| !(0..=1).contains(*times)) {
        Some(((stage, milestone), times)) => Err(format!("{stage} is told {times} times to be at its {milestone}")),
        None => Ok(stand),
    }
}
