//! An agent of a few lines: it signs what it journals, believes what it is told is held, and sends the rest.
//!
//! Its disk never fails and its line is the run's; what can go wrong there is the other rooms'.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;
use upheld_desk::{AgentPeer, DeliverAnswer};
use upheld_evidence::{SigningKey, sign_chain};
use upheld_model::{
    AgentEvent, CheckId, Digest, Epoch, Finding, FindingEnd, Mono, ObservedAt, RecordId, Seq, finding::CheckState,
};
use upheld_wire::v1::{
    Body, CheckNow, ClockReading, Conflict, DeliverRequest, Head, Now, PROTOCOL, Record,
    record::{batch_digest, chain, content_hash, root},
};

use super::place::{CHECKS, check, peer};

/// Records in one request; more wait for the next.
const RECORDS_MAX: usize = 50;
const EPOCH: Epoch = Epoch(1);

pub(super) struct Agent {
    pub(super) peer: AgentPeer,
    key: SigningKey,
    records: Vec<Record>,
    chain: Digest,
    /// How many of its records it believes to be held.
    held: usize,
    checks: BTreeMap<CheckId, CheckNow>,
    /// What fails at present, by the check's number.
    pub(super) failing: BTreeMap<usize, Finding>,
}

impl Agent {
    pub(super) fn new(site: usize, key: SigningKey, now: Timestamp) -> Self {
        let good = CheckNow { state: CheckState::Ok, since: ObservedAt(now) };
        Self {
            peer: peer(site),
            key,
            records: Vec::new(),
            chain: root(EPOCH, None),
            held: 0,
            checks: (0..CHECKS.len()).map(|number| (check(number), good.clone())).collect(),
            failing: BTreeMap::new(),
        }
    }

    /// Whether something waits.
    pub(super) fn has_news(&self) -> bool {
        self.held < self.records.len()
    }

    /// A check fails, and that was confirmed at this moment.
    pub(super) fn fail(&mut self, number: usize, now: Timestamp) {
        let ago = |seconds| ObservedAt(now - SignedDuration::from_secs(seconds));
        let finding = Finding {
            check: check(number),
            last_ok: Some(ago(14)),
            first_bad: ago(4),
            confirmed_at: ago(0),
            evidence: Some("connection refused".into()),
            culprit: None,
        };
        self.say(number, CheckState::Failed, finding.first_bad);
        self.journal(AgentEvent::FindingOpened { finding: finding.clone() });
        self.failing.insert(number, finding);
    }

    /// It is well again.
    pub(super) fn mend(&mut self, number: usize, now: Timestamp) {
        let Some(finding) = self.failing.remove(&number) else { return };
        let at = ObservedAt(now);
        let last_bad = ObservedAt(finding.confirmed_at.0.max(now - SignedDuration::from_secs(5)));
        self.say(number, CheckState::Ok, at);
        let end = FindingEnd { last_bad, first_ok: at, confirmed_at: at };
        self.journal(AgentEvent::FindingClosed { id: finding.id(), end });
    }

    fn say(&mut self, number: usize, state: CheckState, since: ObservedAt) {
        self.checks.insert(check(number), CheckNow { state, since });
    }

    fn journal(&mut self, event: AgentEvent) {
        let body = serde_json::to_string(&Body { samples: Vec::new(), events: vec![event] }).expect("a body");
        let seq = self.records.len() as u64;
        let mut id = [0; 16];
        id[8..].copy_from_slice(&(seq + 1).to_be_bytes());
        id[..7].copy_from_slice(&self.peer.agent.as_str().as_bytes()[..7]);
        let (record_id, salt) = (RecordId(id), RecordId([1; 16]));
        let content = content_hash(&salt, &body);
        self.chain = chain(&self.chain, &record_id, &content);
        self.records.push(Record {
            epoch: EPOCH,
            seq: Seq(seq),
            record_id,
            content_hash: content,
            chain: self.chain,
            previous: None,
            sig: None,
            salt,
            omitted: None,
            body: RawValue::from_string(body).expect("JSON"),
        });
    }

    /// What it would send at this moment; nothing new makes a heartbeat.
    pub(super) fn request(&self, now: Timestamp, mono: Mono) -> DeliverRequest {
        let mut records: Vec<Record> = self.records.iter().skip(self.held).take(RECORDS_MAX).cloned().collect();
        if let Some(last) = records.last_mut() {
            last.sig = Some(sign_chain(&self.key, &last.chain).to_string());
        }
        let last = self.held.checked_sub(1).and_then(|last| self.records.get(last));
        let head = last.map(|last| Head { epoch: EPOCH, len: self.held as u64, chain: last.chain });
        DeliverRequest {
            protocol: PROTOCOL,
            heads: head.into_iter().collect(),
            clock: ClockReading { wall: ObservedAt(now), mono, boot: "boot-1".parse().expect("a boot's id") },
            seen_checkpoint: None,
            now: Now { version: "0.1.0".into(), config_version: 1, checks: self.checks.clone(), ..Now::default() },
            batch_digest: batch_digest(&records),
            clock_of_records: None,
            records,
        }
    }

    /// Believes what it is answered; a refusal it may not get is said.
    pub(super) fn answered(&mut self, answer: DeliverAnswer) -> Result<(), String> {
        match answer {
            DeliverAnswer::Delivered(delivered) if delivered.refused.is_empty() => {
                self.held = delivered.head.map_or(self.held, |head| usize::try_from(head.len).unwrap_or(self.held));
                Ok(())
            }
            DeliverAnswer::Conflict(Conflict::Behind { heads }) => {
                let held = heads.iter().find(|head| head.epoch == EPOCH).map_or(0, |head| head.len);
                self.held = usize::try_from(held).unwrap_or(0);
                Ok(())
            }
            // It recovers, or does not answer at present.
            DeliverAnswer::Problem(problem) if problem.status == 503 => Ok(()),
            other @ (DeliverAnswer::Delivered(_) | DeliverAnswer::Conflict(_) | DeliverAnswer::Problem(_)) => {
                Err(format!("agent {} is answered {other:?}", self.peer.agent))
            }
        }
    }
}
