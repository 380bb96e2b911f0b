//! Secrets of probes on their way to an agent, sealed to its key (SECURITY 4): the collector cannot read them.
//!
//! [`super::Delivered::secrets`] says what the collector has; an agent that has another asks `POST /v1/secrets` with its
//! key. An agent that does not know of it never asks, and a collector that does not never says anything.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::SecretName;

/// The most secrets of one site.
pub const SECRETS_MAX: usize = 100;

/// What the collector has for an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsAt {
    /// Changes with every change of what is sealed for the agent's site.
    pub version: u64,
    /// The agent's key that it knows, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// `POST /v1/secrets` at the data door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsRequest {
    /// The public part of the agent's X25519 key, 64 hexadecimal digits.
    pub key: String,
}

/// All that is sealed to that key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsAnswer {
    /// [`SecretsAt::version`].
    pub version: u64,
    /// By name, each name once; what was removed is not there.
    #[serde(default)]
    pub boxes: Vec<SealedSecret>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// Its name.
    pub name: SecretName,
    /// The box, hexadecimal: it opens for one agent, site and name.
    pub sealed: String,
    /// When it was set.
    pub set_at: Timestamp,
}
