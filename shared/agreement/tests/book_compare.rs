//! What differs between two books and two versions, and what may be announced while a version is in force.

use std::collections::BTreeSet;

use upheld_agreement::book::{
    Book, Rewritten,
    compare::{NoSuchVersion, Side, versions},
    rewritten,
};

mod common;

const HOLIDAYS: &str = "holidays/us-2026.toml";

#[test]
fn two_versions_are_compared_in_the_sentences_of_explain() {
    let book = common::book(&[]);
    let side = |version| Side { book: &book, version };
    let diff = versions(&"northgate".parse().unwrap(), side(1), side(2)).unwrap();
    assert!(diff.new.iter().any(|sentence| sentence.contains("Premium Response")), "{}", diff.text());
    assert!(diff.terms.contains(&"riders: none → premium-response".to_owned()), "{:?}", diff.terms);
    assert!(diff.same > 0);
    let same = versions(&"northgate".parse().unwrap(), side(2), side(2)).unwrap();
    assert!(same.is_empty() && same.text().ends_with("nothing that is promised differs"), "{}", same.text());
}

#[test]
fn what_is_not_there_to_compare_is_named() {
    let book = common::book(&[]);
    let side = |version| Side { book: &book, version };
    let refused = versions(&"northgate".parse().unwrap(), side(1), side(3)).unwrap_err();
    assert_eq!(refused.to_string(), "SSA-2026-014 has no version 3; it has 1, 2");
    let refused = versions(&"southgate".parse().unwrap(), side(1), side(2)).unwrap_err();
    assert!(matches!(refused, NoSuchVersion::Client { .. }), "{refused}");
}

#[test]
fn a_part_of_the_plan_that_no_sentence_says_is_told() {
    let old = common::book(&[]);
    let new = common::book(&[("plans/gold.toml", "on-site = \"145.00/h\"", "on-site = \"155.00/h\"")]);
    let client = "northgate".parse().unwrap();
    let diff = versions(&client, Side { book: &old, version: 1 }, Side { book: &new, version: 1 }).unwrap();
    assert!(diff.terms.contains(&"the rates: another than before".to_owned()), "{}", diff.text());
}

fn holidays_changed(from: &str, to: &str, today: &str) -> Vec<Rewritten> {
    let (old, new) = (common::book(&[]), common::book(&[(HOLIDAYS, from, to)]));
    let calendars = BTreeSet::from(["business".parse().unwrap(), "24x7".parse().unwrap()]);
    rewritten(&old, &new, &calendars, today.parse().unwrap())
}

#[test]
fn next_years_holidays_may_be_announced_and_no_others() {
    let add = |date: &str| format!("days = [\n  {{ date = {date} }},");
    let announced = |date: &str, today: &str| holidays_changed("days = [", &add(date), today);
    assert_eq!(announced("2027-01-01", "2026-11-27"), []);
    let promised = announced("2026-12-31", "2026-11-27");
    assert_eq!(promised.len(), 1, "2026 is complete");
    assert!(promised[0].is_new && promised[0].date == "2026-12-31");
    assert_eq!(announced("2027-01-01", "2027-03-01").len(), 1, "it has passed");
    assert_eq!(holidays_changed("{ date = 2026-11-26, name = \"Thanksgiving\" },", "", "2026-11-01").len(), 1);
    assert_eq!(
        holidays_changed("name = \"Thanksgiving\"", "name = \"Turkey\"", "2026-11-01"),
        [],
        "a name is no promise"
    );
}

#[test]
fn an_announced_holiday_leaves_the_versions_hash_and_a_promised_one_does_not() {
    let hashes = |book: &Book| book.versions().into_iter().map(|version| version.hash).collect::<Vec<_>>();
    let plain = hashes(&common::book(&[]));
    let announced = common::book(&[(HOLIDAYS, "days = [", "days = [\n  { date = 2027-01-01, name = \"New Year\" },")]);
    assert_eq!(plain, hashes(&announced));
    let promised = common::book(&[(HOLIDAYS, "days = [", "days = [\n  { date = 2026-12-31 },")]);
    assert_ne!(plain, hashes(&promised));
}
