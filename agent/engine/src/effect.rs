//! What the engine asks of the shell, and what the shell brings back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use upheld_model::{CheckSpec, Counter, DeviceText, Mono, Outcome, sample::Value};
use upheld_wire::v1::Body;

/// What the shell must now do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Run this check and return its [`ProbeResult`], always, and within its timeout.
    Probe(Arc<CheckSpec>),
    /// Journal this body as one record, after every body before it.
    Write {
        /// The record's body.
        body: Body,
        /// How soon it must be on disk.
        urgency: Urgency,
    },
}

/// How soon a record must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// With the next group commit, within a second.
    Batch,
    /// Synced at once, and sent at once.
    AtOnce,
}

/// What one run of a probe saw.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeResult {
    /// The probe's judgement.
    pub outcome: Outcome,
    /// Measured values.
    pub values: BTreeMap<String, Value>,
    /// Counters with their epochs.
    pub counters: BTreeMap<String, Counter>,
    /// What a person would want to read.
    pub evidence: Option<DeviceText>,
    /// When the run began.
    pub started: Mono,
    /// How long it took.
    pub took: Duration,
}
