//! A thousand records, and a crash at every call of the disk on the way: by a kill, by a power loss, by one that tears.
//!
//! One run shows the disk before each of its calls; every crash of it is made at once, and what is left is opened.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, Mutex},
};

use super::*;
use crate::storage::sim::Disk;

const RECORDS: u64 = 1000;
/// Between two records: four samples, about, go into one group commit.
const STEP_MS: u64 = 290;

/// The disk as it was before one of its calls, and what must be found on it.
struct CrashPoint {
    op: u64,
    disk: Disk,
    /// What the call was about to append, and to which file.
    append: Option<(String, Vec<u8>)>,
    /// The ids of all bodies that were appended, in order.
    written: Vec<RecordId>,
    /// So many of them were said to be durable.
    durable: usize,
    /// So many were acknowledged at some time: they may be gone.
    held: usize,
}

/// What the run has come to, as the watcher of its disk sees it.
#[derive(Default)]
struct Account {
    written: RefCell<Vec<RecordId>>,
    durable: Cell<usize>,
    held: Cell<usize>,
    /// What the journal drew last: a record's id, then its salt.
    drawn: Arc<Mutex<Vec<RecordId>>>,
}

fn at(ms: u64) -> Moment {
    let wall = jiff::Timestamp::from_millisecond(1_795_300_000_000 + ms as i64).unwrap();
    Moment { mono: Mono(ms * 1_000_000), wall: ObservedAt(wall) }
}

/// Small segments and a budget that a third of the run fills.
fn tight() -> Settings {
    Settings { segment_bytes: 6 << 10, budget_bytes: 40 << 10, ..Settings::default() }
}

fn remembering(account: &Rc<Account>) -> Random {
    let (drawn, mut draw) = (Arc::clone(&account.drawn), random(0x5eed));
    Box::new(move |bytes: &mut [u8]| {
        draw(bytes);
        if let Ok(id) = <[u8; 16]>::try_from(&*bytes) {
            drawn.lock().unwrap().push(RecordId(id));
        }
    })
}

/// Transitions that are synced at once, samples in group commits, full segments, acknowledgements, a fork, a restored
/// collector, 80 hours in which what is acknowledged grows old, samples thinned for the budget, a close.
fn a_thousand_records(journal: &mut Journal<SimStorage>, account: &Account) {
    let mut ms = 0;
    for number in 0..RECORDS {
        ms += if number == 800 { 80 * 3_600_000 } else { STEP_MS };
        let (body, urgency) = match number % 7 {
            6 => (transition(number), Urgency::Now),
            _ => (samples(number), Urgency::Soon),
        };
        account.drawn.lock().unwrap().clear();
        journal.append(&body, urgency, at(ms)).unwrap();
        let id = *account.drawn.lock().unwrap().iter().nth_back(1).unwrap();
        account.written.borrow_mut().push(id);
        journal.handle_timeout(at(ms)).unwrap();
        if journal.pending.count == 0 {
            account.durable.set(account.written.borrow().len());
        }
        match number {
            150 | 240 | 390 | 650 | 790 | 830 => acknowledge_most(journal, account),
            430 => {
                let last = everything(journal).swap_remove(5);
                account.is_held(&last);
                journal.part(head_of(&last)).unwrap();
            }
            700 => journal.believe(&[]).unwrap(),
            _ => {}
        }
    }
    journal.close(at(ms)).unwrap();
    account.durable.set(account.written.borrow().len());
}

/// The collector takes all but the newest forty records.
fn acknowledge_most(journal: &mut Journal<SimStorage>, account: &Account) {
    let all = everything(journal);
    let Some(last) = all.len().checked_sub(40) else { return };
    for record in &all[..last] {
        journal.acknowledge(head_of(record));
        account.is_held(record);
    }
}

impl Account {
    /// The collector has it and all before it.
    fn is_held(&self, record: &Record) {
        if let Some(index) = self.written.borrow().iter().position(|id| *id == record.record_id) {
            self.held.set(self.held.get().max(index + 1));
        }
    }
}

impl CrashPoint {
    /// Every crash of this point; says how many there were.
    fn check(&self) -> u64 {
        let mut crashes = 0;
        for crash in [Crash::Kill, Crash::Drop, Crash::Tear(512), Crash::Tear(4096)] {
            self.check_one(&self.disk, crash, "before");
            crashes += 1;
        }
        if let Some((name, bytes)) = &self.append {
            for count in [1, bytes.len() / 2, bytes.len() - 1] {
                self.check_one(&self.disk.within_append(name, bytes, count), Crash::Kill, "within");
                crashes += 1;
            }
        }
        crashes
    }

    fn check_one(&self, disk: &Disk, crash: Crash, place: &str) {
        let what = format!("{crash:?} {place} call {}", self.op);
        let disk = SimStorage::from_snapshot(disk);
        disk.reboot(crash);
        let now = 90 * 3_600_000 + self.op;
        let opened = Journal::open(disk.clone(), tight(), random(self.op ^ 0xabc), at(now));
        let (mut journal, opened) = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = self.assert_whole(&mut journal, &what);
        if !matches!(crash, Crash::Tear(_)) {
            assert_eq!(opened.damaged, 0, "{what}: called damaged");
            assert!(!gaps(&found).contains(&UnknownReason::Corrupt), "{what}: {:?}", gaps(&found));
        }
        // And it goes on from there, also after the next power loss.
        let after = now + 1000;
        journal.append(&transition(5000), Urgency::Now, at(after)).unwrap_or_else(|error| panic!("{what}: {error}"));
        if self.op.is_multiple_of(7) {
            disk.reboot(Crash::Drop);
            let (mut journal, _) = Journal::open(disk, tight(), random(self.op ^ 0xdef), at(after)).unwrap();
            let again = self.assert_whole(&mut journal, &format!("{what}, and a power loss"));
            let is_there = |event: &AgentEvent| *event == transition(5000).events[0];
            assert_eq!(events(&again).into_iter().filter(is_there).count(), 1, "{what}");
        }
    }

    /// What is left of samples that were thinned: each was written, and its own record has no body any more.
    fn is_summary(&self, record: &Record, found: &[Record]) -> bool {
        let of = numbers(std::slice::from_ref(record));
        !of.is_empty()
            && of.iter().all(|number| {
                let id = self.written.get(usize::try_from(*number).unwrap());
                let own = found.iter().find(|record| Some(&record.record_id) == id);
                id.is_some() && own.is_none_or(|record| record.omitted.is_some())
            })
    }

    /// All that was durable and not acknowledged is there once, in order, on a chain that holds, and nothing else but
    /// the journal's own words and what was written without being durable yet.
    fn assert_whole(&self, journal: &mut Journal<SimStorage>, what: &str) -> Vec<Record> {
        let found = checked(journal);
        let known: BTreeMap<[u8; 16], usize> =
            self.written.iter().enumerate().map(|(place, id)| (id.0, place)).collect();
        let mut places = Vec::new();
        for record in &found {
            let own = |event: &AgentEvent| matches!(event, AgentEvent::Journal { .. } | AgentEvent::Gap { .. });
            match known.get(&record.record_id.0) {
                Some(place) => places.push(*place),
                // Being appended when the crash came, or said by the journal.
                None if record.omitted.is_some() => {}
                None => {
                    let said = events(std::slice::from_ref(record));
                    let in_flight = numbers(std::slice::from_ref(record)) == [self.written.len() as u64]
                        || said == transition(self.written.len() as u64).events
                        || said == transition(5000).events;
                    let is_own = !said.is_empty() && said.iter().all(own);
                    assert!(in_flight || is_own || self.is_summary(record, &found), "{what}: invented {record:?}");
                }
            }
        }
        assert!(places.is_sorted_by(|a, b| a < b), "{what}: doubled or out of order: {places:?}");
        for wanted in self.held..self.durable {
            assert!(places.binary_search(&wanted).is_ok(), "{what}: {wanted} of {} is lost: {places:?}", self.durable);
        }
        found
    }
}

#[test]
fn a_thousand_records_survive_a_crash_at_every_call_of_the_disk() {
    let (disk, account) = (SimStorage::new(11), Rc::new(Account::default()));
    let crashes = Rc::new(Cell::new(0));
    let (seen, made, op) = (Rc::clone(&account), Rc::clone(&crashes), Cell::new(0));
    disk.watch(move |disk, append| {
        let point = CrashPoint {
            op: op.replace(op.get() + 1),
            disk: disk.clone(),
            append: append.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())),
            written: seen.written.borrow().clone(),
            durable: seen.durable.get(),
            held: seen.held.get(),
        };
        made.set(made.get() + point.check());
    });
    let (mut journal, _) = Journal::open(disk.clone(), tight(), remembering(&account), at(0)).unwrap();
    a_thousand_records(&mut journal, &account);
    let (ops, crashes) = (disk.ops(), crashes.get());
    println!("{RECORDS} records, {ops} calls of the disk, {crashes} crashes: none lost, none doubled");
    assert!(ops > 700 && crashes > 4 * ops, "{ops} {crashes}");
    assert!(account.held.get() > 500, "{}", account.held.get());
}
