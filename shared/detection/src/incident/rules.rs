//! The numbers by which findings become incidents.

use std::time::Duration;

use upheld_model::AssetClass;

use super::AssetView;

/// The times that decisions use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long a restored incident is watched before it resolves by itself. Doubled, a device that fails every
    /// 20 minutes makes one incident and not three, and every resolution is reported that much later.
    pub watch: Duration,
    /// Whether what falls due later is told already.
    pub foresight: Foresight,
    /// How far back resolved incidents belong into [`super::SiteView::incidents`], so that a late relapse finds its own.
    pub look_back: Duration,
    /// How long something may be a little wrong before that is an incident; the client's agreement may say so.
    pub lingering_after: Duration,
}

/// Whether deadlines after the last fact are judged as if nothing else came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foresight {
    /// They are: a replay has nothing else.
    ToTheEnd,
    /// They are not: they are judged when they are due.
    UntilNow,
}

impl Rules {
    /// The rules of a collector that judges again when something falls due.
    pub fn live() -> Self {
        Self { foresight: Foresight::UntilNow, ..Self::default() }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            foresight: Foresight::ToTheEnd,
            watch: Duration::from_secs(15 * 60),
            look_back: Duration::from_secs(31 * 86_400),
            lingering_after: Duration::from_secs(21 * 86_400),
        }
    }
}

/// How long a confirmed failure may pass before it is an incident (DETECTION 3); zero for critical assets.
pub fn open_after(asset: &AssetView) -> Duration {
    if asset.is_critical {
        return Duration::ZERO;
    }
    match asset.class {
        AssetClass::Camera | AssetClass::Workstation => Duration::from_secs(180),
        AssetClass::Ups
        | AssetClass::Switch
        | AssetClass::Gateway
        | AssetClass::InternetLink
        | AssetClass::Recorder
        | AssetClass::AccessPanel
        | AssetClass::Server
        | AssetClass::Other => Duration::ZERO,
    }
}
