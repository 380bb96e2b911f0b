//! What the certificate authority asks of the ledger: which agents know the next root, whose certificates are about to
//! end, and the audit of what was done to the authority (SECURITY 14).

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_store::{
    agents::{AgentRow, AgentStatus},
    audit::AuditAsked,
    certificates::CertificateRow,
};

use crate::{Actor, AgentPeer, Desk, DeskError, audit, clock};

/// What the audit calls the begin of a change of the root.
pub const ROTATION_BEGUN: &str = "ca.rotation-begun";
/// And its end.
pub const ROTATION_ENDED: &str = "ca.rotation-ended";

/// The most agents that are looked at for an end that is near.
const ENDING_MAX: u32 = 10_000;

/// How far a change of the root has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotationView {
    /// Agents that have used a certificate of the next root, and so know it.
    pub confirmed: usize,
    /// Those that have not, revoked ones left out: each would need a new link if the old root ended now.
    pub missing: Vec<OneAgent>,
    /// Enrolment links that can still be used and name the old root.
    pub links: usize,
}

/// An agent with what matters of its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OneAgent {
    /// Its id.
    pub agent: AgentId,
    /// Whose host it is.
    pub client: ClientId,
    /// Where it stands.
    pub site: SiteId,
    /// The host's own name.
    pub host: String,
    /// Whether it may report.
    pub status: AgentStatus,
    /// When its last certificate ends, as far as that is known.
    pub ends: Option<Timestamp>,
    /// When it last reported.
    pub last_seen: Option<Timestamp>,
}

/// The root that the database knows of: that of the last change that was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootInUse {
    /// Its fingerprint, as links have it.
    pub root: String,
    /// When that was written down.
    pub at: Timestamp,
}

impl RotationView {
    /// Whether nobody would be lost.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.links == 0
    }
}

impl Desk {
    /// Notes that an agent used a certificate of this root (fingerprint): it had stored the root before.
    pub async fn confirm_root(&self, peer: &AgentPeer, root: &str) -> Result<(), DeskError> {
        let (look, wanted) = (peer.clone(), root.to_owned());
        let is_known = self
            .store
            .read("desk.root_known", move |tx| {
                let known = tx.certificate(&look.client, &look.agent)?;
                Ok::<_, DeskError>(known.is_some_and(|known| known.root.as_deref() == Some(&wanted)))
            })
            .await?;
        if is_known {
            return Ok(());
        }
        let (peer, root) = (peer.clone(), root.to_owned());
        self.store
            .write("desk.confirm_root", move |tx| {
                if let Some(known) = tx.certificate(&peer.client, &peer.agent)? {
                    tx.put_certificate(&CertificateRow { root: Some(root), ..known })?;
                }
                Ok(())
            })
            .await
    }

    /// How far the change to the root of this fingerprint has come, which began at `since`.
    pub async fn rotation(&self, root: &str, since: Timestamp, now: Timestamp) -> Result<RotationView, DeskError> {
        let root = root.to_owned();
        self.store
            .read("desk.rotation", move |tx| {
                let mut view = RotationView { confirmed: 0, missing: Vec::new(), links: 0 };
                for row in tx.agents(None)?.into_iter().filter(|row| row.status != AgentStatus::Revoked) {
                    let known = tx.certificate(&row.client, &row.agent)?;
                    if known.as_ref().is_some_and(|known| known.root.as_ref() == Some(&root)) {
                        view.confirmed += 1;
                    } else {
                        let seen = tx.agent_now(&row.client, &row.agent)?.map(|now| now.last_seen);
                        view.missing.push(OneAgent::of(row, known.map(|known| known.ends), seen));
                    }
                }
                let hosts = tx.open_tokens(now)?.into_iter().map(|token| token.created_at);
                let sites = tx.site_tokens()?.into_iter().filter(|token| {
                    token.revoked_at.is_none() && token.expires_at > now && token.uses < token.uses_max
                });
                // A root counts by the second: a link of its first one may name the old root, and is taken for such.
                let named = since.saturating_add(SignedDuration::from_secs(1)).unwrap_or(since);
                view.links = hosts.chain(sites.map(|token| token.created_at)).filter(|made| *made < named).count();
                Ok::<_, DeskError>(view)
            })
            .await
    }

    /// Active agents whose last certificate ends before `cutoff`, the first to end first: each should have renewed
    /// long before.
    pub async fn certificates_ending(&self, cutoff: Timestamp) -> Result<Vec<OneAgent>, DeskError> {
        self.store
            .read("desk.certificates_ending", move |tx| {
                let mut ending = Vec::new();
                for known in tx.certificates_ending(cutoff, ENDING_MAX)? {
                    let row = tx.agent(&known.agent)?.filter(|row| row.status == AgentStatus::Active);
                    if let Some(row) = row {
                        let seen = tx.agent_now(&row.client, &row.agent)?.map(|now| now.last_seen);
                        ending.push(OneAgent::of(row, Some(known.ends), seen));
                    }
                }
                Ok::<_, DeskError>(ending)
            })
            .await
    }

    /// The root of the last change that any collector wrote down; `None` where the first one was never changed.
    pub async fn root_in_use(&self) -> Result<Option<RootInUse>, DeskError> {
        self.store
            .read("desk.root_in_use", |tx| {
                let mut newest: Option<(i64, RootInUse)> = None;
                for what in [ROTATION_BEGUN, ROTATION_ENDED] {
                    let asked = AuditAsked { what: Some(what.to_owned()), ..AuditAsked::default() };
                    let Some((entry, row)) = tx.audit_page(&asked, 1)?.into_iter().next() else { continue };
                    let detail: Value = serde_json::from_str(&row.detail)
                        .map_err(|error| DeskError::unreadable("entry of the audit", &error))?;
                    let Some(root) = detail["root"].as_str() else { continue };
                    if newest.as_ref().is_none_or(|(before, _)| *before < entry) {
                        newest = Some((entry, RootInUse { root: root.to_owned(), at: row.at }));
                    }
                }
                Ok(newest.map(|(_, root)| root))
            })
            .await
    }

    /// Writes down what was done to the certificate authority.
    pub async fn note_authority(
        &self,
        what: &'static str,
        detail: Value,
        who: &Actor,
        now: Timestamp,
    ) -> Result<(), DeskError> {
        let (who, now) = (who.clone(), clock::stored(now));
        self.store.write("desk.note_authority", move |tx| audit::note(tx, now, &who, None, what, &detail)).await
    }
}

impl OneAgent {
    fn of(row: AgentRow, ends: Option<Timestamp>, last_seen: Option<Timestamp>) -> Self {
        let AgentRow { agent, client, site, host, status, .. } = row;
        Self { agent, client, site, host, status, ends, last_seen }
    }
}
