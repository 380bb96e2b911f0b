//! `notify preview | test`: what a mail would say, and whether a channel takes one.

use std::{path::PathBuf, time::Instant};

use clap::Subcommand;
use serde_json::{Value, json};
use upheld_desk::{
    deliverer::Channels,
    notify::{NotifyError, Preview, PreviewKind, Tested},
};
use upheld_model::{ClientId, IncidentRef};
use upheld_outbound::Outcome;

use super::{Context, incident::moment};
use crate::{
    failure::{Exit, Failure},
    files::FileError,
};

/// What can be looked at and tried.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print what a mail would say, were the event now. Nothing is sent.
    Preview(PreviewArgs),
    /// Send a message marked as a test by a channel, and print what its receiver answered.
    Test(TestArgs),
}

/// Which mail.
#[derive(Debug, clap::Args)]
pub(super) struct PreviewArgs {
    /// opened, warning, breached, restored, hand-over, silent, storm, digest or test.
    kind: PreviewKind,
    /// As this client's own people would read it; as the provider's do when absent.
    #[arg(long, value_name = "CLIENT")]
    client: Option<ClientId>,
    /// About this incident, `client/INC-7`; the newest one when absent.
    #[arg(long, value_name = "INCIDENT")]
    incident: Option<IncidentRef>,
    /// As of this time; now when absent.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print the HTML face.
    #[arg(long, conflicts_with = "text")]
    html: bool,
    /// Print the plain face; so it is when nothing is said.
    #[arg(long)]
    text: bool,
    /// Write it into this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Which channel.
#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    /// `desk` (each way that it has), `desk:mail`, or `client/NAME:mail` with --client.
    channel: String,
    /// Whose people are meant by client/NAME:mail.
    #[arg(long, value_name = "CLIENT")]
    client: Option<ClientId>,
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Preview(args) => preview(&args, context),
        Command::Test(args) => test(&args, context),
    }
}

fn preview(args: &PreviewArgs, context: &Context) -> Result<Exit, Failure> {
    let base = context.data.config()?.listen.url();
    let Preview { incident, letter } = context.with_desk(async |desk, now| {
        let at = moment(args.at.as_deref(), context, desk, now).await?;
        Ok::<_, Failure>(desk.preview(args.kind, args.client.as_ref(), args.incident.as_ref(), at).await?)
    })?;
    let rendered = letter
        .render(&base)
        .map_err(|error| Failure::new(Exit::Failed, "the mail cannot be written").because(error.to_string()))?;
    let face =
        if args.html { rendered.html.clone() } else { format!("Subject: {}\n\n{}", rendered.subject, rendered.text) };
    if let Some(path) = &args.out {
        std::fs::write(path, &face).map_err(FileError::of("write", path))?;
        context.output.say(&format!("Written to {}.", path.display()));
    }
    let shown = if args.out.is_some() { "" } else { face.trim_end() };
    context.output.result(shown, || {
        json!({
            "schema": "upheld.notify-preview/1", "kind": args.kind, "incident": incident,
            "subject": rendered.subject, "text": rendered.text, "html": rendered.html,
        })
    })?;
    Ok(Exit::Ok)
}

fn test(args: &TestArgs, context: &Context) -> Result<Exit, Failure> {
    let config = context.data.config()?;
    let secrets = config.outbound.secrets()?;
    let channel = Channels::new(config.outbound.private_hosts.clone()).with_mail(config.mail_transport()?);
    let client = args.client.as_ref();
    let tested = context.with_desk(async |desk, now| {
        let mut tested = Vec::new();
        for way in desk.ways_of(&args.channel, client).await? {
            let begun = Instant::now();
            let one = desk.test_way(&way, client, &channel, &secrets, now).await?;
            tested.push((one, begun.elapsed().as_millis()));
        }
        Ok::<_, NotifyError>(tested)
    })?;
    let text: Vec<String> = tested.iter().map(|(one, took_ms)| sentence(one, *took_ms)).collect();
    context.output.result(&text.join("\n"), || {
        let ways: Vec<Value> = tested.iter().map(|(one, took_ms)| document(one, *took_ms)).collect();
        json!({ "schema": "upheld.notify-test/1", "ways": ways })
    })?;
    let all = tested.iter().all(|(one, _)| matches!(one.outcome, Ok(Outcome::Delivered { .. })));
    Ok(if all { Exit::Ok } else { Exit::Failed })
}

fn sentence(Tested { channel, outcome }: &Tested, took_ms: u128) -> String {
    let took = format!("{channel}: after {took_ms} ms");
    match outcome {
        Ok(Outcome::Delivered { reference, .. }) => format!("{took} taken: {reference}"),
        Ok(Outcome::Retry { why, .. }) => format!("{took} not taken, and would be tried again: {why}"),
        Ok(Outcome::Permanent { why }) => format!("{took} refused: {why}"),
        Ok(Outcome::Unclear { why }) => format!("{took} no clear answer: {why}"),
        Err(why) => format!("{channel}: not tried: {why}"),
    }
}

fn document(Tested { channel, outcome }: &Tested, took_ms: u128) -> Value {
    let (word, said) = match outcome {
        Ok(Outcome::Delivered { reference, .. }) => ("delivered", reference),
        Ok(Outcome::Retry { why, .. }) => ("retry", why),
        Ok(Outcome::Permanent { why }) => ("refused", why),
        Ok(Outcome::Unclear { why }) => ("unclear", why),
        Err(why) => ("not-tried", why),
    };
    json!({ "channel": channel.to_string(), "is_mail": channel.is_mail(), "outcome": word, "said": said, "took_ms": took_ms })
}

impl From<NotifyError> for Failure {
    fn from(error: NotifyError) -> Self {
        let failure = Self::of(Exit::Failed, &error);
        match error {
            NotifyError::Desk(error) => error.into(),
            NotifyError::NoIncident { .. } => failure
                .todo(
                    "wait for one, or make one: upheld-collector report-problem CLIENT SITE --text \"a try\" --by YOU",
                )
                .todo("or look at a mail without one: upheld-collector notify preview test"),
            NotifyError::OfAnother { client, .. } => {
                failure.todo(format!("leave --incident out, or name one of {client}'s"))
            }
            NotifyError::NoChannel { .. } => failure
                .todo("name one of these; client/NAME:mail needs --client CLIENT")
                .todo("or add it to provider.toml and apply the book"),
        }
    }
}
