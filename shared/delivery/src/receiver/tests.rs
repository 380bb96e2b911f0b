//! Every way in which a request can mean something else than "take this".

use std::convert::Infallible;

use serde_json::value::RawValue;
use upheld_evidence::{SigningKey, sign_chain};
use upheld_model::{BootId, Mono, ObservedAt};
use upheld_wire::v1::{
    ClockReading, Now,
    record::{chain, content_hash},
};

use super::*;

const E1: Epoch = Epoch(0xe1);
const E2: Epoch = Epoch(0xe2);

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32]).unwrap()
}

/// Records `from..to` of an epoch whose contents are told apart by `flavour`.
fn records(epoch: Epoch, from: u64, to: u64, flavour: u8) -> Vec<Record> {
    let mut tip = root(epoch, None);
    let mut all = Vec::new();
    for seq in 0..to {
        let (record_id, salt) = (RecordId([seq as u8 + 10 * flavour; 16]), RecordId([1; 16]));
        let body = RawValue::from_string("{}".to_owned()).unwrap();
        let content = content_hash(&salt, body.get());
        tip = chain(&tip, &record_id, &content);
        let (previous, sig, omitted) = (None, Some(sign_chain(&key(), &tip).to_string()), None);
        let seq = Seq(seq);
        all.push(Record {
            epoch,
            seq,
            record_id,
            content_hash: content,
            chain: tip,
            previous,
            sig,
            salt,
            omitted,
            body,
        });
    }
    all.split_off(usize::try_from(from).unwrap())
}

fn request(records: Vec<Record>, heads: Vec<Head>) -> DeliverRequest {
    let at = ObservedAt("2026-11-16T16:10:07Z".parse().unwrap());
    DeliverRequest {
        protocol: PROTOCOL,
        heads,
        clock: ClockReading { wall: at, mono: Mono(1), boot: "b".parse::<BootId>().unwrap() },
        seen_checkpoint: None,
        now: Now::default(),
        batch_digest: batch_digest(&records),
        clock_of_records: None,
        records,
    }
}

fn head(records: &[Record]) -> Head {
    let last = records.last().unwrap();
    Head { epoch: last.epoch, len: last.seq.0 + 1, chain: last.chain }
}

/// What is held, and the records of flavour 0 of `E1` that it rests on.
struct Collector(Held, Vec<Record>);

impl Records for Collector {
    type Error = Infallible;

    fn is_known(&mut self, id: &RecordId, content: &Digest) -> Result<bool, Infallible> {
        Ok(self.1.iter().any(|record| (record.record_id, record.content_hash) == (*id, *content)))
    }

    fn chain_after(&mut self, epoch: Epoch, len: u64) -> Result<Option<Digest>, Infallible> {
        let last = self.1.iter().find(|record| record.epoch == epoch && record.seq.0 + 1 == len);
        Ok(last.map(|record| record.chain))
    }
}

/// A collector that holds `len` records of flavour 0 of `E1`.
fn holding(len: u64) -> Collector {
    let all = records(E1, 0, len, 0);
    let held = Held {
        heads: BTreeMap::from([(E1, head(&all))]),
        newest: Some(E1),
        recent_forks: BTreeSet::new(),
        signing_key: Some(key().public()),
    };
    Collector(held, all)
}

fn verdict(held: &Collector, request: &DeliverRequest) -> Verdict {
    let Collector(held, all) = held;
    let Ok(verdict) = judge(held, request, &mut Collector(Held::default(), all.clone()));
    verdict
}

fn accepted(verdict: Verdict) -> Accepted {
    let Verdict::Accept(accepted) = verdict else { panic!("{verdict:?}") };
    accepted
}

fn fork_of(verdict: Verdict) -> ForkReason {
    let Verdict::Fork(fork) = verdict else { panic!("{verdict:?}") };
    fork.reason
}

fn malformed(verdict: Verdict) -> Malformed {
    let Verdict::Malformed(what) = verdict else { panic!("{verdict:?}") };
    what
}

fn indexes(accepted: &Accepted) -> Vec<usize> {
    accepted.fresh.iter().map(|fresh| fresh.index).collect()
}

#[test]
fn new_records_are_taken_and_repeated_ones_only_advance_nothing() {
    let held = holding(3);
    let taken = accepted(verdict(&held, &request(records(E1, 3, 5, 0), vec![])));
    assert_eq!((taken.head, indexes(&taken)), (head(&records(E1, 0, 5, 0)), vec![0, 1]));
    let overlapping = accepted(verdict(&held, &request(records(E1, 1, 5, 0), vec![])));
    assert_eq!((overlapping.head.len, indexes(&overlapping)), (5, vec![2, 3]));
    for inside in [records(E1, 0, 3, 0), records(E1, 0, 2, 0), records(E1, 1, 2, 0)] {
        let repeated = accepted(verdict(&held, &request(inside, vec![])));
        assert_eq!((repeated.head.len, indexes(&repeated), repeated.begins), (3, vec![], None));
    }
}

#[test]
fn a_new_epoch_begins_at_its_first_record_and_re_tagged_records_are_recognised() {
    let held = holding(3);
    let mut again = records(E2, 0, 4, 0);
    let fresh = accepted(verdict(&held, &request(again.clone(), vec![])));
    assert_eq!((indexes(&fresh), fresh.begins), (vec![3], Some(Begins { previous: None })));
    again.remove(0);
    assert!(matches!(verdict(&held, &request(again, vec![])), Verdict::Behind { .. }), "its beginning is missing");
}

#[test]
fn more_than_is_held_is_behind_before_anything_else() {
    let held = holding(3);
    let beyond = head(&records(E1, 0, 4, 0));
    let unknown = Head { epoch: E2, ..beyond };
    for heads in
        [vec![beyond], vec![unknown], vec![Head { chain: Digest([1; 32]), ..head(&records(E1, 0, 3, 0)) }, beyond]]
    {
        let behind = verdict(&held, &request(vec![], heads));
        assert_eq!(behind, Verdict::Behind { heads: held.0.heads.values().copied().collect() });
    }
    assert!(matches!(verdict(&held, &request(records(E1, 4, 5, 0), vec![])), Verdict::Behind { .. }));
}

#[test]
fn every_other_history_is_a_fork_and_says_how_it_shows() {
    let held = holding(3);
    let other_head = Head { chain: Digest([1; 32]), ..head(&records(E1, 0, 3, 0)) };
    assert_eq!(fork_of(verdict(&held, &request(vec![], vec![other_head]))), ForkReason::AnotherChain);
    assert_eq!(fork_of(verdict(&held, &request(records(E1, 0, 2, 5), vec![]))), ForkReason::AnotherRecord(Seq(0)));
    assert_eq!(fork_of(verdict(&held, &request(records(E1, 1, 4, 5), vec![]))), ForkReason::AnotherRecord(Seq(2)));
    assert_eq!(fork_of(verdict(&held, &request(records(E1, 3, 4, 5), vec![]))), ForkReason::BrokenChain(Seq(3)));
    let mut changed = records(E1, 3, 5, 0);
    changed[0].body = RawValue::from_string("{ }".to_owned()).unwrap();
    assert_eq!(fork_of(verdict(&held, &request(changed, vec![]))), ForkReason::BrokenChain(Seq(3)));
    let mut moved_on = holding(3);
    moved_on.0.heads.insert(E2, Head { epoch: E2, len: 1, chain: Digest([2; 32]) });
    moved_on.0.newest = Some(E2);
    assert_eq!(fork_of(verdict(&moved_on, &request(records(E1, 3, 4, 0), vec![]))), ForkReason::OldEpochGrows);
    let repeated = accepted(verdict(&moved_on, &request(records(E1, 1, 3, 0), vec![])));
    assert_eq!(indexes(&repeated), Vec::<usize>::new(), "an old epoch may be repeated");
}

#[test]
fn five_distinct_forks_are_a_clone_and_a_repeated_one_counts_once() {
    let mut held = holding(3);
    let forked = request(records(E1, 3, 4, 5), vec![]);
    for _ in 0..9 {
        let Verdict::Fork(fork) = verdict(&held, &forked) else { panic!("a repetition counts once") };
        held.0.recent_forks.insert(fork.id);
    }
    for number in 0..3 {
        held.0.recent_forks.insert(Digest([number; 32]));
    }
    assert!(matches!(verdict(&held, &forked), Verdict::Fork(_)));
    held.0.recent_forks.insert(Digest([9; 32]));
    assert!(matches!(verdict(&held, &forked), Verdict::Clone(_)));
}

#[test]
fn a_poison_record_is_refused_by_name_and_the_rest_advance() {
    let mut held = holding(1);
    held.0.heads.clear();
    held.1.clear();
    let mut all = records(E1, 0, 1, 0);
    let body = RawValue::from_string(r#"{"samples":[{"check":"no slash"}]}"#.to_owned()).unwrap();
    let (record_id, salt) = (RecordId([99; 16]), RecordId([1; 16]));
    let content = content_hash(&salt, body.get());
    let tip = chain(&all[0].chain, &record_id, &content);
    let sig = Some(sign_chain(&key(), &tip).to_string());
    all.push(Record {
        epoch: E1,
        seq: Seq(1),
        record_id,
        content_hash: content,
        chain: tip,
        previous: None,
        sig,
        salt,
        omitted: None,
        body,
    });
    let taken = accepted(verdict(&held, &request(all, vec![])));
    assert_eq!((taken.head.len, taken.refused.len(), taken.refused[0].seq), (2, 1, Seq(1)));
    assert!(matches!(taken.fresh[1].content, Content::Poison { .. }));
}

#[test]
fn a_record_without_its_body_still_holds_its_place() {
    let mut held = holding(3);
    held.1.clear();
    let mut thinned = records(E1, 3, 5, 0);
    thinned[0].omitted = Some(Omitted::Thinned);
    thinned[0].body = RawValue::from_string("null".to_owned()).unwrap();
    let taken = accepted(verdict(&held, &request(thinned, vec![])));
    assert_eq!(taken.fresh[0].content, Content::Omitted(Omitted::Thinned));
    assert_eq!(taken.head.len, 5);
}

#[test]
fn what_no_agent_of_ours_sends_is_named() {
    let held = holding(3);
    let good = || records(E1, 3, 6, 0);
    let mut gap = good();
    gap.remove(1);
    assert_eq!(malformed(verdict(&held, &request(gap, vec![]))), Malformed::NotContiguous(Seq(5)));
    let mut mixed = good();
    mixed[1].epoch = E2;
    assert_eq!(malformed(verdict(&held, &request(mixed, vec![]))), Malformed::NotContiguous(Seq(4)));
    let mut linked = good();
    linked[1].previous = Some(EpochLink { epoch: E2, len: 1, chain: Digest::ZERO });
    assert_eq!(malformed(verdict(&held, &request(linked, vec![]))), Malformed::MisplacedLink(Seq(4)));
    let digest = DeliverRequest { batch_digest: Digest::ZERO, ..request(good(), vec![]) };
    assert_eq!(malformed(verdict(&held, &digest)), Malformed::WrongDigest);
    assert_eq!(malformed(verdict(&held, &DeliverRequest { records: vec![], ..digest })), Malformed::WrongDigest);
    let version = DeliverRequest { protocol: 2, ..request(good(), vec![]) };
    assert_eq!(malformed(verdict(&held, &version)), Malformed::Protocol(2));
}

#[test]
fn the_last_record_must_be_signed_by_the_enrolled_key() {
    let held = holding(3);
    let with = |sig: Option<String>| {
        let mut all = records(E1, 3, 5, 0);
        all[1].sig = sig;
        verdict(&held, &request(all, vec![]))
    };
    let tip = records(E1, 4, 5, 0)[0].chain;
    let foreign = sign_chain(&SigningKey::from_seed(&[8; 32]).unwrap(), &tip).to_string();
    for bad in [None, Some("zz".to_owned()), Some(foreign)] {
        assert_eq!(malformed(with(bad)), Malformed::Signature(Seq(4)));
    }
    assert_eq!(accepted(with(Some(sign_chain(&key(), &tip).to_string()))).head.len, 5);
}

#[test]
fn more_records_or_heads_than_the_limits_are_too_large() {
    let held = holding(3);
    let one = records(E1, 3, 4, 0).remove(0);
    let many = DeliverRequest { records: vec![one; RECORDS_MAX + 1], ..request(vec![], vec![]) };
    assert!(matches!(verdict(&held, &many), Verdict::TooLarge { .. }));
    let heads = vec![head(&records(E1, 0, 3, 0)); HEADS_MAX + 1];
    assert!(matches!(verdict(&held, &request(vec![], heads)), Verdict::TooLarge { .. }));
}

#[test]
fn a_heartbeat_whose_claims_are_held_is_one() {
    let held = holding(3);
    for len in [1, 3] {
        let claim = head(&records(E1, 0, len, 0));
        assert_eq!(verdict(&held, &request(vec![], vec![claim])), Verdict::Heartbeat);
    }
}

#[test]
fn a_claim_inside_what_is_held_parts_where_the_chain_there_is_another() {
    let mut held = holding(3);
    let claim = Head { chain: Digest([1; 32]), ..head(&records(E1, 0, 2, 0)) };
    let Verdict::Fork(fork) = verdict(&held, &request(vec![], vec![claim])) else { panic!("it is held") };
    assert_eq!((fork.reason, fork.held), (ForkReason::AnotherChain, head(&records(E1, 0, 2, 0))));
    let more = Head { epoch: E2, ..claim };
    assert!(matches!(verdict(&held, &request(vec![], vec![claim, more])), Verdict::Behind { .. }), "that goes first");
    held.1.remove(1);
    assert_eq!(verdict(&held, &request(vec![], vec![claim])), Verdict::Heartbeat, "its record is forgotten");
}

#[test]
fn a_checkpoint_that_was_seen_has_the_form_of_one() {
    let held = Collector(Held { signing_key: Some(key().public()), ..Held::default() }, Vec::new());
    let saying = |text: &str| {
        verdict(&held, &DeliverRequest { seen_checkpoint: Some(text.to_owned()), ..request(vec![], vec![]) })
    };
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for good in [
        format!("log.example/upheld\n20852163\n{root}\n"),
        format!("log\n0\n{root}\n\n\u{2014} log Az3grlgtzPICa5OS\n"),
    ] {
        assert_eq!(saying(&good), Verdict::Heartbeat, "{good:?}");
    }
    let long = format!("log\n1\n{root}\n{}\n", "x".repeat(CHECKPOINT_BYTES_MAX));
    let bad = [
        "",
        "log",
        "log\n1\n",
        &format!("\n1\n{root}\n"),
        &format!("log\n01\n{root}\n"),
        &format!("log\n-1\n{root}\n"),
        &format!("log\n1\n{}\n", &root[1..]),
        &format!("log\n1\n{root}"),
        &format!("l\u{7}g\n1\n{root}\n"),
        &long,
    ];
    for bad in bad {
        assert_eq!(malformed(saying(bad)), Malformed::Checkpoint, "{bad:?}");
    }
}
