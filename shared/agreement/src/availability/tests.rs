use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::calendar::{CalendarDef, Hours, Weekly};

const START: &str = "2026-11-01T00:00:00Z";

fn at(hour: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour)
}

fn timeline(pieces: &[(i64, i64, Seen)]) -> Timeline {
    let piece = |&(from, to, state): &(i64, i64, Seen)| Piece { from: at(from), to: at(to), state };
    Timeline::new(pieces.iter().map(piece).collect()).unwrap()
}

fn asset(name: &str, pieces: &[(i64, i64, Seen)]) -> AssetUptime {
    AssetUptime {
        site: "plant-2".parse().unwrap(),
        asset: name.parse().unwrap(),
        class: AssetClass::Recorder,
        timeline: timeline(pieces),
        maintenance: Vec::new(),
        causes: Vec::new(),
    }
}

fn always() -> Calendar {
    let weekly = Weekly::every_day(&[Hours("00:00".into(), "24:00".into())]);
    Calendar::compile(&CalendarDef { tz: "UTC".into(), weekly, ..CalendarDef::default() }).unwrap()
}

fn rules() -> Rules {
    Rules {
        objective: Ratio::percent("99.5%").unwrap(),
        per: AvailabilityPer::Asset,
        class: Vec::new(),
        coverage: always(),
        exclude: vec![Exclusion::Maintenance, Exclusion::Client],
        maintenance_notice_s: 5 * 86_400,
        unknown: CountsAs::Exclude,
        degraded: CountsAs::AsUp,
        not_proven_above: Some(Ratio::percent("1%").unwrap()),
    }
}

/// The figure of one asset over the first hundred hours.
fn measured(rules: &Rules, asset: AssetUptime) -> Measured {
    rules.measure(at(0), at(100), &[asset]).into_values().next().unwrap()
}

fn fraction(figure: Figure) -> Option<(u64, u64)> {
    figure.availability().map(|(up, counted)| (up / 3600, counted / 3600))
}

const SILENT: Seen = Seen::Unknown(UnknownWhy::AgentSilent);

#[test]
fn the_formula_is_the_agreements_and_unknown_is_never_up() {
    let seen = [(0, 60, Seen::Up), (60, 70, Seen::Degraded), (70, 90, Seen::Down), (90, 100, SILENT)];
    let of = |unknown, degraded| {
        let rules = Rules { unknown, degraded, ..rules() };
        let figure = measured(&rules, asset("nvr", &seen)).figure;
        (fraction(figure), rules.verdict(&figure))
    };
    assert_eq!(of(CountsAs::Exclude, CountsAs::AsUp).0, Some((70, 90)));
    assert_eq!(of(CountsAs::Exclude, CountsAs::AsDown).0, Some((60, 90)));
    assert_eq!(of(CountsAs::Exclude, CountsAs::Exclude).0, Some((60, 80)));
    assert_eq!(of(CountsAs::AsUp, CountsAs::AsUp).0, Some((80, 100)));
    assert_eq!(of(CountsAs::AsDown, CountsAs::AsUp).0, Some((70, 100)));
    for unknown in [CountsAs::Exclude, CountsAs::AsUp, CountsAs::AsDown] {
        assert_eq!(of(unknown, CountsAs::AsUp).1, Verdict::NotProven, "a tenth is unknown");
    }
}

#[test]
fn what_was_not_monitored_is_unknown_and_an_announced_shutdown_counts_nowhere() {
    let late = measured(&rules(), asset("nvr", &[(40, 100, Seen::Up)])).figure;
    assert_eq!((fraction(late), late.tally.unknown_s), (Some((60, 60)), 40 * 3600));
    let off = [(0, 50, Seen::Up), (50, 100, Seen::Unknown(UnknownWhy::Off))];
    let as_down = Rules { unknown: CountsAs::AsDown, ..rules() };
    let off = measured(&as_down, asset("nvr", &off)).figure;
    assert_eq!((fraction(off), off.tally.excluded_s), (Some((50, 50)), 50 * 3600));
}

#[test]
fn maintenance_needs_its_notice_and_its_entry() {
    let day = 24;
    let window = |announced: i64, entered: i64| Maintenance {
        from: at(50),
        to: at(60),
        announced_at: at(announced),
        entered_at: at(entered),
        is_disputed: false,
    };
    let with = |window: Maintenance| {
        let mut asset = asset("nvr", &[(0, 50, Seen::Up), (50, 60, Seen::Down), (60, 100, Seen::Up)]);
        asset.maintenance = vec![window];
        let measured = measured(&rules(), asset);
        (fraction(measured.figure), measured.not_agreed.into_iter().map(|(_, why)| why).next())
    };
    assert_eq!(with(window(50 - 5 * day, 50 - 5 * day)), (Some((90, 90)), None));
    let short = NotAgreed::NoticeTooShort { given_s: 5 * 86_400 - 3600, needed_s: 5 * 86_400 };
    assert_eq!(with(window(50 - 9 * day, 51 - 5 * day)), (Some((90, 100)), Some(short)));
    let afterwards = NotAgreed::EnteredAfterwards { entered_at: at(51) };
    assert_eq!(with(window(50 - 9 * day, 51)), (Some((90, 100)), Some(afterwards)));
}

#[test]
fn a_disputed_cause_is_counted_both_ways() {
    let mut down = asset("nvr", &[(0, 80, Seen::Up), (80, 100, Seen::Down)]);
    let cause = |cause, is_disputed| ExcludedSpan { from: at(80), to: at(90), cause, is_disputed };
    down.causes = vec![cause(Exclusion::Client, true)];
    let both = measured(&rules(), down.clone());
    assert_eq!(fraction(both.figure), Some((80, 90)));
    assert_eq!(both.if_disputes_hold.and_then(fraction), Some((80, 100)));
    down.causes = vec![cause(Exclusion::Utility, false)];
    let not_excluded = measured(&rules(), down);
    assert_eq!((fraction(not_excluded.figure), not_excluded.if_disputes_hold), (Some((80, 100)), None));
}

#[test]
fn the_objective_is_judged_exactly_and_shown_without_flattery() {
    let figure = |up_s, down_s| Figure { uptime: Uptime { up_s, down_s, ..Uptime::default() }, ..Figure::default() };
    let objective = Ratio::percent("99.5%").unwrap();
    assert_eq!(figure(199, 1).verdict(objective, None), Verdict::Kept);
    let short = figure(198_999_999, 1_000_001);
    assert_eq!((short.verdict(objective, None), short.shown()), (Verdict::Missed, "99.499 %".to_owned()));
    assert_eq!(figure(0, 0).verdict(objective, None), Verdict::NothingCounted);
    assert_eq!(figure(0, 0).shown(), "nothing counted");
}

#[test]
fn pieces_that_leave_a_gap_are_refused() {
    let piece = |from, to| Piece { from: at(from), to: at(to), state: Seen::Up };
    let refused = |pieces| Timeline::new(pieces).unwrap_err();
    let gap = TimelineError::NotGapFree { index: 1, from: at(3), ended: at(2) };
    assert_eq!(refused(vec![piece(0, 2), piece(3, 4)]), gap);
    assert_eq!(refused(vec![piece(2, 0)]), TimelineError::Backwards { index: 0, from: at(2), to: at(0) });
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        Just(Seen::Up),
        Just(Seen::Degraded),
        Just(Seen::Down),
        Just(SILENT),
        Just(Seen::Unknown(UnknownWhy::Off))
    ]
}

fn assets() -> impl Strategy<Value = Vec<AssetUptime>> {
    let pieces = proptest::collection::vec((0..40_i64, seen()), 0..8);
    let cause = (0..100_i64, 0..30_i64, any::<bool>());
    let one = (pieces, proptest::collection::vec(cause, 0..3), 0..2_u8);
    proptest::collection::vec(one, 1..6).prop_map(|drawn| {
        drawn
            .into_iter()
            .enumerate()
            .map(|(index, (pieces, causes, site))| {
                let mut reached = -10;
                let pieces: Vec<_> = pieces
                    .into_iter()
                    .map(|(length, state)| {
                        let from = reached;
                        reached += length;
                        (from, reached, state)
                    })
                    .collect();
                let span = |(from, length, is_disputed)| ExcludedSpan {
                    from: at(from),
                    to: at(from + length),
                    cause: Exclusion::Client,
                    is_disputed,
                };
                AssetUptime {
                    site: format!("site-{site}").parse().unwrap(),
                    class: if index % 2 == 0 { AssetClass::Recorder } else { AssetClass::Server },
                    causes: causes.into_iter().map(span).collect(),
                    ..asset(&format!("asset-{index}"), &pieces)
                }
            })
            .collect()
    })
}

fn counts_as() -> impl Strategy<Value = CountsAs> {
    prop_oneof![Just(CountsAs::Exclude), Just(CountsAs::AsUp), Just(CountsAs::AsDown)]
}

proptest! {
    #[test]
    fn every_second_is_counted_once_and_sums_are_the_same_by_asset_class_and_site(
        assets in assets(),
        unknown in counts_as(),
        degraded in counts_as(),
    ) {
        let of = |per| Rules { per, unknown, degraded, ..rules() }.measure(at(0), at(100), &assets);
        let by_asset = of(AvailabilityPer::Asset);
        for measured in by_asset.values() {
            for figure in [Some(measured.figure), measured.if_disputes_hold].into_iter().flatten() {
                let Tally { up_s, degraded_s, down_s, unknown_s, excluded_s } = figure.tally;
                prop_assert_eq!(up_s + degraded_s + down_s + unknown_s + excluded_s, 100 * 3600);
                prop_assert!(figure.uptime.up_s <= figure.uptime.counted_s());
                let Uptime { unknown_s, excluded_s, .. } = figure.uptime;
                prop_assert_eq!(figure.uptime.counted_s() + unknown_s + excluded_s, 100 * 3600);
            }
        }
        let total = |measured: &BTreeMap<Unit, Measured>| {
            let figures = measured.values().map(|measured| measured.figure);
            let disputed = measured.values().map(|measured| measured.if_disputes_hold.unwrap_or(measured.figure));
            (figures.fold(Figure::default(), Figure::plus), disputed.fold(Figure::default(), Figure::plus))
        };
        prop_assert_eq!(total(&by_asset), total(&of(AvailabilityPer::Class)));
        prop_assert_eq!(total(&by_asset), total(&of(AvailabilityPer::Site)));
    }
}
