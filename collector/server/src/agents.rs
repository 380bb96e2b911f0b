//! What stands behind the agents' two doors: requests in, the desk's answers out.
//!
//! Who an agent is comes from its certificate and its row, read again on each request, never from a body
//! (SECURITY 14, 16). Sizes and rates are refused here; everything else is the desk's to say. A refusal is a
//! [`upheld_wire::v1::Problem`], because in TLS an agent would only see a closed channel.

mod data;
mod enrolment;
mod rate;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use tokio::sync::watch;
use upheld_desk::Desk;
use upheld_model::AgentId;
use upheld_wire::v1::{Problem, codes, limits};

use crate::{
    config::AgentBounds,
    doors::bounded,
    pki::Pki,
    problem::{answer, problem},
};
use rate::Rate;

/// An enrolment request is a token, a key and a certificate request: a few kilobytes.
const ENROLMENT_BYTES_MAX: usize = 64 << 10;

/// What the agents' routes share.
pub(crate) struct Agents {
    desk: Desk,
    pki: watch::Receiver<Arc<Pki>>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    by_agent: Rate<AgentId>,
    by_address: Rate<IpAddr>,
    collectors: Vec<String>,
}

impl Agents {
    /// Routes over the desk; certificates are made by whatever authority `pki` holds at the time. `collectors` is where
    /// agents find each of the provider's.
    pub(crate) fn new(
        desk: Desk,
        pki: watch::Receiver<Arc<Pki>>,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
        collectors: Vec<String>,
        bounds: AgentBounds,
    ) -> Arc<Self> {
        let (by_agent, by_address) = (Rate::new(bounds.per_second, bounds.at_once), Rate::new(10, 100));
        Arc::new(Self { desk, pki, clock, by_agent, by_address, collectors })
    }

    /// Behind the data door.
    pub(crate) fn data(self: &Arc<Self>) -> Router {
        let routes = Router::new()
            .route("/v1/deliver", post(data::deliver))
            .route("/v1/config", get(data::config))
            .route("/v1/drill/{id}", get(data::drill))
            .route("/v1/proposals", post(data::propose))
            .route("/v1/secrets", post(data::secrets))
            .route("/v1/renew", post(data::renew))
            .fallback(no_such_route)
            .with_state(Arc::clone(self));
        bounded(routes, limits::WIRE_BYTES_MAX)
    }

    /// Behind the enrolment door.
    pub(crate) fn enrolment(self: &Arc<Self>) -> Router {
        let routes = Router::new()
            .route("/v1/enroll", post(enrolment::enroll))
            .route("/v1/return", post(enrolment::take_back))
            .fallback(no_such_route)
            .with_state(Arc::clone(self));
        bounded(routes, ENROLMENT_BYTES_MAX)
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn pki(&self) -> Arc<Pki> {
        Arc::clone(&self.pki.borrow())
    }
}

async fn no_such_route() -> Response {
    problem(StatusCode::NOT_FOUND, "not-found", "There is nothing here", "agents speak to /v1/…")
}

/// 429 with the seconds to wait, rounded up.
fn too_many(wait: std::time::Duration) -> Response {
    let seconds = wait.as_secs() + 1;
    let mut answer = problem(
        StatusCode::TOO_MANY_REQUESTS,
        codes::TOO_MANY,
        "Too many requests",
        format!("wait {seconds} s and go on; nothing was taken"),
    );
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// 503 when the desk cannot even look: nothing was taken, and the reason is the collector's, in its own log.
fn unavailable(error: &upheld_desk::DeskError) -> Response {
    if error.is_transient() {
        tracing::warn!(error = %error, "the desk could not answer an agent, which asks again");
    } else {
        tracing::error!(error = %error, "the desk could not answer an agent");
    }
    answer(upheld_desk::unavailable(error))
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "an answer could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The desk's own refusal.
fn refused(refusal: Problem) -> Response {
    answer(refusal)
}

#[cfg(test)]
mod tests;
