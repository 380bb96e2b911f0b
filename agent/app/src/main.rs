//! `upheld-agent`: real disk, network and clocks under the engine and the delivery protocol, and the command line.
//!
//! It probes by itself, writes what it saw to its journal, and sends the journal to its collector whenever there is
//! one (DELIVERY). It runs no program but those that the site's own file spells out, whatever the collector says (SECURITY 1). A command fails with one of the exit
//! codes of [`failure::Code`]; the running agent copes and says so in `status`.
//!
//! Where to look next: [`run`] for the loop, [`enroll`] for the beginning, [`tls`] for whom it believes.

mod alarm;
mod check;
mod cli;
mod clocks;
mod collectors;
mod config;
mod discover;
mod disk;
mod doctor;
mod drill;
mod enroll;
mod failure;
mod files;
mod http;
mod identity;
mod memory;
mod output;
mod pages;
mod platform;
mod ran;
mod record;
mod recorder;
mod run;
mod secret;
mod sends;
mod service;
mod settings;
mod state;
mod status;
#[cfg(test)]
mod testing;
mod tls;
mod uplink;
mod words;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::{CommandFactory, Parser};
use rustls::crypto::{CryptoProvider, ring};
use tracing_subscriber::filter::Targets;

use cli::{CheckVerb, Cli, Verb};
use failure::{Code, Failure};
use upheld_probe::discover::Communities;

fn main() -> ExitCode {
    let provider = Arc::new(ring::default_provider());
    // Only refused when there is one already, and this is the first thing that the process does.
    let _ = (*provider).clone().install_default();

    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, wants_json),
    };
    // A verb that takes anything takes the option too.
    let wants_json = cli.common.json || wants_json;
    match start_as_asked(cli, provider) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure, wants_json);
            ExitCode::from(failure.code() as u8)
        }
    }
}

/// As what this process was started: a command, or the service of Windows' manager.
fn start_as_asked(cli: Cli, provider: Arc<CryptoProvider>) -> Result<(), Failure> {
    #[cfg(windows)]
    if let Verb::Run { service: true } = cli.verb {
        return platform::manager::serve(move || start(&cli, &provider));
    }
    start(&cli, &provider)
}

fn start(cli: &Cli, provider: &Arc<CryptoProvider>) -> Result<(), Failure> {
    log(cli)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Names and file systems are looked up on these; few, short-lived and with a small stack, for the memory.
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .thread_stack_size(256 << 10)
        .build()
        .map_err(|error| Failure::new(Code::Failed, "cannot start").because(error))?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(dispatch(cli, provider)))
}

async fn dispatch(cli: &Cli, provider: &Arc<CryptoProvider>) -> Result<(), Failure> {
    match &cli.verb {
        Verb::Enroll { link, replace } => enroll::enroll(&cli.common, link, *replace, provider).await,
        Verb::Run { .. } => run::run(&cli.common, provider).await,
        Verb::Status { sends, exit_code } => status::status(&cli.common, *sends, *exit_code),
        Verb::Ran { job, failed, status, started } => {
            let is_failure = *failed || status.is_some_and(|status| status != 0);
            let step = if is_failure { ran::Step::Failed } else { ran::Step::Ok };
            ran::ran(&cli.common, job, step, started.as_deref(), None)
        }
        Verb::Ping { job, start, ok: _, fail, exit, rid } => {
            let is_failure = *fail || exit.is_some_and(|status| status != 0);
            let step = match (*start, is_failure) {
                (true, _) => ran::Step::Start,
                (false, true) => ran::Step::Failed,
                (false, false) => ran::Step::Ok,
            };
            ran::ran(&cli.common, job, step, None, rid.as_deref())
        }
        Verb::Check { verb: CheckVerb::Now { name, exit_code } } => {
            check::now(&cli.common, name.as_deref(), *exit_code).await
        }
        Verb::Record { lasts, since, out } => {
            let wanted = record::Wanted { lasts: lasts.clone(), since: since.clone(), out: out.clone() };
            record::record(&cli.common, wanted).await
        }
        Verb::Discover { network, snmp, snmp_public, propose } => {
            let communities = Communities { secrets: snmp.clone(), public: *snmp_public };
            let wanted = discover::Wanted { networks: network, communities, propose: *propose, provider };
            discover::discover(&cli.common, wanted).await
        }
        Verb::Service { verb } => service::service(&cli.common, verb).await,
        Verb::Doctor => doctor::doctor(&cli.common, provider).await,
        Verb::Drill => drill::drill(&cli.common),
        Verb::Pages { folder } => pages::write(Cli::command(), folder),
        Verb::Secret { verb } => secret::secret(&cli.common, verb),
    }
}

/// To stderr; a service of Windows has none, and writes into its state folder.
fn log(cli: &Cli) -> Result<(), Failure> {
    use std::io::IsTerminal;
    use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

    let filter: Targets = cli.common.log.parse().map_err(|error| {
        Failure::new(Code::Invalid, format!("--log {} is not a level", cli.common.log))
            .because(error)
            .help("use error, warn, info, debug or trace, or by part: --log info,upheld_agent=debug")
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false);
    #[cfg(windows)]
    if platform::manager::is_here() {
        let state = state::StateFolder::new(&cli.common.state);
        state.create()?;
        let file = platform::log::LogFile::open(&state.log()).map_err(files::FileError::of("open", &state.log()));
        let file = std::sync::Mutex::new(file.map_err(|error| state.unusable(error))?);
        let lines = tracing_subscriber::fmt::layer().with_writer(file).with_ansi(false).with_target(false);
        tracing_subscriber::registry().with(filter).with(lines).init();
        return Ok(());
    }
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(())
}

fn usage(error: &clap::Error, wants_json: bool) -> ExitCode {
    if wants_json && error.use_stderr() {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let line = serde_json::json!({
            "type": "exit_error", "code": error.exit_code(), "what": what, "why": [], "todo": []
        });
        println!("{line}");
    } else {
        // A closed stderr leaves nobody to tell.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn report(failure: &Failure, json: bool) {
    if json {
        println!("{}", failure.to_json());
    } else {
        eprintln!("{failure}");
    }
}
