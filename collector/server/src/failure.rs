//! How a command fails: what, why, what to do, and an exit code that means one thing (UX 3.1).

use std::{error::Error, fmt::Write as _, io::ErrorKind};

use serde_json::json;
use upheld_desk::{AcceptError, AccountError, ApplyError, CommandError, DeskError, TokenError};
use upheld_store::{StoreError, sqlite::follow::FollowError};

use crate::{files::FileError, pki::PkiError};

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// Failed.
    Failed,
    /// The command line is wrong.
    Usage,
    /// Done with something missing.
    Partial,
    /// A condition holds that was asked for.
    Holds,
    /// Another collector serves this data.
    AlreadyRunning,
    /// Not part of this version.
    Missing,
    /// Nothing is wrong that time does not heal.
    TryAgain,
    /// Configuration or book are invalid.
    Config,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Holds => 4,
            Self::AlreadyRunning => 11,
            Self::Missing => 69,
            Self::TryAgain => 75,
            Self::Config => 78,
        }
    }
}

/// A command's failure, ready to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    why: Vec<String>,
    todo: Vec<String>,
}

impl Failure {
    /// What failed.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), why: Vec::new(), todo: Vec::new() }
    }

    /// A failure that an error explains: its text, and the texts of its sources as the why.
    pub(crate) fn of(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, error.to_string()).because_of(error.source())
    }

    /// The same with a reason.
    #[must_use]
    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// The same with an error and its sources as reasons.
    #[must_use]
    pub(crate) fn because_of(mut self, mut error: Option<&dyn Error>) -> Self {
        while let Some(cause) = error {
            self.why.push(cause.to_string());
            error = cause.source();
        }
        self
    }

    /// The same with a command that can be pasted, or a sentence.
    #[must_use]
    pub(crate) fn todo(mut self, todo: impl Into<String>) -> Self {
        self.todo.push(todo.into());
        self
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// For people; `Error` is the loudest word.
    pub(crate) fn text(&self, colour: bool) -> String {
        let (loud, quiet) = if colour { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        let mut text = format!("{loud}Error{quiet}: {}\n", self.what);
        for why in &self.why {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  why: {}", indented(why));
        }
        for todo in &self.todo {
            let _ = writeln!(text, "  do:  {}", indented(todo));
        }
        text
    }

    /// For machines: the last line of a failed run.
    pub(crate) fn json(&self) -> String {
        json!({
            "type": "exit_error",
            "code": self.exit.code(),
            "what": self.what,
            "why": self.why,
            "todo": self.todo,
        })
        .to_string()
    }
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n       ")
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let failure = Self::of(Exit::Failed, &error);
        let kind = error.source.kind();
        if matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
            return failure
                .todo("run it as the user that owns the data, or name another folder: upheld-collector --data DIR …");
        }
        if kind == ErrorKind::StorageFull {
            return failure.todo("make room on the disk, then run the command again");
        }
        failure
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Locked
            | StoreError::DiskFull
            | StoreError::Undone { .. }
            | StoreError::Lost { .. }
            | StoreError::Fenced { .. }
            | StoreError::Unsure => Exit::TryAgain,
            StoreError::NewerSchema { .. }
            | StoreError::Foreign { .. }
            | StoreError::Open { .. }
            | StoreError::Unreachable { .. } => Exit::Config,
            StoreError::Served { .. } => Exit::AlreadyRunning,
            StoreError::Exists { .. }
            | StoreError::Damaged { .. }
            | StoreError::Stopped { .. }
            | StoreError::Database { .. } => Exit::Failed,
        };
        Self::of(exit, &error)
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Desk(error) => error.into(),
            AccountError::Client { .. } => Self::of(Exit::Usage, &error),
            AccountError::Busy | AccountError::Wait { .. } | AccountError::Stale => Self::of(Exit::TryAgain, &error),
            AccountError::Name(_)
            | AccountError::Password(_)
            | AccountError::NoSuchUser(_)
            | AccountError::Disabled { .. }
            | AccountError::Taken { .. }
            | AccountError::NoSuchClient(_)
            | AccountError::BeyondReach
            | AccountError::LastAdmin
            | AccountError::Yourself
            | AccountError::HasPassword { .. }
            | AccountError::LinkGone
            | AccountError::WrongPassword => Self::of(Exit::Failed, &error),
        }
    }
}

impl From<FollowError> for Failure {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Store(error) => error.into(),
            FollowError::Followed(_) => {
                Self::of(Exit::AlreadyRunning, &error).todo("stop the other `backup --follow` of this collector first")
            }
            FollowError::Lost | FollowError::Read { .. } | FollowError::Keep(_) => Self::of(Exit::Failed, &error),
        }
    }
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Store(error) => error.into(),
            DeskError::NoBook => {
                Self::new(Exit::Config, "no book has been applied yet").todo("upheld-collector book apply DIR")
            }
            DeskError::Overtaken(_) | DeskError::Recovering { .. } => Self::of(Exit::TryAgain, &error),
            DeskError::Plan(_) => Self::of(Exit::Config, &error),
            DeskError::Ambiguous { .. }
            | DeskError::Unreadable { .. }
            | DeskError::NoSuchIncident(_)
            | DeskError::NoSuchPlace(_)
            | DeskError::NoSuchAgent(_)
            | DeskError::Forgotten { .. }
            | DeskError::Random(_) => Self::of(Exit::Failed, &error),
        }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Desk(error) => error.into(),
            CommandError::Time { .. }
            | CommandError::NotAllowed { .. }
            | CommandError::State { .. }
            | CommandError::Missing { .. }
            | CommandError::Stale { .. }
            | CommandError::Role { .. }
            | CommandError::KeyReused => Self::of(Exit::Failed, &error),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Desk(error) => error.into(),
            TokenError::NoSuchClient(_) | TokenError::NoSuchSite { .. } => Self::of(Exit::Failed, &error),
            TokenError::Ttl(_) | TokenError::Uses(_) | TokenError::SiteTtl(_) | TokenError::Networks(_) => {
                Self::of(Exit::Usage, &error)
            }
            TokenError::TooMany(_) => Self::of(Exit::Failed, &error),
        }
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Desk(error) => error.into(),
            ApplyError::Refused(_)
            | ApplyError::ClientMissing { .. }
            | ApplyError::HolidayChanged(_)
            | ApplyError::VersionChanged { .. } => {
                let failure = error
                    .reasons()
                    .iter()
                    .fold(Self::of(Exit::Config, &error), |failure, reason| failure.because(reason.clone()));
                error.remedy().into_iter().fold(failure, Self::todo)
            }
        }
    }
}

impl From<AcceptError> for Failure {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Desk(error) => error.into(),
            AcceptError::OtherHash { right, .. } => Self::of(Exit::Failed, &error)
                .because(format!("the hash of the version in force is {right}"))
                .todo("read it first: upheld-collector book explain CLIENT; then accept that hash"),
            AcceptError::NoSuchVersion { .. } | AcceptError::Already { .. } => Self::of(Exit::Failed, &error),
            AcceptError::Name => Self::of(Exit::Usage, &error).todo("--by \"Ana Example\""),
        }
    }
}

impl From<PkiError> for Failure {
    fn from(error: PkiError) -> Self {
        match error {
            PkiError::File(error) => error.into(),
            PkiError::Content { .. } => Self::of(Exit::Config, &error)
                .todo("restore the folder pki/ from a backup; agents trust only the root that they were enrolled with"),
            PkiError::Sign { .. } | PkiError::Request(_) | PkiError::Random(_) => Self::of(Exit::Failed, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_do_to_both_readers() {
        let failure = Failure::new(Exit::TryAgain, "port 7443 is in use").because("Address in use").todo("use another");
        assert_eq!(failure.text(false), "Error: port 7443 is in use\n  why: Address in use\n  do:  use another\n");
        let json: serde_json::Value = serde_json::from_str(&failure.json()).unwrap();
        assert_eq!(json["type"], "exit_error");
        assert_eq!(json["code"], 75);
        assert_eq!(json["todo"][0], "use another");
    }
}
