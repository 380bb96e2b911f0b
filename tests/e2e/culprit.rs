//! Who is to blame: an office whose way out breaks at one step after the other, for real, and the incident that names
//! the step. Whatever fails behind it opens nothing.

use std::time::Duration;

use serde_json::Value;
use upheld_tests::{
    Agent, Collector, book,
    namespace::{self, Own},
    office::{FAR, NAS, Office},
    wait_for,
};

/// An office with its agent; the collector stands beside the agent, so that it hears of a line that is lost at once.
struct Site {
    office: Office,
    collector: Collector,
    agent: Agent,
}

impl Site {
    fn new() -> Self {
        let mut collector = Collector::new();
        let office = Office::new(collector.folder());
        let folder = collector.folder().join("book");
        let (often, tcp) = ("every = \"1s\", timeout = \"1s\"", "kind = \"net.tcp\", port = 80");
        book::write_book(
            &folder,
            &format!(
                r#"
[[asset]]
id = "gw"
class = "gateway"
checks = [{{ kind = "net.icmp", target = "gateway", {often} }}]

[[asset]]
id = "srv"
class = "server"
routed_via = "gw"
checks = [
  {{ kind = "net.link", every = "2s" }},
  {{ kind = "net.path", anchors = ["{}:443", "{}:443"], every = "3s", timeout = "2s" }},
]

[[asset]]
id = "nas"
class = "server"
checks = [{{ {tcp}, target = "{NAS}", {often} }}]

# Nothing says on what it hangs.
[[asset]]
id = "web"
class = "other"
checks = [{{ {tcp}, target = "{}", {often} }}]
"#,
                FAR[0], FAR[1], FAR[0]
            ),
            None,
        );
        collector.apply(&folder);
        collector.serve();
        let hosts: Vec<String> =
            FAR.iter().flat_map(|far| [format!("\"{far}:443\""), format!("\"{far}:80\"")]).collect();
        let allow = format!("public_hosts = [{}]\n", hosts.join(", "));
        let mut agent = Agent::enroll(&collector.link(collector.port), &allow);
        agent.run();
        let site = Self { office, collector, agent };
        wait_for("everything answers", Duration::from_secs(40), || {
            (["gw/net.icmp", "srv/net.link", "srv/net.path", "nas/net.tcp", "web/net.tcp"])
                .iter()
                .all(|check| site.state(check) == "ok")
                .then_some(())
        });
        assert_eq!(site.queue(), [], "nothing is wrong yet");
        site
    }

    /// The state of a check at the agent.
    fn state(&self, check: &str) -> String {
        let status = self.agent.status().unwrap_or_default();
        let checks = status["checks"].as_array().cloned().unwrap_or_default();
        let found = checks.iter().find(|known| known["check"] == *check);
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        found.map_or_else(String::new, |found| match found.get("reason").and_then(Value::as_str) {
            Some(reason) => format!("{} {reason}", word(&found["state"])),
            None => word(&found["state"]),
        })
    }

    /// The open incidents: class, title.
    fn queue(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let queue = self.collector.cli_json(&["queue"]);
        let rows = queue["queue"]["rows"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| (text(&row["class"]), text(&row["title"]))).collect()
    }

    /// Samples of a check that the collector holds, the latest last.
    fn samples(&self, check: &str) -> Vec<Value> {
        let database = self.collector.database();
        let mut bodies = database.prepare("SELECT body FROM records ORDER BY epoch, seq").expect("a query");
        let rows = bodies.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        let bodies = rows.map(|body| serde_json::from_str::<Value>(&body.expect("a row")).expect("JSON"));
        let samples = bodies.flat_map(|body| body["samples"].as_array().cloned().unwrap_or_default());
        samples.filter(|sample| sample["check"] == *check).collect()
    }

    /// Waits for the incident, then until every check was looked at three times more: still one.
    fn one_incident(&self, what: &str) -> (String, String) {
        wait_for(what, Duration::from_secs(60), || (!self.queue().is_empty()).then_some(()));
        for check in ["srv/net.path", "web/net.tcp", "nas/net.tcp"] {
            let before = self.samples(check).len();
            wait_for("three looks more", Duration::from_secs(60), || {
                (self.samples(check).len() >= before + 3).then_some(())
            });
        }
        let path = self.samples("srv/net.path").pop().expect("a look at the way out");
        println!("{what}: {}", path["evidence"]);
        let mut queue = self.queue();
        println!("{what}: {queue:?}");
        assert_eq!(queue.len(), 1, "one cause, one incident: {queue:?}");
        queue.remove(0)
    }

    fn end(mut self) {
        self.agent.program().stop();
        self.collector.kill();
    }
}

fn in_an_office(test: &str, body: impl FnOnce(Site)) {
    namespace::inside(Own::NetworkAndMounts, test, || body(Site::new()));
}

#[test]
fn a_gateway_that_is_lost_is_the_gateway_and_nothing_else() {
    in_an_office("a_gateway_that_is_lost_is_the_gateway_and_nothing_else", |site| {
        site.office.lose_gateway();
        let (class, title) = site.one_incident("the gateway is lost");
        assert_eq!(class, "network-lan");
        assert!(title.starts_with("gw: the default gateway does not answer"), "{title}");
        assert_eq!(site.state("nas/net.tcp"), "ok", "what stands on the same switch is watched as ever");
        assert_eq!(site.state("web/net.tcp"), "unknown path", "what lies behind the gateway cannot be judged");
        let path = site.samples("srv/net.path").pop().expect("a look");
        assert_eq!(path["values"]["verdict"], "gateway", "{path}");
        site.end();
    });
}

#[test]
fn a_line_that_is_lost_is_the_providers_and_what_lies_beyond_opens_nothing() {
    in_an_office("a_line_that_is_lost_is_the_providers_and_what_lies_beyond_opens_nothing", |site| {
        site.office.lose_line();
        let (class, title) = site.one_incident("the line is lost");
        assert_eq!(class, "network-wan");
        let culprit = "the gateway answers, the provider's first router does not: the line to the internet provider";
        assert_eq!(title, format!("srv: {culprit}"));
        assert_eq!(site.state("nas/net.tcp"), "ok");
        assert_eq!(site.state("gw/net.icmp"), "ok");
        assert_eq!(site.state("web/net.tcp"), "unknown path");

        site.office.restore_line();
        wait_for("the line is back", Duration::from_secs(60), || {
            (site.state("srv/net.path") == "ok" && site.state("web/net.tcp") == "ok").then_some(())
        });
        site.end();
    });
}

#[test]
fn a_resolver_that_is_dead_is_the_resolver_while_everything_else_is_judged() {
    in_an_office("a_resolver_that_is_dead_is_the_resolver_while_everything_else_is_judged", |site| {
        site.office.resolves(false);
        let (class, title) = site.one_incident("the resolver is dead");
        assert_eq!(class, "network-lan");
        assert_eq!(title, "srv: the way out is whole, the resolver does not answer: names cannot be looked up");
        assert_eq!(site.state("web/net.tcp"), "ok", "an address needs no resolver");
        site.end();
    });
}

#[test]
fn a_port_that_flaps_is_one_unstable_link_and_one_that_stays_down_is_the_own_link() {
    in_an_office("a_port_that_flaps_is_one_unstable_link_and_one_that_stays_down_is_the_own_link", |site| {
        wait_for("a first look is with the collector", Duration::from_secs(60), || {
            (!site.samples("srv/net.link").is_empty()).then_some(())
        });
        for _ in 0..3 {
            site.office.port(false);
            site.office.port(true);
        }
        let (class, title) = site.one_incident("the port flaps");
        assert_eq!(class, "network-lan");
        assert!(title.starts_with("srv: ") && title.contains("link"), "{title}");

        site.office.port(false);
        wait_for("the port stays down", Duration::from_secs(60), || {
            (site.state("srv/net.path") == "failed").then_some(())
        });
        let path = site.samples("srv/net.path").pop().expect("a look");
        assert_eq!(path["values"]["verdict"], "own-link", "{path}");
        for check in ["gw/net.icmp", "nas/net.tcp", "web/net.tcp"] {
            wait_for("nothing behind the port can be judged", Duration::from_secs(30), || {
                (site.state(check) == "unknown path").then_some(())
            });
        }
        assert!(site.queue().iter().all(|(_, title)| title.starts_with("srv: ")), "{:?}", site.queue());
        site.end();
    });
}
