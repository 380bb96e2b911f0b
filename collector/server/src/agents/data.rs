//! The data door: deliver, config, drill, proposals, secrets, renew.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Bytes,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, StatusCode, header::CONTENT_ENCODING, request::Parts},
    response::Response,
};
use upheld_delivery::intake;
use upheld_desk::{AgentPeer, DeliverAnswer, DeskError, Shown};
use upheld_wire::v1::{
    Delivered, codes, dictionary,
    enroll::{RenewAnswer, RenewRequest},
    proposals::{PROPOSAL_BYTES_MAX, ProposalRequest},
    secrets::SecretsRequest,
};

use super::{Agents, json, refused, too_many, unavailable};
use crate::{
    pki::{Peer, PkiError},
    problem::problem,
};

/// Whoever shows a certificate that is still good at this moment and keeps the rate. What it is worth by the agent's row
/// is not looked at yet.
pub(super) struct Showing(Arc<Peer>);

impl FromRequestParts<Arc<Agents>> for Showing {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, agents: &Arc<Agents>) -> Result<Self, Response> {
        // The door puts the peer there; a request without one cannot come from it.
        let Some(peer) = parts.extensions.remove::<Arc<Peer>>() else {
            return Err(no_certificate());
        };
        if peer.not_after <= agents.now() {
            return Err(problem(
                StatusCode::FORBIDDEN,
                codes::CERTIFICATE_EXPIRED,
                "The certificate has ended on this connection",
                "connect again with a renewed certificate, or enrol again: upheld-agent enroll '<link>'",
            ));
        }
        match agents.by_agent.take(&peer.agent, Instant::now()) {
            Ok(()) => Ok(Self(peer)),
            Err(wait) => Err(too_many(wait)),
        }
    }
}

/// The agent that asks: row there, too. Whether the row lets it do what it asks for is the desk's answer.
pub(super) struct Known {
    peer: AgentPeer,
}

impl FromRequestParts<Arc<Agents>> for Known {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, agents: &Arc<Agents>) -> Result<Self, Response> {
        let Showing(peer) = Showing::from_request_parts(parts, agents).await?;
        match agents.desk.peer_showing(&peer.agent, peer.issued_at).await {
            Ok(Shown::Good(known)) => {
                agents.confirm_root(&peer, &known).await?;
                Ok(Self { peer: known })
            }
            Ok(Shown::Void) => Err(void()),
            Ok(Shown::Unknown) => Err(unknown()),
            Err(error) => {
                agents.desk.refused_upload(&peer.agent, agents.now());
                Err(unavailable(&error))
            }
        }
    }
}

impl Agents {
    /// Whether a certificate is of the intermediate in force; if not, it should be renewed before its day.
    fn is_current(&self, peer: &Peer) -> bool {
        peer.issuer == self.pki().intermediate_name()
    }

    /// While the root changes: notes that the agent has come under the one in force.
    async fn confirm_root(&self, peer: &Peer, known: &AgentPeer) -> Result<(), Response> {
        let pki = self.pki();
        if self.is_current(peer)
            && pki.rotating_since().is_some()
            && let Err(error) = self.desk.confirm_root(known, &pki.root_fingerprint()).await
        {
            return Err(unavailable(&error));
        }
        Ok(())
    }
}

pub(super) async fn deliver(
    State(agents): State<Arc<Agents>>,
    Showing(peer): Showing,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let is_compressed = match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None => false,
        Some(b"zstd") => true,
        Some(_) => return malformed("content-encoding must be zstd"),
    };
    let inflated = match if is_compressed { intake::inflate(&body) } else { Ok(body.to_vec()) } {
        Ok(inflated) => inflated,
        Err(error) => return unreadable(&error),
    };
    let request = match intake::read_request(&inflated) {
        Ok(request) => request,
        Err(error) => return unreadable(&error),
    };
    drop(inflated);
    // While the root changes it is noted first who comes, which is a look of its own.
    if agents.pki().rotating_since().is_some() {
        match agents.desk.peer_showing(&peer.agent, peer.issued_at).await {
            Ok(Shown::Good(known)) => {
                if let Err(refusal) = agents.confirm_root(&peer, &known).await {
                    return refusal;
                }
            }
            // What is wrong is said below.
            Ok(Shown::Void | Shown::Unknown) | Err(_) => {}
        }
    }
    match agents.desk.deliver_showing(&peer.agent, peer.issued_at, request, agents.now()).await {
        Ok(DeliverAnswer::Delivered(delivered)) => {
            let dictionary = dictionary::best();
            json(StatusCode::OK, &Delivered { renew: !agents.is_current(&peer), dictionary, ..delivered })
        }
        Ok(DeliverAnswer::Conflict(conflict)) => json(StatusCode::CONFLICT, &conflict),
        Ok(DeliverAnswer::Problem(refusal)) => refused(refusal),
        Err(Shown::Void) => void(),
        Err(Shown::Unknown | Shown::Good(_)) => unknown(),
    }
}

pub(super) async fn config(State(agents): State<Arc<Agents>>, Known { peer }: Known) -> Response {
    if let Err(refusal) = agents.desk.admit(&peer).await {
        return refused(refusal);
    }
    match agents.desk.config_for(&peer).await {
        Ok(config) => json(StatusCode::OK, &config),
        Err(error) => unavailable(&error),
    }
}

pub(super) async fn drill(
    State(agents): State<Arc<Agents>>,
    Known { peer }: Known,
    Path(id): Path<String>,
) -> Response {
    if let Err(refusal) = agents.desk.admit(&peer).await {
        return refused(refusal);
    }
    let Ok(id) = id.parse() else { return malformed("a drill is named by 32 hexadecimal digits") };
    match agents.desk.drill(&peer, id, agents.now()).await {
        Ok(report) => json(StatusCode::OK, &report),
        Err(error) => unavailable(&error),
    }
}

pub(super) async fn secrets(State(agents): State<Arc<Agents>>, Known { peer }: Known, body: Bytes) -> Response {
    if let Err(refusal) = agents.desk.admit(&peer).await {
        return refused(refusal);
    }
    let request: SecretsRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return malformed(error.to_string()),
    };
    let key = match request.key.parse() {
        Ok(key) => key,
        Err(error) => return malformed(format!("key: {error}")),
    };
    match agents.desk.secrets_for(&peer, key, agents.now()).await {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(error) => unavailable(&error),
    }
}

pub(super) async fn propose(State(agents): State<Arc<Agents>>, Known { peer }: Known, body: Bytes) -> Response {
    if let Err(refusal) = agents.desk.admit(&peer).await {
        return refused(refusal);
    }
    if body.len() > PROPOSAL_BYTES_MAX {
        let why = format!("{} bytes, at most {PROPOSAL_BYTES_MAX} are taken", body.len());
        return problem(StatusCode::PAYLOAD_TOO_LARGE, codes::TOO_LARGE, "The proposal is too large", why);
    }
    let request: ProposalRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return malformed(error.to_string()),
    };
    match agents.desk.take_proposal(&peer, request, agents.now()).await {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(DeskError::NoBook | DeskError::NoSuchPlace(_)) => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            codes::UNAVAILABLE,
            "The provider's book does not have this host's site",
            "the provider applies a book that has it: upheld-collector book apply DIR",
        ),
        Err(error) => unavailable(&error),
    }
}

pub(super) async fn renew(State(agents): State<Arc<Agents>>, Known { peer }: Known, body: Bytes) -> Response {
    if let Err(refusal) = agents.desk.admit(&peer).await {
        return refused(refusal);
    }
    let request: RenewRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return malformed(error.to_string()),
    };
    let pki = agents.pki();
    match pki.issue(&request.csr_pem, &peer.agent, agents.now()) {
        Ok(issued) => {
            if let Err(refusal) = agents.desk.note_renewal(&peer, issued.not_after).await {
                return refused(refusal);
            }
            tracing::info!(agent.id = %peer.agent, until = %issued.not_after, "an agent's certificate was renewed");
            json(StatusCode::OK, &RenewAnswer { chain_pem: issued.chain_pem, roots_pem: pki.roots_pem() })
        }
        Err(PkiError::Request(_)) => malformed("the certificate request is not valid, or not signed by its own key"),
        Err(error) => {
            tracing::error!(error = %error, "an agent's certificate could not be made");
            problem(
                StatusCode::SERVICE_UNAVAILABLE,
                codes::UNAVAILABLE,
                "The certificate could not be made",
                "the collector's log says why; try again later",
            )
        }
    }
}

fn void() -> Response {
    problem(
        StatusCode::FORBIDDEN,
        codes::CERTIFICATE_VOID,
        "The certificate is void: this agent was taken back with a newer one",
        "the host asks to be taken back; a person at the provider says which one is real",
    )
}

fn unknown() -> Response {
    problem(
        StatusCode::FORBIDDEN,
        codes::UNKNOWN_AGENT,
        "This collector does not know the agent",
        "enrol it again: upheld-collector agent token --client C --site S",
    )
}

fn no_certificate() -> Response {
    problem(
        StatusCode::FORBIDDEN,
        codes::UNKNOWN_AGENT,
        "No certificate came with this connection",
        "agents come through the data door with the certificate they were given",
    )
}

fn unreadable(error: &intake::IntakeError) -> Response {
    if error.is_too_large() {
        return problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            codes::TOO_LARGE,
            "The upload is over a limit",
            error.to_string(),
        );
    }
    if let intake::IntakeError::Dictionary(_) = error {
        let title = "The upload was packed with a dictionary that is not known here";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, codes::DICTIONARY_UNKNOWN, title, error.to_string());
    }
    malformed(error.to_string())
}

fn malformed(why: impl Into<String>) -> Response {
    problem(StatusCode::BAD_REQUEST, codes::MALFORMED, "The request cannot be read", why)
}
