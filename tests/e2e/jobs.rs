//! A job that tells when it ran, with the real programs: done, missed, and told while the line is down.

use std::time::Duration;

use serde_json::Value;
use upheld_tests::{Agent, Collector, book, program, wait_for};

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
