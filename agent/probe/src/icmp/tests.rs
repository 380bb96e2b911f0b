//! Real echoes: on loopback, and in network namespaces of the tests' own. They need root.

use upheld_model::{CheckSpec, ProbeSpec};

use super::*;
use crate::testing::{self, evidence, number, prober, spec};

fn ping(target: &str, tcp_port: Option<u16>) -> CheckSpec {
    testing::check(ProbeSpec::NetIcmp { target: target.to_owned(), tcp_port })
}

#[tokio::test]
async fn an_echo_to_loopback_comes_back_in_both_families() {
    if !testing::is_root() {
        return;
    }
    let prober = prober("loopback_echo = true");
    for target in ["127.0.0.1", "::1"] {
        let result = prober.run(&ping(target, None)).await;
        assert_eq!(result.outcome, Outcome::Ok, "{target}: {result:?}");
        assert!(number(&result, "rtt_ms") < 500.0);
    }
}

#[tokio::test]
async fn two_hundred_echoes_at_once_lose_none() {
    if !testing::is_root() {
        return;
    }
    let prober = prober("loopback_echo = true");
    let mut all = tokio::task::JoinSet::new();
    for host in 1..=200 {
        let prober = prober.clone();
        all.spawn(async move { prober.run(&ping(&format!("127.1.0.{host}"), None)).await.outcome });
    }
    let outcomes = all.join_all().await;
    assert_eq!(outcomes, vec![Outcome::Ok; 200]);
}

/// A namespace with a neighbour that swallows everything: 10.77.0.2 behind a veth pair, also the default gateway.
const SILENT_NEIGHBOUR: &str = "ip link set lo up
    ip link add v0 type veth peer name v1 && ip addr add 10.77.0.1/24 dev v0 && ip link set v0 up && ip link set v1 up
    ip neigh add 10.77.0.2 lladdr 02:00:00:00:00:99 dev v0 && ip route add default via 10.77.0.2
    ip route add unreachable 10.88.0.0/24 && ip route add prohibit 10.89.0.0/24";

#[test]
fn a_silent_target_is_bad_because_the_canary_vouches_for_us() {
    testing::in_namespace(
        "icmp::tests::a_silent_target_is_bad_because_the_canary_vouches_for_us",
        SILENT_NEIGHBOUR,
        async || {
            let prober = prober("");
            for target in ["10.77.0.2", "gateway"] {
                let result = prober.run(&spec(ping(target, None), 1_000)).await;
                assert_eq!(result.outcome, Outcome::Bad, "{result:?}");
                assert!(evidence(&result).contains("10.77.0.2: no echo reply within "), "{result:?}");
                assert!(result.took < Duration::from_secs(3), "{:?}", result.took);
            }
        },
    );
}

#[test]
fn a_prober_that_not_even_this_host_answers_cannot_probe_and_recovers() {
    let name = "icmp::tests::a_prober_that_not_even_this_host_answers_cannot_probe_and_recovers";
    testing::in_namespace(name, SILENT_NEIGHBOUR, async || {
        let ignore = |value: &str| std::fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", value).unwrap();
        let prober = prober("loopback_echo = true");
        ignore("1");
        let result = prober.run(&spec(ping("10.77.0.2", None), 1_000)).await;
        assert_eq!(result.outcome, Outcome::unknown(UnknownReason::CannotProbe), "{result:?}");
        ignore("0");
        assert_eq!(prober.run(&spec(ping("127.0.0.1", None), 1_000)).await.outcome, Outcome::Ok);
        assert_eq!(prober.run(&spec(ping("10.77.0.2", None), 1_000)).await.outcome, Outcome::Bad);
    });
}

#[test]
fn unreachable_is_bad_and_what_this_host_forbids_or_has_no_route_for_is_unknown() {
    let name = "icmp::tests::unreachable_is_bad_and_what_this_host_forbids_or_has_no_route_for_is_unknown";
    testing::in_namespace(name, SILENT_NEIGHBOUR, async || {
        let prober = prober("");
        let unreachable = prober.run(&ping("10.88.0.1", None)).await;
        assert_eq!(unreachable.outcome, Outcome::Bad, "{unreachable:?}");
        let prohibited = prober.run(&ping("10.89.0.1", None)).await;
        assert_eq!(prohibited.outcome, Outcome::unknown(UnknownReason::CannotProbe), "{prohibited:?}");
        let no_route = prober.run(&ping("fd77::1", None)).await;
        assert_eq!(no_route.outcome, Outcome::unknown(UnknownReason::Local), "{no_route:?}");
    });
}

#[test]
fn without_a_default_route_the_gateway_is_unknown() {
    let name = "icmp::tests::without_a_default_route_the_gateway_is_unknown";
    testing::in_namespace(name, "ip link set lo up", async || {
        let result = prober("").run(&ping("gateway", None)).await;
        assert_eq!(result.outcome, Outcome::unknown(UnknownReason::Local));
    });
}

#[test]
fn without_the_right_to_send_the_check_cannot_probe_and_tcp_stands_in() {
    let name = "icmp::tests::without_the_right_to_send_the_check_cannot_probe_and_tcp_stands_in";
    // A new namespace has an empty ping_group_range, and nobody has no CAP_NET_RAW.
    testing::in_namespace_as_nobody(name, "ip link set lo up", async || {
        let listener = testing::listener();
        let (open, closed) = (listener.local_addr().unwrap().port(), testing::closed_port());
        let prober = prober(&format!("loopback_echo = true\nloopback_ports = [{open}, {closed}]"));
        let without = prober.run(&ping("127.0.0.1", None)).await;
        assert_eq!(without.outcome, Outcome::unknown(UnknownReason::CannotProbe));
        assert!(evidence(&without).contains("CAP_NET_RAW"), "{without:?}");
        for port in [open, closed] {
            let by_tcp = prober.run(&ping("127.0.0.1", Some(port))).await;
            assert_eq!(by_tcp.outcome, Outcome::Ok, "{by_tcp:?}");
            assert_eq!(by_tcp.values["via"], "tcp".into());
            assert!(number(&by_tcp, "rtt_ms") < 500.0);
        }
    });
}

#[tokio::test]
async fn an_echo_that_is_not_allowed_is_not_sent() {
    let result = prober("").run(&ping("127.0.0.1", None)).await;
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::NotAllowed));
    assert!(evidence(&result).contains("loopback_echo"), "{result:?}");
}

fn quality(target: &str) -> CheckSpec {
    testing::check(ProbeSpec::NetQuality { target: target.to_owned() })
}

#[test]
fn a_round_to_this_host_is_whole_and_one_to_nobody_is_bad_in_time() {
    let name = "icmp::tests::a_round_to_this_host_is_whole_and_one_to_nobody_is_bad_in_time";
    testing::in_namespace(name, SILENT_NEIGHBOUR, async || {
        let prober = prober("loopback_echo = true");
        let good = prober.run(&quality("127.0.0.1")).await;
        assert_eq!(good.outcome, Outcome::Ok, "{good:?}");
        assert_eq!((number(&good, "sent"), number(&good, "lost")), (20.0, 0.0));
        for value in ["rtt_min_ms", "rtt_median_ms", "rtt_max_ms", "jitter_ms"] {
            assert!(number(&good, value) < 500.0, "{good:?}");
        }
        let dead = prober.run(&quality("10.77.0.2")).await;
        assert_eq!(dead.outcome, Outcome::Bad, "{dead:?}");
        assert_eq!(evidence(&dead), "10.77.0.2: 20 of 20 echoes were lost");
        assert!(dead.took < Duration::from_secs(3), "{:?}", dead.took);
        // Six rounds to nobody at once leave room for whoever asks whether somebody is there.
        let mut rounds = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let prober = prober.clone();
            rounds.spawn(async move { prober.run(&quality("10.77.0.2")).await });
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(prober.run(&spec(ping("127.0.0.1", None), 1_000)).await.outcome, Outcome::Ok);
        for round in rounds.join_all().await {
            assert_ne!(round.outcome, Outcome::Ok, "{round:?}");
        }
    });
}
