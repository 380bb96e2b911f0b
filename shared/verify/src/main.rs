//! `upheld-verify BUNDLE`: the program with which a client checks an evidence bundle without trusting anyone.
//!
//! The evidence log does not exist yet, so there is no bundle to check. The program says so and fails: a verifier
//! that answered anything else would be worse than none.

use std::{io::Write, process::ExitCode};

/// A part that is needed is missing (sysexits `EX_UNAVAILABLE`; the table of exit codes is in docs/exit-codes.md).
const NOT_BUILT: u8 = 69;

fn main() -> ExitCode {
    // A closed stderr must not turn the exit code into a panic's.
    let _ = writeln!(
        std::io::stderr(),
        "Error: upheld-verify is not built yet: this version writes no evidence bundle, so there is nothing to \
         verify.\n  Nothing was checked. CHANGELOG.md says in which version it comes."
    );
    ExitCode::from(NOT_BUILT)
}
