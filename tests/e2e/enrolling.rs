//! Site tokens and the change of the root, with the real programs (SECURITY 11, 14).

use std::time::Duration;

use upheld_tests::{Agent, Collector, held::Held, program, wait_for, watched};

const LONG: Duration = Duration::from_secs(90);

#[test]
fn a_host_of_a_site_token_watches_nothing_until_a_person_approves_it_and_then_reports() {
    let (mut collector, port) = collector();
    let link = site_link(&collector, &["--uses", "2", "--from", "127.0.0.0/8"]);
    let host = Agent::unenrolled(&watched::allow(port));
    let (code, out, err) = program::run(&mut host.enrolment(&link));
    assert_eq!(code, Some(0), "{out}{err}");
    let mut agent = host;
    let id = agent.id();
    assert!(out.contains(&format!("upheld-collector agent approve {id}")), "{out}");
    agent.run();
    let says = wait_for("its status says what it waits for", LONG, || {
        let (_, out, _) = program::run(&mut agent.command(&["status"]));
        out.contains("waits to be approved").then_some(out)
    });
    assert!(says.contains(&format!("agent approve {id}")), "{says}");
    let (code, out, _) = program::run(&mut agent.command(&["doctor"]));
    assert_ne!(code, Some(0), "{out}");
    assert!(out.contains("waits to be approved") && out.contains("agent approve"), "{out}");
    assert_eq!(agent.status().expect("a status")["checks"].as_array().map(Vec::len), Some(0));
    assert_eq!(held(&collector), 0);
    let pending = collector.cli_json(&["agent", "pending"]);
    assert_eq!(
        (&pending["waiting"][0]["agent"], &pending["waiting"][0]["address"]),
        (&id.clone().into(), &"127.0.0.1".into())
    );

    assert_eq!(collector.cli_json(&["agent", "approve", &id])["decided"], "new");
    assert_eq!(collector.cli_json(&["agent", "approve", &id])["changed"], false, "twice is no error");
    wait_for("it watches and reports", LONG, || {
        let status = agent.status()?;
        (status["standing"]["is"] == "good" && status["checks"].as_array().is_some_and(|checks| checks.len() == 1))
            .then_some(())
    });
    wait_for("its journal arrives", LONG, || (held(&collector) > 0).then_some(()));
    agent.program().stop();
    collector.program().assert_no_errors();
}

#[test]
fn a_site_token_that_is_for_others_used_up_taken_back_or_refused_says_so() {
    let (collector, port) = collector();
    let elsewhere = site_link(&collector, &["--from", "192.0.2.0/24"]);
    refuses(&elsewhere, port, "not for the network");
    let once = site_link(&collector, &["--uses", "1", "--from", "127.0.0.1"]);
    let mut first = Agent::enroll(&once, &watched::allow(port));
    refuses(&once, port, "as many hosts as this enrolment token is for");
    let gone = site_link(&collector, &["--from", "127.0.0.0/8"]);
    let open = collector.cli_json(&["agent", "token", "list"]);
    let name = open["tokens"][0]["name"].as_str().expect("a name");
    collector.cli_json(&["agent", "token", "revoke", name]);
    refuses(&gone, port, "was taken back");
    let (code, _, err) = program::run(&mut collector.command(&["agent", "token", "revoke", name]));
    assert!(code == Some(1) && err.contains("agent token list"), "{code:?} {err}");

    collector.cli_json(&["agent", "refuse", &first.id()]);
    first.run();
    wait_for("who was refused knows", LONG, || (first.status()?["standing"]["code"] == "revoked").then_some(()));
    first.program().stop();
    for (arguments, says) in [
        (&["--uses", "501", "--from", "10.0.0.0/8"][..], "1 to 500 hosts"),
        (&["--days", "15", "--from", "10.0.0.0/8"], "14 days"),
        (&["--from", "0.0.0.0/0"], "is everywhere"),
        (&["--from", "north"], "no network"),
        (&["--from", "10.0.0.0/8", "--approve-rule", "nvr"], "no rule"),
        (&[], "--from"),
    ] {
        let all = [&["agent", "token", "northgate/plant-2", "--site-token"][..], arguments].concat();
        let (code, _, err) = program::run(&mut collector.command(&all));
        assert!(code == Some(2) && err.contains(says), "{arguments:?}: {code:?} {err}");
    }
    let (code, _, err) = program::run(&mut collector.command(&["agent", "approve", "a-0000000000000000"]));
    assert!(code == Some(1) && err.contains("there is no agent"), "{code:?} {err}");
}

#[test]
fn the_root_changes_while_one_agent_runs_and_another_is_off() {
    let (mut collector, port) = collector();
    let mut here = Agent::enroll(&collector.link(collector.port), &watched::allow(port));
    let mut away = Agent::enroll(&collector.link(collector.port), &watched::allow(port));
    let old_link = collector.link(collector.port);
    here.run();
    wait_for("it reports", LONG, || (here.status()?["standing"]["is"] == "good").then_some(()));
    let (_, before, _) = program::run(&mut collector.command(&["ca", "export"]));
    assert!(before.contains("BEGIN CERTIFICATE") && !before.contains("PRIVATE KEY"), "{before}");

    let begun = collector.cli_json(&["ca", "rotate"]);
    assert_ne!(begun["root"], begun["old_root"]);
    assert_eq!(roots(&collector), 2);
    wait_for("the running agent knows both roots", LONG, || (stored_roots(&here) == 2).then_some(()));
    let missing = wait_for("the collector knows that it does", LONG, || {
        let shown = collector.cli_json(&["ca", "show"]);
        (shown["rotation"]["confirmed"] == 1).then(|| shown["rotation"]["missing"].clone())
    });
    assert_eq!(missing[0]["agent"].as_str(), Some(away.id().as_str()), "{missing}");
    let (code, _, err) = program::run(&mut collector.command(&["ca", "rotate", "--finish"]));
    assert!(code == Some(1) && err.contains(&away.id()) && err.contains("--lose 2"), "{code:?} {err}");
    let (code, _, err) = program::run(&mut collector.command(&["ca", "rotate"]));
    assert!(code == Some(1) && err.contains("ca show"), "{code:?} {err}");

    // A link of before and one of now, each by the root that it names.
    Agent::enroll(&old_link, &watched::allow(port));
    Agent::enroll(&collector.link(collector.port), &watched::allow(port));
    // The one that was off comes, learns, and is the last.
    away.run();
    wait_for("the old root ends by itself", LONG, || {
        collector.cli_json(&["ca", "show"])["old_root"].is_null().then_some(())
    });
    assert_eq!((roots(&collector), collector.audited("ca.rotation-ended")), (1, 1));
    for agent in [&mut here, &mut away] {
        wait_for("it forgets the old root", LONG, || (stored_roots(agent) == 1).then_some(()));
        agent.program().stop();
    }
    // Only the next root is left anywhere; whoever starts anew believes it, and is believed.
    collector.program().stop();
    collector.serve();
    let held_before = held(&collector);
    for agent in [&mut here, &mut away] {
        agent.run();
        wait_for("it reports by the next root alone", LONG, || {
            let status = agent.status()?;
            (status["standing"]["is"] == "good" && status["last_accepted"].is_string()).then_some(())
        });
    }
    wait_for("records arrive", LONG, || (held(&collector) > held_before).then_some(()));
    for agent in [&mut here, &mut away] {
        agent.program().stop();
    }
    collector.program().assert_no_errors();
}

#[test]
fn an_agent_that_is_lost_on_purpose_needs_a_new_link_and_says_so() {
    let (collector, port) = collector();
    let mut lost = Agent::enroll(&collector.link(collector.port), &watched::allow(port));
    collector.cli_json(&["ca", "rotate"]);
    let ended = collector.cli_json(&["ca", "rotate", "--finish", "--lose", "1"]);
    assert_eq!(ended["lost"][0]["agent"].as_str(), Some(lost.id().as_str()));
    wait_for("the doors show the next root alone", LONG, || {
        let host = Agent::unenrolled(&watched::allow(port));
        (program::run(&mut host.enrolment(&collector.link(collector.port))).0 == Some(0)).then_some(())
    });
    lost.run();
    wait_for("it does not believe a root that it does not know", LONG, || {
        let status = lost.status()?;
        status["standing"]["why"].as_str().is_some_and(|why| why.contains("certificate")).then_some(())
    });
    lost.program().stop();
    let (code, out, err) = program::run(lost.enrolment(&collector.link(collector.port)).arg("--replace"));
    assert_eq!(code, Some(0), "{out}{err}");
}

fn refuses(link: &str, port: u16, says: &str) {
    let host = Agent::unenrolled(&watched::allow(port));
    let refusal = program::refused(|| host.enrolment(link));
    assert_eq!(refusal.code, 12, "{}", refusal.text);
    assert!(refusal.text.contains(says) && refusal.text.contains("agent token"), "{}", refusal.text);
    assert!(!host.is_enrolled());
}

fn site_link(collector: &Collector, arguments: &[&str]) -> String {
    let all = [&["agent", "token", "northgate/plant-2", "--site-token"][..], arguments].concat();
    collector.cli_json(&all)["link"].as_str().expect("a link").to_owned()
}

/// How many roots the collector gives out.
fn roots(collector: &Collector) -> usize {
    let exported = collector.cli_json(&["ca", "export"]);
    exported["roots_pem"].as_str().expect("PEM").matches("BEGIN CERTIFICATE").count()
}

/// How many roots an agent has stored.
fn stored_roots(agent: &Agent) -> usize {
    let pem = std::fs::read_to_string(agent.state().join("roots.pem")).expect("its roots");
    pem.matches("BEGIN CERTIFICATE").count()
}

fn collector() -> (Collector, u16) {
    let port = upheld_tests::free_port();
    (watched::collector(port), port)
}

fn held(collector: &Collector) -> u64 {
    Held::by(collector).records
}
