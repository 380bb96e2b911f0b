//! How much of a period something was there, and whether that keeps the objective (TERMS 2, F8, F13).
//!
//! [`Rules::measure`] takes what was seen of some assets and gives a [`Figure`] for each unit of the agreement: asset,
//! class at a site, or site. A figure is whole seconds, so figures add up: that of a site is the sum of its assets',
//! whatever the way in which it is asked. The fraction is exact and is rounded only when shown. Unknown is never up: the
//! formula's treatment of it is a rule of the agreement and stands on the figure. It knows nothing of how faults are
//! found; the partition of time into states is an argument. Instants are cut to the whole second.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{AssetClass, AssetId, SiteId};

use crate::{
    book::{Availability, AvailabilityPer, CountsAs, Exclusion},
    calendar::{Calendar, Why},
    ratio::Ratio,
    uptime_cases::{DegradedAs, Tally, UnknownAs, Uptime, UptimeCase, UptimeState},
};

mod down_when;
mod figure;
mod overlay;
mod timeline;

pub use down_when::{DownWhen, NotACondition};
pub use figure::{Figure, Verdict};
pub use overlay::{ExcludedSpan, Maintenance, NotAgreed};
pub use timeline::{Piece, Seen, Sums, Timeline, TimelineError, UnknownWhy};

/// What was seen of one asset, and what excuses time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetUptime {
    /// Where.
    pub site: SiteId,
    /// Which.
    pub asset: AssetId,
    /// What it is.
    pub class: AssetClass,
    /// What was seen.
    pub timeline: Timeline,
    /// Windows of work.
    pub maintenance: Vec<Maintenance>,
    /// Stretches with a cause that the agreement may leave out.
    pub causes: Vec<ExcludedSpan>,
}

/// What a figure is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Unit {
    /// One asset.
    Asset {
        /// Where.
        site: SiteId,
        /// Which.
        asset: AssetId,
    },
    /// All assets of a class at a site.
    Class {
        /// Where.
        site: SiteId,
        /// Which.
        class: AssetClass,
    },
    /// A site.
    Site {
        /// Which.
        site: SiteId,
    },
}

/// The figure of one unit, and what it would be if the client is right about what he disputes (F13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// As the provider counts.
    pub figure: Figure,
    /// With every disputed exclusion counted; `None` while nothing is disputed.
    pub if_disputes_hold: Option<Figure>,
    /// Windows of work that are not left out, each with its reason.
    pub not_agreed: Vec<(Maintenance, NotAgreed)>,
}

/// How an agreement measures availability, compiled.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The share of time that is promised.
    pub objective: Ratio,
    /// Measured over what.
    pub per: AvailabilityPer,
    /// The classes that are measured; all, when empty.
    pub class: Vec<AssetClass>,
    /// Inside which hours.
    pub coverage: Calendar,
    /// What is left out.
    pub exclude: Vec<Exclusion>,
    /// The notice that maintenance needs, in seconds.
    pub maintenance_notice_s: u64,
    /// How unknown counts.
    pub unknown: CountsAs,
    /// How degraded counts.
    pub degraded: CountsAs,
    /// With more unknown than this the figure proves nothing.
    pub not_proven_above: Option<Ratio>,
}

impl Rules {
    /// The rules of a plan, with the calendar that it names.
    pub fn of(terms: &Availability, coverage: Calendar) -> Self {
        Self {
            objective: terms.objective,
            per: terms.per,
            class: terms.class.clone(),
            coverage,
            exclude: terms.exclude.clone(),
            maintenance_notice_s: terms.maintenance_notice_s.map_or(0, |seconds| seconds.0),
            unknown: terms.unknown,
            degraded: terms.degraded,
            not_proven_above: terms.not_proven_above,
        }
    }

    /// The figures of `[from, to)`, one for each unit that has an asset of a measured class.
    pub fn measure<'a>(
        &self,
        from: Timestamp,
        to: Timestamp,
        assets: impl IntoIterator<Item = &'a AssetUptime>,
    ) -> BTreeMap<Unit, Measured> {
        let period = Period::new(from, to, &self.coverage);
        let mut found: BTreeMap<Unit, Measured> = BTreeMap::new();
        for asset in assets.into_iter().filter(|asset| self.class.is_empty() || self.class.contains(&asset.class)) {
            let measured = self.of_asset(&period, asset);
            match found.entry(self.unit_of(asset)) {
                std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(measured)),
                std::collections::btree_map::Entry::Occupied(mut there) => there.get_mut().add(measured),
            }
        }
        found
    }

    /// Whether a figure keeps the objective.
    pub fn verdict(&self, figure: &Figure) -> Verdict {
        figure.verdict(self.objective, self.not_proven_above)
    }

    fn unit_of(&self, of: &AssetUptime) -> Unit {
        let site = of.site.clone();
        match self.per {
            AvailabilityPer::Asset => Unit::Asset { site, asset: of.asset.clone() },
            AvailabilityPer::Class => Unit::Class { site, class: of.class },
            AvailabilityPer::Site => Unit::Site { site },
        }
    }

    fn of_asset(&self, period: &Period, asset: &AssetUptime) -> Measured {
        let (agreed, not_agreed) = self.agreed_maintenance(asset);
        let causes = asset.causes.iter().filter(|span| self.exclude.contains(&span.cause));
        let left_out: Vec<(Timestamp, Timestamp, bool)> = agreed
            .iter()
            .map(|window| (window.from, window.to, window.is_disputed))
            .chain(causes.map(|span| (span.from, span.to, span.is_disputed)))
            .collect();
        let figure = |keep: &dyn Fn(bool) -> bool| {
            let kept = left_out.iter().filter(|(_, _, is_disputed)| keep(*is_disputed));
            self.figure(period, asset, kept.map(|(from, to, _)| (*from, *to)))
        };
        let is_disputed = left_out.iter().any(|(_, _, is_disputed)| *is_disputed);
        Measured {
            figure: figure(&|_| true),
            if_disputes_hold: is_disputed.then(|| figure(&|is_disputed| !is_disputed)),
            not_agreed,
        }
    }

    /// Maintenance is left out when the agreement excludes it and it was agreed in time.
    pub(crate) fn agreed_maintenance<'a>(
        &self,
        asset: &'a AssetUptime,
    ) -> (Vec<&'a Maintenance>, Vec<(Maintenance, NotAgreed)>) {
        let (mut agreed, mut not_agreed) = (Vec::new(), Vec::new());
        if self.exclude.contains(&Exclusion::Maintenance) {
            for window in &asset.maintenance {
                match window.agreed(self.maintenance_notice_s) {
                    Ok(()) => agreed.push(window),
                    Err(why) => not_agreed.push((window.clone(), why)),
                }
            }
        }
        (agreed, not_agreed)
    }

    fn figure(
        &self,
        period: &Period,
        asset: &AssetUptime,
        left_out: impl Iterator<Item = (Timestamp, Timestamp)>,
    ) -> Figure {
        // An announced shutdown counts nowhere; degraded time does where the agreement excludes it.
        let counts_nowhere = asset.timeline.pieces().iter().filter(|piece| match piece.state {
            Seen::Unknown(UnknownWhy::Off) => true,
            Seen::Degraded => self.degraded == CountsAs::Exclude,
            Seen::Up
            | Seen::Down
            | Seen::Unknown(
                UnknownWhy::AgentSilent
                | UnknownWhy::NotMonitored
                | UnknownWhy::Collector
                | UnknownWhy::Pending
                | UnknownWhy::CannotJudge,
            ) => false,
        });
        let excluded = left_out.chain(counts_nowhere.map(|piece| (piece.from, piece.to)));
        let case = UptimeCase {
            period_s: period.length_s.unsigned_abs(),
            states: period.states(&asset.timeline),
            maintenance: excluded.map(|(from, to)| (period.second(from), period.second(to.max(from)))).collect(),
            coverage: Some(period.coverage.clone()),
            unknown: UnknownAs::Exclude,
            degraded: DegradedAs::AsUp,
        };
        // It refuses a period beyond 2^63 s and windows that end before they begin; neither can be made here.
        let tally = case.tally().unwrap_or_default();
        Figure { uptime: self.counted(&tally), tally }
    }

    fn counted(&self, tally: &Tally) -> Uptime {
        let unknown = match self.unknown {
            CountsAs::Exclude => UnknownAs::Exclude,
            CountsAs::AsUp => UnknownAs::AsUp,
            CountsAs::AsDown => UnknownAs::AsDown,
        };
        let degraded = match self.degraded {
            CountsAs::AsUp => DegradedAs::AsUp,
            // Excluded degraded time is in no state any more.
            CountsAs::AsDown | CountsAs::Exclude => DegradedAs::AsDown,
        };
        tally.counted(unknown, degraded)
    }
}

impl Measured {
    fn add(&mut self, other: Self) {
        let disputed = match (self.if_disputes_hold, other.if_disputes_hold) {
            (None, None) => None,
            (mine, theirs) => Some(mine.unwrap_or(self.figure).plus(theirs.unwrap_or(other.figure))),
        };
        self.figure = self.figure.plus(other.figure);
        self.if_disputes_hold = disputed;
        self.not_agreed.extend(other.not_agreed);
    }
}

/// A period with the hours in which it is measured, as seconds since its beginning.
struct Period {
    from_s: i64,
    length_s: i64,
    coverage: Vec<(i64, i64)>,
}

impl Period {
    fn new(from: Timestamp, to: Timestamp, coverage: &Calendar) -> Self {
        let from_s = crate::clock::whole_second(from).as_second();
        let length_s = (crate::clock::whole_second(to).as_second() - from_s).max(0);
        let mut period = Self { from_s, length_s, coverage: Vec::new() };
        let counted = coverage.segments_lazily(from, to, &[]).filter(|segment| segment.why == Why::Counted);
        period.coverage = counted.map(|segment| (period.second(segment.from), period.second(segment.to))).collect();
        period
    }

    fn second(&self, at: Timestamp) -> i64 {
        crate::clock::whole_second(at).as_second() - self.from_s
    }

    fn states(&self, timeline: &Timeline) -> Vec<(i64, UptimeState)> {
        let state = |seen: Seen| match seen {
            Seen::Up => UptimeState::Up,
            Seen::Degraded => UptimeState::Degraded,
            Seen::Down => UptimeState::Down,
            Seen::Unknown(_) => UptimeState::Unknown,
        };
        let pieces = timeline.pieces().iter().map(|piece| (self.second(piece.from), state(piece.state)));
        let end = timeline.pieces().last().map(|last| (self.second(last.to), UptimeState::None));
        pieces.chain(end).collect()
    }
}

#[cfg(test)]
mod tests;
