//! Refusals to agents as RFC 9457 problem details: what happened, why, what to do, and a word for the machine.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use upheld_wire::v1::{Problem, codes};

/// How soon a host asks again that waits for a person, in seconds: he has just pressed a button.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("20");
/// How soon whoever was told that nothing can be taken at the moment asks again, in seconds, and how many seconds further
/// the last of them.
const NOT_NOW: (u64, u64) = (5, 10);

/// A problem as an answer. `code` is one of [`upheld_wire::v1::codes`].
pub(crate) fn problem(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Response {
    answer(Problem {
        kind: format!("urn:upheld:problem:{code}"),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: detail.into(),
        code: code.to_owned(),
    })
}

/// The desk's own problem as an answer.
pub(crate) fn answer(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let waits = matches!(problem.code.as_str(), codes::PENDING | codes::RETURN_WAITS | codes::QUARANTINED);
    let mut answer = (status, axum::Json(problem)).into_response();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if waits {
        answer.headers_mut().insert(RETRY_AFTER, ASK_AGAIN);
    } else if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(not_now()));
    }
    answer
}

/// One after the other is given another second, so that those who were refused together do not come back together.
fn not_now() -> u64 {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    NOT_NOW.0 + GIVEN.fetch_add(1, Ordering::Relaxed) % NOT_NOW.1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn those_who_are_told_not_now_are_spread_and_others_are_told_nothing() {
        let waits = |status| {
            let answer = problem(status, codes::UNAVAILABLE, "not now", "");
            answer.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().parse::<u64>().unwrap())
        };
        let told: BTreeSet<_> = (0..100).filter_map(|_| waits(StatusCode::SERVICE_UNAVAILABLE)).collect();
        assert_eq!(told, (5..15).collect());
        assert_eq!(waits(StatusCode::BAD_REQUEST), None);
    }
}
