//! The certificates in use: looked at each hour, replaced in time, swapped without dropping a connection; and the
//! change of the root, which `ca rotate` begins and which ends here when nobody would be lost by it (SECURITY 14).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};
use tracing::{error, info, warn};
use upheld_desk::{
    Actor, Desk,
    authority::{ROTATION_ENDED, RootInUse},
};

use crate::{
    doors::TlsSet,
    failure::{Exit, Failure},
    pki::{
        Pki, WARNED,
        rotation::{Generation, RotationError},
    },
};

/// An hour is nothing beside the 30 days that are left when a certificate is replaced.
const RENEWED_EVERY: Duration = Duration::from_secs(3600);
/// How soon the folder's keys are noticed to be others: by then new links name the next root.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
/// How often a change of the root is asked whether it is complete.
const FINISHED_EVERY: Duration = Duration::from_secs(10);
/// How often the root is held against that of the last change anywhere: agents come to know it for days.
const COMPARED_EVERY: Duration = Duration::from_secs(60);
/// What ends soon is said once a day.
const WARNED_EVERY: Duration = Duration::from_secs(86_400);

/// The authority and the doors' configurations, as they are at this moment.
pub(super) struct Certificates {
    pki: watch::Sender<Arc<Pki>>,
    tls: watch::Sender<Arc<TlsSet>>,
    folder: PathBuf,
    names: Vec<String>,
}

impl Certificates {
    pub(super) fn new(pki: Pki, folder: PathBuf, names: Vec<String>) -> Result<Self, Failure> {
        let tls = TlsSet::new(&pki).map_err(|error| Failure::of(Exit::Config, &error))?;
        Ok(Self { pki: watch::Sender::new(Arc::new(pki)), tls: watch::Sender::new(Arc::new(tls)), folder, names })
    }

    pub(super) fn pki(&self) -> watch::Receiver<Arc<Pki>> {
        self.pki.subscribe()
    }

    pub(super) fn tls(&self) -> watch::Receiver<Arc<TlsSet>> {
        self.tls.subscribe()
    }

    /// Never returns. What cannot be renewed is said at each attempt; what is in use stays in use.
    pub(super) async fn keep_fresh(&self, desk: &Desk, clock: &Arc<dyn Fn() -> Timestamp + Send + Sync>) {
        let (mut renewed, mut finished) = (Instant::now(), Instant::now());
        let mut warned = None;
        let (mut compared, mut is_another) = (None, false);
        loop {
            if warned.is_none_or(|at: Instant| at.elapsed() >= WARNED_EVERY) {
                warned = Some(Instant::now());
                self.warn(desk, clock()).await;
            }
            if compared.is_none_or(|at: Instant| at.elapsed() >= COMPARED_EVERY) {
                compared = Some(Instant::now());
                is_another = self.compare(desk, is_another).await;
            }
            sleep(LOOKED_AT_EVERY).await;
            let is_changed = Generation::of(&self.folder) != self.pki.borrow().generation();
            if is_changed || renewed.elapsed() >= RENEWED_EVERY {
                renewed = Instant::now();
                self.renew(is_changed, clock()).await;
            }
            if self.pki.borrow().rotating_since().is_some() && finished.elapsed() >= FINISHED_EVERY {
                finished = Instant::now();
                self.finish(desk, clock()).await;
            }
        }
    }

    async fn renew(&self, is_changed: bool, now: Timestamp) {
        let (folder, names, present) = (self.folder.clone(), self.names.clone(), Arc::clone(&self.pki.borrow()));
        let work = move || match is_changed {
            true => {
                let read = Pki::open(&folder, &names)?;
                let next = read.renewed(now)?.unwrap_or(read);
                served(next).map(Some)
            }
            false => present.renewed(now)?.map(served).transpose(),
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(next))) => {
                self.serve(next);
                info!("the collector's certificates were renewed; connections move to them within a day");
            }
            Ok(Err(failure)) => error!("certificates could not be renewed: {}", failure.text(false)),
            Err(join) => error!("certificates could not be renewed: {join}"),
        }
    }

    /// Ends a change of the root when every agent knows the next one and no link names the old one any more.
    async fn finish(&self, desk: &Desk, now: Timestamp) {
        let pki = Arc::clone(&self.pki.borrow());
        let (root, Some(since)) = (pki.root_fingerprint(), pki.rotating_since()) else { return };
        match desk.rotation(&root, since, now).await {
            Ok(rotation) if rotation.is_complete() => {}
            Ok(_) => return,
            Err(error) => {
                warn!(%error, "whether every agent knows the next root could not be looked up");
                return;
            }
        }
        let (folder, names) = (self.folder.clone(), self.names.clone());
        let work = move || match Pki::finish_rotation(&folder, &names, now) {
            // Somebody at the command line was faster; it is read with the next look.
            Err(RotationError::NotBegun) => Ok(None),
            Ok(next) => served(next).map(Some),
            Err(error) => Err(Failure::of(Exit::Config, &error)),
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(next))) => {
                self.serve(next);
                info!(root, "every agent knows the next root: the old one has ended");
                let detail = json!({ "root": root, "lost": [], "links_lost": 0 });
                if let Err(error) = desk.note_authority(ROTATION_ENDED, detail, &Actor::Collector, now).await {
                    warn!(%error, "the end of the old root is not in the audit log");
                }
            }
            Ok(Err(failure)) => error!("the old root could not be ended: {}", failure.text(false)),
            Err(join) => error!("the old root could not be ended: {join}"),
        }
    }

    /// Says once, as long as it is so, that the root was changed on another collector. Whether it is so.
    async fn compare(&self, desk: &Desk, was_another: bool) -> bool {
        let own = self.pki.borrow().root_fingerprint();
        match desk.root_in_use().await {
            Ok(in_use) => {
                let another = in_use.filter(|in_use| in_use.root != own);
                if let Some(in_use) = another.as_ref().filter(|_| !was_another) {
                    warn!(todo = copy_pki(&self.folder), "{}", another_root(in_use, &own));
                }
                another.is_some()
            }
            Err(error) => {
                warn!(%error, "which root is in use could not be looked up");
                was_another
            }
        }
    }

    fn serve(&self, (pki, tls): (Pki, TlsSet)) {
        self.pki.send_replace(Arc::new(pki));
        self.tls.send_replace(Arc::new(tls));
    }

    /// Says what ends within 30 days and was not renewed.
    async fn warn(&self, desk: &Desk, now: Timestamp) {
        let pki = Arc::clone(&self.pki.borrow());
        for ending in pki.endings().into_iter().filter(|ending| ending.is_near(now)) {
            warn!(of = ending.of, ends = %ending.ends, "a certificate of the collector ends within 30 days");
        }
        let cutoff = now.saturating_add(WARNED).unwrap_or(now);
        match desk.certificates_ending(cutoff).await {
            Ok(late) if late.is_empty() => {}
            Ok(late) => warn!(
                agents = late.len(),
                first = %late[0].agent,
                "agents did not renew their certificates in time: see upheld-collector ca show"
            ),
            Err(error) => warn!(%error, "agents' certificates could not be looked at"),
        }
    }
}

/// What is wrong with a collector that was not given the keys of the last change.
pub(crate) fn another_root(in_use: &RootInUse, own: &str) -> String {
    let RootInUse { root, at } = in_use;
    format!("the root was changed at {at:.0} to SHA256:{root}, and this collector still has SHA256:{own}")
}

/// What to do then; `folder` is where its keys are.
pub(crate) fn copy_pki(folder: &Path) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let parent = folder.parent().unwrap_or(&folder).display();
    format!(
        "on the host where `ca rotate` was run: scp -rp {} THIS-HOST:{parent}/ (it is read at once)",
        folder.display()
    )
}

/// For `/healthz`: whether something of the authority ends soon, and whether its root is being changed. It names nothing.
pub(super) fn health(pki: &Pki, now: Timestamp) -> Value {
    let near: Vec<_> = pki.endings().into_iter().filter(|ending| ending.is_near(now)).collect();
    json!({ "ending_within_30_days": near, "rotating_since": pki.rotating_since() })
}

fn served(pki: Pki) -> Result<(Pki, TlsSet), Failure> {
    let tls = TlsSet::new(&pki).map_err(|error| Failure::of(Exit::Config, &error))?;
    Ok((pki, tls))
}
