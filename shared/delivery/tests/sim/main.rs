//! The delivery protocol under everything that can happen to it: the real courier, journal and receiver over a
//! virtual network, virtual disks and virtual time (DELIVERY 5, I1-I3, I8, I13, I14).
//!
//! A run is a pure function of its seed. Each rule of the protocol, broken on purpose in the harness
//! ([`world::Broken`]), must be caught by some seed: a simulator that cannot fail proves nothing.

mod agent;
mod collector;
mod world;

use world::{Broken, Faults, World};

/// How many seeds hold in everyday runs; the mutants need fewer to be caught.
const SEEDS: u64 = 20;

#[test]
fn nothing_is_lost_and_nothing_is_doubled_whatever_happens() {
    for seed in 0..SEEDS {
        World::new(seed, Faults::all(), Broken::Nothing).run().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| World::new(seed, Faults::all(), Broken::Nothing).run().unwrap();
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn a_live_transition_is_committed_within_ten_seconds() {
    for seed in 0..4 {
        let mut world = World::new(seed, Faults::none(), Broken::Nothing);
        world.run().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        let slowest = world.slowest_transition_ms();
        assert!(slowest.is_some_and(|ms| ms <= 10_000), "seed {seed}: {slowest:?} ms");
    }
}

#[test]
fn a_clone_is_quarantined_within_an_hour_and_history_goes_on() {
    for seed in 100..104 {
        let faults = Faults { clone: true, ..Faults::none() };
        World::new(seed, faults, Broken::Nothing).run().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
}

fn assert_caught(broken: Broken) {
    let caught = (0..SEEDS).find(|seed| World::new(*seed, Faults::all(), broken).run().is_err());
    assert!(caught.is_some(), "{broken:?} was not caught by {SEEDS} seeds that the protocol survives");
}

#[test]
fn an_acknowledgement_before_the_commit_is_caught() {
    assert_caught(Broken::AckBeforeCommit);
}

#[test]
fn an_agent_that_deletes_on_send_is_caught() {
    assert_caught(Broken::DeleteOnSend);
}

#[test]
fn deduplication_by_sequence_only_is_caught() {
    assert_caught(Broken::DedupBySequence);
}

#[test]
fn a_missing_fork_check_is_caught() {
    assert_caught(Broken::NoForkCheck);
}

#[test]
fn a_fork_without_a_new_epoch_is_caught() {
    assert_caught(Broken::NoNewEpoch);
}

#[test]
fn a_cumulative_acknowledgement_is_caught() {
    assert_caught(Broken::CumulativeAck);
}

#[test]
fn requests_without_heads_are_caught() {
    assert_caught(Broken::NoHeads);
}
