//! The agent: each run begins from a copy of one folder, with a journal whose segment is nearly full, so that it crosses into
//! the next one. Its collector does not run.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use jiff::SignedDuration;
use upheld_delivery::journal::Urgency;
use upheld_model::{Outcome, Sample};
use upheld_tests::{Agent, Collector, binary, journal, wait_for};

use super::*;

/// Words that a job says in one run.
const WORDS: u64 = 3;
/// Runs side by side.
const LANES: usize = 2;

/// An enrolled agent's folder, with its history, to begin each run from. Its collector does not run.
struct Prepared {
    state: PathBuf,
    records: usize,
    _agent: Agent,
    _collector: Collector,
}

fn prepared() -> Prepared {
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    write_book(&folder);
    collector.apply(&folder);
    collector.serve();
    let mut agent = Agent::enroll(&collector.link(collector.port), "");
    agent.run();
    let state = agent.state();
    wait_for("the agent knows the job", Duration::from_secs(60), || {
        matches!(say(&state, 0), Said::Taken).then_some(())
    });
    wait_for("all is told", Duration::from_secs(60), || (agent.status()?["waiting"] == 0).then_some(()));
    agent.program().stop();
    collector.program().stop();
    fill_segment(&state);
    let records = journal::records(&state).len();
    Prepared { state, records, _agent: agent, _collector: collector }
}

/// Writes history until the journal's segment of 1 MiB has a few hundred bytes left.
fn fill_segment(state: &Path) {
    let begun = Timestamp::now();
    let segment = |state: &Path| {
        let names = fs::read_dir(state.join("journal")).expect("the journal").flatten();
        let lengths = names.filter(|entry| entry.path().extension().is_some_and(|ext| ext == "seg"));
        lengths.map(|entry| entry.metadata().expect("its length").len()).max().unwrap_or(0)
    };
    let mut round = 0;
    for (samples, until) in [(3000, 800 << 10), (100, (1 << 20) - 20_000), (2, (1 << 20) - 600)] {
        let mut last = 0;
        while segment(state) < until && segment(state) >= last {
            last = segment(state);
            let at = begun + SignedDuration::from_secs(round);
            journal::write_history(state, &[(at, noise(at, round, samples), Urgency::Soon)]);
            round += 1;
        }
    }
}

/// Samples that do not compress well.
fn noise(at: Timestamp, round: i64, samples: i64) -> Body {
    let mut dice = u64::try_from(round).expect("small") + 1;
    let samples = (0..samples).map(|_| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Sample {
            check: "srv-1/host".parse().expect("a check"),
            at: ObservedAt(at),
            took_us: dice >> 20,
            outcome: Outcome::Ok,
            values: BTreeMap::new(),
            counters: BTreeMap::new(),
            evidence: None,
        }
    });
    Body { samples: samples.collect(), ..Body::default() }
}

/// A copy of the prepared folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else if !from.to_string_lossy().ends_with(".sock") {
            fs::copy(&from, &to).expect("a copy");
        }
    }
}

/// Runs an agent under strace through its words and its stop, or until it ends; the words that it said it has.
fn drive(state: &Path, log: &Path, trace: &Path, options: &[OsString]) -> Vec<u64> {
    let mut child = start(&mut traced(&running(state), trace, options), log);
    let mut taken = Vec::new();
    let begun = Instant::now();
    let mut number = 1;
    while number <= WORDS && child.try_wait().expect("its state").is_none() && begun.elapsed() < Duration::from_secs(60)
    {
        match say(state, number) {
            Said::Taken => {
                taken.push(number);
                number += 1;
            }
            // It is not there yet, or not any more; a word that may have been taken is not said again.
            Said::Unknown if state.join("status.sock").exists() && !taken.is_empty() => number += 1,
            Said::Unknown => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    if child.try_wait().expect("its state").is_none() {
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sending SIGTERM");
    }
    wait_for("the traced agent ends", Duration::from_secs(60), || child.try_wait().expect("its state"));
    taken
}

fn running(state: &Path) -> Command {
    let mut command = Command::new(binary("upheld-agent"));
    command.arg("--state").arg(state).arg("run");
    command
}

/// What became of one point.
struct Ended {
    was_hit: bool,
    restart: Duration,
}

fn run_point(prepared: &Prepared, folder: &Path, site: &Site, place: &Place, inject: Inject) -> Ended {
    let what = format!("{inject:?} at {} of {} (the {}.)", site.call, site.kind, place.nth);
    let state = folder.join("state");
    copy(&prepared.state, &state);
    let below = place.path.strip_prefix(&prepared.state).or_else(|_| place.path.strip_prefix(folder));
    let path = state.join(below.unwrap_or(&place.path));
    let (log, trace) = (folder.join("log"), folder.join("trace"));
    let taken = drive(&state, &log, &trace, &injecting(site, &path, place.nth, inject));
    let was_hit = was_hit(&trace);

    // It is back within two seconds, whatever it left behind.
    let begun = Instant::now();
    let mut again = start(&mut running(&state), &log);
    let is_back = || matches!(say(&state, 100), Said::Taken).then_some(());
    let deadline = Instant::now() + Duration::from_secs(60);
    while is_back().is_none() {
        let text = || fs::read_to_string(&log).unwrap_or_default();
        assert!(again.try_wait().expect("its state").is_none(), "{what}: it does not start again:\n{}", text());
        assert!(Instant::now() < deadline, "{what}: it does not answer:\n{}", text());
        std::thread::sleep(Duration::from_millis(5));
    }
    let restart = begun.elapsed();
    again.kill().and_then(|()| again.wait()).expect("it is ended");

    let records = journal::records(&state);
    let words = |number| times_said(records.iter().filter_map(|(_, _, body)| body.as_ref()), number);
    for number in taken.iter().copied().chain([100]) {
        assert_eq!(words(number), 1, "{what}: word {number} of {taken:?} is lost or doubled");
    }
    assert!((1..=WORDS).all(|number| words(number) <= 1), "{what}: doubled");
    assert!(records.len() >= prepared.records + taken.len(), "{what}: {} of {}", records.len(), prepared.records);
    let expected: &[&str] = if inject == Inject::Kill { &[] } else { &["The journal cannot be written"] };
    let errors = errors(&log, expected);
    assert!(errors.is_empty(), "{what}: {errors:?}");
    fs::remove_dir_all(folder).expect("the run's folder goes");
    Ended { was_hit, restart }
}

#[test]
fn an_agent_killed_or_refused_at_every_site_of_its_disk_loses_and_doubles_nothing() {
    let prepared = prepared();
    let folder = tempfile::tempdir().expect("a folder");
    let counted = folder.path().join("counted");
    fs::create_dir_all(&counted).expect("a folder");
    let (state, trace) = (counted.join("state"), counted.join("trace"));
    copy(&prepared.state, &state);
    let taken = drive(&state, &counted.join("log"), &trace, &counting());
    assert_eq!(taken.len() as u64, WORDS, "{}", fs::read_to_string(counted.join("log")).unwrap_or_default());
    let sites = sites(&trace, &state);
    let mut points = points(&sites);
    for (_, place, _) in &mut points {
        place.path = prepared.state.join(place.path.strip_prefix(&state).expect("below its folder"));
    }
    print_sites(&sites);
    let next = AtomicUsize::new(0);
    let lane = || {
        let (mut hit, mut restarts) = (0, Vec::new());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((site, place, inject)) = points.get(index) else { return (hit, restarts) };
            let ended = run_point(&prepared, &folder.path().join(format!("run-{index}")), site, place, *inject);
            hit += usize::from(ended.was_hit);
            restarts.push(ended.restart);
        }
    };
    let begun = Instant::now();
    let (mut hit, mut restarts) = (0, Vec::new());
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        for ended in lanes {
            let (more, took) = ended.join().expect("no point failed");
            hit += more;
            restarts.extend(took);
        }
    });
    restarts.sort_unstable();
    println!(
        "agent: {} points at {} sites, {hit} of them met, in {:.0} s: 0 lost, 0 doubled; until the next word was durable after a \
         restart {:.2} s in half of them, {:.2} s in all",
        points.len(),
        sites.len(),
        begun.elapsed().as_secs_f64(),
        restarts[restarts.len() / 2].as_secs_f64(),
        restarts[restarts.len() - 1].as_secs_f64()
    );
    assert!(hit * 10 >= points.len() * 9, "{hit} of {} points were met", points.len());
}
