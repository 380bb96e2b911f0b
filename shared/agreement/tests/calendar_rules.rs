//! The rules of time, one by one (TERMS 3), on days whose arithmetic can be done by hand.

use jiff::{SignedDuration, Timestamp, civil::time};
use upheld_agreement::calendar::{
    ByNextBusinessDay, Calendar, CalendarDef, Due, ExtraHours, Fraction, Holiday, Hours, Pause, Weekly, Why,
};

const H: u64 = 3600;

// R1: wall-clock membership, real elapsed seconds.

#[test]
fn r1_hours_are_those_of_the_calendars_zone() {
    let office = office("America/Chicago");
    // Friday 16:00 in winter is 22:00Z; the other two hours are Monday's.
    assert_eq!(office.due(at("2026-11-20T22:00:00Z"), 4 * H, &[]), due("2026-11-23T16:00:00Z"));
    assert_eq!(office.due(at("2026-07-17T21:00:00Z"), 4 * H, &[]), due("2026-07-20T15:00:00Z"));
}

#[test]
fn r1_a_gap_removes_the_seconds_that_do_not_exist() {
    // New York, 2025-03-09: 02:00 becomes 03:00.
    let (from, to) = (at("2025-03-09T05:00:00Z"), at("2025-03-10T04:00:00Z"));
    assert_eq!(always("America/New_York").elapsed_s(from, to, &[]), 23 * H);
    assert_eq!(daily("America/New_York", "00:00", "06:00").elapsed_s(from, to, &[]), 5 * H);
    assert_eq!(daily("America/New_York", "02:00", "03:00").elapsed_s(from, to, &[]), 0);
    assert_eq!(daily("America/New_York", "01:00", "02:30").elapsed_s(from, to, &[]), H);
}

#[test]
fn r1_a_fold_counts_both() {
    // New York, 2025-11-02: 02:00 becomes 01:00 again.
    let (from, to) = (at("2025-11-02T04:00:00Z"), at("2025-11-03T05:00:00Z"));
    assert_eq!(always("America/New_York").elapsed_s(from, to, &[]), 25 * H);
    let twice = daily("America/New_York", "01:00", "02:00");
    assert_eq!(twice.elapsed_s(from, to, &[]), 2 * H);
    // 01:15 to 01:45 comes twice: it closes and opens again half an hour later.
    let split = daily("America/New_York", "01:15", "01:45");
    assert_eq!(split.due(from, 45 * 60, &[]), due("2025-11-02T06:30:00Z"));
    assert_eq!(split.next_closing(at("2025-11-02T05:20:00Z")), Some(at("2025-11-02T05:45:00Z")));
    assert_eq!(split.next_opening(at("2025-11-02T05:20:00Z")), Some(at("2025-11-02T06:15:00Z")));
}

#[test]
fn r1_half_hour_shifts_count_half_hours() {
    let around = |date: &str| (at(&format!("{date}T06:00:00Z")), at(&format!("{date}T22:00:00Z")));
    // Lord Howe, 2025-04-06 at 15:00Z (the day before there): 02:00 becomes 01:30; on 2025-10-05: 02:00 becomes 02:30.
    let (from, to) = around("2025-04-05");
    assert_eq!(daily("Australia/Lord_Howe", "01:00", "02:00").elapsed_s(from, to, &[]), H + H / 2);
    let (from, to) = around("2025-10-04");
    assert_eq!(daily("Australia/Lord_Howe", "02:00", "03:00").elapsed_s(from, to, &[]), H / 2);
}

#[test]
fn r1_a_gap_at_midnight_shortens_the_date_after_it() {
    // São Paulo 2018-11-04 and Beirut 2022-03-27 begin at 01:00.
    for (zone, from) in [("America/Sao_Paulo", "2018-11-03T12:00:00Z"), ("Asia/Beirut", "2022-03-26T10:00:00Z")] {
        let from = at(from);
        let to = from + SignedDuration::from_hours(24);
        assert_eq!(daily(zone, "00:00", "02:00").elapsed_s(from, to, &[]), H, "{zone}");
        assert_eq!(daily(zone, "00:00", "01:00").elapsed_s(from, to, &[]), 0, "{zone}");
        assert_eq!(daily(zone, "23:00", "01:30").elapsed_s(from, to, &[]), H + H / 2, "{zone}");
    }
}

#[test]
fn r1_a_date_that_the_zone_skipped_has_no_hours() {
    // Apia went from 2011-12-29 24:00 to 2011-12-31 00:00.
    let (from, to) = (at("2011-12-29T10:00:00Z"), at("2011-12-31T10:00:00Z"));
    let of_friday = |hours| Weekly { fri: vec![hours], ..Weekly::default() };
    let apia = |weekly| compile(CalendarDef { weekly, ..in_zone("Pacific/Apia") });
    assert_eq!(apia(of_friday(hours("00:00", "24:00"))).elapsed_s(from, to, &[]), 0);
    // The shift that Friday would have handed to Saturday is there: the wall clock shows Saturday 03:00.
    assert_eq!(apia(of_friday(hours("22:00", "06:00"))).elapsed_s(from, to, &[]), 6 * H);
    let office = daily("Pacific/Apia", "09:00", "17:00");
    assert_eq!(office.due(at("2011-12-30T02:00:00Z"), 2 * H, &[]), due("2011-12-30T20:00:00Z"));
}

#[test]
fn r1_instants_from_1970_to_2200_and_beyond_follow_the_zones_rule() {
    let office = office("Europe/Berlin");
    assert_eq!(office.due(at("1970-01-01T00:00:00Z"), H, &[]), due("1970-01-01T08:00:00Z"));
    // July 2199 and July 2599 are 400 years apart: the same weekdays, the same summer time.
    assert_eq!(office.due(at("2199-07-01T05:00:00Z"), 11 * H, &[]), due("2199-07-02T07:00:00Z"));
    assert_eq!(office.due(at("2599-07-01T05:00:00Z"), 11 * H, &[]), due("2599-07-02T07:00:00Z"));
    assert_eq!(office.due(at("9999-12-29T08:00:00Z"), 3 * H, &[]), due("9999-12-29T11:00:00Z"));
}

// R2: unions.

#[test]
fn r2_overlapping_hours_are_their_union_and_adjacent_ones_are_one() {
    let of = |list: &[(&str, &str)]| {
        let mon = list.iter().map(|(from, to)| hours(from, to)).collect();
        compile(CalendarDef { weekly: Weekly { mon, ..Weekly::default() }, ..in_zone("UTC") })
    };
    let (from, to) = (at("2026-11-23T00:00:00Z"), at("2026-11-24T00:00:00Z"));
    let messy = of(&[("12:00", "15:00"), ("09:00", "12:00"), ("10:00", "11:00"), ("14:00", "17:00")]);
    assert_eq!(messy.elapsed_s(from, to, &[]), 8 * H);
    assert_eq!(messy.segments(from, to, &[]).len(), 3);
    assert_eq!(of(&[("09:00", "09:00")]).elapsed_s(from, to, &[]), 0);
}

#[test]
fn r2_overnight_hours_join_the_next_days() {
    let weekly = Weekly { sun: vec![hours("22:00", "06:00")], mon: vec![hours("06:00", "24:00")], ..Weekly::default() };
    let calendar = compile(CalendarDef { weekly, ..in_zone("UTC") });
    let segments = calendar.segments(at("2026-11-22T00:00:00Z"), at("2026-11-24T00:00:00Z"), &[]);
    assert_eq!(segments[1].from, at("2026-11-22T22:00:00Z"));
    assert_eq!((segments[1].to, segments.len()), (at("2026-11-24T00:00:00Z"), 2));
}

// R3: holidays and extra hours.

#[test]
fn r3_a_holiday_removes_its_own_date_from_an_overnight_shift() {
    let weekly = Weekly::every_day(&[hours("22:00", "06:00")]);
    let calendar = compile(CalendarDef { weekly, holidays: vec![holiday("2026-11-26")], ..in_zone("UTC") });
    // 25th 22:00-24:00 stays, all of the 26th goes, 27th 00:00-06:00 stays though its shift began on the holiday.
    let (from, to) = (at("2026-11-25T12:00:00Z"), at("2026-11-27T12:00:00Z"));
    assert_eq!(calendar.elapsed_s(from, to, &[]), 2 * H + 6 * H);
    assert!(calendar.is_open(at("2026-11-27T05:59:59Z")));
    assert!(!calendar.is_open(at("2026-11-26T00:00:00Z")));
}

#[test]
fn r3_a_part_of_a_holiday_removes_its_part() {
    let part = Holiday { from: Some("12:00".into()), to: None, ..holiday("2025-12-24") };
    let calendar = compile(CalendarDef {
        weekly: Weekly::every_day(&[hours("09:00", "17:00")]),
        holidays: vec![part],
        ..in_zone("UTC")
    });
    assert_eq!(calendar.due(at("2025-12-24T11:00:00Z"), 2 * H, &[]), due("2025-12-25T10:00:00Z"));
}

#[test]
fn r3_yearly_holidays_come_back_and_leap_days_on_leap_years() {
    let weekly = Weekly::every_day(&[hours("00:00", "24:00")]);
    let yearly_holidays = vec![holiday("12-25"), holiday("02-29")];
    let calendar = compile(CalendarDef { weekly, yearly_holidays, ..in_zone("UTC") });
    let year = |year: i16| {
        let first = |year: i16| at(&format!("{year}-01-01T00:00:00Z"));
        calendar.elapsed_s(first(year), first(year + 1), &[]) / (24 * H)
    };
    assert_eq!([1970, 2024, 2025, 2100, 2199, 2400, 2800].map(year), [364, 364, 364, 364, 364, 364, 364]);
    assert!(!calendar.is_open(at("2024-02-29T12:00:00Z")));
}

#[test]
fn r3_extra_hours_count_but_a_holiday_wins_unless_they_say_so() {
    let extra = |date: &str, counts_on_holiday| ExtraHours {
        date: date.into(),
        from: "10:00".into(),
        to: "13:00".into(),
        counts_on_holiday,
    };
    let calendar = compile(CalendarDef {
        holidays: vec![holiday("2025-11-28"), holiday("2025-11-30")],
        extra: vec![extra("2025-11-28", false), extra("2025-11-29", false), extra("2025-11-30", true)],
        ..in_zone("UTC")
    });
    let open = |text: &str| calendar.elapsed_s(at(&format!("{text}T00:00:00Z")), at(&format!("{text}T23:59:59Z")), &[]);
    assert_eq!(["2025-11-28", "2025-11-29", "2025-11-30"].map(open), [0, 3 * H, 3 * H]);
}

#[test]
fn r3_overnight_extra_hours_lose_the_part_that_runs_into_a_holiday() {
    let extra = |counts_on_holiday| ExtraHours {
        date: "2025-12-24".into(),
        from: "20:00".into(),
        to: "04:00".into(),
        counts_on_holiday,
    };
    let of = |extra| {
        compile(CalendarDef { yearly_holidays: vec![holiday("12-25")], extra: vec![extra], ..in_zone("UTC") })
            .elapsed_s(at("2025-12-24T00:00:00Z"), at("2025-12-26T00:00:00Z"), &[])
    };
    assert_eq!((of(extra(false)), of(extra(true))), (4 * H, 8 * H));
}

// R4: the earliest instant.

#[test]
fn r4_a_target_that_runs_out_at_closing_is_due_at_closing() {
    let office = office("UTC");
    assert_eq!(office.due(at("2026-11-23T14:00:00Z"), 4 * H, &[]), due("2026-11-23T18:00:00Z"));
    assert_eq!(office.due(at("2026-11-23T14:00:00Z"), 4 * H + 1, &[]), due("2026-11-24T08:00:01Z"));
    // From after closing on Friday, a whole day runs out at Monday's closing.
    assert_eq!(office.due(at("2026-11-20T19:00:00Z"), 10 * H, &[]), due("2026-11-23T18:00:00Z"));
}

#[test]
fn r4_a_target_of_zero_is_due_at_the_start() {
    let saturday = at("2026-11-21T03:00:00.5Z");
    let open = [Pause { from: at("2026-11-20T00:00:00Z"), to: None }];
    assert_eq!(office("UTC").due(saturday, 0, &open), Due::At(saturday));
    assert_eq!(compile(in_zone("UTC")).due(saturday, 0, &[]), Due::At(saturday));
}

#[test]
fn r4_fractions_of_a_second_are_kept() {
    let office = office("UTC");
    assert_eq!(office.due(at("2026-11-23T14:00:00.25Z"), H, &[]), due("2026-11-23T15:00:00.25Z"));
    // A quarter of a second was lost before opening: the hour is whole, and so is the due.
    assert_eq!(office.due(at("2026-11-23T07:59:59.75Z"), H, &[]), due("2026-11-23T09:00:00Z"));
    assert_eq!(office.due(at("2026-11-23T17:59:59.75Z"), 1, &[]), due("2026-11-24T08:00:00.75Z"));
    // Before 1970 a fraction counts the other way within jiff.
    assert_eq!(office.due(at("1969-12-31T14:00:00.25Z"), H, &[]), due("1969-12-31T15:00:00.25Z"));
}

#[test]
fn r4_a_closing_before_a_transition_is_told_in_the_old_offset() {
    // Friday's closing is the last coverage before New York's clocks change on Sunday.
    let office = office("America/New_York");
    assert_eq!(office.due(at("2025-03-07T21:00:00Z"), 2 * H, &[]), due("2025-03-07T23:00:00Z"));
    assert_eq!(office.due(at("2025-10-31T20:00:00Z"), 2 * H, &[]), due("2025-10-31T22:00:00Z"));
}

// R5: pauses.

#[test]
fn r5_only_what_is_covered_and_not_paused_counts() {
    let office = office("UTC");
    let start = at("2026-11-23T16:00:00Z");
    // Two hours inside coverage, the rest of the pause outside of it.
    let over_night = [pause("2026-11-23T17:00:00Z", "2026-11-24T09:00:00Z")];
    assert_eq!(office.due(start, 4 * H, &over_night), due("2026-11-24T12:00:00Z"));
    let outside = [pause("2026-11-23T18:00:00Z", "2026-11-24T08:00:00Z")];
    assert_eq!(office.due(start, 4 * H, &outside), office.due(start, 4 * H, &[]));
    let before = [pause("2026-11-23T10:00:00Z", "2026-11-23T16:30:00Z")];
    assert_eq!(office.due(start, H, &before), due("2026-11-23T17:30:00Z"));
}

#[test]
fn r5_overlapping_pauses_are_a_union_in_any_order() {
    let office = office("UTC");
    let messy = [
        pause("2026-11-23T11:00:00Z", "2026-11-23T13:00:00Z"),
        pause("2026-11-23T10:00:00Z", "2026-11-23T12:00:00Z"),
        pause("2026-11-23T11:30:00Z", "2026-11-23T11:40:00Z"),
        pause("2026-11-23T09:00:00Z", "2026-11-23T08:00:00Z"),
    ];
    let union = [pause("2026-11-23T10:00:00Z", "2026-11-23T13:00:00Z")];
    let start = at("2026-11-23T09:00:00Z");
    assert_eq!(office.due(start, 4 * H, &messy), due("2026-11-23T16:00:00Z"));
    assert_eq!(office.due(start, 4 * H, &union), due("2026-11-23T16:00:00Z"));
}

#[test]
fn r5_an_open_pause_that_began_before_the_due_leaves_no_due() {
    let office = office("UTC");
    let start = at("2026-11-23T16:00:00Z");
    let open_from = |text: &str| [Pause { from: at(text), to: None }];
    assert_eq!(office.due(start, 2 * H, &open_from("2026-11-23T17:59:59Z")), Due::Paused);
    assert_eq!(office.due(start, 2 * H, &open_from("2026-11-23T18:00:00Z")), due("2026-11-23T18:00:00Z"));
    assert_eq!(office.due(start, 2 * H, &open_from("2026-11-01T00:00:00Z")), Due::Paused);
}

// R6: warnings.

#[test]
fn r6_a_warning_is_the_due_of_its_fraction() {
    let office = office("UTC");
    let start = at("2026-11-23T16:00:00Z");
    let pauses = [pause("2026-11-23T16:30:00Z", "2026-11-23T17:00:00Z")];
    assert_eq!(office.warning(start, 4 * H, Fraction::percent(50), &pauses), due("2026-11-24T08:30:00Z"));
    assert_eq!(office.warning(start, 4 * H, Fraction::percent(100), &pauses), office.due(start, 4 * H, &pauses));
    assert_eq!(Fraction::percent(75).of_s(10), 8, "rounded up: never before its time");
    assert_eq!(Fraction::percent(100).of_s(u64::MAX), u64::MAX);
}

// R7: never.

#[test]
fn r7_a_calendar_that_cannot_reach_the_target_says_never() {
    let start = at("2026-11-23T16:00:00Z");
    assert_eq!(compile(in_zone("UTC")).due(start, 1, &[]), Due::Never);
    let once = ExtraHours { date: "2026-11-29".into(), from: "10:00".into(), to: "13:00".into(), ..Default::default() };
    let once = compile(CalendarDef { extra: vec![once], ..in_zone("UTC") });
    assert_eq!(once.due(start, 3 * H, &[]), due("2026-11-29T13:00:00Z"));
    assert_eq!(once.due(start, 3 * H + 1, &[]), Due::Never);
    assert_eq!(once.due(start, H, &[pause("2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z")]), Due::Never);
    let open = [Pause { from: start, to: None }];
    assert_eq!(once.due(start, 3 * H, &open), Due::Paused);
    assert_eq!(once.due(start, 3 * H + 1, &open), Due::Never, "not even if the pause ended");
    let leap = CalendarDef { yearly_holidays: vec![holiday("02-29")], ..in_zone("UTC") };
    assert_eq!(compile(leap).due(start, 1, &[]), Due::Never);
    assert_eq!(always("UTC").due(start, u64::MAX, &[]), Due::Never);
    assert_eq!(always("UTC").next_closing(start), None);
    assert_eq!(once.next_opening(at("2026-11-29T10:00:00Z")), None);
}

// R8 has no due of its own: examples/due_rate.rs measures it. Long targets must be right, too.

#[test]
fn r8_targets_of_centuries_are_exact() {
    let start = at("2026-11-23T08:00:00Z");
    // 400 years of office hours are 20,871 weeks of 50 hours.
    assert_eq!(office("UTC").due(start, 20_871 * 50 * H, &[]), due("2426-11-20T18:00:00Z"));
    let years = at("5026-11-23T08:00:00Z").duration_since(start).as_secs().unsigned_abs();
    assert_eq!(always("America/Chicago").due(start, years, &[]), due("5026-11-23T08:00:00Z"));
}

#[test]
fn r8_ten_thousand_holidays_are_taken() {
    let days = (0..10_000).map(|day| {
        let date = jiff::civil::date(2026, 1, 1) + SignedDuration::from_hours(24 * day);
        Holiday { name: Some(format!("day {day}")), ..holiday(&date.to_string()) }
    });
    let weekly = Weekly::every_day(&[hours("09:00", "17:00")]);
    let calendar = compile(CalendarDef { weekly, holidays: days.collect(), ..in_zone("UTC") });
    assert_eq!(calendar.due(at("2025-12-31T16:00:00Z"), 2 * H, &[]), due("2053-05-19T10:00:00Z"));
}

// R9: by 12:00 next business day.

#[test]
fn r9_the_next_date_with_coverage_decides() {
    let office = with_holiday("2026-11-26");
    let by_noon = ByNextBusinessDay { by: time(12, 0, 0, 0), received_by: None };
    for (start, expected) in [
        ("2026-11-23T03:00:00Z", "2026-11-24T12:00:00Z"),
        ("2026-11-23T23:00:00Z", "2026-11-24T12:00:00Z"),
        ("2026-11-20T10:00:00Z", "2026-11-23T12:00:00Z"),
        ("2026-11-21T10:00:00Z", "2026-11-23T12:00:00Z"),
        ("2026-11-25T10:00:00Z", "2026-11-27T12:00:00Z"),
    ] {
        assert_eq!(office.due_by(at(start), by_noon, &[]), due(expected), "{start}");
    }
    assert_eq!(compile(in_zone("UTC")).due_by(at("2026-11-23T03:00:00Z"), by_noon, &[]), Due::Never);
}

#[test]
fn r9_what_comes_past_the_cut_off_is_due_a_covered_date_later() {
    let office = with_holiday("2026-11-26");
    let rule = ByNextBusinessDay { by: time(12, 0, 0, 0), received_by: Some(time(15, 0, 0, 0)) };
    for (start, expected) in [
        ("2026-11-23T15:00:00Z", "2026-11-24T12:00:00Z"),
        ("2026-11-23T15:00:00.001Z", "2026-11-25T12:00:00Z"),
        ("2026-11-24T16:00:00Z", "2026-11-27T12:00:00Z"),
        ("2026-11-20T16:00:00Z", "2026-11-24T12:00:00Z"),
    ] {
        assert_eq!(office.due_by(at(start), rule, &[]), due(expected), "{start}");
    }
}

#[test]
fn r9_pauses_move_it_by_whole_covered_dates() {
    let office = with_holiday("2026-11-26");
    let rule = ByNextBusinessDay { by: time(12, 0, 0, 0), received_by: None };
    let start = at("2026-11-23T10:00:00Z");
    let by = |pauses: &[Pause]| office.due_by(start, rule, pauses);
    assert_eq!(by(&[pause("2026-11-24T08:00:00Z", "2026-11-24T17:59:59Z")]), due("2026-11-24T12:00:00Z"));
    assert_eq!(by(&[pause("2026-11-24T08:00:00Z", "2026-11-24T18:00:00Z")]), due("2026-11-25T12:00:00Z"));
    assert_eq!(by(&[pause("2026-11-23T11:00:00Z", "2026-11-25T09:00:00Z")]), due("2026-11-25T12:00:00Z"));
    assert_eq!(by(&[pause("2026-11-24T00:00:00Z", "2027-01-01T00:00:00Z")]), due("2027-01-01T12:00:00Z"));
    let two =
        [pause("2026-11-24T12:00:00Z", "2026-11-25T00:00:00Z"), pause("2026-11-24T00:00:00Z", "2026-11-24T12:00:00Z")];
    assert_eq!(by(&two), due("2026-11-25T12:00:00Z"));
    assert_eq!(by(&[Pause { from: at("2026-11-24T11:59:59Z"), to: None }]), Due::Paused);
    assert_eq!(by(&[Pause { from: at("2026-11-24T12:00:00Z"), to: None }]), due("2026-11-24T12:00:00Z"));
}

#[test]
fn r9_fractions_are_of_the_counted_seconds_up_to_the_due() {
    let office = office("UTC");
    let rule = ByNextBusinessDay { by: time(12, 0, 0, 0), received_by: None };
    // Monday 14:00 to 18:00 and Tuesday 08:00 to 12:00: eight hours, half of them Monday's.
    let start = at("2026-11-23T14:00:00Z");
    assert_eq!(office.warning_by(start, rule, Fraction::percent(50), &[]), due("2026-11-23T18:00:00Z"));
    assert_eq!(office.warning_by(start, rule, Fraction::percent(75), &[]), due("2026-11-24T10:00:00Z"));
    assert_eq!(office.warning_by(start, rule, Fraction::percent(100), &[]), due("2026-11-24T12:00:00Z"));
}

#[test]
fn r9_wall_times_in_gaps_and_folds_and_skipped_dates() {
    let rule = |hour, minute| ByNextBusinessDay { by: time(hour, minute, 0, 0), received_by: None };
    let new_york = always("America/New_York");
    // 02:30 on 2025-03-09 does not exist: 03:00 EDT. 01:30 on 2025-11-02 comes twice: the first.
    assert_eq!(new_york.due_by(at("2025-03-08T15:00:00Z"), rule(2, 30), &[]), due("2025-03-09T07:00:00Z"));
    assert_eq!(new_york.due_by(at("2025-11-01T15:00:00Z"), rule(1, 30), &[]), due("2025-11-02T05:30:00Z"));
    // St John's, 2010-11-07 at 00:01: back to 23:01 on the 6th, whose late hours come twice; the next date is the 7th.
    let late = daily("America/St_Johns", "23:30", "24:00");
    assert_eq!(late.due_by(at("2010-11-06T15:00:00Z"), rule(12, 0), &[]), due("2010-11-07T15:30:00Z"));
    // After 2011-12-29 comes 2011-12-31 in Apia.
    let apia = always("Pacific/Apia");
    assert_eq!(apia.due_by(at("2011-12-30T02:00:00Z"), rule(12, 0), &[]), due("2011-12-30T22:00:00Z"));
}

// F5, F10: segments.

#[test]
fn every_stretch_has_its_reason() {
    let named = Holiday { name: Some("Thanksgiving".into()), ..holiday("2026-11-26") };
    let weekly = Weekly::every_day(&[hours("08:00", "18:00")]);
    let calendar = compile(CalendarDef { weekly, holidays: vec![named], ..in_zone("UTC") });
    let pauses = [
        pause("2026-11-25T15:00:00Z", "2026-11-25T17:00:00Z"),
        pause("2026-11-25T14:00:00Z", "2026-11-25T16:00:00Z"),
        pause("2026-11-25T20:00:00Z", "2026-11-26T20:00:00Z"),
    ];
    let segments = calendar.segments(at("2026-11-25T12:00:00.5Z"), at("2026-11-27T09:00:00Z"), &pauses);
    let told: Vec<_> =
        segments.iter().map(|segment| (segment.to.to_string(), &segment.why, segment.counted_s)).collect();
    let thanksgiving = Why::Holiday { name: Some("Thanksgiving".into()) };
    let expected = [
        ("2026-11-25T14:00:00Z".into(), &Why::Counted, 2 * H - 1),
        ("2026-11-25T16:00:00Z".into(), &Why::Paused { pause: 1 }, 0),
        ("2026-11-25T17:00:00Z".into(), &Why::Paused { pause: 0 }, 0),
        ("2026-11-25T18:00:00Z".into(), &Why::Counted, H),
        ("2026-11-26T08:00:00Z".into(), &Why::OutsideCoverage, 0),
        ("2026-11-26T18:00:00Z".into(), &thanksgiving, 0),
        ("2026-11-27T08:00:00Z".into(), &Why::OutsideCoverage, 0),
        ("2026-11-27T09:00:00Z".into(), &Why::Counted, H),
    ];
    assert_eq!(told, expected);
}

#[test]
fn openings_and_closings_are_after_the_instant() {
    let office = office("UTC");
    let monday = |text: &str| at(&format!("2026-11-23T{text}Z"));
    assert_eq!(office.next_opening(monday("07:59:59.5")), Some(monday("08:00:00")));
    assert_eq!(office.next_opening(monday("08:00:00")), Some(at("2026-11-24T08:00:00Z")));
    assert_eq!(office.next_closing(monday("08:00:00")), Some(monday("18:00:00")));
    assert_eq!(office.next_closing(monday("18:00:00")), Some(at("2026-11-24T18:00:00Z")));
    assert_eq!(office.next_change(monday("18:00:00")), Some(at("2026-11-24T08:00:00Z")));
    assert_eq!(office.next_change(monday("17:59:59.9")), Some(monday("18:00:00")));
}

#[test]
fn calendars_are_shared_between_threads_and_cheap_to_clone() {
    fn shareable<T: Clone + Send + Sync>() {}
    shareable::<Calendar>();
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn due(text: &str) -> Due {
    Due::At(at(text))
}

fn pause(from: &str, to: &str) -> Pause {
    Pause { from: at(from), to: Some(at(to)) }
}

fn hours(from: &str, to: &str) -> Hours {
    Hours(from.into(), to.into())
}

fn holiday(date: &str) -> Holiday {
    Holiday { date: date.into(), ..Holiday::default() }
}

fn in_zone(tz: &str) -> CalendarDef {
    CalendarDef { tz: tz.into(), ..CalendarDef::default() }
}

fn compile(def: CalendarDef) -> Calendar {
    Calendar::compile(&def).unwrap()
}

fn daily(tz: &str, from: &str, to: &str) -> Calendar {
    compile(CalendarDef { weekly: Weekly::every_day(&[hours(from, to)]), ..in_zone(tz) })
}

fn always(tz: &str) -> Calendar {
    daily(tz, "00:00", "24:00")
}

fn weekdays() -> Weekly {
    Weekly { sat: vec![], sun: vec![], ..Weekly::every_day(&[hours("08:00", "18:00")]) }
}

/// Monday to Friday, 08:00 to 18:00.
fn office(tz: &str) -> Calendar {
    compile(CalendarDef { weekly: weekdays(), ..in_zone(tz) })
}

fn with_holiday(date: &str) -> Calendar {
    compile(CalendarDef { weekly: weekdays(), holidays: vec![holiday(date)], ..in_zone("UTC") })
}
