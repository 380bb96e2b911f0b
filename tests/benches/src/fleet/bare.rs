//! The ceiling: hyper over rustls with the collector's own certificates and the same demand for a client's, which reads
//! each request and answers a constant of the length of the collector's answer. A process of its own, so that its memory
//! and processor time are its own.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;
use upheld_tests::{free_port, wait_for};

use super::held;

/// The first argument of the process that is the bare server.
const BARE: &str = "bare-server";
/// As the collector answers a heartbeat.
const ANSWER: &[u8] = br#"{"batch_digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","head":null,"secrets":{"version":0,"key":null},"config_version":1,"collector_time":"2026-11-28T19:00:00.000000Z"}"#;

/// The running server; it ends with this.
pub struct Bare {
    /// Its port.
    pub port: u16,
    child: Child,
}

impl Bare {
    /// Starts this very program as the bare server over a collector's `pki` folder.
    pub fn start(pki: &Path) -> Self {
        let port = free_port();
        let own = std::env::current_exe().expect("the bench's own file");
        let mut command = Command::new(own);
        command.arg(BARE).arg(port.to_string()).arg(pki).stdin(Stdio::null());
        let child = command.spawn().expect("the bare server starts");
        wait_for("the bare server listens", Duration::from_secs(10), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { port, child }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Is the bare server, and never comes back, when this process was started as one.
pub fn serve_if_asked() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(BARE) {
        return;
    }
    let port = arguments.next().and_then(|port| port.parse().ok()).expect("a port");
    let pki = arguments.next().map(PathBuf::from).expect("a folder");
    super::raise_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serve(port, &pki));
}

async fn serve(port: u16, pki: &Path) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("the option");
    socket.bind(([127, 0, 0, 1], port).into()).expect("the port");
    let listener = socket.listen(4_096).expect("the port");
    let acceptor = TlsAcceptor::from(Arc::new(tls(pki)));
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let _ = tcp.set_nodelay(true);
            let Ok(stream) = acceptor.accept(tcp).await else { return };
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).max_buf_size(64 << 10);
            let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    drop(request.into_body().collect().await);
    Ok(Response::new(Full::new(Bytes::from_static(ANSWER))))
}

/// As the collector's data door: TLS 1.3, a client's certificate demanded, no session kept.
fn tls(pki: &Path) -> ServerConfig {
    let (door, key) = held(&pki.join("doors.pem"));
    let mut roots = RootCertStore::empty();
    roots.add(held(&pki.join("root.pem")).0).expect("the root");
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .expect("a verifier");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![door, held(&pki.join("intermediate.pem")).0], key)
        .expect("a key that fits its certificate");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
