//! The collector's database locked by somebody else, and its disk full: said, waited out, nothing lost.

use std::time::Duration;

use upheld_tests::{
    Agent, Collector,
    book::{CLIENT, SITE},
    held::{Held, assert_all_arrived_once, wait_until_drained},
    namespace::{self, Own},
    program, wait_for,
};

#[test]
fn a_locked_database_is_waited_for_then_said_and_the_reports_come_later() {
    let port = upheld_tests::free_port();
    let collector = super::collector(port);
    let mut agent = running(&collector, port);

    let other = rusqlite::Connection::open(collector.database_file()).expect("the database");
    other.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    let refusal = program::refused(|| token(&collector));
    assert_eq!(refusal.code, 75, "{}", refusal.text);
    assert_eq!(
        refusal.text,
        "Error: the database is locked by another process; it was waited for and nothing was stored: try again\n"
    );
    let held = Held::by(&collector).records;
    wait_for("the agent is told to wait", Duration::from_secs(60), || waits(&agent));
    assert_eq!(Held::by(&collector).records, held, "nothing is written past a lock");
    assert!(collector.cli_json(&["queue"]).is_object(), "reading goes on");

    other.execute_batch("ROLLBACK").expect("the lock is given back");
    drop(other);
    wait_until_drained(&agent);
    agent.program().stop();
    let total = assert_all_arrived_once(&agent, &collector);
    assert!(total > held, "{total} records, {held} before the lock");
    assert!(collector.link(collector.port).starts_with("https://"), "and commands work again");
}

#[test]
fn a_full_disk_stops_the_collectors_writing_only_and_the_reports_come_later() {
    let name = "database::a_full_disk_stops_the_collectors_writing_only_and_the_reports_come_later";
    namespace::inside(Own::Mounts, name, || {
        let port = upheld_tests::free_port();
        let collector = Collector::prepared(|data| namespace::mount_small(data, 12));
        let mut collector = super::serving_with(collector, &super::tcp_asset(port));
        let mut agent = running(&collector, port);

        let filler = collector.data().join("filler");
        let held = wait_for("the disk is full for the collector", Duration::from_secs(60), || {
            namespace::fill_up(&filler);
            let before = Held::by(&collector).records;
            waits(&agent).map(|()| before)
        });
        let refusal = program::refused(|| token(&collector));
        assert_eq!(refusal.code, 75, "{}", refusal.text);
        assert_eq!(
            refusal.text,
            "Error: the disk is full: nothing was stored and nothing is lost; make room, then it goes on by itself\n"
        );
        assert_eq!(Held::by(&collector).records, held);
        assert!(collector.cli_json(&["queue"]).is_object(), "reading goes on");
        assert!(collector.program().ended().is_none(), "the collector goes on");
        let log = collector.program().log_text();
        assert!(log.contains("the disk is full"), "whoever reads the log is told:\n{log}");

        std::fs::remove_file(&filler).expect("room");
        wait_until_drained(&agent);
        agent.program().stop();
        let total = assert_all_arrived_once(&agent, &collector);
        assert!(total > held, "{total} records, {held} before the disk was full");
        assert!(collector.link(collector.port).starts_with("https://"), "and commands work again");
    });
}

/// A running agent whose first reports have arrived.
fn running(collector: &Collector, port: u16) -> Agent {
    let mut agent = Agent::enroll(&collector.link(collector.port), &super::allow(port));
    agent.run();
    wait_for("the first records arrive", Duration::from_secs(20), || (Held::by(collector).records > 0).then_some(()));
    agent
}

fn token(collector: &Collector) -> std::process::Command {
    collector.command(&["agent", "token", "--client", CLIENT, "--site", SITE])
}

/// Whether the collector has told the agent to come again later, and reports wait at the agent.
fn waits(agent: &Agent) -> Option<()> {
    let status = agent.status()?;
    (status["standing"]["is"] != "good" && status["waiting"].as_u64()? > 0).then_some(())
}
