//! The library behind [`Agent`]; nothing else of this crate names it.
//!
//! It tells of every failed request as an error in the log. A device that is silent is no error of ours and is told in the
//! sample, so that it is asked without its log.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_snmp::{
    Auth, AuthProtocol, Client, EngineCache, Error, ErrorKind, ErrorStatus, PrivProtocol, Retry, UsmConfig,
    WalkOptions,
    transport::{UdpHandle, UdpTransport},
    v3::ReportStatus,
};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};
use upheld_model::snmp::{SnmpAuth, SnmpLogin, SnmpPrivacy};

use super::{Agent, BYTES_MAX, Oid, ROWS_MAX, SnmpError, Table, Value};
use crate::{deadline::Deadline, secret::Secret};

/// Rows that are asked for at once while walking. Some devices answer more of them in pieces that get lost.
const ROWS_AT_ONCE: u32 = 20;
/// Objects that are asked for at once.
const OBJECTS_AT_ONCE: usize = 24;
/// The largest answer of UDP: the library tells agents that it takes so much, else they refuse with "too big".
const RECEIVE_CAPACITY: usize = 65_507;

/// A socket for all agents of one family of addresses. Belongs to the runtime in which it was opened.
#[derive(Clone)]
pub(super) struct Socket(UdpTransport);

impl Socket {
    pub(super) async fn open(is_v6: bool) -> Result<Self, SnmpError> {
        let any = if is_v6 { "[::]:0" } else { "0.0.0.0:0" };
        let transport = UdpTransport::builder().bind(any).receive_capacity(RECEIVE_CAPACITY).build();
        transport.with_subscriber(NoSubscriber::new()).await.map(Self).map_err(|error| local(&error))
    }
}

/// What an agent is shown, with the secrets themselves.
#[derive(Clone)]
pub(super) enum Shown {
    Community(Option<Secret>),
    User { auth: Secret, privacy: Secret },
}

impl Shown {
    /// Whether nothing has changed since.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same = |a: &Secret, b: &Secret| a.expose() == b.expose();
        match (self, other) {
            (Self::Community(None), Self::Community(None)) => true,
            (Self::Community(Some(a)), Self::Community(Some(b))) => same(a, b),
            (Self::User { auth, privacy }, Self::User { auth: other_auth, privacy: other_privacy }) => {
                same(auth, other_auth) && same(privacy, other_privacy)
            }
            (Self::Community(_) | Self::User { .. }, _) => false,
        }
    }
}

/// A conversation with one agent, which may be kept: with SNMPv3 its keys take a while to make.
#[derive(Clone)]
pub(crate) struct Session {
    client: Client<UdpHandle>,
    /// Who answers at the address, as it tells anybody who asks in SNMPv3.
    engines: Arc<EngineCache>,
    has_answered: Arc<AtomicBool>,
}

impl Session {
    /// Each question is sent twice at most, `wait` apart.
    pub(super) async fn open(
        socket: &Socket,
        address: SocketAddr,
        login: &SnmpLogin,
        shown: &Shown,
        wait: Duration,
    ) -> Result<Self, SnmpError> {
        let retry = Retry::fixed(1, Duration::ZERO).map_err(|error| SnmpError::Local(error.to_string()))?;
        let engines = Arc::new(EngineCache::new());
        let builder = Client::builder(address, auth(login, shown)?)
            .engine_cache(Arc::clone(&engines))
            .request_timeout(wait)
            .retry(retry)
            .max_oids_per_request(OBJECTS_AT_ONCE)
            .strict_source(true)
            // Otherwise an agent that says "wrong password" would look like one that says nothing.
            .allow_unauthenticated_v3_time_correction(true);
        let client = builder.build_with(&socket.0).with_subscriber(NoSubscriber::new()).await;
        let begun = |client| Self { client, engines, has_answered: Arc::default() };
        client.map(begun).map_err(|error| local(&error))
    }

    /// An agent that said who it is, and then nothing to what is encrypted, could not decrypt it: many say so by silence.
    fn heard<T>(&self, answer: Result<T, SnmpError>) -> Result<T, SnmpError> {
        match answer {
            Ok(answer) => {
                self.has_answered.store(true, Ordering::Relaxed);
                Ok(answer)
            }
            Err(SnmpError::Silence)
                if !self.has_answered.load(Ordering::Relaxed)
                    && self.engines.get(&self.client.peer_addr()).is_some() =>
            {
                Err(SnmpError::Privacy)
            }
            Err(error) => Err(error),
        }
    }
}

impl Agent for Session {
    async fn get(&self, objects: &[Oid]) -> Result<Table, SnmpError> {
        let objects: Vec<_> = objects.iter().map(|oid| async_snmp::Oid::from_slice(&oid.0)).collect();
        let answer = self.client.get_many(&objects).with_subscriber(NoSubscriber::new()).await;
        let mut table = Table::default();
        for found in self.heard(answer.map_err(|error| read(&error)))?.varbinds {
            // What was not asked for is not taken.
            if let Some(value) = value(&found.value).filter(|_| objects.contains(&found.oid)) {
                table.insert(Oid(found.oid.arcs().to_vec()), value);
            }
        }
        Ok(table)
    }

    async fn walk(&self, base: &[u32], deadline: Deadline) -> Result<Table, SnmpError> {
        let options = WalkOptions { max_repetitions: ROWS_AT_ONCE, ..WalkOptions::default() };
        let walking = async {
            let mut rows = self.client.walk_with(async_snmp::Oid::from_slice(base), options)?;
            let (mut table, mut bytes, mut count) = (Table::default(), 0, 0);
            loop {
                let found = match deadline.bound(rows.next()).await {
                    Some(Some(found)) => found?,
                    Some(None) => return Ok(Ok(table)),
                    None if count == 0 => return Ok(Err(SnmpError::Silence)),
                    None => return Ok(Err(SnmpError::Unfinished)),
                };
                // Rows that hold nothing are rows.
                count += 1;
                if let Some(value) = value(&found.value) {
                    bytes += 4 * found.oid.len() + if let Value::Octets(octets) = &value { octets.len() } else { 8 };
                    table.insert(Oid(found.oid.arcs().to_vec()), value);
                }
                if count > ROWS_MAX || bytes > BYTES_MAX {
                    return Ok(Err(SnmpError::Strange("its table does not end".to_owned())));
                }
            }
        };
        match walking.with_subscriber(NoSubscriber::new()).await {
            Ok(walked) => walked,
            Err(error) => {
                let error: Box<Error> = error;
                Err(read(&error))
            }
        }
    }
}

fn auth(login: &SnmpLogin, shown: &Shown) -> Result<Auth, SnmpError> {
    match (login, shown) {
        (SnmpLogin::Community { .. }, Shown::Community(community)) => {
            Ok(Auth::v2c(community.as_ref().map_or("public", Secret::expose)))
        }
        (SnmpLogin::User { user, auth, privacy, .. }, Shown::User { auth: password, privacy: second }) => {
            let config = UsmConfig::new(user.clone().into_bytes());
            let (by, with) = (password.expose(), second.expose());
            let config = config.auth_priv(auth_protocol(*auth), by, privacy_protocol(*privacy), with);
            // The library's words name methods and lengths, never a password.
            Ok(Auth::Usm(config.map_err(|error| SnmpError::Local(error.to_string()))?))
        }
        (SnmpLogin::Community { .. } | SnmpLogin::User { .. }, _) => {
            Err(SnmpError::Local("its secrets are those of another kind of login".to_owned()))
        }
    }
}

fn auth_protocol(auth: SnmpAuth) -> AuthProtocol {
    match auth {
        SnmpAuth::Md5 => AuthProtocol::Md5,
        SnmpAuth::Sha1 => AuthProtocol::Sha1,
        SnmpAuth::Sha224 => AuthProtocol::Sha224,
        SnmpAuth::Sha256 => AuthProtocol::Sha256,
        SnmpAuth::Sha384 => AuthProtocol::Sha384,
        SnmpAuth::Sha512 => AuthProtocol::Sha512,
    }
}

fn privacy_protocol(privacy: SnmpPrivacy) -> PrivProtocol {
    match privacy {
        SnmpPrivacy::Des => PrivProtocol::Des,
        SnmpPrivacy::Aes128 => PrivProtocol::Aes128,
        SnmpPrivacy::Aes192 => PrivProtocol::Aes192Blumenthal,
        SnmpPrivacy::Aes256 => PrivProtocol::Aes256Blumenthal,
        SnmpPrivacy::Aes192Cisco => PrivProtocol::Aes192Reeder,
        SnmpPrivacy::Aes256Cisco => PrivProtocol::Aes256Reeder,
    }
}

/// `None` for what says that there is no such object, and for types that no object of ours has.
fn value(value: &async_snmp::Value) -> Option<Value> {
    use async_snmp::Value as Theirs;
    if let Theirs::Integer(number) = value {
        return Some(Value::Integer((*number).into()));
    }
    if let Theirs::OctetString(octets) = value {
        return Some(Value::Octets(octets.to_vec()));
    }
    if let Some(oid) = value.as_oid() {
        return Some(Value::Oid(Oid(oid.arcs().to_vec())));
    }
    // Counters, gauges, hundredths of a second.
    value.as_u64().map(Value::Count)
}

/// What a whole message of version 1 or 2c tells.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn decode(bytes: &[u8]) -> Option<Table> {
    let bytes = hyper::body::Bytes::copy_from_slice(bytes);
    let message = async_snmp::message::Message::decode(bytes, async_snmp::DecodeConfig::default()).ok()?.value;
    let mut table = Table::default();
    for found in message.pdu()?.varbinds() {
        if let Some(value) = value(&found.value) {
            table.insert(Oid(found.oid.arcs().to_vec()), value);
        }
    }
    Some(table)
}

/// An open list of errors of the library.
fn read(error: &Error) -> SnmpError {
    let error = error.exchange_source();
    if let Error::Timeout { .. } = error {
        return SnmpError::Silence;
    }
    if let Error::Auth { .. } = error {
        return SnmpError::Authentication;
    }
    if let Error::Report { status, .. } = error {
        return reported(status);
    }
    if let Error::Snmp { status, .. } = error {
        let is_access = matches!(status, ErrorStatus::AuthorizationError | ErrorStatus::NoAccess);
        return if is_access { SnmpError::Access } else { SnmpError::Refused(status.to_string()) };
    }
    if let Error::WalkAborted { reason, .. } = error {
        return SnmpError::Strange(format!("its table goes round in circles ({reason})"));
    }
    if let Error::Network { source, .. } = error {
        return SnmpError::Local(crate::fault::in_words(source));
    }
    if matches!(error.kind(), ErrorKind::Decode | ErrorKind::MalformedResponse | ErrorKind::ResponseShape) {
        return SnmpError::Strange(error.to_string());
    }
    local(error)
}

/// An open list of what SNMPv3 reports.
fn reported(status: &ReportStatus) -> SnmpError {
    if let ReportStatus::UnknownUserName { .. } = status {
        return SnmpError::User;
    }
    if let ReportStatus::WrongDigest { .. } = status {
        return SnmpError::Authentication;
    }
    if let ReportStatus::DecryptionError { .. } = status {
        return SnmpError::Privacy;
    }
    if let ReportStatus::UnsupportedSecurityLevel { .. } = status {
        return SnmpError::Level;
    }
    SnmpError::Refused(status.to_string())
}

fn local(error: &Error) -> SnmpError {
    SnmpError::Local(error.to_string())
}
