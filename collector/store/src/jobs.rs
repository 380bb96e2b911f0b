//! Jobs that are expected to run: as the book has them, what was said of their runs, and what became of each expected
//! one (DETECTION 6). What a job is and what an outcome says is text to the store.

use jiff::Timestamp;
use upheld_model::{AgentId, CheckId, ClientId, SiteId};

use crate::{
    StoreError,
    facts::SiteKey,
    sql::{At, Parsed, Query, Read, Row, Sql, params, query},
};

/// A job as the book had it for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its check.
    pub check: CheckId,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` while the book in force has it so.
    pub until: Option<Timestamp>,
    /// The job, JSON.
    pub body: String,
}

/// Something that was said of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRunRow {
    /// Of which job.
    pub check: CheckId,
    /// When.
    pub at: Timestamp,
    /// Its word: `start`, `ok`, `fail`.
    pub said: String,
    /// Which agent told of it.
    pub agent: AgentId,
    /// How the agent knows: `told` by the job, or the name of the check that saw it.
    pub source: String,
    /// When it was received.
    pub received_at: Timestamp,
}

/// What became of an expected run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedRow {
    /// Of which job.
    pub check: CheckId,
    /// When it was expected.
    pub expected_at: Timestamp,
    /// When that was decided, the last time.
    pub decided_at: Timestamp,
    /// What became of it, JSON.
    pub body: String,
    /// What it was decided to be before, in a word; `None` where it is as it was decided first.
    pub was: Option<String>,
}

/// Reading jobs. Periods are `[from, to)`.
pub trait JobReads {
    /// The jobs of a site that hold at `since` or later, by check and begin.
    fn jobs(&self, key: SiteKey<'_>, since: Timestamp) -> Result<Vec<JobRow>, StoreError>;
    /// The jobs of all sites of a client as the book in force has them.
    fn jobs_in_force(&self, client: &ClientId) -> Result<Vec<(SiteId, JobRow)>, StoreError>;
    /// What was said of a job's runs in a period, by time.
    fn job_runs(
        &self,
        key: SiteKey<'_>,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<JobRunRow>, StoreError>;
    /// The latest run of a job of which something was said.
    fn latest_job_run(&self, key: SiteKey<'_>, check: &CheckId) -> Result<Option<JobRunRow>, StoreError>;
    /// The decided runs of a job that were expected in a period, and the latest one before it, by time.
    fn expected_runs(
        &self,
        key: SiteKey<'_>,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<ExpectedRow>, StoreError>;
}

/// Writing jobs.
pub trait JobWrites {
    /// Keeps a job from `row.since` on.
    fn insert_job(&mut self, key: SiteKey<'_>, row: &JobRow) -> Result<(), StoreError>;
    /// Ends the job that is in force.
    fn end_job(&mut self, key: SiteKey<'_>, check: &CheckId, until: Timestamp) -> Result<(), StoreError>;
    /// Notes what was said of a run; whether it was not known.
    fn insert_job_run(&mut self, key: SiteKey<'_>, row: &JobRunRow) -> Result<bool, StoreError>;
    /// Keeps what became of an expected run, in place of what was decided before.
    fn put_expected_run(&mut self, key: SiteKey<'_>, row: &ExpectedRow) -> Result<(), StoreError>;
    /// Takes back that a run was expected: the one before it came at another time than was known.
    fn unexpect_run(&mut self, key: SiteKey<'_>, check: &CheckId, expected_at: Timestamp) -> Result<(), StoreError>;
}

const JOBS: Query = query!(
    "jobs.of_site",
    "SELECT asset || '/' || check_name, since, until, body FROM jobs \
     WHERE client = ?1 AND site = ?2 AND (until IS NULL OR until > ?3) ORDER BY asset, check_name, since"
);
const IN_FORCE: Query = query!(
    "jobs.in_force",
    "SELECT site, asset || '/' || check_name, since, body FROM jobs WHERE client = ?1 AND until IS NULL \
     ORDER BY site, asset, check_name"
);
const INSERT_JOB: Query = query!(
    "jobs.insert",
    "INSERT INTO jobs (client, site, asset, check_name, since, until, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
);
const END_JOB: Query = query!(
    "jobs.end",
    "UPDATE jobs SET until = ?5 WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND until IS NULL"
);
const RUNS: Query = query!(
    "job_runs.of_job",
    "SELECT at, said, agent, source, received_at FROM job_runs \
     WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND at >= ?5 AND at < ?6 ORDER BY at, said"
);
const LATEST: Query = query!(
    "job_runs.latest",
    "SELECT at, said, agent, source, received_at FROM job_runs \
     WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 ORDER BY at DESC, said DESC LIMIT 1"
);
const INSERT_RUN: Query = query!(
    "job_runs.insert",
    "INSERT INTO job_runs (client, site, asset, check_name, at, said, agent, source, received_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING"
);
const EXPECTED: Query = query!(
    "expected_runs.of_job",
    "SELECT expected_at, decided_at, body, was FROM expected_runs \
     WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND expected_at < ?6 AND expected_at >= coalesce(\
     (SELECT max(expected_at) FROM expected_runs \
     WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND expected_at < ?5), ?5) ORDER BY expected_at"
);
const PUT_EXPECTED: Query = query!(
    "expected_runs.put",
    "INSERT INTO expected_runs (client, site, asset, check_name, expected_at, decided_at, body, was) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (client, site, asset, check_name, expected_at) \
     DO UPDATE SET decided_at = excluded.decided_at, body = excluded.body, was = excluded.was"
);
const UNEXPECT: Query = query!(
    "expected_runs.unexpect",
    "DELETE FROM expected_runs \
     WHERE client = ?1 AND site = ?2 AND asset = ?3 AND check_name = ?4 AND expected_at = ?5"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[JOBS, IN_FORCE, END_JOB, RUNS, LATEST, EXPECTED, UNEXPECT];

/// The first four columns of every key here.
fn place<'a>(key: SiteKey<'a>, check: &'a CheckId) -> [&'a str; 4] {
    [key.client.as_str(), key.site.as_str(), check.asset.as_str(), check.name.as_str()]
}

fn run_row(check: &CheckId, row: &Row<'_>) -> Read<JobRunRow> {
    Ok(JobRunRow {
        check: check.clone(),
        at: row.get::<At>(0)?.0,
        said: row.get(1)?,
        agent: row.get::<Parsed<_>>(2)?.0,
        source: row.get(3)?,
        received_at: row.get::<At>(4)?.0,
    })
}

impl JobReads for Sql<'_> {
    fn jobs(&self, key: SiteKey<'_>, since: Timestamp) -> Result<Vec<JobRow>, StoreError> {
        self.all(&JOBS, params![key.client.as_str(), key.site.as_str(), At(since)], |row| {
            Ok(JobRow {
                check: row.get::<Parsed<_>>(0)?.0,
                since: row.get::<At>(1)?.0,
                until: row.get::<Option<At>>(2)?.map(|at| at.0),
                body: row.get(3)?,
            })
        })
    }

    fn jobs_in_force(&self, client: &ClientId) -> Result<Vec<(SiteId, JobRow)>, StoreError> {
        self.all(&IN_FORCE, [client.as_str()], |row| {
            let job = JobRow {
                check: row.get::<Parsed<_>>(1)?.0,
                since: row.get::<At>(2)?.0,
                until: None,
                body: row.get(3)?,
            };
            Ok((row.get::<Parsed<_>>(0)?.0, job))
        })
    }

    fn job_runs(
        &self,
        key: SiteKey<'_>,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<JobRunRow>, StoreError> {
        let [client, site, asset, name] = place(key, check);
        let params = params![client, site, asset, name, At(from), At(to)];
        self.all(&RUNS, params, |row| run_row(check, row))
    }

    fn latest_job_run(&self, key: SiteKey<'_>, check: &CheckId) -> Result<Option<JobRunRow>, StoreError> {
        self.one(&LATEST, place(key, check), |row| run_row(check, row))
    }

    fn expected_runs(
        &self,
        key: SiteKey<'_>,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<ExpectedRow>, StoreError> {
        let [client, site, asset, name] = place(key, check);
        let params = params![client, site, asset, name, At(from), At(to)];
        self.all(&EXPECTED, params, |row| {
            Ok(ExpectedRow {
                check: check.clone(),
                expected_at: row.get::<At>(0)?.0,
                decided_at: row.get::<At>(1)?.0,
                body: row.get(2)?,
                was: row.get(3)?,
            })
        })
    }
}

impl JobWrites for Sql<'_> {
    fn insert_job(&mut self, key: SiteKey<'_>, row: &JobRow) -> Result<(), StoreError> {
        let JobRow { check, since, until, body } = row;
        let [client, site, asset, name] = place(key, check);
        let params = params![client, site, asset, name, At(*since), until.map(At), body];
        self.run(&INSERT_JOB, params).map(drop)
    }

    fn end_job(&mut self, key: SiteKey<'_>, check: &CheckId, until: Timestamp) -> Result<(), StoreError> {
        let [client, site, asset, name] = place(key, check);
        self.run(&END_JOB, params![client, site, asset, name, At(until)]).map(drop)
    }

    fn insert_job_run(&mut self, key: SiteKey<'_>, row: &JobRunRow) -> Result<bool, StoreError> {
        let JobRunRow { check, at, said, agent, source, received_at } = row;
        let [client, site, asset, name] = place(key, check);
        let params = params![client, site, asset, name, At(*at), said, agent.as_str(), source, At(*received_at)];
        Ok(self.run(&INSERT_RUN, params)? == 1)
    }

    fn put_expected_run(&mut self, key: SiteKey<'_>, row: &ExpectedRow) -> Result<(), StoreError> {
        let ExpectedRow { check, expected_at, decided_at, body, was } = row;
        let [client, site, asset, name] = place(key, check);
        let params = params![client, site, asset, name, At(*expected_at), At(*decided_at), body, was];
        self.run(&PUT_EXPECTED, params).map(drop)
    }

    fn unexpect_run(&mut self, key: SiteKey<'_>, check: &CheckId, expected_at: Timestamp) -> Result<(), StoreError> {
        let [client, site, asset, name] = place(key, check);
        self.run(&UNEXPECT, params![client, site, asset, name, At(expected_at)]).map(drop)
    }
}
