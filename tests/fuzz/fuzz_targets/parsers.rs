//! Any bytes for the parser that `UPHELD_FUZZ` names: one program for all of them, each with its own corpus.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../shared.rs"]
mod shared;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("UPHELD_FUZZ").unwrap_or_default();
    let mut entries = upheld_probe::fuzzing::ENTRIES.iter().chain(shared::ENTRIES);
    let found = entries.find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("UPHELD_FUZZ={name:?} names no folder of tests/fuzz/seeds")).1
});

fuzz_target!(|bytes: &[u8]| (*RUN)(bytes));
