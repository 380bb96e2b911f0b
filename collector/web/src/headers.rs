//! Headers that every answer carries (SECURITY 24).

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header::CACHE_CONTROL},
    middleware::map_response,
    response::Response,
};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

// `no-referrer` would have browsers send `Origin: null` with every form, which the check of origins refuses: under
// `same-origin` our own forms name our origin, and no other site learns an address of ours.
const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
];

/// The router with the headers on each of its answers. What says nothing of caching is not to be stored.
pub(crate) fn secured(router: Router) -> Router {
    router.layer(map_response(|mut answer: Response| async move {
        for (name, value) in HEADERS {
            answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        answer.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        answer
    }))
}
