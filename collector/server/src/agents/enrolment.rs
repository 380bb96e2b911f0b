//! The enrolment door: a host with a token becomes an agent.

use std::{sync::Arc, time::Instant};

use axum::{Extension, body::Bytes, extract::State, http::StatusCode, response::Response};
use upheld_desk::Certificate;
use upheld_web::Remote;
use upheld_wire::v1::{codes, enroll::EnrollRequest};

use super::{Agents, json, refused, too_many};
use crate::problem::problem;

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
        Err(error) => {
            return problem(StatusCode::BAD_REQUEST, codes::MALFORMED, "The request cannot be read", error.to_string());
        }
    };
    let (pki, now) = (agents.pki(), agents.now());
    let outcome = agents
        .desk
        .enroll(request, now, |agent, request| {
            let issued = pki.issue(&request.csr_pem, agent, now).map_err(|error| error.to_string())?;
            Ok(Certificate { chain_pem: issued.chain_pem, roots_pem: pki.roots_pem() })
        })
        .await;
    match outcome {
        Ok(answer) => {
            tracing::info!(agent.id = %answer.agent, client.id = %answer.client, "a host was enrolled");
            json(StatusCode::OK, &answer)
        }
        Err(refusal) => {
            tracing::warn!(code = %refusal.code, "an enrolment was refused");
            refused(refusal)
        }
    }
}
