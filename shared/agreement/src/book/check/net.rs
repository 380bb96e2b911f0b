//! Checks of names, clocks and certificates: `{ kind = "net.dns", look_up = "nvr.example.net", expect = "10.0.0.5" }`.

use std::{collections::BTreeSet, net::IpAddr};

use upheld_model::{
    ProbeSpec,
    check::{DNS_PORT, DnsSpec, NTP_PORT, NtpSpec, RESOLVER, RecordKind, TLS_PORT, TlsSpec},
};

use super::small;
use crate::book::{
    fields::{Fields, Node, Read, Reading, shown},
    scalar::PlainSeconds,
    schema::Shape,
};

/// Reads what `net.quality` asks.
pub(super) fn read_quality(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    Some(ProbeSpec::NetQuality { target: fields.required("target", reading)? })
}

/// Reads what `net.dns` asks. Without `record` it is what is expected, and IPv4 where nothing is.
pub(super) fn read_dns(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let target = fields.optional("target", reading).unwrap_or_else(|| RESOLVER.to_owned());
    let port = small(fields, "port", reading).unwrap_or(DNS_PORT);
    let look_up = fields.required("look_up", reading);
    let record = fields.optional("record", reading);
    let mut addresses =
        |key| fields.list::<Address>(key, reading).into_iter().map(|address| address.0).collect::<BTreeSet<_>>();
    let (expect, contains) = (addresses("expect"), addresses("contains"));
    let usual = match expect.iter().chain(&contains).next() {
        Some(IpAddr::V6(_)) => RecordKind::Aaaa,
        Some(IpAddr::V4(_)) | None => RecordKind::A,
    };
    let record = record.unwrap_or(usual);
    Some(ProbeSpec::NetDns(DnsSpec { target, port, look_up: look_up?, record, expect, contains }))
}

/// Reads what `net.ntp` asks; of the default gateway where no server is named.
pub(super) fn read_ntp(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let target = fields.optional("target", reading).unwrap_or_else(|| "gateway".to_owned());
    let port = small(fields, "port", reading).unwrap_or(NTP_PORT);
    let mut ms = |key, usual| {
        let given = fields.optional::<PlainSeconds>(key, reading);
        given.map_or(usual, |seconds| u32::try_from(seconds.0.saturating_mul(1000)).unwrap_or(u32::MAX))
    };
    let (warn_ms, bad_ms) = (ms("warn", 1_000), ms("bad", 5_000));
    Some(ProbeSpec::NetNtp(NtpSpec { target, port, warn_ms, bad_ms }))
}

/// Reads what `net.tls` asks.
pub(super) fn read_tls(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let target = fields.required("target", reading);
    let port = small(fields, "port", reading).unwrap_or(TLS_PORT);
    let server_name = fields.optional("server_name", reading);
    let pin = fields.optional("pin", reading);
    let (tls_warn_days, tls_bad_days) = certificate_days(fields, reading);
    Some(ProbeSpec::NetTls(TlsSpec { target: target?, port, server_name, pin, tls_warn_days, tls_bad_days }))
}

/// How long before its end a certificate warns, and is bad.
pub(super) fn certificate_days(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> (u16, u16) {
    let warn = fields.optional::<PlainSeconds>("tls_warn", reading);
    let bad = fields.optional::<PlainSeconds>("tls_bad", reading);
    let days = |given: Option<PlainSeconds>, usual| {
        given.map_or(usual, |seconds| u16::try_from(seconds.0 / 86_400).unwrap_or(u16::MAX))
    };
    (days(warn, 21), days(bad, 7))
}

/// `10.0.0.5` or `fd00::5`.
struct Address(IpAddr);

impl Read for Address {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let address = text.parse().ok();
        if address.is_none() {
            let message = format!("{:?} is not an address: write \"10.0.0.5\" or \"fd00::5\"", shown(&text));
            reading.bad_value(value, message);
        }
        address.map(Self)
    }

    fn shape() -> Shape {
        Shape::Text
    }
}
