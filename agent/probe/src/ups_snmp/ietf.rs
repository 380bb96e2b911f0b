//! UPS-MIB (RFC 1628) in the names of NUT.

use super::Told;
use crate::{
    snmp::{Oid, Table, Value},
    ups::ON_BATTERY_S,
};

const MANUFACTURER: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 1, 1];
const MODEL: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 1, 2];
const BATTERY_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 2, 1];
const SECONDS_ON_BATTERY: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 2, 2];
const MINUTES_LEFT: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 2, 3];
const CHARGE: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 2, 4];
const BATTERY_VOLTAGE: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 2, 5];
const BATTERY_TEMPERATURE: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 2, 7];
const LINE_BADS: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 3, 1];
const OUTPUT_SOURCE: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 4, 1];
const ALARMS_PRESENT: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 6, 1];
/// The alarms that are present, each an identity.
pub(super) const ALARMS: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 6, 2, 1, 2];
/// The identities that everybody knows, by the last number.
const WELL_KNOWN: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 6, 3];
const TEST_RESULT: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 7, 3];
const LOW_BATTERY_MINUTES: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 9, 7];
// Of the first line; a supply of three phases tells of each.
const INPUT_FREQUENCY: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 3, 3, 1, 2];
const INPUT_VOLTAGE: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 3, 3, 1, 3];
const OUTPUT_VOLTAGE: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 4, 4, 1, 2];
const OUTPUT_POWER: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 4, 4, 1, 4];
const LOAD: &[u32] = &[1, 3, 6, 1, 2, 1, 33, 1, 4, 4, 1, 5];

const SCALARS: &[&[u32]] = &[
    MANUFACTURER,
    MODEL,
    BATTERY_STATUS,
    SECONDS_ON_BATTERY,
    MINUTES_LEFT,
    CHARGE,
    BATTERY_VOLTAGE,
    BATTERY_TEMPERATURE,
    LINE_BADS,
    OUTPUT_SOURCE,
    ALARMS_PRESENT,
    TEST_RESULT,
    LOW_BATTERY_MINUTES,
];
const OF_THE_FIRST_LINE: &[&[u32]] = &[INPUT_FREQUENCY, INPUT_VOLTAGE, OUTPUT_VOLTAGE, OUTPUT_POWER, LOAD];

/// What a look asks for; the alarms are walked.
pub(super) fn objects() -> Vec<Oid> {
    let scalars = SCALARS.iter().map(|base| Oid::of(base, &[0]));
    scalars.chain(OF_THE_FIRST_LINE.iter().map(|base| Oid::of(base, &[1]))).collect()
}

/// All of them, and the alarms.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn bases() -> impl Iterator<Item = &'static [u32]> {
    SCALARS.iter().chain(OF_THE_FIRST_LINE).chain(&[ALARMS]).copied()
}

/// Whether there may be rows in the table of alarms.
pub(super) fn has_alarms(table: &Table) -> bool {
    table.number(OUTPUT_SOURCE, &[0]).is_some() && table.number(ALARMS_PRESENT, &[0]) != Some(0)
}

pub(super) fn read(table: &Table) -> Told {
    let number = |base: &[u32]| table.number(base, &[0]);
    let of_first_line = |base: &[u32]| table.number(base, &[1]);
    let mut told = Told { line_bads: table.count(LINE_BADS, &[0]), ..Told::default() };
    let Some(source) = number(OUTPUT_SOURCE) else { return Told::default() };
    let mut words = Vec::from(source_words(source));
    if matches!(number(BATTERY_STATUS), Some(3 | 4)) {
        words.push("LB");
    }
    if number(TEST_RESULT) == Some(5) {
        words.push("TEST");
    }
    let mut said = Vec::new();
    for (_, alarm) in table.rows(ALARMS) {
        match alarm_of(alarm) {
            Alarm::Word(word) => words.push(word),
            Alarm::Said(what) => said.push(what),
            Alarm::SupplyLost => told.has_lost_its_supply = true,
        }
    }
    if !said.is_empty() {
        words.push("ALARM");
        told.put("ups.alarm", Some(said.join(", ")));
    }
    let mut once: Vec<&str> = Vec::new();
    words.into_iter().for_each(|word| {
        if !once.contains(&word) {
            once.push(word);
        }
    });
    told.put("ups.status", Some(once.join(" ")));
    if once.contains(&"OB") {
        told.put(ON_BATTERY_S, number(SECONDS_ON_BATTERY));
    }
    // Of a supply that estimates nothing, 0 minutes and 0 percent would be an alarm.
    let estimated = |base: &[u32]| number(base).filter(|left| *left > 0 || once.contains(&"OB"));
    told.put("battery.runtime", estimated(MINUTES_LEFT).map(|minutes| minutes.saturating_mul(60)));
    told.put("battery.runtime.low", number(LOW_BATTERY_MINUTES).map(|minutes| minutes.saturating_mul(60)));
    told.put("battery.charge", estimated(CHARGE));
    told.put("battery.voltage", tenths(number(BATTERY_VOLTAGE).filter(|voltage| *voltage > 0)));
    told.put("battery.temperature", number(BATTERY_TEMPERATURE).filter(|degrees| *degrees != 0));
    told.put("input.voltage", of_first_line(INPUT_VOLTAGE));
    told.put("input.frequency", tenths(of_first_line(INPUT_FREQUENCY)));
    told.put("output.voltage", of_first_line(OUTPUT_VOLTAGE));
    told.put("ups.realpower", of_first_line(OUTPUT_POWER).filter(|watts| *watts > 0));
    told.put("ups.load", of_first_line(LOAD));
    told.put("ups.test.result", number(TEST_RESULT).and_then(test_result));
    told.put("ups.mfr", table.text(MANUFACTURER, &[0]));
    told.put("ups.model", table.text(MODEL, &[0]));
    told
}

fn tenths(number: Option<i64>) -> Option<String> {
    let sign = |number: i64| if number < 0 { "-" } else { "" };
    number.map(|number| format!("{}{}.{}", sign(number), number.unsigned_abs() / 10, number.unsigned_abs() % 10))
}

/// 1 is "other" and says nothing.
fn source_words(source: i64) -> &'static [&'static str] {
    match source {
        2 => &["OFF"],
        3 => &["OL"],
        4 => &["OL", "BYPASS"],
        5 => &["OB"],
        6 => &["OL", "BOOST"],
        7 => &["OL", "TRIM"],
        _ => &[],
    }
}

fn test_result(result: i64) -> Option<&'static str> {
    match result {
        1 => Some("passed"),
        2 => Some("passed with a warning"),
        3 => Some("failed"),
        4 => Some("aborted"),
        5 => Some("in progress"),
        _ => None,
    }
}

enum Alarm {
    Word(&'static str),
    Said(String),
    SupplyLost,
}

fn alarm_of(value: &Value) -> Alarm {
    let identity = match value {
        Value::Oid(oid) => oid,
        Value::Integer(_) | Value::Count(_) | Value::Octets(_) => {
            return Alarm::Said("one that it does not name".into());
        }
    };
    let said = |what: &str| Alarm::Said(what.to_owned());
    match identity.beneath(WELL_KNOWN) {
        Some([1]) => Alarm::Word("RB"),
        Some([2]) => Alarm::Word("OB"),
        Some([3 | 4]) => Alarm::Word("LB"),
        Some([5]) => said("its temperature is out of tolerance"),
        Some([6]) => said("its input is out of tolerance"),
        Some([7]) => said("its output is out of tolerance"),
        Some([8]) => Alarm::Word("OVER"),
        Some([9]) => Alarm::Word("BYPASS"),
        Some([10]) => said("its bypass is out of tolerance"),
        Some([11 | 12 | 14 | 15]) => Alarm::Word("OFF"),
        Some([13]) => said("its charger has failed"),
        Some([16]) => said("a fan has failed"),
        Some([17]) => said("a fuse has failed"),
        Some([18]) => said("a general fault"),
        Some([19]) => said("its last self-test failed"),
        Some([20]) => Alarm::SupplyLost,
        Some([21]) => said("its output is off and waits for the mains"),
        Some([22]) => said("a shutdown is pending"),
        Some([23]) => Alarm::Word("FSD"),
        Some([24]) => Alarm::Word("TEST"),
        Some(_) | None => Alarm::Said(format!("{identity} (see its manufacturer's MIB)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_alarms_become_the_words_of_nut() {
        for (source, battery, alarms, status) in [
            (3, 2, vec![], "OL"),
            (5, 2, vec![], "OB"),
            (5, 3, vec![2, 3], "OB LB"),
            (3, 4, vec![4], "OL LB"),
            (4, 2, vec![9], "OL BYPASS"),
            (2, 2, vec![14], "OFF"),
            (3, 2, vec![8, 1], "OL OVER RB"),
            (5, 2, vec![24], "OB TEST"),
            (3, 2, vec![16], "OL ALARM"),
            (5, 3, vec![23], "OB LB FSD"),
            (1, 2, vec![], ""),
            (99, 99, vec![99], "ALARM"),
        ] {
            let told = read(&table(source, battery, &alarms));
            assert_eq!(told.status(), status, "{source} {battery} {alarms:?}");
        }
        let lost = read(&table(3, 2, &[20]));
        assert!(lost.has_lost_its_supply);
        assert_eq!(read(&table(3, 2, &[16, 99])).said["ups.alarm"].split(", ").next(), Some("a fan has failed"));
    }

    #[test]
    fn what_is_no_supply_says_nothing() {
        let mut other = Table::default();
        other.insert(Oid::of(LINE_BADS, &[0]), Value::Count(7));
        assert!(read(&other).said.is_empty());
        other.insert(Oid::of(OUTPUT_SOURCE, &[0]), Value::Octets(b"normal".to_vec()));
        assert!(read(&other).said.is_empty(), "of a wrong type");
    }

    #[test]
    fn numbers_have_the_units_of_nut() {
        let mut table = table(5, 2, &[]);
        for (base, index, number) in [
            (MINUTES_LEFT, 0, 12),
            (LOW_BATTERY_MINUTES, 0, 2),
            (CHARGE, 0, 80),
            (BATTERY_VOLTAGE, 0, 273),
            (SECONDS_ON_BATTERY, 0, 41),
            (INPUT_FREQUENCY, 1, 499),
            (INPUT_VOLTAGE, 1, 231),
        ] {
            table.insert(Oid::of(base, &[index]), Value::Integer(number));
        }
        let said = read(&table).said;
        for (name, value) in [
            ("battery.runtime", "720"),
            ("battery.runtime.low", "120"),
            ("battery.charge", "80"),
            ("battery.voltage", "27.3"),
            ("input.frequency", "49.9"),
            ("input.voltage", "231"),
            (ON_BATTERY_S, "41"),
        ] {
            assert_eq!(said[name], value, "{name}");
        }
    }

    fn table(source: i64, battery: i64, alarms: &[u32]) -> Table {
        let mut table = Table::default();
        table.insert(Oid::of(OUTPUT_SOURCE, &[0]), Value::Integer(source));
        table.insert(Oid::of(BATTERY_STATUS, &[0]), Value::Integer(battery));
        for (row, alarm) in (1..).zip(alarms) {
            table.insert(Oid::of(ALARMS, &[row]), Value::Oid(Oid::of(WELL_KNOWN, &[*alarm])));
        }
        table
    }
}
