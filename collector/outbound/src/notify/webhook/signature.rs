//! Signing and verifying by Standard Webhooks 1.0.0: `v1`, HMAC-SHA256 over `{id}.{timestamp}.{body}`.
//!
//! The receiver's half serves the quickstart's receiver and the tests of others; it compares in constant time.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use ring::hmac;

use super::WebhookError;

/// The header that carries the delivery's key.
pub const HEADER_ID: &str = "webhook-id";
/// The header that carries the time of the try, in seconds since 1970.
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// The header that carries the signatures, separated by spaces.
pub const HEADER_SIGNATURE: &str = "webhook-signature";

/// How far the time of a try may be from the receiver's clock, either way (SECURITY 33). Doubled, a stolen message
/// could be replayed for twice as long.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A secret in the form of the specification: `whsec_` and the base64 of 24 to 64 bytes. Prints as REDACTED.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl FromStr for Secret {
    type Err = WebhookError;

    fn from_str(text: &str) -> Result<Self, WebhookError> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or(WebhookError::Secret)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| WebhookError::Secret)?;
        if (24..=64).contains(&bytes.len()) {
            Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
        } else {
            Err(WebhookError::Secret)
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REDACTED")
    }
}

impl Secret {
    /// The value of the `webhook-signature` header for one try.
    pub fn sign(&self, id: &str, at: Timestamp, body: &str) -> String {
        let tag = hmac::sign(&self.0, signed_content(id, at.as_second(), body.as_bytes()).as_slice());
        format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref()))
    }
}

/// Why a received message is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is missing or given twice.
    #[error("the {0} header must be there exactly once")]
    Header(&'static str),
    /// The timestamp is no number.
    #[error("the webhook-timestamp header is not a number of seconds")]
    Timestamp,
    /// The try is too old or from the future: a replay, or a clock that is wrong.
    #[error("the message is {seconds} s from this clock, more than 5 minutes are not believed")]
    Time {
        /// The receiver's time minus the message's.
        seconds: i64,
    },
    /// No `v1` signature is right.
    #[error("no v1 signature matches the secret and the body")]
    Signature,
}

/// Checks a received message: `headers` as (name, value) pairs in any case, `body` as it came, before any parsing.
/// Gives back the message's id, by which the receiver must recognise a repetition.
pub fn verify<'h>(
    secret: &Secret,
    headers: impl IntoIterator<Item = (&'h str, &'h str)> + Clone,
    body: &[u8],
    now: Timestamp,
) -> Result<&'h str, VerifyError> {
    let id = only(headers.clone(), HEADER_ID)?;
    let sent_s: i64 = only(headers.clone(), HEADER_TIMESTAMP)?.parse().map_err(|_| VerifyError::Timestamp)?;
    let signatures = only(headers, HEADER_SIGNATURE)?;
    let seconds = now.as_second().saturating_sub(sent_s);
    if seconds.unsigned_abs() > TOLERANCE.unsigned_abs().as_secs() {
        return Err(VerifyError::Time { seconds });
    }
    let content = signed_content(id, sent_s, body);
    let is_ours = |signature: &str| {
        let tag = signature.strip_prefix("v1,").and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
        tag.is_some_and(|tag| hmac::verify(&secret.0, &content, &tag).is_ok())
    };
    if signatures.split(' ').any(is_ours) { Ok(id) } else { Err(VerifyError::Signature) }
}

fn signed_content(id: &str, at_s: i64, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", at_s.to_string().as_bytes(), b".", body].concat()
}

fn only<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>, name: &'static str) -> Result<&'h str, VerifyError> {
    let mut found = headers.into_iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) => Ok(value),
        (None, _) | (Some(_), Some(_)) => Err(VerifyError::Header(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT_S: i64 = 1_614_265_330;
    const BODY: &str = r#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const OTHER: &str = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn secret() -> Secret {
        SECRET.parse().unwrap()
    }

    fn received<'a>(signature: &'a str, at_s: &'a str) -> [(&'a str, &'a str); 3] {
        [("Webhook-Id", ID), ("WEBHOOK-TIMESTAMP", at_s), ("webhook-signature", signature)]
    }

    #[test]
    fn signs_the_vector_of_the_specification() {
        assert_eq!(secret().sign(ID, at(AT_S), BODY), SIGNATURE);
    }

    #[test]
    fn believes_its_own_signature_among_others() {
        let list = format!("{OTHER} v2,AAAA {SIGNATURE} {OTHER}");
        assert_eq!(verify(&secret(), received(&list, "1614265330"), BODY.as_bytes(), at(AT_S + 299)), Ok(ID));
    }

    #[test]
    fn refuses_what_was_changed_or_was_never_signed() {
        let refuses = |signature: &str, body: &str| {
            verify(&secret(), received(signature, "1614265330"), body.as_bytes(), at(AT_S)).unwrap_err()
        };
        assert_eq!(refuses(SIGNATURE, r#"{"test": 2432232315}"#), VerifyError::Signature);
        for signature in [OTHER, "v1,", "", &SIGNATURE[..20], "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
            assert_eq!(refuses(signature, BODY), VerifyError::Signature, "{signature:?}");
        }
    }

    #[test]
    fn refuses_a_replay_after_five_minutes_and_a_message_from_the_future() {
        for (now, seconds) in [(AT_S + 301, 301), (AT_S - 301, -301)] {
            let refused = verify(&secret(), received(SIGNATURE, "1614265330"), BODY.as_bytes(), at(now));
            assert_eq!(refused, Err(VerifyError::Time { seconds }));
        }
        let extreme = verify(&secret(), received(SIGNATURE, "-9223372036854775808"), BODY.as_bytes(), at(AT_S));
        assert!(matches!(extreme, Err(VerifyError::Time { .. })));
    }

    #[test]
    fn refuses_a_missing_a_doubled_and_an_unreadable_header() {
        let all = received(SIGNATURE, "hello");
        assert_eq!(verify(&secret(), all, BODY.as_bytes(), at(AT_S)), Err(VerifyError::Timestamp));
        for (missing, name) in [(0, HEADER_ID), (1, HEADER_TIMESTAMP), (2, HEADER_SIGNATURE)] {
            let mut some = received(SIGNATURE, "1614265330").to_vec();
            let removed = some.remove(missing);
            let refused = Err(VerifyError::Header(name));
            assert_eq!(verify(&secret(), some.iter().copied(), BODY.as_bytes(), at(AT_S)), refused);
            some.extend([removed, removed]);
            assert_eq!(verify(&secret(), some.iter().copied(), BODY.as_bytes(), at(AT_S)), refused);
        }
    }

    #[test]
    fn a_secret_of_another_form_is_refused_and_none_is_ever_printed() {
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 at all!!"] {
            assert_eq!(bad.parse::<Secret>().unwrap_err(), WebhookError::Secret, "{bad:?}");
        }
        assert_eq!(format!("{:?}", secret()), "REDACTED");
    }
}
