//! Why an enrolment failed, in words for the person who stands at the host.

use upheld_wire::v1::{Problem, codes, enroll::EnrollLink};

use crate::{
    failure::{Code, Failure},
    http::{Answer, NoAnswer},
};

/// Nobody answered, or somebody else did.
pub(super) fn no_answer(link: &EnrollLink, error: &NoAnswer) -> Failure {
    let help = match error {
        NoAnswer::Unreachable(_) => format!(
            "is the collector running, and may this host reach {} by TCP? A proxy goes into agent.toml: proxy = \"http://…\"",
            link.authority
        ),
        NoAnswer::WrongRoot => "the token was not sent. Use the link of this provider, whole; if it is, somebody stands \
                                between (a TLS-inspecting firewall, another server on that address)"
            .to_owned(),
        NoAnswer::Certificate(_) | NoAnswer::Tls(_) => {
            "the token was not sent. Compare this host's clock with the collector's; ask the provider to look at its log"
                .to_owned()
        }
        NoAnswer::Broken(_) | NoAnswer::TooLong => {
            "try again; if the token is then used up, get a new link".to_owned()
        }
    };
    Failure::new(Code::Unreachable, format!("cannot reach the collector at {}", link.authority))
        .why(error.words())
        .help(help)
}

/// The collector said no.
pub(super) fn refused(link: &EnrollLink, answer: &Answer) -> Failure {
    let Problem { title, detail, code, .. } = answer.problem();
    let is_passing = answer.status == 429 || answer.status >= 500;
    let (exit, help) = match code.as_str() {
        codes::TOKEN_USED => (Code::Refused, "a link is for one host; get a new one: upheld-collector agent token"),
        codes::TOKEN_USED_UP => {
            (Code::Refused, "all hosts that the link is for have used it; get a new one: upheld-collector agent token")
        }
        codes::TOKEN_REVOKED => (Code::Refused, "the link was taken back; get a new one: upheld-collector agent token"),
        codes::TOKEN_NETWORK => (
            Code::Refused,
            "enrol from the site's network, or get a link for this one: upheld-collector agent token --from",
        ),
        codes::TOKEN_EXPIRED => (Code::Refused, "get a new link and use it in time: upheld-collector agent token"),
        codes::TOKEN_UNKNOWN => (Code::Refused, "copy the whole link, or get a new one: upheld-collector agent token"),
        _ if is_passing => (Code::TryAgain, "nothing was changed: try again in a minute"),
        _ => (Code::Refused, "ask the provider; the collector's log has the reason"),
    };
    let why = if detail.is_empty() { title } else { format!("{title}: {detail}") };
    Failure::new(exit, format!("{} refused to enroll this host", link.authority)).why(why).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> EnrollLink {
        EnrollLink {
            authority: "collector.example".to_owned(),
            token: "t".repeat(43),
            root_fingerprint: "f".repeat(43),
            issued: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn problem(status: u16, code: &str) -> Answer {
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: "The token was used".to_owned(),
            status,
            detail: "by nvr-01 on 16 November".to_owned(),
            code: code.to_owned(),
        };
        Answer { status, retry_after: None, date: None, body: serde_json::to_vec(&problem).unwrap() }
    }

    #[test]
    fn a_used_token_says_so_and_a_busy_collector_is_another_matter() {
        let used = refused(&link(), &problem(403, codes::TOKEN_USED));
        assert_eq!(used.code(), Code::Refused);
        assert!(used.to_string().contains("by nvr-01") && used.to_string().contains("agent token"), "{used}");
        assert_eq!(refused(&link(), &problem(503, codes::UNAVAILABLE)).code(), Code::TryAgain);
        let mute = Answer { status: 404, retry_after: None, date: None, body: b"<html>".to_vec() };
        assert!(refused(&link(), &mute).to_string().contains("answered 404"));
    }
}
