//! The description of the API against the API: the addresses, the methods, and every kind of answer, good and bad.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;
use upheld_desk::{Actor, Desk, Rights, Scope};
use upheld_web::{NewHost, Portal};

const REPORTS: &str = "/api/v1/clients/northgate/sites/plant-2/reports";
const INCIDENT: &str = "/api/v1/incidents/northgate/INC-1";

#[tokio::test]
async fn the_description_is_the_one_that_was_reviewed() {
    let house = House::open().await;
    let mut answer = house.ask(Method::GET, "/openapi.json", &[], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["openapi"], "3.1.0");
    answer.body["info"]["version"] = json!("[version]");
    insta::assert_json_snapshot!("openapi", answer.body);
}

#[tokio::test]
async fn every_described_method_is_served_and_no_other() {
    let house = House::open().await;
    let mut seen = 0;
    for (path, item) in house.description["paths"].as_object().unwrap() {
        let filled = path.replace("{client}", "nobody").replace("{incident}", "INC-9").replace("{site}", "nowhere");
        let filled = filled.replace("{command}", "note");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = house.ask(method.clone(), &filled, &[], "").await;
            let is_described = item.get(method.as_str().to_lowercase()).is_some();
            assert_eq!(answer.status != StatusCode::METHOD_NOT_ALLOWED, is_described, "{method} {path}: {answer:?}");
            house.check_problem(&answer);
            seen += 1;
        }
    }
    assert!(seen >= 35, "{seen}");
    let unknown = house.ask(Method::GET, "/api/v1/clients", &[], "").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    house.check_problem(&unknown);
}

#[tokio::test]
async fn what_is_answered_is_what_is_described() {
    let house = House::open().await;
    let text = r#"{"asset":"nvr-02","text":"no picture","class":"recording","called_at":"2026-11-16T22:00:00Z"}"#;
    let made = house.answers("reportProblem", Method::POST, REPORTS, &[], text).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.body["incident"], "northgate/INC-1");
    let one = house.answers("getIncident", Method::GET, INCIDENT, &[], "").await;
    assert_eq!(one.body["terms"]["is"], "pinned", "the terms are there to be described: {:#}", one.body["terms"]);
    assert!(one.body["clocks"].as_array().is_some_and(|clocks| clocks.len() > 1));
    house.answers("listIncidents", Method::GET, "/api/v1/incidents", &[], "").await;
    house.answers("explainClocks", Method::GET, &format!("{INCIDENT}/clocks"), &[], "").await;
    house
        .answers(
            "addResponse",
            Method::POST,
            &format!("{INCIDENT}/responses"),
            &[],
            r#"{"manner":"phone","with_whom":"the plant manager"}"#,
        )
        .await;
    for (command, body) in [
        ("acknowledge", ""),
        ("pause", r#"{"reason":"site-access","note":"the gate is locked"}"#),
        ("dispute", r#"{"note":"it was open"}"#),
        ("note", r#"{"note":"called"}"#),
        ("resume", "{}"),
        ("settle", r#"{"outcome":"client-is-right"}"#),
        ("set-cause", r#"{"cause":"component"}"#),
        ("resolve", r#"{"note":"replaced"}"#),
        ("close", ""),
    ] {
        let path = format!("{INCIDENT}/{command}");
        let answer = house.answers("giveCommand", Method::POST, &path, &[], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{command}: {answer:?}");
        house.answers("explainClocks", Method::GET, &format!("{INCIDENT}/clocks"), &[], "").await;
    }
    house.answers("listRuns", Method::GET, "/api/v1/clients/northgate/runs", &[], "").await;
}

#[tokio::test]
async fn a_refusal_says_where_the_request_is_wrong() {
    let house = House::open().await;
    house.report("nvr-02").await;
    let note = format!("{INCIDENT}/note");
    let respond = format!("{INCIDENT}/responses");
    for (method, path, headers, body, status, code, errors) in [
        (Method::POST, note.as_str(), vec![], r#"{"note":7}"#, 400, "malformed", json!([{ "pointer": "/note" }])),
        (Method::POST, &note, vec![], r#"{"nota":"x"}"#, 400, "malformed", json!([{ "pointer": "/nota" }])),
        (Method::POST, &note, vec![], "{}", 400, "malformed", json!([{ "pointer": "/note" }])),
        (Method::POST, &note, vec![], "no", 400, "malformed", json!([{ "pointer": "" }])),
        (Method::POST, &note, vec![], "{} {}", 400, "malformed", json!([{ "pointer": "" }])),
        (Method::POST, &respond, vec![], r#"{"manner":"fax"}"#, 409, "not-allowed", json!([{ "pointer": "/manner" }])),
        (
            Method::POST,
            &note,
            vec![("if-match", "x")],
            r#"{"note":"x"}"#,
            400,
            "malformed",
            json!([{ "header": "If-Match" }]),
        ),
        (
            Method::POST,
            &note,
            vec![("idempotency-key", "a b")],
            r#"{"note":"x"}"#,
            400,
            "malformed",
            json!([{ "header": "Idempotency-Key" }]),
        ),
        (Method::GET, INCIDENT, vec![], "", 200, "", Value::Null),
        (Method::GET, "/api/v1/incidents?limit=many", vec![], "", 400, "malformed", json!([{ "parameter": "limit" }])),
        (Method::GET, "/api/v1/incidents?cursor=x", vec![], "", 400, "malformed", json!([{ "parameter": "cursor" }])),
        (
            Method::GET,
            "/api/v1/clients/northgate/runs?since=now",
            vec![],
            "",
            400,
            "malformed",
            json!([{ "parameter": "since" }]),
        ),
        (Method::POST, "/api/v1/incidents/northgate/INC-1/explode", vec![], "", 404, "not-found", Value::Null),
    ] {
        let answer = house.ask(method, path, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {answer:?}");
        if status == 200 {
            continue;
        }
        house.check_problem(&answer);
        assert_eq!(answer.body["code"], code, "{path} {body}: {answer:?}");
        let mut said = answer.body["errors"].clone();
        for error in said.as_array_mut().into_iter().flatten() {
            let detail = error.as_object_mut().and_then(|error| error.remove("detail"));
            assert!(detail.is_some_and(|detail| detail.as_str().is_some_and(|text| text.len() > 3)));
        }
        assert_eq!(said, errors, "{path} {body}");
    }
    let large = format!(r#"{{"note":"{}"}}"#, "x".repeat(3 << 20));
    let refused = house.ask(Method::POST, &note, &[], &large).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    house.check_problem(&refused);
}

#[tokio::test]
async fn each_problem_is_a_page_that_its_type_names() {
    let house = House::open().await;
    let list = house.ask(Method::GET, "/problems", &[], "").await;
    let named: Vec<&str> =
        list.text.split("href=\"/problems/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(named.len() >= 14, "{named:?}");
    for name in named {
        let page = house.ask(Method::GET, &format!("/problems/{name}"), &[("authorization", "")], "").await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
        assert!(page.text.contains("What to do."), "{name}");
    }
    assert_eq!(house.ask(Method::GET, "/problems/nonsense", &[], "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_makes_a_request_one_however_often_and_at_once_it_is_sent() {
    let house = House::open().await;
    house.report("nvr-02").await;
    let path = format!("{INCIDENT}/note");
    let key = [("idempotency-key", "k-1")];
    let body = r#"{"note":"called twice"}"#;
    let all = (0..8).map(|_| house.ask(Method::POST, &path, &key, body));
    let answers = futures_util::future::join_all(all).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &answers[0].body));
    }
    let notes =
        |body: &Value| body["timeline"].as_array().unwrap().iter().filter(|entry| entry["what"] == "noted").count();
    let seen = house.ask(Method::GET, INCIDENT, &[], "").await;
    assert_eq!(notes(&seen.body), 1);
    // It was carried out: that it was seen at an older revision is no news.
    let stale = [("idempotency-key", "k-1"), ("if-match", "\"0\"")];
    assert_eq!(house.ask(Method::POST, &path, &stale, body).await.status, StatusCode::OK);
    let other = house.ask(Method::POST, &path, &key, r#"{"note":"another"}"#).await;
    assert_eq!(
        (other.status, &other.body["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency-key-reused"))
    );
    house.check_problem(&other);
    assert_eq!(notes(&house.ask(Method::GET, INCIDENT, &[], "").await.body), 1);
}

#[tokio::test]
async fn a_stale_acknowledge_loses_to_a_resolve_and_is_told_how_it_stands() {
    let house = House::open().await;
    house.report("nvr-02").await;
    let seen = house.ask(Method::GET, INCIDENT, &[], "").await;
    let tag = seen.etag.clone().unwrap();
    let resolved =
        house.ask(Method::POST, &format!("{INCIDENT}/resolve"), &[("if-match", &tag)], r#"{"note":"done"}"#).await;
    assert_eq!(resolved.status, StatusCode::OK);
    let late = house.ask(Method::POST, &format!("{INCIDENT}/acknowledge"), &[("if-match", &tag)], "").await;
    assert_eq!((late.status, &late.body["code"]), (StatusCode::PRECONDITION_FAILED, &json!("stale")));
    house.check_problem(&late);
    assert_eq!(late.body["current"]["state"], "resolved");
    assert_eq!(late.etag, resolved.etag, "with the tag under which to try again");
    let now = house.ask(Method::GET, INCIDENT, &[], "").await;
    assert_eq!((&now.body["owner"], now.etag), (&Value::Null, resolved.etag));
}

#[tokio::test]
async fn a_client_disputes_a_pause_in_one_field_of_his_page() {
    let house = House::open().await;
    house.report("nvr-02").await;
    let paused = r#"{"reason":"site-access","note":"the gate <b>is</b> locked"}"#;
    assert_eq!(house.ask(Method::POST, &format!("{INCIDENT}/pause"), &[], paused).await.status, StatusCode::OK);
    let client = house.client_token().await;
    let page = house.ask(Method::GET, "/c/northgate", &[("authorization", &client), ("accept", "text/html")], "").await;
    assert!(page.text.contains("action=\"/i/northgate/INC-1/dispute\""), "{}", page.text);
    assert!(
        page.text.contains("INC-1 was paused for site access from") && page.text.contains("the gate &#60;b&#62;is")
    );
    let data = house.ask(Method::GET, "/c/northgate.json", &[("authorization", &client)], "").await;
    let item = data.body["overview"]["pauses"][0]["item"].as_u64().unwrap();
    assert!(page.text.contains(&format!("name=\"item\" value=\"{item}\"")));
    let disputed = format!(r#"{{"item":{item},"note":"it stood open"}}"#);
    let headers = [("authorization", client.as_str())];
    assert_eq!(
        house.ask(Method::POST, &format!("{INCIDENT}/dispute"), &headers, &disputed).await.status,
        StatusCode::OK
    );
    let data = house.ask(Method::GET, "/c/northgate.json", &headers, "").await;
    assert_eq!(data.body["overview"]["pauses"], json!([]), "it is disputed");
}

#[tokio::test]
async fn an_incidents_page_says_what_is_owed_if_it_is_missed() {
    let house = House::open().await;
    house.report("nvr-02").await;
    let one = house.ask(Method::GET, INCIDENT, &[], "").await;
    let said = one.body["owed_if_missed"].as_array().unwrap();
    assert!(said.iter().any(|said| said.as_str().is_some_and(|said| said.contains("we credit you"))), "{said:#?}");
    assert!(said.last().is_some_and(|said| said.as_str().is_some_and(|said| said.contains("at most"))), "{said:#?}");
    let data = house.ask(Method::GET, "/i/northgate/INC-1.json", &[], "").await;
    let signals = data.body["signals"]["signals"].as_array().unwrap();
    assert!(!signals.is_empty());
    for signal in signals {
        let states = signal["stretches"].as_array().unwrap().iter().map(|stretch| &stretch["state"]);
        assert!(states.clone().all(|state| state == "unknown"), "nobody has looked yet: {signal:#}");
        assert!(states.count() > 0);
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page_without_a_gap_or_a_repetition() {
    let house = House::open().await;
    for asset in ["nvr-02", "ups-2", "nvr-02", "ups-2", "nvr-02"] {
        house.report(asset).await;
    }
    let whole = house.ask(Method::GET, "/api/v1/incidents?limit=500", &[], "").await;
    let names = |body: &Value| {
        body["incidents"].as_array().unwrap().iter().map(|view| view["incident"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((names(&whole.body).len(), &whole.body["next_cursor"]), (5, &Value::Null));
    for scope in [house.token.clone(), house.client_token().await] {
        let (mut read, mut path) = (Vec::new(), "/api/v1/incidents?limit=2".to_owned());
        loop {
            let page = house.ask(Method::GET, &path, &[("authorization", &scope)], "").await;
            read.extend(names(&page.body));
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            path = format!("/api/v1/incidents?limit=2&cursor={next}");
        }
        assert_eq!(read, names(&whole.body));
    }
    let other = format!("/api/v1/incidents?cursor={}", "harbor-dental/INC-1");
    let answer = house.ask(Method::GET, &other, &[("authorization", &house.client_token().await)], "").await;
    assert_eq!(names(&answer.body), Vec::<Value>::new(), "another client's place in a list is none");
}

/// The sample book behind a portal, asked with a token of the provider's.
struct House {
    router: Router,
    desk: Desk,
    now: Timestamp,
    token: String,
    description: Value,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    kind: String,
    etag: Option<String>,
    body: Value,
    text: String,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::new(upheld_store::sqlite::open(&folder.path().join("upheld.db")).unwrap());
        let now: Timestamp = "2026-11-16T22:10:00Z".parse().unwrap();
        desk.apply_book(sample_book(), &Actor::person("test"), now).await.unwrap();
        let router = upheld_web::portal(Portal {
            desk: desk.clone(),
            clock: Arc::new(move || now),
            new_host: Arc::new(|token| NewHost { link: token.token.clone(), install: None }),
            url: "https://c.example:7443".to_owned(),
            metrics: Arc::new(String::new),
            certificates: Arc::new(Default::default),
        });
        let mut house = Self { router, desk, now, token: String::new(), description: Value::Null, _folder: folder };
        house.token = house.bearer(&Scope::Provider).await;
        house.description = house.ask(Method::GET, "/openapi.json", &[], "").await.body;
        house
    }

    async fn bearer(&self, scope: &Scope) -> String {
        let made = self.desk.new_api_token("t", scope, Rights::Respond, None, &Actor::person("test"), self.now).await;
        format!("Bearer {}", made.unwrap().token)
    }

    async fn client_token(&self) -> String {
        self.bearer(&Scope::Client("northgate".parse().unwrap())).await
    }

    async fn report(&self, asset: &str) {
        let body = json!({ "asset": asset, "class": "recording", "text": "it fails", "new": true }).to_string();
        assert_eq!(self.ask(Method::POST, REPORTS, &[], &body).await.status, StatusCode::CREATED);
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "authorization") && !self.token.is_empty() {
            request = request.header("authorization", &self.token);
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, kind, etag) = (answer.status(), header("content-type").unwrap_or_default(), header("etag"));
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status, kind, etag, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    /// Asks, and holds a good answer against the operation's own schema.
    async fn answers(&self, id: &str, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.ask(method, path, headers, body).await;
        let items = self.description["paths"].as_object().unwrap().values();
        let operation = items.flat_map(|item| item.as_object().unwrap().values()).find(|it| it["operationId"] == id);
        let schema = &operation.unwrap()["responses"][answer.status.as_str()]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{id} does not describe {}: {answer:?}", answer.status);
        self.check(schema, &answer.body, path);
        answer
    }

    fn check_problem(&self, answer: &Answer) {
        if answer.status.is_success() {
            return;
        }
        assert_eq!(answer.kind, "application/problem+json", "{answer:?}");
        self.check(&json!({ "$ref": "#/components/schemas/Problem" }), &answer.body, "a problem");
        assert_eq!(answer.body["status"], answer.status.as_u16());
        assert_eq!(answer.body["type"], format!("/problems/{}", answer.body["code"].as_str().unwrap()));
    }

    /// Holds a value against a schema in which nothing may stand that is not described.
    fn check(&self, schema: &Value, value: &Value, name: &str) {
        let mut whole = self.description["components"].clone();
        close(&mut whole);
        let mut root = schema.clone();
        root["components"] = whole;
        let validator = jsonschema::draft202012::new(&root).unwrap();
        let faults: Vec<String> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}\n{value:#}");
    }
}

/// Forbids properties that a schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) {
                object.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_schema_that_is_closed_finds_what_is_not_described() {
    let mut schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    close(&mut schema);
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(validator.is_valid(&json!({ "a": "x" })));
    assert!(!validator.is_valid(&json!({ "a": "x", "b": 1 })));
}

fn sample_book() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/agreement/sample-book");
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    files
}
