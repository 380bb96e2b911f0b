//! Availability and downtime of an account.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{AssetTime, AvailabilityRow, DowntimeRow, Happened, NoAccount, Question, Stretch, Terms};
use crate::{
    availability::{AssetUptime, Figure, Piece, Rules, Seen, Timeline},
    book::{CreditWhen, Version},
    calendar::Calendar,
    downtime::{self, Downtime, over_s},
    terms::{DowntimePer, LongestDowntime},
    uptime_cases::Tally,
};

/// Every figure of availability of the windows that the period touches.
pub(super) fn availability(terms: &Terms<'_>, happened: &Happened) -> Result<Vec<AvailabilityRow>, NoAccount> {
    let Question { period, as_of, .. } = terms.question;
    let mut rows = Vec::new();
    for (version, _) in terms.in_force(period) {
        let Some(rules) = rules(terms, version)? else { continue };
        for window in terms.own_windows(version, period) {
            let in_force = terms.in_force(window).find(|(other, _)| other.number == version.number);
            let ends = in_force.map_or(window.to, |(_, part)| part.to.min(window.to));
            let passed = in_force.and_then(|(_, part)| part.cut(Stretch { from: Timestamp::MIN, to: as_of }));
            let Some(over) = passed else { continue };
            let covered = happened.assets.iter().filter(|asset| terms.covers(version, &asset.site, &asset.asset));
            for (unit, measured) in rules.measure(over.from, over.to, covered) {
                rows.push(AvailabilityRow {
                    allowed_down_s: allowed_down_s(&rules, &measured.figure, over, ends),
                    unit,
                    version: version.number,
                    window,
                    measured_over: over,
                    is_final: terms.is_final(window),
                    objective: rules.objective,
                    verdict: rules.verdict(&measured.figure),
                    verdict_if_disputes_hold: measured.if_disputes_hold.as_ref().map(|figure| rules.verdict(figure)),
                    measured,
                    unknown: rules.unknown,
                    degraded: rules.degraded,
                    not_proven_above: rules.not_proven_above,
                });
            }
        }
    }
    Ok(rows)
}

/// What may be down of the seconds that were counted over a stretch, and of the covered ones from its end until `ends`.
fn allowed_down_s(rules: &Rules, figure: &Figure, over: Stretch, ends: Timestamp) -> u64 {
    let Tally { up_s, degraded_s, down_s, unknown_s, excluded_s } = figure.tally;
    // A unit of several assets has each second as many times.
    let assets = (up_s + degraded_s + down_s + unknown_s + excluded_s).checked_div(over.seconds()).unwrap_or(0).max(1);
    let to_come = if over.to < ends { rules.coverage.elapsed_s(over.to, ends, &[]) } else { 0 };
    let counted = u128::from(figure.uptime.counted_s()) + u128::from(assets) * u128::from(to_come);
    let (kept, of) = rules.objective.parts();
    u64::try_from(counted * u128::from(of.saturating_sub(kept)) / u128::from(of.max(1))).unwrap_or(u64::MAX)
}

/// How a version measures; `None` where it promises no availability.
fn rules(terms: &Terms<'_>, version: &Version) -> Result<Option<Rules>, NoAccount> {
    let Some(promised) = terms.plan(version).and_then(|plan| plan.availability.as_ref()) else { return Ok(None) };
    let damaged = |why: String| NoAccount::Damaged { why };
    let name = &promised.calendar.value;
    let def = terms.book.calendars.get(name).ok_or_else(|| damaged(format!("there is no calendar `{name}`")))?;
    let calendar = Calendar::compile(def).map_err(|error| damaged(format!("calendar `{name}`: {error}")))?;
    Ok(Some(Rules::of(promised, calendar)))
}

/// Every downtime that has a limit, in the windows that the period touches.
pub(super) fn downtime(terms: &Terms<'_>, happened: &Happened) -> Vec<DowntimeRow> {
    let mut rows = Vec::new();
    for asset in &happened.assets {
        let timeline = until(&asset.timeline, terms.question.as_of);
        let counted = downtime::events(&timeline, &left_out(terms, asset, &|_| true));
        let disputed = is_disputed(asset);
        let if_held = downtime::events(&timeline, &left_out(terms, asset, &|is_disputed| !is_disputed));
        for per in DowntimePer::ALL.iter().copied() {
            let all = downtimes(terms, per, &counted);
            let held = downtimes(terms, per, &if_held);
            for (index, downtime) in all.into_iter().enumerate() {
                let Some(version) = judged_under(terms, &downtime) else { continue };
                if !terms.covers(version, &asset.site, &asset.asset) {
                    continue;
                }
                for (limit, source) in limits(terms, version, asset) {
                    if limit.per != per {
                        continue;
                    }
                    rows.push(DowntimeRow {
                        site: asset.site.clone(),
                        asset: asset.asset.clone(),
                        version: version.number,
                        limit,
                        source,
                        over_s: over_s(limit, &downtime),
                        seconds_if_disputes_hold: disputed
                            .then(|| held.get(index).map_or(downtime.seconds, |held| held.seconds)),
                        is_final: is_final(terms, &timeline, &downtime),
                        downtime,
                    });
                }
            }
        }
    }
    rows.sort_by(|a, b| {
        let key = |row: &DowntimeRow| (row.site.clone(), row.asset.clone(), row.downtime.from, row.source.clone());
        key(a).cmp(&key(b))
    });
    rows
}

/// The downtimes of one kind of limit that the period touches: events that ended in it or go on, and windows.
fn downtimes(terms: &Terms<'_>, per: DowntimePer, events: &[downtime::DownEvent]) -> Vec<Downtime> {
    let Question { period, as_of, .. } = terms.question;
    let windows = match per {
        DowntimePer::Event => {
            let to = as_of.min(period.to);
            let here = events.iter().filter(|event| event.from < period.to && event.to > period.from);
            let here: Vec<_> = here.filter(|event| event.to <= period.to || to == period.to).cloned().collect();
            return downtime::downtimes(per, &here, &terms.zone, period.from, period.from, period.to);
        }
        DowntimePer::Month | DowntimePer::Quarter | DowntimePer::AgreementYear => terms.windows(per, period),
    };
    let cut = |window: Stretch| match terms.question.windows {
        super::Windows::Whole => Some(window),
        super::Windows::Cut => window.cut(period),
    };
    let summed = |window: Stretch| Downtime {
        from: window.from,
        to: window.to,
        per,
        seconds: events.iter().map(|event| event.within(window.from, window.to)).sum(),
    };
    windows.into_iter().filter_map(cut).map(summed).collect()
}

/// An event counts under the version in force when it began, a window under the last one in force within it.
fn judged_under<'a>(terms: &Terms<'a>, downtime: &Downtime) -> Option<&'a Version> {
    match downtime.per {
        DowntimePer::Event => terms.agreement.in_force(downtime.from).next(),
        DowntimePer::Month | DowntimePer::Quarter | DowntimePer::AgreementYear => {
            let window = Stretch { from: downtime.from, to: downtime.to.min(terms.question.as_of) };
            terms.in_force(window).last().map(|(version, _)| version)
        }
    }
}

fn is_final(terms: &Terms<'_>, timeline: &Timeline, downtime: &Downtime) -> bool {
    let window = Stretch { from: downtime.from, to: downtime.to };
    match downtime.per {
        DowntimePer::Event => {
            // An event that reaches the end of what was seen may go on.
            let seen_to = timeline.pieces().last().map_or(downtime.to, |last| last.to);
            terms.is_final(window) && downtime.to < seen_to
        }
        DowntimePer::Month | DowntimePer::Quarter | DowntimePer::AgreementYear => terms.is_final(window),
    }
}

/// The limits of one asset: its own, and those of the plan's credits for the classes that are measured.
fn limits(terms: &Terms<'_>, version: &Version, asset: &AssetUptime) -> Vec<(LongestDowntime, String)> {
    let own = terms.agreement.terms_of(&asset.site, &asset.asset).and_then(|terms| terms.longest_downtime);
    let mut found: Vec<(LongestDowntime, String)> =
        own.map(|limit| (limit, "asset_terms".to_owned())).into_iter().collect();
    let Some(plan) = terms.plan(version) else { return found };
    let is_measured =
        plan.availability.as_ref().is_none_or(|rules| rules.class.is_empty() || rules.class.contains(&asset.class));
    if is_measured || own.is_some() {
        for (index, credit) in plan.credits.iter().enumerate() {
            match credit.when {
                CreditWhen::DowntimeAbove(limit) => found.push((limit, format!("credit {}", index + 1))),
                CreditWhen::AvailabilityBelow(_) | CreditWhen::Missed(_) => {}
            }
        }
    }
    found
}

/// What is left out of an asset's downtime, under each version while that is in force.
fn left_out(terms: &Terms<'_>, asset: &AssetUptime, keep: &dyn Fn(bool) -> bool) -> Vec<(Timestamp, Timestamp)> {
    let mut found: BTreeSet<Stretch> = BTreeSet::new();
    let always = Stretch { from: Timestamp::MIN, to: Timestamp::MAX };
    for (version, in_force) in terms.in_force(always) {
        let Some(rules) = terms.plan(version).and_then(|plan| plan.availability.as_ref()) else { continue };
        let notice_s = rules.maintenance_notice_s.map_or(0, |seconds| seconds.0);
        let excludes = |exclusion| rules.exclude.contains(&exclusion);
        let work = asset.maintenance.iter().filter(|window| {
            excludes(crate::book::Exclusion::Maintenance) && keep(window.is_disputed) && window.agreed(notice_s).is_ok()
        });
        let causes = asset.causes.iter().filter(|span| excludes(span.cause) && keep(span.is_disputed));
        let all = work
            .map(|window| Stretch { from: window.from, to: window.to })
            .chain(causes.map(|span| Stretch { from: span.from, to: span.to }));
        found.extend(all.filter_map(|stretch| stretch.cut(in_force)));
    }
    found.into_iter().map(|stretch| (stretch.from, stretch.to)).collect()
}

fn is_disputed(asset: &AssetUptime) -> bool {
    asset.maintenance.iter().any(|window| window.is_disputed) || asset.causes.iter().any(|span| span.is_disputed)
}

/// Every covered asset's time within the period.
pub(super) fn of_assets(terms: &Terms<'_>, happened: &Happened) -> Vec<AssetTime> {
    let Question { period, as_of, .. } = terms.question;
    let covered = happened
        .assets
        .iter()
        .filter(|asset| terms.in_force(period).any(|(version, _)| terms.covers(version, &asset.site, &asset.asset)));
    let to = period.to.min(as_of).max(period.from);
    let of_asset = |asset: &AssetUptime| {
        let sums = asset.timeline.sums(period.from, to);
        let price = terms.agreement.terms_of(&asset.site, &asset.asset).and_then(|terms| terms.cost_of_downtime);
        let down = asset.timeline.pieces().iter().filter(|piece| piece.state == Seen::Down);
        let down =
            down.filter_map(|piece| Stretch { from: piece.from, to: piece.to }.cut(Stretch { from: period.from, to }));
        AssetTime {
            site: asset.site.clone(),
            asset: asset.asset.clone(),
            class: asset.class,
            cost_of_downtime: price.and_then(|price| downtime::cost(price, sums.down_s).ok()),
            sums,
            down: down.collect(),
        }
    };
    let mut rows: Vec<AssetTime> = covered.map(of_asset).collect();
    rows.sort_by(|a, b| (&a.site, &a.asset).cmp(&(&b.site, &b.asset)));
    rows
}

/// A timeline as it was known by an instant.
fn until(timeline: &Timeline, as_of: Timestamp) -> Timeline {
    let begun = timeline.pieces().iter().filter(|piece| piece.from < as_of);
    let pieces = begun.map(|piece| Piece { to: piece.to.min(as_of), ..*piece }).collect();
    // Cutting the end off a partition leaves one.
    Timeline::new(pieces).unwrap_or_default()
}
