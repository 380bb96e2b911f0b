//! Windows of work: entered by the book and by people, each with its instant, and whether one is in force.

use jiff::SignedDuration;

use super::world::{World, ana, at, book};
use crate::{
    Scope,
    maintenance::{MaintenanceError, NewWindow, stretches, stretches_of_asset},
};

/// The second Sunday of each month at two in the morning, Chicago's time, on `srv-1`.
const RECURRING: &str = "\n[[maintenance]]\nassets = [\"srv-1\"]\nrrule = \"FREQ=MONTHLY;BYDAY=2SU\"\nfrom = \"02:00\"\nfor = \"1h\"\nreason = \"patches\"\n";
const NORTH: &str = "clients/acme/sites/north.toml";

#[tokio::test]
async fn a_window_of_the_book_is_entered_when_the_book_that_first_had_it_was_applied() {
    let mut world = World::new().await;
    let with_window = || {
        let mut files = book();
        files.get_mut(NORTH).unwrap().push_str(RECURRING);
        files
    };
    world.pass(60);
    let entered = world.now;
    world.desk.apply_book(with_window(), &ana(), world.now).await.unwrap();
    world.pass(3_600);
    let mut files = with_window();
    files.insert("clients/other/client.toml".to_owned(), "name = \"Other Limited\"\n".to_owned());
    world.desk.apply_book(files, &ana(), world.now).await.unwrap();
    world.desk.start_run(world.now).await.unwrap();
    let listed = world.desk.maintenance(&Scope::Provider, world.now).await.unwrap();
    assert_eq!(listed.len(), 1, "the same window in three applications is one: {listed:?}");
    assert_eq!((listed[0].entered_at, listed[0].origin.as_str()), (entered, "book"));
    assert_eq!(listed[0].next, Some((at("2026-12-13T08:00:00Z"), at("2026-12-13T09:00:00Z"))));
    let december = (at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let found = of_srv_1(&world, december).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].is_agreed());
    let november = (at("2026-11-01T00:00:00Z"), at("2026-11-15T00:00:00Z"));
    assert_eq!(of_srv_1(&world, november).await, [], "what was over before it was entered was never agreed");

    world.now = at("2026-12-13T08:30:00Z");
    world.desk.apply_book(book(), &ana(), world.now).await.unwrap();
    let found = of_srv_1(&world, (december.0, at("2027-03-01T00:00:00Z"))).await;
    assert_eq!(found.len(), 1, "out of the book is out of force");
    assert_eq!((found[0].from, found[0].to), (at("2026-12-13T08:00:00Z"), world.now), "and what was, was");
    world.pass(60);
    world.desk.apply_book(with_window(), &ana(), world.now).await.unwrap();
    let listed = world.desk.maintenance(&Scope::Provider, world.now).await.unwrap();
    assert_eq!(listed.len(), 2, "back in the book it is entered again");
    assert!(!of_srv_1(&world, december).await[1].is_agreed(), "after it began");
}

#[tokio::test]
async fn people_enter_and_end_windows_and_both_are_in_the_audit() {
    let mut world = World::new().await;
    let from = world.now + SignedDuration::from_mins(10);
    let view = world.desk.add_maintenance(new(from, 3_600), &ana(), world.now).await.unwrap();
    assert_eq!((view.window.as_str(), view.is_in_force, view.entered_by.as_str()), ("M-1", false, "ana"));
    world.pass(20 * 60);
    let why = why(&world, world.now).await;
    assert!(why.is_in_force && why.windows[0].is_agreed, "{}", why.text);
    assert!(why.text.starts_with("Work is agreed on acme/north/srv-1 at 2026-11-16 10:20:00 CST."), "{}", why.text);
    assert!(why.text.contains("it lasts from 2026-11-16 10:10:00 CST to 2026-11-16 11:10:00 CST"), "{}", why.text);
    assert!(why.text.contains("once (new switch); entered 2026-11-16 10:00:00 CST by ana, by hand."), "{}", why.text);
    let acme = "acme".parse().unwrap();
    let ended = world.desk.end_maintenance(&acme, 1, &ana(), world.now).await.unwrap();
    assert_eq!((ended.over_at, ended.ended_by.as_deref(), ended.is_in_force), (Some(world.now), Some("ana"), false));
    let again = world.desk.end_maintenance(&acme, 1, &ana(), world.now).await.unwrap_err();
    assert!(matches!(again, MaintenanceError::Over { number: 1 }), "{again}");
    let found = of_srv_1(&world, (from, from + SignedDuration::from_hours(2))).await;
    assert_eq!((found[0].from, found[0].to), (from, world.now));
    let audit = world.audit().await;
    assert_eq!(&audit[audit.len() - 2..], ["maintenance.entered", "maintenance.ended"]);
}

#[tokio::test]
async fn a_window_that_is_entered_after_it_began_is_known_from_then_and_does_not_count() {
    let mut world = World::new().await;
    let from = world.now - SignedDuration::from_mins(30);
    let view = world.desk.add_maintenance(new(from, 3_600), &ana(), world.now).await.unwrap();
    assert!(view.is_in_force);
    let found = of_srv_1(&world, (from, world.now)).await;
    assert!(!found[0].is_agreed());
    let before = why(&world, world.now - SignedDuration::from_mins(1)).await;
    assert!(!before.is_in_force, "nobody knew of it");
    assert!(before.text.contains("it was entered afterwards"), "{}", before.text);
    world.pass(60);
    let after = why(&world, world.now).await;
    assert!(after.is_in_force && !after.windows[0].is_agreed);
    assert!(after.text.contains("so it does not count for availability"), "{}", after.text);
}

#[tokio::test]
async fn why_not_names_every_window_and_its_reason() {
    let mut world = World::new().await;
    let check = NewWindow { assets: Vec::new(), checks: vec!["srv-1/net.tcp".parse().unwrap()], ..new(world.now, 60) };
    world.desk.add_maintenance(check, &ana(), world.now).await.unwrap();
    let later = new(world.now + SignedDuration::from_hours(1), 60);
    world.desk.add_maintenance(later, &ana(), world.now).await.unwrap();
    world.pass(1);
    let none = why(&world, world.now).await;
    assert!(!none.is_in_force);
    assert!(none.text.starts_with("No work is agreed on acme/north/srv-1"), "{}", none.text);
    assert!(none.text.contains("M-1 is not in force: it is about check srv-1/net.tcp, not about srv-1 as a whole"));
    assert!(none.text.contains("M-2 is not in force: it comes next 2026-11-16 11:00:00 CST to"), "{}", none.text);
    let check = "srv-1/net.tcp".parse().unwrap();
    let (acme, north, srv) = names();
    let of_check = world.desk.why_maintenance(&Scope::Provider, (&acme, &north), &srv, Some(&check), world.now);
    assert!(of_check.await.unwrap().is_in_force);
    let whole = world
        .desk
        .store()
        .read("test", move |tx| stretches(tx, &acme, &north, at("2026-11-16T00:00:00Z"), at("2026-11-17T00:00:00Z")))
        .await
        .unwrap();
    assert_eq!(whole.len(), 2);
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name_and_another_clients_site_is_not_there() {
    let world = World::new().await;
    let refused = |new: NewWindow| {
        let (desk, now) = (world.desk.clone(), world.now);
        async move { desk.add_maintenance(new, &ana(), now).await.unwrap_err().to_string() }
    };
    let base = || new(world.now, 60);
    assert_eq!(
        refused(NewWindow { assets: vec!["srv-9".parse().unwrap()], ..base() }).await,
        "north has no asset srv-9; it has srv-1"
    );
    assert!(refused(NewWindow { site: "south".parse().unwrap(), ..base() }).await.contains("no site acme/south"));
    assert!(refused(NewWindow { for_s: 0, ..base() }).await.contains("31 days"));
    assert!(refused(NewWindow { for_s: 32 * 86_400, ..base() }).await.contains("31 days"));
    assert!(refused(NewWindow { reason: " \t".into(), ..base() }).await.contains("needs a reason"));
    let (acme, north, srv) = names();
    let other = Scope::Client("other".parse().unwrap());
    let foreign = world.desk.why_maintenance(&other, (&acme, &north), &srv, None, world.now).await.unwrap_err();
    assert!(matches!(foreign, MaintenanceError::NoSuchSite { .. }));
    assert_eq!(world.desk.maintenance(&Scope::Provider, world.now).await.unwrap(), []);
}

fn new(from: jiff::Timestamp, for_s: u64) -> NewWindow {
    let (client, site, asset) = names();
    NewWindow { client, site, assets: vec![asset], checks: Vec::new(), from, for_s, reason: "new switch".into() }
}

fn names() -> (upheld_model::ClientId, upheld_model::SiteId, upheld_model::AssetId) {
    ("acme".parse().unwrap(), "north".parse().unwrap(), "srv-1".parse().unwrap())
}

async fn of_srv_1(world: &World, (from, to): (jiff::Timestamp, jiff::Timestamp)) -> Vec<crate::maintenance::Stretch> {
    let (acme, north, srv) = names();
    let ask = move |tx: &dyn upheld_store::ReadTx| stretches_of_asset(tx, &acme, &north, &srv, from, to);
    world.desk.store().read("test.windows", ask).await.unwrap()
}

async fn why(world: &World, at: jiff::Timestamp) -> crate::maintenance::WhyMaintenance {
    let (acme, north, srv) = names();
    world.desk.why_maintenance(&Scope::Provider, (&acme, &north), &srv, None, at).await.unwrap()
}
