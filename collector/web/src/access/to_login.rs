//! A page that somebody asks for without a session leads to the log-in, and from there back to it. What reads data gets
//! its 401 as before.
//!
//! The session's cookie is `SameSite=Strict`: a browser that follows a link from a mail does not send it, though its
//! owner is logged in. Such a request is answered with a page that asks again from here, with the cookie.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, Uri, header::ACCEPT},
    middleware::{Next, from_fn},
    response::{Html, IntoResponse, Redirect, Response},
};

use super::cookie;
use crate::problem::wants_json;

/// Where a log-in leads when nothing else was asked for.
pub(crate) const HOME: &str = "/";
/// The longest address that is remembered.
const TO_MAX: usize = 1_024;

/// The router whose pages lead to the log-in.
pub(crate) fn led(router: Router) -> Router {
    router.layer(from_fn(lead))
}

async fn lead(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_page = request.method() == Method::GET && reads_pages(headers) && !wants_json(request.uri().path(), headers);
    let is_from_elsewhere = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    let asks_again = is_from_elsewhere && cookie::session_of(headers).is_none();
    let asked = is_page.then(|| request.uri().clone());
    let answer = next.run(request).await;
    match asked {
        Some(asked) if answer.status() == StatusCode::UNAUTHORIZED && asks_again => again(&asked),
        Some(asked) if answer.status() == StatusCode::UNAUTHORIZED => Redirect::to(&login_for(&asked)).into_response(),
        _no_page_or_signed_in => answer,
    }
}

fn reads_pages(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// `/login?to=%2Fqueue%3Fclient%3Dnorthgate`.
fn login_for(asked: &Uri) -> String {
    let to = asked.path_and_query().map_or(HOME, |asked| asked.as_str());
    if own(to) == HOME { "/login".to_owned() } else { format!("/login?to={}", escaped(to)) }
}

fn again(asked: &Uri) -> Response {
    let to = asked.path_and_query().map_or(HOME, |asked| asked.as_str());
    let to = own(to).replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    Html(format!(
        "<!doctype html><html lang=\"en\"><title>Upheld</title><link rel=\"icon\" href=\"/icon.svg\">\
         <meta http-equiv=\"refresh\" content=\"0;url={to}\">\
         <p><a href=\"{to}\">Go on to the page</a></p></html>"
    ))
    .into_response()
}

/// Where a log-in leads: the address that was asked for when it is one of ours, else [`HOME`]. An address that a browser
/// might read as another host's is none of ours, and neither is one that would log out or in.
pub(crate) fn own(to: &str) -> &str {
    let path = to.split(['?', '#']).next().unwrap_or_default();
    let is_ours = to.len() <= TO_MAX
        && to.starts_with('/')
        && !to.starts_with("//")
        && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !["/login", "/out"].contains(&path)
        && !["/in/", "/password/"].iter().any(|start| path.starts_with(start));
    if is_ours { to } else { HOME }
}

/// For a query: everything but letters, digits and what is never special there.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut done, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            done.push(char::from(byte));
        } else {
            done.push_str(&format!("%{byte:02X}"));
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_relative_addresses_are_gone_to_after_a_log_in() {
        for to in ["/queue", "/i/northgate/INC-7?at=2026-11-16T22:10:00Z", "/queue?client=a&q=%22x%22", "/c/north#bars"]
        {
            assert_eq!(own(to), to);
        }
        for to in [
            "",
            "queue",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "\\\\evil.example",
            "/queue\\..\\",
            "/queue\u{202e}",
            "/out",
            "/login?to=/login",
            "/in/abc",
            "/password/abc",
        ] {
            assert_eq!(own(to), HOME, "{to:?}");
        }
        assert_eq!(own(&format!("/{}", "x".repeat(TO_MAX))), HOME);
    }

    #[test]
    fn an_address_survives_the_way_through_the_log_in() {
        let asked: Uri = "/queue?client=north&q=%C3%A9+%26".parse().unwrap();
        assert_eq!(login_for(&asked), "/login?to=/queue%3Fclient%3Dnorth%26q%3D%25C3%25A9%2B%2526");
        assert_eq!(login_for(&"/".parse().unwrap()), "/login");
    }
}
