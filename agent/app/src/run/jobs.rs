//! A job says where in its run it is.

use super::Agent;
use crate::{clocks, ran};

impl Agent {
    /// Takes its word: an end goes into the journal at once, a begin is kept for it.
    pub(super) fn job_says(&mut self, word: ran::Word) -> ran::Answer {
        let ran::Word { job, step, started, run, printed } = word;
        let reading = clocks::reading();
        let known = match self.engine.job(&job) {
            Ok(known) => known,
            Err(refused) => return ran::Answer::Refused(refused.to_string()),
        };
        let now = self.engine.observed_at(reading.mono);
        let Some(ended) = step.end() else {
            match step {
                ran::Step::Start => self.open_runs.begin(known.clone(), run, &printed, started.unwrap_or(now)),
                ran::Step::Log | ran::Step::Ok | ran::Step::Failed => {
                    self.open_runs.say(known.clone(), run, &printed, now);
                }
            }
            return ran::Answer::Taken(known);
        };
        let (began, printed) = self.open_runs.end(&known, run, &printed);
        match self.engine.ran(&job, ended, started.or(began), printed, reading) {
            Ok(job) => ran::Answer::Taken(job),
            Err(refused) => ran::Answer::Refused(refused.to_string()),
        }
    }
}
