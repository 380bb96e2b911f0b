//! Findings and the other things that an agent says at once, besides its samples.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{CheckId, DrillId, FindingId},
    sample::UnknownReason,
    text::DeviceText,
    time::{BootId, ObservedAt},
    vocabulary::Culprit,
};

/// One bad interval of one check, from its confirmation on (DETECTION 1, layer 3). It always opens and closes,
/// suppressed or not. Downtime begins somewhere between `last_ok` and `first_bad`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check.
    pub check: CheckId,
    /// The last good sample before; `None` when there never was one.
    pub last_ok: Option<ObservedAt>,
    /// The first bad sample.
    pub first_bad: ObservedAt,
    /// The sample that confirmed it: `detected` in the words of TERMS F11.
    pub confirmed_at: ObservedAt,
    /// What the worst sample said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<DeviceText>,
    /// Whom the same sample blames, where the check can say that (`net.path`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub culprit: Option<Culprit>,
}

impl Finding {
    /// The finding's name, the same wherever its samples are folded.
    pub fn id(&self) -> FindingId {
        FindingId { check: self.check.clone(), first_bad: self.first_bad }
    }
}

/// How a finding ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingEnd {
    /// The last bad sample.
    pub last_bad: ObservedAt,
    /// The first good sample after it: downtime ends between the two.
    pub first_ok: ObservedAt,
    /// The sample that confirmed the recovery (one good sample is not a recovery).
    pub confirmed_at: ObservedAt,
}

/// The state of a check as the agent folds it. Maintenance is an overlay elsewhere, never a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum CheckState {
    /// Good.
    Ok,
    /// Bad, but not often enough yet; probed every two seconds, or sooner where it is usually probed so often.
    Suspect,
    /// Confirmed bad.
    Failed,
    /// Good again, but not often enough yet.
    Recovering,
    /// Could not be judged.
    Unknown {
        /// Why not.
        reason: UnknownReason,
    },
}

impl CheckState {
    /// The state's word: `ok`, `suspect`, `failed`, `recovering`, `unknown`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
            Self::Recovering => "recovering",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// How a run of a job ended, as the job says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// It did what it should.
    Ok,
    /// It did not.
    Failed,
}

/// A transition: journalled and synced at once, and never thinned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum AgentEvent {
    /// A check was confirmed bad.
    FindingOpened {
        /// The finding as it stands at its confirmation.
        finding: Finding,
    },
    /// A finding's recovery was confirmed.
    FindingClosed {
        /// Which one.
        id: FindingId,
        /// How it ended.
        end: FindingEnd,
    },
    /// A check changed its state. Uptime is counted from these.
    StateChanged {
        /// The check.
        check: CheckId,
        /// Its new state.
        state: CheckState,
        /// Since when.
        at: ObservedAt,
    },
    /// The agent started.
    Started {
        /// When.
        at: ObservedAt,
        /// The machine's boot.
        boot: BootId,
        /// The last moment at which the agent is known to have been alive before; `None` at the very first start.
        last_alive: Option<ObservedAt>,
        /// Whether its previous run ended by request.
        clean: bool,
    },
    /// The agent stops, by request: its last words.
    Stopping {
        /// When.
        at: ObservedAt,
        /// Who or what asked.
        reason: DeviceText,
    },
    /// The wall clock was set. Instants after this event are in the new time.
    ClockStepped {
        /// When, in the new time.
        at: ObservedAt,
        /// By how much, in milliseconds, new minus old.
        by_ms: i64,
    },
    /// A stretch of time that nobody watched, or whose records were lost.
    Gap {
        /// From when.
        from: ObservedAt,
        /// Until when.
        to: ObservedAt,
        /// Why.
        reason: UnknownReason,
    },
    /// A configuration from the collector was taken, or refused with the old one kept.
    Configured {
        /// When.
        at: ObservedAt,
        /// The configuration's version.
        version: u64,
        /// Why it was refused; `None` when it was taken.
        refused: Option<DeviceText>,
    },
    /// A job on this host told of a run of its own.
    Ran {
        /// When it told.
        at: ObservedAt,
        /// Which job: a check that the configuration names among its jobs.
        job: CheckId,
        /// How the run ended.
        ended: RunEnd,
        /// When it began, where the job said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<ObservedAt>,
        /// The end of what it printed, where it sent that along: at most 4 KiB, line by line.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        printed: Vec<DeviceText>,
    },
    /// A fake outage, asked for by a person at this host: it proves the way from here to the ticket and counts nowhere.
    /// Written only for a collector that has said that it knows drills.
    Drill {
        /// When it began.
        at: ObservedAt,
        /// Which one.
        id: DrillId,
    },
    /// The journal itself is in trouble (a failed sync, a torn tail, damaged records).
    Journal {
        /// When it was noticed.
        at: ObservedAt,
        /// What happened, in words.
        what: DeviceText,
    },
}
