//! Version 1. Bodies are JSON, compressed with zstd (`content-encoding: zstd`) on the data door, with a [`dictionary`] where
//! the latest answer named it.
//!
//! | door | request | answer |
//! |---|---|---|
//! | enrolment | `POST /v1/enroll` [`enroll::EnrollRequest`] | 200 [`enroll::EnrollAnswer`], 403 [`Problem`] |
//! | enrolment | `POST /v1/return` [`enroll::ReturnRequest`] | 200 [`enroll::ReturnAnswer`], 403 and 423 [`Problem`] |
//! | data | `POST /v1/deliver` [`DeliverRequest`] | 200 [`Delivered`], 409 [`Conflict`], others [`Problem`] |
//! | data | `GET /v1/config` | 200 [`AgentConfig`] |
//! | data | `GET /v1/drill/ID` | 200 [`drill::DrillReport`]; 404 where drills are not known |
//! | data | `POST /v1/secrets` [`secrets::SecretsRequest`] | 200 [`secrets::SecretsAnswer`]; 404 where none are sealed |
//! | data | `POST /v1/proposals` [`proposals::ProposalRequest`] | 200 [`proposals::ProposalAnswer`]; 404 where none are taken |
//! | data | `POST /v1/renew` [`enroll::RenewRequest`] | 200 [`enroll::RenewAnswer`] |

pub mod dictionary;
pub mod drill;
pub mod enroll;
pub mod limits;
pub mod present;
pub mod proposals;
pub mod record;
pub mod secrets;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upheld_model::{
    AgentId, AssetId, BootId, CheckId, CheckSpec, Digest, Epoch, Mono, ObservedAt, PresentId, finding::CheckState,
};

pub use record::{Body, EpochLink, Omitted, Record};

/// The number that a request of this version carries.
pub const PROTOCOL: u32 = 1;

/// ALPN marker of the data door; agents offer it before `h2` and `http/1.1`.
pub const ALPN_DATA: &[u8] = b"upheld-data/1";
/// ALPN marker of the enrolment door.
pub const ALPN_ENROLL: &[u8] = b"upheld-enroll/1";
/// The fixed name in the data door's certificate, whatever host the link names (SECURITY 14).
pub const NAME_DATA: &str = "data.upheld.internal";
/// The fixed name in the enrolment door's certificate.
pub const NAME_ENROLL: &str = "enroll.upheld.internal";

/// What the collector holds, or what an agent believes it holds, of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The epoch.
    pub epoch: Epoch,
    /// How many records of it, counted from its first.
    pub len: u64,
    /// The chain after the last of them; [`Digest::ZERO`] when `len` is 0.
    pub chain: Digest,
}

/// One upload; without records it is a heartbeat (DELIVERY 2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliverRequest {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// What the agent believes the collector to hold, for every epoch it still knows.
    pub heads: Vec<Head>,
    /// The agent's clocks as the request was made.
    pub clock: ClockReading,
    /// The latest checkpoint of the evidence log that the agent has seen (EVIDENCE 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_checkpoint: Option<String>,
    /// The present state, so that a long backlog never hides it.
    pub now: Now,
    /// At most [`limits::RECORDS_MAX`] records of one epoch, contiguous.
    #[serde(default)]
    pub records: Vec<Record>,
    /// [`record::batch_digest`] of the records.
    pub batch_digest: Digest,
    /// What `clock.wall` would read had nobody set that clock since the last of the records was made: its instants lie in
    /// that time, those of `now` in that of `clock`. Left out where it was not set since, and by an agent that does not
    /// know of this; an older collector dates such records by `clock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_of_records: Option<ObservedAt>,
}

impl DeliverRequest {
    /// By how much the agent's wall clock was set after the last of the records, new minus old.
    pub fn set_since(&self) -> SignedDuration {
        self.clock_of_records.map_or(SignedDuration::ZERO, |then| self.clock.wall.0.duration_since(then.0))
    }
}

/// One moment on an agent's clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// The wall clock.
    pub wall: ObservedAt,
    /// The monotonic clock.
    pub mono: Mono,
    /// The boot inside which the monotonic clock counts.
    pub boot: BootId,
}

/// The present state of an agent and its checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// The agent's version.
    #[serde(default)]
    pub version: String,
    /// The configuration version in use; 0 before the first.
    #[serde(default)]
    pub config_version: u64,
    /// Every check's state and since when.
    #[serde(default)]
    pub checks: BTreeMap<CheckId, CheckNow>,
    /// In place of `checks`: they stand as in the present of this name. Said only when the latest answer named it as held
    /// ([`Delivered::present`]); a collector that holds another takes every check for unknown, and its answer says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<PresentId>,
    /// Records that wait to be acknowledged, those of this request included.
    #[serde(default)]
    pub waiting: u64,
    /// When the oldest of them was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_waiting: Option<ObservedAt>,
    /// What ails the agent itself, in words for a person; empty when nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ailments: Vec<String>,
}

/// One check's state in the "now" header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckNow {
    /// The state.
    pub state: CheckState,
    /// Since when.
    pub since: ObservedAt,
}

/// 200: everything up to here is committed and synced (or refused by name).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivered {
    /// The digest of the batch that is acknowledged: an answer to another request acknowledges nothing.
    pub batch_digest: Digest,
    /// What the collector holds of the batch's epoch after the commit; `None` for a heartbeat.
    pub head: Option<Head>,
    /// Records that advance the chain but could not be read: they are in the dead letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRecord>,
    /// A signed promise of inclusion (EVIDENCE 4); none before the log exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// Whether the agent should renew its certificate at once: the provider changes its root.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renew: bool,
    /// What is sealed for this agent; ask `POST /v1/secrets` when it differs. `None` from a collector that seals nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<secrets::SecretsAt>,
    /// The name of the checks' states that are held of this agent after the commit ([`present::name`]); a request in which
    /// they have this name may say so in place of them. `None` from a collector that does not know of such names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<PresentId>,
    /// The id of the dictionary with which the collector would have reports packed ([`dictionary`]), of those that it has one
    /// that the agent's version has. `None` from one that has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dictionary: Option<u16>,
    /// The configuration version that this agent should run; ask `GET /v1/config` when it differs.
    pub config_version: u64,
    /// The collector's clock at the commit.
    pub collector_time: Timestamp,
}

/// A record that was taken but not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRecord {
    /// Its place in the batch's epoch.
    pub seq: upheld_model::Seq,
    /// Why, in words.
    pub reason: String,
}

/// 409: agent and collector disagree about history. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "conflict", rename_all = "kebab-case")]
pub enum Conflict {
    /// The agent believes more to be held than is (a restored collector): believe these lengths and send again.
    Behind {
        /// What is held, for every epoch known of this agent.
        heads: Vec<Head>,
    },
    /// Another history than the one that is held (a restored or cloned agent): begin a new epoch.
    Fork {
        /// The epoch in which the histories part.
        epoch: Epoch,
        /// What is held of it, or its beginning with which a claim of the agent's parts.
        held: Head,
        /// Why, in words for the agent's log.
        reason: String,
    },
}

/// Any other refusal, as RFC 9457 problem details. `code` is for machines and never changes its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A page that explains the problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in a sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Why, and what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The machine's word for it, see [`codes`].
    pub code: String,
}

/// The values of [`Problem::code`] that an agent acts on.
pub mod codes {
    /// 403: the agent was revoked; stop sending, keep observing.
    pub const REVOKED: &str = "revoked";
    /// 423: two hosts use one identity; wait for a person.
    pub const QUARANTINED: &str = "quarantined";
    /// 403: the certificate's time is over on an open connection; renew or enrol again.
    pub const CERTIFICATE_EXPIRED: &str = "certificate-expired";
    /// 403: the certificate is void, since its agent was taken back with a newer one; ask to be taken back.
    pub const CERTIFICATE_VOID: &str = "certificate-void";
    /// 403: the agent came with a site token and waits for a person; keep observing, ask again after Retry-After.
    pub const PENDING: &str = "pending";
    /// 403: this host proved the agent's key, and a person must say that it is the real one; ask again after Retry-After.
    pub const RETURN_WAITS: &str = "return-waits";
    /// 403: a person said that this host is not the agent whose key it has.
    pub const RETURN_REFUSED: &str = "return-refused";
    /// 403: no such agent (deleted, or a collector restored from before the enrolment).
    pub const UNKNOWN_AGENT: &str = "unknown-agent";
    /// 403: the body names another client, site or agent than the certificate (SECURITY 16).
    pub const NOT_YOURS: &str = "not-yours";
    /// 403: the enrolment token was never given out.
    pub const TOKEN_UNKNOWN: &str = "token-unknown";
    /// 403: the enrolment token has been used.
    pub const TOKEN_USED: &str = "token-used";
    /// 403: all hosts that the enrolment token is for have used it.
    pub const TOKEN_USED_UP: &str = "token-used-up";
    /// 403: the enrolment token was taken back.
    pub const TOKEN_REVOKED: &str = "token-revoked";
    /// 403: the enrolment token is not for the network that this host came from.
    pub const TOKEN_NETWORK: &str = "token-network";
    /// 403: the enrolment token is older than its time.
    pub const TOKEN_EXPIRED: &str = "token-expired";
    /// 413: over a limit of [`super::limits`]; the detail names it.
    pub const TOO_LARGE: &str = "too-large";
    /// 415: the body was packed with a dictionary that is not known here; send it without one.
    pub const DICTIONARY_UNKNOWN: &str = "dictionary-unknown";
    /// 429: too many requests; see Retry-After.
    pub const TOO_MANY: &str = "too-many";
    /// 400: not readable as this version.
    pub const MALFORMED: &str = "malformed";
    /// 503: the collector cannot commit (disk full, database locked); nothing was taken.
    pub const UNAVAILABLE: &str = "unavailable";
}

/// What an agent should watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentConfig {
    /// Grows with every change.
    pub version: u64,
    /// Whose configuration this is; an agent refuses another's.
    pub agent: AgentId,
    /// The time between two heartbeats, in milliseconds, 1,000 to 300,000.
    pub heartbeat_ms: u64,
    /// The checks; refused as a whole by `upheld_model::check::validate_all`, the old ones kept then.
    pub checks: Vec<CheckSpec>,
    /// What the agent has to know of the assets that it watches. An agent that does not, works as well, only later.
    #[serde(default, skip_serializing_if = "Relations::is_empty")]
    pub relations: Relations,
    /// The jobs that tell an agent of this site when they ran. An agent that does not know of any takes no such word.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub jobs: BTreeSet<CheckId>,
}

/// What hangs on what at a site, and what must not fail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relations {
    /// By asset, those that it hangs on: checked at once when one of its own checks fails (DETECTION 2).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parents: BTreeMap<AssetId, BTreeSet<AssetId>>,
    /// Assets whose failure the agent itself tells of while its collector is away (DETECTION 4.10).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub critical: BTreeSet<AssetId>,
}

impl Relations {
    /// Whether there is nothing to know.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty() && self.critical.is_empty()
    }
}
