//! Jobs with a schedule: what `run` lines say beside what was expected (DETECTION 6).
//!
//! A job of which a trace says nothing at all was not watched by it, and is not judged. Of the others each expected run
//! becomes a reading of its check: done in time is good, failed or missed is bad from when that was sure, unknown is
//! unknown. So failures of jobs become findings and incidents like all others.

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_model::{CheckId, ClientId, Outcome, SiteId, UnknownReason};

use super::{Placed, line::EventWord, trace::Said};
use crate::{
    observe::{Reading, usual_gap},
    plan::plus,
    schedule::{self, Expected, Job, Run, ledger},
    silence::UNKNOWN_AFTER_HEARTBEATS,
    uptime::Span,
};

/// The jobs of each site, by their checks.
pub type Jobs = BTreeMap<(ClientId, SiteId), BTreeMap<CheckId, Job>>;

/// The expected runs of the jobs that a trace tells of.
pub(super) fn runs(at: &Placed<'_>, jobs: &Jobs, period: Span) -> BTreeMap<CheckId, Vec<Expected>> {
    let Some(own) = jobs.get(&(at.site.client.clone(), at.site.site.clone())) else { return BTreeMap::new() };
    let heard = heard(at, period);
    let mut all = BTreeMap::new();
    for (check, job) in own {
        let runs: Vec<Run> = at.said.iter().filter_map(|said| run(check, said)).collect();
        if runs.is_empty() {
            continue;
        }
        let excused = at.site.assets.get(&check.asset).map(|asset| asset.maintenance.clone()).unwrap_or_default();
        let job = Job { since: job.since.max(period.from), ..job.clone() };
        all.insert(check.clone(), ledger(&job, &runs, &heard, &excused, period.to));
    }
    all
}

fn run(check: &CheckId, said: &Said) -> Option<Run> {
    let is_own = said.word == EventWord::Run
        && said.asset.as_deref() == Some(check.asset.as_str())
        && said.check.as_deref() == Some(check.name.as_str());
    let word = match said.reason.as_deref() {
        Some("start") => schedule::Said::Start,
        Some("ok") => schedule::Said::Ok,
        // Any other word, and an exit status that is not 0, is no success.
        Some(_) | None => schedule::Said::Fail,
    };
    is_own.then_some(Run { at: said.at, said: word })
}

/// When the site's agents reported, or have replayed; always, where there are no heartbeats.
fn heard(at: &Placed<'_>, period: Span) -> Vec<Span> {
    let mut beats: Vec<Timestamp> =
        at.said.iter().filter(|said| said.word == EventWord::Heartbeat).map(|said| said.at).collect();
    beats.sort();
    if beats.is_empty() {
        return vec![period];
    }
    let lasts = usual_gap(beats.iter().copied()).saturating_mul(UNKNOWN_AFTER_HEARTBEATS);
    let mut spans: Vec<Span> = Vec::new();
    for beat in beats {
        match spans.last_mut() {
            Some(last) if beat <= last.to => last.to = plus(beat, lasts),
            Some(_) | None => spans.push(Span { from: beat, to: plus(beat, lasts) }),
        }
    }
    spans
}

/// What an expected run says of its check.
pub(super) fn readings(expected: &Expected) -> Vec<Reading> {
    match expected.outcome {
        schedule::Outcome::Pending | schedule::Outcome::Excused => Vec::new(),
        schedule::Outcome::Ok { at } => vec![Reading::new(at, Outcome::Ok)],
        schedule::Outcome::Late { at } => {
            vec![Reading::new(expected.until, Outcome::Bad), Reading::new(at, Outcome::Ok)]
        }
        schedule::Outcome::Failed { at } | schedule::Outcome::Missed { at } => vec![Reading::new(at, Outcome::Bad)],
        schedule::Outcome::Unknown => {
            vec![Reading::new(expected.until, Outcome::unknown(UnknownReason::AgentSilent))]
        }
    }
}
