//! S2: a link that loses packets on weekday afternoons, and links that lose them at any hour.

use jiff::{Timestamp, ToSpan as _, civil::Date};
use upheld_detection::{
    plan::Site,
    time_of_day::{Cells, LossCells, evaluate},
};
use upheld_model::{AssetClass, IncidentClass, IncidentKind};

use crate::{
    dice::Dice,
    site::{Building, DAY, Story, site},
};

/// One round a minute, 20 packets each.
const SENT: u32 = 20;

#[test]
fn a_bad_afternoon_is_found_by_the_eighth_and_mostly_by_the_fifth() {
    for installed in [MONDAY, FRIDAY] {
        let mut bad_days: Vec<u32> = (0..30).map(|seed| found_on_bad_day(seed, installed)).collect();
        bad_days.sort_unstable();
        assert!(bad_days[15] <= 5 && bad_days[29] <= 8, "{installed}: {bad_days:?}");
    }
}

#[test]
fn trouble_at_any_hour_hardly_ever_has_hours() {
    for bursts_a_day in [0.5, 1.0, 2.0] {
        let alarms = (0..100).filter(|seed| alarms_in_ninety_days(*seed, bursts_a_day)).count();
        assert!(alarms <= 2, "{bursts_a_day} bursts a day: {alarms} of 100");
    }
}

#[test]
fn the_sentence_names_the_hours_and_the_days() {
    let mut dice = Dice::new(7);
    let mut story = Story::new();
    for minute in 0..12 * 1_440 {
        let (day, hour) = (minute / 1_440, minute / 60 % 24);
        let is_bad = day % 7 < 5 && (14..16).contains(&hour);
        // Ten minutes of each hour say what the hour was like, and cost a sixth.
        if minute % 60 >= 10 {
            continue;
        }
        let lost = dice.binomial(SENT, if is_bad { 0.06 } else { 0.001 });
        let values = format!(r#","values":{{"sent":{SENT},"lost":{lost},"rtt_median_ms":12.5}}"#);
        story.sample(f64::from(minute) * 60.0, "wan/quality", "ok", &values);
    }
    let told = story.told(&[line()]);
    let [incident] = told.incidents.as_slice() else { panic!("{:#?}", told.incidents) };
    assert_eq!((incident.class, incident.kind), (IncidentClass::NetworkWan, IncidentKind::Unstable));
    assert_eq!(incident.title, "wan: the internet link loses packets on weekdays from 14:00 to 16:00");
    assert_eq!(told.pages, 0);
    let days = story.at(0.0).duration_until(incident.detected).as_secs_f64() / DAY;
    assert!((4.0..=8.0).contains(&days), "{days}");
}

fn line() -> Site {
    site("northgate", "plant-2").with("wan", AssetClass::InternetLink, &[], &["quality net.icmp"])
}

const MONDAY: &str = "2026-01-05";
const FRIDAY: &str = "2026-01-09";

/// On which bad weekday, counted from the installation at 09:00, the evening's evaluation finds it.
pub(crate) fn found_on_bad_day(seed: u64, installed: &str) -> u32 {
    let mut dice = Dice::new(seed);
    let first: Date = installed.parse().unwrap();
    let mut cells = LossCells::default();
    let mut bad_days = 0;
    for day in 0..28 {
        let today = first + day.days();
        let is_weekday = today.weekday().to_monday_zero_offset() < 5;
        for hour in if day == 0 { 9..24 } else { 0..24 } {
            let is_bad = is_weekday && (14..16).contains(&hour);
            let lost = dice.binomial(60 * SENT, if is_bad { 0.06 } else { 0.001 });
            cells.add((today, hour), f64::from(60 * SENT), f64::from(lost));
        }
        bad_days += u32::from(is_weekday);
        // Loss and round-trip time are both measured: two signals.
        if let Some(pattern) = evaluate(&cells.cells(), today + 1.day(), 2) {
            assert!(pattern.hours.iter().all(|hour| (14..16).contains(hour)), "{pattern:?}");
            return bad_days;
        }
    }
    u32::MAX
}

/// Bursts of 2 to 20 minutes at any time, in which a link loses a fifth; 0.1 % otherwise.
pub(crate) fn alarms_in_ninety_days(seed: u64, bursts_a_day: f64) -> bool {
    let mut dice = Dice::new(seed ^ 0xb0b5);
    let first: Date = MONDAY.parse().unwrap();
    let until = 90.0 * DAY;
    let mut lost = vec![0.0_f64; 90 * 24];
    for begin in dice.poisson(bursts_a_day / DAY, until) {
        let mut left = dice.within(120.0, 1_200.0);
        let mut at = begin;
        while left > 0.0 && at < until {
            let hour = (at / 3_600.0) as usize;
            let here = left.min((hour + 1) as f64 * 3_600.0 - at);
            lost[hour] += here / 60.0 * f64::from(SENT) * 0.2;
            (at, left) = (at + here + 1e-6, left - here);
        }
    }
    let quiet = |dice: &mut Dice| f64::from(dice.binomial(60 * SENT, 0.001));
    let mut loss = LossCells::default();
    for (hour, burst) in lost.iter().enumerate() {
        let day = first + i32::try_from(hour / 24).unwrap().days();
        // The binomial of a quiet hour is drawn once in eight, for speed; it is far from 1 % either way.
        let noise = if hour % 8 == 0 { quiet(&mut dice) } else { 1.0 };
        loss.add((day, hour % 24), f64::from(60 * SENT), burst + noise);
    }
    let cells: Cells = loss.cells();
    (1..=90).any(|day| evaluate(&cells, first + day.days(), 2).is_some())
}

#[test]
fn a_day_of_twenty_three_hours_is_a_day() {
    let zone = jiff::tz::TimeZone::get("America/Chicago").unwrap();
    let mut hours = upheld_detection::time_of_day::Hours::of(zone);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let seen: Vec<usize> = (0..23).map(|n| hours.at(at("2026-03-08T06:00:00Z") + (n * 60).minutes()).1).collect();
    assert_eq!(seen, [0, 1].into_iter().chain(3..24).collect::<Vec<_>>());
}
