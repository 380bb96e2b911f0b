//! DELIVERY 4: what goes when, and that nothing which was promised rests on it.

use jiff::{SignedDuration, Timestamp};
use upheld_agreement::account::Stretch;
use upheld_detection::uptime::Span;
use upheld_model::{ObservedAt, Outcome, Sample, sample::Value};
use upheld_store::StoreError;

use crate::{DeskError, Scope, audit::AuditWanted, figures::StatementError};

use super::world::{Agent, World, at, book, delivered};

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

/// The usual book, with an agreement of 2026 alone where `until` says so, and facts that are kept for 400 days.
fn kept_for_400_days(until: &str) -> std::collections::BTreeMap<String, String> {
    let mut book = book();
    let ssa = book.get_mut("clients/acme/ssa.toml").unwrap();
    *ssa = ssa.replace("signed = 2025-12-12\n", &format!("signed = 2025-12-12\n{until}"));
    let provider = book.get_mut("provider.toml").unwrap();
    *provider =
        provider.replace("[channels.desk]", "[retention]\nfacts = \"400d\"\nsamples = \"60d\"\n\n[channels.desk]");
    book
}

async fn is_heard(world: &World, agent: &mut Agent) {
    let record = agent.sampled(vec![sample(world.now)]);
    world.take(agent, vec![record]).await;
}

#[tokio::test]
async fn facts_go_when_the_book_says_and_are_not_counted_as_unknown_afterwards() {
    let mut world = World::with(kept_for_400_days("until = 2026-12-31\n")).await;
    let mut agent = world.agent("acme", "north").await;
    is_heard(&world, &mut agent).await;
    let finding = world.fail(&mut agent).await;
    world.pass(600);
    world.mend(&mut agent, &finding).await;
    world.pass(3 * DAY);
    world.desk.watch_once(world.now).await.unwrap();
    world.pass(3 * DAY);
    let stays = world.fail(&mut agent).await;
    let (client, scope) = (agent.peer.client.clone(), Scope::Provider);
    let november = Stretch { from: at("2026-11-01T05:00:00Z"), to: at("2026-12-01T06:00:00Z") };

    // 1 January 2027 in Chicago and 400 days.
    world.now = at("2028-02-05T05:59:00Z");
    is_heard(&world, &mut agent).await;
    clean(&world).await;
    assert_eq!(world.all().await.len(), 2, "a minute too early");
    world.desk.statement(&scope, &client, november, world.now).await.unwrap();

    world.now = at("2028-02-05T06:00:00Z");
    is_heard(&world, &mut agent).await;
    assert!(clean(&world).await > 0);
    let left = world.all().await;
    assert_eq!(left.len(), 1, "what is open stays");
    assert_eq!(clean(&world).await, 0, "once");
    let refused = world.desk.statement(&scope, &client, november, world.now).await.unwrap_err();
    assert!(
        matches!(&refused, StatementError::Desk(DeskError::Forgotten { before, .. }) if *before == at("2027-01-01T06:00:00Z"))
    );
    let refused = world.desk.uptime(&scope, &client, None, november, world.now).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "what happened at acme before 2027-01-01T06:00:00Z was kept as long as the book says (provider.toml, [retention]) \
         and then taken away: ask for a later time"
    );
    let later = Stretch { from: at("2028-02-01T06:00:00Z"), to: world.now };
    let assets = world.desk.uptime(&scope, &client, None, later, world.now).await.unwrap();
    assert!(
        assets.iter().all(|asset| asset.timeline.sums(later.from, later.to).up_s == 0),
        "it is not up: {stays:?} is open"
    );
    let wanted = AuditWanted { what: Some("facts.forgotten".to_owned()), ..AuditWanted::default() };
    assert_eq!(world.desk.audit(&scope, wanted).await.unwrap().entries.len(), 1);
    // A year on nothing is there that could go, and nothing more is said of it.
    world.pass(365 * DAY);
    is_heard(&world, &mut agent).await;
    clean(&world).await;
    assert_eq!(world.all().await.len(), 1);
}

#[tokio::test]
async fn an_agreement_without_an_end_keeps_its_facts_for_ever() {
    let mut world = World::with(kept_for_400_days("")).await;
    let mut agent = world.agent("acme", "north").await;
    is_heard(&world, &mut agent).await;
    let finding = world.fail(&mut agent).await;
    world.pass(600);
    world.mend(&mut agent, &finding).await;
    world.pass(59 * DAY);
    is_heard(&world, &mut agent).await;
    assert_eq!(clean(&world).await, 0, "the book keeps samples for 60 days");
    world.pass(20 * 365 * DAY);
    is_heard(&world, &mut agent).await;
    assert!(clean(&world).await > 0, "samples went");
    assert_eq!((world.all().await.len(), downs(&world, &agent, at("2026-11-01T00:00:00Z")).await), (1, 1));
}
