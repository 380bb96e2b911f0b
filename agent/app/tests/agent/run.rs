//! The running agent: it reports, survives, works alone, and ends when asked.

use std::{fs, net::TcpListener};

use upheld_model::{AgentEvent, CheckSpec, ProbeSpec};
use upheld_wire::v1::codes;

use crate::{
    Host,
    collector::{Collector, State},
};

fn tcp_check(port: u16) -> CheckSpec {
    let probe = ProbeSpec::NetTcp { target: "127.0.0.1".to_owned(), port };
    let check = CheckSpec::with_defaults("srv-1/net.tcp".parse().unwrap(), probe);
    CheckSpec { every_ms: 1_000, timeout_ms: 500, stale_after_ms: 5_000, ..check }
}

/// A service on loopback that a check may reach, and a host that allows it.
fn service_and_host(collector: &Collector) -> (TcpListener, Host) {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = service.local_addr().unwrap().port();
    collector.state().config = vec![tcp_check(port)];
    let host = Host::enrolled(collector);
    fs::write(host.path("allow.toml"), format!("loopback_ports = [{port}]\n")).unwrap();
    (service, host)
}

fn started(state: &State) -> Vec<bool> {
    let clean = |event: &AgentEvent| if let AgentEvent::Started { clean, .. } = event { Some(*clean) } else { None };
    state.events.iter().filter_map(clean).collect()
}

fn first_check_is(word: &'static str) -> impl Fn(&serde_json::Value) -> Option<()> {
    move |status| (status["checks"][0]["state"] == word).then_some(())
}

#[test]
fn reports_until_it_is_asked_to_stop_and_says_its_last_words() {
    let collector = Collector::start();
    let (_service, mut host) = service_and_host(&collector);
    host.run();
    collector.wait("samples arrive", |state| (state.samples.len() >= 2).then_some(()));
    host.wait_for_status("the check is ok", first_check_is("ok"));
    assert_eq!(host.end("-TERM"), Some(0));
    let state = collector.state();
    assert!(matches!(state.events.first(), Some(AgentEvent::Started { last_alive: None, .. })), "{:?}", state.events);
    assert!(matches!(state.events.last(), Some(AgentEvent::Stopping { .. })), "{:?}", state.events);
    assert!(!host.log().contains("ERROR"), "{}", host.log());
}

#[test]
fn a_killed_agent_comes_back_knows_it_and_doubles_nothing() {
    let collector = Collector::start();
    let (_service, mut host) = service_and_host(&collector);
    host.run();
    collector.wait("a sample arrives", |state| (!state.samples.is_empty()).then_some(()));
    host.end("-KILL");
    host.run();
    collector.wait("it starts again", |state| (started(state) == [false, false]).then_some(()));
    assert_eq!(host.end("-INT"), Some(0));
    host.run();
    collector.wait("it starts a third time", |state| (started(state) == [false, false, true]).then_some(()));
    host.end("-TERM");
    let state = collector.state();
    let mut seen: Vec<_> = state.samples.iter().map(|sample| (&sample.check, sample.at)).collect();
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "no sample is there twice");
}

#[test]
fn works_alone_after_a_restart_and_sends_everything_later() {
    let collector = Collector::start();
    let (_service, mut host) = service_and_host(&collector);
    collector.state().is_deaf = true;
    host.run();
    host.wait_for_status("the check is ok while nobody listens", first_check_is("ok"));
    let waiting = |status: &serde_json::Value| {
        (status["standing"]["is"] == "unreachable" && status["waiting"].as_u64() > Some(0)).then_some(())
    };
    host.wait_for_status("reports wait", waiting);
    assert_eq!(host.end("-TERM"), Some(0));
    collector.state().is_deaf = false;
    host.run();
    collector.wait("the first start arrives late", |state| (started(state) == [false, true]).then_some(()));
    host.wait_for_status("nothing waits", |status| (status["waiting"] == 0).then_some(()));
    host.end("-TERM");
}

#[test]
fn a_service_that_dies_is_a_finding_and_one_that_returns_ends_it() {
    let collector = Collector::start();
    let (service, mut host) = service_and_host(&collector);
    let port = service.local_addr().unwrap().port();
    host.run();
    host.wait_for_status("the check is ok", first_check_is("ok"));
    drop(service);
    let opened = |state: &State| {
        state.events.iter().any(|event| matches!(event, AgentEvent::FindingOpened { .. })).then_some(())
    };
    collector.wait("a finding opens", opened);
    let _service = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let closed = |state: &State| {
        state.events.iter().any(|event| matches!(event, AgentEvent::FindingClosed { .. })).then_some(())
    };
    collector.wait("the finding closes", closed);
    host.end("-TERM");
}

#[test]
fn a_revoked_agent_goes_on_observing_and_says_that_it_is_refused() {
    let collector = Collector::start();
    let (_service, mut host) = service_and_host(&collector);
    collector.state().data_refusal = Some((403, codes::REVOKED));
    host.run();
    let refused = |status: &serde_json::Value| {
        let is_refused = status["standing"]["is"] == "refused" && status["standing"]["code"] == codes::REVOKED;
        (is_refused && status["checks"][0]["state"] == "ok").then_some(())
    };
    host.wait_for_status("refused, and observing", refused);
    assert_eq!(host.end("-TERM"), Some(0));
}

#[test]
fn a_new_configuration_is_taken_a_later_kind_costs_only_itself_and_too_much_is_refused() {
    let collector = Collector::start();
    let (_service, mut host) = service_and_host(&collector);
    host.run();
    host.wait_for_status("the first is in use", |status| (status["config_version"] == 1).then_some(()));
    {
        let mut state = collector.state();
        // Whatever else fills the disk of this machine.
        let host_check = ProbeSpec::Host { disk_bad_percent: 100 };
        state.config.push(CheckSpec::with_defaults("srv-1/host".parse().unwrap(), host_check));
        state.config_version = 2;
    }
    host.wait_for_status("two checks", |status| {
        (status["config_version"] == 2 && status["checks"].as_array()?.len() == 2).then_some(())
    });
    // From a later collector: one check that this version does not know, beside the two that it does.
    let mut checks = serde_json::to_value(&collector.state().config).unwrap();
    let mut later = checks[1].clone();
    later["id"] = "srv-1/net.quic".into();
    later["probe"] = serde_json::json!({ "kind": "net.quic", "target": "10.0.0.1" });
    checks.as_array_mut().unwrap().push(later);
    give(&collector, 3, &checks);
    host.wait_for_status("the third is in use, without what is not known", |status| {
        let checks = status["checks"].as_array()?;
        let state = |name: &str| Some(&checks.iter().find(|check| check["check"] == name)?["state"]);
        let said = "too old for 1 of its checks: srv-1/net.quic (net.quic): update upheld-agent";
        (status["config_version"] == 3
            && state("srv-1/host")? == "ok"
            && state("srv-1/net.quic")? == "unknown"
            && status["ailments"][0] == said)
            .then_some(())
    });
    let seen = host.agent(&["check", "now", "net.quic"]).out;
    assert!(seen.contains("unknown (cannot probe)") && seen.contains("too old for net.quic: update it"), "{seen}");

    // What asks for too much is refused as a whole.
    checks[0]["every_ms"] = 1.into();
    give(&collector, 4, &checks);
    host.wait_for_status("the fourth is refused", |status| {
        let ailment = status["ailments"][0].as_str()?;
        (ailment.contains("refused") && ailment.contains("every_ms") && status["config_version"] == 3).then_some(())
    });
    host.end("-KILL");
    assert!(fs::read_to_string(host.state().join("config.json")).unwrap().contains("\"version\": 3"));
}

/// Has the collector give out these checks, whatever they are.
fn give(collector: &Collector, version: u64, checks: &serde_json::Value) {
    let mut state = collector.state();
    state.config_version = version;
    let body = serde_json::json!({ "version": version, "agent": "a-1", "heartbeat_ms": 1000, "checks": checks });
    state.config_body = Some(body.to_string());
}

#[test]
fn a_certificate_past_its_fifteenth_day_is_renewed_with_a_new_key() {
    let collector = Collector::start();
    collector.state().certificate_age_days = 20;
    let (_service, mut host) = service_and_host(&collector);
    let before = fs::read_to_string(host.state().join("tls.pem")).unwrap();
    host.run();
    let renewed = crate::wait("the file changes", || {
        let text = fs::read_to_string(host.state().join("tls.pem")).unwrap();
        (text != before).then_some(text)
    });
    let key = |pem: &str| pem.split("-----BEGIN CERTIFICATE").next().unwrap().to_owned();
    assert_ne!(key(&renewed), key(&before));
    assert_eq!(host.end("-TERM"), Some(0));
    host.run();
    collector.wait("the new one is believed", |state| (started(state).len() == 2).then_some(()));
    host.end("-TERM");
}

#[test]
fn a_second_agent_on_the_same_folder_is_told_who_has_it() {
    let collector = Collector::start();
    let (_service, mut host) = service_and_host(&collector);
    host.run();
    host.wait_for_status("it runs", |status| (status["is_running"] == true).then_some(()));
    let pid = host.running.as_ref().unwrap().id().to_string();
    let refused = host.agent(&["run"]);
    assert_eq!(refused.code, Some(11));
    assert!(refused.err.contains(&format!("process {pid}")), "{}", refused.err);
    assert_eq!(host.end("-TERM"), Some(0));
    let ended = host.agent(&["status", "--json"]);
    assert_eq!(ended.code, Some(1));
    let document: serde_json::Value = serde_json::from_str(ended.out.lines().next().unwrap()).unwrap();
    assert_eq!(document["is_running"], false);
    ended.exit_error();
}

#[test]
fn a_journal_from_a_newer_version_is_left_alone() {
    let collector = Collector::start();
    let (_service, mut host) = service_and_host(&collector);
    host.run();
    collector.wait("it has started", |state| (!started(state).is_empty()).then_some(()));
    host.end("-TERM");
    let segment = fs::read_dir(host.state().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| fs::read(path).unwrap().starts_with(b"UPHELDJ\n"))
        .unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    // The version and its complement stand after the magic word.
    bytes[8..12].copy_from_slice(&[99, 0, !99, !0]);
    fs::write(&segment, &bytes).unwrap();
    let refused = host.agent(&["run"]);
    assert_eq!(refused.code, Some(78), "{}", refused.err);
    assert!(refused.err.contains("format 99"), "{}", refused.err);
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}

#[test]
fn checks_can_be_run_by_hand_beside_a_running_agent() {
    let collector = Collector::start();
    let (service, mut host) = service_and_host(&collector);
    host.run();
    host.wait_for_status("it runs", |status| (status["is_running"] == true).then_some(()));
    let good = host.agent(&["check", "now", "srv-1", "--json"]);
    assert_eq!(good.code, Some(0), "{}", good.err);
    assert_eq!(good.json()["checks"][0]["outcome"]["is"], "ok");
    drop(service);
    let bad = host.agent(&["check", "now", "--exit-code"]);
    assert_eq!(bad.code, Some(4));
    assert!(bad.out.contains("srv-1/net.tcp") && bad.out.contains("bad"), "{}", bad.out);
    let unknown = host.agent(&["check", "now", "cameras"]);
    assert!(unknown.code == Some(1) && unknown.err.contains("srv-1/net.tcp"), "{}", unknown.err);
    host.end("-TERM");
}
