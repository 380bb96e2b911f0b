//! What is kept of deliveries is what a replay of the same samples knows.

use jiff::{SignedDuration, Timestamp};
use upheld_detection::{
    facts::CheckFacts,
    observe::{Reading, observe},
    uptime::{Span, partition, totals},
};
use upheld_model::{
    AgentEvent, Counter, IncidentKind, ObservedAt, Outcome, Sample, UnknownReason, finding::CheckState, sample::Value,
};

use super::world::{World, book};

const UPS: &str = "ups-2/ups.nut";

#[tokio::test]
async fn batteries_counters_and_warnings_are_kept_as_a_replay_sees_them() {
    let mut world = World::with(with_ups()).await;
    let mut agent = world.agent("acme", "north").await;
    let begun = world.now;
    let mut samples = Vec::new();
    for n in 0..400_i64 {
        let at = begun + SignedDuration::from_secs(10 * n);
        let on_battery = (100..103).contains(&n) || n == 250;
        let status = if on_battery { "OB DISCHRG" } else { "OL CHRG" };
        let outcome = if on_battery || (300..330).contains(&n) { Outcome::Warn } else { Outcome::Ok };
        samples.push(ups(at, outcome, status, u64::try_from((n / 90) * 2).unwrap()));
    }
    for batch in samples.chunks(7) {
        world.now = batch[batch.len() - 1].at.0 + SignedDuration::from_secs(3);
        let record = agent.sampled(batch.to_vec());
        world.take(&mut agent, vec![record]).await;
    }
    let period = Span { from: begun, to: world.now };
    let (client, site) = (&agent.peer.client, &agent.peer.site);
    let history = world.desk.site_history(client, site, period, world.now).await.unwrap().unwrap();
    let check = UPS.parse().unwrap();
    let readings: Vec<Reading> = samples.iter().map(|sample| Reading::of(sample, sample.at.0)).collect();
    let replayed = observe(&check, &history.plan.checks[&check], &history.plan.zone, &readings, &[], world.now);
    assert_eq!(instants(&history.facts.checks[&check]), instants(&replayed));
    assert_eq!((replayed.on_battery.len(), replayed.counts.len(), replayed.degraded.len()), (2, 4, 3));
}

#[tokio::test]
async fn samples_are_dated_by_the_clock_that_they_were_made_by() {
    let mut world = World::with(with_ups()).await;
    let mut agent = world.agent("acme", "north").await;
    let (begun, by) = (world.now, SignedDuration::from_hours(2));
    let at = |n: i64| begun + SignedDuration::from_secs(10 * n);
    let samples = (0..9).map(|n| ups(at(n), Outcome::Ok, if n == 4 { "OB DISCHRG" } else { "OL" }, 0)).collect();
    let record = agent.sampled(samples);
    world.pass(300);
    // It was put back behind them; the record that tells so goes with the next upload.
    agent.slow_by = by;
    let mut request = agent.request(vec![record], world.now);
    request.clock_of_records = Some(ObservedAt(request.clock.wall.0 + by));
    world.deliver(&agent, request).await;
    let (client, site, period) = (&agent.peer.client, &agent.peer.site, Span { from: begun, to: world.now });
    let history = world.desk.site_history(client, site, period, world.now).await.unwrap().unwrap();
    let facts = &history.facts.checks[&UPS.parse().unwrap()];
    assert_eq!(facts.on_battery.iter().map(|stretch| stretch.from.not_after).collect::<Vec<_>>(), [at(4)]);
}

#[tokio::test]
async fn a_site_that_was_on_battery_when_it_fell_silent_has_lost_its_power() {
    for (status, title) in [
        ("OB DISCHRG", "north: silent since 10:00; on battery before: power"),
        ("OL CHRG", "north: silent since 10:00"),
    ] {
        let mut world = World::with(with_ups()).await;
        let mut agent = world.agent("acme", "north").await;
        let record = agent.sampled(vec![ups(world.now, Outcome::Warn, status, 0)]);
        world.take(&mut agent, vec![record]).await;
        world.lives(301).await;
        world.desk.silence_once(world.now).await.unwrap();
        let told = world.all().await;
        let silent = told.iter().find(|incident| incident.kind == IncidentKind::Silent);
        assert_eq!(silent.map(|incident| incident.title.as_str()), Some(title), "{status}");
    }
}

#[tokio::test]
async fn the_same_upload_twice_and_a_restart_change_no_fact() {
    let world = World::with(with_ups()).await;
    let mut agent = world.agent("acme", "north").await;
    let samples: Vec<_> = (0..9)
        .map(|n| ups(world.now - SignedDuration::from_secs(90 - 10 * n), Outcome::Ok, "OL", (n / 3) as u64))
        .collect();
    let record = agent.sampled(samples);
    let request = agent.request(vec![record], world.now);
    world.deliver(&agent, request.clone()).await;
    let period = Span { from: world.now - SignedDuration::from_hours(1), to: world.now };
    let counts = async |world: &World| {
        let (client, site) = (&agent.peer.client, &agent.peer.site);
        let history = world.desk.site_history(client, site, period, world.now).await.unwrap().unwrap();
        history.facts.checks[&UPS.parse().unwrap()].counts.clone()
    };
    let first = counts(&world).await;
    assert_eq!(first.len(), 2);
    world.deliver(&agent, request.clone()).await;
    let world = world.restarted();
    world.deliver(&agent, request).await;
    assert_eq!(counts(&world).await, first);
}

#[tokio::test]
async fn uptime_is_counted_from_what_agents_said_and_silence_is_unknown() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let begun = world.now;
    let check = "srv-1/net.tcp".parse().unwrap();
    let state = |state, at: Timestamp| AgentEvent::StateChanged {
        check: "srv-1/net.tcp".parse().unwrap(),
        state,
        at: ObservedAt(at),
    };
    let record = agent.record(vec![state(CheckState::Ok, begun)]);
    world.take(&mut agent, vec![record]).await;
    world.pass(600);
    let finding = world.fail(&mut agent).await;
    let suspect = agent.record(vec![state(CheckState::Failed, finding.confirmed_at.0)]);
    world.take(&mut agent, vec![suspect]).await;
    world.pass(600);
    world.mend(&mut agent, &finding).await;
    let good = agent.record(vec![state(CheckState::Ok, world.now)]);
    world.take(&mut agent, vec![good]).await;
    world.pass(600);
    let period = Span { from: begun, to: world.now };
    let history =
        world.desk.site_history(&agent.peer.client, &agent.peer.site, period, world.now).await.unwrap().unwrap();
    let sums = totals(&partition(period, &[history.checks[&check].clone()]));
    let seconds = SignedDuration::from_secs;
    assert_eq!((sums.up, sums.down), (seconds(594), seconds(606)));
    assert_eq!(sums.unknown, [(UnknownReason::AgentSilent, seconds(600))].into());
    world.take(&mut agent, Vec::new()).await;
    let history =
        world.desk.site_history(&agent.peer.client, &agent.peer.site, period, world.now).await.unwrap().unwrap();
    let sums = totals(&partition(period, &[history.checks[&check].clone()]));
    assert_eq!(sums.up, seconds(1_194), "it was there all the time, and says so");
}

/// Counts, stretches on battery and times off.
type Instants = (Vec<(Timestamp, Timestamp, u64)>, Vec<(Timestamp, Option<Timestamp>)>, Vec<Span>);

/// What does not depend on when it was received.
fn instants(facts: &CheckFacts) -> Instants {
    let counts = facts.counts.iter().map(|count| (count.after, count.at, count.number));
    let stretches = facts.on_battery.iter().map(|stretch| (stretch.from.not_after, stretch.until));
    (counts.collect(), stretches.collect(), facts.degraded.clone())
}

fn ups(at: Timestamp, outcome: Outcome, status: &str, transfers: u64) -> Sample {
    Sample {
        check: UPS.parse().unwrap(),
        at: ObservedAt(at),
        took_us: 900,
        outcome,
        values: [("status".to_owned(), Value::from(status))].into(),
        counters: [("transfers".to_owned(), Counter("driver-1".into(), transfers))].into(),
        evidence: None,
    }
}

pub(super) fn with_ups() -> std::collections::BTreeMap<String, String> {
    let mut files = book();
    let ups = "\n[[asset]]\nid = \"ups-2\"\nclass = \"ups\"\nchecks = [{ kind = \"ups.nut\", target = \"10.0.0.9\", ups = \"ups\" }]\n";
    files.get_mut("clients/acme/sites/north.toml").unwrap().push_str(ups);
    files
}
