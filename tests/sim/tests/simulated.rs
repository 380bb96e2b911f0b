//! A small set of seeds in every test run; the large one is `cargo sim --seeds 1000`.

use upheld_sim::{Broken, Fault, Length, Room, command::guarded};

/// Seeds that once found something, a line each with what it was; they run for ever.
const FOUND: &str = include_str!("../seeds.txt");
/// Beside those that found something.
const SEEDS: u64 = 4;
/// In rooms where a run takes a second or two.
#[cfg(feature = "desk")]
const FEW: u64 = 2;

fn assert_holds(room: Room, seed: u64, length: Length) -> u64 {
    let ran = guarded(room, seed, length, Broken::Nothing);
    let short = if length == Length::Short { " --short" } else { "" };
    let replay = format!("replay: cargo sim --room {}{short} --seeds 1 --first-seed {seed}", room.word());
    assert_eq!(ran.violation, None, "{replay}");
    ran.trace
}

#[test]
fn nothing_is_lost_or_doubled_whatever_happens_and_a_seed_is_a_run() {
    let traces: Vec<u64> = (0..SEEDS).map(|seed| assert_holds(Room::Line, seed, Length::Short)).collect();
    assert_eq!(assert_holds(Room::Line, 0, Length::Short), traces[0], "I14");
    assert_ne!(traces[0], traces[1]);
}

#[cfg(feature = "desk")]
#[test]
fn the_desk_says_what_happened_whatever_kills_it_and_a_seed_is_a_run() {
    let traces: Vec<u64> = (0..FEW).map(|seed| assert_holds(Room::Desk, seed, Length::Short)).collect();
    assert_eq!(assert_holds(Room::Desk, 0, Length::Short), traces[0], "I14");
    assert_ne!(traces[0], traces[1]);
}

#[cfg(feature = "desk")]
#[test]
fn an_incident_has_one_ticket_and_a_clock_one_voice_whatever_goes_wrong_and_a_seed_is_a_run() {
    let traces: Vec<u64> = (0..SEEDS).map(|seed| assert_holds(Room::Tickets, seed, Length::Short)).collect();
    assert_eq!(assert_holds(Room::Tickets, 0, Length::Short), traces[0], "I14");
    assert_ne!(traces[0], traces[1]);
}

#[test]
fn a_clone_is_quarantined_within_an_hour_and_history_goes_on() {
    let mut clones = 0;
    for seed in 4..24 {
        let ran = guarded(Room::Line, seed, Length::Short, Broken::Nothing);
        assert_eq!(ran.violation, None, "replay: cargo sim --seeds 1 --short --first-seed {seed}");
        clones += ran.counts.of(Fault::Cloned);
    }
    assert!(clones > 0);
}

#[test]
fn every_seed_that_found_something_holds() {
    let lines: Vec<&str> = FOUND.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let length = match words[2] {
            "short" => Length::Short,
            "full" => Length::Full,
            other => panic!("{line}: {other:?} is no length"),
        };
        // A room that is not built here has its turn with `--features mutants`.
        if let Some(room) = Room::ALL.iter().find(|built| built.word() == words[0]) {
            assert_holds(*room, words[1].parse().unwrap(), length);
        }
    }
}
