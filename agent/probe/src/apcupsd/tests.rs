//! Servers that are not what apcupsd is, and what it says in the course of an outage. The real one stands in tests/e2e.

use std::io::{Read, Write};

use upheld_model::{CheckSpec, Outcome, ProbeSpec};

use super::*;
use crate::testing::{self, evidence};

fn check(port: u16) -> CheckSpec {
    testing::check(ProbeSpec::UpsApcupsd { target: "127.0.0.1".into(), port })
}

fn framed(lines: &[&str]) -> Vec<u8> {
    let frame = |line: &&str| {
        let mut framed = u16::try_from(line.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(line.as_bytes());
        framed
    };
    lines.iter().chain([&""]).flat_map(frame).collect()
}

/// Answers the question with these bytes; panics at any other question.
fn serve(answer: Vec<u8>) -> u16 {
    testing::serve(move |mut stream| {
        let mut question = [0; 8];
        stream.read_exact(&mut question).unwrap();
        assert_eq!(&question, b"\x00\x06status", "a question that a reader has no need of");
        // The other side hangs up when it has had enough.
        let _ = stream.write_all(&answer);
    })
}

async fn run(port: u16) -> ProbeResult {
    testing::prober(&format!("loopback_ports = [{port}]")).run(&check(port)).await
}

#[tokio::test]
async fn whatever_a_server_says_instead_is_unknown_with_a_reason_in_bounded_time_and_memory() {
    let long = || vec![0xff; 10 << 20];
    for (answer, reason, words) in [
        (long(), UnknownReason::CannotProbe, "a line of its answer is too long"),
        (framed(&vec!["A : b\n"; 200_000]), UnknownReason::CannotProbe, "its answer does not end"),
        (b"ERR UNKNOWN-COMMAND\n".to_vec(), UnknownReason::CannotProbe, "too long"),
        (framed(&["Invalid command\n"]), UnknownReason::CannotProbe, "does not answer as apcupsd does"),
        (framed(&[]), UnknownReason::CannotProbe, "says nothing"),
        (framed(&["APC : 001\n"]), UnknownReason::Stale, "tells no STATUS"),
        (framed(&["STATUS : \u{1b}[2J\n"]), UnknownReason::Stale, "neither on mains nor on battery"),
        (framed(&["STATUS : COMMLOST\n", "DATE : then\n"]), UnknownReason::Stale, "it last heard of it at then"),
        (vec![], UnknownReason::Stale, "does it let this host in?"),
    ] {
        let result = run(serve(answer)).await;
        assert_eq!(result.outcome, Outcome::unknown(reason), "{result:?}");
        assert!(evidence(&result).contains(words), "{words}: {result:?}");
    }
}

#[tokio::test]
async fn slow_bytes_end_with_the_timeout_and_silence_says_nothing_about_the_power() {
    let port = testing::serve(|mut stream| {
        for byte in framed(&["STATUS : ONLINE"]) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let slow = testing::prober(&format!("loopback_ports = [{port}]")).run(&testing::spec(check(port), 300)).await;
    assert_eq!(slow.outcome, Outcome::unknown(UnknownReason::Stale), "{slow:?}");
    assert!(slow.took < Duration::from_secs(2), "{slow:?}");
    let refused = run(testing::closed_port()).await;
    assert_eq!(refused.outcome, Outcome::unknown(UnknownReason::Stale), "{refused:?}");
    assert!(evidence(&refused).starts_with("apcupsd does not answer: "), "{refused:?}");
}

#[tokio::test]
async fn security_3_a_port_of_this_host_that_is_not_listed_is_not_touched() {
    let port = testing::serve(|_| panic!("touched"));
    let result = testing::prober("").run(&check(port)).await;
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::NotAllowed), "{result:?}");
}

/// One supply through a story: seconds, the status, the number of transfers, the last one's reason.
struct Story {
    apcupsd: Apcupsd,
    begin: Instant,
}

impl Story {
    fn new() -> Self {
        Self { apcupsd: Apcupsd::new(), begin: Instant::now() }
    }

    fn says(&self, second: u64, keys: &[(&str, &str)]) -> ProbeResult {
        let date = format!("reading {second}");
        let usual = [("STARTTIME", "2026-11-01 00:00:00 +0000"), ("DATE", &date), ("NUMXFERS", "0")];
        let keys = usual.iter().chain(keys).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let told = Told::read(&keys.collect());
        let now = self.begin + Duration::from_secs(second);
        self.apcupsd.judge(&"ups-1/ups".parse().unwrap(), "10.0.0.1", 3551, &told, now)
    }
}

#[test]
fn a_dip_between_two_looks_is_counted_and_said_with_its_instants() {
    let story = Story::new();
    let first = story.says(0, &[("STATUS", "ONLINE"), ("NUMXFERS", "4")]);
    assert_eq!(first.outcome, Outcome::Ok, "{first:?}");
    assert!(evidence(&first).starts_with("on mains"), "{first:?}");
    let quiet = story.says(5, &[("STATUS", "ONLINE"), ("NUMXFERS", "4")]);
    assert_eq!((quiet.outcome, quiet.evidence), (Outcome::Ok, None));
    let dip = [
        ("STATUS", "ONLINE"),
        ("NUMXFERS", "5"),
        ("XONBATT", "2026-11-28 12:00:01 +0000"),
        ("XOFFBATT", "2026-11-28 12:00:03 +0000"),
        ("LASTXFER", "Low line voltage"),
    ];
    let seen = story.says(10, &dip);
    assert_eq!(seen.outcome, Outcome::Warn, "{seen:?}");
    let words = "it ran on battery at 2026-11-28T12:00:01Z for 2 s since the last look, on mains";
    assert!(evidence(&seen).starts_with(words), "{seen:?}");
    assert_eq!(seen.counters["transfers"].since(&first.counters["transfers"]), Some(1));
    assert_eq!(testing::number(&seen, "last_dip_s"), 2.0);
    assert_eq!(story.says(15, &dip).outcome, Outcome::Ok);
}

#[test]
fn a_self_test_is_no_dip_and_a_restart_of_apcupsd_no_reset() {
    let story = Story::new();
    let test = ("LASTXFER", "Automatic or explicit self test");
    let before = story.says(0, &[("STATUS", "ONLINE")]);
    let tested = story.says(5, &[("STATUS", "ONBATT"), ("NUMXFERS", "1"), test]);
    assert_eq!(tested.counters["transfers"].since(&before.counters["transfers"]), None, "{tested:?}");
    let after = story.says(10, &[("STATUS", "ONLINE"), ("NUMXFERS", "1"), test]);
    assert_eq!(after.outcome, Outcome::Ok, "{after:?}");
    let dip = story.says(15, &[("STATUS", "ONLINE"), ("NUMXFERS", "2")]);
    assert_eq!(dip.counters["transfers"].since(&after.counters["transfers"]), Some(1));
    let restarted = story.says(20, &[("STATUS", "ONLINE"), ("STARTTIME", "2026-11-28 00:00:00 +0000")]);
    assert_eq!(restarted.counters["transfers"].since(&dip.counters["transfers"]), None);
    assert_eq!(restarted.outcome, Outcome::Ok, "{restarted:?}");
}

#[test]
fn an_outage_lasts_and_what_apcupsd_does_not_hear_any_more_is_unknown() {
    let story = Story::new();
    story.says(0, &[("STATUS", "ONLINE")]);
    let begun = story.says(5, &[("STATUS", "ONBATT"), ("NUMXFERS", "1"), ("TONBATT", "3 Seconds")]);
    assert_eq!((&begun.outcome, &begun.values["status"]), (&Outcome::Warn, &"OB".into()), "{begun:?}");
    let low = story.says(10, &[("STATUS", "ONBATT LOWBATT"), ("NUMXFERS", "1"), ("TONBATT", "8 Seconds")]);
    assert_eq!(low.outcome, Outcome::Bad, "{low:?}");
    let lost = story.says(20, &[("STATUS", "COMMLOST"), ("NUMXFERS", "1")]);
    assert_eq!(lost.outcome, Outcome::unknown(UnknownReason::Stale));
    assert!(evidence(&lost).ends_with("it was on battery when it was last heard"), "{lost:?}");
    // Its dates cannot be read here, so that only the agent knows for how long they have been the same.
    let same = [("STATUS", "ONLINE"), ("DATE", "the same")];
    assert_eq!(story.says(30, &same).outcome, Outcome::Ok);
    assert_eq!(story.says(210, &same).outcome, Outcome::Ok);
    let old = story.says(211, &same);
    assert_eq!(old.outcome, Outcome::unknown(UnknownReason::Stale));
    assert!(evidence(&old).contains("is 181 s old: it does not hear it any more"), "{old:?}");
    // And from the first look on where they can.
    let old = Story::new().says(
        0,
        &[("STATUS", "ONLINE"), ("DATE", "2026-11-28 12:00:00 +0000"), ("END APC", "2026-11-28 12:10:00 +0000")],
    );
    assert_eq!(old.outcome, Outcome::unknown(UnknownReason::Stale), "{old:?}");
}
