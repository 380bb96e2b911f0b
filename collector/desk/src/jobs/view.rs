//! Expected runs as people and scripts read them, each with why it came to what it came to.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use upheld_detection::schedule::{Expected, Outcome};
use upheld_model::{CheckId, ClientId, SiteId};
use upheld_store::{ReadTx, facts::SiteKey};
use utoipa::ToSchema;

use super::{JobText, look::look, read_expected, read_text};
use crate::{Actor, Desk, DeskError, Scope, book::CurrentBook, clock};

/// Whose runs, from when on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunsAsked {
    /// One client's; of all in scope when `None`.
    pub client: Option<ClientId>,
    /// At one site.
    pub site: Option<SiteId>,
    /// Of one job: its full name `srv-1/nightly`, or its own.
    pub job: Option<String>,
    /// Those that were expected then or later.
    pub since: Timestamp,
}

/// One expected run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RunView {
    /// Whose.
    #[schema(value_type = String)]
    pub client: ClientId,
    /// Where.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// Which job.
    #[schema(value_type = String)]
    pub job: CheckId,
    /// As the book had it then.
    pub schedule: String,
    /// The job host's zone, in which its times are read.
    pub time_zone: String,
    /// When it was expected.
    pub expected_at: Timestamp,
    /// By when it had to be done.
    pub until: Timestamp,
    /// `ok`, `late`, `failed`, `missed`, `excused`, `unknown` or `pending`.
    pub outcome: &'static str,
    /// When that happened.
    pub at: Option<Timestamp>,
    /// Why, in a sentence.
    pub why: String,
    /// When it was decided, the last time; `None` while it is pending.
    pub decided_at: Option<Timestamp>,
    /// What it was decided to be before.
    pub was: Option<String>,
}

impl Desk {
    /// The expected runs of jobs as of now, by client, site, job and time.
    pub async fn runs(&self, scope: &Scope, asked: RunsAsked, now: Timestamp) -> Result<Vec<RunView>, DeskError> {
        if let Some(client) = &asked.client {
            let place = asked.site.as_ref().map_or_else(|| client.to_string(), |site| format!("{client}/{site}"));
            self.note_denied(scope, client, serde_json::json!(place), &Actor::Collector, now).await?;
        }
        let (now, scope, shared) = (clock::stored(now), scope.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.runs", move |tx| {
                let book = shared.books.current(tx)?;
                let mut views = Vec::new();
                let mut is_there = false;
                for (client, entry) in &book.book.clients {
                    if !scope.includes(client) || asked.client.as_ref().is_some_and(|only| only != client) {
                        continue;
                    }
                    is_there |= asked.site.as_ref().is_none_or(|site| entry.sites.contains_key(site));
                    for site in entry.sites.keys().filter(|id| asked.site.as_ref().is_none_or(|only| only == *id)) {
                        views.extend(of_site(tx, &book, (client, site), &asked, now)?);
                    }
                }
                let place = asked.client.as_ref().map(|client| match &asked.site {
                    Some(site) => format!("{client}/{site}"),
                    None => client.to_string(),
                });
                match place {
                    Some(place) if !is_there => Err(DeskError::NoSuchPlace(place)),
                    Some(_) | None => Ok(views),
                }
            })
            .await
    }
}

fn of_site(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    (client, site): (&ClientId, &SiteId),
    asked: &RunsAsked,
    now: Timestamp,
) -> Result<Vec<RunView>, DeskError> {
    let Some(plan) = book.sites.plan(&book.book, client, site, now)? else { return Ok(Vec::new()) };
    let key = SiteKey { client, site };
    // What is decided is as it is stored; what is not, or will be decided otherwise with what is here, as of now.
    let mut fresh: BTreeMap<(CheckId, Timestamp), Expected> = BTreeMap::new();
    for looked in look(tx, &plan, now)? {
        fresh.extend(looked.expected.iter().map(|one| ((looked.job.check.clone(), one.at), *one)));
    }
    let mut views = Vec::new();
    let mut jobs: BTreeMap<CheckId, Vec<(Timestamp, JobText)>> = BTreeMap::new();
    for row in tx.jobs(key, asked.since)? {
        jobs.entry(row.check.clone()).or_default().push((row.since, read_text(&row)?));
    }
    for (job, texts) in jobs {
        if asked.job.as_ref().is_some_and(|name| *name != job.to_string() && name != job.name.as_str()) {
            continue;
        }
        let mut runs: BTreeMap<Timestamp, (Expected, Option<Timestamp>, Option<String>)> = BTreeMap::new();
        for row in tx.expected_runs(key, &job, asked.since, Timestamp::MAX)? {
            runs.insert(row.expected_at, (read_expected(&row)?, Some(row.decided_at), row.was));
        }
        for ((_, at), one) in fresh.iter().filter(|((check, _), _)| *check == job) {
            runs.entry(*at).or_insert((*one, None, None));
        }
        for (at, (one, decided_at, was)) in runs.into_iter().filter(|(at, _)| *at >= asked.since) {
            let Some((_, text)) = texts.iter().rev().find(|(since, _)| *since <= at).or(texts.first()) else {
                continue;
            };
            views.push(RunView {
                client: client.clone(),
                site: site.clone(),
                job: job.clone(),
                schedule: text.schedule.clone(),
                time_zone: text.time_zone.clone(),
                expected_at: at,
                until: one.until,
                outcome: one.outcome.word(),
                at: one.outcome.at(),
                why: why(&one),
                decided_at,
                was,
            });
        }
    }
    Ok(views)
}

fn why(one: &Expected) -> String {
    match one.outcome {
        Outcome::Pending if one.failed.is_some() => {
            "it said that it failed; a retry has until its time is over".to_owned()
        }
        Outcome::Pending => "its time is not over".to_owned(),
        Outcome::Ok { .. } if one.failed.is_some() => "it failed, and a retry was done in time".to_owned(),
        Outcome::Ok { .. } => "it was done in time".to_owned(),
        Outcome::Late { at } => format!("it was done {} after its time", lasts(at.duration_since(one.until))),
        Outcome::Failed { .. } if one.failed.is_some() => "it said that it failed".to_owned(),
        Outcome::Failed { .. } => "it began and never said that it was done".to_owned(),
        Outcome::Missed { .. } => "nothing was said of it, and its agent listened all that time".to_owned(),
        Outcome::Excused => "it need not run during agreed work".to_owned(),
        Outcome::Unknown => "its agent was silent for a part of that time and has not told of it".to_owned(),
    }
}

fn lasts(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    match (seconds / 3_600, seconds % 3_600 / 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, _) => format!("{minutes} min"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
