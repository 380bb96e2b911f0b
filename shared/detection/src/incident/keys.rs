//! The two keys of an incident (DELIVERY 3): one names it for ever, one says which open incident it would be.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use upheld_model::{ClientId, Digest, IncidentClass, IncidentKind, SiteId};

use super::{OpeningCause, Root};

/// An incident's name for ever: the same facts make the same key on every collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentKey(pub Digest);

impl IncidentKey {
    /// `H(client, site, asset, check or agent, opening cause)`.
    pub fn new(client: &ClientId, site: &SiteId, root: &Root, cause: &OpeningCause) -> Self {
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        field("upheld-incident/1");
        field(client.as_str());
        field(site.as_str());
        match root {
            Root::Check { check } => {
                field("check");
                field(&check.to_string());
            }
            Root::Agent { agent, host: _ } => {
                field("agent");
                field(agent.as_str());
            }
            Root::Report { id: _, asset } => {
                field("report");
                field(asset.as_ref().map_or("", |asset| asset.as_str()));
            }
            Root::Collector { trouble } => {
                field("collector");
                field(trouble.as_str());
            }
            Root::Drill { agent, id } => {
                field("drill");
                field(agent.as_str());
                field(&id.to_string());
            }
        }
        match cause {
            OpeningCause::Concluded { source, occurrence } => {
                field("concluded");
                field(source);
                field(&occurrence.to_string());
            }
            OpeningCause::Report { id } => {
                field("report");
                field(id);
            }
        }
        Self(Digest(hash.finalize().into()))
    }
}

impl fmt::Display for IncidentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which open incident something belongs to: client, site, subject and kind; no time, severity or text. At most one
/// open incident has it, in the database too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DedupKey(String);

impl DedupKey {
    /// The key of an incident of this kind and class about this root. Failures of one asset share a key whatever the
    /// check; an unstable link and an unstable power supply of one asset do not (DETECTION 3).
    pub fn new(client: &ClientId, site: &SiteId, root: &Root, class: IncidentClass, kind: IncidentKind) -> Self {
        let subject = match root {
            Root::Check { check } => format!("asset/{}", check.asset),
            Root::Agent { agent, host: _ } => format!("agent/{agent}"),
            // Two people who report two things have two incidents; one who joins another's says so.
            Root::Report { id, asset: _ } => format!("report/{id}"),
            Root::Collector { trouble } => format!("collector/{trouble}"),
            // A host that plays again ends what it played before.
            Root::Drill { agent, id: _ } => format!("drill/{agent}"),
        };
        Self(match kind {
            IncidentKind::Down
            | IncidentKind::Degraded
            | IncidentKind::Silent
            | IncidentKind::Lingering
            | IncidentKind::Reported => format!("{client}/{site}/{subject}/{kind}"),
            IncidentKind::Unstable | IncidentKind::AtRisk | IncidentKind::Noncompliant => {
                format!("{client}/{site}/{subject}/{class}/{kind}")
            }
        })
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DedupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tickets, ledgers and replays name an incident by it for ever: a change here would orphan them.
    #[test]
    fn a_key_is_the_same_on_every_collector_and_in_every_version() {
        let root = Root::Check { check: "srv-1/net.tcp".parse().unwrap() };
        let cause = OpeningCause::Concluded {
            source: "finding".to_owned(),
            occurrence: "2026-11-16T16:10:00Z".parse().unwrap(),
        };
        let key = IncidentKey::new(&"northgate".parse().unwrap(), &"plant-2".parse().unwrap(), &root, &cause);
        assert_eq!(key.to_string(), "ebc59d25efeaa5efec98702026fda0c28ad806cb0712e4a2485e6c9c8689cb33");
    }
}
