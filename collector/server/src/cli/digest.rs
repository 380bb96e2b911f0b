//! `digest`: what needs somebody's eye and pages nobody.

use std::fmt::Write as _;

use jiff::{SignedDuration, tz::TimeZone};
use serde_json::json;
use upheld_desk::{Digest, Scope};
use upheld_model::ClientId;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    when,
};

/// How far back it looks when nothing is said: it is read once a week.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Whose, and since when.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One client's; all clients' when absent.
    #[arg(long, value_name = "CLIENT")]
    client: Option<ClientId>,
    /// Since when; a week ago when absent.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (digest, zone) = context.with_desk(async |desk, now| {
        let zone = context.zone(desk).await?;
        let since = match &args.since {
            Some(text) => when::instant(text, &zone)?,
            None => now - WEEK,
        };
        if since >= now {
            return Err(Failure::new(Exit::Usage, format!("--since {since} lies in the future")));
        }
        Ok::<_, Failure>((desk.digest(&Scope::Provider, args.client.as_ref(), since, now).await?, zone))
    })?;
    context
        .output
        .result(text(&digest, &zone).trim_end(), || json!({ "schema": "upheld.digest/1", "digest": digest }))?;
    Ok(Exit::Ok)
}

fn text(digest: &Digest, zone: &TimeZone) -> String {
    let since = digest.since.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z");
    if digest.sites.is_empty() {
        return format!("Nothing since {since} that needs an eye beside the queue.");
    }
    let mut text = format!("Since {since}, beside the queue:\n");
    for site in &digest.sites {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{}, {} ({}/{})", site.client_name, site.site_name, site.client, site.site);
        for sentence in &site.sentences {
            let _ = writeln!(text, "  {sentence}");
        }
    }
    text
}
