//! What an answer says, held against what is meant.

use std::{collections::BTreeSet, net::IpAddr};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use upheld_model::{
    Outcome, UnknownReason,
    check::{DnsSpec, RecordKind},
};

use crate::{ProbeResult, fault};

/// So many addresses are named.
const NAMED_MAX: usize = 4;

/// One question, as it is sent.
pub(super) struct Question {
    id: u16,
    query: Query,
    pub(super) bytes: Vec<u8>,
}

impl Question {
    /// A question with a number that nobody can guess.
    pub(super) fn new(spec: &DnsSpec) -> Result<Self, ProbeResult> {
        let mut id = [0; 2];
        getrandom::fill(&mut id)
            .map_err(|error| fault::judge(&std::io::Error::other(error), [0, 0, 0, 0].into(), "a random number for"))?;
        let unaskable = |why: String| {
            ProbeResult::unknown(UnknownReason::CannotProbe, format!("{} cannot be asked for: {why}", spec.look_up))
        };
        let mut name = Name::from_ascii(&spec.look_up).map_err(|error| unaskable(error.to_string()))?;
        name.set_fqdn(true);
        let record = match spec.record {
            RecordKind::A => RecordType::A,
            RecordKind::Aaaa => RecordType::AAAA,
        };
        let query = Query::query(name, record);
        let mut message = Message::new(u16::from_be_bytes(id), MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        let bytes = message.to_vec().map_err(|error| unaskable(error.to_string()))?;
        Ok(Self { id: u16::from_be_bytes(id), query, bytes })
    }
}

/// What a resolver said.
#[derive(Debug)]
pub(super) struct Answer {
    code: ResponseCode,
    addresses: BTreeSet<IpAddr>,
    ttl_s: Option<u32>,
    /// Whether the rest did not fit.
    pub(super) is_cut: bool,
}

impl Answer {
    /// Reads a message: `None` where it answers another question, and why where it answers this one and is no message.
    pub(super) fn read(bytes: &[u8], question: &Question) -> Result<Option<Self>, String> {
        // The number is looked at first: what another one sent is not worth reading.
        if !bytes.starts_with(&question.id.to_be_bytes()) {
            return Ok(None);
        }
        let message = Message::from_vec(bytes).map_err(|error| error.to_string())?;
        let is_ours = message.metadata.message_type == MessageType::Response
            && message.metadata.op_code == OpCode::Query
            && asks_the_same(&message, question);
        if !is_ours {
            return Ok(None);
        }
        let mut answer = Self {
            code: message.metadata.response_code,
            addresses: BTreeSet::new(),
            ttl_s: None,
            is_cut: message.metadata.truncation,
        };
        for record in message.answers {
            // The alias on the way, and what nobody asked for, are passed over.
            let address = if let RData::A(address) = record.data {
                IpAddr::from(address.0)
            } else if let RData::AAAA(address) = record.data {
                IpAddr::from(address.0)
            } else {
                continue;
            };
            if address.is_ipv4() != (question.query.query_type == RecordType::A) {
                continue;
            }
            answer.addresses.insert(address);
            answer.ttl_s = Some(answer.ttl_s.map_or(record.ttl, |least| least.min(record.ttl)));
        }
        Ok(Some(answer))
    }

    /// What it is worth to the check.
    pub(super) fn judge(&self, spec: &DnsSpec, server: IpAddr) -> ProbeResult {
        let result = self.verdict(spec, server).value("rcode", rcode(self.code).as_str());
        let result = result.value("addresses", self.addresses.len() as f64);
        let result = match self.ttl_s {
            Some(ttl_s) => result.value("ttl_s", f64::from(ttl_s)),
            None => result,
        };
        if self.addresses.is_empty() { result } else { result.value("answer", listed(&self.addresses).as_str()) }
    }

    fn verdict(&self, spec: &DnsSpec, server: IpAddr) -> ProbeResult {
        let (name, record) = (&spec.look_up, spec.record);
        let bad = match u16::from(self.code) {
            NOERROR => None,
            NXDOMAIN => Some(format!("{server} says that {name} does not exist (NXDOMAIN)")),
            SERVFAIL => Some(format!("{server} could not find out about {name} (SERVFAIL)")),
            REFUSED => Some(format!("{server} refuses to answer this host about {name} (REFUSED)")),
            FORMERR | NOTIMP => {
                let why = format!("{server} does not understand the question ({})", rcode(self.code));
                return ProbeResult::unknown(UnknownReason::CannotProbe, why);
            }
            _ => Some(format!("{server} answers {} about {name}", rcode(self.code))),
        };
        if let Some(why) = bad {
            return ProbeResult::bad(why);
        }
        if self.addresses.is_empty() {
            return ProbeResult::bad(format!("{server} knows {name}, but no {record} record of it"));
        }
        let is_whole_set = spec.expect.is_empty() || self.addresses == spec.expect;
        if is_whole_set && spec.contains.is_subset(&self.addresses) {
            return ProbeResult::new(Outcome::Ok);
        }
        let meant = if spec.expect.is_empty() {
            let missing: BTreeSet<IpAddr> = spec.contains.difference(&self.addresses).copied().collect();
            format!("{} should be among them", listed(&missing))
        } else {
            format!("expected {}", listed(&spec.expect))
        };
        ProbeResult::bad(format!("{name} is {} at {server}: {meant}", listed(&self.addresses)))
    }
}

/// Exactly our question. A resolver that reports an error may leave it out.
fn asks_the_same(message: &Message, question: &Question) -> bool {
    match &message.queries[..] {
        [] => message.metadata.response_code != ResponseCode::NoError,
        [asked] => {
            asked.query_type == question.query.query_type
                && asked.query_class == question.query.query_class
                && asked.name.eq_ignore_root(&question.query.name)
        }
        _ => false,
    }
}

/// The codes of RFC 1035, 4.1.1.
const NOERROR: u16 = 0;
const FORMERR: u16 = 1;
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;

/// As the field writes it.
fn rcode(code: ResponseCode) -> String {
    match u16::from(code) {
        NOERROR => "NOERROR".to_owned(),
        FORMERR => "FORMERR".to_owned(),
        SERVFAIL => "SERVFAIL".to_owned(),
        NXDOMAIN => "NXDOMAIN".to_owned(),
        NOTIMP => "NOTIMP".to_owned(),
        REFUSED => "REFUSED".to_owned(),
        other => format!("error {other}"),
    }
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    let named = addresses.iter().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match addresses.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
