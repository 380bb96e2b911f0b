//! A ticket system as bad as real ones, behind the desk's channel: it keeps whatever it is sent, twice what it is sent
//! twice, and its search lags.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use upheld_desk::deliverer::{Address, Boxed, Channel, How, Way};
use upheld_outbound::{Delivery, DeliveryKey, EventKind, Outcome};

use super::world::{SECOND, stamp};
use crate::{Counts, Fault, dice::Dice};

/// The longest that a ticket is not found after it was made (DELIVERY: 120 s are waited).
const INDEX_LAG_S: u64 = 100;
/// One message in so many is refused for good where anything may go wrong.
const REFUSES_ONE_IN: u64 = 80;

/// How it is at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Anything may go wrong with a request.
    Bad,
    /// Nobody answers.
    Down,
    /// It wants to be left alone: 429.
    Busy,
}

/// One ticket, or one remark on a ticket: whatever a message makes.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) key: String,
    pub(super) kind: EventKind,
    pub(super) body: Value,
    pub(super) at_ms: u64,
    /// When a search begins to find it.
    found_from_ms: u64,
    /// Somebody deleted it by hand.
    pub(super) is_deleted: bool,
    /// Somebody closed it by hand.
    is_closed: bool,
}

impl Item {
    /// The incident that it is about.
    pub(super) fn incident(&self) -> &str {
        self.body["data"]["incident_key"].as_str().unwrap_or_default()
    }
}

pub(super) struct Inside {
    pub(super) now_ms: u64,
    pub(super) mood: Mood,
    pub(super) items: Vec<Item>,
    /// Messages of which the collector knows that they arrived, and when it was told.
    pub(super) settled: BTreeMap<String, u64>,
    /// Told in a call whose end is open.
    pub(super) told: Vec<String>,
    /// What was refused for good.
    pub(super) refused: BTreeSet<String>,
    /// When commits were lost last; 0: never.
    pub(super) lost_at_ms: u64,
    /// Whether a person has to accept a restore first.
    pub(super) is_recovering: bool,
    pub(super) counts: Counts,
    /// What must not have happened.
    pub(super) violation: Option<String>,
    dice: Dice,
}

/// The server; clones are the same one.
#[derive(Clone)]
pub(super) struct Server(Arc<Mutex<Inside>>);

impl Server {
    pub(super) fn new(dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(Inside {
            now_ms: 0,
            mood: Mood::Well,
            items: Vec::new(),
            settled: BTreeMap::new(),
            told: Vec::new(),
            refused: BTreeSet::new(),
            lost_at_ms: 0,
            is_recovering: false,
            counts: Counts::default(),
            violation: None,
            dice,
        })))
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// The call in which these were told has ended, and the collector has stored it.
    pub(super) fn call_ended(&mut self, is_alive: bool) {
        let (told, now_ms) = (std::mem::take(&mut self.told), self.now_ms);
        if is_alive {
            self.settled.extend(told.into_iter().map(|key| (key, now_ms)));
        }
    }

    /// A person deletes a ticket, or closes it.
    pub(super) fn by_hand(&mut self, nth: u64, is_deletion: bool) {
        let of = self.items.len() as u64;
        let Some(item) = self.items.get_mut(usize::try_from(nth % of.max(1)).unwrap_or(0)) else { return };
        if is_deletion {
            item.is_deleted = true;
            self.counts.count(Fault::TicketDeleted);
        } else {
            item.is_closed = true;
            self.counts.count(Fault::TicketClosed);
        }
    }

    fn send(&mut self, delivery: &Delivery, how: How, can_be_asked: bool, now: Timestamp) -> Outcome {
        if self.is_recovering {
            self.fails(format!("in recovery {} is told", delivery.kind));
        }
        let outcome = match &how {
            How::LookUpFirst { known_as } if can_be_asked => self.look_up_then_send(delivery, known_as, now),
            How::LookUpFirst { .. } | How::Send => self.post(delivery, now),
        };
        if let Outcome::Delivered { .. } = &outcome {
            self.told.push(delivery.key.to_string());
        }
        outcome
    }

    fn look_up_then_send(&mut self, delivery: &Delivery, known_as: &[DeliveryKey], now: Timestamp) -> Outcome {
        let failed = match self.mood {
            Mood::Well => false,
            Mood::Bad => self.dice.once_in(4),
            Mood::Down | Mood::Busy => true,
        };
        if failed {
            self.counts.count(Fault::LookUpFails);
            return Outcome::Unclear { why: "the look-up failed".to_owned() };
        }
        // A closed one is found like any other.
        let has =
            |key: &str| self.items.iter().any(|it| it.key == key && !it.is_deleted && it.found_from_ms <= self.now_ms);
        if has(delivery.key.as_str()) {
            return Outcome::Delivered { reference: format!("T-{}", delivery.key), known_as: None };
        }
        if let Some(key) = known_as.iter().find(|key| has(key.as_str())) {
            return Outcome::Delivered { reference: format!("T-{key}"), known_as: Some(key.clone()) };
        }
        self.post(delivery, now)
    }

    fn post(&mut self, delivery: &Delivery, now: Timestamp) -> Outcome {
        let retry = |why: &str| Outcome::Retry { why: why.to_owned(), not_before: None };
        let unclear = |why: &str| Outcome::Unclear { why: why.to_owned() };
        match self.mood {
            Mood::Well => {}
            Mood::Down => {
                self.counts.count(Fault::TicketsDown);
                return retry("connection refused");
            }
            Mood::Busy => {
                self.counts.count(Fault::TicketsBusy);
                let until = now + SignedDuration::from_secs(i64::try_from(self.dice.between(1, 600)).unwrap_or(60));
                return Outcome::Retry { why: "429".to_owned(), not_before: Some(until) };
            }
            Mood::Bad => match self.dice.roll(6) {
                0 => {
                    self.counts.count(Fault::TicketRefusedFirst);
                    return retry("503");
                }
                1 => {
                    self.counts.count(Fault::TicketTimeoutBefore);
                    return unclear("no answer within 20 s");
                }
                2 | 3 => {
                    self.counts.count(Fault::TicketTimeoutAfter);
                    self.keep(delivery);
                    return unclear("no answer within 20 s");
                }
                _ if self.dice.once_in(REFUSES_ONE_IN) => {
                    self.counts.count(Fault::TicketRefusedForGood);
                    self.refused.insert(delivery.key.to_string());
                    return Outcome::Permanent { why: "400: no such queue".to_owned() };
                }
                _ => {}
            },
        }
        self.keep(delivery);
        Outcome::Delivered { reference: format!("T-{}", delivery.key), known_as: None }
    }

    fn keep(&mut self, delivery: &Delivery) {
        let key = delivery.key.to_string();
        let body: Value = serde_json::from_str(&delivery.body).unwrap_or_default();
        let lag_s = if self.dice.once_in(2) { 0 } else { self.dice.roll(INDEX_LAG_S) };
        if lag_s > 0 {
            self.counts.count(Fault::TicketIndexLags);
        }
        let item = Item {
            key,
            kind: delivery.kind,
            body,
            at_ms: self.now_ms,
            found_from_ms: self.now_ms + lag_s * SECOND,
            is_deleted: false,
            is_closed: false,
        };
        if let Some(why) = self.twice(&item).or_else(|| self.too_soon(&item)) {
            self.fails(why);
        }
        self.items.push(item);
    }

    /// I5: what is there is not made again, nor is what the collector knows to have been there.
    fn twice(&self, item: &Item) -> Option<String> {
        let (kind, key) = (item.kind, &item.key);
        let is_ticket = kind == EventKind::IncidentOpened;
        let mut same = self.items.iter().filter(|it| it.key == *key && !it.is_deleted);
        // A remark may come once more after commits were lost (README.md), a ticket never.
        if let Some(first) = same.next().filter(|first| is_ticket || first.at_ms >= self.lost_at_ms) {
            let (age, closed) = ((self.now_ms - first.at_ms) / SECOND, first.is_closed);
            return Some(format!("I5: {kind} {key} is there for {age} s (closed: {closed}) and is made again"));
        }
        if self.settled.contains_key(key) {
            return Some(format!("I5: {kind} {key} was told to have arrived, was deleted by hand and is made again"));
        }
        let other = |it: &&Item| is_ticket && it.kind == kind && it.incident() == item.incident();
        let first = self.items.iter().find(other).filter(|it| it.key != *key)?;
        let incident = item.incident();
        Some(format!("I5: incident {incident} has ticket {} and is given {key}", first.key))
    }

    /// No clock announces anything before its due, and it dates it by its due (F6).
    fn too_soon(&self, item: &Item) -> Option<String> {
        if !matches!(item.kind, EventKind::ClockWarning | EventKind::ClockBreached) {
            return None;
        }
        let clock = &item.body["data"]["clock"];
        let due: Timestamp = clock["due_at"].as_str()?.parse().ok()?;
        if item.body["timestamp"] != clock["due_at"] {
            return Some(format!("F6: {} is dated {}, due {due}", item.kind, item.body["timestamp"]));
        }
        let now = stamp(self.now_ms, 0);
        (now < due).then(|| format!("{} of what is due {due} is told at {now}: {clock}", item.kind))
    }

    pub(super) fn fails(&mut self, why: String) {
        self.violation.get_or_insert(why);
    }
}

impl Channel for Server {
    fn send<'a>(&'a self, to: &'a Address, delivery: &'a Delivery, how: How, now: Timestamp) -> Boxed<'a, Outcome> {
        let can_be_asked = matches!(&to.way, Way::Webhook { look_up: Some(_), .. });
        Box::pin(std::future::ready(self.inside().send(delivery, how, can_be_asked, now)))
    }

    fn has_mail(&self) -> bool {
        false
    }
}
