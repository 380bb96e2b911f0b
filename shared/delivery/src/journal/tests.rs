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
fn a_full_disk_gives_up_what_is_acknowledged_first() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[14]));
    disk.set_capacity(Some(disk.used() + 10));
    fill(&mut journal, 20..22);
    let left = checked(&mut journal);
    assert_eq!(numbers(&left), [15, 16, 17, 18, 19, 20, 21]);
    assert_eq!(gaps(&left), []);
}

/// A collector holds everything, the state does not say so yet (it may wait for a minute), the disk is full. What is
/// acknowledged is given up for room, and then the process is killed.
#[test]
fn a_full_disk_and_a_kill_forget_no_epoch_that_the_collector_holds() {
    for room in [0, 10, 2_000, 20_000] {
        let disk = SimStorage::new(1);
        let (mut journal, _) = open(&disk, 0);
        fill(&mut journal, 0..4);
        let held = checked(&mut journal);
        let head = head_of(held.last().unwrap());
        journal.acknowledge(head);
        disk.set_capacity(Some(disk.used() + room));
        // Transitions, so that each looks for room at once.
        for number in 4..40 {
            let _ = journal.append(&transition(number), Urgency::Now, moment(number));
        }
        drop(journal);
        disk.reboot(Crash::Kill);
        disk.set_capacity(None);
        let (mut journal, _) = open(&disk, 50);
        fill(&mut journal, 50..52);
        let left = checked(&mut journal);
        let claim = journal.view().into_iter().find(|view| view.acked.epoch == head.epoch);
        // Either what it holds is still here, or the claim that it holds it is.
        let is_here = held.iter().all(|record| ids(&left).contains(&record.record_id));
        let is_claimed = claim.is_some_and(|view| view.acked == head);
        assert!(is_here || is_claimed, "{room} bytes of room: {:?}", journal.view());
        // Of what came later some was given up for room, and that is said; nothing is called damaged.
        assert!(
            gaps(&left).iter().all(|gap| *gap == UnknownReason::NotKept),
            "{room} bytes of room: {:?}",
            gaps(&left)
        );
    }
}

/// As above where the state can never be written: whatever then goes on in the same epoch says where it began.
#[test]
fn a_segment_that_goes_on_where_another_was_is_believed_and_a_collector_that_lost_it_is_asked() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..40);
    let all = checked(&mut journal);
    drop(journal);
    // The first segments are gone and nothing says why.
    let segments: Vec<String> =
        disk.files().into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".seg")).collect();
    assert!(segments.len() > 3, "{segments:?}");
    let mut gone = disk.clone();
    gone.remove(&segments[0]).unwrap();
    gone.remove(&segments[1]).unwrap();
    if disk.files().iter().any(|(name, _)| name == "state") {
        gone.remove("state").unwrap();
    }
    let (mut journal, _) = open(&disk, 30);
    let left = checked(&mut journal);
    assert_eq!(gaps(&left), [], "an acknowledged segment is given up without a word");
    assert_eq!((left[0].epoch, left[0].seq), (all[0].epoch, all[left[0].seq.0 as usize].seq));
    let first = left[0].seq.0;
    assert_eq!(journal.view()[0].acked, head_of(&all[first as usize - 1]), "the claim is what its chain says");

    // A collector that holds less says so, and only then it is a gap.
    journal.believe(&[]).unwrap();
    journal.flush(moment(31)).unwrap();
    journal.handle_timeout(moment(32)).unwrap();
    journal.flush(moment(33)).unwrap();
    let renamed = checked(&mut journal);
    assert_eq!(gaps(&renamed), [UnknownReason::NotKept]);
    assert_ne!(renamed[0].epoch, all[0].epoch);
}

#[test]
fn a_full_disk_where_nothing_is_acknowledged_thins_the_oldest_samples() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    disk.set_capacity(Some(disk.used() + 10));
    fill(&mut journal, 20..22);
    journal.handle_timeout(moment(30)).unwrap();
    journal.flush(moment(30)).unwrap();
    let all = checked(&mut journal);
    assert!(all[0].omitted.is_some() && all.last().unwrap().omitted.is_none());
    assert_eq!(gaps(&all), [], "every change of a state is there");
    assert!(said(&all).iter().any(|what| what.contains("were thinned for room")), "{:?}", said(&all));
    assert_eq!(all[0].epoch, all.last().unwrap().epoch);
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
fn over_budget_samples_are_thinned_before_transitions_and_the_chain_still_holds() {
    let disk = SimStorage::new(1);
    let settings = Settings { budget_bytes: 9000, ..small() };
    let (mut journal, _) = Journal::open(disk.clone(), settings, random(3), moment(0)).unwrap();
    for number in 0..60 {
        journal.append(&samples(number), Urgency::Soon, moment(number)).unwrap();
        if number % 20 == 10 {
            journal.append(&transition(number), Urgency::Now, moment(number)).unwrap();
        }
        journal.handle_timeout(moment(number)).unwrap();
        journal.flush(moment(number)).unwrap();
    }
    let all = checked(&mut journal);
    let whole: Vec<&Record> = all.iter().filter(|record| record.omitted.is_none()).collect();
    let stops = events(&all).iter().filter(|event| matches!(event, AgentEvent::Stopping { .. })).count();
    assert!(whole.len() < 60, "something was given up");
    assert_eq!(stops, 3, "but no transition");
    assert_eq!(gaps(&all), [], "every change of a state is there");
    assert!(said(&all).iter().any(|what| what.contains("were thinned for room")), "{:?}", said(&all));
    assert_eq!(all[0].epoch, all.last().unwrap().epoch, "one chain");
    assert!(disk.used() < 13_500, "{}", disk.used());
    drop(journal);
    let (mut journal, _) = open(&disk, 70);
    assert_eq!(ids(&checked(&mut journal)), ids(&all), "and it is the same after a restart");
}

/// A day without a line on a budget for a part of one. 20 checks are looked at every 10 seconds.
#[test]
fn a_day_without_a_line_keeps_every_transition_and_a_sample_of_each_five_minutes() {
    let disk = SimStorage::new(1);
    let settings = Settings { budget_bytes: 3 << 19, segment_bytes: 64 << 10, ..Settings::default() };
    let (mut journal, _) = Journal::open(disk.clone(), settings, random(3), moment(0)).unwrap();
    let (days, mut transitions) = (1, 0);
    for round in 0..days * 8640_u64 {
        let at = moment(round * 10);
        let sample = |number: u64| Sample {
            check: format!("cam-{number}/net.icmp").parse().unwrap(),
            took_us: 400 + (round * 7919 + number * 104_729) % 97,
            ..samples(round * 10).samples.remove(0)
        };
        journal.append(&Body { samples: (0..20).map(sample).collect(), ..Body::default() }, Urgency::Soon, at).unwrap();
        if round % 360 == 0 {
            transitions += 1;
            journal.append(&transition(round * 10), Urgency::Now, at).unwrap();
        }
        if journal.poll_timeout().is_some_and(|due| due <= at.mono) {
            journal.handle_timeout(at).unwrap();
        }
    }
    let end = moment(days * 86_400);
    journal.handle_timeout(end).unwrap();
    journal.flush(end).unwrap();
    let all = checked(&mut journal);
    let stops = events(&all).iter().filter(|event| matches!(event, AgentEvent::Stopping { .. })).count();
    assert_eq!((stops, gaps(&all)), (transitions, vec![]), "no transition and no time is lost");
    let mut cells: BTreeMap<(String, u64), u32> = BTreeMap::new();
    let bodies = all.iter().filter_map(|record| serde_json::from_str::<Option<Body>>(record.body.get()).unwrap());
    for sample in bodies.flat_map(|body| body.samples) {
        let second = sample.at.0.duration_since(moment(0).wall.0).as_secs().unsigned_abs();
        *cells.entry((sample.check.to_string(), second / 300)).or_default() += 1;
    }
    let (whole, omitted) = (days * 8640 * 20, all.iter().filter(|record| record.omitted.is_some()).count());
    let left: u32 = cells.values().sum();
    println!(
        "a day: {left} of {whole} samples left, {omitted} of {} records without their body, {} of {} bytes, {} on disk",
        all.len(),
        journal.status().disk_bytes,
        3 << 19,
        disk.used()
    );
    assert!(omitted > 0 && u64::from(left) < whole, "something was given up");
    assert_eq!(cells.len() as u64, days * 288 * 20, "five minutes of a check have no sample left");
    // An engine that starts again is told nothing that is older than what it was told before.
    let told = journal.bodies_since(Position::BEGIN).unwrap();
    let instants: Vec<_> = told.iter().flat_map(|body| &body.samples).map(|sample| sample.at).collect();
    assert!(instants.is_sorted() && !instants.is_empty());
    assert!(journal.status().disk_bytes <= (3 << 19) + (192 << 10), "{}", journal.status().disk_bytes);
}

#[test]
fn acknowledged_records_are_kept_72_hours_of_running_time() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(all.last().unwrap()));
    let files = disk.files().len();
    journal.handle_timeout(moment(72 * 3600 - 100)).unwrap();
    assert!(disk.files().len() >= files);
    journal.believe(&[]).unwrap();
    assert_eq!(numbers(&checked(&mut journal)).len(), 20, "a collector that lost all gets all");
    let all = checked(&mut journal);
    journal.acknowledge(head_of(all.last().unwrap()));
    journal.handle_timeout(moment(143 * 3600)).unwrap();
    assert!(disk.files().len() >= files, "acknowledged anew 71 hours ago");
    journal.handle_timeout(moment(146 * 3600)).unwrap();
    assert!(disk.files().len() <= 3, "{:?}", disk.files());
}

/// What was acknowledged late is kept as long: a backup of the collector may be of the day before.
#[test]
fn a_backlog_of_days_is_kept_72_hours_from_its_acknowledgement_on_also_over_a_restart() {
    let hours = |hour: u64| hour * 3600;
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..30);
    fill(&mut journal, hours(100)..hours(100) + 30);
    let all = checked(&mut journal);
    journal.handle_timeout(moment(hours(100) + 40)).unwrap();
    journal.acknowledge(head_of(all.last().unwrap()));
    journal.handle_timeout(moment(hours(102))).unwrap();
    let first = journal.segments[0].number;
    assert_eq!(first, 1, "just acknowledged");
    journal.close(moment(hours(130))).unwrap();
    // Its running time stands still in between.
    let (mut journal, _) = open(&disk, hours(200));
    journal.handle_timeout(moment(hours(240))).unwrap();
    assert_eq!(journal.segments[0].number, 1, "70 hours");
    journal.handle_timeout(moment(hours(245))).unwrap();
    assert!(journal.segments[0].number > 1, "75 hours");
}

#[test]
fn a_stepped_wall_clock_throws_nothing_away() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    let mut far = moment(30);
    far.wall = ObservedAt("2090-01-01T00:00:00Z".parse().unwrap());
    far.mono = moment(7200).mono;
    journal.handle_timeout(far).unwrap();
    assert_eq!(numbers(&checked(&mut journal)).len(), 20);
}

#[test]
fn a_restored_collector_that_asks_for_what_is_gone_is_told_so_under_a_new_epoch() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[17]));
    disk.set_capacity(Some(disk.used()));
    fill(&mut journal, 20..21);
    journal.believe(&[head_of(&all[1])]).unwrap();
    journal.append_owed();
    disk.set_capacity(None);
    journal.flush(moment(30)).unwrap();
    let left = checked(&mut journal);
    assert_eq!(gaps(&left), [UnknownReason::NotKept]);
    assert_ne!(left[0].epoch, all[0].epoch);
    assert_eq!(left[0].previous.map(|link| (link.epoch, link.len)), Some((all[0].epoch, 2)));
    assert!(numbers(&left).ends_with(&[17, 18, 19, 20]), "{:?}", numbers(&left));
}

#[test]
fn what_is_gone_of_records_that_moved_to_a_new_epoch_is_told_from_the_oldest_of_them_on() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    let old = checked(&mut journal);
    let other = Head { chain: upheld_model::Digest([9; 32]), ..head_of(&old[19]) };
    journal.handle_timeout(moment(3_000)).unwrap();
    journal.part(other).unwrap();
    let moved = checked(&mut journal);
    journal.acknowledge(head_of(&moved[17]));
    disk.set_capacity(Some(disk.used()));
    journal.append(&samples(20), Urgency::Now, moment(3_010)).ok();
    journal.believe(&[]).unwrap();
    journal.append_owed();
    disk.set_capacity(None);
    journal.flush(moment(3_030)).unwrap();
    let left = checked(&mut journal);
    assert!(!numbers(&left).contains(&0), "the first was given up for room");
    let bounds = |event| if let AgentEvent::Gap { from, to, .. } = event { Some((from, to)) } else { None };
    let gap = events(&left).into_iter().find_map(bounds);
    let (from, to) = gap.expect("a gap");
    assert!(from <= moment(0).wall && to > from, "{from:?} {to:?}");
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
fn what_was_acknowledged_and_given_up_before_a_fork_is_no_gap_until_the_collector_loses_it() {
    let disk = SimStorage::new(1);
    let (mut journal, all) = without_its_front(&disk);
    let other = Head { len: 30, chain: upheld_model::Digest([9; 32]), ..head_of(&all[19]) };
    journal.part(other).unwrap();
    journal.append_owed();
    journal.flush(moment(30)).unwrap();
    assert_eq!(gaps(&checked(&mut journal)), []);
    // The state carries it over a restart.
    drop(journal);
    let (mut journal, _) = open(&disk, 40);
    journal.believe(&[]).unwrap();
    journal.append_owed();
    journal.flush(moment(50)).unwrap();
    let left = checked(&mut journal);
    assert_eq!(gaps(&left), [UnknownReason::NotKept]);
    let kept = numbers(&left)[0];
    let bounds = |event| if let AgentEvent::Gap { from, to, .. } = event { Some((from, to)) } else { None };
    let (from, to) = events(&left).into_iter().find_map(bounds).expect("a gap");
    assert_eq!((from, to), (moment(0).wall, moment(kept).wall), "up to what is kept, and no further");
}

#[test]
fn what_is_gone_of_an_epoch_whose_state_was_never_saved_is_told_from_its_first_record_on() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    drop(journal);
    disk.clone().remove("state").ok();
    let (mut journal, _) = open(&disk, 100);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[17]));
    disk.set_capacity(Some(disk.used()));
    journal.append(&samples(120), Urgency::Now, moment(120)).ok();
    disk.set_capacity(None);
    assert!(journal.pieces_of(all[0].epoch)[0].first > 0, "the front is gone");
    journal.believe(&[]).unwrap();
    journal.append_owed();
    journal.flush(moment(130)).unwrap();
    let bounds = |event| if let AgentEvent::Gap { from, .. } = event { Some(from) } else { None };
    assert_eq!(events(&checked(&mut journal)).into_iter().find_map(bounds), Some(moment(0).wall));
}

#[test]
fn what_a_restored_collector_parts_from_and_is_gone_is_a_gap() {
    let disk = SimStorage::new(1);
    let (mut journal, all) = without_its_front(&disk);
    let shorter = Head { len: 1, chain: upheld_model::Digest([9; 32]), ..head_of(&all[0]) };
    journal.part(shorter).unwrap();
    journal.append_owed();
    journal.flush(moment(30)).unwrap();
    assert_eq!(gaps(&checked(&mut journal)).len(), 1);
}

/// What is claimed of the front after a fork is never more than the collector has by its own word.
#[test]
fn the_front_is_claimed_after_a_fork_only_where_the_collector_holds_more_than_it() {
    for len in [1, 5, 7, 8, 9, 17, 30] {
        let disk = SimStorage::new(1);
        let (mut journal, all) = without_its_front(&disk);
        let epoch = all[0].epoch;
        let front = journal.pieces_of(epoch)[0].first;
        assert_eq!(front, 8);
        journal.part(Head { epoch, len, chain: upheld_model::Digest([9; 32]) }).unwrap();
        journal.append_owed();
        journal.flush(moment(30)).unwrap();
        let claim = journal.view().into_iter().map(|view| view.acked).find(|acked| acked.epoch == epoch);
        let wanted = (front < len).then(|| head_of(&all[7]));
        assert_eq!(claim.filter(|claim| claim.len > 0), wanted, "{len}");
        let told = gaps(&checked(&mut journal)).len();
        assert_eq!(told > 0, wanted.is_none(), "{len}: what is not claimed is told");
    }
}

#[test]
fn after_a_fork_the_waiting_records_keep_their_ids_and_get_a_new_epoch() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..10);
    let old = checked(&mut journal);
    journal.acknowledge(head_of(&old[3]));
    journal.part(head_of(&old[5])).unwrap();
    journal.flush(moment(11)).unwrap();
    let new = checked(&mut journal);
    assert_eq!(ids(&new)[..4], ids(&old)[6..]);
    assert_eq!(new[0].seq, Seq(0));
    assert_eq!(new[0].previous.map(|link| (link.epoch, link.len, link.chain)), Some((old[0].epoch, 6, old[5].chain)));
    drop(journal);
    disk.reboot(Crash::Drop);
    let (mut journal, _) = open(&disk, 20);
    let again = checked(&mut journal);
    assert_eq!(serde_json::to_string(&again[..4]).unwrap(), serde_json::to_string(&new[..4]).unwrap());
}

#[test]
fn a_history_that_parts_nobody_knows_where_goes_under_a_new_epoch_whole() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..10);
    let old = checked(&mut journal);
    journal.acknowledge(head_of(&old[5]));
    let other = Head { chain: upheld_model::Digest([9; 32]), ..head_of(&old[7]) };
    journal.part(other).unwrap();
    assert_eq!(ids(&checked(&mut journal))[..10], ids(&old)[..]);
    assert!(journal.view().iter().all(|view| view.acked.epoch != old[0].epoch), "the old claim is dropped");
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
mod told;
