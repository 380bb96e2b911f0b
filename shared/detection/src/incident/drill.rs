//! A drill: an outage that a person plays at an agent's host, to see that a real one would be told (UX 3.2).
//!
//! It is an incident like any other, with terms, clocks and a ticket, so that what it proves is what a real one goes
//! through. It has no finding, so no uptime; it pages nobody, takes no command, and ends by itself.

use jiff::{SignedDuration, Timestamp};
use upheld_model::{AgentId, ClientId, DrillId, IncidentClass, IncidentKind, SiteId};

use super::{Begun, Bounds, Change, Desk, Holder, Incident, IncidentEffect, IncidentState, OpeningCause, Root, Who};

/// How long one is open: as long as whoever plays it may wait for its message.
pub const LASTS: SignedDuration = SignedDuration::from_secs(60);
/// A record that arrives later than this after its drill began opens nothing: whoever played it has gone.
pub const LATE_AFTER: SignedDuration = SignedDuration::from_secs(120);

/// A drill whose record arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Which.
    pub id: DrillId,
    /// At which agent.
    pub agent: AgentId,
    /// The host's name, for people.
    pub host: String,
    /// When it began, in the collector's time.
    pub began: Timestamp,
}

/// When a drill that was received then ends.
pub fn ends(received: Timestamp) -> Timestamp {
    received.saturating_add(LASTS).unwrap_or(received)
}

/// The opening of a drill that is received at `now`; `None` for one that comes too late.
pub fn open(client: &ClientId, site: &SiteId, played: &Played, now: Timestamp) -> Option<IncidentEffect> {
    let Played { id, agent, host, began } = played;
    if now.duration_since(*began) > LATE_AFTER {
        return None;
    }
    let root = Root::Drill { agent: agent.clone(), id: *id };
    let cause = OpeningCause::Concluded { source: format!("drill/{id}"), occurrence: *began };
    let incident = Incident::begun(Begun {
        client,
        site,
        class: IncidentClass::Monitoring,
        kind: IncidentKind::Down,
        root,
        opening: &cause,
        rule: "drill",
        title: format!("DRILL: {site}: nothing is wrong; {host} plays an outage"),
        started: Bounds { not_before: None, not_after: *began },
        detected: *began,
        received: now,
    });
    let desk = Desk::Begins { detected: *began, received: now };
    Some(IncidentEffect { incident, change: Change::Opened, desk, due_at: now, noticed_at: now })
}

/// The end of an open drill: at its time, or before it where another one begins. `None` for what is no open drill.
pub fn end(incident: &Incident, now: Timestamp) -> Option<IncidentEffect> {
    if !incident.is_drill() || !incident.is_open() {
        return None;
    }
    let at = ends(incident.received).min(now).max(incident.received);
    let by = Who::Rule("drill".to_owned());
    let mut incident = incident.clone();
    incident.restored = Some(at);
    incident.state = IncidentState::Resolved { at, by, holder: Holder::Nobody };
    Some(IncidentEffect { incident, change: Change::Resolved, desk: Desk::AsBefore, due_at: at, noticed_at: now })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{Action, Refused, act, may_carry_on};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn played(id: u8) -> Played {
        Played { id: DrillId([id; 16]), agent: "a-1".parse().unwrap(), host: "nvr-02".to_owned(), began: at(0) }
    }

    fn opened(id: u8) -> Incident {
        let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
        open(&client, &site, &played(id), at(2)).unwrap().incident
    }

    #[test]
    fn a_drill_is_ticketed_pages_nobody_and_ends_within_a_minute() {
        let drill = opened(1);
        assert!(drill.is_ticketed() && !drill.pages());
        assert!(drill.title.starts_with("DRILL: "), "{}", drill.title);
        assert_eq!(drill.next_deadline(), Some(at(62)));
        let over = end(&drill, at(99)).unwrap();
        assert_eq!(over.due_at, at(62), "dated by its end, not by our waking");
        assert!(!over.incident.is_open());
        assert_eq!(over.incident.next_deadline(), None);
        assert_eq!(end(&over.incident, at(99)), None, "it ends once");
    }

    #[test]
    fn a_second_drill_of_a_host_takes_the_place_of_the_first_and_another_host_has_its_own() {
        let (first, second) = (opened(1), opened(2));
        assert_ne!(first.key, second.key);
        assert_eq!(first.dedup, second.dedup);
        assert_eq!(end(&first, at(10)).unwrap().due_at, at(10));
        let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
        let other = Played { agent: "a-2".parse().unwrap(), ..played(1) };
        assert_ne!(open(&client, &site, &other, at(2)).unwrap().incident.dedup, first.dedup);
    }

    #[test]
    fn a_record_that_comes_when_nobody_waits_any_more_opens_nothing() {
        let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
        assert!(open(&client, &site, &played(1), at(120)).is_some());
        assert_eq!(open(&client, &site, &played(1), at(121)), None);
    }

    #[test]
    fn a_drill_takes_a_note_and_no_command_and_no_other_incident() {
        let drill = opened(1);
        let somebody = Who::Person("p-1".to_owned());
        let ask = |action: Action| act(&drill, &action, &somebody, at(5), at(5));
        assert_eq!(ask(Action::Take), Err(Refused::Drill));
        assert_eq!(ask(Action::Respond), Err(Refused::Drill));
        assert_eq!(ask(Action::Merge { into: drill.key }), Err(Refused::Drill));
        assert_eq!(may_carry_on(&drill), Err(Refused::Drill), "a real one must not vanish in it");
        assert!(ask(Action::Note { text: "seen".to_owned() }).unwrap().is_some());
    }
}
