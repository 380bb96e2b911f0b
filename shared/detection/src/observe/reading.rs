//! One sample, as far as judging uses it; the same whether it comes from an agent or from a trace.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{Counter, Culprit, DeviceText, Outcome, Sample, sample::Value};

use crate::{
    measure::{self, Measure},
    time_of_day::Signal,
};

/// One sample, without what judging does not use.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// When it was taken, in the collector's time.
    pub at: Timestamp,
    /// When it was received.
    pub received: Timestamp,
    /// What the probe said.
    pub outcome: Outcome,
    /// Packets sent and lost.
    pub loss: Option<(f64, f64)>,
    /// The round-trip time in milliseconds.
    pub rtt_ms: Option<f64>,
    /// Where the supply takes its power from.
    pub supply: Option<Supply>,
    /// What it counted, by signal.
    pub counters: Vec<(Signal, Counter)>,
    /// What is judged by the day.
    pub measured: Vec<(Measure, f64)>,
    /// The age in seconds of the newest file that the check looks at.
    pub newest_age_s: Option<f64>,
    /// Whom the check blames, where it can say that.
    pub culprit: Option<Culprit>,
    /// A stretch on battery that is over, as the agent saw it.
    pub dip: Option<Dip>,
}

/// What an agent says of a stretch on battery that is over, beside its length.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dip {
    /// The lowest voltage of the input that was seen, in whole volts.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub lowest_v: Option<i32>,
    /// Why the supply went to its battery, in its own words.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<DeviceText>,
}

impl Dip {
    /// What the values `dip_s`, `dip_voltage_min` and `dip_cause` say; `None` where there was none.
    pub(crate) fn of(lasted_s: Option<f64>, lowest_v: Option<f64>, cause: Option<&str>) -> Option<Self> {
        lasted_s?;
        // Far beyond any input, and a device may say anything.
        let whole = |volts: f64| (0.0..1_000_000.0).contains(&volts).then(|| volts.round() as i32);
        Some(Self { lowest_v: lowest_v.and_then(whole), cause: cause.map(DeviceText::new) })
    }
}

/// Where a supply takes its power from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Supply {
    /// From the mains.
    Mains,
    /// From its battery.
    Battery {
        /// Whether that will not last.
        is_low: bool,
    },
}

impl Supply {
    /// Where a sample of a power supply says that its power comes from; `None` where it does not say.
    pub fn of(sample: &Sample) -> Option<Self> {
        match sample.values.get("status") {
            Some(Value::Text(text)) => supply(text.as_str()),
            Some(Value::Number(_)) | None => None,
        }
    }
}

impl Reading {
    /// A sample that says no more than its outcome.
    pub fn new(at: Timestamp, outcome: Outcome) -> Self {
        Self {
            at,
            received: at,
            outcome,
            loss: None,
            rtt_ms: None,
            supply: None,
            counters: Vec::new(),
            measured: Vec::new(),
            newest_age_s: None,
            culprit: None,
            dip: None,
        }
    }

    /// What a sample says. An instant of receipt before the sample's own is a clock's mistake: it counts as the own.
    pub fn of(sample: &Sample, received: Timestamp) -> Self {
        let number = |name: &str| match sample.values.get(name) {
            Some(Value::Number(number)) => Some(*number),
            Some(Value::Text(_)) | None => None,
        };
        let text = |name: &str| match sample.values.get(name) {
            Some(Value::Text(text)) => Some(text.as_str()),
            Some(Value::Number(_)) | None => None,
        };
        let status = Supply::of(sample);
        let numbers = sample.values.iter().filter_map(|(name, value)| match value {
            Value::Number(number) => Some((name.as_str(), *number)),
            Value::Text(_) => None,
        });
        let known = sample.counters.iter().filter_map(|(name, counter)| Some((signal(name)?, counter.clone())));
        Self {
            at: sample.at.0,
            received: received.max(sample.at.0),
            outcome: sample.outcome.clone(),
            loss: loss(number("sent"), number("lost"), number("loss_percent")),
            rtt_ms: number("rtt_median_ms").or(number("rtt_ms")),
            supply: status,
            counters: known.collect(),
            measured: measure::of_values(numbers, status),
            newest_age_s: number("newest_age_s"),
            culprit: sample.culprit(),
            dip: Dip::of(number("dip_s"), number("dip_voltage_min"), text("dip_cause")),
        }
    }
}

/// Packets sent and lost, or a share of them.
pub(crate) fn loss(sent: Option<f64>, lost: Option<f64>, percent: Option<f64>) -> Option<(f64, f64)> {
    sent.zip(lost).or(percent.map(|percent| (1.0, percent / 100.0)))
}

/// The tokens of NUT, apcupsd and the SNMP tables; tokens that nobody knows say nothing (PROBES 1, 2).
pub(crate) fn supply(status: &str) -> Option<Supply> {
    let has = |words: &[&str]| {
        status.split_whitespace().any(|token| words.iter().any(|word| token.eq_ignore_ascii_case(word)))
    };
    if has(&["OB", "ONBATT", "FSD", "onBattery", "on-battery"]) {
        Some(Supply::Battery { is_low: has(&["LB", "LOWBATT", "FSD"]) })
    } else if has(&["OL", "ONLINE", "onLine"]) {
        Some(Supply::Mains)
    } else {
        None
    }
}

/// What a counter of this name counts; an open list of names from outside: others count nothing that opens an incident.
pub(crate) fn signal(counter: &str) -> Option<Signal> {
    match counter {
        "transfers" | "numxfers" | "line_bads" | "input_line_bads" => Some(Signal::Transfers),
        "carrier_down" | "carrier_down_count" => Some(Signal::LinkDrops),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_by_its_tokens_and_strange_ones_say_nothing() {
        for (status, expected) in [
            ("OL CHRG", Some(Supply::Mains)),
            ("OB DISCHRG", Some(Supply::Battery { is_low: false })),
            ("ALARM OB LB", Some(Supply::Battery { is_low: true })),
            ("ONLINE", Some(Supply::Mains)),
            ("ONBATT LOWBATT", Some(Supply::Battery { is_low: true })),
            ("onBattery", Some(Supply::Battery { is_low: false })),
            ("WAIT", None),
            ("", None),
        ] {
            assert_eq!(supply(status), expected, "{status}");
        }
    }
}
