//! The readers that agent and collector share, each behind one signature: bytes in, a panic where a property does not
//! hold. Those of the probes stand beside them (`agent/probe/src/fuzzing.rs`). Included by path: by the fuzzers of this
//! folder, and by `tests/any_bytes.rs`, which runs each over its seeds.

use std::{convert::Infallible, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Serialize, de::DeserializeOwned};
use upheld_delivery::{
    Moment, intake,
    journal::{Journal, JournalError, Position, Settings, Urgency},
    receiver::{self, Held, Records},
    storage::{Storage, sim::SimStorage},
};
use upheld_detection::{replay::Trace, schedule::Schedule};
use upheld_model::{AgentEvent, AgentId, ClientId, Digest, Epoch, Mono, ObservedAt, RecordId, SecretName, SiteId};
use upheld_sealing::{Purpose, SealedBox, SealingKey, check_value, open};
use upheld_wire::v1::{
    AgentConfig, Body, Conflict, DeliverRequest, Delivered, Problem,
    drill::DrillReport,
    enroll::{EnrollAnswer, EnrollLink, EnrollRequest, RenewAnswer, RenewRequest, ReturnAnswer, ReturnRequest},
    secrets::{SecretsAnswer, SecretsRequest},
};

/// A reader: its name, and what is done with bytes.
pub(crate) type Entry = (&'static str, fn(&[u8]));

/// All of them, by name, which is that of a seeds' folder.
pub(crate) const ENTRIES: &[Entry] = &[
    ("delivery", delivery),
    ("enroll-link", enroll_link),
    ("journal", journal),
    ("schedule", schedule),
    ("sealed", sealed),
    ("trace", trace),
    ("wire", wire),
];

/// A collector that holds no record.
struct Nothing;

impl Records for Nothing {
    type Error = Infallible;

    fn is_known(&mut self, _: &RecordId, _: &Digest) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn chain_after(&mut self, _: Epoch, _: u64) -> Result<Option<Digest>, Infallible> {
        Ok(None)
    }
}

/// What comes in at the data door: compressed or not, held against no history.
fn delivery(bytes: &[u8]) {
    let Ok(inflated) = intake::inflate(bytes).or_else(|_| Ok::<_, ()>(bytes.to_vec())) else { return };
    let Ok(request) = intake::read_request(&inflated) else { return };
    let judge = || receiver::judge(&Held::default(), &request, &mut Nothing);
    assert_eq!(judge(), judge(), "the same history gives the same verdict");
    let sent = intake::deflate(&request, None).expect("memory");
    let again = intake::inflate(&sent).map(|inflated| intake::read_request(&inflated).expect("what we wrote"));
    // One that came uncompressed may be larger than any that is sent.
    let same = |again: DeliverRequest| serde_json::to_value(again).ok() == serde_json::to_value(&request).ok();
    assert!(again.is_ok_and(same) || bytes.len() > 1 << 20);
}

/// A link that reads is written as it was read.
fn enroll_link(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(link) = text.parse::<EnrollLink>() {
        let again = link.to_string().parse::<EnrollLink>();
        assert_eq!(again.as_ref(), Ok(&link));
        assert!(!format!("{link:?}").contains(&link.token), "its token is a secret");
    }
}

/// The bytes of the journal's one segment, and what stands in its state behind the last `=== state\n`. Whatever was on the
/// disk, it opens, tells what it lost, takes a record, and has that one after the next start.
fn journal(bytes: &[u8]) {
    const MARK: &[u8] = b"=== state\n";
    let mark = bytes.windows(MARK.len()).rposition(|window| window == MARK);
    let (segment, state) = mark.map_or((bytes, None), |at| (&bytes[..at], Some(&bytes[at + MARK.len()..])));
    let mut disk = SimStorage::new(1);
    for (name, content) in [("0000000001.seg", Some(segment)), ("state", state)] {
        if let Some(content) = content {
            disk.create(name).and_then(|()| disk.append(name, content)).expect("a disk without faults");
        }
    }
    let now = Moment { mono: Mono(0), wall: ObservedAt(Timestamp::UNIX_EPOCH) };
    let settings = || Settings { segment_bytes: 4 << 10, budget_bytes: 1 << 20, ..Settings::default() };
    let mut dice = 1;
    let mut random = || {
        let mut mine: u64 = dice;
        dice += 1 << 32;
        Box::new(move |bytes: &mut [u8]| {
            bytes.iter_mut().for_each(|byte| *byte = (upheld_delivery::storage::sim::next(&mut mine) >> 8) as u8);
        })
    };
    let mut journal = match Journal::open(disk.clone(), settings(), random(), now) {
        Ok((journal, _)) => journal,
        Err(JournalError::Newer { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    journal.bodies_since(Position::BEGIN).expect("a disk without faults");
    let said = AgentEvent::Journal { at: now.wall, what: "a word of this run".into() };
    let body = Body { samples: Vec::new(), events: vec![said] };
    journal.append(&body, Urgency::Now, now).expect("room");
    let held = journal.bodies_since(Position::BEGIN).expect("a disk without faults");
    assert_eq!(held.iter().filter(|held| **held == body).count(), 1, "{held:?}");
    journal.close(now).expect("a disk without faults");
    let (mut journal, opened) = Journal::open(disk, settings(), random(), now).expect("what we wrote");
    assert!(opened.clean, "{opened:?}");
    assert_eq!(journal.bodies_since(Position::BEGIN).expect("a disk without faults"), held);
}

/// Instants of a schedule lie behind each other, in any zone.
fn schedule(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(schedule) = Schedule::read(&text).map_err(|refused| assert!(!refused.to_string().is_empty())) else {
        return;
    };
    match schedule {
        Schedule::Every(period) => {
            assert!(period >= Duration::from_secs(60) && period <= Duration::from_secs(366 * 86_400));
        }
        Schedule::Calendar(calendar) => {
            for zone in ["UTC", "America/Chicago", "Australia/Lord_Howe"].map(|name| TimeZone::get(name).expect(name)) {
                for begin in [Timestamp::UNIX_EPOCH, "2026-03-08T06:00:00Z".parse().expect("an instant")] {
                    let mut after = begin;
                    for next in calendar.between(begin, Timestamp::MAX, &zone).take(32) {
                        assert!(next > after || after == begin, "{text}: {next} does not follow {after}");
                        after = next;
                    }
                    assert!(calendar.next_after(begin, &zone).is_none_or(|next| next > begin));
                }
            }
        }
    }
}

/// A box that nobody made opens for nobody; a value is printable or refused.
fn sealed(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let key = SealingKey::from_text(KEY).expect("a key");
    assert_eq!(key.to_text().as_str(), KEY);
    let client: ClientId = "northgate".parse().expect("an id");
    let site: SiteId = "plant".parse().expect("an id");
    let agent: AgentId = "nvr-1".parse().expect("an id");
    let name: SecretName = "nvr-web".parse().expect("a name");
    let purpose = Purpose { client: &client, site: &site, agent: &agent, name: &name };
    assert!(open(&key, purpose, &SealedBox::from_text(text.clone())).is_err());
    let _ = (SealingKey::from_text(&text).is_ok(), check_value(&text).is_ok());
}

const KEY: &str = "70076d0a7318a57d3c16c17251b26645c6c2f9a3d8e1b4c5061728394a5b6c7d";

/// A file of samples for `replay`.
fn trace(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Trace::read(&text) {
        Ok(trace) => assert!(trace.lines() <= text.lines().count()),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

/// What both sides say, read as each of the messages: what reads is written, and reads again as the same.
fn wire(bytes: &[u8]) {
    fn twice<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
        let Ok(read) = serde_json::from_slice::<T>(bytes) else { return };
        let written = serde_json::to_string(&read).expect("what was read");
        let again = serde_json::from_str::<T>(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(serde_json::to_string(&again).expect("what was read"), written);
    }
    twice::<Body>(bytes);
    twice::<AgentConfig>(bytes);
    twice::<Conflict>(bytes);
    twice::<DeliverRequest>(bytes);
    twice::<Delivered>(bytes);
    twice::<Problem>(bytes);
    twice::<DrillReport>(bytes);
    twice::<EnrollRequest>(bytes);
    twice::<EnrollAnswer>(bytes);
    twice::<RenewRequest>(bytes);
    twice::<RenewAnswer>(bytes);
    twice::<ReturnRequest>(bytes);
    twice::<ReturnAnswer>(bytes);
    twice::<SecretsRequest>(bytes);
    twice::<SecretsAnswer>(bytes);
}
