//! By how much the agent's wall clock was set after a record was made.
//!
//! What a record says lies in the time of the clock as it stood then; the collector knows only how it stands as an upload
//! leaves. Each step is a record of its own, behind the records that it parts from the present, and most of those are not
//! in the same upload. So the steps behind a place are added up here. Over a restart the engine says what it knows of a
//! step ([`AgentEvent::ClockStepped`] again); what nobody could see is no step.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use upheld_model::{AgentEvent, Epoch, Seq};
use upheld_wire::v1::Body;

use super::{
    Journal,
    codec::Codec,
    format::{Stored, TRANSITION},
    segments::{Flow, Segment},
};
use crate::storage::Storage;

/// The steps by segment, each with its stored place; of a segment that nobody has asked for nothing is known.
#[derive(Debug, Default)]
pub(super) struct Steps(BTreeMap<u64, Vec<(u64, i64)>>);

impl Steps {
    /// A record was written to the end of this segment.
    pub(super) fn note(&mut self, segment: u64, is_first: bool, record: &Stored<'_>, codec: &mut Codec) {
        if is_first {
            self.0.insert(segment, Vec::new());
        }
        if let (Some(known), Some(by_ms)) = (self.0.get_mut(&segment), step_of(record, codec)) {
            known.push((record.seq, by_ms));
        }
    }
}

impl<S: Storage> Journal<S> {
    /// By how much the wall clock was set after the record at this place of an epoch, new minus old.
    pub fn set_since(&mut self, epoch: Epoch, seq: Seq) -> SignedDuration {
        let pieces = self.pieces_of(epoch);
        let found = pieces.iter().find(|piece| (piece.first..piece.end()).contains(&seq.0));
        // What lies in memory alone has no segment yet, and nothing on disk is behind it.
        let (segment, place) = found.map_or((u64::MAX, 0), |piece| (piece.segment, piece.from + (seq.0 - piece.first)));
        self.learn_steps(segment);
        let on_disk = self.steps.0.range(segment..).flat_map(|(number, steps)| {
            steps.iter().filter(move |(at, _)| (*number, *at) > (segment, place)).map(|(_, by_ms)| *by_ms)
        });
        let after = if found.is_some() { 0 } else { seq.0.saturating_add(1) };
        let (pending, codec) = (&self.pending, &mut self.codec);
        let in_memory =
            pending.records().filter(|record| record.seq >= after).filter_map(|record| step_of(&record, codec));
        on_disk
            .chain(in_memory)
            .map(SignedDuration::from_millis)
            .fold(SignedDuration::ZERO, SignedDuration::saturating_add)
    }

    /// Looks for steps in the segments from this one on that nobody has looked at yet, and forgets those before.
    fn learn_steps(&mut self, from: u64) {
        let Self { segments, storage, codec, steps, .. } = self;
        let oldest = segments.first().map_or(0, |segment| segment.number);
        steps.0.retain(|number, _| *number >= oldest);
        for segment in segments.iter().filter(|segment| segment.number >= from) {
            steps.0.entry(segment.number).or_insert_with(|| steps_in(segment, storage, codec));
        }
    }
}

fn steps_in(segment: &Segment, storage: &impl Storage, codec: &mut Codec) -> Vec<(u64, i64)> {
    let mut found = Vec::new();
    // A piece without an epoch is what a failed sync left behind; its records lie in a later segment as well.
    for piece in segment.pieces().filter(|piece| piece.epoch.is_some()) {
        // What cannot be read is met again where it is to be sent, and told there.
        let _ = segment.walk(storage, piece.from, piece.to, |record| {
            found.extend(step_of(record, codec).map(|by_ms| (record.seq, by_ms)));
            Flow::On
        });
    }
    found
}

/// The step that a record tells of; those of several, added up.
fn step_of(record: &Stored<'_>, codec: &mut Codec) -> Option<i64> {
    if !record.is(TRANSITION) {
        return None;
    }
    let body: Body = serde_json::from_str(&codec.unpack(record)?).ok()?;
    let step = |event: &AgentEvent| match event {
        AgentEvent::ClockStepped { by_ms, .. } => Some(*by_ms),
        AgentEvent::FindingOpened { .. }
        | AgentEvent::FindingClosed { .. }
        | AgentEvent::StateChanged { .. }
        | AgentEvent::Started { .. }
        | AgentEvent::Stopping { .. }
        | AgentEvent::Gap { .. }
        | AgentEvent::Configured { .. }
        | AgentEvent::Ran { .. }
        | AgentEvent::Drill { .. }
        | AgentEvent::Journal { .. } => None,
    };
    body.events.iter().filter_map(step).reduce(i64::saturating_add)
}

#[cfg(test)]
mod tests {
    use upheld_evidence::SigningKey;
    use upheld_model::{Mono, ObservedAt};
    use upheld_wire::v1::{ClockReading, Now};

    use super::*;
    use crate::{
        Moment,
        courier::Courier,
        journal::{Settings, Urgency},
        sender::{Batch, Post},
        storage::sim::{SimStorage, next},
    };

    fn moment(second: u64) -> Moment {
        let wall = jiff::Timestamp::from_second(1_795_300_000 + second as i64).unwrap();
        Moment { mono: Mono(second * 1_000_000_000), wall: ObservedAt(wall) }
    }

    /// Segments of a few records, so that every test crosses their borders.
    fn open(disk: &SimStorage, second: u64) -> Journal<SimStorage> {
        let mut dice = second;
        let random = Box::new(move |bytes: &mut [u8]| bytes.fill(next(&mut dice) as u8));
        let settings = Settings { segment_bytes: 600, ..Settings::default() };
        Journal::open(disk.clone(), settings, random, moment(second)).unwrap().0
    }

    fn write(journal: &mut Journal<SimStorage>, second: u64, step: Option<i64>) {
        let at = moment(second).wall;
        let event = match step {
            Some(by_ms) => AgentEvent::ClockStepped { at, by_ms },
            None => AgentEvent::Stopping { at, reason: "x".into() },
        };
        let body = Body { samples: Vec::new(), events: vec![event] };
        // A disk that refuses keeps it in memory.
        drop(journal.append(&body, Urgency::Now, moment(second)));
    }

    /// Every record's place, with the steps behind it.
    fn all(journal: &mut Journal<SimStorage>) -> Vec<i128> {
        let mut found = Vec::new();
        for view in journal.view() {
            let epoch = view.acked.epoch;
            let batch = Batch { epoch, from: Seq(0), records_max: 500, bytes_max: 1 << 20 };
            let records = journal.read(&batch).unwrap();
            found.extend(records.iter().map(|record| journal.set_since(epoch, record.seq).as_millis()));
        }
        found
    }

    #[test]
    fn the_steps_behind_a_record_are_added_up_over_segments_restarts_and_epochs() {
        let disk = SimStorage::new(1);
        let mut journal = open(&disk, 0);
        let steps = [None, Some(3_600_000), None, None, None, Some(-600_000), None, None, Some(1_000), None];
        steps.iter().zip(0..).for_each(|(step, second)| write(&mut journal, second, *step));
        let behind: Vec<i128> = (0..steps.len())
            .map(|place| steps[place + 1..].iter().flatten().map(|by_ms| i128::from(*by_ms)).sum())
            .collect();
        assert!(journal.segments.len() > 2);
        assert_eq!(all(&mut journal), behind);
        drop(journal);
        let mut journal = open(&disk, 50);
        assert_eq!(all(&mut journal), behind);
        // Under another epoch, with the journal's own word on that behind them.
        journal.part(journal.epochs[0].acked).unwrap();
        write(&mut journal, 60, Some(7));
        let moved: Vec<i128> = behind.iter().map(|by_ms| by_ms + 7).collect();
        let found = all(&mut journal);
        assert_eq!(found[..moved.len()], moved);
        assert_eq!(found.last(), Some(&0));
    }

    #[test]
    fn a_request_says_how_the_clock_stood_when_its_last_record_was_made() {
        let disk = SimStorage::new(1);
        let mut journal = open(&disk, 0);
        let steps = [None, None, Some(3_600_000), None];
        steps.iter().zip(0..).for_each(|(step, second)| write(&mut journal, second, *step));
        let epoch = journal.epochs[0].epoch;
        drop(journal);
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let random = Box::new(|bytes: &mut [u8]| bytes.fill(7));
        let (mut courier, _) = Courier::open(disk, key, Settings::default(), random, moment(9)).unwrap();
        let mut then = |from, count| {
            let batch = Batch { epoch, from: Seq(from), records_max: count, bytes_max: 1 << 20 };
            let clock = ClockReading { wall: moment(3_609).wall, mono: Mono(1), boot: "b".parse().unwrap() };
            let post = Post { no: 0, batch: Some(batch), heads: Vec::new() };
            courier.request(&post, clock, Now::default()).unwrap().clock_of_records
        };
        assert_eq!(then(0, 1), Some(moment(9).wall));
        assert_eq!(then(1, 1), Some(moment(9).wall));
        assert_eq!(then(0, 3), None, "the step is in the request itself");
        assert_eq!(then(3, 1), None);
    }

    #[test]
    fn a_step_that_no_disk_takes_counts_as_well() {
        let disk = SimStorage::new(1);
        let mut journal = open(&disk, 0);
        write(&mut journal, 0, None);
        disk.refuse(Some(crate::storage::Fault::Broken));
        write(&mut journal, 1, None);
        write(&mut journal, 2, Some(5_000));
        write(&mut journal, 3, None);
        assert!(journal.is_volatile());
        let epoch = journal.epochs[0].epoch;
        let behind: Vec<i128> = (0..4).map(|seq| journal.set_since(epoch, Seq(seq)).as_millis()).collect();
        assert_eq!(behind, [5_000, 5_000, 0, 0]);
    }
}
