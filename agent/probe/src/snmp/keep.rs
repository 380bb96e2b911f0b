//! Conversations that are kept between runs: checks of one agent share one.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use upheld_model::snmp::{SnmpAccess, SnmpLogin};

use super::{
    Agent, Oid, Session, SnmpError, Table,
    client::{Shown, Socket},
};
use crate::{ProbeResult, allow::Reach, deadline::Deadline, secret::Shelf, target::Targets};

/// A conversation that no check has used for so long belongs to a check that is not configured any more.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// After so many silences in a row a conversation begins anew: a device that was replaced has another engine, whose keys
/// are others.
const SILENCES_MAX: u32 = 2;
/// The longest that one question waits before it is put again.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The conversations with SNMP agents.
#[derive(Default)]
pub(crate) struct Sessions {
    kept: Arc<Mutex<Vec<Kept>>>,
    sockets: tokio::sync::Mutex<[Option<Socket>; 2]>,
}

struct Kept {
    address: SocketAddr,
    login: SnmpLogin,
    shown: Shown,
    session: Session,
    silences: u32,
    used: Instant,
}

impl Sessions {
    /// The agent that a check asks. The error is the result of the run.
    pub(crate) async fn with(
        &self,
        targets: &Targets,
        shelf: &Shelf,
        access: &SnmpAccess,
        deadline: Deadline,
    ) -> Result<Asked, ProbeResult> {
        let SnmpAccess { target, udp_port, login } = access;
        let shown = match login {
            SnmpLogin::Community { community_secret } => {
                Shown::Community(community_secret.as_ref().map(|name| shelf.wanted(name)).transpose()?)
            }
            SnmpLogin::User { auth_secret, privacy_secret, .. } => {
                Shown::User { auth: shelf.wanted(auth_secret)?, privacy: shelf.wanted(privacy_secret)? }
            }
        };
        let addresses = targets.addresses(target, Reach::Asks(*udp_port), deadline).await?;
        let at = format!("the SNMP agent at {target} port {udp_port}");
        // The targets are never empty; there is no connection that could say which of them is alive.
        let Some(address) = addresses.first().map(|address| SocketAddr::new(*address, *udp_port)) else {
            return Err(SnmpError::Silence.judge(&at, login));
        };
        if !login.secrets().is_empty() {
            targets.may_have_secrets(address.ip(), address.port())?;
        }
        let kept = self.find(address, login, &shown);
        let session = match kept {
            Some(session) => session,
            None => {
                let wait = (deadline.left() * 2 / 5).min(WAIT_MAX);
                let opened = deadline.bound(self.open(address, login, &shown, wait)).await;
                opened.unwrap_or(Err(SnmpError::Silence)).map_err(|error| error.judge(&at, login))?
            }
        };
        Ok(Asked { session, address, login: login.clone(), at, deadline, kept: Arc::clone(&self.kept) })
    }

    fn find(&self, address: SocketAddr, login: &SnmpLogin, shown: &Shown) -> Option<Session> {
        let mut kept = lock(&self.kept);
        kept.retain(|kept| {
            let is_it = kept.address == address && kept.login == *login;
            kept.used.elapsed() < IDLE_MAX && kept.silences < SILENCES_MAX && (!is_it || kept.shown.is(shown))
        });
        let found = kept.iter_mut().find(|kept| kept.address == address && kept.login == *login)?;
        found.used = Instant::now();
        Some(found.session.clone())
    }

    async fn open(
        &self,
        address: SocketAddr,
        login: &SnmpLogin,
        shown: &Shown,
        wait: Duration,
    ) -> Result<Session, SnmpError> {
        let mut sockets = self.sockets.lock().await;
        let socket = &mut sockets[usize::from(address.is_ipv6())];
        let open = match socket.take() {
            Some(open) => open,
            None => Socket::open(address.is_ipv6()).await?,
        };
        // A socket on which nothing can be opened any more is not put back.
        let session = Session::open(&open, address, login, shown, wait).await?;
        *socket = Some(open);
        drop(sockets);
        let (login, shown, used) = (login.clone(), shown.clone(), Instant::now());
        lock(&self.kept).push(Kept { address, login, shown, session: session.clone(), silences: 0, used });
        Ok(session)
    }
}

/// One run's agent: within the run's time, and with its errors in words.
pub(crate) struct Asked {
    session: Session,
    address: SocketAddr,
    login: SnmpLogin,
    at: String,
    deadline: Deadline,
    kept: Arc<Mutex<Vec<Kept>>>,
}

impl Asked {
    /// It in words.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// What these objects hold; those that are not there are left out. The error is the result of the run.
    pub(crate) async fn get(&self, objects: &[Oid]) -> Result<Table, ProbeResult> {
        self.heard(self.deadline.bound(self.session.get(objects)).await)
    }

    /// Everything beneath `base`, in the same way.
    pub(crate) async fn walk(&self, base: &[u32]) -> Result<Table, ProbeResult> {
        self.heard(Some(self.session.walk(base, self.deadline).await))
    }

    fn heard(&self, answer: Option<Result<Table, SnmpError>>) -> Result<Table, ProbeResult> {
        let answer = answer.unwrap_or(Err(SnmpError::Silence));
        let mut kept = lock(&self.kept);
        if let Some(kept) = kept.iter_mut().find(|kept| kept.address == self.address && kept.login == self.login) {
            match &answer {
                Ok(_) => kept.silences = 0,
                Err(SnmpError::Silence | SnmpError::Unfinished) => kept.silences += 1,
                // A user or a key that is wrong here may be right for the engine that answers now.
                Err(_) => kept.silences = SILENCES_MAX,
            }
        }
        drop(kept);
        answer.map_err(|error| error.judge(&self.at, &self.login))
    }
}

fn lock(kept: &Mutex<Vec<Kept>>) -> MutexGuard<'_, Vec<Kept>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
