//! Work that a file system can hold up for as long as it likes, off the runtime's thread.
//!
//! It cannot be interrupted: a disk that hangs holds its thread until it comes back. So the run ends at its deadline
//! without the work, and the same work is not begun again while it still hangs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;
use upheld_model::UnknownReason;

use crate::{ProbeResult, deadline::Deadline};

/// What is being worked on, by name: whoever has the one permit works, others wait for it.
#[derive(Clone, Default)]
pub(crate) struct Blocking {
    turns: Arc<Mutex<BTreeMap<String, Arc<Semaphore>>>>,
}

impl Blocking {
    /// Runs `work` on another thread, one at a time for each `what`. Two checks may look at the same: the second waits
    /// for the first, and only a look that is not back by the deadline hangs.
    pub(crate) async fn run(
        &self,
        what: &str,
        deadline: Deadline,
        work: impl FnOnce() -> ProbeResult + Send + 'static,
    ) -> ProbeResult {
        // No semaphore is ever closed, so there is no inner error.
        let Some(Ok(turn)) = deadline.bound(self.turn(what).acquire_owned()).await else {
            let why = format!("{what}: an earlier look has not come back; the disk or the file system hangs");
            return ProbeResult::unknown(UnknownReason::Local, why);
        };
        // The turn ends with the work, also when that panics.
        let work = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
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

    /// What grants the turn at `what`; those that nobody has or waits for are forgotten.
    fn turn(&self, what: &str) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(what.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))))
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
        let short = Deadline::after(Duration::from_millis(20));
        let again = blocking.run("/srv", short, || panic!("must not run")).await;
        assert!(again.outcome == local && again.evidence.unwrap().as_str().contains("has not come back"));
        assert_eq!(blocking.run("/var", soon, || ProbeResult::new(Outcome::Ok)).await.outcome, Outcome::Ok);
        release.send(()).unwrap();
        finished.recv().unwrap();
        assert_eq!(blocking.run("/srv", soon, || ProbeResult::new(Outcome::Ok)).await.outcome, Outcome::Ok);
        assert!(blocking.turns.lock().unwrap().len() <= 2, "who has gone is forgotten");
    }

    #[tokio::test]
    async fn two_checks_that_look_at_the_same_at_once_both_see_it() {
        let blocking = Blocking::default();
        let soon = Deadline::after(Duration::from_secs(5));
        let look = || {
            std::thread::yield_now();
            ProbeResult::new(Outcome::Ok)
        };
        let (one, other) = tokio::join!(blocking.run("this host", soon, look), blocking.run("this host", soon, look));
        assert_eq!((one.outcome, other.outcome), (Outcome::Ok, Outcome::Ok));
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
