//! What Windows knows of this host's network: interfaces, routes, neighbours (`GetIfTable2` and its kin).
//!
//! The crate `ipconfig` tells of adapters and their addresses only; counters, routes and neighbours it does not wrap,
//! therefore `unsafe`. Each table is copied into values of ours and given back at once.
#![allow(unsafe_code)]

use std::{collections::BTreeMap, io, net::Ipv4Addr, ptr::null_mut};

use windows_sys::Win32::{
    NetworkManagement::{
        IpHelper::{
            FreeMibTable, GetIfTable2, GetIpForwardTable2, GetIpNetTable2, MIB_IF_ROW2, MIB_IF_TABLE2,
            MIB_IPFORWARD_ROW2, MIB_IPFORWARD_TABLE2, MIB_IPNET_ROW2, MIB_IPNET_TABLE2,
        },
        Ndis::{IfOperStatusUp, MediaConnectStateConnected, MediaConnectStateDisconnected, NET_IF_ADMIN_STATUS_UP},
    },
    Networking::WinSock::{AF_INET, NlnsIncomplete, NlnsUnreachable, SOCKADDR_INET},
};

use crate::surroundings::{Route, best};

/// An interface of this host.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    /// Windows' number for it, until the next start.
    pub(crate) index: u32,
    /// As its owner sees it: `Ethernet`, `Ethernet 2`.
    pub(crate) name: String,
    /// Its hardware address, as on Linux.
    pub(crate) address: String,
    pub(crate) is_enabled: bool,
    pub(crate) has_carrier: bool,
    /// Bits a second; `None` where Windows does not know.
    pub(crate) speed: Option<u64>,
    /// Frames that came damaged, frames that could not be sent.
    pub(crate) errors: [u64; 2],
    /// Whole frames that were thrown away, in and out.
    pub(crate) discards: [u64; 2],
    /// Whether it stands for an adapter and not for a layer above one.
    is_own: bool,
}

/// The interfaces of this host, without the layers that drivers put above them.
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    let mut table: *mut MIB_IF_TABLE2 = null_mut();
    // SAFETY: the call gives a table of its own, or an error.
    done(unsafe { GetIfTable2(&mut table) })?;
    // SAFETY: the table holds as many rows as it says, until it is given back below.
    let rows: &[MIB_IF_ROW2] =
        unsafe { std::slice::from_raw_parts((&raw const (*table).Table).cast(), (*table).NumEntries as usize) };
    let interfaces = rows.iter().map(interface).filter(|interface| interface.is_own).collect();
    // SAFETY: given by the call above, given back once; nothing of it is kept.
    unsafe { FreeMibTable(table.cast()) };
    Ok(interfaces)
}

fn interface(row: &MIB_IF_ROW2) -> Interface {
    let bytes = row.PhysicalAddress.iter().take(row.PhysicalAddressLength as usize);
    // The second bit of the flags is "filter interface": a layer above an adapter, under the adapter's name and more.
    let is_filter = row.InterfaceAndOperStatusFlags._bitfield & 2 == 2;
    let has_carrier = match row.MediaConnectState {
        state if state == MediaConnectStateConnected => true,
        state if state == MediaConnectStateDisconnected => false,
        // Adapters without a medium to be connected to.
        _ => row.OperStatus == IfOperStatusUp,
    };
    let name = row.Alias.iter().position(|unit| *unit == 0).unwrap_or(row.Alias.len());
    Interface {
        index: row.InterfaceIndex,
        name: String::from_utf16_lossy(&row.Alias[..name]),
        address: bytes.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"),
        is_enabled: row.AdminStatus == NET_IF_ADMIN_STATUS_UP,
        has_carrier,
        speed: Some(row.TransmitLinkSpeed).filter(|speed| (1..u64::MAX).contains(speed)),
        errors: [row.InErrors, row.OutErrors],
        discards: [row.InDiscards, row.OutDiscards],
        is_own: !is_filter,
    }
}

/// How Windows sends to an IPv4 address; `None` where no route leads there.
pub(crate) fn way_to(address: Ipv4Addr) -> Option<Route> {
    best(&routes().ok()?, address)
}

/// The default route of the lowest metric.
pub(crate) fn default_way() -> Option<Route> {
    let mut routes = routes().ok()?;
    routes.retain(|route| route.length == 0 && route.gateway.is_some());
    best(&routes, Ipv4Addr::UNSPECIFIED)
}

fn routes() -> io::Result<Vec<Route>> {
    let mut table: *mut MIB_IPFORWARD_TABLE2 = null_mut();
    // SAFETY: the call gives a table of its own, or an error.
    done(unsafe { GetIpForwardTable2(AF_INET, &mut table) })?;
    // SAFETY: as in `interfaces`.
    let rows: &[MIB_IPFORWARD_ROW2] =
        unsafe { std::slice::from_raw_parts((&raw const (*table).Table).cast(), (*table).NumEntries as usize) };
    let metrics = interface_metrics();
    let route = |row: &MIB_IPFORWARD_ROW2| {
        let gateway = address(&row.NextHop)?;
        Some(Route {
            to: address(&row.DestinationPrefix.Prefix)?,
            length: row.DestinationPrefix.PrefixLength,
            // Windows adds the interface's own.
            metric: row.Metric.saturating_add(metrics.get(&row.InterfaceIndex).copied().unwrap_or_default()),
            index: row.InterfaceIndex,
            gateway: (!gateway.is_unspecified()).then_some(gateway),
        })
    };
    let routes = rows.iter().filter_map(route).collect();
    // SAFETY: given by the call above, given back once; nothing of it is kept.
    unsafe { FreeMibTable(table.cast()) };
    Ok(routes)
}

/// The metric of each interface, by its number. By the list of adapters: wine ends a program that asks for the entry of one
/// (`GetIpInterfaceEntry`).
fn interface_metrics() -> BTreeMap<u32, u32> {
    let adapters = ipconfig::get_adapters().unwrap_or_default();
    adapters.iter().map(|adapter| (adapter.ipv6_if_index(), adapter.ipv4_metric())).collect()
}

/// Whether the hardware address behind an IPv4 address of an interface is known; `None` where nobody asked lately.
pub(crate) fn has_neighbour(wanted: Ipv4Addr, index: u32) -> Option<bool> {
    let mut table: *mut MIB_IPNET_TABLE2 = null_mut();
    // SAFETY: the call gives a table of its own, or an error.
    done(unsafe { GetIpNetTable2(AF_INET, &mut table) }).ok()?;
    // SAFETY: as in `interfaces`.
    let rows: &[MIB_IPNET_ROW2] =
        unsafe { std::slice::from_raw_parts((&raw const (*table).Table).cast(), (*table).NumEntries as usize) };
    let found = rows.iter().find(|row| row.InterfaceIndex == index && address(&row.Address) == Some(wanted));
    let is_known = found.map(|row| row.State != NlnsIncomplete && row.State != NlnsUnreachable);
    // SAFETY: given by the call above, given back once; nothing of it is kept.
    unsafe { FreeMibTable(table.cast()) };
    is_known
}

/// An address of IPv4.
fn address(socket: &SOCKADDR_INET) -> Option<Ipv4Addr> {
    // SAFETY: the family stands at the begin of each of its forms, and says which one it is.
    unsafe { (socket.si_family == AF_INET).then(|| Ipv4Addr::from(socket.Ipv4.sin_addr.S_un.S_addr.to_ne_bytes())) }
}

/// 0 is well; anything else is Windows' number for what is wrong.
fn done(code: u32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.cast_signed())) }
}
