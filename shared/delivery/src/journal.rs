//! The agent's journal: every record it ever made, until it is acknowledged and 72 hours old.
//!
//! Records lie in append-only segments (`journal/format.rs`); a small state beside them says what is acknowledged
//! (`journal/state.rs`). A record counts once it is synced. After a failed sync the segment is left behind and what it
//! may have lost is written to a new one; while no disk takes it, it is kept in memory, sent from there, and the
//! journal says that it is volatile.
//!
//! What cannot travel under its old name travels under a new epoch (`journal/epochs.rs`): after damage, after the
//! collector named a fork, after a restored collector asked for what is gone. What was given up for room
//! (`journal/room.rs`) is told by an event, a `Gap` where nothing is left. No clock but the arguments: ages are counted in running time,
//! so that a stepped wall clock throws nothing away.

mod codec;
mod epochs;
mod format;
mod kept;
mod read;
mod room;
mod segments;
mod since;
mod state;
mod steps;
mod summary;
mod told;
mod types;
mod write;

use std::time::Duration;

use upheld_model::{AgentEvent, Epoch, Mono, ObservedAt, Sample, UnknownReason};
use upheld_wire::v1::Head;

use self::{
    codec::Codec,
    segments::{Segment, number_of},
    state::{EpochState, State},
    steps::Steps,
    told::Told,
    write::Pending,
};
pub use self::{
    since::Position,
    types::{JournalError, Opened, Settings, Status, Urgency},
};
use crate::{
    Moment, Random,
    storage::{Fault, Storage, StorageError},
};

/// How often age and budget are looked at, besides whenever a segment is full.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);
/// How long an acknowledgement may stay in memory only: lost, the records are sent again.
const STATE_WITHIN: Duration = Duration::from_secs(60);

/// The journal.
pub struct Journal<S> {
    storage: S,
    settings: Settings,
    random: Random,
    codec: Codec,
    /// Oldest first.
    segments: Vec<Segment>,
    /// Whether the last segment may be written to.
    is_open: bool,
    /// What failed writes left behind and the disk would not let go: a segment's number and its good bytes.
    leftovers: Vec<(u64, u64)>,
    next_number: u64,
    /// Oldest first, never empty; the last one grows. Their lengths count synced records only.
    epochs: Vec<EpochState>,
    pending: Pending,
    /// Events about the journal itself that still have to be appended.
    owed: Vec<AgentEvent>,
    /// What is left of samples that were given up, likewise.
    owed_samples: Vec<Sample>,
    /// Those of them that are pending.
    saying: Vec<AgentEvent>,
    is_saying_samples: bool,
    /// Both, by the segment that gave them up, as they lie in a file of their own.
    kept: Vec<(u64, Vec<Sample>)>,
    /// Losses that were told, in the order of their time.
    told: Vec<Told>,
    /// Where the wall clock was set.
    steps: Steps,
    /// How long the journal had been running when it was opened.
    age_before_s: u64,
    opened_at: Mono,
    now: Moment,
    /// The disk refuses: what is pending is sent from memory.
    volatile: Option<StorageError>,
    /// A sync failed since the start.
    degraded: Option<StorageError>,
    /// A state is on disk. No record is written before: what it alone knows (when the journal began) would be lost with the
    /// record.
    has_state: bool,
    flush_due: Option<Mono>,
    state_due: Option<Mono>,
    house_due: Mono,
}

/// What the sender needs to know of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochView {
    /// What the collector is known to hold.
    pub acked: Head,
    /// Records that may be sent.
    pub len: u64,
    /// A transition waits before this place.
    pub urgent_to: u64,
}

impl<S: Storage> Journal<S> {
    /// Opens the journal in `storage`, or begins one.
    ///
    /// # Errors
    /// [`JournalError::Newer`] and [`JournalError::Storage`]; nothing was changed then.
    pub fn open(storage: S, settings: Settings, random: Random, now: Moment) -> Result<(Self, Opened), JournalError> {
        let state = State::read(&storage)?;
        let has_state = state.is_some();
        let state = state.unwrap_or_default();
        let mut opened = Opened::default();
        let Scanned { segments, dead, lost, newest } = scan_all(&storage, &state, &mut opened)?;
        let last = segments.last();
        let mut journal = Self {
            next_number: state.next_number.max(newest.map_or(0, |newest| newest + 1)).max(1),
            age_before_s: state.age_s.max(last.map_or(0, |segment| segment.age_s)),
            epochs: Vec::new(),
            storage,
            settings,
            random,
            codec: Codec::new(),
            segments,
            is_open: false,
            leftovers: Vec::new(),
            pending: Pending::default(),
            owed: state.owed.clone(),
            saying: Vec::new(),
            told: state.told.clone(),
            steps: Steps::default(),
            owed_samples: Vec::new(),
            is_saying_samples: false,
            kept: Vec::new(),
            opened_at: now.mono,
            now,
            volatile: None,
            degraded: None,
            has_state,
            flush_due: None,
            state_due: None,
            house_due: now.mono.plus(HOUSEKEEPING),
        };
        opened.clean = state.closed_at.is_some() && state.closed_at == journal.end();
        opened.last_written = journal.last_written();
        journal.restore_names(&state, dead.is_empty() && opened.damaged == 0);
        journal.clear_halves();
        journal.recollect_kept_samples();
        journal.secure_last();
        journal.recollect_gaps(state.next_number);
        journal.tell_wounds(&opened, has_state, state.is_wounded);
        lost.iter().for_each(|number| journal.tell_lost_file(*number, &state));
        journal.heal(UnknownReason::Corrupt)?;
        let is_told = if opened.torn_bytes > 0 || !dead.is_empty() || !has_state || state.is_wounded {
            journal.write_state().is_ok()
        } else {
            true
        };
        if is_told {
            // Not before: what is cut is the only trace of what it was, until it is durable that it is told.
            journal.clear_away(&dead, &mut opened);
        }
        journal.keep_reserve();
        opened.waiting = journal.waiting();
        Ok((journal, opened))
    }

    /// When [`Journal::handle_timeout`] must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let owed = (!self.owed.is_empty() || !self.owed_samples.is_empty()).then_some(self.now.mono);
        [self.flush_due, self.state_due, Some(self.house_due), owed].into_iter().flatten().min()
    }

    /// Flushes, remembers and cleans up what is due.
    ///
    /// # Errors
    /// The disk failed; what is pending stays in memory, and the journal asks to be called again.
    pub fn handle_timeout(&mut self, now: Moment) -> Result<(), JournalError> {
        self.now = now;
        self.append_owed();
        if self.house_due <= now.mono {
            self.house_due = now.mono.plus(HOUSEKEEPING);
            self.keep_house()?;
        }
        if self.flush_due.is_some_and(|due| due <= now.mono) {
            self.flush(now)?;
        }
        if self.state_due.is_some_and(|due| due <= now.mono) {
            self.write_state()?;
        }
        Ok(())
    }

    /// What the sender needs to know, oldest epoch first.
    pub fn view(&self) -> Vec<EpochView> {
        let last = self.epochs.len().saturating_sub(1);
        let in_memory = if self.volatile.is_some() { self.pending.count } else { 0 };
        self.epochs
            .iter()
            .enumerate()
            .map(|(index, epoch)| {
                let extra = if index == last { in_memory } else { 0 };
                EpochView { acked: epoch.acked, len: epoch.len + extra, urgent_to: epoch.urgent_to }
            })
            .collect()
    }

    /// Believes that this much is held: the answer to a batch whose digest was right.
    pub fn acknowledge(&mut self, head: Head) {
        let due = self.now.mono.plus(STATE_WITHIN);
        if let Some(epoch) = self.epochs.iter_mut().find(|epoch| epoch.epoch == head.epoch)
            && head.len > epoch.acked.len
        {
            epoch.acked = head;
            self.state_due.get_or_insert(due);
            self.note_acknowledged();
        }
    }

    /// Whether the disk refuses and records are kept in memory only.
    pub fn is_volatile(&self) -> bool {
        self.volatile.is_some()
    }

    /// What a status page says.
    pub fn status(&self) -> Status {
        let mut ailments = Vec::new();
        if let Some(error) = &self.volatile {
            ailments.push(format!("volatile: {error}; {} records are kept in memory only", self.pending.count));
        }
        if let Some(error) = &self.degraded {
            ailments.push(format!("degraded: {error}; written again to a new file"));
        }
        Status {
            waiting: self.waiting(),
            oldest_waiting: self.oldest_waiting(),
            heads: self.epochs.iter().map(|epoch| epoch.acked).filter(|head| head.len > 0).collect(),
            disk_bytes: self.segments.iter().map(|segment| segment.file_bytes).sum(),
            ailments,
        }
    }

    /// Flushes and notes a clean end.
    ///
    /// # Errors
    /// The last records or the note could not be synced.
    pub fn close(&mut self, now: Moment) -> Result<(), JournalError> {
        self.now = now;
        self.append_owed();
        self.flush(now)?;
        let mut state = self.state();
        state.closed_at = self.end();
        state.write(&mut self.storage)?;
        Ok(())
    }

    fn waiting(&self) -> u64 {
        self.view().iter().map(|view| view.len.saturating_sub(view.acked.len)).sum()
    }

    fn oldest_waiting(&self) -> Option<ObservedAt> {
        let first_of = |epoch: &EpochState| {
            let waiting = self.pieces_of(epoch.epoch).into_iter().find(|piece| piece.end() > epoch.acked.len)?;
            let piece = waiting.starting(epoch.acked.len);
            let segment = self.segments.iter().find(|segment| segment.number == piece.segment)?;
            let mut at_ms = piece.first_ms;
            // A record that cannot be read is met when it is to be sent; here its neighbour will do.
            let _ = segment.walk(&self.storage, piece.from, piece.to, |record| {
                at_ms = record.at_ms;
                segments::Flow::Stop
            });
            Some(at_ms)
        };
        self.epochs.iter().filter_map(first_of).chain(self.pending.first_ms()).min().map(at_of)
    }

    fn last_written(&self) -> Option<ObservedAt> {
        self.segments.iter().flat_map(|segment| segment.extents.last()).next_back().map(|extent| at_of(extent.last_ms))
    }

    fn end(&self) -> Option<(u64, u64)> {
        self.segments.last().map(|segment| (segment.number, segment.bytes))
    }

    fn age_s(&self) -> u64 {
        self.age_before_s + self.now.mono.since(self.opened_at).as_secs()
    }

    fn current(&mut self) -> &mut EpochState {
        if self.epochs.is_empty() {
            self.begin_empty_epoch();
        }
        // An epoch was pushed just above if there was none.
        let last = self.epochs.len() - 1;
        &mut self.epochs[last]
    }

    /// Puts state and headers together: epochs, tags, and where the last segment may go on. Where nothing is damaged
    /// (`is_whole`), what is not here any more was given up.
    fn restore_names(&mut self, state: &State, is_whole: bool) {
        self.epochs.clone_from(&state.epochs);
        for (number, age_s) in &state.acked {
            let found = self.segments.iter_mut().find(|segment| segment.number == *number);
            found.into_iter().for_each(|segment| segment.acked_age_s = Some(*age_s));
        }
        for tag in &state.tags {
            if let Some(segment) = self.segments.iter_mut().find(|segment| segment.number == tag.segment) {
                let name = segments::Tag { epoch: tag.epoch, first: tag.first, before: tag.before };
                segment.retag(tag.from, tag.to, Some(name));
            }
        }
        // A segment that goes on where a failed sync left another behind counts for what both hold.
        for index in 1..self.segments.len() {
            let Some(header) = self.segments[index].header else { continue };
            let same_epoch = |before: &&mut Segment| before.header.is_some_and(|known| known.epoch == header.epoch);
            if let Some(before) = self.segments[..index].iter_mut().rev().find(same_epoch)
                && before.extents.last().is_some_and(|extent| extent.to > header.first_seq)
            {
                before.retag(header.first_seq, u64::MAX, None);
            }
        }
        for index in 0..self.segments.len() {
            let header = self.segments[index].header;
            let seen: Vec<Epoch> = self.segments[index].pieces().filter_map(|piece| piece.epoch).collect();
            for epoch in seen {
                let previous = header.filter(|header| header.epoch == epoch).and_then(|header| header.previous);
                self.learn_epoch(epoch, previous);
            }
        }
        self.believe_links();
        if is_whole {
            self.believe_beginnings();
        }
        self.measure_epochs();
        let current = self.current().epoch;
        self.is_open = self.segments.last().is_some_and(|last| {
            last.header.is_some_and(|header| header.epoch == current) && last.bytes == last.file_bytes
        });
    }

    fn write_state(&mut self) -> Result<(), JournalError> {
        self.state_due = None;
        self.note_acknowledged();
        let written = self.state().write(&mut self.storage);
        self.has_state |= written.is_ok();
        if let Err(error) = &written {
            self.degraded = Some(error.clone());
            self.state_due = Some(self.now.mono.plus(STATE_WITHIN));
        }
        written.map_err(JournalError::Storage)
    }

    /// As [`Journal::write_state`], where nothing depends on it at once: it is tried again within a minute.
    fn save_state(&mut self) {
        drop(self.write_state());
    }

    fn state(&self) -> State {
        let tags = self.segments.iter().filter(|segment| !segment.is_as_its_header_says()).flat_map(|segment| {
            segment.spans.iter().filter_map(|span| {
                span.tag.map(|tag| state::TagState {
                    segment: segment.number,
                    from: span.from,
                    to: span.to,
                    epoch: tag.epoch,
                    first: tag.first,
                    before: tag.before,
                })
            })
        });
        let unreadable = self
            .segments
            .iter()
            .flat_map(|segment| segment.unreadable.iter().map(|place| (segment.number, *place)))
            .collect();
        State {
            epochs: self.epochs.clone(),
            tags: tags.collect(),
            unreadable,
            owed: self.saying.iter().chain(&self.owed).cloned().collect(),
            is_wounded: false,
            acked: self.segments.iter().filter_map(|one| Some((one.number, one.acked_age_s?))).collect(),
            told: self.told.clone(),
            next_number: self.next_number,
            age_s: self.age_s(),
            closed_at: None,
        }
    }
}

/// What the segment files are.
struct Scanned {
    /// Those with good records or a good header, oldest first.
    segments: Vec<Segment>,
    /// The numbers of those with neither.
    dead: Vec<u64>,
    /// Those of them that are longer than a header and not the last: they were good once.
    lost: Vec<u64>,
    /// The highest number of all.
    newest: Option<u64>,
}

/// Reads every segment. One that the disk cannot read at all stays where it is and counts as damaged: the agent must
/// observe all the same.
fn scan_all<S: Storage>(storage: &S, state: &State, opened: &mut Opened) -> Result<Scanned, JournalError> {
    let mut numbers: Vec<u64> = storage.list()?.iter().filter_map(|(name, _)| number_of(name)).collect();
    numbers.sort_unstable();
    let (mut segments, mut dead, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    let last = numbers.last().copied();
    for number in numbers {
        let unreadable = state.unreadable.iter().filter(|(segment, _)| *segment == number).map(|(_, place)| *place);
        let (segment, wounds) = match Segment::scan(storage, number, unreadable.collect()) {
            Err(JournalError::Storage(error)) if error.fault == Fault::Broken => {
                opened.damaged += 1;
                continue;
            }
            scanned => scanned?,
        };
        if Some(number) == last {
            opened.torn_bytes = wounds.tail;
        }
        if segment.extents.is_empty() && (segment.header.is_none() || Some(number) != last) {
            dead.push(number);
            // The last one's bytes are a torn tail, and told as that.
            let is_lost = segment.file_bytes > format::SEGMENT_HEADER as u64 && Some(number) != last;
            lost.extend(is_lost.then_some(number));
        } else {
            opened.damaged += wounds.damaged;
            segments.push(segment);
        }
    }
    Ok(Scanned { segments, dead, lost, newest: last })
}

fn at_of(ms: i64) -> ObservedAt {
    ObservedAt(jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests;
