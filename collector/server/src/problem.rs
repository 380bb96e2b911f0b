//! Refusals to agents as RFC 9457 problem details: what happened, why, what to do, and a word for the machine.

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
    }
    answer
}
