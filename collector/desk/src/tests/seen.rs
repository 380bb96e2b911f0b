//! Signs of life that are answered before they are written.

use jiff::{SignedDuration, Timestamp};
use upheld_model::finding::CheckState;
use upheld_store::agents::AgentNowRow;

use super::world::{Agent, World, delivered, problem};
use crate::{Actor, DeskError, IncidentView};

async fn held(world: &World, agent: &Agent) -> AgentNowRow {
    let peer = agent.peer.clone();
    let read = move |tx: &dyn upheld_store::ReadTx| Ok::<_, DeskError>(tx.agent_now(&peer.client, &peer.agent)?);
    world.desk.store().read("test.now", read).await.unwrap().unwrap()
}

async fn beats(world: &World, agent: &Agent) {
    delivered(world.deliver(agent, agent.request(Vec::new(), world.now)).await);
}

/// Somebody writes signs of life, when the test says so.
async fn world() -> (World, Agent) {
    let world = World::new().await;
    let agent = world.agent("acme", "north").await;
    world.desk.signs_wait(true);
    (world, agent)
}

#[tokio::test]
async fn a_heartbeat_that_says_nothing_new_is_written_with_the_next_round() {
    let (mut world, agent) = world().await;
    let first = world.now;
    beats(&world, &agent).await;
    assert_eq!(held(&world, &agent).await.last_seen, first, "the first is committed before it is answered");
    world.pass(30);
    beats(&world, &agent).await;
    assert_eq!(held(&world, &agent).await.last_seen, first);
    assert_eq!(world.desk.seen_once(world.now).await.unwrap().changed, 1);
    assert_eq!(held(&world, &agent).await.last_seen, world.now);
    assert_eq!(world.desk.seen_once(world.now).await.unwrap().seen, 0, "written once");
}

#[tokio::test]
async fn what_is_new_is_committed_before_it_is_answered() {
    let (mut world, mut agent) = world().await;
    beats(&world, &agent).await;
    world.pass(20);
    agent.say(&"srv-1/net.tcp".parse().unwrap(), CheckState::Failed, agent.claims(world.now));
    beats(&world, &agent).await;
    assert_eq!(held(&world, &agent).await.last_seen, world.now, "a state that is another");
    world.pass(20);
    let record = agent.record(Vec::new());
    delivered(world.deliver(&agent, agent.request(vec![record], world.now)).await);
    assert_eq!(held(&world, &agent).await.last_seen, world.now, "a record");
    assert_eq!(world.desk.seen_once(world.now).await.unwrap().seen, 0);
}

#[tokio::test]
async fn an_agent_whose_row_is_older_than_a_heartbeat_and_a_half_is_written_before_it_is_answered() {
    let (mut world, agent) = world().await;
    beats(&world, &agent).await;
    let first = world.now;
    for seconds in [30, 14] {
        world.pass(seconds);
        beats(&world, &agent).await;
        assert_eq!(held(&world, &agent).await.last_seen, first, "a sign waits");
    }
    world.pass(2);
    beats(&world, &agent).await;
    assert_eq!(held(&world, &agent).await.last_seen, world.now, "nobody writes signs for so long");
    let now = world.now;
    world.pass(1);
    world.desk.seen_once(world.now).await.unwrap();
    assert_eq!(held(&world, &agent).await.last_seen, now, "and an older one changes nothing");
}

#[tokio::test]
async fn a_silence_that_ends_is_noted_at_once() {
    let (mut world, agent) = world().await;
    beats(&world, &agent).await;
    for _ in 0..80 {
        world.lives(5).await;
        world.desk.silence_once(world.now).await.unwrap();
    }
    let silent = |incidents: &[IncidentView]| incidents.iter().filter(|one| one.restored_at.is_none()).count();
    assert_eq!(silent(&world.all().await), 1);
    beats(&world, &agent).await;
    assert_eq!(silent(&world.all().await), 0);
}

#[tokio::test]
async fn whoever_beats_is_never_silent_by_signs_that_a_crash_took() {
    let (mut world, agent) = world().await;
    beats(&world, &agent).await;
    world.lives(30).await;
    beats(&world, &agent).await;
    // Killed before it was written; the next heartbeat comes as late as an agent's waits make it.
    let mut world = world.restarted();
    world.pass(10);
    world.desk.start_run(world.now).await.unwrap();
    world.desk.signs_wait(true);
    for _ in 0..8 {
        world.lives(5).await;
        assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 0);
    }
    beats(&world, &agent).await;
    assert_eq!(held(&world, &agent).await.last_seen, world.now, "the row is too old for a sign to wait");
    for _ in 0..100 {
        world.lives(30).await;
        beats(&world, &agent).await;
        world.desk.seen_once(world.now).await.unwrap();
        assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 0);
    }
    assert!(world.all().await.is_empty());
}

#[tokio::test]
async fn a_sign_by_a_clock_that_was_set_back_is_of_now() {
    let (mut world, agent) = world().await;
    beats(&world, &agent).await;
    let first = world.now;
    world.pass(40);
    beats(&world, &agent).await;
    let now = first + SignedDuration::from_secs(5);
    world.desk.seen_once(now).await.unwrap();
    assert_eq!(held(&world, &agent).await.last_seen, now);
}

#[tokio::test]
async fn a_revoked_agent_is_refused_from_the_commit_on() {
    let (mut world, agent) = world().await;
    beats(&world, &agent).await;
    world.desk.revoke_agent(&agent.peer.agent, &Actor::person("ana"), world.now).await.unwrap();
    world.pass(30);
    let refused = problem(world.deliver(&agent, agent.request(Vec::new(), world.now)).await);
    assert_eq!((refused.status, refused.code.as_str()), (403, "revoked"));
    assert_eq!(world.desk.seen_once(world.now).await.unwrap().seen, 0);
}

#[tokio::test]
async fn a_first_look_says_what_a_certificate_is_worth() {
    let (world, agent) = world().await;
    let request = || agent.request(Vec::new(), world.now);
    let nobody = "nobody".parse().unwrap();
    let shown = world.desk.deliver_showing(&nobody, Timestamp::UNIX_EPOCH, request(), world.now).await;
    assert_eq!(shown, Err(crate::Shown::Unknown));
    let shown = world.desk.deliver_showing(&agent.peer.agent, world.now, request(), world.now).await;
    delivered(shown.unwrap());
}
