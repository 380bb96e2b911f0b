use proptest::prelude::*;

use super::*;
use crate::{
    bands::{Band, BandRule},
    book::{Located, Place, PlainSeconds},
    calendar::{CalendarDef, Hours, Weekly},
};

fn usd() -> Currency {
    Currency::parse("USD").unwrap()
}

fn def() -> CalendarDef {
    let weekly = Weekly { sat: vec![], sun: vec![], ..Weekly::every_day(&[Hours("08:00".into(), "18:00".into())]) };
    CalendarDef { tz: "UTC".into(), weekly, ..CalendarDef::default() }
}

fn bands() -> Bands {
    let band = |name: &str, when| Band { name: name.to_owned(), when };
    let list = [
        band("business", BandRule::Weekly),
        band("weekend", BandRule::Days(vec![5, 6])),
        band("after-hours", BandRule::Rest),
    ];
    Bands::compile(&def(), &list).unwrap()
}

fn price(text: &str) -> Price {
    Price::parse(text, usd()).unwrap()
}

fn rate(band: &str, prices: &[(Manner, Option<&str>)], minimum_s: u64, increment_s: u64, travel: Option<&str>) -> Rate {
    let place = Place { file: "plans/gold.toml".into(), from: 0, to: 0 };
    let of = |cost: Option<&str>| cost.map_or(RatePrice::Included, |text| RatePrice::Costs(price(text)));
    Rate {
        band: vec![Located { value: band.to_owned(), place }],
        prices: prices.iter().map(|&(manner, cost)| (manner, of(cost))).collect(),
        minimum_s: Some(PlainSeconds(minimum_s)),
        increment_s: Some(PlainSeconds(increment_s)),
        travel: travel.map(price),
    }
}

fn rates() -> Vec<Rate> {
    vec![
        rate("business", &[(Manner::Remote, None), (Manner::OnSite, Some("145.00/h"))], 0, 1, None),
        rate(
            "after-hours",
            &[(Manner::Remote, Some("165.00/h")), (Manner::OnSite, Some("210.00/h"))],
            3600,
            900,
            Some("95.00"),
        ),
        rate("weekend", &[(Manner::OnSite, Some("260.00/h"))], 7200, 900, Some("95.00")),
    ]
}

/// A time of Monday, 23 November 2026.
fn on(time: &str) -> Timestamp {
    format!("2026-11-23T{time}:00Z").parse().unwrap()
}

fn work(manner: Manner, from: &str, to: &str) -> Work {
    Work { who: "ana".to_owned(), manner, from: on(from), to: on(to) }
}

/// Band, charged minutes and minor units of each line; travel has no minutes.
fn lines(bill: &Bill) -> Vec<(&str, Option<u64>, u64)> {
    let minutes = |line: &Line| match line.what {
        LineFor::Time { charged_s, .. } => Some(charged_s / 60),
        LineFor::Travel => None,
    };
    bill.lines.iter().map(|line| (line.band.as_str(), minutes(line), line.amount.minor)).collect()
}

fn bill_of(work: &[Work], included_s: u64) -> Result<Bill, RateError> {
    let (bands, rates) = (bands(), rates());
    Tariff { bands: &bands, rates: &rates, currency: usd() }.bill(work, included_s)
}

#[test]
fn work_is_split_where_the_band_changes() {
    let bill = bill_of(&[work(Manner::OnSite, "17:00", "19:20")], 0).unwrap();
    // 140 minutes become 150 by the last band's quarter of an hour.
    assert_eq!(lines(&bill), [("business", Some(60), 14_500), ("after-hours", Some(90), 31_500)]);
    assert_eq!(bill.total.to_string(), "USD 460.00");
}

#[test]
fn a_minimum_an_increment_and_the_way_are_charged_once() {
    let bill = bill_of(&[work(Manner::OnSite, "20:00", "20:10"), work(Manner::Remote, "20:00", "21:01")], 0).unwrap();
    let expected = [("after-hours", None, 9_500), ("after-hours", Some(60), 21_000), ("after-hours", Some(75), 20_625)];
    assert_eq!(lines(&bill), expected);
    let into_business = bill_of(&[work(Manner::OnSite, "07:50", "08:10")], 0).unwrap();
    let expected = [("after-hours", None, 9_500), ("after-hours", Some(50), 17_500), ("business", Some(10), 2_417)];
    assert_eq!(lines(&into_business), expected, "the minimum of an hour at the price of its beginning");
}

#[test]
fn what_the_fee_covers_costs_nothing_and_included_hours_go_first() {
    let remote = bill_of(&[work(Manner::Remote, "09:00", "09:01")], 0).unwrap();
    assert_eq!(lines(&remote), [("business", Some(1), 0)]);
    let work = [work(Manner::OnSite, "09:00", "11:00"), work(Manner::OnSite, "12:00", "13:00")];
    let bill = bill_of(&work, 9_000).unwrap();
    assert_eq!(lines(&bill), [("business", Some(120), 0), ("business", Some(60), 7_250)]);
    assert_eq!((bill.included_left_s, bill_of(&work, 99_000).unwrap().included_left_s), (0, 99_000 - 10_800));
}

#[test]
fn a_quote_says_what_it_costs_now_and_when_the_office_opens() {
    let (bands, rates) = (bands(), rates());
    let tariff = Tariff { bands: &bands, rates: &rates, currency: usd() };
    let calendar = Calendar::compile(&def()).unwrap();
    let quote = tariff.quote(Manner::OnSite, 7200, on("05:00"), &calendar, 0).unwrap();
    assert_eq!(quote.now.total.to_string(), "USD 515.00");
    let (opening, then) = quote.at_next_opening.unwrap();
    assert_eq!((opening, then.total.to_string()), (on("08:00"), "USD 290.00".to_owned()));
    assert_eq!(tariff.quote(Manner::OnSite, 7200, on("09:00"), &calendar, 0).unwrap().at_next_opening, None);
}

#[test]
fn work_without_a_price_is_refused_by_name() {
    let saturday = Work {
        from: on("20:00"),
        to: "2026-11-28T09:00:00Z".parse().unwrap(),
        ..work(Manner::Remote, "20:00", "20:00")
    };
    let no_rate = RateError::NoRate { band: "weekend".to_owned(), manner: Manner::Remote };
    assert_eq!(bill_of(&[saturday], 0), Err(no_rate));
    let nothing = work(Manner::OnSite, "20:00", "20:00");
    assert!(matches!(bill_of(&[nothing], 0), Err(RateError::NoTime { entry: 0, .. })));
    let mut monthly = rates();
    monthly[0].prices[1].1 = RatePrice::Costs(price("145.00/month"));
    let bands = bands();
    let tariff = Tariff { bands: &bands, rates: &monthly, currency: usd() };
    let refused = tariff.bill(&[work(Manner::OnSite, "09:00", "10:00")], 0).unwrap_err();
    assert_eq!(refused.to_string(), "USD 145.00 a month is not the price of an hour");
}

proptest! {
    #[test]
    fn every_second_worked_is_on_one_line_and_the_bill_is_the_sum_of_its_lines(
        start_s in 0..14 * 86_400_i64,
        length_s in 1..2 * 86_400_i64,
        included_s in 0..20_000_u64,
    ) {
        let at = |seconds: i64| on("00:00") + SignedDuration::from_secs(seconds);
        let (from, to) = (at(start_s), at(start_s + length_s));
        let work = Work { who: "ana".to_owned(), manner: Manner::OnSite, from, to };
        let bill = bill_of(std::slice::from_ref(&work), included_s).unwrap();
        let (mut worked, mut charged, mut included) = (0, 0, 0);
        for line in &bill.lines {
            if let LineFor::Time { worked_s, charged_s, included_s, .. } = line.what {
                prop_assert!(worked_s <= charged_s && included_s <= charged_s);
                worked += worked_s;
                charged += charged_s;
                included += included_s;
            }
        }
        prop_assert_eq!(worked, length_s.unsigned_abs());
        prop_assert!(charged >= worked);
        prop_assert_eq!(included + bill.included_left_s, included_s);
        prop_assert_eq!(bill.total.minor, bill.lines.iter().map(|line| line.amount.minor).sum::<u64>());
    }
}

#[test]
fn a_correction_stands_in_the_place_of_an_entry_and_nothing_is_rewritten() {
    let fact = |number, from: &str, to: &str, corrects| Fact {
        number,
        effective_at: on(to),
        recorded_at: on(to),
        who: "ana".to_owned(),
        kind: FactKind::Worked {
            worker: "ben".to_owned(),
            manner: Manner::OnSite,
            from: on(from),
            to: on(to),
            role: None,
            corrects,
        },
    };
    let facts = [
        fact(1, "09:00", "11:00", None),
        fact(2, "12:00", "13:00", None),
        fact(3, "09:30", "11:00", Some(1)),
        fact(4, "13:00", "13:00", Some(2)),
    ];
    let entries = entries(&facts);
    assert_eq!(entries.iter().map(|entry| entry.corrected_by).collect::<Vec<_>>(), [Some(3), Some(4), None, None]);
    let charged: Vec<u64> = entries.iter().filter(|entry| entry.is_charged()).map(|entry| entry.fact).collect();
    assert_eq!(charged, [3]);
    let twice = [facts.as_slice(), &[fact(5, "10:00", "11:00", Some(1))]].concat();
    let charged: Vec<u64> =
        super::entries(&twice).iter().filter(|entry| entry.is_charged()).map(|entry| entry.fact).collect();
    assert_eq!(charged, [5], "two corrections of one entry are not charged twice");
    let turned: Vec<Fact> = facts.iter().rev().cloned().collect();
    assert_eq!(super::entries(&turned), entries);
}
