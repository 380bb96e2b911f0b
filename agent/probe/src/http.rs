//! `net.http`: one GET, its status, its times, and what the certificate says.
//!
//! Each run makes its own connection to an address that was judged, follows no redirect, uses no proxy, logs in only where
//! the check says so and [`auth`] permits it, and reads at most 64 KiB of the body. Whatever certificate the server has is taken and described: a
//! recorder that signed its own is normal, and its expiry is still worth knowing.

mod auth;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use std::{net::IpAddr, sync::OnceLock, time::Instant};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, StatusCode, Uri,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use upheld_model::{Outcome, UnknownReason, sample::Value};
use url::{Host, Url};

use crate::{
    ProbeResult,
    allow::Reach,
    deadline::Deadline,
    fault,
    target::Targets,
    tcp::{self, Connected},
    tls::certificate::{self, Days, Inspector},
};
pub(crate) use auth::Login;

/// More of a page is not read: the status is known by then.
const BODY_MAX: usize = 64 * 1024;

/// What a check wants to see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expectation {
    /// The status that is good; `None` for 200 to 399.
    pub(crate) status: Option<u16>,
    pub(crate) certificate: Days,
}

/// What all HTTP checks share; made when the first one over TLS needs it.
pub(crate) struct Http {
    inspector: OnceLock<Inspector>,
}

impl Http {
    pub(crate) fn new() -> Self {
        Self { inspector: OnceLock::new() }
    }

    pub(crate) async fn run(
        &self,
        targets: &Targets,
        url: &str,
        login: Option<Login>,
        expected: Expectation,
        deadline: Deadline,
    ) -> ProbeResult {
        let page = match Page::parse(url) {
            Ok(page) => page,
            Err(why) => return ProbeResult::unknown(UnknownReason::CannotProbe, format!("{url}: {why}")),
        };
        let addresses = match targets.addresses(&page.host, Reach::Http(page.port), deadline).await {
            Ok(addresses) => addresses,
            Err(result) => return result,
        };
        let started = Instant::now();
        let connected = match tcp::connect(&addresses, page.port, deadline).await {
            Ok(connected) => connected,
            Err(result) => return result,
        };
        let connect = connected.took;
        if login.is_some()
            && let Err(result) = targets.may_have_secrets(connected.address, page.port)
        {
            return result;
        }
        let talk = async {
            match &page.tls_name {
                None => {
                    let header = match login.as_ref().map(|login| login.for_peer(connected.address, None)).transpose() {
                        Ok(header) => header,
                        Err(result) => return result,
                    };
                    fetch(connected.stream, &page, header, expected, connected.address).await
                }
                Some(name) => self.fetch_over_tls(connected, name.clone(), &page, login.as_ref(), expected).await,
            }
        };
        let result = deadline.bound(Box::pin(talk)).await.unwrap_or_else(|| {
            ProbeResult::bad(format!("connected, but no whole answer within {} ms", started.elapsed().as_millis()))
        });
        let result = refusal_of(result, login.as_ref(), expected);
        result.millis("connect_ms", connect).millis("total_ms", started.elapsed())
    }

    async fn fetch_over_tls(
        &self,
        connected: Connected,
        name: ServerName<'static>,
        page: &Page,
        login: Option<&Login>,
        expected: Expectation,
    ) -> ProbeResult {
        let inspector = self.inspector.get_or_init(|| Inspector::new(&[b"http/1.1"]));
        let session = match inspector.shake_hands(connected.stream, &name, &page.host).await {
            Ok(session) => session,
            Err(result) => return result,
        };
        let header = login.map(|login| login.for_peer(connected.address, Some(&session.certificate))).transpose();
        let result = match header {
            Ok(header) => fetch(session.stream, page, header, expected, connected.address).await,
            Err(result) => result,
        };
        session.certificate.judge(result.millis("tls_ms", session.took), expected.certificate)
    }
}

/// An address of the web, taken apart once.
struct Page {
    /// As it was written, an IPv6 address without its brackets.
    host: String,
    port: u16,
    /// The host header: the port only where it is not the usual one.
    authority: String,
    path: Uri,
    /// The name that the certificate should have; `None` for plain HTTP.
    tls_name: Option<ServerName<'static>>,
}

impl Page {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "not an address of the web")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address with credentials is not sent; leave them out");
        }
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("only http:// and https:// are asked"),
        };
        let host = match url.host().ok_or("it names no host")? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port_or_known_default().ok_or("it names no port")?;
        let name = ServerName::try_from(host.clone()).map_err(|_| "its host cannot stand in a certificate")?;
        let authority = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err("it names no host"),
        };
        let path = url[url::Position::BeforePath..url::Position::AfterQuery].parse();
        let path = path.map_err(|_| "its path cannot be sent")?;
        Ok(Self { host, port, authority, path, tls_name: is_tls.then_some(name) })
    }

    fn request(&self, login: Option<HeaderValue>) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        let agent = concat!("upheld-agent/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(login) = login {
            headers.insert(AUTHORIZATION, login);
        }
        if let Ok(authority) = self.authority.parse() {
            headers.insert(HOST, authority);
        }
        request
    }
}

/// Asks for the page over a connection that stands. Bounded by the caller's deadline.
async fn fetch<S>(
    stream: S,
    page: &Page,
    login: Option<HeaderValue>,
    expected: Expectation,
    peer: IpAddr,
) -> ProbeResult
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let started = Instant::now();
    let handshake = http1::Builder::new().max_buf_size(16 * 1024).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = match handshake {
        Ok(both) => both,
        Err(error) => return judge_http(&error, peer),
    };
    // The connection must be driven while the answer is awaited; when it ends first, the answer says why.
    let mut connection = std::pin::pin!(connection);
    let answer = async {
        let mut response = sender.send_request(page.request(login)).await?;
        let first_byte = started.elapsed();
        let bytes = read_body(response.body_mut()).await;
        Ok::<_, hyper::Error>((response.status(), first_byte, bytes))
    };
    let mut answer = std::pin::pin!(answer);
    let mut is_connected = true;
    let answered = std::future::poll_fn(|cx| {
        if is_connected && connection.as_mut().poll(cx).is_ready() {
            is_connected = false;
        }
        answer.as_mut().poll(cx)
    })
    .await;
    match answered {
        Err(error) => judge_http(&error, peer),
        Ok((status, first_byte, body)) => {
            let result = match body {
                Ok(bytes) => judge_status(status, expected).value("body_bytes", bytes as f64),
                Err(error) => ProbeResult::bad(format!("status {}, but the body broke off: {error}", status.as_u16())),
            };
            result.value("status", f64::from(status.as_u16())).millis("first_byte_ms", first_byte)
        }
    }
}

async fn read_body(body: &mut Incoming) -> Result<usize, hyper::Error> {
    let mut bytes = 0;
    while bytes < BODY_MAX {
        match body.frame().await {
            Some(frame) => bytes += frame?.data_ref().map_or(0, Bytes::len),
            None => break,
        }
    }
    Ok(bytes.min(BODY_MAX))
}

/// A page that refuses what was sent to log in is no failure of the page: unknown (credentials).
fn refusal_of(result: ProbeResult, login: Option<&Login>, expected: Expectation) -> ProbeResult {
    let status = match result.values.get("status") {
        Some(Value::Number(status)) => *status as u16,
        Some(Value::Text(_)) | None => return result,
    };
    match login {
        Some(login) if status == 401 && expected.status != Some(401) => {
            let ProbeResult { outcome, evidence, .. } = login.refused(status);
            ProbeResult { outcome, evidence, ..result }
        }
        Some(_) | None => result,
    }
}

/// 401 and 407 say that the device lives and wants credentials.
fn judge_status(status: StatusCode, expected: Expectation) -> ProbeResult {
    let number = status.as_u16();
    let is_good = expected.status.map_or((200..400).contains(&number), |good| good == number);
    if is_good {
        ProbeResult::new(Outcome::Ok)
    } else if expected.status.is_none() && matches!(number, 401 | 407) {
        let why =
            format!("status {number}: the page wants credentials; if that is as it should be, write status = {number}");
        ProbeResult::unknown(UnknownReason::Credentials, why)
    } else {
        let wanted = expected.status.map_or("200 to 399".to_owned(), |good| good.to_string());
        ProbeResult::bad(format!("status {number}, expected {wanted}"))
    }
}

fn judge_http(error: &hyper::Error, peer: IpAddr) -> ProbeResult {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return certificate::judge_alert(io).unwrap_or_else(|| fault::judge(io, peer, "asking"));
        }
        source = cause.source();
    }
    ProbeResult::bad(format!("{peer} gave no HTTP answer: {error}"))
}

#[cfg(test)]
mod tests;
