//! A collector restored from an old backup, with its agent: nothing is taken before a person has seen the gap, then the
//! agent sends again what the backup lacks, and nobody who was kept out gets in. Restored from a folder that followed it
//! there is no gap.

use std::time::Duration;

use upheld_tests::{
    Agent,
    held::{Held, assert_all_arrived_once, wait_until_drained},
    program, wait_for, watched,
};

#[test]
fn a_collector_restored_without_its_facts_waits_for_a_person_then_gets_everything_back_once() {
    let service_port = upheld_tests::free_port();
    let mut collector = watched::collector(service_port);
    let allow = watched::allow(service_port);
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

#[test]
fn a_collector_whose_disk_is_lost_goes_on_from_the_folder_that_followed_it() {
    let service_port = upheld_tests::free_port();
    let mut collector = watched::collector(service_port);
    let allow = watched::allow(service_port);
    let mut agent = Agent::enroll(&collector.link(collector.port), &allow);
    let doomed = Agent::enroll(&collector.link(collector.port), &allow);
    agent.run();

    let away = collector.folder().join("away");
    let away_name = away.to_str().expect("UTF-8").to_owned();
    let mut follower = collector.command(&["backup", "--follow", &away_name]).spawn().expect("the follower starts");
    let seen_at = || {
        let head = std::fs::read(away.join("head.json")).ok()?;
        let head: serde_json::Value = serde_json::from_slice(&head).ok()?;
        head["seen_at"].as_str()?.parse::<jiff::Timestamp>().ok()
    };
    wait_for("the copy of the whole", Duration::from_secs(60), seen_at);
    let at_copy = Held::by(&collector).records;

    // Facts born at the collector, after the copy of the whole.
    collector.cli_json(&["agent", "revoke", &doomed.id()]);
    let link = collector.link(collector.port);
    let newer = Agent::enroll(&link, &allow);
    wait_for("more arrives", Duration::from_secs(60), || (Held::by(&collector).records > at_copy + 3).then_some(()));
    let now = jiff::Timestamp::now();
    wait_for("the follower", Duration::from_secs(60), || seen_at().filter(|seen| *seen > now));
    collector.kill();
    follower.kill().expect("the follower is ended");
    follower.wait().expect("the follower is gone");
    std::fs::remove_dir_all(collector.data()).expect("the data folder is lost");

    let data = collector.data();
    let data = data.to_str().expect("UTF-8");
    let mut restore = collector.command(&["restore", "--segments", &away_name, "--into", data]);
    let restored = program::json(restore.args(["--nothing-after-by", "Ana Example", "--json"]));
    assert!(restored["segments"].as_u64() >= Some(3), "{restored}");
    assert!(Held::by(&collector).records > at_copy + 3, "what agents had sent is there before they send again");
    collector.serve();
    wait_until_drained(&agent);
    agent.program().stop();
    assert!(assert_all_arrived_once(&agent, &collector) > at_copy + 3);

    let status = |id: &str| {
        let query = "SELECT status FROM agents WHERE agent = ?1";
        collector.database().query_row(query, [id], |row| row.get::<_, String>(0)).expect("its row")
    };
    assert_eq!(status(&doomed.id()), "revoked");
    assert_eq!(status(&newer.id()), "active");
    let (code, ..) = program::run(&mut Agent::unenrolled(&allow).enrolment(&link));
    assert_ne!(code, Some(0), "a token that was used stays used");
    assert_eq!((collector.audited("recovery.begun"), collector.audited("restore.whole")), (0, 1));
}
