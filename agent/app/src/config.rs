//! What the collector may tell this agent to watch, as far as it can be read. Whether it is taken is the engine's
//! judgement; what cannot be read never gets there, and the old one stays (SECURITY 2).

use serde::Deserialize;
use upheld_wire::v1::AgentConfig;

/// The time between two heartbeats while no configuration says otherwise, in milliseconds.
pub(crate) const HEARTBEAT_MS_DEFAULT: u64 = 30_000;

/// A configuration that this version cannot read, for example because of an unknown kind of probe.
#[derive(Debug, thiserror::Error)]
#[error("configuration {version} cannot be read")]
pub(crate) struct UnreadableConfig {
    /// Its version; 0 where not even that can be read.
    pub(crate) version: u64,
    /// What is wrong with it.
    #[source]
    why: serde_json::Error,
}

/// Reads a configuration.
pub(crate) fn read(body: &[u8]) -> Result<AgentConfig, UnreadableConfig> {
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    serde_json::from_slice(body).map_err(|why| UnreadableConfig {
        version: serde_json::from_slice(body).map_or(0, |Version { version }| version),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_of_probe_is_refused_with_its_name_and_the_version() {
        let body = br#"{"version":7,"agent":"a-1","heartbeat_ms":30000,"checks":[{"id":"a/b","probe":{"kind":"exec"},
            "every_ms":1000,"timeout_ms":1000,"fail_after":1,"recover_after":1,"stale_after_ms":4000}]}"#;
        let refused = crate::failure::chain_of(&read(body).unwrap_err());
        assert!(refused.contains("configuration 7") && refused.contains("exec"), "{refused}");
        assert_eq!(read(b"<html>").unwrap_err().version, 0);
    }
}
