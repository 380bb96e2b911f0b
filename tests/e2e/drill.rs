//! `upheld-agent drill` with the real programs: from the fault to a receiver that took the marked ticket, and each way
//! in which it may not get there.

use std::time::{Duration, Instant};

use upheld_tests::{
    Agent, Collector, Line, book,
    program::{self, refused},
    receiver::{self, Receiver},
    wait_for,
};

const SOON: Duration = Duration::from_secs(30);
const ASSETS: &str = "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{ kind = \"host\" }]\n";

#[test]
fn a_drill_goes_from_the_fault_to_a_marked_ticket_within_a_minute_and_counts_nowhere() {
    let receiver = Receiver::start();
    let mut collector = collector_with(Some(receiver.port));
    let mut agent = Agent::enroll(&collector.link(collector.port), "");

    let resting = refused(|| agent.command(&["drill"]));
    assert_eq!(resting.code, 75, "{}", resting.text);
    assert!(resting.text.contains("no agent runs") && resting.text.contains("systemctl start"), "{}", resting.text);
    run(&mut agent);

    let begun = Instant::now();
    let (code, out, err) = program::run(&mut agent.command(&["drill"]));
    let took = begun.elapsed();
    println!("{out}");
    assert_eq!(code, Some(0), "{err}\n{out}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    for (step, said) in [
        ("detect", "taken by the collector: northgate/INC-1"),
        ("match", "plan Round the clock, priority"),
        ("clock", "response 1:00:00, due"),
        ("delivery", "taken by desk"),
    ] {
        let line =
            out.lines().find(|line| line.trim_start().starts_with(step)).unwrap_or_else(|| panic!("{step}: {out}"));
        assert!(line.contains(" ok ") && line.contains(" s ") && line.contains(said), "{line}");
    }
    assert!(out.lines().last().is_some_and(|line| line.starts_with("ok: from the fault to the ticket in")), "{out}");

    let opened = receiver.message("incident.opened");
    assert_eq!((&opened["drill"], &opened["page"]), (&true.into(), &false.into()), "{opened}");
    let title = opened["title"].as_str().expect("a title");
    assert!(title.starts_with("DRILL: plant-2: nothing is wrong; "), "{title}");
    let queue = collector.cli_json(&["queue"]);
    assert_eq!(queue["queue"]["rows"][0]["drill"], true, "{queue}");
    let text = program::run(&mut collector.command(&["queue"])).1;
    assert!(text.contains("DRILL: "), "{text}");
    let refused = refused(|| collector.command(&["acknowledge", "northgate/INC-1", "--by", "Ana Example"]));
    assert!(refused.text.contains("it is a drill"), "{}", refused.text);

    // Another one takes its place at once, and is read by a machine.
    let told = program::json(agent.command(&["drill"]).arg("--json"));
    assert_eq!((&told["schema"], &told["result"]), (&"upheld.agent-drill/1".into(), &"ok".into()), "{told}");
    assert_eq!(told["incident"], "northgate/INC-2");
    assert_eq!(told["steps"].as_array().map(Vec::len), Some(4), "{told}");
    let over = receiver.message("incident.resolved");
    assert_eq!((&over["incident"], &over["drill"]), (&"northgate/INC-1".into(), &true.into()), "its ticket closes");

    wait_for("the drill ends by itself", Duration::from_secs(90), || {
        collector.cli_json(&["queue"])["queue"]["rows"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    let statement = collector.cli_json(&["statement", "northgate", "--from", "2026-01-01", "--to", "2027-12-31"]);
    assert!(!statement.to_string().contains("INC-"), "{statement}");
    assert_eq!(collector.audited("drill.played"), 2);
    let changes: i64 = count(&collector, "SELECT count(*) FROM changes WHERE asset = 'drill'");
    assert_eq!(changes, 0, "nothing of it is a check's state");
    collector.program().assert_no_errors();
    agent.program().assert_no_errors();
}

#[test]
fn each_step_that_fails_is_named_with_what_to_do() {
    let stranger = Agent::unenrolled("");
    assert_eq!(refused(|| stranger.command(&["drill"])).code, 10);

    // Nobody is told: the book has no channel.
    let mut collector = collector_with(None);
    let line = Line::to(collector.port);
    let mut agent = Agent::enroll(&collector.link(line.port), "");
    run(&mut agent);
    let (code, out, err) = program::run(&mut agent.command(&["drill"]));
    assert_eq!(code, Some(3), "{err}\n{out}");
    assert!(out.contains("delivery  missing") && err.contains("[channels.NAME]"), "{out}\n{err}");

    // The line is down: nothing is recorded that could open something later.
    line.cut();
    let cut = refused(|| agent.command(&["drill"]));
    assert_eq!(cut.code, 13, "{}", cut.text);
    assert!(cut.text.contains("did not get past detect") && cut.text.contains("upheld-agent doctor"), "{}", cut.text);
    line.mend();
    wait_for("the line is used again", SOON, || played(&agent));

    // It is not known here any more.
    collector.cli_json(&["agent", "revoke", &agent.id()]);
    let revoked = refused(|| agent.command(&["drill"]));
    assert_eq!(revoked.code, 12, "{}", revoked.text);
    assert!(revoked.text.contains("revoked"), "{}", revoked.text);
    collector.program().assert_no_errors();
}

#[test]
fn a_receiver_that_refuses_is_the_step_that_failed() {
    let receiver = Receiver::start();
    receiver.answer("503 Service Unavailable");
    let mut collector = collector_with(Some(receiver.port));
    let mut agent = Agent::enroll(&collector.link(collector.port), "");
    run(&mut agent);
    let waiting = std::thread::scope(|scope| {
        let first = scope.spawn(|| program::run(&mut agent.command(&["drill"])));
        wait_for("the first one is under way", SOON, || {
            (count(&collector, "SELECT count(*) FROM incidents") == 1).then_some(())
        });
        let second = refused(|| agent.command(&["drill"]));
        assert_eq!(second.code, 75, "{}", second.text);
        assert!(second.text.contains("another drill of this host is under way"), "{}", second.text);
        first.join().expect("the first one ends")
    });
    let (code, out, err) = waiting;
    assert_eq!(code, Some(1), "{out}\n{err}");
    assert!(out.contains("delivery  failed") && err.contains("desk: ") && err.contains("503"), "{out}\n{err}");
    collector.program().assert_no_errors();
}

#[test]
fn a_collector_in_recovery_takes_no_drill_and_says_who_must_act() {
    let mut collector = collector_with(None);
    let mut agent = Agent::enroll(&collector.link(collector.port), "");
    let backup = collector.folder().join("b1");
    let backup = backup.to_str().expect("UTF-8").to_owned();
    collector.cli_json(&["backup", "--out", &backup]);
    collector.kill();
    let data = collector.data();
    std::fs::remove_dir_all(&data).expect("the data folder is lost");
    program::json(collector.command(&["restore", &backup, "--into", data.to_str().expect("UTF-8")]).arg("--json"));
    collector.serve();
    agent.run();
    wait_for("the agent answers", SOON, || agent.status());
    let held = refused(|| agent.command(&["drill"]));
    assert_eq!(held.code, 75, "{}", held.text);
    assert!(held.text.contains("recovery"), "{}", held.text);
    collector.cli_json(&["recovery", "accept", "--by", "Ana Example"]);
    wait_for("a drill is taken", SOON, || played(&agent));
}

/// A collector that serves, and tells a receiver on loopback.
fn collector_with(receiver: Option<u16>) -> Collector {
    let mut collector = Collector::new();
    receiver::allow(&collector);
    let folder = collector.folder().join("book");
    let url = receiver.map(receiver::url);
    book::write_book(&folder, ASSETS, url.as_deref().map(|url| (url, "desk")));
    collector.apply(&folder);
    collector.serve();
    collector
}

fn run(agent: &mut Agent) {
    agent.run();
    wait_for("the agent reports", SOON, || agent.status().filter(|status| status["last_accepted"].is_string()));
}

/// Whether a drill got past its first step.
fn played(agent: &Agent) -> Option<()> {
    let (_, out, _) = program::run(&mut agent.command(&["drill"]));
    out.contains("detect    ok").then_some(())
}

fn count(collector: &Collector, query: &str) -> i64 {
    collector.database().query_row(query, [], |row| row.get(0)).expect("a count")
}
