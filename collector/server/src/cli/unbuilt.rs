//! Commands of later issues, by name: they refuse, and never look done.

use clap::Subcommand;

use crate::failure::{Exit, Failure};

/// Takes whatever follows, so that the refusal is about the command and not about its options.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(super) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

/// What is not built yet.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// (not built yet) Monthly and quarterly reports.
    Report(Anything),
}

impl Command {
    /// The refusal, with the name that was typed.
    pub(super) fn refusal(&self) -> Failure {
        let name = match self {
            Self::Report(_) => "report",
        };
        not_built(name)
    }
}

/// The one sentence for what is not part of this version.
pub(super) fn not_built(name: &str) -> Failure {
    Failure::new(Exit::Missing, format!("`upheld-collector {name}` is not built yet"))
        .todo("see what is: upheld-collector --help")
}
