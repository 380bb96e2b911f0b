//! The name of a present state: what an agent's checks stand at, told once and then called by its name until it changes.
//!
//! The name is made of the content, so it means the same to every collector, also after a restore, and to an agent that
//! began anew. What is held under a name is looked up by making the name of what is held, never by trusting the one that
//! came.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use upheld_model::{CheckId, PresentId};

use super::CheckNow;

/// The name of these states. `None` when they cannot be written, which leaves them without one: they are told in full.
pub fn name(checks: &BTreeMap<CheckId, CheckNow>) -> Option<PresentId> {
    serde_json::to_string(checks).ok().map(|text| name_of(&text))
}

/// The name of states in the text that `serde_json` writes of them.
pub fn name_of(text: &str) -> PresentId {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let mut name = [0; 8];
    name.copy_from_slice(&digest[..8]);
    PresentId(name)
}
