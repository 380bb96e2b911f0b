//! What there is to watch: this host's own surroundings, and who answers in the networks that it is in.
//!
//! Everything that is sent is judged by the site's rules first, as a check's is; what they forbid is not asked and is
//! counted. A host that answers an echo, or takes or refuses a connection, is there. Nothing is said to a port but to
//! a NUT server, which is asked for the names of its supplies, and, where a person says with which community, to SNMP
//! agents. Cameras are asked for as ONVIF has it: one question to the group of each network (`onvif`). A device that
//! reacts badly to strangers hears none. Which address is which device is a person's to say.

#[cfg(target_os = "linux")]
mod neighbours;
mod networks;
#[cfg(unix)]
mod onvif;
mod snmp;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;
use upheld_model::{DeviceText, Outcome, UnknownReason, check::NUT_PORT, proposal::PORTS};

pub use networks::Network;
pub use snmp::{Communities, Managed, ManagedKind};

use crate::{ProbeResult, Prober, allow::Reach, deadline::Deadline, icmp, nut, surroundings, tcp};

/// The most addresses that one look takes: a network of 22 bits.
pub const ADDRESSES_MAX: usize = 1_024;
/// At once; each holds a socket.
const AT_ONCE: usize = 64;
/// How long one address or port may take: what is in the same building answers within a tenth of it.
const PATIENCE: Duration = Duration::from_millis(800);

/// Ports that tell that somebody is there when an echo does not.
const TELLING: [u16; 5] = [80, 443, 554, 22, 445];

/// Programs that make backups, as they are called in a folder of programs.
const BACKUP_TOOLS: [&str; 10] = [
    "restic",
    "borg",
    "borgmatic",
    "kopia",
    "rclone",
    "duplicity",
    "proxmox-backup-client",
    "veeamconfig",
    "bareos-fd",
    "bacula-fd",
];

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// This host.
    pub own: Own,
    /// The networks that were looked through.
    pub networks: Vec<Network>,
    /// Networks that this host is in and that were not looked through, with why.
    pub left_out: Vec<String>,
    /// How many addresses were asked.
    pub asked: usize,
    /// How many addresses the site's rules forbid to ask.
    pub forbidden: usize,
    /// Who answered, by address; this host itself is `127.0.0.1`.
    pub hosts: Vec<Answering>,
}

/// This host's surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Its name, as it calls itself.
    pub name: String,
    /// The default gateway.
    pub gateway: Option<IpAddr>,
    /// The configured resolvers.
    pub resolvers: Vec<IpAddr>,
    /// The port over which it reaches the gateway.
    pub interface: Option<String>,
    /// Programs that make backups and are installed here.
    pub backup_tools: Vec<String>,
}

/// A host that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    /// Where.
    pub address: IpAddr,
    /// Those of [`PORTS`] that took a connection.
    pub ports: BTreeSet<u16>,
    /// The supplies that its NUT server knows.
    pub supplies: Vec<String>,
    /// What it says of itself as a camera.
    pub camera: Option<Camera>,
    /// What it tells by SNMP, where it was asked.
    pub managed: Option<Managed>,
}

/// What a device that sends video says of itself by ONVIF.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Camera {
    /// Its name.
    pub name: Option<DeviceText>,
    /// Its model.
    pub hardware: Option<DeviceText>,
}

/// Where and how to look.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The networks to look through; none: those of the port that leads to the gateway.
    pub networks: &'a [Network],
    /// With what SNMP agents are asked; with nothing nobody is.
    pub communities: &'a Communities,
}

/// Why there was nothing to look through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoverError {
    /// Too many addresses.
    #[error("{network} has {addresses} addresses; at most {ADDRESSES_MAX} are asked in one look")]
    TooMany {
        /// The network.
        network: Network,
        /// How many it has.
        addresses: u64,
    },
}

impl Prober {
    /// Looks through the networks that are asked for, and at this host itself. `told` hears how many addresses are done, of how many. Ends: each address has a bound.
    ///
    /// # Errors
    /// When the networks that were named hold more than [`ADDRESSES_MAX`] addresses.
    pub async fn discover(&self, look: Look<'_>, told: impl Fn(usize, usize)) -> Result<Seen, DiscoverError> {
        let Look { networks: wanted, communities } = look;
        let own = own().await;
        let (networks, left_out) = if wanted.is_empty() {
            networks::of_this_host(own.interface.as_deref(), own.gateway)
        } else {
            (wanted.to_vec(), Vec::new())
        };
        let mine = networks::own_addresses();
        let mut addresses: BTreeSet<IpAddr> = BTreeSet::new();
        for network in &networks {
            if !network.is_swept() {
                continue;
            }
            let count = network.hosts_count();
            if count.saturating_add(addresses.len() as u64) > ADDRESSES_MAX as u64 {
                return Err(DiscoverError::TooMany { network: *network, addresses: count });
            }
            addresses.extend(network.hosts().filter(|address| !mine.contains(address)));
        }
        addresses.insert(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let cameras = self.cameras(&networks, &mine).await;
        let mut looking = Looking {
            prober: self,
            cameras,
            communities: Arc::new(communities.clone()),
            forbidden: Arc::new(AtomicUsize::new(0)),
            hosts: Vec::new(),
        };
        let swept = addresses.len();
        looking.at(addresses, |done| told(done, swept)).await;
        // Whoever has answered by another address is no second device.
        let others = looking.others(&networks, &mine).await;
        let total = swept + others.len();
        looking.at(others, |_| ()).await;
        let Looking { mut hosts, forbidden, .. } = looking;
        hosts.sort_by_key(|host: &Answering| host.address);
        let forbidden = forbidden.load(Ordering::Relaxed);
        Ok(Seen { own, networks, left_out, asked: total - forbidden, forbidden, hosts })
    }

    /// Who is at an address; `None` for nobody, and for one that may not be asked.
    async fn look_at(
        &self,
        address: IpAddr,
        camera: Option<Camera>,
        communities: &Communities,
        forbidden: &AtomicUsize,
    ) -> Option<Answering> {
        // Who has answered the question for cameras is there.
        if !address.is_loopback() && camera.is_none() {
            match self.is_there(address).await {
                Answer::There => {}
                Answer::Nobody => return None,
                Answer::Forbidden => {
                    forbidden.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
            }
        }
        let mut found = Answering { address, ports: BTreeSet::new(), supplies: Vec::new(), camera, managed: None };
        for (port, _) in PORTS {
            if self.connects(address, *port).await == Answer::There {
                found.ports.insert(*port);
            }
        }
        if found.ports.contains(&NUT_PORT) {
            found.supplies = self.supplies(address).await;
        }
        found.managed = self.managed(address, communities).await;
        Some(found)
    }

    #[cfg(unix)]
    async fn cameras(&self, networks: &[Network], mine: &BTreeSet<IpAddr>) -> BTreeMap<IpAddr, Camera> {
        onvif::cameras(&self.inner.targets, networks, mine.iter().copied()).await
    }

    /// Not asked for elsewhere.
    #[cfg(not(unix))]
    async fn cameras(&self, _: &[Network], _: &BTreeSet<IpAddr>) -> BTreeMap<IpAddr, Camera> {
        BTreeMap::new()
    }

    async fn is_there(&self, address: IpAddr) -> Answer {
        let deadline = Deadline::after(PATIENCE);
        let echo = icmp::run(&self.inner.echoes, &self.inner.targets, &address.to_string(), None, deadline).await;
        let first = match echo.outcome {
            Outcome::Ok => return Answer::There,
            Outcome::Unknown { reason: UnknownReason::NotAllowed } => Answer::Forbidden,
            Outcome::Warn | Outcome::Bad | Outcome::Unknown { .. } => Answer::Nobody,
        };
        for port in TELLING {
            match self.connection(address, port).await {
                Ok(()) => return Answer::There,
                Err(refused) if says_refused(&refused) => return Answer::There,
                Err(_) => {}
            }
        }
        first
    }

    async fn connects(&self, address: IpAddr, port: u16) -> Answer {
        match self.connection(address, port).await {
            Ok(()) => Answer::There,
            Err(result) if result.outcome == Outcome::unknown(UnknownReason::NotAllowed) => Answer::Forbidden,
            Err(_) => Answer::Nobody,
        }
    }

    async fn connection(&self, address: IpAddr, port: u16) -> Result<(), ProbeResult> {
        let deadline = Deadline::after(PATIENCE);
        let reach = Reach::Connect(port);
        let addresses = self.inner.targets.addresses(&address.to_string(), reach, deadline).await?;
        tcp::connect(&addresses, port, deadline).await.map(drop)
    }

    async fn supplies(&self, address: IpAddr) -> Vec<String> {
        let deadline = Deadline::after(2 * PATIENCE);
        nut::supplies(&self.inner.targets, &address.to_string(), NUT_PORT, deadline).await
    }
}

/// A look under way.
struct Looking<'a> {
    prober: &'a Prober,
    cameras: BTreeMap<IpAddr, Camera>,
    communities: Arc<Communities>,
    forbidden: Arc<AtomicUsize>,
    hosts: Vec<Answering>,
}

impl Looking<'_> {
    /// Looks at each of these; `told` hears how many are done.
    async fn at(&mut self, addresses: BTreeSet<IpAddr>, told: impl Fn(usize)) {
        let (mut waiting, mut running, mut done) = (addresses.into_iter(), JoinSet::new(), 0);
        loop {
            while running.len() < AT_ONCE
                && let Some(address) = waiting.next()
            {
                let (prober, forbidden) = (self.prober.clone(), Arc::clone(&self.forbidden));
                let (camera, communities) = (self.cameras.get(&address).cloned(), Arc::clone(&self.communities));
                running.spawn(async move { prober.look_at(address, camera, &communities, &forbidden).await });
            }
            let Some(looked) = running.join_next().await else { break };
            done += 1;
            told(done);
            match looked {
                Ok(found) => self.hosts.extend(found),
                Err(error) => {
                    tracing::error!(%error, "Looking at an address crashed; report this as a fault of upheld-agent.");
                }
            }
        }
    }

    /// The addresses of networks that are not gone through, as far as this host knows them as neighbours, but those of
    /// devices that have answered already.
    #[cfg(target_os = "linux")]
    async fn others(&self, networks: &[Network], mine: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        let known = neighbours::known().await;
        let answered: BTreeSet<&Vec<u8>> = self.hosts.iter().filter_map(|host| known.get(&host.address)).collect();
        let mut seen: BTreeSet<&Vec<u8>> = BTreeSet::new();
        let is_there = |address: &IpAddr| {
            networks.iter().any(|network| !network.is_swept() && network.contains(*address)) && !mine.contains(address)
        };
        let new = known.iter().filter(|(address, hardware)| is_there(address) && !answered.contains(hardware));
        // One address a device: it may have several that change each day (RFC 8981).
        new.filter(|(_, hardware)| seen.insert(hardware)).map(|(address, _)| *address).take(ADDRESSES_MAX).collect()
    }

    /// Not known elsewhere.
    #[cfg(not(target_os = "linux"))]
    async fn others(&self, _: &[Network], _: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        BTreeSet::new()
    }
}

/// What an address or a port said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    There,
    Nobody,
    Forbidden,
}

/// A device that refuses a connection is there.
fn says_refused(result: &ProbeResult) -> bool {
    result.outcome == Outcome::Bad && result.evidence.as_ref().is_some_and(|why| why.as_str().contains("refused"))
}

async fn own() -> Own {
    let gather = || Own {
        name: sysinfo::System::host_name().unwrap_or_default(),
        gateway: surroundings::gateways().into_iter().next(),
        resolvers: surroundings::resolvers(),
        interface: networks::interface(),
        backup_tools: BACKUP_TOOLS.into_iter().filter(|name| is_installed(name)).map(str::to_owned).collect(),
    };
    // A name or a folder on a network drive may hang; what is not known then is left out.
    let empty = || Own { name: String::new(), gateway: None, resolvers: vec![], interface: None, backup_tools: vec![] };
    let look = tokio::task::spawn_blocking(gather);
    tokio::time::timeout(Duration::from_secs(5), look).await.ok().and_then(Result::ok).unwrap_or_else(empty)
}

/// Whether a program of that name is where programs are. It is not started.
fn is_installed(name: &str) -> bool {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/snap/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(name).is_file())
}

#[cfg(test)]
mod tests;
