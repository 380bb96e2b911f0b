//! SECURITY 18: a gibibyte behind a few bytes costs less than 16 MiB of memory. In its own process, so that the high
//! water mark is its own.
#![cfg(target_os = "linux")]

use std::io::Write as _;

use upheld_delivery::intake::inflate;
use upheld_wire::v1::limits::WIRE_BYTES_MAX;

#[test]
fn a_gibibyte_bomb_costs_less_than_16_mib() {
    let bomb = bomb();
    assert!(bomb.len() <= WIRE_BYTES_MAX, "{}", bomb.len());
    let before = peak_kib();
    let refusal = inflate(&bomb).unwrap_err();
    assert!(refusal.is_too_large(), "{refusal}");
    let grown = peak_kib() - before;
    assert!(grown < 16 << 10, "{grown} KiB");
}

/// Enough noise in front that the ratio alone does not end it, and zeros to a gibibyte.
fn bomb() -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(17).unwrap();
    let mut dice = 5;
    for _ in 0..100_000 {
        encoder.write_all(&upheld_delivery::storage::sim::next(&mut dice).to_le_bytes()).unwrap();
    }
    let zeros = vec![0; 1 << 20];
    for _ in 0..1024 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// The most memory this process ever had, in KiB.
#[allow(clippy::disallowed_methods, reason = "the kernel tells it in a file; the crate under test reads none")]
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
