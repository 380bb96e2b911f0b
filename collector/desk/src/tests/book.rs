//! What an application changes, what it may not, and what a client accepted.

use std::collections::BTreeMap;

use super::world::{World, ana, at, book};
use crate::{
    AcceptError, ApplyError,
    book::{BookPlan, VersionVerb},
};

const SSA: &str = "clients/acme/ssa.toml";

/// The book after one text of it is another.
fn edited(path: &str, from: &str, to: &str) -> BTreeMap<String, String> {
    let mut files = book();
    let text = files.get_mut(path).unwrap();
    assert!(text.contains(from), "{path} has no {from:?}");
    *text = text.replacen(from, to, 1);
    files
}

/// The book with an amendment of acme's agreement, half an hour after the world begins.
fn amended(how: &str) -> BTreeMap<String, String> {
    let mut files = book();
    files.insert(
        "plans/quick.toml".to_owned(),
        files["plans/gold.toml"].replace("within = \"1h\"", "within = \"45min\""),
    );
    let amendment =
        format!("\n[[version]]\neffective_from = 2026-11-16T16:30:00Z\nplan = \"quick\"\nopen_incidents = \"{how}\"\n");
    files.get_mut(SSA).unwrap().push_str(&amendment);
    files
}

async fn plan(world: &World, files: BTreeMap<String, String>) -> BookPlan {
    world.desk.plan_book(files, world.now).await.unwrap()
}

#[tokio::test]
async fn a_plan_says_what_becomes_of_an_open_incident_and_applying_does_just_that() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let due = |view: &crate::IncidentView| view.clocks.iter().find(|clock| clock.stage == "respond").unwrap().due;
    let before = due(&world.view("acme/INC-1").await).unwrap();
    let planned = plan(&world, amended("carry_elapsed")).await;
    assert_eq!(planned.refusals, Vec::<String>::new());
    assert_eq!(planned.agreements.iter().map(|one| one.what).collect::<Vec<_>>(), [VersionVerb::New]);
    let incident = &planned.incidents[0];
    assert_eq!((incident.incident.to_string().as_str(), incident.version.as_str()), ("acme/INC-1", "SSA-1 v1"));
    assert_eq!(incident.amended_by[0].version, "SSA-1 v2");
    let respond = incident.clocks.iter().find(|clock| clock.stage == "respond").unwrap().clone();
    assert_eq!(respond.due, Some(before));
    assert_eq!(due(&world.view("acme/INC-1").await), Some(before), "a plan changes nothing");
    assert!(respond.new_due.unwrap() < before, "45 minutes in place of an hour");
    for how in ["carry_elapsed", "pin", "carry_elapsed"] {
        world.desk.apply_book(amended(how), &ana(), world.now).await.unwrap();
    }
    let view = world.view("acme/INC-1").await;
    let notes = view.timeline.iter().filter(|entry| entry.what == "noted").map(|entry| entry.text.as_str());
    let (acts, none) = ("amended by SSA-1 v2 (carry_elapsed)", "no amendment acts on it any more");
    assert_eq!(notes.collect::<Vec<_>>(), [acts, none, acts], "what has not begun may still change");
    world.pass(31 * 60);
    assert_eq!(due(&world.view("acme/INC-1").await), respond.new_due);
}

#[tokio::test]
async fn pinned_terms_stay_when_an_amendment_says_nothing_of_open_incidents() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.fail(&mut agent).await;
    let before = world.view("acme/INC-1").await;
    assert_eq!(plan(&world, amended("pin")).await.incidents, []);
    world.desk.apply_book(amended("pin"), &ana(), world.now).await.unwrap();
    assert_eq!(world.view("acme/INC-1").await, before);
}

#[tokio::test]
async fn a_refusal_says_what_would_be_promised_otherwise_and_what_to_write() {
    let world = World::new().await;
    let cheaper = edited("plans/gold.toml", "within = \"1h\"", "within = \"2h\"");
    let refused = world.desk.apply_book(cheaper.clone(), &ana(), world.now).await.unwrap_err();
    assert!(matches!(&refused, ApplyError::VersionChanged { version: 1, .. }), "{refused}");
    assert!(
        refused.reasons().iter().any(|line| line.starts_with("- ") && line.contains('1')),
        "{:?}",
        refused.reasons()
    );
    assert!(refused.remedy().unwrap().contains("clients/acme/ssa.toml"));
    let planned = plan(&world, cheaper).await;
    assert_eq!(planned.refusals.len(), 1);
    assert_eq!(planned.files[0].lines, ["target · respond · within: \"1h\" → \"2h\""]);
    let mut gone = book();
    gone.retain(|path, _| !path.starts_with("clients/acme/"));
    assert!(plan(&world, gone).await.refusals[0].contains("never deleted"));
}

#[tokio::test]
async fn next_years_holidays_are_announced_and_this_years_promised() {
    let with = |days: &str| {
        let mut files = edited("calendars/business.toml", "time_zone", "holidays = [\"us\"]\ntime_zone");
        files.insert(
            "holidays/us.toml".to_owned(),
            format!("name = \"US\"\nvalid_until = 2026-12-31\ndays = [{days}]\n"),
        );
        files
    };
    let world = World::with(with("{ date = 2026-11-26 }")).await;
    let hashes = async || world.desk.current_book().await.unwrap().book.versions();
    let before = hashes().await;
    let apply = async |days: &str| world.desk.apply_book(with(days), &ana(), world.now).await;
    apply("{ date = 2026-11-26 }, { date = 2027-01-01 }").await.unwrap();
    assert_eq!(hashes().await, before, "no version is another by that");
    for (days, date) in [
        ("{ date = 2026-11-26 }, { date = 2026-12-24 }, { date = 2027-01-01 }", "gain the holiday 2026-12-24"),
        ("{ date = 2027-01-01 }", "lose or change the holiday 2026-11-26"),
        ("{ date = 2026-11-26 }", "lose or change the holiday 2027-01-01"),
    ] {
        let refused = apply(days).await.unwrap_err();
        assert!(matches!(refused, ApplyError::HolidayChanged(_)), "{refused}");
        assert!(refused.to_string().contains(date), "{refused}");
        assert!(refused.remedy().unwrap().contains("[[version]]"));
    }
}

#[tokio::test]
async fn a_version_is_accepted_once_by_the_hash_that_was_read() {
    let world = World::new().await;
    let client = "acme".parse().unwrap();
    let accept = async |version, hash, by: &str| {
        world.desk.accept_version(&client, version, hash, by, &ana(), at("2026-11-16T17:00:00Z")).await
    };
    let right = world.desk.current_book().await.unwrap().book.versions()[0].hash;
    let wrong = accept(1, upheld_model::Digest([7; 32]), "Owner Example").await.unwrap_err();
    assert!(matches!(&wrong, AcceptError::OtherHash { right: named, .. } if *named == right), "{wrong}");
    assert!(matches!(accept(2, right, "Owner Example").await, Err(AcceptError::NoSuchVersion { .. })));
    assert!(matches!(accept(1, right, "  ").await, Err(AcceptError::Name)));
    assert_eq!(world.desk.acceptances(&client).await.unwrap(), []);
    let accepted = accept(1, right, "Owner Example").await.unwrap();
    assert_eq!((accepted.version, accepted.hash, accepted.by.as_str()), (1, right, "Owner Example"));
    assert_eq!(world.audit().await.last().unwrap(), "agreement.accepted");
    let again = accept(1, right, "Somebody else").await.unwrap_err();
    assert!(matches!(&again, AcceptError::Already { by, .. } if by == "Owner Example"), "{again}");
    assert_eq!(world.desk.acceptances(&client).await.unwrap(), [accepted]);
}
