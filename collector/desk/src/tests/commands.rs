//! The commands of people: what each leaves behind, what is refused, and who may give it.

use jiff::{SignedDuration, Timestamp};
use upheld_model::{ClientId, IncidentRef};
use upheld_store::StoreError;

use super::world::{Agent, Receiver, World, ana, at, book};
use crate::{Actor, Command, CommandError, Given, IncidentView, Scope, commands::Words};

/// A client whose agreement gives days to dispute in, a rider to buy, and a manufacturer behind the server.
fn book_with_plant() -> std::collections::BTreeMap<String, String> {
    let mut files = book();
    let site = files["clients/acme/sites/north.toml"].clone();
    for (path, text) in [
        ("clients/plant/client.toml", "name = \"Plant\"\n".to_owned()),
        ("clients/plant/sites/north.toml", site),
        (
            "clients/plant/ssa.toml",
            "number = \"SSA-9\"\nsites = [\"north\"]\nfee = \"100.00/month\"\ndispute_within = \"5d\"\n\n\
             [[version]]\neffective_from = 2026-01-01\nsigned = 2025-12-12\nplan = \"gold\"\n\n\
             [[asset_terms]]\nasset = \"north/srv-1\"\nmanufacturer = { maker = \"maker-co\", hand_over_after = \"50%\" }\n"
                .to_owned(),
        ),
        ("manufacturers/maker-co.toml", "name = \"Maker Co\"\npromises = { respond = \"4h\" }\n".to_owned()),
        (
            "plans/fast.toml",
            "name = \"Fast\"\nrider = true\nprice = \"50.00/month\"\n\n[[override]]\nstage = \"respond\"\n\
             within = \"15min\"\ncalendar = \"business\"\n"
                .to_owned(),
        ),
    ] {
        files.insert(path.to_owned(), text);
    }
    files
}

struct Plant {
    world: World,
    agent: Agent,
}

impl Plant {
    /// An incident `plant/INC-1`, open.
    async fn fails() -> Self {
        let mut world = World::new().await;
        world.desk.apply_book(book_with_plant(), &ana(), world.now).await.unwrap();
        let mut agent = world.agent("plant", "north").await;
        world.pass(1);
        world.fail(&mut agent).await;
        Self { world, agent }
    }

    async fn give(&self, given: Given) -> Result<IncidentView, CommandError> {
        self.give_to(1, given).await
    }

    async fn give_to(&self, number: u64, given: Given) -> Result<IncidentView, CommandError> {
        self.world.desk.give(&Scope::Provider, &inc(number), given, &ana(), self.world.now).await
    }

    async fn does(&self, command: Command) -> IncidentView {
        self.give(Given::now(command)).await.unwrap()
    }

    async fn says(&self, command: Command, note: &str) -> Result<IncidentView, CommandError> {
        self.give(Given { note: Some(note.to_owned()), ..Given::now(command) }).await
    }

    /// The command as it is read from words.
    async fn types(&self, name: &str, words: Words) -> Result<IncidentView, CommandError> {
        self.give(words.read(name, &client()).unwrap().unwrap()).await
    }
}

fn client() -> ClientId {
    "plant".parse().unwrap()
}

fn inc(number: u64) -> IncidentRef {
    format!("plant/INC-{number}").parse().unwrap()
}

fn said(view: &IncidentView, what: &str) -> Option<String> {
    view.timeline.iter().rev().find(|entry| entry.what == what).map(|entry| entry.text.clone())
}

fn clock<'a>(view: &'a IncidentView, stage: &str) -> &'a crate::ClockView {
    view.clocks.iter().find(|clock| clock.stage == stage).unwrap()
}

#[tokio::test]
async fn assigning_acknowledges_and_another_owns_it() {
    let plant = Plant::fails().await;
    let view = plant.does(Command::Assign { to: "Bo".into() }).await;
    assert_eq!((view.state.as_str(), view.owner.as_deref()), ("taken", Some("Bo")));
    assert_eq!(said(&view, "assigned").as_deref(), Some("to Bo"));
    let ledger = plant
        .world
        .desk
        .store()
        .read::<_, StoreError, _>("test", |tx| tx.ledger(&client(), upheld_model::IncidentNumber(1)))
        .await
        .unwrap();
    assert!(!format!("{ledger:?}").contains("Bo\""), "names stand in one table: {ledger:?}");
    let again = plant.does(Command::Assign { to: "Bo".into() }).await;
    assert_eq!(again.revision, view.revision, "he has it already");
}

#[tokio::test]
async fn a_stale_command_loses_to_what_happened_since() {
    let plant = Plant::fails().await;
    let seen = plant.world.view("plant/INC-1").await.revision;
    let resolved = plant.says(Command::Resolve, "the plant is closed").await.unwrap();
    assert!(resolved.revision > seen);
    let stale = plant.give(Given { revision: Some(seen), ..Given::now(Command::Acknowledge) }).await.unwrap_err();
    assert!(matches!(stale, CommandError::Stale { .. }), "{stale}");
    let late = plant.give(Given::now(Command::Acknowledge)).await.unwrap_err();
    assert!(late.to_string().contains("resolved"), "without a revision the state says no: {late}");
    let fresh = Given { revision: Some(resolved.revision), ..Given::now(Command::Close) };
    assert_eq!(plant.give(fresh).await.unwrap().state, "closed");
}

#[tokio::test]
async fn an_incident_goes_through_its_life_by_words() {
    let mut plant = Plant::fails().await;
    let words = |note: &str| Words { note: Some(note.into()), ..Words::default() };
    plant.types("take", Words::default()).await.unwrap();
    let view = plant.types("update", words("a technician is on his way")).await.unwrap();
    assert_eq!(said(&view, "updated").as_deref(), Some("a technician is on his way"));
    let pause = Words { reason: Some("site-access".into()), ..words("the gate is shut") };
    let view = plant.types("pause", pause).await.unwrap();
    assert_eq!(clock(&view, "resolve").state, "paused");
    assert!(view.offers.commands.contains(&"resume") && !view.offers.commands.contains(&"pause"));
    plant.world.pass(600);
    let view = plant.types("resume", Words::default()).await.unwrap();
    assert_eq!(clock(&view, "resolve").state, "running");
    let refused = plant.types("resolve", Words::default()).await.unwrap_err();
    assert!(refused.to_string().contains("still failing: srv-1/net.tcp"), "{refused}");
    let view = plant.types("resolve", words("replaced by hand, the check is wrong")).await.unwrap();
    assert_eq!((view.state.as_str(), clock(&view, "resolve").state.as_str()), ("resolved", "met"));
    let view = plant.types("reopen", Words::default()).await.unwrap();
    assert_eq!((view.state.as_str(), clock(&view, "resolve").state.as_str()), ("taken", "running"));
    let view = plant.types("dismiss", Words { reason: Some("false-alarm".into()), ..Words::default() }).await.unwrap();
    assert_eq!((view.state.as_str(), clock(&view, "resolve").state.as_str()), ("dismissed", "cancelled"));
    assert_eq!(said(&view, "dismissed").as_deref(), Some("false-alarm"));
    assert_eq!(view.offers.commands.iter().filter(|name| ["resolve", "pause"].contains(name)).count(), 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_words_that_help() {
    let read = |name: &str, words: Words| words.read(name, &client());
    let refused = |name: &str, words: Words| read(name, words).unwrap_err().to_string();
    let none = Words::default;
    assert_eq!(read("explode", none()).unwrap(), None);
    assert_eq!(refused("respond", none()), "it needs manner: remote, phone, on-site");
    assert_eq!(refused("update", none()), "it needs note: a sentence");
    assert_eq!(refused("assign", Words { to: Some(" \t".into()), ..none() }), "it needs to: a name");
    let long = Words { to: Some("x".repeat(10_000)), ..none() };
    assert!(refused("assign", long).contains("1 to 200 characters"));
    let cause = Words { cause: Some("gremlins\u{202e}".into()), ..none() };
    let text = refused("set-cause", cause);
    assert!(text.contains("gremlins") && text.contains("utility, isp") && !text.contains('\u{202e}'), "{text}");
    let foreign = Words { into: Some("acme/INC-1".into()), ..none() };
    assert!(refused("merge", foreign).contains("of the same client"));
    let clean = read("note", Words { note: Some("one\u{1b}[2J\ntwo\u{202e}\u{0}".into()), ..none() }).unwrap().unwrap();
    assert_eq!(clean.note.as_deref(), Some("one\\u{1b}[2J two\\u{202e}\\u{0}"));
    for name in Command::NAMES {
        assert_ne!(read(name, none()).map(|given| given.is_some()).ok(), Some(false), "{name} is a command");
    }
}

#[tokio::test]
async fn a_merge_carries_on_from_the_earlier_start_with_all_that_fails() {
    let mut plant = Plant::fails().await;
    let first = plant.world.view("plant/INC-1").await;
    plant.world.pass(600);
    let reported = report(&plant.world, "plant", None, "the web shop is down", None).await;
    assert_eq!(reported.incident, inc(2));
    let due = clock(&first, "respond").due;
    assert_ne!(clock(&reported, "respond").due, due);
    let merged = plant.does(Command::Merge { into: upheld_model::IncidentNumber(2) }).await;
    assert_eq!((merged.state.as_str(), merged.merged_into.clone()), ("merged", Some(inc(2))));
    assert!(merged.clocks.iter().all(|clock| clock.state == "cancelled"));
    let carries = plant.world.view("plant/INC-2").await;
    assert_eq!(clock(&carries, "respond").due, due, "a merge buys no time");
    assert_eq!(
        said(&carries, "carries on").as_deref(),
        Some(
            "P1, of the incident that it carries on: INC-1 is a part of it: srv-1: TCP service on port 8080 does not answer"
        )
    );
    let merge = |into| Given::now(Command::Merge { into: upheld_model::IncidentNumber(into) });
    let into_ended = plant.give_to(2, merge(1)).await.unwrap_err();
    assert!(into_ended.to_string().contains("cannot carry on"), "{into_ended}");
    let nowhere = plant.give_to(2, merge(99)).await;
    assert!(matches!(nowhere, Err(CommandError::Desk(crate::DeskError::NoSuchIncident(_)))));
}

#[tokio::test]
async fn nothing_is_merged_into_a_silence_until_its_agent_is_heard() {
    let mut plant = Plant::fails().await;
    plant.world.take(&mut plant.agent, Vec::new()).await;
    plant.world.lives(301).await;
    plant.world.desk.silence_once(plant.world.now).await.unwrap();
    let silent = plant.world.view("plant/INC-2").await;
    assert_eq!((silent.kind, silent.state.as_str()), (upheld_model::IncidentKind::Silent, "open"));
    let merge = || Given::now(Command::Merge { into: upheld_model::IncidentNumber(2) });
    let refused = plant.give(merge()).await.unwrap_err();
    assert!(matches!(refused, CommandError::State { .. }), "{refused:?}");
    let agent = &plant.agent.peer.agent;
    let why = format!("INC-2 is about agent {agent}, which is still silent: merge once it is heard again");
    assert!(refused.to_string().contains(&why), "{refused}");
    let before = plant.world.view("plant/INC-1").await;
    assert_eq!((before.state.as_str(), before.merged_into), ("open", None), "the refusal changed nothing");

    plant.world.take(&mut plant.agent, Vec::new()).await;
    assert_eq!(plant.give(merge()).await.unwrap().merged_into, Some(inc(2)));
    let carries = plant.world.view("plant/INC-2").await;
    assert_eq!((carries.state.as_str(), carries.restored_at), ("open", None), "with the failure that it carries on");
}

#[tokio::test]
async fn a_cause_says_who_said_so_and_maintenance_is_none_afterwards() {
    let plant = Plant::fails().await;
    let view =
        plant.says(Command::SetCause { cause: upheld_model::Cause::Utility }, "the grid was down").await.unwrap();
    assert_eq!((view.cause.cause, view.cause.by.as_str()), (upheld_model::Cause::Utility, "ana"));
    assert_eq!(said(&view, "cause set").as_deref(), Some("utility: the grid was down"));
    let refused = plant.give(Given::now(Command::SetCause { cause: upheld_model::Cause::Maintenance })).await;
    assert!(refused.unwrap_err().to_string().contains("window that was entered before it began"));
}

#[tokio::test]
async fn a_rider_bought_for_one_incident_tightens_it_and_a_priority_changes_its_terms() {
    let mut plant = Plant::fails().await;
    plant.world.pass(60);
    assert_eq!(plant.world.view("plant/INC-1").await.offers.riders, ["fast"]);
    let before = clock(&plant.world.view("plant/INC-1").await, "respond").due.unwrap();
    let view = plant.does(Command::Expedite { rider: "fast".parse().unwrap() }).await;
    assert!(clock(&view, "respond").due.unwrap() < before, "{:?}", view.clocks);
    assert_eq!(said(&view, "terms changed").as_deref(), Some("expedited with fast"), "{:?}", view.timeline);
    let again = plant.give(Given::now(Command::Expedite { rider: "fast".parse().unwrap() })).await.unwrap_err();
    assert!(again.to_string().contains("holds for the incident already"), "{again}");
    let unknown = plant.give(Given::now(Command::Expedite { rider: "faster".parse().unwrap() })).await.unwrap_err();
    assert!(unknown.to_string().contains("it has fast"), "{unknown}");
    let view = plant.does(Command::SetPriority { priority: upheld_agreement::words::Priority::P4 }).await;
    assert_eq!(said(&view, "terms changed").as_deref(), Some("priority P4"));
}

#[tokio::test]
async fn the_manufacturer_has_it_and_answers() {
    let plant = Plant::fails().await;
    let early = plant.give(Given::now(Command::ManufacturerAnswered { with_whom: None })).await.unwrap_err();
    assert!(early.to_string().contains("not been handed over"), "{early}");
    let view = plant.does(Command::HandOver { maker: None, reference: Some("M-77".into()) }).await;
    assert_eq!(said(&view, "handed over").as_deref(), Some("to maker-co, there M-77"), "{:?}", view.timeline);
    assert!(view.offers.commands.contains(&"manufacturer-answered"));
    let view = plant.does(Command::ManufacturerAnswered { with_whom: Some("his support".into()) }).await;
    assert!(!view.offers.commands.contains(&"manufacturer-answered"));
}

#[tokio::test]
async fn the_time_to_hand_over_is_told_and_so_is_the_time_that_the_manufacturer_missed() {
    let mut plant = Plant::fails().await;
    let receiver = Receiver::new();
    let told = |event: &str| {
        let bodies = receiver.bodies.lock().unwrap();
        let told: Vec<_> = bodies.iter().filter(|body| body["type"] == event).cloned().collect();
        assert!(told.len() <= 1, "{event} is told once: {told:?}");
        told.into_iter().next()
    };
    let view = plant.world.view("plant/INC-1").await;
    assert_eq!(view.manufacturer.unwrap().sentence, "Maker Co does not have it.");
    // Half of the eight hours of the resolution.
    let received = view.received_at;
    let half = received + SignedDuration::from_hours(4);
    plant.world.now = half - SignedDuration::from_secs(1);
    plant.world.desk.clocks_once(plant.world.now).await.unwrap();
    plant.world.send(&receiver).await;
    assert_eq!(told("clock.hand-over"), None);
    plant.world.pass(1);
    plant.world.desk.clocks_once(plant.world.now).await.unwrap();
    plant.world.send(&receiver).await;
    let body = told("clock.hand-over").unwrap();
    assert_eq!(body["timestamp"], serde_json::json!(half));
    assert_eq!(
        (&body["data"]["clock"]["stage"], &body["data"]["manufacturer"]["maker"]),
        (&"resolve".into(), &"maker-co".into())
    );

    // Done at the very instant of its message, it takes that back no more than done later.
    plant.does(Command::HandOver { maker: None, reference: Some("M-77".into()) }).await;
    plant.world.desk.clocks_once(plant.world.now).await.unwrap();
    plant.world.send(&receiver).await;
    assert_eq!(told("clock.withdrawn"), None);
    let due = plant.world.now + SignedDuration::from_hours(4);
    plant.world.now = due - SignedDuration::from_secs(1);
    plant.world.desk.clocks_once(plant.world.now).await.unwrap();
    plant.world.send(&receiver).await;
    assert_eq!(told("manufacturer.overdue"), None);
    plant.world.pass(61);
    assert_eq!(
        plant.world.desk.clocks_once(plant.world.now).await.unwrap().seen,
        1,
        "his due is a deadline like any other"
    );
    plant.world.send(&receiver).await;
    let body = told("manufacturer.overdue").unwrap();
    assert_eq!(body["timestamp"], serde_json::json!(due));
    assert_eq!(body["data"]["clock"]["noticed_at"], serde_json::json!(plant.world.now));
    let view = plant.world.view("plant/INC-1").await.manufacturer.unwrap();
    assert_eq!((view.state.as_str(), view.breached_at), ("waiting", Some(due)));
    let explained = plant.world.desk.explain(&Scope::Provider, &inc(1), plant.world.now).await.unwrap();
    assert_eq!(explained.manufacturer.as_deref(), Some(view.sentence.as_str()));
    assert!(explained.text.contains(&view.sentence), "{}", explained.text);

    // He had answered in time, and it was logged afterwards.
    let answered = Command::ManufacturerAnswered { with_whom: Some("his support".into()) };
    let at = due - SignedDuration::from_mins(30);
    let view = plant.give(Given { at: Some(at), ..Given::now(answered) }).await.unwrap();
    let manufacturer = view.manufacturer.unwrap();
    assert_eq!((manufacturer.state.as_str(), manufacturer.breached_at), ("answered", None));
    plant.world.send(&receiver).await;
    let body = told("clock.withdrawn").unwrap();
    assert_eq!(body["data"]["clock"]["stage"], "manufacturer");
    assert!(
        body["data"]["clock"]["withdrawn_because"].as_str().unwrap().starts_with("manufacturer answered at"),
        "{body}"
    );
    plant.world.pass(86_400);
    plant.world.desk.clocks_once(plant.world.now).await.unwrap();
    plant.world.send(&receiver).await;
    assert!(told("manufacturer.overdue").is_some());
}

#[tokio::test]
async fn a_dispute_is_counted_both_ways_until_the_provider_settles_it() {
    let mut plant = Plant::fails().await;
    plant.says(Command::Pause { reason: "site-access".parse().unwrap() }, "the gate is shut").await.unwrap();
    plant.world.pass(3_600);
    plant.does(Command::Resume).await;
    let standing = clock(&plant.world.view("plant/INC-1").await, "resolve").due.unwrap();
    let client_scope = Scope::Client(client());
    let her = Actor::Token("plant office".into());
    let dispute = Given { note: Some("the gate was open".into()), ..Given::now(Command::Dispute { item: None }) };
    let view = plant.world.desk.give(&client_scope, &inc(1), dispute, &her, plant.world.now).await.unwrap();
    let disputed = &view.disputes[0];
    assert_eq!((disputed.what.as_str(), disputed.by.as_str()), ("paused", "token plant office"));
    assert_eq!((disputed.why.as_str(), disputed.outcome), ("the gate was open", None));
    let without = disputed.clocks_without_it.iter().find(|clock| clock.stage == "resolve").unwrap();
    assert_eq!(without.due.unwrap(), standing - SignedDuration::from_hours(1), "an hour sooner without the pause");
    assert_eq!(view.offers.disputed, [disputed.item]);
    let settle =
        || Given::now(Command::Settle { item: None, outcome: upheld_agreement::clock::DisputeOutcome::ClientIsRight });
    let by_client = plant.world.desk.give(&client_scope, &inc(1), settle(), &her, plant.world.now).await;
    assert!(matches!(by_client, Err(CommandError::Role { .. })));
    let view = plant.give(settle()).await.unwrap();
    assert_eq!(view.disputes[0].settled_by.as_deref(), Some("ana"));
    assert!(view.disputes[0].clocks_without_it.is_empty());
    let twice = plant.give(settle()).await.unwrap_err();
    assert!(twice.to_string().contains("nothing in it is disputed"), "{twice}");
    let receiver = Receiver::new();
    plant.world.send(&receiver).await;
    let events = receiver.events();
    for told in ["clock.paused", "clock.resumed", "dispute.opened", "dispute.settled"] {
        assert_eq!(events.iter().filter(|event| *event == told).count(), 1, "{told}: {events:?}");
    }
    let bodies = receiver.bodies.lock().unwrap();
    let opened = bodies.iter().find(|body| body["type"] == "dispute.opened").unwrap();
    assert_eq!(opened["data"]["said"], "the gate was open");
}

#[tokio::test]
async fn a_clients_people_say_what_they_say_and_decide_nothing() {
    let plant = Plant::fails().await;
    let (scope, her) = (Scope::Client(client()), Actor::Token("plant office".into()));
    for command in [
        Command::Acknowledge,
        Command::Resolve,
        Command::Close,
        Command::Update,
        Command::Pause { reason: "site-access".parse().unwrap() },
        Command::Dismiss { reason: crate::commands::DismissReason::FalseAlarm },
    ] {
        let given = Given { note: Some("x".into()), ..Given::now(command) };
        let refused = plant.world.desk.give(&scope, &inc(1), given, &her, plant.world.now).await;
        assert!(matches!(refused, Err(CommandError::Role { .. })), "{refused:?}");
    }
    let note = Given { note: Some("still down".into()), ..Given::now(Command::Note) };
    plant.world.desk.give(&scope, &inc(1), note.clone(), &her, plant.world.now).await.unwrap();
    let foreign = Scope::Client("acme".parse().unwrap());
    let refused = plant.world.desk.give(&foreign, &inc(1), note, &her, plant.world.now).await;
    assert!(matches!(refused, Err(CommandError::Desk(crate::DeskError::NoSuchIncident(_)))));
    assert_eq!(plant.world.audit().await.last().unwrap(), "access.denied");
}

#[tokio::test]
async fn what_is_offered_is_taken_and_what_is_not_is_refused() {
    let mut plant = Plant::fails().await;
    let offered = plant.world.view("plant/INC-1").await.offers.commands;
    for name in ["acknowledge", "respond", "assign", "update", "pause", "merge", "dismiss", "expedite", "hand-over"] {
        assert!(offered.contains(&name), "{name}: {offered:?}");
    }
    for name in ["close", "reopen", "resume", "settle", "manufacturer-answered", "worked-around"] {
        assert!(!offered.contains(&name), "{name}: {offered:?}");
    }
    let finding = plant.agent.finding(plant.world.now);
    plant.world.pass(60);
    plant.world.mend(&mut plant.agent, &finding).await;
}

async fn report(
    world: &World,
    client: &str,
    asset: Option<&str>,
    text: &str,
    called_at: Option<Timestamp>,
) -> IncidentView {
    let report = crate::ProblemReport {
        asset: asset.map(|asset| asset.parse().unwrap()),
        text: text.into(),
        by: "Maria of the office".into(),
        called_at,
        class: None,
        new: false,
    };
    let (client, site) = (client.parse().unwrap(), "north".parse().unwrap());
    world.desk.report_problem(&Scope::Provider, (&client, &site), report, &ana(), world.now).await.unwrap()
}

#[tokio::test]
async fn a_report_is_an_incident_with_the_same_terms_and_both_instants() {
    let world = World::new().await;
    let called_at = at("2026-11-16T15:30:00Z");
    let view = report(&world, "acme", None, "nobody can print", Some(called_at)).await;
    assert_eq!(
        (view.kind.as_str(), view.class.as_str(), view.title.as_str()),
        ("reported", "request", "north: nobody can print")
    );
    assert_eq!((view.detected_at, view.received_at), (called_at, world.now));
    let entered = &view.reports[0];
    assert_eq!((entered.by.as_str(), entered.entered_by.as_str()), ("Maria of the office", "ana"));
    assert_eq!((entered.called_at, entered.entered_at), (called_at, world.now));
    assert_eq!(clock(&view, "respond").due, Some(world.now + SignedDuration::from_hours(1)), "received is the stamp");
    assert_eq!(view.asset, None);
    let resolve = Given { note: Some("new toner; Maria printed a page".into()), ..Given::now(Command::Resolve) };
    let resolved = world.desk.give(&Scope::Provider, &view.incident, resolve, &ana(), world.now).await.unwrap();
    assert_eq!(resolved.state, "resolved");
}

#[tokio::test]
async fn a_report_about_an_asset_with_an_open_incident_joins_it_unless_it_is_new() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    world.pass(120);
    let joined = report(&world, "acme", Some("srv-1"), "the shop is down", None).await;
    assert_eq!(joined.incident.to_string(), "acme/INC-1");
    assert_eq!(said(&joined, "reported").as_deref(), Some("the shop is down (entered by ana)"));
    assert_eq!(joined.timeline.last().unwrap().who.as_deref(), Some("Maria of the office"));
    let (acme, north) = ("acme".parse().unwrap(), "north".parse().unwrap());
    let new = crate::ProblemReport {
        asset: Some("srv-1".parse().unwrap()),
        text: "its fan is loud".into(),
        by: "Maria".into(),
        called_at: None,
        class: None,
        new: true,
    };
    let given = |desk: crate::Desk| {
        let (new, now, acme, north) = (new.clone(), world.now, &acme, &north);
        async move { desk.report_problem(&Scope::Provider, (acme, north), new, &ana(), now).await.unwrap() }
    };
    let first = given(world.desk.once("report-1")).await;
    assert_eq!(first.incident.to_string(), "acme/INC-2");
    let again = given(world.desk.once("report-1")).await;
    assert_eq!(again, first, "sent twice it is one report");
    assert_eq!(given(world.desk.once("report-2")).await.incident.to_string(), "acme/INC-3");
}

#[tokio::test]
async fn a_report_that_cannot_be_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let base = || crate::ProblemReport {
        asset: None,
        text: "x".into(),
        by: "Maria".into(),
        called_at: None,
        class: None,
        new: false,
    };
    let give = |scope: Scope, client: &str, site: &str, report: crate::ProblemReport| {
        let (desk, now): (_, Timestamp) = (world.desk.clone(), world.now);
        let (client, site) = (client.parse().unwrap(), site.parse().unwrap());
        async move { desk.report_problem(&scope, (&client, &site), report, &ana(), now).await.unwrap_err() }
    };
    let future = crate::ProblemReport { called_at: Some(world.now + SignedDuration::from_secs(1)), ..base() };
    assert!(matches!(give(Scope::Provider, "acme", "north", future).await, CommandError::Time { .. }));
    let old = crate::ProblemReport { called_at: Some(world.now - SignedDuration::from_hours(24 * 32)), ..base() };
    assert!(matches!(give(Scope::Provider, "acme", "north", old).await, CommandError::Time { .. }));
    let empty = crate::ProblemReport { text: " \n".into(), ..base() };
    assert!(matches!(give(Scope::Provider, "acme", "north", empty).await, CommandError::Missing { field: "text", .. }));
    let asset = crate::ProblemReport { asset: Some("srv-9".parse().unwrap()), ..base() };
    assert!(give(Scope::Provider, "acme", "north", asset).await.to_string().contains("allowed are: srv-1"));
    let nowhere = give(Scope::Provider, "acme", "south", base()).await.to_string();
    let foreign = give(Scope::Client("other".parse().unwrap()), "acme", "north", base()).await.to_string();
    assert_eq!(nowhere.replace("acme/south", "X"), foreign.replace("acme/north", "X"));
    assert_eq!(world.all().await, []);
}
