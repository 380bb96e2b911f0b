//! Lines of TERMS 8 with answers that were computed by hand: one for each edge of the format and of the rules.

use serde_json::{Value, json};
use upheld_agreement::cases::answer_line;

/// Monday to Friday, 09:00 to 17:00 UTC; 23 November 2026 is a Monday.
fn office() -> Value {
    let day = json!([["09:00", "17:00"]]);
    json!({"tz": "UTC", "weekly": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day}})
}

fn every_day(tz: &str, hours: Value) -> Value {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let weekly: serde_json::Map<String, Value> = days.iter().map(|day| ((*day).to_owned(), hours.clone())).collect();
    json!({"tz": tz, "weekly": weekly})
}

fn with(mut calendar: Value, key: &str, value: Value) -> Value {
    calendar[key] = value;
    calendar
}

fn ask(case: &Value) -> Value {
    let answered = answer_line(&case.to_string());
    let answer: Value = serde_json::from_str(&answered.json).unwrap();
    assert_eq!(answer.get("error").is_some(), answered.is_error, "{answer}");
    answer
}

/// Due and its local form, or the reason.
fn due(calendar: Value, start: &str, target_s: u64, pauses: Value) -> (Value, Value) {
    let case =
        json!({"id": "v", "kind": "due", "calendar": calendar, "start": start, "target_s": target_s, "pauses": pauses});
    let answer = ask(&case);
    let local = answer["due_local"].clone();
    let segments = answer["segments"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let counted: u64 = segments.iter().map(|segment| segment["counted_s"].as_u64().unwrap()).sum();
    if answer["due"].is_string() {
        assert_eq!(counted, target_s, "the segments add up to the target: {answer}");
        assert_eq!(answer.get("reason"), None);
        return (answer["due"].clone(), local);
    }
    assert_eq!(local, Value::Null);
    (answer["reason"].clone(), local)
}

fn at(due: &str, local: &str) -> (Value, Value) {
    (json!(due), json!(local))
}

const HOUR: u64 = 3600;

#[test]
fn dues_by_hand() {
    let none = || json!([]);
    let monday_ten = at("2026-11-30T10:00:00Z", "2026-11-30T10:00:00+00:00");
    assert_eq!(due(office(), "2026-11-27T16:00:00Z", 2 * HOUR, none()), monday_ten, "over the weekend");
    assert_eq!(due(office(), "2026-11-27T10:00:00-06:00", 2 * HOUR, none()), monday_ten, "an offset other than Z");
    assert_eq!(due(office(), "2026-11-27T16:00:00.000Z", 2 * HOUR, Value::Null), monday_ten, "no fraction, no pauses");
    let fraction = at("2026-11-30T10:00:00.25Z", "2026-11-30T10:00:00.25+00:00");
    assert_eq!(due(office(), "2026-11-27T16:00:00.25Z", 2 * HOUR, none()), fraction);
    let closing = at("2026-11-23T17:00:00Z", "2026-11-23T17:00:00+00:00");
    assert_eq!(due(office(), "2026-11-23T09:00:00Z", 8 * HOUR, none()), closing, "R4: exactly at closing");
    let next_opening = at("2026-11-24T09:00:01Z", "2026-11-24T09:00:01+00:00");
    assert_eq!(due(office(), "2026-11-23T09:00:00Z", 8 * HOUR + 1, none()), next_opening);
    let saturday = at("2026-11-28T12:00:00Z", "2026-11-28T12:00:00+00:00");
    assert_eq!(due(office(), "2026-11-28T12:00:00Z", 0, none()), saturday, "R4: zero, outside coverage");
    assert_eq!(due(office(), "2026-11-28T12:00:00Z", 0, json!([["2026-11-01T00:00:00Z", null]])), saturday);
    assert_eq!(due(office(), "2026-11-28T12:00:00Z", u64::MAX, none()), (json!("never"), Value::Null));
    let nothing = json!({"tz": "UTC", "weekly": {}});
    assert_eq!(due(nothing, "2026-11-28T12:00:00Z", 1, json!([["2026-11-01T00:00:00Z", null]])).0, json!("never"));
}

#[test]
fn pauses_by_hand() {
    let paused = |pauses: Value| due(office(), "2026-11-23T09:00:00Z", 8 * HOUR, pauses);
    let (monday, tuesday) = (
        at("2026-11-23T17:00:00Z", "2026-11-23T17:00:00+00:00"),
        at("2026-11-24T10:00:00Z", "2026-11-24T10:00:00+00:00"),
    );
    for (pauses, expected) in [
        (json!([["2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"]]), &tuesday),
        (
            json!([["2026-11-23T10:00:00Z", "2026-11-23T10:40:00Z"], ["2026-11-23T10:20:00Z", "2026-11-23T11:00:00Z"]]),
            &tuesday,
        ),
        (
            json!([["2026-11-23T10:30:00Z", "2026-11-23T11:00:00Z"], ["2026-11-23T10:00:00Z", "2026-11-23T10:30:00Z"]]),
            &tuesday,
        ),
        (json!([["2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"]]), &monday),
        (
            json!([["2026-11-22T00:00:00Z", "2026-11-23T09:00:00Z"], ["2026-11-23T17:00:00Z", "2026-11-24T09:00:00Z"]]),
            &monday,
        ),
        (json!([["2026-11-23T17:00:00Z", null]]), &monday),
        (json!([["2026-11-22T00:00:00Z", "2026-11-23T10:00:00Z"]]), &tuesday),
    ] {
        assert_eq!(&paused(pauses.clone()), expected, "{pauses}");
    }
    for pauses in [
        json!([["2026-11-23T16:59:59Z", null]]),
        json!([["2026-11-01T00:00:00Z", null]]),
        json!([["2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"], ["2026-11-24T09:30:00Z", null]]),
    ] {
        assert_eq!(paused(pauses.clone()).0, json!("paused"), "{pauses}");
    }
}

#[test]
fn hours_and_holidays_by_hand() {
    let utc = |hours: Value| every_day("UTC", hours);
    let one = |calendar: Value, start: &str, target_s: u64| due(calendar, start, target_s, json!([])).0;
    let overnight = utc(json!([["22:00", "06:00"]]));
    assert_eq!(one(overnight.clone(), "2026-11-23T23:00:00Z", 8 * HOUR), json!("2026-11-24T23:00:00Z"));
    let holiday = |date: &str| with(overnight.clone(), "holidays", json!([{"date": date}]));
    // The 24th is gone: an hour of the 23rd, then from midnight of the 25th.
    assert_eq!(one(holiday("2026-11-24"), "2026-11-23T23:00:00Z", 2 * HOUR), json!("2026-11-25T01:00:00Z"));
    let union = utc(json!([["12:00", "14:00"], ["09:00", "12:00"], ["10:00", "13:00"], ["08:00", "08:00"]]));
    assert_eq!(one(union, "2026-11-23T07:00:00Z", 6 * HOUR), json!("2026-11-24T10:00:00Z"), "five hours a day");
    let always = utc(json!([["00:00", "24:00"]]));
    assert_eq!(one(always.clone(), "2026-11-23T07:00:00Z", 48 * HOUR), json!("2026-11-25T07:00:00Z"));
    let half = with(
        always.clone(),
        "holidays",
        json!([{"date": "2026-12-24", "from": "12:00", "to": "24:00"}, {"date": "2026-12-25", "to": "06:00"}]),
    );
    assert_eq!(one(half, "2026-12-24T11:00:00Z", 2 * HOUR), json!("2026-12-25T07:00:00Z"));
    let leap = with(always, "yearly_holidays", json!([{"date": "02-29"}]));
    assert_eq!(one(leap.clone(), "2028-02-28T23:00:00Z", 2 * HOUR), json!("2028-03-01T01:00:00Z"));
    assert_eq!(one(leap, "2027-02-28T23:00:00Z", 2 * HOUR), json!("2027-03-01T01:00:00Z"));
    let only_extra =
        json!({"tz": "UTC", "weekly": {}, "extra": [{"date": "2026-11-29", "from": "10:00", "to": "13:00"}]});
    assert_eq!(one(only_extra.clone(), "2026-11-23T00:00:00Z", 3 * HOUR), json!("2026-11-29T13:00:00Z"));
    assert_eq!(one(only_extra.clone(), "2026-11-23T00:00:00Z", 3 * HOUR + 1), json!("never"));
    let lost = with(only_extra, "holidays", json!([{"date": "2026-11-29", "from": "11:00"}]));
    assert_eq!(one(lost.clone(), "2026-11-23T00:00:00Z", HOUR), json!("2026-11-29T11:00:00Z"), "the holiday wins");
    assert_eq!(one(lost, "2026-11-23T00:00:00Z", HOUR + 1), json!("never"));
}

#[test]
fn zones_by_hand() {
    let hours = |tz: &str, from: &str, to: &str| every_day(tz, json!([[from, to]]));
    for (calendar, start, target_s, due_at, local) in [
        // A gap: 01:00 to 04:00 has two hours on 8 March 2026.
        (
            hours("America/New_York", "01:00", "04:00"),
            "2026-03-08T05:00:00Z",
            2 * HOUR,
            "2026-03-08T08:00:00Z",
            "2026-03-08T04:00:00-04:00",
        ),
        // A fold: 01:00 to 02:00 has two hours on 1 November 2026.
        (
            hours("America/New_York", "01:00", "02:00"),
            "2026-11-01T04:00:00Z",
            2 * HOUR,
            "2026-11-01T07:00:00Z",
            "2026-11-01T02:00:00-05:00",
        ),
        // The first of the two 01:30.
        (
            hours("America/New_York", "01:00", "02:00"),
            "2026-11-01T04:00:00Z",
            HOUR / 2,
            "2026-11-01T05:30:00Z",
            "2026-11-01T01:30:00-04:00",
        ),
        // Half an hour is skipped on Lord Howe: 01:00 to 03:00 has an hour and a half on 4 October 2026.
        (
            hours("Australia/Lord_Howe", "01:00", "03:00"),
            "2026-10-03T12:00:00Z",
            HOUR * 3 / 2,
            "2026-10-03T16:00:00Z",
            "2026-10-04T03:00:00+11:00",
        ),
        // Samoa had no 30 December 2011.
        (
            hours("Pacific/Apia", "09:00", "17:00"),
            "2011-12-30T02:00:00Z",
            2 * HOUR,
            "2011-12-30T20:00:00Z",
            "2011-12-31T10:00:00+14:00",
        ),
        // Kwajalein had no 21 August 1993: it went from 12 hours behind to 12 ahead.
        (
            hours("Pacific/Kwajalein", "09:00", "17:00"),
            "1993-08-21T04:00:00Z",
            2 * HOUR,
            "1993-08-21T22:00:00Z",
            "1993-08-22T10:00:00+12:00",
        ),
        // Kathmandu is 5:45 ahead, before 1986 it was 5:30.
        (
            hours("Asia/Kathmandu", "09:00", "17:00"),
            "2026-11-23T00:00:00Z",
            HOUR,
            "2026-11-23T04:15:00Z",
            "2026-11-23T10:00:00+05:45",
        ),
    ] {
        assert_eq!(due(calendar, start, target_s, json!([])), at(due_at, local), "{start}");
    }
}

#[test]
fn elapsed_by_hand() {
    let elapsed = |start: &str, end: &str, pauses: Value| {
        ask(&json!({"id": 1, "kind": "elapsed", "calendar": office(), "start": start, "end": end, "pauses": pauses}))
    };
    let counted = |seconds: u64| json!({"id": 1, "elapsed_s": seconds});
    assert_eq!(elapsed("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z", json!([])), counted(0));
    assert_eq!(elapsed("2026-11-20T16:30:00Z", "2026-11-23T09:30:00Z", json!([])), counted(3600));
    assert_eq!(elapsed("2026-11-23T10:00:00.5Z", "2026-11-23T10:00:02Z", json!([])), counted(1), "whole seconds");
    let pauses = json!([["2026-11-20T16:45:00Z", "2026-11-23T09:15:00Z"], ["2026-11-23T09:29:00Z", null]]);
    assert_eq!(elapsed("2026-11-20T16:30:00Z", "2026-11-23T09:30:00Z", pauses), counted(900 + 840));
}

/// Recomputed and due, in UTC of 23 November 2026.
fn amended(mode: &str, pauses: Value, versions: Value) -> (Value, Value) {
    let case = json!({"id": "a", "kind": "amend", "start": "2026-11-23T09:00:00Z", "mode": mode, "pauses": pauses, "versions": versions});
    let answer = ask(&case);
    assert!(answer.get("error").is_none(), "{answer}");
    (answer["recomputed_due"].clone(), answer["due"].clone())
}

fn version(from: &str, calendar: Value, hours: u64) -> Value {
    let from = if from.is_empty() { Value::Null } else { json!(format!("2026-11-23T{from}:00Z")) };
    json!({"effective_from": from, "calendar": calendar, "target_s": hours * HOUR})
}

fn on(recomputed: &str, due: &str) -> (Value, Value) {
    (json!(format!("2026-11-23T{recomputed}:00Z")), json!(format!("2026-11-23T{due}:00Z")))
}

const MODES: [&str; 5] = ["pin", "carry_elapsed", "prorate", "restart_from_change", "restart_from_start"];

#[test]
fn amendments_by_hand() {
    let none = || json!([]);
    let always = || every_day("UTC", json!([["00:00", "24:00"]]));
    for mode in MODES {
        let one = json!([version("", office(), 4)]);
        assert_eq!(amended(mode, none(), one), on("13:00", "13:00"), "one version, {mode}");
        let at_the_start = json!([version("", office(), 4), version("09:00", office(), 2)]);
        assert_eq!(amended(mode, none(), at_the_start), on("11:00", "11:00"), "in force at the start, {mode}");
        let before = json!([version("08:00", office(), 3), version("", office(), 4), version("07:00", office(), 1)]);
        assert_eq!(amended(mode, none(), before), on("12:00", "12:00"), "the last before the start, {mode}");
    }
    let by_mode = |versions: Value, pauses: Value| MODES.map(|mode| amended(mode, pauses.clone(), versions.clone()));
    // Two of eight hours are used at 11:00; four hours round the clock from then on.
    let tighter = json!([version("", office(), 8), version("11:00", always(), 4)]);
    let expected =
        [on("17:00", "17:00"), on("13:00", "13:00"), on("14:00", "14:00"), on("15:00", "15:00"), on("13:00", "13:00")];
    assert_eq!(by_mode(tighter, none()), expected);
    // Six hours are used at 15:00, two are promised from then on: the floor is the change.
    let too_late = json!([version("", office(), 8), version("15:00", office(), 2)]);
    let expected =
        [on("17:00", "17:00"), on("15:00", "15:00"), on("15:30", "15:30"), on("17:00", "17:00"), on("11:00", "15:00")];
    assert_eq!(by_mode(too_late, none()), expected);
    // It had run out at 11:00, an hour before.
    let run_out = json!([version("", office(), 2), version("12:00", office(), 8)]);
    let expected = [on("11:00", "11:00"), on("11:00", "11:00"), on("11:00", "11:00")];
    assert_eq!(by_mode(run_out.clone(), none())[..3], expected);
    assert_eq!(by_mode(run_out, none())[4], on("17:00", "17:00"));
    // It runs out at the very change: not before it.
    let at_the_due = json!([version("", office(), 2), version("11:00", always(), 3)]);
    assert_eq!(amended("carry_elapsed", none(), at_the_due.clone()), on("12:00", "12:00"));
    assert_eq!(amended("prorate", none(), at_the_due), on("11:00", "11:00"), "nothing was left to prorate");
    let shorter = json!([version("", office(), 2), version("11:00", always(), 1)]);
    assert_eq!(amended("carry_elapsed", none(), shorter), on("11:00", "11:00"));
    // A pause over the change: one hour before it, three from 13:00 on.
    let across = json!([["2026-11-23T10:00:00Z", "2026-11-23T13:00:00Z"]]);
    let carried = json!([version("", office(), 8), version("12:00", office(), 4)]);
    assert_eq!(amended("carry_elapsed", across.clone(), carried.clone()), on("16:00", "16:00"));
    assert_eq!(amended("restart_from_change", across.clone(), carried.clone()), on("17:00", "17:00"));
    assert_eq!(amended("restart_from_start", across.clone(), carried.clone()), on("16:00", "16:00"));
    // One of eight hours is used: seven eighths of four are three and a half.
    assert_eq!(amended("prorate", across, carried.clone()), on("16:30", "16:30"));
    let open = json!([["2026-11-23T10:00:00Z", null]]);
    for mode in MODES {
        assert_eq!(amended(mode, open.clone(), carried.clone()), (Value::Null, Value::Null), "{mode}");
    }
    // Three versions: carried in their order; restarts take the last.
    let three = json!([version("", office(), 8), version("15:00", always(), 3), version("11:00", always(), 6)]);
    assert_eq!(amended("carry_elapsed", none(), three.clone()), on("15:00", "15:00"), "six hours at the very change");
    assert_eq!(amended("restart_from_change", none(), three.clone()), on("18:00", "18:00"));
    assert_eq!(amended("restart_from_start", none(), three), on("12:00", "15:00"));
    // A second of seven is used: six sevenths of a hundred seconds are 85.7.
    let seconds = json!([
        {"effective_from": null, "calendar": office(), "target_s": 7},
        {"effective_from": "2026-11-23T09:00:01Z", "calendar": office(), "target_s": 100},
    ]);
    let (recomputed, due) = amended("prorate", none(), seconds);
    assert_eq!((recomputed, due), (json!("2026-11-23T09:01:27Z"), json!("2026-11-23T09:01:27Z")));
    // A target of nothing is due at the start, before any change.
    let zero = json!([{"effective_from": null, "calendar": office(), "target_s": 0}, version("11:00", office(), 2)]);
    assert_eq!(amended("carry_elapsed", none(), zero.clone()), on("09:00", "09:00"));
    assert_eq!(amended("prorate", none(), zero), on("09:00", "09:00"));
}

#[test]
fn lines_are_read_with_care() {
    let base = json!({"id": 7, "kind": "due", "calendar": office(), "start": "2026-11-23T09:00:00Z", "target_s": 3600});
    let answer = |key: &str, value: Value| ask(&with(base.clone(), key, value));
    assert_eq!(
        answer("note", json!({"any": "thing"}))["due"],
        json!("2026-11-23T10:00:00Z"),
        "further keys are ignored"
    );
    assert_eq!(answer("calendar", with(office(), "name", json!("Office")))["due"], json!("2026-11-23T10:00:00Z"));
    assert_eq!(answer("target_s", json!(3600.0))["due"], json!("2026-11-23T10:00:00Z"), "a whole number is one");
    assert_eq!(answer("id", Value::Null)["id"], Value::Null);
    assert_eq!(answer("id", json!("x-1"))["id"], json!("x-1"));
    for (key, value) in [
        ("target_s", json!(-1)),
        ("target_s", json!(0.5)),
        ("target_s", json!("3600")),
        ("target_s", Value::Null),
        ("start", json!("2026-11-23 09:00")),
        ("start", json!("2026-13-23T09:00:00Z")),
        ("kind", json!("overdue")),
        ("pauses", json!([["2026-11-23T09:00:00Z"]])),
        ("pauses", json!([[null, "2026-11-23T09:00:00Z"]])),
        ("calendar", json!({"tz": "", "weekly": {}})),
        ("calendar", with(office(), "tz", json!("Mars/Olympus"))),
        ("calendar", with(office(), "holidays", json!([{"date": "2026-02-30"}]))),
        ("calendar", with(office(), "weekly", json!({"mon": [["9:00", "17:00"]]}))),
        ("calendar", with(office(), "weekly", json!({"mon": [["09:00", "25:00"]]}))),
    ] {
        let answer = answer(key, value.clone());
        assert_eq!((&answer["id"], answer["error"].is_string()), (&json!(7), true), "{key} {value}: {answer}");
    }
}
