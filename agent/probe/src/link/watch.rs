//! Listens to what the kernel announces of ports, for all checks at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use upheld_model::CheckId;

use super::{
    drops::{Announced, Drops, Told},
    netlink::{Heard, Listener},
    seen::Seen,
};
use crate::ups::battery::Moment;

/// What was announced of the ports of checks.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    heard: Arc<Mutex<Ports>>,
}

#[derive(Debug, Default)]
struct Ports {
    is_begun: bool,
    is_listening: bool,
    by_check: BTreeMap<CheckId, Drops>,
}

impl Watch {
    /// Begins to listen, once, within the runtime of whoever calls. Where that cannot be, ports are watched by their count.
    pub(super) fn begin(&self) {
        let mut ports = lock(&self.heard);
        if std::mem::replace(&mut ports.is_begun, true) {
            return;
        }
        match Listener::open() {
            Ok(listener) => {
                ports.is_listening = true;
                tokio::spawn(listen(listener, Arc::downgrade(&self.heard)));
            }
            Err(error) => {
                tracing::info!(%error, "What the kernel announces of ports is not heard: drops are counted and not dated.");
            }
        }
    }

    /// What was announced of a check's port since its look before; `seen` is how it is.
    pub(super) fn tell(&self, check: &CheckId, seen: &Seen) -> Told {
        let mut ports = lock(&self.heard);
        if !ports.is_listening {
            return Told::default();
        }
        let seen = Announced {
            index: seen.index,
            has_carrier: Some(seen.is_enabled && seen.has_carrier),
            downs: seen.counters.iter().find(|(name, _)| *name == "carrier_down").map(|(_, count)| *count),
        };
        let drops = ports.by_check.entry(check.clone()).or_insert_with(|| Drops::new(seen));
        if !drops.is_of(seen.index) {
            *drops = Drops::new(seen);
        }
        drops.tell(seen)
    }
}

/// Until nobody looks any more, or the socket is broken.
async fn listen(mut listener: Listener, heard: Weak<Mutex<Ports>>) {
    loop {
        let news = listener.next().await;
        let now = Moment::now();
        let Some(heard) = heard.upgrade() else { return };
        let mut ports = lock(&heard);
        match news {
            Ok(Heard::Announced(all)) => {
                for announced in all {
                    ports.by_check.values_mut().for_each(|drops| drops.hear(announced, now));
                }
            }
            Ok(Heard::Overrun) => ports.by_check.values_mut().for_each(Drops::lose),
            Err(error) => {
                tracing::warn!(%error, "What the kernel announces of ports is not heard any more: drops are counted and not dated.");
                ports.is_listening = false;
                return;
            }
        }
    }
}

fn lock(ports: &Mutex<Ports>) -> MutexGuard<'_, Ports> {
    ports.lock().unwrap_or_else(PoisonError::into_inner)
}
