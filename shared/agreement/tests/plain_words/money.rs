//! Rates, credits and fees, held against the tariff and the credits.

use jiff::{Timestamp, ToSpan};
use upheld_agreement::{
    account::{Happened, Question, Stretch, Windows, account, tariff},
    availability::{Figure, Unit},
    bands::Bands,
    book::CreditWhen,
    credit::{Measures, Missed, credit as owed},
    downtime::Downtime,
    explain::{CapClaim, CreditClaim, FeeClaim, IncludedClaim, RateClaim},
    money::{Currency, Money},
    rate::{RateError, Work},
    uptime_cases::Uptime,
    words::Manner,
};

use super::{Case, read};

const MANNERS: [(Manner, &str); 3] =
    [(Manner::Remote, "remotely"), (Manner::Phone, "by phone"), (Manner::OnSite, "on site")];

/// An hour, and twenty minutes, of each manner in each band cost what the sentence says.
pub(crate) fn rate(case: &Case, claim: &RateClaim, text: &str) {
    let tariff_of = tariff(&case.book, case.plan()).unwrap();
    let tariff = tariff_of.tariff();
    let costs = text.split_once(" costs: ").unwrap().1;
    let list = costs.split_once(". ").map_or(costs, |(list, _)| list);
    let (least_s, step_s) = least_and_step(text);
    for band in &claim.bands {
        assert!(text.contains(&format!("\"{band}\"")), "{text}");
        let from = an_hour_in(tariff.bands, band, case.at);
        for (manner, said) in MANNERS {
            let part = list.split("; ").find_map(|part| part.trim_end_matches('.').strip_prefix(said));
            for worked_s in [3600_u64, 1200] {
                let to = from + i64::try_from(worked_s).unwrap().seconds();
                let work = Work { who: "ana".to_owned(), manner, from, to };
                let bill = tariff.bill(&[work], 0);
                match part {
                    None => assert!(matches!(bill, Err(RateError::NoRate { .. })), "{text}: {manner}"),
                    Some(part) => {
                        let expected = expected(part, worked_s, least_s, step_s);
                        assert_eq!(bill.unwrap().total.minor, expected, "{band} {manner} {worked_s} s: {text}");
                    }
                }
            }
        }
    }
}

/// So much work costs nothing, a second hour beyond it does, and the way always does.
pub(crate) fn included(case: &Case, claim: IncludedClaim, text: &str) {
    assert_eq!(read::durations(text).into_iter().collect::<Vec<_>>(), [claim.seconds], "{text}");
    let tariff_of = tariff(&case.book, case.plan()).unwrap();
    let tariff = tariff_of.tariff();
    let band = &case.plan().rates[0].band[0].value;
    let from = an_hour_in(tariff.bands, band, case.at);
    let cost = |manner, included_s| {
        let work = Work { who: "ana".to_owned(), manner, from, to: from + 1.hour() };
        tariff.bill(&[work], included_s).unwrap().total.minor
    };
    assert_eq!(cost(Manner::Remote, claim.seconds), 0);
    assert!(cost(Manner::Remote, 0) > 0 && cost(Manner::OnSite, claim.seconds) > 0, "{text}");
}

/// In cents: the hours that are charged, and the way.
fn expected(part: &str, worked_s: u64, least_s: u64, step_s: u64) -> u64 {
    let (hourly, way) = match part.split_once(" and USD ") {
        Some((hourly, way)) => (hourly, read::dollars(&format!("USD {way}"))[0]),
        None => (part, 0),
    };
    match hourly.contains("nothing beyond the fee") {
        true => way,
        false => {
            let charged_s = worked_s.max(least_s).next_multiple_of(step_s);
            way + read::dollars(hourly)[0] * charged_s / 3600
        }
    }
}

fn least_and_step(text: &str) -> (u64, u64) {
    let Some((_, sentence)) = text.split_once("Of time that costs, ") else { return (0, 1) };
    let of = |text: &str| read::durations(text).first().copied().unwrap();
    let (least, step) = sentence.split_once(" at least").unwrap();
    (of(least), step.split_once("in steps of ").map_or(1, |(_, step)| of(step)))
}

fn an_hour_in(bands: &Bands, band: &str, at: Timestamp) -> Timestamp {
    let begins = (0..24 * 120).map(|hour| at + hour.hours());
    let is_whole = |from: &Timestamp| {
        let stretches = bands.stretches(*from, *from + 1.hour());
        stretches.len() == 1 && stretches[0].band == band
    };
    begins.into_iter().find(is_whole).unwrap_or_else(|| panic!("no hour in {band}"))
}

/// The tier is owed just beyond its limit, not at it, and is worth what the sentence says.
pub(crate) fn credit(case: &Case, claim: &CreditClaim, text: &str) {
    let said = *read::dollars(text).last().unwrap();
    let limits =
        case.plan().credit_limits.clone().map(|limits| upheld_agreement::book::CreditLimits { cap: None, ..limits });
    let note = |measures: Measures| {
        owed(std::slice::from_ref(&claim.tier), limits.as_ref(), usd(), &measures).unwrap().owed.minor
    };
    let fee = claim.fee;
    let (at_limit, beyond) = match claim.tier.when {
        CreditWhen::AvailabilityBelow(share) => {
            assert_eq!(read::percents(text)[0], share, "{text}");
            let (up, counted) = share.parts();
            let figure = |up_s, down_s| {
                let unit = Unit::Site { site: "office".parse().unwrap() };
                (unit, Figure { uptime: Uptime { up_s, down_s, ..Uptime::default() }, ..Figure::default() })
            };
            let measures = |one| Measures { fee, availability: vec![one], ..Measures::default() };
            (measures(figure(up, counted - up)), measures(figure(up * 1000 - 1, (counted - up) * 1000 + 1)))
        }
        CreditWhen::DowntimeAbove(limit) => {
            assert!(read::durations(text).contains(&limit.seconds), "{text}");
            let down = |seconds| Downtime { from: case.at, to: case.at, per: limit.per, seconds };
            let measures = |one| Measures { fee, downtime: vec![one], ..Measures::default() };
            (measures(down(limit.seconds)), measures(down(limit.seconds + 1)))
        }
        CreditWhen::Missed(stage) => {
            let missed = Missed { incident: "INC-7".to_owned(), stage };
            (Measures { fee, ..Measures::default() }, Measures { fee, missed: vec![missed], ..Measures::default() })
        }
    };
    assert_eq!((note(at_limit), note(beyond)), (0, said), "{text}");
    assert_eq!(claim.worth.unwrap().minor, said);
}

/// However much is missed, no more is owed than the cap.
pub(crate) fn cap(case: &Case, claim: &CapClaim, text: &str) {
    let cap = claim.worth.unwrap();
    assert!(read::dollars(text).contains(&cap.minor), "{text}");
    let fee = claim.fee.unwrap();
    assert!(read::dollars(text).contains(&fee.minor), "{text}");
    let missed: Vec<Missed> = case
        .plan()
        .credits
        .iter()
        .filter_map(|tier| match tier.when {
            CreditWhen::Missed(stage) => Some(stage),
            CreditWhen::AvailabilityBelow(_) | CreditWhen::DowntimeAbove(_) => None,
        })
        .flat_map(|stage| (0..1000).map(move |n| Missed { incident: format!("INC-{n}"), stage }))
        .collect();
    let figure = Figure { uptime: Uptime { up_s: 0, down_s: 1, ..Uptime::default() }, ..Figure::default() };
    let unit = |n: u32| Unit::Site { site: format!("site-{n}").parse().unwrap() };
    let availability = (0..100).map(|n| (unit(n), figure)).collect();
    let measures = Measures { fee: Some(fee), availability, missed, downtime: Vec::new() };
    let note = owed(&case.plan().credits, Some(&claim.limits), usd(), &measures).unwrap();
    assert!(note.sum > note.owed && note.owed == cap, "{text}: {note:?}");
}

pub(crate) fn fee(case: &Case, claim: &FeeClaim, text: &str) {
    let riders = case.version().riders.iter().map(|rider| case.book.riders[&rider.value].price.unwrap());
    let prices: Vec<Money> = case.version().fee.into_iter().chain(riders).map(|price| price.amount).collect();
    assert_eq!(read::dollars(text), prices.iter().map(|amount| amount.minor).collect::<Vec<_>>(), "{text}");
    assert_eq!(claim.riders.len(), case.version().riders.len());
    // The account takes the same fee for a month.
    let period = Stretch { from: case.at, to: case.at + 1.hour() };
    let question = Question { client: &case.said.client, period, as_of: period.to, windows: Windows::Cut };
    let account = account(&case.book, question, &Happened::default()).unwrap();
    let monthly = prices.iter().map(|amount| amount.minor).sum();
    assert_eq!(account.versions[0].monthly, Some(Money { minor: monthly, currency: usd() }));
}

fn usd() -> Currency {
    Currency::parse("USD").unwrap()
}
