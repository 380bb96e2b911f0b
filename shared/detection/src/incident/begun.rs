//! An incident that begins with one conclusion or one report, and has nothing else in it yet.

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_model::{Cause, ClientId, IncidentClass, IncidentKind, SiteId};

use super::{Bounds, CauseClaim, DedupKey, Handling, Incident, IncidentKey, IncidentState, OpeningCause, Root, Who};

/// What differs from one such incident to another.
#[derive(Debug, Clone)]
pub struct Begun<'a> {
    /// Whose.
    pub client: &'a ClientId,
    /// Where.
    pub site: &'a SiteId,
    /// What it is about.
    pub class: IncidentClass,
    /// In what way something is wrong.
    pub kind: IncidentKind,
    /// What failed.
    pub root: Root,
    /// What opens it; its key is made of that.
    pub opening: &'a OpeningCause,
    /// The rule that says so, which claims no cause.
    pub rule: &'a str,
    /// One sentence.
    pub title: String,
    /// When the fault began.
    pub started: Bounds,
    /// When it was confirmed.
    pub detected: Timestamp,
    /// When the collector committed it, and opened it.
    pub received: Timestamp,
}

impl Incident {
    /// It is open from the moment at which it was received, people and clocks deal with it, and no finding is in it.
    pub fn begun(begun: Begun<'_>) -> Self {
        let Begun { client, site, class, kind, root, opening, rule, title, started, detected, received } = begun;
        Self {
            key: IncidentKey::new(client, site, &root, opening),
            judged: None,
            dedup: DedupKey::new(client, site, &root, class, kind),
            client: client.clone(),
            site: site.clone(),
            class,
            kind,
            root,
            title,
            started,
            detected,
            received,
            opened: Some(received),
            restored: None,
            state: IncidentState::Open,
            cause: CauseClaim { cause: Cause::Undetermined, confidence_percent: 0, by: Who::Rule(rule.to_owned()) },
            symptoms: BTreeMap::new(),
            handling: Handling::Desk,
            taken_on: None,
            follows: None,
            parent: None,
            evidence_opening: None,
            evidence_restoration: None,
        }
    }
}
