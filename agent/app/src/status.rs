//! How this agent is: a document on a unix socket in the state folder, on Windows on a named pipe (SECURITY 9), and the command that reads it.
//!
//! Whoever connects may ask for the document, or say that a job ran ([`crate::ran`]), and nothing else. When the agent does not run, the
//! command says so and shows what is on disk.

mod command;
mod socket;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upheld_delivery::{journal, sender::Standing};
use upheld_model::{CheckId, CheckSpec, ObservedAt, UnknownReason, finding::CheckState};
use upheld_wire::v1::{Now, codes};

use crate::{clocks, run::View, state::Identity};

pub(crate) use command::status;
pub(crate) use socket::{ask, listen};

/// The document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    schema: Schema,
    /// Whether an agent runs on this state folder.
    is_running: bool,
    agent: String,
    client: String,
    client_name: String,
    site: String,
    site_name: String,
    provider_name: String,
    collector: String,
    host: String,
    version: String,
    /// How the agent stands with its collector; `not-running` when it does not run.
    standing: StandingWord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_accepted: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_ends: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_version: Option<u64>,
    checks: Vec<Check>,
    /// Records that wait to be acknowledged; unknown when the agent does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oldest_waiting: Option<ObservedAt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    journal_bytes: Option<u64>,
    ailments: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<Process>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Schema {
    #[serde(rename = "upheld.agent-status/1")]
    V1,
}

/// One check.
#[derive(Debug, Serialize, Deserialize)]
struct Check {
    check: CheckId,
    kind: String,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<UnknownReason>,
    since: ObservedAt,
}

/// The running process.
#[derive(Debug, Serialize, Deserialize)]
struct Process {
    id: u32,
    started_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    /// Of one processor, since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processor_percent: Option<f64>,
}

/// How an agent stands with its collector.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum StandingWord {
    Unknown,
    Good,
    Unreachable { why: String },
    Refused { code: String },
    Quarantined,
    NotRunning,
}

impl Document {
    /// The document of the running agent.
    pub(crate) fn running(
        identity: &Identity,
        now: &Now,
        checks: &[CheckSpec],
        journal: &journal::Status,
        link: &View,
        started_at: Timestamp,
    ) -> Self {
        let ailments = now.ailments.iter().chain(&journal.ailments).cloned().collect();
        Self {
            is_running: true,
            standing: StandingWord::from(&link.standing),
            last_accepted: link.last_accepted,
            certificate_ends: Some(link.certificate_ends),
            config_version: Some(now.config_version),
            checks: checks.iter().filter_map(|spec| Check::of(spec, now)).collect(),
            waiting: Some(journal.waiting),
            oldest_waiting: journal.oldest_waiting,
            journal_bytes: Some(journal.disk_bytes),
            ailments,
            process: Some(Process::this(started_at)),
            ..Self::resting(identity)
        }
    }

    /// The document of an agent that does not run, from what is on disk.
    fn resting(identity: &Identity) -> Self {
        Self {
            schema: Schema::V1,
            is_running: false,
            agent: identity.agent.to_string(),
            client: identity.client.to_string(),
            client_name: identity.client_name.clone(),
            site: identity.site.to_string(),
            site_name: identity.site_name.clone(),
            provider_name: identity.provider_name.clone(),
            collector: identity.collector.clone(),
            host: clocks::host_name(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            standing: StandingWord::NotRunning,
            last_accepted: None,
            certificate_ends: None,
            config_version: None,
            checks: Vec::new(),
            waiting: None,
            oldest_waiting: None,
            journal_bytes: None,
            ailments: Vec::new(),
            process: None,
        }
    }
}

impl Check {
    fn of(spec: &CheckSpec, now: &Now) -> Option<Self> {
        let seen = now.checks.get(&spec.id)?;
        let reason = match seen.state {
            CheckState::Unknown { reason } => Some(reason),
            CheckState::Ok | CheckState::Suspect | CheckState::Failed | CheckState::Recovering => None,
        };
        Some(Self {
            check: spec.id.clone(),
            kind: spec.probe.kind().to_owned(),
            state: seen.state.word().to_owned(),
            reason,
            since: seen.since,
        })
    }
}

impl Process {
    fn this(started_at: Timestamp) -> Self {
        let ran = clocks::wall().duration_since(started_at).max(SignedDuration::ZERO).unsigned_abs();
        Self {
            id: std::process::id(),
            started_at,
            memory_bytes: memory_bytes(),
            processor_percent: clocks::processor_time().and_then(|used| percent(used, ran)),
        }
    }
}

fn percent(used: Duration, ran: Duration) -> Option<f64> {
    let share = 100.0 * used.as_secs_f64() / ran.as_secs_f64();
    share.is_finite().then(|| (share * 100.0).round() / 100.0)
}

/// The resident set, where the system tells.
#[cfg(not(windows))]
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(windows)]
use crate::platform::machine::memory_bytes;

/// How it goes, for the service manager's own status line.
pub(crate) fn in_one_line(standing: &Standing, waiting: u64) -> String {
    let words = match standing {
        Standing::Unknown => "asking its collector".to_owned(),
        Standing::Good => "reporting".to_owned(),
        Standing::Unreachable { why } => format!("collector not reached ({why}), reports are kept"),
        Standing::Refused { code } if code == codes::PENDING => "waits to be approved, reports are kept".to_owned(),
        Standing::Refused { code } => format!("refused by its collector ({code}), observing goes on"),
        Standing::Quarantined => "quarantined: two hosts use this identity".to_owned(),
    };
    // A manager's status is one line, whatever a cause says.
    format!("{words}; {waiting} reports waiting").replace(char::is_control, " ")
}

impl From<&Standing> for StandingWord {
    fn from(standing: &Standing) -> Self {
        match standing {
            Standing::Unknown => Self::Unknown,
            Standing::Good => Self::Good,
            Standing::Unreachable { why } => Self::Unreachable { why: why.clone() },
            Standing::Refused { code } => Self::Refused { code: code.clone() },
            Standing::Quarantined => Self::Quarantined,
        }
    }
}
