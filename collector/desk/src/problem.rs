//! Refusals as RFC 9457 problem details.

use upheld_wire::v1::{Problem, codes};

use crate::DeskError;

/// A refusal.
pub(crate) fn problem(status: u16, code: &str, title: &str, detail: &str) -> Problem {
    Problem {
        kind: "about:blank".to_owned(),
        title: title.to_owned(),
        status,
        detail: detail.to_owned(),
        code: code.to_owned(),
    }
}

/// 503: the collector cannot commit; nothing was taken and the agent keeps its records.
pub fn unavailable(error: &DeskError) -> Problem {
    problem(
        503,
        codes::UNAVAILABLE,
        "the collector cannot store anything at the moment; nothing was taken",
        &error.to_string(),
    )
}
