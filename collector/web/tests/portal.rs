//! The portal over a real store: who gets in, what changes something, what strangers see.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response, StatusCode},
};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use tower::ServiceExt;
use upheld_desk::{Actor, Desk, Rights, Scope};
use upheld_web::{NewHost, Portal, Remote};

const HOST: &str = "c.example:7443";
const OURS: (&str, &str) = ("origin", "https://c.example:7443");

#[tokio::test]
async fn security_25_a_link_is_used_by_the_button_and_only_once() {
    let house = House::open().await;
    let link = house.link().await;
    for _ in 0..2 {
        let shown = house.get(&link, &[]).await;
        assert_eq!(shown.status(), StatusCode::OK);
        assert!(shown.headers().get("set-cookie").is_none(), "looking uses nothing up");
    }
    let from_elsewhere = house.post(&link, &[("origin", "https://evil.example")], "").await;
    assert_eq!(from_elsewhere.status(), StatusCode::FORBIDDEN);
    let entered = house.post(&link, &[OURS], "").await;
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let cookie = entered.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["__Host-upheld=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let again = house.post(&link, &[OURS], "").await;
    assert_eq!(again.status(), StatusCode::FORBIDDEN);
    assert!(text(again).await.contains("does not work any more"));
}

#[tokio::test]
async fn security_26_a_session_ends_by_logging_out_and_by_idleness() {
    let house = House::open().await;
    let cookie = house.session().await;
    assert_eq!(house.get("/queue", &[("cookie", &cookie)]).await.status(), StatusCode::OK);
    assert_eq!(house.post("/out", &[("cookie", &cookie), OURS], "").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(house.get("/queue", &[("cookie", &cookie)]).await.status(), StatusCode::UNAUTHORIZED);
    let cookie = house.session().await;
    let later = house.at(house.now + SignedDuration::from_mins(31));
    let answer = ask(&later, Method::GET, "/queue", &[("cookie", &cookie)], "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn security_25_nothing_is_changed_from_elsewhere_or_by_a_get() {
    let house = House::open().await;
    let cookie = house.session().await;
    for path in
        ["/i/north/INC-1/acknowledge", "/i/north/INC-1/respond", "/out", "/api/v1/incidents/north/INC-1/responses"]
    {
        for headers in [vec![], vec![("origin", "https://evil.example")], vec![OURS, ("sec-fetch-site", "cross-site")]]
        {
            let headers = [vec![("cookie", cookie.as_str())], headers].concat();
            let refused = house.post(path, &headers, "manner=phone").await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
        let got = house.get(path, &[("cookie", &cookie)]).await;
        assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    assert_eq!(house.get("/queue", &[("cookie", &cookie)]).await.status(), StatusCode::OK, "still signed in");
}

#[tokio::test]
async fn security_23_what_is_not_there_and_what_is_no_incident_look_the_same() {
    let house = House::open().await;
    let token = house.token(&Scope::Client("north".parse().unwrap()), Rights::Respond).await;
    let bearer = format!("Bearer {token}");
    let mut seen = Vec::new();
    for path in ["north/INC-1", "south/INC-1", "south/INC-0", "no such/INC-1", "north/nonsense"] {
        for tail in ["", "/clocks"] {
            let path = format!("/api/v1/incidents/{}{tail}", path.replace(' ', "%20"));
            let answer = house.get(&path, &[("authorization", &bearer)]).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            seen.push(text(answer).await);
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test]
async fn runs_of_jobs_are_listed_to_whom_they_concern() {
    let house = House::open().await;
    let token = house.token(&Scope::Client("north".parse().unwrap()), Rights::Read).await;
    let bearer = format!("Bearer {token}");
    let get = async |path: &str| house.get(path, &[("authorization", &bearer)]).await;
    let own = get("/api/v1/clients/north/runs?since=2026-11-01T00:00:00Z").await;
    assert_eq!(own.status(), StatusCode::OK);
    assert_eq!(text(own).await, r#"{"since":"2026-11-01T00:00:00Z","runs":[],"next_cursor":null}"#);
    let mut seen = Vec::new();
    for path in ["south/runs", "no%20such/runs", "north/runs?site=nowhere"] {
        let answer = get(&format!("/api/v1/clients/{path}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        seen.push(text(answer).await);
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(get("/api/v1/clients/north/runs?since=yesterday").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(house.get("/api/v1/clients/north/runs", &[]).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn security_23_a_clients_pages_are_his_alone() {
    let house = House::open().await;
    let token = house.token(&Scope::Client("north".parse().unwrap()), Rights::Respond).await;
    let bearer = format!("Bearer {token}");
    let own = house.get("/c/north", &[("authorization", &bearer)]).await;
    assert_eq!(own.status(), StatusCode::OK);
    let own = text(own).await;
    assert!(own.contains("Nothing is promised in November 2026"), "{own}");
    assert!(own.contains("Reporting is free."), "{own}");
    let mut seen = Vec::new();
    for path in ["/c/south", "/c/nobody", "/c/no%20such", "/c/%E2%80%AEnorth"] {
        let answer = house.get(path, &[("authorization", &bearer)]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        seen.push(text(answer).await);
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    for path in ["/clients", "/clients.json", "/events?view=audit"] {
        let answer = house.get(path, &[("authorization", &bearer)]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let made = house.post("/agents", &[("authorization", &bearer)], "place=north/plant").await;
    assert_eq!(made.status(), StatusCode::NOT_FOUND, "an agent's word is the provider's to take");
    for path in ["/c/north", "/clients", "/agents", "/events?view=queue", "/agents.json"] {
        assert_eq!(house.get(path, &[]).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn the_stream_sends_nothing_that_the_page_has() {
    let house = House::open().await;
    let cookie = house.session().await;
    let page = text(house.get("/queue", &[("cookie", &cookie)]).await).await;
    let since = page.split("data-since=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    for (last, event) in [(since.as_str(), "event: tick"), ("another", "event: rows")] {
        let answer = house.get("/events?view=queue", &[("cookie", &cookie), ("last-event-id", last)]).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut body = answer.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let first = String::from_utf8(first.to_vec()).unwrap();
        assert!(first.contains(event), "{last}: {first}");
    }
}

#[tokio::test]
async fn security_28_a_token_does_what_it_may_and_no_more() {
    let house = House::open().await;
    let path = "/api/v1/incidents/north/INC-1/responses";
    let read = format!("Bearer {}", house.token(&Scope::Provider, Rights::Read).await);
    assert_eq!(house.get("/api/v1/incidents", &[("authorization", &read)]).await.status(), StatusCode::OK);
    let refused = house.post(path, &[("authorization", &read)], r#"{"manner":"phone"}"#).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let respond = format!("Bearer {}", house.token(&Scope::Provider, Rights::Respond).await);
    let none = house.post(path, &[("authorization", &respond)], r#"{"manner":"phone"}"#).await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND, "the token may, but there is no such incident");
    for wrong in ["Bearer upheld_x", "Bearer", "Basic YTpi", ""] {
        let refused = house.get("/api/v1/incidents", &[("authorization", wrong)]).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{wrong:?}");
    }
}

#[tokio::test]
async fn metrics_are_for_this_machine_or_a_provider_token() {
    let house = House::open().await;
    let from = |address: &str| Remote(address.parse::<SocketAddr>().unwrap());
    let get = async |remote: Remote, headers: &[(&str, &str)]| {
        let mut request = request(Method::GET, "/metrics", headers, "");
        request.extensions_mut().insert(remote);
        house.router.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(get(from("127.0.0.1:5"), &[]).await, StatusCode::OK);
    assert_eq!(get(from("[::ffff:127.0.0.1]:5"), &[]).await, StatusCode::OK);
    assert_eq!(get(from("127.0.0.1:5"), &[("x-forwarded-for", "192.0.2.7")]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(get(from("192.0.2.7:5"), &[]).await, StatusCode::UNAUTHORIZED);
    let provider = format!("Bearer {}", house.token(&Scope::Provider, Rights::Read).await);
    assert_eq!(get(from("192.0.2.7:5"), &[("authorization", &provider)]).await, StatusCode::OK);
    let client = format!("Bearer {}", house.token(&Scope::Client("north".parse().unwrap()), Rights::Read).await);
    assert_eq!(get(from("192.0.2.7:5"), &[("authorization", &client)]).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn security_24_every_answer_carries_the_policy_and_is_not_stored() {
    let house = House::open().await;
    for path in ["/", "/queue", "/in/x", "/healthz", "/nowhere", "/api/v1/incidents"] {
        let answer = house.get(path, &[]).await;
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
        // Under `no-referrer` a browser's forms say `Origin: null`, and nobody could log in.
        assert_eq!(answer.headers()["referrer-policy"], "same-origin", "{path}");
    }
    let health = house.get("/healthz", &[]).await;
    assert_eq!(health.status(), StatusCode::OK);
    assert!(text(health).await.contains(r#""store":"ok""#));
}

/// A portal over a store with a book, at one instant.
struct House {
    desk: Desk,
    router: Router,
    now: Timestamp,
    _folder: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::new(upheld_store::sqlite::open(&folder.path().join("upheld.db")).unwrap());
        let now: Timestamp = "2026-11-16T22:10:00Z".parse().unwrap();
        desk.apply_book(book(), &Actor::person("test"), now).await.unwrap();
        let router = portal(&desk, now);
        Self { desk, router, now, _folder: folder }
    }

    fn at(&self, now: Timestamp) -> Router {
        portal(&self.desk, now)
    }

    async fn link(&self) -> String {
        let secret = self.desk.new_login_link("dana", &Actor::person("test"), self.now).await.unwrap();
        format!("/in/{secret}")
    }

    async fn session(&self) -> String {
        let link = self.link().await;
        let entered = self.post(&link, &[OURS], "").await;
        entered.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    async fn token(&self, scope: &Scope, rights: Rights) -> String {
        let who = Actor::person("test");
        self.desk.new_api_token("t", scope, rights, None, &who, self.now).await.unwrap().token
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        ask(&self.router, Method::GET, path, headers, "").await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        ask(&self.router, Method::POST, path, headers, body).await
    }
}

fn portal(desk: &Desk, now: Timestamp) -> Router {
    upheld_web::portal(Portal {
        desk: desk.clone(),
        clock: Arc::new(move || now),
        new_host: Arc::new(|token| NewHost {
            link: format!("https://c.example:7443/e/{}#root", token.token),
            install: None,
        }),
        url: "https://c.example:7443".to_owned(),
        metrics: Arc::new(|| "upheld_build_info 1\n".to_owned()),
        certificates: Arc::new(|| serde_json::json!({})),
    })
}

async fn ask(router: &Router, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    router.clone().oneshot(request(method, path, headers, body)).await.unwrap()
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let all = [("host", HOST), form].into_iter().chain(headers.iter().copied());
    all.fold(Request::builder().method(method).uri(path), |request, (name, value)| request.header(name, value))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

async fn text(answer: Response<Body>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn book() -> std::collections::BTreeMap<String, String> {
    [
        ("provider.toml", "name = \"Example\"\ncurrency = \"USD\"\ntime_zone = \"UTC\"\n"),
        (
            "catalogue.toml",
            "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"medium\"\n",
        ),
        ("clients/north/client.toml", "name = \"North\"\n"),
        ("clients/south/client.toml", "name = \"South\"\n"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into()
}
