//! apcupsd's keys in the names of NUT.

use std::time::Duration;

use jiff::{Timestamp, fmt::strtime};

use super::nis::Keys;
use crate::ups::{ON_BATTERY_S, Variables, number};

/// The words of `STATUS`, and those of `ups.status`. Others mean nothing here.
const STATUS: &[(&str, &str)] = &[
    ("ONLINE", "OL"),
    ("ONBATT", "OB"),
    ("LOWBATT", "LB"),
    ("REPLACEBATT", "RB"),
    ("OVERLOAD", "OVER"),
    ("TRIM", "TRIM"),
    ("BOOST", "BOOST"),
    ("CAL", "CAL"),
    ("SHUTTING", "FSD"),
    ("NOBATT", "ALARM"),
];

/// Numbers with their unit behind them: apcupsd's key, NUT's name, and how many of the one make the other.
const NUMBERS: &[(&str, &str, f64)] = &[
    ("LINEV", "input.voltage", 1.0),
    ("LINEFREQ", "input.frequency", 1.0),
    ("OUTPUTV", "output.voltage", 1.0),
    ("LOADPCT", "ups.load", 1.0),
    ("ITEMP", "ups.temperature", 1.0),
    ("BCHARGE", "battery.charge", 1.0),
    ("BATTV", "battery.voltage", 1.0),
    ("TIMELEFT", "battery.runtime", 60.0),
    // With so much left apcupsd shuts down what it protects.
    ("MINTIMEL", "battery.runtime.low", 60.0),
    ("TONBATT", ON_BATTERY_S, 1.0),
];

const TEXTS: &[(&str, &str)] =
    &[("LASTXFER", "input.transfer.reason"), ("BATTDATE", "battery.date"), ("MODEL", "ups.model")];

/// What apcupsd told.
#[derive(Debug)]
pub(super) struct Told {
    /// Of the supply, in NUT's names.
    pub(super) said: Variables,
    /// In apcupsd's own words.
    pub(super) status: String,
    /// When it heard of its supply last, as it writes it.
    pub(super) date: String,
    answered: Option<Timestamp>,
    /// When apcupsd was started, as it writes it: its counts begin there.
    pub(super) began: Option<String>,
    pub(super) transfers: Option<u64>,
    pub(super) on_battery_in_all_s: Option<u64>,
    /// Whether the last transfer was a self-test.
    pub(super) last_was_a_test: bool,
    pub(super) last_on_battery: Option<Timestamp>,
    pub(super) last_back: Option<Timestamp>,
}

impl Told {
    pub(super) fn read(keys: &Keys) -> Self {
        let text = |key: &str| keys.get(key).map(String::as_str).filter(|value| !value.is_empty() && *value != "N/A");
        let count = |key: &str| text(key)?.split_whitespace().next()?.parse().ok();
        let status = text("STATUS").unwrap_or_default();
        let last_was_a_test = text("LASTXFER").is_some_and(|why| why.to_ascii_lowercase().contains("self test"));
        let mut said = Variables::new();
        for (theirs, ours, unit) in NUMBERS {
            let told = text(theirs).and_then(|value| number(value.split_whitespace().next()?));
            said.extend(told.map(|told| ((*ours).to_owned(), (told * unit).to_string())));
        }
        for (theirs, ours) in TEXTS {
            said.extend(text(theirs).map(|value| ((*ours).to_owned(), value.to_owned())));
        }
        if count("NUMXFERS") == Some(0_u64) {
            // "No transfers since turnon"
            said.remove("input.transfer.reason");
        }
        if let Some(result) = text("SELFTEST").and_then(self_test) {
            said.insert("ups.test.result".to_owned(), result.to_owned());
        }
        if !status.is_empty() {
            let is_testing = text("SELFTEST") == Some("IP") || (last_was_a_test && status.contains("ONBATT"));
            said.insert("ups.status".to_owned(), in_words_of_nut(status, is_testing));
        }
        if status.split_whitespace().any(|word| word == "NOBATT") {
            said.insert("ups.alarm".to_owned(), "no battery is connected".to_owned());
        }
        // What it says on mains is the length of the last one in some versions.
        if !status.contains("ONBATT") {
            said.remove(ON_BATTERY_S);
        }
        Self {
            said,
            status: status.to_owned(),
            date: text("DATE").unwrap_or_default().to_owned(),
            answered: text("END APC").and_then(instant),
            began: text("STARTTIME").map(str::to_owned),
            transfers: count("NUMXFERS"),
            on_battery_in_all_s: count("CUMONBATT"),
            last_was_a_test,
            last_on_battery: text("XONBATT").and_then(instant),
            last_back: text("XOFFBATT").and_then(instant),
        }
    }

    /// How old its reading was when it answered, by its own clock; `None` where it writes dates that cannot be read.
    pub(super) fn age(&self) -> Option<Duration> {
        let (read, answered) = (instant(&self.date)?, self.answered?);
        Some(answered.duration_since(read).try_into().unwrap_or_default())
    }

    pub(super) fn has_lost_its_supply(&self) -> bool {
        self.status.split_whitespace().any(|word| word == "COMMLOST")
    }

    /// For how many seconds the last stretch on battery lasted that is over.
    pub(super) fn last_dip_s(&self) -> Option<f64> {
        let lasted = self.last_back?.duration_since(self.last_on_battery?).as_secs_f64();
        (lasted >= 0.0).then_some(lasted)
    }
}

fn in_words_of_nut(status: &str, is_testing: bool) -> String {
    let known = |word: &str| STATUS.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours);
    let mut words: Vec<&str> = status.split_whitespace().filter_map(known).collect();
    if is_testing {
        words.push("TEST");
    }
    words.join(" ")
}

/// `None` for "no test" and for words that nobody knows.
fn self_test(result: &str) -> Option<&'static str> {
    match result {
        "OK" => Some("passed"),
        "NG" => Some("failed"),
        "BT" => Some("failed: the battery has not enough charge"),
        "WN" => Some("passed with a warning"),
        "IP" => Some("in progress"),
        _ => None,
    }
}

/// apcupsd 3.14 writes `2026-11-28 12:04:11 +0000`; versions before that wrote names of zones, which nobody can read.
fn instant(text: &str) -> Option<Timestamp> {
    strtime::parse("%Y-%m-%d %H:%M:%S %z", text.trim()).ok()?.to_timestamp().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(keys: &[(&str, &str)]) -> Told {
        Told::read(&keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_words_of_a_status_become_those_of_nut_and_strange_ones_nothing() {
        for (theirs, ours) in [
            ("ONLINE", "OL"),
            ("ONBATT LOWBATT", "OB LB"),
            ("TRIM ONLINE", "TRIM OL"),
            ("ONLINE REPLACEBATT OVERLOAD", "OL RB OVER"),
            ("CAL ONBATT", "CAL OB"),
            ("SHUTTING DOWN", "FSD"),
            ("ONLINE SLAVE", "OL"),
            ("ONLINE NOBATT", "OL ALARM"),
            ("COMMLOST", ""),
            ("ONLINEX", ""),
        ] {
            assert_eq!(told(&[("STATUS", theirs)]).said["ups.status"], ours, "{theirs}");
        }
    }

    #[test]
    fn numbers_lose_their_units_and_minutes_become_seconds() {
        let told = told(&[
            ("LINEV", "229.5 Volts"),
            ("TIMELEFT", "12.5 Minutes"),
            ("MINTIMEL", "3 Minutes"),
            ("LOADPCT", "40.5 Percent"),
            ("ITEMP", "1e9 C"),
            ("BCHARGE", "N/A"),
            ("NUMXFERS", "17"),
            ("CUMONBATT", "320 Seconds"),
            ("TONBATT", "0 Seconds"),
        ]);
        let said: Vec<_> = told.said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            said,
            [
                ("battery.runtime", "750"),
                ("battery.runtime.low", "180"),
                ("input.voltage", "229.5"),
                ("ups.load", "40.5")
            ]
        );
        assert_eq!((told.transfers, told.on_battery_in_all_s), (Some(17), Some(320)));
    }

    #[test]
    fn the_last_dip_has_its_instants() {
        let told = told(&[
            ("XONBATT", "2026-11-28 13:04:11 +0100"),
            ("XOFFBATT", "2026-11-28 12:04:14 +0000"),
            ("DATE", "2026-11-28 12:05:00 +0000"),
            ("END APC", "2026-11-28 12:09:30 +0000"),
        ]);
        assert_eq!((told.last_dip_s(), told.age()), (Some(3.0), Some(Duration::from_secs(270))));
        let on_battery = Told { last_back: None, ..told };
        assert_eq!(on_battery.last_dip_s(), None);
        assert_eq!(self::told(&[("DATE", "Sat Nov 28 12:04:11 CET 2026"), ("END APC", "x")]).age(), None);
    }

    #[test]
    fn a_self_test_on_battery_is_a_test() {
        let test = [("STATUS", "ONBATT"), ("LASTXFER", "Automatic or explicit self test")];
        assert_eq!(told(&test).said["ups.status"], "OB TEST");
        assert_eq!(told(&[test[1], ("STATUS", "ONLINE")]).said["ups.status"], "OL");
        assert_eq!(told(&[("STATUS", "ONLINE"), ("SELFTEST", "NG")]).said["ups.test.result"], "failed");
    }
}
