//! Connections of thousands of agents to the real collector (release, SQLite), beside a bare hyper-and-rustls server
//! that demands the same certificates and answers a constant, in one run. Usage: `fleet [AGENTS] [SECONDS]` (default
//! 10,000 for 30 s), after `cargo build --release --bins`. It takes about two and a half minutes.
//!
//! Each agent has a row, a certificate and a connection of its own ([`upheld_benches::fleet`]); none shares another's. A
//! connection is open once its first heartbeat was answered. Then each beats every six seconds, at instants that are
//! spread evenly: 1,667 heartbeats a second of 10,000 agents are those of 50,000 at the product's 30 s. A heartbeat's
//! answer is timed from when it was due, not from when it was sent.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use upheld_benches::{
    Usage,
    fleet::{Bare, Line, Member, book_of, enrol, heartbeat, percentile, raise_files, serve_if_asked},
};
use upheld_tests::Collector;

/// The time between two heartbeats of one agent.
const EVERY: Duration = Duration::from_secs(6);
/// Handshakes under way at once: agents that were cut off come back spread, and the storm is another bench.
const AT_ONCE: usize = 64;
/// Files of this process that are no connections.
const OTHER_FILES: usize = 100;

fn main() {
    serve_if_asked();
    let files = raise_files();
    let argument = |number: usize, default: usize| {
        std::env::args().nth(number).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let wanted = argument(1, 10_000);
    let agents = wanted.min(usize::try_from(files).unwrap_or(wanted).saturating_sub(OTHER_FILES));
    let seconds = argument(2, 30) as u64;
    println!("{agents} agents with a connection each; open files are limited to {files} a process");
    if agents < wanted {
        println!("{wanted} were asked for and do not fit into that limit");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(agents, Duration::from_secs(seconds)));
}

async fn run(agents: usize, span: Duration) {
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    book_of(&folder, agents);
    collector.apply(&folder);
    let began = Instant::now();
    let members = Arc::new(enrol(&collector, agents).await);
    println!("enrolled in process in {:.1} s", began.elapsed().as_secs_f64());
    let sizes = [agents / 10, agents * 3 / 10, agents];

    collector.serve();
    let (port, pid) = (collector.port, collector.program().pid());
    let ours = measure("collector", port, pid, &members, sizes, span).await;
    collector.program().stop();
    collector.program().assert_no_errors();
    let bare = Bare::start(&collector.data().join("pki"));
    let theirs = measure("bare hyper and rustls", bare.port, bare.pid(), &members, sizes, span).await;

    println!(
        "| connections | collector, KiB each | bare, KiB each | ratio | collector, us CPU to open | bare, us | ratio |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (ours, theirs) in ours.sizes.iter().zip(&theirs.sizes) {
        println!(
            "| {} | {:.1} | {:.1} | {:.2} | {:.0} | {:.0} | {:.2} |",
            ours.connections,
            ours.kib_each,
            theirs.kib_each,
            ours.kib_each / theirs.kib_each,
            ours.open_us,
            theirs.open_us,
            ours.open_us / theirs.open_us
        );
    }
    println!(
        "opened again, by agents that were heard a moment ago: collector {:.0} us CPU, bare {:.0}, ratio {:.2}",
        ours.again.open_us,
        theirs.again.open_us,
        ours.again.open_us / theirs.again.open_us
    );
    println!("| heartbeats | a second | CPU of a core | us CPU each | p50 ms | p99 ms | longest ms | errors |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, beats) in [("collector", &ours.beats), ("bare", &theirs.beats)] {
        println!(
            "| {name} | {:.0} | {:.1} % | {:.0} | {:.2} | {:.2} | {:.1} | {} |",
            beats.rate, beats.core_percent, beats.each_us, beats.p50_ms, beats.p99_ms, beats.longest_ms, beats.errors
        );
    }
    println!(
        "collector beside bare: {:.1} x the CPU of a heartbeat; its RSS {:.0} MB with {agents} connections and after the heartbeats (goal: 100 MB + 16 KiB each = {:.0} MB)",
        ours.beats.each_us / theirs.beats.each_us,
        ours.rss_mb,
        100.0 + agents as f64 * 16.0 / 1024.0
    );
    println!("exponent of memory over connections: {:.2}, of CPU to open: {:.2}", ours.exponents.0, ours.exponents.1);
}

/// What one server came to.
struct Figures {
    sizes: Vec<Size>,
    again: Again,
    beats: Beats,
    rss_mb: f64,
    /// Of memory and of the processor time to open, between the first size and the last.
    exponents: (f64, f64),
}

/// So many open connections.
struct Size {
    connections: usize,
    /// Resident memory beyond that of the server without any.
    kib_each: f64,
    /// Processor time for a handshake and the first heartbeat, since the size before.
    open_us: f64,
}

/// Connections of agents that were heard a moment ago, as after a line that was cut for a few seconds.
struct Again {
    /// Processor time for a handshake and a heartbeat.
    open_us: f64,
}

struct Beats {
    rate: f64,
    core_percent: f64,
    each_us: f64,
    p50_ms: f64,
    p99_ms: f64,
    longest_ms: f64,
    errors: usize,
}

async fn measure(
    name: &str,
    port: u16,
    pid: u32,
    members: &Arc<Vec<Member>>,
    sizes: [usize; 3],
    span: Duration,
) -> Figures {
    let usage = || Usage::of(pid).unwrap_or_else(|| panic!("{name} has ended"));
    // One connection first, so that what is made once is not counted as a connection's.
    drop(open(port, members, 0..1).await);
    settled(pid).await;
    let empty = usage();
    let (mut lines, mut figures, mut cpu) = (Vec::new(), Vec::new(), empty.cpu);
    for connections in sizes {
        let before = lines.len();
        lines.extend(open(port, members, before..connections).await);
        settled(pid).await;
        let now = usage();
        figures.push(Size {
            connections,
            kib_each: now.rss_kib.saturating_sub(empty.rss_kib) as f64 / connections as f64,
            open_us: (now.cpu - cpu).as_secs_f64() * 1e6 / (connections - before) as f64,
        });
        println!("{name}: {connections} connections, {} MB resident", now.rss_kib / 1024);
        cpu = now.cpu;
    }
    // At once: a connection of HTTP/1 that rests is closed.
    let beats = beat(lines, span, pid).await;
    let rss_mb = usage().rss_kib as f64 / 1024.0;
    let cut = sizes[0];
    settled(pid).await;
    let cpu = usage().cpu;
    let back = open(port, members, 0..cut).await;
    settled(pid).await;
    let again = Again { open_us: (usage().cpu - cpu).as_secs_f64() * 1e6 / cut as f64 };
    drop(back);
    let (first, last) = (&figures[0], &figures[2]);
    let exponent = |of: &dyn Fn(&Size) -> f64| {
        let total = |size: &Size| of(size) * size.connections as f64;
        (total(last) / total(first)).ln() / (last.connections as f64 / first.connections as f64).ln()
    };
    let exponents = (exponent(&|size| size.kib_each), exponent(&|size| size.open_us));
    Figures { again, beats, rss_mb, exponents, sizes: figures }
}

/// Connects each of these, and has its first heartbeat answered.
async fn open(port: u16, members: &Arc<Vec<Member>>, which: std::ops::Range<usize>) -> Vec<Line> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for index in which {
        let (members, permits) = (Arc::clone(members), Arc::clone(&permits));
        opening.spawn(async move {
            let _permit = permits.acquire_owned().await.expect("never closed");
            let mut line = Line::connect(port, &members[index].tls).await.expect("a connection");
            let answer = line.deliver(&heartbeat(good_since())).await.expect("an answer");
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            line
        });
    }
    opening.join_all().await
}

/// When the checks of all agents became good: nothing of them changes while it is measured.
fn good_since() -> jiff::Timestamp {
    static SINCE: OnceLock<jiff::Timestamp> = OnceLock::new();
    *SINCE.get_or_init(jiff::Timestamp::now)
}

/// Waits until the server's processor rests: what it still did for the last request is not the next one's.
async fn settled(pid: u32) {
    for _ in 0..20 {
        let before = Usage::of(pid).expect("it runs").cpu;
        sleep(Duration::from_millis(500)).await;
        if Usage::of(pid).expect("it runs").cpu - before <= Duration::from_millis(20) {
            return;
        }
    }
}

/// Each agent beats every [`EVERY`], for `span`.
async fn beat(lines: Vec<Line>, span: Duration, pid: u32) -> Beats {
    let (count, errors) = (lines.len(), Arc::new(AtomicUsize::new(0)));
    let begin = Instant::now() + Duration::from_secs(1);
    let mut beating = JoinSet::new();
    for (index, mut line) in lines.into_iter().enumerate() {
        let errors = Arc::clone(&errors);
        let offset = EVERY.mul_f64(index as f64 / count as f64);
        beating.spawn(async move {
            let mut took = Vec::new();
            let mut due = begin + offset;
            while due < begin + span {
                sleep_until(due).await;
                match line.deliver(&heartbeat(good_since())).await {
                    Ok(answer) if answer.status == 200 => took.push(due.elapsed().as_secs_f64() * 1e3),
                    _ => drop(errors.fetch_add(1, Relaxed)),
                }
                due += EVERY;
            }
            // The connection stays open until all have ended, so that its end is not counted.
            (line, took)
        });
    }
    let before = Usage::of(pid).expect("it runs").cpu;
    let ended = beating.join_all().await;
    let (elapsed, cpu) = (begin.elapsed().as_secs_f64(), Usage::of(pid).expect("it runs").cpu - before);
    let mut took: Vec<f64> = ended.iter().flat_map(|(_, took)| took).copied().collect();
    took.sort_by(f64::total_cmp);
    Beats {
        rate: took.len() as f64 / elapsed,
        core_percent: cpu.as_secs_f64() / elapsed * 100.0,
        each_us: cpu.as_secs_f64() * 1e6 / took.len().max(1) as f64,
        p50_ms: percentile(&took, 50),
        p99_ms: percentile(&took, 99),
        longest_ms: took.last().copied().unwrap_or(f64::NAN),
        errors: errors.load(Relaxed),
    }
}
