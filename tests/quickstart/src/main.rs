//! `cargo quickstart`: the whole promise on one's own machine.
//!
//! It builds and spawns the two real binaries on loopback, with mTLS and an embedded database in a folder of its
//! own, and owns what stands around them: the sample book made true for this machine and day, the ticket system's
//! webhook receiver, small TCP services that play a site's devices, a folder that stands for a backup. It depends on
//! neither binary's crate and reads what they say only through their command lines and the webhook.
//!
//! With `--drill` it stops a TCP service for real and follows the chain: fault, confirmation, incident, terms, clock,
//! ticket, response fact. With `--drill=power` a real NUT server goes on battery, all that hangs on it fails, and all
//! but one comes back. Anything missing ends it with exit code 1 and the name of what is missing.
#![forbid(unsafe_code)]

mod book;
mod drill;
mod programs;
mod receiver;
mod service;
mod stage;
mod ups;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::{
    book::Calendar,
    drill::Report,
    stage::Stage,
    ups::{Missing, Nut},
};

/// Shows the promise being kept on this machine: a collector, an agent, a real incident with its clock.
#[derive(Debug, Parser)]
#[command(name = "cargo quickstart", version)]
struct Options {
    /// Break something for real and follow the chain from fault to ticket.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "service", require_equals = true)]
    drill: Option<Drill>,
    /// End when everything was shown, instead of staying up until Ctrl-C.
    #[arg(long)]
    exit: bool,
    /// Print the chain as one JSON document.
    #[arg(long)]
    json: bool,
    /// Whether this moment lies inside the covered hours.
    #[arg(long, value_enum, default_value = "open")]
    calendar: Calendar,
    /// Keep the folder with database, book and logs after the end.
    #[arg(long)]
    keep: bool,
}

/// What the drill breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Drill {
    /// A door controller stops answering and comes back.
    Service,
    /// The UPS goes on battery, all that hangs on it fails, all but one returns.
    Power,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let stopped = async {
        // Without a handler Ctrl-C would end us before the two programs.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        outcome = Box::pin(show(&options)) => match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let code = if error.is::<Missing>() { 69 } else { 1 };
                fail(&options, code, &format!("{error:#}"))
            }
        },
        () = stopped => ExitCode::from(130),
    }
}

async fn show(options: &Options) -> Result<()> {
    // Looked for before anything is built: who lacks it should know at once.
    let nut = match options.drill {
        Some(Drill::Power) => Some(Nut::find()?),
        Some(Drill::Service) | None => None,
    };
    let mut stage = Box::pin(Stage::set_up(options.calendar, options.exit, options.keep, nut)).await?;
    let outcome = Box::pin(perform(options, &mut stage)).await;
    let ended = stage.tear_down(outcome.is_err()).await;
    outcome.and(ended)
}

async fn perform(options: &Options, stage: &mut Stage) -> Result<()> {
    stage.wait_until_well().await?;
    if !options.exit {
        stage.introduce().await?;
    }
    if let Some(drill) = options.drill {
        let report: Report = match drill {
            Drill::Service => Box::pin(drill::service::run(stage)).await?,
            Drill::Power => Box::pin(drill::power::run(stage)).await?,
        };
        if options.json {
            println!("{:#}", report.document);
        } else {
            println!("{}", report.text);
        }
        report.complete()?;
    }
    if !options.exit {
        stage::say("Everything keeps running until Ctrl-C.");
        tokio::select! {
            _ = tokio::signal::ctrl_c() => stage::say("Ending."),
            failed = stage.watch_programs(Duration::from_secs(1)) => failed?,
        }
    }
    Ok(())
}

fn fail(options: &Options, code: u8, why: &str) -> ExitCode {
    if options.json {
        let document = serde_json::json!({ "schema": "upheld.quickstart/1", "ok": false, "missing": [why] });
        println!("{document:#}");
    }
    eprintln!("Error: {why}");
    ExitCode::from(code)
}
