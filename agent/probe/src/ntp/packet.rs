//! The 48 bytes, and what they say about this host's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use upheld_model::{Outcome, check::NtpSpec};

use crate::ProbeResult;

/// A packet without extensions.
pub(super) const LENGTH: usize = 48;
/// Seconds from 1900, where NTP begins to count, to 1970.
const FROM_1900_TO_1970: u64 = 2_208_988_800;

/// Version 4, client; nothing of this host but the random number.
pub(super) fn question(nonce: [u8; 8]) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = 0x23;
    packet[40..].copy_from_slice(&nonce);
    packet
}

/// What a server answered to our question.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    /// Its time.
    Time(Server),
    /// Nothing that can be used; why.
    Useless(String),
}

/// A server's clock, in NTP's own units: seconds since 1900 and their fraction, 32 bits each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Server {
    received: u64,
    sent: u64,
    stratum: u8,
    leap: u8,
    root_delay_ms: f64,
    root_dispersion_ms: f64,
}

impl Reply {
    /// Reads a packet; `None` where it answers something else.
    pub(super) fn read(packet: &[u8], nonce: [u8; 8]) -> Option<Self> {
        let packet: &[u8; LENGTH] = packet.get(..LENGTH)?.try_into().ok()?;
        let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|offset| packet[at + offset]));
        let short_ms = |at: usize| {
            let number = u32::from_be_bytes(std::array::from_fn(|offset| packet[at + offset]));
            f64::from(number) / 65.536
        };
        let is_server = packet[0] & 7 == 4;
        if !is_server || packet[24..32] != nonce {
            return None;
        }
        let (leap, stratum) = (packet[0] >> 6, packet[1]);
        // chrony says stratum 0 without a code where it has no time.
        let code = &packet[12..16];
        if stratum == 0 && code.iter().all(u8::is_ascii_uppercase) {
            return Some(Self::Useless(kiss(code)));
        }
        if leap == 3 || stratum == 0 || stratum > 15 || word(40) == 0 || word(32) == 0 {
            return Some(Self::Useless(format!("has no time itself: it is not synchronised (stratum {stratum})")));
        }
        Some(Self::Time(Server {
            received: word(32),
            sent: word(40),
            stratum,
            leap,
            root_delay_ms: short_ms(4),
            root_dispersion_ms: short_ms(8),
        }))
    }
}

/// A kiss-o'-death in words (RFC 5905, 7.4).
fn kiss(code: &[u8]) -> String {
    let code = String::from_utf8_lossy(code);
    let meaning = match &*code {
        "RATE" => "it is asked too often",
        "DENY" | "RSTR" => "this host may not ask it",
        "INIT" | "STEP" => "it has just begun and has no time yet",
        _ => "it does not say why",
    };
    format!("sends this host away ({code}): {meaning}")
}

/// One exchange, seen from this host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exchange {
    server: Server,
    /// The server's clock minus this host's, in milliseconds.
    offset_ms: f64,
    /// The way there and back, in milliseconds.
    delay_ms: f64,
}

impl Exchange {
    /// `sent` by this host's clock, `took` by its monotonic one.
    pub(super) fn new(server: Server, sent: SystemTime, took: Duration) -> Self {
        let began = ntp_time(sent);
        let ended = began.wrapping_add(units(took));
        let difference = |a: u64, b: u64| a.wrapping_sub(b).cast_signed() as f64 / 4_294_967_296.0 * 1e3;
        let offset_ms = f64::midpoint(difference(server.received, began), difference(server.sent, ended));
        let delay_ms = (difference(ended, began) - difference(server.sent, server.received)).max(0.0);
        Self { server, offset_ms, delay_ms }
    }

    /// What it says about this host's clock. The way may have taken its time in one direction only: half of it is not
    /// certain, and is not held against the clock.
    pub(super) fn judge(&self, spec: &NtpSpec, name: &str) -> ProbeResult {
        let Server { stratum, leap, root_delay_ms, root_dispersion_ms, .. } = self.server;
        let certain_ms = self.offset_ms.abs() - self.delay_ms / 2.0;
        let outcome = if certain_ms >= f64::from(spec.bad_ms) {
            Outcome::Bad
        } else if certain_ms >= f64::from(spec.warn_ms) {
            Outcome::Warn
        } else {
            Outcome::Ok
        };
        let side = if self.offset_ms >= 0.0 { "behind" } else { "ahead of" };
        let off = length(self.offset_ms.abs());
        let doubt = if self.delay_ms > 100.0 {
            format!(", give or take {}", length(self.delay_ms / 2.0))
        } else {
            String::new()
        };
        let result = ProbeResult::new(outcome);
        let result = match result.outcome {
            Outcome::Ok => result,
            Outcome::Warn | Outcome::Bad | Outcome::Unknown { .. } => {
                result.evidence(format!("this host's clock is {off} {side} {name}{doubt} (stratum {stratum})"))
            }
        };
        let rounded = |ms: f64| (ms * 1e3).round() / 1e3;
        result
            .value("offset_ms", rounded(self.offset_ms))
            .value("delay_ms", rounded(self.delay_ms))
            .value("stratum", f64::from(stratum))
            .value("leap", f64::from(leap))
            .value("root_delay_ms", rounded(root_delay_ms))
            .value("root_dispersion_ms", rounded(root_dispersion_ms))
    }
}

/// A duration in NTP's units.
fn units(duration: Duration) -> u64 {
    (duration.as_secs() << 32) | ((u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000)
}

/// An instant in NTP's units, within its era of 136 years. A clock before 1970 counts backwards from there.
fn ntp_time(at: SystemTime) -> u64 {
    let epoch = FROM_1900_TO_1970 << 32;
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => epoch.wrapping_add(units(since)),
        Err(before) => epoch.wrapping_sub(units(before.duration())),
    }
}

/// `3.2 s`, `5.0 min`: in the largest unit of which there are two.
fn length(ms: f64) -> String {
    let (number, unit) = match ms {
        ms if ms < 1e3 => return format!("{ms:.0} ms"),
        ms if ms < 120e3 => (ms / 1e3, "s"),
        ms if ms < 7_200e3 => (ms / 60e3, "min"),
        ms if ms < 172_800e3 => (ms / 3_600e3, "h"),
        ms => (ms / 86_400e3, "days"),
    };
    format!("{number:.1} {unit}")
}
