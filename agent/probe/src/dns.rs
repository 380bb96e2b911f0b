//! `net.dns`: what a resolver answers to one question. The resolver is what is watched: it is bad when it does not answer,
//! says that the name is not there, or tells another address than the one that is meant.
//!
//! The question goes out by UDP, twice where nothing comes, and by TCP where the answer says that it was cut. The system's
//! own resolver library is not used, so that no cache and no hosts file stands between; the message is read by
//! hickory-proto, the sockets and every bound are ours. What is not an answer to this very question is passed over.

mod answer;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use upheld_model::{UnknownReason, check::DnsSpec};

use crate::{ProbeResult, allow::Reach, deadline::Deadline, fault, target::Targets, tcp, udp};
use answer::{Answer, Question};

/// The longest answer by UDP that is read; without EDNS a server sends 512 bytes.
const DATAGRAM_MAX: usize = 4096;
/// After so many datagrams that answer something else, somebody floods this host.
const STRAYS_MAX: usize = 1000;

pub(crate) async fn run(targets: &Targets, spec: &DnsSpec, deadline: Deadline) -> ProbeResult {
    let addresses = match targets.addresses(&spec.target, Reach::Asks(spec.port), deadline).await {
        Ok(addresses) => addresses,
        Err(result) => return result,
    };
    // One server is asked, not whichever of several answers: it is the one that is watched.
    let server = Server { address: addresses[0], port: spec.port };
    let question = match Question::new(spec) {
        Ok(question) => question,
        Err(result) => return result,
    };
    let started = Instant::now();
    match ask(server, &question, deadline).await {
        Ok((answer, way)) => {
            answer.judge(spec, server.address).millis("answer_ms", started.elapsed()).value("via", way.word())
        }
        Err(result) => result,
    }
}

/// Where a resolver is.
#[derive(Debug, Clone, Copy)]
struct Server {
    address: IpAddr,
    port: u16,
}

/// How an answer came.
#[derive(Debug, Clone, Copy)]
enum Way {
    Udp,
    Tcp,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

async fn ask(server: Server, question: &Question, deadline: Deadline) -> Result<(Answer, Way), ProbeResult> {
    let answer = by_udp(server, question, deadline).await?;
    if !answer.is_cut {
        return Ok((answer, Way::Udp));
    }
    by_tcp(server, question, deadline).await.map(|answer| (answer, Way::Tcp))
}

async fn by_udp(server: Server, question: &Question, deadline: Deadline) -> Result<Answer, ProbeResult> {
    let Server { address, port } = server;
    let asking = || format!("asking port {port} of");
    let failed = |error: &std::io::Error| fault::judge(error, address, &asking());
    let socket = udp::connected(address, port).await.map_err(|error| failed(&error))?;
    let started = Instant::now();
    let mut strays = 0;
    let mut unreadable = None;
    for left in [deadline.share(2), deadline] {
        socket.send(&question.bytes).await.map_err(|error| failed(&error))?;
        let mut buffer = [0; DATAGRAM_MAX];
        while let Some(received) = left.bound(socket.recv(&mut buffer)).await {
            let length = received.map_err(|error| failed(&error))?;
            match Answer::read(&buffer[..length], question) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(why) => unreadable = Some(why),
            }
            strays += 1;
            if strays >= STRAYS_MAX {
                let why = format!("{address} sends a flood of answers to other questions");
                return Err(ProbeResult::unknown(UnknownReason::CannotProbe, why));
            }
        }
    }
    Err(silence(server, started.elapsed(), strays, unreadable))
}

/// Nothing came that answers the question.
fn silence(server: Server, waited: Duration, strays: usize, unreadable: Option<String>) -> ProbeResult {
    let Server { address, port } = server;
    let waited = waited.as_millis();
    match (unreadable, strays) {
        (Some(why), _) => ProbeResult::bad(format!("{address}: its answer cannot be read: {why}")),
        (None, 0) => ProbeResult::bad(format!("{address}: no answer from port {port} within {waited} ms, asked twice")),
        (None, _) => ProbeResult::bad(format!(
            "{address}: no answer to this question within {waited} ms, only {strays} that answer another"
        )),
    }
}

async fn by_tcp(server: Server, question: &Question, deadline: Deadline) -> Result<Answer, ProbeResult> {
    let Server { address, port } = server;
    let cut = "its answer does not fit into UDP, and by TCP";
    let connected = tcp::connect(&[address], port, deadline).await.map_err(|result| {
        let why = result.evidence.as_ref().map(ToString::to_string).unwrap_or_default();
        result.evidence(format!("{address}: {cut}: {why}"))
    })?;
    let mut stream = connected.stream;
    let talk = async {
        // RFC 1035 4.2.2: two bytes of length before each message.
        let length = u16::try_from(question.bytes.len()).unwrap_or(u16::MAX);
        let framed = [&length.to_be_bytes()[..], &question.bytes].concat();
        stream.write_all(&framed).await?;
        let length = stream.read_u16().await?;
        let mut message = vec![0; length.into()];
        stream.read_exact(&mut message).await?;
        Ok::<_, std::io::Error>(message)
    };
    let message = match deadline.bound(talk).await {
        Some(Ok(message)) => message,
        Some(Err(error)) => return Err(fault::judge(&error, address, "asking by TCP")),
        None => return Err(ProbeResult::bad(format!("{address}: {cut} no whole answer came in time"))),
    };
    match Answer::read(&message, question) {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(ProbeResult::bad(format!("{address}: {cut} it answers another question"))),
        Err(why) => Err(ProbeResult::bad(format!("{address}: {cut} it cannot be read: {why}"))),
    }
}

#[cfg(test)]
mod tests;
