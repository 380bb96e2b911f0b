//! For how many connections there is room: what the limit of open files allows, once it is raised as far as it may be.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// Files that are no connections: the database's readers and writer, requests of the outbox, logs, runtimes.
const OTHER_FILES: u64 = 512;
/// Beyond it the agents of one collector are too many for its one writer; each connection takes some 30 KiB.
const CONNECTIONS_MAX: u64 = 50_000;
/// Fewer than this serve nobody well.
const FEW: usize = 4_096;

/// Raises this process's limit of open files to the most that its surroundings allow; how many connections at once fit.
/// Where nothing may be raised, what there is has to do.
pub(crate) fn connections() -> usize {
    let before = getrlimit(Resource::Nofile);
    if before.current != before.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum })
    {
        warn!("the limit of open files stays as it is: {error}");
    }
    let files = getrlimit(Resource::Nofile).current;
    let fit = fitting(files);
    if fit < FEW {
        warn!(
            "open files are limited to {}: room for {fit} connections; raise LimitNOFILE or `ulimit -n`",
            said(files)
        );
    } else {
        info!(connections = fit, "room by the limit of open files");
    }
    fit
}

/// Of a limit of open files (`None`: there is none), so many connections.
fn fitting(files: Option<u64>) -> usize {
    let fit = files.map_or(CONNECTIONS_MAX, |files| files.saturating_sub(OTHER_FILES.min(files / 2)));
    usize::try_from(fit.min(CONNECTIONS_MAX)).unwrap_or(FEW)
}

fn said(files: Option<u64>) -> String {
    files.map_or("nothing".to_owned(), |files| files.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_are_left_over_are_connections() {
        for (files, connections) in
            [(Some(20_000), 19_488), (Some(1_024), 512), (Some(100), 50), (Some(1 << 20), 50_000), (None, 50_000)]
        {
            assert_eq!(fitting(files), connections, "{files:?}");
        }
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        let fit = connections();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(fit, fitting(limit.maximum));
    }
}
