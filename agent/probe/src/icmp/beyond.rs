//! An echo that lives for two hops: who answers is the first router beyond the gateway, or lies before it.
//!
//! Only a raw socket is told of the routers' words; the socket is opened for the one echo, for it would see every ICMP
//! packet of this host.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Instant,
};

use pnet_packet::icmp::IcmpTypes;
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence};

use super::{Beyond, PAYLOAD};
use crate::deadline::Deadline;

/// The gateway is the first.
const HOPS: u32 = 2;

/// Sends one towards `target`.
pub(crate) async fn beyond(target: IpAddr, deadline: Deadline) -> Beyond {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let config = Config::builder().kind(ICMP::V4).sock_type_hint(socket2::Type::RAW).ttl(HOPS).bind(any).build();
    let Ok(client) = Client::new(&config) else { return Beyond::NotAsked };
    if !target.is_ipv4() || client.get_socket().get_type() != socket2::Type::RAW {
        return Beyond::NotAsked;
    }
    // Should the kernel give no random bytes, the process id does nearly as well.
    let identifier = PingIdentifier(getrandom::u32().unwrap_or_else(|_| std::process::id()) as u16);
    let mut pinger = client.pinger(target, identifier).await;
    pinger.timeout(deadline.left());
    let started = Instant::now();
    match pinger.ping(PingSequence(0), &PAYLOAD).await {
        Ok((IcmpPacket::V4(packet), _)) => {
            let (by, rtt) = (IpAddr::V4(packet.get_source()), started.elapsed());
            match packet.get_icmp_type() {
                IcmpTypes::EchoReply | IcmpTypes::TimeExceeded => Beyond::Answers { by, rtt },
                _ => Beyond::Refused { by },
            }
        }
        Ok((IcmpPacket::V6(_), _)) => Beyond::NotAsked,
        // The route's own refusal and silence are one here: nothing came from beyond.
        Err(_) => Beyond::Silent,
    }
}
