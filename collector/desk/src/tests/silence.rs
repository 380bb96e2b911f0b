//! Agents that are not heard any more.

use super::world::{World, at};
use crate::Scope;

#[tokio::test]
async fn an_agent_that_falls_silent_is_one_incident_dated_by_its_deadline() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.take(&mut agent, Vec::new()).await;
    world.pass(299);
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 0);
    world.now = at("2026-11-16T16:07:30Z");
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 1);
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 0);
    let incidents = world.all().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].received_at, at("2026-11-16T16:05:00Z"), "not the moment at which somebody looked");
    assert_eq!(incidents[0].asset.as_ref().map(ToString::to_string).as_deref(), Some("srv-1"));
    assert!(incidents[0].title.contains("silent"), "{}", incidents[0].title);
    assert_eq!(incidents[0].clocks[0].due, Some(at("2026-11-16T17:05:00Z")));

    world.pass(60);
    world.take(&mut agent, Vec::new()).await;
    let view = world.all().await.remove(0);
    assert_eq!((view.state.as_str(), view.restored_at), ("watching", Some(world.now)));
    world.pass(10);
    world.take(&mut agent, Vec::new()).await;
    assert_eq!(world.all().await[0].restored_at, Some(at("2026-11-16T16:08:30Z")), "heard again says nothing new");
}

#[tokio::test]
async fn an_agent_that_was_never_heard_after_its_enrolment_is_silent_too() {
    let mut world = World::new().await;
    let agent = world.agent("acme", "north").await;
    world.pass(301);
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 1);
    world.desk.revoke_agent(&agent.peer.agent, &super::world::ana(), world.now).await.unwrap();
    world.agent("other", "north").await;
    world.pass(10);
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().seen, 0);
}

#[tokio::test]
async fn after_a_start_nobody_is_called_silent_before_he_had_time_to_report() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.take(&mut agent, Vec::new()).await;
    let mut world = world.restarted();
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().seen, 0, "without a run nobody listens");
    world.now = at("2026-11-16T16:10:00Z");
    world.desk.start_run(world.now).await.unwrap();
    for _ in 0..59 {
        world.pass(10);
        assert_eq!(
            world.desk.silence_once(world.now).await.unwrap().seen,
            0,
            "it was down for ten minutes: {}",
            world.now
        );
    }
    world.pass(10);
    world.take(&mut agent, Vec::new()).await;
    world.pass(1);
    world.desk.silence_once(world.now).await.unwrap();
    assert!(world.desk.queue(&Scope::Provider, world.now).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_silent_agents_checks_resolve_nothing() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = world.fail(&mut agent).await;
    world.pass(60);
    world.mend(&mut agent, &finding).await;
    world.pass(20 * 60);
    world.desk.watch_once(world.now).await.unwrap();
    assert_eq!(world.view("acme/INC-1").await.state, "watching", "nothing could be measured at the end of the watch");
    world.take(&mut agent, Vec::new()).await;
    world.pass(20);
    for _ in 0..90 {
        world.take(&mut agent, Vec::new()).await;
        world.desk.watch_once(world.now).await.unwrap();
        world.pass(30);
    }
    assert_eq!(world.view("acme/INC-1").await.state, "resolved");
}
