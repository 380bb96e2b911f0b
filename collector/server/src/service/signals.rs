//! SIGTERM and Ctrl-C.

use tracing::warn;

/// Waits for the first of them and names it.
#[cfg(unix)]
pub(crate) async fn told_to_stop() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        warn!("SIGTERM cannot be waited for; Ctrl-C works");
        return interrupted().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        name = interrupted() => name,
    }
}

/// Waits for Ctrl-C, the one that there is.
#[cfg(not(unix))]
pub(crate) async fn told_to_stop() -> &'static str {
    interrupted().await
}

/// From here on another Ctrl-C ends the process: the journal of the store survives that, as it survives kill -9.
pub(super) fn end_at_once_when_told_again() {
    tokio::spawn(async {
        interrupted().await;
        std::process::exit(130);
    });
}

async fn interrupted() -> &'static str {
    if let Err(error) = tokio::signal::ctrl_c().await {
        warn!("Ctrl-C cannot be waited for: {error}");
        std::future::pending::<()>().await;
    }
    "Ctrl-C"
}
