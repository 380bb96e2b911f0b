//! Runs of jobs: what was expected, and what became of it.
#![expect(unused_qualifications, reason = "utoipa's macro writes whole paths")]

use axum::{
    Json,
    extract::{Path, State},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upheld_desk::jobs::{RunView, RunsAsked};
use upheld_model::{CheckId, ClientId, SiteId};
use utoipa::{IntoParams, ToSchema};

use super::{LIMIT_MAX, asked::Asked};
use crate::{
    Portal,
    access::Reader,
    problem::{Problem, Refusal},
};

/// How far back runs are listed when nothing is said.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::routes) struct WantedRuns {
    /// At one site.
    #[param(value_type = Option<String>)]
    site: Option<SiteId>,
    /// Of one job: `srv-1/nightly`, or its own name.
    job: Option<String>,
    /// Expected then or later; of a week when absent.
    since: Option<Timestamp>,
    /// How many, at most 500.
    limit: Option<u32>,
    /// What the page before named as `next_cursor`.
    cursor: Option<String>,
}

/// Runs by site, job and time.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::routes) struct RunsAnswer {
    /// Expected then or later.
    since: Timestamp,
    runs: Vec<RunView>,
    /// Asks for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Runs that were expected, and what became of each.
#[utoipa::path(get, path = "/api/v1/clients/{client}/runs", tag = "jobs", operation_id = "listRuns",
    params(("client" = String, Path, description = "The client's name in the book."), WantedRuns),
    responses((status = 200, body = RunsAnswer), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(in crate::routes) async fn list(
    State(portal): State<Portal>,
    reader: Reader,
    Path(client): Path<String>,
    Asked(wanted): Asked<WantedRuns>,
) -> Result<Json<RunsAnswer>, Refusal> {
    // What is no name is nobody's.
    let client: ClientId = client.parse().map_err(|_| Refusal::NotFound { is_json: true })?;
    let after = wanted.cursor.as_deref().map(read_cursor).transpose()?;
    let limit = wanted.limit.map_or(LIMIT_MAX, |limit| limit.clamp(1, LIMIT_MAX)) as usize;
    let now = portal.now();
    let since = wanted.since.unwrap_or_else(|| now.saturating_sub(WEEK).unwrap_or(Timestamp::MIN));
    let asked = RunsAsked { client: Some(client), site: wanted.site, job: wanted.job, since };
    let mut runs = portal.desk.runs(reader.scope(), asked, now).await?;
    if let Some(after) = after {
        runs.retain(|run| (&run.site, &run.job, run.expected_at) > (&after.0, &after.1, after.2));
    }
    let is_more = runs.len() > limit;
    runs.truncate(limit);
    let next_cursor =
        runs.last().filter(|_| is_more).map(|run| format!("{}/{}@{}", run.site, run.job, run.expected_at));
    Ok(Json(RunsAnswer { since, runs, next_cursor }))
}

/// `plant-2/srv-1/nightly@2026-11-16T08:00:00Z`.
fn read_cursor(text: &str) -> Result<(SiteId, CheckId, Timestamp), Refusal> {
    let read = || {
        let (job, at) = text.rsplit_once('@')?;
        let (site, job) = job.split_once('/')?;
        Some((site.parse().ok()?, job.parse().ok()?, at.parse().ok()?))
    };
    read().ok_or_else(|| Refusal::parameter("cursor", "it must be the next_cursor of the page before", true))
}
