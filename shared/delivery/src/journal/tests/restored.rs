//! A collector that was restored to less and then took more of the same epoch from a copy of the host, before the host
//! spoke with it again: it holds as many records as the host claims, and other ones.

use std::convert::Infallible;

use upheld_model::Digest;
use upheld_wire::v1::{DeliverRequest, Now, PROTOCOL, record::batch_digest};

use super::*;
use crate::receiver::{Held, Records, Verdict, judge};

/// All that a collector took, each with whether it was new then.
#[derive(Default)]
struct Collector(Vec<(Record, bool)>);

impl Records for Collector {
    type Error = Infallible;

    fn is_known(&mut self, id: &RecordId, content: &Digest) -> Result<bool, Infallible> {
        Ok(self.0.iter().any(|(record, _)| (record.record_id, record.content_hash) == (*id, *content)))
    }

    fn chain_after(&mut self, epoch: Epoch, len: u64) -> Result<Option<Digest>, Infallible> {
        let last = self.0.iter().find(|(record, _)| record.epoch == epoch && record.seq.0 + 1 == len);
        Ok(last.map(|(record, _)| record.chain))
    }
}

impl Collector {
    fn held(&self) -> Held {
        let heads = self.0.iter().map(|(record, _)| (record.epoch, head_of(record))).collect();
        let newest = self.0.iter().rfind(|(record, _)| record.seq == Seq(0)).map(|(record, _)| record.epoch);
        Held { heads, newest, ..Held::default() }
    }

    /// Until the host has nothing to say any more.
    fn hear(&mut self, host: &mut Journal<SimStorage>, second: u64) {
        for _ in 0..40 {
            host.handle_timeout(moment(second)).unwrap();
            host.flush(moment(second)).unwrap();
            let views = host.view().to_vec();
            let waiting = views.iter().find(|view| view.acked.len < view.len);
            let read = waiting.map(|view| {
                let (epoch, from) = (view.acked.epoch, Seq(view.acked.len));
                host.read(&Batch { epoch, from, records_max: RECORDS_MAX, bytes_max: 1 << 20 })
            });
            let Ok(records) = read.unwrap_or(Ok(Vec::new())) else { continue };
            let request = DeliverRequest {
                protocol: PROTOCOL,
                heads: views.iter().map(|view| view.acked).filter(|claim| claim.len > 0).collect(),
                clock: upheld_wire::v1::ClockReading {
                    wall: moment(second).wall,
                    mono: moment(second).mono,
                    boot: "b".parse().unwrap(),
                },
                seen_checkpoint: None,
                now: Now::default(),
                batch_digest: batch_digest(&records),
                clock_of_records: None,
                records,
            };
            let Ok(verdict) = judge(&self.held(), &request, self);
            match verdict {
                Verdict::Heartbeat => return,
                Verdict::Accept(accepted) => {
                    let held = self.held().heads.get(&accepted.head.epoch).map_or(0, |head| head.len);
                    for (index, record) in request.records.into_iter().enumerate().filter(|(_, new)| new.seq.0 >= held)
                    {
                        self.0.push((record, accepted.fresh.iter().any(|fresh| fresh.index == index)));
                    }
                    host.acknowledge(accepted.head);
                }
                Verdict::Behind { heads } => host.believe(&heads).unwrap(),
                Verdict::Fork(fork) => host.part(fork.held).unwrap(),
                Verdict::Clone(_) | Verdict::Malformed(_) | Verdict::TooLarge { .. } => panic!("{verdict:?}"),
            }
        }
        panic!("it has never said all: {:?}", host.view());
    }

    fn restore(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn told(&self) -> Vec<Record> {
        self.0.iter().filter(|(_, is_new)| *is_new).map(|(record, _)| record.clone()).collect()
    }
}

/// Ends the host's epoch, all of which is acknowledged: a record that waits is damaged.
fn begin_another(host: &mut Journal<SimStorage>, disk: &SimStorage, at: u64, collector: &mut Collector) {
    fill(host, at..at + 3);
    damage(disk, at);
    collector.hear(host, at + 3);
    assert_eq!(host.view().iter().filter(|view| view.acked.len > 0).count(), 2, "{:?}", host.view());
}

fn restored_and_fed_by_a_copy(collector: &mut Collector, copy: &crate::storage::sim::Disk, second: u64) {
    collector.restore(5);
    let (mut copy, _) = open(&SimStorage::from_snapshot(copy), second);
    fill(&mut copy, second..second + 30);
    collector.hear(&mut copy, second + 30);
    assert_eq!(collector.0.len(), 35);
}

#[test]
fn what_the_host_still_has_is_sent_again() {
    let (disk, mut collector) = (SimStorage::new(1), Collector::default());
    let (mut host, _) = open(&disk, 0);
    fill(&mut host, 0..5);
    collector.hear(&mut host, 5);
    let copy = disk.snapshot();
    fill(&mut host, 5..10);
    collector.hear(&mut host, 10);
    begin_another(&mut host, &disk, 10, &mut collector);

    restored_and_fed_by_a_copy(&mut collector, &copy, 100);
    collector.hear(&mut host, 200);
    let mut held = numbers(&collector.told());
    held.sort_unstable();
    assert_eq!(held, (0..10).chain([11, 12]).chain(100..130).collect::<Vec<_>>());
    assert!(is_told(&collector.told(), 10));
}

#[test]
fn what_the_host_gave_up_is_told_to_be_gone() {
    let (disk, mut collector) = (SimStorage::new(1), Collector::default());
    let (mut host, _) = open(&disk, 0);
    fill(&mut host, 0..5);
    collector.hear(&mut host, 5);
    let (copy, epoch) = (disk.snapshot(), host.view()[0].acked.epoch);
    fill(&mut host, 5..20);
    collector.hear(&mut host, 20);
    disk.set_capacity(Some(disk.used()));
    fill(&mut host, 20..21);
    disk.set_capacity(None);
    collector.hear(&mut host, 21);
    let kept = host.pieces_of(epoch)[0].first;
    assert!(kept > 5, "{kept}");
    begin_another(&mut host, &disk, 21, &mut collector);

    restored_and_fed_by_a_copy(&mut collector, &copy, 100);
    collector.hear(&mut host, 200);
    let held = numbers(&collector.told());
    for number in 0..21 {
        assert!(held.contains(&number) || is_told(&collector.told(), number), "{number}: {held:?}");
    }
    assert!(!held.contains(&5) && held.contains(&kept));
}
