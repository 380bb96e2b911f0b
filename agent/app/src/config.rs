//! What the collector may tell this agent to watch: checked as a whole, taken or refused as a whole (SECURITY 2).

use upheld_model::{AgentId, check::SpecError};
use upheld_wire::v1::AgentConfig;

/// The time between two heartbeats while no configuration says otherwise, in milliseconds.
pub(crate) const HEARTBEAT_MS_DEFAULT: u64 = 30_000;
/// The bounds of a heartbeat, in milliseconds (wire v1).
const HEARTBEAT_MS: std::ops::RangeInclusive<u64> = 1_000..=300_000;

/// Why a configuration is refused; the one before stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigRefused {
    /// It is another agent's.
    #[error("it is for agent {theirs}, this is {ours}")]
    Another {
        /// Whose it is.
        theirs: AgentId,
        /// Who this is.
        ours: AgentId,
    },
    /// The heartbeat is outside its bounds.
    #[error("heartbeat_ms is {0}, allowed is 1000 to 300000")]
    Heartbeat(u64),
    /// A check is.
    #[error(transparent)]
    Check(#[from] SpecError),
    /// It cannot be read, for example because of an unknown kind of probe.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// Reads a configuration for `agent` and checks it.
pub(crate) fn read(body: &[u8], agent: &AgentId) -> Result<AgentConfig, ConfigRefused> {
    let config: AgentConfig = serde_json::from_slice(body)?;
    check(&config, agent)?;
    Ok(config)
}

/// Checks a configuration for `agent`.
pub(crate) fn check(config: &AgentConfig, agent: &AgentId) -> Result<(), ConfigRefused> {
    if &config.agent != agent {
        return Err(ConfigRefused::Another { theirs: config.agent.clone(), ours: agent.clone() });
    }
    if !HEARTBEAT_MS.contains(&config.heartbeat_ms) {
        return Err(ConfigRefused::Heartbeat(config.heartbeat_ms));
    }
    upheld_model::check::validate_all(&config.checks)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(agent: &str, heartbeat_ms: u64) -> AgentConfig {
        AgentConfig { version: 1, agent: agent.parse().unwrap(), heartbeat_ms, checks: Vec::new() }
    }

    #[test]
    fn another_agents_configuration_and_a_hammering_heartbeat_are_refused() {
        let ours = "a-1".parse().unwrap();
        check(&config("a-1", 30_000), &ours).unwrap();
        assert!(matches!(check(&config("a-2", 30_000), &ours), Err(ConfigRefused::Another { .. })));
        assert!(matches!(check(&config("a-1", 10), &ours), Err(ConfigRefused::Heartbeat(10))));
    }

    #[test]
    fn an_unknown_kind_of_probe_is_refused_with_its_name() {
        let body = br#"{"version":1,"agent":"a-1","heartbeat_ms":30000,"checks":[{"id":"a/b","probe":{"kind":"exec"},
            "every_ms":1000,"timeout_ms":1000,"fail_after":1,"recover_after":1,"stale_after_ms":4000}]}"#;
        let refused = read(body, &"a-1".parse().unwrap()).unwrap_err();
        assert!(refused.to_string().contains("exec"), "{refused}");
    }
}
