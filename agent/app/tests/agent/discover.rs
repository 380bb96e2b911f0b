//! `discover --propose` and collectors that do not take what it sends.

use crate::{Host, collector::Collector};

const PROPOSE: [&str; 4] = ["discover", "--propose", "--network", "127.0.0.1/32"];

#[test]
fn a_collector_that_is_older_takes_no_proposals_and_that_is_said() {
    let collector = Collector::start();
    let host = Host::enrolled(&collector);
    let ended = host.agent(&PROPOSE);
    assert_eq!(ended.code, Some(69), "{}", ended.err);
    assert!(
        ended.err.contains("older than this agent") && ended.err.contains("discover > proposal.toml"),
        "{}",
        ended.err
    );
    assert!(collector.state().requests.iter().any(|path| path == "/v1/proposals"));
    assert_eq!(
        host.agent(&["discover", "--network", "127.0.0.1/32"]).code,
        Some(0),
        "without a collector it looks all the same"
    );
}

#[test]
fn a_host_that_is_not_enrolled_has_nobody_to_propose_to() {
    let ended = Host::new().agent(&PROPOSE);
    assert_eq!(ended.code, Some(10), "{}", ended.err);
    assert!(ended.err.contains("upheld-agent enroll"), "{}", ended.err);
}
