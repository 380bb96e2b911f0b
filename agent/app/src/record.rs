//! `record`: what checks see, as a file that `upheld-collector replay` takes (DETECTION 8).
//!
//! Without `--since` the configured checks run here, in this process, as the agent would run them, until `--for` is over
//! or Ctrl-C; a running agent is not disturbed and nothing is sent. With `--since` the samples of this host's journal are
//! written, whether its agent runs or not; the journal is only read.
//!
//! Evidence stays on this host. Heartbeats are not written, so a replay applies no rule of silence.

mod journal;
mod live;
mod out;

use std::{path::PathBuf, time::Duration};

use jiff::{SpanRelativeTo, Timestamp};
use serde::Serialize;

use crate::{
    cli::Common,
    clocks,
    failure::{Code, Failure},
    output,
    state::StateFolder,
};
use out::Out;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// For how long to watch; until Ctrl-C when it is left out.
    pub(crate) lasts: Option<String>,
    /// From when on to write what the journal holds; a length of time back from this moment, or an instant.
    pub(crate) since: Option<String>,
    /// The file; standard output when it is left out.
    pub(crate) out: Option<PathBuf>,
}

/// What was written, for `--json`.
#[derive(Debug, Serialize)]
struct Recorded {
    schema: &'static str,
    samples: u64,
    out: PathBuf,
}

/// Records, and says how much.
pub(crate) async fn record(common: &Common, wanted: Wanted) -> Result<(), Failure> {
    let state = StateFolder::new(&common.state);
    let identity = state.require_identity()?;
    let config = state.config()?.ok_or_else(|| {
        Failure::new(Code::Failed, "this agent has no configuration yet, so there is nothing to record")
            .help("run it until it has reported once: upheld-agent run")
    })?;
    let lasts = wanted.lasts.as_deref().map(|text| length("--for", text)).transpose()?;
    let since = wanted.since.as_deref().map(|text| instant(text, clocks::wall())).transpose()?;
    let mut out = Out::open(wanted.out.as_deref(), &config)?;
    match since {
        Some(since) => journal::write(&state, since, &mut out)?,
        None => live::write(common, &state, &identity, config, lasts, &mut out).await?,
    }
    let samples = out.finish()?;
    match (wanted.out, common.json) {
        (Some(out), true) => output::json(&Recorded { schema: "upheld.agent-record/1", samples, out }),
        (Some(out), false) => output::lines(&[format!("{samples} samples written to {}", out.display())]),
        // The samples themselves are what was printed.
        (None, _) => Ok(()),
    }
}

/// A length of time such as `90s`, `2h`, `7d`.
fn length(option: &str, text: &str) -> Result<Duration, Failure> {
    let span = text.parse::<jiff::Span>().ok();
    let days_have_24_hours = |span: jiff::Span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok();
    let length = span.and_then(days_have_24_hours).and_then(|length| Duration::try_from(length).ok());
    length.filter(|length| !length.is_zero()).ok_or_else(|| {
        Failure::new(Code::Invalid, format!("{option} {text} is no length of time"))
            .help(format!("write for example: upheld-agent record {option} 10min"))
    })
}

fn instant(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let back =
        length("--since", text).map_err(|failure| failure.why("nor is it an instant such as 2026-11-16T16:00Z"))?;
    Ok(now.saturating_sub(back).unwrap_or(Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_an_instant_or_a_length_of_time() {
        let now: Timestamp = "2026-11-16T16:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2h", "2026-11-16T14:00:00Z"),
            ("7d", "2026-11-09T16:00:00Z"),
            ("90s", "2026-11-16T15:58:30Z"),
            ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ] {
            assert_eq!(instant(text, now).unwrap(), expected.parse().unwrap(), "{text}");
        }
        for text in ["", "0s", "-2h", "yesterday", "12"] {
            let refused = instant(text, now).unwrap_err().to_string();
            assert!(refused.contains("upheld-agent record --since"), "{refused}");
        }
    }
}
