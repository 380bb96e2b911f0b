//! Work that a file system can hold up for as long as it likes, off the runtime's thread.
//!
//! It cannot be interrupted: a disk that hangs holds its thread until it comes back. So the run ends at its deadline
//! without the work, and the same work is not begun again while it still hangs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use upheld_model::UnknownReason;

use crate::{ProbeResult, deadline::Deadline};

/// What is being worked on, by name.
#[derive(Clone, Default)]
pub(crate) struct Blocking {
    busy: Arc<Mutex<BTreeSet<String>>>,
}

impl Blocking {
    /// Runs `work` on another thread, one at a time for each `what`.
    pub(crate) async fn run(
        &self,
        what: &str,
        deadline: Deadline,
        work: impl FnOnce() -> ProbeResult + Send + 'static,
    ) -> ProbeResult {
        let Some(guard) = self.begin(what) else {
            let why = format!("{what}: an earlier look has not come back; the disk or the file system hangs");
            return ProbeResult::unknown(UnknownReason::Local, why);
        };
        let work = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(guard);
            result
        });
        match deadline.bound(work).await {
            Some(Ok(result)) => result,
            Some(Err(error)) => ProbeResult::unknown(UnknownReason::Local, format!("{what}: {error}")),
            None => {
                let why =
                    format!("{what} could not be looked at in time; the disk or the file system is slow or hangs");
                ProbeResult::unknown(UnknownReason::Local, why)
            }
        }
    }

    fn begin(&self, what: &str) -> Option<Guard> {
        let is_new = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(what.to_owned());
        is_new.then(|| Guard { busy: Arc::clone(&self.busy), what: what.to_owned() })
    }
}

/// Ends the work's entry even when it panics.
struct Guard {
    busy: Arc<Mutex<BTreeSet<String>>>,
    what: String,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.what);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use upheld_model::Outcome;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_ends_unknown_and_is_not_piled_up() {
        let blocking = Blocking::default();
        let (release, hang) = mpsc::channel::<()>();
        let (done, finished) = mpsc::channel();
        let hanging = move || {
            let _ = hang.recv();
            done.send(()).unwrap();
            ProbeResult::new(Outcome::Ok)
        };
        let local = Outcome::unknown(UnknownReason::Local);
        let late = blocking.run("/srv", Deadline::after(Duration::from_millis(20)), hanging).await;
        assert_eq!(late.outcome, local);
        let soon = Deadline::after(Duration::from_secs(5));
        let again = blocking.run("/srv", soon, || panic!("must not run")).await;
        assert!(again.outcome == local && again.evidence.unwrap().as_str().contains("has not come back"));
        assert_eq!(blocking.run("/var", soon, || ProbeResult::new(Outcome::Ok)).await.outcome, Outcome::Ok);
        release.send(()).unwrap();
        finished.recv().unwrap();
        // The guard is dropped after the last message: ask until the level is reached.
        while blocking.begin("/srv").is_none() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn work_that_panics_is_unknown_and_can_run_again() {
        let blocking = Blocking::default();
        let soon = Deadline::after(Duration::from_secs(5));
        let panicked = blocking.run("/srv", soon, || panic!("a test's panic")).await;
        assert_eq!(panicked.outcome, Outcome::unknown(UnknownReason::Local));
        assert_eq!(blocking.run("/srv", soon, || ProbeResult::new(Outcome::Ok)).await.outcome, Outcome::Ok);
    }
}
