//! Echoes over one socket per family, opened when first needed; at most 64 in flight on it and a raised receive buffer,
//! because a reply that is dropped in our own buffer would be a false incident (128 of 10,000 were, at 256 in flight);
//! and silence counts only while the receiver is known to live, by another reply or by a canary to this host itself.

mod platform;
mod post;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use pnet_packet::{
    icmp::{IcmpTypes, destination_unreachable::IcmpCodes},
    icmpv6::Icmpv6Types,
};
use surge_ping::IcmpPacket;
use tokio::sync::Semaphore;
use upheld_model::UnknownReason;

use self::post::{Answer, Post};
use super::{CANARY, Echo, IN_FLIGHT_MAX};
use crate::{ProbeResult, deadline::Deadline, fault};

/// The sockets of both families.
pub(crate) struct Echoes {
    v4: Family,
    v6: Family,
}

impl Echoes {
    pub(crate) fn new() -> Self {
        // Raw sockets see the replies to every process of this host: a random identifier keeps ours apart. Should the
        // kernel give no random bytes, the process id does nearly as well.
        let random = getrandom::u32().unwrap_or_else(|_| std::process::id());
        let identifier = (random >> 16 ^ random) as u16;
        let canary = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let [v4, v6] = canary.map(|canary| Family::new(canary, identifier));
        Self { v4, v6 }
    }

    pub(crate) async fn echo(&self, address: IpAddr, deadline: Deadline) -> Echo {
        if address.is_ipv4() { self.v4.echo(address, deadline).await } else { self.v6.echo(address, deadline).await }
    }
}

/// One family's socket and what is known of its receiver.
struct Family {
    canary: IpAddr,
    identifier: u16,
    post: Mutex<Option<Arc<Post>>>,
    slots: Semaphore,
    /// Replies so far. A silent echo whose run saw this grow needs no canary.
    replies: AtomicU64,
}

impl Family {
    fn new(canary: IpAddr, identifier: u16) -> Self {
        Self {
            canary,
            identifier,
            post: Mutex::new(None),
            slots: Semaphore::new(IN_FLIGHT_MAX),
            replies: AtomicU64::new(0),
        }
    }

    async fn echo(&self, address: IpAddr, deadline: Deadline) -> Echo {
        let _slot = match deadline.bound(self.slots.acquire()).await {
            Some(Ok(slot)) => slot,
            Some(Err(_)) | None => {
                let why = format!("{IN_FLIGHT_MAX} other echoes were in flight for the whole of the timeout");
                return Echo::Failed(ProbeResult::unknown(UnknownReason::Local, why));
            }
        };
        let post = match self.open() {
            Ok(post) => post,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Echo::NoRight,
            Err(error) => {
                let why = format!("opening an ICMP socket: {}", fault::in_words(&error));
                return Echo::Failed(ProbeResult::unknown(UnknownReason::Local, why));
            }
        };
        let replies_before = self.replies.load(Relaxed);
        let wait = deadline.left().saturating_sub(CANARY.min(deadline.left() / 4));
        let echo = self.one(&post, address, wait).await;
        let has_replied = self.replies.load(Relaxed) != replies_before;
        if !matches!(echo, Echo::Silent { .. }) || has_replied {
            return echo;
        }
        if let Echo::Reply { .. } = self.one(&post, self.canary, deadline.left().min(CANARY)).await {
            return echo;
        }
        self.discard();
        let why = format!("no reply from {address}, but none from this host itself either: the prober is broken");
        Echo::Failed(ProbeResult::unknown(UnknownReason::CannotProbe, why))
    }

    async fn one(&self, post: &Post, address: IpAddr, wait: Duration) -> Echo {
        match post.echo(address, wait).await {
            Answer::Came { packet, rtt } => {
                self.replies.fetch_add(1, Relaxed);
                match refusal(&packet) {
                    None => Echo::Reply { rtt },
                    Some(why) => Echo::Refused { why },
                }
            }
            Answer::Nothing => Echo::Silent { waited: wait },
            Answer::NotSent(error) => Echo::Failed(fault::judge(&error, address, "sending an echo to")),
            Answer::Broken => {
                self.discard();
                Echo::Failed(ProbeResult::unknown(UnknownReason::CannotProbe, "the prober failed: its socket broke"))
            }
        }
    }

    fn open(&self) -> io::Result<Arc<Post>> {
        let mut post = self.post.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*post {
            return Ok(Arc::clone(open));
        }
        let opened = Arc::new(Post::open(self.canary, self.identifier)?);
        Ok(Arc::clone(post.insert(opened)))
    }

    /// Drops a socket that no longer works; the next echo opens another.
    fn discard(&self) {
        self.post.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// `None` for an echo reply; the words of an ICMP error otherwise.
pub(super) fn refusal(packet: &IcmpPacket) -> Option<String> {
    match packet {
        IcmpPacket::V4(packet) if packet.get_icmp_type() == IcmpTypes::EchoReply => None,
        IcmpPacket::V4(packet) => {
            let (kind, code) = (packet.get_icmp_type(), packet.get_icmp_code());
            let words = match kind {
                IcmpTypes::DestinationUnreachable => match code {
                    IcmpCodes::DestinationNetworkUnreachable => "network unreachable".to_owned(),
                    IcmpCodes::DestinationHostUnreachable => "host unreachable".to_owned(),
                    IcmpCodes::NetworkAdministrativelyProhibited
                    | IcmpCodes::HostAdministrativelyProhibited
                    | IcmpCodes::CommunicationAdministrativelyProhibited => "packet filtered".to_owned(),
                    _ => format!("destination unreachable, code {}", code.0),
                },
                IcmpTypes::TimeExceeded => "time to live exceeded: a routing loop".to_owned(),
                _ => format!("ICMP type {} code {}", kind.0, code.0),
            };
            Some(format!("{words}, says {}", packet.get_source()))
        }
        IcmpPacket::V6(packet) if packet.get_icmpv6_type() == Icmpv6Types::EchoReply => None,
        IcmpPacket::V6(packet) => {
            let (kind, code) = (packet.get_icmpv6_type(), packet.get_icmpv6_code());
            Some(format!("ICMPv6 type {} code {}, says {}", kind.0, code.0, packet.get_source()))
        }
    }
}
