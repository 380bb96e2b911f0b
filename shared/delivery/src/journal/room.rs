//! What is given up, and in which order: acknowledged records first, then samples, then what was left of them, transitions
//! last (DELIVERY 1).
//!
//! A body that is given up leaves its hash in its place, so that the chain still holds. Of samples a summary stays
//! (`journal/summary.rs`) as a record of its own, and a `Journal` event names their time: every change of a state is still
//! there, so that no time is unknown. A `Gap` event names the time of which nothing is left. Both are durable before
//! anything goes (`journal/kept.rs`, the state).
//! Giving up needs room itself (a smaller segment is written before the larger one goes): a reserve file is there to
//! be removed when the disk is full.

use upheld_model::{
    AgentEvent, DeviceText, UnknownReason,
    mutant::{Rule, is_broken},
};
use upheld_wire::v1::{Body, record::content_hash};

use super::{
    HOUSEKEEPING, Journal, JournalError, Opened, at_of,
    format::{SEGMENT_HEADER, SUMMARY, Stored, THINNED, TRANSITION, find_record},
    segments::{Salvaged, Thinned, name_of, read_all, salvage},
    state::STATE_NEW,
    summary::Summary,
};
use crate::storage::{Storage, StorageError};

const REPLACEMENT: &str = "segment.new";
const RESERVE: &str = "reserve";

impl<S: Storage> Journal<S> {
    /// Removes what is past its time, then keeps to the budget.
    pub(super) fn keep_house(&mut self) -> Result<(), JournalError> {
        // What is acknowledged may go below: that it is must be durable before.
        self.save_acknowledgements();
        let age = self.age_s();
        let older_than = |newest: u64, limit: std::time::Duration| age.saturating_sub(newest) > limit.as_secs();
        self.note_acknowledged();
        let mut index = 0;
        while index + 1 < self.segments.len() {
            let newest = self.segments[index + 1].age_s;
            // Not by its own age: a backlog of days is acknowledged today, and the collector's backup is of yesterday.
            let held = self.segments[index].acked_age_s;
            let is_old = held.is_some_and(|since| older_than(since, self.settings.acknowledged_for))
                || is_broken(Rule::AcknowledgedIsKept);
            if self.is_acknowledged(index) && is_old && !self.is_only_trace(index) {
                self.remove_segment(index)?;
                continue;
            }
            if older_than(newest, self.settings.waiting_for) && self.segments[index].thinned < Thinned::Everything {
                self.thin(index, Thinned::Everything)?;
            }
            index += 1;
        }
        while self.disk_bytes() > self.settings.budget_bytes {
            if !self.give_something_up()? {
                break;
            }
        }
        self.forget_epochs();
        self.keep_reserve();
        self.write_state()
    }

    /// Notes since when segments are acknowledged as a whole, and that they are no more.
    pub(super) fn note_acknowledged(&mut self) {
        let age_s = self.age_s();
        for index in 0..self.segments.len() {
            let is_acknowledged = self.is_acknowledged(index);
            let since = &mut self.segments[index].acked_age_s;
            *since = is_acknowledged.then(|| since.unwrap_or(age_s));
        }
    }

    /// Makes sure of the reserve, as large as a segment, if there is room for it.
    pub(super) fn keep_reserve(&mut self) {
        let bytes = usize::try_from(self.settings.segment_bytes).unwrap_or(0);
        let is_there = self.storage.read(RESERVE, bytes.saturating_sub(1) as u64, &mut [0]).is_ok_and(|read| read == 1);
        if is_there || self.volatile.is_some() {
            return;
        }
        let made = self.storage.create(RESERVE).and_then(|()| self.storage.append(RESERVE, &vec![0; bytes]));
        let synced = made.and_then(|()| self.storage.sync(RESERVE));
        if synced.and_then(|()| self.storage.sync_dir()).is_err() {
            let _ = self.storage.remove(RESERVE);
        }
    }

    /// A full disk gets the reserve and the least that frees room.
    pub(super) fn make_room(&mut self) {
        let _ = self.storage.remove(RESERVE).and_then(|()| self.storage.sync_dir());
        self.house_due = self.now.mono.plus(HOUSEKEEPING);
        // What is acknowledged is about to go: that it is acknowledged must be durable first, or else as soon as there is
        // room. Otherwise a kill in between forgets what the collector holds.
        self.save_acknowledgements();
        if let Err(error) = self.give_something_up() {
            self.degraded = Some(error);
        }
        self.save_acknowledgements();
    }

    fn save_acknowledgements(&mut self) {
        if self.state_due.is_some() {
            self.save_state();
        }
    }

    /// Gives up the least that frees room; `false` when there is nothing but the segment that is written to.
    pub(super) fn give_something_up(&mut self) -> Result<bool, StorageError> {
        let closed = self.segments.len().saturating_sub(usize::from(self.is_open));
        let closed: Vec<usize> = (0..closed).filter(|index| !self.is_only_trace(*index)).collect();
        if let Some(index) = closed.iter().copied().find(|index| self.is_acknowledged(*index)) {
            self.remove_segment(index)?;
            return Ok(true);
        }
        for what in [Thinned::Samples, Thinned::Summaries, Thinned::Everything] {
            if let Some(index) = closed.iter().copied().find(|index| self.can_thin(*index, what)) {
                self.thin(index, what)?;
                return Ok(true);
            }
        }
        let Some(oldest) = closed.first() else { return Ok(false) };
        self.remove_segment(*oldest)?;
        match self.heal(UnknownReason::NotKept) {
            Ok(()) => Ok(true),
            Err(JournalError::Storage(error)) => Err(error),
            Err(
                JournalError::Newer { .. }
                | JournalError::Volatile(_)
                | JournalError::Lost(_)
                | JournalError::TooLarge { .. }
                | JournalError::Damaged { .. },
            ) => Ok(true),
        }
    }

    /// After opening: what a killed process was writing beside takes room for nothing.
    pub(super) fn clear_halves(&mut self) {
        for half in [REPLACEMENT, STATE_NEW] {
            let _ = self.storage.remove(half);
        }
    }

    /// After opening: removes files that hold nothing, cuts the torn tail of the last one.
    pub(super) fn clear_away(&mut self, dead: &[u64], opened: &mut Opened) {
        for number in dead {
            let _ = self.storage.remove(&name_of(*number));
        }
        if let Some(last) = self.segments.last_mut()
            && last.bytes < last.file_bytes
            && last.header.is_some()
            && self.storage.truncate(&name_of(last.number), cut_behind(last.bytes)).is_ok()
        {
            opened.torn_bytes = last.file_bytes - last.bytes;
            last.file_bytes = last.bytes;
            self.is_open = self.is_open_after_cut();
        }
    }

    /// After opening: what a killed process had written but not synced is readable, and counts from here on. So it
    /// must be as durable as everything else that counts; a sync that fails is not believed the next time either.
    pub(super) fn secure_last(&mut self) {
        let Some(last) = self.segments.last() else { return };
        let name = name_of(last.number);
        if let Err(error) = self.storage.sync(&name).and_then(|()| self.storage.sync_dir()) {
            let copied = read_all(&self.storage, &name).and_then(|bytes| self.replace(&name, &bytes));
            self.degraded = Some(copied.err().unwrap_or(error));
        }
    }

    /// Puts these bytes in the place of a file, durably or not at all.
    pub(super) fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let written = self.storage.create(REPLACEMENT).and_then(|()| self.storage.append(REPLACEMENT, bytes));
        let synced = written.and_then(|()| self.storage.sync(REPLACEMENT));
        if let Err(error) = synced {
            let _ = self.storage.remove(REPLACEMENT);
            return Err(error);
        }
        self.storage.rename(REPLACEMENT, name)?;
        self.storage.sync_dir()
    }

    fn is_open_after_cut(&self) -> bool {
        let current = self.epochs.last().map(|epoch| epoch.epoch);
        self.segments.last().and_then(|last| last.header).is_some_and(|header| Some(header.epoch) == current)
    }

    fn disk_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.file_bytes).sum()
    }

    /// Whether the collector holds every record of a segment.
    fn is_acknowledged(&self, index: usize) -> bool {
        self.segments[index].pieces().all(|piece| {
            let state = self.epochs.iter().find(|epoch| Some(epoch.epoch) == piece.epoch);
            state.map_or(piece.epoch.is_some(), |state| piece.end() <= state.acked.len)
        })
    }

    /// Whether all that a segment held is damaged, and the state that says so is not written yet: without the file a killed
    /// process would know nothing of it.
    fn is_only_trace(&self, index: usize) -> bool {
        self.state_due.is_some() && self.segments[index].pieces().next().is_none()
    }

    fn can_thin(&self, index: usize, what: Thinned) -> bool {
        let segment = &self.segments[index];
        segment.header.is_some() && segment.thinned < what
    }

    fn remove_segment(&mut self, index: usize) -> Result<(), StorageError> {
        self.storage.remove(&name_of(self.segments[index].number))?;
        self.storage.sync_dir()?;
        self.segments.remove(index);
        Ok(())
    }

    /// Writes a segment again without the bodies that are given up.
    fn thin(&mut self, index: usize, what: Thinned) -> Result<(), StorageError> {
        let (name, header) = (name_of(self.segments[index].number), self.segments[index].header);
        let Some(header) = header else { return Ok(()) };
        let Salvaged { bytes, is_whole } = salvage(&self.storage, &name)?;
        let mut out = header.encode();
        let (mut at, mut from_ms, mut gap) = (SEGMENT_HEADER, None, None);
        let (mut summary, mut lost) = (Summary::default(), Vec::new());
        while let Some(start) = find_record(&bytes, at) {
            let Some(record) = Stored::decode(&bytes[start..]) else { break };
            at = start + record.len();
            let is_kept = record.is(THINNED)
                || match what {
                    Thinned::Nothing => true,
                    Thinned::Samples if is_broken(Rule::TransitionsGoLast) => record.is(SUMMARY),
                    Thinned::Samples => record.is(TRANSITION) || record.is(SUMMARY),
                    Thinned::Summaries => record.is(TRANSITION),
                    Thinned::Everything => false,
                };
            let given_up = if is_kept { None } else { self.codec.unpack(&record) };
            match given_up {
                Some(text) => {
                    let flags = THINNED | (record.flags & (TRANSITION | SUMMARY));
                    let content = content_hash(&record.salt, &text);
                    Stored { flags, body: &content.0, ..record }.encode(&mut out);
                    if record.is(TRANSITION) {
                        let body: Body = serde_json::from_str(&text).unwrap_or_default();
                        lost.extend(body.events);
                    }
                    if what == Thinned::Samples && !is_broken(Rule::SummaryIsKept) {
                        // It was written by this program; what it cannot read it cannot summarise either.
                        let body: Body = serde_json::from_str(&text).unwrap_or_default();
                        body.samples.into_iter().for_each(|sample| summary.take(sample));
                    }
                    let from = gap.map_or(from_ms.unwrap_or(record.at_ms), |(from, _)| from);
                    gap = Some((from, record.at_ms));
                }
                None => record.encode(&mut out),
            }
            from_ms = Some(record.at_ms);
        }
        let owed = (self.owed.clone(), self.owed_samples.clone(), self.told.clone(), self.kept.clone());
        let mut told = Ok(());
        if let Some((from, to)) = gap {
            self.tell_what_went(what, (from, to.max(from)), summary);
            self.owe_gaps_of(&lost);
            let fresh = self.owed_samples[owed.1.len()..].to_vec();
            // A process that is killed once it is gone knows nothing of it.
            told = match what {
                Thinned::Nothing => Ok(()),
                Thinned::Samples => self.keep_samples(header.number, fresh),
                Thinned::Summaries | Thinned::Everything => self.state().write(&mut self.storage),
            };
        }
        if let Err(error) = told.and_then(|()| self.replace(&name, &out)) {
            (self.owed, self.owed_samples, self.told, self.kept) = owed;
            return Err(error);
        }
        if gap.is_some() {
            self.state_due = Some(self.now.mono);
        }
        let segment = &mut self.segments[index];
        let places = segment.places();
        let mut scanned = segment.rescan(&self.storage);
        segment.thinned = what;
        // What was damaged since it was looked at last is not in the new file, and nobody who reads on would meet it.
        let is_whole = is_whole && segment.places() == places;
        if !is_whole && scanned.is_ok() {
            scanned = self.heal(UnknownReason::Corrupt);
        }
        match scanned {
            Err(JournalError::Storage(error)) => Err(error),
            // What was just written is read back by the version that wrote it.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn tell_what_went(&mut self, what: Thinned, gap: (i64, i64), summary: Summary) {
        let (from, to) = (at_of(gap.0), at_of(gap.1));
        let seen = summary.seen;
        let kept = summary.finish();
        let words = match what {
            Thinned::Nothing => return,
            Thinned::Samples => {
                format!("samples from {} to {} were thinned for room: {} of {seen} are kept", from.0, to.0, kept.len())
            }
            Thinned::Summaries => {
                format!("what was left of samples from before, written {} to {}, was given up for room", from.0, to.0)
            }
            Thinned::Everything => return self.owe_gap(gap, UnknownReason::NotKept),
        };
        self.owe(AgentEvent::Journal { at: self.now.wall, what: DeviceText::new(&words) });
        self.owed_samples.extend(kept);
    }
}

/// Where a torn tail begins: behind the last good record.
fn cut_behind(good: u64) -> u64 {
    if is_broken(Rule::TornTailIsCutBehindGood) { good.saturating_sub(1).max(SEGMENT_HEADER as u64) } else { good }
}
