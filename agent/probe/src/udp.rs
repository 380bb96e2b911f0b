//! A UDP socket that talks with one server.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::UdpSocket;

/// Connected: the kernel passes on what comes from this address and port only, and that nothing listens there.
pub(crate) async fn connected(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let any = if address.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(SocketAddr::new(address, port)).await?;
    Ok(socket)
}
