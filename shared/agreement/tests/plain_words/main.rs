//! The plain words of an agreement, and the engine held against every one of their claims (TERMS 7).
//!
//! Each claim's numbers are read back from its sentence (`read`), and what the sentence says is worked out minute by
//! minute from the hours that another sentence says (`hours`), without the calendar's tables. The clock, the tariff, the
//! credits, the downtimes, the figures and the matcher must then say the same.

#[path = "../common/mod.rs"]
mod common;
mod holds;
mod hours;
mod money;
mod read;
mod targets;

use std::{collections::BTreeMap, sync::LazyLock};

use common::at;
use hours::SaidHours;
use jiff::Timestamp;
use upheld_agreement::{
    book::{Book, Client, Plan, Version},
    explain::{self, Claim, PlainAgreement},
};

/// One agreement at an instant, with the hours that its sentences say.
struct Case {
    book: Book,
    said: PlainAgreement,
    at: Timestamp,
    hours: BTreeMap<String, SaidHours>,
    incidents: targets::Incidents,
}

impl Case {
    fn new(client: &str, when: &str) -> Self {
        let book = Book::read(&common::whole()).unwrap_or_else(|refused| panic!("{refused}"));
        let said = explain::plain(&book, &client.parse().unwrap(), at(when)).unwrap();
        let hours = said.claims().filter_map(|(text, claim)| {
            let Claim::Hours(claim) = claim else { return None };
            Some((claim.calendar.to_string(), SaidHours::read(text, at(when))))
        });
        let hours = hours.collect();
        let client = book.client(&said.client).unwrap();
        let versions = &client.agreement.as_ref().unwrap().versions;
        let version = versions.iter().find(|version| version.number == said.version).unwrap();
        let incidents = targets::incidents(&book, client, version, at(when));
        Self { book, said, at: at(when), hours, incidents }
    }

    fn client(&self) -> &Client {
        self.book.client(&self.said.client).unwrap()
    }

    fn version(&self) -> &Version {
        let versions = &self.client().agreement.as_ref().unwrap().versions;
        versions.iter().find(|version| version.number == self.said.version).unwrap()
    }

    fn plan(&self) -> &Plan {
        &self.book.plans[&self.version().plan.value]
    }
}

/// Every agreement of the sample, at instants in each of its versions.
static CASES: LazyLock<[Case; 4]> = LazyLock::new(|| {
    [
        Case::new("harbor-dental", "2026-11-16T22:10:00Z"),
        Case::new("northgate", "2026-10-15T22:10:00Z"),
        Case::new("northgate", "2026-11-16T22:10:00Z"),
        Case::new("st-brendan", "2026-11-16T22:10:00Z"),
    ]
});

/// Northgate with its rider.
fn northgate() -> &'static Case {
    &CASES[2]
}

#[test]
fn each_agreement_is_said_in_plain_words() {
    for mut said in CASES.iter().map(|case| case.said.clone()) {
        assert!(said.text().lines().all(|line| line.chars().count() <= 100));
        // What is kept without being acted on becomes less with every version; the sentence is held below.
        for section in &mut said.sections {
            section.sentences.retain(|sentence| !matches!(sentence.claim, Some(Claim::Kept(_))));
        }
        said.hash = None;
        insta::assert_snapshot!(format!("{}_v{}", said.client, said.version), said.text());
    }
}

#[test]
fn who_accepted_is_said_and_which_text() {
    let case = northgate();
    let versions = case.book.versions();
    let hash = |version| {
        let own = versions.iter().find(|known| known.client == case.said.client && known.version == version);
        own.map(|known| known.hash).unwrap()
    };
    assert_eq!(case.said.hash, Some(hash(2)));
    let zone = jiff::tz::TimeZone::get(&case.book.provider.zone).unwrap();
    let when = at("2026-10-29T03:00:00Z");
    let accepted = case.said.clone().accepted("Dana Ortiz", when, &hash(2), &zone).text();
    assert!(accepted.contains("Dana Ortiz accepted this version for you on 28 October 2026."), "{accepted}");
    let other = case.said.clone().accepted("Dana Ortiz", when, &hash(1), &zone).text();
    assert!(other.contains("another text") && other.contains(&hash(1).to_string()), "{other}");
}

#[test]
fn every_sentence_holds_against_the_engine() {
    for case in CASES.iter() {
        let mut held = 0;
        for (text, claim) in case.said.claims() {
            match claim {
                Claim::Covers(claim) => holds::covers(case, claim),
                Claim::Hours(claim) => hours::hold(case, claim),
                Claim::Issue(claim) => holds::issue(case, claim, text),
                Claim::Priority(claim) => holds::priority(case, claim, text),
                Claim::Target(claim) => targets::hold(case, claim, text),
                Claim::Bands(claim) => hours::bands(case, claim, text),
                Claim::Rate(claim) => money::rate(case, claim, text),
                Claim::Included(claim) => money::included(case, *claim, text),
                Claim::Availability(claim) => holds::availability(case, claim, text),
                Claim::Asset(claim) => holds::asset(claim, text),
                Claim::Credit(claim) => money::credit(case, claim, text),
                Claim::Cap(claim) => money::cap(case, claim, text),
                Claim::Escalation(claim) => holds::escalation(claim, text),
                Claim::Prevention(claim) => holds::prevention(claim, text),
                Claim::Fee(claim) => money::fee(case, claim, text),
                Claim::Dispute(claim) => holds::dispute(case, claim, text),
                Claim::Follows(claim) => holds::follows(case, claim, text),
                Claim::Kept(claim) => holds::kept(case, claim, text),
            }
            held += 1;
        }
        assert!(held > 30, "{}: {held}", case.said.client);
    }
}

#[test]
fn every_term_of_the_plan_has_its_sentence() {
    for case in CASES.iter() {
        let count = |is: fn(&Claim) -> bool| case.said.claims().filter(|(_, claim)| is(claim)).count();
        let plan = case.plan();
        assert_eq!(count(|claim| matches!(claim, Claim::Credit(_))), plan.credits.len());
        assert_eq!(count(|claim| matches!(claim, Claim::Issue(_))), case.book.catalogue.issues.len());
        assert_eq!(count(|claim| matches!(claim, Claim::Availability(_))), 1);
        let sources: Vec<&str> = case
            .said
            .claims()
            .filter_map(
                |(_, claim)| if let Claim::Target(claim) = claim { Some(claim.target.source.as_str()) } else { None },
            )
            .collect();
        for number in 1..=plan.targets.len() {
            let source = format!("plans/{}.toml target {number}", case.version().plan.value);
            assert!(sources.contains(&source.as_str()), "{source}");
        }
        let bands: Vec<&String> = case
            .said
            .claims()
            .filter_map(|(_, claim)| if let Claim::Rate(claim) = claim { Some(&claim.bands) } else { None })
            .flatten()
            .collect();
        for band in plan.rates.iter().flat_map(|rate| &rate.band) {
            assert!(bands.contains(&&band.value), "{}", band.value);
        }
    }
}

#[test]
fn a_sentence_that_says_something_else_does_not_hold() {
    let case = northgate();
    let (text, claim) = case
        .said
        .claims()
        .find_map(|(text, claim)| {
            let Claim::Target(claim) = claim else { return None };
            text.contains("within 4 hours").then_some((text, claim))
        })
        .unwrap();
    for (from, to) in [("within 4 hours", "within 5 hours"), ("75 %", "80 %"), ("or by phone", "")] {
        let wrong = text.replace(from, to);
        assert_ne!(wrong, text);
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| targets::hold(case, claim, &wrong)));
        assert!(held.is_err(), "{wrong}");
    }
}
