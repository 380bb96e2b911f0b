//! Several collectors on one database, in virtual time: what each keeps in memory, and what one leaves to the next.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, AtomicU32, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use upheld_detection::own::{Look, Reading, Trouble};
use upheld_model::{ClientId, Mono};
use upheld_outbound::{Delivery, Outcome};
use upheld_store::StoreError;

use super::world::{AllSecrets, START, World, at};
use crate::{
    Desk, DeskError,
    deliverer::{Address, Boxed, Channel, How},
    tasks::{Among, Grants, Outside, Surroundings, WhileHeld},
};

/// The way out, which waits in the middle until it is let go on.
#[derive(Default)]
struct Slow {
    begun: Notify,
    go_on: Notify,
    sent: AtomicU32,
}

impl Slow {
    async fn post(&self) {
        self.begun.notify_one();
        self.go_on.notified().await;
        self.sent.fetch_add(1, Ordering::SeqCst);
    }
}

impl Channel for Slow {
    fn send<'a>(&'a self, _: &'a Address, _: &'a Delivery, _: How, _: Timestamp) -> Boxed<'a, Outcome> {
        Box::pin(async {
            self.post().await;
            Outcome::Delivered { reference: "x".to_owned(), known_as: None }
        })
    }

    fn has_mail(&self) -> bool {
        false
    }
}

impl Outside for Slow {
    fn ask<'a>(&'a self, _: &'a str) -> Boxed<'a, Result<bool, String>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn beat<'a>(&'a self, _: &'a str) -> Boxed<'a, Result<(), String>> {
        Box::pin(async {
            self.post().await;
            Ok(())
        })
    }
}

#[tokio::test]
async fn who_wakes_after_his_lease_sends_nothing_of_what_he_had_begun() {
    let world = World::new().await;
    let (slow, second) = (Arc::new(Slow::default()), Arc::new(AtomicI64::new(0)));
    let (wall, mono) = (Arc::clone(&second), Arc::clone(&second));
    let around = Arc::new(Surroundings {
        clock: Arc::new(move || at(START) + SignedDuration::from_secs(wall.load(Ordering::SeqCst))),
        mono: Arc::new(move || Mono(u64::try_from(mono.load(Ordering::SeqCst)).unwrap() * 1_000_000_000)),
        outside: slow.clone(),
        secrets: Arc::new(AllSecrets),
        channel: slow.clone(),
        among: Some(Among { name: "a".into(), address: "a".into() }),
    });
    let give = |fence| {
        let mut grants = Grants::default();
        grants.given([("heartbeat", fence)], around.reading());
        *world.desk.shared.grants.lock().unwrap() = grants;
    };
    let beat = |fence| {
        let ways = WhileHeld::around(&world.desk, "heartbeat", fence, &around);
        async move { ways.outside.beat("https://beat.example/x").await }
    };
    for (away, sends) in [(4, true), (6, false)] {
        give(1);
        let before = slow.sent.load(Ordering::SeqCst);
        let (sent, ()) = tokio::join!(beat(1), async {
            slow.begun.notified().await;
            second.fetch_add(away, Ordering::SeqCst);
            slow.go_on.notify_one();
        });
        assert_eq!(sent.is_ok(), sends, "{away} s: {sent:?}");
        assert_eq!(slow.sent.load(Ordering::SeqCst) - before, u32::from(sends), "{away} s");
        if !sends {
            // What was let go on is not taken by the next.
            slow.go_on.notified().await;
        }
    }
    // And under another fence than the one that it was begun with, not even though the task is here again.
    give(2);
    assert!(beat(1).await.is_err());
}

/// Two collectors on one database: the second begins when it is made.
async fn beside(world: &World) -> Desk {
    let other = Desk::new(world.desk.store().clone());
    other.start_run(world.now).await.unwrap();
    other
}

fn tick(desk: &Desk, now: Timestamp) {
    let since = now.duration_since(at(START)).as_secs() + 1_000;
    desk.observe(Reading { wall: now, mono: Mono(u64::try_from(since).unwrap() * 1_000_000_000) });
}

/// Time passes for a collector whose anchors answer or do not.
async fn looks(desk: &Desk, from: Timestamp, seconds: i64, look: Look) -> Timestamp {
    let mut now = from;
    while now < from + SignedDuration::from_secs(seconds) {
        now += SignedDuration::from_secs(5);
        tick(desk, now);
        desk.line_looked(look, now);
        desk.own_beside(now).await.unwrap();
    }
    now
}

async fn lost_line(desk: &Desk) -> Option<Timestamp> {
    desk.store().read::<_, StoreError, _>("test", |tx| tx.own_outage_open(Trouble::Line.as_str())).await.unwrap()
}

#[tokio::test]
async fn a_trouble_of_the_one_before_ends_and_one_of_the_next_begins_when_a_task_changes_hands() {
    let world = World::new().await;
    let (first, second) = (world.desk.clone(), beside(&world).await);
    let now = looks(&first, world.now, 120, Look::Reached).await;
    looks(&second, world.now, 120, Look::Reached).await;
    let now = looks(&second, now, 120, Look::Nobody).await;
    assert_eq!(lost_line(&second).await, None, "it stands by, and its own line is nobody's matter");
    assert!(second.is_in_trouble(), "but by it nobody is called silent");

    second.own_taken(now).await.unwrap();
    second.own_once(now).await.unwrap();
    assert!(lost_line(&second).await.is_some_and(|since| since < now), "it was lost before it took over");

    first.own_taken(now).await.unwrap();
    first.own_once(now).await.unwrap();
    assert_eq!(lost_line(&first).await, None, "seen from here the line is there");
}

#[tokio::test]
async fn an_upload_that_is_carried_out_late_moves_nobodys_last_sign_of_life_back() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let late = agent.request(Vec::new(), world.now);
    let came = world.now;
    world.pass(600);
    world.take(&mut agent, Vec::new()).await;
    world.desk.deliver(&agent.peer, late, came).await;
    let (client, id): (ClientId, _) = ("acme".parse().unwrap(), agent.peer.agent.clone());
    let seen = world.desk.store().read::<_, DeskError, _>("test", move |tx| Ok(tx.agent_now(&client, &id)?)).await;
    assert_eq!(seen.unwrap().unwrap().last_seen, world.now);
}

#[tokio::test]
async fn while_one_of_two_runs_there_is_no_outage() {
    let mut world = World::new().await;
    world.lives(60).await;
    let other = beside(&world).await;
    for _ in 0..24 {
        world.pass(5);
        other.alive_once(world.now).await.unwrap();
    }
    // The first one was frozen for two minutes, and notices.
    world.desk.alive_once(world.now).await.unwrap();
    let since = at(START);
    let runs = world.desk.store().read::<_, StoreError, _>("test", move |tx| tx.runs_since(since)).await.unwrap();
    assert_eq!(runs.len(), 3);
    assert_eq!(crate::tasks::gaps(&runs), [], "{runs:?}");
}

#[tokio::test]
async fn tasks_are_done_by_one_of_two_and_by_the_other_once_it_has_stopped() {
    let world = World::new().await;
    let clock: Arc<dyn Fn() -> Timestamp + Send + Sync> = Arc::new(Timestamp::now);
    let begun = std::time::Instant::now();
    let around = |name: &str| Surroundings {
        clock: Arc::clone(&clock),
        mono: Arc::new(move || Mono(u64::try_from(begun.elapsed().as_nanos()).unwrap() + 1)),
        outside: Arc::new(Slow::default()),
        secrets: Arc::new(AllSecrets),
        channel: Arc::new(Slow::default()),
        among: Some(Among { name: name.into(), address: name.into() }),
    };
    let second = Desk::new(world.desk.store().clone());
    let every = std::time::Duration::from_millis(20);
    let does = async |name: &str, count: usize| {
        let seen = Mutex::new(None);
        for _ in 0..1_000 {
            let servers = world.desk.servers().await.unwrap();
            let found = servers.collectors.iter().find(|one| one.name == name).map(|one| one.tasks.len());
            if found == Some(count) {
                return;
            }
            *seen.lock().unwrap() = Some(servers);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{name} does not come to {count} tasks: {seen:?}");
    };
    let first_tasks = world.desk.spawn_tasks(around("a"), every);
    does("a", 8).await;
    let second_tasks = second.spawn_tasks(around("b"), every);
    does("b", 0).await;
    first_tasks.stop().await;
    does("b", 8).await;
    assert!(second.health().await.unwrap().tasks.values().all(|task| task.failures.is_empty()));
    second_tasks.stop().await;
    assert_eq!(world.desk.servers().await.unwrap().free.len(), 8);
}
