//! The way in: one upload of one agent, answered as DELIVERY 2 orders.

use jiff::Timestamp;
use upheld_wire::v1::{Conflict, DeliverRequest, Delivered, Problem, codes};

use crate::{AgentPeer, Desk, DeskError};

/// The answer to an upload.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliverAnswer {
    /// 200: committed and synced.
    Delivered(Delivered),
    /// 409: nothing was stored.
    Conflict(Conflict),
    /// The problem's own status: nothing was stored.
    Problem(Problem),
}

impl Desk {
    /// Takes one upload. Steps 1 and 3 to 6 of DELIVERY 2 in one transaction; size limits (step 2) are the door's.
    /// The answer is given after the commit. A store that cannot commit is a 503 problem, never a panic.
    pub async fn deliver(&self, peer: &AgentPeer, request: DeliverRequest, now: Timestamp) -> DeliverAnswer {
        let _ = (peer, request, now);
        DeliverAnswer::Problem(unavailable(&DeskError::NotBuilt("deliver")))
    }
}

/// 503: the collector cannot commit; nothing was taken and the agent keeps its records.
pub fn unavailable(error: &DeskError) -> Problem {
    Problem {
        kind: "about:blank".to_owned(),
        title: "the collector cannot store anything at the moment".to_owned(),
        status: 503,
        detail: error.to_string(),
        code: codes::UNAVAILABLE.to_owned(),
    }
}
