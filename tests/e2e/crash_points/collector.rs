//! The collector on its database: one agent, one collector, and point after point on the same folders. Each ends both
//! without warning; what was acknowledged before must be in the database, and in the end everything once.

use std::time::Instant;

use upheld_tests::{
    Agent, Collector, binary,
    held::{assert_all_arrived_once, wait_until_drained},
    wait_for,
};

use super::*;

struct Pair {
    collector: Collector,
    agent: Agent,
    /// The last word that was said.
    word: u64,
    /// Words that the agent said it has.
    taken: Vec<u64>,
}

/// What became of one run.
struct Ended {
    was_hit: bool,
    /// How long the collector took to serve, if it came to that.
    restart: Option<Duration>,
}

fn pair() -> Pair {
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
    wait_until_drained(&agent);
    agent.program().stop();
    collector.program().stop();
    Pair { collector, agent, word: 0, taken: vec![0] }
}

impl Pair {
    fn log(&self) -> PathBuf {
        self.collector.folder().join("traced.log")
    }

    /// Both run, the collector under strace; the agent says two words, and it ends when they are acknowledged, or the
    /// collector has ended.
    fn run(&mut self, trace: &Path, options: &[OsString], ends_well: bool) -> Ended {
        let begun = Instant::now();
        let serve = traced(&self.collector.command(&["serve"]), trace, options);
        let (mut serve, mut restart) = (start(&mut { serve }, &self.log()), None);
        let is_up = || std::net::TcpStream::connect(("127.0.0.1", self.collector.port)).is_ok();
        while restart.is_none() && serve.try_wait().expect("its state").is_none() {
            restart = is_up().then(|| begun.elapsed());
            std::thread::sleep(Duration::from_millis(5));
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not serve:\n{}", self.said());
        }
        let state = self.agent.state();
        let mut run = Command::new(binary("upheld-agent"));
        let mut agent = start(run.arg("--state").arg(&state).arg("run"), &self.agent.folder().join("agent.log"));
        for _ in 0..2 {
            self.word += 1;
            let number = self.word;
            wait_for("the agent takes a word", Duration::from_secs(60), || {
                matches!(say(&state, number), Said::Taken).then_some(())
            });
            self.taken.push(number);
        }
        let waits = Instant::now();
        let mut is_acknowledged = false;
        while !is_acknowledged
            && serve.try_wait().expect("its state").is_none()
            && waits.elapsed() < Duration::from_secs(6)
        {
            let status: serde_json::Value =
                ask(&state, "status\n").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            is_acknowledged = status["waiting"] == 0 && status["standing"]["is"] == "good";
            std::thread::sleep(Duration::from_millis(20));
        }
        if ends_well {
            for child in [&agent, &serve] {
                let pid = rustix::process::Pid::from_child(child);
                // One that has ended by itself is only reaped.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        } else {
            let _ = (agent.kill(), serve.kill());
        }
        for child in [&mut agent, &mut serve] {
            wait_for("it ends", Duration::from_secs(30), || child.try_wait().expect("its state"));
        }
        if is_acknowledged {
            let (words, last) = (self.words_held(), self.word);
            assert!(words.contains(&last) && words.contains(&(last - 1)), "acknowledged and lost: {last} of {words:?}");
        }
        Ended { was_hit: was_hit(trace), restart }
    }

    /// The words in the collector's database, each as often as it is there.
    fn words_held(&self) -> Vec<u64> {
        let database = self.collector.database();
        let mut bodies = database.prepare("SELECT body FROM records ORDER BY epoch, seq").expect("a query");
        let bodies = bodies.query_map([], |row| row.get::<_, Option<String>>(0)).expect("rows");
        let bodies: Vec<Body> = bodies
            .filter_map(|body| body.expect("a row"))
            .map(|body| serde_json::from_str(&body).expect("a body"))
            .collect();
        let mut words = Vec::new();
        for number in 0..=self.word {
            words.extend(std::iter::repeat_n(number, times_said(bodies.iter(), number)));
        }
        words
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

#[test]
fn a_collector_killed_or_refused_at_every_site_of_its_database_loses_and_doubles_nothing() {
    let mut pair = pair();
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    pair.run(&trace, &counting(), true);
    let sites = sites(&trace, &pair.collector.data());
    print_sites(&sites);
    let points = points(&sites);
    let (mut hit, mut slowest, begun) = (0, Duration::ZERO, Instant::now());
    for (index, (site, place, inject)) in points.iter().enumerate() {
        let trace = folder.path().join(format!("trace-{index}"));
        let ended = pair.run(&trace, &injecting(site, &place.path, place.nth, *inject), index % 2 == 0);
        hit += usize::from(ended.was_hit);
        slowest = slowest.max(ended.restart.unwrap_or_default());
        let what = format!("{inject:?} at {} of {} (the {}.)", site.call, site.kind, place.nth);
        if *inject == Inject::Kill {
            assert_eq!(errors(&pair.log(), &[]), Vec::<String>::new(), "{what}");
        }
        fs::rename(pair.log(), folder.path().join(format!("log-{index}"))).expect("its log");
    }
    let whole: String =
        pair.collector.database().query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a word");
    assert_eq!(whole, "ok");
    pair.collector.serve();
    pair.agent.run();
    wait_until_drained(&pair.agent);
    pair.agent.program().stop();
    let records = assert_all_arrived_once(&pair.agent, &pair.collector);
    assert_eq!(pair.words_held(), pair.taken, "a word is lost or doubled");
    pair.collector.program().stop();
    println!(
        "collector: {} points at {} sites, {hit} of them met, in {:.0} s: {records} records, 0 lost, 0 doubled; slowest start {:.2} s",
        points.len(),
        sites.len(),
        begun.elapsed().as_secs_f64(),
        slowest.as_secs_f64()
    );
    assert!(hit * 2 >= points.len(), "{hit} of {} points were met", points.len());
}
