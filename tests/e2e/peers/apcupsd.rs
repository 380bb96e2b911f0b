//! `ups.apcupsd` and a real apcupsd (`tests/peers/apcupsd.sh`), whose supply is a real SNMP agent.

use std::time::Duration;

use upheld_tests::{
    Agent, Collector, program,
    snmp::{Apcupsd, OUTPUT_SOURCE, Snmpd, UPS},
    wait_for,
};

use super::{Seen, check_now, look, site};

fn watched(apcupsd: &Apcupsd) -> (Collector, Agent) {
    let check = format!("kind = \"ups.apcupsd\", target = \"127.0.0.1\", port = {}, every = \"1s\"", apcupsd.port);
    site(&[check], &format!("loopback_ports = [{}]\n", apcupsd.port))
}

fn one(agent: &Agent) -> Seen {
    let mut seen = look(&mut check_now(agent));
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

#[test]
fn a_supply_is_read_as_apcupsd_tells_through_a_dip_an_outage_and_its_silence() {
    let supply = Snmpd::start(UPS, "");
    let apcupsd = Apcupsd::start(Some(&supply));
    let (_collector, mut agent) = watched(&apcupsd);
    // apcupsd says nothing of its supply until it has read it once.
    let mains = wait_for("apcupsd has read its supply", Duration::from_secs(30), || {
        Some(one(&agent)).filter(|seen| seen.is == "ok")
    });
    println!("on mains: {mains:?}");
    for (name, value) in [("input_voltage", 230.0), ("charge_percent", 100.0), ("runtime_s", 3600.0)] {
        assert_eq!(mains.values[name], value, "{mains:?}");
    }
    assert_eq!((&mains.values["status"], &mains.values["model"]), (&"OL".into(), &"RFC1628 1500".into()));
    assert!(mains.evidence.contains("on mains, input 230 V, charge 100 %, 3600 s of runtime"), "{mains:?}");

    agent.run();
    wait_for("the supply is watched", Duration::from_secs(30), || is(&agent, "ok"));
    supply.set(OUTPUT_SOURCE, "integer 5");
    let battery = wait_for("apcupsd says on battery", Duration::from_secs(30), || {
        Some(one(&agent)).filter(|seen| seen.values["status"] == "OB")
    });
    println!("on battery: {battery:?}");
    assert_eq!(battery.is, "warn", "{battery:?}");
    supply.set(".1.3.6.1.2.1.33.1.2.1.0", "integer 3");
    supply.set(".1.3.6.1.2.1.33.1.2.4.0", "integer 8");
    wait_for("a low battery is confirmed", Duration::from_secs(30), || is(&agent, "failed"));
    let low = one(&agent);
    println!("low: {low:?}");
    assert!(low.evidence.contains("only 8 % charge"), "{low:?}");
    supply.set(OUTPUT_SOURCE, "integer 3");
    supply.set(".1.3.6.1.2.1.33.1.2.1.0", "integer 2");
    supply.set(".1.3.6.1.2.1.33.1.2.4.0", "integer 100");
    wait_for("it is back", Duration::from_secs(30), || is(&agent, "ok"));
    let back = one(&agent);
    println!("back: {back:?}");
    assert!(back.values["last_dip_s"].as_f64().is_some_and(|lasted| lasted >= 1.0), "{back:?}");

    supply.stop();
    let lost = wait_for("apcupsd has lost its supply", Duration::from_secs(60), || {
        Some(one(&agent)).filter(|seen| seen.is == "unknown")
    });
    println!("lost: {lost:?}");
    assert_eq!(lost.reason.as_deref(), Some("stale"));
    assert!(lost.evidence.contains("COMMLOST"), "{lost:?}");
    supply.begin();
    wait_for("its supply is there again", Duration::from_secs(60), || is(&agent, "ok"));
    agent.program().stop();
    assert_eq!(transfers(&agent), 1, "one transfer, whatever was polled");

    apcupsd.stop();
    let silent = wait_for("apcupsd has ended", Duration::from_secs(30), || {
        Some(one(&agent)).filter(|seen| seen.evidence.contains("refused"))
    });
    assert_eq!((silent.is.as_str(), silent.reason.as_deref()), ("unknown", Some("stale")), "{silent:?}");
}

#[test]
fn a_supply_without_a_battery_is_a_warning_with_its_reason() {
    let apcupsd = Apcupsd::start(None);
    let (_collector, agent) = watched(&apcupsd);
    let seen = wait_for("apcupsd has read its supply", Duration::from_secs(30), || {
        Some(one(&agent)).filter(|seen| seen.is != "unknown")
    });
    println!("{seen:?}");
    assert_eq!(seen.is, "warn", "{seen:?}");
    assert!(seen.evidence.starts_with("it raises an alarm no battery is connected"), "{seen:?}");
}

/// How many transfers the journal's samples tell of, from the first to the last.
fn transfers(agent: &Agent) -> u64 {
    let trace = agent.folder().join("trace.jsonl");
    program::json(agent.command(&["record", "--since", "1h", "--json", "--out"]).arg(&trace));
    let text = std::fs::read_to_string(&trace).expect("the trace");
    let counts: Vec<u64> = text
        .lines()
        .filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line["counters"]["transfers"][1].as_u64()
        })
        .collect();
    counts.last().expect("a count") - counts.first().expect("a count")
}

fn is(agent: &Agent, state: &str) -> Option<()> {
    (agent.status()?["checks"][0]["state"] == state).then_some(())
}
