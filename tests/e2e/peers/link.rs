//! `net.link` on a real port: a veth pair whose other end goes away, in a network of the test's own, through agent, collector
//! and replay (S1).

use std::{process::Command, time::Duration};

use serde_json::Value;
use upheld_tests::{
    binary,
    namespace::{self, Own, sh},
    program, wait_for,
};

use super::{check_now, look};

#[test]
fn s1_three_drops_of_a_real_port_between_two_looks_are_one_unstable_link() {
    let name = "link::s1_three_drops_of_a_real_port_between_two_looks_are_one_unstable_link";
    namespace::inside(Own::NetworkAndMounts, name, || {
        sh(
            "mount -t sysfs sysfs /sys; ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up",
            &[],
        );
        let (collector, mut agent) =
            super::site(&["kind = \"net.link\", interface = \"eth0\", every = \"5s\"".to_owned()], "");
        let seen = look(&mut check_now(&agent)).remove(0);
        println!("{seen:?}");
        assert_eq!((seen.is.as_str(), &seen.values["up"]), ("ok", &1.0.into()), "{seen:?}");
        assert!(seen.evidence.contains("eth0 is up"), "what it saw: {seen:?}");
        agent.run();
        let samples = |agent: &upheld_tests::Agent| {
            let recorded = program::run(&mut agent.command(&["record", "--since", "1h"]));
            assert_eq!(recorded.0, Some(0), "{}", recorded.2);
            recorded.1.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>()
        };
        wait_for("the port is watched", Duration::from_secs(20), || {
            (agent.status()?["checks"][0]["state"] == "ok").then_some(())
        });
        // The journal of a running agent is read beside it.
        wait_for("a first look is journalled", Duration::from_secs(40), || (!samples(&agent).is_empty()).then_some(()));
        sh("for drop in 1 2 3; do ip link set far down; ip link set far up; done", &[]);
        let before = samples(&agent).len();
        wait_for("two more looks", Duration::from_secs(40), || (samples(&agent).len() >= before + 2).then_some(()));
        agent.program().stop();

        let trace = agent.folder().join("trace.jsonl");
        program::json(agent.command(&["record", "--since", "1h", "--json", "--out"]).arg(&trace));
        let counts: Vec<_> =
            samples(&agent).iter().filter_map(|sample| sample["counters"]["carrier_down"][1].as_u64()).collect();
        println!("carrier_down: {counts:?}");
        assert_eq!(counts.last().expect("a count") - counts[0], 3);
        let mut replay = Command::new(binary("upheld-collector"));
        replay.args(["replay", "--json", "--book"]).arg(collector.folder().join("book")).arg("--samples").arg(&trace);
        let incidents = program::json(&mut replay)["incidents"].clone();
        assert_eq!(incidents.as_array().map(Vec::len), Some(1), "{incidents}");
        assert_eq!((&incidents[0]["kind"], &incidents[0]["class"]), (&"unstable".into(), &"network-lan".into()));
        println!("{}", incidents[0]["title"]);
    });
}

#[test]
fn a_drop_of_a_real_port_is_told_with_its_begin_and_its_end() {
    let name = "link::a_drop_of_a_real_port_is_told_with_its_begin_and_its_end";
    namespace::inside(Own::NetworkAndMounts, name, || {
        sh(
            "mount -t sysfs sysfs /sys; ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up",
            &[],
        );
        let (_collector, mut agent) =
            super::site(&["kind = \"net.link\", interface = \"eth0\", every = \"5s\"".to_owned()], "");
        agent.run();
        wait_for("the port is watched", Duration::from_secs(20), || {
            (agent.status()?["checks"][0]["state"] == "ok").then_some(())
        });
        // As long as a bad plug's drop: how long it lasted is what the agent is to say.
        let begun = jiff::Timestamp::now();
        sh("ip link set far down; sleep 2.5; ip link set far up", &[]);
        let dated = |agent: &upheld_tests::Agent| {
            let recorded = program::run(&mut agent.command(&["record", "--since", "1h"]));
            assert_eq!(recorded.0, Some(0), "{}", recorded.2);
            let mut lines = recorded.1.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            lines.find(|sample| !sample["values"]["last_drop_s"].is_null())
        };
        let drop = wait_for("the drop is journalled", Duration::from_secs(60), || dated(&agent));
        println!("{drop}");
        let lasted = drop["values"]["last_drop_s"].as_f64().expect("seconds");
        assert!((2.3..10.0).contains(&lasted), "{drop}");
        let from: jiff::Timestamp =
            drop["values"]["last_drop_from"].as_str().expect("a text").parse().expect("an instant");
        assert!(from.duration_since(begun).abs() < jiff::SignedDuration::from_secs(2), "{begun}: {drop}");
        agent.program().stop();
    });
}
