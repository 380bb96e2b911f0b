//! What tests of several modules speak TLS with.

use std::{net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::pki::Pki;

/// A certificate and its key.
pub(crate) struct Identity {
    /// Leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// PKCS #8.
    pub(crate) key: Vec<u8>,
}

/// A client that trusts the authority's root and, because the portal is self-made, the portal.
pub(crate) fn client(pki: &Pki, identity: Option<&Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(pki.root()).unwrap();
    roots.add(pki.portal().chain[0].clone()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    match identity {
        Some(identity) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.clone()));
            builder.with_client_auth_cert(identity.chain.clone(), key).unwrap()
        }
        None => builder.with_no_client_auth(),
    }
}

/// Connects; without a marker in the configuration it is the portal that is meant, under its address.
pub(crate) async fn connect(
    address: SocketAddr,
    config: ClientConfig,
    name: &str,
) -> Result<TlsStream<TcpStream>, String> {
    let name = if config.alpn_protocols.is_empty() { "127.0.0.1".to_owned() } else { name.to_owned() };
    let tcp = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let name = ServerName::try_from(name).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|e| e.to_string())
}

/// One HTTP/1.1 connection that is kept.
pub(crate) struct Line(BufReader<TlsStream<TcpStream>>);

/// An answer: its status and its body, null where that is no JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The head, in small letters.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Value,
}

impl Line {
    /// Over an open connection.
    pub(crate) fn over(stream: TlsStream<TcpStream>) -> Self {
        Self(BufReader::new(stream))
    }

    /// Asks and waits for the whole answer. `headers` are whole lines.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{more}content-length: {}\r\n\r\n", body.len());
        self.0.write_all(head.as_bytes()).await.unwrap();
        self.0.write_all(body).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).await.unwrap(), 0, "closed after {head:?}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }
}
