//! The command line: what can be typed, and which module answers (UX 3.1, 3.3).
//!
//! Every command opens the data folder itself, beside a running server or without one; the server notices within a
//! second. Commands of later issues are here by name, so that they say "not built yet" instead of being unknown.

mod accept;
mod access;
mod agent;
mod backup;
mod book;
mod ca;
mod cases;
mod codes;
mod collectors;
mod commission;
mod cost;
mod database;
mod digest;
mod doctor;
mod incident;
mod init;
mod maintenance;
mod notify;
mod package;
mod pages;
mod people;
mod proposals;
mod queue;
mod recovery;
mod replay;
mod restore;
mod runs;
mod secret;
mod serve;
mod statement;
mod store;
mod unbuilt;
mod uptime;
mod user;
mod what_if;
mod work;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, error::ErrorKind};
use jiff::{Timestamp, tz::TimeZone};
use upheld_desk::{Actor, Desk};

use crate::{
    data_dir::DataDir,
    failure::{Exit, Failure},
    output::{Colour, Output},
};

/// Upheld's collector: one incident per cause, the client's terms, the clock, the ticket.
#[derive(Debug, Parser)]
#[command(name = "upheld-collector", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The collector's data folder.
    #[arg(long, global = true, env = "UPHELD_DATA", default_value = "upheld-data", value_name = "DIR")]
    data: PathBuf,
    /// Print one JSON document; errors too.
    #[arg(long, global = true)]
    json: bool,
    /// Print the result only.
    #[arg(long, global = true)]
    quiet: bool,
    /// Colour in messages.
    #[arg(long, global = true, value_enum, default_value_t)]
    color: Colour,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a collector: keys, database, configuration.
    Init(init::Args),
    /// Serve agents, people and scripts until stopped.
    Serve(serve::Args),
    /// The provider's book of agreements.
    #[command(subcommand)]
    Book(book::Command),
    /// Write down that a client accepted a version of his agreement.
    Accept(accept::Args),
    /// The hosts that watch clients' sites.
    #[command(subcommand)]
    Agent(agent::Command),
    /// Open incidents, the next clock to run out first.
    Queue(queue::Args),
    /// What was found while a site was set up, and what of it is to be dealt with.
    Commission(commission::Args),
    /// What needs somebody's eye and pages nobody: unstable, lingering, at risk, over when it was told, degraded.
    Digest(digest::Args),
    /// What a mail would say, and whether a channel takes one.
    #[command(subcommand)]
    Notify(notify::Command),
    /// Why an incident's clocks are due when they are.
    Explain(incident::ExplainArgs),
    #[command(flatten)]
    People(people::Command),
    /// Enter a problem that a person reports: the same terms, the same clock.
    ReportProblem(people::ReportArgs),
    /// Windows of agreed work: enter, end, list, and whether one is in force.
    #[command(subcommand)]
    Maintenance(maintenance::Command),
    /// Work for an incident: enter it, correct it, list it.
    #[command(subcommand)]
    Work(work::Command),
    /// What it would cost to send someone now, and at the next opening.
    Cost(cost::Args),
    /// The calculator of due times, on its own.
    #[command(subcommand)]
    Clock(cases::ClockCommand),
    /// Each asset's time over a period; with --cases, the calculator of availability on its own.
    Uptime(uptime::Args),
    /// Did the client get what he pays for: a month's or a quarter's figures, each with its cause.
    Statement(statement::Args),
    /// Runs of jobs that were expected, and what became of each.
    Runs(runs::Args),
    /// Replay history under another book, beside what happened.
    WhatIf(what_if::Args),
    /// Replay recorded samples through detection, in virtual time.
    Replay(replay::Args),
    /// People's accounts: make, list, disable, another role, links to choose a password.
    #[command(subcommand)]
    User(user::Command),
    /// What checks of a site need in order to log in, sealed to its agents: nobody reads it here again.
    #[command(subcommand)]
    Secret(secret::Command),
    /// What hosts propose to watch: list, show, accept, dismiss.
    #[command(subcommand)]
    Proposals(proposals::Command),
    /// What new hosts install, and the key that must have signed it.
    #[command(subcommand)]
    Package(package::Command),
    /// Tokens for scripts.
    #[command(subcommand)]
    ApiToken(access::TokenCommand),
    /// Print a link that logs in once, within 15 minutes.
    LoginLink(access::LinkArgs),
    /// The certificate authority that agents trust.
    #[command(subcommand)]
    Ca(ca::Command),
    /// Write keys, secrets, settings and the database of this moment into one file; the collector may run.
    Backup(backup::BackupArgs),
    /// Make a data folder of a backup.
    Restore(restore::RestoreArgs),
    /// What a restored collector may lack, and that a person has seen it.
    #[command(subcommand)]
    Recovery(recovery::Command),
    /// What a code such as E0212 means and what to do.
    ExplainError(codes::Args),
    /// Write man pages and completions, for packagers.
    #[command(hide = true)]
    Pages {
        /// The folder, which is made.
        folder: PathBuf,
    },
    /// Which collectors serve this database, and which of them does what.
    Collectors,
    /// What is wrong with the collectors of this database, each with what to do; changes nothing.
    Doctor,
    /// The database as a whole: copy it to PostgreSQL.
    #[command(subcommand)]
    Store(store::Command),
    #[command(flatten)]
    Unbuilt(unbuilt::Command),
}

pub(crate) use book::read_folder as read_book_folder;

/// What every command is handed.
pub(crate) struct Context {
    /// The data folder.
    pub(crate) data: DataDir,
    /// How to speak.
    pub(crate) output: Output,
}

impl Context {
    /// The data folder as a command line would name it; empty when it is the default.
    pub(crate) fn data_option(&self) -> String {
        let path = self.data.path();
        if path == std::path::Path::new("upheld-data") { String::new() } else { format!(" --data {}", path.display()) }
    }

    /// Runs `work` with the desk of the data folder and this moment.
    pub(crate) fn with_desk<T, E: Into<Failure>>(
        &self,
        work: impl AsyncFnOnce(&Desk, Timestamp) -> Result<T, E>,
    ) -> Result<T, Failure> {
        let desk = self.data.desk()?;
        runtime()?.block_on(work(&desk, Timestamp::now())).map_err(Into::into)
    }

    /// The zone in which the provider reads times without one: the book's, or UTC before there is a book.
    pub(crate) async fn zone(&self, desk: &Desk) -> Result<TimeZone, Failure> {
        match desk.current_book().await {
            Ok(applied) => Ok(book::provider_zone(&applied.book)),
            Err(upheld_desk::DeskError::NoBook) => Ok(TimeZone::UTC),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whoever types: the system's name for him.
pub(crate) fn typist() -> Actor {
    let name = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    Actor::person(name.filter(|name| !name.is_empty()).unwrap_or_else(|| "command line".to_owned()))
}

/// A runtime for one command.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "cannot start").because(error.to_string()))
}

/// Runs the program with the process's arguments.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse_usage(&error),
    };
    let output = Output { json: cli.json, quiet: cli.quiet, colour: cli.color };
    let context = Context { data: DataDir::at(cli.data), output };
    match dispatch(cli.command, &context) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            // A command that takes anything takes the option too.
            Output { json: output.json || wants_json(), ..output }.failed(&failure);
            ExitCode::from(failure.exit().code())
        }
    }
}

fn dispatch(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::run(args, context),
        Command::Serve(args) => serve::run(&args, context),
        Command::Book(command) => book::run(command, context),
        Command::Accept(args) => accept::run(&args, context),
        Command::Agent(command) => agent::run(command, context),
        Command::Queue(args) => queue::run(&args, context),
        Command::Commission(args) => commission::run(&args, context),
        Command::Digest(args) => digest::run(&args, context),
        Command::Notify(command) => notify::run(command, context),
        Command::Explain(args) => incident::explain(&args, context),
        Command::People(command) => people::run(command, context),
        Command::ReportProblem(args) => people::report_problem(args, context),
        Command::Maintenance(command) => maintenance::run(command, context),
        Command::Work(command) => work::run(command, context),
        Command::Cost(args) => cost::run(&args, context),
        Command::Clock(cases::ClockCommand::Due(args)) => cases::due(&args, context),
        Command::Uptime(args) => uptime::run(&args, context),
        Command::Runs(args) => runs::run(&args, context),
        Command::Statement(args) => statement::run(&args, context),
        Command::WhatIf(args) => what_if::run(&args, context),
        Command::Replay(args) => replay::run(&args, context),
        Command::User(command) => user::run(command, context),
        Command::Secret(command) => secret::run(command, context),
        Command::Proposals(command) => proposals::run(command, context),
        Command::Package(command) => package::run(command, context),
        Command::ApiToken(command) => access::token(command, context),
        Command::LoginLink(args) => access::login_link(&args, context),
        Command::Ca(command) => ca::run(command, context),
        Command::Backup(args) => backup::run(&args, context),
        Command::Restore(args) => restore::run(&args, context),
        Command::Recovery(command) => recovery::run(command, context),
        Command::ExplainError(args) => codes::run(&args, context),
        Command::Pages { folder } => pages::write(<Cli as clap::CommandFactory>::command(), &folder).map(|()| Exit::Ok),
        Command::Collectors => collectors::run(context),
        Command::Doctor => doctor::run(context),
        Command::Store(command) => store::run(command, context),
        Command::Unbuilt(command) => Err(command.refusal()),
    }
}

/// Help and version are results; anything else is a wrong command line, told as JSON where that was asked for.
fn refuse_usage(error: &clap::Error) -> ExitCode {
    let is_result = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if wants_json() && !is_result {
        let failure = Failure::new(Exit::Usage, error.render().to_string().trim().to_owned());
        Output { json: true, quiet: false, colour: Colour::Never }.failed(&failure);
    } else {
        // Where the help cannot be written there is nobody to tell.
        let _ = error.print();
    }
    ExitCode::from(if is_result { Exit::Ok.code() } else { Exit::Usage.code() })
}

fn wants_json() -> bool {
    std::env::args_os().any(|argument| argument == "--json")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_grammar_has_no_contradictions() {
        super::Cli::command().debug_assert();
    }
}
