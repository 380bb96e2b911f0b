//! The collector's side: the real `judge`, over rows that are as atomic as a transaction.
//!
//! What is held is a function of the rows, so that a backup is a number of rows and a restore cuts them.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use upheld_delivery::receiver::{Content, FORK_WINDOW, Held, Records, Verdict, judge};
use upheld_evidence::PublicKey;
use upheld_model::{AgentEvent, Digest, Epoch, RecordId, Seq};
use upheld_wire::v1::{
    Conflict, DeliverRequest, Delivered, EpochLink, Head, Record, RefusedRecord, codes,
    record::{chain, root},
};

/// What the collector says.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Delivered(Delivered),
    Conflict(Conflict),
    Refused(u16, String),
    /// 429: nothing before so many seconds are over.
    Busy(u64),
}

/// One record as it was committed: in an epoch's chain, and (once) with its facts.
#[derive(Debug, Clone)]
struct Row {
    epoch: Epoch,
    seq: Seq,
    id: RecordId,
    content: Digest,
    chain: Digest,
    previous: Option<EpochLink>,
    at_ms: u64,
    /// `None` when it was held already under another epoch.
    told: Option<Told>,
}

/// What a record's body told.
#[derive(Debug, Clone, Default)]
struct Told {
    facts: Vec<u64>,
    /// Stretches of which the agent says that they are gone, in its own time.
    gaps: Vec<(i64, i64)>,
    /// Its body was given up for room, and its hash is left.
    is_omitted: bool,
    /// It says that summaries were given up as well.
    is_bare: bool,
    /// It could not be read: a dead letter.
    is_dead: bool,
}

/// What is held of one agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    rows: Vec<Row>,
    forks: Vec<(u64, Digest)>,
    pub(crate) is_quarantined: bool,
    heads: BTreeMap<Epoch, Head>,
    newest: Option<Epoch>,
    known: BTreeSet<(RecordId, Digest)>,
    /// After the records that the store has a row of: not those that are known under another epoch, or unread.
    chains: BTreeMap<(Epoch, Seq), Digest>,
    /// Facts that were committed at any time, also when a restore took them back.
    pub(crate) ever: BTreeSet<u64>,
    ids: BTreeSet<RecordId>,
    /// Number of the fact → how often it was inserted, and when first.
    facts: BTreeMap<u64, (u32, u64)>,
    /// Those of them that lie among the dead letters.
    dead: BTreeSet<u64>,
    pub(crate) problems: Vec<String>,
}

/// The point to which a backup reaches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    rows: usize,
    is_quarantined: bool,
}

/// What the collector asks of its rows.
struct Stored<'a> {
    tables: &'a Tables,
    /// A mutant: what has a known id is known.
    by_id: bool,
}

impl Records for Stored<'_> {
    type Error = Infallible;

    fn is_known(&mut self, id: &RecordId, content: &Digest) -> Result<bool, Infallible> {
        let Tables { known, ids, .. } = self.tables;
        Ok(if self.by_id { ids.contains(id) } else { known.contains(&(*id, *content)) })
    }

    fn chain_after(&mut self, epoch: Epoch, len: u64) -> Result<Option<Digest>, Infallible> {
        Ok(len.checked_sub(1).and_then(|last| self.tables.chains.get(&(epoch, Seq(last))).copied()))
    }
}

impl Tables {
    /// One request in one transaction. `by_id` is a mutant: what has a known id is known.
    pub(crate) fn deliver(&mut self, request: &DeliverRequest, key: PublicKey, now_ms: u64, by_id: bool) -> Reply {
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
        let Ok(verdict) = judge(&held, request, &mut Stored { tables: self, by_id });
        match verdict {
            Verdict::Heartbeat => Reply::Delivered(answer(request, None, Vec::new())),
            Verdict::Accept(accepted) => {
                let mut fresh = BTreeMap::new();
                for one in accepted.fresh {
                    fresh.insert(one.index, one.content);
                }
                for (index, record) in request.records.iter().enumerate() {
                    if record.seq.0 < self.heads.get(&record.epoch).map_or(0, |head| head.len) {
                        continue;
                    }
                    let told = fresh.remove(&index).map(|content| read(record, content));
                    self.insert(Row {
                        epoch: record.epoch,
                        seq: record.seq,
                        id: record.record_id,
                        content: record.content_hash,
                        chain: record.chain,
                        previous: record.previous,
                        at_ms: now_ms,
                        told,
                    });
                }
                // As the store: the head is what the verdict says, and `check_chains` holds it against the rows.
                self.heads.insert(accepted.head.epoch, accepted.head);
                Reply::Delivered(answer(request, Some(accepted.head), accepted.refused))
            }
            Verdict::Fork(ref fork) => {
                self.forks.push((now_ms, fork.id));
                conflict(&verdict)
            }
            Verdict::Clone(fork) => {
                self.forks.push((now_ms, fork.id));
                self.is_quarantined = true;
                Reply::Refused(423, codes::QUARANTINED.to_owned())
            }
            Verdict::Behind { .. } => conflict(&verdict),
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

    pub(crate) fn mark(&self) -> Mark {
        Mark { rows: self.rows.len(), is_quarantined: self.is_quarantined }
    }

    /// Takes back what was committed after the mark.
    pub(crate) fn set_back(&mut self, mark: Mark) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.truncate(mark.rows);
        let problems = std::mem::take(&mut self.problems);
        let ever = std::mem::take(&mut self.ever);
        *self = Self { is_quarantined: mark.is_quarantined, problems, ever, ..Self::default() };
        rows.into_iter().for_each(|row| self.insert(row));
    }

    /// I3: every epoch's records are one whole chain from its root to the held head.
    pub(crate) fn check_chains(&self) -> Result<(), String> {
        let mut tips: BTreeMap<Epoch, Head> = BTreeMap::new();
        for row in &self.rows {
            let fresh = Head { epoch: row.epoch, len: 0, chain: root(row.epoch, row.previous.as_ref()) };
            let tip = tips.entry(row.epoch).or_insert(fresh);
            let follows = chain(&tip.chain, &row.id, &row.content);
            if row.seq.0 != tip.len || row.chain != follows {
                return Err(format!("I3: the chain of {} breaks at {}", row.epoch, row.seq));
            }
            *tip = Head { epoch: row.epoch, len: tip.len + 1, chain: follows };
        }
        // An epoch that is closed grows no more: rows of two epochs do not take turns.
        let mut closed = BTreeSet::new();
        let mut last = None;
        for row in &self.rows {
            if last != Some(row.epoch) {
                closed.extend(last);
                if closed.contains(&row.epoch) {
                    return Err(format!("I3: epoch {} grew after a newer one had begun", row.epoch));
                }
                last = Some(row.epoch);
            }
        }
        if tips == self.heads { Ok(()) } else { Err("I3: heads and records differ".to_owned()) }
    }

    /// What is held of an epoch.
    pub(crate) fn head(&self, epoch: Epoch) -> Option<Head> {
        self.heads.get(&epoch).copied()
    }

    /// When a fact was committed first; `None` when it is not held.
    pub(crate) fn committed(&self, fact: u64) -> Option<u64> {
        self.facts.get(&fact).map(|(_, at)| *at)
    }

    /// Facts that were inserted more than once.
    pub(crate) fn doubled(&self) -> Vec<u64> {
        self.facts.iter().filter(|(_, (count, _))| *count > 1).map(|(number, _)| *number).collect()
    }

    /// Whether the agent said that an instant of its time is gone.
    pub(crate) fn is_told_gone(&self, at_ms: i64) -> bool {
        self.gone().iter().any(|(from, to)| (*from..=*to).contains(&at_ms))
    }

    /// How many records have no body any more.
    pub(crate) fn omitted(&self) -> usize {
        self.told().filter(|told| told.is_omitted).count()
    }

    /// Whether the agent said that it gave up summaries, too.
    pub(crate) fn is_bare(&self) -> bool {
        self.told().any(|told| told.is_bare)
    }

    /// Whether a fact lies among the dead letters.
    pub(crate) fn is_dead_letter(&self, fact: u64) -> bool {
        self.dead.contains(&fact)
    }

    /// Every fact that is held.
    pub(crate) fn held(&self) -> impl Iterator<Item = u64> + '_ {
        self.facts.keys().copied()
    }

    fn told(&self) -> impl Iterator<Item = &Told> {
        self.rows.iter().filter_map(|row| row.told.as_ref())
    }

    /// The stretches of its time that the agent said to be gone.
    pub(crate) fn gone(&self) -> Vec<(i64, i64)> {
        self.told().flat_map(|told| told.gaps.iter().copied()).collect()
    }

    fn insert(&mut self, row: Row) {
        let Row { epoch, seq, chain, .. } = row;
        self.known.insert((row.id, row.content));
        self.ids.insert(row.id);
        let is_dead = row.told.as_ref().is_some_and(|told| told.is_dead);
        if row.told.is_some() && !is_dead {
            self.chains.insert((epoch, seq), chain);
        }
        for number in row.told.iter().flat_map(|told| &told.facts) {
            if is_dead {
                self.dead.insert(*number);
            }
            self.facts.entry(*number).or_insert((0, row.at_ms)).0 += 1;
            self.ever.insert(*number);
        }
        if self.heads.insert(epoch, Head { epoch, len: seq.0 + 1, chain }).is_none() {
            self.newest = Some(epoch);
        }
        self.rows.push(row);
    }
}

/// What a record tells.
fn read(record: &Record, content: Content) -> Told {
    let mut told = Told::default();
    match content {
        Content::Body(body) => {
            told.facts.extend(body.samples.iter().map(|sample| sample.took_us));
            for event in &body.events {
                if let AgentEvent::Configured { version, .. } = event {
                    told.facts.push(*version);
                } else if let AgentEvent::Gap { from, to, .. } = event {
                    told.gaps.push((from.0.as_millisecond(), to.0.as_millisecond()));
                } else if let AgentEvent::Journal { what, .. } = event {
                    told.is_bare |= what.as_str().starts_with("what was left of");
                }
            }
        }
        // A gap names the time; whether it does is checked by the fact that is missing.
        Content::Omitted(_) => told.is_omitted = true,
        // As a person would read a dead letter: the number stands in its text.
        Content::Poison { .. } => {
            let text = record.body.get();
            let numbers = text.split("\"took_us\":").skip(1).filter_map(|rest| rest.split([',', '}']).next());
            told.facts.extend(numbers.filter_map(|number| number.parse::<u64>().ok()));
            told.is_dead = true;
        }
    }
    told
}

fn conflict(verdict: &Verdict) -> Reply {
    match verdict.conflict() {
        Some(conflict) => Reply::Conflict(conflict),
        None => Reply::Refused(500, "a verdict without a conflict".to_owned()),
    }
}

fn answer(request: &DeliverRequest, head: Option<Head>, refused: Vec<RefusedRecord>) -> Delivered {
    Delivered {
        batch_digest: request.batch_digest,
        head,
        refused,
        receipt: None,
        renew: false,
        secrets: None,
        present: None,
        dictionary: None,
        config_version: 0,
        collector_time: request.clock.wall.0,
    }
}
