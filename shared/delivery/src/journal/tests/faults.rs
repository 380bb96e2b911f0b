//! A disk that fails at each of its calls, one whose sectors cannot be read, and bodies that cannot be unpacked.

use super::*;
use crate::storage::sim::{Done, Failing};

/// A life that goes on whatever the disk says. What it was told to be durable is returned.
fn stubborn_life(disk: &SimStorage) -> Vec<u64> {
    let (mut journal, _) = open(disk, 0);
    let (mut durable, mut waiting) = (Vec::new(), Vec::new());
    for number in 0..48u64 {
        let (body, urgency) = match number % 5 {
            4 => (samples(number), Urgency::Now),
            _ => (samples(number), Urgency::Soon),
        };
        let appended = journal.append(&body, urgency, moment(number));
        assert!(
            !matches!(
                appended,
                Err(JournalError::Lost(_) | JournalError::Newer { .. } | JournalError::TooLarge { .. })
            ),
            "{appended:?}"
        );
        waiting.push(number);
        if number == 15 {
            let all = everything(&mut journal);
            journal.acknowledge(head_of(&all[3]));
        }
        if number == 30 {
            let head = head_of(&everything(&mut journal)[1]);
            // Of a disk that fails here the collector's next answer says the same.
            let _ = journal.part(head);
        }
        let _ = journal.handle_timeout(moment(number));
        let is_flushed = (number % 3 == 2 && journal.flush(moment(number)).is_ok())
            || (urgency == Urgency::Now && appended.is_ok())
            || journal.pending.count == 0;
        if is_flushed {
            durable.append(&mut waiting);
        }
    }
    durable
}

/// Every call fails in turn, once or with those after it, done in part or not at all, and the power goes at the end.
#[test]
fn a_call_of_the_disk_that_fails_loses_nothing_that_was_said_to_be_durable() {
    let whole = SimStorage::new(0);
    assert_eq!(stubborn_life(&whole).len(), 48);
    let ops = whole.ops();
    let faults = [
        (Fault::Broken, Done::Nothing, 1),
        (Fault::Broken, Done::Half, 1),
        (Fault::Broken, Done::All, 1),
        (Fault::Broken, Done::Half, 7),
        (Fault::Full, Done::Half, 1),
        (Fault::Full, Done::Nothing, 20),
        (Fault::Refused, Done::Nothing, 20),
    ];
    let mut lives = 0;
    for crash in [Crash::Kill, Crash::Tear(512)] {
        for (fault, done, count) in faults {
            for op in 0..ops {
                let what = format!("{fault:?} {done:?} of {count} calls from {op}, {crash:?}");
                let disk = SimStorage::new(op);
                disk.fail(Failing { ops: op..op + count, fault, done });
                let durable = stubborn_life(&disk);
                disk.reboot(crash);
                disk.stop_failing();
                let (mut journal, _) = open(&disk, 100);
                let _ = journal.handle_timeout(moment(100));
                let all = checked(&mut journal);
                let mut found = numbers(&all);
                found.retain(|number| *number >= 6);
                // What is left of thinned samples is newer than its neighbours; all else stands in order.
                let thinned = all.iter().filter(|record| record.omitted.is_some()).count();
                let late = (1..found.len()).filter(|at| found[..*at].iter().any(|other| *other > found[*at]));
                assert!(late.count() <= thinned, "{what}: out of order: {found:?}");
                found.sort_unstable();
                assert!(found.is_sorted_by(|a, b| a < b), "{what}: doubled: {found:?}");
                let lost: Vec<&u64> =
                    durable.iter().filter(|number| **number >= 6 && !found.contains(number)).collect();
                let is_told =
                    fault == Fault::Full && (gaps(&all).contains(&UnknownReason::NotKept) || lost.len() <= thinned);
                assert!(lost.is_empty() || is_told, "{what}: lost {lost:?} of {durable:?}");
                fill(&mut journal, 110..112);
                assert!(numbers(&checked(&mut journal)).ends_with(&[110, 111]), "{what}");
                lives += 1;
            }
        }
    }
    println!("{lives} lives of 48 records, each with failing calls and a crash: none lost, none doubled");
}

/// A record as no version of ours writes it: its CRC is right, its body is no compressed text.
fn spoil(disk: &SimStorage, name: &str, place: u64) {
    let mut file = vec![0; 64 << 10];
    let read = disk.read(name, 0, &mut file).unwrap();
    let (head, mut rest) = file[..read].split_at(format::SEGMENT_HEADER);
    let mut out = head.to_vec();
    while let Some(record) = format::Stored::decode(rest) {
        rest = &rest[record.len()..];
        let noise = vec![0x5a; record.body.len()];
        let is_it = record.seq == place;
        let body = if is_it { &noise } else { record.body };
        let flags = if is_it { format::COMPRESSED } else { record.flags };
        format::Stored { flags, body, ..record }.encode(&mut out);
    }
    let mut disk = disk.clone();
    disk.create(name).and_then(|()| disk.append(name, &out)).and_then(|()| disk.sync(name)).unwrap();
}

#[test]
fn a_body_that_cannot_be_unpacked_costs_that_record_alone_and_is_told_once() {
    for (place, parts) in [(0, false), (3, false), (7, false), (3, true), (7, true), (11, true)] {
        let disk = SimStorage::new(1);
        let (mut journal, _) = Journal::open(disk.clone(), Settings::default(), random(1), moment(0)).unwrap();
        fill(&mut journal, 0..12);
        let first = checked(&mut journal).swap_remove(0);
        journal.close(moment(12)).unwrap();
        spoil(&disk, "0000000001.seg", place);
        for start in [20, 40, 60] {
            let (mut journal, _) =
                Journal::open(disk.clone(), Settings::default(), random(start), moment(start)).unwrap();
            if parts && start == 20 {
                journal.part(Head { len: 1, ..head_of(&first) }).unwrap();
            }
            // Met when it is read, and told then.
            while let Some(view) = journal.view().into_iter().find(|view| {
                let batch =
                    Batch { epoch: view.acked.epoch, from: Seq(view.acked.len), records_max: 500, bytes_max: 1 << 20 };
                matches!(journal.read(&batch), Err(JournalError::Damaged { .. }))
            }) {
                assert!(start == 20, "place {place}: met again in {view:?}");
            }
            let _ = journal.handle_timeout(moment(start));
            journal.flush(moment(start)).unwrap();
            let all = checked(&mut journal);
            let held = u64::from(parts);
            let wanted: Vec<u64> = (0..12).filter(|number| *number != place && *number >= held).collect();
            assert_eq!(numbers(&all), wanted, "place {place}, start {start}");
            assert_eq!(gaps(&all), [UnknownReason::Corrupt], "place {place}, start {start}");
            journal.close(moment(start)).unwrap();
        }
    }
}

#[test]
fn a_sector_that_cannot_be_read_costs_its_records_and_the_agent_starts_and_sends() {
    let disk = SimStorage::new(1);
    let settings = Settings { segment_bytes: 64 << 10, ..Settings::default() };
    let opened = |second| Journal::open(disk.clone(), settings.clone(), random(second), moment(second)).unwrap();
    let (mut journal, _) = opened(0);
    fill(&mut journal, 0..150);
    journal.close(moment(150)).unwrap();
    disk.make_unreadable("0000000001.seg", 8192..8193, Fault::Broken);
    // The gap is told although the first start is killed before it could say anything.
    drop(opened(160));
    for second in [170, 180] {
        let (mut journal, _) = opened(second);
        let _ = journal.handle_timeout(moment(second));
        journal.flush(moment(second)).unwrap();
        let _ = journal.handle_timeout(moment(second + 1));
        let all = checked(&mut journal);
        let found = numbers(&all);
        assert!(found.len() > 90 && found.len() < 150, "{}", found.len());
        assert!(found.contains(&0) && found.contains(&149));
        assert_eq!(gaps(&all), [UnknownReason::Corrupt]);
    }
}

/// Descriptors or memory that are used up for a while: nothing is called damaged, however long it takes.
#[test]
fn a_host_that_lacks_descriptors_loses_no_record_of_its_journal() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    let view = journal.view()[0];
    let batch = Batch { epoch: view.acked.epoch, from: Seq(0), records_max: 500, bytes_max: 1 << 20 };
    disk.make_unreadable("0000000001.seg", 0..u64::MAX, Fault::Starved);
    for _ in 0..20 {
        assert!(matches!(journal.read(&batch), Err(JournalError::Storage(_))));
    }
    let another = Journal::open(disk.clone(), small(), random(2), moment(30));
    assert!(another.is_err(), "nothing is begun beside what is there");
    disk.make_readable();
    let all = checked(&mut journal);
    assert_eq!((numbers(&all).len(), all[0].epoch), (20, view.acked.epoch));
}

#[test]
fn a_sector_that_goes_bad_while_the_agent_runs_holds_nothing_up() {
    let disk = SimStorage::new(1);
    let settings = Settings { segment_bytes: 64 << 10, ..Settings::default() };
    let (mut journal, _) = Journal::open(disk.clone(), settings, random(1), moment(0)).unwrap();
    fill(&mut journal, 0..150);
    disk.make_unreadable("0000000001.seg", 8192..8193, Fault::Broken);
    let view = journal.view()[0];
    let batch = Batch { epoch: view.acked.epoch, from: Seq(0), records_max: 500, bytes_max: 1 << 20 };
    assert!(matches!(journal.read(&batch), Err(JournalError::Damaged { .. })));
    journal.handle_timeout(moment(151)).unwrap();
    journal.flush(moment(151)).unwrap();
    let all = checked(&mut journal);
    assert!(numbers(&all).len() > 90);
    assert_eq!(gaps(&all), [UnknownReason::Corrupt]);
}

#[test]
fn a_disk_that_is_away_for_a_moment_costs_nothing_and_a_file_that_stays_away_is_told() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    let view = journal.view()[0];
    let batch = Batch { epoch: view.acked.epoch, from: Seq(0), records_max: 500, bytes_max: 1 << 20 };
    disk.make_unreadable("0000000001.seg", 0..u64::MAX, Fault::Broken);
    for _ in 0..2 {
        assert!(matches!(journal.read(&batch), Err(JournalError::Storage(_))));
    }
    disk.make_readable();
    assert_eq!(numbers(&checked(&mut journal)).len(), 20);

    disk.make_unreadable("0000000001.seg", 0..u64::MAX, Fault::Broken);
    for _ in 0..2 {
        assert!(matches!(journal.read(&batch), Err(JournalError::Storage(_))));
    }
    assert!(matches!(journal.read(&batch), Err(JournalError::Damaged { .. })));
    journal.handle_timeout(moment(30)).unwrap();
    journal.flush(moment(30)).unwrap();
    let all = checked(&mut journal);
    assert!(numbers(&all).ends_with(&[18, 19]), "{:?}", numbers(&all));
    assert_eq!(gaps(&all), [UnknownReason::Corrupt]);

    // Opening goes round the file and leaves it where it is.
    let (mut journal, opened) = open(&disk, 40);
    assert!(opened.damaged > 0);
    assert!(numbers(&checked(&mut journal)).ends_with(&[18, 19]));
    assert!(disk.files().iter().any(|(name, _)| name == "0000000001.seg"));
}

/// The state's acknowledgements, tags and epochs: whatever byte of the folder flips, at most one record is gone, and
/// nothing that the collector does not hold is claimed to be held.
#[test]
fn any_flipped_byte_of_a_journal_with_acknowledgements_and_two_epochs_costs_at_most_its_record() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..9);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[2]));
    journal.part(head_of(&all[4])).unwrap();
    fill(&mut journal, 9..12);
    journal.close(moment(12)).unwrap();
    let clean = disk.snapshot();
    for (name, len) in disk.files().into_iter().filter(|(name, _)| name != "reserve") {
        for at in 0..len {
            let disk = SimStorage::from_snapshot(&clean);
            assert!(disk.flip(&name, at, 1 << (at % 8)));
            let (mut journal, _) = open(&disk, 100);
            let _ = journal.handle_timeout(moment(100));
            journal.flush(moment(100)).unwrap();
            let all = checked(&mut journal);
            let mut found = numbers(&all);
            found.retain(|number| *number >= 5);
            let missing: Vec<u64> = (5..12).filter(|number| !found.contains(number)).collect();
            assert!(missing.len() <= 1, "{name} byte {at}: {missing:?} missing");
            assert!(found.len() + missing.len() == 7, "{name} byte {at}: doubled in {found:?}");
            assert!(missing.is_empty() || !gaps(&all).is_empty(), "{name} byte {at}: {missing:?} untold");
        }
    }
}

/// An engine's snapshot names a segment: a number that is given twice would hide what came after it.
#[test]
fn a_segments_number_is_never_given_twice() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    let position = journal.position(moment(20)).unwrap();
    journal.close(moment(20)).unwrap();
    let mut gone = disk.clone();
    for (name, _) in disk.files().into_iter().filter(|(name, _)| name.ends_with(".seg")) {
        gone.remove(&name).unwrap();
    }
    let (mut journal, _) = open(&disk, 30);
    fill(&mut journal, 30..33);
    let found = journal.bodies_since(position).unwrap();
    assert!((30..33).all(|number| found.contains(&samples(number))), "{found:?}");
}

/// A disk that takes half of each write, syncs nothing and lets nothing go, for an hour of tries.
#[test]
fn a_disk_that_is_broken_for_long_is_left_little_and_asked_little() {
    let disk = SimStorage::new(5);
    let (mut journal, _) = open(&disk, 0);
    journal.append(&transition(1), Urgency::Now, moment(1)).unwrap();
    disk.fail(Failing { ops: disk.ops()..u64::MAX, fault: Fault::Broken, done: Done::Half });
    for second in 2..3600 {
        if second % 600 == 0 {
            let kept = journal.append(&transition(second), Urgency::Now, moment(second));
            assert!(matches!(kept, Err(JournalError::Volatile(_))), "kept in memory: {kept:?}");
        }
        let _ = journal.handle_timeout(moment(second));
    }
    assert!(journal.leftovers.len() <= 16, "{}", journal.leftovers.len());
    let before = disk.ops();
    let _ = journal.handle_timeout(moment(3600));
    assert!(disk.ops() - before < 100, "{} calls at one try", disk.ops() - before);
    assert!(disk.list().unwrap().len() < 40, "{:?}", disk.list());

    disk.stop_failing();
    journal.flush(moment(3700)).unwrap();
    assert_eq!(journal.leftovers.len(), 0);
    let found = events(&checked(&mut journal));
    let kept: Vec<u64> = [1, 600, 1200, 1800, 2400, 3000].into();
    for number in kept {
        let event = &transition(number).events[0];
        assert_eq!(found.iter().filter(|found| *found == event).count(), 1, "{number}: {found:?}");
    }
}
