//! Secrets of a site's probes, sealed to the site's agents as they are typed (SECURITY 4).
//!
//! What is stored opens on the agents alone. An agent tells its key when its collector says that it has another or none
//! ([`SecretsAt`]); one that was enrolled after a secret was set lacks it until it is set again.

use getrandom::SysRng;
use jiff::Timestamp;
use rand_core::UnwrapErr;
use serde::Serialize;
use serde_json::json;
use upheld_model::{AgentId, ClientId, SecretName, SiteId};
use upheld_sealing::{PublicKey, Purpose, ValueError, check_value};
use upheld_store::{
    ReadTx, StoreError,
    agents::{AgentRow, AgentStatus},
    sealed::{BoxRow, SealedRow},
};
use upheld_wire::v1::secrets::{SECRETS_MAX, SealedSecret, SecretsAnswer, SecretsAt};
use zeroize::Zeroizing;

use crate::{Actor, AgentPeer, Desk, DeskError, audit, clock, random};

/// Why a secret cannot be set, shown or removed. Nothing was changed, and nothing of the value is in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SealedError {
    /// The desk could not answer.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The text is no secret.
    #[error("this is not taken as a secret: {0}")]
    Value(ValueError),
    /// A site has as many as it may have.
    #[error("{site} has {SECRETS_MAX} secrets already; remove one: upheld-collector secret remove {site}/NAME")]
    TooMany {
        /// `client/site`.
        site: String,
    },
    /// There is nobody to seal to, and nothing is kept that could be read here.
    #[error("{site} has no agent to which a secret can be sealed: {why}")]
    Nobody {
        /// `client/site`.
        site: String,
        /// Why not, and what to do.
        why: String,
    },
    /// There is no such secret.
    #[error("{site} has no sealed secret {name}: see `upheld-collector secret list {site}`")]
    NoSuchSecret {
        /// `client/site`.
        site: String,
        /// The name.
        name: SecretName,
    },
}

impl From<StoreError> for SealedError {
    fn from(error: StoreError) -> Self {
        Self::Desk(error.into())
    }
}

/// One secret of a site, for lists. Its value is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealedView {
    /// Its name.
    pub name: SecretName,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
    /// The agents that can open it.
    pub sealed_to: Vec<AgentId>,
    /// Active agents of the site that lack it, and why.
    pub lacking: Vec<Lacking>,
}

/// An agent without a secret of its site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lacking {
    /// Which.
    pub agent: AgentId,
    /// Its host's name.
    pub host: String,
    /// Why.
    pub why: LackingWhy,
}

/// Why an agent lacks a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LackingWhy {
    /// It has told no key: it is older than sealing, or was not heard since it can.
    NoKey,
    /// It was enrolled, or made its key anew, after the secret was set.
    SetBefore,
}

/// What an agent is told with each report.
pub(crate) fn at(tx: &dyn ReadTx, peer: &AgentPeer) -> Result<SecretsAt, DeskError> {
    let version = tx.sealed_version(&peer.client, &peer.site)?;
    Ok(SecretsAt { version, key: tx.sealing_key(&peer.client, &peer.agent)? })
}

impl Desk {
    /// Seals a secret to the site's active agents, in the place of one of that name. The value is overwritten before the
    /// answer is given; what is stored cannot be read by the collector.
    pub async fn seal_secret(
        &self,
        client: &ClientId,
        site: &SiteId,
        name: &SecretName,
        value: Zeroizing<String>,
        who: &Actor,
        now: Timestamp,
    ) -> Result<SealedView, SealedError> {
        check_value(&value).map_err(SealedError::Value)?;
        random::is_there()?;
        let now = clock::stored(now);
        self.require_site(client, site).await?;
        let (client, site, name, who) = (client.clone(), site.clone(), name.clone(), who.clone());
        self.store
            .write("desk.seal_secret", move |tx| {
                let known = tx.sealed_secrets(&client, &site)?;
                if known.len() >= SECRETS_MAX && !known.iter().any(|row| row.name == name) {
                    return Err(SealedError::TooMany { site: place(&client, &site) });
                }
                let mut boxes = Vec::new();
                for AgentRow { agent, .. } in active(tx, &client, &site)? {
                    let Some(text) = tx.sealing_key(&client, &agent)? else { continue };
                    let Ok(key) = text.parse::<PublicKey>() else { continue };
                    let purpose = Purpose { client: &client, site: &site, agent: &agent, name: &name };
                    // A key to which nothing can be sealed is as good as none.
                    let Ok(sealed) = upheld_sealing::seal(&key, purpose, &value, &mut UnwrapErr(SysRng)) else {
                        continue;
                    };
                    let sealed = sealed.as_str().to_owned();
                    boxes.push(BoxRow { name: name.clone(), agent, key: text, sealed });
                }
                if boxes.is_empty() {
                    return Err(nobody(tx, &client, &site)?);
                }
                let set_by = who.id(tx)?;
                tx.put_sealed(&client, &site, &SealedRow { name: name.clone(), set_at: now, set_by }, &boxes)?;
                let agents: Vec<&AgentId> = boxes.iter().map(|one| &one.agent).collect();
                let detail = json!({ "site": site, "secret": name, "agents": agents });
                audit::note(tx, now, &who, Some(&client), "secret.set", &detail)?;
                let views = views(&*tx, &client, &site)?;
                views.into_iter().find(|view| view.name == name).ok_or_else(|| no_such(&client, &site, &name))
            })
            .await
    }

    /// A site's sealed secrets, by name.
    pub async fn sealed_secrets(&self, client: &ClientId, site: &SiteId) -> Result<Vec<SealedView>, SealedError> {
        self.require_site(client, site).await?;
        let (client, site) = (client.clone(), site.clone());
        Ok(self.store.read("desk.sealed_secrets", move |tx| views(tx, &client, &site)).await?)
    }

    /// Removes a secret from the site's agents; each forgets it at its next report.
    pub async fn remove_secret(
        &self,
        client: &ClientId,
        site: &SiteId,
        name: &SecretName,
        who: &Actor,
        now: Timestamp,
    ) -> Result<(), SealedError> {
        let now = clock::stored(now);
        let (client, site, name, who) = (client.clone(), site.clone(), name.clone(), who.clone());
        self.store
            .write("desk.remove_secret", move |tx| {
                if !tx.remove_sealed(&client, &site, &name)? {
                    return Err(no_such(&client, &site, &name));
                }
                let detail = json!({ "site": site, "secret": name });
                Ok(audit::note(tx, now, &who, Some(&client), "secret.removed", &detail)?)
            })
            .await
    }

    /// What is sealed to an agent's key, which is noted.
    pub async fn secrets_for(
        &self,
        peer: &AgentPeer,
        key: PublicKey,
        now: Timestamp,
    ) -> Result<SecretsAnswer, DeskError> {
        let now = clock::stored(now);
        let AgentPeer { client, site, agent } = peer.clone();
        self.store
            .write("desk.secrets_for", move |tx| {
                let text = key.to_string();
                if tx.put_sealing_key(&client, &agent, &text, now)? {
                    let detail = json!({ "agent": agent, "key": text });
                    audit::note(tx, now, &Actor::Collector, Some(&client), "agent.sealing-key", &detail)?;
                }
                let set = tx.sealed_secrets(&client, &site)?;
                let boxes =
                    tx.sealed_boxes(&client, &site)?.into_iter().filter(|one| one.agent == agent && one.key == text);
                let boxes = boxes.filter_map(|BoxRow { name, sealed, .. }| {
                    let set_at = set.iter().find(|row| row.name == name)?.set_at;
                    Some(SealedSecret { name, sealed, set_at })
                });
                Ok(SecretsAnswer { boxes: boxes.collect(), version: tx.sealed_version(&client, &site)? })
            })
            .await
    }

    async fn require_site(&self, client: &ClientId, site: &SiteId) -> Result<(), DeskError> {
        let book = self.current_book().await?;
        let known = book.book.site(client, site);
        known.map(|_| ()).ok_or_else(|| DeskError::NoSuchPlace(place(client, site)))
    }
}

fn place(client: &ClientId, site: &SiteId) -> String {
    format!("{client}/{site}")
}

fn no_such(client: &ClientId, site: &SiteId, name: &SecretName) -> SealedError {
    SealedError::NoSuchSecret { site: place(client, site), name: name.clone() }
}

/// The active agents of a site.
fn active(tx: &dyn ReadTx, client: &ClientId, site: &SiteId) -> Result<Vec<AgentRow>, DeskError> {
    let agents = tx.agents(Some(client))?.into_iter();
    Ok(agents.filter(|row| row.site == *site && row.status == AgentStatus::Active).collect())
}

fn nobody(tx: &dyn ReadTx, client: &ClientId, site: &SiteId) -> Result<SealedError, DeskError> {
    let agents = active(tx, client, site)?;
    let why = if agents.is_empty() {
        format!("none is active; enrol a host: upheld-collector agent token --client {client} --site {site}")
    } else {
        let hosts: Vec<&str> = agents.iter().map(|row| row.host.as_str()).collect();
        format!(
            "{} told no key yet: an agent of this version tells it within a minute of its start; start or upgrade it, and \
             set the secret again",
            hosts.join(", ")
        )
    };
    Ok(SealedError::Nobody { site: place(client, site), why })
}

fn views(tx: &dyn ReadTx, client: &ClientId, site: &SiteId) -> Result<Vec<SealedView>, DeskError> {
    let (agents, boxes) = (active(tx, client, site)?, tx.sealed_boxes(client, site)?);
    let mut keyed = Vec::new();
    for AgentRow { agent, host, .. } in agents {
        let key = tx.sealing_key(client, &agent)?;
        keyed.push((agent, host, key));
    }
    let view = |SealedRow { name, set_at, set_by }: SealedRow| -> Result<SealedView, DeskError> {
        let (mut sealed_to, mut lacking) = (Vec::new(), Vec::new());
        for (agent, host, key) in &keyed {
            let sealed = boxes.iter().find(|one| one.name == name && one.agent == *agent);
            match (key, sealed) {
                (Some(key), Some(sealed)) if sealed.key == *key => sealed_to.push(agent.clone()),
                (Some(_), _) => lacking.push((agent, host, LackingWhy::SetBefore)),
                (None, _) => lacking.push((agent, host, LackingWhy::NoKey)),
            }
        }
        let lacking =
            lacking.into_iter().map(|(agent, host, why)| Lacking { agent: agent.clone(), host: host.clone(), why });
        let set_by = Actor::of(tx, &set_by)?.label();
        Ok(SealedView { name, set_at, set_by, sealed_to, lacking: lacking.collect() })
    };
    tx.sealed_secrets(client, site)?.into_iter().map(view).collect()
}
