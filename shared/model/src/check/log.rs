//! What a check of a log asks: which lines matter, and how many of them within how long.

use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::{Deserialize, Serialize};

use super::{CheckSpec, SpecError};
use crate::vocabulary;

/// The most patterns of a kind, `match` or `ignore`, of one check.
pub const PATTERNS_MAX: usize = 16;
/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 512;
/// What the patterns of a kind may take when they are compiled, in bytes. Matching takes time in proportion to the line,
/// whatever a pattern says; this bounds the factor, and the memory.
const COMPILED_MAX: usize = 1 << 20;
/// How deep a pattern may nest.
const NESTED_MAX: u32 = 32;

vocabulary!(
    /// What a line that matches can come to.
    LogSeverity, "severity of a log's lines", {
        /// Enough of them are bad, fewer warn.
        Bad = "bad",
        /// They warn, however many there are.
        Warn = "warn",
    }
);

/// A log of the agent's host: a file, or a part of the systemd journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSpec {
    /// The name under which the site's own file spells out which log it is (SECURITY 1).
    pub log: String,
    /// A line matters that one of these matches: regular expressions, in linear time.
    #[serde(rename = "match")]
    pub patterns: Vec<String>,
    /// Unless one of these matches it too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// What they can come to.
    #[serde(default = "default_severity")]
    pub severity: LogSeverity,
    /// So many within `within_s` are bad.
    #[serde(default = "default_bad_after")]
    pub bad_after: u32,
    /// The stretch in which they are counted, in seconds.
    #[serde(default = "default_within_s")]
    pub within_s: u64,
    /// After so long without another one all is well again, in seconds.
    #[serde(default = "default_within_s")]
    pub clear_after_s: u64,
}

fn default_severity() -> LogSeverity {
    LogSeverity::Bad
}

fn default_bad_after() -> u32 {
    1
}

fn default_within_s() -> u64 {
    600
}

impl LogSpec {
    /// What a check that says nothing more asks.
    pub fn new(log: String, patterns: Vec<String>) -> Self {
        Self {
            log,
            patterns,
            ignore: Vec::new(),
            severity: default_severity(),
            bad_after: default_bad_after(),
            within_s: default_within_s(),
            clear_after_s: default_within_s(),
        }
    }

    /// Refuses what no collector may ask.
    pub(super) fn validate(&self, check: &CheckSpec) -> Result<(), SpecError> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if !(1..=64).contains(&self.log.len()) || !self.log.bytes().all(fits) {
            let why = "must be the name of a log in the site's own allow.toml, not its path";
            return Err(check.parameter("log", &self.log, why));
        }
        check.bound("match", self.patterns.len() as u64, 1, PATTERNS_MAX as u64)?;
        check.bound("ignore", self.ignore.len() as u64, 0, PATTERNS_MAX as u64)?;
        for (field, patterns) in [("match", &self.patterns), ("ignore", &self.ignore)] {
            if let Some(pattern) = patterns.iter().find(|pattern| pattern_refused(pattern).is_some()) {
                let why = "must be a regular expression that does not match an empty line, at most 512 bytes";
                return Err(check.parameter(field, pattern, why));
            }
            if compiled(patterns).is_err() {
                return Err(check.parameter(field, &patterns.join(" "), "these patterns are too large together"));
            }
        }
        check.bound("bad_after", self.bad_after.into(), 1, 1_000_000)?;
        check.bound("within_s", self.within_s, 60, 7 * 86_400)?;
        check.bound("clear_after_s", self.clear_after_s, 60, 7 * 86_400)
    }
}

/// The patterns of a kind, ready to match the bytes of a line. The error is in words, for whoever wrote them.
pub fn compiled(patterns: &[String]) -> Result<RegexSet, String> {
    RegexSetBuilder::new(patterns)
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(COMPILED_MAX)
        .nest_limit(NESTED_MAX)
        .build()
        .map_err(|error| {
            if matches!(error, regex::Error::CompiledTooBig(_)) {
                return "it is too large once compiled: count fewer repetitions".to_owned();
            }
            // The last line says what; those before it draw where.
            error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })
}

/// Why a pattern is no pattern of a log; `None` where it is one.
///
/// ```
/// use upheld_model::check::pattern_refused;
/// assert_eq!(pattern_refused("(?i)error|fail(ed|ure)"), None);
/// assert_eq!(pattern_refused("(error").as_deref(), Some("unclosed group"));
/// assert!(pattern_refused(".*").is_some(), "every line");
/// ```
pub fn pattern_refused(pattern: &str) -> Option<String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Some(format!("it has more than {PATTERN_BYTES_MAX} bytes"));
    }
    // A terminal shows it to whoever asks what is sent.
    if pattern.chars().any(crate::text::is_hostile) {
        return Some(r"it holds a character that cannot be seen: write it as \x1b".to_owned());
    }
    match compiled(&[pattern.to_owned()]) {
        Err(why) => Some(why),
        Ok(set) if set.is_match(b"") => Some("it matches an empty line, and so every line".to_owned()),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::ProbeSpec;

    fn judged(spec: LogSpec) -> Result<(), String> {
        let probe = ProbeSpec::Log(spec);
        CheckSpec::with_defaults("a/b".parse().unwrap(), probe).validate().map_err(|error| error.to_string())
    }

    fn spec(pattern: &str) -> LogSpec {
        LogSpec::new("nginx".to_owned(), vec![pattern.to_owned()])
    }

    #[test]
    fn what_a_log_is_asked_reads_back_under_the_names_of_the_book() {
        let spec = LogSpec { bad_after: 3, ..spec(r"\[error\]") };
        let text = serde_json::to_string(&spec).unwrap();
        assert!(text.contains(r#""match":["\\[error\\]"]"#), "{text}");
        assert_eq!(serde_json::from_str::<LogSpec>(&text).unwrap(), spec);
        judged(spec).unwrap();
    }

    #[test]
    fn what_no_log_can_be_asked_is_refused() {
        let many = (0..17).map(|n| format!("e{n}")).collect();
        let large = (0..16).map(|n| format!(r"{n}\w{{400}}")).collect();
        for (spec, part) in [
            (LogSpec { log: "/etc/shadow".to_owned(), ..spec("x") }, "not its path"),
            (LogSpec { log: String::new(), ..spec("x") }, "name of a log"),
            (LogSpec { patterns: Vec::new(), ..spec("x") }, "match is 0"),
            (LogSpec { patterns: many, ..spec("x") }, "match is 17"),
            (LogSpec { patterns: large, ..spec("x") }, "match"),
            (LogSpec { ignore: vec!["(".to_owned()], ..spec("x") }, "ignore"),
            (spec("x*"), "empty line"),
            (spec("(?P<a"), "regular expression"),
            (spec(r"(a)\1"), "regular expression"),
            (spec("(((a{1000}){1000}){1000})"), "regular expression"),
            (spec(&"(".repeat(40)), "regular expression"),
            (spec(&"x".repeat(513)), "512 bytes"),
            (spec("a\u{1b}[2J"), "regular expression"),
            (LogSpec { bad_after: 0, ..spec("x") }, "bad_after is 0"),
            (LogSpec { within_s: 5, ..spec("x") }, "within_s is 5"),
        ] {
            let refused = judged(spec.clone()).unwrap_err();
            assert!(refused.contains(part), "{spec:?}: {refused}");
        }
    }

    #[test]
    fn why_a_pattern_is_refused_is_said_in_a_line() {
        for (pattern, part) in
            [("(a", "unclosed group"), ("a{9999999}{99999}", "too large"), ("[z-a]", "invalid character class range")]
        {
            let why = pattern_refused(pattern).unwrap();
            assert!(why.contains(part) && !why.contains('\n'), "{pattern}: {why}");
        }
    }
}
