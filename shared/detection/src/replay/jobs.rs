//! Jobs with a schedule: what `run` lines, and the samples of the check that sees a job, say beside what was expected
//! (DETECTION 6).
//!
//! A job of which a trace says nothing at all was not watched by it, and is not judged. Of the others each expected run
//! becomes a reading of its check ([`crate::jobs`]), so failures of jobs become findings and incidents like all others.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use upheld_model::{CheckId, ClientId, SiteId};

use super::{Placed, line::EventWord, trace::Said};
use crate::{
    jobs::{Listener, ended, heard},
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
    let beats = beats(at);
    let mut all = BTreeMap::new();
    for (check, job) in own {
        let mut runs = seen(at, job);
        runs.extend(at.said.iter().filter_map(|said| run(check, said)));
        if runs.is_empty() {
            continue;
        }
        let excused = at.site.assets.get(&check.asset).map(|asset| asset.maintenance.clone()).unwrap_or_default();
        let job = Job { since: job.since.max(period.from), ..job.clone() };
        let heard = if beats.is_empty() { vec![period] } else { heard(&listeners(at, check, &beats)) };
        let mut expected = ledger(&job, &runs, &heard, &excused, period.to);
        expected.iter_mut().for_each(|run| run.overdue = known(run.until, &beats));
        all.insert(check.clone(), expected);
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
    is_own.then_some(Run { at: said.at, said: word, received: said.received })
}

/// What the files of the check say by which the job is seen.
fn seen(at: &Placed<'_>, job: &Job) -> Vec<Run> {
    let series = job.seen_by.as_ref().and_then(|check| at.series.get(check)).into_iter().flatten();
    let mut readings: Vec<&Reading> = series.flat_map(|series| &series.readings).collect();
    readings.sort_by_key(|reading| reading.at);
    let mut runs: Vec<Run> = Vec::new();
    for reading in readings {
        let run = ended(reading, runs.last().map(|run| run.at));
        runs.extend(run.map(|at| Run { at, said: schedule::Said::Ok, received: reading.received }));
    }
    runs
}

/// Who was there: each agent's signs of life, with their receipts. None where a trace has no heartbeats.
type Beats<'a> = BTreeMap<Option<&'a str>, Vec<(Timestamp, Timestamp)>>;

fn beats<'a>(at: &Placed<'a>) -> Beats<'a> {
    let mut beats = Beats::new();
    for said in at.said.iter().filter(|said| said.word == EventWord::Heartbeat) {
        beats.entry(said.agent.as_deref()).or_default().push((said.at, said.received));
    }
    beats.values_mut().for_each(|own| own.sort());
    beats
}

/// Each agent: from a sign of life on for as long as three usually take.
fn listeners(at: &Placed<'_>, check: &CheckId, beats: &Beats<'_>) -> Vec<Listener> {
    let spoke = |agent: &Option<&str>| {
        let own = at.said.iter().filter(|said| said.agent.as_deref() == *agent);
        own.filter_map(|said| run(check, said)).map(|run| run.at).max()
    };
    let spans = |own: &[(Timestamp, Timestamp)]| {
        let lasts = lasts(own);
        let mut spans: Vec<Span> = Vec::new();
        for (beat, _) in own {
            match spans.last_mut() {
                Some(last) if *beat <= last.to => last.to = plus(*beat, lasts),
                Some(_) | None => spans.push(Span { from: *beat, to: plus(*beat, lasts) }),
            }
        }
        spans
    };
    beats.iter().map(|(agent, own)| Listener { heard: spans(own), spoke: spoke(agent) }).collect()
}

fn lasts(own: &[(Timestamp, Timestamp)]) -> Duration {
    usual_gap(own.iter().map(|(beat, _)| *beat)).saturating_mul(UNKNOWN_AFTER_HEARTBEATS)
}

/// When it was known that a deadline had passed: then, where somebody was heard about then; else with the first sign of
/// life after it that arrived.
fn known(deadline: Timestamp, beats: &Beats<'_>) -> Timestamp {
    let after = beats.values().filter_map(|own| {
        let (beat, received) = own.iter().find(|(beat, _)| *beat >= deadline)?;
        let is_live = *received <= plus(*beat, lasts(own)) && *beat <= plus(deadline, lasts(own));
        Some(if is_live { deadline } else { (*received).max(deadline) })
    });
    after.min().unwrap_or(deadline)
}
