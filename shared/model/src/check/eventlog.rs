//! What is asked of an event log of Windows (PROBES 12).

use serde::{Deserialize, Serialize};

use super::{CheckSpec, SpecError};
use crate::vocabulary;

/// The most event ids of one check: a query of Windows takes about twenty conditions.
pub const EVENT_IDS_MAX: usize = 16;

vocabulary!(
    /// How grave an event is, as Windows calls it; an event is at a level when it is at least as grave.
    EventLevel, "level of events", {
        /// The program cannot go on.
        Critical = "critical",
        /// Something has failed.
        Error = "error",
        /// Something may fail.
        Warning = "warning",
        /// All is well, and said so.
        Information = "information",
    }
);

impl EventLevel {
    /// Windows' own number for it: 1 to 4.
    pub fn number(self) -> u8 {
        match self {
            Self::Critical => 1,
            Self::Error => 2,
            Self::Warning => 3,
            Self::Information => 4,
        }
    }
}

/// Events of one log that should not happen, or not often. All that is said must hold of an event; one key at the least
/// beside the log says which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLogSpec {
    /// The log: `System`, `Application`, or a channel such as `Microsoft-Windows-Backup`.
    pub channel: String,
    /// Who writes the event, such as `disk` or `Microsoft-Windows-Backup`; anybody when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The events by number; all when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u16>,
    /// The least grave level that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<EventLevel>,
    /// A part of the event's text, in whatever case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// So many events within the time below are bad.
    #[serde(default = "once")]
    pub bad_after: u32,
    /// For how long an event counts, in seconds.
    #[serde(default = "an_hour")]
    pub within_s: u64,
}

fn once() -> u32 {
    1
}

fn an_hour() -> u64 {
    3_600
}

impl EventLogSpec {
    /// What no collector may ask (SECURITY 2).
    pub(super) fn validate(&self, check: &CheckSpec) -> Result<(), SpecError> {
        check.bound("every_ms", check.every_ms, 5_000, 86_400_000)?;
        // Nothing of it ends the text in which it stands in a query.
        let is_word = |text: &str| {
            let fits = |c: char| !c.is_control() && !matches!(c, '\'' | '"' | '<' | '>' | '&' | '*' | '?');
            (1..=255).contains(&text.len()) && text.chars().all(fits)
        };
        if !is_word(&self.channel) {
            return Err(check.parameter("channel", &self.channel, "must be the name of a log, such as System"));
        }
        if let Some(provider) = self.provider.as_ref().filter(|provider| !is_word(provider)) {
            return Err(check.parameter("provider", provider, "must be the name of an event's source, such as disk"));
        }
        if let Some(text) = &self.contains
            && (text.trim().is_empty() || text.len() > 200 || text.chars().any(char::is_control))
        {
            return Err(check.parameter("contains", text, "must be 1 to 200 bytes of an event's text"));
        }
        if self.provider.is_none() && self.ids.is_empty() && self.level.is_none() && self.contains.is_none() {
            let why = "says no event: add `provider`, `ids`, `level` or `contains`";
            return Err(check.parameter("channel", &self.channel, why));
        }
        check.bound("ids", self.ids.len() as u64, 0, EVENT_IDS_MAX as u64)?;
        check.bound("bad_after", self.bad_after.into(), 1, 10_000)?;
        check.bound("within_s", self.within_s, 60, 7 * 86_400)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProbeSpec;

    #[test]
    fn a_check_says_which_events_and_nothing_that_would_end_its_query() {
        let refused = |more: &str| {
            let text = format!(r#"{{"kind":"eventlog","channel":"System"{more}}}"#);
            let probe: ProbeSpec = serde_json::from_str(&text).unwrap();
            let check = CheckSpec::with_defaults("srv-1/eventlog".parse().unwrap(), probe);
            check.validate().err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(refused(r#","provider":"Microsoft-Windows-Kernel-Power","ids":[41]"#), "");
        assert_eq!(refused(r#","level":"error","contains":"the device, \\Device\\Harddisk0","bad_after":3"#), "");
        for (more, why) in [
            ("", "says no event"),
            (r#","provider":"x' or '1'='1""#, "must be the name of an event's source"),
            (r#","contains":" ""#, "must be 1 to 200 bytes"),
            (r#","ids":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]"#, "ids is 17, allowed is 0 to 16"),
            (r#","ids":[1],"within_s":1"#, "within_s is 1, allowed is 60"),
            (r#","ids":[1],"bad_after":0"#, "bad_after is 0, allowed is 1"),
        ] {
            assert!(refused(more).contains(why), "{more}: {}", refused(more));
        }
    }
}
