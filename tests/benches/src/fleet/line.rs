//! One agent's connection, with as little around it as may be: TLS, and HTTP/1.1 by hand.

use std::{io, sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use upheld_model::{Mono, ObservedAt, finding::CheckState};
use upheld_wire::v1::{self, CheckNow, ClockReading, DeliverRequest, Now, PROTOCOL, record::batch_digest};

/// As long as the agent waits for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// As long as it waits for an answer.
const ANSWER: Duration = Duration::from_secs(25);

/// An open connection to a data door.
pub struct Line(TlsStream<TcpStream>);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

impl Line {
    /// Connects to a port of loopback.
    ///
    /// # Errors
    /// Refused, or not within ten seconds.
    pub async fn connect(port: u16, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = v1::NAME_DATA.try_into().map_err(io::Error::other)?;
        let open = async {
            let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
            tcp.set_nodelay(true)?;
            TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await
        };
        timeout(CONNECT, open).await?.map(Self)
    }

    /// Posts a compressed delivery and reads the answer.
    ///
    /// # Errors
    /// The connection broke, or no answer within 25 seconds.
    pub async fn deliver(&mut self, body: &[u8]) -> io::Result<Answer> {
        timeout(ANSWER, self.ask(body)).await?
    }

    async fn ask(&mut self, body: &[u8]) -> io::Result<Answer> {
        let head = format!(
            "POST /v1/deliver HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-encoding: zstd\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all(&[head.as_bytes(), body].concat()).await?;
        self.0.flush().await?;
        let mut read = Vec::with_capacity(1024);
        let head = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if self.0.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let (len, retry_after) = (field("content-length:").unwrap_or(0), field("retry-after:"));
        let end = head + usize::try_from(len).map_err(io::Error::other)?;
        while read.len() < end {
            if self.0.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body: read[head..end].to_vec() })
    }
}

/// A heartbeat of an agent with 20 checks that are good since an instant, as it goes over the wire.
pub fn heartbeat(since: jiff::Timestamp) -> Vec<u8> {
    let now = jiff::Timestamp::now();
    let since = CheckNow { state: CheckState::Ok, since: ObservedAt(since) };
    let check = |number: usize| (format!("cam-{number:02}/net.icmp").parse().expect("a check"), since.clone());
    let request = DeliverRequest {
        protocol: PROTOCOL,
        heads: Vec::new(),
        clock: ClockReading { wall: ObservedAt(now), mono: Mono(1), boot: "bench".parse().expect("a boot id") },
        seen_checkpoint: None,
        now: Now {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_version: 1,
            checks: (0..20).map(check).collect(),
            ..Now::default()
        },
        records: Vec::new(),
        batch_digest: batch_digest(&[]),
        clock_of_records: None,
    };
    upheld_delivery::intake::deflate(&request, None).expect("memory")
}
