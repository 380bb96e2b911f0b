//! Whose fault an IO error is: the device's, or ours.
//!
//! Only errors that a device or the network towards it must have caused are *bad*. Everything else, above all what
//! this version does not know, is a fault of ours and *unknown*: a full descriptor table must not page anyone about
//! a camera.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr, UdpSocket},
};

use upheld_model::UnknownReason;

use crate::ProbeResult;

/// Judges an error met while connecting to, or talking with, `peer`; `what` is what was being done.
pub(crate) fn judge(error: &io::Error, peer: IpAddr, what: &str) -> ProbeResult {
    const THE_DEVICES: [ErrorKind; 8] = [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::BrokenPipe,
        ErrorKind::UnexpectedEof,
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::TimedOut,
    ];
    let kind = error.kind();
    if kind == ErrorKind::NetworkUnreachable && !has_route(peer) {
        return ProbeResult::unknown(UnknownReason::Local, format!("this host has no route to {peer}"));
    }
    if THE_DEVICES.contains(&kind) {
        return ProbeResult::bad(format!("{what} {peer}: {}", in_words(error)));
    }
    let reason = if kind == ErrorKind::PermissionDenied { UnknownReason::CannotProbe } else { UnknownReason::Local };
    ProbeResult::unknown(reason, format!("{what} {peer}: this host says: {}", in_words(error)))
}

/// The system's text without its number, which differs between platforms.
pub(crate) fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Whether the kernel knows a way to the address. "Network unreachable" comes from our own routing table or from a
/// router far away; connecting a datagram socket sends nothing and asks only the former.
fn has_route(peer: IpAddr) -> bool {
    let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    UdpSocket::bind(any).and_then(|socket| socket.connect((peer, 9))).is_ok()
}

#[cfg(test)]
mod tests {
    use upheld_model::Outcome;

    use super::*;

    fn outcome(error: io::Error) -> Outcome {
        judge(&error, "127.0.0.1".parse().unwrap(), "connecting to").outcome
    }

    #[test]
    fn the_devices_faults_are_bad() {
        for kind in [ErrorKind::ConnectionRefused, ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable] {
            assert_eq!(outcome(kind.into()), Outcome::Bad, "{kind:?}");
        }
    }

    #[test]
    fn faults_of_this_host_are_never_bad() {
        // EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, ENETDOWN on Linux, and a number that does not exist.
        for code in [24, 23, 105, 12, 99, 100, 4095] {
            let judged = outcome(io::Error::from_raw_os_error(code));
            assert_eq!(judged, Outcome::unknown(UnknownReason::Local), "{code}");
        }
        assert_eq!(outcome(ErrorKind::PermissionDenied.into()), Outcome::unknown(UnknownReason::CannotProbe));
    }

    #[test]
    fn evidence_has_words_and_no_numbers_of_one_platform() {
        let refused = judge(&io::Error::from_raw_os_error(111), "10.0.0.1".parse().unwrap(), "connecting to");
        assert_eq!(refused.evidence.unwrap().as_str(), "connecting to 10.0.0.1: Connection refused");
    }
}
