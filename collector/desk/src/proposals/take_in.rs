//! A proposal as it comes from an agent: bounded, read item by item, in the place of the one before.

use jiff::Timestamp;
use serde_json::json;
use upheld_model::proposal::{ASSETS_MAX, ProposedAsset};
use upheld_store::proposals::ProposalRow;
use upheld_wire::v1::proposals::{AnyAsset, ProposalAnswer, ProposalRequest};

use super::{Beside, Counts, Place};
use crate::{Actor, AgentPeer, Desk, DeskError, audit, clock};

/// The most lines about what is left out.
const LEFT_OUT_MAX: usize = 20;

impl Desk {
    /// Keeps what a host proposes for its site, which is that of its certificate.
    pub async fn take_proposal(
        &self,
        peer: &AgentPeer,
        request: ProposalRequest,
        now: Timestamp,
    ) -> Result<ProposalAnswer, DeskError> {
        let now = clock::stored(now);
        let (assets, left_out) = fitting(request);
        let (desk, AgentPeer { client, site, agent }) = (self.clone(), peer.clone());
        self.store
            .write("desk.take_proposal", move |tx| {
                let current = desk.shared.books.current(&*tx)?;
                let place = Place { client: &client, site: &site };
                let (known, _) = place.of(&current)?;
                let text = json!(assets).to_string();
                let before = tx.proposals(Some((&client, &site)))?.into_iter().find(|row| row.agent == agent);
                let row = ProposalRow {
                    client: client.clone(),
                    site: site.clone(),
                    agent: agent.clone(),
                    sent_at: now,
                    assets: text,
                };
                tx.put_proposal(&row)?;
                if before.is_none_or(|before| before.assets != row.assets) {
                    let detail = json!({ "site": site, "assets": assets.len(), "left_out": left_out.len() });
                    let who = Actor::Agent(agent.to_string());
                    audit::note(tx, now, &who, Some(&client), "proposal.sent", &detail)?;
                }
                let beside = Beside::of(known, &[row], tx.proposal_decisions(&client, &site)?)?;
                let items = beside.items(&*tx)?;
                let Counts { waiting, taken, dismissed } = Counts::of(&items);
                Ok(ProposalAnswer {
                    place: place.to_string(),
                    waiting,
                    watched: beside.watched,
                    taken,
                    dismissed,
                    left_out,
                })
            })
            .await
    }
}

/// What may be shown to a person, and what may not, with why.
fn fitting(request: ProposalRequest) -> (Vec<ProposedAsset>, Vec<String>) {
    let (mut fitting, mut left_out) = (Vec::new(), Vec::new());
    let mut later = 0;
    let count = request.assets.len();
    for asset in request.assets.into_iter().take(ASSETS_MAX) {
        match asset {
            AnyAsset::Known(asset) => match asset.refused() {
                None => fitting.push(*asset),
                Some(why) => left_out.push(format!("{}: {why}", asset.asset)),
            },
            AnyAsset::Later(_) => later += 1,
        }
    }
    if left_out.len() > LEFT_OUT_MAX {
        let more = left_out.len() - LEFT_OUT_MAX;
        left_out.truncate(LEFT_OUT_MAX);
        left_out.push(format!("and {more} more of that kind"));
    }
    if later > 0 {
        left_out.push(format!(
            "{later} that this collector cannot read: it is older than the agent, or what was sent is no asset"
        ));
    }
    if count > ASSETS_MAX {
        left_out.push(format!("{} of {count}: at most {ASSETS_MAX} assets are kept", count - ASSETS_MAX));
    }
    (fitting, left_out)
}
