//! The other keys that an incident may have been born with.
//!
//! Its key holds the record that opened it: of several that were seen, the one that came first. A collector that lost the
//! commit, and is sent the records again in another order, opens the same incident under another key. Which keys that may
//! have been is known from what is in it. What was concluded from facts (a supply on battery, a silence) has no instant of
//! an agent's own: it is named by the minute, and was named in this one or in one beside it.

use jiff::{SignedDuration, Timestamp};
use upheld_model::{CheckId, ClientId, FindingId, ObservedAt, SiteId};

use super::{Incident, IncidentKey, OpeningCause, Root};

/// An instant that differs by what brought it is held by keys to the minute, and its neighbours are asked for too.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// What concludes an incident that no finding began ([`crate::correlate`]); `unstable/CLASS` is another one.
const CONCLUSIONS: &[&str] = &["on-battery", "transfer", "boot", "link-drop", "off", "lingering"];

impl IncidentKey {
    /// The key of what a check found itself, by the first bad sample's instant as its agent said it: the corrected one
    /// depends on the upload, and what is sent again after a database lost it would have another ticket.
    pub(super) fn found(client: &ClientId, site: &SiteId, check: &CheckId, first_bad: ObservedAt) -> Self {
        let cause = OpeningCause::Concluded { source: "finding".to_owned(), occurrence: first_bad.0 };
        Self::new(client, site, &Root::Check { check: check.clone() }, &cause)
    }
}

impl OpeningCause {
    /// What was concluded of an instant that a collector corrected, or stamped itself: of the minute in which it lies.
    pub(crate) fn concluded(source: String, at: Timestamp) -> Self {
        let minute = at.as_second().div_euclid(60) * 60;
        Self::Concluded { source, occurrence: Timestamp::from_second(minute).unwrap_or(at) }
    }
}

impl Incident {
    /// The keys that it would have, had something else of it come first; without its own. What it was concluded from comes
    /// first, then what failed on its own asset, and what failed earlier before what failed later; so many at most, since a
    /// month of failures has more names than anybody can be asked for.
    pub fn known_as(&self, most: usize) -> Vec<IncidentKey> {
        let is_own = |id: &FindingId| Some(&id.check.asset) == self.root.asset();
        let mut findings: Vec<_> = self.symptoms.iter().collect();
        findings.sort_by_key(|(id, symptom)| (!is_own(id), symptom.started.not_after, *id));
        let found = |check, id: &FindingId| IncidentKey::found(&self.client, &self.site, check, id.first_bad);
        // Of one asset the check that was confirmed first names the incident, and the first bad sample of any dates it.
        let own: Vec<&FindingId> = findings.iter().map(|(id, _)| *id).filter(|id| is_own(id)).collect();
        let crossed = own.iter().flat_map(|id| own.iter().map(|other| found(&other.check, id)));
        let by_findings = findings.iter().map(|(id, _)| found(&id.check, id)).chain(crossed);
        let mut keys: Vec<IncidentKey> = Vec::new();
        for key in self.concluded_about_then().into_iter().chain(by_findings) {
            if keys.len() >= most {
                break;
            }
            if key != self.key && !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The keys of what it was concluded from, in the minute that the facts say and in those beside it.
    fn concluded_about_then(&self) -> Vec<IncidentKey> {
        let judged = self.judged.unwrap_or(self.key);
        let at = match &self.root {
            Root::Agent { .. } => self.started.not_before.unwrap_or(self.started.not_after),
            Root::Check { .. } | Root::Report { .. } | Root::Collector { .. } | Root::Drill { .. } => {
                self.started.not_after
            }
        };
        let key = |root: &Root, source: &str, by: SignedDuration| {
            let cause = OpeningCause::concluded(source.to_owned(), at.saturating_add(by).unwrap_or(at));
            IncidentKey::new(&self.client, &self.site, root, &cause)
        };
        let Some((root, source)) =
            self.conclusions().into_iter().find(|(root, source)| key(root, source, SignedDuration::ZERO) == judged)
        else {
            return Vec::new();
        };
        [SignedDuration::ZERO, -MINUTE, MINUTE].into_iter().map(|by| key(&root, &source, by)).collect()
    }

    /// What it may have been concluded from, and about what.
    fn conclusions(&self) -> Vec<(Root, String)> {
        match &self.root {
            Root::Agent { agent, host: _ } => vec![(self.root.clone(), format!("silence/{agent}"))],
            Root::Check { check } => {
                let unstable = format!("unstable/{}", self.class);
                let sources = CONCLUSIONS.iter().map(|source| (*source).to_owned()).chain([unstable]);
                let named = |source: String| {
                    // A cause that no check saw has its own name in the place of one.
                    let own = source.parse().ok().map(|name| CheckId { asset: check.asset.clone(), name });
                    let checks = [Some(check.clone()), own].into_iter().flatten();
                    checks.map(move |check| (Root::Check { check }, source.clone()))
                };
                sources.flat_map(named).collect()
            }
            Root::Report { .. } | Root::Collector { .. } | Root::Drill { .. } => Vec::new(),
        }
    }
}
