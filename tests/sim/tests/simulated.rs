//! A small set of seeds in every test run; the large one is `cargo sim --seeds 1000`.

use upheld_sim::{Broken, Fault, Length, command::guarded};

/// Seeds that once found something, a line each with what it was; they run for ever.
const FOUND: &str = include_str!("../seeds.txt");
/// Beside those that found something.
const SEEDS: u64 = 4;

fn assert_holds(seed: u64, length: Length) -> u64 {
    let ran = guarded(seed, length, Broken::Nothing);
    assert_eq!(ran.violation, None, "replay: cargo sim --seeds 1 --first-seed {seed}");
    ran.trace
}

#[test]
fn nothing_is_lost_or_doubled_whatever_happens_and_a_seed_is_a_run() {
    let traces: Vec<u64> = (0..SEEDS).map(|seed| assert_holds(seed, Length::Short)).collect();
    assert_eq!(assert_holds(0, Length::Short), traces[0], "I14");
    assert_ne!(traces[0], traces[1]);
}

#[test]
fn a_clone_is_quarantined_within_an_hour_and_history_goes_on() {
    let mut clones = 0;
    for seed in 4..24 {
        let ran = guarded(seed, Length::Short, Broken::Nothing);
        assert_eq!(ran.violation, None, "replay: cargo sim --seeds 1 --short --first-seed {seed}");
        clones += ran.counts.of(Fault::Cloned);
    }
    assert!(clones > 0);
}

#[test]
fn every_seed_that_found_something_holds() {
    let lines = FOUND.lines().filter(|line| !line.starts_with('#'));
    let seeds: Vec<u64> = lines.map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        assert_holds(seed, Length::Short);
    }
}
