//! The collector's side: the real `judge`, and a store that is as atomic as a transaction.

use std::collections::{BTreeMap, BTreeSet};

use upheld_delivery::receiver::{Content, FORK_WINDOW, Held, Verdict, judge};
use upheld_evidence::PublicKey;
use upheld_model::{AgentEvent, Digest, Epoch, RecordId};
use upheld_wire::v1::{
    DeliverRequest, Delivered, Head, Record, codes,
    record::{chain, root},
};

use crate::world::Broken;

/// What the collector says.
#[derive(Clone)]
pub(crate) enum Reply {
    Delivered(Delivered),
    Conflict(upheld_wire::v1::Conflict),
    Refused(u16, String),
}

/// Everything that a snapshot holds and a rollback takes back.
#[derive(Clone, Default)]
pub(crate) struct Collector {
    heads: BTreeMap<Epoch, Head>,
    newest: Option<Epoch>,
    forks: Vec<(u64, Digest)>,
    pub(crate) is_quarantined: bool,
    /// Number of the fact → how often it was inserted, and when first.
    pub(crate) facts: BTreeMap<u64, (u32, u64)>,
    known: BTreeSet<(RecordId, Digest)>,
    /// What each epoch's chain was made of.
    history: BTreeMap<Epoch, Vec<Record>>,
    pub(crate) problems: Vec<String>,
}

impl Collector {
    /// One request in one transaction.
    pub(crate) fn deliver(&mut self, request: &DeliverRequest, key: PublicKey, now_ms: u64, broken: Broken) -> Reply {
        if self.is_quarantined {
            return Reply::Refused(423, codes::QUARANTINED.to_owned());
        }
        self.forks.retain(|(at, _)| u128::from(now_ms - at) < FORK_WINDOW.as_millis());
        let held = Held {
            heads: self.heads.clone(),
            newest: self.newest,
            recent_forks: self.forks.iter().map(|(_, id)| *id).collect(),
            signing_key: Some(key),
        };
        let known = &self.known;
        let verdict = judge(&held, request, |id, content| {
            Ok::<bool, ()>(broken != Broken::DedupBySequence && known.contains(&(*id, *content)))
        });
        match verdict.unwrap() {
            Verdict::Heartbeat => Reply::Delivered(answer(request, None)),
            Verdict::Accept(accepted) => {
                for fresh in &accepted.fresh {
                    self.insert(&request.records[fresh.index], &fresh.content, now_ms);
                }
                self.extend_history(&request.records);
                self.heads.insert(accepted.head.epoch, accepted.head);
                if accepted.begins.is_some() {
                    self.newest = Some(accepted.head.epoch);
                }
                Reply::Delivered(answer(request, Some(accepted.head)))
            }
            Verdict::Fork(_) if broken == Broken::NoForkCheck => self.take_anything(request, now_ms),
            Verdict::Fork(ref fork) => {
                self.forks.push((now_ms, fork.id));
                Reply::Conflict(verdict_conflict(&Verdict::Fork(fork.clone())))
            }
            Verdict::Clone(_) if broken == Broken::NoForkCheck => self.take_anything(request, now_ms),
            Verdict::Clone(fork) => {
                self.forks.push((now_ms, fork.id));
                self.is_quarantined = true;
                Reply::Refused(423, codes::QUARANTINED.to_owned())
            }
            Verdict::Behind { heads } => Reply::Conflict(verdict_conflict(&Verdict::Behind { heads })),
            Verdict::Malformed(what) => {
                self.problems.push(format!("malformed: {what}"));
                Reply::Refused(400, codes::MALFORMED.to_owned())
            }
            Verdict::TooLarge { limit } => {
                self.problems.push(format!("too large: {limit}"));
                Reply::Refused(413, codes::TOO_LARGE.to_owned())
            }
        }
    }

    /// A person said which of two hosts is the real one.
    pub(crate) fn release(&mut self) {
        self.is_quarantined = false;
        self.forks.clear();
    }

    /// I3: every epoch's records are one whole chain from its root to the held head.
    pub(crate) fn check_chains(&self) -> Result<(), String> {
        for (epoch, records) in &self.history {
            let first = records.first().ok_or("an empty epoch")?;
            let mut tip = root(*epoch, first.previous.as_ref());
            for (place, record) in records.iter().enumerate() {
                tip = chain(&tip, &record.record_id, &record.content_hash);
                if record.seq.0 != place as u64 || record.chain != tip {
                    return Err(format!("epoch {epoch}: the chain breaks at {place}"));
                }
            }
            let head = self.heads.get(epoch).ok_or("history without a head")?;
            if (head.len, head.chain) != (records.len() as u64, tip) {
                return Err(format!("epoch {epoch}: {} records, head {head:?}", records.len()));
            }
        }
        Ok(())
    }

    /// What is held of an epoch.
    pub(crate) fn head(&self, epoch: Epoch) -> Option<Head> {
        self.heads.get(&epoch).copied()
    }

    fn insert(&mut self, record: &Record, content: &Content, now_ms: u64) {
        self.known.insert((record.record_id, record.content_hash));
        match content {
            Content::Body(body) => {
                let from_samples = body.samples.iter().map(|sample| sample.took_us);
                let from_events = body.events.iter().filter_map(|event| {
                    let AgentEvent::Configured { version, .. } = event else { return None };
                    Some(*version)
                });
                for number in from_samples.chain(from_events) {
                    self.facts.entry(number).or_insert((0, now_ms)).0 += 1;
                }
            }
            Content::Omitted(what) => self.problems.push(format!("omitted: {what:?}")),
            Content::Poison { reason } => self.problems.push(format!("poison: {reason}")),
        }
    }

    fn extend_history(&mut self, records: &[Record]) {
        for record in records {
            let history = self.history.entry(record.epoch).or_default();
            if record.seq.0 == history.len() as u64 {
                history.push(record.clone());
            }
        }
    }

    /// What a receiver without a fork check does: the place in the epoch is all it looks at.
    fn take_anything(&mut self, request: &DeliverRequest, now_ms: u64) -> Reply {
        let mut head = None;
        for record in &request.records {
            let len = self.heads.get(&record.epoch).map_or(0, |head| head.len);
            if record.seq.0 >= len {
                if let Ok(body) = serde_json::from_str(record.body.get()) {
                    self.insert(record, &Content::Body(body), now_ms);
                }
                self.heads
                    .insert(record.epoch, Head { epoch: record.epoch, len: record.seq.0 + 1, chain: record.chain });
            }
            head = self.heads.get(&record.epoch).copied();
        }
        Reply::Delivered(answer(request, head))
    }
}

fn verdict_conflict(verdict: &Verdict) -> upheld_wire::v1::Conflict {
    verdict.conflict().unwrap()
}

fn answer(request: &DeliverRequest, head: Option<Head>) -> Delivered {
    Delivered {
        batch_digest: request.batch_digest,
        head,
        refused: Vec::new(),
        receipt: None,
        renew: false,
        secrets: None,
        config_version: 0,
        collector_time: request.clock.wall.0,
    }
}
