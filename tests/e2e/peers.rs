//! The agent's checks against real peers: a real nginx with certificates that end, a real link that loses, refuses and is
//! cut, a real NUT server whose supply goes on battery, a real apcupsd, a real SNMP agent, a
//! real resolver and a real time server.

#[path = "peers/apcupsd.rs"]
mod apcupsd;
#[path = "peers/discover.rs"]
mod discover;
#[path = "peers/dns.rs"]
mod dns;
#[path = "peers/hostile.rs"]
mod hostile;
#[path = "peers/https.rs"]
mod https;
#[path = "peers/icmp.rs"]
mod icmp;
#[path = "peers/link.rs"]
mod link;
#[path = "peers/ntp.rs"]
mod ntp;
#[path = "peers/nut.rs"]
mod nut;
#[path = "peers/smart.rs"]
mod smart;
#[path = "peers/snmp.rs"]
mod snmp;
#[path = "peers/tls.rs"]
mod tls;

use std::process::Command;

use serde_json::Value;
use upheld_tests::{Agent, Collector, book, program};

/// A site whose one asset has these checks (inline tables of TOML), with its agent enrolled.
fn site(checks: &[String], allow: &str) -> (Collector, Agent) {
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    let checks: String = checks.iter().map(|check| format!("  {{ {check} }},\n")).collect();
    book::write_book(&folder, &format!("\n[[asset]]\nid = \"a\"\nclass = \"server\"\nchecks = [\n{checks}]\n"), None);
    collector.apply(&folder);
    collector.serve();
    let agent = Agent::enroll(&collector.link(collector.port), allow);
    (collector, agent)
}

/// What one check saw.
#[derive(Debug)]
struct Seen {
    name: String,
    is: String,
    reason: Option<String>,
    evidence: String,
    values: Value,
    took_ms: u64,
}

/// What `check now --json` says, in the order of the book.
fn look(command: &mut Command) -> Vec<Seen> {
    read(&program::json(command))
}

fn read(report: &Value) -> Vec<Seen> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let checks = report["checks"].as_array().expect("a list of checks");
    checks
        .iter()
        .map(|check| Seen {
            name: word(&check["check"]).expect("its name").replace("a/", ""),
            is: word(&check["outcome"]["is"]).expect("what it came to"),
            reason: word(&check["outcome"]["reason"]),
            evidence: word(&check["evidence"]).unwrap_or_default(),
            values: check["values"].clone(),
            took_ms: check["took_ms"].as_u64().expect("how long it took"),
        })
        .collect()
}

fn check_now(agent: &Agent) -> Command {
    agent.command(&["check", "now", "--json"])
}
