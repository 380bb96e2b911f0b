//! What is sent when, and what each answer does.

use super::*;

const EPOCH: Epoch = Epoch(1);

fn at(second: u64) -> Mono {
    Mono(second * 1_000_000_000)
}

fn head(epoch: Epoch, len: u64) -> Head {
    Head { epoch, len, chain: Digest([u8::try_from(len).unwrap(); 32]) }
}

fn view(acked: u64, len: u64, urgent_to: u64) -> Vec<EpochView> {
    vec![EpochView { acked: head(EPOCH, acked), len, urgent_to }]
}

fn sender() -> Sender {
    let mut sender = Sender::new(1, at(0));
    sender.look(view(0, 0, 0), at(0));
    sender
}

/// The post that is asked for, if any.
fn post(sender: &mut Sender) -> Option<Post> {
    while let Some(step) = sender.poll_step() {
        if let Step::Shell(Effect::Post(post)) = step {
            return Some(post);
        }
    }
    None
}

fn sent(sender: &mut Sender, post: &Post, to: u64) -> Digest {
    let digest = Digest([u8::try_from(post.no).unwrap() + 100; 32]);
    let head = post.batch.map(|batch| head(batch.epoch, to));
    sender.sent(post.no, Sent { digest, head, config_version: 1, unchanged: None });
    digest
}

fn delivered(digest: Digest) -> Answer {
    Answer::Delivered(Delivered {
        batch_digest: digest,
        head: None,
        refused: Vec::new(),
        receipt: None,
        renew: false,
        secrets: None,
        present: None,
        dictionary: None,
        config_version: 1,
        collector_time: "2026-11-16T16:10:07Z".parse().unwrap(),
    })
}

fn answer(sender: &mut Sender, post: &Post, answer: Answer, second: u64) {
    sender.handle(Event::Answered { no: post.no, answer }, at(second));
}

/// A sender that has said hello and was greeted.
fn greeted() -> Sender {
    let mut sender = sender();
    let hello = post(&mut sender).unwrap();
    assert_eq!(hello.batch, None);
    let digest = sent(&mut sender, &hello, 0);
    answer(&mut sender, &hello, delivered(digest), 0);
    sender
}

fn steps(sender: &mut Sender) -> Vec<Step> {
    std::iter::from_fn(|| sender.poll_step()).collect()
}

#[test]
fn a_transition_goes_at_once_and_samples_with_the_next_heartbeat() {
    let mut sender = greeted();
    sender.look(view(0, 3, 0), at(5));
    assert_eq!(post(&mut sender), None);
    assert_eq!(sender.poll_timeout(), Some(at(30)));
    sender.look(view(0, 4, 4), at(6));
    let urgent = post(&mut sender).unwrap();
    assert_eq!(urgent.batch.map(|batch| (batch.epoch, batch.from)), Some((EPOCH, Seq(0))));
}

#[test]
fn only_the_answer_to_this_request_acknowledges_and_only_its_batch() {
    let mut sender = greeted();
    steps(&mut sender);
    sender.look(view(0, 60, 60), at(1));
    let first = post(&mut sender).unwrap();
    let digest = sent(&mut sender, &first, 60);
    sender.handle(Event::Answered { no: first.no + 7, answer: delivered(digest) }, at(2));
    assert!(steps(&mut sender).is_empty(), "another number");
    answer(&mut sender, &first, delivered(Digest::ZERO), 2);
    assert!(!steps(&mut sender).iter().any(|step| matches!(step, Step::Acknowledge(_))), "another digest");
    sender.handle_timeout(at(4));
    let second = post(&mut sender).unwrap();
    let digest = sent(&mut sender, &second, 60);
    answer(&mut sender, &second, delivered(digest), 5);
    assert!(steps(&mut sender).iter().any(|step| matches!(step, Step::Acknowledge(held) if *held == head(EPOCH, 60))));
}

#[test]
fn nothing_is_sent_before_the_journal_has_carried_out_an_acknowledgement() {
    let mut sender = greeted();
    sender.look(view(0, 60, 60), at(1));
    let first = post(&mut sender).unwrap();
    let digest = sent(&mut sender, &first, 50);
    answer(&mut sender, &first, delivered(digest), 2);
    assert_eq!((post(&mut sender), sender.poll_timeout()), (None, None));
    sender.look(view(50, 60, 60), at(2));
    assert_eq!(post(&mut sender).unwrap().batch.map(|batch| batch.from), Some(Seq(50)));
}

#[test]
fn the_oldest_epoch_goes_first_and_every_claim_is_made() {
    let mut sender = greeted();
    let newer = EpochView { acked: head(Epoch(2), 1), len: 9, urgent_to: 9 };
    let older = EpochView { acked: head(EPOCH, 4), len: 6, urgent_to: 0 };
    sender.look(vec![older, newer], at(1));
    let post = post(&mut sender).unwrap();
    assert_eq!(post.batch.map(|batch| (batch.epoch, batch.from)), Some((EPOCH, Seq(4))));
    assert_eq!(post.heads, [head(EPOCH, 4), head(Epoch(2), 1)]);
}

#[test]
fn failures_wait_longer_each_time_and_never_more_than_a_minute() {
    let mut sender = greeted();
    sender.look(view(0, 1, 1), at(1));
    let (mut second, mut waits) = (1_u64, Vec::new());
    for _ in 0..10 {
        let failed = post(&mut sender).unwrap();
        answer(&mut sender, &failed, Answer::Failed { what: "no route".to_owned() }, second);
        let due = sender.poll_timeout().unwrap();
        waits.push(due.since(at(second)).as_millis());
        second = due.0.div_ceil(1_000_000_000);
        sender.handle_timeout(at(second));
    }
    assert!((500..=1000).contains(&waits[0]), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 60_000) && waits[9] >= 30_000, "{waits:?}");
}

#[test]
fn an_answer_that_never_comes_is_a_failure_after_half_a_minute() {
    let mut sender = greeted();
    steps(&mut sender);
    sender.look(view(0, 1, 1), at(1));
    let lost = post(&mut sender).unwrap();
    assert_eq!(sender.poll_timeout(), Some(at(31)));
    sender.handle_timeout(at(31));
    assert!(matches!(sender.standing, Standing::Unreachable { .. }));
    sender.handle_timeout(at(33));
    assert_eq!(post(&mut sender).map(|again| again.no), Some(lost.no + 1));
}

#[test]
fn conflicts_are_settled_at_once_but_not_for_ever() {
    let mut sender = greeted();
    steps(&mut sender);
    sender.look(view(5, 9, 9), at(1));
    for round in 0..CONFLICTS_AT_ONCE {
        let disputed = post(&mut sender).unwrap_or_else(|| panic!("round {round}"));
        answer(&mut sender, &disputed, Answer::Conflict(Conflict::Behind { heads: vec![head(EPOCH, 2)] }), 1);
        assert!(matches!(steps(&mut sender)[..], [Step::Believe(_)]));
        sender.look(view(2, 9, 9), at(1));
    }
    let disputed = post(&mut sender).unwrap();
    let fork = Conflict::Fork { epoch: EPOCH, held: head(EPOCH, 2), reason: "x".to_owned() };
    answer(&mut sender, &disputed, Answer::Conflict(fork), 1);
    assert!(steps(&mut sender).iter().any(|step| matches!(step, Step::Part(_))));
    sender.look(view(2, 9, 9), at(1));
    assert_eq!(post(&mut sender), None, "again and again: it waits");
    assert!(sender.poll_timeout() > Some(at(1)));
}

#[test]
fn a_refused_or_quarantined_agent_keeps_its_records_and_asks_rarely() {
    for (status, code) in [(403, codes::REVOKED), (423, codes::QUARANTINED)] {
        let mut sender = greeted();
        sender.look(view(0, 1, 1), at(1));
        let refused = post(&mut sender).unwrap();
        answer(&mut sender, &refused, Answer::Refused { status, code: code.to_owned(), retry_after: None }, 1);
        assert_eq!(sender.poll_timeout(), Some(at(301)));
        sender.handle_timeout(at(301));
        let asks = post(&mut sender).unwrap();
        assert_eq!(asks.batch, None, "no records for one who refuses them");
        let digest = sent(&mut sender, &asks, 0);
        answer(&mut sender, &asks, delivered(digest), 302);
        assert!(post(&mut sender).unwrap().batch.is_some(), "taken back: the backlog goes");
    }
}

#[test]
fn retry_after_is_obeyed_by_whatever_refusal_it_comes() {
    for (status, code) in [(429, codes::TOO_MANY), (503, codes::UNAVAILABLE), (502, "")] {
        let mut sender = greeted();
        sender.look(view(0, 400, 400), at(1));
        let busy = post(&mut sender).unwrap();
        let retry_after = Some(Duration::from_secs(120));
        answer(&mut sender, &busy, Answer::Refused { status, code: code.to_owned(), retry_after }, 1);
        assert!(sender.poll_timeout() >= Some(at(121)), "{status}");
        assert!(sender.poll_timeout() <= Some(at(152)), "{status}");
        sender.handle_timeout(at(120));
        assert!(post(&mut sender).is_none(), "{status}: not sooner");
        sender.handle_timeout(at(152));
        assert!(post(&mut sender).is_some(), "{status}: and then it is sent");
    }
}

#[test]
fn retry_after_is_obeyed_and_too_large_makes_smaller_batches() {
    let mut sender = greeted();
    sender.look(view(0, 400, 400), at(1));
    let busy = post(&mut sender).unwrap();
    let retry_after = Some(Duration::from_secs(120));
    answer(&mut sender, &busy, Answer::Refused { status: 429, code: codes::TOO_MANY.to_owned(), retry_after }, 1);
    assert!(sender.poll_timeout() >= Some(at(121)));
    assert!(sender.poll_timeout() <= Some(at(152)));
    sender.handle_timeout(at(152));
    let large = post(&mut sender).unwrap();
    answer(
        &mut sender,
        &large,
        Answer::Refused { status: 413, code: codes::TOO_LARGE.to_owned(), retry_after: None },
        152,
    );
    sender.handle_timeout(at(160));
    assert_eq!(post(&mut sender).unwrap().batch.map(|batch| batch.records_max), Some(RECORDS_MAX / 4));
}

#[test]
fn another_configuration_is_asked_for_once_and_an_ended_certificate_renewed() {
    let mut sender = sender();
    let hello = post(&mut sender).unwrap();
    let digest = sent(&mut sender, &hello, 0);
    let Answer::Delivered(news) = delivered(digest) else { unreachable!() };
    answer(&mut sender, &hello, Answer::Delivered(Delivered { config_version: 2, ..news.clone() }), 1);
    assert!(steps(&mut sender).iter().any(|step| matches!(step, Step::Shell(Effect::FetchConfig { version: 2 }))));
    sender.handle(Event::StateChanged, at(2));
    let next = post(&mut sender).unwrap();
    let batch_digest = sent(&mut sender, &next, 0);
    answer(&mut sender, &next, Answer::Delivered(Delivered { config_version: 2, batch_digest, ..news }), 2);
    assert!(steps(&mut sender).is_empty(), "it is being fetched");
    sender.handle(Event::StateChanged, at(3));
    let next = post(&mut sender).unwrap();
    let expired = Answer::Refused { status: 403, code: codes::CERTIFICATE_EXPIRED.to_owned(), retry_after: None };
    answer(&mut sender, &next, expired, 3);
    assert!(steps(&mut sender).iter().any(|step| matches!(step, Step::Shell(Effect::Renew))));
}

#[test]
fn who_waits_for_a_person_asks_as_he_is_told_and_another_certificate_is_tried_at_once() {
    let mut sender = sender();
    let hello = post(&mut sender).unwrap();
    let retry_after = Some(Duration::from_secs(20));
    let waits = Answer::Refused { status: 403, code: codes::PENDING.to_owned(), retry_after };
    answer(&mut sender, &hello, waits, 1);
    steps(&mut sender);
    assert_eq!(sender.poll_timeout(), Some(at(30)), "with its next heartbeat, not in five minutes");
    sender.handle_timeout(at(20));
    assert!(post(&mut sender).is_none(), "not before");
    sender.handle(Event::CertificateChanged, at(20));
    let next = post(&mut sender).expect("at once");
    assert_eq!(next.batch, None, "nothing is sent before it is known to be taken");
}

#[test]
fn an_early_renewal_is_asked_for_once_in_a_while_and_at_once_when_the_last_was_done() {
    let mut sender = greeted();
    let mut wanted = |(second, renew)| {
        sender.handle(Event::StateChanged, at(second));
        let next = post(&mut sender).unwrap();
        let digest = sent(&mut sender, &next, 0);
        let Answer::Delivered(news) = delivered(digest) else { unreachable!() };
        answer(&mut sender, &next, Answer::Delivered(Delivered { renew, ..news }), second);
        steps(&mut sender).iter().any(|step| matches!(step, Step::Shell(Effect::RenewEarly)))
    };
    let again = [(10, true), (100, true), (309, true), (310, true)].map(&mut wanted);
    assert_eq!(again, [true, false, false, true]);
    assert_eq!([(320, false), (330, true), (340, true)].map(&mut wanted), [false, true, false]);
}

#[test]
fn after_an_outage_the_present_goes_first_and_the_backlog_begins_small() {
    let mut sender = greeted();
    sender.look(view(0, 200, 200), at(1));
    let mut second = 1;
    for failure in 0..20 {
        let failed = post(&mut sender).unwrap();
        assert_eq!(failed.batch.is_some(), failure < OUTAGE, "failure {failure}");
        answer(&mut sender, &failed, Answer::Failed { what: "refused".to_owned() }, second);
        second = sender.poll_timeout().unwrap().0.div_ceil(1_000_000_000);
        sender.handle_timeout(at(second));
    }
    let hello = post(&mut sender).unwrap();
    assert_eq!(hello.batch, None, "the present alone");
    let digest = sent(&mut sender, &hello, 0);
    answer(&mut sender, &hello, delivered(digest), second);
    let (mut held, mut sizes) = (0, Vec::new());
    while let Some(next) = post(&mut sender) {
        let batch = next.batch.unwrap();
        sizes.push(batch.records_max);
        held = (held + batch.records_max as u64).min(200);
        let digest = sent(&mut sender, &next, held);
        answer(&mut sender, &next, delivered(digest), second);
        sender.look(view(held, 200, 200), at(second));
    }
    assert_eq!((held, &sizes[..4]), (200, &[2, 4, 8, 16][..]), "{sizes:?}");
}

#[test]
fn a_batch_that_is_too_much_for_its_line_becomes_small_enough() {
    let mut sender = greeted();
    sender.look(view(0, 100, 100), at(1));
    let (mut second, mut held) = (1, 0);
    // No more than twelve records arrive within the time that an answer may take.
    for _ in 0..200 {
        let Some(next) = post(&mut sender) else { break };
        let size = next.batch.map_or(0, |batch| batch.records_max);
        if size <= 12 {
            held = (held + size as u64).min(100);
            let digest = sent(&mut sender, &next, held);
            answer(&mut sender, &next, delivered(digest), second);
            sender.look(view(held, 100, 100), at(second));
        } else {
            second += 30;
            sender.handle_timeout(at(second));
            second = sender.poll_timeout().unwrap().0.div_ceil(1_000_000_000);
            sender.handle_timeout(at(second));
        }
    }
    assert_eq!(held, 100, "after {second} s");
    assert!(second < 1800, "{second} s");
}

/// A collector that is away for two hours comes back to a thousand agents.
#[test]
fn a_thousand_agents_come_back_spread_within_a_minute_and_a_half() {
    let back = 7200;
    let mut arrivals = std::collections::BTreeMap::<u64, u32>::new();
    for seed in 0..1000 {
        let mut sender = Sender::new(seed, at(0));
        sender.look(view(0, 200, 200), at(0));
        // All of them notice in the same second.
        let mut second = 0;
        loop {
            let next = post(&mut sender).unwrap();
            if second >= back {
                assert_eq!(next.batch, None, "seed {seed}");
                *arrivals.entry(second).or_default() += 1;
                break;
            }
            answer(&mut sender, &next, Answer::Failed { what: "refused".to_owned() }, second);
            second = sender.poll_timeout().unwrap().0.div_ceil(1_000_000_000);
            sender.handle_timeout(at(second));
        }
    }
    let (busiest, last) = (arrivals.values().max().unwrap(), arrivals.keys().last().unwrap() - back);
    println!("a thousand agents: {busiest} in the busiest second, the last after {last} s");
    assert!(*busiest <= 60, "{arrivals:?}");
    assert!(last <= 90, "{last} s");
}

#[test]
fn who_was_told_the_same_number_does_not_come_at_the_same_moment() {
    let mut dues: Vec<u64> = (0..200)
        .map(|seed| {
            let mut sender = Sender::new(seed, at(0));
            sender.look(view(0, 1, 1), at(0));
            let busy = post(&mut sender).unwrap();
            let retry_after = Some(Duration::from_secs(40));
            let code = codes::TOO_MANY.to_owned();
            answer(&mut sender, &busy, Answer::Refused { status: 429, code, retry_after }, 0);
            sender.poll_timeout().unwrap().since(at(0)).as_millis().try_into().unwrap()
        })
        .collect();
    dues.sort_unstable();
    assert!(dues[0] >= 40_000 && dues[199] <= 50_250, "{dues:?}");
    assert!(dues[199] - dues[0] > 8_000, "{dues:?}");
}

/// I1: 20 checks each ten seconds for a day are 8,640 records; an answer takes two seconds.
#[test]
fn a_day_of_backlog_is_sent_within_ten_minutes() {
    let mut sender = greeted();
    let (all, mut held, mut second) = (8640, 0, 1);
    // After an outage: the batches begin small.
    sender.records_max = 1;
    // What the tests' heads have room for is one byte; where the journal stands is what counts here.
    let standing =
        |held: u64| vec![EpochView { acked: Head { len: held, ..head(EPOCH, 1) }, len: all, urgent_to: all }];
    sender.look(standing(held), at(second));
    while let Some(next) = post(&mut sender) {
        let batch = next.batch.unwrap();
        assert_eq!(batch.from, Seq(held));
        held = (held + batch.records_max as u64).min(all);
        second += 2;
        let digest = sent(&mut sender, &next, 1);
        answer(&mut sender, &next, delivered(digest), second);
        sender.look(standing(held), at(second));
    }
    println!("a day of backlog: {second} s");
    assert!(held == all && second < 600, "{held} records in {second} s");
}
