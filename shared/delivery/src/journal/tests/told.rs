//! What is said of losses, and that it outlives the record that said it.

use super::*;

/// A journal that told a gap from the beginning on, in records that the collector holds.
fn after_a_gap(disk: &SimStorage) -> Journal<SimStorage> {
    let (mut journal, _) = without_its_front(disk);
    journal.believe(&[]).unwrap();
    journal.append_owed();
    journal.flush(moment(30)).unwrap();
    let all = checked(&mut journal);
    assert!(is_told(&all, 0) && !is_told(&all, 30), "{:?}", gone(&all));
    journal.acknowledge(head_of(all.last().unwrap()));
    journal
}

/// Acknowledged records go for room, the one that told of a gap among them, and then the collector loses them too.
#[test]
fn a_gap_is_told_again_when_the_record_that_told_it_is_lost() {
    let disk = SimStorage::new(1);
    let mut journal = after_a_gap(&disk);
    for second in 40..120 {
        disk.set_capacity(Some(disk.used()));
        let _ = journal.append(&samples(second), Urgency::Now, moment(second));
        disk.set_capacity(None);
        journal.flush(moment(second)).unwrap();
        let all = checked(&mut journal);
        journal.acknowledge(head_of(all.last().unwrap()));
    }
    drop(journal);
    let (mut journal, _) = open(&disk, 200);
    journal.believe(&[]).unwrap();
    journal.append_owed();
    journal.flush(moment(200)).unwrap();
    let all = checked(&mut journal);
    assert!(!numbers(&all).contains(&18), "the records about the first gap are gone: {:?}", numbers(&all));
    assert!(is_told(&all, 0), "{:?}", gone(&all));
    assert!((0..120).all(|second| is_told(&all, second) || numbers(&all).contains(&second)), "{:?}", gone(&all));
}

/// A lost state is made up for by the records, and a lost record by the state.
#[test]
fn a_gap_whose_record_is_damaged_is_told_again_also_after_the_state_was_lost() {
    let disk = SimStorage::new(1);
    let journal = after_a_gap(&disk);
    drop(journal);
    disk.clone().remove("state").unwrap();
    drop(open(&disk, 40));
    let place = |disk: &SimStorage| {
        disk.files().into_iter().filter(|(name, _)| name.ends_with(".seg")).find_map(|(name, len)| {
            let mut file = vec![0; usize::try_from(len).unwrap()];
            disk.read(&name, 0, &mut file).unwrap();
            let starts = file.windows(2).enumerate().filter(|(_, pair)| *pair == [0xff, 0xf5]).map(|(at, _)| at);
            let mut starts = starts.filter_map(|at| Some((at, format::Stored::decode(&file[at..])?)));
            let is_gap =
                |record: &format::Stored<'_>| Codec::new().unpack(record).is_some_and(|text| text.contains("\"gap\""));
            let found = starts.find(|(_, record)| is_gap(record)).map(|(at, _)| at as u64);
            found.map(|at| (name, at + 60))
        })
    };
    let (name, at) = place(&disk).expect("the record that told of the gap");
    assert!(disk.flip(&name, at, 1));
    let (mut journal, _) = open(&disk, 50);
    journal.handle_timeout(moment(50)).unwrap();
    journal.flush(moment(50)).unwrap();
    assert!(is_told(&checked(&mut journal), 0), "{:?}", gone(&checked(&mut journal)));
}

/// The state could not be written any more when the gap was told, and then a byte of the record flips.
#[test]
fn a_gap_that_only_a_record_knows_is_remembered_at_the_next_start() {
    let mut disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..5);
    journal.close(moment(5)).unwrap();
    let old = disk.snapshot();
    assert!(disk.flip("0000000001.seg", 300, 1));
    let (mut journal, _) = open(&disk, 10);
    journal.handle_timeout(moment(10)).unwrap();
    journal.flush(moment(10)).unwrap();
    drop(journal);
    let mut state = vec![0; 64 << 10];
    let read = SimStorage::from_snapshot(&old).read("state", 0, &mut state).unwrap();
    disk.create("state").and_then(|()| disk.append("state", &state[..read])).unwrap();
    let (journal, _) = open(&disk, 20);
    let is_told = |told: &Told| told.from_ms < told.to_ms && told.from_ms <= moment(1).wall.0.as_millisecond();
    assert!(journal.told.iter().any(is_told), "{:?}", journal.told);
}

/// A segment whose records belong to two epochs: the gap is where the missing record was, not where the segment begins.
#[test]
fn a_gap_between_two_epochs_of_one_segment_reaches_to_the_record_behind_it() {
    let disk = SimStorage::new(1);
    let settings = Settings::default();
    let (mut journal, _) = Journal::open(disk.clone(), settings.clone(), random(1), moment(0)).unwrap();
    fill(&mut journal, 0..8);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[4]));
    journal.part(head_of(&all[4])).unwrap();
    drop(journal);
    let mut file = vec![0; 64 << 10];
    let read = disk.read("0000000001.seg", 0, &mut file).unwrap();
    let starts: Vec<usize> = (0..read).filter(|at| format::Stored::decode(&file[*at..read]).is_some()).collect();
    // The last record of the first epoch, acknowledged, and a collector that lost it.
    assert!(disk.flip("0000000001.seg", starts[4] as u64 + 60, 1));
    let (mut journal, _) = Journal::open(disk, settings, random(2), moment(50)).unwrap();
    journal.believe(&[]).unwrap();
    journal.handle_timeout(moment(50)).unwrap();
    journal.flush(moment(50)).unwrap();
    let left = checked(&mut journal);
    assert!(!numbers(&left).contains(&4) && is_told(&left, 4), "{:?}", gone(&left));
    assert!(!is_told(&left, 2) && !is_told(&left, 6), "{:?}", gone(&left));
}

/// Two epochs lose a record at once, and the records of the older one had moved behind a newer one before. What is left of
/// both goes into one epoch in the order in which it was written, or the next gap in it would end before it begins.
#[test]
fn a_gap_between_records_of_two_epochs_lies_where_the_missing_record_was_written() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..10);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[9]));
    journal.part(head_of(&all[9])).unwrap();
    fill(&mut journal, 10..16);
    journal.part(head_of(&all[4])).unwrap();
    fill(&mut journal, 16..18);
    drop(journal);
    damage(&disk, 5);
    damage(&disk, 12);
    let (mut journal, _) = open(&disk, 30);
    journal.handle_timeout(moment(30)).unwrap();
    journal.flush(moment(30)).unwrap();
    let left = checked(&mut journal);
    assert!([5, 12].iter().all(|number| is_told(&left, *number)), "{:?}", gone(&left));
    drop(journal);
    assert!((7..9).all(|number| !is_told(&left, number)), "{:?}", gone(&left));
    damage(&disk, 6);
    damage(&disk, 7);
    let (mut journal, _) = open(&disk, 40);
    journal.handle_timeout(moment(40)).unwrap();
    journal.flush(moment(40)).unwrap();
    let left = checked(&mut journal);
    assert!(!numbers(&left).contains(&7) && is_told(&left, 7), "{:?}", gone(&left));
}

/// What followed an epoch says how long it was then. It is shorter once its last records have moved behind what followed,
/// because a collector held something else or because one was damaged.
#[test]
fn an_epoch_whose_end_moved_misses_nothing_at_the_next_start() {
    for damaged in [None, Some(7)] {
        let disk = SimStorage::new(1);
        let (mut journal, _) = open(&disk, 0);
        fill(&mut journal, 0..10);
        let all = checked(&mut journal);
        journal.part(head_of(&all[9])).unwrap();
        fill(&mut journal, 10..16);
        match damaged {
            None => journal.part(head_of(&all[4])).unwrap(),
            Some(number) => {
                journal.believe(&[head_of(&all[4])]).unwrap();
                damage(&disk, number);
            }
        }
        fill(&mut journal, 16..18);
        drop(journal);
        let mut epochs = Vec::new();
        for second in [30, 40, 50] {
            let (mut journal, _) = open(&disk, second);
            journal.handle_timeout(moment(second)).unwrap();
            journal.flush(moment(second)).unwrap();
            let all = checked(&mut journal);
            assert!((0..18).all(|number| !is_told(&all, number) || damaged.is_some_and(|at| at.abs_diff(number) < 2)));
            epochs.push(journal.epochs.len());
        }
        assert!(epochs.iter().all(|count| *count == epochs[0]), "{damaged:?}: {epochs:?}");
    }
}

/// What a disk refuses waits in memory, and an epoch that begins meanwhile begins with it.
#[test]
fn what_waited_for_a_disk_when_its_epoch_began_and_is_damaged_later_is_told() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..3);
    let all = checked(&mut journal);
    journal.acknowledge(head_of(&all[2]));
    disk.refuse(Some(Fault::Refused));
    journal.append(&samples(3), Urgency::Now, moment(3)).unwrap_err();
    journal.append(&samples(5), Urgency::Now, moment(5)).unwrap_err();
    journal.handle_timeout(moment(20)).unwrap_err();
    journal.part(head_of(&all[2])).unwrap();
    disk.refuse(None);
    journal.flush(moment(25)).unwrap();
    fill(&mut journal, 30..31);
    journal.close(moment(31)).unwrap();
    damage(&disk, 3);
    let (mut journal, _) = open(&disk, 40);
    journal.handle_timeout(moment(40)).unwrap();
    journal.flush(moment(40)).unwrap();
    let left = checked(&mut journal);
    assert!(!numbers(&left).contains(&3) && is_told(&left, 3), "{:?}", gone(&left));
}

/// A file with bytes in it was good once: a new one is begun when the one before it is synced. What a killed process
/// left behind it, an empty file, does not make it one that never held anything.
#[test]
fn a_file_of_which_nothing_can_be_read_is_told_before_it_is_removed() {
    for names in [&["0000000002.seg"][..], &["0000000002.seg", "0000000003.seg"]] {
        let mut disk = SimStorage::new(1);
        let (mut journal, _) = open(&disk, 0);
        fill(&mut journal, 0..1);
        drop(journal);
        damage(&disk, 0);
        assert!(disk.flip("0000000001.seg", 8, 1));
        names.iter().for_each(|name| disk.create(name).unwrap());
        let (mut journal, _) = open(&disk, 40);
        journal.handle_timeout(moment(40)).unwrap();
        journal.flush(moment(40)).unwrap();
        let left = checked(&mut journal);
        assert!(is_told(&left, 0), "{:?}", gone(&left));
        assert!(said(&left).iter().any(|what| what.contains("0000000001.seg")), "{:?}", said(&left));
    }
}

/// The cut of the tail takes the only trace of the record that was there.
#[test]
fn a_torn_tail_is_told_also_when_the_opening_that_cuts_it_is_killed() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..5);
    // The state does not count them.
    drop(journal);
    let (name, len) = disk.files().into_iter().find(|(name, _)| name.ends_with(".seg")).unwrap();
    assert!(disk.flip(&name, len - 1, 1));
    let torn = disk.snapshot();
    for op in 0..20 {
        for crash in [Crash::Kill, Crash::Drop] {
            let disk = SimStorage::from_snapshot(&torn);
            disk.crash_at(disk.ops() + op);
            drop(Journal::open(disk.clone(), small(), random(7), moment(10)));
            disk.reboot(crash);
            let (mut journal, _) = open(&disk, 20);
            let _ = journal.handle_timeout(moment(20));
            journal.flush(moment(20)).unwrap();
            let all = checked(&mut journal);
            assert!(is_told(&all, 4), "call {op}, {crash:?}: {:?}", gone(&all));
        }
    }
}

/// Two epochs and no state: what followed says how long the first one was.
#[test]
fn a_damaged_last_record_of_an_epoch_is_missed_without_the_state() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..4);
    let all = checked(&mut journal);
    // All is held: the new epoch begins with what comes next.
    journal.acknowledge(head_of(&all[3]));
    journal.part(head_of(&all[3])).unwrap();
    fill(&mut journal, 4..6);
    drop(journal);
    let (name, len) = disk.files().into_iter().find(|(name, _)| name.ends_with(".seg")).unwrap();
    assert!(disk.flip(&name, len - 1, 1));
    disk.clone().remove("state").unwrap();
    let (mut journal, _) = open(&disk, 50);
    journal.handle_timeout(moment(50)).unwrap();
    journal.flush(moment(50)).unwrap();
    let left = checked(&mut journal);
    let mut found = numbers(&left);
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2, 4, 5]);
    assert!(is_told(&left, 3), "{:?}", gone(&left));
}

#[test]
fn gaps_beyond_what_is_remembered_one_by_one_become_wider_and_none_is_forgotten() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    for second in 0..100 {
        let from_ms = 1_000 * (2 * second + second * second);
        journal.owe_gaps(&[(from_ms, from_ms + 500)], UnknownReason::Corrupt);
    }
    assert!(journal.told.len() <= 32, "{}", journal.told.len());
    for second in 0..100 {
        let from_ms = 1_000 * (2 * second + second * second);
        let is_told = |told: &Told| told.from_ms <= from_ms && from_ms + 500 <= told.to_ms;
        assert!(journal.told.iter().any(is_told), "{second}");
    }
}
