//! The map of addresses; one module per resource.
//!
//! | address | what | who |
//! |---|---|---|
//! | `/` | to the queue | anybody |
//! | `/in/{token}`, `/out` | log in once, log out | anybody |
//! | `/queue`, `/queue.json` | clocks by time left; `?show=`, `?client=`, `?q=`, `?rows=` | signed in |
//! | `/events?view=queue` | what changed on the queue, as it happens | signed in |
//! | `/i/{client}/{INC-n}`, `….json` | one incident and why its clocks are due | signed in |
//! | `POST /i/{client}/{INC-n}/{command}` | a form for each of [`upheld_desk::Command::NAMES`] | may respond |
//! | `/c/{client}`, `….json` | what a client gets for his fee | signed in |
//! | `/clients`, `/clients.json` | every client | the provider's people |
//! | `/agents`, `/agents.json`; POST makes an enrolment line | who reports, since when | signed in; the provider's people |
//! | `/report` | report a problem | may respond |
//! | `/api/v1/incidents…` | the API | signed in, or a token |
//! | `/healthz` | alive, store reachable, tasks running | anybody |
//! | `/metrics` | Prometheus | loopback, or a token |

mod agents;
mod api;
mod assets;
mod client;
mod health;
mod incident;
mod login;
mod queue;
mod report;

use axum::{
    Router,
    http::{HeaderMap, Uri},
    response::Redirect,
    routing::{get, post},
};

use crate::{
    Portal,
    problem::{Refusal, wants_json},
};

/// Every route.
pub(crate) fn all(portal: Portal) -> Router {
    Router::new()
        .route("/", get(async || Redirect::to("/queue")))
        .route("/in/{token}", get(login::ask).post(login::enter))
        .route("/out", post(login::leave))
        .route("/queue", get(queue::page))
        .route("/queue.json", get(queue::json))
        .route("/events", get(queue::events::listen))
        .route("/i/{client}/{incident}", get(incident::page))
        .route("/i/{client}/{incident}/{command}", post(incident::command))
        .route("/clients", get(client::list))
        .route("/clients.json", get(client::list_json))
        .route("/c/{client}", get(client::page))
        .route("/agents", get(agents::page).post(agents::enrol))
        .route("/agents.json", get(agents::json))
        .route("/report", get(report::page).post(report::enter))
        .nest("/api/v1", api::routes())
        .route("/healthz", get(health::health))
        .route("/metrics", get(health::metrics))
        .route("/app.css", get(assets::style))
        .route("/live.js", get(assets::script))
        .route("/icon.svg", get(assets::icon))
        .fallback(async |uri: Uri, headers: HeaderMap| Refusal::NotFound { is_json: wants_json(uri.path(), &headers) })
        .with_state(portal)
}
