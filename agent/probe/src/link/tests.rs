//! A real port, whose other end goes away: a veth pair in a network namespace of the test's own.

use std::{process::Command, time::Duration};

use jiff::{SignedDuration, Timestamp};
use upheld_model::{CheckSpec, Outcome, ProbeSpec, UnknownReason, sample::Value};

use super::netlink::{Heard, Listener};
use crate::{ProbeResult, Prober, testing};

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
fn a_drop_of_a_real_port_is_dated_by_the_kernels_announcements() {
    let name = "link::tests::a_drop_of_a_real_port_is_dated_by_the_kernels_announcements";
    testing::in_namespaces(name, &["--net", "--mount"], SETUP, async || {
        let prober = testing::prober("");
        prober.run(&link(Some("eth0"))).await;
        let begun = Timestamp::now();
        sh("ip link set far down");
        let down = until(&prober, |seen| testing::evidence(seen).contains("has no link since ")).await;
        assert_eq!(down.outcome, Outcome::Bad, "{down:?}");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        sh("ip link set far up");
        let ended = Timestamp::now();
        let up = until(&prober, |seen| seen.values.contains_key("last_drop_s")).await;
        println!("{}", testing::evidence(&up));
        let at = |name: &str| match &up.values[name] {
            Value::Text(text) => text.as_str().parse::<Timestamp>().unwrap(),
            Value::Number(_) => panic!("{up:?}"),
        };
        let near =
            |one: Timestamp, other: Timestamp| one.duration_since(other).abs() < SignedDuration::from_millis(900);
        assert!(near(at("last_drop_from"), begun) && near(at("last_drop_to"), ended), "{begun} {ended} {up:?}");
        assert!(testing::number(&up, "last_drop_s") >= 1.4, "{up:?}");
        assert!(testing::evidence(&up).contains("it was down for "), "{up:?}");
        let quiet = prober.run(&link(Some("eth0"))).await;
        assert!(!testing::evidence(&quiet).contains("it was down for"), "told once: {quiet:?}");
    });
}

#[test]
fn a_kernel_that_has_more_to_say_than_is_kept_says_so_and_the_next_is_heard() {
    let name = "link::tests::a_kernel_that_has_more_to_say_than_is_kept_says_so_and_the_next_is_heard";
    testing::in_namespaces(name, &["--net", "--mount"], SETUP, async || {
        // Room for a few announcements.
        let mut listener = Listener::with_buffer(16 << 10).unwrap();
        sh("for drop in $(seq 40); do ip link set far down; ip link set far up; done");
        let mut heard = Vec::new();
        while let Ok(news) = tokio::time::timeout(Duration::from_millis(300), listener.next()).await {
            heard.push(news.unwrap());
        }
        assert!(heard.iter().any(|news| matches!(news, Heard::Overrun)), "{heard:?}");
        sh("ip link set far down");
        let next = tokio::time::timeout(Duration::from_secs(5), listener.next()).await.unwrap().unwrap();
        assert!(matches!(next, Heard::Announced(_)), "{next:?}");
    });
}

/// Looks until it is so: an announcement is heard in its own time.
async fn until(prober: &Prober, is_so: impl Fn(&ProbeResult) -> bool) -> ProbeResult {
    for _ in 0..500 {
        let seen = prober.run(&link(Some("eth0"))).await;
        if is_so(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not so within five seconds: {:?}", prober.run(&link(Some("eth0"))).await);
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
