//! Servers that misbehave, on loopback. No real peer does what these do: the one place where a server of ours is right.
//!
//! Each runs in a thread until the test's process ends, and stops talking when the other side hangs up.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Arc,
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig, ServerConnection, crypto::ring, server::ClientHello, server::ResolvesServerCert, sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Serves each connection by `talk`; its error is that the other side has hung up.
pub(super) fn tcp(talk: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let talk = Arc::new(talk);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let talk = Arc::clone(&talk);
            std::thread::spawn(move || talk(stream));
        }
    });
    port
}

/// Waits for a question, and answers it with `answer`; then keeps the line open.
pub(super) fn says(answer: impl Into<Vec<u8>>) -> u16 {
    let answer = answer.into();
    tcp(move |mut stream| {
        question(&mut stream)?;
        stream.write_all(&answer)?;
        question(&mut stream)
    })
}

/// Answers with `head`, and then with `more` for as long as anybody listens.
pub(super) fn never_ends(head: &'static [u8], more: &'static [u8]) -> u16 {
    tcp(move |mut stream| {
        question(&mut stream)?;
        stream.write_all(head)?;
        let more = more.repeat((64 << 10) / more.len() + 1);
        loop {
            stream.write_all(&more)?;
        }
    })
}

/// Answers byte by byte, and goes on from its beginning when it is through.
pub(super) fn drips(answer: &'static [u8]) -> u16 {
    tcp(move |mut stream| {
        question(&mut stream)?;
        for byte in answer.iter().cycle() {
            stream.write_all(&[*byte])?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    })
}

/// Takes connections and never says a word.
pub(super) fn silent() -> u16 {
    tcp(|mut stream| {
        loop {
            question(&mut stream)?;
        }
    })
}

/// The next piece of what is asked.
fn question(stream: &mut TcpStream) -> io::Result<()> {
    match stream.read(&mut [0; 4096])? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Answers each datagram with what `answer` makes of it.
pub(super) fn udp(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        let mut datagram = [0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            for answer in answer(&datagram[..length]) {
                // Nobody may listen any more, and what does not fit into a datagram cannot be sent.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    port
}

/// By UDP an answer that is cut, and by TCP at the same port what `answer` makes of the question.
pub(super) fn dns_by_tcp(answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    let port = tcp(move |mut stream| {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut asked = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut asked)?;
        stream.write_all(&answer(&asked))?;
        question(&mut stream)
    });
    let socket = UdpSocket::bind(("127.0.0.1", port)).expect("the same port by UDP");
    std::thread::spawn(move || {
        let mut datagram = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            datagram[2] = 0x82;
            let _ = socket.send_to(&datagram[..length], from);
        }
    });
    port
}

/// A certificate from one year's first day to another's, for so many names, signed by itself.
pub(super) fn certificate(years: [i32; 2], names: usize) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let names: Vec<String> = (0..names).map(|number| format!("camera-{number}.site.test")).collect();
    let mut params = CertificateParams::new(names).expect("names");
    (params.not_before, params.not_after) = (date_time_ymd(years[0], 1, 1), date_time_ymd(years[1], 12, 31));
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    (certificate, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

/// A server of TLS that shows this chain, whatever it is.
pub(super) fn tls(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'static>) -> u16 {
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);
    impl ResolvesServerCert for Shows {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }
    let shown = CertifiedKey::new(chain, ring::sign::any_supported_type(key).expect("a key that signs"));
    let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = versions.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let config = Arc::new(config.with_cert_resolver(Arc::new(Shows(Arc::new(shown)))));
    tcp(move |mut stream| {
        let mut session = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        rustls::Stream::new(&mut session, &mut stream).read(&mut [0; 16]).map(drop)
    })
}
