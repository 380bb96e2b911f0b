//! An agent's journal on disk, read and written by the same code that the agent uses, on a copy in memory.

use std::{fs, path::Path};

use jiff::Timestamp;
use upheld_delivery::{
    Moment,
    courier::Courier,
    journal::{Journal, Settings, Urgency},
    sender::Batch,
    storage::{Storage, sim::SimStorage},
};
use upheld_evidence::{SigningKey, from_hex};
use upheld_model::{Epoch, Mono, ObservedAt, Seq};
use upheld_wire::v1::{Body, limits::RECORDS_MAX, record::root};

/// One epoch of a journal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochLength {
    /// The epoch.
    pub epoch: Epoch,
    /// Records written.
    pub written: u64,
    /// Records that the collector has acknowledged.
    pub acknowledged: u64,
}

/// What the journal in an agent's state folder holds. The agent must not be running.
pub fn lengths(state: &Path) -> Vec<EpochLength> {
    let storage = load(&state.join("journal"));
    let (journal, _) = Journal::open(storage, Settings::default(), random(1), moment(Timestamp::now()))
        .expect("the agent's journal opens");
    let epochs = journal.view().into_iter().map(|view| EpochLength {
        epoch: view.acked.epoch,
        written: view.len,
        acknowledged: view.acked.len,
    });
    epochs.collect()
}

/// Writes bodies into the journal of an enrolled agent that has never run, as if it had been at work then.
pub fn write_history(state: &Path, history: &[(Timestamp, Body, Urgency)]) {
    let seed = fs::read_to_string(state.join("signing.key")).expect("the agent's signing key");
    let key = SigningKey::from_seed(&from_hex::<32>(seed.trim()).expect("hexadecimal")).expect("a key");
    let folder = state.join("journal");
    let begun = history.first().expect("some history").0;
    let storage = load(&folder);
    let (mut courier, _) =
        Courier::open(storage.clone(), key, Settings::default(), random(2), moment(begun)).expect("a journal");
    for (at, body, urgency) in history {
        courier.append(body, *urgency, moment(*at)).expect("the body is journalled");
    }
    courier.close(moment(history.last().expect("some history").0)).expect("the journal closes");
    save(&storage, &folder);
}

fn load(folder: &Path) -> SimStorage {
    let mut storage = SimStorage::new(7);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().expect("a plain name");
        storage.create(&name).expect("memory takes it");
        storage.append(&name, &fs::read(entry.path()).expect("the file")).expect("memory takes it");
    }
    storage
}

fn save(storage: &SimStorage, folder: &Path) {
    fs::create_dir_all(folder).expect("the folder");
    for (name, len) in storage.list().expect("memory lists") {
        let mut bytes = vec![0; usize::try_from(len).expect("a length")];
        let read = storage.read(&name, 0, &mut bytes).expect("memory reads");
        fs::write(folder.join(name), &bytes[..read]).expect("the file");
    }
}

fn moment(at: Timestamp) -> Moment {
    let nanoseconds = u64::try_from(at.as_nanosecond()).expect("after 1970");
    Moment { mono: Mono(nanoseconds), wall: ObservedAt(at) }
}

/// Random enough for one journal: a counter spread by a multiplication.
fn random(seed: u64) -> upheld_delivery::Random {
    let mut state = seed ^ u64::try_from(Timestamp::now().as_nanosecond()).expect("after 1970");
    Box::new(move |into: &mut [u8]| {
        for byte in into {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
    })
}

/// Every record that an agent's journal holds, in its order: its epoch, its place and its body, unless that was given up.
/// The agent must not be running. It fails where a chain does not hold.
pub fn records(state: &Path) -> Vec<(Epoch, u64, Option<Body>)> {
    let storage = load(&state.join("journal"));
    let (mut journal, _) = Journal::open(storage, Settings::default(), random(3), moment(Timestamp::now()))
        .expect("the agent's journal opens");
    let mut all = Vec::new();
    for view in journal.view() {
        let mut place = view.acked.len;
        let mut tip = (view.acked.len > 0).then_some(view.acked.chain);
        while place < view.len {
            let batch =
                Batch { epoch: view.acked.epoch, from: Seq(place), records_max: RECORDS_MAX, bytes_max: 1 << 20 };
            let records = journal.read(&batch).expect("the records are read");
            assert!(!records.is_empty(), "nothing at {place} of {view:?}");
            for record in records {
                let before = tip.unwrap_or_else(|| root(record.epoch, record.previous.as_ref()));
                assert!(record.seq == Seq(place) && record.follows(&before), "the chain does not hold at {place}");
                (tip, place) = (Some(record.chain), place + 1);
                all.push((record.epoch, record.seq.0, serde_json::from_str(record.body.get()).expect("a body")));
            }
        }
    }
    all
}
