//! Resolvers that err, lie and flood. A real one (dnsmasq) is asked in `tests/e2e/peers/dns.rs`.

use std::{
    io::{Read, Write},
    net::{TcpListener, UdpSocket},
    time::Duration,
};

use hickory_proto::{
    op::Message,
    rr::{Name, RData, Record, rdata::A},
};
use upheld_model::{
    CheckSpec, Outcome, ProbeSpec,
    check::{RESOLVER, RecordKind},
};

use super::*;
use crate::testing::{self, evidence, number, serve_udp as resolver};

fn spec(port: u16) -> DnsSpec {
    DnsSpec {
        target: "127.0.0.1".to_owned(),
        port,
        look_up: "nvr.site.test".to_owned(),
        record: RecordKind::A,
        expect: [].into(),
        contains: [].into(),
    }
}

async fn look(spec: DnsSpec, timeout_ms: u64) -> ProbeResult {
    let allow = format!("loopback_ports = [{}]", spec.port);
    let check = CheckSpec { timeout_ms, ..testing::check(ProbeSpec::NetDns(spec)) };
    testing::prober(&allow).run(&check).await
}

/// The answer to a question with this code (0 to 15) and these addresses.
fn answer(question: &[u8], code: u16, addresses: &[[u8; 4]]) -> Message {
    let asked = Message::from_vec(question).unwrap();
    let mut message = Message::response(asked.metadata.id, asked.metadata.op_code);
    message.metadata.response_code = hickory_proto::op::ResponseCode::from(0, u8::try_from(code).unwrap());
    message.add_queries(asked.queries.clone());
    for [a, b, c, d] in addresses {
        let name: Name = asked.queries[0].name.clone();
        message.add_answer(Record::from_rdata(name, 60, RData::A(A::new(*a, *b, *c, *d))));
    }
    message
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

#[tokio::test]
async fn an_answer_is_held_against_what_is_meant() {
    let port = resolver(|asked| vec![bytes(&answer(asked, 0, &[[10, 0, 0, 5], [10, 0, 0, 6]]))]);
    let seen = look(spec(port), 2_000).await;
    assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
    assert_eq!((number(&seen, "addresses"), number(&seen, "ttl_s")), (2.0, 60.0));
    assert!(number(&seen, "answer_ms") > 0.0);
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let both = [address("10.0.0.6"), address("10.0.0.5")];
    for (expect, contains, words) in [
        (&both[..], &[][..], ""),
        (&[], &both[..1], ""),
        (&both[..1], &[], "nvr.site.test is 10.0.0.5, 10.0.0.6 at 127.0.0.1: expected 10.0.0.6"),
        (&[], &[address("10.9.9.9")], "10.9.9.9 should be among them"),
    ] {
        let (expect, contains) = (expect.iter().copied().collect(), contains.iter().copied().collect());
        let seen = look(DnsSpec { expect, contains, ..spec(port) }, 2_000).await;
        assert_eq!(seen.outcome, if words.is_empty() { Outcome::Ok } else { Outcome::Bad }, "{seen:?}");
        assert!(evidence(&seen).contains(words), "{seen:?}");
    }
}

#[tokio::test]
async fn each_refusal_is_said_in_words() {
    for (code, outcome, words) in [
        (3, Outcome::Bad, "127.0.0.1 says that nvr.site.test does not exist (NXDOMAIN)"),
        (2, Outcome::Bad, "could not find out about nvr.site.test (SERVFAIL)"),
        (5, Outcome::Bad, "refuses to answer this host about nvr.site.test (REFUSED)"),
        (4, Outcome::unknown(UnknownReason::CannotProbe), "does not understand the question (NOTIMP)"),
        (9, Outcome::Bad, "answers error 9 about nvr.site.test"),
        (0, Outcome::Bad, "knows nvr.site.test, but no A record of it"),
    ] {
        let port = resolver(move |asked| vec![bytes(&answer(asked, code, &[]))]);
        let seen = look(spec(port), 2_000).await;
        assert_eq!(seen.outcome, outcome, "{seen:?}");
        assert!(evidence(&seen).contains(words), "{seen:?}");
    }
}

#[tokio::test]
async fn a_resolver_that_is_down_or_silent_is_bad_within_the_timeout() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let seen = look(spec(closed), 2_000).await;
    assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
    assert!(evidence(&seen).contains("refused"), "{seen:?}");

    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let seen = look(spec(silent.local_addr().unwrap().port()), 300).await;
    assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
    assert!(evidence(&seen).contains("asked twice"), "{seen:?}");
    assert!(seen.took < Duration::from_secs(2), "{seen:?}");
    silent.set_nonblocking(true).unwrap();
    let mut asked = 0;
    while silent.recv_from(&mut [0; 512]).is_ok() {
        asked += 1;
    }
    assert_eq!(asked, 2, "one packet may be lost");
}

#[tokio::test]
async fn answers_to_other_questions_are_passed_over_and_a_flood_of_them_ends_the_run() {
    let wrong = |asked: &[u8]| {
        let good = answer(asked, 0, &[[10, 6, 6, 6]]);
        let mut other_id = bytes(&good);
        other_id[1] ^= 1;
        let mut other_name = good.clone();
        other_name.queries[0].name = Name::from_ascii("evil.test.").unwrap();
        let mut a_query = bytes(&good);
        a_query[2] &= 0x7f;
        vec![vec![], vec![1], other_id, bytes(&other_name), a_query]
    };
    let port = resolver(move |asked| {
        let mut all = wrong(asked);
        all.push(bytes(&answer(asked, 0, &[[10, 0, 0, 5]])));
        all
    });
    let good = DnsSpec { expect: ["10.0.0.5".parse().unwrap()].into(), ..spec(port) };
    assert_eq!(look(good, 2_000).await.outcome, Outcome::Ok);

    let seen = look(spec(resolver(wrong)), 300).await;
    assert_eq!(seen.outcome, Outcome::Bad);
    assert!(evidence(&seen).contains("that answer another"), "{seen:?}");

    let flood = resolver(move |asked| std::iter::repeat_with(|| wrong(asked)).take(2_000).flatten().collect());
    let seen = look(spec(flood), 5_000).await;
    assert!(evidence(&seen).contains("flood") || evidence(&seen).contains("that answer another"), "{seen:?}");
}

#[tokio::test]
async fn what_is_no_message_is_bad_and_says_so() {
    // The right number, then nothing, a name that points to itself, more records than there are bytes.
    for tail in [&b""[..], b"\x81\x80\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01", b"\x81\x80\xff\xff\xff\xff\0\0\0\0"] {
        let port = resolver(move |asked| vec![[&asked[..2], tail].concat()]);
        let seen = look(spec(port), 300).await;
        assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
        assert!(evidence(&seen).contains("cannot be read"), "{seen:?}");
    }
}

/// Says by UDP that its answer was cut, and by TCP what `whole` makes of the question.
fn cut_then(whole: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut cut = answer(&buffer[..length], 0, &[]);
            cut.metadata.truncation = true;
            socket.send_to(&bytes(&cut), from).unwrap();
        }
    });
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut asked = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut asked).unwrap();
            // Whoever asked may have given up.
            let _ = stream.write_all(&whole(&asked));
            std::thread::sleep(Duration::from_secs(2));
        }
    });
    port
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

#[tokio::test]
async fn a_cut_answer_is_asked_for_again_by_tcp_as_long_as_it_may_be() {
    let many: Vec<[u8; 4]> = (0..2_000u16).map(|n| [10, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]]).collect();
    let port = cut_then(move |asked| framed(&bytes(&answer(asked, 0, &many))));
    let seen = look(DnsSpec { contains: ["10.1.0.7".parse().unwrap()].into(), ..spec(port) }, 5_000).await;
    assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
    assert_eq!((number(&seen, "addresses"), &seen.values["via"]), (2_000.0, &"tcp".into()));
    let listed = format!("{:?}", seen.values["answer"]);
    assert!(listed.contains("10.1.0.3 and 1996 more"), "{listed}");
}

#[tokio::test]
async fn slow_bytes_and_lies_by_tcp_end_at_the_deadline_with_a_reason() {
    for (whole, words) in [
        (vec![0xff, 0xff, 1], "no whole answer came in time"),
        (framed(b"xy"), "answers another question"),
        (vec![0], "no whole answer came in time"),
    ] {
        let port = cut_then(move |_| whole.clone());
        let seen = look(spec(port), 400).await;
        assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
        assert!(evidence(&seen).contains(words), "{seen:?}");
        assert!(seen.took < Duration::from_secs(2), "{seen:?}");
    }
}

#[tokio::test]
async fn a_resolver_is_asked_only_where_it_is_allowed() {
    let check = testing::check(ProbeSpec::NetDns(spec(53)));
    let seen = testing::prober("").run(&check).await;
    assert_eq!(seen.outcome, Outcome::unknown(UnknownReason::NotAllowed), "{seen:?}");
    // This host's own resolver, whatever it is, is never refused by the package's default.
    let own = testing::check(ProbeSpec::NetDns(DnsSpec {
        target: RESOLVER.to_owned(),
        look_up: "upheld.invalid".to_owned(),
        ..spec(53)
    }));
    let seen = testing::prober("").run(&own).await;
    assert_ne!(seen.outcome, Outcome::unknown(UnknownReason::NotAllowed), "{seen:?}");
}

#[test]
fn security_21_any_bytes_are_read_in_bounds_and_without_a_panic() {
    let question = Question::new(&spec(53)).unwrap_or_else(|result| panic!("{result:?}"));
    let good = bytes(&answer(&question.bytes, 0, &[[10, 0, 0, 5], [10, 0, 0, 6]]));
    // Each byte of a good answer changed to each value, and each cut of it.
    for at in 2..good.len() {
        for value in 0..=255 {
            let mut bad = good.clone();
            bad[at] = value;
            if let Ok(Some(answer)) = Answer::read(&bad, &question) {
                answer.judge(&spec(53), "10.0.0.53".parse().unwrap());
            }
        }
        let _ = Answer::read(&good[..at], &question).is_ok();
    }
}

proptest::proptest! {
    #[test]
    fn security_21_any_answer_with_the_right_number_is_read_or_refused(
        rest in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600),
        is_ours in proptest::prelude::any::<bool>(),
    ) {
        let question = Question::new(&spec(53)).unwrap_or_else(|result| panic!("{result:?}"));
        // With our own question at its begin the records behind it are read.
        let head = if is_ours { question.bytes.len() } else { 2 };
        let mut message = [&question.bytes[..head], &rest].concat();
        if is_ours {
            message[2] |= 0x80;
            message[7] = 3;
        }
        if let Ok(Some(answer)) = Answer::read(&message, &question) {
            answer.judge(&spec(53), "10.0.0.53".parse().unwrap());
        }
    }
}
