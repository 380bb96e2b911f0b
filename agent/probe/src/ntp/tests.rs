//! Time servers that are right, wrong, and none. A real one (chrony) is asked in `tests/e2e/peers/ntp.rs`.

use std::{
    net::UdpSocket as StdSocket,
    time::{Duration, UNIX_EPOCH},
};

use upheld_model::{CheckSpec, ProbeSpec};

use super::*;
use crate::testing::{self, evidence, number, serve_udp as server};

const ERA: u64 = 2_208_988_800;

/// What a server makes of a question.
type Spoilt = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// A server's packet: synchronised, stratum 2, whose clock says `at` in both stamps.
fn reply(question: &[u8], at: u64) -> Vec<u8> {
    let mut packet = vec![0; 48];
    packet[0] = 0x24;
    packet[1] = 2;
    packet[4..8].copy_from_slice(&65_536u32.to_be_bytes());
    packet[24..32].copy_from_slice(&question[40..48]);
    packet[32..40].copy_from_slice(&at.to_be_bytes());
    packet[40..48].copy_from_slice(&at.to_be_bytes());
    packet
}

fn now_and(seconds: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let stamp = ((now.as_secs() + ERA) << 32) | ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000);
    stamp.wrapping_add_signed(seconds << 32)
}

async fn look(port: u16, timeout_ms: u64) -> ProbeResult {
    let spec = NtpSpec { target: "127.0.0.1".to_owned(), port, warn_ms: 1_000, bad_ms: 5_000 };
    let check = CheckSpec { timeout_ms, ..testing::check(ProbeSpec::NetNtp(spec)) };
    testing::prober(&format!("loopback_ports = [{port}]")).run(&check).await
}

#[tokio::test]
async fn a_clock_is_judged_and_the_direction_is_right() {
    for (seconds, outcome, words) in [
        (0, Outcome::Ok, ""),
        (3, Outcome::Warn, "this host's clock is 3.0 s behind 127.0.0.1 (stratum 2)"),
        (-3, Outcome::Warn, "this host's clock is 3.0 s ahead of 127.0.0.1"),
        (300, Outcome::Bad, "this host's clock is 5.0 min behind 127.0.0.1"),
        (-86_400 * 20, Outcome::Bad, "this host's clock is 20.0 days ahead of 127.0.0.1"),
    ] {
        let port = server(move |asked| vec![reply(asked, now_and(seconds))]);
        let seen = look(port, 2_000).await;
        assert_eq!(seen.outcome, outcome, "{seen:?}");
        assert!(evidence(&seen).contains(words), "{seen:?}");
        assert!((number(&seen, "offset_ms") - seconds as f64 * 1e3).abs() < 200.0, "{seen:?}");
        assert_eq!((number(&seen, "stratum"), number(&seen, "root_delay_ms")), (2.0, 1_000.0));
    }
}

#[tokio::test]
async fn a_server_that_has_no_time_or_sends_us_away_says_nothing_about_this_clock() {
    let spoil = |at: usize, bytes: &'static [u8]| {
        move |asked: &[u8]| {
            let mut packet = reply(asked, now_and(0));
            packet[at..at + bytes.len()].copy_from_slice(bytes);
            packet
        }
    };
    let kiss = |code: &'static [u8]| {
        move |asked: &[u8]| {
            let mut packet = spoil(1, &[0])(asked);
            packet[12..16].copy_from_slice(code);
            packet
        }
    };
    let cases: Vec<(Spoilt, &str)> = vec![
        (Box::new(kiss(b"RATE")), "sends this host away (RATE): it is asked too often"),
        (Box::new(kiss(b"DENY")), "(DENY): this host may not ask it"),
        (Box::new(kiss(b"XKCD")), "(XKCD): it does not say why"),
        (Box::new(kiss(b"\x1b[1m")), "it is not synchronised (stratum 0)"),
        (Box::new(spoil(0, &[0xe4])), "it is not synchronised (stratum 2)"),
        (Box::new(spoil(1, &[16])), "it is not synchronised (stratum 16)"),
        (Box::new(spoil(40, &[0; 8])), "it is not synchronised"),
    ];
    for (answer, words) in cases {
        let seen = look(server(move |asked| vec![answer(asked)]), 2_000).await;
        assert_eq!(seen.outcome, Outcome::unknown(UnknownReason::Stale), "{seen:?}");
        assert!(evidence(&seen).contains(words) && evidence(&seen).contains("nothing is known"), "{seen:?}");
    }
}

#[tokio::test]
async fn silence_and_answers_to_others_are_unknown_within_the_timeout() {
    let silent = StdSocket::bind("127.0.0.1:0").unwrap();
    let seen = look(silent.local_addr().unwrap().port(), 300).await;
    assert_eq!(seen.outcome, Outcome::unknown(UnknownReason::Stale), "{seen:?}");
    assert!(evidence(&seen).contains("asked twice"), "{seen:?}");
    assert!(seen.took < Duration::from_secs(2));

    let wrong = |asked: &[u8]| {
        let mut another = reply(asked, now_and(9_000));
        another[24] ^= 1;
        let mut client = reply(asked, now_and(9_000));
        client[0] = 0x23;
        vec![vec![], vec![0x24; 47], another, client]
    };
    let seen = look(server(wrong), 300).await;
    assert!(evidence(&seen).contains("to this question, only 8 others"), "{seen:?}");
    let right_at_last = move |asked: &[u8]| {
        let mut all = wrong(asked);
        all.push([&reply(asked, now_and(0))[..], &[0; 100]].concat());
        all
    };
    assert_eq!(look(server(right_at_last), 2_000).await.outcome, Outcome::Ok);

    let closed = StdSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let seen = look(closed, 2_000).await;
    assert_eq!(seen.outcome, Outcome::unknown(UnknownReason::Stale), "{seen:?}");
    assert!(evidence(&seen).contains("refused"), "{seen:?}");
}

fn exchange(server_at: u64, here: SystemTime, took: Duration) -> Exchange {
    let question = packet::question([7; 8]);
    match Reply::read(&reply(&question, server_at), [7; 8]) {
        Some(Reply::Time(server)) => Exchange::new(server, here, took),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_difference_across_the_end_of_the_era_is_small() {
    // 2036-02-07T06:28:16Z: the seconds begin at 0 again.
    let end = UNIX_EPOCH + Duration::from_secs((1 << 32) - ERA);
    let before = end.checked_sub(Duration::from_secs(1)).unwrap();
    let spec = NtpSpec { target: "t".to_owned(), port: 123, warn_ms: 1_000, bad_ms: 5_000 };
    let seen = exchange(2 << 32, before, Duration::ZERO).judge(&spec, "t");
    assert!((number(&seen, "offset_ms") - 3_000.0).abs() < 1.0, "{seen:?}");
    let seen = exchange(((1 << 32) - 2) << 32, end, Duration::ZERO).judge(&spec, "t");
    assert!((number(&seen, "offset_ms") + 2_000.0).abs() < 1.0, "{seen:?}");
    // A host whose battery is dead believes that it is 1970.
    let seen = exchange((1_800_000_000 + ERA) << 32, UNIX_EPOCH, Duration::ZERO).judge(&spec, "t");
    assert!(evidence(&seen).contains("20833.3 days behind"), "{seen:?}");
}

#[test]
fn a_slow_way_is_not_held_against_the_clock() {
    let spec = NtpSpec { target: "t".to_owned(), port: 123, warn_ms: 1_000, bad_ms: 5_000 };
    // 1.5 s there and nothing back looks like 750 ms behind; 2.4 s look like 1.2 s.
    let here = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let there = ((1_800_000_002 + ERA) << 32) + (4 << 32) / 10;
    let seen = exchange(there, here, Duration::from_millis(2_400)).judge(&spec, "t");
    assert!((number(&seen, "offset_ms") - 1_200.0).abs() < 1.0, "{seen:?}");
    assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
    let seen = exchange(there + (5 << 32), here, Duration::from_millis(2_400)).judge(&spec, "t");
    assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
    assert!(evidence(&seen).contains("6.2 s behind t, give or take 1.2 s"), "{seen:?}");
}

#[test]
fn security_21_any_packet_is_read_without_a_panic() {
    let spec = NtpSpec { target: "t".to_owned(), port: 123, warn_ms: 1_000, bad_ms: 5_000 };
    let good = reply(&packet::question([7; 8]), now_and(0));
    for at in 0..good.len() {
        for value in 0..=255 {
            let mut bad = good.clone();
            bad[at] = value;
            if let Some(Reply::Time(server)) = Reply::read(&bad, [7; 8]) {
                Exchange::new(server, SystemTime::now(), Duration::from_secs(1)).judge(&spec, "t");
            }
        }
        assert_eq!(Reply::read(&good[..at], [7; 8]), None);
    }
}

proptest::proptest! {
    #[test]
    fn security_21_any_bytes_for_a_packet_give_finite_numbers(
        mut packet in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100),
        here in 0..8_000_000_000u64,
    ) {
        if let Some(place) = packet.get_mut(24..32) {
            place.copy_from_slice(&[7; 8]);
        }
        if let Some(first) = packet.first_mut() {
            *first = *first & 0xf8 | 4;
        }
        if let Some(Reply::Time(server)) = Reply::read(&packet, [7; 8]) {
            let spec = NtpSpec { target: "t".to_owned(), port: 123, warn_ms: 1_000, bad_ms: 5_000 };
            let here = UNIX_EPOCH + Duration::from_secs(here);
            let seen = Exchange::new(server, here, Duration::from_millis(40)).judge(&spec, "t");
            proptest::prop_assert!(number(&seen, "offset_ms").is_finite() && number(&seen, "delay_ms") >= 0.0);
        }
    }
}
