//! Nothing acknowledged is ever lost, nothing happens twice: with the real programs, killed and cut off.

use std::{collections::BTreeMap, net::TcpListener, time::Duration};

use jiff::{SignedDuration, Timestamp};
use upheld_delivery::journal::Urgency;
use upheld_model::{CheckId, ObservedAt, Outcome, Sample, sample::Value};
use upheld_tests::{
    Agent, Collector, Line, book,
    held::{Held, assert_all_arrived_once, wait_until_drained},
    journal, wait_for,
};
use upheld_wire::v1::Body;

/// A site whose TCP service is ours to open and close, checked every second.
struct Site {
    collector: Collector,
    line: Line,
    agent: Agent,
    service_port: u16,
}

fn site() -> Site {
    let service_port = upheld_tests::free_port();
    let mut collector = Collector::new();
    let assets = format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {{ kind = \"net.tcp\", target = \"127.0.0.1\", \
         port = {service_port}, every = \"1s\", timeout = \"1s\", fail_after = 1, recover_after = 1 }},\n]\n"
    );
    let folder = collector.folder().join("book");
    book::write_book(&folder, &assets, None);
    collector.apply(&folder);
    collector.serve();
    let line = Line::to(collector.port);
    let agent = Agent::enroll(&collector.link(line.port), &format!("loopback_ports = [{service_port}]\n"));
    Site { collector, line, agent, service_port }
}

impl Site {
    /// Opens and closes the service so often that `count` transitions at least are written.
    fn toggle_service(&self, count: u32) {
        for _ in 0..count {
            let listener = TcpListener::bind(("127.0.0.1", self.service_port)).expect("the service's port");
            // The check runs once a second: both states are seen.
            std::thread::sleep(Duration::from_millis(1_300));
            drop(listener);
            std::thread::sleep(Duration::from_millis(1_300));
        }
    }

    fn records(&self) -> u64 {
        Held::by(&self.collector).records
    }
}

#[test]
fn an_agent_killed_online_and_offline_loses_and_doubles_nothing() {
    let mut site = site();
    site.agent.run();
    wait_for("the first records arrive", Duration::from_secs(20), || (site.records() > 0).then_some(()));
    site.toggle_service(2);

    site.agent.program().kill();
    site.agent.run();
    site.toggle_service(1);

    site.line.cut();
    site.toggle_service(2);
    site.agent.program().kill();
    let before_mending = site.records();
    site.agent.run();
    site.toggle_service(1);
    assert_eq!(site.records(), before_mending, "the line was cut");

    site.line.mend();
    wait_until_drained(&site.agent);
    site.agent.program().stop();
    let total = assert_all_arrived_once(&site.agent, &site.collector);
    assert!(total > before_mending + 4, "{total} records in all, {before_mending} before the line was mended");
}

#[test]
fn a_collector_killed_in_mid_batch_loses_and_doubles_nothing() {
    let mut site = site();
    site.agent.run();
    wait_for("the first records arrive", Duration::from_secs(20), || (site.records() > 0).then_some(()));

    // What the agent sends is committed, but it is never told so.
    site.line.cut_at_next_answer();
    site.toggle_service(2);
    assert!(site.line.is_cut(), "an answer was lost");
    site.collector.kill();
    site.toggle_service(1);
    site.collector.serve();
    site.line.mend();
    site.toggle_service(1);

    // And killed while the agent is sending without a pause.
    site.collector.kill();
    site.collector.serve();
    wait_until_drained(&site.agent);
    site.agent.program().stop();
    assert_all_arrived_once(&site.agent, &site.collector);
    site.collector.program().stop();
}

#[test]
fn an_hour_of_backlog_arrives_whole_once_and_in_order() {
    let mut site = site();
    let history = an_hour_of_history();
    journal::write_history(&site.agent.state(), &history);
    let virtual_records = journal::lengths(&site.agent.state()).iter().map(|epoch| epoch.written).sum::<u64>();
    assert!(virtual_records >= 360, "{virtual_records} records for an hour of batches of ten seconds");

    site.agent.run();
    wait_for("the hour arrives", Duration::from_secs(60), || (site.records() >= virtual_records).then_some(()));
    wait_until_drained(&site.agent);
    site.agent.program().stop();
    assert_all_arrived_once(&site.agent, &site.collector);

    let database = site.collector.database();
    let mut bodies = database.prepare("SELECT body FROM records ORDER BY epoch, seq").expect("a query");
    let mut instants: Vec<ObservedAt> = Vec::new();
    for body in bodies.query_map([], |row| row.get::<_, String>(0)).expect("rows") {
        let body: Body = serde_json::from_str(&body.expect("a row")).expect("a body");
        let of_history = body.samples.iter().filter(|sample| sample.check == history_check(0));
        instants.extend(of_history.map(|sample| sample.at));
    }
    let expected: Vec<ObservedAt> = history
        .iter()
        .flat_map(|(_, body, _)| body.samples.iter().filter(|sample| sample.check == history_check(0)))
        .map(|sample| sample.at)
        .collect();
    println!("virtual hour: {virtual_records} records, {} samples of one check", instants.len());
    assert_eq!(instants, expected, "each sample once, in its order");
}

fn history_check(number: usize) -> CheckId {
    format!("cam-{number}/net.icmp").parse().expect("a check")
}

/// Twenty checks every ten seconds for an hour that ended a minute ago, as the batches an agent would have written.
fn an_hour_of_history() -> Vec<(Timestamp, Body, Urgency)> {
    let begun = Timestamp::now() - SignedDuration::from_mins(61);
    (0..360)
        .map(|round: i64| {
            let at = begun + SignedDuration::from_secs(10 * round);
            let samples = (0..20).map(|number| Sample {
                check: history_check(number),
                at: ObservedAt(at + SignedDuration::from_millis(137 * i64::try_from(number).expect("small"))),
                took_us: 900,
                outcome: Outcome::Ok,
                values: [("rtt_median_ms".to_owned(), Value::from(0.4 + 0.01 * round as f64))].into(),
                counters: BTreeMap::new(),
                evidence: None,
            });
            let body = Body { samples: samples.collect(), ..Body::default() };
            (at + SignedDuration::from_secs(10), body, Urgency::Soon)
        })
        .collect()
}
