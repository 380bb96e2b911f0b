//! One interface as `/sys/class/net` shows it.

use std::{fs, io, path::PathBuf};

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use super::seen::{Seen, Unseen};

/// Counted by the kernel, as they are named there.
const COUNTERS: &[&str] = &[
    "rx_crc_errors",
    "rx_frame_errors",
    "rx_length_errors",
    "rx_missed_errors",
    "rx_dropped",
    "tx_carrier_errors",
    "tx_aborted_errors",
    "collisions",
];

pub(super) fn read(interface: &str) -> Result<Seen, Unseen> {
    let folder = PathBuf::from("/sys/class/net").join(interface);
    let text = |name: &str| fs::read_to_string(folder.join(name)).map(|text| text.trim().to_owned());
    let number = |name: &str| text(name).ok().and_then(|text| text.parse::<u64>().ok());
    let shown: Option<u32> = match text("ifindex") {
        Ok(index) => index.parse().ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Unseen::Unreadable { error }),
    };
    let index = match (shown, own_index(interface)) {
        (Some(shown), Some(own)) if shown == own => own,
        (None, None) => return Err(Unseen::Missing { others: others() }),
        (Some(_) | None, Some(_)) | (Some(_), None) => return Err(Unseen::OtherNamespace),
    };
    let flags = text("flags").ok().and_then(|text| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    let downs = number("carrier_down_count").map(|count| ("carrier_down", count));
    let counted = COUNTERS.iter().filter_map(|name| Some((*name, number(&format!("statistics/{name}"))?)));
    Ok(Seen {
        index,
        address: text("address").unwrap_or_default(),
        is_enabled: flags.is_some_and(|flags| flags & 1 == 1),
        // Cannot be read of an interface that is switched off.
        has_carrier: number("carrier") == Some(1),
        // -1 where the driver does not know.
        speed_mbps: number("speed").and_then(|speed| u32::try_from(speed).ok()).filter(|speed| *speed > 0),
        is_half_duplex: match text("duplex").as_deref() {
            Ok("half") => Some(true),
            Ok("full") => Some(false),
            Ok(_) | Err(_) => None,
        },
        counters: downs.into_iter().chain(counted).collect(),
    })
}

/// The interface's number in this process's own network.
fn own_index(interface: &str) -> Option<u32> {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    netdevice::name_to_index(&any, interface).ok()
}

fn others() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
