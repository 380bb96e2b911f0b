//! A restored collector waits for a person.

use upheld_model::SiteId;

use super::world::{Receiver, World, ana, at, problem};
use crate::Scope;

#[tokio::test]
async fn nothing_is_taken_or_breached_until_a_person_accepts_and_then_it_is_dated_by_its_due() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    world.send(&receiver).await;
    let (client, site): (_, SiteId) = ("acme".parse().unwrap(), "north".parse().unwrap());
    let ttl = jiff::SignedDuration::from_hours(24);
    world.desk.new_token(&client, &site, ttl, &ana(), world.now).await.unwrap();
    let voided = world.desk.begin_recovery(world.now, world.now).await.unwrap();
    assert_eq!((voided.tokens, voided.doubted), (1, 0));

    world.now = at("2026-11-16T18:00:00Z");
    let refused = problem(world.deliver(&agent, agent.request(vec![], world.now)).await);
    assert_eq!(refused.status, 503);
    assert!(refused.detail.contains("facts may be missing from"), "{}", refused.detail);
    world.desk.clocks_once(world.now).await.unwrap();
    world.send(&receiver).await;
    assert_eq!(receiver.events(), ["incident.opened"], "no warning, no breach");
    assert!(world.desk.queue(&Scope::Provider, world.now).await.unwrap().recovery.is_some());
    let clients = world.desk.queue(&Scope::Client(client), world.now).await.unwrap();
    assert!(clients.recovery.is_none(), "a client is not told of the provider's house");

    assert!(world.desk.accept_recovery(&ana(), world.now).await.unwrap().is_some());
    assert!(world.desk.accept_recovery(&ana(), world.now).await.unwrap().is_none(), "once");
    world.desk.clocks_once(world.now).await.unwrap();
    world.send(&receiver).await;
    let mut events = receiver.events();
    events.sort();
    assert_eq!(events, ["clock.breached", "clock.warning", "incident.opened"]);
    assert_eq!(world.view("acme/INC-1").await.clocks[0].breached_at, Some(at("2026-11-16T17:00:00Z")));
    let audit = world.audit().await;
    assert!(["recovery.begun", "recovery.accepted"].iter().all(|what| audit.iter().any(|entry| entry == what)));
}

#[tokio::test]
async fn a_message_that_waited_in_the_backup_is_looked_up_before_it_is_sent() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    let voided = world.desk.begin_recovery(world.now, world.now).await.unwrap();
    assert_eq!(voided.doubted, 1);
    world.desk.accept_recovery(&ana(), world.now).await.unwrap();
    assert_eq!(world.send(&receiver).await.changed, 0, "a search index needs its time first");
    world.pass(600);
    world.send(&receiver).await;
    assert_eq!(receiver.events(), ["incident.opened"]);
}

#[tokio::test]
async fn what_fell_due_in_recovery_is_announced_although_it_was_accepted_by_a_clock_that_was_ahead() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    world.desk.begin_recovery(world.now, world.now).await.unwrap();
    let ahead = world.now + jiff::SignedDuration::from_hours(10 * 365 * 24);
    world.desk.accept_recovery(&ana(), ahead).await.unwrap();
    world.now = at("2026-11-16T18:00:00Z");
    world.desk.clocks_once(world.now).await.unwrap();
    world.send(&receiver).await;
    let events = receiver.events();
    assert!(events.iter().any(|event| event == "clock.breached"), "{events:?}");
}

#[tokio::test]
async fn a_breach_of_the_recovery_is_told_also_of_a_clock_that_ended_in_it() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    world.desk.begin_recovery(world.now, world.now).await.unwrap();
    world.now = at("2026-11-16T18:00:00Z");
    let response = crate::Response { effective_at: None, manner: "remote".into(), with_whom: None, note: None };
    let incident = "acme/INC-1".parse().unwrap();
    world.desk.respond(&Scope::Provider, &incident, response, &ana(), world.now).await.unwrap();
    world.desk.accept_recovery(&ana(), world.now).await.unwrap();
    world.desk.clocks_once(world.now).await.unwrap();
    world.send(&receiver).await;
    let events = receiver.events();
    assert!(events.iter().any(|event| event == "clock.breached"), "{events:?}");
}
