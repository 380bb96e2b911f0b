//! `power.boot` on Windows: the System log tells of the start and of the end before it.
//!
//! A start is known by the log alone: a boot time that is computed from the clock moves with it. It is read at each run
//! until the start is old enough to have been told whole (a bugcheck's report comes minutes later), and then no more.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use upheld_model::{Outcome, UnknownReason};

use super::{
    BootMemory, Boots, Story, sentence,
    told::{QUERY, READ_MAX, Told, told, weigh},
};
use crate::{ProbeResult, eventlog};

/// All that Windows writes about its end is there by then.
const TOLD_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// What was known when the agent started.
#[derive(Debug, Clone, Default)]
struct Woken {
    alive: Option<Timestamp>,
    asked: Option<String>,
    is_on_battery: bool,
}

/// What the log told last.
#[derive(Debug, Default)]
pub(super) struct Last {
    woken: Mutex<Woken>,
    told: Mutex<Option<Told>>,
}

impl Boots {
    /// The agent starts; `alive` is the last moment at which it is known to have lived before.
    pub(crate) fn wake(&self, alive: Option<Timestamp>) {
        let mut memory = self.lock();
        let BootMemory { asked, is_on_battery, .. } = memory.clone();
        *lock(&self.last.woken) = Woken { alive, asked, is_on_battery };
        memory.asked = None;
    }

    pub(crate) fn run(&self, now: Timestamp) -> ProbeResult {
        let told = match self.told(now) {
            Ok(Some(told)) => told,
            Ok(None) => {
                let why = "the log System tells of no start: it was cleared, or does not go back so far";
                return ProbeResult::unknown(UnknownReason::CannotProbe, why);
            }
            Err(eventlog::Unread { reason, why }) => return ProbeResult::unknown(reason, format!("System: {why}")),
        };
        let started = told.started;
        let mut memory = self.lock();
        let woken = lock(&self.last.woken).clone();
        if woken.alive.is_some_and(|alive| alive < started) {
            let how = weigh(&told, woken.asked.as_deref(), woken.is_on_battery);
            memory.story = Some(Story { how, alive: woken.alive, says: told.says });
        }
        let id = format!("boot-{}", started.as_second());
        memory.id = Some(id.clone());
        let result = ProbeResult::new(Outcome::Ok)
            .value("boot_id", id.as_str())
            .value("uptime_s", now.duration_since(started).as_secs_f64().max(0.0));
        match &memory.story {
            None => {
                result.evidence(format!("this host runs since {started}; it has not started while this agent watched"))
            }
            Some(story) => result.value("ended", story.how.as_str()).evidence(sentence(story, started)),
        }
    }

    /// What the log says, or said when all of it was there.
    fn told(&self, now: Timestamp) -> Result<Option<Told>, eventlog::Unread> {
        let mut last = lock(&self.last.told);
        if let Some(known) = last.as_ref().filter(|told| now.duration_since(told.started) > TOLD_AFTER) {
            return Ok(Some(known.clone()));
        }
        *last = told(&eventlog::latest("System", QUERY, READ_MAX)?);
        Ok(last.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
