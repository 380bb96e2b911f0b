//! DELIVERY 4: what goes when, and that nothing which was promised rests on it.

use jiff::{SignedDuration, Timestamp};
use upheld_detection::uptime::Span;
use upheld_model::{ObservedAt, Outcome, Sample, sample::Value};
use upheld_store::StoreError;

use super::world::{Agent, World, delivered};

const DAY: i64 = 86_400;

fn sample(at: Timestamp) -> Sample {
    Sample {
        check: "srv-1/net.tcp".parse().unwrap(),
        at: ObservedAt(at),
        took_us: 900,
        outcome: Outcome::Ok,
        values: [("rtt_median_ms".to_owned(), Value::from(0.4))].into(),
        counters: [].into(),
        evidence: None,
    }
}

async fn clean(world: &World) -> u64 {
    let report = world.desk.retention_once(world.now).await.unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
    report.changed
}

#[tokio::test]
async fn a_record_that_is_sent_again_is_recognised_after_its_row_is_gone() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let record = agent.sampled(vec![sample(world.now)]);
    let request = agent.request(vec![record.clone()], world.now);
    let first = delivered(world.deliver(&agent, request.clone()).await);
    agent.believe(&first);
    world.pass(31 * DAY);
    let news = agent.sampled(vec![sample(world.now)]);
    world.take(&mut agent, vec![news]).await;
    assert_eq!((clean(&world).await, world.held(&agent).await), (1, 1), "one of the two is a month old");
    let again = delivered(world.deliver(&agent, request).await);
    assert_eq!((again.batch_digest, again.head.unwrap().len), (first.batch_digest, 2));
    // Under another epoch, too, as after a fork.
    agent.new_epoch(2);
    let renamed = agent.retag(&record);
    world.take(&mut agent, vec![renamed]).await;
    assert_eq!(world.held(&agent).await, 1, "nothing was stored a second time");
}

/// An incident each quarter and samples twice a day, for three years.
#[tokio::test]
async fn years_grow_by_facts_alone_and_what_was_promised_stays_as_it_was() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let begun = world.now;
    let mut years = Vec::new();
    for day in 0..3 * 365_i64 {
        if day % 91 == 5 {
            let finding = world.fail(&mut agent).await;
            world.pass(600);
            world.mend(&mut agent, &finding).await;
            world.pass(-600);
        }
        for _ in 0..2 {
            world.pass(DAY / 2);
            let record = agent.sampled(vec![sample(world.now)]);
            world.take(&mut agent, vec![record]).await;
        }
        if day % 7 == 6 {
            clean(&world).await;
        }
        if day % 365 == 364 {
            years.push((world.held(&agent).await, world.file_bytes()));
        }
    }
    println!("by the end of each year: (records, bytes of the file) {years:?}");
    for (year, (records, _)) in (1..).zip(&years) {
        assert!((8 * year..8 * year + 2 * 38).contains(records), "{years:?}");
    }
    // Four outages with their incidents, and 730 stretches in which the agent was not heard: facts, by the year.
    let grown = years[2].1 - years[1].1;
    assert!(grown < 256 << 10, "a year grows by its facts alone: {years:?}");
    let downs = downs(&world, &agent, begun).await;
    assert_eq!((world.all().await.len(), downs), (12, 12), "an outage of three years ago is still there");
}

async fn downs(world: &World, agent: &Agent, begun: Timestamp) -> usize {
    let (client, site) = (&agent.peer.client, &agent.peer.site);
    let period = Span { from: begun, to: world.now };
    let history = world.desk.site_history(client, site, period, world.now).await.unwrap().unwrap();
    history.facts.checks[&"srv-1/net.tcp".parse().unwrap()].findings.len()
}

#[tokio::test]
async fn a_clock_that_runs_ahead_and_a_year_without_a_word_throw_nothing_away() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let record = agent.sampled(vec![sample(world.now)]);
    world.take(&mut agent, vec![record]).await;
    world.pass(10 * 365 * DAY);
    assert_eq!((clean(&world).await, world.held(&agent).await), (0, 1));
    let hours = SignedDuration::from_hours(1);
    world.now -= hours;
    let seen = world.desk.store().read::<_, StoreError, _>("test", |tx| tx.last_seen_of_any()).await.unwrap();
    assert!(seen.unwrap() < world.now, "nobody was heard meanwhile");
}
