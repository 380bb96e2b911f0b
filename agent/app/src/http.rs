//! HTTP to the collector, and nobody else: one client, no redirects, no proxy but the configured one.

use std::{error::Error as StdError, io, time::Duration};

use jiff::Timestamp;
use reqwest::{Client, Proxy, redirect};
use rustls::{CertificateError, ClientConfig};
use upheld_wire::v1::Problem;
use url::Url;

use crate::{failure, tls::WrongRoot};

/// The longest a connection may take, TLS not included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest any request may take, under the sender's own patience: beyond it the line counts as broken.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(25);
/// A line that does not even acknowledge for so long is given up, so that the next request opens a new connection
/// and does not queue behind a dead one.
const DEAD_AFTER: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes: a configuration of 2,000 checks has under 1 MiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A client over a TLS configuration of [`crate::tls`]. The HTTP/2 windows are small: answers are short, and the
/// agent's memory is counted (PERFORMANCE, Agent).
pub(crate) fn client(tls: ClientConfig, proxy: Option<&Url>) -> Result<Client, reqwest::Error> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(1)
        .http2_keep_alive_interval(DEAD_AFTER)
        .http2_keep_alive_timeout(DEAD_AFTER)
        .http2_keep_alive_while_idle(false)
        .http2_initial_stream_window_size(65_535)
        .http2_initial_connection_window_size(65_535)
        .user_agent(concat!("upheld-agent/", env!("CARGO_PKG_VERSION")))
        .no_proxy();
    match proxy {
        Some(proxy) => builder.proxy(Proxy::all(proxy.as_str())?).build(),
        None => builder.build(),
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// `Retry-After` in seconds, where the collector named one.
    pub(crate) retry_after: Option<Duration>,
    /// `Date`: the server's clock, to the second.
    pub(crate) date: Option<Timestamp>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nobody listens, no route, no name, no time.
    #[error("no connection")]
    Unreachable(#[source] reqwest::Error),
    /// Somebody else answers than the collector of the link.
    #[error("whoever answers there does not show the provider's key that the link names")]
    WrongRoot,
    /// The server's certificate is not believed.
    #[error("the server's certificate is refused: {0}")]
    Certificate(CertificateError),
    /// TLS failed otherwise; a refused client certificate reads so too.
    #[error("the TLS connection failed")]
    Tls(#[source] rustls::Error),
    /// The line broke in mid-request: whether it arrived is unknown.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// More was answered than any answer has.
    #[error("the answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

/// Whether a line failed over this host's own certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// No.
    None,
    /// The connection broke once it was made.
    Perhaps,
    /// The collector said so.
    Said,
}

/// Sends a request and reads its answer within the limits.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Result<Answer, NoAnswer> {
    let mut response = request.send().await.map_err(classify)?;
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(reqwest::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let date = response.headers().get(reqwest::header::DATE).and_then(|value| {
        let zoned = jiff::fmt::rfc2822::parse(value.to_str().ok()?).ok()?;
        Some(zoned.timestamp())
    });
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(classify)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(NoAnswer::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, date, body })
}

impl Answer {
    /// The collector's refusal; a body that is none is described by its status.
    pub(crate) fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| Problem {
            kind: "about:blank".to_owned(),
            title: format!("the server answered {} without saying why", self.status),
            status: self.status,
            detail: String::new(),
            code: String::new(),
        })
    }
}

impl NoAnswer {
    /// Whether it may be this host's own certificate that is not believed: the collector says so by a TLS alert, which does
    /// not always come through.
    pub(crate) fn doubts_us(&self) -> Doubt {
        match self {
            Self::Tls(rustls::Error::AlertReceived(_)) => Doubt::Said,
            Self::Broken(_) => Doubt::Perhaps,
            Self::Tls(_) | Self::Unreachable(_) | Self::WrongRoot | Self::Certificate(_) | Self::TooLong => Doubt::None,
        }
    }

    /// The causes in words.
    pub(crate) fn words(&self) -> String {
        failure::chain_of(self)
    }
}

fn classify(error: reqwest::Error) -> NoAnswer {
    match tls_error(&error) {
        Some(rustls::Error::Other(other)) if other.0.is::<WrongRoot>() => NoAnswer::WrongRoot,
        Some(rustls::Error::InvalidCertificate(why)) => NoAnswer::Certificate(why.clone()),
        Some(other) => NoAnswer::Tls(other.clone()),
        None if error.is_connect() => NoAnswer::Unreachable(error.without_url()),
        None => NoAnswer::Broken(error.without_url()),
    }
}

/// Looks for a TLS error among the causes. An `io::Error` hides what it wraps from `source()`: it is asked for its
/// inner error first.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let wrapped = error.downcast_ref::<io::Error>().and_then(|io| io.get_ref());
    match wrapped {
        Some(inner) => tls_error(inner),
        None => tls_error(error.source()?),
    }
}
