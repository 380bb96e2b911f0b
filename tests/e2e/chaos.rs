//! A line that does everything a line can do, between the real programs: nothing is lost, nothing is there twice, and each
//! incident has one ticket.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use upheld_tests::{
    Agent, Collector, book,
    chaos::{Chaos, Fault},
    free_port,
    held::{assert_all_arrived_once, wait_until_drained},
    receiver::{self, Receiver},
    wait_for, watched,
};

/// For how long the script plays.
const PLAYS: Duration = Duration::from_secs(32);
/// What is played in any case: each fault once, with a whole line between.
const ROUND: usize = 16;
/// The longest that one part of it lasts.
const LONGEST: Duration = Duration::from_secs(8);

/// A number of a splitmix64 sequence: the script of a seed is the same each time.
fn roll(dice: &mut u64, sides: u64) -> u64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *dice;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % sides
}

/// Each fault once in an order of the seed's, then again, each for a stretch of its own.
fn script(seed: u64) -> Vec<(Fault, Duration)> {
    let mut dice = seed;
    let mut all = Vec::new();
    for _ in 0..3 {
        let mut faults = vec![
            Fault::Delay(100 + roll(&mut dice, 500)),
            Fault::Split(1 + usize::try_from(roll(&mut dice, 7)).expect("small")),
            Fault::Slow(1 + roll(&mut dice, 3)),
            Fault::ResetAfter(roll(&mut dice, 3_000)),
            Fault::LoseAnswer,
            Fault::HalfOpen,
            Fault::Blackhole,
            Fault::Refuse,
        ];
        while !faults.is_empty() {
            let next = usize::try_from(roll(&mut dice, faults.len() as u64)).expect("small");
            all.push((faults.swap_remove(next), Duration::from_millis(700 + roll(&mut dice, 1_500))));
            all.push((Fault::None, Duration::from_millis(300 + roll(&mut dice, 900))));
        }
    }
    all
}

fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::None => "whole",
        Fault::Delay(_) => "delay",
        Fault::Split(_) => "split",
        Fault::Slow(_) => "slow",
        Fault::ResetAfter(_) => "reset in mid-request",
        Fault::LoseAnswer => "answer lost",
        Fault::HalfOpen => "half open",
        Fault::Blackhole => "blackhole",
        Fault::Refuse => "refused",
    }
}

#[test]
fn whatever_a_line_does_nothing_is_lost_or_doubled_and_each_incident_is_one_ticket() {
    let seed = std::env::var("UPHELD_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_128);
    println!("chaos seed {seed} (UPHELD_CHAOS_SEED=N plays another)");
    let tickets = Receiver::start();
    let service_port = free_port();
    let collector = Collector::new();
    receiver::allow(&collector);
    let folder = collector.folder().join("book");
    let url = format!("http://127.0.0.1:{}/hook", tickets.port);
    book::write_book(&folder, &watched::tcp_asset(service_port), Some((&url, "desk")));
    let mut collector = collector;
    collector.apply(&folder);
    collector.serve();
    let line = Chaos::to(collector.port);
    let mut agent = Agent::enroll(&collector.link(line.port), &watched::allow(service_port));
    let listener = TcpListener::bind(("127.0.0.1", service_port)).expect("the service's port");
    agent.run();
    let soon = Duration::from_secs(30);
    wait_for("the agent reports", soon, || agent.status().filter(|status| status["last_accepted"].is_string()));
    drop(listener);

    let (is_over, transitions) = (AtomicBool::new(false), AtomicU64::new(0));
    let struck = thread::scope(|scope| {
        scope.spawn(|| {
            // Bursts: the service comes and goes as fast as its check looks, then rests.
            let mut dice = !seed;
            while !is_over.load(Ordering::SeqCst) {
                for _ in 0..2 {
                    let listener = TcpListener::bind(("127.0.0.1", service_port)).expect("the service's port");
                    thread::sleep(Duration::from_millis(1_200));
                    drop(listener);
                    thread::sleep(Duration::from_millis(1_200));
                    transitions.fetch_add(2, Ordering::SeqCst);
                }
                thread::sleep(Duration::from_millis(roll(&mut dice, 1_500)));
            }
        });
        let mut struck: BTreeMap<&str, u32> = BTreeMap::new();
        let (begun, mut before) = (Instant::now(), Fault::None);
        for (number, (fault, holds)) in script(seed).into_iter().enumerate() {
            if begun.elapsed() > PLAYS && number >= ROUND {
                break;
            }
            *struck.entry(name(before)).or_default() += line.set(fault);
            before = fault;
            let accepted = || agent.status().map(|status| status["last_accepted"].clone());
            let (was, set) = (accepted(), Instant::now());
            thread::sleep(holds);
            // A fault that met nobody proves nothing: somebody sends again within seconds. And an agent that did not get
            // through in between waits longer from fault to fault, and would meet none of the next.
            let is_over = || if fault == Fault::None { accepted() != was } else { line.struck() > 0 };
            while set.elapsed() < LONGEST && !is_over() {
                thread::sleep(Duration::from_millis(50));
            }
        }
        *struck.entry(name(before)).or_default() += line.set(Fault::None);
        is_over.store(true, Ordering::SeqCst);
        struck
    });

    wait_until_drained(&agent);
    agent.program().stop();
    let total = assert_all_arrived_once(&agent, &collector);
    let count = |query: &str| -> i64 { collector.database().query_row(query, [], |row| row.get(0)).expect("a count") };
    let (changes, findings) = (count("SELECT count(*) FROM changes"), count("SELECT count(*) FROM findings"));
    let incidents = count("SELECT count(*) FROM incidents");
    let waiting = "SELECT count(*) FROM outbox WHERE event = 'incident.opened' AND delivered_at IS NULL";
    wait_for("the ticket is written", soon, || (count(waiting) == 0).then_some(()));
    let tickets = opened(&tickets);
    println!(
        "seed {seed}: struck {struck:?}; {} comings and goings, {changes} changes of state, {findings} findings, {total} \
         records; lost 0, doubled 0; {incidents} incidents, tickets {tickets:?}",
        transitions.load(Ordering::SeqCst)
    );
    // What comes and goes is one incident; the seventh time it is unstable, which is one more, and holds all that follows.
    let different: BTreeSet<&String> = tickets.iter().map(|(incident, _)| incident).collect();
    assert_eq!(
        (tickets.len(), different.len() as i64),
        (different.len(), incidents),
        "a ticket for each incident, once"
    );
    let (unstable, failed): (Vec<_>, Vec<_>) = tickets.iter().partition(|(_, title)| title.ends_with("times"));
    assert_eq!((failed.len(), unstable.len()), (1, usize::from(findings >= 7)), "{tickets:?}");
    assert!(findings >= 4, "{findings}");
    let quiet: Vec<_> = struck.iter().filter(|(fault, times)| **fault != "whole" && **times == 0).collect();
    assert!(struck.len() >= 8 && quiet.len() <= 2, "a script that breaks nothing proves nothing: {struck:?}");
    collector.program().stop();
}

/// The tickets that were asked for: of which incident, and its title.
fn opened(tickets: &Receiver) -> Vec<(String, String)> {
    let text = |message: &Value, name: &str| message["data"][name].as_str().unwrap_or_default().to_owned();
    let taken: Vec<Value> = tickets.all().into_iter().map(|message| message.body).collect();
    let opened = taken.iter().filter(|message| message["type"] == "incident.opened");
    opened.map(|message| (text(message, "incident"), text(message, "title"))).collect()
}
