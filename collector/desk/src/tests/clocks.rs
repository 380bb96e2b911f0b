//! Warnings, breaches, withdrawals, and the provider's own outages.

use super::world::{Receiver, World, ana, at};
use crate::{Pause, Response, Scope, views::QueueGroup};

#[tokio::test]
async fn a_breach_is_dated_by_its_due_however_late_it_is_noticed() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    world.pass(1_799);
    assert_eq!(world.desk.clocks_once(world.now).await.unwrap().seen, 0, "nothing is due a second before the warning");
    world.now = at("2026-11-16T19:23:45Z");
    world.desk.clocks_once(world.now).await.unwrap();
    let receiver = Receiver::new();
    world.send(&receiver).await;
    let told = |event: &str| {
        let bodies = receiver.bodies.lock().unwrap();
        let body = bodies.iter().find(|body| body["type"] == event).unwrap().clone();
        (body["timestamp"].clone(), body["data"]["clock"]["noticed_at"].clone())
    };
    let noticed = serde_json::json!("2026-11-16T19:23:45Z");
    assert_eq!(told("clock.warning"), ("2026-11-16T16:30:00Z".into(), noticed.clone()));
    assert_eq!(told("clock.breached"), ("2026-11-16T17:00:00Z".into(), noticed));
    let respond = world.view("acme/INC-1").await.clocks[0].clone();
    assert_eq!((respond.state.as_str(), respond.breached_at), ("running", Some(at("2026-11-16T17:00:00Z"))));
    let queue = world.desk.queue(&Scope::Provider, world.now).await.unwrap();
    assert_eq!(queue.rows[0].group, QueueGroup::Overdue);

    let before = receiver.events().len();
    world.pass(1);
    world.desk.clocks_once(world.now).await.unwrap();
    world.send(&receiver).await;
    assert_eq!(receiver.events().len(), before, "what was told is not told again");
}

#[tokio::test]
async fn a_late_response_takes_the_breach_back_by_name_and_rewrites_nothing() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    world.now = at("2026-11-16T18:00:00Z");
    world.desk.clocks_once(world.now).await.unwrap();
    let response = Response {
        effective_at: Some(at("2026-11-16T16:20:00Z")),
        manner: "remote".into(),
        with_whom: None,
        note: Some("logged afterwards".into()),
    };
    let incident = "acme/INC-1".parse().unwrap();
    let view = world.desk.respond(&Scope::Provider, &incident, response, &ana(), world.now).await.unwrap();
    let respond = view.clocks.iter().find(|clock| clock.stage == "respond").unwrap();
    assert_eq!((respond.state.as_str(), respond.breached_at), ("met", None));
    let receiver = Receiver::new();
    world.send(&receiver).await;
    let mut events = receiver.events();
    events.sort();
    assert_eq!(
        events,
        [
            "clock.breached",
            "clock.warning",
            "clock.withdrawn",
            "clock.withdrawn",
            "incident.opened",
            "incident.responded"
        ]
    );
    let bodies = receiver.bodies.lock().unwrap();
    let withdrawn = bodies.iter().find(|body| body["type"] == "clock.withdrawn").unwrap();
    let because = withdrawn["data"]["clock"]["withdrawn_because"].as_str().unwrap();
    assert!(because.contains("responded at 2026-11-16T16:20:00Z"), "{because}");
}

#[tokio::test]
async fn an_acknowledgement_is_not_a_response() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    world.pass(60);
    let incident = "acme/INC-1".parse().unwrap();
    let view = world.desk.acknowledge(&Scope::Provider, &incident, &ana(), world.now).await.unwrap();
    assert_eq!((view.state.as_str(), view.owner.as_deref()), ("taken", Some("ana")));
    assert_eq!(view.clocks[0].state, "running");
    let on_site = Response { effective_at: Some(world.now), manner: "on-site".into(), with_whom: None, note: None };
    let view = world.desk.respond(&Scope::Provider, &incident, on_site, &ana(), world.now).await.unwrap();
    let respond = view.clocks.iter().find(|clock| clock.stage == "respond").unwrap();
    assert_eq!(respond.state, "running", "the target asks for remote or phone");
}

#[tokio::test]
async fn a_pause_for_an_allowed_reason_moves_the_due_and_another_reason_is_refused() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let incident = "acme/INC-1".parse().unwrap();
    world.pass(3_600);
    let pause = |reason: &str| Pause { effective_at: world.now, reason: reason.into(), note: "gate is shut".into() };
    let refused = world.desk.pause(&Scope::Provider, &incident, pause("lunch"), &ana(), world.now).await.unwrap_err();
    assert!(refused.to_string().contains("site-access"), "{refused}");
    let view = world.desk.pause(&Scope::Provider, &incident, pause("site-access"), &ana(), world.now).await.unwrap();
    let resolve = |view: &crate::IncidentView| view.clocks.iter().find(|clock| clock.stage == "resolve").cloned();
    assert_eq!(resolve(&view).unwrap().state, "paused");
    world.pass(1_800);
    let view = world.desk.resume(&Scope::Provider, &incident, world.now, &ana(), world.now).await.unwrap();
    let resolve = resolve(&view).unwrap();
    assert_eq!(resolve.state, "running");
    assert_eq!(resolve.due, Some(at("2026-11-17T14:30:00Z")), "half an hour of it lies in the next morning");
    let receiver = Receiver::new();
    world.send(&receiver).await;
    assert!(receiver.events().contains(&"clock.paused".to_owned()));
    assert!(receiver.events().contains(&"clock.resumed".to_owned()));
}

#[tokio::test]
async fn the_collectors_own_outage_buys_the_provider_no_time() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.desk.alive_once(world.now).await.unwrap();
    world.pass(5);
    world.desk.alive_once(world.now).await.unwrap();
    // It fails while the collector is down, and is delivered half an hour later.
    let finding = agent.finding(at("2026-11-16T16:10:00Z"));
    let mut world = world.restarted();
    world.now = at("2026-11-16T16:40:05Z");
    world.desk.start_run(world.now).await.unwrap();
    world.pass(10);
    let record = agent.record(vec![upheld_model::AgentEvent::FindingOpened { finding }]);
    world.take(&mut agent, vec![record]).await;
    let view = world.view("acme/INC-1").await;
    assert_eq!(view.received_at, at("2026-11-16T16:40:15Z"));
    assert_eq!(view.detected_at, at("2026-11-16T16:09:58Z"));
    assert_eq!(
        view.clocks[0].started_at,
        Some(at("2026-11-16T16:10:08Z")),
        "received, less the time from detection to the restart"
    );
}

#[tokio::test]
async fn a_suspended_collector_counts_its_absence_as_its_own() {
    let mut world = World::new().await;
    world.pass(5);
    assert_eq!(world.desk.alive_once(world.now).await.unwrap().changed, 0);
    world.pass(9 * 3_600);
    assert_eq!(world.desk.alive_once(world.now).await.unwrap().changed, 1);
    let runs = world
        .desk
        .store()
        .read::<_, upheld_store::StoreError, _>("test", |tx| tx.runs_since(at(super::world::START)))
        .await
        .unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1].last_alive, at("2026-11-16T16:00:05Z"));
    assert_eq!(runs[0].started_at, world.now);
}

#[tokio::test]
async fn what_fell_due_is_announced_by_the_task_that_checks_the_clock_and_by_nobody_else() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    // An hour and more in a moment: nobody has looked yet whether the clock may be believed.
    world.now = at("2026-11-16T17:30:00Z");
    let incident = "acme/INC-1".parse().unwrap();
    world.desk.note(&Scope::Provider, &incident, "still down".into(), &ana(), world.now).await.unwrap();
    world.send(&receiver).await;
    assert_eq!(receiver.events(), ["incident.opened"]);
    world.desk.clocks_once(world.now).await.unwrap();
    world.send(&receiver).await;
    let mut events = receiver.events();
    events.sort();
    assert_eq!(events, ["clock.breached", "clock.warning", "incident.opened"]);
}
