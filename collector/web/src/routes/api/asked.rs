//! How a request to the API is read: parameters, bodies, headers. What cannot be read is a problem that says where.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{
        HeaderMap, HeaderName,
        header::{ETAG, IF_MATCH},
        request::Parts,
    },
};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use upheld_desk::{Desk, IncidentView};

use crate::{
    Portal,
    problem::{Refusal, wants_json},
};

/// The parameters behind an address's question mark.
pub(in crate::routes) struct Asked<T>(pub(in crate::routes) T);

impl<T: DeserializeOwned> FromRequestParts<Portal> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Portal) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        let fields = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(fields).map(Self).map_err(|error| {
            let is_json = wants_json(parts.uri.path(), &parts.headers);
            Refusal::parameter(&error.path().to_string(), error.into_inner().to_string(), is_json)
        })
    }
}

/// A body in JSON; none is an empty object.
pub(in crate::routes) struct Sent<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Portal> for Sent<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Refusal> {
        let body = Bytes::from_request(request, portal).await.map_err(|_| Refusal::TooLarge { is_json: true })?;
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        let mut reader = serde_json::Deserializer::from_slice(body);
        let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let pointer = pointer(&error);
            Refusal::body(pointer, error.into_inner().to_string())
        })?;
        reader.end().map_err(|error| Refusal::body(String::new(), error.to_string()))?;
        Ok(Self(read))
    }
}

/// The place of a fault as a JSON pointer (RFC 6901).
fn pointer(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    // A field of the path has not always begun to be read: then the fault is in the object around it.
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    };
    error.path().iter().map(part).collect()
}

/// An incident's revision as its `ETag`.
pub(super) fn etag(view: &IncidentView) -> (HeaderName, String) {
    (ETAG, format!("\"{}\"", view.revision))
}

/// The revision that `If-Match` names.
pub(super) fn seen(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("").trim();
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match tag.parse() {
        _ if tag == "*" => Ok(None),
        Ok(revision) => Ok(Some(revision)),
        Err(_) => Err(Refusal::header("If-Match", "it must be the ETag of the incident, such as \"7\"")),
    }
}

/// The desk for a command with its `Idempotency-Key`, 1 to 128 printable ASCII characters: kept for 24 h with the
/// fact, in one transaction. The same request again answers with the incident and records nothing; another one under
/// the same key is refused.
pub(super) fn given_once(desk: &Desk, headers: &HeaderMap) -> Result<Desk, Refusal> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(desk.clone()) };
    match value.to_str() {
        Ok(key) if (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => Ok(desk.once(key)),
        Ok(_) | Err(_) => {
            Err(Refusal::header("Idempotency-Key", "it must be 1 to 128 printable ASCII characters without spaces"))
        }
    }
}
