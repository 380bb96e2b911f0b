//! The lines of a trace, written (DETECTION 8): what `upheld-agent record` and a collector's export put into a file, and
//! what [`super::Trace`] reads back. One line each, without a line break.
//!
//! ```
//! use upheld_detection::replay::record::{self, Saying, Word};
//! let heartbeat = Saying {
//!     at: "2026-11-16T16:00:00Z".parse().unwrap(),
//!     received: None,
//!     client: None,
//!     site: Some("plant-2"),
//!     agent: Some("a1"),
//!     asset: None,
//!     word: Word::Heartbeat,
//!     reason: None,
//! };
//! let line = record::event(&heartbeat);
//! assert_eq!(line, r#"{"t":"2026-11-16T16:00:00Z","site":"plant-2","agent":"a1","event":"heartbeat"}"#);
//! ```

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use upheld_model::{CheckId, Counter, Outcome, Sample, UnknownReason, sample::Value};

pub use super::line::{CollectorWord, EventWord as Word};

/// What an agent says beside its samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saying<'a> {
    /// When, as the agent claims.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// When it was received, where that is known and another instant.
    #[serde(rename = "rx", skip_serializing_if = "Option::is_none")]
    pub received: Option<Timestamp>,
    /// Of which client, where the site's name alone is not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'a str>,
    /// Of which site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<&'a str>,
    /// Which agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<&'a str>,
    /// About which asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset: Option<&'a str>,
    /// What.
    #[serde(rename = "event")]
    pub word: Word,
    /// In its own words, e.g. `shutdown requested`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

/// Writes what an agent said.
pub fn event(saying: &Saying<'_>) -> String {
    json(saying)
}

/// Writes what a job says of a run: `start`, `ok` or `fail`.
pub fn run(at: Timestamp, site: Option<&str>, check: &CheckId, what: &str) -> String {
    json(&RunOut {
        t: at,
        site,
        asset: check.asset.as_str(),
        check: check.name.as_str(),
        event: Word::Run,
        reason: what,
    })
}

/// Writes a sample of a check of this kind, without its evidence: a trace leaves the house. `received` is given where
/// it is known and another instant.
pub fn sample(sample: &Sample, kind: &str, received: Option<Timestamp>) -> String {
    let reason = match &sample.outcome {
        Outcome::Unknown { reason } => Some(*reason),
        Outcome::Ok | Outcome::Warn | Outcome::Bad => None,
    };
    json(&SampleOut {
        t: sample.at.0,
        rx: received,
        asset: sample.check.asset.as_str(),
        check: sample.check.name.as_str(),
        kind,
        outcome: match &sample.outcome {
            Outcome::Ok => "ok",
            Outcome::Warn => "warn",
            Outcome::Bad => "bad",
            Outcome::Unknown { reason: _ } => "unknown",
        },
        reason,
        values: &sample.values,
        counters: &sample.counters,
    })
}

/// Writes what the collector says of itself.
pub fn collector(at: Timestamp, what: CollectorWord) -> String {
    json(&CollectorOut { t: at, collector: what })
}

#[derive(Serialize)]
struct SampleOut<'a> {
    t: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    rx: Option<Timestamp>,
    asset: &'a str,
    check: &'a str,
    kind: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<UnknownReason>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    values: &'a BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    counters: &'a BTreeMap<String, Counter>,
}

#[derive(Serialize)]
struct RunOut<'a> {
    t: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    asset: &'a str,
    check: &'a str,
    event: Word,
    reason: &'a str,
}

#[derive(Serialize)]
struct CollectorOut {
    t: Timestamp,
    collector: CollectorWord,
}

/// Text, numbers and maps with text as keys are always JSON.
fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("text, numbers and maps of them are JSON")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use upheld_model::ObservedAt;

    use super::*;
    use crate::{
        observe::Reading,
        replay::line::{Line, read},
    };

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(
            sample in any_sample(), received in proptest::option::of(0i64..4_000_000_000), kind in "[a-z]{1,8}",
        ) {
            let received = received.map(at);
            let line = super::sample(&sample, &kind, received);
            prop_assert!(!line.contains('\n'));
            let Ok(Line::Sample(read)) = read(&line) else { return Err(TestCaseError::fail(line)) };
            prop_assert_eq!(&read.reading, &Reading::of(&sample, received.unwrap_or(sample.at.0)));
            prop_assert_eq!(read.asset.as_ref(), sample.check.asset.as_str());
            prop_assert_eq!(read.check.as_ref(), sample.check.name.as_str());
            prop_assert_eq!(read.kind.as_deref(), Some(kind.as_str()));
        }

        #[test]
        fn what_was_said_is_read_as_it_was(
            second in 0i64..4_000_000_000, later in proptest::option::of(0i64..1_000),
            names in proptest::collection::vec(proptest::option::of("\\PC{0,12}"), 5), word in 0usize..3,
        ) {
            let [client, site, agent, asset, reason] = [0, 1, 2, 3, 4].map(|n: usize| names[n].as_deref());
            let word = [Word::Boot, Word::LastGasp, Word::Heartbeat][word];
            let received = later.map(|later| at(second + later));
            let said = Saying { at: at(second), received, client, site, agent, asset, word, reason };
            let line = event(&said);
            let Ok(Line::Event(read)) = read(&line) else { return Err(TestCaseError::fail(line)) };
            let again = Saying {
                at: read.at,
                received: received.map(|_| read.received),
                client: read.client.as_deref(),
                site: read.site.as_deref(),
                agent: read.agent.as_deref(),
                asset: read.asset.as_deref(),
                word: read.word,
                reason: read.reason.as_deref(),
            };
            prop_assert_eq!(again, said);
        }
    }

    #[test]
    fn the_collector_is_read_as_it_was() {
        use CollectorWord::{AnchorsBack, AnchorsLost, Down, Up};
        for word in [Up, Down, AnchorsLost, AnchorsBack] {
            let Ok(Line::Collector { at: read, what }) = read(&collector(at(7), word)) else { panic!("{word:?}") };
            assert_eq!((read, what), (at(7), word));
        }
    }

    fn any_sample() -> impl Strategy<Value = Sample> {
        let outcome = prop_oneof![
            Just(Outcome::Ok),
            Just(Outcome::Warn),
            Just(Outcome::Bad),
            Just(Outcome::unknown(UnknownReason::Credentials)),
            Just(Outcome::unknown(UnknownReason::AgentSilent)),
        ];
        // Eighths: serde_json may miss the last bit of longer numbers.
        let number = any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0));
        let text = prop_oneof!["\\PC{0,20}", Just("OB DISCHRG LB".to_owned()), Just("OL".to_owned())];
        let value = prop_oneof![number, text.prop_map(|text| Value::from(text.as_str()))];
        let name = prop_oneof![
            "[a-z_]{1,12}",
            Just("status".to_owned()),
            Just("sent".to_owned()),
            Just("lost".to_owned()),
            Just("rtt_median_ms".to_owned()),
            Just("disk_used_percent /var".to_owned()),
            Just("charge_percent".to_owned()),
            Just("runtime_s".to_owned()),
        ];
        let values = proptest::collection::btree_map(name, value, 0..5);
        let counted = prop_oneof![Just("transfers".to_owned()), Just("carrier_down".to_owned()), "[a-z_]{1,12}"];
        let counter = ("\\PC{1,12}", any::<u64>()).prop_map(|(epoch, count)| Counter(epoch.as_str().into(), count));
        let counters = proptest::collection::btree_map(counted, counter, 0..3);
        (0i64..4_000_000_000_000, outcome, values, counters).prop_map(|(milli, outcome, values, counters)| Sample {
            check: "cam-3/rtsp".parse().unwrap(),
            at: ObservedAt(Timestamp::from_millisecond(milli).unwrap()),
            took_us: 0,
            outcome,
            values,
            counters,
            evidence: None,
        })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
