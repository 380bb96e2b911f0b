//! What the kernel announces of ports as it happens: rtnetlink(7), `RTM_NEWLINK` and `RTM_DELLINK`.
//!
//! One socket for all ports, opened at the first look; nothing is ever asked over it. Where it cannot be opened, ports are
//! watched by the kernel's count alone. A few lines of our own and no library: a header, a list of attributes, three of
//! which are read, all by the kernel of this host.

use std::io;

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv, socket_with, sockopt,
    },
};
use tokio::{io::Interest, net::UdpSocket};

use super::drops::Announced;

/// `RTMGRP_LINK` (linux/rtnetlink.h).
const GROUP_LINK: u32 = 1;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
/// Attributes of linux/if_link.h.
const IFLA_CARRIER: u16 = 33;
const IFLA_CARRIER_DOWN_COUNT: u16 = 48;
/// `IFF_LOWER_UP` (linux/if.h): the carrier, where there is no attribute.
const LOWER_UP: u32 = 1 << 16;
/// `struct nlmsghdr` and `struct ifinfomsg`.
const HEADER: usize = 16;
const INFO: usize = 16;
/// A message of a port has one to two kilobytes; of one with many virtual functions more, which is then cut and passed over.
const BUFFER: usize = 16 << 10;
/// What the kernel keeps until it is read: some hundred announcements.
const WAITING: usize = 512 << 10;

/// What came of reading.
#[derive(Debug)]
pub(super) enum Heard {
    Announced(Vec<Announced>),
    /// The kernel had more to say than it keeps (`ENOBUFS`).
    Overrun,
}

/// The socket. To the runtime it is one more socket for datagrams, of which nothing but the reading is used: that is how
/// one is waited for without code that is not safe.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UdpSocket,
    buffer: Vec<u8>,
}

impl Listener {
    /// Opens it within a tokio runtime.
    pub(super) fn open() -> io::Result<Self> {
        Self::with_buffer(WAITING)
    }

    /// The same with another room for what waits.
    pub(super) fn with_buffer(bytes: usize) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // NETLINK_ROUTE is protocol 0, the default.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        // Bounded by net.core.rmem_max; less is as good until a burst comes.
        let _ = sockopt::set_socket_recv_buffer_size(&socket, bytes);
        bind(&socket, &SocketAddrNetlink::new(0, GROUP_LINK))?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())?, buffer: vec![0; BUFFER] })
    }

    /// Waits for the next announcement.
    pub(super) async fn next(&mut self) -> io::Result<Heard> {
        let Self { socket, buffer } = self;
        let read = socket.async_io(Interest::READABLE | Interest::ERROR, || {
            Ok(recv(&*socket, &mut buffer[..], RecvFlags::empty()).map(|(read, _)| read)?)
        });
        match read.await {
            Ok(read) => Ok(Heard::Announced(messages(&buffer[..read]))),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => Ok(Heard::Overrun),
            Err(error) => Err(error),
        }
    }
}

/// The announcements of a datagram; what cannot be read of it is passed over.
fn messages(mut bytes: &[u8]) -> Vec<Announced> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = length as usize;
        if length < HEADER || bytes.len() < length {
            break;
        }
        if matches!(kind, RTM_NEWLINK | RTM_DELLINK) {
            found.extend(announced(&bytes[HEADER..length], kind == RTM_DELLINK));
        }
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    found
}

fn announced(body: &[u8], is_gone: bool) -> Option<Announced> {
    // A bridge announces its ports under its own family: one that leaves it is not gone.
    if *body.first()? != 0 {
        return None;
    }
    let index = u32_at(body, 4)?;
    let flags = u32_at(body, 8)?;
    let (mut carrier, mut downs) = (None, None);
    let mut attributes = body.get(INFO..)?;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length);
        let Some(value) = attributes.get(4..length) else { break };
        match kind {
            IFLA_CARRIER => carrier = value.first().map(|is| *is != 0),
            IFLA_CARRIER_DOWN_COUNT => downs = u32_at(value, 0).map(u64::from),
            _ => {}
        }
        attributes = attributes.get(aligned(length)..).unwrap_or_default();
    }
    // A port that is switched off has no carrier, whatever its other end has.
    let is_enabled = flags & 1 == 1;
    let has_carrier = is_enabled && carrier.unwrap_or(flags & LOWER_UP != 0);
    Some(Announced { index, has_carrier: (!is_gone).then_some(has_carrier), downs })
}

/// Headers and attributes begin at multiples of four.
fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_datagram_of_two_ports_is_two_announcements_and_a_cut_one_what_it_still_holds() {
        let mut datagram = message(
            RTM_NEWLINK,
            2,
            1 | LOWER_UP,
            &[(3, b"eth0\0"), (IFLA_CARRIER, &[1]), (IFLA_CARRIER_DOWN_COUNT, &7_u32.to_ne_bytes())],
        );
        datagram.extend(message(RTM_NEWLINK, 3, LOWER_UP, &[(IFLA_CARRIER, &[1])]));
        datagram.extend(message(RTM_DELLINK, 4, 1, &[]));
        datagram.extend(message(20, 5, 1, &[]));
        let first = Announced { index: 2, has_carrier: Some(true), downs: Some(7) };
        let off = Announced { index: 3, has_carrier: Some(false), downs: None };
        let gone = Announced { index: 4, has_carrier: None, downs: None };
        assert_eq!(messages(&datagram), [first, off, gone]);
        let cut = datagram.len() - 20;
        assert_eq!(messages(&datagram[..cut]), [first, off, gone], "the address that was the last is no port");
        assert_eq!(messages(&datagram[..50]), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            messages(&bytes);
            announced(&bytes, false);
        }
    }

    fn message(kind: u16, index: u32, flags: u32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend(index.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        body.extend([0; 4]);
        for (kind, value) in attributes {
            body.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
            body.resize(aligned(body.len()), 0);
        }
        let mut message = u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }
}
