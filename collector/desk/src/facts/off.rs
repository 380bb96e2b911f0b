//! Assets that were switched off as announced: their failures meanwhile are no findings (DETECTION 3).

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_detection::{
    facts::{FindingFact, Off},
    incident::Bounds,
    silence::LastWords,
};
use upheld_model::{AgentId, AssetId};

use super::{Said, SaidAt};

/// From the last words that say so until the host or its agent started again. `hosts` are the assets on which the
/// site's agents run, as far as that is known.
pub(super) fn stretches(hosts: &BTreeMap<AgentId, AssetId>, said: &[SaidAt]) -> Vec<Off> {
    let mut off = Vec::new();
    for (at, words) in said.iter().enumerate() {
        let Said::Stopping { reason } = &words.said else { continue };
        let Some(host) = hosts.get(&words.agent).filter(|_| LastWords::of(reason) == LastWords::Requested) else {
            continue;
        };
        let is_back = |later: &&SaidAt| match &later.said {
            Said::Started { .. } => later.agent == words.agent,
            Said::Boot { asset, .. } => asset == host,
            Said::Stopping { .. } | Said::Gap { .. } => false,
        };
        let until = said[at + 1..].iter().find(is_back).map(|later| later.at);
        off.push(Off { asset: host.clone(), from: words.at, until });
    }
    off
}

/// What is left of a finding when its asset was off: nothing of one that lay inside, and the rest of one that went on.
pub(super) fn apart(finding: FindingFact, off: &[Off]) -> Option<FindingFact> {
    let begins = finding.started.not_after;
    let is_inside = |off: &&Off| {
        off.asset == finding.id.check.asset && off.from <= begins && off.until.is_none_or(|until| begins < until)
    };
    let Some(inside) = off.iter().find(is_inside) else { return Some(finding) };
    let until = inside.until?;
    finding.restored().is_none_or(|restored| until < restored).then(|| later(finding, until))
}

fn later(finding: FindingFact, from: Timestamp) -> FindingFact {
    FindingFact {
        started: Bounds { not_before: None, not_after: from },
        detected: finding.detected.max(from),
        received: finding.received.max(from),
        ..finding
    }
}

#[cfg(test)]
mod tests {
    use upheld_detection::facts::Ended;
    use upheld_model::{FindingId, ObservedAt};

    use super::*;

    #[test]
    fn what_failed_while_it_was_off_did_not_fail() {
        let off = [Off { asset: "srv-1".parse().unwrap(), from: at(100), until: Some(at(200)) }];
        assert_eq!(apart(finding(110, Some(190)), &off), None);
        assert_eq!(apart(finding(90, Some(190)), &off), Some(finding(90, Some(190))), "it failed before");
        let left = apart(finding(110, Some(300)), &off).unwrap();
        assert_eq!((left.started.not_after, left.detected), (at(200), at(200)));
        let lasting = [Off { until: None, ..off[0].clone() }];
        assert_eq!(apart(finding(110, None), &lasting), None);
    }

    fn finding(begin: i64, end: Option<i64>) -> FindingFact {
        let bounds = |second| Bounds { not_before: None, not_after: at(second) };
        FindingFact {
            id: FindingId { check: "srv-1/net.tcp".parse().unwrap(), first_bad: ObservedAt(at(begin)) },
            started: bounds(begin),
            detected: at(begin + 4),
            received: at(begin + 6),
            ended: end.map(|end| Ended { restored: bounds(end), confirmed: at(end + 4), received: at(end + 6) }),
            recovering: None,
            evidence: None,
            culprit: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
