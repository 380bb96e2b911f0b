//! What every relay of these tests begins with: a port of loopback, and the two directions of a connection.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

/// Takes connections on a port of its own, one after the other, for as long as the test runs; the port.
pub(crate) fn open(take: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || listener.incoming().flatten().for_each(take));
    port
}

/// A connection that goes on to another place.
pub(crate) struct Joined {
    /// From whom to whom, site to collector.
    pub(crate) up: (TcpStream, TcpStream),
    /// The same, collector to site.
    pub(crate) down: (TcpStream, TcpStream),
    /// Both ends again, for whoever cuts them.
    pub(crate) ends: [TcpStream; 2],
}

/// Goes on to `to`; `None` where that is away.
pub(crate) fn join(site: TcpStream, to: SocketAddr) -> Option<Joined> {
    let collector = TcpStream::connect(to).ok()?;
    // Pieces are not to be put together again on their way.
    let (_, _) = (site.set_nodelay(true), collector.set_nodelay(true));
    let up = (site.try_clone().ok()?, collector.try_clone().ok()?);
    let down = (collector.try_clone().ok()?, site.try_clone().ok()?);
    Some(Joined { up, down, ends: [site, collector] })
}
