//! A small TCP service that the agent watches and a drill stops for real: it plays a device of the site.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinHandle};

/// A running service: it greets whoever connects.
pub(crate) struct Service {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Service {
    /// Starts on a free loopback port.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_at("127.0.0.1:0".parse().context("the loopback address")?).await
    }

    /// Starts on a given address: the same one again after a stop.
    pub(crate) async fn start_at(address: SocketAddr) -> Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("opening the TCP service on {address}"))?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // A visitor that hangs up early is what a port check does.
                let _ = stream.write_all(b"ready\n").await;
            }
        });
        Ok(Self { address, task })
    }

    /// Stops it: the port is closed when this returns.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.task.abort();
        // Waiting for the aborted task means waiting for its listener to be dropped.
        let _ = self.task.await;
        self.address
    }
}
