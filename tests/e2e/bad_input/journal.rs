//! The agent's disk full: it goes on observing, says so, and what it saw arrives once there is room again.

use std::{path::Path, time::Duration};

use upheld_tests::{
    Agent, Collector, Line,
    held::{Held, assert_all_arrived_once, wait_until_drained},
    namespace::{self, Own},
    program, wait_for,
};

/// What the agent logs, as an ERROR: somebody has to look at this host.
const SAID: &str = "The journal cannot be written; observing goes on in memory.";

#[test]
fn an_agent_whose_disk_is_full_goes_on_says_so_and_loses_nothing() {
    let name = "journal::an_agent_whose_disk_is_full_goes_on_says_so_and_loses_nothing";
    namespace::inside(Own::Mounts, name, || {
        let port = upheld_tests::free_port();
        let collector = super::serving_with(Collector::new(), &many_checks(port));
        let line = Line::to(collector.port);
        let mut agent = Agent::unenrolled(&super::allow(port));
        namespace::mount_small(&agent.state(), 4);
        assert_eq!(program::run(&mut agent.enrolment(&collector.link(line.port))).0, Some(0));
        agent.run();
        agent.program().expect_error(SAID);
        wait_for("the first records arrive", Duration::from_secs(20), || {
            (Held::by(&collector).records > 0).then_some(())
        });
        wait_until_drained(&agent);
        let acknowledged = Held::by(&collector);

        // Nobody hears it from here on: whatever it sees now has only this host to be kept on.
        line.cut();
        let filler = agent.state().join("filler");
        let ailment = wait_for("the journal is volatile", Duration::from_secs(30), || {
            namespace::fill_up(&filler);
            toggle(port);
            ailments(&agent)?.into_iter().find(|ailment| ailment.contains("in memory only"))
        });
        println!("ailment: {ailment}");
        let waiting = waiting(&agent).expect("it answers");
        toggle(port);
        wait_for("it goes on observing", Duration::from_secs(10), || (self::waiting(&agent)? > waiting).then_some(()));
        assert!(agent.program().ended().is_none(), "the agent goes on");

        std::fs::remove_file(&filler).expect("room");
        wait_for("the journal is written again", Duration::from_secs(30), || {
            ailments(&agent)?.iter().all(|ailment| !ailment.contains("in memory only")).then_some(())
        });
        // What was in memory is on the disk now: a power cut costs nothing.
        agent.program().kill();
        agent.run();
        agent.program().expect_error(SAID);
        line.mend();
        wait_until_drained(&agent);
        agent.program().stop();
        let total = assert_all_arrived_once(&agent, &collector);
        assert!(total > acknowledged.records, "{total} records, {} before", acknowledged.records);
        let log = agent.program().log_text();
        let said = [SAID, "The journal is written again."].map(|words| log.matches(words).count());
        assert_eq!(said, [1, 1], "each is said once, not at each try:\n{log}");
        for (epoch, len) in &acknowledged.lengths {
            assert!(Held::by(&collector).lengths[epoch] >= *len, "what was acknowledged is gone");
        }
    });
}

#[test]
fn a_host_without_room_for_its_keys_is_told_so_before_the_token_is_used() {
    let name = "journal::a_host_without_room_for_its_keys_is_told_so_before_the_token_is_used";
    namespace::inside(Own::Mounts, name, || {
        let collector = super::collector(1);
        let agent = Agent::unenrolled("");
        namespace::mount_small(&agent.state(), 1);
        let filler = agent.state().join("filler");
        namespace::fill_up(&filler);
        let link = collector.link(collector.port);
        let refusal = program::refused(|| agent.enrolment(&link));
        assert_eq!(refusal.code, 75, "{}", refusal.text);
        assert!(refusal.text.contains(&format!("df -h {}", agent.state().display())), "{}", refusal.text);
        assert!(!agent.is_enrolled());
        std::fs::remove_file(Path::new(&filler)).expect("room");
        let (code, out, err) = program::run(&mut agent.enrolment(&link));
        assert_eq!(code, Some(0), "the link is still good: {out}{err}");
    });
}

/// Forty checks of one service: one change of it fills some pages of the disk.
fn many_checks(port: u16) -> String {
    let check = |number: u32| {
        format!(
            "  {{ name = \"check-{number}\", kind = \"net.tcp\", target = \"127.0.0.1\", port = {port}, every = \"1s\", \
             timeout = \"1s\", fail_after = 1, recover_after = 1 }},\n"
        )
    };
    let checks: String = (0..40).map(check).collect();
    format!("\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n{checks}]\n")
}

/// A transition, so that there is something to write: the service is there, and gone again.
fn toggle(port: u16) {
    let service = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the service's port");
    std::thread::sleep(Duration::from_millis(1_200));
    drop(service);
}

fn ailments(agent: &Agent) -> Option<Vec<String>> {
    let status = agent.status()?;
    Some(status["ailments"].as_array()?.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect())
}

fn waiting(agent: &Agent) -> Option<u64> {
    agent.status()?["waiting"].as_u64()
}
