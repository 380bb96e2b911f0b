//! Logging in, choosing a password, and the settings, over a real store: what a browser without script sees.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use tower::ServiceExt;
use upheld_desk::{
    Actor, Desk, Keeper, Reach, Role,
    accounts::{Cost, NewUser},
};
use upheld_web::{NewHost, Portal, Remote};

const HOST: &str = "c.example:7443";
const FAST: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
const WORDS: &str = "four words of mine";

#[tokio::test]
async fn security_27_an_invitation_leads_to_a_password_and_that_to_the_page_first_asked_for() {
    let house = House::open().await;
    let link = house.invited("eve@example.net", Role::Dispatcher, None).await;
    for _ in 0..2 {
        let shown = house.page("", &link).await;
        assert_eq!(shown.status, StatusCode::OK, "looking uses nothing up");
        assert!(
            shown.body.contains("value=\"eve@example.net\"") && shown.body.contains("at least 15"),
            "{}",
            shown.body
        );
    }
    for (form, expected) in [
        ("password=short&again=short", "at least 15 are needed"),
        ("password=four+words+of+mine&again=four+words+of+yours", "the same password in both"),
        ("password=passwordpassword&again=passwordpassword", "first passwords that anybody would try"),
        ("", "has 0 characters"),
    ] {
        let refused = house.send("", &link, form).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{form}");
        assert!(refused.body.contains(expected) && refused.body.contains("role=\"alert\""), "{form}: {}", refused.body);
        assert!(
            !refused.body.contains("of yours") && !refused.body.contains("of mine"),
            "no password comes back: {}",
            refused.body
        );
    }
    let chosen = house.send("", &link, "password=four+words+of+mine&again=four+words+of+mine").await;
    assert_eq!((chosen.status, chosen.location()), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(house.page(&chosen.cookie(), "/queue").await.status, StatusCode::OK);
    let twice = house.send("", &link, "password=four+words+of+mine&again=four+words+of+mine").await;
    assert_eq!(twice.status, StatusCode::FORBIDDEN);
    assert!(twice.body.contains("If you have just chosen your password"), "{}", twice.body);

    let asked = house.page("", "/queue?client=north").await;
    assert_eq!((asked.status, asked.location()), (StatusCode::SEE_OTHER, "/login?to=/queue%3Fclient%3Dnorth"));
    let form = house.page("", asked.location()).await;
    assert!(form.body.contains("name=\"to\" value=\"/queue?client=north\""), "{}", form.body);
    let entered = house.log_in("EVE@example.net", WORDS, "/queue?client=north").await;
    assert_eq!((entered.status, entered.location()), (StatusCode::SEE_OTHER, "/queue?client=north"));
}

#[tokio::test]
async fn security_26_a_log_in_gives_a_new_session_and_the_old_one_ends() {
    let house = House::open().await;
    let first = house.member("eve", Role::Dispatcher, None).await;
    let form = format!("login=eve&password={}&to=/queue", WORDS.replace(' ', "+"));
    let second = house.send(&first, "/login", &form).await.cookie();
    assert_ne!(first, second);
    assert_eq!(house.page(&first, "/queue").await.location(), "/login?to=/queue");
    assert_eq!(house.page(&second, "/queue").await.status, StatusCode::OK);
    let left = house.send(&second, "/out", "").await;
    assert_eq!((left.status, left.location()), (StatusCode::SEE_OTHER, "/login"));
    assert_eq!(house.page(&second, "/queue").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn security_25_no_log_in_leads_to_another_host_or_comes_from_one() {
    let house = House::open().await;
    house.member("eve", Role::Dispatcher, None).await;
    for to in
        ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/out", "/%0d%0aX: y"]
    {
        let entered = house.log_in("eve", WORDS, to).await;
        let location = entered.location();
        assert!(location == "/" || location == "/%0d%0aX: y", "{to}: {location}");
    }
    let form = format!("login=eve&password={}", WORDS.replace(' ', "+"));
    let link = house.invited("ben", Role::Technician, None).await;
    for path in ["/login", link.as_str(), "/settings/users", "/settings/tokens", "/settings/account/password"] {
        let from_elsewhere = house.request(Method::POST, path, &[("origin", "https://evil.example")], &form);
        assert_eq!(house.ask(from_elsewhere).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn what_reads_data_gets_its_401_and_a_link_from_a_mail_asks_again() {
    let house = House::open().await;
    for (path, accept) in [
        ("/api/v1/incidents", "text/html"),
        ("/queue.json", "text/html"),
        ("/queue", "*/*"),
        ("/queue", "application/json"),
    ] {
        let asked = house.request(Method::GET, path, &[("accept", accept)], "");
        assert_eq!(house.ask(asked).await.status, StatusCode::UNAUTHORIZED, "{path} {accept}");
    }
    let from_a_mail = house.request(
        Method::GET,
        "/queue?q=%22&a=b",
        &[("accept", "text/html"), ("sec-fetch-site", "cross-site")],
        "",
    );
    let answer = house.ask(from_a_mail).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("content=\"0;url=/queue?q=%22&amp;a=b\""), "{}", answer.body);
    let again = house.request(Method::GET, "/queue", &[("accept", "text/html"), ("sec-fetch-site", "same-origin")], "");
    assert_eq!(house.ask(again).await.location(), "/login?to=/queue", "and no further");
}

#[tokio::test]
async fn security_27_tries_are_held_up_and_the_page_says_how_long() {
    let house = House::open().await;
    house.member("eve", Role::Dispatcher, None).await;
    let mut seen = Vec::new();
    for name in ["ben", "nobody"] {
        for _ in 0..5 {
            let refused = house.log_in(name, "some words of mine", "/").await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN);
            assert!(refused.body.contains("do not belong together"), "{}", refused.body);
        }
        let held = house.log_in(name, "some words of mine", "/").await;
        assert_eq!(held.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(held.header("retry-after"), "2");
        assert!(held.body.contains("Try again in 2 s."), "{}", held.body);
        seen.push(held.body.replace(name, "NAME"));
    }
    assert_eq!(seen[0], seen[1], "nobody learns who has an account");
    let later = house.at(house.now + SignedDuration::from_secs(2));
    let form = "login=ben&password=some+words+of+mine";
    let request = later.request(Method::POST, "/login", &[], form);
    assert_eq!(later.ask(request).await.status, StatusCode::FORBIDDEN, "the wait is over");
}

#[tokio::test]
async fn bad_input_to_the_log_in_is_refused_as_a_wrong_password_is() {
    let house = House::open().await;
    let long = "x".repeat(10_000);
    for form in [
        String::new(),
        format!("login={long}&password={long}&to={long}"),
        "login=%E2%80%AEeve&password=%00%1B".to_owned(),
        "login=%3Cscript%3Ealert(1)%3C%2Fscript%3E&password=x".to_owned(),
    ] {
        let refused = house.send("", "/login", &form).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{form:.40}");
        assert!(!refused.body.contains("<script>alert"), "{}", refused.body);
        assert!(refused.body.len() < 5_000, "what was typed does not come back whole");
    }
}

#[tokio::test]
async fn a_provider_admin_keeps_accounts_on_the_page() {
    let house = House::open().await;
    let admin = house.member("admin", Role::ProviderAdmin, None).await;
    let made = house
        .send(&admin, "/settings/users", "login=Rita@North.example&name=Rita+R&role=client-reader&client=north")
        .await;
    assert_eq!(made.status, StatusCode::OK);
    let link = made.between("https://c.example:7443", "<").to_owned();
    assert!(link.starts_with("/password/"), "{}", made.body);
    let twice = house
        .send(&admin, "/settings/users", "login=rita@north.example&name=Rita+R&role=client-reader&client=north")
        .await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    assert!(
        twice.body.contains("is taken: choose another") && twice.body.contains("▲ no password chosen yet"),
        "{}",
        twice.body
    );
    let (id, seen) = (
        twice.between("/settings/users/", "/role").to_owned(),
        twice.between("name=\"seen\" value=\"", "\"").to_owned(),
    );
    let deed = |deed: &str| format!("/settings/users/{id}/{deed}");
    let changed = house.send(&admin, &deed("role"), &format!("role=client-owner&client=north&seen={seen}")).await;
    assert_eq!((changed.status, changed.location()), (StatusCode::SEE_OTHER, "/settings/users"));
    let stale = house.send(&admin, &deed("disable"), &format!("seen={seen}")).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(stale.body.contains("The account was changed since you looked"), "{}", stale.body);
    let another = house.send(&admin, &deed("invite"), "").await;
    assert!(another.body.contains("https://c.example:7443/password/"), "{}", another.body);
    assert_eq!(house.page("", &link).await.status, StatusCode::FORBIDDEN, "the newer link made it void");
    assert_eq!(house.send(&admin, &deed("disable"), "").await.status, StatusCode::SEE_OTHER);
    assert!(
        house.page(&admin, "/settings/users").await.body.contains("‖ disabled 2026-11-16"),
        "{}",
        house.page(&admin, "/settings/users").await.body
    );
    for (path, form, expected) in [
        ("/settings/users".to_owned(), "login=x&role=client-reader", "choose the client"),
        ("/settings/users".to_owned(), "login=x&role=emperor", "Choose the role."),
        ("/settings/users".to_owned(), "login=%E2%80%AEx&role=dispatcher", "turns the text around"),
        (deed("reset"), "", "is disabled"),
    ] {
        let refused = house.send(&admin, &path, form).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{path} {form}");
        assert!(refused.body.contains(expected), "{path} {form}: {}", refused.body);
    }
    let own = house.send(&admin, "/settings/users/admin/disable", "").await;
    assert!(own.body.contains("This is your own account"), "{}", own.body);
    for path in ["/settings/users/nobody/disable".to_owned(), deed("promote")] {
        assert_eq!(house.send(&admin, &path, "").await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let audit = house.page(&admin, "/settings/audit?what=user.disabled&from=2026-11-16&to=2026-11-16").await;
    assert!(audit.body.contains("Rita R") && !audit.body.contains("user.made</div>"), "{}", audit.body);
    let malformed = house.page(&admin, "/settings/audit?from=yesterday").await;
    assert_eq!(malformed.status, StatusCode::BAD_REQUEST);
    assert!(house.page(&admin, "/settings/audit?who=nobody").await.body.contains("No entry fits."));
}

#[tokio::test]
async fn the_audit_comes_page_by_page() {
    let house = House::open().await;
    let admin = house.member("admin", Role::ProviderAdmin, None).await;
    for _ in 0..60 {
        house.log_in("nobody", "x", "/").await;
        house.send(&admin, "/settings/account/sessions", "").await;
    }
    let first = house.page(&admin, "/settings/audit?what=sessions.ended").await;
    assert_eq!(first.body.matches("<div class=\"t\">sessions.ended</div>").count(), 50);
    let older = first.between("class=\"btn\" href=\"", "\"").replace("&#38;", "&").replace("&amp;", "&");
    assert!(older.starts_with("/settings/audit?what=sessions.ended&before="), "{older}");
    let second = house.page(&admin, &older).await;
    assert_eq!(second.body.matches("<div class=\"t\">sessions.ended</div>").count(), 10);
    assert!(!second.body.contains("Older entries"), "{}", second.body);
}

#[tokio::test]
async fn everybody_changes_his_password_ends_sessions_and_keeps_tokens() {
    let house = House::open().await;
    let reader = house.member("rita", Role::ClientReader, Some("north")).await;
    let there = house.log_in("rita", WORDS, "/").await.cookie();
    let page = house.page(&reader, "/settings/account").await;
    assert!(page.body.contains("client-reader of north") && page.body.contains("End all others"), "{}", page.body);
    let wrong = house
        .send(&reader, "/settings/account/password", "present=x&password=other+words+of+mine&again=other+words+of+mine")
        .await;
    assert!(wrong.body.contains("The present password is another one."), "{}", wrong.body);
    let form = format!("present={}&password=other+words+of+mine&again=other+words+of+mine", WORDS.replace(' ', "+"));
    let changed = house.send(&reader, "/settings/account/password", &form).await;
    assert!(changed.body.contains("The password is changed."), "{}", changed.body);
    let fresh = changed.cookie();
    for over in [&reader, &there] {
        assert_eq!(house.page(over, "/settings/account").await.status, StatusCode::SEE_OTHER);
    }
    let made = house.send(&fresh, "/settings/tokens", "name=my+script&rights=respond&days=30").await;
    let token = made.between("<code>", "</code>").to_owned();
    assert!(token.starts_with("upheld_"), "{}", made.body);
    let bearer = format!("Bearer {token}");
    let use_it = async |path: &str| {
        let request = house.request(Method::GET, path, &[("authorization", &bearer)], "");
        house.ask(request).await.status
    };
    assert_eq!(use_it("/api/v1/incidents").await, StatusCode::OK);
    assert_eq!(use_it("/c/south").await, StatusCode::NOT_FOUND, "another client's");
    assert_eq!(use_it("/settings/account").await, StatusCode::FORBIDDEN, "a token keeps no account");
    let shown = house.page(&fresh, "/settings/tokens").await;
    assert!(!shown.body.contains(&token), "it is shown once");
    let id = shown.between("name=\"token\" value=\"", "\"").to_owned();
    for _ in 0..2 {
        let revoked = house.send(&fresh, "/settings/tokens/revoke", &format!("token={id}")).await;
        assert_eq!(revoked.status, StatusCode::SEE_OTHER, "twice is once");
    }
    assert_eq!(use_it("/api/v1/incidents").await, StatusCode::UNAUTHORIZED);
    let nonsense = house.send(&fresh, "/settings/tokens", "name=x&rights=everything&days=99999").await;
    assert_eq!(nonsense.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn names_of_any_length_and_script_are_shown_as_they_are_or_refused() {
    let house = House::open().await;
    let admin = house.member("admin", Role::ProviderAdmin, None).await;
    let long = format!("login=long&name={}&role=dispatcher", "x".repeat(10_000));
    assert!(house.send(&admin, "/settings/users", &long).await.body.contains("at most 200 are kept"));
    let hebrew = house.send(&admin, "/settings/users", "login=a1&name=%D7%90%D7%A0%D7%94&role=dispatcher").await;
    assert!(hebrew.body.contains("<bdi>אנה</bdi>"), "{}", hebrew.body);
    let tag = house.send(&admin, "/settings/users", "login=a2&name=%3Cb%3Ebold%3C%2Fb%3E&role=dispatcher").await;
    assert!(!tag.body.contains("<b>bold"), "{}", tag.body);
    assert!(!house.page(&admin, "/settings/audit").await.body.contains("<b>bold"));
}

/// A portal over a store with a book, at one instant.
struct House {
    desk: Desk,
    router: Router,
    now: Timestamp,
    _folder: Arc<tempfile::TempDir>,
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    fn location(&self) -> &str {
        self.header("location")
    }

    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    fn between(&self, before: &str, after: &str) -> &str {
        let rest = self.body.split_once(before).unwrap_or_else(|| panic!("no {before}: {}", self.body)).1;
        rest.split_once(after).unwrap().0
    }
}

impl House {
    async fn open() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let desk = Desk::with_cost(upheld_store::sqlite::open(&folder.path().join("upheld.db")).unwrap(), FAST);
        let now: Timestamp = "2026-11-16T22:10:00Z".parse().unwrap();
        desk.apply_book(book(), &Actor::person("test"), now).await.unwrap();
        Self { router: portal(&desk, now), desk, now, _folder: folder }
    }

    fn at(&self, now: Timestamp) -> Self {
        Self { router: portal(&self.desk, now), desk: self.desk.clone(), now, _folder: Arc::clone(&self._folder) }
    }

    /// The address of an invitation.
    async fn invited(&self, login: &str, role: Role, client: Option<&str>) -> String {
        let new = NewUser {
            login: login.to_owned(),
            name: String::new(),
            role,
            client: client.map(|client| client.parse().unwrap()),
        };
        let keeper = Keeper { actor: Actor::person("test"), reach: Reach::All };
        let (_, link) = self.desk.make_user(new, &keeper, self.now).await.unwrap();
        format!("/password/{}", link.secret)
    }

    /// The cookie of somebody who is logged in.
    async fn member(&self, login: &str, role: Role, client: Option<&str>) -> String {
        let link = self.invited(login, role, client).await;
        self.send("", &link, "password=four+words+of+mine&again=four+words+of+mine").await.cookie()
    }

    async fn log_in(&self, login: &str, password: &str, to: &str) -> Answer {
        let form = format!(
            "login={login}&password={}&to={}",
            password.replace(' ', "+"),
            to.replace('?', "%3F").replace('%', "%25").replace("%253F", "%3F")
        );
        self.send("", "/login", &form).await
    }

    async fn page(&self, cookie: &str, path: &str) -> Answer {
        self.ask(self.request(Method::GET, path, &[("accept", "text/html"), ("cookie", cookie)], "")).await
    }

    async fn send(&self, cookie: &str, path: &str, form: &str) -> Answer {
        self.ask(self.request(Method::POST, path, &[("accept", "text/html"), ("cookie", cookie)], form)).await
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path).header("host", HOST);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if !headers.iter().any(|(name, _)| *name == "origin") {
            request = request.header("origin", format!("https://{HOST}"));
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(Remote("192.0.2.7:5".parse::<SocketAddr>().unwrap()));
        request
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
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
        url: format!("https://{HOST}"),
        certificates: Arc::new(Default::default),
        metrics: Arc::new(String::new),
    })
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
