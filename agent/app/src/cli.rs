//! What can be typed: `upheld-agent <verb>` (UX 3.2).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use upheld_model::SecretName;

use upheld_probe::discover::Network;

use crate::platform;

/// Watches this site for its provider, works alone when the line is down, loses nothing.
#[derive(Debug, Parser)]
#[command(name = "upheld-agent", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The folder where this agent keeps its keys, its journal and its state.
    #[arg(long, global = true, value_name = "DIR", default_value = platform::STATE_FOLDER)]
    pub(crate) state: PathBuf,
    /// The settings file; without it the one given at enrolment, or /etc/upheld/agent.toml if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What checks may reach (allow.toml); without it the one given at enrolment, or what the settings name, or
    /// /etc/upheld/allow.toml if there is one, or the package's defaults.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) allow: Option<PathBuf>,
    /// What to log on stderr: error, warn, info, debug, trace, or by part, such as `info,upheld_agent=debug`.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub(crate) log: String,
    /// Write the result, and any error, as JSON on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make this host an agent of a provider, with the link that the provider gave.
    Enroll {
        /// The link, in quotes: https://HOST/e/TOKEN#KEY
        link: String,
        /// Set an earlier enrolment of this host aside and begin anew.
        #[arg(long)]
        replace: bool,
    },
    /// Watch and report until told to stop (what the service runs).
    Run {
        /// The service manager started this process (Windows).
        #[cfg(windows)]
        #[arg(long, hide = true)]
        service: bool,
    },
    /// Say how this agent is.
    Status {
        /// List what leaves this host, and for where.
        #[arg(long)]
        sends: bool,
        /// Exit with 4 when a check is not ok.
        #[arg(long)]
        exit_code: bool,
    },
    /// Tell that a job ran: the last line of a backup script, `upheld-agent ran nightly --status $?`.
    Ran {
        /// The job as the book calls it: `srv-1/nightly`, or `nightly` where no other asset has one of that name.
        job: String,
        /// It failed.
        #[arg(long, conflicts_with = "status")]
        failed: bool,
        /// Its exit status: anything but 0 is a failure.
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        status: Option<i32>,
        /// When it began: seconds (`date +%s`) or an instant (`date -Is`).
        #[arg(long, value_name = "TIME")]
        started: Option<String>,
    },
    /// Tell where a job is in its run, step by step: `ping nightly --start`, and `ping nightly --exit $?` behind it.
    Ping {
        /// The job as the book calls it, as with `ran`.
        job: String,
        /// It begins.
        #[arg(long, group = "step")]
        start: bool,
        /// It ended well, which is what it means without any of these.
        #[arg(long, group = "step")]
        ok: bool,
        /// It failed.
        #[arg(long, group = "step")]
        fail: bool,
        /// It ended with this status: anything but 0 is a failure.
        #[arg(long, value_name = "N", group = "step", allow_negative_numbers = true)]
        exit: Option<i32>,
        /// Which run, where runs of the job overlap: the same word with its begin and its end.
        #[arg(long, value_name = "ID")]
        rid: Option<String>,
    },
    /// Run checks by hand.
    Check {
        #[command(subcommand)]
        verb: CheckVerb,
    },
    /// Look what there is to watch here, and print it as assets and checks for the provider's book. Nothing is sent to the
    /// provider without --propose; nothing is asked that allow.toml forbids.
    Discover {
        /// A network to look through, such as 10.40.0.0/24; may be given several times. Without it, that of the port which
        /// leads to the gateway.
        #[arg(long, value_name = "CIDR")]
        network: Vec<Network>,
        /// Ask hosts that answer by SNMP too (version 2c), with the community that is kept here under this name; may be given
        /// several times. Each of them is then shown it, in clear text.
        #[arg(long, value_name = "SECRET")]
        snmp: Vec<SecretName>,
        /// Ask hosts that answer by SNMP with the community `public`.
        #[arg(long)]
        snmp_public: bool,
        /// Send what nobody watches yet to the collector, where a person decides of it; nothing changes before.
        #[arg(long)]
        propose: bool,
    },
    /// Write what checks see into a file that `upheld-collector replay` takes. Nothing is sent.
    Record {
        /// Run the configured checks here for so long, such as 10min; until Ctrl-C without it.
        #[arg(long = "for", value_name = "TIME", conflicts_with = "since")]
        lasts: Option<String>,
        /// Write what this host's journal holds since then instead: a time back, such as 2h or 7d, or an instant.
        #[arg(long, value_name = "WHEN")]
        since: Option<String>,
        /// The file, which must not be there yet; standard output without it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make this program a service of this host, where no package did; say how it is; take it back.
    Service {
        #[command(subcommand)]
        verb: ServiceVerb,
    },
    /// Say what is wrong with this host as an agent: each thing ok, or a command to run.
    Doctor,
    /// Play an outage, end to end: detect, match, clock, delivery, each with its seconds. It is marked as a drill
    /// everywhere, pages nobody, counts nowhere and ends by itself.
    Drill,
    /// Write man pages and completions, for packagers.
    #[command(hide = true)]
    Pages {
        /// The folder, which is made.
        folder: PathBuf,
    },
    /// Keep what checks need in order to log in on this host: set, list, remove. Values are never shown or sent.
    Secret {
        #[command(subcommand)]
        verb: SecretVerb,
    },
}

/// What to do with checks.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckVerb {
    /// Run the configured checks once, here, and print what each saw. Nothing is recorded or sent.
    Now {
        /// Only checks with this name: `asset/check`, an asset, or a check's own name.
        name: Option<String>,
        /// Exit with 4 when a check is not ok.
        #[arg(long)]
        exit_code: bool,
    },
}

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretVerb {
    /// Set or change one; its value is read from the terminal unseen, or from standard input.
    Set {
        /// Its name, as the book has it: `nvr-web`.
        name: SecretName,
    },
    /// Say which there are, where each comes from, when it was set and which checks use it; which are missing.
    List,
    /// Take one that was set on this host away.
    Remove {
        /// Its name.
        name: SecretName,
    },
}

/// What to do with the service.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceVerb {
    /// Start with this host, from here on and after each boot; an older version is replaced.
    Install,
    /// Start it.
    Start,
    /// Stop it, until this host starts again or somebody starts it.
    Stop,
    /// Say how the service is.
    Status,
    /// Take it back; keys and journal stay.
    Uninstall,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        Cli::command().debug_assert();
    }
}
