//! One connection from its first byte to its end.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use jiff::Timestamp;
use rustls::server::Acceptor;
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tower::ServiceExt;
use tracing::debug;
use upheld_web::Remote;

use super::{Door, Limits, Routers, TlsSet, choose::choose, stopped};
use crate::pki::{Peer, PeerError, agent::identify};

/// A connection ends this long before its peer's certificate does.
const CERTIFICATE_MARGIN: Duration = Duration::from_secs(60);

/// An accepted connection and all that it needs.
pub(super) struct Connection {
    pub(super) tcp: TcpStream,
    pub(super) remote: SocketAddr,
    pub(super) tls: Arc<TlsSet>,
    pub(super) routers: Routers,
    pub(super) limits: Limits,
    pub(super) stop: watch::Receiver<bool>,
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("served")]
    Served,
    #[error("no ClientHello: {0}")]
    HelloRefused(std::io::Error),
    #[error("the handshake was refused: {0}")]
    HandshakeRefused(std::io::Error),
    #[error("the handshake took too long")]
    HandshakeTooSlow,
    #[error("no certificate at the data door")]
    NoPeer,
    #[error("{0}")]
    NotAnAgent(#[from] PeerError),
    #[error("no request in time")]
    NoRequest,
}

impl Ending {
    fn label(&self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::HelloRefused(_) => "hello-refused",
            Self::HandshakeRefused(_) => "handshake-refused",
            Self::HandshakeTooSlow => "handshake-too-slow",
            Self::NoPeer => "no-peer",
            Self::NotAnAgent(_) => "not-an-agent",
            Self::NoRequest => "no-request",
        }
    }
}

impl Connection {
    /// Serves the connection to its end and says how it ended.
    pub(super) async fn run(self) {
        let remote = self.remote;
        let ending = self.serve().await.unwrap_or_else(|ending| ending);
        debug!(%remote, "connection ended: {ending}");
        metrics::counter!("upheld_connections_total", "ending" => ending.label()).increment(1);
    }

    async fn serve(self) -> Result<Ending, Ending> {
        // Small answers must not wait for the peer's delayed acknowledgement. Failing to say so costs 40 ms.
        let _ = self.tcp.set_nodelay(true);
        let Self { tcp, remote, tls, routers, limits, stop } = self;
        // Each part lies on the heap for itself: what is needed for the handshake is given back when it is over, and of
        // what HTTP may need only the version that is spoken is there. A connection rests for most of its life, and
        // there are as many as there are agents.
        let (door, stream) = Box::pin(handshake(tcp, &tls, Instant::now() + limits.header)).await?;
        // An open connection does not keep the configuration of its handshake alive.
        drop(tls);
        let (_, session) = stream.get_ref();
        let is_h2 = session.alpn_protocol() == Some(b"h2");
        let peer = match door {
            Door::Data => Some(Arc::new(peer_of(session.peer_certificates())?)),
            Door::Enrolment | Door::Portal => None,
        };
        let Routers { data, enrolment, portal } = routers;
        let router = match door {
            Door::Data => data,
            Door::Enrolment => enrolment,
            Door::Portal => portal,
        };
        let ends = Instant::now() + life_of(peer.as_deref(), limits.age, Timestamp::now());
        let activity = Arc::new(Activity::default());
        let service = service(router, remote, peer, Arc::clone(&activity));
        let io = TokioIo::new(stream);
        let terms = Terms { limits, ends, stop };
        if is_h2 {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .keep_alive_interval(Some(Duration::from_secs(20)))
                .max_concurrent_streams(32)
                .max_header_list_size(16 << 10);
            drive(Box::pin(builder.serve_connection(io, service)), &activity, terms).await
        } else {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(limits.header).max_buf_size(64 << 10);
            drive(Box::pin(builder.serve_connection(io, service)), &activity, terms).await
        }
    }
}

/// Both halves of the handshake under one deadline.
async fn handshake(tcp: TcpStream, tls: &TlsSet, deadline: Instant) -> Result<(Door, TlsStream<TcpStream>), Ending> {
    let hello = timeout_at(deadline, LazyConfigAcceptor::new(Acceptor::default(), tcp))
        .await
        .map_err(|_| Ending::HandshakeTooSlow)?
        .map_err(Ending::HelloRefused)?;
    let door = choose(&hello.client_hello());
    let stream = timeout_at(deadline, hello.into_stream(tls.of(door)))
        .await
        .map_err(|_| Ending::HandshakeTooSlow)?
        .map_err(Ending::HandshakeRefused)?;
    Ok((door, stream))
}

/// The verifier has demanded a certificate; a session without one is closed all the same.
fn peer_of(certificates: Option<&[rustls_pki_types::CertificateDer<'_>]>) -> Result<Peer, Ending> {
    let leaf = certificates.and_then(<[_]>::first).ok_or(Ending::NoPeer)?;
    Ok(identify(leaf)?)
}

fn life_of(peer: Option<&Peer>, age: Duration, now: Timestamp) -> Duration {
    let Some(peer) = peer else { return age };
    let left = Duration::try_from(peer.not_after.duration_since(now)).unwrap_or_default();
    // A certificate with less than ten margins left is used for nine tenths of what remains.
    age.min(left.saturating_sub(CERTIFICATE_MARGIN.min(left / 10)))
}

/// Requests seen and in flight on one connection.
#[derive(Default)]
struct Activity {
    seen: AtomicU64,
    in_flight: AtomicU64,
    first: Notify,
}

struct InFlight(Arc<Activity>);

impl Activity {
    fn begin(self: &Arc<Self>) -> InFlight {
        self.seen.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.first.notify_one();
        InFlight(Arc::clone(self))
    }

    /// Returns once a whole `span` has passed without a request begun or in flight.
    async fn idle_for(&self, span: Duration) {
        loop {
            let seen = self.seen.load(Ordering::Relaxed);
            sleep(span).await;
            if self.seen.load(Ordering::Relaxed) == seen && self.in_flight.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn service(
    router: Router,
    remote: SocketAddr,
    peer: Option<Arc<Peer>>,
    activity: Arc<Activity>,
) -> impl hyper::service::HttpService<
    Incoming,
    ResBody = axum::body::Body,
    Error = std::convert::Infallible,
    Future = impl Future<Output = Result<axum::response::Response, std::convert::Infallible>> + Send,
> + Clone
+ Send {
    service_fn(move |mut request: Request<Incoming>| {
        let in_flight = activity.begin();
        request.extensions_mut().insert(Remote(remote));
        if let Some(peer) = peer.clone() {
            request.extensions_mut().insert(peer);
        }
        // On the heap: the connection keeps room for one of these for as long as it is open.
        let answer = Box::pin(router.clone().oneshot(request));
        async move {
            let answer = answer.await;
            drop(in_flight);
            answer
        }
    })
}

/// What a connection in service must keep to.
struct Terms {
    limits: Limits,
    ends: Instant,
    stop: watch::Receiver<bool>,
}

async fn drive<C: GracefulConnection>(
    mut connection: Pin<Box<C>>,
    activity: &Activity,
    terms: Terms,
) -> Result<Ending, Ending> {
    tokio::select! {
        // An error here is the peer's: a reset, a protocol error, a header that came too slowly.
        _ = connection.as_mut() => return Ok(Ending::Served),
        () = activity.first.notified() => {}
        () = sleep(terms.limits.header) => return Err(Ending::NoRequest),
    }
    tokio::select! {
        _ = connection.as_mut() => return Ok(Ending::Served),
        () = sleep_until(terms.ends) => {}
        () = activity.idle_for(terms.limits.idle) => {}
        () = stopped(terms.stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    // What does not finish within the drain time is cut off with the connection.
    let _ = timeout(terms.limits.drain, connection.as_mut()).await;
    Ok(Ending::Served)
}
