//! The command line: seeds in, a table out.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use clap::Parser;

use crate::{Broken, Counts, Fault, Length, Ran, Room, mutants, run};

/// Every so many seeds one is run twice (I14).
const TWICE_EVERY: u64 = 20;

/// Runs the product's own code under every fault in virtual time.
#[derive(Debug, Parser)]
#[command(name = "cargo sim")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Break this rule, and show which seeds notice; `list` lists them.
    #[arg(long, conflicts_with = "all_mutants")]
    mutant: Option<String>,
    /// Break each rule in turn.
    #[arg(long)]
    all_mutants: bool,
    /// Short runs, as in everyday tests.
    #[arg(long)]
    short: bool,
    /// This room alone; without it every room, and of a rule that is broken the room that must notice.
    #[arg(long, value_parser = room_named)]
    room: Option<Room>,
    /// Threads; by default as many as the machine has.
    #[arg(long)]
    threads: Option<usize>,
}

fn room_named(word: &str) -> Result<Room, String> {
    let found = Room::ALL.iter().find(|room| room.word() == word).copied();
    let known = || Room::ALL.iter().map(|room| room.word()).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("the rooms are {}", known()))
}

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let length = if arguments.short { Length::Short } else { Length::Full };
    let is_sound = match arguments.mutant.as_deref() {
        Some("list") => {
            mutants::ALL.iter().chain(mutants::UNSEEN).for_each(|broken| println!("{}", broken.word()));
            return ExitCode::SUCCESS;
        }
        Some(word) => match mutants::named(word) {
            Some(mutant) => hunt(&arguments, length, &[mutant]),
            None => {
                eprintln!("Error: no mutant is called {word:?}; `cargo sim --mutant list` lists them");
                return ExitCode::from(2);
            }
        },
        None if arguments.all_mutants => {
            let here = |broken: &Broken| arguments.room.is_none_or(|room| broken.room() == room);
            let all: Vec<Broken> = mutants::ALL.iter().copied().filter(here).collect();
            hunt(&arguments, length, &all)
        }
        None => {
            let rooms = arguments.room.map_or(Room::ALL.to_vec(), |room| vec![room]);
            // Every room, also when one fails.
            let held: Vec<bool> = rooms.into_iter().map(|room| sound(&arguments, room, length)).collect();
            held.into_iter().all(|held| held)
        }
    };
    if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every seed must hold in this room.
fn sound(arguments: &Arguments, room: Room, length: Length) -> bool {
    let began = Instant::now();
    let ran = run_all(arguments, room, length, Broken::Nothing);
    let (mut counts, mut hours, mut failed, mut hash) = (Counts::default(), 0.0, 0_u64, 0_u64);
    for (seed, ran) in &ran {
        counts.add(&ran.counts);
        hours += ran.agent_hours;
        hash = hash.rotate_left(7) ^ ran.trace;
        if let Some(what) = &ran.violation {
            failed += 1;
            let short = if length == Length::Short { " --short" } else { "" };
            println!("seed {seed}, trace {:016x}: {what}", ran.trace);
            println!("  replay: cargo sim --room {} --seeds 1 --first-seed {seed}{short}", room.word());
        }
    }
    println!("room {}\n{:<64} {:>9}", room.word(), "fault", "times");
    for fault in Fault::ALL.iter().filter(|fault| counts.of(**fault) > 0) {
        println!("{:<64} {:>9}", fault.words(), counts.of(*fault));
    }
    let took = began.elapsed().as_secs_f64();
    let twice = ran.iter().filter(|(seed, _)| seed.is_multiple_of(TWICE_EVERY)).count();
    println!("\n{} seeds ({twice} of them twice: I14) in {took:.0} s, {hours:.0} agent-hours", ran.len());
    println!("{failed} violations, trace {hash:016x}\n");
    failed == 0
}

/// Every mutant must be caught by some seed.
fn hunt(arguments: &Arguments, length: Length, all: &[Broken]) -> bool {
    let mut survivors = 0;
    println!("{:<32} {:>12}  {:<10}  what it saw", "rule broken", "caught by", "first seed");
    for broken in all {
        #[cfg(feature = "mutants")]
        mutants::switch(*broken);
        #[cfg(not(feature = "mutants"))]
        if matches!(broken, Broken::Rule(_)) {
            println!("{:<36} needs --features mutants", broken.word());
            continue;
        }
        let ran = run_all(arguments, broken.room(), length, *broken);
        let caught: Vec<&(u64, Ran)> = ran.iter().filter(|(_, ran)| ran.violation.is_some()).collect();
        let (seed, what) = match caught.first() {
            Some((seed, ran)) => (seed.to_string(), ran.violation.clone().unwrap_or_default()),
            None => ("-".to_owned(), "SURVIVES".to_owned()),
        };
        survivors += u64::from(caught.is_empty());
        let what: String = what.chars().take(90).collect();
        let share = format!("{} of {}", caught.len(), ran.len());
        println!("{:<32} {share:>12}  {seed:<10}  {what}", broken.word());
    }
    #[cfg(feature = "mutants")]
    mutants::switch(Broken::Nothing);
    println!("\n{} mutants, {survivors} survive", all.len());
    survivors == 0
}

/// Every seed of the arguments, on several threads, in order. Where nothing is broken on purpose, what does not hold and how far
/// it is stands on standard error as it comes: a thousand seeds take hours.
fn run_all(arguments: &Arguments, room: Room, length: Length, broken: Broken) -> Vec<(u64, Ran)> {
    let all_cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or_else(all_cores);
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        let mut mine = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= arguments.seeds {
                return mine;
            }
            let seed = arguments.first_seed + at;
            let ran = if broken == Broken::Nothing {
                let ran = asked_again(room, seed, length);
                tell(room, seed, &ran, done.fetch_add(1, Ordering::Relaxed) + 1, arguments.seeds);
                ran
            } else {
                guarded(room, seed, length, broken)
            };
            mine.push((seed, ran));
        }
    };
    let mut all: Vec<(u64, Ran)> = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap_or_default()).collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all
}

/// A seed, and every twentieth of them once more (I14).
fn asked_again(room: Room, seed: u64, length: Length) -> Ran {
    let mut ran = guarded(room, seed, length, Broken::Nothing);
    if seed.is_multiple_of(TWICE_EVERY) && guarded(room, seed, length, Broken::Nothing).trace != ran.trace {
        ran.violation =
            Some(format!("I14: two runs differ; the first: {}", ran.violation.as_deref().unwrap_or("it held")));
    }
    ran
}

/// What did not hold, and each hundredth seed, on standard error.
fn tell(room: Room, seed: u64, ran: &Ran, done: u64, of: u64) {
    if let Some(what) = &ran.violation {
        eprintln!("{}: seed {seed}: {what}", room.word());
    }
    if done.is_multiple_of(100) && done < of {
        eprintln!("{}: {done} of {of} seeds", room.word());
    }
}

/// A panic of the product is a violation too.
pub fn guarded(room: Room, seed: u64, length: Length, broken: Broken) -> Ran {
    let caught = std::panic::catch_unwind(|| run(room, seed, length, broken));
    caught.unwrap_or_else(|why| {
        let said = why.downcast_ref::<String>().cloned();
        let said = said.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = Some(format!("it panics: {}", said.unwrap_or_default()));
        Ran { agent_hours: 0.0, counts: Counts::default(), trace: 0, violation }
    })
}
