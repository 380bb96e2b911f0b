//! How a host ended: an agent that is killed, and comes up in another boot, says so with the bounds; with real programs and
//! another boot id mounted over the kernel's.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use upheld_tests::{
    Agent, Collector,
    namespace::{self, Own, sh},
    wait_for, watched,
};

/// Another boot than this one.
const OTHER: &str = "11111111-2222-4333-8444-555555555555";

#[test]
fn a_host_that_ended_without_a_word_says_so_at_its_next_start_and_one_that_was_not_restarted_does_not() {
    let name = "a_host_that_ended_without_a_word_says_so_at_its_next_start_and_one_that_was_not_restarted_does_not";
    namespace::inside(Own::Mounts, name, || {
        let assets =
            "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{ kind = \"power.boot\", every = \"1s\" }]\n";
        let mut collector = watched::serving_with(Collector::new(), assets);
        let mut agent = Agent::enroll(&collector.link(collector.port), "");
        agent.run();
        let first = look(&collector, Timestamp::UNIX_EPOCH);
        assert_eq!(first["outcome"]["is"], "ok", "{first}");
        assert_eq!(first["values"].get("ended"), None, "nothing ended while it watched: {first}");

        agent.program().kill();
        // What it journalled before is sent after.
        let killed = Timestamp::now();
        agent.run();
        let same = look(&collector, killed);
        assert_eq!((same["values"].get("ended"), &same["values"]["boot_id"]), (None, &first["values"]["boot_id"]));

        agent.program().kill();
        boots(OTHER, agent.folder());
        agent.run();
        let other = wait_for("a look in the other boot", Duration::from_secs(60), || {
            samples(&collector).into_iter().find(|sample| sample["values"]["boot_id"] == OTHER)
        });
        println!("{}", other["evidence"]);
        assert_eq!(other["values"]["ended"], "unclean", "{other}");
        let database = collector.database();
        wait_for("the start is a fact with its end", Duration::from_secs(40), || {
            let body = "SELECT body FROM said WHERE kind = 'boot'";
            let body: Option<String> = database.query_row(body, [], |row| row.get(0)).ok();
            let said: Value = serde_json::from_str(&body?).expect("JSON");
            assert_eq!((&said["asset"], &said["ended"]), (&"srv-1".into(), &"unclean".into()), "{said}");
            assert!(said["after"].is_string(), "the bound before: {said}");
            Some(())
        });
        agent.program().kill();
        collector.kill();
    });
}

/// From here on this is the kernel's boot id.
fn boots(id: &str, folder: &std::path::Path) {
    let file = folder.join("boot_id");
    std::fs::write(&file, format!("{id}\n")).expect("a boot id");
    sh("mount --bind \"$1\" /proc/sys/kernel/random/boot_id", &[&file.display().to_string()]);
}

/// The first look since then that the collector has.
fn look(collector: &Collector, since: Timestamp) -> Value {
    let is_later =
        |sample: &Value| sample["at"].as_str().and_then(|at| at.parse().ok()).is_some_and(|at: Timestamp| since < at);
    wait_for("a look at the start", Duration::from_secs(60), || samples(collector).into_iter().find(is_later))
}

fn samples(collector: &Collector) -> Vec<Value> {
    let database = collector.database();
    let mut bodies = database.prepare("SELECT body FROM records ORDER BY epoch, seq").expect("a query");
    let rows = bodies.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    let bodies = rows.map(|body| serde_json::from_str::<Value>(&body.expect("a row")).expect("JSON"));
    bodies.flat_map(|body| body["samples"].as_array().cloned().unwrap_or_default()).collect()
}
