//! The week in one mail: when, to whom, and once.

use super::world::{Receiver, World, book};

/// Acme's site is in Chicago, Other's in Los Angeles; both have people who are told of the week.
fn weekly() -> std::collections::BTreeMap<String, String> {
    let mut files = book();
    let provider = files.get_mut("provider.toml").unwrap();
    provider.push_str("mail = { to = \"desk@provider.example\", of = [\"digest\"] }\n");
    let people = |name: &str, at: &str| {
        format!("name = \"{name}\"\n\n[mail]\nall = {{ to = \"all@{at}\", of = [\"digest\"] }}\n")
    };
    files.insert("clients/acme/client.toml".to_owned(), people("Acme Foods", "acme.example"));
    files.insert("clients/other/client.toml".to_owned(), people("Other Ltd", "other.example"));
    let site = files.get_mut("clients/other/sites/north.toml").unwrap();
    *site = site.replace("America/Chicago", "America/Los_Angeles");
    files
}

/// The loop, minute by minute is not needed: whenever it looks, the same comes out.
async fn look(world: &World, receiver: &Receiver) {
    assert_eq!(world.desk.digests_once(world.now).await.unwrap().failures, Vec::<String>::new());
    world.send(receiver).await;
}

#[tokio::test]
async fn each_week_is_told_once_at_its_hour_by_the_clock_of_whoever_it_is_for() {
    // It begins on Monday the 16th at ten: the week before it is nobody's news.
    let mut world = World::with(weekly()).await;
    let mut agent = world.agent("acme", "north").await;
    let receiver = Receiver::new();
    look(&world, &receiver).await;
    world.fail(&mut agent).await;
    world.pass(7_200);
    world.desk.clocks_once(world.now).await.unwrap();
    let monday = super::world::at("2026-11-23T13:00:00Z"); // seven in Chicago
    for (seconds, told) in [(-1, 0), (0, 2), (0, 2), (7_199, 2), (7_200, 3), (86_400, 3)] {
        world.now = monday + jiff::SignedDuration::from_secs(seconds);
        look(&world, &receiver).await;
        assert_eq!(receiver.mailed().len(), told, "{seconds} s after seven in Chicago: {:?}", receiver.mailed());
    }
    let mails = receiver.mails.lock().unwrap().clone();
    let of = |who: &str| mails.iter().find(|mail| mail.to == who).unwrap().clone();
    let acme = of("all@acme.example");
    assert_eq!(acme.letter.subject, "Acme Foods, week to Mon 23 Nov: 0 of 2 kept");
    assert!(!acme.all().contains("Other"), "{}", acme.all());
    let other = of("all@other.example");
    assert_eq!(other.letter.subject, "Other Ltd, week to Mon 23 Nov: nothing is promised");
    let desk = of("desk@provider.example");
    assert_eq!(desk.letter.subject, "Week to Mon 23 Nov: 1 of 1 clients did not get what was promised");
    assert_eq!(desk.letter.listed[0].text, "Acme Foods: 0 of 2 kept", "what was not kept comes first");
    for (name, mail) in [("client", acme), ("without_agreement", other), ("provider", desk)] {
        let rendered = mail.letter.render("https://collector.example").unwrap();
        insta::assert_snapshot!(
            format!("weekly_{name}_text"),
            format!("Subject: {}\n\n{}", rendered.subject, rendered.text)
        );
        insta::assert_snapshot!(format!("weekly_{name}_html"), rendered.html);
    }
}

#[tokio::test]
async fn after_a_stop_the_last_week_is_told_once_and_a_day_that_the_book_moves_is_kept_to() {
    let mut world = World::with(weekly()).await;
    let receiver = Receiver::new();
    look(&world, &receiver).await;
    // Five weeks away.
    world.pass(35 * 86_400);
    let mut world = world.restarted();
    look(&world, &receiver).await;
    look(&world, &receiver).await;
    assert_eq!(receiver.mailed().len(), 3, "not one for each week");
    assert!(receiver.mails.lock().unwrap()[0].letter.subject.contains("week to Mon 21 Dec"));
    let mut files = weekly();
    let provider = files.get_mut("provider.toml").unwrap();
    *provider = provider.replace("\n[channels", "digest = { day = \"wed\", at = \"16:30\" }\n\n[channels");
    world.desk.apply_book(files, &super::world::ana(), world.now).await.unwrap();
    look(&world, &receiver).await;
    assert_eq!(receiver.mailed().len(), 3);
    world.pass(2 * 86_400);
    look(&world, &receiver).await;
    assert_eq!(receiver.mailed().len(), 3, "Wednesday at ten");
    world.pass(86_400);
    look(&world, &receiver).await;
    assert_eq!(receiver.mailed().len(), 6);
    assert!(receiver.mails.lock().unwrap()[3].letter.subject.to_lowercase().contains("week to wed 23 dec"));
    // Who is not told any more is forgotten; told again, he waits for his week.
    world.desk.apply_book(book(), &super::world::ana(), world.now).await.unwrap();
    look(&world, &receiver).await;
    world.pass(30 * 86_400);
    world.desk.apply_book(weekly(), &super::world::ana(), world.now).await.unwrap();
    look(&world, &receiver).await;
    assert_eq!(receiver.mailed().len(), 6);
}
