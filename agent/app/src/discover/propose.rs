//! `discover --propose`: what was found goes to the collector, where a person decides of it.

use upheld_wire::v1::proposals::{AnyAsset, PROPOSAL_BYTES_MAX, ProposalAnswer, ProposalRequest};

use super::proposal::Proposal;
use crate::{
    failure::{Code, Failure},
    state::StateFolder,
    uplink::{Reach, Uplink},
};

/// What helps where nobody takes it.
const BY_HAND: &str = "hand over what it prints: upheld-agent discover > proposal.toml";

pub(super) fn not_enrolled() -> Failure {
    Failure::new(Code::NotEnrolled, "this host is not enrolled, so there is nobody to propose anything to")
        .help("upheld-agent enroll '<link>', or hand over what it prints: upheld-agent discover > proposal.toml")
}

/// Sends what nobody watches; the collector holds it against its book, which may know more than this host.
pub(super) async fn send(
    state: &StateFolder,
    reach: &Reach,
    proposals: &[Proposal],
) -> Result<ProposalAnswer, Failure> {
    let new = proposals.iter().filter(|proposal| proposal.watched_by.is_none());
    let assets = new.map(|proposal| AnyAsset::Known(Box::new(proposal.asset.clone()))).collect();
    let request = ProposalRequest { assets };
    let bytes = serde_json::to_vec(&request).map(|bytes| bytes.len()).unwrap_or(usize::MAX);
    if bytes > PROPOSAL_BYTES_MAX {
        return Err(Failure::new(
            Code::Failed,
            format!("the proposal has {bytes} bytes, at most {PROPOSAL_BYTES_MAX} are taken"),
        )
        .help("look through a part of the network: --network 10.40.0.0/24"));
    }
    let answer = Uplink::open(state, reach)?.propose(&request).await.map_err(|error| {
        Failure::new(Code::Unreachable, "the proposal did not reach the collector").why(error.words()).help(BY_HAND)
    })?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .map_err(|error| Failure::new(Code::Failed, "the collector's answer cannot be read").because(error)),
        404 => {
            Err(Failure::new(Code::Missing, "the collector is older than this agent and takes no proposals")
                .help(BY_HAND))
        }
        429 | 503 => Err(Failure::new(Code::TryAgain, answer.problem().title)
            .help("upheld-agent discover --propose, once more in a minute")),
        _ => {
            let problem = answer.problem();
            Err(Failure::new(Code::Refused, format!("the collector takes no proposal: {}", problem.title))
                .help(BY_HAND))
        }
    }
}

/// What became of it, as comments behind what was found.
pub(super) fn said(answer: &ProposalAnswer) -> Vec<String> {
    let ProposalAnswer { place, waiting, watched, taken, dismissed, left_out } = answer;
    let mut parts = Vec::new();
    let mut part = |count: usize, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    part(*waiting, "for a person to decide");
    part(*taken, "taken before, and not in the book yet");
    part(*dismissed, "dismissed before, nobody is asked again");
    part(*watched, "in the book already");
    let what = if parts.is_empty() { "nothing new".to_owned() } else { parts.join("; ") };
    let mut lines = vec![String::new(), format!("# Proposed to the provider for {place}: {what}.")];
    lines.extend(left_out.iter().map(|why| format!("# Not taken: {why}")));
    if *waiting + *taken > 0 {
        lines
            .push(format!("# There: upheld-collector proposals show {place}, or the portal's page /proposals/{place}"));
    }
    lines
}
