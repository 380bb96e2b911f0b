//! Due times per second on one thread, warm: `cargo run --release -p upheld-agreement --example due_rate`.
//!
//! Medians of seven rounds. Quote ratios of one run, not figures of two: the machine is shared (PERFORMANCE).

// An example may look at the clock; the crate itself may not.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::{hint::black_box, time::Instant};

use jiff::Timestamp;
use upheld_agreement::{
    calendar::{Calendar, CalendarDef, Due, Holiday, Hours, Pause, Weekly},
    cases::{Case, Cases},
};

const STARTS: i64 = 20_000;
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let def = office();
    let calendar = Calendar::compile(&def)?;
    let rate = |target_s: u64, pauses: bool| median(|| dues_per_s(&calendar, target_s, pauses));
    println!("{:<44}{:>14.0} dues/s", "office hours, 4 h", rate(4 * 3600, false));
    println!("{:<44}{:>14.0} dues/s", "office hours, 4 h, two pauses", rate(4 * 3600, true));
    println!("{:<44}{:>14.0} dues/s", "multi-week, 200 h", rate(200 * 3600, false));
    println!("{:<44}{:>14.0} dues/s", "ten years, 26,000 h", rate(26_000 * 3600, false));
    println!("{:<44}{:>14.0} calendars/s", "compiling, five holidays", median(|| compiles_per_s(&def)));
    println!("{:<44}{:>14} table entries", "", calendar.weight());
    let lines = case_lines(&def)?;
    println!("{:<44}{:>14.0} lines/s", "case lines, read", median(|| lines_per_s(&lines, |case| drop(case))));
    println!(
        "{:<44}{:>14.0} lines/s",
        "case lines, read and computed",
        median(|| lines_per_s(&lines, |case| drop(case.work())))
    );
    println!(
        "{:<44}{:>14.0} lines/s",
        "case lines, answered",
        median(|| lines_per_s(&lines, |case| drop(case.work().json())))
    );
    Ok(())
}

fn case_lines(def: &CalendarDef) -> Result<Vec<String>, serde_json::Error> {
    let calendar = serde_json::to_string(def)?;
    let line = |index: i64| {
        let start = second(1_700_000_000 + index * 6_311);
        format!(
            r#"{{"id":"{index}","kind":"due","calendar":{calendar},"start":"{start}","pauses":[],"target_s":14400}}"#
        )
    };
    Ok((0..STARTS).map(line).collect())
}

fn lines_per_s(lines: &[String], answer: impl Fn(Case<'_>)) -> f64 {
    let began = Instant::now();
    let mut cases = Cases::default();
    lines.iter().for_each(|line| answer(cases.read(line)));
    lines.len() as f64 / began.elapsed().as_secs_f64()
}

fn office() -> CalendarDef {
    let weekly = Weekly { sat: vec![], sun: vec![], ..Weekly::every_day(&[Hours("08:00".into(), "18:00".into())]) };
    let on = |date: &str| Holiday { date: date.into(), ..Holiday::default() };
    CalendarDef {
        tz: "America/Chicago".into(),
        weekly,
        holidays: vec![on("2026-11-26"), on("2026-09-07"), on("2026-05-25")],
        yearly_holidays: vec![on("12-25"), on("01-01")],
        ..CalendarDef::default()
    }
}

fn dues_per_s(calendar: &Calendar, target_s: u64, has_pauses: bool) -> f64 {
    let began = Instant::now();
    for index in 0..STARTS {
        // Starts spread over four years, at odd seconds.
        let start = second(1_700_000_000 + index * 6_311);
        let pause = |from: i64, to: i64| Pause {
            from: second(start.as_second() + from),
            to: Some(second(start.as_second() + to)),
        };
        let pauses = [pause(1_800, 5_400), pause(40_000, 90_000)];
        let due: Due = calendar.due(black_box(start), target_s, if has_pauses { &pauses } else { &[] });
        black_box(due);
    }
    STARTS as f64 / began.elapsed().as_secs_f64()
}

fn compiles_per_s(def: &CalendarDef) -> f64 {
    let began = Instant::now();
    for _ in 0..100 {
        black_box(Calendar::compile(black_box(def)).is_ok());
    }
    100.0 / began.elapsed().as_secs_f64()
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}
