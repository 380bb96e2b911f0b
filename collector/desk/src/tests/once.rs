//! One incident is one ticket, also when the commits that opened it are lost and its records come again in another order.

use jiff::SignedDuration;
use upheld_model::AgentEvent;
use upheld_store::postgres::{self, WentBack};
use upheld_wire::v1::Record;

use super::world::{Agent, Receiver, World, ana, book, book_with_look_up};
use crate::{DeskError, Response, Scope, recovery};

/// Two agents of a site see one outage, two seconds apart, and the ticket is made of what the first one said. Then all of
/// that is gone, and they have not sent it again yet.
struct Lost {
    world: World,
    receiver: Receiver,
    first: (Agent, Record),
    second: (Agent, Record),
}

impl Lost {
    async fn with(book: std::collections::BTreeMap<String, String>) -> Self {
        let mut world = World::with(book).await;
        let (mut first, mut second) = (world.agent("acme", "north").await, world.second_agent("acme", "north").await);
        let copy = world.copied();
        let records = [&mut first, &mut second].map(|agent| {
            world.now += SignedDuration::from_secs(2);
            let finding = agent.finding(world.now);
            agent.record(vec![AgentEvent::FindingOpened { finding }])
        });
        let receiver = Receiver::new();
        for (agent, record) in [&mut first, &mut second].into_iter().zip(&records) {
            world.take(agent, vec![record.clone()]).await;
            world.send(&receiver).await;
        }
        assert_eq!(receiver.events(), ["incident.opened"]);
        world.pass(10);
        let world = world.put_back(&copy);
        let [one, other] = records;
        first.is_forgotten();
        second.is_forgotten();
        Self { world, receiver, first: (first, one), second: (second, other) }
    }

    /// Nobody has to accept what is gone, since agents send it again.
    async fn noticed(self) -> Self {
        let now = self.world.now;
        let back =
            WentBack { missing_from: now - SignedDuration::from_secs(30), now, lost: postgres::Lost::ComesAgain };
        let noted =
            self.world.desk.store().write::<_, DeskError, _>("test.back", move |tx| {
                recovery::went_back(tx, &back).map_err(DeskError::from)
            });
        noted.await.unwrap();
        self
    }

    /// Both send again, the second one first; then all that may fall due does.
    async fn sent_again(mut self) -> Self {
        self.second_sends().await;
        self.first_sends().await;
        self.waits(400).await;
        self
    }

    async fn second_sends(&mut self) {
        self.world.pass(1);
        let (agent, record) = &mut self.second;
        self.world.take(agent, vec![record.clone()]).await;
    }

    async fn first_sends(&mut self) {
        self.world.pass(1);
        let (agent, record) = &mut self.first;
        self.world.take(agent, vec![record.clone()]).await;
    }

    async fn waits(&mut self, seconds: i64) {
        for _ in 0..seconds / 10 {
            self.world.pass(10);
            self.world.send(&self.receiver).await;
        }
    }

    fn tickets(&self) -> usize {
        self.receiver.events().iter().filter(|event| *event == "incident.opened").count()
    }
}

#[tokio::test]
async fn whichever_record_comes_first_after_a_loss_there_is_one_ticket() {
    let lost = Lost::with(book_with_look_up()).await.noticed().await.sent_again().await;
    assert_eq!(lost.receiver.events(), ["incident.opened"], "{:?}", lost.receiver.posts.lock().unwrap());
    let view = lost.world.view("acme/INC-1").await;
    assert_eq!(
        (view.deliveries[0].status.as_str(), view.deliveries[0].reference.as_deref()),
        ("delivered", Some("T-1"))
    );
}

#[tokio::test]
async fn the_same_holds_after_a_restore_that_a_person_has_accepted() {
    let lost = Lost::with(book_with_look_up()).await;
    let now = lost.world.now;
    lost.world.desk.begin_recovery(now - SignedDuration::from_secs(30), now).await.unwrap();
    lost.world.desk.accept_recovery(&ana(), now).await.unwrap();
    let lost = lost.sent_again().await;
    assert_eq!(lost.receiver.events(), ["incident.opened"], "{:?}", lost.receiver.posts.lock().unwrap());
}

#[tokio::test]
async fn a_fault_that_a_wrong_clock_dates_after_the_loss_is_looked_for_at_once() {
    let mut lost = Lost::with(book_with_look_up()).await.noticed().await;
    // The collector's clock is an hour ahead since, and nobody can tell.
    lost.world.pass(3_600);
    (lost.first.0.slow_by, lost.second.0.slow_by) = (SignedDuration::from_hours(1), SignedDuration::from_hours(1));
    lost.first_sends().await;
    lost.waits(10).await;
    lost.second_sends().await;
    lost.waits(300).await;
    assert_eq!(lost.receiver.events(), ["incident.opened"], "{:?}", lost.receiver.posts.lock().unwrap());
    let delivery = &lost.world.view("acme/INC-1").await.deliveries[0];
    assert_eq!((delivery.status.as_str(), delivery.reference.as_deref()), ("delivered", Some("T-1")));
}

#[tokio::test]
async fn what_is_told_meanwhile_waits_for_the_ticket_and_speaks_of_it_by_its_old_name() {
    let mut lost = Lost::with(book_with_look_up()).await.noticed().await;
    lost.second_sends().await;
    lost.first_sends().await;
    let incident = "acme/INC-1".parse().unwrap();
    lost.world.desk.acknowledge(&Scope::Provider, &incident, &ana(), lost.world.now).await.unwrap();
    lost.waits(110).await;
    assert_eq!(lost.receiver.events(), ["incident.opened"], "a search index needs its time");
    lost.waits(60).await;
    let response =
        Response { effective_at: None, manner: "phone".into(), with_whom: Some("plant manager".into()), note: None };
    lost.world.desk.respond(&Scope::Provider, &incident, response, &ana(), lost.world.now).await.unwrap();
    lost.waits(10).await;
    assert_eq!(lost.receiver.events(), ["incident.opened", "incident.acknowledged", "incident.responded"]);
    let bodies = lost.receiver.bodies.lock().unwrap().clone();
    let name = |at: usize| (&bodies[at]["data"]["reference"], &bodies[at]["data"]["incident_key"]);
    assert_eq!((name(1), name(2)), (name(0), name(0)));
    let view = lost.world.view("acme/INC-1").await;
    assert_ne!(Some(view.key.as_str()), bodies[0]["data"]["incident_key"].as_str());
    assert!(view.timeline.iter().any(|entry| entry.text.contains("its ticket was opened before commits")), "{view:#?}");
}

#[tokio::test]
async fn an_agent_that_sends_late_is_waited_for_and_one_that_is_gone_is_not_for_ever() {
    let mut lost = Lost::with(book_with_look_up()).await.noticed().await;
    lost.second_sends().await;
    lost.waits(300).await;
    assert_eq!(lost.tickets(), 1, "the other one may say by which name its receiver knows it");
    lost.first_sends().await;
    lost.waits(60).await;
    assert_eq!((lost.tickets(), lost.world.view("acme/INC-1").await.deliveries[0].status.as_str()), (1, "delivered"));

    let mut lost = Lost::with(book_with_look_up()).await.noticed().await;
    lost.second_sends().await;
    lost.waits(580).await;
    assert_eq!(lost.tickets(), 1);
    lost.waits(60).await;
    assert_eq!(lost.tickets(), 2, "nobody is left who could say it");
}

#[tokio::test]
async fn what_begins_after_the_loss_is_told_at_once() {
    let mut lost = Lost::with(book_with_look_up()).await.noticed().await;
    lost.world.pass(120);
    let mut agent = lost.world.agent("other", "north").await;
    lost.world.fail(&mut agent).await;
    assert_eq!(lost.world.send(&lost.receiver).await.changed, 1);
    assert_eq!(lost.tickets(), 2);
}

#[tokio::test]
async fn who_cannot_be_asked_is_told_after_the_same_wait_under_the_id_that_the_order_gives() {
    let mut lost = Lost::with(book()).await.noticed().await;
    lost.first_sends().await;
    lost.second_sends().await;
    lost.waits(110).await;
    assert_eq!(lost.tickets(), 1);
    lost.waits(60).await;
    let posts = lost.receiver.posts.lock().unwrap().clone();
    assert_eq!((posts.len(), &posts[0]), (2, &posts[1]), "in the same order it is the same id");
}
