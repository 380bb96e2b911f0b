//! What a request means, and whether that still holds when it is written.

use std::collections::BTreeSet;

use jiff::Timestamp;
use upheld_delivery::receiver::{Accepted, Content, FORK_WINDOW, Held, Records, Verdict, judge};
use upheld_evidence::PublicKey;
use upheld_model::{Digest, Epoch, RecordId, Seq, SiteId};
use upheld_store::{
    ReadTx, Tx,
    agents::AgentRow,
    ahead::{Ask, Foreseen},
    facts::SiteKey,
    records::{AgentKey, HeadRow, RecordName},
};
use upheld_wire::v1::{DeliverRequest, Head, secrets::SecretsAt};

use super::{
    Upload,
    keeping::{self, Keeping},
};
use crate::{AgentPeer, DeskError, agents::refusal_of, book::BookCache, recovery, sealed};

/// A verdict, and the history from which it was made.
pub(super) struct Judged {
    pub(super) row: Option<AgentRow>,
    pub(super) heads: Vec<HeadRow>,
    /// `None` when the agent's row refuses it before its request is looked at.
    pub(super) verdict: Option<Verdict>,
    /// What its samples leave.
    pub(super) keeping: Keeping,
    /// What is sealed for it, as it was when the request was looked at: what changed since is said with the next report.
    pub(super) secrets: Option<SecretsAt>,
}

impl Judged {
    pub(super) fn new(
        tx: &dyn ReadTx,
        books: &BookCache,
        peer: &AgentPeer,
        request: &DeliverRequest,
        now: Timestamp,
    ) -> Result<Self, DeskError> {
        let key = AgentKey { client: &peer.client, agent: &peer.agent };
        ahead(tx, Ask::Agent(&peer.agent), key, &peer.site, request)?;
        let row = tx.agent(&peer.agent)?;
        Self::of(tx, books, peer, row, request, now)
    }

    /// The same with the agent's row at hand, as this transaction sees it.
    pub(super) fn of(
        tx: &dyn ReadTx,
        books: &BookCache,
        peer: &AgentPeer,
        row: Option<AgentRow>,
        request: &DeliverRequest,
        now: Timestamp,
    ) -> Result<Self, DeskError> {
        recovery::refuse(tx)?;
        let Some(known) = row.as_ref().filter(|row| refusal_of(Some(row), peer).is_none()) else {
            return Ok(Self { row, heads: Vec::new(), verdict: None, keeping: Keeping::default(), secrets: None });
        };
        let key = AgentKey { client: &peer.client, agent: &peer.agent };
        let heads = tx.heads(key)?;
        let mut held = Held {
            heads: heads.iter().map(|head| (head.epoch, wire_head(head))).collect(),
            newest: heads.last().map(|head| head.epoch),
            recent_forks: BTreeSet::new(),
            signing_key: Some(PublicKey(known.signing_key)),
        };
        let mut stored = Stored { tx, key, request, known: None };
        let mut verdict = judge(&held, request, &mut stored)?;
        // How many forks there were lately is asked only of one more: it tells a clone.
        if matches!(verdict, Verdict::Fork(_) | Verdict::Clone(_)) {
            held.recent_forks = recent_forks(tx, key, known.status_at, now)?;
            verdict = judge(&held, request, &mut stored)?;
        }
        let keeping = match &verdict {
            Verdict::Accept(accepted) => {
                let book = books.current(tx)?;
                keeping::keep(tx, &Upload { book: &book, peer, request, now }, accepted)?
            }
            Verdict::Heartbeat
            | Verdict::Behind { .. }
            | Verdict::Fork(_)
            | Verdict::Clone(_)
            | Verdict::Malformed(_)
            | Verdict::TooLarge { .. } => Keeping::default(),
        };
        if let Verdict::Accept(accepted) = &mut verdict {
            forget_samples(accepted);
        }
        Ok(Self { row, heads, verdict: Some(verdict), keeping, secrets: Some(sealed::at(tx, peer)?) })
    }

    /// What [`Judged::confirm`] will ask.
    pub(super) fn foreseen(&self, peer: &AgentPeer) -> Foreseen {
        let key = AgentKey { client: &peer.client, agent: &peer.agent };
        if self.is_fork() { Foreseen::default() } else { Foreseen::of(&confirmed_by(key)) }
    }

    fn is_fork(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Fork(_) | Verdict::Clone(_)))
    }

    /// The same verdict if nothing that it rests on has changed meanwhile, else a new one. What is known of an agent's
    /// records, and the fold of its samples, change only together with its heads.
    pub(super) fn confirm(
        self,
        tx: &mut dyn Tx,
        books: &BookCache,
        peer: &AgentPeer,
        request: &DeliverRequest,
        now: Timestamp,
    ) -> Result<Self, DeskError> {
        let key = AgentKey { client: &peer.client, agent: &peer.agent };
        let is_fork = self.is_fork();
        if !is_fork {
            tx.ahead(&confirmed_by(key))?;
        }
        if !is_fork && tx.agent(&peer.agent)? == self.row && tx.heads(key)? == self.heads {
            return Ok(self);
        }
        Self::new(&*tx, books, peer, request, now)
    }
}

/// The records of one agent, as one transaction sees them.
struct Stored<'a> {
    tx: &'a dyn ReadTx,
    key: AgentKey<'a>,
    request: &'a DeliverRequest,
    /// Those of the request that are known.
    known: Option<BTreeSet<RecordName>>,
}

impl Records for Stored<'_> {
    type Error = DeskError;

    fn is_known(&mut self, id: &RecordId, content: &Digest) -> Result<bool, DeskError> {
        // All of the batch is asked for with its first, and only of a batch that came so far.
        let known = match &mut self.known {
            Some(known) => known,
            none @ None => none.insert(self.tx.known_records(self.key, &names(self.request))?),
        };
        Ok(known.contains(&(*id, *content)))
    }

    fn chain_after(&mut self, epoch: Epoch, len: u64) -> Result<Option<Digest>, DeskError> {
        let Some(last) = len.checked_sub(1).map(Seq) else { return Ok(None) };
        let row = self.tx.records(self.key, epoch, last, 1)?.pop();
        Ok(row.filter(|row| row.seq == last).map(|row| row.chain))
    }
}

/// What is asked to see whether a verdict holds, and to write what the upload brings.
fn confirmed_by(key: AgentKey<'_>) -> [Ask<'_>; 4] {
    [Ask::Agent(key.agent), Ask::Heads(key), Ask::BookVersion, Ask::AgentNow(key)]
}

/// Asks at once, with one question more, all that judging this request asks one after the other.
pub(super) fn ahead<T: ReadTx + ?Sized>(
    tx: &T,
    first: Ask<'_>,
    key: AgentKey<'_>,
    site: &SiteId,
    request: &DeliverRequest,
) -> Result<(), DeskError> {
    let (place, names) = (SiteKey { client: key.client, site }, names(request));
    let mut asks = vec![first, Ask::OpenRestore, Ask::Heads(key), Ask::BookVersion];
    asks.extend([Ask::SealedVersion(place), Ask::SealingKey(key)]);
    match names.as_slice() {
        [] => asks.push(Ask::AgentNow(key)),
        [one] => asks.extend([Ask::KeptNow(place, key.agent), Ask::KnownRecord(key, one)]),
        [_, _, ..] => asks.push(Ask::KeptNow(place, key.agent)),
    }
    Ok(tx.ahead(&asks)?)
}

/// Forks of the last minutes, though none from before a person decided about the agent.
fn recent_forks(
    tx: &dyn ReadTx,
    key: AgentKey<'_>,
    decided_at: Timestamp,
    now: Timestamp,
) -> Result<BTreeSet<Digest>, DeskError> {
    let since = now.saturating_sub(FORK_WINDOW).unwrap_or(Timestamp::MIN).max(decided_at);
    Ok(tx.forks_since(key, since)?.into_iter().collect())
}

fn names(request: &DeliverRequest) -> Vec<RecordName> {
    request.records.iter().map(|record| (record.record_id, record.content_hash)).collect()
}

/// They are folded: to free thousands of them takes the writer's thread as long as to write their records.
fn forget_samples(accepted: &mut Accepted) {
    for fresh in &mut accepted.fresh {
        if let Content::Body(body) = &mut fresh.content {
            body.samples = Vec::new();
        }
    }
}

fn wire_head(head: &HeadRow) -> Head {
    Head { epoch: head.epoch, len: head.len, chain: head.chain }
}
