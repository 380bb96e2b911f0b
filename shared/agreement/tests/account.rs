//! The account of an agreement: figures computed by hand, and what must hold whatever happened (TERMS 2, F8, F9, F13).

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use upheld_agreement::{
    account::{Account, Happened, IncidentTargets, Question, Stretch, Windows, WorkDone, account, needed},
    availability::{AssetUptime, ExcludedSpan, Maintenance, Piece, Seen, Timeline, UnknownWhy, Verdict},
    book::{Book, Exclusion, Files},
    clock::DueAt,
    credit::Cause,
    outcome::{Kept, Outcome},
    rate::Work,
    words::{Manner, Stage},
};
use upheld_model::AssetClass;

const NOVEMBER: (&str, &str) = ("2026-11-01T05:00:00Z", "2026-12-01T06:00:00Z");
const AFTER: &str = "2026-12-02T12:00:00Z";

const PLAN: &str = r#"name = "Gold"
[[target]]
stage = "respond"
within = "4h"
calendar = "business"
[availability]
objective = "99.5%"
per = "asset"
class = ["recorder", "server"]
calendar = "24x7"
window = "month"
exclude = ["maintenance", "client", "utility"]
maintenance_notice = "5d"
unknown = "exclude"
not_proven_above = "1%"
[[credit]]
when = "availability < 99.5%"
amount = "5% of fee"
[[credit]]
when = "availability < 97%"
amount = "10% of fee"
[[credit]]
when = "downtime > 12h per event"
amount = "10% of fee"
[[credit]]
when = "missed respond"
amount = "50.00"
[credit_limits]
cap = "25% of fee"
[[rate]]
band = "business"
remote = "included"
on-site = "145.00/h"
[[rate]]
band = "after-hours"
remote = "165.00/h"
on-site = "210.00/h"
minimum = "1h"
increment = "15min"
travel = "95.00"
"#;

const SSA: &str = r#"number = "SSA-7"
sites = ["north"]
fee = "1850.00/month"
dispute_within = "14d"
[[version]]
effective_from = 2026-01-01
plan = "gold"
[[version]]
effective_from = 2026-11-03
riders = ["premium"]
[[asset_terms]]
asset = "north/nvr-1"
longest_downtime = "24h per month"
cost_of_downtime = "400.00/h"
"#;

/// The book, with some texts replaced.
fn book(replaced: &[(&str, &str)]) -> Book {
    let weekly: String = ["mon", "tue", "wed", "thu", "fri"].map(|day| format!("{day} = [\"08:00-18:00\"]\n")).concat();
    let assets = [("nvr-1", "recorder"), ("srv-1", "server"), ("cam-1", "camera")]
        .map(|(id, class)| format!("[[asset]]\nid = \"{id}\"\nclass = \"{class}\"\n"));
    let files = [
        ("provider.toml", "name = \"Example\"\ncurrency = \"USD\"\ntime_zone = \"America/Chicago\"\n".to_owned()),
        (
            "catalogue.toml",
            "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"high\"\n".to_owned(),
        ),
        (
            "calendars/business.toml",
            format!("time_zone = \"America/Chicago\"\n[weekly]\n{weekly}[bands]\nbusiness = \"weekly\"\nafter-hours = \"rest\"\n"),
        ),
        ("calendars/24x7.toml", "time_zone = \"America/Chicago\"\n[weekly]\nevery-day = [\"00:00-24:00\"]\n".to_owned()),
        ("plans/gold.toml", PLAN.to_owned()),
        (
            "plans/premium.toml",
            "name = \"Premium\"\nrider = true\nprice = \"350.00/month\"\n[[override]]\nstage = \"respond\"\nwithin = \"1h\"\ncalendar = \"24x7\"\n".to_owned(),
        ),
        ("clients/acme/client.toml", "name = \"Acme Foods\"\n".to_owned()),
        ("clients/acme/ssa.toml", SSA.to_owned()),
        (
            "clients/acme/sites/north.toml",
            format!("name = \"North\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n{}", assets.concat()),
        ),
    ];
    let changed = |text: String| replaced.iter().fold(text, |text, (old, new)| text.replace(old, new));
    let files: Files = files.into_iter().map(|(path, text)| (path.to_owned(), changed(text))).collect();
    Book::read(&files).unwrap_or_else(|refused| panic!("{:#?}", refused.errors))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn stretch((from, to): (&str, &str)) -> Stretch {
    Stretch { from: at(from), to: at(to) }
}

fn asked(book: &Book, period: (&str, &str), as_of: &str, happened: &Happened) -> Account {
    let client = "acme".parse().unwrap();
    let question = Question { client: &client, period: stretch(period), as_of: at(as_of), windows: Windows::Whole };
    account(book, question, happened).unwrap()
}

/// An asset that was up but for some stretches, from October to the end of December.
fn asset(name: &str, class: AssetClass, but: &[(&str, &str, Seen)]) -> AssetUptime {
    let (mut pieces, mut reached) = (Vec::new(), at("2026-10-01T05:00:00Z"));
    for &(from, to, state) in but {
        pieces.push(Piece { from: reached, to: at(from), state: Seen::Up });
        pieces.push(Piece { from: at(from), to: at(to), state });
        reached = at(to);
    }
    pieces.push(Piece { from: reached, to: at("2027-01-01T06:00:00Z"), state: Seen::Up });
    AssetUptime {
        site: "north".parse().unwrap(),
        asset: name.parse().unwrap(),
        class,
        timeline: Timeline::new(pieces).unwrap(),
        maintenance: Vec::new(),
        causes: Vec::new(),
    }
}

fn target(incident: &str, version: u32, due: &str, kept: Kept, decided: Option<&str>) -> IncidentTargets {
    let breached_at = matches!(kept, Kept::Late | Kept::Missed).then(|| at(due));
    let decided_at = breached_at.or(decided.map(at));
    let outcome =
        Outcome { stage: Stage::Respond, round: 1, kept, due: DueAt::At { at: at(due) }, breached_at, decided_at };
    IncidentTargets { incident: incident.to_owned(), version, outcomes: vec![outcome], if_disputes_hold: None }
}

fn worked(fact: u64, manner: Manner, from: &str, to: &str) -> WorkDone {
    let work = Work { who: "ben".to_owned(), manner, from: at(from), to: at(to) };
    WorkDone { incident: "acme/INC-1".to_owned(), fact, work }
}

/// A recorder down for 13 h on 10 November, a server with 2 days of a silent agent.
fn november() -> Happened {
    let silent = Seen::Unknown(UnknownWhy::AgentSilent);
    Happened {
        assets: vec![
            asset("nvr-1", AssetClass::Recorder, &[("2026-11-10T00:00:00Z", "2026-11-10T13:00:00Z", Seen::Down)]),
            asset("srv-1", AssetClass::Server, &[("2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z", silent)]),
            asset("cam-1", AssetClass::Camera, &[("2026-11-05T00:00:00Z", "2026-11-06T00:00:00Z", Seen::Down)]),
        ],
        targets: vec![
            target("acme/INC-1", 2, "2026-11-10T01:00:00Z", Kept::Late, None),
            target("acme/INC-2", 2, "2026-11-12T17:00:00Z", Kept::InTime, Some("2026-11-12T16:30:00Z")),
            target("acme/INC-3", 1, "2026-10-30T17:00:00Z", Kept::Missed, None),
        ],
        work: vec![
            worked(5, Manner::OnSite, "2026-11-10T23:00:00Z", "2026-11-11T01:20:00Z"),
            worked(6, Manner::Remote, "2026-11-10T16:00:00Z", "2026-11-10T16:20:00Z"),
        ],
    }
}

#[test]
fn a_month_with_an_amendment_is_counted_under_both_versions() {
    let account = asked(&book(&[]), NOVEMBER, AFTER, &november());
    // November has 30 days and the hour of the autumn fold: 2,595,600 s; v1 held for 176,400 of them.
    let fees: Vec<_> = account.versions.iter().map(|part| part.fee.unwrap().minor).collect();
    assert_eq!(fees, [12_573, 205_049]);
    assert_eq!(account.fee.unwrap().minor, 217_622);
    let figures: Vec<_> = account
        .availability
        .iter()
        .map(|row| (row.version, row.measured.figure.availability().unwrap(), row.verdict))
        .collect();
    assert_eq!(
        figures,
        [
            (1, (176_400, 176_400), Verdict::Kept),
            (1, (176_400, 176_400), Verdict::Kept),
            (2, (2_372_400, 2_419_200), Verdict::Missed),
            // 2 of 28 days unknown are 7 %, and more than 1 % proves nothing.
            (2, (2_246_400, 2_246_400), Verdict::NotProven),
        ]
    );
    // 5 % of what v2's part cost (102.5245), 10 % of a whole month at v2's price, 50.00 for the missed response.
    let credits: Vec<_> = account.credits.lines.iter().map(|line| line.amount.minor).collect();
    assert_eq!(credits, [10_252, 22_000, 5_000]);
    assert_eq!(account.credits.owed.minor, 37_252);
    // 25 % of 125.73 and of 2,050.49.
    assert_eq!(account.credits.windows[0].cap.unwrap().minor, 3_143 + 51_262);
    let kept: Vec<_> = account.targets.iter().map(|row| (row.incident.as_str(), row.outcome.kept)).collect();
    assert_eq!(kept, [("acme/INC-1", Kept::Late), ("acme/INC-2", Kept::InTime)], "October's breach is October's");
}

#[test]
fn downtime_is_told_beside_every_limit_and_costs_the_client() {
    let account = asked(&book(&[]), NOVEMBER, AFTER, &november());
    let rows: Vec<_> = account
        .downtime
        .iter()
        .map(|row| (row.asset.as_str(), row.source.as_str(), row.downtime.seconds / 3600, row.over_s))
        .collect();
    // The month's limit of 24 h was kept, the event's of 12 h was not; the camera's class is not measured.
    assert_eq!(rows, [("nvr-1", "asset_terms", 13, None), ("nvr-1", "credit 3", 13, Some(3_600))]);
    let recorder = account.time.iter().find(|row| row.asset.as_str() == "nvr-1").unwrap();
    assert_eq!(recorder.cost_of_downtime.unwrap().to_string(), "USD 5,200.00");
    assert_eq!(recorder.sums.total_s(), 2_595_600);
}

#[test]
fn work_is_charged_in_its_bands_and_remote_work_in_business_hours_is_included() {
    let account = asked(&book(&[]), NOVEMBER, AFTER, &november());
    // 17:00-18:00 at 145.00, then 80 minutes as 90 at 210.00, no travel: the visit began in business hours.
    let amounts: Vec<_> = account.labour.rows.iter().map(|row| row.amount.unwrap().minor).collect();
    assert_eq!(amounts, [0, 14_500 + 31_500]);
    let bands: Vec<_> =
        account.labour.by_band.iter().map(|sum| (sum.band.as_str(), sum.worked_s, sum.charged_s)).collect();
    assert_eq!(bands, [("after-hours", 4_800, 5_400), ("business", 1_200, 1_200), ("business", 3_600, 3_600)]);
}

#[test]
fn included_hours_go_first_in_each_month_and_what_is_beyond_them_is_said() {
    let plan = book(&[("name = \"Gold\"", "name = \"Gold\"\nincluded_hours = \"2h per month\"")]);
    let account = asked(&plan, NOVEMBER, AFTER, &november());
    // 150 minutes are charged, 60 in business hours and 90 after them: two hours of them are covered.
    assert_eq!(account.labour.total.minor, 10_500);
    let [included] = account.labour.included.as_slice() else { panic!("{:?}", account.labour.included) };
    assert_eq!((included.given_s, included.used_s, included.left_s, included.overage_s), (7_200, 7_200, 0, 1_800));
    let second_half = asked(&plan, ("2026-11-11T00:00:00Z", NOVEMBER.1), AFTER, &november());
    assert_eq!(second_half.labour.rows.len(), 0);
    assert_eq!(second_half.labour.included[0].left_s, 0, "the month's first half has used them");
    let december = asked(&plan, ("2026-12-01T06:00:00Z", "2027-01-01T06:00:00Z"), AFTER, &november());
    assert_eq!(december.labour.included[0].left_s, 7_200);
    assert!(
        december.text().contains("Work: none was entered; included hours of 2026-12: 0 s of 2 h used"),
        "{}",
        december.text()
    );
}

#[test]
fn maintenance_without_notice_counts_and_what_is_disputed_counts_both_ways() {
    let mut happened = november();
    let window = |announced: &str, is_disputed| Maintenance {
        from: at("2026-11-10T00:00:00Z"),
        to: at("2026-11-10T06:00:00Z"),
        announced_at: at(announced),
        entered_at: at(announced),
        is_disputed,
    };
    happened.assets[0].maintenance = vec![window("2026-11-08T00:00:00Z", false)];
    let late = asked(&book(&[]), NOVEMBER, AFTER, &happened);
    let figure = |account: &Account| account.availability[2].measured.clone();
    assert_eq!(figure(&late).figure.availability(), Some((2_372_400, 2_419_200)));
    assert_eq!(figure(&late).not_agreed.len(), 1);
    happened.assets[0].maintenance = vec![window("2026-11-01T00:00:00Z", true)];
    let disputed = asked(&book(&[]), NOVEMBER, AFTER, &happened);
    assert_eq!(figure(&disputed).figure.availability(), Some((2_372_400, 2_419_200 - 21_600)));
    assert_eq!(figure(&disputed).if_disputes_hold.unwrap().availability(), Some((2_372_400, 2_419_200)));
    // Seven hours as counted, thirteen if the client is right: only then the event's limit is passed.
    let event = disputed.downtime.iter().find(|row| row.source == "credit 3").unwrap();
    assert_eq!((event.downtime.seconds, event.seconds_if_disputes_hold), (7 * 3_600, Some(13 * 3_600)));
    assert_eq!((disputed.credits.owed.minor, disputed.credits.if_disputes_hold.unwrap().minor), (15_252, 37_252));
}

#[test]
fn an_excluded_cause_leaves_the_figure_and_the_event() {
    let mut happened = november();
    happened.assets[0].causes = vec![ExcludedSpan {
        from: at("2026-11-10T00:00:00Z"),
        to: at("2026-11-10T12:30:00Z"),
        cause: Exclusion::Utility,
        is_disputed: false,
    }];
    let account = asked(&book(&[]), NOVEMBER, AFTER, &happened);
    assert_eq!(account.availability[2].verdict, Verdict::Kept);
    assert_eq!(account.credits.owed.minor, 5_000);
    let mut isp = happened;
    isp.assets[0].causes[0].cause = Exclusion::Isp;
    assert_eq!(asked(&book(&[]), NOVEMBER, AFTER, &isp).credits.owed.minor, 37_252, "the plan does not leave it out");
}

#[test]
fn the_cap_holds_for_each_window_and_a_quarter_owes_what_its_months_owe() {
    let plan = book(&[("amount = \"50.00\"", "amount = \"400.00\"")]);
    let mut happened = november();
    happened.targets.push(target("acme/INC-4", 2, "2026-12-10T17:00:00Z", Kept::Missed, None));
    let owed = |period, as_of| asked(&plan, period, as_of, &happened).credits.owed.minor;
    let months =
        [("2026-10-01T05:00:00Z", "2026-11-01T05:00:00Z"), NOVEMBER, ("2026-12-01T06:00:00Z", "2027-01-01T06:00:00Z")]
            .map(|month| owed(month, "2027-01-05T00:00:00Z"));
    assert_eq!(months, [40_000, 3_143 + 51_262, 40_000], "October's 400.00 is under the cap of 462.50");
    let quarter = owed(("2026-10-01T05:00:00Z", "2027-01-01T06:00:00Z"), "2027-01-05T00:00:00Z");
    assert_eq!(quarter, months.iter().sum::<u64>());
}

#[test]
fn a_month_that_is_not_over_owes_nothing_yet_and_says_so() {
    let account = asked(&book(&[]), NOVEMBER, "2026-11-15T12:00:00Z", &november());
    assert_eq!(account.credits.owed.minor, 0);
    assert!(account.availability.iter().filter(|row| row.version == 2).all(|row| !row.is_final));
    let text = account.text();
    assert!(text.contains("The period is not over"), "{text}");
    assert!(text.contains("none are owed; USD "), "{text}");
}

#[test]
fn the_same_seconds_by_asset_class_and_site() {
    let figures = |per: &str| {
        let book =
            book(&[("per = \"asset\"", &format!("per = \"{per}\"")), ("class = [\"recorder\", \"server\"]\n", "")]);
        let account = asked(&book, NOVEMBER, AFTER, &november());
        let rows = account.availability.iter().map(|row| row.measured.figure);
        rows.fold(upheld_agreement::availability::Figure::default(), |sum, figure| sum.plus(figure))
    };
    assert_eq!(figures("asset"), figures("site"));
    assert_eq!(figures("asset"), figures("class"));
    assert!(figures("asset").tally.down_s > 0);
}

#[test]
fn every_figure_can_be_asked_why_and_no_name_is_there_twice() {
    let account = asked(&book(&[]), NOVEMBER, AFTER, &november());
    let names = account.figures();
    let mut once = names.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), names.len(), "{names:#?}");
    for name in &names {
        assert!(account.why(name).is_some_and(|why| why.lines().count() >= 2), "{name}");
        assert!(account.text().contains(name.as_str()), "{name}");
    }
    assert_eq!(account.why("credit/9"), None);
    let credit = account.why("credit/2").unwrap();
    assert!(credit.contains("USD 220.00 of USD 2,200.00: downtime of north/nvr-1 13 h per event"), "{credit}");
    assert!(credit.contains("cap USD 544.05, owed USD 372.52"), "{credit}");
}

#[test]
fn the_statement_reads_as_a_person_would_say_it() {
    insta::assert_snapshot!(asked(&book(&[]), NOVEMBER, AFTER, &november()).text());
}

#[test]
fn what_is_needed_reaches_from_before_the_agreements_year() {
    let client = "acme".parse().unwrap();
    let question = Question { client: &client, period: stretch(NOVEMBER), as_of: at(AFTER), windows: Windows::Whole };
    let needed = needed(&book(&[]), question).unwrap();
    assert!(needed.from < at("2026-01-01T06:00:00Z") && needed.to == at(AFTER), "{needed:?}");
}

#[test]
fn a_client_without_terms_is_refused_by_name() {
    let (book, none) = (book(&[]), "nobody".parse().unwrap());
    let ask = |client, period| {
        let question = Question { client, period: stretch(period), as_of: at(AFTER), windows: Windows::Whole };
        account(&book, question, &Happened::default()).unwrap_err().to_string()
    };
    assert_eq!(ask(&none, NOVEMBER), "`nobody` has no agreement");
    let acme = "acme".parse().unwrap();
    assert!(
        ask(&acme, ("2025-01-01T06:00:00Z", "2025-02-01T06:00:00Z")).starts_with("no version of SSA-7 is in force")
    );
    assert!(ask(&acme, (NOVEMBER.1, NOVEMBER.0)).starts_with("the period ends"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever was seen: the parts of each asset sum to the period, up is at most what counted, credits are at most the
    /// cap, and the order in which facts are handed over changes no letter.
    #[test]
    fn an_account_adds_up_whatever_happened(
        lengths in proptest::collection::vec((1_i64..400_000, 0_u8..5), 1..40),
        missed in proptest::collection::vec(0_i64..2_500_000, 0..20),
        days in 1_i64..30,
    ) {
        let first = at("2026-10-20T05:00:00Z");
        let timeline = |skip: usize| {
            let mut reached = first;
            let mut pieces: Vec<Piece> = Vec::new();
            for &(length, state) in &lengths[skip.min(lengths.len() - 1)..] {
                let to = reached + SignedDuration::from_secs(length);
                let state = match state {
                    0 => Seen::Down,
                    1 => Seen::Degraded,
                    2 => Seen::Unknown(UnknownWhy::Collector),
                    3 => Seen::Unknown(UnknownWhy::Off),
                    _ => Seen::Up,
                };
                pieces.push(Piece { from: reached, to, state });
                reached = to;
            }
            Timeline::new(pieces).unwrap()
        };
        let mut happened = november();
        for (index, asset) in happened.assets.iter_mut().enumerate() {
            asset.timeline = timeline(index * 3);
        }
        happened.targets = missed.iter().enumerate().map(|(index, second)| {
            let due = at(NOVEMBER.0) + SignedDuration::from_secs(*second);
            target(&format!("acme/INC-{index}"), 1 + u32::from(*second > 176_400), &due.to_string(), Kept::Missed, None)
        }).collect();
        let book = book(&[]);
        let to = (at(NOVEMBER.0) + SignedDuration::from_hours(24 * days)).to_string();
        for period in [NOVEMBER, (NOVEMBER.0, to.as_str())] {
            let account = asked(&book, period, AFTER, &happened);
            for row in &account.time {
                prop_assert_eq!(row.sums.total_s(), stretch(period).seconds());
            }
            for row in &account.availability {
                let figure = row.measured.figure;
                prop_assert!(figure.uptime.up_s <= figure.uptime.counted_s());
                let tally = figure.tally;
                let all = tally.up_s + tally.degraded_s + tally.down_s + tally.unknown_s + tally.excluded_s;
                prop_assert_eq!(all, row.measured_over.seconds());
            }
            for window in &account.credits.windows {
                prop_assert!(window.owed <= window.sum && window.cap.is_some_and(|cap| window.owed <= cap));
                let lines = account.credits.lines.iter().filter(|line| line.window == window.window);
                prop_assert_eq!(window.sum.minor, lines.map(|line| line.amount.minor).sum::<u64>());
            }
            let mut turned = happened.clone();
            turned.assets.reverse();
            turned.targets.reverse();
            turned.work.reverse();
            let again = asked(&book, period, AFTER, &turned);
            prop_assert_eq!(again.text(), account.text());
        }
    }

    /// Fees of any partition of a month add up to the month.
    #[test]
    fn the_parts_of_a_month_cost_what_the_month_costs(day in 2_i8..29, cents in 1_u64..10_000_000) {
        let fee = format!("fee = \"{}.{:02}/month\"", cents / 100, cents % 100);
        let book = book(&[
            ("fee = \"1850.00/month\"", &fee),
            ("effective_from = 2026-11-03\nriders = [\"premium\"]", &format!("effective_from = 2026-11-{day:02}\nriders = []")),
        ]);
        let account = asked(&book, NOVEMBER, AFTER, &Happened::default());
        prop_assert_eq!(account.versions.len(), 2);
        prop_assert_eq!(account.fee.unwrap().minor, cents);
    }
}

#[test]
fn a_downtime_credit_names_the_asset() {
    let account = asked(&book(&[]), NOVEMBER, AFTER, &november());
    let downtime = account.credits.lines.iter().find(|line| matches!(line.cause, Cause::Downtime { .. })).unwrap();
    assert_eq!(downtime.about.as_deref(), Some("north/nvr-1"));
}
