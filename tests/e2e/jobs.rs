//! A job that tells when it ran, with the real programs: done, missed, told while the line is down, told over HTTP.

use std::{
    net::{TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use upheld_tests::{Agent, Collector, book, peer, program, wait_for};

const LONG: Duration = Duration::from_secs(120);

#[test]
fn a_job_that_ran_is_told_one_that_did_not_is_an_incident_and_a_line_that_is_down_loses_no_word() {
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    let job = r#"{ kind = "backup.job", name = "nightly", schedule = "every 1min", grace = "5s" }"#;
    let asset = format!("\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{{ kind = \"host\" }}, {job}]\n");
    book::write_book(&folder, &asset, None);
    collector.apply(&folder);
    collector.serve();
    let mut agent = Agent::enroll(&collector.link(collector.port), "");
    agent.run();

    wait_for("the agent knows the job", Duration::from_secs(30), || ran(&agent, &["nightly"]).ok());
    let refused = ran(&agent, &["nigthly"]).unwrap_err();
    assert!(refused.contains("no job is called") && refused.contains("srv-1/nightly"), "{refused}");
    wait_for("its first run is told", Duration::from_secs(30), || (outcomes(&collector) == ["ok"]).then_some(()));

    // The next one is due in a minute, and is not told.
    let incident = wait_for("what was missed is an incident", LONG, || backup_incident(&collector));
    assert_eq!(incident["kind"], "down", "{incident}");
    assert_eq!(outcomes(&collector)[..2], ["ok", "missed"]);

    collector.kill();
    ran(&agent, &["srv-1/nightly", "--status", "0"]).expect("the journal takes it without a collector");
    collector.serve();
    wait_for("what was told without a line arrives", LONG, || (outcomes(&collector)[1] == "late").then_some(()));
    let restored = wait_for("its incident is restored", LONG, || {
        backup_incident(&collector).filter(|incident| incident["restored"].is_string())
    });
    assert_eq!(restored["key"], incident["key"]);

    let text = program::run(&mut collector.command(&["runs", "northgate/plant-2/nightly"])).1;
    assert!(text.contains("northgate/plant-2/srv-1/nightly  every 1min, America/Chicago"), "{text}");
    assert!(text.contains("it was done") && text.contains("after its time"), "{text}");
    // What the agent's journal holds of it, as a replay takes it.
    let recorded = program::run(&mut agent.command(&["record", "--since", "1h"])).1;
    let told = recorded.lines().filter(|line| line.contains(r#""event":"run""#) && line.contains(r#""reason":"ok""#));
    assert_eq!(told.count(), 2, "{recorded}");
    collector.program().assert_no_errors();
    agent.program().assert_no_errors();
}

/// Tells the agent; what it says against it.
fn ran(agent: &Agent, words: &[&str]) -> Result<(), String> {
    let (code, _, said) = program::run(agent.command(&["ran"]).args(words));
    if code == Some(0) { Ok(()) } else { Err(said) }
}

fn outcomes(collector: &Collector) -> Vec<String> {
    let told = collector.cli_json(&["runs", "northgate/plant-2"]);
    let runs = told["runs"].as_array().expect("a list of runs");
    let words = runs.iter().map(|run| run["outcome"].as_str().expect("a word").to_owned());
    words.filter(|word| word != "pending").collect()
}

/// The incident about backups, as it is stored.
fn backup_incident(collector: &Collector) -> Option<Value> {
    let database = collector.database();
    let mut all = database.prepare("SELECT body FROM incidents").expect("the incidents");
    let bodies = all.query_map([], |row| row.get::<_, String>(0)).expect("the incidents");
    let bodies: Vec<Value> = bodies
        .map(|body| serde_json::from_str(&body.expect("a body")).expect("JSON"))
        .filter(|body: &Value| body["class"] == "backup")
        .collect();
    assert!(bodies.len() <= 1, "one fault, one incident: {bodies:#?}");
    bodies.into_iter().next()
}

/// As people have it in their crontabs for another host: begin, the job, its exit status and what it printed.
const WRAPPER: &str = r#"#!/bin/sh
RID=$(cat /proc/sys/kernel/random/uuid)
curl -fsS -m 30 --retry 5 -o /dev/null "$URL/start?rid=$RID"
said=$("$@" 2>&1)
status=$?
curl -fsS -m 30 --retry 5 -o /dev/null --data-raw "$said" "$URL/$status?rid=$RID"
exit $status
"#;

#[test]
fn a_cron_wrapper_tells_over_http_and_who_is_slow_or_a_page_or_unknown_changes_nothing() {
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    let jobs = r#"{ kind = "job", name = "nightly", schedule = "every 1min", grace = "50s" }, { kind = "job", name = "weekly", schedule = "every 7d" }"#;
    let asset = format!("\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{{ kind = \"host\" }}, {jobs}]\n");
    book::write_book(&folder, &asset, None);
    collector.apply(&folder);
    collector.serve();
    let mut agent = Agent::enroll(&collector.link(collector.port), "");
    // Free a moment ago; the agent tries again where it is not.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let settings = agent.folder().join("agent.toml");
    program::write(&settings, &format!("jobs = {{ port = {port} }}\n"));
    let mut run = agent.command(&["run", "--config"]);
    run.arg(&settings);
    agent.run_as(&mut run);
    let site = format!("http://127.0.0.1:{port}");
    wait_for("the agent knows the job", Duration::from_secs(60), || {
        (curl(&["-I", &format!("{site}/hb/weekly")]).0 == "200").then_some(())
    });

    let wrapper = agent.folder().join("wrapper");
    program::write(&wrapper, WRAPPER);
    let wrapped = |job: &[&str]| {
        let mut cron = Command::new("sh");
        cron.arg(&wrapper).args(job).env("URL", format!("{site}/ping/nightly"));
        program::run(&mut cron).0
    };
    assert_eq!(wrapped(&["true"]), Some(0));
    assert_eq!(wrapped(&["sh", "-c", "echo copied 3 files; echo no space left >&2; exit 7"]), Some(7));
    let (first, second) = wait_for("both are in the collector's ledger", LONG, || {
        let told = told(&collector, "nightly");
        (told.len() == 2).then(|| (told[0].clone(), told[1].clone()))
    });
    assert!(first["ended"] == "ok" && first["started"].is_string() && first["printed"].is_null(), "{first}");
    assert_eq!(second["ended"], "failed");
    // As instants: zeros at the end of a second's part are not written, so that as texts .9 would come after .905.
    let instant = |key: &str| second[key].as_str().expect("a text").parse::<jiff::Timestamp>().expect("an instant");
    assert!(instant("started") <= instant("at"), "{second}");
    assert_eq!(second["printed"], serde_json::json!(["exit status 7", "copied 3 files", "no space left"]));

    // Nothing of this is a word of a job.
    for (arguments, code, part) in [
        (vec!["/hb/nigthly"], "404", "no job is called \"nigthly\""),
        (vec!["/hb/"], "404", "say /hb/JOB"),
        (vec!["/hb/nightly/256"], "400", "from 0 to 255"),
        (vec!["/hb/nightly?rid=a%0Ab"], "400", "rid is 1 to 64"),
        (vec!["/hb/nightly", "-X", "DELETE"], "405", "GET, HEAD or POST"),
        (vec!["/hb/nightly", "-H", "Origin: https://evil.example"], "403", "not from a page"),
        (vec!["/hb/nightly", "-H", "Host: evil.example"], "403", "by its address"),
    ] {
        let address = format!("{site}{}", arguments[0]);
        let (seen, said) = curl(&[&[address.as_str()], &arguments[1..]].concat());
        println!("{arguments:?}: {seen} {said}");
        assert!(seen == code && said.contains(part), "{arguments:?}: {seen} {said}");
    }
    // Those that say nothing are cut off, and hold nobody up for good.
    let silent: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("a connection")).collect();
    let log = agent.folder().join("log");
    program::write(&log, &format!("{}the last line\n", "a line of a long log\n".repeat(60_000)));
    let body = format!("@{}", log.display());
    assert_eq!(curl(&[&format!("{site}/hb/srv-1/weekly/fail"), "-m", "90", "--data-binary", &body]).0, "200");
    drop(silent);
    let (code, out, err) = program::run(agent.command(&["ping", "weekly", "--start"]).arg("--json"));
    assert_eq!((code, err.lines().count()), (Some(0), 0), "{out}{err}");
    assert_eq!(program::run(&mut agent.command(&["ping", "weekly", "--exit", "0"])).0, Some(0));
    let weekly = wait_for("all of the other job is there", LONG, || {
        let told = told(&collector, "weekly");
        (told.last()?["started"].is_string()).then_some(told)
    });
    let long = weekly.iter().find(|told| told["ended"] == "failed").expect("its failure");
    let printed = long["printed"].as_array().expect("lines");
    assert_eq!(printed.last().expect("a line"), "the last line");
    assert!(printed.iter().map(|line| line.as_str().expect("text").len() + 1).sum::<usize>() <= 4_097);
    assert_eq!(told(&collector, "nightly").len(), 2);
    collector.program().assert_no_errors();
    agent.program().assert_no_errors();
}

/// The status that an address answers with, and what it says.
fn curl(arguments: &[&str]) -> (String, String) {
    let mut curl = Command::new(peer("curl"));
    let (_, out, _) = program::run(curl.args(["-s", "-m", "30", "-w", "\n%{http_code}"]).args(arguments));
    let (said, code) = out.rsplit_once('\n').unwrap_or_default();
    (code.to_owned(), said.to_owned())
}

/// What the ledger holds of a job's words, in order.
fn told(collector: &Collector, job: &str) -> Vec<Value> {
    let database = collector.database();
    let mut all = database.prepare("SELECT body FROM records ORDER BY rowid").expect("the records");
    let bodies = all.query_map([], |row| row.get::<_, String>(0)).expect("the records");
    let bodies = bodies.map(|body| serde_json::from_str::<Value>(&body.expect("a body")).expect("JSON"));
    let events = bodies.flat_map(|body| body["events"].as_array().cloned().unwrap_or_default());
    events.filter(|event| event["event"] == "ran" && event["job"] == format!("srv-1/{job}")).collect()
}
