//! `net.tls`: how long a server's certificates last, and whether it is still the one that was seen first.
//!
//! A recorder that signed its own certificate is normal: that nobody trusts it, or that its name is another, is told and
//! never bad. What keeps such a device from being replaced by another in silence is its key: the first that was seen is
//! remembered ([`crate::Memory`]), or the one that the check names is meant, and another one is bad. A certificate that the
//! public trusts, for this name, may come with another key: that is how they are renewed.
//!
//! Not asked: STARTTLS. Nothing is said over the connection.

pub(crate) mod certificate;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
#[cfg(test)]
pub(crate) mod testing;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use jiff::Timestamp;
use rustls::ProtocolVersion;
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use upheld_model::{CheckId, Outcome, UnknownReason, check::TlsSpec};

use crate::{ProbeResult, allow::Reach, deadline::Deadline, target::Targets, tcp};
use certificate::{Certificate, Days, Inspector};

/// What the checks of certificates remember.
pub(crate) type KeyMemory = BTreeMap<CheckId, SeenKey>;

/// The key that a server showed first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenKey {
    /// Which server, as the check names it; with another one everything begins anew.
    server: String,
    /// The key's fingerprint.
    key: String,
    /// When it was seen first.
    since: Timestamp,
}

/// The checks of certificates.
pub(crate) struct Tls {
    inspector: OnceLock<Inspector>,
    memory: Mutex<KeyMemory>,
}

impl Tls {
    pub(crate) fn new() -> Self {
        Self { inspector: OnceLock::new(), memory: Mutex::default() }
    }

    pub(crate) fn memory(&self) -> KeyMemory {
        self.seen().clone()
    }

    pub(crate) fn recall(&self, memory: KeyMemory) {
        *self.seen() = memory;
    }

    pub(crate) async fn run(
        &self,
        targets: &Targets,
        check: &CheckId,
        spec: &TlsSpec,
        deadline: Deadline,
    ) -> ProbeResult {
        let addresses = match targets.addresses(&spec.target, Reach::Asks(spec.port), deadline).await {
            Ok(addresses) => addresses,
            Err(result) => return result,
        };
        let connected = match tcp::connect(&addresses, spec.port, deadline).await {
            Ok(connected) => connected,
            Err(result) => return result,
        };
        // `gateway` is a word and no name: the server is called by its address then.
        let asked = match (&spec.server_name, spec.target.as_str()) {
            (Some(name), _) => name.clone(),
            (None, "gateway") => connected.address.to_string(),
            (None, target) => target.trim_start_matches('[').trim_end_matches(']').to_owned(),
        };
        let Ok(name) = ServerName::try_from(asked.clone()) else {
            let why = format!("{asked} cannot stand in a certificate: give the check a server_name");
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        };
        let inspector = self.inspector.get_or_init(|| Inspector::new(&[]));
        let shaking = deadline.bound(Box::pin(inspector.shake_hands(connected.stream, &name, &asked))).await;
        let session = match shaking {
            Some(Ok(session)) => session,
            Some(Err(result)) => return result,
            None => return ProbeResult::bad(format!("connected, but no whole TLS handshake with {asked} in time")),
        };
        // Older ones are not offered.
        let version = session.stream.get_ref().1.protocol_version().map_or("1.2", version_word);
        let result = ProbeResult::new(Outcome::Ok)
            .value("tls_version", version)
            .value("tls_chain", session.certificate.chain as f64)
            .millis("connect_ms", connected.took)
            .millis("tls_ms", session.took);
        let days = Days { warn: spec.tls_warn_days, bad: spec.tls_bad_days };
        let result = session.certificate.judge(result, days);
        self.judge_key(check, spec, &session.certificate, result, Timestamp::now())
    }

    /// Holds the key against the one that is meant.
    fn judge_key(
        &self,
        check: &CheckId,
        spec: &TlsSpec,
        certificate: &Certificate,
        result: ProbeResult,
        now: Timestamp,
    ) -> ProbeResult {
        let Some(key) = &certificate.key else {
            let why = "the server's certificate cannot be read, so nothing is known of its key or its days";
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        };
        let result = result.value("key", key.as_str());
        let server = format!("{}:{} {}", spec.target, spec.port, spec.server_name.as_deref().unwrap_or_default());
        let mut memory = self.seen();
        let before = memory.get(check).filter(|seen| seen.server == server).cloned();
        let remember = |memory: &mut KeyMemory| {
            memory.insert(check.clone(), SeenKey { server, key: key.clone(), since: now });
        };
        match (&spec.pin, before) {
            (Some(pin), _) if pin != key => {
                worse(result, format!("another key than the one that the check names: it is {key}, meant is {pin}"))
            }
            (_, Some(seen)) if seen.key == *key => result,
            // Named by a person, or the first that was seen.
            (Some(_), _) | (None, None) => {
                remember(&mut memory);
                result
            }
            (None, Some(_)) if certificate.is_trusted && certificate.is_named => {
                remember(&mut memory);
                result
            }
            (None, Some(seen)) => {
                let day = seen.since.strftime("%F");
                let (first, help) = (&seen.key, "if that is meant, name it as the check's pin");
                worse(result, format!("another key than since {day}: it was {first}, it is {key}; {help}"))
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, KeyMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another key is worse than any day of a certificate.
fn worse(result: ProbeResult, why: String) -> ProbeResult {
    ProbeResult { outcome: Outcome::Bad, ..result }.evidence(why)
}

fn version_word(version: ProtocolVersion) -> &'static str {
    if version == ProtocolVersion::TLSv1_3 { "1.3" } else { "1.2" }
}

#[cfg(test)]
mod tests;
