//! The words of the field as types: ids, the kinds of time, samples, checks, findings, the vocabulary of assets and
//! incidents.
//!
//! Every other crate speaks in these. The crate knows no file, network, clock or random source; it never judges
//! (that is `upheld-detection`) and never promises (that is `upheld-agreement`). It fails only where text from
//! outside is parsed, with an error that says what was expected.
#![forbid(unsafe_code)]

pub mod address;
pub mod check;
pub mod finding;
pub mod ids;
pub mod mutant;
pub mod proposal;
pub mod sample;
pub mod snmp;
pub mod text;
pub mod time;
pub mod vocabulary;

pub use check::{CheckSpec, ProbeSpec};
pub use finding::{AgentEvent, Finding, FindingEnd, RunEnd};
pub use ids::{
    AgentId, AssetId, CheckId, CheckName, ClientId, Digest, DrillId, Epoch, FindingId, IncidentNumber, IncidentRef,
    PresentId, RecordId, SecretName, Seq, SiteId,
};
pub use sample::{Counter, Outcome, Sample, UnknownReason};
pub use text::DeviceText;
pub use time::{BootId, Mono, ObservedAt, ReceivedAt};
pub use vocabulary::{AssetClass, BootEnd, Cause, Culprit, EdgeKind, IncidentClass, IncidentKind};
