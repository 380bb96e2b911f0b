//! The queue with 2,000 open incidents: from the request to the finished page. Usage: `queue_rate [INCIDENTS]`.
//!
//! The incidents are reports at the sites of the book of the tests, each with pinned terms and clocks. No peer does this;
//! the goal is 100 ms for 2,000 (UX 2.8). The page draws its first 50 rows; every clock is replayed for their order.

use std::{sync::Arc, time::Instant};

use axum::{body::Body, http::Request};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tower::ServiceExt as _;
use upheld_benches::median;
use upheld_desk::{Actor, Desk, ProblemReport, Rights, Scope};
use upheld_web::Portal;

const ROUNDS: usize = 9;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let incidents: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let folder = TempDir::new().expect("a folder");
    let desk = Desk::new(upheld_store::sqlite::open(&folder.path().join("desk.db")).expect("a database"));
    let now = Timestamp::now();
    let who = Actor::person("bench");
    let files = upheld_benches::read_book(folder.path());
    desk.apply_book(files, &who, now).await.expect("the book is applied");
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
        let at = now + SignedDuration::from_secs(i64::try_from(number).expect("small"));
        desk.report_problem(&Scope::Provider, (&client, &site), report, &who, at).await.expect("it is taken");
    }
    let then = now + SignedDuration::from_hours(2);
    let token = desk.new_api_token("bench", &Scope::Provider, Rights::Read, None, &who, now).await.expect("a token");
    let portal = upheld_web::portal(Portal {
        desk: desk.clone(),
        clock: Arc::new(move || then),
        new_host: Arc::new(|_| upheld_web::NewHost { link: String::new(), install: None }),
        url: String::new(),
        metrics: Arc::new(String::new),
        certificates: Arc::new(Default::default),
    });
    let (mut computed, mut whole, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let queue = desk.queue(&Scope::Provider, then).await.expect("a queue");
        computed.push(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(queue.rows.len(), incidents);
        let request = Request::get("/queue").header("authorization", format!("Bearer {}", token.token));
        let begun = Instant::now();
        let answer = portal.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
        assert!(answer.status().is_success());
        bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a page").len();
        whole.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    println!(
        "{incidents} open incidents: {:.1} ms to compute, {:.1} ms to the finished page of {bytes} bytes (median of {ROUNDS})",
        median(computed),
        median(whole)
    );
}
