//! Links that are wrong, used, too old, or used by twenty hosts at once (SECURITY 11).

use std::{process::Stdio, time::Duration};

use jiff::Timestamp;
use upheld_tests::{Agent, program, wait_for};

#[test]
fn a_link_that_is_unknown_used_or_too_old_is_refused_with_what_to_do_and_changes_nothing() {
    let mut collector = super::collector(1);
    let short = collector.link_for(collector.port, "1s");
    let made = Timestamp::now();
    let link = collector.link(collector.port);
    let (token, rest) = {
        let after = link.split("/e/").nth(1).expect("a token");
        after.split_once('#').expect("a fingerprint")
    };
    let unknown = format!("https://127.0.0.1:{}/e/{}#{rest}", collector.port, "A".repeat(token.len()));
    let first = Agent::enroll(&link, "");
    wait_for("the short link ends", Duration::from_secs(3), || {
        (made.duration_until(Timestamp::now()).as_millis() > 1_000).then_some(())
    });

    let new_link = "upheld-collector agent token";
    for (link, why, todo, audit) in [
        (
            &unknown,
            "this enrolment token was never given out",
            "copy the whole link, or get a new one",
            "token.unknown",
        ),
        (&link, "this enrolment token has been used", "a link is for one host; get a new one", "token.reused"),
        (&short, "this enrolment token is older than its time", "get a new link and use it in time", "token.ended"),
    ] {
        let host = Agent::unenrolled("");
        let refusal = program::refused(|| host.enrolment(link));
        assert_eq!(refusal.code, 12, "{}", refusal.text);
        let what = format!("Error: 127.0.0.1:{} refused to enroll this host\n", collector.port);
        for words in [what.as_str(), why, &format!("{todo}: {new_link}")] {
            assert!(refusal.text.contains(words), "{words:?} is not in {}", refusal.text);
        }
        assert!(!refusal.text.contains(token), "a token in the words of a refusal");
        assert!(!host.is_enrolled());
        assert_eq!(collector.audited(audit), 2, "{audit}: each try is in the audit log");
        // The host is as good as new.
        assert_eq!(program::run(&mut host.enrolment(&collector.link(collector.port))).0, Some(0));
    }
    assert_eq!(collector.audited("agent.enrolled"), 4);
    assert!(first.is_enrolled());
    assert!(!collector.program().log_text().contains(token), "a token in the collector's log");
}

#[test]
fn of_twenty_hosts_that_use_one_link_at_once_exactly_one_is_enrolled() {
    let collector = super::collector(1);
    let link = collector.link(collector.port);
    let hosts: Vec<Agent> = (0..20).map(|_| Agent::unenrolled("")).collect();
    let running: Vec<_> = hosts
        .iter()
        .map(|host| {
            let mut command = host.enrolment(&link);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("the agent starts")
        })
        .collect();
    let mut codes: Vec<Option<i32>> = Vec::new();
    for child in running {
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || said.contains("has been used"), "{said}");
        codes.push(output.status.code());
    }
    let count = |code| codes.iter().filter(|ended| **ended == Some(code)).count();
    println!("exit codes of twenty at once: {codes:?}");
    assert_eq!((count(0), count(12)), (1, 19), "{codes:?}");
    let enrolled: Vec<bool> = hosts.iter().map(Agent::is_enrolled).collect();
    let said: Vec<bool> = codes.iter().map(|code| *code == Some(0)).collect();
    assert_eq!(enrolled, said, "the host that says so is the one that is");
    assert_eq!((collector.audited("agent.enrolled"), collector.audited("token.reused")), (1, 19));
    let agents = collector.cli_json(&["agent", "list"]);
    assert_eq!(agents["agents"].as_array().expect("a list").len(), 1, "{agents}");
}
