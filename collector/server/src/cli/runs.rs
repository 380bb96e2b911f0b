//! `runs`: what became of each run of a job that was expected.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::json;
use upheld_desk::{
    Scope,
    jobs::{RunView, RunsAsked},
};
use upheld_model::{ClientId, SiteId};

use super::Context;
use crate::{
    failure::{Exit, Failure},
    when,
};

/// How far back it looks when nothing is said.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Whose, and since when.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `northgate`, `northgate/plant-2`, `northgate/plant-2/nightly`; all when absent.
    #[arg(value_name = "CLIENT[/SITE[/JOB]]")]
    of: Option<String>,
    /// Since when; a week ago when absent.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let place = args.of.as_deref().map(place).transpose()?;
    let (runs, since, zone) = context.with_desk(async |desk, now| {
        let zone = context.zone(desk).await?;
        let since = args.since.as_deref().map(|text| when::instant(text, &zone)).transpose()?.unwrap_or(now - WEEK);
        let (client, site, job) = place.unwrap_or_default();
        let asked = RunsAsked { client, site, job, since };
        Ok::<_, Failure>((desk.runs(&Scope::Provider, asked, now).await?, since, zone))
    })?;
    let of = args.of.as_deref().unwrap_or("any job");
    let from = since.to_zoned(zone).strftime("%Y-%m-%d %H:%M %Z").to_string();
    context.output.result(
        text(&runs, of, &from).trim_end(),
        || json!({ "schema": "upheld.runs/1", "since": since, "runs": runs }),
    )?;
    Ok(Exit::Ok)
}

type Place = (Option<ClientId>, Option<SiteId>, Option<String>);

fn place(text: &str) -> Result<Place, Failure> {
    let wrong = |error: String| {
        Failure::new(Exit::Usage, error).todo("write northgate, northgate/plant-2 or northgate/plant-2/nightly")
    };
    let mut parts = text.splitn(3, '/');
    let client = parts.next().map(str::parse::<ClientId>).transpose().map_err(|error| wrong(error.to_string()))?;
    let site = parts.next().map(str::parse::<SiteId>).transpose().map_err(|error| wrong(error.to_string()))?;
    Ok((client, site, parts.next().map(str::to_owned)))
}

fn text(runs: &[RunView], of: &str, since: &str) -> String {
    if runs.is_empty() {
        return format!(
            "No run of {of} was expected since {since}. A job stands in the site's file as\n  \
             {{ kind = \"backup.job\", name = \"nightly\", schedule = \"cron 0 2 * * *\", grace = \"2h\" }}"
        );
    }
    let mut text = String::new();
    let mut job = None;
    for run in runs {
        // A zone that the book took is known.
        let zone = TimeZone::get(&run.time_zone).unwrap_or(TimeZone::UTC);
        if job != Some((&run.client, &run.site, &run.job)) {
            let gap = if job.is_some() { "\n" } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}{}/{}/{}  {}, {}", run.client, run.site, run.job, run.schedule, run.time_zone);
            job = Some((&run.client, &run.site, &run.job));
        }
        let at = |at: Timestamp| at.to_zoned(zone.clone());
        let happened = run.at.map(|t| {
            let (t, expected) = (at(t), at(run.expected_at));
            let form = if t.date() == expected.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
            format!(" {}", t.strftime(form))
        });
        let was = run.was.as_ref().map(|was| {
            format!(
                "; {was} until {}",
                run.decided_at.map_or_else(String::new, |then| at(then).strftime("%Y-%m-%d %H:%M").to_string())
            )
        });
        let outcome = format!("{}{}", run.outcome, happened.unwrap_or_default());
        let _ = writeln!(
            text,
            "  {}  {outcome:<28} {}{}",
            at(run.expected_at).strftime("%a %Y-%m-%d %H:%M:%S %Z"),
            run.why,
            was.unwrap_or_default()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_as_deep_as_it_is_written_and_a_job_has_a_slash_of_its_own() {
        let names = |text: &str| {
            let (client, site, job) = place(text).unwrap();
            (client.map(|one| one.to_string()), site.map(|one| one.to_string()), job)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(names("northgate"), (some("northgate"), None, None));
        assert_eq!(names("northgate/plant-2"), (some("northgate"), some("plant-2"), None));
        assert_eq!(
            names("northgate/plant-2/srv-1/nightly"),
            (some("northgate"), some("plant-2"), some("srv-1/nightly"))
        );
        assert!(place("north gate").unwrap_err().text(false).contains("northgate/plant-2/nightly"));
    }
}
