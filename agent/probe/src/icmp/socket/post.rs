//! One ICMP socket, and who waits for what comes back on it.
//!
//! Echoes that are due together leave in one system call, and one task reads for all of them. Packets are read by
//! surge-ping's decoder, which knows what an ICMP error quotes.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pnet_packet::{
    icmp::{self, IcmpTypes},
    icmpv6::Icmpv6Types,
};
use socket2::{Domain, Protocol, Socket, Type};
use surge_ping::{IcmpPacket, Icmpv4Packet, Icmpv6Packet};
use tokio::{
    io::Interest,
    net::UdpSocket,
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{
    super::PAYLOAD,
    platform::{self, Letter, PACKET},
};

/// What is asked for as receive buffer. The kernel gives at most `net.core.rmem_max`, which is enough for 64 replies in
/// flight.
const RECEIVE_BYTES: usize = 4 << 20;
/// The longest packet that is read: an error quotes 576 bytes at most, and a reply is as long as its echo.
const READ_MAX: usize = 2048;
/// So many packets are read before others have their turn.
const READ_AT_ONCE: usize = 256;

/// What became of an echo that was sent, or was to be.
#[derive(Debug)]
pub(super) enum Answer {
    /// A packet answers it: a reply, or an error from somebody on the way.
    Came { packet: IcmpPacket, rtt: Duration },
    /// Nothing came in time.
    Nothing,
    /// This host did not send it.
    NotSent(io::Error),
    /// The socket does not work any more.
    Broken,
}

/// An open socket. Belongs to the runtime that it was opened on.
pub(super) struct Post {
    inner: Arc<Inner>,
    worker: JoinHandle<()>,
}

struct Inner {
    socket: UdpSocket,
    kind: Type,
    identifier: u16,
    counter: Mutex<Counter>,
    /// Something is to be sent.
    letters: Notify,
}

/// What is to be sent, and who waits.
#[derive(Default)]
struct Counter {
    /// Echoes so far; the lower half is the sequence number of the next.
    tickets: u64,
    outbox: Vec<(u64, IpAddr)>,
    waiting: HashMap<u16, Waiting>,
    is_closed: bool,
}

struct Waiting {
    ticket: u64,
    to: IpAddr,
    /// From before the send.
    sent: Instant,
    tell: oneshot::Sender<Answer>,
}

impl Post {
    /// Opens a socket of the address's family: one for echoes alone where the kernel grants it, a raw one otherwise.
    pub(super) fn open(family: IpAddr, identifier: u16) -> io::Result<Self> {
        let (domain, protocol, any) = match family {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        let (kind, socket) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (Type::DGRAM, socket),
            Err(refused) => (Type::RAW, Socket::new(domain, Type::RAW, Some(protocol)).map_err(|_| refused)?),
        };
        socket.set_nonblocking(true)?;
        socket.bind(&any.into())?;
        // Neither is needed to work: they make loss of our own less likely, and that is what the canary is for.
        if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BYTES) {
            tracing::debug!(%error, "the ICMP receive buffer stays as it is");
        }
        if let (Type::RAW, Err(error)) = (kind, platform::hear_only_answers(&socket, family, identifier)) {
            tracing::debug!(%error, "the ICMP socket hears what is meant for others too");
        }
        let socket = UdpSocket::from_std(socket.into())?;
        let inner = Inner { socket, kind, identifier, counter: Mutex::default(), letters: Notify::new() };
        let inner = Arc::new(inner);
        let worker = tokio::spawn(work(Arc::clone(&inner)));
        Ok(Self { inner, worker })
    }

    /// Sends one echo and waits for what answers it. Cancel-safe.
    pub(super) async fn echo(&self, to: IpAddr, wait: Duration) -> Answer {
        let (tell, told) = oneshot::channel();
        let Some(ticket) = self.inner.counter().take(to, tell) else { return Answer::Broken };
        let _forget = Forget { inner: &self.inner, ticket };
        self.inner.letters.notify_one();
        match timeout(wait, told).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::Broken,
            Err(_) => Answer::Nothing,
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// Whoever waited has gone.
struct Forget<'a> {
    inner: &'a Inner,
    ticket: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.inner.counter().remove(self.ticket);
    }
}

impl Counter {
    /// Puts an echo into the outbox; `None` when nobody sends any more.
    fn take(&mut self, to: IpAddr, tell: oneshot::Sender<Answer>) -> Option<u64> {
        if self.is_closed {
            return None;
        }
        // Far fewer wait than there are sequence numbers: one is free.
        while self.waiting.contains_key(&sequence(self.tickets)) {
            self.tickets += 1;
        }
        let ticket = self.tickets;
        self.tickets += 1;
        self.waiting.insert(sequence(ticket), Waiting { ticket, to, sent: Instant::now(), tell });
        self.outbox.push((ticket, to));
        Some(ticket)
    }

    fn get(&mut self, ticket: u64) -> Option<&mut Waiting> {
        self.waiting.get_mut(&sequence(ticket)).filter(|waiting| waiting.ticket == ticket)
    }

    fn remove(&mut self, ticket: u64) -> Option<Waiting> {
        self.get(ticket)?;
        self.waiting.remove(&sequence(ticket))
    }

    /// Whoever waits for this packet.
    fn addressee(&mut self, packet: &IcmpPacket) -> Option<Waiting> {
        let sequence = packet.get_sequence().0;
        let waiting = self.waiting.get(&sequence)?;
        if waiting.to != packet.real_destination() {
            return None;
        }
        self.waiting.remove(&sequence)
    }
}

fn sequence(ticket: u64) -> u16 {
    (ticket & u64::from(u16::MAX)) as u16
}

/// Sends what is to be sent and reads what came, until the socket fails.
async fn work(inner: Arc<Inner>) {
    let why = loop {
        let done = tokio::select! {
            biased;
            () = inner.letters.notified() => inner.send().await,
            ready = inner.socket.readable() => ready.and_then(|()| inner.receive()),
        };
        if let Err(error) = done {
            break error;
        }
    };
    tracing::debug!(error = %why, "an ICMP socket failed");
    let mut counter = inner.counter();
    counter.is_closed = true;
    counter.waiting.clear();
}

impl Inner {
    fn counter(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the whole outbox. What the kernel refuses is told to whoever wanted it; the error is the socket's own.
    async fn send(&self) -> io::Result<()> {
        let letters = self.letters();
        let mut rest = letters.as_slice();
        while let Some(first) = rest.first() {
            match self.socket.async_io(Interest::WRITABLE, || platform::send(&self.socket, rest)).await {
                Ok(sent) => rest = rest.get(sent.max(1)..).unwrap_or_default(),
                Err(error) => {
                    if let Some(waiting) = self.counter().remove(first.ticket) {
                        // Whoever waited may have gone.
                        let _ = waiting.tell.send(Answer::NotSent(error));
                    }
                    rest = &rest[1..];
                }
            }
        }
        Ok(())
    }

    fn letters(&self) -> Vec<Letter> {
        let mut counter = self.counter();
        let outbox = std::mem::take(&mut counter.outbox);
        let now = Instant::now();
        let mut letters = Vec::with_capacity(outbox.len());
        for (ticket, to) in outbox {
            // Whoever wanted it may have gone.
            if let Some(waiting) = counter.get(ticket) {
                waiting.sent = now;
                let packet = echo_request(to, self.identifier, sequence(ticket));
                letters.push(Letter { ticket, to: SocketAddr::new(to, 0), packet });
            }
        }
        letters
    }

    /// Reads what is there.
    fn receive(&self) -> io::Result<()> {
        let mut buffer = [0; READ_MAX];
        for _ in 0..READ_AT_ONCE {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((read, from)) => self.deliver(&buffer[..read], from.ip()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn deliver(&self, packet: &[u8], from: IpAddr) {
        let received = Instant::now();
        let decoded = match from {
            // The receiver's address is kept and never asked for.
            IpAddr::V4(from) => {
                Icmpv4Packet::decode(packet, self.kind, from, Ipv4Addr::UNSPECIFIED).map(IcmpPacket::V4)
            }
            IpAddr::V6(from) => Icmpv6Packet::decode(packet, from).map(IcmpPacket::V6),
        };
        // Requests to this host, and what others garbled.
        let Ok(packet) = decoded else { return };
        // A socket for echoes alone has an identifier of the kernel's and is told of no other.
        let is_anothers = self.kind == Type::RAW && packet.get_identifier().0 != self.identifier;
        if is_anothers || !says_how_it_ended(&packet) {
            return;
        }
        if let Some(waiting) = self.counter().addressee(&packet) {
            let rtt = received.saturating_duration_since(waiting.sent);
            // Whoever waited may have gone.
            let _ = waiting.tell.send(Answer::Came { packet, rtt });
        }
    }
}

/// Whether the packet is the last word about an echo: a reply, or that it could not be delivered. A redirect is none: the
/// router that sends it has forwarded the echo (RFC 792), and the reply is still on its way.
fn says_how_it_ended(packet: &IcmpPacket) -> bool {
    match packet {
        IcmpPacket::V4(packet) => matches!(
            packet.get_icmp_type(),
            IcmpTypes::EchoReply
                | IcmpTypes::DestinationUnreachable
                | IcmpTypes::TimeExceeded
                | IcmpTypes::ParameterProblem
        ),
        // RFC 4443 2.1: errors are those below 128.
        IcmpPacket::V6(packet) => {
            packet.get_icmpv6_type() == Icmpv6Types::EchoReply || packet.get_icmpv6_type().0 < 128
        }
    }
}

/// RFC 792 and RFC 4443: type, code, checksum, identifier, sequence number, payload.
fn echo_request(to: IpAddr, identifier: u16, sequence: u16) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[0] = if to.is_ipv4() { 8 } else { 128 };
    packet[4..6].copy_from_slice(&identifier.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet[8..].copy_from_slice(&PAYLOAD);
    // The kernel computes that of ICMPv6, which covers addresses that only it knows.
    if let (true, Some(whole)) = (to.is_ipv4(), icmp::IcmpPacket::new(&packet)) {
        let checksum = icmp::checksum(&whole);
        packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// An error that quotes the header of an echo request to 192.0.2.7, as a router would send it (RFC 792).
    fn quoting(kind: u8) -> IcmpPacket {
        let mut packet = vec![kind, 0, 0, 0, 0, 0, 0, 0, 0x45];
        packet.resize(8 + 16, 0);
        packet.extend([192, 0, 2, 7]);
        packet.extend(&echo_request([192, 0, 2, 7].into(), 0x1234, 5)[..8]);
        let router = Ipv4Addr::new(10, 0, 0, 1);
        IcmpPacket::V4(Icmpv4Packet::decode(&packet, Type::DGRAM, router, Ipv4Addr::UNSPECIFIED).unwrap())
    }

    #[test]
    fn an_error_ends_an_echo_and_a_redirect_does_not() {
        for (kind, is_last) in [(3, true), (11, true), (12, true), (5, false), (4, false), (13, false)] {
            let packet = quoting(kind);
            assert_eq!(says_how_it_ended(&packet), is_last, "type {kind}");
            let mut counter = Counter { tickets: 5, ..Counter::default() };
            counter.take([192, 0, 2, 7].into(), oneshot::channel().0).unwrap();
            assert!(counter.addressee(&packet).is_some(), "it is about that echo");
        }
    }

    #[test]
    fn a_packet_is_for_whoever_asked_that_address_with_that_number() {
        let mut counter = Counter { tickets: 65_535 + 5, ..Counter::default() };
        let to: IpAddr = [192, 0, 2, 7].into();
        let (early, _gone) = (counter.take(to, oneshot::channel().0).unwrap(), counter.take(to, oneshot::channel().0));
        assert_eq!(sequence(early), 4);
        assert!(counter.addressee(&quoting(3)).is_some(), "number 5");
        assert!(counter.addressee(&quoting(3)).is_none(), "told once");
        counter.tickets = 2 * 65_536 + 4;
        let next = counter.take([192, 0, 2, 8].into(), oneshot::channel().0).unwrap();
        assert_eq!(sequence(next), 5, "4 is still waited for");
        assert!(counter.addressee(&quoting(3)).is_none(), "another address");
        assert!(counter.remove(early + 65_536).is_none() && counter.remove(early).is_some());
        assert!(counter.remove(early).is_none());
    }

    #[tokio::test]
    async fn a_raw_socket_hears_what_answers_its_own_echoes_and_nothing_else() {
        if !testing::is_root() {
            return;
        }
        let families: [(IpAddr, Domain, Protocol, usize); 2] = [
            (Ipv4Addr::LOCALHOST.into(), Domain::IPV4, Protocol::ICMPV4, 20),
            (Ipv6Addr::LOCALHOST.into(), Domain::IPV6, Protocol::ICMPV6, 0),
        ];
        for (address, domain, protocol, header) in families {
            let socket = Socket::new(domain, Type::RAW, Some(protocol)).unwrap();
            platform::hear_only_answers(&socket, address, 0x1234).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            for identifier in [0x4321, 0x1234] {
                let to = SocketAddr::new(address, 0);
                socket.send_to(&echo_request(address, identifier, 7), &to.into()).unwrap();
            }
            let mut heard = [0; READ_MAX];
            let read = io::Read::read(&mut (&socket), &mut heard).unwrap();
            let reply = if address.is_ipv4() { 0 } else { 129 };
            assert_eq!((heard[header], &heard[header + 4..header + 6]), (reply, &[0x12, 0x34][..]));
            assert_eq!(read, header + PACKET);
            socket.set_nonblocking(true).unwrap();
            let nothing = io::Read::read(&mut (&socket), &mut heard).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        }
    }
}
