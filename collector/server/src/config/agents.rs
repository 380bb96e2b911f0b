//! How often one agent may ask.

use serde::Deserialize;

/// The known keys.
pub(super) const KEYS: &[&str] = &["requests_per_second", "at_once"];

/// The bounds of one agent's requests (SECURITY 20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AgentBounds {
    /// So many a second in the long run.
    pub(crate) per_second: u32,
    /// So many at once after a rest.
    pub(crate) at_once: u32,
}

impl Default for AgentBounds {
    /// An agent with a month's backlog sends a batch each time the last one is answered: some ten a second.
    fn default() -> Self {
        Self { per_second: 20, at_once: 100 }
    }
}

/// The table as it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    requests_per_second: Option<u32>,
    at_once: Option<u32>,
}

impl AgentBounds {
    pub(super) fn check(raw: &Raw) -> Result<Self, String> {
        let usual = Self::default();
        let per_second = raw.requests_per_second.unwrap_or(usual.per_second);
        let at_once = raw.at_once.unwrap_or(usual.at_once);
        for (name, value) in [("requests_per_second", per_second), ("at_once", at_once)] {
            if !(1..=10_000).contains(&value) {
                return Err(format!("agents.{name} = {value}: from 1 to 10000"));
            }
        }
        Ok(Self { per_second, at_once })
    }
}
