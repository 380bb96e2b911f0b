//! A collector among others on one database: it keeps its leases, does what it holds, and stands by for the rest.
//!
//! A task that it holds runs over a store that checks the fence in each write, and what it sends is let go only while
//! the lease surely lasts: woken from a freeze it neither writes nor sends.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, PoisonError},
    task::Poll,
};

use jiff::Timestamp;
use tokio::{sync::watch, time::interval};
use upheld_detection::own::Reading;
use upheld_outbound::{Delivery, Outcome};
use upheld_store::{Tx, leases::CollectorRow};

use super::{
    Outside, Surroundings,
    deliverer::{Address, Boxed, Channel, How},
    lease::{self, KEEP_EVERY, LEASE, Step},
    servers::FORGOTTEN_AFTER,
};
use crate::{Desk, DeskError};

/// How this collector is known to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Among {
    /// A name that no other collector and no other run of this one has.
    pub name: String,
    /// Where it listens, for people.
    pub address: String,
}

impl Among {
    /// One at this address, with a name made of it.
    pub fn at(address: &str) -> Result<Self, DeskError> {
        Ok(Self { name: crate::random::id(&format!("{address}#"))?, address: address.to_owned() })
    }
}

/// What one round of keeping came to.
struct Kept {
    all: Vec<(&'static str, i64)>,
    /// Those that were taken, and from whom.
    taken: Vec<(&'static str, Option<String>)>,
}

impl Desk {
    /// The same desk, whose writes are those of a task.
    pub(super) fn of_task(&self, task: &'static str, fence: i64) -> Self {
        Self { store: self.store.fenced(task, fence), ..self.clone() }
    }

    /// When this collector last had its leases given or prolonged, by its own clock: asked for then, and answered. `None`
    /// before that, and where it is alone.
    pub fn leases_kept(&self) -> Option<Timestamp> {
        self.shared.grants.lock().unwrap_or_else(PoisonError::into_inner).asked()
    }

    /// The fence under which this collector does a task at this moment.
    pub(super) fn fence_of(&self, task: &str, around: &Surroundings) -> Option<i64> {
        self.shared.grants.lock().unwrap_or_else(PoisonError::into_inner).fence(task, around.reading())
    }

    /// Prolongs what this collector has and takes what is free, until it is stopped; then hands all back.
    pub(super) async fn keep_leases(
        self,
        among: Among,
        tasks: Vec<&'static str>,
        around: Arc<Surroundings>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut ticks = interval(KEEP_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopped.changed() => break,
            }
            let asked = around.reading();
            match self.keep_once(&among, &tasks, asked).await {
                Ok(()) => is_failing = false,
                Err(error) if is_failing => tracing::debug!(%error, "leases could not be kept"),
                Err(error) => {
                    is_failing = true;
                    tracing::warn!(%error, "what this collector does cannot be kept; another one may take it");
                }
            }
        }
        if let Err(error) = self.hand_back(among).await {
            tracing::warn!(%error, "tasks could not be handed back; another collector takes them in some seconds");
        }
    }

    async fn keep_once(&self, among: &Among, tasks: &[&'static str], asked: Reading) -> Result<(), DeskError> {
        let (among, tasks, hung) = (among.clone(), tasks.to_vec(), self.hung_tasks(asked.wall));
        let kept = self.store.write("leases.keep", move |tx| keep(tx, &among, &tasks, &hung)).await?;
        for (task, from) in &kept.taken {
            let from = from.as_deref().unwrap_or("nobody");
            tracing::info!(task, from, "a task is done here from now on");
        }
        let is_news = !kept.taken.is_empty();
        self.shared.grants.lock().unwrap_or_else(PoisonError::into_inner).given(kept.all, asked);
        if is_news {
            self.shared.wake.all();
        }
        Ok(())
    }

    async fn hand_back(&self, among: Among) -> Result<(), DeskError> {
        *self.shared.grants.lock().unwrap_or_else(PoisonError::into_inner) = lease::Grants::default();
        self.store
            .write("leases.hand_back", move |tx| {
                let now = tx.database_now()?;
                for row in tx.leases()?.into_iter().filter(|row| row.holder == among.name) {
                    tx.end_lease(&row.task, row.fence, now)?;
                }
                Ok(tx.remove_collector(&among.name)?)
            })
            .await
    }
}

fn keep(tx: &mut dyn Tx, me: &Among, tasks: &[&'static str], hung: &[&'static str]) -> Result<Kept, DeskError> {
    let now = tx.database_now()?;
    let until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
    let rows = tx.leases()?;
    let mut kept = Kept { all: Vec::new(), taken: Vec::new() };
    for task in tasks {
        let row = rows.iter().find(|row| row.task == *task);
        let is_hung = hung.contains(task);
        match lease::step(row, &me.name, now) {
            // A task that does not come round here is for another collector to do.
            Step::Keep { fence } if is_hung => tx.end_lease(task, fence, now)?,
            Step::Keep { fence } => {
                if tx.keep_lease(task, fence, now, until)? {
                    kept.all.push((task, fence));
                }
            }
            Step::Take { was } if !is_hung => {
                if let Some(fence) = tx.take_lease(task, &me.name, was, now, until)? {
                    kept.all.push((task, fence));
                    kept.taken.push((task, row.map(|row| row.holder.clone())));
                }
            }
            Step::Take { .. } | Step::Leave => {}
        }
    }
    let row = CollectorRow { name: me.name.clone(), address: me.address.clone(), started_at: now, seen_at: now };
    tx.note_collector(&row, now.saturating_sub(FORGOTTEN_AFTER).unwrap_or(now))?;
    Ok(kept)
}

/// The way out of a task: open while its lease surely lasts.
pub(crate) struct WhileHeld {
    desk: Desk,
    task: &'static str,
    fence: i64,
    around: Arc<Surroundings>,
}

impl WhileHeld {
    /// The surroundings of a task, whose ways out close with its lease.
    pub(crate) fn around(desk: &Desk, task: &'static str, fence: i64, around: &Arc<Surroundings>) -> Surroundings {
        let held = Arc::new(Self { desk: desk.clone(), task, fence, around: Arc::clone(around) });
        Surroundings { outside: held.clone(), channel: held, ..Surroundings::clone(around) }
    }

    fn holds(&self) -> bool {
        self.desk.fence_of(self.task, &self.around) == Some(self.fence)
    }

    /// Goes on with `work` step by step while the lease lasts. `Err` says whether anything of it was begun.
    async fn go<T>(&self, work: impl Future<Output = T>) -> Result<T, bool> {
        let (mut work, mut is_begun) = (pin!(work), false);
        poll_fn(|context| {
            if !self.holds() {
                return Poll::Ready(Err(is_begun));
            }
            is_begun = true;
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

const OVER: &str = "this collector was away for so long that another one does its work";

impl Channel for WhileHeld {
    fn send<'a>(&'a self, to: &'a Address, delivery: &'a Delivery, how: How, now: Timestamp) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            match self.go(self.around.channel.send(to, delivery, how, now)).await {
                Ok(outcome) => outcome,
                Err(true) => Outcome::Unclear { why: OVER.to_owned() },
                Err(false) => Outcome::Retry { why: OVER.to_owned(), not_before: None },
            }
        })
    }

    fn has_mail(&self) -> bool {
        self.around.channel.has_mail()
    }
}

impl Outside for WhileHeld {
    fn ask<'a>(&'a self, anchor: &'a str) -> Boxed<'a, Result<bool, String>> {
        self.around.outside.ask(anchor)
    }

    fn beat<'a>(&'a self, url: &'a str) -> Boxed<'a, Result<(), String>> {
        Box::pin(async move { self.go(self.around.outside.beat(url)).await.unwrap_or_else(|_| Err(OVER.to_owned())) })
    }
}
