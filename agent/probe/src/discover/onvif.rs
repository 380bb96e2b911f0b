//! Who says by WS-Discovery that he is a camera (ONVIF core specification, 7; WS-Discovery 2005/04).
//!
//! One Probe for `dn:NetworkVideoTransmitter` is sent to the group 239.255.255.250, port 3702, from this host's own address
//! in each network that the site allows; it goes no further than that network. An answer counts when it comes from an
//! allowed address of one of these networks, in the time, and relates to the question. Its address is where it came
//! from: what it says of other addresses is not followed, and nobody is asked anything further.

mod answer;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::net::UdpSocket;

use super::{Camera, Network};
use crate::{allow::Reach, target::Targets};

/// The group and port of WS-Discovery (2.4).
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), PORT);
pub(super) const PORT: u16 = 3702;
/// How long answers are waited for. A device answers within half a second (APP_MAX_DELAY, 3.1.3).
const PATIENCE: Duration = Duration::from_secs(2);
/// The question is put twice, since nobody acknowledges a datagram.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// The largest answer that is read, in bytes; those of devices have some two thousand.
const ANSWER_BYTES_MAX: usize = 32 << 10;
/// The most answers of one look; each device sends one or two.
const ANSWERS_MAX: usize = 2_048;

/// Asks in each network in which this host has an address; `own` are these addresses.
pub(super) async fn cameras(
    targets: &Targets,
    networks: &[Network],
    own: impl Iterator<Item = IpAddr>,
) -> BTreeMap<IpAddr, Camera> {
    let mut found = BTreeMap::new();
    for address in own {
        let IpAddr::V4(own) = address else { continue };
        let Some(network) = networks.iter().find(|network| network.contains(address)) else { continue };
        let is_allowed = |address: IpAddr| {
            network.contains(address) && targets.permits(&address.to_string(), address, Reach::Asks(PORT)).is_ok()
        };
        // Of a network of which nothing is allowed nobody is asked.
        if !network.hosts().any(is_allowed) {
            continue;
        }
        match heard(own, is_allowed).await {
            Ok(more) => found.extend(more),
            Err(error) => tracing::debug!(%error, %network, "Cameras cannot be asked for."),
        }
    }
    found
}

async fn heard(own: Ipv4Addr, is_allowed: impl Fn(IpAddr) -> bool) -> std::io::Result<BTreeMap<IpAddr, Camera>> {
    let socket = asking(own)?;
    let question = message_id();
    let probe = probe(&question);
    socket.send_to(probe.as_bytes(), GROUP).await?;
    let end = tokio::time::Instant::now() + PATIENCE;
    let again = tokio::time::sleep(AGAIN_AFTER);
    tokio::pin!(again);
    let (mut found, mut asked_again, mut buffer) = (BTreeMap::new(), false, vec![0; ANSWER_BYTES_MAX + 1]);
    for _ in 0..ANSWERS_MAX {
        let (length, from) = tokio::select! {
            came = socket.recv_from(&mut buffer) => match came {
                Ok(came) => came,
                // That somebody's port is closed says nothing of others.
                Err(_) => continue,
            },
            () = &mut again, if !asked_again => {
                asked_again = true;
                socket.send_to(probe.as_bytes(), GROUP).await?;
                continue;
            }
            () = tokio::time::sleep_until(end) => break,
        };
        if length > ANSWER_BYTES_MAX || !is_allowed(from.ip()) {
            continue;
        }
        if let Some(camera) = answer::read(&buffer[..length], &question) {
            found.insert(from.ip(), camera);
        }
    }
    Ok(found)
}

/// A socket that asks from this address, no further than its network.
fn asking(own: Ipv4Addr) -> std::io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(SocketAddr::new(IpAddr::V4(own), 0))?;
    let known = socket2::SockRef::from(&socket);
    known.set_multicast_if_v4(&own)?;
    known.set_multicast_ttl_v4(1)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// A name of this question that nobody guesses.
fn message_id() -> String {
    let mut bytes = [0_u8; 16];
    // Without random bytes the clock will do: the name keeps answers apart, and no secret hangs on it.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = jiff::Timestamp::now().as_nanosecond().to_be_bytes();
    }
    // A version 4 UUID (RFC 9562, 5.4).
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn probe(id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\"><e:Header><w:MessageID>{id}</w:MessageID>\
         <w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"
    )
}
