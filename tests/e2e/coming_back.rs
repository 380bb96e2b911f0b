//! SECURITY 15 with the real programs: an agent that was off for longer than its certificate lives.
//!
//! Both programs are moved sixty days ahead together, as the world would.

use std::time::Duration;

use upheld_tests::{
    Agent, Collector,
    day::{on_another_day, serve_on_another_day},
    held::Held,
    program, wait_for, watched,
};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn an_agent_off_for_sixty_days_comes_back_by_itself_and_nothing_is_lost() {
    let (mut collector, port) = collector();
    let mut agent = Agent::enroll(&collector.link(collector.port), &watched::allow(port));
    agent.run();
    wait_for("its first records arrive", LONG, || (held(&collector) > 0).then_some(()));
    // The line is gone; what it sees from here on waits.
    collector.kill();
    let waiting = wait_for("something waits", LONG, || {
        agent.status().and_then(|status| status["waiting"].as_u64()).filter(|waiting| *waiting > 3)
    });
    agent.program().stop();
    let before = held(&collector);

    serve_on_another_day(&mut collector, "+60d");
    let mut command = agent.command(&["run"]);
    agent.run_as(on_another_day(&mut command, "+60d"));
    wait_for("it is taken back", LONG, || (collector.audited("agent.returned") == 1).then_some(()));
    wait_for("all that waited arrives", LONG, || {
        let waiting = agent.status().and_then(|status| status["waiting"].as_u64());
        (waiting == Some(0)).then_some(())
    });
    let log = agent.program().log_text();
    assert!(log.contains("no longer takes this host's certificate"), "{log}");
    assert!(log.contains("The collector took this agent back"), "{log}");
    let after = held(&collector);
    assert!(after >= before + waiting, "{before} held, {waiting} waited, {after} held");
    let gaps = "SELECT count(*) FROM records WHERE body LIKE '%\"gap\"%'";
    let gaps: i64 = collector.database().query_row(gaps, [], |row| row.get(0)).expect("a count");
    assert_eq!(gaps, 0, "a gap was told: something of the journal was given up");
    let status = agent.status().expect("a status");
    assert_eq!(status["standing"]["is"], "good", "{status}");
    assert!(!agent.state().join("return.pem").exists(), "a key that is used up stays");
    agent.program().stop();
}

#[test]
fn a_revoked_agent_off_for_sixty_days_stays_out_and_is_told_why() {
    let (mut collector, port) = collector();
    let mut agent = Agent::enroll(&collector.link(collector.port), &watched::allow(port));
    let id = agent.id();
    collector.cli_json(&["agent", "revoke", &id]);
    collector.kill();
    serve_on_another_day(&mut collector, "+60d");
    let mut command = agent.command(&["run"]);
    agent.run_as(on_another_day(&mut command, "+60d"));
    wait_for("it was told", LONG, || {
        let ailments = agent.status()?["ailments"].to_string();
        ailments.contains("this agent was revoked").then_some(())
    });
    assert_eq!(collector.audited("agent.returned"), 0);
    let (code, _, err) = program::run(&mut collector.command(&["agent", "approve", &id]));
    assert_ne!(code, Some(0), "approving what is revoked");
    assert!(err.contains("a revoked agent never comes back"), "{err}");
    assert_eq!(held(&collector), 0);
    agent.program().stop();
}

#[test]
fn a_copy_of_a_host_waits_for_a_person_while_the_other_one_may_report() {
    let (mut collector, port) = collector();
    let mut agent = Agent::enroll(&collector.link(collector.port), &watched::allow(port));
    let id = agent.id();
    let old = agent.folder().join("copy");
    copy(&agent.state(), &old);
    // The agent renews on its twentieth day; the copy holds what was true on the first.
    collector.kill();
    serve_on_another_day(&mut collector, "+20d");
    let mut command = agent.command(&["run"]);
    agent.run_as(on_another_day(&mut command, "+20d"));
    wait_for("it renews", LONG, || agent.program().log_text().contains("The certificate was renewed").then_some(()));
    agent.program().stop();
    collector.kill();
    serve_on_another_day(&mut collector, "+50d");
    let mut copied = Agent::at(old);
    let mut command = copied.command(&["run"]);
    copied.run_as(on_another_day(&mut command, "+50d"));
    let request = wait_for("a person is asked", LONG, || {
        let pending = collector.cli_json(&["agent", "pending"]);
        pending["waiting"][0]["request"].as_str().map(ToOwned::to_owned)
    });
    let said = wait_for("it says so", LONG, || {
        let ailments = copied.status()?["ailments"].to_string();
        ailments.contains("another host may have it").then_some(ailments)
    });
    assert!(said.contains(&format!("agent approve {id}")), "{said}");
    assert_eq!(collector.audited("agent.returned"), 0);

    collector.cli_json(&["agent", "approve", &id, "--request", &request]);
    wait_for("it is taken back", LONG, || (collector.audited("agent.returned") == 1).then_some(()));
    wait_for("it reports", LONG, || (copied.status()?["standing"]["is"] == "good").then_some(()));
    // The one that was there before finds its certificate void, and is the one that waits now.
    let mut command = agent.command(&["run"]);
    agent.run_as(on_another_day(&mut command, "+50d"));
    wait_for("the other one waits", LONG, || {
        agent.status()?["ailments"].to_string().contains("asking to be taken back").then_some(())
    });
    let refused = wait_for("a person refuses it", LONG, || {
        let refused = collector.cli_json(&["agent", "refuse", &id]);
        (refused["changed"] == true).then_some(refused)
    });
    assert_eq!(refused["decided"], "returning");
    assert_eq!(collector.audited("agent.returned"), 1);
    copied.program().stop();
    agent.program().stop();
}

fn collector() -> (Collector, u16) {
    let port = upheld_tests::free_port();
    (watched::collector(port), port)
}

fn held(collector: &Collector) -> u64 {
    Held::by(collector).records
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let at = to.join(entry.file_name());
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => copy(&entry.path(), &at),
            kind if kind.is_file() => drop(std::fs::copy(entry.path(), &at).expect("a copy")),
            _ => {}
        }
    }
}
