//! What holds for every calendar, start, target and set of pauses (R4, R5, R6).

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use upheld_agreement::calendar::{
    Calendar, CalendarDef, Due, ExtraHours, Fraction, Holiday, Hours, Pause, Weekly, Why,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn due_is_never_before_start_and_reaches_the_target_exactly(
        def in calendars(), start in instants(), target_s in targets(), pauses in pauses(),
    ) {
        let calendar = compile(&def);
        if let Due::At(due) = calendar.due(start, target_s, &pauses) {
            prop_assert!(due >= start);
            prop_assert_eq!(calendar.elapsed_s(start, due, &pauses), target_s);
            // The earliest such instant: a nanosecond before, it was not reached.
            if target_s > 0 {
                let before = due - SignedDuration::from_nanos(1);
                prop_assert_eq!(calendar.elapsed_s(start, before, &pauses), target_s - 1);
            }
        }
    }

    #[test]
    fn elapsed_is_additive(def in calendars(), mut at in prop::array::uniform3(instants()), pauses in pauses()) {
        at.sort();
        let calendar = compile(&def);
        let elapsed = |from, to| calendar.elapsed_s(from, to, &pauses);
        // Whole seconds of each part: the fractions of two parts may make one second more.
        let parts = elapsed(at[0], at[1]) + elapsed(at[1], at[2]);
        let whole = elapsed(at[0], at[2]);
        prop_assert!(whole == parts || whole == parts + 1, "{} and {}", whole, parts);
    }

    #[test]
    fn a_pause_outside_coverage_changes_nothing(
        def in calendars(), start in instants(), target_s in targets(), pauses in pauses(),
    ) {
        let calendar = compile(&def);
        let mut with_more = pauses.clone();
        if let Some(closing) = calendar.next_closing(start) {
            with_more.push(Pause { from: closing, to: calendar.next_opening(closing) });
        }
        let is_bounded = with_more.len() > pauses.len() && with_more.iter().all(|pause| pause.to.is_some());
        if is_bounded {
            prop_assert_eq!(calendar.due(start, target_s, &with_more), calendar.due(start, target_s, &pauses));
        }
    }

    #[test]
    fn pauses_are_a_set_of_instants(
        def in calendars(), start in instants(), target_s in targets(), pauses in pauses(), cut in 0i64..200_000,
    ) {
        let calendar = compile(&def);
        let due = calendar.due(start, target_s, &pauses);
        let mut twice_backwards = pauses.clone();
        twice_backwards.extend(&pauses);
        twice_backwards.reverse();
        prop_assert_eq!(calendar.due(start, target_s, &twice_backwards), due);
        let cut_in_two: Vec<Pause> = pauses
            .iter()
            .flat_map(|pause| {
                let middle = pause.from + SignedDuration::from_secs(cut);
                let middle = pause.to.map_or(middle, |to| to.min(middle)).max(pause.from);
                [Pause { from: pause.from, to: Some(middle) }, Pause { from: middle, to: pause.to }]
            })
            .collect();
        prop_assert_eq!(calendar.due(start, target_s, &cut_in_two), due);
    }

    #[test]
    fn an_open_pause_from_before_the_due_leaves_no_due(
        def in calendars(), start in instants(), target_s in 1u64..500_000, before_s in 1i64..900_000,
    ) {
        let calendar = compile(&def);
        if let Due::At(due) = calendar.due(start, target_s, &[]) {
            let open_from = |from| [Pause { from, to: None }];
            let earlier = due - SignedDuration::from_secs(before_s);
            prop_assert_eq!(calendar.due(start, target_s, &open_from(earlier)), Due::Paused);
            prop_assert_eq!(calendar.due(start, target_s, &open_from(due)), Due::At(due));
        }
    }

    #[test]
    fn more_coverage_is_never_later_and_more_pauses_are_never_earlier(
        def in calendars(), start in instants(), target_s in targets(), pauses in pauses(),
        more in (0usize..7, hours()), pause in a_pause(),
    ) {
        let calendar = compile(&def);
        let due = order(calendar.due(start, target_s, &pauses));
        let mut wider = def;
        let day = [&mut wider.weekly.mon, &mut wider.weekly.sat, &mut wider.weekly.sun].into_iter().nth(more.0 % 3);
        day.unwrap().push(more.1);
        prop_assert!(order(compile(&wider).due(start, target_s, &pauses)) <= due);
        let mut paused = pauses;
        paused.push(pause);
        prop_assert!(order(calendar.due(start, target_s, &paused)) >= due);
    }

    #[test]
    fn warnings_come_in_the_order_of_their_fractions(
        def in calendars(), start in instants(), target_s in targets(), pauses in pauses(),
        percent in (0u32..=100, 0u32..=100),
    ) {
        let calendar = compile(&def);
        let warning = |percent| order(calendar.warning(start, target_s, Fraction::percent(percent), &pauses));
        let (less, more) = (percent.0.min(percent.1), percent.0.max(percent.1));
        prop_assert!(warning(less) <= warning(more));
        prop_assert_eq!(warning(100), order(calendar.due(start, target_s, &pauses)));
    }

    #[test]
    fn segments_are_gap_free_and_sum_up(
        def in calendars(), start in instants(), length_s in 0i64..3_000_000, pauses in pauses(),
    ) {
        let calendar = compile(&def);
        let end = start + SignedDuration::from_secs(length_s);
        let segments = calendar.segments(start, end, &pauses);
        let (mut reached, mut counted) = (start, 0);
        for segment in &segments {
            prop_assert_eq!(segment.from, reached);
            prop_assert!(segment.to > segment.from);
            prop_assert!(segment.counted_s == 0 || segment.why == Why::Counted);
            (reached, counted) = (segment.to, counted + segment.counted_s);
        }
        prop_assert_eq!(reached, end);
        prop_assert_eq!(counted, calendar.elapsed_s(start, end, &pauses));
        prop_assert!(segments.windows(2).all(|pair| pair[0].why != pair[1].why));
    }

    #[test]
    fn changes_are_where_open_and_closed_meet(def in calendars(), at in instants()) {
        let calendar = compile(&def);
        if let Some(change) = calendar.next_change(at) {
            prop_assert!(change > at);
            prop_assert_eq!(calendar.is_open(change), !calendar.is_open(at));
            prop_assert_eq!(calendar.is_open(change - SignedDuration::from_nanos(1)), calendar.is_open(at));
        }
    }
}

/// Paused and never are later than every instant; a pause can make the one the other, so they are alike.
fn order(due: Due) -> Timestamp {
    match due {
        Due::At(at) => at,
        Due::Paused | Due::Never => Timestamp::MAX,
    }
}

fn compile(def: &CalendarDef) -> Calendar {
    Calendar::compile(def).unwrap()
}

/// From 2024 to 2027, some with a fraction of a second.
fn instants() -> impl Strategy<Value = Timestamp> {
    let fraction = prop_oneof![Just(0), 0..1_000_000_000];
    (1_704_067_200i64..1_798_761_600, fraction).prop_map(|(second, fraction)| Timestamp::new(second, fraction).unwrap())
}

fn targets() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1u64..20_000, 1u64..5_000_000]
}

fn a_pause() -> impl Strategy<Value = Pause> {
    let length = prop_oneof![8 => (0i64..2_000_000).prop_map(Some), 1 => Just(None)];
    (instants(), length).prop_map(|(from, length)| Pause {
        from,
        to: length.map(|length| from + SignedDuration::from_millis(length * 100)),
    })
}

fn pauses() -> impl Strategy<Value = Vec<Pause>> {
    prop::collection::vec(a_pause(), 0..6)
}

fn hours() -> impl Strategy<Value = Hours> {
    let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
    (0u32..1440, 0u32..=1440).prop_map(move |(from, to)| Hours(clock(from), clock(to)))
}

fn calendars() -> impl Strategy<Value = CalendarDef> {
    let zone = prop::sample::select(vec!["UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]);
    let day = || prop::collection::vec(hours(), 0..3);
    let week = [day(), day(), day(), day(), day(), day(), day()];
    let date =
        || (2024i16..2027, 1i8..=12, 1i8..=28).prop_map(|(year, month, day)| format!("{year}-{month:02}-{day:02}"));
    let holidays = prop::collection::vec(date(), 0..20);
    let extra = prop::collection::vec((date(), hours(), any::<bool>()), 0..6);
    (zone, week, holidays, extra).prop_map(|(tz, [mon, tue, wed, thu, fri, sat, sun], holidays, extra)| CalendarDef {
        tz: tz.into(),
        weekly: Weekly { mon, tue, wed, thu, fri, sat, sun },
        holidays: holidays.into_iter().map(|date| Holiday { date, ..Holiday::default() }).collect(),
        yearly_holidays: vec![Holiday { date: "12-25".into(), ..Holiday::default() }],
        extra: extra
            .into_iter()
            .map(|(date, Hours(from, to), counts_on_holiday)| ExtraHours { date, from, to, counts_on_holiday })
            .collect(),
    })
}
