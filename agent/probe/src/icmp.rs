//! `net.icmp`: one echo for liveness.
//!
//! A broken prober is *unknown* and never *down*: that is each platform's half's business, over a socket of our own
//! or by Windows' own call.
//!
//! Without the right to open an ICMP socket the check is unknown (cannot probe), or, where the check names a
//! `tcp_port`, the time of a TCP connection stands in, marked `via = tcp`.

#[cfg(unix)]
mod beyond;
#[cfg(all(unix, any(test, feature = "fuzzing")))]
pub(crate) mod fuzzing;
mod quality;
#[cfg(unix)]
mod socket;
#[cfg(windows)]
mod windows;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use upheld_model::{Outcome, UnknownReason};

#[cfg(unix)]
pub(crate) use beyond::beyond;
pub(crate) use quality::Quality;
#[cfg(unix)]
pub(crate) use socket::Echoes;
#[cfg(windows)]
pub(crate) use windows::{Echoes, beyond};

use crate::{ProbeResult, allow::Reach, deadline::Deadline, target::Targets, tcp};

/// At once. More in flight on one socket lose replies in our own buffer (PERFORMANCE).
const IN_FLIGHT_MAX: usize = 64;
/// The usual size of an echo, and enough to cross a link that breaks larger packets only.
const PAYLOAD: [u8; 56] = [0x55; 56];
/// What the canary may take; it goes to this host itself and takes 0.1 ms.
const CANARY: Duration = Duration::from_millis(150);

pub(crate) async fn run(
    echoes: &Echoes,
    targets: &Targets,
    target: &str,
    tcp_port: Option<u16>,
    deadline: Deadline,
) -> ProbeResult {
    let addresses = match targets.addresses(target, Reach::Echo, deadline).await {
        Ok(addresses) => addresses,
        Err(result) => return result,
    };
    let address = addresses[0];
    match (echoes.echo(address, deadline).await, tcp_port) {
        (Echo::Reply { rtt }, _) => ProbeResult::new(Outcome::Ok).millis("rtt_ms", rtt),
        (Echo::Silent { waited }, _) => {
            ProbeResult::bad(format!("{address}: no echo reply within {} ms", waited.as_millis()))
        }
        (Echo::Refused { why }, _) => ProbeResult::bad(format!("{address}: {why}")),
        (Echo::Failed(result), _) => result,
        (Echo::NoRight, Some(port)) => Box::pin(stand_in(targets, target, port, deadline)).await,
        (Echo::NoRight, None) => ProbeResult::unknown(
            UnknownReason::CannotProbe,
            "the agent may not open an ICMP socket: give its service CAP_NET_RAW, or name a tcp_port in the check",
        ),
    }
}

/// TCP instead of ICMP. A refused connection is an answer too: the device lives.
async fn stand_in(targets: &Targets, target: &str, port: u16, deadline: Deadline) -> ProbeResult {
    let addresses = match targets.addresses(target, Reach::Connect(port), deadline).await {
        Ok(addresses) => addresses,
        Err(result) => return result,
    };
    let started = Instant::now();
    let result = match tcp::connect(&addresses, port, deadline).await {
        Ok(connected) => ProbeResult::new(Outcome::Ok).millis("rtt_ms", connected.took),
        Err(result) if result.evidence.as_ref().is_some_and(|e| e.as_str().contains("refused")) => {
            ProbeResult::new(Outcome::Ok).millis("rtt_ms", started.elapsed())
        }
        Err(result) => result,
    };
    result.value("via", "tcp")
}

/// What one echo came to.
#[derive(Debug)]
pub(crate) enum Echo {
    Reply {
        rtt: Duration,
    },
    /// No reply, although our receiver works.
    Silent {
        waited: Duration,
    },
    /// Something on the way says that the target cannot be reached.
    Refused {
        why: String,
    },
    /// This process may not open an ICMP socket.
    NoRight,
    /// Anything else, judged.
    Failed(ProbeResult),
}

/// What an echo that lives for two hops came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// A router answered, or the target itself.
    Answers {
        /// Who.
        by: IpAddr,
        /// How soon.
        rtt: Duration,
    },
    /// Somebody says that there is no way.
    Refused {
        /// Who.
        by: IpAddr,
    },
    /// Nothing came.
    Silent,
    /// This process cannot ask so.
    NotAsked,
}

#[cfg(all(test, unix))]
mod tests;
