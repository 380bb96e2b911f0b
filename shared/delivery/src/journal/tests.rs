//! The journal against a disk that crashes at every call, tears, flips, refuses and fills up.

use std::collections::BTreeMap;

use upheld_model::{Outcome, RecordId, Sample, Seq};
use upheld_wire::v1::{Body, Record, limits::RECORDS_MAX};

use super::*;
use crate::{
    sender::Batch,
    storage::{
        Fault,
        sim::{Crash, SimStorage, next},
    },
};

const SECOND: u64 = 1_000_000_000;

fn moment(second: u64) -> Moment {
    let wall = jiff::Timestamp::from_second(1_795_300_000 + second as i64).unwrap();
    Moment { mono: Mono(second * SECOND), wall: ObservedAt(wall) }
}

fn random(seed: u64) -> Random {
    let mut dice = seed;
    Box::new(move |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&next(&mut dice).to_le_bytes()[..chunk.len()]);
        }
    })
}

/// Segments of a few records, so that every test crosses their borders.
fn small() -> Settings {
    Settings { segment_bytes: 1500, ..Settings::default() }
}

fn open(disk: &SimStorage, second: u64) -> (Journal<SimStorage>, Opened) {
    Journal::open(disk.clone(), small(), random(second ^ 0x5eed), moment(second)).unwrap()
}

/// A body that is told from every other by its number.
fn samples(number: u64) -> Body {
    let sample = Sample {
        check: "nvr-02/net.tcp".parse().unwrap(),
        at: moment(number).wall,
        took_us: number,
        outcome: Outcome::Ok,
        values: BTreeMap::new(),
        counters: BTreeMap::new(),
        evidence: None,
    };
    Body { samples: vec![sample], events: Vec::new() }
}

fn transition(number: u64) -> Body {
    Body { samples: Vec::new(), events: vec![AgentEvent::Stopping { at: moment(number).wall, reason: "x".into() }] }
}

fn everything(journal: &mut Journal<SimStorage>) -> Vec<Record> {
    let mut all = Vec::new();
    for view in journal.view() {
        let mut from = view.acked.len;
        while from < view.len {
            let batch =
                Batch { epoch: view.acked.epoch, from: Seq(from), records_max: RECORDS_MAX, bytes_max: 1 << 20 };
            let records = journal.read(&batch).unwrap();
            assert!(!records.is_empty(), "nothing at {from} of {view:?}");
            from += records.len() as u64;
            all.extend(records);
        }
    }
    all
}

/// Reads everything that waits and checks that it is one whole chain per epoch.
fn checked(journal: &mut Journal<SimStorage>) -> Vec<Record> {
    let before: BTreeMap<Epoch, Head> = journal.view().iter().map(|view| (view.acked.epoch, view.acked)).collect();
    let all = everything(journal);
    let mut tips: BTreeMap<Epoch, (u64, upheld_model::Digest)> = BTreeMap::new();
    for record in &all {
        let acked = before[&record.epoch];
        let start = if acked.len == 0 {
            (0, upheld_wire::v1::record::root(record.epoch, record.previous.as_ref()))
        } else {
            (acked.len, acked.chain)
        };
        let (seq, tip) = tips.get(&record.epoch).copied().unwrap_or(start);
        assert_eq!(record.seq, Seq(seq));
        assert!(record.follows(&tip), "{record:?}");
        tips.insert(record.epoch, (seq + 1, record.chain));
    }
    all
}

fn numbers(records: &[Record]) -> Vec<u64> {
    let bodies = records.iter().filter_map(|record| serde_json::from_str::<Option<Body>>(record.body.get()).unwrap());
    bodies.flat_map(|body| body.samples).map(|sample| sample.took_us).collect()
}

fn events(records: &[Record]) -> Vec<AgentEvent> {
    let read = |record: &Record| serde_json::from_str::<Option<Body>>(record.body.get()).unwrap();
    records.iter().filter_map(read).flat_map(|body| body.events).collect()
}

/// What the journal says of itself.
fn said(records: &[Record]) -> Vec<String> {
    let what = |event| if let AgentEvent::Journal { what, .. } = event { Some(what.to_string()) } else { None };
    events(records).into_iter().filter_map(what).collect()
}

fn gaps(records: &[Record]) -> Vec<UnknownReason> {
    let reason = |event| if let AgentEvent::Gap { reason, .. } = event { Some(reason) } else { None };
    events(records).into_iter().filter_map(reason).collect()
}

fn ids(records: &[Record]) -> Vec<RecordId> {
    records.iter().map(|record| record.record_id).collect()
}

fn head_of(record: &Record) -> Head {
    Head { epoch: record.epoch, len: record.seq.0 + 1, chain: record.chain }
}

fn fill(journal: &mut Journal<SimStorage>, range: std::ops::Range<u64>) {
    for number in range {
        journal.append(&samples(number), Urgency::Soon, moment(number)).unwrap();
        journal.flush(moment(number)).unwrap();
    }
}

/// The stretches that are told to be gone.
fn gone(records: &[Record]) -> Vec<(ObservedAt, ObservedAt)> {
    let bounds = |event| if let AgentEvent::Gap { from, to, .. } = event { Some((from, to)) } else { None };
    events(records).into_iter().filter_map(bounds).collect()
}

fn is_told(records: &[Record], second: u64) -> bool {
    gone(records).iter().any(|(from, to)| (*from..=*to).contains(&moment(second).wall))
}

/// Flips a byte of the record that holds this sample.
fn damage(disk: &SimStorage, number: u64) {
    let wanted = serde_json::to_string(&samples(number)).unwrap();
    for (name, len) in disk.files().into_iter().filter(|(name, _)| name.ends_with(".seg")) {
        let mut file = vec![0; usize::try_from(len).unwrap()];
        disk.read(&name, 0, &mut file).unwrap();
        let is_it = |at: &usize| {
            let record = format::Stored::decode(&file[*at..]);
            record.is_some_and(|record| Codec::new().unpack(&record).is_some_and(|text| text == wanted))
        };
        if let Some(at) = (0..file.len()).find(is_it) {
            assert!(disk.flip(&name, at as u64 + 60, 1));
            return;
        }
    }
    panic!("{number} is not there");
}

/// A journal whose first acknowledged records went with a full disk, and all that it ever held.
fn without_its_front(disk: &SimStorage) -> (Journal<SimStorage>, Vec<Record>) {
    let (mut journal, _) = open(disk, 0);
    fill(&mut journal, 0..20);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[17]));
    disk.set_capacity(Some(disk.used()));
    fill(&mut journal, 20..21);
    disk.set_capacity(None);
    assert!(journal.pieces_of(all[0].epoch)[0].first > 0, "the front is gone");
    (journal, all)
}

#[test]
fn what_was_flushed_is_there_again_in_order_and_exactly_as_it_was() {
    let disk = SimStorage::new(1);
    let (mut journal, opened) = open(&disk, 0);
    assert_eq!((opened.last_written, opened.clean), (None, false));
    fill(&mut journal, 0..40);
    let first = checked(&mut journal);
    drop(journal);
    disk.reboot(Crash::Drop);
    let (mut journal, opened) = open(&disk, 100);
    assert_eq!((opened.last_written, opened.waiting, opened.damaged), (Some(moment(39).wall), 40, 0));
    let again = checked(&mut journal);
    assert_eq!(serde_json::to_string(&first).unwrap(), serde_json::to_string(&again[..40]).unwrap());
    assert!(disk.files().len() > 3, "several segments: {:?}", disk.files());
}

#[test]
fn a_close_is_remembered_and_a_later_record_forgets_it() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..3);
    journal.close(moment(5)).unwrap();
    let (mut journal, opened) = open(&disk, 6);
    assert!(opened.clean);
    fill(&mut journal, 3..4);
    drop(journal);
    assert!(!open(&disk, 7).1.clean);
}

#[test]
fn samples_are_due_within_a_second_and_transitions_are_synced_on_return() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    journal.append(&samples(1), Urgency::Soon, moment(10)).unwrap();
    assert_eq!(journal.poll_timeout(), Some(moment(11).mono));
    assert_eq!(journal.view()[0].len, 0, "not synced, not to be sent");
    journal.append(&transition(2), Urgency::Now, moment(10)).unwrap();
    assert_eq!(journal.view()[0].len, 2);
    disk.reboot(Crash::Drop);
    assert_eq!(open(&disk, 11).1.waiting, 2);
}

/// One life of a journal with everything in it that writes: appends, syncs, acknowledgements, a fork, a restored
/// collector, house-keeping under a small budget, a close. `durable` is what append and flush returned for.
fn life(disk: &SimStorage, durable: &mut Vec<u64>) -> Result<(), JournalError> {
    let settings = Settings { budget_bytes: 6000, ..small() };
    let (mut journal, _) = Journal::open(disk.clone(), settings, random(3), moment(0))?;
    for number in 0..24u64 {
        journal.append(&samples(number), Urgency::Soon, moment(number))?;
        if number % 3 == 2 {
            journal.flush(moment(number))?;
            durable.extend(number - 2..=number);
        }
        if number == 11 {
            let all = everything(&mut journal);
            journal.acknowledge(head_of(&all[3]));
            journal.save_state();
        }
        if number == 17 {
            let all = everything(&mut journal);
            journal.part(head_of(&all[0]))?;
        }
        journal.handle_timeout(moment(number))?;
    }
    journal.close(moment(30))
}

#[test]
fn a_crash_at_any_call_of_the_disk_loses_nothing_that_was_flushed_and_doubles_nothing() {
    let whole = SimStorage::new(0);
    life(&whole, &mut Vec::new()).unwrap();
    let ops = whole.ops();
    assert!(ops > 60, "{ops}");
    for crash in [Crash::Kill, Crash::Drop, Crash::Tear(512), Crash::Tear(4096)] {
        for op in 0..ops {
            let disk = SimStorage::new(op);
            disk.crash_at(op);
            let mut durable = Vec::new();
            let ended = life(&disk, &mut durable);
            assert!(ended.is_err() || disk.is_down() || op + 1 >= ops, "op {op} was swallowed");
            disk.reboot(crash);
            let (mut journal, _) = open(&disk, 50);
            let mut found = numbers(&checked(&mut journal));
            // What was held by the collector is not read again: 0..5 at most.
            found.retain(|number| *number >= 5);
            durable.retain(|number| *number >= 5);
            let once: std::collections::BTreeSet<u64> = found.iter().copied().collect();
            assert_eq!(once.len(), found.len(), "{crash:?} at {op}: doubled in {found:?}");
            for number in &durable {
                assert!(once.contains(number), "{crash:?} at {op}: {number} is lost of {durable:?}, found {found:?}");
            }
            // And the journal goes on from there.
            fill(&mut journal, 60..63);
            assert!(numbers(&checked(&mut journal)).ends_with(&[60, 61, 62]));
        }
    }
}

#[test]
fn any_flipped_byte_costs_at_most_the_record_it_lies_in_and_is_told() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..7);
    drop(journal);
    let clean = disk.snapshot();
    for (name, len) in disk.files().into_iter().filter(|(name, _)| name != "reserve") {
        for at in 0..len {
            let disk = SimStorage::from_snapshot(&clean);
            assert!(disk.flip(&name, at, 0x40));
            let (mut journal, _) = open(&disk, 100);
            journal.handle_timeout(moment(100)).unwrap();
            journal.flush(moment(100)).unwrap();
            let all = checked(&mut journal);
            let found = numbers(&all);
            let missing: Vec<u64> = (0..7).filter(|number| !found.contains(number)).collect();
            assert!(missing.len() <= 1, "{name} byte {at}: {missing:?} missing");
            assert!(found.len() + missing.len() == 7, "{name} byte {at}: {found:?}");
            if !missing.is_empty() {
                assert_eq!(gaps(&all), [UnknownReason::Corrupt], "{name} byte {at}: {missing:?}");
            }
            assert!(!events(&all).is_empty(), "{name} byte {at}: damage must be told");
        }
    }
}

#[test]
fn damage_that_appears_while_running_is_stepped_over() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..12);
    let (name, _) = disk.files()[0].clone();
    disk.flip(&name, 400, 1);
    let view = journal.view()[0];
    let batch = Batch { epoch: view.acked.epoch, from: Seq(0), records_max: 500, bytes_max: 1 << 20 };
    assert!(matches!(journal.read(&batch), Err(JournalError::Damaged { .. })));
    journal.handle_timeout(moment(20)).unwrap();
    journal.flush(moment(20)).unwrap();
    let all = checked(&mut journal);
    assert_eq!(numbers(&all).len(), 11);
    assert_eq!(gaps(&all), [UnknownReason::Corrupt]);
}

#[test]
fn a_good_copy_behind_a_damaged_record_is_taken() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..3);
    journal.close(moment(3)).unwrap();
    let (name, len) = disk.files().into_iter().find(|(name, _)| name.ends_with(".seg")).unwrap();
    let mut file = vec![0; usize::try_from(len).unwrap()];
    disk.read(&name, 0, &mut file).unwrap();
    let last = file.windows(2).rposition(|pair| pair == [0xff, 0xf5]).unwrap();
    disk.clone().append(&name, &file[last..]).unwrap();
    assert!(disk.flip(&name, len - 1, 1));
    let (mut journal, opened) = open(&disk, 4);
    assert_eq!((opened.damaged, numbers(&checked(&mut journal))), (1, vec![0, 1, 2]));
}

#[test]
fn of_a_record_that_lies_there_twice_the_first_stands_and_what_comes_later_is_read() {
    let mut disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..3);
    journal.close(moment(3)).unwrap();
    let (name, len) = disk.files().into_iter().find(|(name, _)| name.ends_with(".seg")).unwrap();
    let mut file = vec![0; usize::try_from(len).unwrap()];
    disk.read(&name, 0, &mut file).unwrap();
    let last = file.windows(2).rposition(|pair| pair == [0xff, 0xf5]).unwrap();
    disk.append(&name, b"noise").and_then(|()| disk.append(&name, &file[last..])).unwrap();
    let (mut journal, _) = open(&disk, 4);
    fill(&mut journal, 3..5);
    assert_eq!(numbers(&checked(&mut journal)), [0, 1, 2, 3, 4]);
}

#[test]
fn damage_in_what_is_acknowledged_is_no_gap() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..12);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[8]));
    journal.close(moment(12)).unwrap();
    let (name, _) = disk.files()[0].clone();
    disk.flip(&name, 400, 1);
    let (mut journal, opened) = open(&disk, 20);
    assert_eq!(opened.damaged, 1);
    journal.handle_timeout(moment(20)).unwrap();
    journal.flush(moment(20)).unwrap();
    let left = checked(&mut journal);
    assert_eq!((numbers(&left), gaps(&left)), (vec![9, 10, 11], vec![]));
    assert_eq!(left[0].epoch, all[0].epoch, "the epoch goes on");
}

#[test]
fn a_failed_sync_is_never_believed() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..3);
    let files = disk.files().len();
    disk.fail_syncs(1);
    journal.append(&transition(3), Urgency::Now, moment(3)).unwrap();
    assert!(journal.status().ailments[0].starts_with("degraded"), "{:?}", journal.status());
    assert_eq!(disk.files().len(), files + 1, "a new segment: {:?}", disk.files());
    for crash in [Crash::Kill, Crash::Drop] {
        disk.reboot(crash);
        let (mut journal, _) = open(&disk, 10);
        let all = checked(&mut journal);
        assert_eq!((all.len(), events(&all).len()), (4, 1), "{crash:?}");
    }
}

#[test]
fn what_a_failed_sync_left_behind_and_the_new_segment_hold_both_counts_once() {
    let mut disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..3);
    disk.fail_syncs(1);
    fill(&mut journal, 3..4);
    // The disk did not let the old segment's tail be cut, and kept it.
    let mut new = vec![0; 4096];
    let read = disk.read("0000000002.seg", 0, &mut new).unwrap();
    disk.append("0000000001.seg", &new[format::SEGMENT_HEADER..read]).unwrap();
    let (mut journal, opened) = open(&disk, 10);
    assert_eq!(opened.waiting, 4);
    assert_eq!(numbers(&checked(&mut journal)), [0, 1, 2, 3]);
    assert_eq!(journal.segments.iter().flat_map(Segment::pieces).map(|piece| piece.to - piece.from).sum::<u64>(), 4);
}

#[test]
fn while_no_disk_takes_them_records_are_kept_in_memory_sent_and_written_later() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..3);
    disk.refuse(Some(Fault::Refused));
    let refused = journal.append(&transition(3), Urgency::Now, moment(3)).unwrap_err();
    assert!(refused.is_volatile(), "{refused:?}");
    assert!(journal.status().ailments[0].starts_with("volatile"));
    assert_eq!(checked(&mut journal).len(), 4, "sent from memory");
    disk.refuse(None);
    journal.handle_timeout(moment(9)).unwrap();
    assert!(journal.status().ailments.iter().all(|ailment| !ailment.starts_with("volatile")));
    drop(journal);
    disk.reboot(Crash::Drop);
    let (mut journal, _) = open(&disk, 10);
    assert_eq!(checked(&mut journal).len(), 4);
}

#[test]
fn a_disk_that_is_read_only_for_a_day_costs_a_few_calls_each_time_it_is_tried_and_is_clean_afterwards() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..3);
    disk.refuse(Some(Fault::Refused));
    journal.append(&transition(3), Urgency::Now, moment(3)).unwrap_err();
    for second in (10..86_400).step_by(60) {
        let before = disk.ops();
        journal.flush(moment(second)).unwrap_err();
        assert!(disk.ops() - before < 20, "{} calls", disk.ops() - before);
    }
    disk.refuse(None);
    journal.flush(moment(86_400)).unwrap();
    assert_eq!(checked(&mut journal).len(), 4);
    assert!(journal.leftovers.is_empty());
}

#[test]
fn memory_is_bounded_while_the_disk_refuses() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    disk.refuse(Some(Fault::Refused));
    let mut lost = 0;
    for number in 0..20_000 {
        let ended = journal.append(&samples(number), Urgency::Soon, moment(number));
        lost += u64::from(matches!(ended, Err(JournalError::Lost(_))));
        let _ = journal.handle_timeout(moment(number));
    }
    assert!(lost > 0);
    assert!(journal.pending.bytes.len() <= 1 << 20);
}

#[test]
fn the_oldest_waiting_record_is_the_first_that_is_not_acknowledged() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..5);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[2]));
    assert_eq!(journal.status().oldest_waiting, Some(moment(3).wall));
    journal.acknowledge(head_of(&all[4]));
    assert_eq!(journal.status().oldest_waiting, None);
    journal.append(&samples(9), Urgency::Soon, moment(9)).unwrap();
    assert_eq!(journal.status().oldest_waiting, Some(moment(9).wall));
}

#[test]
fn a_journal_of_a_newer_version_is_refused_and_left_alone() {
    let mut disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..5);
    drop(journal);
    let mut newer = b"UPHELDJ\n".to_vec();
    newer.extend([2, 0, 0xfd, 0xff]);
    newer.extend([0; 300]);
    disk.create("0000000900.seg").unwrap();
    disk.append("0000000900.seg", &newer).unwrap();
    let (before, ops) = (disk.files(), disk.ops());
    let refused = Journal::open(disk.clone(), small(), random(1), moment(1)).map(|_| ()).unwrap_err();
    assert!(matches!(refused, JournalError::Newer { found: 2, known: 1, .. }), "{refused:?}");
    assert_eq!((disk.files(), disk.ops()), (before, ops));
}

#[test]
fn a_lost_state_file_only_costs_sending_again() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..10);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[6]));
    journal.close(moment(11)).unwrap();
    disk.clone().remove("state").unwrap();
    let (mut journal, _) = open(&disk, 12);
    assert_eq!(numbers(&checked(&mut journal)), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_body_too_large_for_a_record_is_split_between_its_samples() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    let one = samples(1).samples[0].clone();
    let body = Body { samples: vec![one; 5000], events: transition(1).events };
    journal.append(&body, Urgency::Now, moment(1)).unwrap();
    let all = checked(&mut journal);
    assert!(all.len() > 2);
    assert_eq!((numbers(&all).len(), events(&all).len()), (5000, 1));
}

#[test]
fn the_backlog_is_not_held_in_memory() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = Journal::open(disk, Settings::default(), random(1), moment(0)).unwrap();
    fill(&mut journal, 0..5000);
    let marks: usize = journal.segments.iter().flat_map(|segment| &segment.extents).map(segments::Extent::marks).sum();
    assert!(marks <= 5000 / 64 + journal.segments.len(), "{marks}");
    assert!(journal.pending.bytes.capacity() <= 128 << 10);
}

mod crash_points;
mod faults;
mod parting;
mod restored;
mod room;
mod told;
