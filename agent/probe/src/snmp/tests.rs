//! Agents that are not what an SNMP agent is, at the other end of a real socket. The real ones stand in tests/e2e.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use proptest::prelude::*;
use upheld_model::{CheckSpec, Outcome, ProbeSpec};

use super::*;
use crate::{
    Secret, Secrets,
    testing::{self, evidence},
};

const UPS_MIB: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1];

/// One question: which PDU (0xa0 GET, 0xa1 GETNEXT, 0xa5 GETBULK), its id as it was written, the first OID as written.
struct Question {
    is_walk: bool,
    id: Vec<u8>,
    oids: Vec<Vec<u8>>,
}

/// A value with its tag and length before it.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let mut all = vec![tag];
    match length {
        0..128 => all.push(u8::try_from(length).unwrap()),
        _ => all.extend([0x82, u8::try_from(length >> 8).unwrap(), u8::try_from(length & 0xff).unwrap()]),
    }
    all.extend_from_slice(value);
    all
}

/// Takes one tag, length and value off the front.
fn take(bytes: &mut &[u8]) -> (u8, Vec<u8>) {
    let (tag, mut at, mut length) = (bytes[0], 2, usize::from(bytes[1]));
    if length & 0x80 != 0 {
        let more = length & 0x7f;
        length = bytes[2..2 + more].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        at += more;
    }
    let value = bytes[at..at + length].to_vec();
    *bytes = &bytes[at + length..];
    (tag, value)
}

impl Question {
    fn read(datagram: &[u8]) -> Self {
        let (_, message) = take(&mut &*datagram);
        let mut message = message.as_slice();
        take(&mut message);
        take(&mut message);
        let (pdu, body) = take(&mut message);
        let mut body = body.as_slice();
        let (_, id) = take(&mut body);
        take(&mut body);
        take(&mut body);
        let (_, bindings) = take(&mut body);
        let mut bindings = bindings.as_slice();
        let mut oids = Vec::new();
        while !bindings.is_empty() {
            let (_, binding) = take(&mut bindings);
            oids.push(take(&mut binding.as_slice()).1);
        }
        Self { is_walk: pdu != 0xa0, id, oids }
    }

    /// The answer with these bindings, each an OID as written and a value with its tag.
    fn answer(&self, error: u8, bindings: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let bindings: Vec<u8> =
            bindings.iter().flat_map(|(oid, value)| tlv(0x30, &[tlv(6, oid), value.clone()].concat())).collect();
        let pdu = [tlv(2, &self.id), tlv(2, &[error]), tlv(2, &[0]), tlv(0x30, &bindings)].concat();
        tlv(0x30, &[tlv(2, &[1]), tlv(4, b"public"), tlv(0xa2, &pdu)].concat())
    }

    /// This value for each OID that was asked for.
    fn each(&self, value: &[u8]) -> Vec<u8> {
        let bindings: Vec<_> = self.oids.iter().map(|oid| (oid.clone(), value.to_vec())).collect();
        self.answer(0, &bindings)
    }

    /// What follows the OID that was asked for, `count` of them.
    fn following(&self, count: u32) -> Vec<u8> {
        let first = &self.oids[0];
        let mut oid = first.clone();
        let bindings: Vec<_> = (0..count)
            .map(|_| {
                oid.push(1);
                if oid.len() > 100 {
                    // The last number grows instead, so that it goes on for ever.
                    oid.truncate(first.len());
                    *oid.last_mut().unwrap() = oid.last().unwrap().saturating_add(1).min(127);
                }
                (oid.clone(), tlv(4, b"alarm"))
            })
            .collect();
        self.answer(0, &bindings)
    }
}

/// An agent that answers each datagram with what `answer` makes of it, if anything.
fn serve(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut datagram = [0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            for answer in answer(&datagram[..length]) {
                // What does not fit into a datagram cannot be sent.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    port
}

fn check(port: u16, login: &str) -> CheckSpec {
    let probe = format!(r#"{{"kind":"ups.snmp","target":"127.0.0.1","udp_port":{port}{login}}}"#);
    let check = testing::check(serde_json::from_str::<ProbeSpec>(&probe).unwrap());
    CheckSpec { timeout_ms: 1_500, ..check }
}

async fn run(port: u16) -> ProbeResult {
    testing::prober(&format!("loopback_ports = [{port}]")).run(&check(port, "")).await
}

fn reason(result: &ProbeResult) -> Option<UnknownReason> {
    match result.outcome {
        Outcome::Unknown { reason } => Some(reason),
        Outcome::Ok | Outcome::Warn | Outcome::Bad => None,
    }
}

/// On mains, with alarms to walk.
fn as_a_supply(question: &Question, walked: impl Fn(&Question) -> Vec<u8>) -> Vec<u8> {
    if question.is_walk { walked(question) } else { question.each(&tlv(2, &[3])) }
}

#[tokio::test]
async fn whatever_an_agent_says_instead_is_unknown_with_a_reason_in_bounded_time_and_memory() {
    type Answer = fn(&Question) -> Vec<u8>;
    let cases: [(&str, Answer, UnknownReason, &str); 9] = [
        (
            "an endless table",
            |question| as_a_supply(question, |question| question.following(50)),
            UnknownReason::CannotProbe,
            "its table does not end",
        ),
        (
            "a table that stands still",
            |question| as_a_supply(question, |question| question.each(&tlv(2, &[1]))),
            UnknownReason::CannotProbe,
            "goes round in circles",
        ),
        ("no object at all", |question| question.each(&[0x80, 0]), UnknownReason::CannotProbe, "tells of no supply"),
        ("octets for numbers", |question| question.each(&tlv(4, &[7; 900])), UnknownReason::CannotProbe, "no supply"),
        ("null for numbers", |question| question.each(&[5, 0]), UnknownReason::CannotProbe, "tells of no supply"),
        ("an error", |question| question.answer(5, &[]), UnknownReason::CannotProbe, "answers with an error"),
        ("no access", |question| question.answer(6, &[]), UnknownReason::Credentials, "does not let us read"),
        (
            "what nobody asked for",
            |question| question.answer(0, &[(vec![0x2b, 6, 1, 9], tlv(2, &[3]))]),
            UnknownReason::CannotProbe,
            "tells of no supply",
        ),
        (
            "another question's id",
            |question| other_id(question).each(&tlv(2, &[3])),
            UnknownReason::Stale,
            "not answer",
        ),
    ];
    for (what, answer, expected, words) in cases {
        let begun = Instant::now();
        let result = run(serve(move |datagram| vec![answer(&Question::read(datagram))])).await;
        assert_eq!(reason(&result), Some(expected), "{what}: {result:?}");
        assert!(evidence(&result).contains(words), "{what}: {result:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}: {:?}", begun.elapsed());
    }
}

fn other_id(question: &Question) -> Question {
    let mut id = question.id.clone();
    id[0] ^= 1;
    Question { is_walk: question.is_walk, id, oids: question.oids.clone() }
}

#[tokio::test]
async fn a_datagram_that_is_no_answer_is_passed_over_and_the_time_ends() {
    for (what, answers) in [
        ("truncated", vec![tlv(0x30, &tlv(2, &[1]))[..4].to_vec()]),
        ("nothing", vec![vec![]]),
        ("a length that lies", vec![vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]]),
        ("as much as fits", vec![vec![0x30; 65_000]; 50]),
    ] {
        let result = run(serve(move |_| answers.clone())).await;
        assert_eq!(reason(&result), Some(UnknownReason::Stale), "{what}: {result:?}");
        assert!(evidence(&result).contains("its community is not \"public\""), "{result:?}");
        assert!(result.took < Duration::from_secs(5), "{what}: {:?}", result.took);
    }
    let cut = run(serve(|datagram| {
        let answer = Question::read(datagram).each(&tlv(2, &[3]));
        vec![answer[..answer.len() - 3].to_vec()]
    }));
    assert_eq!(reason(&cut.await), Some(UnknownReason::Stale));
}

#[tokio::test]
async fn an_agent_that_answers_from_elsewhere_is_not_heard() {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut datagram = [0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            let from: SocketAddr = from;
            elsewhere.send_to(&Question::read(&datagram[..length]).each(&tlv(2, &[3])), from).unwrap();
        }
    });
    assert_eq!(reason(&run(port).await), Some(UnknownReason::Stale));
}

#[tokio::test]
async fn a_secret_that_is_not_here_and_a_port_that_is_not_listed_are_said() {
    let port = serve(|_| panic!("asked"));
    let with_secret = check(port, r#","login":{"version":"2c","community_secret":"sw"}"#);
    let missing = testing::prober(&format!("loopback_ports = [{port}]")).run(&with_secret).await;
    assert_eq!(reason(&missing), Some(UnknownReason::SecretMissing), "{missing:?}");
    assert!(evidence(&missing).ends_with("upheld-agent secret set sw"), "{missing:?}");
    let closed = testing::prober("").run(&check(port, "")).await;
    assert_eq!(reason(&closed), Some(UnknownReason::NotAllowed), "{closed:?}");
}

#[tokio::test]
async fn the_collector_is_never_sent_a_community() {
    let port = serve(|_| panic!("asked"));
    let prober = testing::prober(&format!("loopback_ports = [{port}]"));
    prober.collector_is_at(vec![([127, 0, 0, 1], port).into()]);
    let mut secrets = Secrets::default();
    secrets.insert("sw".parse().unwrap(), Secret::new("canary".to_owned()));
    prober.secrets_are(secrets);
    let result = prober.run(&check(port, r#","login":{"version":"2c","community_secret":"sw"}"#)).await;
    assert_eq!(reason(&result), Some(UnknownReason::NotAllowed), "{result:?}");
    assert!(evidence(&result).contains("no secret is ever sent there"), "{result:?}");
}

#[tokio::test]
async fn a_changed_community_is_used_by_the_next_run() {
    let port = serve(|datagram| {
        let is_right = datagram.windows(5).any(|bytes| bytes == b"right");
        let question = Question::read(datagram);
        let answer = question.answer(5, &[]);
        // Told apart by what was shown: an error when it was right, silence when it was wrong.
        if is_right { vec![with_community(&answer, b"right")] } else { vec![] }
    });
    let prober = testing::prober(&format!("loopback_ports = [{port}]"));
    let check = check(port, r#","login":{"version":"2c","community_secret":"sw"}"#);
    for (community, expected) in [("wrong", UnknownReason::Stale), ("right", UnknownReason::CannotProbe)] {
        let mut secrets = Secrets::default();
        secrets.insert("sw".parse().unwrap(), Secret::new(community.to_owned()));
        prober.secrets_are(secrets);
        let result = prober.run(&check).await;
        assert_eq!(reason(&result), Some(expected), "{community}: {result:?}");
        assert!(!evidence(&result).contains("wrong ") || expected == UnknownReason::Stale);
        assert!(!format!("{result:?}").contains("right"), "the community is told: {result:?}");
    }
}

fn with_community(answer: &[u8], community: &[u8]) -> Vec<u8> {
    let (_, message) = take(&mut &*answer);
    let mut rest = message.as_slice();
    let (_, version) = take(&mut rest);
    take(&mut rest);
    tlv(0x30, &[tlv(2, &version), tlv(4, community), rest.to_vec()].concat())
}

#[test]
fn a_table_is_read_by_type_and_a_wrong_type_says_nothing() {
    let mut table = Table::default();
    table.insert(Oid::of(UPS_MIB, &[0]), Value::Octets(b" Smart-UPS\0".to_vec()));
    table.insert(Oid::of(UPS_MIB, &[1]), Value::Integer(-4));
    table.insert(Oid::of(UPS_MIB, &[2]), Value::Count(u64::MAX));
    assert_eq!(table.text(UPS_MIB, &[0]).as_deref(), Some("Smart-UPS"));
    assert_eq!((table.number(UPS_MIB, &[0]), table.number(UPS_MIB, &[1])), (None, Some(-4)));
    assert_eq!((table.count(UPS_MIB, &[1]), table.number(UPS_MIB, &[2])), (None, None));
    assert_eq!(table.rows(UPS_MIB).count(), 3);
    assert_eq!(text(b"\0 \0"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Bytes of an answer turned over: whatever they say then is no panic and ends in time.
    #[test]
    fn any_bytes_end_in_a_result(at in 0_usize..200, byte in any::<u8>(), cut in 0_usize..200) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let port = serve(move |datagram| {
            let mut answer = as_a_supply(&Question::read(datagram), |question| question.following(3));
            let length = answer.len();
            answer[at % length] ^= byte;
            answer.truncate(length - cut % length);
            vec![answer]
        });
        let check = CheckSpec { timeout_ms: 200, ..check(port, "") };
        let result = runtime.block_on(testing::prober(&format!("loopback_ports = [{port}]")).run(&check));
        prop_assert!(result.took < Duration::from_secs(5));
        prop_assert!(!evidence(&result).contains("itself failed"), "{result:?}");
    }
}
