//! One line of a trace.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use upheld_model::{BootEnd, Outcome, UnknownReason};

use super::lenient::{Counters, Values};
use crate::{
    measure,
    observe::{Dip, Reading, loss, supply},
};

/// Why a line means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: {why}")]
pub struct LineError {
    /// Which line, from 1.
    pub number: usize,
    /// What is wrong with it and what is expected.
    pub why: String,
}

/// What a line says.
pub(super) enum Line<'a> {
    Sample(Box<SampleLine<'a>>),
    Event(EventLine),
    Collector { at: Timestamp, what: CollectorWord },
}

pub(super) struct SampleLine<'a> {
    pub(super) client: Option<Cow<'a, str>>,
    pub(super) site: Option<Cow<'a, str>>,
    pub(super) asset: Cow<'a, str>,
    pub(super) check: Cow<'a, str>,
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) reading: Reading,
    pub(super) boot: Option<(String, Option<f64>, Option<BootEnd>)>,
}

pub(super) struct EventLine {
    pub(super) at: Timestamp,
    pub(super) received: Timestamp,
    pub(super) client: Option<String>,
    pub(super) site: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) asset: Option<String>,
    pub(super) check: Option<String>,
    pub(super) word: EventWord,
    pub(super) reason: Option<String>,
}

/// What an agent says beside its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventWord {
    /// A host started.
    Boot,
    /// Its last words.
    LastGasp,
    /// It is there.
    Heartbeat,
    /// What a job says of a run; its reason is `start`, `ok` or `fail`.
    Run,
}

/// What the collector says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CollectorWord {
    /// It takes what it is sent.
    Up,
    /// It does not: it is down, or refuses.
    Down,
    /// It reaches none of its anchors: its own line is out.
    AnchorsLost,
    /// It reaches them again.
    AnchorsBack,
}

#[derive(Deserialize)]
struct Raw<'a> {
    t: Timestamp,
    rx: Option<Timestamp>,
    #[serde(borrow, default)]
    client: Text<'a>,
    #[serde(borrow, default)]
    site: Text<'a>,
    #[serde(borrow, default)]
    agent: Text<'a>,
    #[serde(borrow, default)]
    asset: Text<'a>,
    #[serde(borrow, default)]
    check: Text<'a>,
    #[serde(borrow, default)]
    kind: Text<'a>,
    outcome: Option<OutcomeWord>,
    #[serde(borrow, default)]
    reason: Text<'a>,
    #[serde(borrow)]
    values: Option<Values<'a>>,
    #[serde(default)]
    counters: Counters,
    event: Option<EventWord>,
    collector: Option<CollectorWord>,
}

/// Text that is borrowed from the line where it can be.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Option<Borrowed<'a>>);

#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Borrowed<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum OutcomeWord {
    Ok,
    Warn,
    Bad,
    Unknown,
}

pub(super) fn read(text: &str) -> Result<Line<'_>, String> {
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(what) = raw.collector {
        return Ok(Line::Collector { at: raw.t, what });
    }
    if let Some(word) = raw.event {
        return Ok(Line::Event(event(raw, word)));
    }
    sample(raw).map(|sample| Line::Sample(Box::new(sample)))
}

impl<'a> Text<'a> {
    fn cow(self) -> Option<Cow<'a, str>> {
        self.0.map(|borrowed| borrowed.0)
    }

    fn owned(self) -> Option<String> {
        self.cow().map(Cow::into_owned)
    }
}

fn event(raw: Raw<'_>, word: EventWord) -> EventLine {
    EventLine {
        at: raw.t,
        received: raw.rx.unwrap_or(raw.t).max(raw.t),
        client: raw.client.owned(),
        site: raw.site.owned(),
        agent: raw.agent.owned(),
        asset: raw.asset.owned(),
        check: raw.check.owned(),
        word,
        reason: raw.reason.owned(),
    }
}

fn sample(raw: Raw<'_>) -> Result<SampleLine<'_>, String> {
    let missing =
        |what: &str| format!("a sample without {what:?}; a line is a sample, an event or about the collector");
    let outcome = match raw.outcome.ok_or_else(|| missing("outcome"))? {
        OutcomeWord::Ok => Outcome::Ok,
        OutcomeWord::Warn => Outcome::Warn,
        OutcomeWord::Bad => Outcome::Bad,
        OutcomeWord::Unknown => Outcome::unknown(reason(raw.reason.0.as_ref().map(|text| &*text.0))),
    };
    let values = raw.values.unwrap_or_default();
    let status = values.status.0.and_then(|status| supply(&status));
    let measured = values.measured.iter().map(|(name, value)| (&**name, *value));
    let reading = Reading {
        at: raw.t,
        received: raw.rx.unwrap_or(raw.t).max(raw.t),
        outcome,
        loss: loss(values.sent.0, values.lost.0, values.loss_percent.0),
        rtt_ms: values.rtt_median_ms.0.or(values.rtt_ms.0),
        supply: status,
        counters: raw.counters.0,
        measured: measure::of_values(measured, status),
        newest_age_s: values.newest_age_s.0,
        culprit: values.verdict.0.and_then(|verdict| verdict.parse().ok()),
        dip: Dip::of(values.dip_s.0, values.dip_voltage_min.0, values.dip_cause.0.as_deref()),
    };
    Ok(SampleLine {
        client: raw.client.cow(),
        site: raw.site.cow(),
        asset: raw.asset.cow().ok_or_else(|| missing("asset"))?,
        check: raw.check.cow().ok_or_else(|| missing("check"))?,
        kind: raw.kind.cow(),
        reading,
        boot: values.boot_id.map(|id| {
            let ended = values.ended.0.as_ref().and_then(|ended| ended.parse().ok());
            (word_of(&id), values.uptime_s.0, ended)
        }),
    })
}

/// The reason as a trace writes it; one that nobody knows is still no judgement.
fn reason(text: Option<&str>) -> UnknownReason {
    let word = text.unwrap_or("pending").trim().replace([' ', '_'], "-");
    serde_json::from_value(Value::String(word)).unwrap_or(UnknownReason::Pending)
}

pub(super) fn word_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use upheld_model::Counter;

    use super::*;
    use crate::{observe::Supply, time_of_day::Signal};

    #[test]
    fn a_sample_is_read_with_what_it_measured() {
        let text = r#"{"t":"2026-11-16T16:10:07.25Z","asset":"ups-2","check":"ups","kind":"ups.nut","outcome":"warn","values":{"status":"OB DISCHRG LB","sent":20,"lost":1,"other":"x"},"counters":{"transfers":["e",17],"x":[1,2]},"later":true}"#;
        let Ok(Line::Sample(sample)) = read(text) else { panic!("no sample") };
        assert_eq!(sample.reading.supply, Some(Supply::Battery { is_low: true }));
        assert_eq!(sample.reading.loss, Some((20.0, 1.0)));
        assert_eq!(sample.reading.counters, [(Signal::Transfers, Counter("e".into(), 17))]);
        assert_eq!(sample.reading.received, sample.reading.at);
    }

    #[test]
    fn what_another_kind_calls_by_a_known_name_is_no_error() {
        let text = r#"{"t":"2026-11-16T16:10:07Z","asset":"web","check":"http","outcome":"ok","values":{"status":200,"lost":"none","sent":null,"rtt_ms":[1,{"a":2}],"boot_id":null},"counters":{"transfers":17.0,"restarts":{"any":"shape"}}}"#;
        let Ok(Line::Sample(sample)) = read(text) else { panic!("no sample") };
        let reading = sample.reading;
        assert_eq!((reading.supply, reading.loss, reading.rtt_ms), (None, None, None));
        assert_eq!(reading.counters, [(Signal::Transfers, Counter("".into(), 17))]);
    }

    #[test]
    fn unknown_has_its_reason_and_a_strange_one_is_still_unknown() {
        for (text, expected) in [
            ("agent silent", UnknownReason::AgentSilent),
            ("off", UnknownReason::Off),
            ("mystery", UnknownReason::Pending),
        ] {
            assert_eq!(reason(Some(text)), expected);
        }
    }

    #[test]
    fn a_line_that_means_nothing_says_what_is_missing() {
        let refused = |text: &str| read(text).err().unwrap();
        assert!(refused(r#"{"t":"2026-11-16T16:10:07Z","asset":"a","check":"b"}"#).contains("outcome"));
        assert!(refused(r#"{"t":"yesterday","collector":"up"}"#).contains("column 16"));
        assert!(refused(r#"{"t":"2026-11-16T16:10:07Z","event":"party"}"#).contains("last-gasp"));
    }
}
