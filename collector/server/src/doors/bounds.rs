//! The bounds of a request's body: so many bytes, so much time (SECURITY 18, 19).

use std::time::Duration;

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::problem::problem;
use upheld_wire::v1::codes;

/// A body must have arrived within this.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The router behind a gate that reads each body whole, at most `bytes_max` of it, within 30 seconds.
pub(crate) fn bounded(router: Router, bytes_max: usize) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| async move {
        match gather(request, bytes_max).await {
            Ok(request) => next.run(request).await,
            Err(refusal) => refusal,
        }
    }))
}

async fn gather(request: Request, bytes_max: usize) -> Result<Request, Response> {
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    match timeout(BODY_TIME, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(whole)) => Ok(Request::from_parts(head, Body::from(whole.to_bytes()))),
        Ok(Err(failure)) if failure.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST.into_response()),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT.into_response()),
    }
}

fn too_large(bytes_max: usize) -> Response {
    problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        codes::TOO_LARGE,
        "The body is too large",
        format!("at most {bytes_max} bytes are taken in one request"),
    )
}
