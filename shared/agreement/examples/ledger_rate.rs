//! How the cost of a clock grows with its ledger: `cargo run --release -p upheld-agreement --example ledger_rate`.
//!
//! Ten times the facts cost some ten times as much (9 to 13, undisturbed). On a busy machine the longer rounds are the ones
//! that are interrupted: `chrt -r 1` keeps the ratios true.

// An example may look at the clock; the crate itself may not.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../tests/small/mod.rs"]
mod small;

use std::{hint::black_box, time::Instant};

use jiff::{SignedDuration, Timestamp};
use upheld_agreement::{
    clock::{Clock, ClockStart, Fact, FactKind},
    terms::PinnedTerms,
    words::Stage,
};

const FEW: u64 = 1_000;
const MANY: u64 = 10_000;
const ROUNDS: usize = 7;

fn main() {
    let terms = small::terms(&[]);
    let row = |what: &str, stage: Stage, kind: fn(u64) -> FactKind| {
        let (few, many) = (ms(&terms, stage, FEW, kind), ms(&terms, stage, MANY, kind));
        println!("{what:<44}{few:>10.1} ms{many:>12.1} ms{:>8.1} x", many / few);
    };
    println!("{:<44}{FEW:>13}{MANY:>15} facts", "view, deadline, milestones, explanation");
    row("resolution, pauses that end", Stage::Resolve, |number| {
        if number % 2 == 0 { FactKind::Resumed } else { small::paused() }
    });
    row("resolution, pauses that nobody ends", Stage::Resolve, |_| small::paused());
    row("resolution, restored and reopened", Stage::Resolve, |number| {
        if number % 2 == 0 { FactKind::Reopened } else { FactKind::Restored }
    });
    row("updates that are given", Stage::Update, |_| small::updated());
    row("updates between pauses", Stage::Update, |number| match number % 3 {
        0 => small::updated(),
        1 => small::paused(),
        _ => FactKind::Resumed,
    });
    row("visits and their reports", Stage::VisitReport, |number| {
        if number % 2 == 0 { FactKind::VisitReported } else { small::on_site() }
    });
    row("disputes of every pause", Stage::Resolve, |number| {
        if number % 2 == 0 { FactKind::Disputed { item: number - 1, why: "no".to_owned() } } else { small::paused() }
    });
}

/// Milliseconds for everything that is asked of a clock with so many facts, ten minutes apart.
fn ms(terms: &PinnedTerms, stage: Stage, count: u64, kind: fn(u64) -> FactKind) -> f64 {
    let begins: Timestamp = small::on("16 08:00");
    let at = |number: u64| begins + SignedDuration::from_mins(10 * i64::try_from(number).unwrap_or(0));
    let facts: Vec<Fact> = (1..=count)
        .map(|number| Fact {
            number,
            effective_at: at(number),
            recorded_at: at(number),
            who: "ana".to_owned(),
            kind: kind(number),
        })
        .collect();
    let (now, start) = (at(count + 1), ClockStart::new(begins, begins));
    let once = || {
        let begun = Instant::now();
        let clock = Clock::replay(terms, stage, &start, &facts).expect("the small book is whole");
        let told = clock.milestones_due(now, &[]);
        black_box((clock.view(now), clock.next_deadline(now), told, clock.explain(terms, now)));
        begun.elapsed().as_secs_f64() * 1000.0
    };
    // The best of some rounds: the machine is shared.
    (0..ROUNDS).map(|_| once()).fold(f64::INFINITY, f64::min)
}
