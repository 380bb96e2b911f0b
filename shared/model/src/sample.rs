//! What one run of a probe saw. A sample is in the journal before anything acts on it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{ids::CheckId, text::DeviceText, time::ObservedAt, vocabulary::Culprit};

/// The most evidence a sample carries, in bytes (PROBES, head).
pub const EVIDENCE_BYTES_MAX: usize = 4096;

/// One run of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The check that ran.
    pub check: CheckId,
    /// When the run began, as the agent claims.
    pub at: ObservedAt,
    /// How long the run took, in microseconds by the monotonic clock.
    #[serde(default)]
    pub took_us: u64,
    /// The probe's own judgement of this one run.
    pub outcome: Outcome,
    /// Measured values by name, unit last (`rtt_median_ms`, `newest_age_s`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Value>,
    /// Monotonic counters by name, each with the epoch inside which it only grows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, Counter>,
    /// What a person would want to read beside the outcome; at most [`EVIDENCE_BYTES_MAX`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<DeviceText>,
}

impl Sample {
    /// Whom the sample blames, where its check can say that: the word under `verdict`.
    pub fn culprit(&self) -> Option<Culprit> {
        match self.values.get("verdict")? {
            Value::Text(word) => word.as_str().parse().ok(),
            Value::Number(_) => None,
        }
    }
}

/// The judgement of one run. `Unknown` is never up and never down: the probe could not judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// The check passed.
    Ok,
    /// Something deserves a look; opens nothing by itself (DETECTION 3).
    Warn,
    /// The check failed.
    Bad,
    /// The probe could not judge.
    Unknown {
        /// Why not.
        reason: UnknownReason,
    },
}

impl Outcome {
    /// An `Unknown` with its reason.
    pub fn unknown(reason: UnknownReason) -> Self {
        Self::Unknown { reason }
    }
}

/// Why a probe could not judge. Every reason has a name, so that "unknown" can be counted by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownReason {
    /// The agent may not or cannot send this kind of probe at all (for example no right to open an ICMP socket).
    CannotProbe,
    /// The target is not allowed by this site's `allow.toml` or by Upheld's fixed rules (SECURITY 3).
    NotAllowed,
    /// The name of the target could not be resolved: the resolver is at fault, not the target.
    Resolver,
    /// The path to the target is known to be down.
    Path,
    /// This host itself lacks something: descriptors, memory, its own interface.
    Local,
    /// The file or folder may not be read.
    Permission,
    /// The device refused the credentials, or wants some that were not given.
    Credentials,
    /// The secret that the check names is not on this host.
    SecretMissing,
    /// The service that speaks for the device (for example a UPS driver) has no fresh data.
    Stale,
    /// The host was suspended.
    Suspended,
    /// The host or asset was switched off as announced.
    Off,
    /// The journal's records of this time are damaged.
    Corrupt,
    /// The journal's records of this time were given up: over its budget, past their time, or the disk was full.
    NotKept,
    /// The agent was silent and nothing was replayed.
    AgentSilent,
    /// No sample has been taken yet, or the latest is not confirmed either way.
    Pending,
    /// The check was not configured then.
    NotMonitored,
    /// The collector itself was out and nothing was replayed.
    Collector,
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CannotProbe => "cannot probe",
            Self::NotAllowed => "not allowed",
            Self::Resolver => "resolver",
            Self::Path => "path down",
            Self::Local => "local fault",
            Self::Permission => "permission",
            Self::Credentials => "credentials",
            Self::SecretMissing => "secret missing",
            Self::Stale => "stale source",
            Self::Suspended => "suspended",
            Self::Off => "off",
            Self::Corrupt => "corrupt",
            Self::NotKept => "not kept",
            Self::AgentSilent => "agent silent",
            Self::Pending => "pending",
            Self::NotMonitored => "not monitored",
            Self::Collector => "collector",
        })
    }
}

/// One measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A finite number in the unit that the value's name ends with.
    Number(f64),
    /// A word from the device.
    Text(DeviceText),
}

impl From<f64> for Value {
    /// JSON has no NaN or infinity: a number that is not finite becomes the text that says so.
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::Text(DeviceText::new(&number.to_string())) }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(DeviceText::new(text))
    }
}

/// A count that only grows within one epoch (a boot id, a driver's start time); a new epoch is a reset, never a
/// negative difference. Written `["EPOCH", 17]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter(pub DeviceText, pub u64);

impl Counter {
    /// How much was counted since `earlier`; `None` when the epoch changed or the count went back.
    pub fn since(&self, earlier: &Self) -> Option<u64> {
        if self.0 == earlier.0 { self.1.checked_sub(earlier.1) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_reads_as_it_was_written() {
        let text = r#"{"check":"cam-3/rtsp","at":"2026-11-16T16:10:07.25Z","took_us":1200,"outcome":{"is":"unknown","reason":"credentials"},"values":{"rtt_ms":1.5},"counters":{"carrier_down":["b1",17]}}"#;
        let sample: Sample = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&sample).unwrap(), text);
    }

    #[test]
    fn a_counter_of_another_epoch_has_no_difference() {
        let (a, b) = (Counter("boot-1".into(), 5), Counter("boot-2".into(), 7));
        assert_eq!(b.since(&a), None);
        assert_eq!(Counter("boot-1".into(), 7).since(&a), Some(2));
        assert_eq!(a.since(&Counter("boot-1".into(), 7)), None);
    }

    #[test]
    fn a_number_that_is_not_finite_is_kept_as_text() {
        assert_eq!(Value::from(f64::NAN), Value::Text(DeviceText::new("NaN")));
    }
}
