//! Jobs that are expected to run, on the running collector (DETECTION 6): what the book has of them, what became of each
//! expected run, and what that says of their checks.
//!
//! What was said of a run is a fact ([`note`]); what became of an expected one is decided by the function that a replay
//! uses ([`settle`]), stored, and decided again when an agent's journal arrives. Nothing waits in memory: the next
//! deadline goes into the site's row of deadlines. Unknown is never missed: that takes an agent that listened through
//! the whole window, or has replayed it. Where to look next: [`look`] for who listened and what is decided, [`view`]
//! for people.

mod look;
mod seen;
mod view;

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use upheld_agreement::book::{self, Book, JOBS};
use upheld_detection::{
    facts::CheckFacts,
    jobs,
    plan::Site,
    schedule::{Expected, Job, Schedule},
    uptime::Span,
};
use upheld_model::{CheckId, CheckName};
use upheld_store::{
    ReadTx, Tx,
    facts::SiteKey,
    jobs::{ExpectedRow, JobRow},
};

use crate::{DeskError, case::text};

pub(crate) use look::settle;
pub(crate) use seen::{Seen, note};
pub use view::{RunView, RunsAsked};

/// How far back expected runs are decided again: an agent keeps for 30 days what was not taken from it.
const DECIDED_FOR: SignedDuration = SignedDuration::from_hours(35 * 24);
/// How long after its time a job may say that it is done, where the book does not say.
pub(crate) const GRACE: Duration = Duration::from_secs(3_600);

/// A job as it is stored while the book has it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobText {
    pub(crate) schedule: String,
    grace_s: u64,
    time_zone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_by: Option<CheckName>,
}

impl JobText {
    pub(crate) fn of(site: &book::Site, job: &book::JobCheck) -> Self {
        Self {
            schedule: job.schedule.value.clone(),
            grace_s: job.grace.map_or(GRACE.as_secs(), |grace| grace.0),
            time_zone: job.zone.clone().unwrap_or_else(|| site.zone.clone()),
            seen_by: job.seen_by.as_ref().map(|name| name.value.clone()),
        }
    }

    /// The job of this check from an instant on; what is wrong with it where it cannot be read.
    pub(crate) fn job(&self, check: &CheckId, since: Timestamp) -> Result<Job, String> {
        Ok(Job {
            schedule: Schedule::read(&self.schedule).map_err(|error| error.to_string())?,
            zone: TimeZone::get(&self.time_zone).map_err(|error| error.to_string())?,
            grace: Duration::from_secs(self.grace_s),
            since,
            until: Timestamp::MAX,
            seen_by: self.seen_by.clone().map(|name| CheckId { asset: check.asset.clone(), name }),
        })
    }
}

pub(crate) fn read_text(row: &JobRow) -> Result<JobText, DeskError> {
    serde_json::from_str(&row.body).map_err(|error| DeskError::unreadable("job", &error))
}

/// Enters the jobs that a book has and its predecessor had not, or not so, and ends those that it has no more. Called
/// in the transaction that applies the book: the same book again changes nothing.
pub(crate) fn follow_book(tx: &mut dyn Tx, book: &Book, at: Timestamp) -> Result<(), DeskError> {
    for (client, entry) in &book.clients {
        let standing = tx.jobs_in_force(client)?;
        let mut standing: BTreeMap<_, JobRow> =
            standing.into_iter().map(|(site, row)| ((site, row.check.clone()), row)).collect();
        for site in entry.sites.values() {
            let key = SiteKey { client, site: &site.id };
            for job in site.jobs() {
                let body = text("job", &JobText::of(site, job))?;
                match standing.remove(&(site.id.clone(), job.id.clone())) {
                    Some(known) if known.body == body => continue,
                    Some(_) => tx.end_job(key, &job.id, at)?,
                    None => {}
                }
                tx.insert_job(key, &JobRow { check: job.id.clone(), since: at, until: None, body })?;
            }
        }
        for (site, check) in standing.into_keys() {
            tx.end_job(SiteKey { client, site: &site }, &check, at)?;
        }
    }
    Ok(())
}

/// What expected runs say of the jobs of a site in a period.
pub(crate) fn facts(
    tx: &dyn ReadTx,
    plan: &Site,
    period: Span,
    before: SignedDuration,
) -> Result<BTreeMap<CheckId, CheckFacts>, DeskError> {
    let key = SiteKey { client: &plan.client, site: &plan.site };
    let from = period.from.saturating_sub(before).unwrap_or(Timestamp::MIN);
    let mut all = BTreeMap::new();
    for (check, planned) in plan.checks.iter().filter(|(_, check)| is_job(check)) {
        let rows = tx.expected_runs(key, check, from, period.to)?;
        if rows.is_empty() {
            continue;
        }
        let expected = rows.iter().map(read_expected).collect::<Result<Vec<_>, DeskError>>()?;
        let mut facts = jobs::facts(check, planned, &plan.zone, &expected, std::iter::empty(), period.to);
        facts.findings.retain(|finding| finding.restored().is_none_or(|restored| restored >= period.from));
        all.insert(check.clone(), facts);
    }
    Ok(all)
}

/// Whether the check is a job that tells when it ran.
pub(crate) fn is_job(check: &upheld_detection::plan::Check) -> bool {
    JOBS.contains(&check.kind.as_str())
}

fn read_expected(row: &ExpectedRow) -> Result<Expected, DeskError> {
    serde_json::from_str(&row.body).map_err(|error| DeskError::unreadable("expected run", &error))
}
