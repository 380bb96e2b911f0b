//! A collector restored from an old backup, with its agent: nothing is taken before a person has seen the gap, then the
//! agent sends again what the backup lacks, and nobody who was kept out gets in.

use std::time::Duration;

use upheld_tests::{
    Agent, Collector, book,
    held::{Held, assert_all_arrived_once, wait_until_drained},
    program, wait_for,
};

#[test]
fn a_collector_restored_without_its_facts_waits_for_a_person_then_gets_everything_back_once() {
    let service_port = upheld_tests::free_port();
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    let assets = format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {{ kind = \"net.tcp\", target = \"127.0.0.1\", \
         port = {service_port}, every = \"1s\", timeout = \"1s\" }},\n]\n"
    );
    book::write_book(&folder, &assets, None);
    collector.apply(&folder);
    collector.serve();
    let allow = format!("loopback_ports = [{service_port}]\n");
    let mut agent = Agent::enroll(&collector.link(collector.port), &allow);
    let revoked = Agent::enroll(&collector.link(collector.port), &allow);
    collector.cli_json(&["agent", "revoke", &revoked.id()]);
    let unused = collector.link(collector.port);
    agent.run();
    wait_for("the first records arrive", Duration::from_secs(30), || (Held::by(&collector).records > 2).then_some(()));

    let backup = collector.folder().join("b1");
    let backup = backup.to_str().expect("UTF-8");
    collector.cli_json(&["backup", "--out", backup]);
    let at_backup = Held::by(&collector).records;
    wait_for("more arrives after the backup", Duration::from_secs(60), || {
        (Held::by(&collector).records > at_backup + 2).then_some(())
    });
    let newer = Agent::enroll(&collector.link(collector.port), &allow);
    collector.kill();
    std::fs::remove_dir_all(collector.data()).expect("the data folder is lost");

    let data = collector.data();
    let mut restore = collector.command(&["restore", backup, "--into", data.to_str().expect("UTF-8")]);
    assert_eq!(program::json(restore.arg("--json"))["voided"]["tokens"], 1);
    let restored = Held::by(&collector);
    assert!(restored.records <= at_backup + 2, "{restored:?}");
    collector.serve();
    wait_for("the agent is told to wait", Duration::from_secs(60), || {
        collector.program().log_text().contains("facts may be missing").then_some(())
    });
    assert_eq!(Held::by(&collector), restored, "nothing is taken in recovery");
    let queue = collector.cli_json(&["queue"]);
    assert!(queue["queue"]["recovery"]["missing_from"].is_string(), "{queue}");
    assert_eq!(collector.audited("recovery.begun"), 1);

    collector.cli_json(&["recovery", "accept", "--by", "Ana Example"]);
    wait_until_drained(&agent);
    agent.program().stop();
    assert!(assert_all_arrived_once(&agent, &collector) > at_backup);

    let stranger = Agent::unenrolled(&allow);
    let (code, ..) = program::run(&mut stranger.enrolment(&unused));
    assert_ne!(code, Some(0), "a token of before the restore is void");
    let agents = collector.cli_json(&["agent", "list"]).to_string();
    assert!(!agents.contains(&newer.id()), "{agents}");
    let status = |id: &str| {
        let query = "SELECT status FROM agents WHERE agent = ?1";
        collector.database().query_row(query, [id], |row| row.get::<_, String>(0)).expect("its row")
    };
    assert_eq!(status(&revoked.id()), "revoked");
    assert_eq!(collector.audited("recovery.accepted"), 1);
}
