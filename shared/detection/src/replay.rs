//! A recorded history through detection, in virtual time (DETECTION 8).
//!
//! The lines come in any order and any number of times; they are facts with a time of their own, so the document does
//! not depend on it. Nothing here reads a file or a book: the caller gives lines ([`Trace`]) and sites
//! ([`crate::plan::Site`]) and gets a [`Document`]. It fails on a line that means nothing and, unless told to infer,
//! on an asset or check that no site has.

mod document;
mod infer;
mod jobs;
mod lenient;
mod line;
mod off;
mod place;
pub mod record;
mod silent;
mod storm;
mod trace;

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_model::{AssetId, CheckId, ClientId, SiteId};

pub use document::{Document, Event, Finding, Incident, Run, Uptime};
pub use jobs::Jobs;
pub use line::LineError;
pub use trace::Trace;

use crate::{
    correlate::{Correlated, Judged, correlate},
    facts::SiteFacts,
    incident::Rules,
    observe::observe,
    plan::Site,
    schedule::Expected,
    uptime::{CheckHistory, Span, partition},
};

/// What to do with an asset or a check that no site has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It is an error.
    Refuse,
    /// Its class follows from its name and its kind, its rule from its kind; it hangs on nothing.
    Infer,
}

/// Why a trace cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Assets or checks that no site has.
    #[error("no site has {}{}; correct the book or the samples, or let them be inferred (--infer)", .names.join(", "), and_more(.names.len(), .count))]
    Unknown {
        /// The first of them.
        names: Vec<String>,
        /// How many there are.
        count: usize,
    },
    /// Several sites have it.
    #[error("{name} is at several sites: {}; say `\"site\"` (and `\"client\"`) on its lines", .sites.join(", "))]
    Ambiguous {
        /// What was named.
        name: String,
        /// Where it is.
        sites: Vec<String>,
    },
}

fn and_more(shown: usize, count: &usize) -> String {
    if *count > shown { format!(" and {} more", count - shown) } else { String::new() }
}

/// Replays a trace over sites.
pub fn replay(trace: &Trace, sites: &[Site], unknown: Unknown) -> Result<Document, ReplayError> {
    replay_with(trace, sites, &Jobs::new(), unknown)
}

/// Replays a trace over sites with the jobs whose runs are expected there.
pub fn replay_with(trace: &Trace, sites: &[Site], jobs: &Jobs, unknown: Unknown) -> Result<Document, ReplayError> {
    let rules = Rules::default();
    let placed = place::place(trace, sites, unknown)?;
    let Some(period) = trace.period() else { return Ok(Document::default()) };
    let mut document = Document::default();
    let mut by_site: Vec<Vec<Judged>> = Vec::new();
    let names = asset_names(&placed);
    for at in &placed {
        let runs = jobs::runs(at, jobs, period);
        runs.iter().for_each(|(check, runs)| document.add_runs(check, runs));
        let facts = facts(at, &runs, period.to);
        let correlated = correlate(&at.site, &facts, &rules);
        document.add_facts(&facts, &correlated);
        document.pages += correlated.pages_taken_in;
        document.uptime.extend(uptime(at, &facts, period, &names));
        let Correlated { incidents: judged, .. } = correlated;
        by_site.push(judged);
    }
    let (silences, silence_pages) = silent::incidents(trace, &placed, &by_site, period.to);
    let of_client = |(at, judged): (&Placed<'_>, Vec<Judged>)| {
        let client = at.site.client.clone();
        judged.into_iter().map(move |incident| (client.clone(), incident))
    };
    let mut incidents: Vec<(ClientId, Judged)> =
        placed.iter().zip(by_site).flat_map(of_client).chain(silences).collect();
    document.pages += silence_pages + storm::brake(&mut incidents);
    document.add_incidents(incidents.into_iter().map(|(_, incident)| incident));
    Ok(document)
}

/// A site with what the trace says about it.
struct Placed<'a> {
    site: Site,
    series: BTreeMap<CheckId, Vec<&'a trace::Series>>,
    said: Vec<&'a trace::Said>,
}

fn facts(at: &Placed<'_>, runs: &BTreeMap<CheckId, Vec<Expected>>, until: Timestamp) -> SiteFacts {
    let spoken = off::spoken(at);
    let mut facts = SiteFacts { until, checks: BTreeMap::new(), boots: spoken.boots, off: spoken.off };
    for (check, series) in &at.series {
        let Some(plan) = at.site.checks.get(check) else { continue };
        let off: Vec<Span> = (facts.off.iter().filter(|off| off.asset == check.asset))
            .map(|off| Span { from: off.from, to: off.until.unwrap_or(Timestamp::MAX) })
            .collect();
        let readings: Vec<_> = series.iter().flat_map(|series| series.readings.iter().cloned()).collect();
        facts.checks.insert(check.clone(), observe(check, plan, &at.site.zone, &readings, &off, until));
    }
    for (check, expected) in runs {
        let Some(plan) = at.site.checks.get(check) else { continue };
        let samples = at.series.get(check).into_iter().flatten().flat_map(|series| series.readings.iter().cloned());
        let judged = crate::jobs::facts(check, plan, &at.site.zone, expected, samples, until);
        facts.checks.insert(check.clone(), judged);
    }
    facts
}

/// Assets as the document names them: by their site too where two sites have one of that name.
fn asset_names(placed: &[Placed<'_>]) -> BTreeMap<(SiteId, AssetId), String> {
    let mut sites: BTreeMap<&AssetId, usize> = BTreeMap::new();
    let all = || placed.iter().flat_map(|at| at.site.assets.keys().map(move |asset| (&at.site.site, asset)));
    all().for_each(|(_, asset)| *sites.entry(asset).or_default() += 1);
    let name = |site: &SiteId, asset: &AssetId| {
        if sites.get(asset).is_some_and(|number| *number > 1) { format!("{site}/{asset}") } else { asset.to_string() }
    };
    all().map(|(site, asset)| ((site.clone(), asset.clone()), name(site, asset))).collect()
}

/// The account of each asset's time, in whole seconds that sum to the period.
fn uptime(
    at: &Placed<'_>,
    facts: &SiteFacts,
    period: Span,
    names: &BTreeMap<(SiteId, AssetId), String>,
) -> BTreeMap<String, Uptime> {
    let whole = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
    let mut all = BTreeMap::new();
    for asset in at.site.assets.keys() {
        let histories: Vec<CheckHistory> = (at.site.checks.keys())
            .filter(|check| check.asset == *asset)
            .map(|check| facts.checks.get(check).map(|facts| facts.history(period.to)).unwrap_or_default())
            .collect();
        let mut sums = Uptime::default();
        for piece in partition(period, &histories) {
            let seconds = whole(piece.span.from).duration_until(whole(piece.span.to)).as_secs();
            sums.add(piece.status, seconds);
        }
        let name = names.get(&(at.site.site.clone(), asset.clone())).cloned();
        all.insert(name.unwrap_or_else(|| asset.to_string()), sums);
    }
    all
}
