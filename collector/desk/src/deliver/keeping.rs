//! What is kept of an upload's samples (`upheld_detection::keep`). It is computed beside the verdict, on a thread that
//! may take its time: where the fold of an agent's samples stands changes only together with the agent's heads.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use upheld_delivery::receiver::{Accepted, Content};
use upheld_detection::{
    keep::{BootReading, Hour, Keeper, Kept},
    observe::Reading,
};
use upheld_model::{
    AgentEvent, AgentId, CheckId,
    mutant::{Rule, is_broken},
};
use upheld_store::{
    ReadTx, Tx,
    facts::{HourRow, SaidRow, SiteKey, StretchRow},
    jobs::JobRunRow,
};

use super::Upload;
use crate::{
    AgentPeer, DeskError,
    case::text,
    facts::{self, Said},
    jobs::Seen,
    plan::checks_of,
};

/// What an upload's samples leave, ready to be written.
#[derive(Default)]
pub(super) struct Keeping {
    kept: Option<String>,
    stretches: Vec<StretchRow>,
    hours: Vec<HourRow>,
    boots: Vec<SaidRow>,
    runs: Vec<JobRunRow>,
    /// Whether judging has something new to look at.
    pub(super) is_news: bool,
    /// Whether an hour got readings after it was over.
    pub(super) is_late: bool,
}

/// Folds the samples of the fresh records.
pub(super) fn keep(tx: &dyn ReadTx, upload: &Upload<'_>, accepted: &Accepted) -> Result<Keeping, DeskError> {
    let has_samples = |content: &Content| matches!(content, Content::Body(body) if !body.samples.is_empty());
    if !accepted.fresh.iter().any(|fresh| has_samples(&fresh.content)) {
        return Ok(Keeping::default());
    }
    let AgentPeer { agent, client, site } = upload.peer;
    let key = SiteKey { client, site };
    let kept: Kept = match tx.kept_now(key, agent)? {
        Some(body) => serde_json::from_str(&body).map_err(|error| DeskError::unreadable("fold of samples", &error))?,
        None => Kept::default(),
    };
    let before = kept.hour().map(|hour| hour.from);
    let mut keeper = Keeper::new(kept, zone(upload));
    let mut seen = Seen::of(tx, key, upload.book.book.site(client, site))?;
    fold(upload, accepted, &mut keeper, &mut seen);
    let runs = seen.into_rows();
    let (kept, over) = keeper.finish();
    let stretch = |(check, stretch): (CheckId, upheld_detection::keep::Stretch)| {
        let seen = text("stretch of samples", &stretch.seen)?;
        let (from, to, received_at) = (stretch.from, stretch.to, stretch.received);
        Ok(StretchRow { check, from, to, agent: agent.clone(), received_at, seen })
    };
    let boot = |boot: upheld_detection::keep::BootSeen| {
        let (after, ended) = (Some(boot.after), boot.ended);
        facts::said_row(agent, boot.at, upload.now, &Said::Boot { asset: boot.check.asset, after, ended })
    };
    Ok(Keeping {
        kept: Some(text("fold of samples", &kept)?),
        stretches: over.stretches.into_iter().map(stretch).collect::<Result<_, DeskError>>()?,
        is_late: over.hours.keys().any(|from| before.is_some_and(|before| *from < before)),
        hours: hour_rows(tx, key, agent, over.hours)?,
        boots: over.boots.into_iter().map(boot).collect::<Result<_, DeskError>>()?,
        is_news: over.is_news || !runs.is_empty(),
        runs,
    })
}

fn zone(upload: &Upload<'_>) -> TimeZone {
    let site = upload.book.book.site(&upload.peer.client, &upload.peer.site);
    site.and_then(|site| TimeZone::get(&site.zone).ok()).unwrap_or(TimeZone::UTC)
}

fn fold(upload: &Upload<'_>, accepted: &Accepted, keeper: &mut Keeper, seen: &mut Seen) {
    let site = upload.book.book.site(&upload.peer.client, &upload.peer.site);
    let checks = site.map(checks_of).unwrap_or_default();
    for (index, moved) in steps_after(upload, accepted) {
        let Content::Body(body) = &accepted.fresh[index].content else { continue };
        for sample in &body.samples {
            let at = upload.corrected(sample.at, moved);
            let reading = Reading { at, received: upload.now, ..Reading::of(sample, upload.now) };
            let boot = BootReading::of(sample);
            seen.take(&upload.peer.agent, &sample.check, &reading);
            let kind = checks.get(&sample.check).map(|check| &check.kind);
            keeper.take(&sample.check, kind, reading, boot);
        }
    }
}

/// Each fresh record with the sum of the steps that the agent's clock made after its samples.
fn steps_after(upload: &Upload<'_>, accepted: &Accepted) -> Vec<(usize, SignedDuration)> {
    let mut moved = upload.set_since();
    let mut all = Vec::with_capacity(accepted.fresh.len());
    for (index, fresh) in accepted.fresh.iter().enumerate().rev() {
        if let Content::Body(body) = &fresh.content {
            for event in &body.events {
                if let AgentEvent::ClockStepped { by_ms, .. } = event
                    && !is_broken(Rule::StepIsCounted)
                {
                    moved = moved.saturating_add(SignedDuration::from_millis(*by_ms));
                }
            }
        }
        all.push((index, moved));
    }
    all.reverse();
    all
}

/// The rows of hours that are over, together with what was known of them.
fn hour_rows(
    tx: &dyn ReadTx,
    key: SiteKey<'_>,
    agent: &AgentId,
    hours: BTreeMap<Timestamp, Hour>,
) -> Result<Vec<HourRow>, DeskError> {
    let mut rows = Vec::new();
    for (from, mut hour) in hours {
        if let Some(body) = tx.hour(key, agent, from)? {
            hour.add(&facts::read_hour(&body)?);
        }
        rows.push(HourRow { from, agent: agent.clone(), body: text("hour", &hour)? });
    }
    Ok(rows)
}

impl Keeping {
    /// Writes it.
    pub(super) fn write(&self, tx: &mut dyn Tx, peer: &AgentPeer) -> Result<(), DeskError> {
        let key = SiteKey { client: &peer.client, site: &peer.site };
        if let Some(kept) = &self.kept {
            tx.put_kept_now(key, &peer.agent, kept)?;
        }
        tx.insert_stretches(key, &self.stretches)?;
        for row in &self.hours {
            tx.put_hour(key, row)?;
        }
        for row in &self.runs {
            tx.insert_job_run(key, row)?;
        }
        for row in &self.boots {
            tx.insert_said(key, row)?;
        }
        Ok(())
    }
}
