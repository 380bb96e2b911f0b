//! A simulator that cannot fail proves nothing: each rule, broken on purpose, is noticed by one of a few seeds.

use upheld_sim::{Length, command::guarded, mutants};

/// Seeds for each mutant, at most: the first that notices is enough.
const SEEDS: u64 = 60;

#[test]
fn every_mutant_is_caught() {
    let mut survivors = Vec::new();
    for broken in mutants::ALL {
        mutants::switch(*broken);
        let notices = |seed| guarded(broken.room(), seed, Length::Short, *broken).violation.is_some();
        if !broken.first_seed().into_iter().chain(0..SEEDS).any(notices) {
            survivors.push(broken.word());
        }
    }
    mutants::switch(upheld_sim::Broken::Nothing);
    assert_eq!(survivors, Vec::<&str>::new());
}
