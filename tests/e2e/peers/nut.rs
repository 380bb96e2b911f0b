//! `ups.nut` and a real NUT server with its dummy driver (`tests/peers/nut.sh`).

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use upheld_tests::{
    Agent, Collector, book,
    nut::{Nut, UPS},
    program, wait_for,
};

use super::{Seen, check_now, look};

/// A site whose supply is watched, with its agent enrolled.
fn site(nut: &Nut, more: &str) -> (Collector, Agent) {
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    let check = format!("kind = \"ups.nut\", target = \"127.0.0.1\", port = {}, ups = \"{UPS}\"", nut.port);
    let assets = format!("\n[[asset]]\nid = \"a\"\nclass = \"ups\"\nchecks = [{{ {check} }}]\n{more}");
    book::write_book(&folder, &assets, None);
    collector.apply(&folder);
    collector.serve();
    let agent = Agent::enroll(&collector.link(collector.port), &format!("loopback_ports = [{}]\n", nut.port));
    (collector, agent)
}

fn one(agent: &Agent) -> Seen {
    let mut seen = look(&mut check_now(agent));
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

#[test]
fn a_supply_is_read_as_the_server_tells_and_a_silent_server_is_unknown() {
    let nut = Nut::start();
    let (_collector, agent) = site(&nut, "");
    let mains = one(&agent);
    println!("on mains: {mains:?}");
    assert_eq!(mains.is, "ok", "{mains:?}");
    for (name, value) in [("input_voltage", 230.1), ("charge_percent", 100.0), ("runtime_s", 3600.0)] {
        assert_eq!(mains.values[name], value, "{mains:?}");
    }
    assert_eq!((&mains.values["status"], &mains.values["model"]), (&"OL".into(), &"Upheld Test Dummy 1500".into()));
    assert!(mains.evidence.contains("on mains, input 230.1 V, charge 100 %"), "{mains:?}");

    nut.set("OB DISCHRG LB");
    nut.wait_for_status("OB DISCHRG LB");
    let low = one(&agent);
    assert_eq!(low.is, "bad", "{low:?}");
    assert!(low.evidence.contains("its battery is low"), "{low:?}");

    nut.kill_driver();
    for (what, words) in [("driver", "DRIVER-NOT-CONNECTED"), ("server", "refused")] {
        if what == "server" {
            nut.stop_server();
        }
        // The server notices within a moment that its driver is gone.
        let silent = wait_for(&format!("without its {what} it is unknown"), Duration::from_secs(15), || {
            Some(one(&agent)).filter(|seen| seen.is == "unknown" && seen.evidence.contains(words))
        });
        println!("without its {what}: {silent:?}");
        assert_eq!((silent.is.as_str(), silent.reason.as_deref()), ("unknown", Some("stale")), "{silent:?}");
    }
}

#[test]
fn a_supply_that_the_server_does_not_know_is_told_with_those_that_it_does() {
    let nut = Nut::start();
    let more = format!(
        "[[asset]]\nid = \"b\"\nclass = \"ups\"\npowered_by = \"a\"\nchecks = [{{ kind = \"ups.nut\", target = \"127.0.0.1\", port = {}, ups = \"cellar\" }}]\n",
        nut.port
    );
    let (_collector, agent) = site(&nut, &more);
    let config = std::fs::read_to_string(agent.state().join("config.json")).expect("what it was asked to watch");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["relations"]["parents"], serde_json::json!({ "b": ["a"] }), "what hangs on what travels with it");
    let seen = look(&mut check_now(&agent));
    let cellar = seen.iter().find(|seen| seen.name.starts_with("b/")).expect("the second one");
    assert_eq!(cellar.reason.as_deref(), Some("cannot-probe"), "{cellar:?}");
    assert!(cellar.evidence.ends_with(&format!("it knows: {UPS}")), "{cellar:?}");
}

#[test]
fn an_agent_sees_the_supply_go_on_battery_and_back_and_loses_it_without_calling_it_down() {
    let nut = Nut::start();
    let (_collector, mut agent) = site(&nut, "");
    agent.run();
    wait_for("the supply is watched", Duration::from_secs(20), || is(&agent, "ok"));
    nut.set("OB LB");
    wait_for("a low battery is confirmed", Duration::from_secs(15), || is(&agent, "failed"));
    nut.set("OL CHRG");
    wait_for("it is back", Duration::from_secs(15), || is(&agent, "ok"));
    nut.kill_driver();
    wait_for("without its driver it is unknown", Duration::from_secs(15), || is(&agent, "unknown"));
    nut.start_driver();
    wait_for("with its driver it is known", Duration::from_secs(20), || is(&agent, "ok"));
    agent.program().stop();
}

/// The promise is an hour; it is low after a few seconds, and mains comes back.
#[test]
fn a_dip_is_told_with_cause_and_depth_and_a_battery_that_broke_its_word_is_ageing() {
    let nut = Nut::start();
    let (collector, mut agent) = site(&nut, "");
    agent.run();
    wait_for("the supply is watched", Duration::from_secs(20), || is(&agent, "ok"));
    nut.say("input.transfer.reason", "input voltage out of range");
    nut.say("input.voltage", "96.0");
    nut.set("OB DISCHRG");
    let told = |agent: &Agent, name: &str| recorded(agent).into_iter().find(|sample| !sample["values"][name].is_null());
    // Also so that the driver sees two changes of its file: it looks at whole seconds.
    wait_for("that it is on battery is journalled", Duration::from_secs(30), || told(&agent, "promised_s"));
    nut.set("OB DISCHRG LB");
    wait_for("a low battery is confirmed", Duration::from_secs(15), || is(&agent, "failed"));
    // Low for a moment is not believed.
    wait_for("its word is broken", Duration::from_secs(60), || told(&agent, "battery_delivered_s"));
    nut.say("input.voltage", "229.5");
    nut.set("OL CHRG");
    wait_for("it is back", Duration::from_secs(15), || is(&agent, "ok"));
    let dip = wait_for("the dip is journalled", Duration::from_secs(60), || told(&agent, "dip_s"));
    agent.program().stop();

    let trace = agent.folder().join("trace.jsonl");
    program::json(agent.command(&["record", "--since", "1h", "--json", "--out"]).arg(&trace));
    let samples = recorded(&agent);
    println!("{dip}");
    assert_eq!((&dip["values"]["dip_voltage_min"], &dip["values"]["status"]), (&96.0.into(), &"OL CHRG".into()));
    assert!(dip["values"]["dip_s"].as_f64().expect("seconds") >= 7.0, "{dip}");
    let after = samples.last().expect("a sample");
    assert_eq!(
        (&after["outcome"], &after["values"]["battery_promised_s"]),
        (&"warn".into(), &3480.0.into()),
        "{after}"
    );
    assert!(after["values"]["battery_delivered_s"].as_f64().expect("seconds") < 10.0, "{after}");

    let again = one(&agent);
    println!("{again:?}");
    assert_eq!(again.is, "warn", "{again:?}");
    assert!(again.evidence.starts_with("its battery is ageing: on "), "{again:?}");
    assert!(again.evidence.contains("it promised 58 min until low and was low after "), "{again:?}");
    let document = replay(&collector, &trace);
    let event = document["events"].as_array().expect("events").iter().find(|event| event["event"] == "power-dip");
    let event = event.unwrap_or_else(|| panic!("a dip: {document}"));
    assert_eq!((&event["voltage_min"], &event["cause"]), (&96.into(), &"input voltage out of range".into()), "{event}");
    let incident = &document["incidents"][0];
    println!("{}", incident["title"]);
    let title = incident["title"].as_str().expect("a title");
    assert!(title.contains(" s, input down to 96 V (input voltage out of range)"), "{title}");
}

/// S4: 60 dips of 1.2 s, polled at 1 s. The driver reads its file once a second and may miss a dip on a busy machine, so the
/// server itself is asked by somebody else how many there were, and dips go on until there were 60.
#[test]
fn s4_sixty_dips_are_sixty_transfers_and_one_unstable_supply() {
    let nut = Nut::start();
    let (collector, mut agent) = site(&nut, "");
    agent.run();
    wait_for("the supply is watched", Duration::from_secs(20), || is(&agent, "ok"));
    let witness = nut.witness();
    for _ in 0..62 {
        if witness.transfers() >= 60 {
            break;
        }
        let begun = Instant::now();
        nut.set("OB DISCHRG");
        sleep_until(begun + Duration::from_millis(1_200));
        nut.set("OL");
        sleep_until(begun + Duration::from_millis(2_250));
    }
    nut.wait_for_status("OL");
    let dips = witness.transfers();
    assert!(dips >= 60, "the server told of {dips} dips: is this machine too busy for its driver?");
    std::thread::sleep(Duration::from_secs(2));
    agent.program().stop();

    let trace = agent.folder().join("trace.jsonl");
    let recorded = program::json(agent.command(&["record", "--since", "1h", "--json", "--out"]).arg(&trace));
    assert!(recorded["samples"].as_u64().expect("a count") > 100, "{recorded}");
    let seen = last_count(&trace);
    println!("the server told of {dips} dips, the agent counted {seen}");
    assert_eq!(seen, dips);

    let document = replay(&collector, &trace);
    let incidents = document["incidents"].as_array().expect("incidents");
    let kinds: Vec<_> = incidents.iter().map(|incident| incident["kind"].as_str().expect("a kind")).collect();
    println!("{} events, incidents: {incidents:?}", document["events"].as_array().expect("events").len());
    assert_eq!(kinds, ["unstable"], "{incidents:?}");
    assert_eq!(incidents[0]["class"], "power");
    assert!(document["events"].as_array().expect("events").len() >= 50, "each dip is an event");
    assert_eq!(document["pages"], 0);
}

/// What `upheld-agent record` writes by itself is what `upheld-collector replay` reads.
#[test]
fn a_live_record_is_taken_by_replay() {
    let nut = Nut::start();
    let (collector, agent) = site(&nut, "");
    let trace = agent.folder().join("live.jsonl");
    let (code, out, err) = program::run(agent.command(&["record", "--for", "6s", "--out"]).arg(&trace));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("samples written to"), "{out}");
    assert!(std::fs::read_to_string(&trace).expect("the trace").lines().count() >= 4);
    let document = replay(&collector, &trace);
    assert_eq!(document["incidents"], Value::Array(vec![]));
    assert!(document["uptime"]["a"]["up_s"].as_i64().expect("seconds") >= 3, "{document}");
    let refused = program::refused(|| {
        let mut command = agent.command(&["record", "--for", "1s", "--out"]);
        command.arg(&trace);
        command
    });
    assert!(refused.text.contains("not there yet"), "{}", refused.text);
}

/// The journal of an agent, which may be running.
fn recorded(agent: &Agent) -> Vec<Value> {
    let (code, out, err) = program::run(&mut agent.command(&["record", "--since", "1h"]));
    assert_eq!(code, Some(0), "{err}");
    out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn sleep_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

fn replay(collector: &Collector, trace: &std::path::Path) -> Value {
    let mut command = Command::new(upheld_tests::binary("upheld-collector"));
    command.args(["replay", "--json", "--book"]).arg(collector.folder().join("book")).arg("--samples").arg(trace);
    program::json(&mut command)
}

fn last_count(trace: &std::path::Path) -> u64 {
    let text = std::fs::read_to_string(trace).expect("the trace");
    let mut counts = text.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["counters"]["transfers"][1].as_u64()
    });
    counts.next_back().expect("a count")
}

fn is(agent: &Agent, state: &str) -> Option<()> {
    (agent.status()?["checks"][0]["state"] == state).then_some(())
}
