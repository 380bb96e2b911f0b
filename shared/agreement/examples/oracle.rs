//! The calendar against the walk of tests/calendar_oracle, for as many cases as you like:
//! `cargo run --release -p upheld-agreement --example oracle -- COUNT [SEED]`.

#[path = "../tests/calendar_oracle/amend.rs"]
mod amend;
#[path = "../tests/calendar_oracle/draw.rs"]
mod draw;
#[path = "../tests/calendar_oracle/judge.rs"]
mod judge;
#[path = "../tests/calendar_oracle/walk.rs"]
mod walk;

fn main() -> std::process::ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let (Some(Ok(count)), seed) = (numbers.next(), numbers.next().and_then(Result::ok).unwrap_or(1)) else {
        eprintln!("usage: oracle COUNT [SEED]");
        return std::process::ExitCode::from(2);
    };
    let zones = draw::Zones::all();
    let (names, odd) = zones.count();
    let wrong = judge::run(&zones, seed as u64, count);
    wrong.iter().take(10).for_each(|case| println!("{case}"));
    println!("{count} cases in {names} zones with {odd} odd transitions: {} wrong", wrong.len());
    if wrong.is_empty() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
