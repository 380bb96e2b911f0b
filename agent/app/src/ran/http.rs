//! Jobs over HTTP on the agent's own host, where its `agent.toml` names a port: `curl http://127.0.0.1:PORT/hb/nightly`.
//!
//! The same word as `upheld-agent ran` says, for what can only call an address. On loopback unless the file names another
//! address; jobs that the book does not name are refused. Few connections at once, each short: whoever is slow is cut
//! off, and nobody keeps the agent's loop busy. A page in a browser may not speak for a job: it says where it comes from,
//! and is refused (SECURITY 9).

mod route;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming as Body},
    header::{HOST, HeaderMap, ORIGIN},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
};

use upheld_engine::RanRefused;

use super::{Answer, Word, open::PRINTED_MAX};
use crate::run::Incoming;

/// Connections at once; more wait in the system's queue.
const AT_ONCE: usize = 16;
/// For how long a connection may take its time over its header, and in all.
const HEADER: Duration = Duration::from_secs(5);
const ALL: Duration = Duration::from_secs(15);
/// What is read of a body at most: all but its end is dropped, and more is not waited for.
const BODY_MAX: usize = 16 << 20;
/// Until an address that cannot be had is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Listens for as long as the agent runs. An address that cannot be had is tried again and again: the agent watches on.
pub(crate) fn listen(address: SocketAddr, incoming: mpsc::Sender<Incoming>) {
    tokio::task::spawn_local(async move {
        let mut is_told = false;
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    tracing::info!(%address, "Jobs may tell over HTTP that they ran.");
                    serve(&listener, &incoming).await;
                }
                Err(error) if !is_told => {
                    is_told = true;
                    tracing::warn!(%address, %error, "Jobs cannot tell over HTTP that they ran: the address cannot be had.");
                }
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
}

/// Takes connections until the listener fails.
async fn serve(listener: &TcpListener, incoming: &mpsc::Sender<Incoming>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // Closed by nobody.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { return };
        let incoming = incoming.clone();
        tokio::task::spawn_local(async move {
            // Whoever is cut off or speaks something else gets no more than that.
            let _ = tokio::time::timeout(ALL, talk(stream, incoming)).await;
            drop(place);
        });
    }
}

async fn talk(stream: TcpStream, incoming: mpsc::Sender<Incoming>) -> Result<(), hyper::Error> {
    let answer = service_fn(move |request| {
        let incoming = incoming.clone();
        async move { Ok::<_, Infallible>(answer(request, &incoming).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(16 << 10)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

async fn answer(request: Request<Body>, incoming: &mpsc::Sender<Incoming>) -> Response<Full<Bytes>> {
    let (code, text) = match told(request, incoming).await {
        Ok(text) => (StatusCode::OK, text),
        Err(refused) => refused,
    };
    let mut response = Response::new(Full::new(Bytes::from(text + "\n")));
    *response.status_mut() = code;
    let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, plain);
    if code == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = hyper::header::HeaderValue::from_static("GET, HEAD, POST");
        response.headers_mut().insert(hyper::header::ALLOW, allowed);
    }
    response
}

/// Hands the word on; what is answered when it was taken.
async fn told(request: Request<Body>, incoming: &mpsc::Sender<Incoming>) -> Result<String, route::Refused> {
    refuse_browsers(request.headers())?;
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let asked = route::read(&method, uri.path(), uri.query())?;
    let body = if method == Method::POST { end_of_body(request.into_body()).await } else { String::new() };
    let printed = match asked.status {
        Some(status) if status != 0 => format!("exit status {status}\n{body}"),
        Some(_) | None => body,
    };
    let word = Word { job: asked.job, step: asked.step, started: None, run: asked.run, printed };
    let (tell, told) = oneshot::channel();
    let gone = || (StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping: tell it again".to_owned());
    incoming.send(Incoming::Ran(word, tell)).await.map_err(|_| gone())?;
    let said = told.await.map_err(|_| gone())?;
    match serde_json::from_str(&said) {
        Ok(Answer::Taken(_)) => Ok("OK".to_owned()),
        // What is asked again then is taken: curl --retry does so.
        Ok(Answer::Refused(why)) if why == RanRefused::Stopping.to_string() => Err(gone()),
        Ok(Answer::Refused(why)) => Err((StatusCode::NOT_FOUND, format!("not taken: {why}"))),
        Err(_) => Err(gone()),
    }
}

/// A browser names the page that asks; and a page that had its own name point here would call us by that name.
fn refuse_browsers(headers: &HeaderMap) -> Result<(), route::Refused> {
    let is_page = headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site");
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
    let is_plain = |host: &str| {
        let name = host.parse::<SocketAddr>().map(|at| at.ip().to_string());
        let name = name.unwrap_or_else(|_| host.trim_matches(['[', ']']).to_owned());
        name.parse::<std::net::IpAddr>().is_ok() || host.split(':').next() == Some("localhost")
    };
    if is_page || !host.is_none_or(is_plain) {
        let why = "jobs call this by its address, and not from a page: curl http://127.0.0.1:PORT/hb/JOB";
        return Err((StatusCode::FORBIDDEN, why.to_owned()));
    }
    Ok(())
}

/// The end of a body, as text; what comes beyond the bound, or breaks off, is left out: the word counts without it.
async fn end_of_body(mut body: Body) -> String {
    let (mut end, mut read) = (Vec::new(), 0);
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        end.extend_from_slice(&data);
        end.drain(..end.len().saturating_sub(PRINTED_MAX));
        if read > BODY_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&end).into_owned()
}
