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
        if self.json { write_line(&escaped(&document().to_string())) } else { write_line(text) }
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
            let _ = write_line(&escaped(&failure.json()));
        } else {
            eprint!("{}", failure.text(self.is_coloured()));
        }
    }
}

/// The same JSON, whose texts hold nothing that a terminal would obey or that turns the order of what is read: what an agent
/// or a device said may be in it. JSON itself escapes only what is below U+0020; beyond ASCII everything stands in texts.
fn escaped(json: &str) -> String {
    let is_command = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_command(c) {
            // All of them are one unit of UTF-16.
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_said_is_the_same_json_and_commands_no_terminal() {
        let hostile = "a\u{1b}[2J\u{9b}2J\u{7f}\u{202e}gpj.exe\u{2066}\u{fc}\u{1f600}\\u009b";
        let document = serde_json::json!({ "body": hostile, hostile: 1 });
        let text = escaped(&document.to_string());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
        assert!(text.chars().all(|c| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c)), "{text}");
        assert!(text.contains("\\u009b2J\\u007f\\u202e") && text.contains("\u{fc}\u{1f600}"), "{text}");
    }
}
