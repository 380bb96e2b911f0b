//! One port, three doors: the agents' data, enrolment, and the portal (SECURITY 13).
//!
//! The accept loop looks at the ClientHello and chooses by ALPN; each door has its own TLS configuration and its own
//! router, and shares no session storage or ticketer with another: what one door accepted means nothing at the next.
//! A connection has one deadline for the whole handshake and one for its first request; a panic in it ends only it.
//! Nothing here knows what a request means. Refusals are counted in `upheld_connections_total` and told at DEBUG,
//! because strangers cause them; a panic is told at ERROR.

mod bounds;
mod choose;
mod connection;
mod room;
mod tls;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tracing::{debug, error, info, warn};

pub(crate) use bounds::bounded;
pub(crate) use room::connections;
pub(crate) use tls::TlsSet;

use connection::Connection;

/// Where a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Agents with a certificate.
    Data,
    /// Hosts that want one.
    Enrolment,
    /// People and their scripts.
    Portal,
}

/// What stands behind each door.
#[derive(Clone)]
pub(crate) struct Routers {
    /// Behind the data door; requests carry the [`crate::pki::Peer`] in an `Arc` as an extension.
    pub(crate) data: Router,
    /// Behind the enrolment door.
    pub(crate) enrolment: Router,
    /// Behind the portal.
    pub(crate) portal: Router,
}

/// The bounds of connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The whole handshake, and then the first request's header (SECURITY 19).
    pub(crate) header: Duration,
    /// Silence after which a connection without a request in flight is closed; agents speak every 5 minutes at most.
    pub(crate) idle: Duration,
    /// The longest life of a connection, so that rotated certificates are in use within a day.
    pub(crate) age: Duration,
    /// What a request in flight may take once the connection is to end.
    pub(crate) drain: Duration,
    /// Connections at once; more wait in the kernel's queue.
    pub(crate) connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(600),
            age: Duration::from_secs(24 * 3600),
            drain: Duration::from_secs(10),
            // Who serves asks for how many there is room ([`connections`]).
            connections: 4096,
        }
    }
}

/// A bound port with its three doors, not yet open.
pub(crate) struct Doors {
    listener: TcpListener,
    tls: watch::Receiver<Arc<TlsSet>>,
    routers: Routers,
    limits: Limits,
}

impl Doors {
    /// Doors on a port that is bound already. New connections take whatever `tls` holds at their time.
    pub(crate) fn new(
        listener: TcpListener,
        tls: watch::Receiver<Arc<TlsSet>>,
        routers: Routers,
        limits: Limits,
    ) -> Self {
        Self { listener, tls, routers, limits }
    }

    /// Takes connections until `stop` becomes true, then lets those in flight finish within the drain time.
    pub(crate) async fn serve(self, stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let mut stopped = pin!(stopped(stop.clone()));
        loop {
            let has_room = connections.len() < self.limits.connections;
            tokio::select! {
                () = stopped.as_mut() => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((tcp, remote)) => {
                        let connection = self.connection(tcp, remote, stop.clone());
                        connections.spawn(connection.run());
                    }
                    Err(failure) => pause_after(&failure).await,
                },
            }
            metrics::gauge!("upheld_connections_open").set(connections.len() as f64);
        }
        drop(self.listener);
        info!("no new connections are taken; {} are finishing", connections.len());
        let all = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        };
        if timeout(self.limits.drain + Duration::from_secs(1), all).await.is_err() {
            warn!("{} connections did not finish in time and were closed", connections.len());
        }
    }

    fn connection(&self, tcp: TcpStream, remote: SocketAddr, stop: watch::Receiver<bool>) -> Connection {
        Connection {
            tcp,
            remote,
            tls: Arc::clone(&self.tls.borrow()),
            routers: self.routers.clone(),
            limits: self.limits,
            stop,
        }
    }
}

/// Returns once `stop` is true. A dropped sender means that nobody is left to say so: that is a stop, too.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn report(ended: Result<(), JoinError>) {
    if let Err(join) = ended
        && join.is_panic()
    {
        error!("a connection was ended by a panic; the others go on");
        metrics::counter!("upheld_connections_total", "ending" => "panic").increment(1);
    }
}

/// A stranger's reset between his SYN and our accept is nothing; out of file descriptors is: give others time to end.
async fn pause_after(failure: &io::Error) {
    if matches!(failure.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        debug!("a connection was gone before it was accepted: {failure}");
    } else {
        warn!("cannot accept connections: {failure}; trying again (see `ulimit -n` if files have run out)");
        sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests;
