//! The acceptance cases over many seeds, in release: `cargo run --release -p upheld-detection --example sweep [SEEDS [designs|silence]]`.
//! Prints what was measured; a case that misses its bar panics with its seed.
#![allow(dead_code, unused_imports, reason = "the cases and their helpers are shared with the tests")]

#[path = "../tests/acceptance/designs.rs"]
mod designs;
#[path = "../tests/acceptance/dice.rs"]
mod dice;
#[path = "../tests/acceptance/s1_port.rs"]
mod s1_port;
#[path = "../tests/acceptance/s2_afternoons.rs"]
mod s2_afternoons;
#[path = "../tests/acceptance/s3_dip.rs"]
mod s3_dip;
#[path = "../tests/acceptance/s5_quiet.rs"]
mod s5_quiet;
#[path = "../tests/acceptance/s6_silence.rs"]
mod s6_silence;
#[path = "../tests/acceptance/site.rs"]
mod site;

fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    match std::env::args().nth(2).as_deref() {
        Some("designs") => return other_designs(seeds),
        Some("silence") => return silence(seeds),
        Some(_) | None => {}
    }
    (1_000..1_000 + seeds).for_each(s1_port::run);
    println!("S1: {seeds} of {seeds} runs: one incident, within 60 s of the third drop");
    for (name, installed) in [("Monday", "2026-01-05"), ("Friday", "2026-01-09")] {
        let mut found: Vec<u32> =
            (1_000..1_000 + seeds).map(|seed| s2_afternoons::found_on_bad_day(seed, installed)).collect();
        found.sort_unstable();
        let (first, middle, last) = (found[0], found[found.len() / 2], found[found.len() - 1]);
        println!(
            "S2: installed on a {name}: found on bad weekday {first} at the earliest, {middle} median, {last} at the latest"
        );
    }
    for bursts in [0.5, 1.0, 2.0] {
        let alarms = (0..10 * seeds).filter(|seed| s2_afternoons::alarms_in_ninety_days(*seed, bursts)).count();
        println!("S2: {bursts} bursts a day: {alarms} of {} sites alarmed in 90 days", 10 * seeds);
    }
    (1_000..1_000 + seeds).for_each(s3_dip::run);
    println!("S3: {seeds} of {seeds} runs: two incidents, one ticket");
    let months: Vec<(u64, usize)> = (1_000..1_000 + seeds).map(s5_quiet::run).collect();
    let pages: u64 = months.iter().map(|(pages, _)| pages).sum();
    let most = months.iter().map(|(_, incidents)| incidents).max().copied().unwrap_or_default();
    println!("S5: {seeds} sites, a month each: {pages} pages in all, at most {most} incidents at a site");
    silence(seeds);
    other_designs(seeds);
}

/// S6 with providers of four sizes: DETECTION asks for the right verdict in 100 of 100 runs each.
fn silence(seeds: u64) {
    for sites in [1, 3, 10, 1_000] {
        for seed in 1_000..1_000 + seeds {
            s6_silence::one_site_out(seed, sites);
            s6_silence::our_own_line_out(seed, sites);
            s6_silence::after_a_start(seed, sites);
            if sites >= 10 {
                s6_silence::a_town_out(seed, sites);
            }
        }
        println!("S6: {sites} sites: {seeds} of {seeds} runs of each story");
    }
}

/// The same cases, written by somebody else.
fn other_designs(seeds: u64) {
    (2_000..2_000 + seeds).for_each(designs::port);
    println!("S1, other designs: {seeds} of {seeds} runs");
    let mut found: Vec<u32> = (2_000..2_000 + seeds).map(designs::afternoon).collect();
    found.sort_unstable();
    println!(
        "S2, other designs: found on bad weekday {} median, {} at the latest",
        found[found.len() / 2],
        found[found.len() - 1]
    );
    for rate in [0.5, 1.0, 2.0] {
        let alarms = (2_000..2_000 + seeds).filter(|seed| designs::bursts(*seed, rate)).count();
        println!("S2, other designs: {rate} bursts a day: {alarms} of {seeds} sites alarmed in 90 days");
    }
    (2_000..2_000 + 2 * seeds).for_each(designs::dip);
    println!("S3, other designs: {0} of {0} runs", 2 * seeds);
    (2_000..2_000 + seeds).for_each(designs::dips);
    println!("S4, other designs: {seeds} of {seeds} runs");
    let months: Vec<_> = (2_000..2_000 + seeds).map(designs::quiet).collect();
    let pages = months.iter().map(|(pages, _)| pages).max().copied().unwrap_or_default();
    let most = months.iter().map(|(_, incidents)| incidents.len()).max().unwrap_or_default();
    println!("S5, other designs: {seeds} sites: at most {pages} pages and {most} incidents a month");
}
