//! Version 1, frozen: what was once sent must be read for ever, and say the same when it is written again.
//!
//! A file here is never changed. A field that is added later has a default and gets a new file beside the old one.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use upheld_model::{AgentEvent, CheckSpec, ProbeSpec, check::validate_all};
use upheld_wire::v1::{
    AgentConfig, Body, Conflict, DeliverRequest, Delivered, EpochLink, Problem, Record,
    drill::DrillReport,
    enroll::{EnrollAnswer, EnrollRequest, RenewAnswer, RenewRequest},
    present::name,
    proposals::{AnyAsset, ProposalAnswer, ProposalRequest},
    record::{batch_digest, root},
    secrets::{SecretsAnswer, SecretsRequest},
};

/// Reads the text, checks that writing says the same, and that a field from the future does no harm.
fn reads<T: DeserializeOwned + Serialize>(text: &str) -> T {
    let value: Value = serde_json::from_str(text).unwrap();
    let read: T = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), value);
    let mut newer = value;
    newer["a_field_of_a_later_version"] = Value::from(7);
    serde_json::from_value::<T>(newer).unwrap();
    read
}

#[test]
fn a_delivery_reads_and_its_digests_still_follow() {
    let request: DeliverRequest = reads(include_str!("golden/deliver-request.json"));
    assert_eq!(request.batch_digest, batch_digest(&request.records));
    let first = &request.records[0];
    let mut before = root(first.epoch, first.previous.as_ref());
    for record in &request.records {
        assert!(record.follows(&before), "{}", record.seq);
        before = record.chain;
    }
    let link: EpochLink = first.previous.unwrap();
    assert_eq!(link.len, 3);
    assert_ne!(root(first.epoch, None), root(first.epoch, Some(&link)), "the link is bound");
}

#[test]
fn a_clock_that_was_set_since_the_records_reads_and_an_older_agent_says_nothing_of_it() {
    let request: DeliverRequest = reads(include_str!("golden/deliver-request-clock-set.json"));
    assert_eq!(request.set_since(), request.clock.wall.0.duration_since(request.clock_of_records.unwrap().0));
    assert_ne!(request.set_since(), jiff::SignedDuration::ZERO);
    let before: DeliverRequest = reads(include_str!("golden/deliver-request.json"));
    assert_eq!((before.clock_of_records, before.set_since()), (None, jiff::SignedDuration::ZERO));
}

#[test]
fn a_heartbeat_reads() {
    let request: DeliverRequest = reads(include_str!("golden/deliver-heartbeat.json"));
    assert_eq!(request.batch_digest, batch_digest(&[]));
}

#[test]
fn answers_read() {
    reads::<Delivered>(include_str!("golden/delivered.json"));
    let behind: Conflict = reads(include_str!("golden/conflict-behind.json"));
    assert!(matches!(behind, Conflict::Behind { .. }));
    let fork: Conflict = reads(include_str!("golden/conflict-fork.json"));
    assert!(matches!(fork, Conflict::Fork { .. }));
    reads::<Problem>(include_str!("golden/problem.json"));
}

#[test]
fn enrolment_and_renewal_read() {
    reads::<EnrollRequest>(include_str!("golden/enroll-request.json"));
    reads::<EnrollAnswer>(include_str!("golden/enroll-answer.json"));
    reads::<RenewRequest>(include_str!("golden/renew-request.json"));
    reads::<RenewAnswer>(include_str!("golden/renew-answer.json"));
}

#[test]
fn a_configuration_reads() {
    let before: AgentConfig = reads(include_str!("golden/agent-config.json"));
    assert!(before.relations.is_empty());
    let config: AgentConfig = reads(include_str!("golden/agent-config-relations.json"));
    assert_eq!(config.relations.parents.len(), 2);
    assert!(config.relations.critical.contains(&"nvr-02".parse().unwrap()));
    let config: AgentConfig = reads(include_str!("golden/agent-config-jobs.json"));
    assert_eq!((config.jobs.len(), before.jobs.len()), (2, 0));
}

#[test]
fn sealed_secrets_read_and_an_older_collector_says_nothing_of_them() {
    let before: Delivered = reads(include_str!("golden/delivered.json"));
    assert_eq!(before.secrets, None);
    let delivered: Delivered = reads(include_str!("golden/delivered-secrets.json"));
    assert_eq!(delivered.secrets.unwrap().version, 3);
    reads::<SecretsRequest>(include_str!("golden/secrets-request.json"));
    let answer: SecretsAnswer = reads(include_str!("golden/secrets-answer.json"));
    assert_eq!(answer.boxes[0].name.as_str(), "nvr-web");
}

#[test]
fn a_present_that_is_named_reads_and_an_older_side_says_nothing_of_names() {
    let request: DeliverRequest = reads(include_str!("golden/deliver-heartbeat-unchanged.json"));
    assert_eq!(request.now.unchanged, name(&request.now.checks), "the name is made of the states, here of none");
    let before: DeliverRequest = reads(include_str!("golden/deliver-heartbeat.json"));
    assert_eq!(before.now.unchanged, None);
    let answer: Delivered = reads(include_str!("golden/delivered-present.json"));
    assert_eq!(answer.present, request.now.unchanged);
    let before: Delivered = reads(include_str!("golden/delivered.json"));
    assert_eq!(before.present, None);
}

#[test]
fn a_dictionary_is_named_and_a_hash_that_was_left_out_is_made_again() {
    let answer: Delivered = reads(include_str!("golden/delivered-dictionary.json"));
    assert_eq!(answer.dictionary, Some(40_001));
    let whole: DeliverRequest = reads(include_str!("golden/deliver-request.json"));
    let mut short = whole.clone();
    short.records.iter_mut().for_each(Record::shorten);
    let text = serde_json::to_string(&short).unwrap();
    let left_out = whole.records.len() - whole.records.iter().filter(|record| record.omitted.is_some()).count();
    assert_eq!(text.matches("content_hash").count(), whole.records.len() - left_out, "kept where no body is left");
    let mut read: DeliverRequest = reads(&text);
    read.records.iter_mut().for_each(Record::complete);
    assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&whole).unwrap());
}

#[test]
fn a_proposal_reads_and_what_only_a_later_version_can_read_is_left_out() {
    let request: ProposalRequest = reads(include_str!("golden/proposal-request.json"));
    let known = request.assets.iter().filter(|asset| matches!(asset, AnyAsset::Known(_))).count();
    assert_eq!((known, request.assets.len()), (2, 3));
    reads::<ProposalAnswer>(include_str!("golden/proposal-answer.json"));
}

#[test]
fn checks_of_the_network_read_and_one_of_a_later_version_stays_as_it_came() {
    let config: AgentConfig = reads(include_str!("golden/agent-config-network.json"));
    validate_all(&config.checks).unwrap();
    let is_later = |check: &CheckSpec| matches!(check.probe, ProbeSpec::Later(_));
    let later: Vec<&str> =
        config.checks.iter().filter(|check| is_later(check)).map(|check| check.probe.kind()).collect();
    assert_eq!(later, ["cam.hologram"]);
}

#[test]
fn a_drill_and_what_became_of_it_read() {
    let body: Body = reads(include_str!("golden/body-drill.json"));
    assert!(matches!(body.events[..], [AgentEvent::Drill { .. }]));
    let before: DrillReport = reads(include_str!("golden/drill-report-before.json"));
    assert_eq!(before.opened, None);
    let report: DrillReport = reads(include_str!("golden/drill-report.json"));
    assert_eq!(report.opened.unwrap().deliveries.len(), 3);
}

#[test]
fn what_a_job_told_reads_and_what_a_later_version_tells_is_refused_by_name() {
    let body: Body = reads(include_str!("golden/body-ran.json"));
    assert_eq!(body.events.len(), 2);
    let later = include_str!("golden/body-ran.json").replace("\"ran\"", "\"walked\"");
    let refused = serde_json::from_str::<Body>(&later).unwrap_err().to_string();
    assert!(refused.contains("walked"), "an older collector keeps such a record as a dead letter: {refused}");
}
