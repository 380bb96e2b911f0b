//! Signs of life that say nothing new: answered at once, kept in memory, and written together every second or so.
//!
//! A heartbeat brings no record, so its answer acknowledges none, and one that tells the present that is held already
//! tells only that the agent was heard. When that was may stand in the database a little later, as long as nobody can
//! take the agent for silent by what stands there. So a sign waits only if the one before it is in the database and no
//! older than [`LATELY`]: a row that lags is then far from three heartbeats old, for this collector and for others.
//! What a crash takes with it is a second's signs of agents that beat again, and a collector that comes back, or goes,
//! blames nobody until they had time to (DETECTION 4.7).

use std::{
    collections::BTreeMap,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use upheld_delivery::receiver::Verdict;
use upheld_model::{AgentId, PresentId};
use upheld_store::{
    ReadTx,
    agents::{AgentNowRow, SeenRow},
};
use upheld_wire::v1::present;

use super::{Upload, judged::Judged};
use crate::{Desk, DeskError, book::HEARTBEAT_MS, clock, tasks::Report};

/// One heartbeat and a half: what is written of an agent before one of its signs waits is no older.
const LATELY: SignedDuration = SignedDuration::from_millis(HEARTBEAT_MS.cast_signed() * 3 / 2);
/// While a sign waits for longer than this to be written, none joins it: each is committed before it is answered, and
/// refused if that cannot be.
const WAITS_MAX: Duration = Duration::from_secs(5);
/// Agents of whom a sign may wait.
const WAITING_MAX: usize = 50_000;

/// The signs that wait.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Whether a loop writes them.
    is_written: bool,
    waiting: BTreeMap<AgentId, SeenRow>,
    /// Since when the first of them waits.
    since: Option<Instant>,
    /// The same of those that are being written.
    in_hand: Option<Instant>,
}

impl Seen {
    /// Keeps a sign, if signs may wait; if not, it is to be written before it is answered.
    pub(super) fn keep(&mut self, row: SeenRow, now: Instant) -> bool {
        let oldest = self.in_hand.or(self.since);
        let hangs = oldest.is_some_and(|since| now.saturating_duration_since(since) > WAITS_MAX);
        let has_room = self.waiting.len() < WAITING_MAX || self.waiting.contains_key(&row.agent);
        if !self.is_written || hangs || !has_room {
            return false;
        }
        self.since.get_or_insert(now);
        self.waiting.insert(row.agent.clone(), row);
        true
    }

    /// Takes all that wait into hand.
    fn take(&mut self) -> Vec<SeenRow> {
        self.in_hand = self.since.take();
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// They could not be written: they wait on, those excepted of which a newer one has come.
    fn put_back(&mut self, rows: &[SeenRow]) {
        self.since = self.in_hand.take();
        for row in rows {
            self.waiting.entry(row.agent.clone()).or_insert_with(|| row.clone());
        }
    }
}

impl Desk {
    /// From here on signs of life may wait, since somebody calls [`Desk::seen_once`] every second or so; or no more.
    pub(crate) fn signs_wait(&self, may_wait: bool) {
        self.seen().is_written = may_wait;
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the signs of life that wait, all in one transaction. What cannot be written waits on.
    pub async fn seen_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now).max(self.dated(now, None));
        let mut report = Report::of("seen");
        let mut rows = self.seen().take();
        if rows.is_empty() {
            return Ok(report);
        }
        for row in &mut rows {
            // Nobody was heard later than now: the clock was set back since.
            row.last_seen = row.last_seen.min(now);
        }
        report.seen = rows.len() as u64;
        let rows = Arc::new(rows);
        let written = {
            let rows = Arc::clone(&rows);
            self.store.write("desk.seen", move |tx| tx.note_seen(&rows).map_err(DeskError::from)).await
        };
        let mut seen = self.seen();
        match written {
            Ok(()) => seen.in_hand = None,
            Err(error) => {
                seen.put_back(&rows);
                return Err(error);
            }
        }
        report.changed = report.seen;
        Ok(report)
    }
}

/// The sign of life in an upload that is nothing else, and may wait, with the name of the present that is held; `None` for
/// any other.
pub(super) fn sign(
    tx: &dyn ReadTx,
    upload: &Upload<'_>,
    judged: &Judged,
) -> Result<Option<(SeenRow, PresentId)>, DeskError> {
    let is_known = judged.row.as_ref().is_some_and(|row| row.first_seen.is_some());
    if !is_known || !matches!(judged.verdict, Some(Verdict::Heartbeat)) {
        return Ok(None);
    }
    let Some(held) = tx.agent_now(&upload.peer.client, &upload.peer.agent)? else { return Ok(None) };
    let ago = upload.now.duration_since(held.last_seen);
    if ago.is_negative() || ago > LATELY || upload.is_overtaken(&held) {
        return Ok(None);
    }
    let checks = upload.states(Some(&held))?;
    let name = present::name_of(&checks);
    let told = upload.present(held.last_seen, checks)?;
    let sign = SeenRow {
        client: told.client.clone(),
        agent: told.agent.clone(),
        last_seen: upload.now,
        wall: told.wall,
        mono: told.mono,
        offset_ms: told.offset_ms,
    };
    // All but the clocks as it is held.
    let (wall, mono, offset_ms) = (held.wall, held.mono, held.offset_ms);
    let says_nothing_new = AgentNowRow { wall, mono, offset_ms, ..told } == held;
    Ok(says_nothing_new.then_some((sign, name)))
}

#[cfg(test)]
mod tests {
    use upheld_model::Mono;

    use super::*;

    fn row(agent: &str, seconds: i64) -> SeenRow {
        let at = Timestamp::from_second(seconds).unwrap();
        let (client, agent) = ("acme".parse().unwrap(), agent.parse().unwrap());
        SeenRow { client, agent, last_seen: at, wall: at, mono: Mono(1), offset_ms: 0 }
    }

    #[test]
    fn a_sign_waits_only_while_somebody_writes_and_nothing_hangs() {
        let begun = Instant::now();
        let mut seen = Seen::default();
        assert!(!seen.keep(row("a", 1), begun), "nobody writes");
        seen.is_written = true;
        assert!(seen.keep(row("a", 1), begun) && seen.keep(row("a", 2), begun + WAITS_MAX));
        assert!(!seen.keep(row("b", 3), begun + WAITS_MAX + Duration::from_millis(1)), "the first waits too long");
        assert_eq!(seen.take(), [row("a", 2)], "the latest of an agent");
        assert!(!seen.keep(row("b", 3), begun + WAITS_MAX + Duration::from_millis(1)), "in hand is not written yet");
    }

    #[test]
    fn what_could_not_be_written_waits_on_behind_what_came_since() {
        let begun = Instant::now();
        let mut seen = Seen { is_written: true, ..Seen::default() };
        assert!(seen.keep(row("a", 1), begun) && seen.keep(row("b", 1), begun));
        let rows = seen.take();
        assert!(seen.keep(row("a", 5), begun + WAITS_MAX));
        seen.put_back(&rows);
        assert!(!seen.keep(row("c", 6), begun + 2 * WAITS_MAX), "they wait since they came");
        assert_eq!(seen.take(), [row("a", 5), row("b", 1)]);
    }
}
