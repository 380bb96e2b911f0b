//! From a record to a ticket.

use jiff::SignedDuration;
use upheld_model::{AgentEvent, ClientId, FindingEnd, ObservedAt};

use super::world::{Receiver, World, ana, at, delivered};
use crate::{
    ProblemReport, Response, Scope,
    jobs::RunsAsked,
    views::{QueueGroup, TermsView},
};

#[tokio::test]
async fn a_finding_becomes_an_incident_with_terms_clocks_and_one_ticket() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;

    let incident = world.view("acme/INC-1").await;
    assert_eq!(incident.state, "open");
    assert_eq!(incident.title, "srv-1: TCP service on port 8080 does not answer");
    assert_eq!(incident.received_at, world.now);
    assert_eq!(incident.detected_at, world.now - SignedDuration::from_secs(2));
    assert_eq!(incident.started_after, Some(world.now - SignedDuration::from_secs(16)));
    assert_eq!(incident.started_by, world.now - SignedDuration::from_secs(6));
    let TermsView::Pinned { version, priority, .. } = &incident.terms else { panic!("{:?}", incident.terms) };
    assert_eq!(
        (version.as_str(), priority.as_str()),
        ("SSA-1 v1", "P1"),
        "one server of one is a quarter of its kind or more"
    );
    let clocks: Vec<_> = incident.clocks.iter().map(|clock| (clock.stage.as_str(), clock.due)).collect();
    assert_eq!(
        clocks,
        [("respond", Some(at("2026-11-16T17:00:00Z"))), ("resolve", Some(at("2026-11-17T00:00:00Z")))],
        "one and eight hours of coverage, which ends at 18:00 in Chicago"
    );
    assert_eq!(incident.clocks[0].due_local.as_deref(), Some("2026-11-16 11:00:00 CST"));

    let receiver = Receiver::new();
    world.pass(1);
    assert_eq!(world.send(&receiver).await.changed, 1);
    assert_eq!(world.send(&receiver).await.seen, 0, "nothing is left to send");
    assert_eq!(receiver.events(), ["incident.opened"]);
    let data = receiver.bodies.lock().unwrap()[0]["data"].clone();
    assert_eq!(data["incident"], "acme/INC-1");
    assert_eq!(data["reference"], format!("UPHELD-{}", &incident.key[..16]));
    assert_eq!(data["clocks"][0]["due"], "2026-11-16T17:00:00Z");
    let sent = &world.view("acme/INC-1").await.deliveries[0];
    assert_eq!((sent.status.as_str(), sent.attempts, sent.reference.as_deref()), ("delivered", 1, Some("T-1")));
}

#[tokio::test]
async fn the_whole_life_of_an_incident_is_on_its_timeline() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = world.fail(&mut agent).await;
    let incident = "acme/INC-1".parse().unwrap();
    world.pass(60);
    world.desk.acknowledge(&Scope::Provider, &incident, &ana(), world.now).await.unwrap();
    world.pass(60);
    let response = Response {
        effective_at: Some(world.now),
        manner: "phone".into(),
        with_whom: Some("plant manager".into()),
        note: None,
    };
    let view = world.desk.respond(&Scope::Provider, &incident, response, &ana(), world.now).await.unwrap();
    assert_eq!(view.state, "in progress");
    let respond = view.clocks.iter().find(|clock| clock.stage == "respond").unwrap();
    assert_eq!((respond.state.as_str(), respond.satisfied_at), ("met", Some(world.now)));
    world.pass(600);
    world.mend(&mut agent, &finding).await;
    assert_eq!(world.view("acme/INC-1").await.state, "watching");
    world.pass(15 * 60 - 1);
    world.take(&mut agent, Vec::new()).await;
    assert_eq!(world.desk.watch_once(world.now).await.unwrap().changed, 0);
    world.pass(1);
    assert_eq!(world.desk.watch_once(world.now).await.unwrap().changed, 1);

    let view = world.view("acme/INC-1").await;
    assert_eq!(view.state, "resolved");
    assert_eq!(view.restored_at, Some(at("2026-11-16T16:12:00Z")));
    let what: Vec<_> = view.timeline.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(what, ["started", "detected", "opened", "acknowledged", "responded", "restored", "resolved"]);
    assert_eq!(view.timeline[4].text, "phone with plant manager");
    assert_eq!(view.timeline[4].who.as_deref(), Some("ana"));
    let receiver = Receiver::new();
    world.send(&receiver).await;
    let mut events = receiver.events();
    events.sort();
    assert_eq!(
        events,
        ["incident.acknowledged", "incident.opened", "incident.resolved", "incident.responded", "incident.restored"]
    );
    assert!(world.desk.queue(&Scope::Provider, world.now).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn without_an_agreement_the_incident_opens_and_is_ticketed_and_nothing_is_promised() {
    let world = World::new().await;
    let mut agent = world.agent("other", "north").await;
    world.fail(&mut agent).await;
    let view = world.view("other/INC-1").await;
    let TermsView::None { refusal, .. } = &view.terms else { panic!("{:?}", view.terms) };
    assert_eq!(refusal, "no-agreement");
    assert_eq!(view.clocks, []);
    assert_eq!(view.deliveries.len(), 1);
    let queue = world.desk.queue(&Scope::Provider, world.now).await.unwrap();
    assert_eq!(queue.rows[0].group, QueueGroup::NoClock);
}

#[tokio::test]
async fn a_relapse_inside_the_watch_is_the_same_incident_and_the_same_ticket() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = world.fail(&mut agent).await;
    world.pass(300);
    world.mend(&mut agent, &finding).await;
    world.pass(300);
    world.fail(&mut agent).await;
    let incidents = world.all().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].state, "open");
    let receiver = Receiver::new();
    world.send(&receiver).await;
    assert_eq!(receiver.events().iter().filter(|event| *event == "incident.opened").count(), 1);
}

#[tokio::test]
async fn what_was_over_when_it_arrived_counts_and_bothers_nobody() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = agent.finding(world.now);
    world.pass(7_200);
    let ended = agent.claims(at("2026-11-16T16:10:00Z"));
    let end = FindingEnd {
        last_bad: ObservedAt(ended.0 - SignedDuration::from_secs(5)),
        first_ok: ended,
        confirmed_at: ended,
    };
    let opened = agent.record(vec![AgentEvent::FindingOpened { finding: finding.clone() }]);
    let closed = agent.record(vec![AgentEvent::FindingClosed { id: finding.id(), end }]);
    world.take(&mut agent, vec![opened, closed]).await;
    let view = world.view("acme/INC-1").await;
    assert_eq!((view.restored_at, view.clocks.len(), view.deliveries.len()), (Some(ended.0), 0, 0));
    assert!(world.desk.queue(&Scope::Provider, world.now).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn the_same_name_at_two_clients_is_two_incidents_that_do_not_see_each_other() {
    let world = World::new().await;
    for client in ["acme", "other"] {
        let mut agent = world.agent(client, "north").await;
        world.fail(&mut agent).await;
    }
    let acme = Scope::Client("acme".parse().unwrap());
    let rows = world.desk.queue(&acme, world.now).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.incident.to_string()).collect::<Vec<_>>(), ["acme/INC-1"]);
    let theirs = world.desk.incident(&acme, &"other/INC-1".parse().unwrap(), world.now).await.unwrap_err();
    let nobodys = world.desk.incident(&acme, &"other/INC-9".parse().unwrap(), world.now).await.unwrap_err();
    assert_eq!(theirs.to_string().replace("INC-1", "INC-9"), nobodys.to_string());
    let taken = world.desk.acknowledge(&acme, &"other/INC-1".parse().unwrap(), &ana(), world.now).await.unwrap_err();
    assert_eq!(taken.to_string(), theirs.to_string());
    assert_eq!(world.view("other/INC-1").await.state, "open");
    assert_eq!(world.audit().await.iter().filter(|what| *what == "access.denied").count(), 3);
    // So are a look at his page, at his runs, and a report about his site (SECURITY 35); his own are not.
    let (own, other): (ClientId, ClientId) = ("acme".parse().unwrap(), "other".parse().unwrap());
    for client in [&own, &other] {
        let asked = RunsAsked { client: Some(client.clone()), site: None, job: None, since: world.now };
        let report = ProblemReport {
            asset: None,
            text: "no picture".to_owned(),
            by: "Maria".to_owned(),
            called_at: None,
            class: None,
            new: false,
        };
        let is_own = *client == own;
        let site = "north".parse().unwrap();
        assert_eq!(world.desk.overview(&acme, client, world.now).await.is_ok(), is_own);
        assert_eq!(world.desk.runs(&acme, asked, world.now).await.is_ok(), is_own);
        assert_eq!(world.desk.report_problem(&acme, (client, &site), report, &ana(), world.now).await.is_ok(), is_own);
    }
    assert_eq!(world.audit().await.iter().filter(|what| *what == "access.denied").count(), 6);
    assert_eq!(world.desk.find_incident(&acme, "INC-1").await.unwrap().to_string(), "acme/INC-1");
    let ambiguous = world.desk.find_incident(&Scope::Provider, "INC-1").await.unwrap_err().to_string();
    assert!(ambiguous.contains("acme/INC-1, other/INC-1"), "{ambiguous}");
}

#[tokio::test]
async fn an_agents_wrong_clock_moves_no_instant() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    agent.slow_by = SignedDuration::from_hours(24 * 365 * 10);
    world.fail(&mut agent).await;
    let view = world.view("acme/INC-1").await;
    assert_eq!(view.detected_at, world.now - SignedDuration::from_secs(2));
    assert_eq!(view.clocks[0].due, Some(at("2026-11-16T17:00:00Z")));
}

#[tokio::test]
async fn a_clock_that_was_set_after_the_finding_does_not_move_it() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    agent.slow_by = SignedDuration::from_hours(2);
    let finding = agent.finding(world.now);
    let opened = agent.record(vec![AgentEvent::FindingOpened { finding }]);
    world.pass(30);
    agent.slow_by = SignedDuration::ZERO;
    let stepped = AgentEvent::ClockStepped { at: agent.claims(world.now), by_ms: 2 * 3_600_000 };
    let stepped = agent.record(vec![stepped]);
    world.take(&mut agent, vec![opened, stepped]).await;
    assert_eq!(world.view("acme/INC-1").await.detected_at, at(super::world::START) - SignedDuration::from_secs(2));
}

#[tokio::test]
async fn a_clock_that_is_set_while_several_uploads_wait_moves_nothing_of_the_first() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let (begun, by) = (world.now, SignedDuration::from_hours(2));
    let finding = agent.finding(world.now);
    let opened = agent.record(vec![AgentEvent::FindingOpened { finding }]);
    // Behind it the clock is put forward; the record that tells so goes with the next upload.
    agent.slow_by = -by;
    world.pass(3_600);
    let mut request = agent.request(vec![opened], world.now);
    request.clock_of_records = Some(ObservedAt(request.clock.wall.0 - by));
    agent.believe(&delivered(world.deliver(&agent, request).await));
    assert_eq!(world.view("acme/INC-1").await.detected_at, begun - SignedDuration::from_secs(2));
    let stepped = AgentEvent::ClockStepped { at: agent.claims(world.now), by_ms: 2 * 3_600_000 };
    let stepped = agent.record(vec![stepped]);
    world.take(&mut agent, vec![stepped]).await;
    assert_eq!(world.view("acme/INC-1").await.detected_at, begun - SignedDuration::from_secs(2));
}
