//! What a host proposes to watch, for a person at the provider to decide: `POST /v1/proposals`.
//!
//! Client and site are those of the agent's certificate; a request cannot name others. An older collector answers 404.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use upheld_model::proposal::ProposedAsset;

/// The largest request, in bytes.
pub const PROPOSAL_BYTES_MAX: usize = 256 << 10;

/// `POST /v1/proposals` at the data door: all that the host would propose now; it stands in the place of the last one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProposalRequest {
    /// At most [`upheld_model::proposal::ASSETS_MAX`].
    pub assets: Vec<AnyAsset>,
}

/// An asset, or what only a newer version can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnyAsset {
    /// One that can be read.
    Known(Box<ProposedAsset>),
    /// One that cannot; it is counted and left out.
    Later(Value),
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalAnswer {
    /// `client/site`, as the provider calls it.
    pub place: String,
    /// Assets of which something waits for a person.
    pub waiting: usize,
    /// Those that the book in force watches already.
    pub watched: usize,
    /// Those that a person took before, and that the book does not have yet.
    pub taken: usize,
    /// Those that a person dismissed before: nobody is asked again.
    pub dismissed: usize,
    /// What was not kept, with why, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}
