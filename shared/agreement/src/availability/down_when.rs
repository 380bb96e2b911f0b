//! Which of an asset's functions make it down, as a plan words it (`down_when`, TERMS 2).
//!
//! Conditions are joined by ` or `: `any check failed`, `any camera not recording`, or `rec.freshness failed` with a
//! check's kind or its own name. Without the key any failed check makes the asset down. With it, a failed check that no
//! condition names leaves the asset degraded. `any camera not recording` holds while any check of the recorder failed,
//! or any camera that records to it is down. Other words are kept by the book and listed as not acted on; any failed
//! check makes the asset down then, which is the reading that no client loses by.

use std::{fmt, str::FromStr};

/// What makes an asset down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownWhen(Vec<Condition>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    AnyCheck,
    AnyCamera,
    Check(String),
}

/// A condition that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no condition: write \"any check failed\", \"any camera not recording\" or \"rec.freshness failed\"")]
pub struct NotACondition(String);

impl Default for DownWhen {
    fn default() -> Self {
        Self(vec![Condition::AnyCheck])
    }
}

impl DownWhen {
    /// Whether the failure of a check makes the asset down; degraded else.
    pub fn names(&self, kind: &str, name: &str) -> bool {
        self.0.iter().any(|condition| match condition {
            Condition::AnyCheck | Condition::AnyCamera => true,
            Condition::Check(named) => named == kind || named == name,
        })
    }

    /// Whether a camera that records to the asset makes it down when it is down.
    pub fn follows_cameras(&self) -> bool {
        self.0.contains(&Condition::AnyCamera)
    }
}

impl FromStr for DownWhen {
    type Err = NotACondition;

    fn from_str(text: &str) -> Result<Self, NotACondition> {
        let condition = |part: &str| match part.trim() {
            "any check failed" => Ok(Condition::AnyCheck),
            "any camera not recording" => Ok(Condition::AnyCamera),
            other => match other.strip_suffix(" failed").map(str::trim) {
                Some(check) if !check.is_empty() && !check.contains(char::is_whitespace) => {
                    Ok(Condition::Check(check.to_owned()))
                }
                Some(_) | None => Err(NotACondition(other.chars().take(80).collect())),
            },
        };
        text.split(" or ").map(condition).collect::<Result<Vec<_>, _>>().map(Self)
    }
}

impl fmt::Display for DownWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().map(|condition| match condition {
            Condition::AnyCheck => "any check failed".to_owned(),
            Condition::AnyCamera => "any camera not recording".to_owned(),
            Condition::Check(check) => format!("{check} failed"),
        });
        f.pad(&words.collect::<Vec<_>>().join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_as_they_are_written_and_nothing_is_guessed() {
        let of = |text: &str| text.parse::<DownWhen>().unwrap();
        let named = of("rec.freshness failed or recorder.service failed");
        assert!(named.names("rec.freshness", "rec.freshness") && named.names("service", "recorder.service"));
        assert!(!named.names("host", "host") && !named.follows_cameras());
        assert!(of("any camera not recording").follows_cameras());
        assert!(DownWhen::default().names("host", "host"));
        assert_eq!(named.to_string(), "rec.freshness failed or recorder.service failed");
        for bad in ["", "when it rains", "the host failed", "any check failed or "] {
            assert!(bad.parse::<DownWhen>().is_err(), "{bad}");
        }
    }
}
