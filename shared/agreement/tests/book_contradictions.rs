//! What contradicts itself between the lines of a book is said with both places, and what to write instead.

use upheld_agreement::book::{Book, Code, Files, Severity};

mod common;

const GOLD: &str = "plans/gold.toml";
const RIDER: &str = "plans/premium-response.toml";
const CATALOGUE: &str = "catalogue.toml";
const SSA: &str = "clients/northgate/ssa.toml";
const SITE: &str = "clients/northgate/sites/plant-2.toml";

type Edits = &'static [(&'static str, &'static str, &'static str)];

/// A name, the edits that make the contradiction, and the codes that are said.
const CASES: &[(&str, Edits, &[Code])] = &[
    ("response-after-resolution", &[(GOLD, "within = \"4h\"", "within = \"17h\"")], &[Code::ResponseAfterResolution]),
    (
        "response-after-resolution-under-two-calendars",
        &[(GOLD, "within = \"16h\"\ncalendar = \"business\"", "within = \"2h\"\ncalendar = \"24x7\"")],
        &[Code::ResponseAfterResolution],
    ),
    (
        "acknowledgement-after-resolution",
        &[(
            GOLD,
            "[modifiers]",
            "[[target]]\nstage = \"acknowledge\"\nwithin = \"30h\"\ncalendar = \"business\"\n\n[modifiers]",
        )],
        &[Code::ResponseAfterResolution],
    ),
    (
        "never-open-for-its-holidays",
        &[
            (
                "calendars/24x7.toml",
                "every-day = [\"00:00-24:00\"]",
                "mon = [\"00:00-00:00\"]\n\n[[extra]]\ndate = 2026-12-25\nhours = [\"08:00-12:00\"]",
            ),
            (
                "calendars/24x7.toml",
                "time_zone = \"America/Chicago\"",
                "time_zone = \"America/Chicago\"\nholidays = [\"us-2026\"]",
            ),
        ],
        &[Code::NeverOpen, Code::EmptyHours],
    ),
    (
        "never-due",
        &[(
            "calendars/24x7.toml",
            "[weekly]\nevery-day = [\"00:00-24:00\"]",
            "[[extra]]\ndate = 2026-12-19\nhours = [\"10:00-10:30\"]",
        )],
        &[Code::NeverDue],
    ),
    (
        "rider-that-would-lengthen",
        &[(RIDER, "within = \"1h\"\ncalendar = \"24x7\"", "within = \"40h\"\ncalendar = \"business\"")],
        &[Code::RiderNoEarlier],
    ),
    (
        "rider-no-earlier-under-another-calendar",
        &[(RIDER, "within = \"1h\"", "within = \"200h\"")],
        &[Code::RiderNoEarlier],
    ),
    (
        "nothing-promised",
        &[(GOLD, "priority = [\"P3\", \"P4\", \"P5\"]", "priority = [\"P3\", \"P4\"]")],
        &[Code::NothingPromised],
    ),
    (
        "hidden-entry",
        &[(
            CATALOGUE,
            "match = { class = \"service\" }",
            "match = { class = \"recording\", asset = \"recorder\", kind = \"down\" }",
        )],
        &[Code::Unreachable],
    ),
    (
        "ambiguous-entries",
        &[(
            CATALOGUE,
            "match = { class = \"service\" }",
            "match = { class = [\"service\", \"network-wan\"], kind = \"unstable\" }",
        )],
        &[Code::Ambiguous],
    ),
    ("no-catch-all", &[(CATALOGUE, "match = {}", "match = { asset = \"server\" }")], &[Code::NoCatchAll]),
    (
        "asset-terms-twice",
        &[(SSA, "[[asset_terms]]", "[[asset_terms]]\nasset = \"plant-2/nvr-02\"\n\n[[asset_terms]]")],
        &[Code::Twice],
    ),
    ("circle-of-three", &[(SITE, "class = \"ups\"", "class = \"ups\"\nrouted_via = \"nvr-02\"")], &[Code::Cycle]),
    (
        "window-without-end",
        &[(SITE, "FREQ=MONTHLY;BYDAY=2SU", "FREQ=DAILY"), (SITE, "for = \"1h\"", "for = \"24h\"")],
        &[Code::AlwaysMaintenance],
    ),
];

fn edited(edits: &[(&str, &str, &str)]) -> Files {
    let mut files = common::built();
    for (path, from, to) in edits {
        common::edit(&mut files, path, from, to);
    }
    files
}

#[test]
fn each_contradiction_is_said_with_both_places_and_what_to_write() {
    let mut shown = String::new();
    for (name, edits, expected) in CASES {
        let files = edited(edits);
        let said = match Book::read(&files) {
            Ok(book) => book.warnings().to_vec(),
            Err(refused) => [refused.errors, refused.warnings].concat(),
        };
        let mut codes: Vec<Code> = said.iter().map(|one| one.code).collect();
        codes.sort();
        codes.dedup();
        let mut wanted = expected.to_vec();
        wanted.sort();
        assert_eq!(codes, wanted, "{name}: {said:#?}");
        shown.push_str(&format!("=== {name}\n"));
        for one in &said {
            assert!(!one.help.is_empty() || one.code == Code::Twice || one.code == Code::Cycle, "{name}: {one}");
            shown.push_str(&one.render_under("book/", &files, false));
            shown.push('\n');
        }
    }
    insta::assert_snapshot!(shown);
}

const SILVER: &str = "name = \"Silver\"\n\n[[target]]\nstage = \"respond\"\nwithin = \"8h\"\ncalendar = \"business\"\n\n[[target]]\nstage = \"resolve\"\nwithin = \"40h\"\ncalendar = \"business\"\n\n[modifiers]\ndistance = { far = \"2\" }\n";

/// Names of plans and their files.
type Plans<'a> = &'a [(&'a str, &'a str)];

fn with_plans(plans: Plans<'_>) -> Files {
    let mut files = common::built();
    files.extend(plans.iter().map(|(name, text)| (format!("plans/{name}.toml"), (*text).to_owned())));
    files
}

#[test]
fn a_plan_that_extends_another_says_only_what_differs() {
    let bronze = "name = \"Silver for night shifts\"\nextends = \"silver\"\n\n[[target]]\nstage = \"respond\"\npriority = [\"P1\"]\nwithin = \"1h\"\ncalendar = \"24x7\"\n";
    let book = Book::read(&with_plans(&[("silver", SILVER), ("night", bronze)])).unwrap();
    let night = &book.plans[&"night".parse().unwrap()];
    let said: Vec<String> = night
        .targets
        .iter()
        .map(|target| {
            let priorities: Vec<&str> = target.priority.iter().map(|priority| priority.as_str()).collect();
            format!("{} {} [{}]", target.stage.value, priorities.join(","), target.source)
        })
        .collect();
    assert_eq!(
        said,
        [
            "respond P1 [plans/night.toml target 1]",
            "respond P2,P3,P4,P5 [plans/silver.toml target 1]",
            "resolve  [plans/silver.toml target 2]",
        ]
    );
    assert_eq!(night.modifiers, book.plans[&"silver".parse().unwrap()].modifiers);
    assert_eq!(night.extends.iter().map(|base| base.as_str()).collect::<Vec<_>>(), ["silver"]);
}

#[test]
fn what_an_extended_plan_promises_is_part_of_the_version() {
    let hash = |silver: &str| {
        let mut files = with_plans(&[("silver", silver), ("night", "name = \"Night\"\nextends = \"silver\"\n")]);
        common::edit(&mut files, SSA, "plan = \"gold\"", "plan = \"night\"");
        Book::read(&files).unwrap().versions()[0].hash
    };
    assert_ne!(hash(SILVER), hash(&SILVER.replace("8h", "9h")));
}

#[test]
fn plans_that_cannot_be_put_together_are_refused_by_name() {
    let extends = |name: &str, other: &str| format!("name = \"{name}\"\nextends = \"{other}\"\n");
    let long: Vec<(String, String)> =
        (0..20).map(|n| (format!("p{n:02}"), extends("p", &format!("p{:02}", n + 1)))).collect();
    let long: Vec<(&str, &str)> = long.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (a, b, c) = (extends("A", "b"), extends("B", "c"), extends("C", "a"));
    let cases: &[(&str, Plans<'_>, &[Code])] = &[
        ("circle", &[("a", &a), ("b", &b), ("c", &c)], &[Code::PlanCircle]),
        ("itself", &[("a", &extends("A", "a"))], &[Code::PlanCircle]),
        ("into-a-circle", &[("a", &extends("A", "a")), ("b", &extends("B", "a"))], &[Code::PlanCircle]),
        ("missing", &[("a", &extends("A", "golt"))], &[Code::NoSuchThing]),
        ("rider", &[("a", &extends("A", "premium-response"))], &[Code::NoSuchThing]),
        ("unread", &[("a", &extends("A", "b")), ("b", "name = 1")], &[Code::WrongType]),
        ("too-long", &long, &[Code::OutOfBounds, Code::NoSuchThing]),
    ];
    let mut shown = String::new();
    for (name, plans, expected) in cases {
        let files = with_plans(plans);
        let refused = Book::read(&files).unwrap_err();
        let codes: Vec<Code> = refused.errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, *expected, "{name}: {refused:#?}");
        shown.push_str(&format!("=== {name}\n"));
        for error in &refused.errors {
            assert_eq!(error.severity(), Severity::Error);
            shown.push_str(&error.render_under("book/", &files, false));
            shown.push('\n');
        }
    }
    insta::assert_snapshot!(shown);
}
