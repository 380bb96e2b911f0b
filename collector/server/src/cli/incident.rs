//! `explain`: why the clocks of an incident are due when they are.

use jiff::Timestamp;
use serde_json::json;
use upheld_desk::{Desk, Scope};

use super::Context;
use crate::{
    failure::{Exit, Failure},
    when,
};

/// Which incident, as of when.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// `INC-7`, or `client/INC-7`.
    incident: String,
    /// Compute as of this time.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

pub(super) fn explain(args: &ExplainArgs, context: &Context) -> Result<Exit, Failure> {
    let (explained, incident, at) = context.with_desk(async |desk, now| {
        let at = moment(args.at.as_deref(), context, desk, now).await?;
        let incident = desk.find_incident(&Scope::Provider, &args.incident).await?;
        let explained = desk.explain(&Scope::Provider, &incident, at).await?;
        let view = desk.incident(&Scope::Provider, &incident, at).await?;
        Ok::<_, Failure>((explained, view, at))
    })?;
    context.output.result(&explained.text, || {
        json!({
            "schema": "upheld.explain/1",
            "as_of": at,
            "incident": incident,
            "clocks": explained.clocks,
            "text": explained.text,
        })
    })?;
    Ok(Exit::Ok)
}

/// The moment that an option names, or now.
pub(super) async fn moment(
    at: Option<&str>,
    context: &Context,
    desk: &Desk,
    now: Timestamp,
) -> Result<Timestamp, Failure> {
    match at {
        Some(text) => when::instant(text, &context.zone(desk).await?),
        None => Ok(now),
    }
}
