//! The result on stdout: whole, or a failure that says why. A reader that closed early (`| head`) is no failure.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::{Code, Failure};

/// Prints one JSON document on one line.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(document)
        .map_err(|error| Failure::new(Code::Failed, "cannot write the result as JSON").because(error))?;
    lines(&[line])
}

/// Prints lines.
pub(crate) fn lines(lines: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Code::Failed, "cannot write to stdout").because(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
