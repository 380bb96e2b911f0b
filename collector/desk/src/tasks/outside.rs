//! What the collector asks of the world about itself: its anchors, and who takes its heartbeat.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use upheld_detection::own::Look;
use upheld_outbound::{anchor, notify::heartbeat};

use super::{
    Report,
    deliverer::{Boxed, Channels},
};
use crate::{Desk, DeskError, book::CurrentBook, clock};

/// The longest that one look at an anchor takes.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// The longest that one heartbeat takes.
const BEAT_WITHIN: Duration = Duration::from_secs(10);
/// How often anchors are asked unless the book says otherwise.
const LOOK_EVERY_S: u64 = 15;
/// Anchors that one look asks; the book may name more.
const ANCHORS_MAX: usize = 16;

/// The world as the collector asks it about itself.
pub trait Outside: Send + Sync {
    /// Asks one anchor, `host:port`: whether it answered within some seconds; `Err` when it may not be asked at all.
    fn ask<'a>(&'a self, anchor: &'a str) -> Boxed<'a, Result<bool, String>>;
    /// One sign of life; `Err` says in words why nobody took it.
    fn beat<'a>(&'a self, url: &'a str) -> Boxed<'a, Result<(), String>>;
}

impl Outside for Channels {
    fn ask<'a>(&'a self, anchor: &'a str) -> Boxed<'a, Result<bool, String>> {
        let host = anchor.rsplit_once(':').map_or(anchor, |(host, _)| host);
        Box::pin(anchor::ask(anchor, self.rule(host), LOOK_WITHIN))
    }

    fn beat<'a>(&'a self, url: &'a str) -> Boxed<'a, Result<(), String>> {
        Box::pin(async move {
            let url: url::Url = url.parse().map_err(|error| format!("the heartbeat's address: {error}"))?;
            heartbeat::beat(&url, self.rule(url.host_str().unwrap_or_default()), BEAT_WITHIN).await
        })
    }
}

impl Desk {
    /// Asks the book's anchors when that is due, all at once. The line is reached when one of them answers.
    pub async fn line_once(&self, outside: &Arc<dyn Outside>, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("line");
        let Some(book) = self.book_if_any().await? else { return Ok(report) };
        let provider = &book.book.provider;
        let every = provider.anchors_every_s.map_or(LOOK_EVERY_S, |every| every.0);
        if !is_due(&mut self.own().next_look, every, now) {
            return Ok(report);
        }
        let mut asked = JoinSet::new();
        for anchor in provider.anchors.iter().take(ANCHORS_MAX) {
            let (outside, anchor) = (Arc::clone(outside), anchor.clone());
            asked.spawn(async move { outside.ask(&anchor).await });
        }
        let mut look = Look::NoAnchor;
        while let Some(answer) = asked.join_next().await {
            report.seen += 1;
            match answer {
                Ok(Ok(true)) => {
                    look = Look::Reached;
                    // One that answers is enough; dropping the set ends the others.
                    break;
                }
                Ok(Ok(false)) => look = Look::Nobody,
                Ok(Err(why)) => report.failures.push(why),
                Err(error) => report.failures.push(error.to_string()),
            }
        }
        let result = match look {
            Look::NoAnchor => "no-anchor",
            Look::Reached => "reached",
            Look::Nobody => "nobody",
        };
        metrics::counter!("upheld_anchor_looks_total", "result" => result).increment(1);
        self.line_looked(look, now);
        Ok(report)
    }

    /// Sends the collector's own sign of life when that is due, and only while every task does its work: a dead-man's
    /// switch that is held by a stuck collector warns nobody (DETECTION 4.10).
    pub async fn beat_once(&self, outside: &Arc<dyn Outside>, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("heartbeat");
        let Some(book) = self.book_if_any().await? else { return Ok(report) };
        let Some(heartbeat) = &book.book.provider.heartbeat else { return Ok(report) };
        if !is_due(&mut self.own().beat.next, heartbeat.every_s.0, now) {
            return Ok(report);
        }
        report.seen = 1;
        let stuck = self.stuck_tasks(now);
        let sent = if stuck.is_empty() {
            outside.beat(&heartbeat.url).await
        } else {
            Err(format!("held back: {} did no work for too long", stuck.join(", ")))
        };
        let result = if sent.is_ok() { "taken" } else { "failed" };
        metrics::counter!("upheld_heartbeats_total", "result" => result).increment(1);
        match sent {
            Ok(()) => {
                report.changed = 1;
                let mut own = self.own();
                (own.beat.last_good, own.beat.failure) = (Some(now), None);
            }
            Err(why) => {
                self.own().beat.failure = Some(why.clone());
                report.failures.push(why);
            }
        }
        Ok(report)
    }

    async fn book_if_any(&self) -> Result<Option<Arc<CurrentBook>>, DeskError> {
        match self.current_book().await {
            Ok(book) => Ok(Some(book)),
            Err(DeskError::NoBook) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether something that happens every so often is due; if so, its next time is set. A clock that was set back does
/// not put it off for longer than once.
fn is_due(next: &mut Option<Timestamp>, every_s: u64, now: Timestamp) -> bool {
    let every = SignedDuration::from_secs(i64::try_from(every_s).unwrap_or(i64::MAX));
    if next.is_some_and(|next| now < next && next.duration_since(now) <= every) {
        return false;
    }
    *next = now.saturating_add(every).ok();
    true
}
