//! Whatever bytes arrive, what agent and collector share reads them in words: the part of tests/fuzz that every run takes.
//! The probes' own parsers are held the same way beside them (`agent/probe/src/fuzzing.rs`).

use std::path::Path;

#[path = "fuzz/gate.rs"]
mod gate;
#[path = "fuzz/shared.rs"]
mod shared;

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds");

#[test]
fn security_21_no_shared_reader_breaks_over_its_seeds_and_over_damaged_ones() {
    gate::hold(Path::new(SEEDS), shared::ENTRIES);
}
