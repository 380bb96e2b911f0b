//! When an agent that is not heard becomes unknown, and when it becomes an incident (DETECTION 4.6, 4.7).
//!
//! The collector blames nobody for its own absence: after its start nothing is called silent until every agent had
//! time to report. Both verdicts are dated by their deadlines, never by the moment at which somebody looked (TERMS F11).

use std::time::Duration;

use jiff::Timestamp;

/// After how many heartbeats that did not come an agent's checks are unknown.
pub const UNKNOWN_AFTER_HEARTBEATS: u32 = 3;
/// After how long at the latest silence is an incident. Doubled, a client's outage could go unseen for ten minutes.
pub const INCIDENT_AFTER: Duration = Duration::from_secs(5 * 60);
/// The longest start-up guard that the collector's own downtime can cause.
pub const GUARD_MAX: Duration = Duration::from_secs(15 * 60);

/// What is known of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastHeard {
    /// When its last request was committed, or when it was enrolled if it never sent one.
    pub at: Timestamp,
    /// The time between two heartbeats.
    pub heartbeat: Duration,
}

/// What the collector knows of its own run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectorRun {
    /// When it began to accept requests.
    pub started: Timestamp,
    /// How long it was out before.
    pub was_down: Duration,
    /// Since when it keeps up with what is sent to it; `None` while it refuses or queues requests.
    pub drained: Option<Timestamp>,
}

/// The verdict on one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was heard lately.
    Heard {
        /// Look again then.
        next: Timestamp,
    },
    /// The collector itself was not there to hear it.
    Guarded {
        /// Look again then; `None`: when the backlog is drained.
        until: Option<Timestamp>,
    },
    /// Its checks are unknown (agent silent).
    Unknown {
        /// Since it was last heard.
        since: Timestamp,
        /// When that verdict fell due.
        due_at: Timestamp,
        /// When it becomes an incident.
        next: Timestamp,
    },
    /// Its silence is an incident.
    Silent {
        /// Since it was last heard.
        since: Timestamp,
        /// By when it should have been heard.
        expected_by: Timestamp,
        /// When that verdict fell due: detected and received at once.
        due_at: Timestamp,
    },
}

/// Judges one agent as of `now`.
///
/// ```
/// use std::time::Duration;
/// use upheld_detection::silence::{CollectorRun, LastHeard, Verdict, judge};
/// let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
/// let agent = LastHeard { at: at("2026-11-16T16:00:00Z"), heartbeat: Duration::from_secs(30) };
/// let start = at("2026-11-01T00:00:00Z");
/// let collector = CollectorRun { started: start, was_down: Duration::ZERO, drained: Some(start) };
/// let verdict = judge(&agent, &collector, at("2026-11-16T17:23:00Z"));
/// assert_eq!(verdict, Verdict::Silent {
///     since: agent.at,
///     expected_by: at("2026-11-16T16:00:30Z"),
///     due_at: at("2026-11-16T16:05:00Z"), // not the moment at which somebody looked
/// });
/// ```
pub fn judge(agent: &LastHeard, collector: &CollectorRun, now: Timestamp) -> Verdict {
    let unknown_due = agent.at.saturating_add(unknown_after(agent.heartbeat)).unwrap_or(Timestamp::MAX);
    if now < unknown_due {
        return Verdict::Heard { next: unknown_due };
    }
    let Some(guard_ends) = guard_end(agent.heartbeat, collector) else { return Verdict::Guarded { until: None } };
    if now < guard_ends {
        return Verdict::Guarded { until: Some(guard_ends) };
    }
    let silent_due = agent.at.saturating_add(incident_after(agent.heartbeat)).unwrap_or(Timestamp::MAX).max(guard_ends);
    if now < silent_due {
        return Verdict::Unknown { since: agent.at, due_at: unknown_due.max(guard_ends), next: silent_due };
    }
    Verdict::Silent {
        since: agent.at,
        expected_by: agent.at.saturating_add(agent.heartbeat).unwrap_or(Timestamp::MAX),
        due_at: silent_due,
    }
}

/// Three heartbeats, but never later than the incident.
fn unknown_after(heartbeat: Duration) -> Duration {
    heartbeat.saturating_mul(UNKNOWN_AFTER_HEARTBEATS).min(incident_after(heartbeat))
}

/// Five minutes; a minute after the first missing heartbeat where heartbeats are as rare as that.
fn incident_after(heartbeat: Duration) -> Duration {
    INCIDENT_AFTER.max(heartbeat.saturating_add(Duration::from_secs(60)))
}

/// When the collector has listened long enough to blame others; `None` while its backlog is not drained.
fn guard_end(heartbeat: Duration, collector: &CollectorRun) -> Option<Timestamp> {
    let listened = heartbeat.saturating_mul(UNKNOWN_AFTER_HEARTBEATS).max(collector.was_down).min(GUARD_MAX);
    let had_time = collector.started.saturating_add(listened).unwrap_or(Timestamp::MAX);
    collector.drained.map(|drained| drained.max(had_time))
}
