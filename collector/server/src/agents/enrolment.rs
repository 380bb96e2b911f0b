//! The enrolment door: a host with a token becomes an agent, one whose certificate ended comes back.

use std::{sync::Arc, time::Instant};

use axum::{Extension, body::Bytes, extract::State, http::StatusCode, response::Response};
use jiff::{SignedDuration, Timestamp};
use upheld_desk::{Asking, Certificate};
use upheld_model::AgentId;
use upheld_web::Remote;
use upheld_wire::v1::{
    codes,
    enroll::{EnrollRequest, ReturnRequest},
};

use super::{Agents, json, refused, too_many};
use crate::{
    pki::{Pki, agent::key_of},
    problem::problem,
};

pub(super) async fn enroll(
    State(agents): State<Arc<Agents>>,
    Extension(Remote(remote)): Extension<Remote>,
    body: Bytes,
) -> Response {
    if let Err(wait) = agents.by_address.take(&remote.ip(), Instant::now()) {
        return too_many(wait);
    }
    let request: EnrollRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return malformed(error.to_string()),
    };
    let (pki, now) = (agents.pki(), agents.now());
    let outcome = agents
        .desk
        .enroll(request, remote.ip(), now, |agent, request| certificate(&pki, &request.csr_pem, agent, now))
        .await;
    match outcome {
        Ok(mut answer) => {
            tracing::info!(agent.id = %answer.agent, client.id = %answer.client, "a host was enrolled");
            answer.collectors.clone_from(&agents.collectors);
            json(StatusCode::OK, &answer)
        }
        Err(refusal) => {
            tracing::warn!(code = %refusal.code, "an enrolment was refused");
            refused(refusal)
        }
    }
}

pub(super) async fn take_back(
    State(agents): State<Arc<Agents>>,
    Extension(Remote(remote)): Extension<Remote>,
    body: Bytes,
) -> Response {
    if let Err(wait) = agents.by_address.take(&remote.ip(), Instant::now()) {
        return too_many(wait);
    }
    let request: ReturnRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return malformed(error.to_string()),
    };
    let Some(key) = key_of(&request.csr_pem) else {
        return malformed("the certificate request is not valid, or not signed by its own key".to_owned());
    };
    let (pki, now, agent) = (agents.pki(), agents.now(), request.agent.clone());
    // Certificates count by the second: this one is made in the next, so that what was given out up to now is older.
    let issued_at = now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(now);
    let asking = Asking { request, key, address: remote.ip().to_canonical() };
    let outcome = agents
        .desk
        .take_back(asking, now, |request| certificate(&pki, &request.csr_pem, &request.agent, issued_at))
        .await;
    match outcome {
        Ok(answer) => {
            tracing::info!(agent.id = %agent, "an agent was taken back");
            json(StatusCode::OK, &answer)
        }
        Err(refusal) => {
            tracing::warn!(agent.id = %agent, code = %refusal.code, "an agent was not taken back");
            refused(refusal)
        }
    }
}

fn malformed(why: String) -> Response {
    problem(StatusCode::BAD_REQUEST, codes::MALFORMED, "The request cannot be read", why)
}

fn certificate(pki: &Pki, csr_pem: &str, agent: &AgentId, now: Timestamp) -> Result<Certificate, String> {
    let issued = pki.issue(csr_pem, agent, now).map_err(|error| error.to_string())?;
    Ok(Certificate {
        chain_pem: issued.chain_pem,
        roots_pem: pki.roots_pem(),
        issued_at: issued.issued_at,
        ends: issued.not_after,
    })
}
