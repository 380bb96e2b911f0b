//! What readers of the queue's stream cost: processor time of the collector's part with 1, 50 and 200 of them. Usage:
//! `queue_streams [INCIDENTS] [SECONDS]`.
//!
//! Each reader is a stream of the real router, with a token of the provider's, read as it comes; nothing happens meanwhile, as
//! on most seconds of a day. Processor time is counted, not wall time. No peer does this.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use upheld_benches::Usage;
use upheld_desk::{Actor, Desk, ProblemReport, Rights, Scope};
use upheld_web::{NewHost, Portal};

const READERS: [usize; 3] = [1, 50, 200];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let argument = |at: usize, or: usize| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(or);
    let (incidents, seconds) = (argument(1, 200), argument(2, 10));
    let folder = TempDir::new().expect("a folder");
    let desk = Desk::new(upheld_store::sqlite::open(&folder.path().join("desk.db")).expect("a database"));
    let (now, who) = (Timestamp::now(), Actor::person("bench"));
    desk.apply_book(upheld_benches::read_book(folder.path()), &who, now).await.expect("the book is applied");
    let (client, site) = ("northgate".parse().expect("an id"), "plant-2".parse().expect("an id"));
    for number in 0..incidents {
        let report = ProblemReport {
            asset: None,
            text: format!("what is wrong, number {number}"),
            by: "plant".to_owned(),
            called_at: None,
            class: None,
            new: true,
        };
        desk.report_problem(&Scope::Provider, (&client, &site), report, &who, now).await.expect("it is taken");
    }
    let token = desk.new_api_token("bench", &Scope::Provider, Rights::Read, None, &who, now).await.expect("a token");
    let portal = upheld_web::portal(Portal {
        desk: desk.clone(),
        clock: Arc::new(Timestamp::now),
        new_host: Arc::new(|_| NewHost { link: String::new(), install: None }),
        metrics: Arc::new(String::new),
        certificates: Arc::new(Default::default),
        url: String::new(),
    });
    for readers in READERS {
        let mut streams = JoinSet::new();
        for reader in 0..readers {
            // They come one after the other, as people do: their seconds are not the same.
            let wait = Duration::from_millis(u64::try_from(reader * 2_000 / readers).expect("small"));
            streams.spawn(listen(portal.clone(), token.token.clone(), wait));
        }
        // All are there, and have what the page would have had.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let before = Usage::of(std::process::id()).expect("this process");
        tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
        let used = Usage::of(std::process::id()).expect("this process").since(before).cpu.as_secs_f64();
        streams.abort_all();
        println!(
            "{readers} readers, {incidents} open incidents: {:.1} % of a core ({:.2} ms a reader a second)",
            used / seconds as f64 * 100.0,
            used * 1e3 / seconds as f64 / readers as f64
        );
    }
}

/// One reader, as long as it is let.
async fn listen(portal: Router, token: String, wait: Duration) {
    tokio::time::sleep(wait).await;
    let request = Request::get("/events?view=queue").header("authorization", format!("Bearer {token}"));
    let answer = portal.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    let mut body = answer.into_body();
    while let Some(Ok(_)) = http_body_util::BodyExt::frame(&mut body).await {}
}
