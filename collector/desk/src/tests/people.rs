//! What people may say, and what is written down of it.

use jiff::SignedDuration;
use upheld_store::StoreError;

use super::world::{World, ana, at};
use crate::{Actor, CommandError, Response, Scope};

#[tokio::test]
async fn a_resolution_needs_the_measurement_or_a_word_for_it() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    world.pass(600);
    let incident = "acme/INC-1".parse().unwrap();
    let resolve = |note: Option<&str>| {
        let (desk, note, now, incident) = (world.desk.clone(), note.map(ToOwned::to_owned), world.now, &incident);
        async move { desk.resolve(&Scope::Provider, incident, now, note, &ana(), now).await }
    };
    let refused = resolve(None).await.unwrap_err();
    assert!(matches!(&refused, CommandError::State { state, .. } if state == "open"), "{refused}");
    let view = resolve(Some("the plant is closed for good")).await.unwrap();
    assert_eq!((view.state.as_str(), view.resolved_at), ("resolved", Some(world.now)));
    assert_eq!(world.audit().await.last().unwrap(), "incident.resolved");
}

#[tokio::test]
async fn nothing_happens_in_the_future_and_words_are_known_ones() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let incident = "acme/INC-1".parse().unwrap();
    let respond = |seconds: i64, manner: &str, with_whom: Option<&str>| {
        let response = Response {
            effective_at: Some(world.now + SignedDuration::from_secs(seconds)),
            manner: manner.into(),
            with_whom: with_whom.map(ToOwned::to_owned),
            note: None,
        };
        let (desk, now, incident) = (world.desk.clone(), world.now, &incident);
        async move { desk.respond(&Scope::Provider, incident, response, &ana(), now).await }
    };
    assert!(matches!(respond(1, "remote", None).await, Err(CommandError::Time { .. })));
    assert!(matches!(respond(-3_600, "remote", None).await, Err(CommandError::Time { .. })));
    assert!(matches!(respond(0, "by pigeon", None).await, Err(CommandError::NotAllowed { .. })));
    assert!(matches!(respond(0, "phone", None).await, Err(CommandError::State { .. })), "with whom?");
    assert_eq!(world.view("acme/INC-1").await.timeline.len(), 3, "a refused command leaves nothing behind");
    respond(0, "remote", None).await.unwrap();
}

#[tokio::test]
async fn names_are_in_one_table_and_ids_in_the_ledger() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    world.pass(30);
    let incident = "acme/INC-1".parse().unwrap();
    let who = Actor::person("Ana Example");
    world.desk.note(&Scope::Provider, &incident, "called the plant".into(), &who, world.now).await.unwrap();
    world.desk.acknowledge(&Scope::Provider, &incident, &who, world.now).await.unwrap();
    let (ledger, incidents) = world
        .desk
        .store()
        .read::<_, StoreError, _>("test", |tx| {
            let client = "acme".parse().unwrap();
            Ok((tx.ledger(&client, upheld_model::IncidentNumber(1))?, tx.open_incidents(None)?))
        })
        .await
        .unwrap();
    for row in &ledger {
        assert!(!format!("{row:?}").contains("Ana"), "{row:?}");
    }
    assert!(!incidents[0].body.contains("Ana"));
    let view = world.view("acme/INC-1").await;
    assert_eq!(view.owner.as_deref(), Some("Ana Example"));
    let noted = view.timeline.iter().find(|entry| entry.what == "noted").unwrap();
    assert_eq!((noted.text.as_str(), noted.who.as_deref()), ("called the plant", Some("Ana Example")));
}

#[tokio::test]
async fn taking_it_twice_says_nothing_new() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let incident = "acme/INC-1".parse().unwrap();
    let first = world.desk.acknowledge(&Scope::Provider, &incident, &ana(), world.now).await.unwrap();
    let second = world.desk.acknowledge(&Scope::Provider, &incident, &ana(), world.now).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(world.audit().await.iter().filter(|what| *what == "incident.acknowledged").count(), 1);
}

#[tokio::test]
async fn every_due_can_be_asked_why() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let incident = "acme/INC-1".parse().unwrap();
    let explained = world.desk.explain(&Scope::Provider, &incident, at("2026-11-16T16:30:00Z")).await.unwrap();
    assert_eq!(explained.clocks.len(), 2);
    assert!(explained.text.contains("30 m left, due Mon 16 Nov 11:00:00 CST"), "{}", explained.text);
    assert_eq!(explained.text.matches("SSA-1 v1, in force from 2026-01-01 00:00:00 ").count(), 1, "{}", explained.text);
    assert_eq!(explained.text.matches("Why these terms: SSA-1 v1").count(), 1, "{}", explained.text);
}

#[tokio::test]
async fn a_command_given_twice_under_one_key_is_carried_out_once() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let incident = "acme/INC-1".parse().unwrap();
    let given = world.now;
    let respond = |desk: crate::Desk, who: Actor, manner: &str, now| {
        let response = Response { effective_at: None, manner: manner.into(), with_whom: None, note: None };
        let incident = &incident;
        async move { desk.respond(&Scope::Provider, incident, response, &who, now).await }
    };
    let desk = world.desk.clone();
    let once = || desk.once("key-1");
    respond(once(), ana(), "remote", given).await.unwrap();
    let responses = |view: &crate::IncidentView| view.timeline.iter().filter(|entry| entry.what == "responded").count();
    let later = given + SignedDuration::from_secs(60);
    assert_eq!(responses(&respond(once(), ana(), "remote", later).await.unwrap()), 1);
    assert!(matches!(respond(once(), ana(), "on-site", later).await, Err(CommandError::KeyReused)));
    assert_eq!(responses(&respond(once(), Actor::person("ben"), "remote", later).await.unwrap()), 2, "his own key");
    assert_eq!(responses(&respond(world.desk.clone(), ana(), "remote", later).await.unwrap()), 3, "no key");
    for day in [2, 4_000] {
        let set = given + SignedDuration::from_hours(24 * day);
        assert_eq!(responses(&respond(once(), ana(), "remote", set).await.unwrap()), 3, "the clock was set");
    }
    let given_at = |desk: crate::Desk, now| {
        let at = given + SignedDuration::from_secs(30);
        let response = Response { effective_at: Some(at), manner: "remote".into(), with_whom: None, note: None };
        let incident = &incident;
        async move { desk.respond(&Scope::Provider, incident, response, &ana(), now).await }
    };
    let dated = world.desk.once("key-3");
    given_at(dated.clone(), later).await.unwrap();
    let back = given - SignedDuration::from_hours(1);
    assert_eq!(responses(&given_at(dated, back).await.unwrap()), 4, "the clock was set back");
    assert!(given_at(world.desk.once("key-4"), back).await.is_err(), "in the future, and new");
    // A collector that lives through a day and an hour, looking each hour.
    for hour in 0..=25 {
        world.lived(hour * 3_600).await;
    }
    assert_eq!(responses(&respond(once(), ana(), "remote", later).await.unwrap()), 4, "not a day and an hour yet");
    world.lived(26 * 3_600).await;
    assert_eq!(responses(&respond(once(), ana(), "remote", later).await.unwrap()), 5, "a day is over");
    world.pass(24 * 3_600 + 1);

    let refused = Response { effective_at: Some(given), manner: "phone".into(), with_whom: None, note: None };
    let desk = world.desk.once("key-2");
    assert!(desk.respond(&Scope::Provider, &incident, refused.clone(), &ana(), world.now).await.is_err());
    let better = Response { with_whom: Some("plant manager".into()), ..refused };
    desk.respond(&Scope::Provider, &incident, better, &ana(), world.now).await.unwrap();
}
