//! How a command fails: what, where, why, what to do, and the exit code that UX 3.1 gives it.
//!
//! One type for the whole binary, because every failure ends at the same place: `main` prints it and exits.

use std::fmt;

use serde::Serialize;

/// The exit codes of UX 3.1 that this binary uses beside 0 and clap's 2; a signal ends it as the system does (130 in a
/// shell). An unknown code means failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Failed, for a reason without a code of its own.
    Failed = 1,
    /// Done, with something missing.
    Partial = 3,
    /// A check is not ok; only with `--exit-code`.
    NotOk = 4,
    /// This host is not enrolled.
    NotEnrolled = 10,
    /// Another agent runs on the same state folder.
    AlreadyRunning = 11,
    /// The collector answered and refused.
    Refused = 12,
    /// The collector could not be reached, or is not the one of the link.
    Unreachable = 13,
    /// Something that is needed is missing or not built.
    Missing = 69,
    /// Try again later.
    TryAgain = 75,
    /// A file of this host is not valid.
    Invalid = 78,
}

/// A failed command. The first line says what failed, on which file or host; `why` is the cause, if there is more to
/// say; `help` is what to do, a command where there is one.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    what: String,
    why: Option<String>,
    help: Option<String>,
}

impl Failure {
    /// A failure with its code and its first line.
    pub(crate) fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: None, help: None }
    }

    /// Adds the cause with all its own causes.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl std::error::Error) -> Self {
        self.why = Some(chain_of(&cause));
        self
    }

    /// Adds the cause in words.
    #[must_use]
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What failed and why in one line, and what to do.
    pub(crate) fn said(&self) -> (String, Option<String>) {
        let why = self.why.iter().map(|why| format!(": {why}"));
        (format!("{}{}", self.what, why.collect::<String>()), self.help.clone())
    }

    /// The process's exit code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The last line of a failed run with `--json` (UX 3.1).
    pub(crate) fn to_json(&self) -> String {
        let line = ExitError {
            r#type: "exit_error",
            code: self.code as u8,
            what: &self.what,
            why: self.why.as_slice(),
            todo: self.help.as_slice(),
        };
        // Plain strings and a number: serialising cannot fail, but a failure must not be hidden either.
        serde_json::to_string(&line)
            .unwrap_or_else(|error| format!(r#"{{"type":"exit_error","code":1,"what":"{error}"}}"#))
    }
}

#[derive(Serialize)]
struct ExitError<'a> {
    r#type: &'static str,
    code: u8,
    what: &'a str,
    why: &'a [String],
    todo: &'a [String],
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error: {}", self.what)?;
        if let Some(why) = &self.why {
            write!(f, "\n  why: {why}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  do:  {help}")?;
        }
        Ok(())
    }
}

/// An error with its causes, `a: b: c`, a cause that only repeats the one before left out.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let failure = Failure::new(Code::Invalid, "cannot read /etc/upheld/agent.toml").why("line 1").help("mend it");
        assert_eq!(failure.to_string(), "Error: cannot read /etc/upheld/agent.toml\n  why: line 1\n  do:  mend it");
        assert_eq!(
            failure.to_json(),
            r#"{"type":"exit_error","code":78,"what":"cannot read /etc/upheld/agent.toml","why":["line 1"],"todo":["mend it"]}"#
        );
    }
}
