//! What the collector may tell this agent to watch, as far as it can be read. Whether it is taken is the engine's
//! judgement; what cannot be read never gets there, and the old one stays (SECURITY 2). A single check of a later version
//! is read as one that is not run, and said ([`too_old`]).

use serde::Deserialize;
use upheld_model::ProbeSpec;
use upheld_wire::v1::AgentConfig;

/// So many checks are named; of the others the number is said.
const NAMED_MAX: usize = 5;

/// The time between two heartbeats while no configuration says otherwise, in milliseconds.
pub(crate) const HEARTBEAT_MS_DEFAULT: u64 = 30_000;

/// A configuration that this version cannot read.
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

/// The checks that this version is too old for, as an ailment in words; `None` where it can run all.
pub(crate) fn too_old(config: &AgentConfig) -> Option<String> {
    let later = config.checks.iter().filter(|check| matches!(check.probe, ProbeSpec::Later(_)));
    let all: Vec<String> = later.map(|check| format!("{} ({})", check.id, check.probe.kind())).collect();
    let named = all.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len() {
        0 => None,
        count @ 1..=NAMED_MAX => Some(format!("too old for {count} of its checks: {named}: update upheld-agent")),
        count => {
            let others = count - NAMED_MAX;
            Some(format!("too old for {count} of its checks: {named} and {others} more: update upheld-agent"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(kinds: &[&str]) -> Vec<u8> {
        let check = |kind: &&str| {
            format!(
                r#"{{"id":"a/{kind}","probe":{{"kind":"{kind}"}},"every_ms":1000,"timeout_ms":1000,"fail_after":1,
                    "recover_after":1,"stale_after_ms":4000}}"#
            )
        };
        let checks = kinds.iter().map(check).collect::<Vec<_>>().join(",");
        format!(r#"{{"version":7,"agent":"a-1","heartbeat_ms":30000,"checks":[{checks}]}}"#).into_bytes()
    }

    #[test]
    fn a_check_of_a_later_version_costs_no_other_and_is_said_by_name() {
        let config = read(&body(&["host", "net.quic"])).unwrap();
        assert_eq!(config.checks.len(), 2);
        assert_eq!(
            too_old(&config).unwrap(),
            "too old for 1 of its checks: a/net.quic (net.quic): update upheld-agent"
        );
        assert_eq!(too_old(&read(&body(&["host"])).unwrap()), None);
        let many: Vec<String> = (0..9).map(|n| format!("k{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(too_old(&read(&body(&many)).unwrap()).unwrap().contains("a/k4 (k4) and 4 more"));
    }

    #[test]
    fn what_cannot_be_read_at_all_is_refused_with_its_version() {
        let broken = String::from_utf8(body(&["host"])).unwrap().replace("\"fail_after\":1,", "");
        let refused = crate::failure::chain_of(&read(broken.as_bytes()).unwrap_err());
        assert!(refused.contains("configuration 7") && refused.contains("fail_after"), "{refused}");
        assert_eq!(read(b"<html>").unwrap_err().version, 0);
    }
}
