//! APC's PowerNet-MIB in the names of NUT.

use super::Told;
use crate::{
    snmp::{Oid, Table},
    ups::ON_BATTERY_S,
};

const MODEL: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 1, 1, 1];
const BATTERY_STATUS: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 2, 1, 1];
const TIME_ON_BATTERY: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 2, 1, 2];
const CHARGE: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 2, 2, 1];
const TEMPERATURE: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 2, 2, 2];
const RUNTIME: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 2, 2, 3];
const REPLACE: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 2, 2, 4];
const INPUT_VOLTAGE: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 3, 2, 1];
// Of the last minute.
const INPUT_VOLTAGE_MAX: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 3, 2, 2];
const INPUT_VOLTAGE_MIN: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 3, 2, 3];
const INPUT_FREQUENCY: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 3, 2, 4];
const LINE_FAIL_CAUSE: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 3, 2, 5];
const OUTPUT_STATUS: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 4, 1, 1];
const OUTPUT_VOLTAGE: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 4, 2, 1];
const LOAD: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 4, 2, 3];
const DIAGNOSTIC: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 7, 2, 3];
const CALIBRATION: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 7, 2, 6];
const COMMUNICATION: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1, 8, 1];
/// The standard's counter, which these cards have too.
const LINE_BADS: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 3, 1];

const OBJECTS: &[&[u32]] = &[
    MODEL,
    BATTERY_STATUS,
    TIME_ON_BATTERY,
    CHARGE,
    TEMPERATURE,
    RUNTIME,
    REPLACE,
    INPUT_VOLTAGE,
    INPUT_VOLTAGE_MAX,
    INPUT_VOLTAGE_MIN,
    INPUT_FREQUENCY,
    LINE_FAIL_CAUSE,
    OUTPUT_STATUS,
    OUTPUT_VOLTAGE,
    LOAD,
    DIAGNOSTIC,
    CALIBRATION,
    COMMUNICATION,
    LINE_BADS,
];

/// The cause of a transfer that is none: a test.
const SELF_TEST: i64 = 9;

/// What a look asks for.
pub(super) fn objects() -> Vec<Oid> {
    OBJECTS.iter().map(|base| super::object(base)).collect()
}

/// The same as they are named.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn bases() -> impl Iterator<Item = &'static [u32]> {
    OBJECTS.iter().copied()
}

pub(super) fn read(table: &Table) -> Told {
    let number = |base: &[u32]| table.number(base, &[0]);
    let seconds = |base: &[u32]| number(base).map(|hundredths| hundredths / 100);
    let mut told = Told { line_bads: table.count(LINE_BADS, &[0]), ..Told::default() };
    told.has_lost_its_supply = number(COMMUNICATION) == Some(2);
    let words = number(OUTPUT_STATUS).map_or(&[][..], output_words);
    if words.is_empty() {
        return told;
    }
    let cause = number(LINE_FAIL_CAUSE);
    let mut words = Vec::from(words);
    if number(BATTERY_STATUS) == Some(3) {
        words.push("LB");
    }
    if number(REPLACE) == Some(2) || number(BATTERY_STATUS) == Some(4) {
        words.push("RB");
    }
    if number(CALIBRATION) == Some(3) {
        words.push("CAL");
    }
    let is_on_battery = words.contains(&"OB");
    let is_testing = number(DIAGNOSTIC) == Some(4) || (is_on_battery && cause == Some(SELF_TEST));
    if is_testing && !words.contains(&"TEST") {
        words.push("TEST");
    }
    told.put("ups.status", Some(words.join(" ")));
    told.put(ON_BATTERY_S, seconds(TIME_ON_BATTERY).filter(|_| is_on_battery));
    told.put("battery.charge", number(CHARGE));
    told.put("battery.runtime", seconds(RUNTIME));
    told.put("battery.temperature", number(TEMPERATURE));
    told.put("input.voltage", number(INPUT_VOLTAGE));
    told.put("input.voltage.maximum", number(INPUT_VOLTAGE_MAX));
    told.put("input.voltage.minimum", number(INPUT_VOLTAGE_MIN));
    told.put("input.frequency", number(INPUT_FREQUENCY));
    told.put("input.transfer.reason", cause.and_then(cause_words));
    told.put("output.voltage", number(OUTPUT_VOLTAGE));
    told.put("ups.load", number(LOAD));
    told.put("ups.test.result", number(DIAGNOSTIC).and_then(diagnostic_words));
    told.put("ups.model", table.text(MODEL, &[0]));
    told
}

/// 1 is "unknown" and says nothing; so does a number that is not listed.
fn output_words(status: i64) -> &'static [&'static str] {
    match status {
        // On line; in modes that save power; ready to take over.
        2 | 13 | 14 | 18..=20 => &["OL"],
        3 => &["OB"],
        4 => &["OL", "BOOST"],
        12 => &["OL", "TRIM"],
        // Asleep until a time or until the mains are back, off, or starting anew.
        5 | 7 | 8 | 11 => &["OFF"],
        6 | 9 | 17 => &["OL", "BYPASS"],
        // By a fault of its own, or in an emergency.
        10 | 16 => &["OL", "BYPASS", "ALARM"],
        15 => &["OB", "TEST"],
        _ => &[],
    }
}

fn cause_words(cause: i64) -> Option<&'static str> {
    match cause {
        2 => Some("high line voltage"),
        3 => Some("brownout"),
        4 => Some("blackout"),
        5 => Some("a small momentary sag"),
        6 => Some("a deep momentary sag"),
        7 => Some("a small momentary spike"),
        8 => Some("a large momentary spike"),
        SELF_TEST => Some("self-test"),
        10 => Some("the voltage changed too fast"),
        _ => None,
    }
}

fn diagnostic_words(result: i64) -> Option<&'static str> {
    match result {
        1 => Some("passed"),
        2 => Some("failed"),
        3 => Some("not valid"),
        4 => Some("in progress"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::Value;

    fn table(rows: &[(&[u32], i64)]) -> Table {
        let mut table = Table::default();
        rows.iter().for_each(|(base, number)| table.insert(Oid::of(base, &[0]), Value::Integer(*number)));
        table
    }

    #[test]
    fn states_become_the_words_of_nut_and_a_self_test_is_said_to_be_one() {
        for (rows, status) in [
            (vec![(OUTPUT_STATUS, 2)], "OL"),
            (vec![(OUTPUT_STATUS, 3), (LINE_FAIL_CAUSE, 4)], "OB"),
            (vec![(OUTPUT_STATUS, 3), (LINE_FAIL_CAUSE, 9)], "OB TEST"),
            (vec![(OUTPUT_STATUS, 2), (LINE_FAIL_CAUSE, 9)], "OL"),
            (vec![(OUTPUT_STATUS, 15), (DIAGNOSTIC, 4)], "OB TEST"),
            (vec![(OUTPUT_STATUS, 3), (BATTERY_STATUS, 3)], "OB LB"),
            (vec![(OUTPUT_STATUS, 2), (REPLACE, 2)], "OL RB"),
            (vec![(OUTPUT_STATUS, 2), (REPLACE, 1), (CALIBRATION, 3)], "OL CAL"),
            (vec![(OUTPUT_STATUS, 10)], "OL BYPASS ALARM"),
            (vec![(OUTPUT_STATUS, 7)], "OFF"),
            (vec![(OUTPUT_STATUS, 1)], ""),
            (vec![(OUTPUT_STATUS, 4_711)], ""),
            (vec![], ""),
        ] {
            assert_eq!(read(&table(&rows)).status(), status, "{rows:?}");
        }
    }

    #[test]
    fn hundredths_of_seconds_become_seconds_and_the_cause_has_words() {
        let rows = [(OUTPUT_STATUS, 3), (RUNTIME, 90_000), (TIME_ON_BATTERY, 1_250), (LINE_FAIL_CAUSE, 6)];
        let said = read(&table(&rows)).said;
        assert_eq!((said["battery.runtime"].as_str(), said[ON_BATTERY_S].as_str()), ("900", "12"));
        assert_eq!(said["input.transfer.reason"], "a deep momentary sag");
        assert!(read(&table(&[(COMMUNICATION, 2), (OUTPUT_STATUS, 2)])).has_lost_its_supply);
    }
}
