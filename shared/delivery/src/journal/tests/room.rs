//! A disk that is full, a budget, and what grows old: what is given up, in which order, and that it is told.

use super::*;

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

/// A full disk has samples given up, and the process is killed at each call of the disk that comes with it.
#[test]
fn what_is_left_of_samples_is_said_whenever_the_process_that_gave_them_up_is_killed() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    drop(journal);
    let (before, mut given_up) = (disk.snapshot(), 0);
    for (op, crash) in (0..40).flat_map(|op| [(op, Crash::Kill), (op, Crash::Drop)]) {
        let disk = SimStorage::from_snapshot(&before);
        let (mut journal, _) = open(&disk, 20);
        disk.set_capacity(Some(disk.used() + 10));
        disk.crash_at(disk.ops() + op);
        for second in 20..24 {
            let _ = journal.append(&samples(second), Urgency::Now, moment(second));
            let _ = journal.handle_timeout(moment(second));
        }
        drop(journal);
        disk.reboot(crash);
        disk.set_capacity(None);
        let (mut journal, _) = open(&disk, 30);
        journal.handle_timeout(moment(30)).unwrap();
        journal.flush(moment(30)).unwrap();
        let all = checked(&mut journal);
        given_up += u64::from(all[0].omitted.is_some());
        // The first of its five minutes.
        assert!(numbers(&all).contains(&0), "call {op}, {crash:?}: {:?}", numbers(&all));
        drop(journal);
        assert!(disk.files().iter().all(|(name, _)| name != "kept"), "said, and not to be said again");
    }
    assert!(given_up > 10, "{given_up}");
}

/// As above where even what tells of a time goes: what is older than 30 days.
#[test]
fn a_gap_for_want_of_room_is_told_whenever_the_process_that_made_it_is_killed() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    journal.close(moment(20)).unwrap();
    let (before, mut given_up) = (disk.snapshot(), 0);
    let late = 32 * 86_400;
    for (op, crash) in (0..40).flat_map(|op| [(op, Crash::Kill), (op, Crash::Drop)]) {
        let disk = SimStorage::from_snapshot(&before);
        let (mut journal, _) = open(&disk, 20);
        disk.crash_at(disk.ops() + op);
        let _ = journal.append(&samples(late), Urgency::Now, moment(late));
        let _ = journal.handle_timeout(moment(late));
        drop(journal);
        disk.reboot(crash);
        let (mut journal, _) = open(&disk, late + 10);
        let _ = journal.handle_timeout(moment(late + 10));
        journal.flush(moment(late + 10)).unwrap();
        let all = checked(&mut journal);
        let found = numbers(&all);
        given_up += u64::from(!found.contains(&0));
        let untold = (0..20).find(|number| !found.contains(number) && !is_told(&all, *number));
        assert_eq!(untold, None, "call {op}, {crash:?}: {:?}", gone(&all));
    }
    assert!(given_up > 10, "{given_up}");
}

/// All that a file held was damaged, and on a full disk no state says so. The file is the only trace of it.
#[test]
fn what_was_damaged_is_not_removed_for_room_before_it_is_durable_that_it_is_told() {
    let mut disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..1);
    disk.remove("reserve").unwrap();
    disk.set_capacity(Some(disk.used()));
    damage(&disk, 0);
    let batch = Batch { epoch: journal.view()[0].acked.epoch, from: Seq(0), records_max: 500, bytes_max: 1 << 20 };
    assert!(matches!(journal.read(&batch), Err(JournalError::Damaged { .. })));
    let _ = journal.append(&transition(5), Urgency::Now, moment(5));
    let _ = journal.handle_timeout(moment(8));
    drop(journal);
    disk.reboot(Crash::Kill);
    disk.set_capacity(None);
    let (mut journal, _) = open(&disk, 10);
    journal.handle_timeout(moment(10)).unwrap();
    journal.flush(moment(10)).unwrap();
    assert!(is_told(&checked(&mut journal), 0), "{:?}, {:?}", gone(&checked(&mut journal)), disk.files());
}

/// A byte flips in a record that nobody has read since, and its segment is written again without its samples: there the record
/// is missing, and is told without a restart.
#[test]
fn a_damaged_record_in_a_segment_that_is_thinned_is_told_and_what_follows_is_sent() {
    let disk = SimStorage::new(1);
    let (mut journal, _) = open(&disk, 0);
    fill(&mut journal, 0..20);
    damage(&disk, 2);
    disk.set_capacity(Some(disk.used() + 10));
    fill(&mut journal, 20..22);
    disk.set_capacity(None);
    journal.handle_timeout(moment(22)).unwrap();
    journal.flush(moment(22)).unwrap();
    let all = checked(&mut journal);
    assert!(all.iter().any(|record| record.omitted.is_some()), "thinned");
    assert!(is_told(&all, 2) && numbers(&all).contains(&21), "{:?}, {:?}", gone(&all), numbers(&all));
}
