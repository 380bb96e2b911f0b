//! A real port, whose other end goes away: a veth pair in a network namespace of the test's own.

use std::process::Command;

use upheld_model::{CheckSpec, Outcome, ProbeSpec, UnknownReason};

use crate::testing;

/// A port whose other end is in the same namespace, and `/sys` of that namespace.
const SETUP: &str = "ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up
    mount --make-rprivate /; mount -t sysfs sysfs /sys";

fn link(interface: Option<&str>) -> CheckSpec {
    testing::check(ProbeSpec::NetLink { interface: interface.map(str::to_owned), speed_mbps: None })
}

fn sh(line: &str) {
    assert!(Command::new("sh").args(["-ec", line]).status().unwrap().success(), "{line}");
}

#[test]
fn s1_three_drops_between_two_looks_are_three() {
    let name = "link::tests::s1_three_drops_between_two_looks_are_three";
    testing::in_namespaces(name, &["--net", "--mount"], SETUP, async || {
        let prober = testing::prober("");
        let before = prober.run(&link(Some("eth0"))).await;
        assert_eq!((&before.outcome, &before.values["up"]), (&Outcome::Ok, &1.0.into()), "{before:?}");
        sh("for drop in 1 2 3; do ip link set far down; ip link set far up; done");
        let after = prober.run(&link(Some("eth0"))).await;
        assert_eq!(after.outcome, Outcome::Ok, "{after:?}");
        let count = after.counters["carrier_down"].since(&before.counters["carrier_down"]);
        assert_eq!(count, Some(3), "{before:?}\n{after:?}");

        sh("ip link set far down");
        let down = prober.run(&link(Some("eth0"))).await;
        assert_eq!((&down.outcome, &down.values["up"]), (&Outcome::Bad, &0.0.into()), "{down:?}");
        assert_eq!(down.counters["carrier_down"].since(&after.counters["carrier_down"]), Some(1));

        sh("ip link del eth0");
        assert!(testing::evidence(&prober.run(&link(Some("eth0"))).await).contains("is gone"));
        sh("ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up");
        let anew = prober.run(&link(Some("eth0"))).await;
        assert_eq!(anew.counters["carrier_down"].since(&down.counters["carrier_down"]), None, "another adapter");
    });
}

#[test]
fn a_port_of_the_default_route_is_known_by_it_and_not_forgotten_with_it() {
    let name = "link::tests::a_port_of_the_default_route_is_known_by_it_and_not_forgotten_with_it";
    testing::in_namespaces(name, &["--net", "--mount"], SETUP, async || {
        let prober = testing::prober("");
        assert_eq!(prober.run(&link(None)).await.outcome, Outcome::unknown(UnknownReason::Local), "no route yet");
        sh("ip addr add 10.213.9.1/24 dev eth0; ip route add default via 10.213.9.2");
        let up = prober.run(&link(None)).await;
        assert_eq!((&up.outcome, &up.values["interface"]), (&Outcome::Ok, &"eth0".into()), "{up:?}");
        sh("ip route del default; ip link set far down");
        let down = prober.run(&link(None)).await;
        assert_eq!((&down.outcome, &down.values["interface"]), (&Outcome::Bad, &"eth0".into()), "{down:?}");

        let later = testing::prober("");
        later.recall(prober.memory());
        assert_eq!(later.run(&link(None)).await.outcome, Outcome::Bad, "nor with a restart");
    });
}

#[test]
fn another_networks_folder_is_not_taken_for_ours() {
    let name = "link::tests::another_networks_folder_is_not_taken_for_ours";
    let only = "ip link add eth0 type veth peer name far; ip link set eth0 up";
    testing::in_namespaces(name, &["--net"], only, async || {
        let seen = testing::prober("").run(&link(Some("eth0"))).await;
        assert_eq!(seen.outcome, Outcome::unknown(UnknownReason::CannotProbe), "{seen:?}");
        assert!(testing::evidence(&seen).contains("another network namespace"), "{seen:?}");
    });
}
