//! The way in: one upload of one agent, answered as DELIVERY 2 orders.
//!
//! The request is judged twice over: on a snapshot first, on a thread that may take its time (hashes, signatures and
//! bodies cost the most), and then inside the writing transaction, where the verdict is believed only if the history
//! it was made from is still the one that is held. So the writer's thread does nothing but write.

mod arrivals;
mod judged;
mod keeping;
mod seen;
mod upload;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use upheld_delivery::receiver::Verdict;
use upheld_model::{
    AgentId,
    mutant::{Rule, is_broken},
};
use upheld_store::{
    ReadTx, StoreError,
    agents::{AgentRow, SeenRow},
    ahead::Ask,
};
use upheld_wire::v1::{Conflict, DeliverRequest, Delivered, Problem, codes};

use crate::{
    AgentPeer, Desk, DeskError, Shown, agents,
    book::BookCache,
    clock,
    own::Inside,
    problem::{problem, unavailable},
    site,
};
use judged::Judged;
pub(crate) use seen::Seen;
use upload::{Heard, Upload};

/// How long after it came an upload is taken where several collectors serve: one that was frozen with it in hand would date
/// what it brings before what another has taken since. The agent sends again.
const FRESH: Duration = Duration::from_secs(10);

/// The answer to an upload.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliverAnswer {
    /// 200: committed and synced.
    Delivered(Delivered),
    /// 409: nothing was stored.
    Conflict(Conflict),
    /// The problem's own status: nothing was stored.
    Problem(Problem),
}

impl Desk {
    /// Takes one upload. Steps 1 and 3 to 6 of DELIVERY 2 in one transaction; size limits (step 2) are the door's.
    /// The answer is given after the commit, but for a heartbeat that says nothing new ([`Desk::seen_once`]). A store
    /// that cannot commit is a 503 problem, never a panic.
    pub async fn deliver(&self, peer: &AgentPeer, request: DeliverRequest, now: Timestamp) -> DeliverAnswer {
        let shown = Shown::Good(peer.clone());
        self.take(&peer.agent, move |_, _| Ok((shown, None)), request, now).await.unwrap_or_else(|_| {
            // Only a certificate that is worth nothing is no peer's.
            DeliverAnswer::Problem(problem(403, codes::UNKNOWN_AGENT, "this agent is not known here", ""))
        })
    }

    /// The same of whoever shows a certificate of this agent that was issued at this instant
    /// ([`Desk::peer_showing`]), in one look. `Err` is what the certificate is worth instead of [`Shown::Good`].
    pub async fn deliver_showing(
        &self,
        agent: &AgentId,
        issued_at: Timestamp,
        request: DeliverRequest,
        now: Timestamp,
    ) -> Result<DeliverAnswer, Shown> {
        let shown = agent.clone();
        let who = move |tx: &dyn ReadTx, request: &DeliverRequest| {
            agents::showing(tx, &shown, issued_at, |key, site| {
                judged::ahead(tx, Ask::Certificate(key), key, site, request)
            })
        };
        self.take(agent, who, request, now).await
    }

    async fn take(
        &self,
        agent: &AgentId,
        who: impl FnOnce(&dyn ReadTx, &DeliverRequest) -> Result<(Shown, Option<AgentRow>), DeskError> + Send + 'static,
        request: DeliverRequest,
        now: Timestamp,
    ) -> Result<DeliverAnswer, Shown> {
        // The clock itself is held against the agents'; what they bring is dated by what it should show.
        let shown = clock::stored(now);
        let (now, offset) = (self.dated(now, Some(request.clock.wall.0)), shown.duration_since(request.clock.wall.0));
        let inside = Inside::came(self, agent, shown);
        let came = Instant::now();
        let request = Arc::new(request);
        let looked = {
            let (request, shared) = (Arc::clone(&request), Arc::clone(&self.shared));
            self.store
                .read("desk.judge", move |tx| Looked::new(tx, &shared.books, who(tx, &request)?, &request, now))
                .await
        };
        let taken = match looked {
            Err(error) => Err(error),
            Ok(Looked::NoPeer(shown)) => {
                inside.told();
                return Err(shown);
            }
            Ok(Looked::Peer { peer, judged, sign }) => {
                let kept = sign.filter(|_| came.elapsed() <= FRESH).and_then(|answered| {
                    let (sign, taken) = *answered;
                    let is_kept = self.seen().keep(sign, Instant::now());
                    is_kept.then_some(taken)
                });
                match kept {
                    Some(taken) => Ok(taken),
                    None => self.write(peer, request, *judged, came, now).await,
                }
            }
        };
        match taken {
            Ok(taken) => {
                inside.took(offset);
                if taken.has_news {
                    self.shared.wake.all();
                }
                Ok(taken.answer)
            }
            Err(error) => {
                tracing::warn!(%error, "an upload was not taken");
                Ok(DeliverAnswer::Problem(unavailable(&error)))
            }
        }
    }

    /// What the simulator breaks [`Rule::JudgedInTransaction`] with: the site is judged in a transaction of its own.
    async fn judge_afterwards(&self, peer: AgentPeer, now: Timestamp) {
        let shared = Arc::clone(&self.shared);
        let judged = self.store.write("desk.judge_afterwards", move |tx| {
            let book = shared.books.current(&*tx)?;
            site::judge(tx, &book, &peer.client, &peer.site, now)
        });
        if let Err(error) = judged.await {
            tracing::warn!(%error, "a site was not judged");
        }
    }

    async fn write(
        &self,
        peer: AgentPeer,
        request: Arc<DeliverRequest>,
        judged: Judged,
        came: Instant,
        now: Timestamp,
    ) -> Result<Taken, DeskError> {
        let shared = Arc::clone(&self.shared);
        let (place, is_late) = (peer.clone(), judged.keeping.is_late);
        let foreseen = judged.foreseen(&peer);
        let written = self
            .store
            .write_foreseeing("desk.deliver", foreseen, move |tx| {
                if shared.is_among_others.get().is_some() && came.elapsed() > FRESH {
                    return Err(StoreError::Undone { name: "desk.deliver" }.into());
                }
                let judged = judged.confirm(tx, &shared.books, &peer, &request, now)?;
                let book = shared.books.current(&*tx)?;
                Upload { book: &book, peer: &peer, request: &request, now }.take(tx, judged)
            })
            .await;
        if is_late {
            self.shared.books.forget_hours(&place.client, &place.site);
        }
        if is_broken(Rule::JudgedInTransaction) && written.as_ref().is_ok_and(|taken| taken.has_news) {
            self.judge_afterwards(place, now).await;
        }
        written
    }
}

/// What a first look at an upload says of it.
enum Looked {
    /// Its certificate is not of a peer.
    NoPeer(Shown),
    /// What it means, and the answer if it is a sign of life that may wait to be written.
    Peer { peer: AgentPeer, judged: Box<Judged>, sign: Option<Box<(SeenRow, Taken)>> },
}

impl Looked {
    fn new(
        tx: &dyn ReadTx,
        books: &BookCache,
        (shown, row): (Shown, Option<AgentRow>),
        request: &DeliverRequest,
        now: Timestamp,
    ) -> Result<Self, DeskError> {
        let Shown::Good(peer) = shown else { return Ok(Self::NoPeer(shown)) };
        let judged = match row {
            Some(_) => Judged::of(tx, books, &peer, row, request, now)?,
            None => Judged::new(tx, books, &peer, request, now)?,
        };
        let mut sign = None;
        if matches!(judged.verdict, Some(Verdict::Heartbeat)) {
            let book = books.current(tx)?;
            let upload = Upload { book: &book, peer: &peer, request, now };
            sign = seen::sign(tx, &upload, &judged)?.map(|(sign, present)| {
                let heard = Heard { has_news: false, present };
                Box::new((sign, upload.delivered(None, &judged, heard)))
            });
        }
        Ok(Self::Peer { peer, judged: Box::new(judged), sign })
    }
}

/// What an upload came to.
struct Taken {
    answer: DeliverAnswer,
    /// Whether incidents, clocks or messages changed.
    has_news: bool,
}

impl Taken {
    fn refused(problem: Problem) -> Self {
        Self { answer: DeliverAnswer::Problem(problem), has_news: false }
    }
}
