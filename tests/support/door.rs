//! The collector's data door as somebody else than our agent would use it: TLS with an agent's certificate, and
//! HTTP/1.1 written by hand.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::ring, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::Value;
use upheld_wire::v1;

/// A connection to the data door.
pub struct DataDoor {
    tls: ClientConnection,
    socket: TcpStream,
}

/// What the door said.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Its body, which is JSON at this door.
    pub body: Value,
}

impl DataDoor {
    /// Connects with the certificate in one agent's state folder, trusting the roots in another's (or the same).
    pub fn connect(port: u16, identity_of: &Path, roots_of: &Path) -> io::Result<Self> {
        let pem = |path: &Path| std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (identity, roots) = (pem(&identity_of.join("tls.pem")), pem(&roots_of.join("roots.pem")));
        let mut anchors = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&roots) {
            anchors.add(root.expect("a root")).expect("a usable root");
        }
        let chain = CertificateDer::pem_slice_iter(&identity).map(|found| found.expect("a certificate")).collect();
        let key = PrivateKeyDer::from_pem_slice(&identity).expect("a key");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(anchors)
            .with_client_auth_cert(chain, key)
            .expect("a key that fits its certificate");
        config.alpn_protocols = vec![v1::ALPN_DATA.to_vec(), b"http/1.1".to_vec()];
        let name = v1::NAME_DATA.try_into().expect("a name");
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Self { tls, socket })
    }

    /// Sends a request whole and reads the answer. A refused certificate is an error here: in TLS 1.3 the client has
    /// finished its handshake before the server says no.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> io::Result<Answer> {
        self.send(&[head(method, path, headers, body.len()).as_bytes(), body].concat());
        self.answer()
    }

    /// Announces a body of so many bytes and sends nothing of it.
    pub fn announce(&mut self, method: &str, path: &str, len: usize) -> io::Result<Answer> {
        self.send(head(method, path, &[], len).as_bytes());
        self.answer()
    }

    /// Sends a body in one chunk, without saying before how long it is.
    pub fn pour(&mut self, path: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len());
        self.send(&[head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat());
        self.answer()
    }

    /// Whoever refuses may hang up before all of it is written: that is no failure, what he said is read next.
    fn send(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(16 << 10) {
            let mut sent = self.tls.writer().write_all(piece);
            while sent.is_ok() && self.tls.wants_write() {
                sent = self.tls.write_tls(&mut self.socket).map(drop);
            }
            if sent.is_err() {
                return;
            }
        }
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.read(1)?[0]);
        }
        let head = String::from_utf8(head).expect("a head is text").to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        let len = head.lines().find_map(|line| line.strip_prefix("content-length:")).map_or("0", str::trim);
        let body = self.read(len.parse().expect("a length"))?;
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Reads so many bytes; an alert is an error with its name.
    fn read(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let (mut bytes, mut filled) = (vec![0; len], 0);
        while filled < len {
            match self.tls.reader().read(&mut bytes[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.tls.read_tls(&mut self.socket)? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.tls.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }
}

fn head(method: &str, path: &str, headers: &[&str], len: usize) -> String {
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\n{more}\r\n")
}
