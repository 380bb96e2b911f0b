//! What a check of processes asks: which, how many there must be, and what they may use.

use serde::{Deserialize, Serialize};

use super::{CheckSpec, SpecError};

/// No check counts more processes.
const COUNT_MAX: u64 = 10_000;
/// The least memory that can be a bound, in bytes: 1 MiB.
const MEMORY_MIN: u64 = 1 << 20;
/// The most, in bytes: 64 TiB.
const MEMORY_MAX: u64 = 64 << 40;

/// Processes of the agent's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// The name of the program, whole and without its folder: `nginx`. On Windows with or without `.exe`.
    pub process: String,
    /// One whole argument of its command line, where the name alone would mean others too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// The user it runs as: a name of the host's own users, or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// So many must run.
    #[serde(default = "default_at_least")]
    pub at_least: u32,
    /// More must not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
    /// The memory that all of them together may hold, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u64>,
    /// The processor time that all of them together may take for ten minutes, in percent of one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_max_percent: Option<u32>,
}

fn default_at_least() -> u32 {
    1
}

impl ProcessSpec {
    /// Refuses what no collector may ask, or nobody can mean.
    pub(super) fn validate(&self, check: &CheckSpec) -> Result<(), SpecError> {
        let is_shown = |text: &str| !text.is_empty() && !text.chars().any(crate::text::is_hostile);
        if self.process.len() > 255 || !is_shown(&self.process) || self.process.contains(['/', '\\']) {
            let why = "must be the name of a program without its folder, such as nginx";
            return Err(check.parameter("process", &self.process, why));
        }
        if let Some(argument) = self.argument.as_ref().filter(|text| text.len() > 1_000 || !is_shown(text)) {
            let why = "must be one argument of the command line, at most 1000 bytes";
            return Err(check.parameter("argument", argument, why));
        }
        if let Some(user) = self.user.as_ref().filter(|user| user.len() > 64 || !is_shown(user) || user.contains(':')) {
            return Err(check.parameter("user", user, "must be the name or the number of a user"));
        }
        check.bound("at_least", self.at_least.into(), 0, COUNT_MAX)?;
        if let Some(at_most) = self.at_most {
            check.bound("at_most", at_most.into(), self.at_least.into(), COUNT_MAX)?;
        }
        if let Some(memory) = self.memory_max {
            check.bound("memory_max", memory, MEMORY_MIN, MEMORY_MAX)?;
        }
        if let Some(cpu) = self.cpu_max_percent {
            check.bound("cpu_max_percent", cpu.into(), 1, 100_000)?;
        }
        let asks_nothing =
            self.at_least == 0 && self.at_most.is_none() && self.memory_max.is_none() && self.cpu_max_percent.is_none();
        if asks_nothing {
            let why = "none must run and none is too many: give at_most, memory_max or cpu_max beside at_least = 0";
            return Err(check.parameter("at_least", "0", why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{CheckSpec, ProbeSpec};

    fn judged(probe: &str) -> Result<(), String> {
        let probe: ProbeSpec = serde_json::from_str(probe).unwrap();
        assert!(!matches!(probe, ProbeSpec::Later(_)), "{probe:?}");
        CheckSpec::with_defaults("a/b".parse().unwrap(), probe).validate().map_err(|error| error.to_string())
    }

    #[test]
    fn what_nobody_can_mean_is_refused() {
        judged(r#"{"kind":"process","process":"Milestone Recorder.exe","at_least":0,"at_most":0}"#).unwrap();
        judged(r#"{"kind":"process","process":"nginx","user":"33","argument":"-g","memory_max":1073741824}"#).unwrap();
        for (probe, part) in [
            (r#"{"kind":"process","process":""}"#, "name of a program"),
            (r#"{"kind":"process","process":"/usr/sbin/nginx"}"#, "without its folder"),
            (r#"{"kind":"process","process":"a\u001b[2J"}"#, "name of a program"),
            (r#"{"kind":"process","process":"a","argument":""}"#, "one argument"),
            (r#"{"kind":"process","process":"a","user":"root:x"}"#, "number of a user"),
            (r#"{"kind":"process","process":"a","at_least":3,"at_most":2}"#, "at_most is 2, allowed is 3 to"),
            (r#"{"kind":"process","process":"a","at_least":0}"#, "none is too many"),
            (r#"{"kind":"process","process":"a","memory_max":5}"#, "memory_max is 5"),
            (r#"{"kind":"process","process":"a","cpu_max_percent":0}"#, "cpu_max_percent is 0"),
        ] {
            let refused = judged(probe).unwrap_err();
            assert!(refused.contains(part), "{probe}: {refused}");
        }
    }
}
