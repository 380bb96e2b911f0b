//! One incident, one ticket.

use jiff::SignedDuration;
use upheld_model::AgentEvent;
use upheld_store::StoreError;

use super::world::{AllSecrets, Mood, Receiver, World, book_with_look_up};
use crate::{Secret, Secrets};

#[tokio::test]
async fn a_crash_after_the_ticket_and_before_the_mark_makes_no_second_ticket() {
    let world = World::with(book_with_look_up()).await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    crash_after_send(&world, &receiver).await;
    assert_eq!(receiver.events(), ["incident.opened"]);
    let mut world = world.restarted();
    for _ in 0..200 {
        world.pass(5);
        world.send(&receiver).await;
    }
    assert_eq!(receiver.events(), ["incident.opened"], "it was looked up, and it was there");
    assert_eq!(world.view("acme/INC-1").await.deliveries[0].status, "delivered");
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_after_two_minutes_and_not_sent_again() {
    let mut world = World::with(book_with_look_up()).await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    receiver.is(Mood::TakesButAnswerIsLost);
    world.send(&receiver).await;
    receiver.is(Mood::Takes);
    world.pass(119);
    assert_eq!(world.send(&receiver).await.changed, 0, "a search index needs its time");
    world.pass(600);
    world.send(&receiver).await;
    let sent = world.view("acme/INC-1").await.deliveries.remove(0);
    assert_eq!((sent.status.as_str(), sent.attempts), ("delivered", 2));
    assert_eq!(receiver.events().len(), 1);
}

#[tokio::test]
async fn what_a_receiver_does_not_say_is_asked_again_and_nothing_is_sent_meanwhile() {
    let mut world = World::with(book_with_look_up()).await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    crash_after_send(&world, &receiver).await;
    receiver.posts.lock().unwrap().clear();
    receiver.is(Mood::IsBusy);
    for _ in 0..5 {
        world.pass(600);
        world.send(&receiver).await;
    }
    let waiting = world.view("acme/INC-1").await.deliveries.remove(0);
    assert_eq!((waiting.status.as_str(), waiting.last_error.as_deref()), ("pending", Some("503")));
    receiver.is(Mood::Takes);
    world.pass(3_600);
    world.send(&receiver).await;
    assert_eq!(world.view("acme/INC-1").await.deliveries[0].status, "delivered");
    assert_eq!(receiver.events(), ["incident.opened"], "it says that it has none, and is sent it");
}

#[tokio::test]
async fn a_receiver_that_cannot_be_asked_is_sent_the_same_key_again() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    crash_after_send(&world, &receiver).await;
    world.pass(300);
    world.send(&receiver).await;
    world.pass(300);
    world.send(&receiver).await;
    let posts = receiver.posts.lock().unwrap().clone();
    assert_eq!((posts.len(), &posts[0]), (2, &posts[1]));
}

#[tokio::test]
async fn a_busy_receiver_is_tried_again_and_a_refusal_is_shown_to_a_person() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    receiver.is(Mood::IsBusy);
    world.send(&receiver).await;
    let waiting = world.view("acme/INC-1").await.deliveries.remove(0);
    assert_eq!((waiting.status.as_str(), waiting.last_error.as_deref()), ("pending", Some("503")));
    world.pass(24 * 3_600);
    receiver.is(Mood::Refuses);
    world.send(&receiver).await;
    let failed = world.view("acme/INC-1").await.deliveries.remove(0);
    assert_eq!((failed.status.as_str(), failed.last_error.as_deref()), ("failed", Some("400")));
    assert_eq!(receiver.events().len(), 0);
}

#[tokio::test]
async fn several_workers_send_each_message_once() {
    let world = World::new().await;
    for client in ["acme", "other"] {
        let mut agent = world.agent(client, "north").await;
        world.fail(&mut agent).await;
    }
    let receiver = std::sync::Arc::new(Receiver::new());
    let workers: Vec<_> = (0..8)
        .map(|n| {
            let (desk, receiver, now) = (world.desk.clone(), std::sync::Arc::clone(&receiver), world.now);
            tokio::spawn(async move {
                desk.deliver_outbox_once(&format!("w-{n}"), receiver.as_ref(), &AllSecrets, 100, now).await
            })
        })
        .collect();
    for worker in workers {
        assert_eq!(worker.await.unwrap().unwrap().failures, Vec::<String>::new());
    }
    let mut keys: Vec<_> = receiver.posts.lock().unwrap().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys.len(), 2);
    keys.dedup();
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn a_secret_that_is_not_set_is_named_and_the_message_waits() {
    struct None;
    impl Secrets for None {
        fn secret(&self, _: &str) -> Option<Secret> {
            Option::None
        }
    }
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    world.desk.deliver_outbox_once("w-1", &receiver, &None, 10, world.now).await.unwrap();
    let waiting = world.view("acme/INC-1").await.deliveries.remove(0);
    assert_eq!(waiting.status, "pending");
    assert!(waiting.last_error.unwrap().contains("desk-webhook"));
}

#[tokio::test]
async fn the_tickets_key_is_the_same_on_every_collector_and_whenever_it_arrives() {
    let mut keys = Vec::new();
    for late in [0, 90] {
        let mut world = World::new().await;
        let mut agent = world.agent("acme", "north").await;
        let finding = agent.finding(world.now);
        let record = agent.record(vec![AgentEvent::FindingOpened { finding }]);
        world.pass(late);
        world.take(&mut agent, vec![record]).await;
        keys.push(world.view("acme/INC-1").await.deliveries[0].key.clone());
    }
    assert_eq!(keys[0], keys[1]);
}

/// What a worker does until it is killed: the lease and the intent are committed, the ticket is made.
async fn crash_after_send(world: &World, receiver: &Receiver) {
    let now = world.now;
    let row = world
        .desk
        .store()
        .write::<_, StoreError, _>("test.take", move |tx| {
            let row = tx.messages_due(now, 1)?.remove(0);
            tx.lease_message(&row.client, &row.key, "w-0", now, now + SignedDuration::from_secs(60))?;
            let intent = upheld_store::outbox::AttemptRow {
                attempt: 1,
                worker: "w-0".into(),
                started_at: now,
                ended_at: None,
                outcome: None,
            };
            tx.begin_attempt(&row.client, &row.key, &intent)?;
            Ok(row)
        })
        .await
        .unwrap();
    receiver.posts.lock().unwrap().push((row.key, row.event));
}

/// Both clocks at a moment: the wall clock, and the monotonic one in seconds.
fn reading(wall: jiff::Timestamp, mono: u64) -> upheld_detection::own::Reading {
    upheld_detection::own::Reading { wall, mono: upheld_model::Mono(mono * 1_000_000_000) }
}

#[tokio::test]
async fn by_a_clock_that_jumped_nobody_knows_whether_an_index_has_had_its_time() {
    let mut world = World::with(book_with_look_up()).await;
    let mut agent = world.agent("acme", "north").await;
    world.desk.observe(reading(world.now, 100));
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    receiver.is(Mood::TakesButAnswerIsLost);
    world.send(&receiver).await;
    receiver.is(Mood::Takes);
    // What the index does not show yet is as if it were not there.
    receiver.posts.lock().unwrap().clear();
    let right = world.now;
    world.now = right + SignedDuration::from_hours(1);
    world.desk.observe(reading(world.now, 105));
    world.send(&receiver).await;
    world.desk.own_once(world.now).await.unwrap();
    world.pass(600);
    world.send(&receiver).await;
    let events = receiver.events();
    assert!(events.iter().filter(|event| *event == "incident.opened").count() <= 1, "{events:?}");
    assert!(world.view("acme/INC-1").await.deliveries[0].status == "pending", "it waits for a clock that is right");

    // Set right, two minutes are two minutes again.
    world.now = right + SignedDuration::from_secs(15);
    world.desk.observe(reading(world.now, 115));
    world.desk.own_once(world.now).await.unwrap();
    world.pass(119);
    world.send(&receiver).await;
    assert_eq!(world.view("acme/INC-1").await.deliveries[0].status, "pending");
    world.pass(10);
    world.send(&receiver).await;
    assert_eq!(world.view("acme/INC-1").await.deliveries[0].status, "delivered");
}

#[tokio::test]
async fn what_a_clock_ten_years_ahead_put_off_is_sent_when_it_is_set_right() {
    let mut world = World::with(book_with_look_up()).await;
    let mut agent = world.agent("acme", "north").await;
    world.desk.observe(reading(world.now, 100));
    world.fail(&mut agent).await;
    let receiver = Receiver::new();
    receiver.is(Mood::IsBusy);
    let right = world.now;
    world.now = right + SignedDuration::from_hours(10 * 365 * 24);
    world.desk.observe(reading(world.now, 105));
    world.desk.own_once(world.now).await.unwrap();
    world.send(&receiver).await;
    receiver.is(Mood::Takes);
    world.now = right + SignedDuration::from_secs(15);
    world.desk.observe(reading(world.now, 115));
    world.desk.own_once(world.now).await.unwrap();
    for _ in 0..60 {
        world.pass(10);
        world.send(&receiver).await;
    }
    assert_eq!(world.view("acme/INC-1").await.deliveries[0].status, "delivered");
}
