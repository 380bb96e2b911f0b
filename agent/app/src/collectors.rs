//! Where the collector is: the address of the link, those that the site's administrator names, and those that the collector
//! named at enrolment. One that does not answer, or cannot take anything at the moment, is left for the next.

use std::sync::atomic::{AtomicUsize, Ordering};

use url::Url;

use crate::http::{Answer, NoAnswer};

/// The addresses, each `host` or `host:port`, and the one that is asked at present.
#[derive(Debug)]
pub(crate) struct Collectors {
    all: Vec<String>,
    /// How many of them the link and the site name.
    named: usize,
    present: AtomicUsize,
}

impl Collectors {
    /// That of the link first, then those that the site names, then those that the collector told.
    pub(crate) fn new(first: &str, others: &[String], told: &[String]) -> Self {
        let mut all = vec![first.to_owned()];
        let mut named = 1;
        for (at, other) in others.iter().chain(told).enumerate() {
            if !all.contains(other) {
                all.push(other.clone());
                named += usize::from(at < others.len());
            }
        }
        Self { all, named, present: AtomicUsize::new(0) }
    }

    /// Those that the link and the site name: checks may reach them. What a collector tells permits nothing (SECURITY 3).
    pub(crate) fn named(&self) -> &[String] {
        &self.all[..self.named]
    }

    /// The one to ask, by its place and its address.
    pub(crate) fn present(&self) -> (usize, &str) {
        let place = self.present.load(Ordering::Relaxed) % self.all.len();
        (place, &self.all[place])
    }

    /// What came of asking the one at `place`: after no answer, or one that says "not now", the next is asked.
    pub(crate) fn answered(&self, place: usize, answer: &Result<Answer, NoAnswer>) {
        let is_away = answer.as_ref().map_or(true, |answer| matches!(answer.status, 502..=504));
        let next = (place + 1) % self.all.len();
        // Of several requests under way only the first moves on.
        if is_away
            && next != place
            && self.present.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            tracing::info!(from = self.all[place], to = self.all[next], "The next collector is asked.");
        }
    }
}

/// Whether a text is `host` or `host:port`, as a link has it.
pub(crate) fn is_address(text: &str) -> bool {
    let Ok(url) = Url::parse(&format!("https://{text}")) else { return false };
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    is_plain && url.path() == "/" && !text.ends_with('/') && url.host().is_some() && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Result<Answer, NoAnswer> {
        Ok(Answer { status, retry_after: None, date: None, body: Vec::new() })
    }

    #[test]
    fn the_next_is_asked_after_no_answer_or_one_that_says_not_now_and_the_first_comes_again() {
        let collectors = Collectors::new("a", &["b:7443".into(), "a".into()], &[]);
        assert_eq!(collectors.named(), ["a", "b:7443"]);
        for status in [200, 403, 409, 423, 429, 500] {
            collectors.answered(0, &answer(status));
            assert_eq!(collectors.present(), (0, "a"), "{status}");
        }
        collectors.answered(0, &answer(503));
        assert_eq!(collectors.present(), (1, "b:7443"));
        collectors.answered(0, &Err(NoAnswer::WrongRoot));
        assert_eq!(collectors.present(), (1, "b:7443"), "a late answer of the one before");
        collectors.answered(1, &Err(NoAnswer::TooLong));
        assert_eq!(collectors.present(), (0, "a"));
    }

    #[test]
    fn what_the_collector_told_is_asked_too_and_permits_nothing() {
        let told = Collectors::new("a", &["b".into()], &["a".into(), "10.0.0.1:80".into(), "b".into(), "c".into()]);
        assert_eq!((told.named(), told.all.len()), (["a".to_owned(), "b".to_owned()].as_slice(), 4));
        (0..3).for_each(|place| told.answered(place, &Err(NoAnswer::TooLong)));
        assert_eq!(told.present(), (3, "c"));
    }

    #[test]
    fn one_alone_stays() {
        let alone = Collectors::new("a", &[], &[]);
        alone.answered(0, &answer(503));
        assert_eq!(alone.present(), (0, "a"));
    }

    #[test]
    fn an_address_is_a_host_and_perhaps_a_port() {
        for good in ["collector.example", "collector.example:7443", "192.0.2.7:1", "[2001:db8::1]:7443"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "https://a", "a/b", "a/", "u@a", "a?b", "a b", "a:port", "2001:db8::1", "a#b"] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
