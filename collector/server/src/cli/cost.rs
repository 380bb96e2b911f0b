//! `cost`: what it would cost to send someone now, and at the next opening; what the downtime has cost so far.

use jiff::SignedDuration;
use serde_json::json;
use upheld_desk::Scope;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    when,
};

/// Which incident, for how much work.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `INC-7`, or `client/INC-7`.
    incident: String,
    /// For how much work.
    #[arg(long = "for", value_parser = when::span, value_name = "DURATION", default_value = "1h")]
    work: SignedDuration,
    /// Compute as of this time.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// More than this is no visit.
const WORK_MAX: SignedDuration = SignedDuration::from_hours(24 * 7);

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if args.work > WORK_MAX {
        return Err(Failure::new(Exit::Usage, "--for is at most 168h"));
    }
    let cost = context.with_desk(async |desk, now| {
        let at = match &args.at {
            Some(text) => when::instant(text, &context.zone(desk).await?)?,
            None => now,
        };
        let incident = desk.find_incident(&Scope::Provider, &args.incident).await?;
        Ok::<_, Failure>(desk.cost(&Scope::Provider, &incident, args.work.as_secs().unsigned_abs(), at).await?)
    })?;
    let version = cost.version.as_ref().map(|version| format!(" ({version})")).unwrap_or_default();
    let text = format!("{}{version}: {}", cost.incident, cost.sentence);
    context.output.result(&text, || json!({ "schema": "upheld.cost/1", "cost": cost }))?;
    Ok(Exit::Ok)
}
