//! The words in which a due is explained, and an agreement.

use common::{at, book, recorder_down};
use upheld_agreement::{
    clock::{Clock, ClockStart, Fact, FactKind},
    explain::{self, Explanation},
    matching::resolve,
    words::{Manner, Stage},
};

mod common;

const DETECTED: &str = "2026-11-16T22:10:00Z";

fn fact(number: u64, when: &str, kind: FactKind) -> Fact {
    Fact { number, effective_at: at(when), recorded_at: at(when), who: "ana".to_owned(), kind }
}

fn story() -> Vec<Fact> {
    vec![
        fact(
            1,
            "2026-11-16T22:32:00Z",
            FactKind::Responded { manner: Manner::Phone, with_whom: Some("gate".to_owned()) },
        ),
        fact(2, "2026-11-17T16:30:00Z", FactKind::Paused { reason: "site-access".parse().unwrap(), note: None }),
        fact(3, "2026-11-17T17:15:00Z", FactKind::Resumed),
    ]
}

fn explained(stage: Stage, facts: &[Fact], now: &str) -> Explanation {
    let near = [("clients/northgate/sites/plant-2.toml", "distance = \"far\"", "distance = \"near\"")];
    let terms = resolve(&book(&near), &recorder_down(DETECTED)).unwrap();
    let start = ClockStart::new(at(DETECTED), at(DETECTED));
    Clock::replay(&terms, stage, &start, facts).unwrap().explain(&terms, at(now))
}

#[test]
fn a_running_resolution_is_explained_segment_by_segment() {
    insta::assert_snapshot!(explained(Stage::Resolve, &story(), "2026-11-17T19:47:00Z").text());
}

#[test]
fn a_met_response_says_by_what_and_what_stood_beside_it() {
    insta::assert_snapshot!(explained(Stage::Respond, &story(), "2026-11-17T19:47:00Z").text());
}

#[test]
fn a_breached_clock_says_how_late_it_is() {
    insta::assert_snapshot!(explained(Stage::Respond, &[], "2026-11-17T15:00:00Z").text());
}

#[test]
fn holidays_and_a_scheduled_clock_have_their_words() {
    let terms = resolve(&book(&[]), &recorder_down("2026-11-25T23:30:00Z")).unwrap();
    let start = ClockStart {
        outages: vec![(at("2026-11-25T23:30:00Z"), at("2026-11-25T23:40:00Z"))],
        ..ClockStart::new(at("2026-11-25T23:30:00Z"), at("2026-11-25T23:45:00Z"))
    };
    let clock = |stage| Clock::replay(&terms, stage, &start, &[]).unwrap();
    let now = at("2026-11-26T00:00:00Z");
    let texts = [Stage::OnSite, Stage::Resolve].map(|stage| clock(stage).explain(&terms, now).text());
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn the_explanation_is_one_value_for_page_json_and_terminal() {
    let explained = explained(Stage::Resolve, &story(), "2026-11-17T19:47:00Z");
    let json = serde_json::to_string(&explained).unwrap();
    let read: Explanation = serde_json::from_str(&json).unwrap();
    assert_eq!(read, explained);
    assert_eq!(read.text(), explained.text());
}

#[test]
fn what_cannot_be_said_in_plain_words_has_a_name() {
    let book = book(&[]);
    for unknown in ["nobody", "northgat"] {
        let error = explain::agreement(&book, &unknown.parse().unwrap(), at(DETECTED)).unwrap_err();
        assert!(error.to_string().contains("northgate"), "{error}");
    }
    let ended = explain::agreement(&book, &"northgate".parse().unwrap(), at("2027-06-01T00:00:00Z")).unwrap_err();
    assert!(ended.to_string().contains("v2 holds from"), "{ended}");
}
