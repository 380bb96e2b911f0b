//! Which configuration an agent takes (SECURITY 2): its own, with every number within its bounds, or none of it.

use upheld_model::{
    AgentId,
    check::{CHECKS_MAX, SpecError, validate_all},
};
use upheld_wire::v1::AgentConfig;

/// Bounds of [`AgentConfig::heartbeat_ms`].
const HEARTBEAT_MS: std::ops::RangeInclusive<u64> = 1_000..=300_000;

/// What hangs on what: more edges than this no site has, at 2,000 checks.
const EDGES_MAX: usize = 20_000;

/// Why a configuration is refused; the old one stays in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigRefused {
    /// It is another agent's.
    #[error("configuration {version} is for agent {meant}, this is {this}; the collector must send this agent's own")]
    NotMine {
        /// Its version.
        version: u64,
        /// Whose it is.
        meant: AgentId,
        /// Who we are.
        this: AgentId,
    },
    /// The heartbeat is out of bounds.
    #[error("configuration {version}: heartbeat_ms is {heartbeat_ms}, allowed is 1000 to 300000")]
    Heartbeat {
        /// Its version.
        version: u64,
        /// The value.
        heartbeat_ms: u64,
    },
    /// More relations than any site has.
    #[error("configuration {version}: {edges} relations between assets, at most {EDGES_MAX} are allowed")]
    Relations {
        /// Its version.
        version: u64,
        /// How many there were.
        edges: usize,
    },
    /// More jobs than an agent takes checks.
    #[error("configuration {version}: {jobs} jobs, at most {CHECKS_MAX} are allowed")]
    Jobs {
        /// Its version.
        version: u64,
        /// How many there were.
        jobs: usize,
    },
    /// A check is refused.
    #[error("configuration {version} is refused as a whole")]
    Check {
        /// Its version.
        version: u64,
        /// Which check, and why.
        #[source]
        why: SpecError,
    },
}

/// Judges a configuration that came for `agent`.
pub(crate) fn judge(agent: &AgentId, config: &AgentConfig) -> Result<(), ConfigRefused> {
    let version = config.version;
    if config.agent != *agent {
        return Err(ConfigRefused::NotMine { version, meant: config.agent.clone(), this: agent.clone() });
    }
    if !HEARTBEAT_MS.contains(&config.heartbeat_ms) {
        return Err(ConfigRefused::Heartbeat { version, heartbeat_ms: config.heartbeat_ms });
    }
    let relations = &config.relations;
    let edges = relations.parents.values().map(|parents| 1 + parents.len()).sum::<usize>() + relations.critical.len();
    if edges > EDGES_MAX {
        return Err(ConfigRefused::Relations { version, edges });
    }
    if config.jobs.len() > CHECKS_MAX {
        return Err(ConfigRefused::Jobs { version, jobs: config.jobs.len() });
    }
    validate_all(&config.checks).map_err(|why| ConfigRefused::Check { version, why })
}
