//! A book as small as a book can be, in UTC, so that its times can be computed by hand: one client, one site, one
//! recorder with a manufacturer. Business hours are 08:00 to 18:00, Monday to Friday; 16 November 2026 is a Monday.
#![allow(unreachable_pub, dead_code, reason = "a module of several test programs, each of which uses its own part")]

use jiff::Timestamp;
use upheld_agreement::{
    book::{Book, Files},
    clock::{Announced, Clock, ClockStart, Effect, Fact, FactKind, Milestone},
    matching::{Affected, Detected, MatchQuery, resolve},
    terms::PinnedTerms,
    words::{Manner, Stage},
};

const FILES: [(&str, &str); 10] = [
    ("provider.toml", "name = \"P\"\ncurrency = \"USD\"\ntime_zone = \"UTC\"\n"),
    ("calendars/24x7.toml", "time_zone = \"UTC\"\n[weekly]\nevery-day = [\"00:00-24:00\"]\n"),
    (
        "calendars/business.toml",
        "time_zone = \"UTC\"\n[weekly]\nmon = [\"08:00-18:00\"]\ntue = [\"08:00-18:00\"]\nwed = [\"08:00-18:00\"]\nthu = [\"08:00-18:00\"]\nfri = [\"08:00-18:00\"]\n",
    ),
    (
        "catalogue.toml",
        "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"high\"\n",
    ),
    ("plans/p.toml", PLAN),
    ("plans/fast.toml", RIDER),
    (
        "manufacturers/acme.toml",
        "name = \"Acme\"\nsupport = { mail = \"s@acme.example.test\", hours = \"business\" }\npromises = { respond = \"4h\" }\n",
    ),
    ("clients/c/client.toml", "name = \"C\"\n"),
    ("clients/c/ssa.toml", SSA),
    (
        "clients/c/sites/s.toml",
        "name = \"S\"\ntime_zone = \"UTC\"\n[[asset]]\nid = \"r1\"\nclass = \"recorder\"\nchecks = [{ kind = \"host\" }]\n",
    ),
];

const PLAN: &str = r#"
name = "Plan"

[[target]]
stage = "respond"
priority = ["P1"]
within = "4h"
calendar = "business"
manner = ["remote", "phone"]
warn_at = ["50%", "75%"]

[[target]]
stage = "on-site"
priority = ["P1"]
within = "8h"
calendar = "business"
after = { stage = "respond", unresolved_for = "2h" }

[[target]]
stage = "update"
priority = ["P1"]
every = "2h"
calendar = "business"
warn_at = ["75%"]
pause_for = ["site-access"]

[[target]]
stage = "resolve"
priority = ["P1"]
within = "16h"
calendar = "business"
pause_for = ["site-access"]
longest_pause = "5d"
grace = "2h"

[[target]]
stage = "visit-report"
priority = ["P1"]
within = "10h"
calendar = "business"

[[target]]
stage = "restore-test"
priority = ["P1"]
within = "24h"
calendar = "24x7"

[[target]]
stage = "respond"
priority = ["P2", "P3", "P4", "P5"]
by = "12:00 next business day"
received_by = "16:00"
calendar = "business"
pause_for = ["site-access"]

[[target]]
stage = "resolve"
priority = ["P2", "P3", "P4", "P5"]
within = "40h"
calendar = "business"
pause_for = ["site-access"]
"#;

const RIDER: &str = r#"
name = "Fast"
rider = true
price = "90.00"

[[override]]
stage = "respond"
within = "1h"
calendar = "24x7"
"#;

const SSA: &str = r#"
number = "SSA-1"
sites = ["s"]
dispute_within = "14d"

[[version]]
effective_from = 2026-01-01
plan = "p"

[[asset_terms]]
asset = "s/r1"
criticality = "high"
manufacturer = { maker = "acme", hand_over_after = "50%" }
"#;

/// The book after edits of `(path, from, to)`.
pub fn book(edits: &[(&str, &str, &str)]) -> Book {
    let mut files: Files = FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    for (path, from, to) in edits {
        let text = files.get_mut(*path).unwrap_or_else(|| panic!("no {path}"));
        assert!(text.contains(from), "{path} has no {from:?}");
        *text = text.replacen(from, to, 1);
    }
    Book::read(&files).unwrap_or_else(|refused| {
        let rendered: Vec<String> = refused.errors.iter().map(|error| error.render(&files, false)).collect();
        panic!("{}", rendered.join("\n"))
    })
}

/// The recorder is down since an instant.
pub fn query(detected: Timestamp) -> MatchQuery {
    MatchQuery {
        client: "c".parse().unwrap(),
        site: "s".parse().unwrap(),
        asset: Some("r1".parse().unwrap()),
        detected: Detected::at(detected),
        class: upheld_model::IncidentClass::Recording,
        kind: upheld_model::IncidentKind::Down,
        check: None,
        affected: Affected::one(),
    }
}

/// The terms of an incident of priority P1 under the plan.
pub fn terms(edits: &[(&str, &str, &str)]) -> PinnedTerms {
    resolve(&book(edits), &query(on("16 08:00"))).unwrap()
}

/// `16 16:20` in UTC of November 2026.
pub fn on(when: &str) -> Timestamp {
    let (day, time) = when.split_once(' ').unwrap();
    let seconds = if time.len() > 5 { "" } else { ":00" };
    format!("2026-11-{day}T{time}{seconds}Z").parse().unwrap_or_else(|error| panic!("{when}: {error}"))
}

/// A start at which detection and receipt fall together.
pub fn start(when: &str) -> ClockStart {
    ClockStart::new(on(when), on(when))
}

/// A fact that was written down as it happened.
pub fn fact(number: u64, when: &str, kind: FactKind) -> Fact {
    late(number, when, when, kind)
}

/// A fact that was written down later.
pub fn late(number: u64, when: &str, recorded: &str, kind: FactKind) -> Fact {
    Fact { number, effective_at: on(when), recorded_at: on(recorded), who: "ana".to_owned(), kind }
}

pub fn paused() -> FactKind {
    FactKind::Paused { reason: "site-access".parse().unwrap(), note: None }
}

pub fn phone() -> FactKind {
    FactKind::Responded { manner: Manner::Phone, with_whom: Some("the owner".to_owned()) }
}

pub fn on_site() -> FactKind {
    FactKind::Responded { manner: Manner::OnSite, with_whom: None }
}

pub fn updated() -> FactKind {
    FactKind::Updated { note: None }
}

pub fn clock(terms: &PinnedTerms, stage: Stage, began: &str, facts: &[Fact]) -> Clock {
    Clock::replay(terms, stage, &start(began), facts).unwrap()
}

pub fn due(clock: &Clock, now: &str) -> Option<Timestamp> {
    clock.view(on(now)).due.instant()
}

/// The deadline driver: applies the effects of one instant and says them.
pub fn drive(clock: &Clock, now: &str, told: &mut Vec<Announced>) -> Vec<String> {
    let effects = clock.milestones_due(on(now), told);
    let said = effects.iter().map(in_words).collect();
    for effect in effects {
        match effect {
            Effect::Announce { announced } => told.push(announced),
            Effect::Withdraw { announced, .. } => told.retain(|known| *known != announced),
        }
    }
    assert_eq!(clock.milestones_due(on(now), told), [], "applied effects leave nothing to do");
    said
}

fn in_words(effect: &Effect) -> String {
    let when = |at: Timestamp| at.strftime("%d %H:%M").to_string();
    let milestone = |announced: &Announced| match announced.milestone {
        Milestone::Warning { fraction } => format!("warning {} {}", fraction.as_percent(), when(announced.due_at)),
        Milestone::Breach => format!("breach {}", when(announced.due_at)),
        Milestone::HandOver { fraction } => format!("hand over {} {}", fraction.as_percent(), when(announced.due_at)),
        Milestone::ManufacturerOverdue => format!("manufacturer overdue {}", when(announced.due_at)),
    };
    match effect {
        Effect::Announce { announced } => milestone(announced),
        Effect::Withdraw { announced, because } => {
            format!("withdrawn {}: fact {:?}", milestone(announced), because.fact)
        }
    }
}
