//! Servers that are not what a NUT server is. The real one stands in tests/e2e.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use upheld_model::{CheckSpec, Outcome, ProbeSpec, UnknownReason};

use crate::testing::{self, evidence};

/// Looked at once in a run.
fn supply(port: u16) -> CheckSpec {
    let probe = ProbeSpec::UpsNut { target: "127.0.0.1".into(), port, ups: "ups1".into() };
    CheckSpec { every_ms: 5_000, ..testing::check(probe) }
}

fn reason(outcome: &Outcome) -> Option<UnknownReason> {
    match outcome {
        Outcome::Unknown { reason } => Some(*reason),
        Outcome::Ok | Outcome::Warn | Outcome::Bad => None,
    }
}

/// Serves what `answer` writes to each question.
fn serve(answer: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Clone + 'static) -> u16 {
    testing::serve(move |mut stream| {
        let questions = BufReader::new(stream.try_clone().unwrap());
        for question in questions.lines() {
            let Ok(question) = question else { return };
            // The other side hangs up when it has had enough.
            if answer(&question, &mut stream).is_err() {
                return;
            }
        }
    })
}

fn list(status: &str) -> String {
    format!(
        "BEGIN LIST VAR ups1\nVAR ups1 ups.status \"{status}\"\nVAR ups1 battery.charge \"099\"\nEND LIST VAR ups1\n"
    )
}

#[tokio::test]
async fn whatever_a_server_says_instead_is_unknown_with_a_reason_in_bounded_time_and_memory() {
    let long = || "x".repeat(1 << 20);
    let endless = || "VAR ups1 a \"b\"\n".repeat(100_000);
    for (say, expected, words) in [
        (long(), UnknownReason::CannotProbe, "a line of its answer does not end"),
        (format!("{}\n", long()), UnknownReason::CannotProbe, "a line of its answer does not end"),
        (format!("BEGIN LIST VAR ups1\n{}", endless()), UnknownReason::CannotProbe, "its list does not end"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), UnknownReason::CannotProbe, "does not answer as a NUT server does"),
        ("BEGIN LIST VAR other\n".to_owned(), UnknownReason::CannotProbe, "does not answer as"),
        ("BEGIN LIST VAR ups1\nVAR ups1 a \"open\n".to_owned(), UnknownReason::CannotProbe, "is not closed"),
        ("BEGIN LIST VAR ups1\nEND LIST VAR ups1\n".to_owned(), UnknownReason::Stale, "no ups.status is told"),
        ("\u{0}\u{ff}\n".to_owned(), UnknownReason::CannotProbe, "does not answer as"),
        ("ERR DRIVER-NOT-CONNECTED\n".to_owned(), UnknownReason::Stale, "does the driver run?"),
        ("ERR DATA-STALE\n".to_owned(), UnknownReason::Stale, "heard nothing from the driver"),
        ("ERR ACCESS-DENIED\n".to_owned(), UnknownReason::Credentials, "lets only users read"),
        ("ERR \u{1b}[2J\n".to_owned(), UnknownReason::CannotProbe, r"refuses: \u{1b}[2J"),
        ("ERR\n".to_owned(), UnknownReason::CannotProbe, "does not answer as"),
    ] {
        let shown: String = say.chars().take(60).collect();
        let port = serve(move |_, stream| stream.write_all(say.as_bytes()));
        let result = testing::prober(&format!("loopback_ports = [{port}]")).run(&supply(port)).await;
        assert_eq!(reason(&result.outcome), Some(expected), "{shown:?}: {result:?}");
        assert!(evidence(&result).contains(words), "{shown:?}: {result:?}");
    }
}

#[tokio::test]
async fn slow_bytes_end_with_the_timeout() {
    let port = serve(|_, stream| {
        for byte in list("OL").bytes() {
            stream.write_all(&[byte])?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    let check = testing::spec(supply(port), 300);
    let result = testing::prober(&format!("loopback_ports = [{port}]")).run(&check).await;
    assert_eq!(reason(&result.outcome), Some(UnknownReason::Stale), "{result:?}");
    assert!(result.took < Duration::from_secs(2), "{:?}", result.took);
}

#[tokio::test]
async fn an_answer_in_pieces_is_read_by_line_and_the_connection_is_kept() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let port = testing::serve(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        let questions = BufReader::new(stream.try_clone().unwrap());
        for question in questions.lines().map_while(Result::ok) {
            let answer = match question.as_str() {
                "LIST VAR ups1" => list("OL"),
                "GET VAR ups1 ups.status" => "VAR ups1 ups.status \"OL\"\n".to_owned(),
                "GET VAR ups1 battery.charge" => "VAR ups1 battery.charge \"042.7\"\n".to_owned(),
                other => panic!("a question that a reader has no need of: {other}"),
            };
            for piece in answer.as_bytes().chunks(3) {
                stream.write_all(piece).unwrap();
            }
        }
    });
    let prober = testing::prober(&format!("loopback_ports = [{port}]"));
    let first = prober.run(&supply(port)).await;
    assert_eq!((&first.outcome, testing::number(&first, "charge_percent")), (&Outcome::Ok, 99.0), "{first:?}");
    assert!(evidence(&first).starts_with("on mains, charge 099 %"), "{first:?}");
    for _ in 0..3 {
        let next = prober.run(&supply(port)).await;
        assert_eq!((&next.outcome, testing::number(&next, "charge_percent")), (&Outcome::Ok, 42.7), "{next:?}");
        assert_eq!(next.counters, first.counters);
        assert_eq!(next.evidence, None, "what is well is not explained each second");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn of_two_looks_the_one_on_battery_is_told() {
    let looks = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&looks);
    let port = serve(move |question, stream| {
        // On battery at the second look only; the second listing is because of the change.
        let status = if asked.fetch_add(1, Ordering::SeqCst) == 0 { "OL" } else { "OB" };
        match question {
            "LIST VAR ups1" => stream.write_all(list(status).as_bytes()),
            "GET VAR ups1 ups.status" => writeln!(stream, "VAR ups1 ups.status \"{status}\""),
            _ => stream.write_all(b"ERR VAR-NOT-SUPPORTED\n"),
        }
    });
    let each_second = CheckSpec { every_ms: 1_000, ..supply(port) };
    let result = testing::prober(&format!("loopback_ports = [{port}]")).run(&each_second).await;
    assert_eq!((&result.outcome, &result.values["status"]), (&Outcome::Warn, &"OB".into()), "{result:?}");
    assert_eq!(result.counters["transfers"].1, 1);
}

#[tokio::test]
async fn a_server_that_dropped_the_connection_is_asked_again_at_once() {
    let port = testing::serve(|mut stream| {
        let mut question = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut question).unwrap();
        stream.write_all(list("OL").as_bytes()).unwrap();
    });
    let prober = testing::prober(&format!("loopback_ports = [{port}]"));
    for _ in 0..3 {
        assert_eq!(prober.run(&supply(port)).await.outcome, Outcome::Ok);
    }
}

#[tokio::test]
async fn an_unknown_supply_is_told_with_those_that_are_known() {
    let port = serve(|question, stream| {
        stream.write_all(match question {
            "LIST UPS" => b"BEGIN LIST UPS\nUPS cellar \"in the cellar\"\nUPS roof \"\"\nEND LIST UPS\n",
            _ => b"ERR UNKNOWN-UPS\n",
        })
    });
    let result = testing::prober(&format!("loopback_ports = [{port}]")).run(&supply(port)).await;
    assert_eq!(reason(&result.outcome), Some(UnknownReason::CannotProbe));
    assert!(evidence(&result).ends_with("it knows: cellar, roof"), "{result:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_says_nothing_about_the_power() {
    let port = testing::closed_port();
    let result = testing::prober(&format!("loopback_ports = [{port}]")).run(&supply(port)).await;
    assert_eq!(reason(&result.outcome), Some(UnknownReason::Stale), "{result:?}");
    assert!(evidence(&result).contains("refused"), "{result:?}");
    let full = testing::full_backlog();
    let silent = testing::spec(supply(full.port), 300);
    let result = testing::prober(&format!("loopback_ports = [{}]", full.port)).run(&silent).await;
    assert_eq!(reason(&result.outcome), Some(UnknownReason::Stale), "{result:?}");
}

#[tokio::test]
async fn security_3_a_port_of_this_host_that_is_not_listed_is_not_touched() {
    let port = serve(|_, _| panic!("touched"));
    let result = testing::prober("").run(&supply(port)).await;
    assert_eq!(reason(&result.outcome), Some(UnknownReason::NotAllowed), "{result:?}");
}
