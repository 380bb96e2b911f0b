//! `explain`, `respond`, `acknowledge`.

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::json;
use upheld_agreement::words::Manner;
use upheld_desk::{Actor, Desk, IncidentView, Response, Scope};
use upheld_web::words;

use super::{Context, typist};
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

/// A response fact.
#[derive(Debug, clap::Args)]
pub(super) struct RespondArgs {
    /// `INC-7`, or `client/INC-7`.
    incident: String,
    /// How it was answered.
    #[arg(long, value_enum)]
    manner: MannerWord,
    /// Who answered.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// With whom he spoke.
    #[arg(long, value_name = "WHOM")]
    with: Option<String>,
    /// When it happened, if it is logged afterwards.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// A note for the timeline.
    #[arg(long)]
    note: Option<String>,
}

/// Who takes which incident.
#[derive(Debug, clap::Args)]
pub(super) struct AcknowledgeArgs {
    /// `INC-7`, or `client/INC-7`.
    incident: String,
    /// Who takes it; whoever types when absent.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// The manners of TERMS F12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MannerWord {
    /// A call that reached somebody.
    Phone,
    /// Work over the line.
    Remote,
    /// A visit.
    OnSite,
}

impl MannerWord {
    /// As the agreement's words have it.
    pub(super) fn manner(self) -> Manner {
        match self {
            Self::Phone => Manner::Phone,
            Self::Remote => Manner::Remote,
            Self::OnSite => Manner::OnSite,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Remote => "remote",
            Self::OnSite => "on-site",
        }
    }
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

pub(super) fn respond(args: RespondArgs, context: &Context) -> Result<Exit, Failure> {
    let view = context.with_desk(async |desk, now| {
        let effective_at = moment(args.at.as_deref(), context, desk, now).await?;
        let incident = desk.find_incident(&Scope::Provider, &args.incident).await?;
        let response = Response {
            effective_at: Some(effective_at),
            manner: args.manner.word().to_owned(),
            with_whom: args.with,
            note: args.note,
        };
        Ok::<_, Failure>(desk.respond(&Scope::Provider, &incident, response, &Actor::person(&args.by), now).await?)
    })?;
    tell(context, &view, &format!("Response by {} recorded.", args.by))
}

pub(super) fn acknowledge(args: &AcknowledgeArgs, context: &Context) -> Result<Exit, Failure> {
    let who = args.by.as_ref().map_or_else(typist, Actor::person);
    let view = context.with_desk(async |desk, now| {
        let incident = desk.find_incident(&Scope::Provider, &args.incident).await?;
        Ok::<_, Failure>(desk.acknowledge(&Scope::Provider, &incident, &who, now).await?)
    })?;
    tell(context, &view, "Acknowledged.")
}

fn tell(context: &Context, view: &IncidentView, done: &str) -> Result<Exit, Failure> {
    let mut text = format!("{} {}: {done}", view.incident, view.title);
    for clock in &view.clocks {
        text.push_str(&format!("\n  {}: {}", words::stage(&clock.stage), words::clock_sentence(clock)));
    }
    context.output.result(&text, || json!({ "schema": "upheld.incident/1", "incident": view }))?;
    Ok(Exit::Ok)
}

async fn moment(at: Option<&str>, context: &Context, desk: &Desk, now: Timestamp) -> Result<Timestamp, Failure> {
    match at {
        Some(text) => when::instant(text, &context.zone(desk).await?),
        None => Ok(now),
    }
}
