//! What a delivery means against the history that the collector holds (DELIVERY 2, steps 2 to 5).
//!
//! [`judge`] is called inside the ingest transaction, after the agent's row said neither revoked (403) nor
//! quarantined (423), with what that transaction read; what it answers is carried out by the same transaction, or the
//! transaction changes nothing. Judging twice with the same history gives the same verdict.

use std::{collections::BTreeMap, collections::BTreeSet, time::Duration};

use sha2::{Digest as _, Sha256};
use upheld_evidence::{PublicKey, Signature, verify_chain};
use upheld_model::{
    Digest, Epoch, RecordId, Seq,
    mutant::{Rule, is_broken},
};
use upheld_wire::v1::{
    Body, Conflict, DeliverRequest, EpochLink, Head, Omitted, PROTOCOL, Record, RefusedRecord,
    limits::{BODY_BYTES_MAX, HEADS_MAX, RECORDS_MAX},
    record::{batch_digest, root},
};

/// Forks older than this are not counted against an agent.
pub const FORK_WINDOW: Duration = Duration::from_secs(15 * 60);
/// So many distinct forks within [`FORK_WINDOW`] are two hosts with one identity.
pub const FORKS_OF_A_CLONE: usize = 5;

/// A checkpoint with more signatures than any log has.
const CHECKPOINT_BYTES_MAX: usize = 4096;

/// What the collector holds of one agent.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Length and chain of every epoch that it ever held.
    pub heads: BTreeMap<Epoch, Head>,
    /// The epoch that was begun last; only this one may grow.
    pub newest: Option<Epoch>,
    /// [`Fork::id`] of the forks answered within [`FORK_WINDOW`].
    pub recent_forks: BTreeSet<Digest>,
    /// The agent's key from its enrolment; `None` leaves signatures unchecked beyond their form.
    pub signing_key: Option<PublicKey>,
}

/// What the request means.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// No records, and the claimed history is held: nothing to commit. 200.
    Heartbeat,
    /// Commit, then answer 200.
    Accept(Accepted),
    /// 409: the agent believes more to be held than is.
    Behind {
        /// What is held.
        heads: Vec<Head>,
    },
    /// 409: another history than the one that is held. Remember [`Fork::id`] with the time.
    Fork(Fork),
    /// As [`Verdict::Fork`], for the fifth distinct time: quarantine the agent (423) and open one incident.
    Clone(Fork),
    /// 400: no agent of ours sends this.
    Malformed(Malformed),
    /// 413: over a limit, which the text names.
    TooLarge {
        /// The limit, in words.
        limit: String,
    },
}

/// What is asked of the records that are held of one agent, in the transaction that judges.
pub trait Records {
    /// The store's; it ends the judging.
    type Error;

    /// Whether a record with this id and content hash is held, under whatever epoch.
    fn is_known(&mut self, id: &RecordId, content: &Digest) -> Result<bool, Self::Error>;

    /// The chain after the first `len` records of an epoch; `None` where it cannot be told any more: the record there is
    /// forgotten, was not readable, or is held under another epoch.
    fn chain_after(&mut self, epoch: Epoch, len: u64) -> Result<Option<Digest>, Self::Error>;
}

/// What to commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The batch that the answer acknowledges.
    pub batch_digest: Digest,
    /// What is held of the batch's epoch once this is committed.
    pub head: Head,
    /// Set when the batch begins an epoch that was not held before: it is the newest from then on.
    pub begins: Option<Begins>,
    /// Records to insert, in order. The others of the batch are held already, here or under another epoch.
    pub fresh: Vec<Fresh>,
    /// For the answer: fresh records that are not readable and go to the dead letters.
    pub refused: Vec<RefusedRecord>,
}

/// The beginning of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begins {
    /// The epoch that it follows, as the agent knows it.
    pub previous: Option<EpochLink>,
}

/// A record that is not held yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Fresh {
    /// Its place in `DeliverRequest::records`.
    pub index: usize,
    /// Its body, read.
    pub content: Content,
}

/// What a record turned out to hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A body to fold.
    Body(Body),
    /// No body any more; a `Gap` event names the time.
    Omitted(Omitted),
    /// Not readable: to the dead letters, as it is.
    Poison {
        /// Why, in words.
        reason: String,
    },
}

/// Two histories that part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The same for every repetition of the same request, so that a lost answer does not count twice.
    pub id: Digest,
    /// The epoch in which they part.
    pub epoch: Epoch,
    /// What is held of it, or its beginning with which the agent's claim parts.
    pub held: Head,
    /// How it shows.
    pub reason: ForkReason,
}

/// How a fork shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForkReason {
    /// Another chain after as many records as are claimed.
    #[error("the claimed chain of this epoch is not the one that is held")]
    AnotherChain,
    /// A record that is held with another content.
    #[error("record {0} is held with another content")]
    AnotherRecord(Seq),
    /// A chain or content hash that does not follow.
    #[error("record {0} does not follow from the one before it")]
    BrokenChain(Seq),
    /// A newer epoch has begun, and this one grows.
    #[error("a newer epoch has begun; this one is closed")]
    OldEpochGrows,
}

/// Why a request is none of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Another protocol version.
    #[error("protocol {0} is not spoken here; this is version {PROTOCOL}")]
    Protocol(u32),
    /// Records of several epochs, or not one after another.
    #[error("record {0} does not continue the batch: one epoch, contiguous")]
    NotContiguous(Seq),
    /// The digest does not belong to the records.
    #[error("batch_digest is not the digest of the records")]
    WrongDigest,
    /// `previous` outside an epoch's first record.
    #[error("record {0} names a previous epoch, but only an epoch's first record may")]
    MisplacedLink(Seq),
    /// A signature that is not one, is missing from the last record, or is not by the enrolled key.
    #[error("record {0}: the signature is missing, malformed or not by the enrolled key")]
    Signature(Seq),
    /// The checkpoint that the agent says it has seen is none.
    #[error("seen_checkpoint is no checkpoint: a line of its log's name, one of its size, one of its root")]
    Checkpoint,
}

impl Verdict {
    /// The body of a 409, where the verdict is one.
    pub fn conflict(&self) -> Option<Conflict> {
        match self {
            Self::Behind { heads } => Some(Conflict::Behind { heads: heads.clone() }),
            Self::Fork(fork) => {
                Some(Conflict::Fork { epoch: fork.epoch, held: fork.held, reason: fork.reason.to_string() })
            }
            Self::Heartbeat | Self::Accept(_) | Self::Clone(_) | Self::Malformed(_) | Self::TooLarge { .. } => None,
        }
    }
}

/// Judges a request against the history that is held.
pub fn judge<R: Records>(held: &Held, request: &DeliverRequest, stored: &mut R) -> Result<Verdict, R::Error> {
    if let Some(refusal) = check_form(held, request) {
        return Ok(refusal);
    }
    if let Some(conflict) = check_heads(held, &request.heads, stored)? {
        return Ok(conflict);
    }
    match request.records.first() {
        None => Ok(Verdict::Heartbeat),
        Some(first) => judge_records(held, first, &request.records, request.batch_digest, stored),
    }
}

fn check_form(held: &Held, request: &DeliverRequest) -> Option<Verdict> {
    let malformed = |what| Some(Verdict::Malformed(what));
    if request.protocol != PROTOCOL {
        return malformed(Malformed::Protocol(request.protocol));
    }
    if request.records.len() > RECORDS_MAX {
        return Some(Verdict::TooLarge { limit: format!("at most {RECORDS_MAX} records in a request") });
    }
    if request.heads.len() > HEADS_MAX {
        return Some(Verdict::TooLarge { limit: format!("at most {HEADS_MAX} heads in a request") });
    }
    if request.seen_checkpoint.as_ref().is_some_and(|text| !is_checkpoint(text)) {
        return malformed(Malformed::Checkpoint);
    }
    let (Some(first), Some(last)) = (request.records.first(), request.records.last()) else {
        return if request.batch_digest == batch_digest(&[]) { None } else { malformed(Malformed::WrongDigest) };
    };
    for (place, record) in (first.seq.0..).zip(&request.records) {
        if record.epoch != first.epoch || record.seq.0 != place {
            return malformed(Malformed::NotContiguous(record.seq));
        }
        if record.previous.is_some() && record.seq != Seq(0) {
            return malformed(Malformed::MisplacedLink(record.seq));
        }
        if record.sig.as_ref().is_some_and(|sig| sig.parse::<Signature>().is_err()) {
            return malformed(Malformed::Signature(record.seq));
        }
    }
    if request.batch_digest != batch_digest(&request.records) {
        return malformed(Malformed::WrongDigest);
    }
    let signed = |key: &PublicKey| {
        let sig = last.sig.as_ref().and_then(|sig| sig.parse().ok());
        sig.is_some_and(|sig| verify_chain(key, &last.chain, &sig).is_ok())
    };
    match &held.signing_key {
        Some(key) if !signed(key) => malformed(Malformed::Signature(last.seq)),
        Some(_) | None => None,
    }
}

/// Whether a text has a checkpoint's form (C2SP tlog-checkpoint): origin, size in decimal, root in base64, each on a line;
/// extensions and signatures may follow.
fn is_checkpoint(text: &str) -> bool {
    let mut lines = text.split('\n');
    let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else { return false };
    let is_decimal = size.parse::<u64>().is_ok_and(|number| number.to_string() == size);
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let is_root = root.len() == 44 && root.ends_with('=') && root.bytes().take(43).all(is_base64);
    let is_text = text.len() <= CHECKPOINT_BYTES_MAX && !text.chars().any(|c| c.is_control() && c != '\n');
    is_text && !origin.is_empty() && is_decimal && is_root && text.ends_with('\n')
}

/// Steps 3 and 4 for what the agent claims. `behind` goes first: a restored collector must not take the loss of its
/// own memory for a fork. One that was restored to less and then took more of an epoch from a copy of the host holds more
/// than this host claims, and not what it claims: the chain at that place tells.
fn check_heads<R: Records>(held: &Held, claims: &[Head], stored: &mut R) -> Result<Option<Verdict>, R::Error> {
    if claims.iter().any(|claim| claim.len > held_of(held, claim.epoch).len) {
        return Ok(Some(behind(held)));
    }
    if is_broken(Rule::ForkIsAnswered) {
        return Ok(None);
    }
    for claim in claims.iter().filter(|claim| claim.len > 0) {
        let mine = held_of(held, claim.epoch);
        let there =
            if claim.len == mine.len { Some(mine.chain) } else { stored.chain_after(claim.epoch, claim.len)? };
        if let Some(chain) = there.filter(|chain| *chain != claim.chain) {
            let id = fork_id(b"head", claim.epoch, claim.len, &claim.chain);
            return Ok(Some(fork(held, id, Head { chain, ..*claim }, ForkReason::AnotherChain)));
        }
    }
    Ok(None)
}

fn judge_records<R: Records>(
    held: &Held,
    first: &Record,
    records: &[Record],
    batch_digest: Digest,
    stored: &mut R,
) -> Result<Verdict, R::Error> {
    let mine = held_of(held, first.epoch);
    let end = first.seq.0 + records.len() as u64;
    let parts = |reason| fork(held, fork_id(b"record", first.epoch, first.seq.0, &first.chain), mine, reason);
    if first.seq.0 > mine.len {
        return Ok(behind(held));
    }
    if let Some(broken) = first_broken(mine, first, records).filter(|_| !is_broken(Rule::ForkIsAnswered)) {
        return Ok(parts(ForkReason::BrokenChain(broken)));
    }
    if end < mine.len {
        // Wholly inside what is held, whose inner chains are not kept: known by name or not ours.
        for record in records {
            if !stored.is_known(&record.record_id, &record.content_hash)? {
                return Ok(parts(ForkReason::AnotherRecord(record.seq)));
            }
        }
        return Ok(Verdict::Accept(Accepted {
            batch_digest,
            head: mine,
            begins: None,
            fresh: Vec::new(),
            refused: Vec::new(),
        }));
    }
    // The records up to `mine.len` are held exactly when the last of them has the held chain: it commits to them all.
    let overlap = usize::try_from(mine.len - first.seq.0).unwrap_or(records.len()).min(records.len());
    if let Some(last_held) = records[..overlap].last()
        && last_held.chain != mine.chain
        && !is_broken(Rule::ForkIsAnswered)
    {
        return Ok(parts(ForkReason::AnotherRecord(last_held.seq)));
    }
    let is_new_epoch = mine.len == 0;
    let is_closed = held.newest != Some(first.epoch) && !is_broken(Rule::OldEpochIsClosed);
    if end > mine.len && !is_new_epoch && is_closed {
        return Ok(parts(ForkReason::OldEpochGrows));
    }
    accept(mine, records, overlap, batch_digest, stored).map(Verdict::Accept)
}

fn accept<R: Records>(
    mine: Head,
    records: &[Record],
    overlap: usize,
    batch_digest: Digest,
    stored: &mut R,
) -> Result<Accepted, R::Error> {
    let (mut fresh, mut refused, mut in_batch) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, record) in records.iter().enumerate().skip(overlap) {
        let name = (record.record_id, record.content_hash);
        if !in_batch.insert(name) || (stored.is_known(&name.0, &name.1)? && !is_broken(Rule::KnownByContent)) {
            continue;
        }
        let content = read_content(record);
        if let Content::Poison { reason } = &content {
            if is_broken(Rule::PoisonGoesAside) {
                break;
            }
            refused.push(RefusedRecord { seq: record.seq, reason: reason.clone() });
        }
        fresh.push(Fresh { index, content });
    }
    let is_dead = |record: &Record| refused.iter().any(|refused| refused.seq == record.seq);
    let chained = |record: &&Record| !(is_broken(Rule::ChainTakesRefused) && is_dead(record));
    let head = match records[overlap..].iter().rfind(chained) {
        Some(last) => Head { epoch: mine.epoch, len: last.seq.0 + 1, chain: last.chain },
        None => mine,
    };
    let begins = (mine.len == 0).then(|| Begins { previous: records.first().and_then(|first| first.previous) });
    Ok(Accepted { batch_digest, head, begins, fresh, refused })
}

/// The first record whose hash or chain does not follow. What stands before a batch that begins inside the held
/// history is not kept; its overlap is checked against the held chain instead.
fn first_broken(mine: Head, first: &Record, records: &[Record]) -> Option<Seq> {
    let mut before = match first.seq {
        Seq(0) => Some(root(first.epoch, first.previous.as_ref())),
        Seq(at) if at == mine.len => Some(mine.chain),
        Seq(_) => None,
    };
    records.iter().find_map(|record| {
        let follows = match &before {
            Some(before) => record.follows(before),
            None => record.content_follows(),
        };
        before = Some(record.chain);
        (!follows).then_some(record.seq)
    })
}

fn read_content(record: &Record) -> Content {
    let text = record.body.get();
    if let Some(omitted) = record.omitted {
        Content::Omitted(omitted)
    } else if text.len() > BODY_BYTES_MAX {
        Content::Poison { reason: format!("a body of {} bytes; the limit is {BODY_BYTES_MAX}", text.len()) }
    } else {
        match serde_json::from_str(text) {
            Ok(body) => Content::Body(body),
            Err(error) => Content::Poison { reason: error.to_string().chars().take(200).collect() },
        }
    }
}

fn held_of(held: &Held, epoch: Epoch) -> Head {
    held.heads.get(&epoch).copied().unwrap_or(Head { epoch, len: 0, chain: Digest::ZERO })
}

fn behind(held: &Held) -> Verdict {
    Verdict::Behind { heads: held.heads.values().copied().collect() }
}

fn fork(held: &Held, id: Digest, mine: Head, reason: ForkReason) -> Verdict {
    let fork = Fork { id, epoch: mine.epoch, held: mine, reason };
    let others = held.recent_forks.iter().filter(|seen| **seen != id).count();
    if others + 1 >= FORKS_OF_A_CLONE && !is_broken(Rule::CloneIsQuarantined) {
        Verdict::Clone(fork)
    } else {
        Verdict::Fork(fork)
    }
}

fn fork_id(what: &[u8], epoch: Epoch, at: u64, chain: &Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update(what);
    hash.update(epoch.0.to_be_bytes());
    hash.update(at.to_be_bytes());
    hash.update(chain.0);
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests;
