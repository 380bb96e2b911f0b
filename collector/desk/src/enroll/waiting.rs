//! Hosts that wait for a person: those that came with a site token, and those that come back where another one may
//! have their identity (SECURITY 11, 15).

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_store::{
    ReadTx, Tx,
    agents::{AgentRow, AgentStatus},
    certificates::{CertificateRow, ReturnRow, ReturnState},
};

use crate::{Actor, Desk, DeskError, Scope, audit, clock};

/// The most that are listed of each kind.
const LISTED_MAX: u32 = 1_000;

/// Why a host waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitsAs {
    /// It came with a site token.
    New,
    /// It asks to be taken back as an agent that is known.
    Returning,
}

/// One host that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingHost {
    /// Why.
    pub waits_as: WaitsAs,
    /// The agent that it is, or says to be.
    pub agent: AgentId,
    /// Whose host it is.
    pub client: ClientId,
    /// Where it stands.
    pub site: SiteId,
    /// The host's own name, as it says.
    pub host: String,
    /// Where it asked from.
    pub address: String,
    /// In words.
    pub why: String,
    /// Tells it apart from other hosts that ask as the same agent; `None` for a new one.
    pub request: Option<String>,
    /// The site token's name; `None` for one that comes back.
    pub token: Option<String>,
    /// When it asked first.
    pub asked_at: Timestamp,
    /// When it asked last; of a new one, which asks with each report, when it came.
    pub last_asked: Timestamp,
}

/// What an approval or a refusal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decided {
    /// A new host reports from here on, or never will.
    New,
    /// A host that comes back is taken with its next question, or never will be.
    Returning,
    /// There was nothing to decide.
    Nothing,
}

/// Why nothing was decided.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DecideError {
    /// A revoked agent stays revoked.
    #[error("{0} was revoked, and a revoked agent never comes back: make a new link, upheld-collector agent token")]
    Revoked(AgentId),
    /// Nobody asked yet, so that it is not known which host would be let in.
    #[error(
        "{0} is in quarantine and no host has asked to be taken back yet; agents ask within five minutes: see \
         `upheld-collector agent pending`"
    )]
    NobodyAsks(AgentId),
    /// More than one host asks.
    #[error("{} hosts ask to be taken back as {agent}: say which one, with --request {}", requests.len(), requests.join(" or --request "))]
    Several {
        /// The agent.
        agent: AgentId,
        /// What tells them apart.
        requests: Vec<String>,
    },
    /// No host that waits has this name.
    #[error("no host that waits as {agent} is called {request}: see `upheld-collector agent pending`")]
    NoSuchRequest {
        /// The agent.
        agent: AgentId,
        /// As it was given.
        request: String,
    },
    /// No such agent, or the store did not answer.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl Desk {
    /// Hosts that wait for a person, the first to ask first.
    pub async fn waiting_hosts(&self, scope: &Scope) -> Result<Vec<WaitingHost>, DeskError> {
        let scope = scope.clone();
        self.store
            .read("desk.waiting_hosts", move |tx| {
                let mut all = Vec::new();
                for arrival in tx.arrivals_waiting(LISTED_MAX)? {
                    let Some(row) = tx.agent(&arrival.agent)?.filter(|row| row.status == AgentStatus::Pending) else {
                        continue;
                    };
                    let token = Some(super::site_token::name_of(&arrival.token));
                    let (asked_at, why) = (arrival.asked_at, "came with a site token".to_owned());
                    let waiting = WaitingHost::of(row, WaitsAs::New, arrival.address, why, asked_at);
                    all.push(WaitingHost { token, ..waiting });
                }
                for asked in tx.returns_in(ReturnState::Waiting, LISTED_MAX)? {
                    let Some(row) = tx.agent(&asked.agent)?.filter(|row| row.status != AgentStatus::Revoked) else {
                        continue;
                    };
                    let request = Some(request_of(&asked));
                    let waiting = WaitingHost::of(row, WaitsAs::Returning, asked.address, asked.why, asked.asked_at);
                    all.push(WaitingHost { request, host: asked.host, last_asked: asked.last_asked, ..waiting });
                }
                all.retain(|waiting| scope.includes(&waiting.client));
                all.sort_by_key(|waiting| waiting.asked_at);
                Ok::<_, DeskError>(all)
            })
            .await
    }

    /// Lets a host in that waits: a new one reports from here on; one that comes back is given its certificate when it
    /// asks next, and every certificate that the agent was given before is void from this moment. `request` says which
    /// one where several ask; the others are refused. An agent that is active and for which nobody asks is [`Decided::Nothing`].
    pub async fn approve_agent(
        &self,
        agent: &AgentId,
        request: Option<&str>,
        who: &Actor,
        now: Timestamp,
    ) -> Result<Decided, DecideError> {
        let case = Case::new(agent, request, who, now);
        self.store.write("desk.approve_agent", move |tx| case.approve(tx)).await
    }

    /// Refuses a host that waits: a new one is revoked, one that comes back is told so for good. An agent that is
    /// active stays so.
    pub async fn refuse_agent(
        &self,
        agent: &AgentId,
        request: Option<&str>,
        who: &Actor,
        now: Timestamp,
    ) -> Result<Decided, DecideError> {
        let case = Case::new(agent, request, who, now);
        self.store.write("desk.refuse_agent", move |tx| case.refuse(tx)).await
    }
}

impl WaitingHost {
    fn of(row: AgentRow, waits_as: WaitsAs, address: String, why: String, asked_at: Timestamp) -> Self {
        let AgentRow { agent, client, site, host, .. } = row;
        let (request, token, last_asked) = (None, None, asked_at);
        Self { waits_as, agent, client, site, host, address, why, request, token, asked_at, last_asked }
    }
}

/// One decision inside its transaction.
struct Case {
    agent: AgentId,
    request: Option<String>,
    who: Actor,
    now: Timestamp,
}

impl Case {
    fn new(agent: &AgentId, request: Option<&str>, who: &Actor, now: Timestamp) -> Self {
        let request = request.map(ToOwned::to_owned);
        Self { agent: agent.clone(), request, who: who.clone(), now: clock::stored(now) }
    }

    fn approve(&self, tx: &mut dyn Tx) -> Result<Decided, DecideError> {
        let row = self.row(tx)?;
        match row.status {
            AgentStatus::Revoked => return Err(DecideError::Revoked(row.agent)),
            AgentStatus::Pending => {
                tx.admit_agent(&row.agent, self.now)?;
                self.decide_arrival(tx, &row, "agent.approved")?;
                return Ok(Decided::New);
            }
            AgentStatus::Active | AgentStatus::Quarantined => {}
        }
        let Some(chosen) = self.chosen(tx, &row)? else {
            return match row.status {
                AgentStatus::Quarantined => Err(DecideError::NobodyAsks(row.agent)),
                AgentStatus::Active | AgentStatus::Pending | AgentStatus::Revoked => Ok(Decided::Nothing),
            };
        };
        // Whatever was given out until now: certificates count by the second, and this second's are meant too.
        let void_before = Timestamp::from_second(self.now.as_second() + 1).unwrap_or(self.now);
        let known = tx.certificate(&row.client, &row.agent)?;
        let (client, agent) = (row.client.clone(), row.agent.clone());
        let ends = known.as_ref().map_or(self.now, |known| known.ends);
        let root = known.and_then(|known| known.root);
        tx.put_certificate(&CertificateRow { client, agent, ends, void_before: Some(void_before), root })?;
        if row.status == AgentStatus::Quarantined {
            tx.change_agent_status(&row.agent, AgentStatus::Quarantined, AgentStatus::Active, self.now)?;
        }
        // Whoever says which host is real has said what the others are.
        let others = tx.returns_of(&row.client, &row.agent)?.into_iter();
        for other in others.filter(|one| one.state == ReturnState::Waiting && one.key != chosen.key) {
            self.settle(tx, other, ReturnState::Refused, "agent.return-refused-by-hand")?;
        }
        self.settle(tx, chosen, ReturnState::Approved, "agent.return-approved")
    }

    fn refuse(&self, tx: &mut dyn Tx) -> Result<Decided, DecideError> {
        let row = self.row(tx)?;
        match row.status {
            AgentStatus::Revoked => return Ok(Decided::Nothing),
            AgentStatus::Pending => {
                tx.change_agent_status(&row.agent, AgentStatus::Pending, AgentStatus::Revoked, self.now)?;
                self.decide_arrival(tx, &row, "agent.refused")?;
                return Ok(Decided::New);
            }
            AgentStatus::Active | AgentStatus::Quarantined => {}
        }
        match self.chosen(tx, &row)? {
            None => Ok(Decided::Nothing),
            Some(chosen) => self.settle(tx, chosen, ReturnState::Refused, "agent.return-refused-by-hand"),
        }
    }

    fn row(&self, tx: &dyn ReadTx) -> Result<AgentRow, DeskError> {
        tx.agent(&self.agent)?.ok_or_else(|| DeskError::NoSuchAgent(self.agent.to_string()))
    }

    /// The host that is meant, of those that wait.
    fn chosen(&self, tx: &dyn ReadTx, row: &AgentRow) -> Result<Option<ReturnRow>, DecideError> {
        let mut waiting = tx.returns_of(&row.client, &row.agent)?;
        waiting.retain(|one| one.state == ReturnState::Waiting);
        if let Some(request) = &self.request {
            let found = waiting.into_iter().find(|one| request_of(one) == *request);
            let none = || DecideError::NoSuchRequest { agent: row.agent.clone(), request: request.clone() };
            return found.map(Some).ok_or_else(none);
        }
        if waiting.len() > 1 {
            let requests = waiting.iter().map(request_of).collect();
            return Err(DecideError::Several { agent: row.agent.clone(), requests });
        }
        Ok(waiting.pop())
    }

    fn settle(
        &self,
        tx: &mut dyn Tx,
        chosen: ReturnRow,
        state: ReturnState,
        what: &str,
    ) -> Result<Decided, DecideError> {
        let by = self.who.id(tx)?;
        let detail = json!({
            "agent": chosen.agent, "host": chosen.host, "address": chosen.address, "request": request_of(&chosen),
        });
        audit::note(tx, self.now, &self.who, Some(&chosen.client), what, &detail)?;
        tx.put_return(&ReturnRow { state, decided: Some((self.now, by)), ..chosen })?;
        Ok(Decided::Returning)
    }

    fn decide_arrival(&self, tx: &mut dyn Tx, row: &AgentRow, what: &str) -> Result<(), DeskError> {
        let by = self.who.id(tx)?;
        tx.decide_arrival(&row.client, &row.agent, self.now, &by)?;
        let detail = json!({ "agent": row.agent, "site": row.site, "host": row.host });
        audit::note(tx, self.now, &self.who, Some(&row.client), what, &detail)
    }
}

/// What a person names a host by that asks to be taken back: eight digits of the hash of its new key.
fn request_of(asked: &ReturnRow) -> String {
    asked.key.0[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<upheld_store::StoreError> for DecideError {
    fn from(error: upheld_store::StoreError) -> Self {
        Self::Desk(error.into())
    }
}
