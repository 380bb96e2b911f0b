//! `net.tcp`: whether a port takes connections. Nothing is said over the connection.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::net::TcpStream;
use upheld_model::{Outcome, UnknownReason};

use crate::{ProbeResult, allow::Reach, deadline::Deadline, fault, target::Targets};

pub(crate) async fn run(targets: &Targets, target: &str, port: u16, deadline: Deadline) -> ProbeResult {
    let addresses = match targets.addresses(target, Reach::Connect(port), deadline).await {
        Ok(addresses) => addresses,
        Err(result) => return result,
    };
    match connect(&addresses, port, deadline).await {
        Ok(connected) => ProbeResult::new(Outcome::Ok).millis("connect_ms", connected.took),
        Err(result) => result,
    }
}

/// A connection and how long it took to make, without the attempts at other addresses.
pub(crate) struct Connected {
    pub(crate) stream: TcpStream,
    pub(crate) address: IpAddr,
    pub(crate) took: Duration,
}

/// Connects to the first of the judged addresses that answers, each having its share of the time. What the first
/// one said is the result when none does.
pub(crate) async fn connect(addresses: &[IpAddr], port: u16, deadline: Deadline) -> Result<Connected, ProbeResult> {
    let mut first_failure = None;
    for (tried, address) in addresses.iter().enumerate() {
        let share = deadline.share(addresses.len() - tried);
        let started = Instant::now();
        let failure = match share.bound(TcpStream::connect(SocketAddr::new(*address, port))).await {
            Some(Ok(stream)) => return Ok(Connected { stream, address: *address, took: started.elapsed() }),
            Some(Err(error)) => fault::judge(&error, *address, &format!("connecting to port {port} of")),
            None => ProbeResult::bad(format!(
                "{address} port {port}: no answer within {} ms",
                started.elapsed().as_millis()
            )),
        };
        first_failure.get_or_insert(failure);
    }
    Err(first_failure.unwrap_or_else(|| ProbeResult::unknown(UnknownReason::Resolver, "no address to connect to")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, spec, tcp};

    #[tokio::test]
    async fn a_listening_port_is_ok_and_its_connect_time_is_measured() {
        let listener = testing::listener();
        let port = listener.local_addr().unwrap().port();
        let result = testing::prober(&format!("loopback_ports = [{port}]")).run(&tcp("127.0.0.1", port)).await;
        assert_eq!(result.outcome, Outcome::Ok, "{result:?}");
        assert!(testing::number(&result, "connect_ms") > 0.0 && result.took > Duration::ZERO);
    }

    #[tokio::test]
    async fn a_closed_port_is_bad_and_says_refused() {
        let port = testing::closed_port();
        let result = testing::prober(&format!("loopback_ports = [{port}]")).run(&tcp("127.0.0.1", port)).await;
        assert_eq!(result.outcome, Outcome::Bad);
        assert!(testing::evidence(&result).contains("refused"), "{result:?}");
    }

    #[tokio::test]
    async fn a_port_that_is_not_listed_is_not_touched() {
        let listener = testing::listener();
        let port = listener.local_addr().unwrap().port();
        let result = testing::prober("").run(&tcp("127.0.0.1", port)).await;
        assert_eq!(result.outcome, Outcome::unknown(UnknownReason::NotAllowed));
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn a_silent_device_is_bad_within_the_timeout() {
        let full = testing::full_backlog();
        let port = full.port;
        let check = spec(tcp("127.0.0.1", port), 300);
        let result = testing::prober(&format!("loopback_ports = [{port}]")).run(&check).await;
        assert_eq!(result.outcome, Outcome::Bad, "{result:?}");
        assert!(testing::evidence(&result).contains("no answer within"), "{result:?}");
        assert!(result.took < Duration::from_secs(3), "{:?}", result.took);
    }

    #[tokio::test]
    async fn the_second_address_is_tried_when_the_first_refuses() {
        let listener = testing::listener();
        let port = listener.local_addr().unwrap().port();
        let addresses = ["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let connected = connect(&addresses, port, Deadline::after(Duration::from_secs(2))).await;
        assert_eq!(connected.unwrap_or_else(|result| panic!("{result:?}")).address, addresses[1]);
    }
}
