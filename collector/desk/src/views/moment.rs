//! The queue of this moment, computed once for all who listen: a stream asks every other second, and a wallboard, ten
//! dispatchers and their tabs ask the same question.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex as Turn;
use upheld_model::ClientId;

use super::{Queue, Scope};
use crate::{Desk, DeskError};

/// How old a shared queue may be.
const FRESH: SignedDuration = SignedDuration::from_secs(1);
/// Scopes that are kept; one that nobody asked for lately makes room.
const SCOPES_MAX: usize = 64;

/// The latest queue of each scope that somebody listens to. A scope is one client, or all.
#[derive(Default)]
pub(crate) struct Moments(Mutex<HashMap<Option<ClientId>, Latest>>);

/// The latest queue of one scope; who holds it computes it.
type Latest = Arc<Turn<Option<Arc<Queue>>>>;

impl Moments {
    fn of(&self, scope: &Scope, now: Timestamp) -> Latest {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SCOPES_MAX && !kept.contains_key(&scope.client().cloned()) {
            // One whose turn is taken is being computed, and stays.
            kept.retain(|_, one| one.try_lock().map_or(true, |one| one.as_ref().is_some_and(|it| is_fresh(it, now))));
        }
        Arc::clone(kept.entry(scope.client().cloned()).or_default())
    }
}

fn is_fresh(queue: &Queue, now: Timestamp) -> bool {
    // A clock that was set back makes nothing fresh for hours.
    let age = now.duration_since(queue.as_of);
    !age.is_negative() && age < FRESH
}

impl Desk {
    /// The queue of this moment, at most a second old: of all who ask in that second one computes it, the others wait for
    /// him and share it. Its own `as_of` says of when it is. A failure is not kept.
    pub async fn queue_of_the_moment(&self, scope: &Scope, now: Timestamp) -> Result<Arc<Queue>, DeskError> {
        let turn = self.shared.moments.of(scope, now);
        let mut latest = turn.lock().await;
        if let Some(queue) = latest.as_ref().filter(|queue| is_fresh(queue, now)) {
            return Ok(Arc::clone(queue));
        }
        let queue = Arc::new(self.queue(scope, now).await?);
        *latest = Some(Arc::clone(&queue));
        Ok(queue)
    }
}
