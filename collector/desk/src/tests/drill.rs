//! A drill goes the way of a real failure, is marked on each step of it, and counts nowhere.

use jiff::SignedDuration;
use upheld_model::{AgentEvent, DrillId, ObservedAt};
use upheld_wire::v1::drill::{DrillDelivered, DrillReport, DrillTerms};

use super::world::{Agent, Mood, Receiver, World, ana, at, book};
use crate::{Command, Given, Scope, maintenance::NewWindow, views::TermsView};

const ONE: DrillId = DrillId([1; 16]);
const TWO: DrillId = DrillId([2; 16]);

#[tokio::test]
async fn a_drill_has_terms_a_clock_and_a_marked_ticket_and_closes_itself_with_its_ticket() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let before = report(&world, &agent, ONE).await;
    assert_eq!((before.opened, before.notes), (None, Vec::new()), "asked before anything is recorded");
    play(&world, &mut agent, ONE).await;

    let opened = report(&world, &agent, ONE).await.opened.unwrap();
    assert_eq!(opened.incident, "acme/INC-1");
    assert_eq!(opened.title, "DRILL: north: nothing is wrong; srv-1 plays an outage");
    assert!(matches!(&opened.terms, DrillTerms::Found { plan, .. } if plan == "Gold"), "{:?}", opened.terms);
    let respond = &opened.clocks[0];
    assert_eq!((respond.stage.as_str(), respond.is_counting), ("respond", true));
    assert_eq!(respond.due, Some(world.now + SignedDuration::from_hours(1)));
    assert!(matches!(opened.deliveries[0].state, DrillDelivered::Pending { why: None }));

    let receiver = Receiver::new();
    world.pass(1);
    world.send(&receiver).await;
    let opened = report(&world, &agent, ONE).await.opened.unwrap();
    assert_eq!(opened.deliveries[0].state, DrillDelivered::Taken { at: world.now, attempts: 1 });
    let data = receiver.bodies.lock().unwrap()[0]["data"].clone();
    assert_eq!((&data["drill"], &data["page"]), (&true.into(), &false.into()), "{data}");
    let queue = world.desk.queue(&Scope::Provider, world.now).await.unwrap();
    assert!(queue.rows[0].is_drill && queue.rows[0].title.starts_with("DRILL: "));
    assert!(world.view("acme/INC-1").await.is_drill);

    world.pass(60);
    world.desk.watch_once(world.now).await.unwrap();
    world.send(&receiver).await;
    assert_eq!(receiver.events(), ["incident.opened", "incident.resolved"], "and no warning, breach or restoration");
    assert_eq!(receiver.bodies.lock().unwrap()[1]["data"]["drill"], true);
    let over = world.view("acme/INC-1").await;
    assert_eq!((over.state.as_str(), over.resolved_at), ("resolved", Some(opened.ends)));
    assert!(over.clocks.iter().all(|clock| clock.state == "cancelled"), "{:#?}", over.clocks);
    assert!(world.audit().await.contains(&"drill.played".to_owned()));
    let clocks = world.desk.clocks_once(world.now + SignedDuration::from_hours(30)).await.unwrap();
    assert_eq!(clocks.failures, Vec::<String>::new());
    world.now += SignedDuration::from_hours(30);
    world.send(&receiver).await;
    assert_eq!(receiver.events().len(), 2, "nothing is late for a drill");
}

#[tokio::test]
async fn a_drill_counts_in_no_figure() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let acme = "acme".parse().unwrap();
    let figures = async |world: &World| {
        let mut overview = world.desk.overview(&Scope::Provider, &acme, world.now).await.unwrap();
        overview.as_of = at("2026-11-16T00:00:00Z");
        let lines = world.desk.clients(&Scope::Provider, world.now).await.unwrap();
        let day = (world.now - SignedDuration::from_hours(24), world.now + SignedDuration::from_secs(1));
        let past = world.desk.past_page(&acme, day, upheld_model::IncidentNumber(0)).await.unwrap().incidents;
        assert!(past.is_empty(), "no statement, credit or what-if");
        let digest = world.desk.digest(&Scope::Provider, None, day.0, world.now).await.unwrap();
        assert!(digest.sites.is_empty(), "{digest:#?}");
        (serde_json::to_value(overview).unwrap(), lines)
    };
    let before = figures(&world).await;
    play(&world, &mut agent, ONE).await;
    assert_eq!(world.all().await.len(), 1);
    assert_eq!(figures(&world).await, before, "open");
    world.pass(61);
    world.desk.watch_once(world.now).await.unwrap();
    assert!(world.desk.queue(&Scope::Provider, world.now).await.unwrap().rows.is_empty());
    world.now -= SignedDuration::from_secs(61);
    assert_eq!(figures(&world).await, before, "over");
}

#[tokio::test]
async fn a_second_drill_of_a_host_ends_the_first_and_another_host_plays_beside_it() {
    let mut world = World::new().await;
    let (mut one, mut two) = (world.agent("acme", "north").await, world.second_agent("acme", "north").await);
    play(&world, &mut one, ONE).await;
    world.pass(5);
    play(&world, &mut two, TWO).await;
    assert_eq!(world.desk.queue(&Scope::Provider, world.now).await.unwrap().rows.len(), 2);
    world.pass(5);
    play(&world, &mut one, DrillId([3; 16])).await;
    assert_eq!(world.view("acme/INC-1").await.resolved_at, Some(world.now));
    assert_eq!(report(&world, &one, DrillId([3; 16])).await.opened.unwrap().incident, "acme/INC-3");
    assert_eq!(report(&world, &one, TWO).await.opened, None, "another host's drill is not this one's");
}

#[tokio::test]
async fn a_record_that_comes_when_nobody_waits_any_more_opens_nothing_and_tells_nobody() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let began = agent.claims(world.now);
    world.pass(3_600);
    let record = agent.record(vec![AgentEvent::Drill { at: began, id: ONE }]);
    world.take(&mut agent, vec![record]).await;
    assert!(world.all().await.is_empty());
    assert_eq!(report(&world, &agent, ONE).await.opened, None);
}

#[tokio::test]
async fn outside_hours_the_clock_begins_at_the_next_opening_and_says_so() {
    let mut world = World::new().await;
    world.now = at("2026-11-17T03:00:00Z");
    let mut agent = world.agent("acme", "north").await;
    play(&world, &mut agent, ONE).await;
    let opened = report(&world, &agent, ONE).await.opened.unwrap();
    let respond = &opened.clocks[0];
    assert!(!respond.is_counting);
    assert_eq!(respond.counts_from, Some(at("2026-11-17T14:00:00Z")));
    assert!(respond.said.contains("outside hours, counts again Tue 17 Nov 08:00:00 CST"), "{}", respond.said);
}

#[tokio::test]
async fn what_a_drill_walks_past_is_said_a_window_of_work_and_commissioning() {
    let mut world = World::new().await;
    let agent = world.agent("acme", "north").await;
    let window = NewWindow {
        client: "acme".parse().unwrap(),
        site: "north".parse().unwrap(),
        assets: Vec::new(),
        checks: Vec::new(),
        from: world.now,
        for_s: 3_600,
        reason: "switch".to_owned(),
    };
    world.desk.add_maintenance(window, &ana(), world.now).await.unwrap();
    world.pass(60);
    let notes = report(&world, &agent, ONE).await.notes;
    assert!(notes[0].starts_with("a window of work on the site (M-1) lasts until 2026-11-16T17:00:00Z"), "{notes:?}");
    let mut files = book();
    let north = files.get_mut("clients/acme/sites/north.toml").unwrap();
    *north = north.replace("commissioned = 2026-01-15\n", "");
    world.desk.apply_book(files, &ana(), world.now).await.unwrap();
    let notes = report(&world, &agent, ONE).await.notes;
    assert!(notes[0].contains("is in commissioning") && notes[0].contains("commissioned = DATE"), "{notes:?}");
}

#[tokio::test]
async fn without_an_agreement_a_drill_has_no_terms_by_name_and_is_told_all_the_same() {
    let world = World::new().await;
    let mut agent = world.agent("other", "north").await;
    play(&world, &mut agent, ONE).await;
    let opened = report(&world, &agent, ONE).await.opened.unwrap();
    let DrillTerms::None { refusal, .. } = &opened.terms else { panic!("{:?}", opened.terms) };
    assert_eq!((refusal.as_str(), opened.clocks.len(), opened.deliveries.len()), ("no-agreement", 0, 1));
    assert!(matches!(world.view("other/INC-1").await.terms, TermsView::None { .. }));
}

#[tokio::test]
async fn a_receiver_that_does_not_take_it_is_said_with_its_answer() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    play(&world, &mut agent, ONE).await;
    let receiver = Receiver::new();
    receiver.is(Mood::IsBusy);
    world.send(&receiver).await;
    let opened = report(&world, &agent, ONE).await.opened.unwrap();
    assert_eq!(opened.deliveries[0].state, DrillDelivered::Pending { why: Some("503".to_owned()) });
}

#[tokio::test]
async fn a_drill_takes_a_note_and_no_other_command_and_no_real_incident_vanishes_in_it() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    play(&world, &mut agent, ONE).await;
    world.fail(&mut agent).await;
    assert_eq!(world.view("acme/INC-1").await.offers.commands, ["note"]);
    let give = async |incident: &str, command| {
        let given = Given { note: Some("seen".to_owned()), ..Given::now(command) };
        world.desk.give(&Scope::Provider, &incident.parse().unwrap(), given, &ana(), world.now).await
    };
    give("acme/INC-1", Command::Note).await.unwrap();
    for command in [Command::Acknowledge, Command::Update, Command::Resume, Command::Resolve] {
        let refused = give("acme/INC-1", command).await.unwrap_err().to_string();
        assert!(refused.contains("it is a drill"), "{refused}");
    }
    let refused =
        give("acme/INC-2", Command::Merge { into: upheld_model::IncidentNumber(1) }).await.unwrap_err().to_string();
    assert!(refused.contains("is a drill, so it cannot carry on"), "{refused}");
}

pub(super) async fn play(world: &World, agent: &mut Agent, id: DrillId) {
    let record = agent.record(vec![AgentEvent::Drill { at: ObservedAt(agent.claims(world.now).0), id }]);
    world.take(agent, vec![record]).await;
}

async fn report(world: &World, agent: &Agent, id: DrillId) -> DrillReport {
    world.desk.drill(&agent.peer, id, world.now).await.unwrap()
}
