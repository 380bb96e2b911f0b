//! Jobs that tell when they ran, and drills that a person asks for: the agent asks nothing, it is told.

use upheld_model::{AgentEvent, CheckId, DeviceText, DrillId, ObservedAt, RunEnd};

use super::Engine;
use crate::Reading;

/// Why a job's word is not taken. Nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RanRefused {
    /// No job of the configuration has this name.
    #[error("no job is called {name:?}; {}", known(.jobs))]
    NoSuchJob {
        /// What was said.
        name: String,
        /// The jobs there are.
        jobs: Vec<CheckId>,
    },
    /// Several assets have a job of this name.
    #[error("{name:?} is a job of several assets: {}", known(.jobs))]
    Ambiguous {
        /// What was said.
        name: String,
        /// Those that it may mean.
        jobs: Vec<CheckId>,
    },
    /// The agent has said its last words.
    #[error("the agent is stopping")]
    Stopping,
}

fn known(jobs: &[CheckId]) -> String {
    let names: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    if names.is_empty() { "the book names none at this site".to_owned() } else { format!("say {}", names.join(" or ")) }
}

impl Engine {
    /// The job of the configuration that is meant by its full name (`srv-1/nightly`), or its own where one asset alone
    /// has it.
    pub fn job(&self, name: &str) -> Result<CheckId, RanRefused> {
        let all = self.config.iter().flat_map(|config| &config.jobs);
        let meant: Vec<CheckId> =
            all.clone().filter(|job| job.to_string() == name || job.name.as_str() == name).cloned().collect();
        match meant.as_slice() {
            [job] => Ok(job.clone()),
            [] => Err(RanRefused::NoSuchJob { name: name.to_owned(), jobs: all.cloned().collect() }),
            [..] => Err(RanRefused::Ambiguous { name: name.to_owned(), jobs: meant }),
        }
    }

    /// Takes the word of a job ([`Self::job`]) that it ran; said at once. `started` is by this host's clock and never
    /// later than now, `printed` the end of what it printed.
    pub fn ran(
        &mut self,
        name: &str,
        ended: RunEnd,
        started: Option<ObservedAt>,
        printed: Vec<DeviceText>,
        now: Reading,
    ) -> Result<CheckId, RanRefused> {
        self.observe(now);
        if self.is_stopped {
            return Err(RanRefused::Stopping);
        }
        let job = self.job(name)?;
        let at = self.clock.at(now.mono);
        let started = started.map(|started| started.min(at));
        self.outgoing.transition(vec![AgentEvent::Ran { at, job: job.clone(), ended, started, printed }]);
        Ok(job)
    }

    /// Says at once that a person plays an outage. When it began; `None` once the last words are said.
    pub fn drill(&mut self, id: DrillId, now: Reading) -> Option<ObservedAt> {
        self.observe(now);
        if self.is_stopped {
            return None;
        }
        let at = self.clock.at(now.mono);
        self.outgoing.transition(vec![AgentEvent::Drill { at, id }]);
        Some(at)
    }
}
