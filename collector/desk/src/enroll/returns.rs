//! An agent whose certificate ended comes back by itself (SECURITY 15).
//!
//! It proves the key that it has had since its enrolment. That is enough while its row is active and the last
//! certificate that was given out has ended too: then nobody else can be reporting under its name. Otherwise another
//! host may have the same identity (a restored or copied disk), and a person says which one is real. Whoever is taken
//! back makes every certificate before his void, and of two that ask at once the second one waits.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_evidence::{PublicKey, Signature, verify_return};
use upheld_model::{Digest, SiteId};
use upheld_store::{
    Tx,
    agents::{AgentRow, AgentStatus},
    certificates::{CertificateRow, ReturnRow, ReturnState},
};
use upheld_wire::v1::{
    PROTOCOL, Problem, codes,
    enroll::{ReturnAnswer, ReturnRequest},
};

use super::{Certificate, malformed};
use crate::{
    Actor, AgentPeer, Desk, DeskError,
    agents::pending,
    audit, clock,
    problem::{problem, unavailable},
    recovery,
};

/// Hosts of one identity that are remembered as asking.
const ASKING_MAX: usize = 8;
/// A host that has not asked for so long may be forgotten for another.
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// A host whose answer was lost may fetch its certificate again for so long: for the same key.
const TAKEN_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// One host that asks, with what the door knows of it.
#[derive(Debug, Clone)]
pub struct Asking {
    /// What it sent.
    pub request: ReturnRequest,
    /// SHA-256 of the public key in its certificate request.
    pub key: Digest,
    /// Where it asks from.
    pub address: IpAddr,
}

/// What is decided about a host that asks.
enum Decision {
    Take { is_approved: bool },
    Wait { why: String, answer: Problem },
    Refuse(Problem),
}

impl Desk {
    /// Takes an agent back: checks the proof of its key and whether a person is needed, has `issue` make a certificate
    /// for its id, and makes those before it void. An `Err` text of `issue` becomes a 400 problem; whoever must wait is
    /// told so (403 [`codes::RETURN_WAITS`], 423 in quarantine) and is then seen by [`Desk::waiting_hosts`]. A host whose
    /// key is not the agent's is told no more than one that names an agent nobody knows.
    pub async fn take_back<F>(&self, asking: Asking, now: Timestamp, issue: F) -> Result<ReturnAnswer, Problem>
    where
        F: FnOnce(&ReturnRequest) -> Result<Certificate, String> + Send,
    {
        let now = clock::stored(now);
        if asking.request.protocol != PROTOCOL {
            return Err(malformed(&format!("protocol {} is not spoken here", asking.request.protocol)));
        }
        let proof = asking.request.proof.parse().map_err(|_| malformed("proof is not an Ed25519 signature"))?;
        if self.is_clock_in_doubt() {
            let title = "this collector's clock is in doubt; whose certificate has ended is not known";
            return Err(problem(503, codes::UNAVAILABLE, title, "ask again in a few minutes"));
        }
        let case = Case { asking, proof, now };
        let look = case.clone();
        self.write_or_problem("desk.return_look", move |tx| look.look(tx)).await??;
        let certificate = issue(&case.asking.request).map_err(|why| malformed(&why))?;
        let (issued_at, ends) = (certificate.issued_at, certificate.ends);
        self.write_or_problem("desk.return", move |tx| case.take(tx, issued_at, ends)).await??;
        let Certificate { chain_pem, roots_pem, .. } = certificate;
        Ok(ReturnAnswer { chain_pem, roots_pem, collector_time: now })
    }

    /// Notes a certificate that is about to be given to an agent that renews; refuses one that may not.
    pub async fn note_renewal(&self, peer: &AgentPeer, ends: Timestamp) -> Result<(), Problem> {
        let peer = peer.clone();
        let noted = self.store.write("desk.renewal", move |tx| {
            recovery::refuse(&*tx)?;
            if let Some(refusal) = crate::agents::refusal_of(tx.agent(&peer.agent)?.as_ref(), &peer) {
                return Ok(Err(refusal));
            }
            let before = tx.certificate(&peer.client, &peer.agent)?;
            let (void_before, root) = before.map(|row| (row.void_before, row.root)).unwrap_or_default();
            let AgentPeer { client, agent, .. } = peer;
            tx.put_certificate(&CertificateRow { client, agent, ends, void_before, root })?;
            Ok(Ok(()))
        });
        noted.await.map_err(|error: DeskError| unavailable(&error))?
    }
}

/// A host that asks, inside a transaction.
#[derive(Clone)]
struct Case {
    asking: Asking,
    proof: Signature,
    now: Timestamp,
}

impl Case {
    /// Whether a certificate is to be made; whoever must wait is written down.
    fn look(&self, tx: &mut dyn Tx) -> Result<Result<(), Problem>, DeskError> {
        recovery::refuse(&*tx)?;
        let Some(row) = self.proven(tx)? else { return Ok(Err(nobody())) };
        self.settle(tx, &row).map(|decided| decided.map(drop))
    }

    /// Decides again, since much may have happened while the certificate was made, and notes the certificate.
    fn take(&self, tx: &mut dyn Tx, issued_at: Timestamp, ends: Timestamp) -> Result<Result<(), Problem>, DeskError> {
        recovery::refuse(&*tx)?;
        let Some(row) = self.proven(tx)? else { return Ok(Err(nobody())) };
        let is_approved = match self.settle(tx, &row)? {
            Ok(is_approved) => is_approved,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let root = tx.certificate(&row.client, &row.agent)?.and_then(|known| known.root);
        let (client, agent) = (row.client.clone(), row.agent.clone());
        tx.put_certificate(&CertificateRow { client, agent, ends, void_before: Some(issued_at), root })?;
        let by = Actor::Collector.id(tx)?;
        let why = if is_approved { "approved" } else { "by itself" };
        self.remember(tx, &row, ReturnState::Taken, why, Some((self.now, by)))?;
        let seen = tx.agent_now(&row.client, &row.agent)?.map(|now| now.last_seen);
        let detail = json!({
            "agent": row.agent, "host": self.host(), "address": self.asking.address, "last_seen": seen,
            "approved": is_approved, "certificate_ends": ends,
        });
        let who = Actor::Agent(row.agent.to_string());
        audit::note(tx, self.now, &who, Some(&row.client), "agent.returned", &detail)?;
        Ok(Ok(()))
    }

    /// The row of the agent whose key the sender proves to hold.
    fn proven(&self, tx: &mut dyn Tx) -> Result<Option<AgentRow>, DeskError> {
        let ReturnRequest { agent, csr_pem, .. } = &self.asking.request;
        let Some(row) = tx.agent(agent)? else { return Ok(None) };
        if verify_return(&PublicKey(row.signing_key), agent, csr_pem, &self.proof).is_ok() {
            return Ok(Some(row));
        }
        self.note(tx, &row, "agent.return-unproven")?;
        Ok(None)
    }

    /// Whether the host may be taken back, and whether a person said so. What stands against it is written down.
    fn settle(&self, tx: &mut dyn Tx, row: &AgentRow) -> Result<Result<bool, Problem>, DeskError> {
        match self.decide(tx, row)? {
            Decision::Take { is_approved } => Ok(Ok(is_approved)),
            Decision::Refuse(refusal) => {
                self.note(tx, row, "agent.return-refused")?;
                Ok(Err(refusal))
            }
            Decision::Wait { why, answer } => {
                let asked = tx.returns_of(&row.client, &row.agent)?;
                let is_new = asked.iter().all(|one| one.key != self.asking.key);
                if is_new && !self.make_room(tx, row, &asked)? {
                    self.note(tx, row, "agent.return-refused")?;
                    let detail = "refuse those that are not real: see `upheld-collector agent pending`";
                    let title = "too many hosts ask to be taken back as this agent";
                    return Ok(Err(problem(403, codes::RETURN_REFUSED, title, detail)));
                }
                self.remember(tx, row, ReturnState::Waiting, &why, None)?;
                if is_new {
                    self.note(tx, row, "agent.return-waits")?;
                    tracing::warn!(agent.id = %row.agent, client.id = %row.client, why, "a host waits to be taken back");
                }
                Ok(Err(answer))
            }
        }
    }

    fn decide(&self, tx: &mut dyn Tx, row: &AgentRow) -> Result<Decision, DeskError> {
        match row.status {
            AgentStatus::Revoked => {
                let detail = "somebody at the provider revoked it; a revoked agent is never taken back";
                return Ok(Decision::Refuse(problem(403, codes::REVOKED, "this agent was revoked", detail)));
            }
            AgentStatus::Pending => return Ok(Decision::Refuse(pending(&row.agent))),
            AgentStatus::Active | AgentStatus::Quarantined => {}
        }
        let asked = tx.returns_of(&row.client, &row.agent)?;
        let mine = asked.iter().find(|one| one.key == self.asking.key);
        if mine.is_some_and(|mine| mine.state == ReturnState::Refused) {
            let detail =
                "somebody at the provider said that this host is not the agent; enrol it with a link of its own";
            let title = "this host is not taken back";
            return Ok(Decision::Refuse(problem(403, codes::RETURN_REFUSED, title, detail)));
        }
        if row.status == AgentStatus::Quarantined {
            let why = "in quarantine: two hosts seem to use one identity".to_owned();
            return Ok(Decision::Wait { why, answer: crate::agents::quarantined() });
        }
        let waits = |why: &str| Ok(Decision::Wait { why: why.to_owned(), answer: waiting(row, why) });
        match mine {
            Some(ReturnRow { state: ReturnState::Approved, .. }) => return Ok(Decision::Take { is_approved: true }),
            // A question that was put to a person is his to answer, whatever ends meanwhile.
            Some(ReturnRow { state: ReturnState::Waiting, why, .. }) => return waits(why),
            Some(ReturnRow { state: ReturnState::Taken, decided: Some((at, _)), .. })
                if self.now.duration_since(*at) < TAKEN_AGAIN && is_newest(&asked, *at) =>
            {
                return Ok(Decision::Take { is_approved: false });
            }
            Some(_) | None => {}
        }
        let is_other = |one: &ReturnRow| one.key != self.asking.key && one.state != ReturnState::Refused;
        if asked.iter().any(|one| is_other(one) && one.state != ReturnState::Taken) {
            return waits("another host asks to be taken back as the same agent");
        }
        match tx.certificate(&row.client, &row.agent)? {
            Some(last) if last.ends <= self.now => Ok(Decision::Take { is_approved: false }),
            Some(_) | None => waits("the agent's last certificate has not ended: another host may have it"),
        }
    }

    /// Whether there is room for one more host that asks.
    fn make_room(&self, tx: &mut dyn Tx, row: &AgentRow, asked: &[ReturnRow]) -> Result<bool, DeskError> {
        if asked.len() < ASKING_MAX {
            return Ok(true);
        }
        let may_go = |one: &&ReturnRow| {
            one.state != ReturnState::Approved && self.now.duration_since(one.last_asked) > FORGET_AFTER
        };
        let Some(oldest) = asked.iter().filter(may_go).min_by_key(|one| one.last_asked) else { return Ok(false) };
        tx.delete_return(&row.client, &row.agent, &oldest.key)?;
        Ok(true)
    }

    fn remember(
        &self,
        tx: &mut dyn Tx,
        row: &AgentRow,
        state: ReturnState,
        why: &str,
        decided: Option<(Timestamp, String)>,
    ) -> Result<(), DeskError> {
        let before = tx.returns_of(&row.client, &row.agent)?.into_iter().find(|one| one.key == self.asking.key);
        Ok(tx.put_return(&ReturnRow {
            client: row.client.clone(),
            agent: row.agent.clone(),
            key: self.asking.key,
            host: self.host(),
            address: self.asking.address.to_string(),
            why: why.to_owned(),
            state,
            asked_at: before.map_or(self.now, |before| before.asked_at),
            last_asked: self.now,
            decided,
        })?)
    }

    fn note(&self, tx: &mut dyn Tx, row: &AgentRow, what: &str) -> Result<(), DeskError> {
        let site: &SiteId = &row.site;
        let detail = json!({ "agent": row.agent, "site": site, "host": self.host(), "address": self.asking.address });
        audit::note(tx, self.now, &Actor::Collector, Some(&row.client), what, &detail)
    }

    fn host(&self) -> String {
        self.asking.request.host.chars().take(255).collect()
    }
}

/// Whether nobody was taken back after this instant.
fn is_newest(asked: &[ReturnRow], at: Timestamp) -> bool {
    let later =
        |one: &ReturnRow| one.state == ReturnState::Taken && one.decided.as_ref().is_some_and(|(on, _)| *on > at);
    !asked.iter().any(later)
}

/// What is told to a host that proves nothing, whether the agent exists or not.
fn nobody() -> Problem {
    let detail = "enrol this host with a link: upheld-collector agent token --client C --site S";
    problem(403, codes::UNKNOWN_AGENT, "no agent is known here by this id and key", detail)
}

fn waiting(row: &AgentRow, why: &str) -> Problem {
    let detail = format!("{why}; a person at the provider lets it in: upheld-collector agent approve {}", row.agent);
    problem(403, codes::RETURN_WAITS, "this host waits to be taken back", &detail)
}
