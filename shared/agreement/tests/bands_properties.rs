//! What holds for the bands of every calendar: they partition all time (TERMS 2).

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use upheld_agreement::{
    bands::{Band, BandRule, Bands},
    calendar::{CalendarDef, Holiday, Hours, Weekly},
};

fn hours() -> impl Strategy<Value = Vec<Hours>> {
    let one = (0..24_u8, 0..=24_u8).prop_map(|(from, to)| Hours(format!("{from:02}:00"), format!("{to:02}:00")));
    proptest::collection::vec(one, 0..3)
}

fn calendar() -> impl Strategy<Value = CalendarDef> {
    let zone = prop_oneof![
        Just("America/Chicago"),
        Just("Australia/Lord_Howe"),
        Just("Pacific/Apia"),
        Just("Asia/Kathmandu"),
        Just("Africa/Casablanca"),
        Just("UTC"),
    ];
    let dated = (2010..2030_i16, 1..=12_u8, 1..=28_u8, 0..23_u8);
    (zone, proptest::collection::vec(hours(), 7), proptest::collection::vec(dated, 0..4)).prop_map(
        |(zone, days, dated)| {
            let [mon, tue, wed, thu, fri, sat, sun] = days.try_into().unwrap();
            let holiday = |(year, month, day, from): (i16, u8, u8, u8)| Holiday {
                date: format!("{year}-{month:02}-{day:02}"),
                from: Some(format!("{from:02}:00")),
                ..Holiday::default()
            };
            CalendarDef {
                tz: zone.to_owned(),
                weekly: Weekly { mon, tue, wed, thu, fri, sat, sun },
                holidays: dated.into_iter().map(holiday).collect(),
                yearly_holidays: vec![Holiday { date: "12-31".to_owned(), ..Holiday::default() }],
                ..CalendarDef::default()
            }
        },
    )
}

fn bands() -> impl Strategy<Value = Vec<Band>> {
    let rule = prop_oneof![
        Just(BandRule::Holidays),
        Just(BandRule::Weekly),
        proptest::collection::vec(0..7_usize, 1..3).prop_map(BandRule::Days),
    ];
    proptest::collection::vec(rule, 0..4).prop_map(|rules| {
        let rules = rules.into_iter().chain([BandRule::Rest]);
        rules.enumerate().map(|(index, when)| Band { name: format!("band-{index}"), when }).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn bands_sum_to_elapsed(
        def in calendar(),
        bands in bands(),
        start_ms in 1_262_304_000_000..1_830_000_000_000_i64,
        length_ms in 0..90 * 86_400_000_i64,
        looks in proptest::collection::vec(0.0..1.0_f64, 4),
    ) {
        // A whole-week band before the last is refused, as it must be.
        let Ok(bands) = Bands::compile(&def, &bands) else { return Ok(()) };
        let from = Timestamp::from_millisecond(start_ms).unwrap();
        let to = from + SignedDuration::from_millis(length_ms);
        let stretches = bands.stretches(from, to);
        prop_assert!(stretches.windows(2).all(|pair| pair[0].to == pair[1].from && pair[0].band != pair[1].band));
        prop_assert_eq!(stretches.first().map(|first| first.from), (from < to).then_some(from));
        prop_assert_eq!(stretches.last().map(|last| last.to), (from < to).then_some(to));
        let sum: SignedDuration = bands.totals(from, to).into_iter().map(|(_, total)| total).sum();
        prop_assert_eq!(sum, SignedDuration::from_millis(length_ms));
        for look in looks {
            let instant = from + SignedDuration::from_millis((length_ms as f64 * look) as i64);
            let holding = stretches.iter().find(|stretch| stretch.from <= instant && instant < stretch.to);
            prop_assert_eq!(holding.map(|stretch| stretch.band), (instant < to).then(|| bands.at(instant)));
        }
    }
}
