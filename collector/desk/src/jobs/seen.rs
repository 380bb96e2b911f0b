//! What is said of runs: by jobs themselves, and by the files that the checks see that look at them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_detection::{
    jobs::ended,
    observe::Reading,
    schedule::{Run, Said},
};
use upheld_model::{AgentId, CheckId};
use upheld_store::{ReadTx, Tx, facts::SiteKey, jobs::JobRunRow};

use crate::{AgentPeer, DeskError};

/// How the store names a run that its job told of.
const TOLD: &str = "told";

/// Notes what a job said of a run; whether it was not known.
pub(crate) fn note(
    tx: &mut dyn Tx,
    peer: &AgentPeer,
    job: &CheckId,
    (at, said): (Timestamp, Said),
    received: Timestamp,
) -> Result<bool, DeskError> {
    let row = row(&peer.agent, job, TOLD, Run { at, said, received });
    Ok(tx.insert_job_run(SiteKey { client: &peer.client, site: &peer.site }, &row)?)
}

fn row(agent: &AgentId, job: &CheckId, source: &str, run: Run) -> JobRunRow {
    JobRunRow {
        check: job.clone(),
        at: run.at,
        said: word(run.said).to_owned(),
        agent: agent.clone(),
        source: source.to_owned(),
        received_at: run.received,
    }
}

fn word(said: Said) -> &'static str {
    match said {
        Said::Start => "start",
        Said::Fail => "fail",
        Said::Ok => "ok",
    }
}

/// A stored run as it is laid beside what is expected.
pub(super) fn read_run(row: &JobRunRow) -> Run {
    let said = match row.said.as_str() {
        "start" => Said::Start,
        "ok" => Said::Ok,
        _ => Said::Fail,
    };
    Run { at: row.at, said, received: row.received_at }
}

/// The jobs of a site that are seen by what they leave, and the ends of runs that an upload's samples show.
#[derive(Default)]
pub(crate) struct Seen {
    /// By the check that sees: its jobs, each with the end that is known last.
    jobs: BTreeMap<CheckId, Vec<(CheckId, Option<Timestamp>)>>,
    rows: Vec<JobRunRow>,
}

impl Seen {
    /// For the samples of an agent of this site.
    pub(crate) fn of(
        tx: &dyn ReadTx,
        key: SiteKey<'_>,
        site: Option<&upheld_agreement::book::Site>,
    ) -> Result<Self, DeskError> {
        let mut seen = Self::default();
        for job in site.into_iter().flat_map(|site| site.jobs()) {
            let Some(name) = &job.seen_by else { continue };
            let by = CheckId { asset: job.id.asset.clone(), name: name.value.clone() };
            let latest = tx.latest_job_run(key, &job.id)?.map(|run| run.at);
            seen.jobs.entry(by).or_default().push((job.id.clone(), latest));
        }
        Ok(seen)
    }

    /// Takes one sample.
    pub(crate) fn take(&mut self, agent: &AgentId, check: &CheckId, reading: &Reading) {
        for (job, latest) in self.jobs.get_mut(check).into_iter().flatten() {
            if let Some(at) = ended(reading, *latest) {
                *latest = Some(at);
                let run = Run { at, said: Said::Ok, received: reading.received };
                self.rows.push(row(agent, job, check.name.as_str(), run));
            }
        }
    }

    /// What the samples showed.
    pub(crate) fn into_rows(self) -> Vec<JobRunRow> {
        self.rows
    }
}
