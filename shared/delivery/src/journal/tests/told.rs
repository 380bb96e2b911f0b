//! What is said of losses, and that it outlives the record that said it.

use super::*;

/// The stretches that are told to be gone.
fn gone(records: &[Record]) -> Vec<(ObservedAt, ObservedAt)> {
    let bounds = |event| if let AgentEvent::Gap { from, to, .. } = event { Some((from, to)) } else { None };
    events(records).into_iter().filter_map(bounds).collect()
}

fn is_told(records: &[Record], second: u64) -> bool {
    gone(records).iter().any(|(from, to)| (*from..=*to).contains(&moment(second).wall))
}

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
