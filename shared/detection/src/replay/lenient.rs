//! Values and counters of a trace: what has the expected shape is taken, anything else says nothing. The name of a value
//! means what its kind of check means by it, and a trace holds kinds that nobody here knows.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use upheld_model::{Counter, DeviceText};

use super::line::{Borrowed, word_of};
use crate::{measure::Measure, observe::signal, time_of_day::Signal};

/// A number, if it is one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Number(pub(super) Option<f64>);

/// A text, if it is one.
#[derive(Debug, Clone, Default)]
pub(super) struct Words<'a>(pub(super) Option<Cow<'a, str>>);

/// The counters whose names are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters(pub(super) Vec<(Signal, Counter)>);

/// The values that judging uses; a trace may hold any others, and other kinds may use a name for something else.
#[derive(Default)]
pub(super) struct Values<'a> {
    pub(super) sent: Number,
    pub(super) lost: Number,
    pub(super) loss_percent: Number,
    pub(super) rtt_median_ms: Number,
    pub(super) rtt_ms: Number,
    pub(super) uptime_s: Number,
    pub(super) newest_age_s: Number,
    pub(super) dip_s: Number,
    pub(super) dip_voltage_min: Number,
    pub(super) dip_cause: Words<'a>,
    pub(super) status: Words<'a>,
    pub(super) verdict: Words<'a>,
    pub(super) ended: Words<'a>,
    pub(super) boot_id: Option<Value>,
    /// Numbers that are judged by the day.
    pub(super) measured: Vec<(Cow<'a, str>, f64)>,
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Values::default();
        while let Some(Borrowed(name)) = map.next_key()? {
            match &*name {
                "sent" => values.sent = map.next_value()?,
                "lost" => values.lost = map.next_value()?,
                "loss_percent" => values.loss_percent = map.next_value()?,
                "rtt_median_ms" => values.rtt_median_ms = map.next_value()?,
                "rtt_ms" => values.rtt_ms = map.next_value()?,
                "uptime_s" => values.uptime_s = map.next_value()?,
                "newest_age_s" => values.newest_age_s = map.next_value()?,
                "dip_s" => values.dip_s = map.next_value()?,
                "dip_voltage_min" => values.dip_voltage_min = map.next_value()?,
                "dip_cause" => values.dip_cause = map.next_value()?,
                "status" => values.status = map.next_value()?,
                "verdict" => values.verdict = map.next_value()?,
                "ended" => values.ended = map.next_value()?,
                "boot_id" => values.boot_id = map.next_value()?,
                _ if Measure::named(&name).is_some() => {
                    let Number(number) = map.next_value()?;
                    values.measured.extend(number.map(|number| (name, number)));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(values)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Values<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ValuesVisitor)
    }
}

/// Reads anything, and keeps a number or a text.
enum Scalar<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Neither,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Neither)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Neither)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Neither)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Neither)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Number(number) => Some(number),
            Scalar::Text(_) | Scalar::Neither => None,
        }))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Text(text) => Some(text),
            Scalar::Number(_) | Scalar::Neither => None,
        }))
    }
}

impl<'de> Deserialize<'de> for Counters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountersVisitor)
    }
}

struct CountersVisitor;

impl<'de> Visitor<'de> for CountersVisitor {
    type Value = Counters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counters by name, each [\"EPOCH\", 17]")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Counters::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut known = Vec::new();
        while let Some(Borrowed(name)) = entries.next_key()? {
            match signal(&name) {
                Some(signal) => known.push((signal, entries.next_value::<Counted>()?.0)),
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Counters(known))
    }
}

/// `["EPOCH", 17]`, or a bare number, which has no epoch.
struct Counted(Counter);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountedVisitor)
    }
}

struct CountedVisitor;

impl<'de> Visitor<'de> for CountedVisitor {
    type Value = Counted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a counter, [\"EPOCH\", 17]")
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Self::Value, E> {
        Ok(Counted(Counter(DeviceText::new(""), count)))
    }

    fn visit_f64<E: Error>(self, count: f64) -> Result<Self::Value, E> {
        Ok(Counted(Counter(DeviceText::new(""), whole(count)?)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let missing = || A::Error::custom("a counter is [\"EPOCH\", 17]");
        let epoch: Value = items.next_element()?.ok_or_else(missing)?;
        let count: Value = items.next_element()?.ok_or_else(missing)?;
        let count = match count.as_u64() {
            Some(count) => count,
            None => whole(count.as_f64().ok_or_else(missing)?)?,
        };
        Ok(Counted(Counter(DeviceText::new(&word_of(&epoch)), count)))
    }
}

fn whole<E: Error>(count: f64) -> Result<u64, E> {
    if count >= 0.0 && count < u64::MAX as f64 && count.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked one line above")]
        return Ok(count as u64);
    }
    Err(E::custom(format!("a counter counts up in whole numbers, not {count}")))
}
