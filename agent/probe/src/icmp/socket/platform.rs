//! What Linux offers to whoever sends many echoes: many in one call, and a filter that keeps out what is for others.

use std::{io, net::SocketAddr};

use tokio::net::UdpSocket;

use super::super::PAYLOAD;

/// Bytes of an echo: its header and what it carries.
pub(super) const PACKET: usize = 8 + PAYLOAD.len();

/// An echo that is to be sent.
pub(super) struct Letter {
    /// Whose it is.
    pub(super) ticket: u64,
    /// Where to.
    pub(super) to: SocketAddr,
    /// The packet.
    pub(super) packet: [u8; PACKET],
}

/// Sends the first ones, as many as the kernel takes now; says how many. An error is about the first one.
#[cfg(target_os = "linux")]
pub(super) fn send(socket: &UdpSocket, letters: &[Letter]) -> io::Result<usize> {
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

    let to: Vec<SocketAddrAny> = letters.iter().map(|letter| letter.to.into()).collect();
    let contents: Vec<_> = letters.iter().map(|letter| [io::IoSlice::new(&letter.packet)]).collect();
    let mut nothing_beside: Vec<_> = letters.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let messages = to.iter().zip(&contents).zip(&mut nothing_beside);
    let mut messages: Vec<_> =
        messages.map(|((to, content), beside)| MMsgHdr::new_with_addr(to, content, beside)).collect();
    Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?)
}

/// Sends the first one.
#[cfg(not(target_os = "linux"))]
pub(super) fn send(socket: &UdpSocket, letters: &[Letter]) -> io::Result<usize> {
    letters
        .first()
        .map_or(Ok(0), |letter| socket2::SockRef::from(socket).send_to(&letter.packet, &letter.to.into()).map(|_| 1))
}

/// Has the kernel keep out of a raw socket what answers nobody here: every echo request to this host, the replies to
/// other programs, and the neighbours' talk of IPv6. Each would take room in the buffer from a reply of ours.
#[cfg(target_os = "linux")]
pub(super) fn hear_only_answers(socket: &socket2::Socket, family: std::net::IpAddr, identifier: u16) -> io::Result<()> {
    use socket2::SockFilter;

    // linux/filter.h: a byte or two of the packet, at a place counted from X; a jump over so many lines; a verdict.
    let (header_length, byte, two_bytes) = (0xb1, 0x50, 0x48);
    let (x_is_zero, if_equal, if_at_least, verdict) = (0x01, 0x15, 0x35, 0x06);
    let line = SockFilter::new;
    let program = if family.is_ipv4() {
        [
            line(header_length, 0, 0, 0),
            line(byte, 0, 0, 0),
            line(if_equal, 4, 0, 8),
            line(if_equal, 0, 2, 0),
            line(two_bytes, 0, 0, 4),
            line(if_equal, 0, 1, u32::from(identifier)),
            line(verdict, 0, 0, u32::MAX),
            line(verdict, 0, 0, 0),
        ]
    } else {
        // The packet begins behind the header of IPv6; errors are below 128.
        [
            line(x_is_zero, 0, 0, 0),
            line(byte, 0, 0, 0),
            line(if_at_least, 0, 3, 128),
            line(if_equal, 0, 3, 129),
            line(two_bytes, 0, 0, 4),
            line(if_equal, 0, 1, u32::from(identifier)),
            line(verdict, 0, 0, u32::MAX),
            line(verdict, 0, 0, 0),
        ]
    };
    socket.attach_filter(&program)
}

/// Nothing is kept out: each packet is looked at when it is read.
#[cfg(not(target_os = "linux"))]
pub(super) fn hear_only_answers(_: &socket2::Socket, _: std::net::IpAddr, _: u16) -> io::Result<()> {
    Ok(())
}
