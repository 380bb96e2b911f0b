//! The server's log: one line an event on standard error (SECURITY 22). `UPHELD_LOG=debug` says more, in the syntax of
//! tracing's filters.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

/// Starts the log; a second call changes nothing.
pub(crate) fn start(json: bool) {
    let filter = EnvFilter::try_from_env("UPHELD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = fmt().with_env_filter(filter).with_writer(io::stderr);
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // An error only says that a log has been started before.
    let _ = if json { log.json().try_init() } else { log.with_ansi(colour).try_init() };
}
