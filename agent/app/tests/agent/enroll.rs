//! Enrolment, and everything that can be wrong with it.

use std::fs;

use upheld_model::{CheckSpec, ProbeSpec};
use upheld_wire::v1::codes;

use crate::{Host, collector::Collector, mode};

#[test]
fn an_enrolled_host_has_private_keys_and_no_trace_of_the_token() {
    let collector = Collector::start();
    let probe = ProbeSpec::Host { disk_bad_percent: 95 };
    collector.state().config = vec![CheckSpec::with_defaults("nvr-02/host".parse().unwrap(), probe)];
    let (host, link) = (Host::new(), collector.link());
    let ended = host.agent(&["enroll", &link, "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let answer = ended.json();
    assert_eq!((answer["agent"].as_str(), answer["checks"].as_u64()), (Some("a-1"), Some(1)));

    assert_eq!(mode(&host.state()), 0o700);
    let token = link.split("/e/").nth(1).unwrap().split('#').next().unwrap();
    for name in ["identity.json", "tls.pem", "signing.key", "roots.pem", "config.json"] {
        let path = host.state().join(name);
        assert_eq!(mode(&path), 0o600, "{name}");
        assert!(!fs::read_to_string(path).unwrap().contains(token), "{name}");
    }
    assert!(!ended.out.contains(token) && !ended.err.contains(token));
    assert_eq!(collector.state().requests, ["/v1/enroll", "/v1/config"], "the data door was tried once");
}

#[test]
fn what_will_be_sent_is_said_to_the_person_who_enrolls() {
    let collector = Collector::start();
    let host = Host::new();
    let ended = host.agent(&["enroll", &collector.link()]);
    assert!(ended.out.contains("Northgate Foods, site Plant 2"), "{}", ended.out);
    assert!(ended.out.contains("No pictures, no sound"), "{}", ended.out);
    assert!(ended.err.contains("key SHA256:"), "{}", ended.err);
    let sends = host.agent(&["status", "--sends"]);
    assert!(sends.code == Some(0) && sends.out.contains("and to nobody else"), "{}", sends.out);
}

#[test]
fn a_link_that_a_shell_cut_is_refused_before_anything_is_sent() {
    let collector = Collector::start();
    let link = collector.link();
    let cut = link.split('#').next().unwrap();
    let ended = Host::new().agent(&["enroll", cut]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.err.contains("a shell may have cut it"), "{}", ended.err);
    assert!(collector.state().requests.is_empty());
    let exit_error = Host::new().agent(&["enroll", cut, "--json"]).exit_error();
    assert!(exit_error["what"].as_str().unwrap().contains("not an enrolment link"));
}

#[test]
fn a_closed_port_is_said_to_be_unreachable() {
    let link = Collector::start().link();
    let ended = Host::new().agent(&["enroll", &link]);
    assert_eq!(ended.code, Some(13));
    assert!(ended.err.contains("cannot reach the collector") && ended.err.contains("do:  "), "{}", ended.err);
}

#[test]
fn another_providers_server_never_sees_the_token() {
    let (mine, other) = (Collector::start(), Collector::start());
    let fragment = mine.link();
    let fragment = fragment.split('#').nth(1).unwrap();
    let link = format!("{}#{fragment}", other.link().split('#').next().unwrap());
    let ended = Host::new().agent(&["enroll", &link]);
    assert_eq!(ended.code, Some(13));
    assert!(ended.err.contains("the token was not sent"), "{}", ended.err);
    assert!(other.state().requests.is_empty());
}

#[test]
fn a_token_that_is_used_expired_or_unknown_is_refused_with_its_reason() {
    let collector = Collector::start();
    let link = collector.link();
    assert_eq!(Host::new().agent(&["enroll", &link]).code, Some(0));
    let used = Host::new().agent(&["enroll", &link]);
    assert_eq!(used.code, Some(12));
    assert!(used.err.contains("a link is for one host"), "{}", used.err);
    for (code, advice) in [(codes::TOKEN_EXPIRED, "use it in time"), (codes::TOKEN_UNKNOWN, "copy the whole link")] {
        collector.state().token_refusal = Some(code);
        let ended = Host::new().agent(&["enroll", &link]);
        assert_eq!(ended.code, Some(12));
        assert!(ended.err.contains(advice), "{}", ended.err);
    }
}

#[test]
fn a_second_enrolment_needs_to_be_meant() {
    let collector = Collector::start();
    let host = Host::enrolled(&collector);
    let key = fs::read(host.state().join("signing.key")).unwrap();
    let refused = host.agent(&["enroll", &collector.link()]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("already enrolled, as a-1") && refused.err.contains("--replace"), "{}", refused.err);
    assert_eq!(fs::read(host.state().join("signing.key")).unwrap(), key);

    let meant = host.agent(&["enroll", &collector.link(), "--replace", "--json"]);
    assert_eq!(meant.code, Some(0), "{}", meant.err);
    let aside = meant.json()["set_aside"].as_str().unwrap().to_owned();
    assert_eq!(fs::read(format!("{aside}/signing.key")).unwrap(), key);
    assert_ne!(fs::read(host.state().join("signing.key")).unwrap(), key);
}

#[test]
fn a_data_door_that_does_not_answer_is_half_an_enrolment() {
    let collector = Collector::start();
    collector.state().data_refusal = Some((503, codes::UNAVAILABLE));
    let host = Host::new();
    let ended = host.agent(&["enroll", &collector.link()]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.err.contains("enrolled, but the data door"), "{}", ended.err);
    assert!(host.state().join("identity.json").exists());
}

#[test]
fn an_unknown_key_in_a_file_of_this_host_is_refused_by_name() {
    let collector = Collector::start();
    let host = Host::new();
    fs::write(host.path("allow.toml"), "loopback_port = [1]\n").unwrap();
    let ended = host.agent(&["enroll", &collector.link()]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.err.contains("allow.toml") && ended.err.contains("loopback_ports"), "{}", ended.err);

    let host = Host::new();
    let settings = host.path("agent.toml");
    fs::write(&settings, "proxi = \"http://p\"\n").unwrap();
    let ended = host.agent(&["enroll", &collector.link(), "--config", settings.to_str().unwrap()]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.err.contains("agent.toml") && ended.err.contains("proxy"), "{}", ended.err);
    assert!(collector.state().requests.is_empty());
}

#[test]
fn a_state_folder_that_cannot_be_used_is_named() {
    let collector = Collector::start();
    let host = Host::new();
    fs::write(host.state(), "a file stands here").unwrap();
    let ended = host.agent(&["enroll", &collector.link()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains(host.state().to_str().unwrap()), "{}", ended.err);
    assert!(collector.state().requests.is_empty());
}

#[test]
fn a_host_that_is_not_enrolled_is_told_so_by_every_verb() {
    for arguments in [&["run"][..], &["status"], &["check", "now"], &["status", "--sends"]] {
        let ended = Host::new().agent(arguments);
        assert_eq!(ended.code, Some(10), "{arguments:?}");
        assert!(ended.err.contains("upheld-agent enroll '<link>'"), "{}", ended.err);
    }
}

#[test]
fn what_is_not_a_verb_is_a_usage_error() {
    let usage = Host::new().agent(&["launch", "--json"]);
    assert_eq!(usage.code, Some(2));
    assert!(usage.exit_error()["what"].as_str().unwrap().contains("launch"));
}
