//! A collector that holds less or something else: what goes under a new epoch, and what is claimed of what is gone.

use super::*;

/// Where a full disk never lets the state be written, whatever goes on in the same epoch says where it began.
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
