//! What-if over 100,000 incidents and over ten times as many: seconds, and the exponent between the two.
//!
//! Each incident has a ledger of two facts and is replayed under its pinned terms and under a book with a rider. The
//! pinned terms are made beforehand: they come from the store.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use upheld_agreement::{
    book::{Book, Files},
    clock::{ClockStart, Fact, FactKind},
    matching::{Affected, Detected, MatchQuery, resolve},
    terms::PinnedTerms,
    what_if::{PastIncident, what_if},
    words::Manner,
};

const SITES: i64 = 50;
const INCIDENTS: i64 = 100_000;

fn main() {
    let (plain, premium) = (book(""), book("riders = [\"premium\"]"));
    let first = Timestamp::from_second(1_770_000_000).expect("an instant of 2026");
    let pinned: Vec<PinnedTerms> =
        (0..SITES).map(|site| resolve(&plain, &query(site, first)).expect("the book covers its sites")).collect();
    let as_of = Timestamp::from_second(1_790_000_000).expect("an instant of 2026");
    let mut seconds = Vec::new();
    for (size, name) in [(INCIDENTS / 10, "warm-up"), (INCIDENTS, "100,000"), (INCIDENTS * 10, "1,000,000")] {
        // A million pinned terms are gigabytes: the incidents come in parts, as they do from a store.
        let mut took = 0.0;
        let (mut breaches, mut changed) = (0, 0);
        for part in 0..size / (INCIDENTS / 10) {
            let numbers = part * (INCIDENTS / 10)..(part + 1) * (INCIDENTS / 10);
            let past: Vec<PastIncident> = numbers.map(|number| incident(&pinned, first, number)).collect();
            let began = Instant::now();
            let found = what_if(&past, &premium, as_of).expect("calendars that compile");
            took += began.elapsed().as_secs_f64();
            breaches += found.after.breaches;
            changed += found.changed.len();
        }
        println!(
            "{name:>10} incidents: {took:7.2} s, {breaches} breaches under the other book, {changed} incidents changed"
        );
        seconds.push(took);
    }
    if let [_, small, large] = seconds.as_slice() {
        println!("exponent of ten times as many: {:.2}", (large / small).log10());
    }
}

fn incident(pinned: &[PinnedTerms], first: Timestamp, number: i64) -> PastIncident {
    let site = number % SITES;
    let detected = first + SignedDuration::from_secs(number % 150 * 97_001);
    let fact = |fact_number: u64, minutes: i64, kind| {
        let at = detected + SignedDuration::from_mins(minutes);
        Fact { number: fact_number, effective_at: at, recorded_at: at, who: "ana".to_owned(), kind }
    };
    let responded = FactKind::Responded { manner: Manner::Remote, with_whom: None };
    PastIncident {
        name: format!("acme/INC-{number}"),
        query: query(site, detected),
        start: ClockStart::new(detected, detected),
        facts: vec![fact(1, number % 131, responded), fact(2, 60 + number % 977, FactKind::Resolved)],
        pinned: usize::try_from(site).ok().and_then(|site| pinned.get(site)).cloned(),
    }
}

fn query(site: i64, detected: Timestamp) -> MatchQuery {
    MatchQuery {
        client: "acme".parse().expect("a name"),
        site: format!("site-{site}").parse().expect("a name"),
        asset: Some("srv-1".parse().expect("a name")),
        detected: Detected::at(detected),
        class: "service".parse().expect("a class"),
        kind: "down".parse().expect("a kind"),
        check: None,
        affected: Affected::one(),
    }
}

fn book(riders: &str) -> Book {
    let mut files = Files::new();
    let mut add = |path: &str, text: &str| drop(files.insert(path.to_owned(), text.to_owned()));
    add("provider.toml", "name = \"Example\"\ncurrency = \"USD\"\ntime_zone = \"America/Chicago\"\n");
    add(
        "catalogue.toml",
        "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"high\"\n",
    );
    let weekly: String = ["mon", "tue", "wed", "thu", "fri"].map(|day| format!("{day} = [\"08:00-18:00\"]\n")).concat();
    add("calendars/business.toml", &format!("time_zone = \"America/Chicago\"\n[weekly]\n{weekly}"));
    add("calendars/24x7.toml", "time_zone = \"America/Chicago\"\n[weekly]\nevery-day = [\"00:00-24:00\"]\n");
    let target = |stage: &str, within: &str| {
        format!(
            "[[target]]\nstage = \"{stage}\"\nwithin = \"{within}\"\ncalendar = \"business\"\nwarn_at = [\"50%\", \"75%\"]\n"
        )
    };
    let targets = target("acknowledge", "1h") + &target("respond", "4h") + &target("resolve", "16h");
    add("plans/gold.toml", &format!("name = \"Gold\"\n{targets}"));
    let rider = "name = \"Premium\"\nrider = true\nprice = \"350.00/month\"\n[[override]]\nstage = \"respond\"\nwithin = \"1h\"\ncalendar = \"24x7\"\n";
    add("plans/premium.toml", rider);
    add("clients/acme/client.toml", "name = \"Acme\"\n");
    let sites: Vec<String> = (0..SITES).map(|site| format!("\"site-{site}\"")).collect();
    let version = format!("[[version]]\neffective_from = 2026-01-01\nplan = \"gold\"\n{riders}\n");
    add(
        "clients/acme/ssa.toml",
        &format!("number = \"SSA-1\"\nsites = [{}]\nfee = \"1850.00/month\"\n{version}", sites.join(", ")),
    );
    for site in 0..SITES {
        let text = "name = \"Site\"\ntime_zone = \"America/Chicago\"\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\n";
        add(&format!("clients/acme/sites/site-{site}.toml"), text);
    }
    Book::read(&files).unwrap_or_else(|refused| panic!("{:#?}", refused.errors))
}
