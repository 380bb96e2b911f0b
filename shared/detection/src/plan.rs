//! What stands at a site, as far as judging what happened there needs it: built by the caller from its book.
//!
//! Plain data without behaviour of its own, so that detection knows no agreement: hours in which an asset is expected
//! to run, agreed windows of work and the longest wait come as instants and durations.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{AssetClass, AssetId, CheckId, ClientId, EdgeKind, SiteId};

use crate::{fold::FoldRule, incident::Stage, kind::CheckKind, uptime::Span};

/// One site.
#[derive(Debug, Clone)]
pub struct Site {
    /// Whose.
    pub client: ClientId,
    /// Which.
    pub site: SiteId,
    /// Its zone: days and hours of patterns are its own.
    pub zone: TimeZone,
    /// Whether it is still being set up.
    pub stage: Stage,
    /// Its assets.
    pub assets: BTreeMap<AssetId, Asset>,
    /// Its checks.
    pub checks: BTreeMap<CheckId, Check>,
}

/// One asset.
#[derive(Debug, Clone)]
pub struct Asset {
    /// What it is.
    pub class: AssetClass,
    /// Whether the agreement calls it critical.
    pub is_critical: bool,
    /// What it hangs on: confirmed edges only.
    pub edges: Vec<(EdgeKind, AssetId)>,
    /// When it is expected to run.
    pub expected: Expected,
    /// Agreed windows of work on it: what fails in them is observed, not ticketed.
    pub maintenance: Vec<Span>,
    /// The longest that an opening of it may be held back (a quarter of its response target); `None` when nothing
    /// is promised.
    pub max_wait: Option<Duration>,
}

impl Asset {
    /// An asset of this class that hangs on nothing.
    pub fn new(class: AssetClass) -> Self {
        Self {
            class,
            is_critical: false,
            edges: Vec::new(),
            expected: Expected::ByClass,
            maintenance: Vec::new(),
            max_wait: None,
        }
    }
}

/// When an asset is expected to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Nobody said: a workstation never, everything else always.
    ByClass,
    /// In these stretches, in order and apart.
    Within(Vec<Span>),
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it asks.
    pub kind: CheckKind,
    /// When to believe it.
    pub rule: FoldRule,
    /// What it is held against.
    pub promised: Promised,
}

/// What the book promises about what a check measures; nothing where it is silent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Promised {
    /// For how many days recordings go back.
    pub retention_days: Option<u32>,
    /// How many days before its end a certificate is renewed.
    pub certificate_days: Option<u16>,
    /// How often a restore is tested.
    pub restore_every: Option<Duration>,
}

/// The usual time that an asset needs to come back after its cause has cleared (DETECTION 4.1). Doubled, what stays
/// down is ticketed that much later; halved, slow devices make an incident each after every dip.
pub fn settle(class: AssetClass) -> Duration {
    Duration::from_secs(match class {
        AssetClass::Recorder => 900,
        AssetClass::Camera => 240,
        AssetClass::Switch => 180,
        AssetClass::AccessPanel => 120,
        AssetClass::Ups
        | AssetClass::Gateway
        | AssetClass::InternetLink
        | AssetClass::Server
        | AssetClass::Workstation
        | AssetClass::Other => 600,
    })
}

/// How long something must be expected and off before it is an incident (DETECTION 3).
const EXPECTED_FOR: Duration = Duration::from_secs(15 * 60);

impl Asset {
    /// The first instant at or after `from` at which it has been expected to run, and off, for 15 minutes since
    /// `from`; `None` when it is not expected again.
    pub fn missed_at(&self, from: Timestamp) -> Option<Timestamp> {
        match &self.expected {
            Expected::ByClass if self.may_be_off() => None,
            Expected::ByClass => Some(plus(from, EXPECTED_FOR)),
            Expected::Within(spans) => {
                let begin = |span: &Span| plus(span.from.max(from), EXPECTED_FOR);
                spans.iter().find(|span| begin(span) <= span.to).map(begin)
            }
        }
    }

    /// Whether it is a workstation of which nobody said when it runs.
    pub fn may_be_off(&self) -> bool {
        self.class == AssetClass::Workstation && self.expected == Expected::ByClass
    }

    /// Whether its failure at this instant is expected to be noticed by anybody.
    pub fn is_expected(&self, at: Timestamp) -> bool {
        match &self.expected {
            Expected::ByClass => true,
            Expected::Within(spans) => spans.iter().any(|span| span.from <= at && at < span.to),
        }
    }

    /// The end of the agreed work in which this instant falls.
    pub fn maintained_until(&self, at: Timestamp) -> Option<Timestamp> {
        self.maintenance.iter().filter(|span| span.from <= at && at < span.to).map(|span| span.to).max()
    }
}

/// Saturates at the end of time rather than fail: a device may claim any instant.
pub(crate) fn plus(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Saturates at the beginning of time.
pub(crate) fn minus(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_shutdown_is_missed_after_a_quarter_of_an_hour_inside_the_expected_hours() {
        let second = |second| Timestamp::from_second(second).unwrap();
        let span = |from, to| Span { from: second(from), to: second(to) };
        let server = Asset::new(AssetClass::Server);
        assert_eq!(server.missed_at(second(100)), Some(second(1_000)));
        assert_eq!(Asset::new(AssetClass::Workstation).missed_at(second(100)), None);
        let desk = Asset { expected: Expected::Within(vec![span(0, 3_600), span(10_000, 20_000)]), ..server };
        assert_eq!(desk.missed_at(second(100)), Some(second(1_000)));
        assert_eq!(desk.missed_at(second(3_000)), Some(second(10_900)), "600 s before the hours end are too few");
        assert_eq!(desk.missed_at(second(30_000)), None);
    }
}
