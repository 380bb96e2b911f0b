//! `process`: processes of this host by the name of their program: how many run, since when, what they use.
//!
//! The agent only looks. A command line is read to compare one argument with that of the book, and told to nobody: people
//! pass secrets there. That a program was started again is seen by its start: where none of those of the last look is
//! there any more, somebody started it anew; three times within ten minutes is wrong, whatever runs at the moment.
//! Where this host hides other users' processes from the agent nothing can be said, and nothing is.

mod judge;
mod look;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use upheld_model::{CheckId, check::ProcessSpec};

use crate::{ProbeResult, blocking::Blocking, deadline::Deadline};
use judge::Watch;

/// When the processes of a check were seen last, by check and name.
pub(crate) type ProcessMemory = BTreeMap<CheckId, Seen>;

/// A program that ran.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Seen {
    process: String,
    at: Timestamp,
}

/// The checks of processes.
pub(crate) struct Processes {
    epoch: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    seen: ProcessMemory,
    /// Not over a restart of the agent: it learns them again.
    watched: BTreeMap<CheckId, Watch>,
}

impl Processes {
    pub(crate) fn new() -> Self {
        // Restarts are counted from 0 in each life of the agent. Without random bytes the process id marks the epoch.
        let epoch = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
        Self { epoch: format!("{epoch:016x}"), state: Arc::default() }
    }

    /// Looks which processes there are. The kernel may wait for the memory of one that hangs, so this is done off the
    /// runtime's thread.
    pub(crate) async fn run(
        &self,
        blocking: &Blocking,
        check: &CheckId,
        spec: &ProcessSpec,
        deadline: Deadline,
    ) -> ProbeResult {
        let (state, epoch, check, spec) = (Arc::clone(&self.state), self.epoch.clone(), check.clone(), spec.clone());
        let look = move || {
            let found = match look::look(&spec) {
                Ok(found) => found,
                Err(blind) => return blind,
            };
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let before = state.seen.get(&check).filter(|seen| seen.process == spec.process).map(|seen| seen.at);
            let (now, wall) = (Instant::now(), Timestamp::now());
            let result = state.watched.entry(check.clone()).or_default().judge(&spec, &found, before, &epoch, now);
            if !found.running.is_empty() {
                state.seen.insert(check, Seen { process: spec.process, at: wall });
            }
            result
        };
        blocking.run("the processes of this host", deadline, look).await
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> ProcessMemory {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: ProcessMemory) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seen = memory;
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
