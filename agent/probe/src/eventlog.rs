//! `eventlog`: events of a log of this Windows host that should not happen, or not often (PROBES 12).
//!
//! Windows filters by source, number and level (`query`), each event is read from its XML (`event`), and what counts is
//! kept for the time in which it does (`tally`). A bookmark remembers the last event that was read, over restarts: what
//! happened while the agent was away is read later, and nothing is read twice. A check begins at the log's end.
//! Elsewhere than on Windows the check is unknown.

#[cfg_attr(not(windows), allow(dead_code))]
pub(crate) mod event;
#[cfg_attr(not(windows), allow(dead_code))]
mod query;
#[cfg_attr(not(windows), allow(dead_code))]
mod tally;
#[cfg(windows)]
mod windows;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use upheld_model::{CheckId, check::EventLogSpec};

use crate::{AllowList, ProbeResult, blocking::Blocking, deadline::Deadline};
use tally::Tally;
#[cfg(windows)]
pub(crate) use windows::{Unread, latest};

/// What the checks of event logs remember.
pub(crate) type EventLogMemory = BTreeMap<CheckId, Tally>;

/// The checks of event logs.
#[derive(Clone, Default)]
pub(crate) struct EventLogs {
    memory: Arc<Mutex<EventLogMemory>>,
}

impl EventLogs {
    pub(crate) async fn run(
        &self,
        blocking: &Blocking,
        allow: &AllowList,
        check: &CheckId,
        spec: &EventLogSpec,
        deadline: Deadline,
    ) -> ProbeResult {
        #[cfg(windows)]
        if !allow.permits_event_log(&spec.channel) {
            let why = format!(
                "the site's allow.toml has not the log {0}; its administrator would write there: event_logs = [\"System\", \
                 \"Application\", \"{0}\"]",
                spec.channel
            );
            return ProbeResult::unknown(upheld_model::UnknownReason::NotAllowed, why);
        }
        #[cfg(not(windows))]
        let _ = allow;
        let (logs, owned, spec) = (self.clone(), check.clone(), spec.clone());
        blocking.run(&check.to_string(), deadline, move || look(&logs, &owned, &spec, deadline)).await
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> EventLogMemory {
        self.lock().clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: EventLogMemory) {
        *self.lock() = memory;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, EventLogMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(windows)]
fn look(logs: &EventLogs, check: &CheckId, spec: &EventLogSpec, deadline: Deadline) -> ProbeResult {
    let wanted = query::of(spec, None);
    let before = logs.lock().get(check).filter(|tally| tally.is_of(spec)).cloned();
    let read = match &before {
        // The log's end, which nothing of before is counted from.
        None => windows::end(&spec.channel, &wanted).map(|place| (Tally::begun(spec, jiff::Timestamp::now()), place)),
        Some(tally) => {
            let newer = query::of(spec, Some(tally.newest()));
            let reading = windows::read(&spec.channel, &wanted, &newer, tally.place(), deadline);
            reading.map(|read| (tally.clone().counted(spec, read.events, read.is_more), read.place))
        }
    };
    let now = jiff::Timestamp::now();
    match read {
        Ok((mut tally, place)) => {
            tally.put(place);
            let result = tally.judge(spec, now);
            logs.lock().insert(check.clone(), tally);
            result
        }
        Err(Unread { reason, why }) => ProbeResult::unknown(reason, format!("{}: {why}", spec.channel)),
    }
}

#[cfg(not(windows))]
fn look(_: &EventLogs, _: &CheckId, spec: &EventLogSpec, _: Deadline) -> ProbeResult {
    let why = format!("the log {} is one of Windows, and this host runs something else", spec.channel);
    ProbeResult::unknown(upheld_model::UnknownReason::CannotProbe, why)
}

#[cfg(all(test, not(windows)))]
mod tests {
    use upheld_model::{Outcome, ProbeSpec, UnknownReason};

    use crate::testing::{check, evidence, prober};

    #[tokio::test]
    async fn a_log_of_windows_is_unknown_elsewhere() {
        let log = serde_json::from_str(r#"{"kind":"eventlog","channel":"System","ids":[41]}"#).unwrap();
        assert!(matches!(log, ProbeSpec::EventLog(_)));
        let result = prober("").run(&check(log)).await;
        assert_eq!(result.outcome, Outcome::unknown(UnknownReason::CannotProbe));
        assert_eq!(evidence(&result), "the log System is one of Windows, and this host runs something else");
    }
}
