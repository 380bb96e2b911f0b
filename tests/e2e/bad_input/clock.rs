//! SECURITY 39: a host whose clock is ten years off, either way, can enrol and deliver, and its provider is told.

use std::time::Duration;

use upheld_tests::{Agent, day::on_another_day, program, wait_for};

#[test]
fn a_host_whose_clock_is_ten_years_ahead_enrols_delivers_and_says_so() {
    enrols_delivers_and_says_so("+3652d", "ahead of");
}

#[test]
fn a_host_whose_clock_is_ten_years_behind_enrols_delivers_and_says_so() {
    enrols_delivers_and_says_so("-3652d", "behind");
}

fn enrols_delivers_and_says_so(offset: &str, side: &str) {
    let port = upheld_tests::free_port();
    let collector = super::collector(port);
    let mut agent = Agent::unenrolled(&super::allow(port));
    let (code, out, err) = program::run(on_another_day(&mut agent.enrolment(&collector.link(collector.port)), offset));
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("this host's clock is wrong; set it"), "the person at the host is told: {err}");

    let mut command = agent.command(&["run"]);
    agent.run_as(on_another_day(&mut command, offset));
    let started = wait_for("its records arrive", Duration::from_secs(30), || {
        let database = collector.database();
        let count = "SELECT min(received_at) FROM records";
        database.query_row(count, [], |row| row.get::<_, Option<i64>>(0)).expect("a query")
    });
    assert!(started > 0);
    let said = wait_for("its provider is told", Duration::from_secs(30), || {
        let agents = collector.cli_json(&["agent", "list"]);
        let ailments = agents["agents"][0]["ailments"].to_string();
        let is_said = ailments.contains("this host's clock is wrong") && ailments.contains(&format!(" {side} the"));
        is_said.then_some(ailments)
    });
    println!("{offset}: {said}");
    agent.program().stop();
}
