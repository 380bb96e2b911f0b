//! Coming back: an agent whose certificate is no longer taken proves its key at the enrolment door (SECURITY 15).
//!
//! It asks by itself, again and again, and goes on observing. Who must wait for a person asks about as often as it
//! would report; whoever is refused asks each hour whether that has changed.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use upheld_evidence::sign_return;
use upheld_model::AgentId;
use upheld_wire::v1::{
    self, codes,
    enroll::{RenewAnswer, ReturnAnswer, ReturnRequest},
};

use super::renewal;
use crate::{
    clocks,
    http::Answer,
    identity::{self, FreshKey, TlsIdentity},
    state::StateFolder,
    uplink::{self, Reach},
};

/// The line may only have to be opened again: a report that is taken in the meantime ends the asking.
const FIRST_AFTER: Duration = Duration::from_secs(5);
/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(300);
/// How often a host asks that was refused.
const REFUSED_AGAIN: Duration = Duration::from_secs(3600);

/// That this agent asks to be taken back.
#[derive(Debug)]
pub(super) struct Returning {
    since: Timestamp,
    next: Instant,
    tries: u32,
    is_asking: bool,
    said: Option<String>,
}

/// Why the agent is not back yet.
#[derive(Debug)]
pub(crate) struct NotBack {
    why: String,
    /// How long to wait at least; `None`: as the tries say.
    after: Option<Duration>,
}

impl Returning {
    pub(super) fn begin(since: Timestamp, now: Instant) -> Self {
        Self { since, next: now + FIRST_AFTER, tries: 0, is_asking: false, said: None }
    }

    /// When to ask next; `None` while an answer is waited for.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        (!self.is_asking).then_some(self.next)
    }

    /// Whether to ask now; whoever is told so does.
    pub(super) fn asks(&mut self, now: Instant) -> bool {
        let is_due = !self.is_asking && self.next <= now;
        self.is_asking |= is_due;
        is_due
    }

    /// Notes why it is not back; whether that is news.
    pub(super) fn waits(&mut self, not: NotBack, now: Instant) -> bool {
        self.is_asking = false;
        self.tries = self.tries.saturating_add(1);
        let by_tries = (FIRST_AFTER * self.tries).min(LONGEST);
        self.next = now + not.after.map_or(by_tries, |asked| asked.max(by_tries));
        let is_news = self.said.as_ref() != Some(&not.why);
        self.said = Some(not.why);
        is_news
    }

    /// In words for a person.
    pub(super) fn words(&self) -> String {
        let since = self.since.strftime("%F %H:%M UTC");
        match &self.said {
            None => {
                format!("the collector no longer takes this host's certificate; asking to be taken back since {since}")
            }
            Some(why) => format!("asking to be taken back since {since}: {why}; what is seen is kept"),
        }
    }
}

/// Asks once; the new certificate is on disk before anybody is shown it.
pub(super) async fn ask(reach: &Reach, state: StateFolder, agent: AgentId) -> Result<TlsIdentity, NotBack> {
    let failed = |why: String| NotBack { why, after: None };
    let (from, who) = (state.clone(), agent);
    let made = tokio::task::spawn_blocking(move || prepare(&from, who)).await;
    let (key, request) = made.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
    let answer = match uplink::ask_back(&state, reach, &request).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(no_answer)) => return Err(failed(format!("the enrolment door is not reached ({})", no_answer.words()))),
        Err(failure) => return Err(failed(failure.to_string())),
    };
    if answer.status != 200 {
        return Err(refused(&answer));
    }
    let taken: ReturnAnswer = serde_json::from_slice(&answer.body).map_err(|error| failed(error.to_string()))?;
    let renewed = RenewAnswer { chain_pem: taken.chain_pem, roots_pem: taken.roots_pem };
    let kept = tokio::task::spawn_blocking(move || {
        let certificate = renewal::keep_certificate(&state, &key, &renewed)?;
        // Its key is in tls.pem now; one that stays here is only asked with again.
        let _ = std::fs::remove_file(state.return_pem());
        Ok::<_, String>(certificate)
    });
    kept.await.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

fn prepare(state: &StateFolder, agent: AgentId) -> Result<(FreshKey, ReturnRequest), String> {
    let words = |failure: crate::failure::Failure| failure.to_string();
    let key = FreshKey::for_return(state).map_err(words)?;
    let csr_pem = key.request_pem().map_err(words)?;
    let signing_key = identity::load_signing_key(state).map_err(words)?;
    let request = ReturnRequest {
        protocol: v1::PROTOCOL,
        proof: sign_return(&signing_key, &agent, &csr_pem).to_string(),
        agent,
        csr_pem,
        host: clocks::host_name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wall: clocks::wall(),
    };
    Ok((key, request))
}

fn refused(answer: &Answer) -> NotBack {
    let problem = answer.problem();
    let why = match problem.detail.as_str() {
        "" => problem.title,
        detail => format!("{}: {detail}", problem.title),
    };
    let is_final = matches!(problem.code.as_str(), codes::REVOKED | codes::RETURN_REFUSED | codes::UNKNOWN_AGENT);
    NotBack { why, after: if is_final { Some(REFUSED_AGAIN) } else { answer.retry_after } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not(why: &str, after: Option<u64>) -> NotBack {
        NotBack { why: why.to_owned(), after: after.map(Duration::from_secs) }
    }

    #[test]
    fn it_asks_soon_then_rarer_and_says_what_is_new_once() {
        let start = Instant::now();
        let mut returning = Returning::begin("2026-11-16T16:10:00Z".parse().unwrap(), start);
        assert!(!returning.asks(start), "the line may only have to be opened again");
        let then = start + FIRST_AFTER;
        assert!(returning.asks(then) && !returning.asks(then), "one question at a time");
        assert!(returning.next_wake().is_none());
        assert!(returning.waits(not("waits", Some(20)), then) && !returning.waits(not("waits", Some(20)), then));
        assert_eq!(returning.next_wake(), Some(then + Duration::from_secs(20)));
        for _ in 0..100 {
            returning.waits(not("no line", None), then);
        }
        assert_eq!(returning.next_wake(), Some(then + LONGEST));
        assert!(returning.words().contains("since 2026-11-16 16:10 UTC: no line"), "{}", returning.words());
    }

    #[test]
    fn who_is_refused_for_good_asks_each_hour_and_who_waits_as_often_as_he_is_told() {
        let answer = |code: &str, status| {
            let body = format!(
                r#"{{"type":"about:blank","title":"no","status":{status},"detail":"because","code":"{code}"}}"#
            );
            refused(&Answer { status, retry_after: Some(Duration::from_secs(20)), date: None, body: body.into() })
        };
        assert_eq!(answer(codes::REVOKED, 403).after, Some(REFUSED_AGAIN));
        let waits = answer(codes::RETURN_WAITS, 403);
        assert_eq!((waits.after, waits.why.as_str()), (Some(Duration::from_secs(20)), "no: because"));
        assert_eq!(answer(codes::QUARANTINED, 423).after, Some(Duration::from_secs(20)));
    }
}
