//! Echoes as Windows gives them: `IcmpSendEcho`, which needs no right and no socket of ours, and tells replies to
//! different askers apart by itself.
//!
//! The call waits; it is made on a thread of its own with a small stack, for its time only. Wrapped by nobody in the way
//! that is needed here, therefore `unsafe`.
#![allow(unsafe_code)]

use std::{
    ffi::c_void,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr::{null, null_mut},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, oneshot};
use upheld_model::UnknownReason;
use windows_sys::Win32::{
    Foundation::{HANDLE, INVALID_HANDLE_VALUE},
    NetworkManagement::IpHelper::{
        ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY_LH, IP_DEST_HOST_UNREACHABLE, IP_DEST_NET_UNREACHABLE,
        IP_DEST_PORT_UNREACHABLE, IP_DEST_PROHIBITED, IP_GENERAL_FAILURE, IP_OPTION_INFORMATION, IP_REQ_TIMED_OUT,
        IP_STATUS_BASE, IP_SUCCESS, IP_TTL_EXPIRED_TRANSIT, Icmp6CreateFile, Icmp6SendEcho2, IcmpCloseHandle,
        IcmpCreateFile, IcmpSendEcho,
    },
    Networking::WinSock::{AF_INET6, IN6_ADDR, IN6_ADDR_0, SOCKADDR_IN6},
};

use super::{Beyond, CANARY, Echo, IN_FLIGHT_MAX, PAYLOAD};
use crate::{ProbeResult, deadline::Deadline, fault};

/// Room for a reply: the structure, what was sent, and what Windows asks for beside it (8 bytes and a status block).
const REPLY_WORDS: usize = 64;
/// Enough for one call.
const STACK_BYTES: usize = 64 << 10;

/// Sends echoes.
pub(crate) struct Echoes {
    slots: Semaphore,
}

/// The gateway is the first.
const HOPS: u8 = 2;

/// Sends an echo that lives for two hops: who answers is the first router beyond the gateway, or lies before it.
pub(crate) async fn beyond(target: IpAddr, deadline: Deadline) -> Beyond {
    let IpAddr::V4(target) = target else { return Beyond::NotAsked };
    let (tell, told) = oneshot::channel();
    let wait = deadline.left();
    let ask = move || {
        let asked = Opened::v4().and_then(|opened| {
            let started = Instant::now();
            let (status, by) = opened.send_v4(target, wait, Some(HOPS))?;
            Ok((status, IpAddr::V4(by), started.elapsed()))
        });
        // Whoever asked may have gone.
        let _ = tell.send(asked);
    };
    if std::thread::Builder::new().stack_size(STACK_BYTES).spawn(ask).is_err() {
        return Beyond::NotAsked;
    }
    match told.await {
        Ok(Ok((IP_SUCCESS | IP_TTL_EXPIRED_TRANSIT, by, rtt))) => Beyond::Answers { by, rtt },
        Ok(Ok((IP_REQ_TIMED_OUT, ..))) => Beyond::Silent,
        Ok(Ok((_, by, _))) => Beyond::Refused { by },
        Ok(Err(error)) => match u32::try_from(error.raw_os_error().unwrap_or_default()) {
            // Nobody says who refused: nothing came from beyond.
            Ok(IP_STATUS_BASE..IP_GENERAL_FAILURE) => Beyond::Silent,
            Ok(_) | Err(_) => Beyond::NotAsked,
        },
        Err(_) => Beyond::NotAsked,
    }
}

impl Echoes {
    pub(crate) fn new() -> Self {
        Self { slots: Semaphore::new(IN_FLIGHT_MAX) }
    }

    pub(crate) async fn echo(&self, address: IpAddr, deadline: Deadline) -> Echo {
        let _slot = match deadline.bound(self.slots.acquire()).await {
            Some(Ok(slot)) => slot,
            Some(Err(_)) | None => {
                let why = format!("{IN_FLIGHT_MAX} other echoes were in flight for the whole of the timeout");
                return Echo::Failed(ProbeResult::unknown(UnknownReason::Local, why));
            }
        };
        let wait = deadline.left().saturating_sub(CANARY.min(deadline.left() / 4));
        let echo = one(address, wait).await;
        if !matches!(echo, Echo::Silent { .. }) {
            return echo;
        }
        let canary = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        if let Echo::Reply { .. } = one(canary, deadline.left().min(CANARY)).await {
            return echo;
        }
        let why = format!("no reply from {address}, but none from this host itself either: the prober is broken");
        Echo::Failed(ProbeResult::unknown(UnknownReason::CannotProbe, why))
    }
}

async fn one(address: IpAddr, wait: Duration) -> Echo {
    let (tell, told) = oneshot::channel();
    let ask = move || {
        // Whoever asked may have gone.
        let _ = tell.send(ask(address, wait));
    };
    if let Err(error) = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(ask) {
        let why = format!("a thread for an echo: {}", fault::in_words(&error));
        return Echo::Failed(ProbeResult::unknown(UnknownReason::Local, why));
    }
    told.await.unwrap_or_else(|_| {
        Echo::Failed(ProbeResult::unknown(UnknownReason::CannotProbe, "the prober failed: its thread ended"))
    })
}

/// One echo and its end. Measured here: Windows tells whole milliseconds.
fn ask(address: IpAddr, wait: Duration) -> Echo {
    let opened = match address {
        IpAddr::V4(_) => Opened::v4(),
        IpAddr::V6(_) => Opened::v6(),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Echo::NoRight,
        Err(error) => {
            let why = format!("opening ICMP: {}", fault::in_words(&error));
            return Echo::Failed(ProbeResult::unknown(UnknownReason::Local, why));
        }
    };
    let started = Instant::now();
    let status = match address {
        IpAddr::V4(address) => opened.send_v4(address, wait, None).map(|(status, _)| status),
        IpAddr::V6(address) => opened.send_v6(address, wait),
    };
    let rtt = started.elapsed();
    let error = match status {
        Ok(IP_SUCCESS) => return Echo::Reply { rtt },
        Ok(status) => io::Error::from_raw_os_error(status as i32),
        Err(error) => error,
    };
    match u32::try_from(error.raw_os_error().unwrap_or_default()).unwrap_or_default() {
        IP_REQ_TIMED_OUT => Echo::Silent { waited: wait },
        status @ (IP_STATUS_BASE..IP_GENERAL_FAILURE) => Echo::Refused { why: refusal(status) },
        _ => Echo::Failed(fault::judge(&error, address, "sending an echo to")),
    }
}

/// What somebody on the way says.
fn refusal(status: u32) -> String {
    match status {
        IP_DEST_NET_UNREACHABLE => "network unreachable".to_owned(),
        IP_DEST_HOST_UNREACHABLE => "host unreachable".to_owned(),
        IP_DEST_PROHIBITED => "packet filtered, or the protocol is unreachable".to_owned(),
        IP_DEST_PORT_UNREACHABLE => "port unreachable".to_owned(),
        IP_TTL_EXPIRED_TRANSIT => "time to live exceeded: a routing loop".to_owned(),
        status => format!("Windows' ICMP status {status}"),
    }
}

/// A handle of Windows, closed when dropped.
struct Opened(HANDLE);

impl Opened {
    fn v4() -> io::Result<Self> {
        // SAFETY: a call without arguments.
        Self::of(unsafe { IcmpCreateFile() })
    }

    fn v6() -> io::Result<Self> {
        // SAFETY: a call without arguments.
        Self::of(unsafe { Icmp6CreateFile() })
    }

    fn of(handle: HANDLE) -> io::Result<Self> {
        if handle == INVALID_HANDLE_VALUE { Err(io::Error::last_os_error()) } else { Ok(Self(handle)) }
    }

    /// The status of the reply and who sent it, or why there is none; `hops` is for how many the echo lives.
    fn send_v4(&self, to: Ipv4Addr, wait: Duration, hops: Option<u8>) -> io::Result<(u32, Ipv4Addr)> {
        let options = hops.map(|hops| IP_OPTION_INFORMATION { Ttl: hops, ..IP_OPTION_INFORMATION::default() });
        let options = options.as_ref().map_or(null(), |options| &raw const *options);
        // Of words, so that the structure at its begin is aligned.
        let mut reply = [0_u64; REPLY_WORDS];
        let (at, room) = buffer(&mut reply);
        let to = u32::from_ne_bytes(to.octets());
        // SAFETY: the handle is open; what is sent and the buffer are as long as they are said to be.
        let replies = unsafe {
            IcmpSendEcho(self.0, to, PAYLOAD.as_ptr().cast(), PAYLOAD.len() as u16, options, at, room, millis(wait))
        };
        if replies == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: one reply at least is at the buffer's begin, which is aligned.
        let reply = unsafe { &*at.cast::<ICMP_ECHO_REPLY>() };
        Ok((reply.Status, Ipv4Addr::from(reply.Address.to_ne_bytes())))
    }

    /// As [`Opened::send_v4`].
    fn send_v6(&self, to: Ipv6Addr, wait: Duration) -> io::Result<u32> {
        let mut reply = [0_u64; REPLY_WORDS];
        let (at, room) = buffer(&mut reply);
        let (any, to) = (socket_address(Ipv6Addr::UNSPECIFIED), socket_address(to));
        // SAFETY: as above; both addresses outlive the call, and neither event nor routine is given.
        let replies = unsafe {
            Icmp6SendEcho2(
                self.0,
                null_mut(),
                None,
                null(),
                &any,
                &to,
                PAYLOAD.as_ptr().cast(),
                PAYLOAD.len() as u16,
                null(),
                at,
                room,
                millis(wait),
            )
        };
        if replies == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: one reply at least is at the buffer's begin. Windows packs this structure, so it is read as it lies.
        Ok(unsafe { (&raw const (*at.cast::<ICMPV6_ECHO_REPLY_LH>()).Status).read_unaligned() })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: opened by us, closed once.
        unsafe { IcmpCloseHandle(self.0) };
    }
}

fn buffer(reply: &mut [u64; REPLY_WORDS]) -> (*mut c_void, u32) {
    (reply.as_mut_ptr().cast(), size_of_val(reply) as u32)
}

fn millis(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn socket_address(address: Ipv6Addr) -> SOCKADDR_IN6 {
    let sin6_addr = IN6_ADDR { u: IN6_ADDR_0 { Byte: address.octets() } };
    SOCKADDR_IN6 { sin6_family: AF_INET6, sin6_addr, ..SOCKADDR_IN6::default() }
}
