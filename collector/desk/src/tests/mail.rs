//! Who is mailed of what, in which words, and what becomes of a mail that reaches nobody.

use std::collections::BTreeMap;

use upheld_model::IncidentRef;

use super::world::{Agent, AllSecrets, Mood, Receiver, World, ana, book};
use crate::{
    Scope,
    notify::{ChannelName, NotifyError, PreviewKind},
};

/// The usual book; the desk by webhook and mail, one who is told of what was missed alone, and two of Acme's people.
fn mailing() -> BTreeMap<String, String> {
    let mut files = book();
    let provider = files.get_mut("provider.toml").unwrap();
    provider.push_str("mail = \"desk@provider.example\"\n\n");
    provider.push_str("[channels.boss]\nmail = { to = \"boss@provider.example\", of = [\"breached\"] }\n");
    let acme = "name = \"Acme Foods\"\n\n[mail]\nowner = \"owner@acme.example\"\n\
        plant = { to = \"plant@acme.example\", of = [\"opened\", \"restored\"] }\n";
    files.insert("clients/acme/client.toml".to_owned(), acme.to_owned());
    let other = "name = \"Other Ltd\"\n\n[mail]\nall = \"people@other.example\"\n";
    files.insert("clients/other/client.toml".to_owned(), other.to_owned());
    files
}

async fn failed() -> (World, Agent) {
    let mut world = World::with(mailing()).await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    world.pass(1);
    (world, agent)
}

fn to(receiver: &Receiver, event: &str) -> Vec<String> {
    let mut to: Vec<_> = receiver.mailed().into_iter().filter(|(_, told)| told == event).map(|(to, _)| to).collect();
    to.sort();
    to
}

#[tokio::test]
async fn each_is_mailed_of_what_he_asked_for_and_once() {
    let mut world = World::with(mailing()).await;
    let mut agent = world.agent("acme", "north").await;
    let receiver = Receiver::new();
    let finding = world.fail(&mut agent).await;
    world.send(&receiver).await;
    for minutes in [31, 31, 30] {
        world.pass(minutes * 60);
        world.desk.clocks_once(world.now).await.unwrap();
        world.send(&receiver).await;
    }
    world.mend(&mut agent, &finding).await;
    world.pass(600);
    world.desk.watch_once(world.now).await.unwrap();
    world.send(&receiver).await;
    world.send(&receiver).await;
    let (desk, boss) = ("desk@provider.example", "boss@provider.example");
    let (owner, plant) = ("owner@acme.example", "plant@acme.example");
    assert_eq!(to(&receiver, "incident.opened"), [desk, owner, plant]);
    assert_eq!(to(&receiver, "clock.warning"), [desk]);
    assert_eq!(to(&receiver, "clock.breached"), [boss, desk, owner]);
    assert_eq!(to(&receiver, "incident.restored"), [desk, owner, plant]);
    // What somebody did, and that it is settled, is in the ticket and on the page.
    assert!(receiver.mailed().iter().all(|(_, event)| event != "incident.resolved"));
    assert!(receiver.events().contains(&"incident.opened".to_owned()), "the webhook is told beside");
    let threads: std::collections::BTreeSet<_> =
        receiver.mails.lock().unwrap().iter().map(|mail| mail.letter.thread.clone()).collect();
    assert_eq!(threads.len(), 1, "mails of one incident belong together");
}

#[tokio::test]
async fn the_subject_carries_the_verdict_and_the_clock_reads_as_everywhere() {
    let (mut world, _agent) = failed().await;
    let receiver = Receiver::new();
    world.send(&receiver).await;
    let opened = receiver.mails.lock().unwrap()[0].clone();
    // A mail reads as of the instant at which it was written.
    world.pass(-1);
    let view = world.view("acme/INC-1").await;
    let said = &view.clocks[0].said;
    assert_eq!(
        opened.letter.subject,
        format!("New: {} {}, P1: {} [acme/INC-1]", said.stage, said.standing, view.title)
    );
    let queue = world.desk.queue(&Scope::Provider, world.now).await.unwrap();
    let explained = world.desk.explain(&Scope::Provider, &view.incident, world.now).await.unwrap();
    let lines: Vec<&str> = view.clocks.iter().map(|clock| clock.said.line.as_str()).collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert!(opened.all().contains(line), "the mail: {line}\n{}", opened.all());
        assert!(explained.text.contains(line), "explain: {line}\n{}", explained.text);
    }
    assert_eq!(queue.rows[0].clock.as_ref().unwrap().said.line, lines[0]);
    assert_eq!(serde_json::to_value(&view).unwrap()["clocks"][0]["said"]["line"], lines[0]);
    let minutes = opened.letter.sections[0].text.clone();
    assert!(explained.text.ends_with(&minutes), "the explanation is that of `explain --at`");
}

#[tokio::test]
async fn a_clients_mail_names_no_other_client() {
    let mut world = World::with(mailing()).await;
    let mut acme = world.agent("acme", "north").await;
    let mut other = world.second_agent("other", "north").await;
    let receiver = Receiver::new();
    world.fail(&mut acme).await;
    world.fail(&mut other).await;
    world.send(&receiver).await;
    world.lives(400).await;
    for agent in [&mut acme, &mut other] {
        world.take(agent, vec![]).await;
    }
    world.lives(400).await;
    world.desk.silence_once(world.now).await.unwrap();
    world.send(&receiver).await;
    let mails = receiver.mails.lock().unwrap().clone();
    let silent: Vec<_> = mails.iter().filter(|mail| mail.event == "sites.silent").collect();
    let mut told: Vec<_> = silent.iter().map(|mail| mail.to.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["desk@provider.example", "owner@acme.example", "people@other.example"]);
    for mail in &mails {
        let foreign: &[&str] = match mail.to.split_once('@').unwrap().1 {
            "acme.example" => &["other/", "Other Ltd", "2 clients"],
            "other.example" => &["acme", "Acme", "2 clients"],
            _ => &[],
        };
        let all = mail.all();
        for name in foreign.iter().filter(|_| mail.event != "incident.restored") {
            assert!(!all.contains(name), "{name} in a mail to {}:\n{all}", mail.to);
        }
    }
}

#[tokio::test]
async fn mail_without_a_server_waits_for_a_day_and_is_then_dropped_with_the_reason() {
    let (mut world, _agent) = failed().await;
    let receiver = Receiver::without_mail();
    for _ in 0..3 {
        world.send(&receiver).await;
        world.pass(3_600);
    }
    let mail = |view: &crate::IncidentView, channel: &str| {
        view.deliveries.iter().find(|one| one.channel == channel).unwrap().clone()
    };
    let view = world.view("acme/INC-1").await;
    let waiting = mail(&view, "desk:mail");
    assert_eq!((waiting.status.as_str(), waiting.attempts), ("pending", 0));
    assert!(waiting.last_error.unwrap().contains("add [mail] to collector.toml"));
    assert_eq!(mail(&view, "desk").status, "delivered", "the webhook does not wait for it");
    let health = world.desk.health().await.unwrap().mail;
    assert!(health.is_needed && !health.is_set);
    // Who sets a server within the day gets what happened.
    let with_mail = Receiver::new();
    let early = World::with(mailing()).await;
    let mut agent = early.agent("acme", "north").await;
    early.fail(&mut agent).await;
    early.send(&receiver).await;
    let mut early = early.restarted();
    early.pass(20 * 3_600);
    early.send(&with_mail).await;
    assert_eq!(to(&with_mail, "incident.opened").len(), 3);
    world.pass(24 * 3_600);
    world.send(&receiver).await;
    let dropped = mail(&world.view("acme/INC-1").await, "client/owner:mail");
    assert_eq!((dropped.status.as_str(), dropped.attempts), ("dropped", 0));
    assert!(dropped.last_error.unwrap().starts_with("not sent: it waited for 24 hours"));
    world.send(&with_mail).await;
    assert_eq!(with_mail.mailed().len(), 3, "what was dropped stays dropped");
}

#[tokio::test]
async fn a_refused_address_is_final_and_the_provider_is_told_by_his_other_channel() {
    let (mut world, _agent) = failed().await;
    let receiver = Receiver::new();
    receiver.is(Mood::Refuses);
    // The webhook would be refused too: it has gone out before.
    let hook = Receiver::without_mail();
    world.send(&hook).await;
    world.pass(301);
    world.send(&receiver).await;
    let view = world.view("acme/INC-1").await;
    let refused = view.deliveries.iter().find(|one| one.channel == "client/plant:mail").unwrap();
    assert_eq!(refused.status, "failed");
    assert_eq!(refused.last_error.as_deref(), Some("550 no such user plant@acme.example"));
    receiver.is(Mood::Takes);
    for _ in 0..3 {
        world.pass(3_600);
        world.send(&receiver).await;
    }
    let told = receiver.events().iter().filter(|event| *event == "delivery.failed").count();
    assert_eq!(told, 3, "one for each way that fails: desk, owner, plant");
    assert_eq!(receiver.mailed().len(), 0, "nothing that was refused is tried again");
    let body = receiver.bodies.lock().unwrap()[0].clone();
    assert_eq!(body["data"]["incident"], "acme/INC-1");
    assert!(body["data"]["why"].as_str().unwrap().contains("550"), "{body}");
}

#[tokio::test]
async fn a_busy_server_gets_the_mail_later_under_the_same_key_and_an_address_that_is_gone_drops_it() {
    let (mut world, _agent) = failed().await;
    let receiver = Receiver::new();
    receiver.is(Mood::IsBusy);
    for _ in 0..6 {
        world.send(&receiver).await;
        world.pass(3_600);
    }
    assert!(world.desk.health().await.unwrap().mail.failure.is_some());
    let keys = |view: &crate::IncidentView| view.deliveries.iter().map(|one| one.key.clone()).collect::<Vec<_>>();
    let before = keys(&world.view("acme/INC-1").await);
    let mut files = mailing();
    files.insert("clients/acme/client.toml".to_owned(), "name = \"Acme Foods\"\n".to_owned());
    world.desk.apply_book(files, &ana(), world.now).await.unwrap();
    receiver.is(Mood::Takes);
    world.pass(3_700);
    world.send(&receiver).await;
    world.pass(3_700);
    world.send(&receiver).await;
    let view = world.view("acme/INC-1").await;
    assert_eq!(to(&receiver, "incident.opened"), ["desk@provider.example"]);
    assert_eq!(keys(&view)[..before.len()], before[..]);
    let gone = view.deliveries.iter().find(|one| one.channel == "client/plant:mail").unwrap();
    assert_eq!(gone.status, "dropped");
    assert!(gone.last_error.as_ref().unwrap().contains("has no address client/plant:mail any more"));
    assert_eq!(world.desk.health().await.unwrap().mail.failure, None);
}

#[tokio::test]
async fn a_mail_can_be_looked_at_before_it_is_sent() {
    let (world, _agent) = failed().await;
    for kind in PreviewKind::ALL {
        for client in [None, Some("acme".parse().unwrap())] {
            let preview = world.desk.preview(*kind, client.as_ref(), None, world.now).await.unwrap();
            let whose = if client.is_some() { "client" } else { "provider" };
            let rendered = preview.letter.render("https://collector.example").unwrap();
            let text = format!("Subject: {}\n\n{}", rendered.subject, rendered.text);
            insta::assert_snapshot!(format!("mail_{kind}_{whose}_text"), text);
            insta::assert_snapshot!(format!("mail_{kind}_{whose}_html"), rendered.html);
        }
    }
    let receiver = Receiver::new();
    world.send(&receiver).await;
    assert_eq!(receiver.mailed().len(), 3, "looking sends nothing");
    let foreign: IncidentRef = "other/INC-1".parse().unwrap();
    let acme = "acme".parse().unwrap();
    let refused = world.desk.preview(PreviewKind::Opened, Some(&acme), Some(&foreign), world.now).await;
    assert!(matches!(refused, Err(NotifyError::OfAnother { .. })));
    let nothing = World::with(mailing()).await;
    let refused = nothing.desk.preview(PreviewKind::Opened, None, None, nothing.now).await;
    assert!(matches!(refused, Err(NotifyError::NoIncident { .. })));
}

#[tokio::test]
async fn a_channel_is_tried_by_each_way_that_it_has() {
    let world = World::with(mailing()).await;
    let receiver = Receiver::new();
    let ways = world.desk.ways_of("desk", None).await.unwrap();
    assert_eq!(ways.iter().map(ChannelName::to_string).collect::<Vec<_>>(), ["desk", "desk:mail"]);
    let acme = "acme".parse().unwrap();
    let people = world.desk.ways_of("client/plant:mail", Some(&acme)).await.unwrap();
    for way in ways.iter().chain(&people) {
        let tested = world.desk.test_way(way, Some(&acme), &receiver, &AllSecrets, world.now).await.unwrap();
        assert!(tested.outcome.is_ok(), "{tested:?}");
    }
    assert_eq!(to(&receiver, "channel.test"), ["desk@provider.example", "plant@acme.example"]);
    assert!(receiver.mails.lock().unwrap()[0].letter.subject.contains("nothing has happened"));
    let unknown = world.desk.ways_of("dusk", None).await.unwrap_err();
    assert!(unknown.to_string().contains("it has boss:mail, desk, desk:mail"), "{unknown}");
}

#[tokio::test]
async fn a_drill_is_mailed_to_the_provider_alone_and_marked() {
    let mut world = World::with(mailing()).await;
    let mut agent = world.agent("acme", "north").await;
    super::drill::play(&world, &mut agent, upheld_model::DrillId([1; 16])).await;
    world.pass(1);
    let receiver = Receiver::new();
    world.send(&receiver).await;
    assert_eq!(receiver.mailed(), [("desk@provider.example".to_owned(), "incident.opened".to_owned())]);
    let subject = receiver.mails.lock().unwrap()[0].letter.subject.clone();
    assert!(subject.starts_with("Drill, nothing is wrong"), "{subject}");
    world.pass(90_000);
    world.desk.watch_once(world.now).await.unwrap();
    world.desk.clocks_once(world.now).await.unwrap();
    world.send(&receiver).await;
    assert_eq!(receiver.mailed().len(), 1, "nothing else happens to it that concerns anybody");
}
