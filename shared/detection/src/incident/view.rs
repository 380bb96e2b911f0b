//! What [`super::decide()`] is shown: one site, gathered by the caller in one read.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use upheld_model::{AssetClass, AssetId, CheckId, ClientId, ProbeSpec, SiteId};

use super::Incident;

/// One site as far as deciding needs it.
#[derive(Debug, Clone)]
pub struct SiteView {
    /// Whose.
    pub client: ClientId,
    /// Which.
    pub site: SiteId,
    /// Whether the site is still being set up.
    pub stage: Stage,
    /// The assets of the book.
    pub assets: BTreeMap<AssetId, AssetView>,
    /// What each configured check asks; a finding of a check that is not here any more still counts, as `monitoring`.
    pub checks: BTreeMap<CheckId, ProbeSpec>,
    /// Checks whose present state is not known (the agent is silent, or they cannot judge): nothing of theirs resolves.
    pub unknown: BTreeSet<CheckId>,
    /// Every open incident of the site, and each one that was resolved, closed or dismissed within the last
    /// [`super::Rules::look_back`]. Order does not matter.
    pub incidents: Vec<Incident>,
}

/// Whether a site is still being set up (DETECTION 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Everything is measured and listed as found; nothing is ticketed.
    Commissioning,
    /// A person ended commissioning.
    Commissioned {
        /// As of when.
        since: Timestamp,
    },
}

/// One asset as far as deciding needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetView {
    /// What it is.
    pub class: AssetClass,
    /// Whether its failures open at once whatever its class.
    pub is_critical: bool,
}
