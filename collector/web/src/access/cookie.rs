//! The session cookie. `__Host-` binds it to this host and to HTTPS, `SameSite=Strict` keeps it from requests that
//! other sites start, `HttpOnly` from scripts.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};
use upheld_desk::access::SESSION_MAX;

const NAME: &str = "__Host-upheld";

/// The session's secret in a request.
pub(crate) fn session_of(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == NAME).then_some(value))
}

/// Sets the session.
pub(crate) fn set(secret: &str) -> Option<HeaderValue> {
    let seconds = SESSION_MAX.as_secs();
    HeaderValue::from_str(&format!("{NAME}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}"))
        .ok()
}

/// Ends the session in the browser.
pub(crate) fn clear() -> HeaderValue {
    HeaderValue::from_static("__Host-upheld=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_found_among_other_cookies_and_only_by_its_full_name() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("theme=dark; __Host-upheld=abc"));
        assert_eq!(session_of(&headers), Some("abc"));
        headers.insert(COOKIE, HeaderValue::from_static("upheld=abc; x__Host-upheld=abc"));
        assert_eq!(session_of(&headers), None);
    }
}
