//! How long facts must be kept: by the agreement's end, the client's, and what the provider sets (DELIVERY 4).

use jiff::Timestamp;
use upheld_agreement::book::Book;

mod common;

const SSA: &str = "clients/northgate/ssa.toml";
const CLIENT: &str = "clients/northgate/client.toml";
const PROVIDER: &str = "provider.toml";

/// The sample book (an agreement of 1 January to 31 December 2026 in Chicago), edited, and what is needed at an instant.
fn needed(edits: &[(&str, &str, &str)], now: &str) -> Option<Timestamp> {
    let mut files = common::sample();
    for (path, from, to) in edits {
        common::edit(&mut files, path, from, to);
    }
    let book = Book::read(&files).unwrap();
    book.facts_needed_from(&"northgate".parse().unwrap(), at(now))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const BEGINS: &str = "2026-01-01T06:00:00Z";

#[test]
fn facts_are_needed_until_seven_years_after_the_agreements_last_day() {
    let seven_years = jiff::SignedDuration::from_hours(24 * 7 * 366);
    let end = at("2027-01-01T06:00:00Z") + seven_years;
    let just_before = end - jiff::SignedDuration::from_secs(1);
    assert_eq!(needed(&[], &just_before.to_string()), Some(at(BEGINS)), "all of its time, also the first day");
    assert_eq!(needed(&[], &end.to_string()), Some(at("2027-01-01T06:00:00Z")));
    assert_eq!(needed(&[], "2026-06-01T00:00:00Z"), Some(at("2019-05-27T00:00:00Z")), "what was before it");
}

#[test]
fn an_agreement_without_an_end_and_one_that_was_renewed_hold_all_of_their_time() {
    let open = (SSA, "until = 2026-12-31\n", "");
    assert_eq!(needed(&[open], "2046-01-01T00:00:00Z"), Some(at(BEGINS)));
    let renewed =
        "[[version]]\neffective_from = 2027-01-01\nuntil = 2027-12-31\nsigned = 2026-12-01\n\n[[asset_terms]]";
    let renewed = (SSA, "[[asset_terms]]", renewed);
    assert_eq!(needed(&[renewed], "2034-06-01T00:00:00Z"), Some(at(BEGINS)));
    assert_eq!(needed(&[renewed], "2036-06-01T00:00:00Z"), Some(at("2029-05-27T00:00:00Z")));
}

#[test]
fn a_client_who_has_left_ends_his_agreement_and_an_unknown_one_loses_nothing() {
    let open = (SSA, "until = 2026-12-31\n", "");
    let left = (CLIENT, "name = ", "ended = 2026-05-31\nname = ");
    assert_eq!(needed(&[open, left], "2033-06-06T04:59:59Z"), Some(at(BEGINS)));
    assert_eq!(needed(&[open, left], "2033-06-06T05:00:00Z"), Some(at("2026-06-01T05:00:00Z")));
    let book = Book::read(&common::sample()).unwrap();
    assert_eq!(book.facts_needed_from(&"nobody".parse().unwrap(), at("2099-01-01T00:00:00Z")), None);
}

#[test]
fn the_provider_may_set_other_times() {
    let kept = (PROVIDER, "facts = \"7y\"", "facts = \"400d\"");
    assert_eq!(needed(&[kept], "2028-02-05T06:00:00Z"), Some(at("2027-01-01T06:00:00Z")));
    assert_eq!(needed(&[kept], "2028-02-05T05:59:59Z"), Some(at(BEGINS)));
    let mut files = common::sample();
    common::edit(&mut files, PROVIDER, "samples = \"30d\"", "samples = \"90d\"");
    assert_eq!(Book::read(&files).unwrap().samples_for().as_hours(), 90 * 24);
    common::edit(
        &mut files,
        PROVIDER,
        "[retention]\nfacts = \"7y\"          # after the agreement's end\nsamples = \"90d\"\n",
        "",
    );
    let book = Book::read(&files).unwrap();
    assert_eq!((book.samples_for().as_hours(), book.facts_for().as_hours()), (30 * 24, 7 * 366 * 24));
}
