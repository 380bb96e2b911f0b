//! The record: a batch of samples or one transition, as it lies in the journal and as it travels.
//!
//! Digests are over the exact bytes of the body as the agent wrote it, so nothing depends on how a JSON writer
//! orders or spaces. `content_hash = SHA-256(salt ‖ body)`; `chain = SHA-256(prev ‖ record_id ‖ content_hash)`
//! (DELIVERY 1), and before an epoch's first record stands its [`root`], so that a signed chain also binds the epoch
//! and the one it follows. The salt lets a redacted evidence bundle still verify (EVIDENCE 1).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use upheld_model::{AgentEvent, Digest, Epoch, RecordId, Sample, Seq};

/// One record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The journal's life in which it was written.
    pub epoch: Epoch,
    /// Its place there.
    pub seq: Seq,
    /// Its name for ever, kept when it is re-tagged into another epoch.
    pub record_id: RecordId,
    /// [`content_hash`] of salt and body. [`Digest::ZERO`] where it was left out on the way to a reader that makes it itself
    /// ([`Record::shorten`], [`Record::complete`]): a third of what of a record cannot be packed.
    #[serde(default = "left_out", skip_serializing_if = "is_left_out")]
    pub content_hash: Digest,
    /// [`chain`] from the record before.
    pub chain: Digest,
    /// In an epoch's first record: the epoch before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<EpochLink>,
    /// The agent's own Ed25519 signature, 128 hexadecimal digits, of `"upheld-chain/1\0" ‖ chain`. The last record of
    /// a batch carries one; through the chain it covers every record before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sig: Option<String>,
    /// 16 random bytes in hexadecimal.
    pub salt: RecordId,
    /// Set when the body is no longer there: `body` is `null` then, and only the chain can be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<Omitted>,
    /// The [`Body`], as the bytes that were hashed.
    pub body: Box<RawValue>,
}

fn left_out() -> Digest {
    Digest::ZERO
}

fn is_left_out(digest: &Digest) -> bool {
    *digest == Digest::ZERO
}

/// Why a record travels without its body. Its place in the chain stays, so that history holds together, and an
/// [`AgentEvent::Gap`] names the time that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Omitted {
    /// The journal gave the body up for room (DELIVERY 1: samples first, transitions last).
    Thinned,
}

/// The epoch before, as its successor remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochLink {
    /// The epoch before.
    pub epoch: Epoch,
    /// How many records it had.
    pub len: u64,
    /// Its last chain.
    pub chain: Digest,
}

/// What a record says. Exactly one record per transition; samples of up to ten seconds together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// Samples, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
    /// Transitions, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<AgentEvent>,
}

/// The digest of a record's content.
pub fn content_hash(salt: &RecordId, body: &str) -> Digest {
    let mut hash = Sha256::new();
    hash.update(salt.0);
    hash.update(body.as_bytes());
    Digest(hash.finalize().into())
}

/// What stands in the place of the chain before an epoch's first record: binds the epoch's own name and the epoch
/// before it. A [`super::Head`] of length 0 still carries [`Digest::ZERO`].
pub fn root(epoch: Epoch, previous: Option<&EpochLink>) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"upheld-epoch/1\0");
    hash.update(epoch.0.to_be_bytes());
    if let Some(link) = previous {
        hash.update(link.epoch.0.to_be_bytes());
        hash.update(link.len.to_be_bytes());
        hash.update(link.chain.0);
    }
    Digest(hash.finalize().into())
}

/// The chain after a record.
pub fn chain(before: &Digest, record_id: &RecordId, content: &Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update(before.0);
    hash.update(record_id.0);
    hash.update(content.0);
    Digest(hash.finalize().into())
}

/// The digest of a whole batch: of its chains in order. An empty batch has the digest of nothing.
pub fn batch_digest(records: &[Record]) -> Digest {
    let mut hash = Sha256::new();
    for record in records {
        hash.update(record.epoch.0.to_be_bytes());
        hash.update(record.seq.0.to_be_bytes());
        hash.update(record.chain.0);
    }
    Digest(hash.finalize().into())
}

impl Record {
    /// Whether hash and chain follow from the content and the chain before. Of a record without its body only the
    /// chain can follow. Signatures are checked elsewhere.
    pub fn follows(&self, before: &Digest) -> bool {
        self.content_follows() && self.chain == chain(before, &self.record_id, &self.content_hash)
    }

    /// Leaves the content hash out, where the reader can make it of the body. The chain binds it all the same: a body that
    /// changed on the way gives another hash, and the chain does not follow.
    pub fn shorten(&mut self) {
        if self.omitted.is_none() {
            self.content_hash = Digest::ZERO;
        }
    }

    /// Makes the content hash that was left out; one that came stays as it came.
    pub fn complete(&mut self) {
        if is_left_out(&self.content_hash) && self.omitted.is_none() {
            self.content_hash = content_hash(&self.salt, self.body.get());
        }
    }

    /// The half of [`Record::follows`] that needs no chain before.
    pub fn content_follows(&self) -> bool {
        match self.omitted {
            None => self.content_hash == content_hash(&self.salt, self.body.get()),
            Some(Omitted::Thinned) => self.body.get() == "null",
        }
    }
}
