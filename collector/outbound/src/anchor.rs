//! Anchors: others' hosts that answer a TCP connect when the collector's own line is well (DETECTION 4.6).
//!
//! A connect and nothing more: it needs no name, no certificate and no request, any service will do, and nothing is sent.
//! Who refuses the connection does not answer: a firewall of one's own may say so while the line is out.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};
use url::Url;

use crate::notify::{
    destination::{Refusal, judged_url},
    webhook::HostRule,
};

/// Asks one anchor, `host:port`; it ends within `within`. `Err` when it may not be asked at all, which says nothing about
/// the line; else whether it answered.
pub async fn ask(anchor: &str, host: HostRule, within: Duration) -> Result<bool, String> {
    let url: Url = format!("https://{anchor}").parse().map_err(|error| format!("the anchor {anchor}: {error}"))?;
    let addresses = match judged_url(&url, host, within / 2).await {
        Ok(addresses) => addresses,
        Err(refusal @ Refusal::NotAllowed { .. }) => return Err(format!("the anchor {anchor}: {refusal}")),
        Err(Refusal::Resolver { .. } | Refusal::Local { .. }) => return Ok(false),
    };
    Ok(matches!(timeout(within / 2, TcpStream::connect(addresses.as_slice())).await, Ok(Ok(_))))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn who_accepts_has_answered_and_who_refuses_has_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let anchor = listener.local_addr().unwrap().to_string();
        assert_eq!(ask(&anchor, HostRule::PrivateAllowed, SOON).await, Ok(true));
        drop(listener);
        assert_eq!(ask(&anchor, HostRule::PrivateAllowed, SOON).await, Ok(false));
        assert_eq!(ask("anchor.invalid:443", HostRule::Public, SOON).await, Ok(false), "no name, no line");
    }

    #[tokio::test]
    async fn security_31_an_anchor_inside_must_be_allowed_and_says_nothing_before() {
        for anchor in ["127.0.0.1:443", "10.0.0.1:443", "169.254.169.254:80"] {
            let why = ask(anchor, HostRule::Public, SOON).await.unwrap_err();
            assert!(why.starts_with(&format!("the anchor {anchor}")), "{why}");
        }
    }
}
