//! Whom this host has talked with lately, as its kernel knows them: by IPv6 there is nobody to find otherwise, since no
//! network of it can be gone through.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::{
    AddressFamily,
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
};

/// How long the kernel may take; it answers at once.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most that are kept: a kernel keeps some thousand.
const NEIGHBOURS_MAX: usize = 4_096;

/// Neighbours by address, with the hardware address behind it. Empty where it cannot be read.
pub(super) async fn known() -> BTreeMap<IpAddr, Vec<u8>> {
    let asked = async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let mut found = BTreeMap::new();
        let mut heard = Ok(());
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut stream = handle.neighbours().get().set_address_family(family).execute();
            loop {
                match stream.try_next().await {
                    Ok(Some(message)) if found.len() < NEIGHBOURS_MAX => found.extend(neighbour(message)),
                    Ok(_) => break,
                    Err(error) => {
                        heard = Err(std::io::Error::other(error));
                        break;
                    }
                }
            }
        }
        connection.abort();
        heard.map(|()| found)
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::debug!(%error, "The kernel's neighbours cannot be read.");
            BTreeMap::new()
        }
        Err(_) => BTreeMap::new(),
    }
}

/// One that was there when it was asked for; nobody's address and those of groups have no hardware behind them.
fn neighbour(message: NeighbourMessage) -> Option<(IpAddr, Vec<u8>)> {
    if matches!(message.header.state, NeighbourState::Failed | NeighbourState::Incomplete | NeighbourState::Noarp) {
        return None;
    }
    let (mut address, mut hardware) = (None, None);
    for attribute in message.attributes {
        if let NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) = attribute {
            address = Some(IpAddr::V4(v4));
        } else if let NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) = attribute {
            address = Some(IpAddr::V6(v6));
        } else if let NeighbourAttribute::LinkLayerAddress(bytes) = attribute {
            hardware = Some(bytes);
        }
    }
    address.zip(hardware.filter(|bytes| !bytes.is_empty()))
}
