//! `net.ntp`: how far this host's clock is from a time server's, by one exchange of SNTP (RFC 4330, RFC 5905).
//!
//! What is judged is this host's clock. A server that is silent, that sends us away (a kiss-o'-death) or that has no time
//! itself says nothing about it: *unknown*, with the reason.
//!
//! The question's timestamp is a random number and not this host's time: the answer repeats it, so that nobody who
//! cannot read along can answer in the server's place. The end of the exchange is counted by the monotonic clock, so that a
//! step of the clock in between cannot lie; differences wrap, so that they are right across the end of the era in 2036.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod packet;

use std::{
    net::IpAddr,
    time::{Instant, SystemTime},
};

use upheld_model::{Outcome, UnknownReason, check::NtpSpec};

use crate::{ProbeResult, allow::Reach, deadline::Deadline, fault, target::Targets, udp};
use packet::{Exchange, LENGTH, Reply};

/// After so many datagrams that answer something else, somebody floods this host.
const STRAYS_MAX: usize = 1000;

pub(crate) async fn run(targets: &Targets, spec: &NtpSpec, deadline: Deadline) -> ProbeResult {
    let addresses = match targets.addresses(&spec.target, Reach::Asks(spec.port), deadline).await {
        Ok(addresses) => addresses,
        Err(result) => return result,
    };
    let address = addresses[0];
    let name = if spec.target == "gateway" { format!("the gateway {address}") } else { spec.target.clone() };
    match ask(address, spec.port, &name, deadline).await {
        Ok(exchange) => exchange.judge(spec, &name),
        Err(result) => result,
    }
}

/// Asks, and once more when half of the time is over.
async fn ask(address: IpAddr, port: u16, name: &str, deadline: Deadline) -> Result<Exchange, ProbeResult> {
    let failed = |error: &std::io::Error| {
        let judged = fault::judge(error, address, &format!("asking port {port} of"));
        match (&judged.outcome, &judged.evidence) {
            (Outcome::Bad, Some(why)) => silent(&why.to_string()),
            (Outcome::Ok | Outcome::Warn | Outcome::Bad | Outcome::Unknown { .. }, _) => judged,
        }
    };
    let socket = udp::connected(address, port).await.map_err(|error| failed(&error))?;
    let mut strays = 0;
    for left in [deadline.share(2), deadline] {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(|error| failed(&std::io::Error::other(error)))?;
        let (sent_wall, sent) = (SystemTime::now(), Instant::now());
        socket.send(&packet::question(nonce)).await.map_err(|error| failed(&error))?;
        // One byte more than is read: a datagram's rest is dropped by the kernel.
        let mut buffer = [0; LENGTH + 1];
        while let Some(received) = left.bound(socket.recv(&mut buffer)).await {
            let took = sent.elapsed();
            let length = received.map_err(|error| failed(&error))?;
            match Reply::read(&buffer[..length], nonce) {
                Some(Reply::Time(server)) => return Ok(Exchange::new(server, sent_wall, took)),
                Some(Reply::Useless(why)) => return Err(silent(&format!("{name} {why}"))),
                None => strays += 1,
            }
            if strays >= STRAYS_MAX {
                return Err(silent(&format!("{name} sends a flood of answers to other questions")));
            }
        }
    }
    let strayed = if strays > 0 { format!(" to this question, only {strays} others") } else { String::new() };
    Err(silent(&format!("{name}: no answer from port {port}{strayed}, asked twice")))
}

/// Nothing is known of this host's clock.
fn silent(why: &str) -> ProbeResult {
    ProbeResult::unknown(UnknownReason::Stale, format!("{why}: nothing is known of this host's clock"))
}

#[cfg(test)]
mod tests;
