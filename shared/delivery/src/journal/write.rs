//! Taking records down: encode, gather, write and sync as a group.

use upheld_model::{
    Digest, RecordId, Sample,
    mutant::{Rule, is_broken},
};
use upheld_wire::v1::{
    Body,
    limits::BODY_BYTES_MAX,
    record::{chain, content_hash},
};

use super::{
    Journal, JournalError, Urgency,
    format::{SEGMENT_HEADER, SUMMARY, SegmentHeader, Stored, TRANSITION},
    segments::{Segment, name_of},
};
use crate::{
    Moment,
    storage::{Fault, Storage, StorageError},
};

/// Unsynced bytes at which samples do not wait for the clock.
const FLUSH_BYTES: usize = 64 << 10;
/// What is kept in memory while no disk takes it: about a quarter of an hour of 100 checks.
const MEMORY_BYTES_MAX: usize = 1 << 20;
/// Failed writes whose leavings the disk may keep before no other is tried.
const LEFTOVERS_MAX: usize = 16;
/// How often a disk that refuses is tried again.
const RETRY_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Records that are not synced yet, as they will lie in a segment.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
    /// The chain after the last of them.
    pub(super) tip: Option<Digest>,
    /// How many of them there were when the last transition was added, that one included.
    urgent_to: u64,
}

impl Pending {
    pub(super) fn records(&self) -> impl Iterator<Item = Stored<'_>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let record = Stored::decode(rest)?;
            rest = &rest[record.len()..];
            Some(record)
        })
    }

    pub(super) fn first_ms(&self) -> Option<i64> {
        self.records().next().map(|record| record.at_ms)
    }
}

impl<S: Storage> Journal<S> {
    /// Takes a body down; see `Courier::append`.
    ///
    /// # Errors
    /// [`JournalError::Volatile`] and [`JournalError::Lost`] say where the body is; [`JournalError::TooLarge`] that
    /// one sample or event alone does not fit.
    pub fn append(&mut self, body: &Body, urgency: Urgency, now: Moment) -> Result<(), JournalError> {
        self.now = now;
        self.append_owed();
        self.enqueue(body, urgency, now)?;
        match urgency {
            Urgency::Now => self.flush(now),
            Urgency::Soon if self.volatile.is_none() && self.pending.bytes.len() >= FLUSH_BYTES => self.flush(now),
            Urgency::Soon => Ok(()),
        }
    }

    /// Writes what is pending and syncs it.
    ///
    /// # Errors
    /// [`JournalError::Volatile`]: the records stay in memory and the journal asks to be called again.
    pub fn flush(&mut self, now: Moment) -> Result<(), JournalError> {
        self.now = now;
        self.flush_due = None;
        if self.pending.count == 0 {
            return Ok(());
        }
        let written = self.write_pending().or_else(|error| {
            self.leave_segment();
            match error.fault {
                Fault::Full => self.make_room(),
                Fault::Broken | Fault::Missing | Fault::Refused | Fault::Starved => self.degraded = Some(error),
            }
            self.write_pending()
        });
        match written {
            Ok(()) => {
                self.volatile = None;
                Ok(())
            }
            Err(error) => {
                self.leave_segment();
                self.volatile = Some(error.clone());
                self.flush_due = Some(now.mono.plus(RETRY_WITHIN));
                Err(JournalError::Volatile(error))
            }
        }
    }

    /// Adds a body to what is pending, in as many records as its size needs.
    pub(super) fn enqueue(&mut self, body: &Body, urgency: Urgency, now: Moment) -> Result<(), JournalError> {
        // A body is plain data: there is nothing in it that JSON cannot say.
        let text = serde_json::to_string(body).unwrap_or_default();
        if text.len() <= BODY_BYTES_MAX {
            let kind = if body.events.is_empty() { 0 } else { TRANSITION };
            return self.enqueue_text(&text, kind, urgency, now);
        }
        let too_large = JournalError::TooLarge { bytes: text.len(), max: BODY_BYTES_MAX };
        let (left, right) = halves(body).ok_or(too_large)?;
        self.enqueue(&left, urgency, now)?;
        self.enqueue(&right, urgency, now)
    }

    /// Adds what is left of samples that were given up. Nobody waits for it, and it goes before any transition does.
    pub(super) fn enqueue_summary(&mut self, samples: Vec<Sample>, now: Moment) -> Result<(), JournalError> {
        let body = Body { samples, events: Vec::new() };
        let text = serde_json::to_string(&body).unwrap_or_default();
        if text.len() <= BODY_BYTES_MAX {
            return self.enqueue_text(&text, SUMMARY, Urgency::Soon, now);
        }
        let too_large = JournalError::TooLarge { bytes: text.len(), max: BODY_BYTES_MAX };
        let (left, right) = halves(&body).ok_or(too_large)?;
        self.enqueue_summary(left.samples, now)?;
        self.enqueue_summary(right.samples, now)
    }

    fn enqueue_text(&mut self, text: &str, kind: u8, urgency: Urgency, now: Moment) -> Result<(), JournalError> {
        if let Some(error) = &self.volatile
            && self.pending.bytes.len() + text.len() > MEMORY_BYTES_MAX
        {
            return Err(JournalError::Lost(error.clone()));
        }
        let (mut record_id, mut salt) = (RecordId([0; 16]), RecordId([0; 16]));
        (self.random)(&mut record_id.0);
        (self.random)(&mut salt.0);
        let (len, tip) = (self.current().len, self.current().tip);
        let (stored_body, packed) = self.codec.pack(text.as_bytes());
        let flags = packed | kind;
        let seq = len + self.pending.count;
        let at_ms = now.wall.0.as_millisecond();
        Stored { flags, seq, at_ms, record_id, salt, body: stored_body }.encode(&mut self.pending.bytes);
        let before = self.pending.tip.unwrap_or(tip);
        self.pending.tip = Some(chain(&before, &record_id, &content_hash(&salt, text)));
        self.pending.count += 1;
        if kind == TRANSITION || urgency == Urgency::Now {
            self.pending.urgent_to = self.pending.count;
        }
        self.flush_due.get_or_insert(now.mono.plus(self.settings.flush_within));
        Ok(())
    }

    fn write_pending(&mut self) -> Result<(), StorageError> {
        let is_full = self.segments.last().is_some_and(|last| {
            !last.extents.is_empty() && last.bytes + self.pending.bytes.len() as u64 > self.settings.segment_bytes
        });
        if is_full {
            self.is_open = false;
            self.house_due = self.now.mono;
        }
        self.clear_leftovers()?;
        if let (true, Some(last)) = (self.is_open, self.segments.last()) {
            let name = name_of(last.number);
            self.storage.append(&name, &self.pending.bytes)?;
            let synced = if is_broken(Rule::SyncedBeforeItCounts) { Ok(()) } else { self.storage.sync(&name) };
            synced.or_else(|error| if is_broken(Rule::FailedSyncIsNotBelieved) { Ok(()) } else { Err(error) })?;
        } else {
            self.write_new_segment()?;
        }
        self.count_pending();
        Ok(())
    }

    fn write_new_segment(&mut self) -> Result<(), StorageError> {
        if !self.has_state {
            self.current();
            self.state().write(&mut self.storage)?;
            self.has_state = true;
        }
        let (number, age_s) = (self.next_number, self.age_s());
        self.next_number += 1;
        let epoch = self.current();
        let header = SegmentHeader {
            number,
            epoch: epoch.epoch,
            first_seq: epoch.len,
            age_s,
            before: epoch.tip,
            previous: epoch.previous,
        };
        let name = name_of(number);
        let mut bytes = header.encode();
        bytes.extend_from_slice(&self.pending.bytes);
        // What could not be made is at most an empty file, which the next opening removes.
        self.storage.create(&name)?;
        let written = self.storage.append(&name, &bytes);
        let synced = written.and_then(|()| self.storage.sync(&name)).and_then(|()| self.storage.sync_dir());
        if let Err(error) = synced {
            self.leftovers.push((number, 0));
            let _ = self.clear_leftovers();
            return Err(error);
        }
        self.segments.push(Segment::fresh(header));
        self.is_open = true;
        Ok(())
    }

    /// What was pending is durable: it becomes part of the last segment and of the epoch.
    fn count_pending(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if !self.saying.is_empty() {
            // Said now, and not to be said again after a restart.
            self.saying.clear();
            self.state_due = Some(self.now.mono);
        }
        self.count_kept_samples();
        if let Some(last) = self.segments.last_mut() {
            let mut offset = last.bytes;
            for record in pending.records() {
                self.steps.note(last.number, last.extents.is_empty(), &record, &mut self.codec);
                last.note(&record, offset);
                offset += record.len() as u64;
            }
            last.file_bytes = last.bytes;
        }
        let epoch = self.current();
        if pending.urgent_to > 0 {
            epoch.urgent_to = epoch.len + pending.urgent_to;
        }
        epoch.len += pending.count;
        epoch.tip = pending.tip.unwrap_or(epoch.tip);
        self.pending.bytes = pending.bytes;
        self.pending.bytes.clear();
        self.pending.bytes.shrink_to(FLUSH_BYTES);
    }

    /// The last segment is not to be trusted from its last synced record on; what it may hold beyond is cut.
    fn leave_segment(&mut self) {
        if let (true, Some(last)) = (self.is_open, self.segments.last()) {
            self.leftovers.push((last.number, last.bytes.max(SEGMENT_HEADER as u64)));
            let _ = self.clear_leftovers();
        }
        self.is_open = false;
    }

    /// Removes what failed writes left behind, as soon as the disk lets us: it is not counted anywhere, and would be
    /// there twice once it is written again. Until then opening recognises it as superseded, while the epoch is the same.
    ///
    /// # Errors
    /// The disk's, when it keeps so much that nothing more should be tried: on a disk that is broken for days each try
    /// would leave more behind, and take longer.
    pub(super) fn clear_leftovers(&mut self) -> Result<(), StorageError> {
        let Self { leftovers, storage, .. } = self;
        let mut why = None;
        leftovers.retain(|(number, good)| {
            let name = name_of(*number);
            let cleared = if *good == 0 { storage.remove(&name) } else { storage.truncate(&name, *good) };
            let kept = cleared.err().filter(|error| error.fault != Fault::Missing);
            let is_kept = kept.is_some();
            why = kept.or(why.take());
            is_kept
        });
        why.filter(|_| self.leftovers.len() >= LEFTOVERS_MAX).map_or(Ok(()), Err)
    }

    /// Gives what is pending new places, from the current epoch's end on.
    pub(super) fn renumber_pending(&mut self) {
        let (mut seq, mut tip) = (self.current().len, self.current().tip);
        let old = std::mem::take(&mut self.pending.bytes);
        let Self { pending, codec, .. } = self;
        let before = Pending { bytes: old, ..Pending::default() };
        for record in before.records() {
            Stored { seq, ..record }.encode(&mut pending.bytes);
            // It was packed by this process a moment ago.
            let content = codec.content(&record).unwrap_or(Digest::ZERO);
            tip = chain(&tip, &record.record_id, &content);
            seq += 1;
        }
        pending.tip = (pending.count > 0).then_some(tip);
    }
}

/// A body in two; `None` when it is one sample or one event.
fn halves(body: &Body) -> Option<(Body, Body)> {
    let (samples, events) = (&body.samples, &body.events);
    let split = match (samples.len(), events.len()) {
        (0 | 1, 0) | (0, 1) => return None,
        (0, count) => (Body::default(), Body::default(), 0, count / 2),
        (count, 0) => (Body::default(), Body::default(), count / 2, 0),
        (count, _) => (Body::default(), Body::default(), count, 0),
    };
    let (mut left, mut right, s, e) = split;
    left.samples = samples[..s].to_vec();
    left.events = events[..e].to_vec();
    right.samples = samples[s..].to_vec();
    right.events = events[e..].to_vec();
    Some((left, right))
}
