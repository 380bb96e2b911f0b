//! What a later version asks: kept as it came, run by nobody, and no reason to refuse the checks beside it.
//!
//! An agent is updated after its collector, sometimes years after. A kind that it does not know, or a key of a kind that
//! it does, costs that one check: it is unknown, with the reason in words, and is run once the agent can read it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Map, Value};

use super::ProbeSpec;

/// A probe that this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaterProbe {
    kind: String,
    why: String,
    said: Map<String, Value>,
}

impl LaterProbe {
    /// The kind's name, as it came.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Why nothing is asked, and what to do, for a person: `this agent is too old for net.dns: update it`.
    pub fn words(&self) -> String {
        if ProbeSpec::KINDS.contains(&self.kind.as_str()) {
            format!("this agent is too old for what this check asks of {} ({}): update it", self.kind, self.why)
        } else {
            format!("this agent is too old for {}: update it", self.kind)
        }
    }
}

impl<'de> Deserialize<'de> for ProbeSpec {
    /// Fails only for what names no kind at all.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said = Map::deserialize(deserializer)?;
        let Some(kind) = said.get("kind").and_then(Value::as_str).map(str::to_owned) else {
            return Err(D::Error::custom("a probe without `kind`, the name of what to ask"));
        };
        // Not a call of itself: the derive with `remote` makes a function of this name, which reads strictly.
        match Self::deserialize(Value::Object(said.clone())) {
            Ok(probe) => Ok(probe),
            Err(why) => Ok(Self::Later(LaterProbe { kind, why: why.to_string().chars().take(120).collect(), said })),
        }
    }
}

impl Serialize for ProbeSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Self::Later(later) = self {
            return later.said.serialize(serializer);
        }
        // As above: the derived function.
        Self::serialize(self, serializer)
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{CheckSpec, validate_all};

    use super::*;

    fn check(probe: &str) -> CheckSpec {
        let text = format!(
            r#"{{"id":"a/b","probe":{probe},"every_ms":1000,"timeout_ms":1000,"fail_after":1,"recover_after":1,
                "stale_after_ms":4000}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_kind_or_a_key_of_a_later_version_is_one_check_that_says_so_and_is_kept_as_it_came() {
        for (probe, words) in [
            (r#"{"kind":"net.quic","target":"a","deep":{"b":[1]}}"#, "this agent is too old for net.quic: update it"),
            (
                r#"{"kind":"net.tcp","target":"a","port":1,"run":"id"}"#,
                "what this check asks of net.tcp (unknown field",
            ),
        ] {
            let read = check(probe);
            read.validate().unwrap();
            let ProbeSpec::Later(later) = &read.probe else { panic!("{read:?}") };
            assert!(later.words().contains(words), "{}", later.words());
            let again: Value = serde_json::to_value(&read.probe).unwrap();
            assert_eq!(again, serde_json::from_str::<Value>(probe).unwrap(), "an updated agent must find all of it");
        }
    }

    #[test]
    fn what_is_no_name_of_a_kind_is_refused() {
        assert!(serde_json::from_str::<ProbeSpec>(r#"{"target":"a"}"#).is_err());
        assert!(serde_json::from_str::<ProbeSpec>(r#""net.tcp""#).is_err());
        for kind in ["", "a b", "\\u001b[31m", &"x".repeat(65)] {
            let refused = validate_all(&[check(&format!(r#"{{"kind":"{kind}"}}"#))]);
            assert!(refused.is_err(), "{kind:?}");
        }
    }
}
