//! Which terms hold for an incident, and why (F1, F2).

use common::{at, book, recorder_down};
use upheld_agreement::{
    matching::{Affected, Detected, MatchQuery, NoMatch, resolve},
    terms::{PinnedTerms, Target, Within},
    words::{Level, Manner, Priority, Stage},
};
use upheld_model::{IncidentClass, IncidentKind};

mod common;

const GOLD: &str = "plans/gold.toml";
const SSA: &str = "clients/northgate/ssa.toml";
const SITE: &str = "clients/northgate/sites/plant-2.toml";
const RIDER: &str = "plans/premium-response.toml";

fn covered_s(target: &Target) -> u64 {
    match target.within {
        Within::Covered { seconds } => seconds.0,
        Within::NextBusinessDay { .. } => panic!("a wall time: {target:?}"),
    }
}

fn sources(terms: &PinnedTerms) -> Vec<&str> {
    terms.targets.iter().map(|target| target.source.as_str()).collect()
}

#[test]
fn detection_chooses_the_version_and_now_does_not() {
    let book = book(&[]);
    let before = resolve(&book, &recorder_down("2026-11-03T05:59:59Z")).unwrap();
    assert_eq!((before.version_label().as_str(), before.riders.len()), ("SSA-2026-014 v1", 0));
    let after = resolve(&book, &recorder_down("2026-11-03T06:00:00Z")).unwrap();
    assert_eq!((after.version_label().as_str(), after.riders.len()), ("SSA-2026-014 v2", 1));
    assert_eq!(
        after.in_force_until,
        Some(at("2027-01-01T06:00:00Z")),
        "`until` includes its day, in the provider's zone"
    );
}

#[test]
fn every_refusal_has_its_name() {
    let query = || recorder_down("2026-11-16T22:10:00Z");
    let named = |edits: &[(&str, &str, &str)], query: &MatchQuery| resolve(&book(edits), query).unwrap_err();
    let cases: Vec<(NoMatch, &str)> = vec![
        (named(&[], &MatchQuery { client: "elsewhere".parse().unwrap(), ..query() }), "no-agreement"),
        (named(&[], &recorder_down("2025-12-31T23:59:59Z")), "not-in-force"),
        (named(&[], &recorder_down("2027-01-01T06:00:00Z")), "not-in-force"),
        (named(&[("clients/northgate/client.toml", "name =", "ended = 2026-11-16\nname =")], &query()), "not-in-force"),
        (named(&[(SSA, "sites = [\"plant-2\"]", "sites = []")], &query()), "site-not-covered"),
        (named(&[(SSA, "fee =", "not_covered = [\"plant-2/nvr-02\"]\nfee =")], &query()), "asset-not-covered"),
        (named(&[], &MatchQuery { asset: Some("nvr-99".parse().unwrap()), ..query() }), "asset-not-covered"),
    ];
    for (refusal, name) in cases {
        assert_eq!(refusal.name(), name, "{refusal}");
    }
}

#[test]
fn an_amendment_may_cover_what_was_left_out() {
    let edits =
        [(SSA, "fee =", "not_covered = [\"plant-2/nvr-02\"]\nfee ="), (SSA, "riders =", "not_covered = []\nriders =")];
    let book = book(&edits);
    assert_eq!(resolve(&book, &recorder_down("2026-10-01T12:00:00Z")).unwrap_err().name(), "asset-not-covered");
    assert!(resolve(&book, &recorder_down("2026-11-16T12:00:00Z")).is_ok());
}

#[test]
fn uncertainty_about_detection_is_decided_for_the_client() {
    let straddling = |from: &str, to: &str| MatchQuery {
        detected: Detected { earliest: at(from), latest: at(to) },
        ..recorder_down("2026-11-03T06:00:00Z")
    };
    let query = straddling("2026-11-03T05:59:58Z", "2026-11-03T06:00:02Z");
    let better_after = resolve(&book(&[]), &query).unwrap();
    assert_eq!(better_after.version, 2, "the rider answers sooner");
    assert!(better_after.explanation.text().contains("more favourable"), "{}", better_after.explanation.text());
    let worse_after = [
        (SSA, "plan = \"gold\"", "plan = \"gold\"\nriders = [\"premium-response\"]"),
        (SSA, "note =", "plan = \"gold\"\nnote ="),
    ];
    let gave_up_rider = book(&[worse_after[0], (SSA, "riders = [\"premium-response\"]\nopen", "riders = []\nopen")]);
    assert_eq!(resolve(&gave_up_rider, &query).unwrap().version, 1);
    let into_nothing = straddling("2026-12-31T23:00:00Z", "2027-01-01T07:00:00Z");
    assert_eq!(resolve(&book(&[]), &into_nothing).unwrap().version, 2, "terms are better than none");
    let certain = resolve(&book(&[]), &recorder_down("2026-11-16T22:10:00Z")).unwrap();
    assert!(!certain.explanation.text().contains("more favourable"));
}

#[test]
fn impact_and_urgency_make_the_priority() {
    let affected = |of_kind, total| Affected { of_kind, of_kind_total: Some(total), critical_symptom: false };
    let switch = |affected| MatchQuery {
        asset: Some("sw-4".parse().unwrap()),
        class: IncidentClass::NetworkLan,
        kind: IncidentKind::Unstable,
        affected,
        ..recorder_down("2026-11-16T22:10:00Z")
    };
    let book = book(&[]);
    let cases = [
        (recorder_down("2026-11-16T22:10:00Z"), Level::High, "HW-07", Priority::P1),
        (switch(affected(1, 5)), Level::Medium, "NET-02", Priority::P3),
        (switch(affected(1, 4)), Level::High, "NET-02", Priority::P2),
        (switch(affected(9, 32)), Level::High, "NET-02", Priority::P2),
        (switch(affected(0, 5)), Level::Low, "NET-02", Priority::P4),
        (switch(Affected { critical_symptom: true, ..affected(1, 5) }), Level::High, "NET-02", Priority::P2),
        (MatchQuery { kind: IncidentKind::Down, ..switch(affected(1, 5)) }, Level::Medium, "ANY", Priority::P3),
    ];
    for (query, impact, issue, priority) in cases {
        let terms = resolve(&book, &query).unwrap();
        assert_eq!((terms.impact, terms.issue.id.as_str(), terms.priority), (impact, issue, priority), "{query:?}");
    }
}

#[test]
fn a_rider_stands_beside_the_plan_and_keeps_what_it_does_not_say() {
    let terms = resolve(&book(&[]), &recorder_down("2026-11-16T22:10:00Z")).unwrap();
    assert_eq!(
        sources(&terms),
        [
            "plans/gold.toml target 1",
            "plans/gold.toml target 2",
            "plans/gold.toml target 3",
            "plans/premium-response.toml override 1"
        ]
    );
    let rider = terms.targets_of(Stage::Respond).nth(1).unwrap();
    assert_eq!((covered_s(rider), rider.calendar.as_str()), (3600, "24x7"));
    assert_eq!(rider.manners, [Manner::Remote, Manner::Phone]);
    assert_eq!(rider.warn_at.len(), 2);
    assert_eq!(terms.calendars.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["24x7", "business"]);
    assert_eq!(terms.tell.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["desk"]);
}

#[test]
fn distance_and_complexity_change_on_site_and_resolve_and_nothing_else() {
    let hours = |edits: &[(&str, &str, &str)]| -> Vec<u64> {
        let terms = resolve(&book(edits), &recorder_down("2026-11-16T22:10:00Z")).unwrap();
        [Stage::Respond, Stage::OnSite, Stage::Resolve]
            .map(|stage| terms.targets_of(stage).next().map(covered_s).unwrap() / 3600)
            .to_vec()
    };
    assert_eq!(hours(&[]), [4, 18, 36], "far × 1.5, complexity high × 1.5");
    assert_eq!(hours(&[(SITE, "distance = \"far\"", "distance = \"near\"")]), [4, 12, 24]);
    assert_eq!(hours(&[(SITE, "distance = \"far\"\n", "")]), [4, 12, 24]);
    assert_eq!(hours(&[("catalogue.toml", "complexity = \"high\"\n", "")]), [4, 12, 24]);
}

#[test]
fn factors_are_exact_and_rounded_once_in_the_clients_favour() {
    let edits = [
        (GOLD, "far = \"1.5\"", "far = \"1.333\""),
        (GOLD, "high = \"1.5\" }", "high = \"1.333\" }"),
        (GOLD, "within = \"16h\"", "within = \"1s\""),
        (GOLD, "within = \"4h\"", "within = \"1s\""),
    ];
    let terms = resolve(&book(&edits), &recorder_down("2026-11-16T22:10:00Z")).unwrap();
    assert_eq!(terms.targets_of(Stage::Resolve).map(covered_s).collect::<Vec<_>>(), [1], "1.776889 s");
    assert_eq!(
        terms.targets_of(Stage::OnSite).map(covered_s).collect::<Vec<_>>(),
        [51_174],
        "8 h × 1.776889 = 51174.4 s"
    );
}

#[test]
fn pinned_terms_carry_everything_and_read_back() {
    let terms = resolve(&book(&[]), &recorder_down("2026-11-16T22:10:00Z")).unwrap();
    let text = serde_json::to_string(&terms).unwrap();
    let read: PinnedTerms = serde_json::from_str(&text).unwrap();
    assert_eq!(read, terms);
    assert_eq!(read.hash(), terms.hash());
    let other =
        resolve(&book(&[(RIDER, "within = \"1h\"", "within = \"2h\"")]), &recorder_down("2026-11-16T22:10:00Z"));
    assert_ne!(other.unwrap().hash(), terms.hash());
}

#[test]
fn the_explanation_says_why_and_what_was_ruled_out() {
    let terms = resolve(&book(&[]), &recorder_down("2026-11-16T22:10:00Z")).unwrap();
    insta::assert_snapshot!(terms.explanation.text());
}
