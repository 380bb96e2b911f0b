//! What the collector's answer to a delivery means to the sender.

use upheld_delivery::sender;

use crate::http::{Answer, NoAnswer};

/// What a delivery's answer means to the sender.
pub(super) fn read_delivery(answer: Result<Answer, NoAnswer>) -> sender::Answer {
    let failed = |what: String| sender::Answer::Failed { what };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return failed(error.words()),
    };
    let unreadable = |error: serde_json::Error| failed(format!("the answer cannot be read: {error}"));
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_or_else(unreadable, sender::Answer::Delivered),
        409 => serde_json::from_slice(&answer.body).map_or_else(unreadable, sender::Answer::Conflict),
        status => sender::Answer::Refused { status, code: answer.problem().code, retry_after: answer.retry_after },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answered(status: u16, body: &str) -> sender::Answer {
        read_delivery(Ok(Answer { status, retry_after: Some(Duration::from_secs(7)), date: None, body: body.into() }))
    }

    #[test]
    fn a_proxys_page_acknowledges_nothing() {
        assert!(matches!(answered(200, "<html>Welcome to the hotel"), sender::Answer::Failed { .. }));
        assert!(matches!(answered(409, "{}"), sender::Answer::Failed { .. }));
    }

    #[test]
    fn a_refusal_carries_its_code_and_its_wait() {
        let body = r#"{"type":"about:blank","title":"Revoked","status":403,"code":"revoked"}"#;
        let wait = Some(Duration::from_secs(7));
        assert_eq!(
            answered(403, body),
            sender::Answer::Refused { status: 403, code: "revoked".to_owned(), retry_after: wait }
        );
        assert_eq!(
            answered(502, "<html>"),
            sender::Answer::Refused { status: 502, code: String::new(), retry_after: wait }
        );
    }
}
