//! `/events?view=queue`: what changed on the queue since the page was drawn, as it happens (UX 2.6).
//!
//! An event carries the order of the rows, each by its name and version, and the finished HTML of those that the
//! reader does not have. Its id is the snapshot that it brings the page to: a reader who comes back with
//! `Last-Event-ID` (or first, with the page's own snapshot in `since`) gets nothing twice. Between changes a `tick` says
//! what time the server has: silence means that the line is down. Whoever loses his session loses the stream.

use std::{collections::HashMap, convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State},
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::stream::{self, Stream};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::json;

use super::{QueuePage, Wanted};
use crate::{
    Portal,
    access::{self, Reader},
    problem::Refusal,
};

/// How often each reader is told; the queue itself is computed once for all who have the same scope.
const EVERY: Duration = Duration::from_secs(2);
/// The reader is asked for again this often: a session that ended ends its streams.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// A reader comes back after this.
const RETRY: Duration = Duration::from_secs(2);

/// Which page is listened for, and what it has.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::routes) struct Listened {
    view: String,
    #[serde(default)]
    since: String,
}

pub(in crate::routes) async fn listen(
    State(portal): State<Portal>,
    reader: Reader,
    headers: HeaderMap,
    Query(listened): Query<Listened>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refusal> {
    if listened.view != "queue" {
        return Err(Refusal::NotFound { is_json: true });
    }
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or(&listened.since).to_owned();
    let asked_at = portal.now();
    let listener = Listener { portal, reader, headers, wanted, last, held: None, asked_at, is_first: true };
    let mut answer = Sse::new(listener.events()).into_response();
    // A proxy that gathers an answer before it passes it on would make it a page that never ends.
    answer.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    Ok(answer)
}

struct Listener {
    portal: Portal,
    reader: Reader,
    headers: HeaderMap,
    wanted: Wanted,
    /// The snapshot that the reader has.
    last: String,
    /// The versions that the reader has; `None` where only his snapshot is known.
    held: Option<HashMap<String, String>>,
    asked_at: jiff::Timestamp,
    is_first: bool,
}

impl Listener {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut listener| async move {
            if !std::mem::take(&mut listener.is_first) {
                tokio::time::sleep(EVERY).await;
            }
            let event = listener.next().await?;
            Some((Ok(event), listener))
        })
    }

    /// What to say next; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        let now = self.portal.now();
        if now.duration_since(self.asked_at) >= ASK_AGAIN {
            self.asked_at = now;
            self.reader = access::identify(&self.portal, &self.headers).await.ok()?.map(Reader)?;
        }
        // A store that does not answer is a line that is down: the reader is told by silence, and comes back.
        let queue = self.portal.desk.queue_of_the_moment(self.reader.scope(), now).await.ok()?;
        let page = QueuePage::of(&queue, &self.reader, &self.wanted);
        let event = Event::default().retry(RETRY);
        // The queue may be a second old; the time is what it is.
        let (now, said, exact) = (now.as_millisecond(), &page.as_of.said, &page.as_of.exact);
        if page.snapshot == self.last {
            if self.held.is_none() {
                self.held = Some(versions(&page));
            }
            return event.event("tick").json_data(json!({ "now": now, "said": said, "exact": exact })).ok();
        }
        let held = self.held.take().unwrap_or_default();
        let pieces = || std::iter::once(&page.sum).chain(&page.pieces);
        let changed: serde_json::Map<_, _> = pieces()
            .filter(|piece| held.get(&piece.id) != Some(&piece.version))
            .map(|piece| (piece.id.clone(), piece.html.clone().into()))
            .collect();
        let order: Vec<_> = page.pieces.iter().map(|piece| [&piece.id, &piece.version]).collect();
        let data = json!({
            "now": now, "said": said, "exact": exact, "title": page.title, "order": order, "html": changed,
        });
        self.held = Some(versions(&page));
        self.last = page.snapshot.clone();
        event.event("rows").id(&page.snapshot).json_data(data).ok()
    }
}

fn versions(page: &QueuePage) -> HashMap<String, String> {
    std::iter::once(&page.sum).chain(&page.pieces).map(|piece| (piece.id.clone(), piece.version.clone())).collect()
}
