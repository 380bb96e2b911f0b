//! `net.icmp` over a real link between two network namespaces: the agent on one end, a device (the kernel) on the
//! other, loss and refusal by nftables, the cut by taking the link down.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use upheld_tests::{
    Agent, Collector, binary,
    namespace::{self, Own, sh},
    peer, wait_for,
};

use super::{Seen, check_now, look, site};

/// The device.
const DEVICE: &str = "10.213.7.2";

#[test]
fn loss_is_no_outage_and_a_cut_link_is_bad_after_three() {
    let name = "icmp::loss_is_no_outage_and_a_cut_link_is_bad_after_three";
    namespace::inside(Own::Network, name, || {
        let link = Link::new();
        let check = format!("kind = \"net.icmp\", target = \"{DEVICE}\", every = \"1s\", timeout = \"1s\"");
        let (collector, mut agent) = site(&[check], "");
        agent.run();
        wait_for("the device answers", Duration::from_secs(15), || is(&agent, "ok"));

        // Each third echo is lost, for real: never three in a row.
        link.filter("numgen inc mod 3 0 drop");
        wait_for("three echoes are lost", Duration::from_secs(30), || {
            (outcomes(&collector).iter().filter(|outcome| *outcome == "bad").count() >= 3).then_some(())
        });
        assert_eq!(findings(&collector), 0, "loss is no outage: {:?}", outcomes(&collector));
        link.filter("accept");
        wait_for("the link is whole", Duration::from_secs(15), || is(&agent, "ok"));

        link.cut();
        wait_for("the cut is confirmed", Duration::from_secs(20), || is(&agent, "failed"));
        wait_for("the collector has the finding", Duration::from_secs(15), || {
            (findings(&collector) == 1).then_some(())
        });
        let finding = events(&collector, "finding-opened").remove(0);
        let bad = bad_until_confirmed(&collector, &finding["finding"]);
        println!("confirmed after {bad} bad samples: {finding}");
        assert_eq!(bad, 3, "{finding}");

        link.heal();
        wait_for("the device is back", Duration::from_secs(20), || is(&agent, "ok"));
        agent.program().stop();
    });
}

#[test]
fn of_real_loss_each_echo_tells_its_own_truth_and_a_refusal_says_who() {
    let name = "icmp::of_real_loss_each_echo_tells_its_own_truth_and_a_refusal_says_who";
    namespace::inside(Own::Network, name, || {
        let link = Link::new();
        let checks: Vec<String> = (0..40)
            .map(|n| {
                format!("name = \"c{n}\", kind = \"net.icmp\", target = \"{DEVICE}\", timeout = \"1s\", every = \"2s\"")
            })
            .collect();
        let (_collector, agent) = site(&checks, "");
        assert_eq!(count(&look(&mut check_now(&agent))), (40, 0));
        link.filter("numgen inc mod 2 0 drop");
        let seen = look(&mut check_now(&agent));
        assert_eq!(count(&seen), (20, 20), "every other echo was dropped: {seen:?}");
        link.filter("reject with icmp type admin-prohibited");
        let seen = look(&mut check_now(&agent));
        assert_eq!(count(&seen), (0, 40), "{seen:?}");
        let said = format!("packet filtered, says {DEVICE}");
        // The device's kernel limits how often it says so; who was not told heard nothing.
        assert!(seen.iter().any(|seen| seen.evidence.contains(&said)), "{seen:?}");
        let silent = |seen: &Seen| seen.evidence.contains("no echo reply within");
        assert!(seen.iter().all(|seen| seen.evidence.contains(&said) || silent(seen)), "{seen:?}");
    });
}

/// Two of twenty are lost: nothing for a while, then a warning, and no outage. Ten of twenty are one.
#[test]
fn a_way_that_loses_warns_after_five_rounds_and_half_of_a_round_is_bad() {
    let name = "icmp::a_way_that_loses_warns_after_five_rounds_and_half_of_a_round_is_bad";
    namespace::inside(Own::Network, name, || {
        let link = Link::new();
        let check = format!("kind = \"net.quality\", target = \"{DEVICE}\", every = \"2s\"");
        let (collector, mut agent) = site(&[check], "");
        link.filter("numgen inc mod 10 0 drop");
        agent.run();
        wait_for("the way warns", Duration::from_secs(60), || {
            outcomes(&collector).contains(&"warn".to_owned()).then_some(())
        });
        let samples = list(&bodies(&collector), "samples");
        println!("{:?}", samples.first());
        let place = samples.iter().position(|sample| sample["outcome"]["is"] == "warn").expect("a warning");
        assert_eq!(place, 4, "the fifth round: {:?}", outcomes(&collector));
        assert_eq!((&samples[place]["values"]["sent"], &samples[place]["values"]["lost"]), (&20.0.into(), &2.0.into()));
        let said = samples[place]["evidence"].as_str().expect("why");
        assert_eq!(said, format!("{DEVICE}: echoes were lost in 5 of the last 5 rounds, 10 of 100"));
        assert!(is(&agent, "ok").is_some(), "a warning is no outage");
        link.filter("numgen inc mod 2 0 drop");
        wait_for("half of each round is an outage", Duration::from_secs(40), || is(&agent, "failed"));
        agent.program().stop();
    });
}

#[test]
fn without_the_right_to_ping_a_device_is_unknown_and_never_bad_unless_tcp_stands_in() {
    let name = "icmp::without_the_right_to_ping_a_device_is_unknown_and_never_bad_unless_tcp_stands_in";
    namespace::inside(Own::Network, name, || {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").expect("Linux tells");
        assert_eq!(range.split_whitespace().collect::<Vec<_>>(), ["1", "0"], "nobody may ping without a right here");
        let link = Link::new();
        let ping = format!("kind = \"net.icmp\", target = \"{DEVICE}\", timeout = \"1s\", every = \"2s\"");
        let checks = [format!("name = \"ping\", {ping}"), format!("name = \"tcp\", {ping}, tcp_port = 80")];
        let (_collector, agent) = site(&checks, "");

        for (state, tcp) in [("whole", "ok"), ("cut", "bad")] {
            if state == "cut" {
                link.cut();
            }
            let seen = look(&mut without_right(&agent));
            let [by_ping, by_tcp] = &seen[..] else { panic!("two checks: {seen:?}") };
            println!("{state}: {by_ping:?}\n{by_tcp:?}");
            let judged = (by_ping.is.as_str(), by_ping.reason.as_deref());
            assert_eq!(judged, ("unknown", Some("cannot-probe")), "{state}: {by_ping:?}");
            assert!(by_ping.evidence.contains("CAP_NET_RAW"), "what to do: {by_ping:?}");
            assert_eq!((by_tcp.is.as_str(), &by_tcp.values["via"]), (tcp, &"tcp".into()), "{state}: {by_tcp:?}");
        }
    });
}

/// The same command, whose process can never have the right to open raw sockets.
fn without_right(agent: &Agent) -> Command {
    let mut command = Command::new(peer("setpriv"));
    command.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw"]).arg(binary("upheld-agent"));
    command.arg("--state").arg(agent.state()).args(["check", "now", "--json"]);
    command
}

/// How many are ok and how many bad.
fn count(seen: &[Seen]) -> (usize, usize) {
    let of = |word: &str| seen.iter().filter(|seen| seen.is == word).count();
    (of("ok"), of("bad"))
}

fn is(agent: &Agent, state: &str) -> Option<()> {
    (agent.status()?["checks"][0]["state"] == state).then_some(())
}

/// Everything that the collector holds, in order.
fn bodies(collector: &Collector) -> Vec<Value> {
    let database = collector.database();
    let mut bodies = database.prepare("SELECT body FROM records ORDER BY epoch, seq").expect("a query");
    let rows = bodies.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    rows.map(|body| serde_json::from_str(&body.expect("a row")).expect("JSON")).collect()
}

fn list(bodies: &[Value], name: &str) -> Vec<Value> {
    bodies.iter().flat_map(|body| body[name].as_array().cloned().unwrap_or_default()).collect()
}

fn outcomes(collector: &Collector) -> Vec<String> {
    let samples = list(&bodies(collector), "samples");
    samples.iter().map(|sample| sample["outcome"]["is"].as_str().expect("an outcome").to_owned()).collect()
}

fn events(collector: &Collector, kind: &str) -> Vec<Value> {
    list(&bodies(collector), "events").into_iter().filter(|event| event["event"] == kind).collect()
}

fn findings(collector: &Collector) -> usize {
    events(collector, "finding-opened").len()
}

fn bad_until_confirmed(collector: &Collector, finding: &Value) -> usize {
    let instant =
        |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("an instant");
    let (first, confirmed) = (instant(&finding["first_bad"]), instant(&finding["confirmed_at"]));
    let samples = list(&bodies(collector), "samples");
    samples
        .iter()
        .filter(|sample| sample["outcome"]["is"] == "bad" && (first..=confirmed).contains(&instant(&sample["at"])))
        .count()
}

/// A veth pair from this namespace to the device's.
struct Link {
    device: Child,
}

impl Link {
    fn new() -> Self {
        let device = Command::new("unshare").args(["--net", "sleep", "600"]).stdin(Stdio::null()).spawn();
        let link = Self { device: device.expect("unshare runs") };
        let namespace = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/net")).expect("a namespace");
        wait_for("the device has a network", Duration::from_secs(5), || {
            (namespace(&link.pid()) != namespace("self")).then_some(())
        });
        sh(
            "ip link add eth0 type veth peer name eth0 netns \"$1\"
             ip addr add 10.213.7.1/24 dev eth0; ip link set eth0 up",
            &[&link.pid()],
        );
        link.device(&format!("ip link set lo up; ip addr add {DEVICE}/24 dev eth0; ip link set eth0 up"));
        link
    }

    fn pid(&self) -> String {
        self.device.id().to_string()
    }

    /// Runs a line of shell at the device.
    fn device(&self, script: &str) {
        sh("nsenter --net=/proc/\"$1\"/ns/net sh -ec \"$2\"", &[&self.pid(), script]);
    }

    /// What happens to echoes that reach the device.
    fn filter(&self, verdict: &str) {
        let nft = peer("nft");
        let rules = format!(
            "flush ruleset; add table ip f; add chain ip f i {{ type filter hook input priority 0; }}; \
             add rule ip f i icmp type echo-request {verdict}"
        );
        self.device(&format!("{} '{rules}'", nft.display()));
    }

    fn cut(&self) {
        self.device("ip link set eth0 down");
    }

    fn heal(&self) {
        self.device("ip link set eth0 up");
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Its namespace and the link go with it.
        let _ = self.device.kill();
        let _ = self.device.wait();
    }
}
