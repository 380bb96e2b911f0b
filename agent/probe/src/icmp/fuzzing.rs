//! Any bytes as an ICMP packet that came back. Which of them answers whom is the library's to say.

use std::net::{Ipv4Addr, Ipv6Addr};

use surge_ping::{IcmpPacket, Icmpv4Packet, Icmpv6Packet};

use super::socket::refusal;
use crate::{ProbeResult, fuzzing::hold};

/// Behind a datagram socket, behind a raw one, and as version 6.
pub(crate) fn reply(bytes: &[u8]) {
    let (any, any_v6) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
    let v4 = [socket2::Type::DGRAM, socket2::Type::RAW].map(|kind| Icmpv4Packet::decode(bytes, kind, any, any));
    let v4 = v4.into_iter().flatten().map(IcmpPacket::V4);
    let v6 = Icmpv6Packet::decode(bytes, any_v6).into_iter().map(IcmpPacket::V6);
    for why in v4.chain(v6).filter_map(|packet| refusal(&packet)) {
        hold(&ProbeResult::bad(why));
    }
}
