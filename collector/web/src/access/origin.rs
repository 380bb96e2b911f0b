//! A request that changes something must come from our own pages (SECURITY 25).
//!
//! Scripts with a bearer token are exempt: no browser adds that header for another site. Everything else needs an
//! `Origin` of this very host and, where the browser says it, `Sec-Fetch-Site: same-origin`.

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderMap, Method,
        header::{AUTHORIZATION, HOST, ORIGIN},
    },
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};

use crate::problem::{Refusal, wants_json};

/// The router behind the check.
pub(crate) fn guarded(router: Router) -> Router {
    router.layer(from_fn(check))
}

async fn check(request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let headers = request.headers();
    // HTTP/2 carries the host in the address, HTTP/1.1 in a header.
    let host = request.uri().authority().map(ToString::to_string).or_else(|| text(headers, HOST).map(str::to_owned));
    if is_safe || headers.contains_key(AUTHORIZATION) || is_ours(headers, host.as_deref()) {
        return next.run(request).await;
    }
    let is_json = wants_json(request.uri().path(), headers);
    Refusal::ForeignOrigin { is_json }.into_response()
}

fn is_ours(headers: &HeaderMap, host: Option<&str>) -> bool {
    let said_site = headers.get("sec-fetch-site").map(|site| site == "same-origin");
    let origin = text(headers, ORIGIN).and_then(|origin| origin.strip_prefix("https://"));
    let is_same_host = origin.is_some() && origin == host;
    is_same_host && said_site.unwrap_or(true)
}

fn text(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_our_own_pages_may_change_something() {
        let host = Some("c.example:7443");
        let ours = ("origin", "https://c.example:7443");
        for (pairs, allowed) in [
            (vec![ours], true),
            (vec![ours, ("sec-fetch-site", "same-origin")], true),
            (vec![ours, ("sec-fetch-site", "cross-site")], false),
            (vec![ours, ("sec-fetch-site", "same-site")], false),
            (vec![("origin", "https://c.example")], false),
            (vec![("origin", "http://c.example:7443")], false),
            (vec![("origin", "null")], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![], false),
        ] {
            assert_eq!(is_ours(&headers(&pairs), host), allowed, "{pairs:?}");
        }
        assert!(!is_ours(&headers(&[]), None));
    }
}
