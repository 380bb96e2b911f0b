//! When a site must be judged again although nothing arrives.

use std::{collections::BTreeSet, time::Duration};

use jiff::{Timestamp, ToSpan as _};
use upheld_model::AssetClass;

use super::{AssetView, Rules, open_after};
use crate::{
    correlate::ON_BATTERY,
    facts::SiteFacts,
    plan::{Site, plus, settle},
};

const DAY: Duration = Duration::from_secs(86_400);

/// The next instant after the facts' own at which the judgement may be another one: the end of a wait, of a time to
/// settle, of a watch, of a quiet day, or the site's midnight. It may be too early, never too late.
pub fn next_wake(site: &Site, facts: &SiteFacts, rules: &Rules) -> Option<Timestamp> {
    let mut next = Next { after: facts.until, at: None };
    let settles: BTreeSet<Duration> = site.assets.values().map(|asset| settle(asset.class)).collect();
    // The end of a watch over what was restored, and over what did not come back then.
    let over = |next: &mut Next, at: Timestamp| {
        next.take(at);
        next.take(plus(at, rules.watch));
    };
    let cleared = |next: &mut Next, at: Timestamp| {
        over(next, at);
        settles.iter().for_each(|settle| over(next, plus(at, *settle)));
    };
    for (check, own) in &facts.checks {
        let asset = site.assets.get(&check.asset);
        for finding in &own.findings {
            if let Some(asset) = asset {
                let view = AssetView { class: asset.class, is_critical: asset.is_critical };
                next.take(plus(finding.detected, open_after(&view)));
                // What is told as a restart began with what failed before it.
                next.take(plus(finding.started.not_after, settle(asset.class)));
                next.take(plus(finding.detected, settle(asset.class)));
                asset.max_wait.into_iter().for_each(|wait| over(&mut next, plus(finding.detected, wait)));
                if finding.ended.is_none() {
                    next.take_all(asset.missed_at(facts.until));
                    next.take_all(asset.maintained_until(facts.until));
                }
            }
            let restored = finding.restored();
            restored.into_iter().for_each(|at| cleared(&mut next, at));
            next.take(plus(restored.unwrap_or(finding.detected), DAY));
        }
        for stretch in &own.on_battery {
            let lasted = plus(stretch.from.not_after, ON_BATTERY);
            next.take(lasted);
            // Then it is no part any more of what is unstable.
            let begins = [Some(stretch.from.not_after), Some(lasted), stretch.low];
            let settle = settle(asset.map_or(AssetClass::Other, |asset| asset.class));
            begins.into_iter().flatten().for_each(|at| next.take(plus(at, settle)));
            stretch.until.into_iter().for_each(|at| cleared(&mut next, at));
        }
        for count in &own.counts {
            cleared(&mut next, count.at);
            next.take(plus(count.at, DAY));
        }
        for span in &own.degraded {
            next.take(plus(span.from, DAY * 7));
            next.take(plus(span.from, rules.lingering_after));
            next.take(plus(span.to, DAY * 7));
        }
    }
    for boot in &facts.boots {
        cleared(&mut next, boot.at);
    }
    for off in &facts.off {
        let asset = site.assets.get(&off.asset);
        if let Some((asset, missed)) = asset.and_then(|asset| Some((asset, asset.missed_at(off.from)?))) {
            next.take(missed);
            next.take(plus(missed, settle(asset.class)));
        }
        off.until.into_iter().for_each(|at| cleared(&mut next, at));
    }
    if !facts.checks.is_empty() {
        next.take_all(midnight(site, facts.until));
    }
    next.at
}

/// The begin of the site's next day: patterns of hours are looked for then.
fn midnight(site: &Site, after: Timestamp) -> Option<Timestamp> {
    let tomorrow = site.zone.to_datetime(after).date().checked_add(1.day()).ok()?;
    Some(tomorrow.to_zoned(site.zone.clone()).ok()?.timestamp())
}

struct Next {
    after: Timestamp,
    at: Option<Timestamp>,
}

impl Next {
    fn take(&mut self, at: Timestamp) {
        if at > self.after && self.at.is_none_or(|known| at < known) {
            self.at = Some(at);
        }
    }

    fn take_all(&mut self, at: Option<Timestamp>) {
        at.into_iter().for_each(|at| self.take(at));
    }
}
