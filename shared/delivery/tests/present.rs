//! The states of all checks travel once and are called by their name until they change, or until an answer leaves open
//! whether they are held.

use std::{collections::BTreeMap, time::Duration};

use upheld_delivery::{
    Moment,
    courier::Courier,
    journal::Settings,
    sender::{Answer, Effect, Event},
    storage::sim::SimStorage,
};
use upheld_evidence::SigningKey;
use upheld_model::{CheckId, Mono, ObservedAt, PresentId, finding::CheckState};
use upheld_wire::v1::{CheckNow, ClockReading, DeliverRequest, Delivered, Now, present};

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
        let (no, request) = self.request();
        let present = held(self);
        let answer = Answer::Delivered(Delivered {
            batch_digest: request.batch_digest,
            head: None,
            refused: Vec::new(),
            receipt: None,
            renew: false,
            secrets: None,
            present,
            config_version: 0,
            collector_time: moment(0).wall.0,
        });
        self.answered(no, answer);
        request
    }

    fn answered(&mut self, no: u64, answer: Answer) {
        self.courier.handle(Event::Answered { no, answer }, moment(self.second));
    }
}

fn moment(second: u64) -> Moment {
    let wall = jiff::Timestamp::from_second(1_795_300_000 + i64::try_from(second).unwrap()).unwrap();
    Moment { mono: Mono(second * 1_000_000_000), wall: ObservedAt(wall) }
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
