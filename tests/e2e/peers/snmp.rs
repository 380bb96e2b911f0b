//! `ups.snmp` and `snmp` and a real SNMP agent (net-snmp, `tests/peers/snmpd.sh`): through agent and collector with the
//! community that is usual, and by the probes alone with secrets, which are not in a book.

use std::{path::Path, time::Duration};

use upheld_model::{CheckSpec, Outcome, ProbeSpec, UnknownReason};
use upheld_probe::{AllowList, ProbeResult, Prober, Secret, Secrets};
use upheld_tests::{
    Agent, program,
    snmp::{OUTPUT_SOURCE, Snmpd, UPS},
    wait_for,
};

use super::{Seen, check_now, look, site};

/// APC's card: on line, with a charged battery.
const POWERNET: &str = "\
.1.3.6.1.4.1.318.1.1.1.1.1.1.0 string Smart-UPS 1500
.1.3.6.1.4.1.318.1.1.1.2.1.1.0 integer 2
.1.3.6.1.4.1.318.1.1.1.2.2.1.0 gauge 97
.1.3.6.1.4.1.318.1.1.1.2.2.3.0 timeticks 180000
.1.3.6.1.4.1.318.1.1.1.3.2.1.0 gauge 231
.1.3.6.1.4.1.318.1.1.1.3.2.3.0 gauge 188
.1.3.6.1.4.1.318.1.1.1.3.2.5.0 integer 1
.1.3.6.1.4.1.318.1.1.1.4.1.1.0 integer 2
";
/// What APC's cards say they are.
const APC: &str = ".1.3.6.1.4.1.318.1.3.27";

/// Port 7 of a switch, up and feeding a camera, and its uplink.
pub(super) const SWITCH: &str = "\
.1.3.6.1.2.1.2.2.1.2.10107 string GigabitEthernet0/7
.1.3.6.1.2.1.2.2.1.2.10152 string GigabitEthernet0/52
.1.3.6.1.2.1.2.2.1.7.10107 integer 1
.1.3.6.1.2.1.2.2.1.8.10107 integer 1
.1.3.6.1.2.1.2.2.1.9.10107 timeticks 1200
.1.3.6.1.2.1.2.2.1.14.10107 counter 5
.1.3.6.1.2.1.2.2.1.20.10107 counter 0
.1.3.6.1.2.1.31.1.1.1.1.10107 string Gi0/7
.1.3.6.1.2.1.31.1.1.1.1.10152 string Gi0/52
.1.3.6.1.2.1.31.1.1.1.15.10107 gauge 100
.1.3.6.1.2.1.31.1.1.1.18.10107 string camera at the north gate
.1.3.6.1.2.1.10.7.2.1.3.10107 counter 3
.1.3.6.1.2.1.10.7.2.1.19.10107 integer 3
.1.3.6.1.2.1.105.1.1.1.6.1.7 integer 3
.1.3.6.1.2.1.105.1.1.1.6.1.8 integer 2
";
const OPER: &str = ".1.3.6.1.2.1.2.2.1.8.10107";
const LAST_CHANGE: &str = ".1.3.6.1.2.1.2.2.1.9.10107";
const POE: &str = ".1.3.6.1.2.1.105.1.1.1.6.1.7";

fn one(agent: &Agent) -> Seen {
    let mut seen = look(&mut check_now(agent));
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

fn is(agent: &Agent, state: &str) -> Option<()> {
    (agent.status()?["checks"][0]["state"] == state).then_some(())
}

#[test]
fn a_supply_goes_on_battery_and_low_and_back_and_its_silent_card_is_unknown() {
    let card = Snmpd::start(UPS, "");
    let check = format!("kind = \"ups.snmp\", target = \"127.0.0.1\", udp_port = {}, every = \"1s\"", card.port);
    let (_collector, mut agent) = site(&[check], &format!("loopback_ports = [{}]\n", card.port));
    let mains = one(&agent);
    println!("on mains: {mains:?}");
    assert_eq!(mains.is, "ok", "{mains:?}");
    for (name, value) in
        [("input_voltage", 230.0), ("charge_percent", 100.0), ("runtime_s", 3600.0), ("battery_voltage", 27.3)]
    {
        assert_eq!(mains.values[name], value, "{mains:?}");
    }
    assert_eq!((&mains.values["status"], &mains.values["model"]), (&"OL".into(), &"Upheld Test RFC1628 1500".into()));

    agent.run();
    wait_for("the supply is watched", Duration::from_secs(30), || is(&agent, "ok"));
    card.set(OUTPUT_SOURCE, "integer 5");
    card.set(".1.3.6.1.2.1.33.1.3.1.0", "counter 1");
    card.set(".1.3.6.1.2.1.33.1.2.2.0", "integer 4");
    card.set(".1.3.6.1.2.1.33.1.6.1.0", "gauge 2");
    card.set(".1.3.6.1.2.1.33.1.6.2.1.2.1", "objectid .1.3.6.1.2.1.33.1.6.3.2");
    card.set(".1.3.6.1.2.1.33.1.6.2.1.2.2", "objectid .1.3.6.1.2.1.33.1.6.3.16");
    let battery = one(&agent);
    println!("on battery: {battery:?}");
    assert_eq!((battery.is.as_str(), &battery.values["status"]), ("warn", &"OB ALARM".into()), "{battery:?}");
    assert!(battery.evidence.starts_with("on battery for "), "{battery:?}");
    assert!(battery.evidence.contains("it raises an alarm a fan has failed"), "{battery:?}");
    card.set(".1.3.6.1.2.1.33.1.2.1.0", "integer 3");
    wait_for("a low battery is confirmed", Duration::from_secs(30), || is(&agent, "failed"));

    card.stop();
    let silent = one(&agent);
    println!("silent: {silent:?}");
    assert_eq!((silent.is.as_str(), silent.reason.as_deref()), ("unknown", Some("stale")), "{silent:?}");
    assert!(silent.evidence.contains("an agent answers a wrong community with silence"), "{silent:?}");
    wait_for("a silent card is unknown", Duration::from_secs(60), || is(&agent, "unknown"));
    card.set(OUTPUT_SOURCE, "integer 3");
    card.set(".1.3.6.1.2.1.33.1.2.1.0", "integer 2");
    card.set(".1.3.6.1.2.1.33.1.6.1.0", "gauge 0");
    card.begin();
    wait_for("it is back", Duration::from_secs(60), || is(&agent, "ok"));
    agent.program().stop();
    let lines = program::run(&mut agent.command(&["status", "--sends"])).1;
    assert!(lines.contains("with the community public, the supply's tables"), "{lines}");
}

#[test]
fn a_port_of_a_switch_that_gives_no_power_is_blamed_in_a_sentence() {
    let switch = Snmpd::start(SWITCH, "");
    let check = |port: &str, name: &str| {
        format!(
            "kind = \"snmp\", name = \"{name}\", target = \"127.0.0.1\", udp_port = {}, port = \"{port}\"",
            switch.port
        )
    };
    let checks = [
        check("Gi0/7", "by-name"),
        check("GigabitEthernet0/7", "by-words"),
        check("10107", "by-index"),
        check("9", "none"),
    ];
    let (_collector, mut agent) = site(&checks, &format!("loopback_ports = [{}]\n", switch.port));
    let seen = look(&mut check_now(&agent));
    let of =
        |seen: &[Seen], name: &str| -> usize { seen.iter().position(|seen| seen.name == name).expect("the check") };
    for name in ["by-name", "by-words", "by-index"] {
        let up = &seen[of(&seen, name)];
        println!("{up:?}");
        assert_eq!((up.is.as_str(), &up.values["speed_mbps"]), ("ok", &100.0.into()), "{up:?}");
        assert_eq!((&up.values["poe"], &up.values["poe_port"]), (&"delivering".into(), &"1.7".into()), "{up:?}");
        assert!(
            up.evidence.contains("of the switch (camera at the north gate) is up at 100 Mbit/s and gives power"),
            "{up:?}"
        );
    }
    let none = &seen[of(&seen, "none")];
    assert_eq!(none.reason.as_deref(), Some("cannot-probe"), "{none:?}");
    assert!(none.evidence.ends_with("has no port 9; it has Gi0/7, Gi0/52"), "{none:?}");

    agent.run();
    let state = |name: &str| -> Option<String> {
        let status = agent.status()?;
        let checks = status["checks"].as_array()?;
        let check = checks.iter().find(|check| check["check"].as_str().is_some_and(|check| check.ends_with(name)))?;
        check["state"].as_str().map(str::to_owned)
    };
    wait_for("the port is watched", Duration::from_secs(60), || (state("by-name")? == "ok").then_some(()));
    switch.set(OPER, "integer 2");
    switch.set(LAST_CHANGE, "timeticks 4200");
    switch.set(POE, "integer 4");
    let seen = look(&mut check_now(&agent));
    let fault = &seen[of(&seen, "by-name")];
    println!("{fault:?}");
    assert_eq!(fault.is, "bad", "{fault:?}");
    let words = "port Gi0/7 of the switch (camera at the north gate) gives no power: the switch reports a PoE fault";
    assert!(fault.evidence.starts_with(words), "{fault:?}");
    agent.program().stop();
}

fn prober(port: u16) -> Prober {
    let allow = AllowList::parse(&format!("loopback_ports = [{port}]"), Path::new("allow.toml")).expect("rules");
    let prober = Prober::new(allow, vec![]);
    let mut secrets = Secrets::default();
    for (name, value) in [
        ("right", "upheld"),
        ("wrong", "not-this-one"),
        ("auth", "authpass123"),
        ("privacy", "privpass123"),
        ("other", "otherpass123"),
    ] {
        secrets.insert(name.parse().expect("a name"), Secret::new(value.to_owned()));
    }
    prober.secrets_are(secrets);
    prober
}

fn supply(port: u16, login: &str) -> CheckSpec {
    let probe = format!(r#"{{"kind":"ups.snmp","target":"127.0.0.1","udp_port":{port},"login":{login}}}"#);
    let probe: ProbeSpec = serde_json::from_str(&probe).expect("a probe");
    CheckSpec::with_defaults("ups-1/ups".parse().expect("a name"), probe)
}

fn community(secret: &str) -> String {
    format!(r#"{{"version":"2c","community_secret":"{secret}"}}"#)
}

fn user(user: &str, auth: &str, privacy: &str) -> String {
    let words = format!(r#""auth":"sha","auth_secret":"{auth}","privacy":"aes","privacy_secret":"{privacy}""#);
    format!(r#"{{"version":"3","user":"{user}",{words}}}"#)
}

fn run(prober: &Prober, check: &CheckSpec) -> ProbeResult {
    runtime().block_on(prober.run(check))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn evidence(result: &ProbeResult) -> &str {
    result.evidence.as_ref().map_or("", |text| text.as_str())
}

#[test]
fn what_is_shown_to_a_card_is_taken_or_said_to_be_wrong_and_never_told() {
    let card = Snmpd::start(UPS, "");
    for (login, expected, words) in [
        (community("right"), None, "on mains"),
        (user("upheldv3", "auth", "privacy"), None, "on mains"),
        (community("wrong"), Some(UnknownReason::Stale), "or the community in the secret wrong is wrong"),
        (user("upheldv3", "other", "privacy"), Some(UnknownReason::Credentials), "the password (auth_secret)"),
        (user("nobody", "auth", "privacy"), Some(UnknownReason::Credentials), "knows no user nobody"),
        (user("upheldv3", "auth", "other"), Some(UnknownReason::Credentials), "the password (privacy_secret)"),
        (user("upheldv3", "missing", "privacy"), Some(UnknownReason::SecretMissing), "upheld-agent secret set missing"),
    ] {
        let result = run(&prober(card.port), &supply(card.port, &login));
        println!("{login}: {:?} {}", result.outcome, evidence(&result));
        assert_eq!(result.outcome, expected.map_or(Outcome::Ok, Outcome::unknown), "{login}: {result:?}");
        assert!(evidence(&result).contains(words), "{login}: {result:?}");
        let told = format!("{result:?}");
        for secret in ["not-this-one", "authpass123", "privpass123", "otherpass123"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

#[test]
fn a_card_that_was_replaced_or_started_again_is_heard_again_with_the_same_keys() {
    let card = Snmpd::start(UPS, "");
    let (prober, check) = (prober(card.port), supply(card.port, &user("upheldv3", "auth", "privacy")));
    let runtime = runtime();
    let look = || runtime.block_on(prober.run(&check));
    assert_eq!(look().outcome, Outcome::Ok);
    card.stop();
    assert_eq!(look().outcome, Outcome::unknown(UnknownReason::Stale));
    card.begin();
    wait_for("it is heard again", Duration::from_secs(60), || (look().outcome == Outcome::Ok).then_some(()));
}

#[test]
fn apcs_card_is_read_by_its_own_tables_and_a_self_test_is_no_dip() {
    let card = Snmpd::start(POWERNET, APC);
    let (prober, check) = (prober(card.port), supply(card.port, &community("right")));
    let runtime = runtime();
    let look = || runtime.block_on(prober.run(&check));
    let mains = look();
    println!("{mains:?}");
    assert_eq!((&mains.outcome, &mains.values["model"]), (&Outcome::Ok, &"Smart-UPS 1500".into()), "{mains:?}");
    assert_eq!(mains.values["input_voltage_min"], 188.0.into());
    let status = ".1.3.6.1.4.1.318.1.1.1.4.1.1.0";
    let cause = ".1.3.6.1.4.1.318.1.1.1.3.2.5.0";
    for (state, why, transfers) in [(3, 9, 0), (2, 9, 0), (3, 4, 1), (2, 4, 1)] {
        card.set(status, &format!("integer {state}"));
        card.set(cause, &format!("integer {why}"));
        let seen = look();
        assert_eq!(seen.counters["transfers"].1, transfers, "{state} {why}: {seen:?}");
    }
    let last = look();
    assert_eq!(last.values["transfer_reason"], "blackout".into(), "{last:?}");
    let other = Snmpd::start("", "");
    let none = run(&self::prober(other.port), &supply(other.port, &community("right")));
    assert_eq!(none.outcome, Outcome::unknown(UnknownReason::CannotProbe), "{none:?}");
    assert!(evidence(&none).contains("tells of no supply by UPS-MIB (RFC 1628)"), "{none:?}");
}
