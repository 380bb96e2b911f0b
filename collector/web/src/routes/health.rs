//! For whoever watches the watcher: `/healthz` for load balancers and people, `/metrics` for Prometheus.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header::AUTHORIZATION, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use upheld_desk::{roles::Action, tasks::Health};

use crate::{
    Portal, Remote,
    access::Reader,
    problem::{Refusal, wants_json},
};

/// Leases are kept every 2 s and end after 6.
const LEASES_LATE_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// 200 when the store answers, 503 when it does not; open to anybody, so it names nothing.
pub(super) async fn health(State(portal): State<Portal>) -> Response {
    let (status, store, tasks, mail) = match portal.desk.health().await {
        Ok(health) => (StatusCode::OK, "ok", ages(&health, portal.now()), mail(&health)),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "unreachable", json!({}), Value::Null),
    };
    let own = portal.desk.own_health();
    // A store that does not answer has said so above.
    let recovery = portal.desk.recovery().await.ok().flatten();
    let document = json!({
        "schema": "upheld.health/1",
        "store": store,
        "tasks": tasks,
        "own": {
            "troubles": own.troubles,
            "line_watched": own.is_line_watched,
            "heartbeat": { "last_good": own.beat.last_good, "is_failing": own.beat.failure.is_some() },
        },
        "mail": mail,
        "leases": leases(portal.desk.leases_kept(), portal.now()),
        "recovery": recovery,
        "certificates": (portal.certificates)(),
        "as_of": portal.now(),
    });
    (status, axum::Json(document)).into_response()
}

/// Whether this collector, where it is one of several, keeps its leases in time; `null` where it is alone. Who holds what
/// is no matter of this page.
fn leases(kept: Option<Timestamp>, now: Timestamp) -> Value {
    kept.map_or(Value::Null, |kept| {
        let age = now.duration_since(kept);
        json!({ "kept_s": age.as_secs().max(0), "is_late": age > LEASES_LATE_AFTER })
    })
}

/// Whether mail is asked for, can be sent, and is taken: no words of a server, which may name a person.
fn mail(health: &Health) -> Value {
    let mail = &health.mail;
    json!({ "needed": mail.is_needed, "server_set": mail.is_set, "is_failing": mail.failure.is_some() })
}

/// How long ago each task ran, and whether all went well: no words of failures, which may name a client's host.
fn ages(health: &Health, now: Timestamp) -> Value {
    let task = |last_run: Timestamp, failures: usize| json!({ "last_run": last_run, "age_s": now.duration_since(last_run).as_secs().max(0), "failures": failures });
    let ages = health.tasks.iter().filter_map(|(name, one)| {
        one.last_run.map(|last_run| ((*name).to_owned(), task(last_run, one.failures.len())))
    });
    Value::Object(ages.collect())
}

/// From this machine, or with a token or session of the provider.
pub(super) async fn metrics(
    State(portal): State<Portal>,
    remote: Option<Extension<Remote>>,
    headers: HeaderMap,
    uri: Uri,
    reader: Result<Reader, Refusal>,
) -> Result<Response, Refusal> {
    let is_local = remote.is_some_and(|Extension(Remote(address))| address.ip().to_canonical().is_loopback());
    let is_forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    if !is_local || is_forwarded || headers.contains_key(AUTHORIZATION) {
        let reader = reader?;
        if !reader.may(Action::Figures) {
            return Err(Refusal::NotFound { is_json: wants_json(uri.path(), &headers) });
        }
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (portal.metrics)()).into_response())
}
