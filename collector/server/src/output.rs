//! Where words go: results to standard output, messages to standard error (UX 3.1).

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde_json::Value;

use crate::failure::{Exit, Failure};

/// Whether to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How this run speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// One JSON document in place of text.
    pub(crate) json: bool,
    /// No messages.
    pub(crate) quiet: bool,
    /// Whether to use colour.
    pub(crate) colour: Colour,
}

impl Output {
    /// Prints the command's result: `text` for people (a newline is added where it lacks one), `document` for machines.
    pub(crate) fn result(&self, text: &str, document: impl FnOnce() -> Value) -> Result<(), Failure> {
        if self.json { write_line(&document().to_string()) } else { write_line(text) }
    }

    /// Tells a person something beside the result.
    pub(crate) fn say(&self, message: &str) {
        if !self.quiet {
            eprintln!("{message}");
        }
    }

    /// Whether what goes to standard error may be coloured.
    pub(crate) fn is_coloured(&self) -> bool {
        match self.colour {
            Colour::Auto => io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            Colour::Always => true,
            Colour::Never => false,
        }
    }

    /// Tells how the run failed, to people on standard error or to machines as the last line of standard output.
    pub(crate) fn failed(&self, failure: &Failure) {
        if self.json {
            // Where even this cannot be written, the exit code speaks.
            let _ = write_line(&failure.json());
        } else {
            eprint!("{}", failure.text(self.is_coloured()));
        }
    }
}

/// Writes a line. A reader who has left (`… | head`) is no failure.
pub(crate) fn write_line(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let newline: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(newline)).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(gone) if gone.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(Exit::Failed, "cannot write to standard output").because(error.to_string())),
    }
}
