//! What people do to an incident, a command each; and problems that they report. Every answer shows the clocks after it.

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::json;
use upheld_agreement::words::Manner;
use upheld_desk::{Actor, Given, IncidentView, ProblemReport, Scope, commands::Words};
use upheld_model::{AssetId, ClientId, IncidentClass, SiteId};

use super::{Context, incident::moment, typist};
use crate::{
    failure::{Exit, Failure},
    when,
};

/// What people do to an incident.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Take an incident: acknowledge it and own it.
    #[command(visible_alias = "take")]
    Acknowledge {
        #[command(flatten)]
        beside: Beside,
    },
    /// Record a response: who answered, when, in what manner.
    Respond {
        #[command(flatten)]
        beside: Beside,
        /// How it was answered.
        #[arg(long, value_enum)]
        manner: MannerWord,
        /// With whom he spoke.
        #[arg(long, value_name = "WHOM")]
        with: Option<String>,
    },
    /// Acknowledge an incident and have somebody own it.
    Assign {
        #[command(flatten)]
        beside: Beside,
        /// Whom.
        #[arg(long, value_name = "NAME")]
        to: String,
    },
    /// Pause the clocks whose targets allow the reason.
    Pause {
        #[command(flatten)]
        beside: Beside,
        /// A reason that the terms allow.
        #[arg(long)]
        reason: String,
    },
    /// End the pause.
    Resume {
        #[command(flatten)]
        beside: Beside,
    },
    /// Write something down.
    Note {
        #[command(flatten)]
        beside: Beside,
        /// What.
        text: String,
    },
    /// A workaround is in place: the client can work, if not as before.
    WorkedAround {
        #[command(flatten)]
        beside: Beside,
    },
    /// Tell the client how it stands.
    Update {
        #[command(flatten)]
        beside: Beside,
        /// What he is told.
        text: String,
    },
    /// Say that it is over; while something in it still fails, a note must say on what that rests.
    Resolve {
        #[command(flatten)]
        beside: Beside,
    },
    /// Close a resolved incident for good: the next failure opens a new one.
    Close {
        #[command(flatten)]
        beside: Beside,
    },
    /// Say that it is not over after all.
    Reopen {
        #[command(flatten)]
        beside: Beside,
    },
    /// Make it a part of another open incident of the same client, which carries on from the earlier start of both.
    Merge {
        #[command(flatten)]
        beside: Beside,
        /// The one that carries on.
        into: String,
    },
    /// Say that it is no incident.
    Dismiss {
        #[command(flatten)]
        beside: Beside,
        /// `false-alarm`, `duplicate` or `not-covered`.
        #[arg(long)]
        reason: String,
    },
    /// Say what brought it about: utility, isp, site-lan, component, software, operator, client, …
    SetCause {
        #[command(flatten)]
        beside: Beside,
        /// The cause.
        cause: String,
    },
    /// Give it another priority; counted seconds are carried over.
    SetPriority {
        #[command(flatten)]
        beside: Beside,
        /// `P1` to `P5`.
        priority: String,
    },
    /// Hand it over to the manufacturer: his own clock begins.
    HandOver {
        #[command(flatten)]
        beside: Beside,
        /// Which; the one that the terms name when absent.
        #[arg(long)]
        maker: Option<String>,
        /// His number for it.
        #[arg(long)]
        reference: Option<String>,
    },
    /// The manufacturer answered.
    ManufacturerAnswered {
        #[command(flatten)]
        beside: Beside,
        /// Who there.
        #[arg(long, value_name = "WHOM")]
        with: Option<String>,
    },
    /// Buy a rider for this incident alone.
    Expedite {
        #[command(flatten)]
        beside: Beside,
        /// Which rider of the book.
        #[arg(long)]
        rider: String,
    },
    /// The client disputes a pause, a cause or a resolution: it is counted both ways until settled.
    Dispute {
        #[command(flatten)]
        beside: Beside,
        /// The number of the fact, as `explain --json` shows it; the last that can be disputed when absent.
        #[arg(long, value_name = "NUMBER")]
        item: Option<u64>,
        /// Why it is not so, in his words.
        #[arg(long)]
        text: String,
    },
    /// Settle a dispute.
    Settle {
        #[command(flatten)]
        beside: Beside,
        /// The number of the disputed fact; the only open one when absent.
        #[arg(long, value_name = "NUMBER")]
        item: Option<u64>,
        /// `client-is-right`, `provider-is-right` or `withdrawn`.
        #[arg(long)]
        outcome: String,
    },
    /// The report of a visit is with the client.
    VisitReported {
        #[command(flatten)]
        beside: Beside,
    },
}

/// What stands beside every command.
#[derive(Debug, clap::Args)]
pub(super) struct Beside {
    /// `INC-7`, or `client/INC-7`.
    incident: String,
    /// Who does it; whoever types when absent.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// When it happened, if it is logged afterwards; without a zone, in the provider's.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// A note for the timeline.
    #[arg(long)]
    note: Option<String>,
    /// Refuse if anything happened to it since this revision.
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
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
        self.manner().as_str()
    }
}

impl Command {
    /// The command's name, its fields, what stands beside it, and what is said when it is done.
    fn taken_apart(self) -> (&'static str, Words, Beside, String) {
        let none = Words::default;
        match self {
            Self::Acknowledge { beside } => ("acknowledge", none(), beside, "Acknowledged.".to_owned()),
            Self::Respond { beside, manner, with } => {
                let words = Words { manner: Some(manner.word().to_owned()), with_whom: with, ..none() };
                let by = beside.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                ("respond", words, beside, format!("Response{by} recorded."))
            }
            Self::Assign { beside, to } => {
                let done = format!("Assigned to {to}.");
                ("assign", Words { to: Some(to), ..none() }, beside, done)
            }
            Self::Pause { beside, reason } => {
                let done = format!("Paused: {reason}.");
                ("pause", Words { reason: Some(reason), ..none() }, beside, done)
            }
            Self::Resume { beside } => ("resume", none(), beside, "The pause has ended.".to_owned()),
            Self::Note { beside, text } => ("note", Words { note: Some(text), ..none() }, beside, "Noted.".to_owned()),
            Self::WorkedAround { beside } => ("worked-around", none(), beside, "A workaround is in place.".to_owned()),
            Self::Update { beside, text } => {
                ("update", Words { note: Some(text), ..none() }, beside, "The client is told.".to_owned())
            }
            Self::Resolve { beside } => ("resolve", none(), beside, "Resolved.".to_owned()),
            Self::Close { beside } => ("close", none(), beside, "Closed.".to_owned()),
            Self::Reopen { beside } => ("reopen", none(), beside, "Open again.".to_owned()),
            Self::Merge { beside, into } => {
                let done = format!("It is a part of {into}, which carries on.");
                ("merge", Words { into: Some(into), ..none() }, beside, done)
            }
            Self::Dismiss { beside, reason } => {
                let done = format!("Dismissed: {reason}.");
                ("dismiss", Words { reason: Some(reason), ..none() }, beside, done)
            }
            Self::SetCause { beside, cause } => {
                let done = format!("Its cause is {cause}.");
                ("set-cause", Words { cause: Some(cause), ..none() }, beside, done)
            }
            Self::SetPriority { beside, priority } => {
                let done = format!("Its priority is {priority}.");
                ("set-priority", Words { priority: Some(priority), ..none() }, beside, done)
            }
            Self::HandOver { beside, maker, reference } => {
                let words = Words { maker, reference, ..none() };
                ("hand-over", words, beside, "The manufacturer has it.".to_owned())
            }
            Self::ManufacturerAnswered { beside, with } => {
                let words = Words { with_whom: with, ..none() };
                ("manufacturer-answered", words, beside, "The manufacturer has answered.".to_owned())
            }
            Self::Expedite { beside, rider } => {
                let done = format!("{rider} holds for this incident.");
                ("expedite", Words { rider: Some(rider), ..none() }, beside, done)
            }
            Self::Dispute { beside, item, text } => {
                let words = Words { item, note: Some(text), ..none() };
                ("dispute", words, beside, "Disputed: it is counted both ways until settled.".to_owned())
            }
            Self::Settle { beside, item, outcome } => {
                let done = format!("Settled: {}.", outcome.replace('-', " "));
                ("settle", Words { item, outcome: Some(outcome), ..none() }, beside, done)
            }
            Self::VisitReported { beside } => {
                ("visit-reported", none(), beside, "The report of the visit is with the client.".to_owned())
            }
        }
    }
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    let (name, words, beside, done) = command.taken_apart();
    let Beside { incident, by, at, note, revision } = beside;
    let who = by.as_ref().map_or_else(typist, Actor::person);
    let view = context.with_desk(async |desk, now| {
        let at = match &at {
            Some(text) => Some(moment(Some(text), context, desk, now).await?),
            None => None,
        };
        let incident = desk.find_incident(&Scope::Provider, &incident).await?;
        let words = Words { effective_at: at, note: words.note.or(note), ..words };
        let given = words.read(name, &incident.client).map_err(|error| Failure::of(Exit::Usage, &error))?;
        let given = given.ok_or_else(|| Failure::new(Exit::Failed, format!("there is no command {name}")))?;
        Ok::<_, Failure>(desk.give(&Scope::Provider, &incident, Given { revision, ..given }, &who, now).await?)
    })?;
    tell(context, &view, &done)
}

/// A problem as a person reports it.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Whose site.
    client: ClientId,
    /// Which site.
    site: SiteId,
    /// About which asset.
    #[arg(long)]
    asset: Option<AssetId>,
    /// What is wrong, in his words.
    #[arg(long)]
    text: String,
    /// Who reports it.
    #[arg(long, value_name = "WHO")]
    by: String,
    /// When he says he called.
    #[arg(long, value_name = "TIME")]
    called_at: Option<String>,
    /// What it is about: camera, network-wan, power, …; a request when absent.
    #[arg(long)]
    class: Option<IncidentClass>,
    /// An incident of its own, though the asset has an open one.
    #[arg(long)]
    new: bool,
}

pub(super) fn report_problem(args: ReportArgs, context: &Context) -> Result<Exit, Failure> {
    let ReportArgs { client, site, asset, text, by, called_at, class, new } = args;
    let view = context.with_desk(async |desk, now| {
        let called_at: Option<Timestamp> = match called_at {
            Some(text) => Some(when::instant(&text, &context.zone(desk).await?)?),
            None => None,
        };
        let report = ProblemReport { asset, text, by, called_at, class, new };
        Ok::<_, Failure>(desk.report_problem(&Scope::Provider, (&client, &site), report, &typist(), now).await?)
    })?;
    let joined = if view.reports.len() > 1 || view.kind != upheld_model::IncidentKind::Reported {
        "The report joined this open incident; --new opens one of its own."
    } else {
        "Reported."
    };
    tell(context, &view, joined)
}

fn tell(context: &Context, view: &IncidentView, done: &str) -> Result<Exit, Failure> {
    let mut text = format!("{} {}: {done}", view.incident, view.title);
    for clock in &view.clocks {
        text.push_str(&format!("\n  {}", clock.said.line));
    }
    context.output.result(&text, || json!({ "schema": "upheld.incident/1", "incident": view }))?;
    Ok(Exit::Ok)
}
