//! What every check of a power supply shares, whatever its supply is asked by: `ups.nut`, `ups.apcupsd`, `ups.snmp`.
//!
//! Each of them says what it heard in the names of NUT (its `docs/nut-names.txt`, and the words of `ups.status`), and what
//! follows is the same for all: what is judged, which values are told by which names, what silence is worth. So the rules
//! of detection (dips, transfers, ageing batteries) know one supply, not three.

pub(crate) mod battery;
mod judge;

pub(crate) use judge::{Held, judge};

use std::collections::BTreeMap;

use upheld_model::{Outcome, UnknownReason};

use crate::ProbeResult;

/// What a supply says of itself, by the names of NUT.
pub(crate) type Variables = BTreeMap<String, String>;

/// For how many seconds it has run on battery, as it counts itself. NUT has no name for that.
pub(crate) const ON_BATTERY_S: &str = "upheld.on-battery-s";

/// The variables that are kept: NUT's name, and ours with its unit.
pub(crate) const NUMBERS: &[(&str, &str)] = &[
    ("input.voltage", "input_voltage"),
    ("battery.charge", "charge_percent"),
    ("battery.runtime", "runtime_s"),
    ("ups.load", "load_percent"),
    ("input.frequency", "input_frequency_hz"),
    ("output.voltage", "output_voltage"),
    ("battery.voltage", "battery_voltage"),
    ("battery.temperature", "battery_temperature_c"),
    ("ups.temperature", "temperature_c"),
    ("ups.realpower", "power_w"),
    ("input.voltage.minimum", "input_voltage_min"),
    ("input.voltage.maximum", "input_voltage_max"),
    ("battery.runtime.low", "runtime_low_s"),
];

/// The same for words.
pub(crate) const TEXTS: &[(&str, &str)] = &[
    ("ups.status", "status"),
    ("ups.alarm", "alarm"),
    ("input.transfer.reason", "transfer_reason"),
    ("ups.test.result", "test_result"),
    ("battery.date", "battery_date"),
    ("driver.state", "driver_state"),
];

/// Adds what is kept of what was said; `is_listing` when it is the first of a connection, or something is new.
fn values(mut result: ProbeResult, said: &Variables, is_listing: bool) -> ProbeResult {
    for (theirs, ours) in NUMBERS {
        if let Some(number) = said.get(*theirs).and_then(|text| number(text)) {
            result = result.value(*ours, number);
        }
    }
    for (theirs, ours) in TEXTS {
        if let Some(text) = said.get(*theirs) {
            result = result.value(*ours, text.as_str());
        }
    }
    // What never changes is told once for each connection.
    let model = ["ups.mfr", "ups.model"].map(|name| said.get(name).map_or("", String::as_str)).join(" ");
    if is_listing && !model.trim().is_empty() {
        result = result.value("model", model.trim());
    }
    result
}

/// A number as NUT writes it: `1200.20`, `042.7`, never an exponent or a comma.
pub(crate) fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.len() <= 20;
    text.parse().ok().filter(|_| is_plain)
}

/// A supply's own count of transfers, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    began: String,
    transfers: Option<u64>,
    tests: u64,
}

impl Counted {
    /// Goes on with what was told now, within the epoch that `began`; how many transfers there were since the look before
    /// that were no test. At a test a new epoch begins.
    pub(crate) fn note(&mut self, began: &str, transfers: u64, is_test: bool) -> u64 {
        if self.began != began {
            *self = Self { began: began.to_owned(), transfers: Some(transfers), tests: 0 };
            return 0;
        }
        let more = self.transfers.map_or(0, |before| transfers.saturating_sub(before));
        self.transfers = Some(transfers);
        if more > 0 && is_test {
            self.tests += 1;
            return 0;
        }
        more
    }

    pub(crate) fn epoch(&self) -> String {
        match self.tests {
            0 => self.began.clone(),
            tests => format!("{}/{tests}", self.began),
        }
    }
}

/// The result of a look: with what happened between it and the one before (`missed`), and without explaining again what is
/// well; `is_new` when this status was not told before.
pub(crate) fn tell(mut judged: ProbeResult, said: &Variables, missed: Option<String>, is_new: bool) -> ProbeResult {
    if judged.outcome == Outcome::Ok
        && let Some(missed) = missed
    {
        let now = judged.evidence.as_ref().map_or("", |text| text.as_str());
        let evidence = format!("{missed}, {now}");
        judged = ProbeResult { outcome: Outcome::Warn, ..judged }.evidence(evidence);
    }
    // A sample every few seconds: what is well is not explained each time.
    if judged.outcome == Outcome::Ok && !is_new {
        judged.evidence = None;
    }
    values(judged, said, is_new)
}

/// A server that takes no connection says nothing about the power; `server` is its name in a sentence.
pub(crate) fn as_silence(failed: ProbeResult, server: &str) -> ProbeResult {
    match (&failed.outcome, &failed.evidence) {
        (Outcome::Bad, Some(why)) => {
            ProbeResult::unknown(UnknownReason::Stale, format!("{server} does not answer: {why}"))
        }
        (Outcome::Ok | Outcome::Warn | Outcome::Bad | Outcome::Unknown { .. }, _) => failed,
    }
}

/// Silence after "on battery" is worth more of a person's time than silence after "on mains".
pub(crate) fn add_last_words(result: ProbeResult, held: Option<&Held>) -> ProbeResult {
    match &result.evidence {
        Some(why) if held.is_some_and(Held::is_on_battery) => {
            let why = format!("{why}; it was on battery when it was last heard");
            result.evidence(why)
        }
        Some(_) | None => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_the_protocol_says_and_nothing_else() {
        for (text, value) in
            [("1200.20", Some(1200.2)), ("042.7", Some(42.7)), ("-3", Some(-3.0)), ("100", Some(100.0))]
        {
            assert_eq!(number(text), value, "{text}");
        }
        for text in ["", "1e3", "inf", "NaN", "1,5", "0x10", "1.2.3", "-", ".5", "+1", "12 V", &"9".repeat(400)] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
