//! The present that an agent calls by its name in place of telling it.

use std::collections::BTreeSet;

use upheld_model::{AgentEvent, CheckId, Mono, PresentId, finding::CheckState};
use upheld_wire::v1::{ClockReading, DeliverRequest, Delivered, Now, present};

use super::world::{Agent, World, delivered};
use crate::{DeskError, site};

const CHECK: &str = "srv-1/net.tcp";

async fn unknown(world: &World, agent: &Agent) -> BTreeSet<CheckId> {
    let (peer, now) = (agent.peer.clone(), world.now);
    let read = move |tx: &dyn upheld_store::ReadTx| {
        site::unknown_checks(tx, &peer.client, &peer.site, [&CHECK.parse().unwrap()].into_iter(), now)
    };
    world.desk.store().read::<_, DeskError, _>("test.unknown", read).await.unwrap()
}

/// Its states left out, and called by a name.
fn named(request: DeliverRequest, name: PresentId) -> DeliverRequest {
    let now = Now { checks: Default::default(), unchanged: Some(name), ..request.now };
    DeliverRequest { now, ..request }
}

async fn told(world: &World, agent: &mut Agent) -> (Delivered, PresentId) {
    agent.say(&CHECK.parse().unwrap(), CheckState::Ok, agent.claims(world.now));
    let request = agent.request(Vec::new(), world.now);
    let name = present::name(&request.now.checks).unwrap();
    (delivered(world.deliver(agent, request).await), name)
}

#[tokio::test]
async fn what_is_called_by_the_name_of_what_is_held_stands() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let (answer, name) = told(&world, &mut agent).await;
    assert_eq!(answer.present, Some(name));
    for _ in 0..3 {
        world.pass(60);
        let request = named(agent.request(Vec::new(), world.now), name);
        assert_eq!(delivered(world.deliver(&agent, request).await).present, Some(name));
        assert!(unknown(&world, &agent).await.is_empty());
    }
    let mut world = world.restarted();
    world.pass(60);
    let request = named(agent.request(Vec::new(), world.now), name);
    assert_eq!(delivered(world.deliver(&agent, request).await).present, Some(name));
    assert!(unknown(&world, &agent).await.is_empty(), "what is held is in the database, not in a collector");
}

#[tokio::test]
async fn another_name_than_is_held_makes_every_check_unknown_until_it_is_told() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let (_, name) = told(&world, &mut agent).await;
    world.pass(30);
    let another = PresentId([7; 8]);
    let answer = delivered(world.deliver(&agent, named(agent.request(Vec::new(), world.now), another)).await);
    assert!(![Some(another), Some(name), None].contains(&answer.present), "{:?}", answer.present);
    assert_eq!(unknown(&world, &agent).await.len(), 1, "unknown, and not as it was before");
    let (answer, name) = told(&world, &mut agent).await;
    assert_eq!(answer.present, Some(name));
    assert!(unknown(&world, &agent).await.is_empty());
}

/// Its finding is not over yet, and what follows from it may be: nothing else says so before it is.
#[tokio::test]
async fn a_check_that_is_on_its_way_back_has_its_site_judged() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let due = async |world: &World| {
        let now = world.now;
        world.desk.store().read::<_, DeskError, _>("due", move |tx| Ok(tx.sites_due(now, 10)?.len())).await.unwrap()
    };
    let since = agent.claims(world.now);
    for (state, sites) in [(CheckState::Failed, 1), (CheckState::Failed, 0), (CheckState::Recovering, 1)] {
        world.desk.watch_once(world.now).await.unwrap();
        world.pass(10);
        agent.say(&CHECK.parse().unwrap(), state, since);
        delivered(world.deliver(&agent, agent.request(Vec::new(), world.now)).await);
        assert_eq!(due(&world).await, sites, "{state:?}");
    }
}

/// A request may be under way for so long that others of its agent come before it.
#[tokio::test]
async fn a_request_that_was_overtaken_says_nothing_of_the_present() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let check: CheckId = CHECK.parse().unwrap();
    let sent = |agent: &Agent, records, mono, boot: &str, now| {
        let request = agent.request(records, now);
        let name = present::name(&request.now.checks).unwrap();
        let clock = ClockReading { mono: Mono(mono), boot: boot.parse().unwrap(), ..request.clock };
        (DeliverRequest { clock, ..request }, Some(name))
    };
    let record = agent.record(Vec::new());
    agent.say(&check, CheckState::Ok, agent.claims(world.now));
    let (slow, good) = sent(&agent, vec![record.clone()], 10, "boot-1", world.now);
    world.pass(30);
    agent.say(&check, CheckState::Failed, agent.claims(world.now));
    let (fast, bad) = sent(&agent, vec![record], 20, "boot-1", world.now);
    assert_eq!(delivered(world.deliver(&agent, fast).await).present, bad);
    for _ in 0..2 {
        world.pass(30);
        let answer = delivered(world.deliver(&agent, slow.clone()).await);
        assert_eq!(answer.present, bad, "its records are held, and what it says was true before");
    }
    // A heartbeat that was overtaken says no more than that.
    agent.say(&check, CheckState::Ok, agent.claims(world.now));
    let (heartbeat, _) = sent(&agent, Vec::new(), 15, "boot-1", world.now);
    assert_eq!(delivered(world.deliver(&agent, heartbeat).await).present, bad);
    // A machine that was set back to a snapshot goes on from there, and so does one that was started again.
    let next = agent.record(Vec::new());
    let (set_back, good_again) = sent(&agent, vec![next], 5, "boot-1", world.now);
    assert_eq!(delivered(world.deliver(&agent, set_back).await).present, good_again);
    let (started, _) = sent(&agent, Vec::new(), 1, "boot-2", world.now);
    assert_eq!(delivered(world.deliver(&agent, started).await).present, good_again);
    assert_ne!(good, bad);
}

#[tokio::test]
async fn a_first_request_that_names_a_present_is_one_of_which_nothing_is_known() {
    let world = World::new().await;
    let agent = world.agent("acme", "north").await;
    let request = named(agent.request(Vec::new(), world.now), PresentId([7; 8]));
    assert_ne!(delivered(world.deliver(&agent, request).await).present, Some(PresentId([7; 8])));
    assert_eq!(unknown(&world, &agent).await.len(), 1);
}

#[tokio::test]
async fn a_named_present_ends_what_a_backlog_opens_as_a_told_one_does() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = agent.finding(world.now);
    world.pass(60);
    let good_since = world.now;
    let (_, name) = told(&world, &mut agent).await;
    world.pass(60);
    let record = agent.record(vec![AgentEvent::FindingOpened { finding }]);
    let request = named(agent.request(vec![record], world.now), name);
    delivered(world.deliver(&agent, request).await);
    let incident = &world.all().await[0];
    assert_eq!(incident.restored_at, Some(good_since), "{incident:?}");
}
