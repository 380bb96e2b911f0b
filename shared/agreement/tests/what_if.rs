//! What would have happened under other terms, beside what happened (TERMS 6).

use common::{at, book, recorder_down};
use jiff::SignedDuration;
use upheld_agreement::{
    book::Book,
    clock::{ClockStart, Fact, FactKind},
    matching::resolve,
    what_if::{Kept, PastIncident, monthly_fee, what_if},
    words::{Manner, Stage},
};

mod common;

const SSA: &str = "clients/northgate/ssa.toml";

fn without_the_rider() -> Book {
    book(&[(SSA, "riders = [\"premium-response\"]", "riders = []")])
}

/// An incident of 16 November at so many minutes past 22:00 UTC, answered by phone so many minutes later.
fn incident(book: &Book, minute: i64, answered_after: i64) -> PastIncident {
    let detected = at("2026-11-16T22:00:00Z") + SignedDuration::from_mins(minute);
    let query = recorder_down(&detected.to_string());
    let answered = detected + SignedDuration::from_mins(answered_after);
    let fact = Fact {
        number: 1,
        effective_at: answered,
        recorded_at: answered,
        who: "ana".to_owned(),
        kind: FactKind::Responded { manner: Manner::Phone, with_whom: Some("plant manager".to_owned()) },
    };
    PastIncident {
        name: format!("northgate/INC-{}", minute + 1),
        pinned: resolve(book, &query).ok(),
        query,
        start: ClockStart::new(detected, detected),
        facts: vec![fact],
    }
}

#[test]
fn premium_response_shows_what_it_would_have_changed() {
    let plain = without_the_rider();
    let past: Vec<_> = [(0, 20), (10, 90), (20, 59)].map(|(minute, after)| incident(&plain, minute, after)).into();
    let found = what_if(&past, &book(&[]), at("2026-11-17T14:00:00Z")).unwrap();
    let respond = |column: &upheld_agreement::what_if::Column| column.stages[&Stage::Respond].clone();
    assert_eq!(respond(&found.before).into_iter().collect::<Vec<_>>(), [(Kept::InTime, 3)]);
    assert_eq!(respond(&found.after).into_iter().collect::<Vec<_>>(), [(Kept::InTime, 2), (Kept::Late, 1)]);
    assert_eq!((found.before.breaches, found.after.breaches), (0, 1));
    let [changed] = found.changed.as_slice() else { panic!("{:?}", found.changed) };
    assert_eq!(changed.incident, "northgate/INC-11");
    assert_eq!(changed.after[0].breached_at, Some(at("2026-11-16T23:10:00Z")));
}

#[test]
fn the_same_book_changes_nothing_and_each_incident_is_resolved_as_by_itself() {
    let sample = book(&[]);
    let past: Vec<_> = (0..40).map(|n| incident(&sample, n * 977, n * 7)).collect();
    let as_of = at("2026-12-20T00:00:00Z");
    let found = what_if(&past, &sample, as_of).unwrap();
    assert_eq!((&found.before, found.changed.len(), found.before.promised), (&found.after, 0, 40));
    let other = without_the_rider();
    let together = what_if(&past, &other, as_of).unwrap();
    let alone = past.iter().map(|incident| what_if(std::slice::from_ref(incident), &other, as_of).unwrap());
    assert_eq!(together.changed, alone.flat_map(|one| one.changed).collect::<Vec<_>>());
    assert!(!together.changed.is_empty());
}

#[test]
fn incidents_without_terms_are_counted_by_name_on_both_sides() {
    let sample = book(&[]);
    let mut unknown = incident(&sample, 0, 10);
    unknown.query.site = "plant-9".parse().unwrap();
    unknown.pinned = None;
    let early = PastIncident { pinned: None, ..incident(&sample, -366 * 24 * 60, 10) };
    let found = what_if(&[unknown, early, incident(&sample, 0, 10)], &sample, at("2026-11-17T14:00:00Z")).unwrap();
    assert_eq!((found.before.none_promised, found.after.none_promised), (2, 2));
    assert_eq!((found.before.promised, found.changed.len()), (1, 0));
}

#[test]
fn a_fee_is_that_of_the_version_and_its_riders() {
    let (sample, client) = (book(&[]), "northgate".parse().unwrap());
    let fee = |at_text: &str| monthly_fee(&sample, &client, at(at_text)).map(|fee| fee.to_string());
    assert_eq!(fee("2026-10-01T00:00:00Z").as_deref(), Some("USD 1,850.00"));
    assert_eq!(fee("2026-12-01T00:00:00Z").as_deref(), Some("USD 2,200.00"));
    assert_eq!(fee("2028-01-01T00:00:00Z"), None);
}
