//! The states of all checks travel once and are called by their name until they change, or until an answer leaves open
//! whether they are held. So do dictionaries and hashes that the reader makes itself.

use std::{collections::BTreeMap, time::Duration};

use upheld_delivery::{
    Moment,
    courier::Courier,
    intake,
    journal::{Settings, Urgency},
    sender::{Answer, Effect, Event},
    storage::sim::SimStorage,
};
use upheld_evidence::SigningKey;
use upheld_model::{AgentEvent, CheckId, Digest, Mono, ObservedAt, PresentId, finding::CheckState};
use upheld_wire::v1::{Body, CheckNow, ClockReading, DeliverRequest, Delivered, Now, Record, present, record::root};

struct Host {
    courier: Courier<SimStorage>,
    second: u64,
    checks: BTreeMap<CheckId, CheckNow>,
}

impl Host {
    fn new() -> Self {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let random = Box::new(|bytes: &mut [u8]| bytes.fill(7));
        let (courier, _) = Courier::open(SimStorage::new(1), key, Settings::default(), random, moment(0)).unwrap();
        let mut host = Self { courier, second: 0, checks: BTreeMap::new() };
        host.say(CheckState::Ok);
        host
    }

    fn say(&mut self, state: CheckState) {
        self.checks.insert("nvr-1/net.tcp".parse().unwrap(), CheckNow { state, since: moment(self.second).wall });
    }

    fn name(&self) -> Option<PresentId> {
        present::name(&self.checks)
    }

    /// The next request, when it is due.
    fn request(&mut self) -> (u64, DeliverRequest) {
        loop {
            if let Some(Effect::Post(post)) = self.courier.poll_effect() {
                let clock = ClockReading {
                    wall: moment(self.second).wall,
                    mono: moment(self.second).mono,
                    boot: "b".parse().unwrap(),
                };
                let now = Now { checks: self.checks.clone(), ..Now::default() };
                return (post.no, self.courier.request(&post, clock, now).unwrap());
            }
            self.second += 1;
            self.courier.handle_timeout(moment(self.second)).unwrap();
        }
    }

    /// One request, answered by a collector that holds what `held` says.
    fn exchange(&mut self, held: impl FnOnce(&Self) -> Option<PresentId>) -> DeliverRequest {
        let present = held(self);
        self.exchange_with(present, None)
    }

    /// One request, answered by a collector that holds this present and names this dictionary.
    fn exchange_with(&mut self, present: Option<PresentId>, dictionary: Option<u16>) -> DeliverRequest {
        let (no, request) = self.request();
        let answer = Answer::Delivered(Delivered {
            batch_digest: request.batch_digest,
            head: None,
            refused: Vec::new(),
            receipt: None,
            renew: false,
            secrets: None,
            present,
            dictionary,
            config_version: 0,
            collector_time: moment(0).wall.0,
        });
        self.answered(no, answer);
        request
    }

    /// A transition, which goes at once.
    fn append(&mut self) {
        let at = moment(self.second).wall;
        let body = Body { samples: Vec::new(), events: vec![AgentEvent::Configured { at, version: 1, refused: None }] };
        self.courier.append(&body, Urgency::Now, moment(self.second)).unwrap();
    }

    fn pack(&self, request: &DeliverRequest) -> Vec<u8> {
        intake::deflate(request, self.courier.dictionary()).unwrap()
    }

    fn answered(&mut self, no: u64, answer: Answer) {
        self.courier.handle(Event::Answered { no, answer }, moment(self.second));
    }
}

fn moment(second: u64) -> Moment {
    let wall = jiff::Timestamp::from_second(1_795_300_000 + i64::try_from(second).unwrap()).unwrap();
    Moment { mono: Mono(second * 1_000_000_000), wall: ObservedAt(wall) }
}

/// The chain before a request's first record.
fn before_first(request: &DeliverRequest) -> Digest {
    request.heads.last().map_or_else(|| root(request.records[0].epoch, None), |head| head.chain)
}

fn tells_all(request: &DeliverRequest) -> bool {
    assert_ne!(request.now.checks.is_empty(), request.now.unchanged.is_none(), "told or named: {:?}", request.now);
    request.now.unchanged.is_none()
}

#[test]
fn what_is_held_is_called_by_its_name_until_it_changes() {
    let mut host = Host::new();
    assert!(tells_all(&host.exchange(Host::name)));
    for _ in 0..3 {
        assert!(!tells_all(&host.exchange(Host::name)));
    }
    host.say(CheckState::Failed);
    assert!(tells_all(&host.exchange(Host::name)));
    assert!(!tells_all(&host.exchange(Host::name)));
}

#[test]
fn a_collector_that_knows_of_no_names_is_told_everything_each_time() {
    let mut host = Host::new();
    for _ in 0..3 {
        assert!(tells_all(&host.exchange(|_| None)));
    }
}

#[test]
fn after_an_answer_that_leaves_open_what_is_held_everything_is_told() {
    let refused = Answer::Refused { status: 503, code: String::new(), retry_after: None };
    let behind = Answer::Conflict(upheld_wire::v1::Conflict::Behind { heads: Vec::new() });
    for open in [Answer::Failed { what: "no line".to_owned() }, refused, behind] {
        let mut host = Host::new();
        assert!(tells_all(&host.exchange(Host::name)));
        let (no, request) = host.request();
        assert!(!tells_all(&request));
        host.answered(no, open.clone());
        assert!(tells_all(&host.request().1), "{open:?}");
    }
}

#[test]
fn a_collector_that_holds_another_present_is_told_everything_at_once() {
    let mut host = Host::new();
    assert!(tells_all(&host.exchange(Host::name)));
    assert!(!tells_all(&host.exchange(|_| Some(PresentId([1; 8])))));
    let before = host.second;
    assert!(tells_all(&host.exchange(Host::name)));
    assert!(Duration::from_secs(host.second - before) <= Duration::from_secs(1), "not with the next heartbeat");
}

#[test]
fn a_present_that_no_collector_can_name_as_we_do_is_told_at_the_usual_pace() {
    let mut host = Host::new();
    host.exchange(|_| Some(PresentId([1; 8])));
    let before = host.second;
    assert!(tells_all(&host.exchange(|_| Some(PresentId([1; 8])))));
    assert!(host.second - before >= 30, "{} s", host.second - before);
}

#[test]
fn a_dictionary_is_used_and_a_hash_left_out_only_after_an_answer_that_named_one() {
    let mut host = Host::new();
    let refused = || Answer::Refused { status: 415, code: "dictionary-unknown".to_owned(), retry_after: None };
    // By what the answer before named: whether the next request is short.
    for (named, is_short) in [(None, false), (Some(7), false), (Some(40_001), true)] {
        host.append();
        host.exchange_with(None, named);
        host.append();
        let (no, request) = host.request();
        assert_eq!(host.courier.dictionary(), is_short.then_some(40_001), "{named:?}");
        let is_left_out = |record: &Record| record.content_hash == Digest::ZERO;
        assert!(!request.records.is_empty() && request.records.iter().all(|record| is_left_out(record) == is_short));
        let read = intake::read_request(&intake::inflate(&host.pack(&request)).unwrap()).unwrap();
        assert_eq!(read.batch_digest, request.batch_digest);
        let mut before = before_first(&read);
        for record in &read.records {
            assert!(record.follows(&before), "the hash that was left out is the one that is in the chain");
            before = record.chain;
        }
        host.answered(no, refused());
        let (no, request) = host.request();
        assert_eq!(host.courier.dictionary(), None, "after a refusal as everybody reads it");
        assert!(!request.records.iter().any(is_left_out));
        host.answered(no, refused());
    }
}

#[test]
fn a_body_that_changed_on_the_way_is_told_by_the_chain_also_without_its_hash() {
    let mut host = Host::new();
    host.append();
    host.exchange_with(None, Some(40_001));
    host.append();
    let (_, request) = host.request();
    let text = serde_json::to_string(&request).unwrap();
    assert!(!text.contains("content_hash"));
    let mut before = before_first(&request);
    let read = intake::read_request(text.replace("2026-11-2", "2026-12-2").as_bytes()).unwrap();
    assert!(read.records.iter().any(|record| {
        let follows = record.follows(&before);
        before = record.chain;
        !follows
    }));
}
