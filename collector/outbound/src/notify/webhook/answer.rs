//! What an answer, or none, says about a message.
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx | delivered, even if the rest of it breaks off |
//! | 408, 421, 423, 425, 429, 500, 503 and other 5xx | retry, not before `Retry-After` |
//! | 401, 403, 404 and 302, 303, 307 | retry: so a receiver answers while it is set up, moved or given a new secret |
//! | 502, 504 | unclear: the one in the middle does not know |
//! | 410, 301, 308, other 4xx | permanent: a person must change something |
//! | none, never connected | retry |
//! | none, after connecting | unclear |

use jiff::{SignedDuration, Timestamp};
use reqwest::{Response, header::RETRY_AFTER};
use serde::Deserialize;

use crate::{DeliveryKey, Outcome};

/// More of an answer is not read.
const BODY_MAX: usize = 64 * 1024;
/// A receiver's reference is cut here.
const REFERENCE_CHARS_MAX: usize = 128;
/// A receiver cannot ask to be left alone for longer.
const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The outcome of a message that was answered.
pub(super) async fn to_message(response: Response, key: &DeliveryKey, now: Timestamp) -> Outcome {
    let status = response.status();
    let why = format!("answered with {status}");
    match status.as_u16() {
        200..=299 => Outcome::Delivered { reference: reference(response, key).await, known_as: None },
        502 | 504 => Outcome::Unclear { why },
        301 | 308 => Outcome::Permanent { why: format!("{why}: it has moved; change the webhook's address") },
        410 => Outcome::Permanent { why: format!("{why}: the receiver wants no more messages") },
        302 | 303 | 307 | 401 | 403 | 404 | 408 | 421 | 423 | 425 | 429 | 500..=599 => {
            Outcome::Retry { why, not_before: retry_after(&response, now) }
        }
        _ => Outcome::Permanent { why },
    }
}

/// The outcome of a message that was not answered.
pub(super) fn none(error: &reqwest::Error, host: &str) -> Outcome {
    let why = in_words(error);
    if error.is_connect() {
        Outcome::Retry { why: format!("cannot connect to {host}: {why}"), not_before: None }
    } else if error.is_builder() {
        Outcome::Permanent { why: format!("the message to {host} cannot be sent: {why}") }
    } else if error.is_timeout() {
        Outcome::Unclear { why: format!("{host} took the message and gave no answer in time") }
    } else {
        Outcome::Unclear { why: format!("{host} took the message and gave no answer: {why}") }
    }
}

/// The receiver's own name for a message: `reference` of a JSON answer, else the key.
pub(super) async fn reference(response: Response, key: &DeliveryKey) -> String {
    #[derive(Deserialize)]
    struct Answer {
        reference: String,
    }
    let body = body(response).await.unwrap_or_default();
    let named = serde_json::from_slice::<Answer>(&body).map(|answer| answer.reference).unwrap_or_default();
    plain(&named).unwrap_or_else(|| key.to_string())
}

/// A receiver's own name as it may stand on a page; `None` when nothing is left of it.
pub(super) fn plain(reference: &str) -> Option<String> {
    let plain: String = reference.chars().filter(|c| !c.is_control()).take(REFERENCE_CHARS_MAX).collect();
    (!plain.is_empty()).then_some(plain)
}

/// The whole body; `Err` says why there is none.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| format!("breaks off: {}", in_words(&error)))? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_MAX {
            return Err(format!("is longer than {} KiB", BODY_MAX / 1024));
        }
    }
    Ok(body)
}

/// The error with its causes and without the address, whose path may hold a token.
pub(crate) fn in_words(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    if std::ptr::addr_eq(innermost, error) { "the request failed".to_owned() } else { text }
}

/// `Retry-After` in either of its forms: seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(response: &Response, now: Timestamp) -> Option<Timestamp> {
    parse_retry_after(response.headers().get(RETRY_AFTER)?.to_str().ok()?, now)
}

fn parse_retry_after(text: &str, now: Timestamp) -> Option<Timestamp> {
    let wait = match text.trim().parse::<u32>() {
        Ok(seconds) => SignedDuration::from_secs(seconds.into()),
        Err(_) => jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().duration_since(now),
    };
    now.checked_add(wait.clamp(SignedDuration::ZERO, RETRY_AFTER_MAX)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_and_bounded() {
        let now: Timestamp = "2026-11-16T16:10:00Z".parse().unwrap();
        for (text, expected) in [
            ("7", Some("2026-11-16T16:10:07Z")),
            (" 0 ", Some("2026-11-16T16:10:00Z")),
            ("Mon, 16 Nov 2026 16:11:00 GMT", Some("2026-11-16T16:11:00Z")),
            ("Mon, 16 Nov 2026 16:09:00 GMT", Some("2026-11-16T16:10:00Z")),
            ("999999999", Some("2026-11-17T16:10:00Z")),
            ("99999999999999", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_retry_after(text, now), expected.map(|at| at.parse().unwrap()), "{text:?}");
        }
    }
}
