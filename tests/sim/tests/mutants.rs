//! A simulator that cannot fail proves nothing: each rule, broken on purpose, is noticed by one of a few seeds.

use upheld_sim::{Length, command::guarded, mutants};

/// Seeds for each mutant, at most: the first that notices is enough.
const SEEDS: u64 = 60;
/// Then this one: `no-72-h-retention` needs a full segment, acknowledged, before a restore, which short runs rarely have.
const RARE: u64 = 175;

#[test]
fn every_mutant_is_caught() {
    let mut survivors = Vec::new();
    for broken in mutants::ALL {
        mutants::switch(*broken);
        if !(0..SEEDS)
            .chain([RARE])
            .any(|seed| guarded(broken.room(), seed, Length::Short, *broken).violation.is_some())
        {
            survivors.push(broken.word());
        }
    }
    mutants::switch(upheld_sim::Broken::Nothing);
    assert_eq!(survivors, Vec::<&str>::new());
}
