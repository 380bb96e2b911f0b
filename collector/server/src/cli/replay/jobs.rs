//! The jobs of a book: checks with a `schedule`, read for what is expected of them.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;
use upheld_agreement::book::{Book, Site, UnbuiltCheck};
use upheld_detection::{
    replay::Jobs,
    schedule::{Job, Schedule},
};

use crate::failure::{Exit, Failure};

/// How long after its time a job may say that it is done, where the book does not say.
const GRACE: Duration = Duration::from_secs(3_600);

/// Every job of the book's sites, in its site's zone unless its check names one.
pub(super) fn of_book(book: &Book) -> Result<Jobs, Failure> {
    let mut jobs = Jobs::new();
    for (client, entry) in &book.clients {
        for site in entry.sites.values() {
            for check in site.unbuilt() {
                if let Some(job) = job(site, check)? {
                    jobs.entry((client.clone(), site.id.clone())).or_default().insert(check.id.clone(), job);
                }
            }
        }
    }
    Ok(jobs)
}

fn job(site: &Site, check: &UnbuiltCheck) -> Result<Option<Job>, Failure> {
    let text = |key: &str| check.says.get(key).and_then(Value::as_str);
    let Some(schedule) = text("schedule") else { return Ok(None) };
    let refuse = |error: String| {
        Failure::new(Exit::Config, format!("{}: {error}", check.id)).todo("correct the schedule in the site's file")
    };
    let schedule = Schedule::read(schedule).map_err(|error| refuse(error.to_string()))?;
    let zone = TimeZone::get(text("time_zone").unwrap_or(&site.zone)).map_err(|error| refuse(error.to_string()))?;
    let grace = match text("grace") {
        None => GRACE,
        Some(text) => Schedule::interval(text).map_err(|error| refuse(error.to_string()))?,
    };
    let since = site.commissioned_at().unwrap_or(Timestamp::MIN);
    Ok(Some(Job { schedule, zone, grace, since }))
}
