//! What a person asks of one incident.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use upheld_model::{AgentId, Cause};

use super::{
    CauseClaim, Change, Desk, Handling, Holder, Incident, IncidentEffect, IncidentKey, IncidentState, Root, Who,
};

/// A person's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Acknowledge it and own it; from another owner it is a hand-over.
    Take,
    /// Acknowledge it and have somebody else own it.
    Assign {
        /// Whom.
        to: Who,
    },
    /// Respond. The manner, and what it satisfies, is the agreement's matter (TERMS F12).
    Respond,
    /// Say that it is over.
    Resolve(Resolution),
    /// Say that it is not over after all, or that it should be dealt with. What was found while commissioning is an
    /// ordinary incident from then on, detected and received at that moment.
    Reopen,
    /// Close the ticket for good; the next failure opens a new incident.
    Close,
    /// Say that it is no incident.
    Dismiss {
        /// Why; shown with it for ever.
        reason: String,
    },
    /// Say that it is part of another one.
    Merge {
        /// Which one.
        into: IncidentKey,
    },
    /// Say what brought it about.
    SetCause {
        /// What.
        cause: Cause,
    },
    /// Write something down.
    Note {
        /// What.
        text: String,
    },
}

/// On what a resolution rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// On the measurement: refused while something in it fails.
    Measured,
    /// On the person's word, though something in it still fails or cannot be judged.
    OnWord,
}

/// Why a request is refused. The incident is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is only a candidate.
    #[error("this failure is not an incident yet; it becomes one at {open_due} unless it passes first")]
    NotYet {
        /// When it becomes one.
        open_due: Timestamp,
    },
    /// It still fails.
    #[error("still failing: {what}; wait until it is restored, or resolve it on your own word")]
    StillFailing {
        /// What fails, in words.
        what: String,
    },
    /// It is not resolved.
    #[error("it is {state}, not resolved; resolve it before closing it")]
    NotResolved {
        /// The state's word.
        state: &'static str,
    },
    /// It is in a state that ends such requests.
    #[error("it is {state}; {action} is not possible any more")]
    Over {
        /// The state's word.
        state: &'static str,
        /// What was asked, as "taking it".
        action: &'static str,
    },
    /// It cannot be part of itself.
    #[error("an incident cannot be merged into itself; name the other one")]
    IntoItself,
    /// It is a drill.
    #[error("it is a drill: nothing is wrong, and it ends by itself within a minute")]
    Drill,
    /// Its agent is still silent.
    #[error(
        "agent {agent} has not been heard: its silence is measured by itself; merge it once the agent is heard again"
    )]
    StillSilent {
        /// Which agent.
        agent: AgentId,
    },
}

/// The incident after a person's request, effective at `at`. `Ok(None)` when it was so already.
///
/// Reopening can collide with a newer open incident of the same dedup key: the store's unique index refuses then.
pub fn act(
    incident: &Incident,
    action: &Action,
    by: &Who,
    at: Timestamp,
    now: Timestamp,
) -> Result<Option<IncidentEffect>, Refused> {
    if incident.is_drill() && !matches!(action, Action::Note { .. }) {
        return Err(Refused::Drill);
    }
    let hold = Hold { incident, by, at };
    let (after, change) = match action {
        Action::Take => (hold.held_by(by, "taking it")?, Change::Taken),
        Action::Assign { to } => (hold.held_by(to, "assigning it")?, Change::Assigned { to: to.clone() }),
        Action::Respond => hold.respond()?,
        Action::Resolve(on) => hold.resolve(*on)?,
        Action::Reopen => hold.reopen()?,
        Action::Close => hold.close()?,
        Action::Dismiss { reason } => hold.dismiss(reason)?,
        Action::Merge { into } => hold.merge(*into)?,
        Action::SetCause { cause } => hold.set_cause(*cause)?,
        Action::Note { text } => (incident.clone(), Change::Noted { text: text.clone() }),
    };
    let says_something = matches!(change, Change::Noted { .. } | Change::Responded);
    if after == *incident && !says_something {
        return Ok(None);
    }
    let desk = match (incident.is_ticketed(), after.is_ticketed()) {
        (false, true) => Desk::Begins { detected: after.detected, received: after.received },
        (false | true, false) | (true, true) => Desk::AsBefore,
    };
    Ok(Some(IncidentEffect { incident: after, change, desk, due_at: at, noticed_at: now }))
}

/// Whether an incident may carry another one on: it is an open one, and no silence whose agent has not been heard,
/// since what is restored in it would restore the silence with it.
pub fn may_carry_on(incident: &Incident) -> Result<(), Refused> {
    if incident.is_drill() {
        return Err(Refused::Drill);
    }
    if !incident.is_open() || incident.opened.is_none() {
        return Err(Refused::Over { state: incident.state.word(), action: "carrying another one on" });
    }
    match incident.still_silent() {
        Some(agent) => Err(Refused::StillSilent { agent: agent.clone() }),
        None => Ok(()),
    }
}

/// The incident that carries another one on, as it was before it was merged: with the earlier begin, detection and
/// receipt of both, because a merge buys no time, and with everything that fails in it.
pub fn absorb(incident: &Incident, merged: &Incident, now: Timestamp) -> IncidentEffect {
    let mut after = incident.clone();
    if merged.started.not_after < after.started.not_after {
        after.started = merged.started;
    }
    if merged.is_ticketed() {
        after.detected = after.detected.min(merged.detected);
        after.received = after.received.min(merged.received);
    }
    after.symptoms.extend(merged.symptoms.iter().map(|(id, symptom)| (id.clone(), symptom.clone())));
    if after.symptoms.values().any(|symptom| symptom.restored.is_none()) {
        after.restored = None;
        after.evidence_restoration = None;
        if let IncidentState::Watching { holder, .. } = after.state {
            after.state = holder.into();
        }
    }
    IncidentEffect { incident: after, change: Change::CarriesOn, desk: Desk::AsBefore, due_at: now, noticed_at: now }
}

/// One person's grip on one incident.
struct Hold<'a> {
    incident: &'a Incident,
    by: &'a Who,
    at: Timestamp,
}

type Outcome = Result<(Incident, Change), Refused>;

impl Hold<'_> {
    fn held_by(&self, owner: &Who, asked: &'static str) -> Result<Incident, Refused> {
        let (by, at) = (owner.clone(), self.at);
        let holder = match self.incident.state.holder() {
            Holder::Taken { by: owner, at } if owner == by => Holder::Taken { by, at },
            Holder::InProgress { by: owner, at } if owner == by => Holder::InProgress { by, at },
            Holder::Nobody | Holder::Taken { .. } => Holder::Taken { by, at },
            Holder::InProgress { .. } => Holder::InProgress { by, at },
        };
        let state = match &self.incident.state {
            IncidentState::Candidate { open_due } => return Err(Refused::NotYet { open_due: *open_due }),
            IncidentState::Open | IncidentState::Taken { .. } | IncidentState::InProgress { .. } => holder.into(),
            IncidentState::Watching { until, .. } => IncidentState::Watching { until: *until, holder },
            IncidentState::Resolved { .. }
            | IncidentState::Closed { .. }
            | IncidentState::Merged { .. }
            | IncidentState::Dismissed { .. } => return Err(self.over(asked)),
        };
        Ok(self.in_state(state))
    }

    /// What brought it about may be known after it is over, and is known better the longer one looks.
    fn set_cause(&self, cause: Cause) -> Outcome {
        if let IncidentState::Candidate { open_due } = &self.incident.state {
            return Err(Refused::NotYet { open_due: *open_due });
        }
        let cause = CauseClaim { cause, confidence_percent: 100, by: self.by.clone() };
        let change = Change::CauseSet { cause: cause.cause };
        Ok((Incident { cause, ..self.incident.clone() }, change))
    }

    /// A response that is logged after the end is a fact too (TERMS F7): it is said, the state stays.
    fn respond(&self) -> Outcome {
        let holder = match self.incident.state.holder() {
            Holder::InProgress { by, at } => Holder::InProgress { by, at },
            Holder::Nobody | Holder::Taken { .. } => Holder::InProgress { by: self.by.clone(), at: self.at },
        };
        let state = match &self.incident.state {
            IncidentState::Candidate { open_due } => return Err(Refused::NotYet { open_due: *open_due }),
            IncidentState::Open | IncidentState::Taken { .. } | IncidentState::InProgress { .. } => holder.into(),
            IncidentState::Watching { until, .. } => IncidentState::Watching { until: *until, holder },
            over @ (IncidentState::Resolved { .. } | IncidentState::Closed { .. }) => over.clone(),
            IncidentState::Merged { .. } | IncidentState::Dismissed { .. } => {
                return Err(self.over("responding"));
            }
        };
        Ok((self.in_state(state), Change::Responded))
    }

    fn resolve(&self, on: Resolution) -> Outcome {
        let holder = match &self.incident.state {
            IncidentState::Candidate { open_due } => return Err(Refused::NotYet { open_due: *open_due }),
            state @ (IncidentState::Open
            | IncidentState::Taken { .. }
            | IncidentState::InProgress { .. }
            | IncidentState::Watching { .. }) => state.holder(),
            IncidentState::Resolved { .. } => return Ok((self.incident.clone(), Change::Resolved)),
            IncidentState::Closed { .. } | IncidentState::Merged { .. } | IncidentState::Dismissed { .. } => {
                return Err(self.over("resolving it"));
            }
        };
        match on {
            Resolution::Measured if self.incident.restored.is_none() => {
                return Err(Refused::StillFailing { what: self.what_fails() });
            }
            Resolution::Measured | Resolution::OnWord => {}
        }
        let state = IncidentState::Resolved { at: self.at, by: self.by.clone(), holder };
        Ok((self.in_state(state), Change::Resolved))
    }

    /// Brings it back to whoever had it; what bothered nobody so far becomes people's business.
    fn reopen(&self) -> Outcome {
        let state = match &self.incident.state {
            IncidentState::Candidate { open_due } => return Err(Refused::NotYet { open_due: *open_due }),
            state @ (IncidentState::Open | IncidentState::Taken { .. } | IncidentState::InProgress { .. }) => {
                state.clone()
            }
            IncidentState::Watching { holder, .. } | IncidentState::Resolved { holder, .. } => holder.clone().into(),
            IncidentState::Dismissed { .. } => IncidentState::Open,
            IncidentState::Closed { .. } | IncidentState::Merged { .. } => return Err(self.over("reopening it")),
        };
        let mut after = self.in_state(state);
        after.handling = Handling::Desk;
        if self.incident.handling == Handling::AsFound {
            (after.taken_on, after.opened) = (Some(self.at), Some(self.at));
            (after.detected, after.received) = (self.at, self.at);
            return Ok((after, Change::Opened));
        }
        after.opened = after.opened.or(Some(self.at));
        Ok((after, Change::Reopened))
    }

    fn close(&self) -> Outcome {
        match &self.incident.state {
            IncidentState::Candidate { open_due } => Err(Refused::NotYet { open_due: *open_due }),
            state @ (IncidentState::Open
            | IncidentState::Taken { .. }
            | IncidentState::InProgress { .. }
            | IncidentState::Watching { .. }) => Err(Refused::NotResolved { state: state.word() }),
            IncidentState::Resolved { .. } => {
                let state = IncidentState::Closed { at: self.at, by: self.by.clone() };
                Ok((self.in_state(state), Change::Closed))
            }
            IncidentState::Closed { .. } => Ok((self.incident.clone(), Change::Closed)),
            IncidentState::Merged { .. } | IncidentState::Dismissed { .. } => Err(self.over("closing it")),
        }
    }

    fn dismiss(&self, reason: &str) -> Outcome {
        match &self.incident.state {
            IncidentState::Candidate { .. }
            | IncidentState::Open
            | IncidentState::Taken { .. }
            | IncidentState::InProgress { .. }
            | IncidentState::Watching { .. }
            | IncidentState::Resolved { .. } => {
                let (by, reason) = (self.by.clone(), reason.to_owned());
                Ok((self.in_state(IncidentState::Dismissed { at: self.at, by, reason }), Change::Dismissed))
            }
            IncidentState::Dismissed { .. } => Ok((self.incident.clone(), Change::Dismissed)),
            IncidentState::Closed { .. } | IncidentState::Merged { .. } => Err(self.over("dismissing it")),
        }
    }

    fn merge(&self, into: IncidentKey) -> Outcome {
        if into == self.incident.key {
            return Err(Refused::IntoItself);
        }
        // A silence has no finding that could move to the other one, which would be restored while the agent is silent.
        if let Some(agent) = self.incident.still_silent() {
            return Err(Refused::StillSilent { agent: agent.clone() });
        }
        match &self.incident.state {
            IncidentState::Candidate { .. }
            | IncidentState::Open
            | IncidentState::Taken { .. }
            | IncidentState::InProgress { .. }
            | IncidentState::Watching { .. }
            | IncidentState::Resolved { .. } => {
                // What still fails in it is the other one's from here on ([`absorb`]).
                let state = IncidentState::Merged { into, at: self.at, by: self.by.clone() };
                Ok((Incident { symptoms: BTreeMap::new(), ..self.in_state(state) }, Change::Merged))
            }
            IncidentState::Merged { into: same, .. } if *same == into => Ok((self.incident.clone(), Change::Merged)),
            IncidentState::Merged { .. } | IncidentState::Closed { .. } | IncidentState::Dismissed { .. } => {
                Err(self.over("merging it"))
            }
        }
    }

    fn in_state(&self, state: IncidentState) -> Incident {
        Incident { state, ..self.incident.clone() }
    }

    fn over(&self, action: &'static str) -> Refused {
        Refused::Over { state: self.incident.state.word(), action }
    }

    fn what_fails(&self) -> String {
        let failing = self.incident.symptoms.iter().filter(|(_, symptom)| symptom.restored.is_none());
        let checks: BTreeSet<String> = failing.map(|(finding, _)| finding.check.to_string()).collect();
        match &self.incident.root {
            Root::Agent { agent, host: _ } => format!("agent {agent} has not been heard"),
            Root::Report { .. } => "nothing here can measure what a person reported".to_owned(),
            Root::Collector { trouble } => format!("the collector's own {trouble}"),
            Root::Drill { .. } => "nothing: it is a drill".to_owned(),
            Root::Check { .. } => checks.into_iter().collect::<Vec<_>>().join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::testing::{Site, at};

    /// What every request makes of every state: the state after it, `same` for `Ok(None)`, `said` where only the
    /// request itself is news, or the refusal.
    #[test]
    fn every_request_in_every_state_has_one_answer() {
        let table = "
            state        take         respond      measured     on-word   reopen    close       dismiss    merge   assign       cause
            candidate    not-yet      not-yet      not-yet      not-yet   not-yet   not-yet     dismissed  merged  not-yet      not-yet
            open         taken        in-progress  failing      resolved  same      unresolved  dismissed  merged  taken        open
            taken        same         in-progress  failing      resolved  same      unresolved  dismissed  merged  taken        taken
            in-progress  same         said         failing      resolved  same      unresolved  dismissed  merged  in-progress  in-progress
            watching     watching     watching     resolved     resolved  open      unresolved  dismissed  merged  watching     watching
            resolved     over         said         same         same      open      closed      dismissed  merged  over         resolved
            closed       over         said         over         over      over      same        over       over    over         closed
            merged       over         over         over         over      over      over        over       same    over         merged
            dismissed    over         over         over         over      open      over        same       over    over         dismissed";
        let mut rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        let actions = rows.next().unwrap();
        let mut seen = 0;
        for row in rows {
            for (name, expected) in actions.iter().zip(&row).skip(1) {
                let incident = in_state(row[0]);
                assert_eq!(&answer(&incident, &action(name)), expected, "{name} while {}", row[0]);
                seen += 1;
            }
        }
        assert_eq!(seen, 9 * 10);
    }

    #[test]
    fn whoever_takes_it_from_another_owns_it() {
        let taken = in_state("taken");
        let by = Who::Person("bo".to_owned());
        let after = act(&taken, &Action::Take, &by, at(80), at(81)).unwrap().unwrap();
        assert_eq!(after.incident.state, IncidentState::Taken { by: by.clone(), at: at(80) });
        assert_eq!((after.due_at, after.noticed_at, after.desk), (at(80), at(81), Desk::AsBefore));
        let watched = act(&in_state("watching"), &Action::Take, &by, at(80), at(81)).unwrap().unwrap();
        let holder = Holder::Taken { by, at: at(80) };
        assert_eq!(watched.incident.state, IncidentState::Watching { until: at(1_100), holder });
    }

    #[test]
    fn what_carries_another_one_on_has_the_earlier_start_and_all_that_fails() {
        let mut site = Site::new();
        let earlier = site.fails("srv-1/net.tcp", 60).remove(0).incident;
        site.fails("rec-1/files", 80);
        let later = site.works("rec-1/files", 80, 200).remove(0).incident;
        assert_eq!(later.state.word(), "watching");
        let merged = act(&earlier, &Action::Merge { into: later.key }, &ana(), at(300), at(300)).unwrap().unwrap();
        assert!(merged.incident.symptoms.is_empty(), "its findings are the other one's");
        let after = absorb(&later, &earlier, at(300)).incident;
        assert_eq!(
            (after.started, after.detected, after.received),
            (earlier.started, earlier.detected, earlier.received)
        );
        assert_eq!((after.state.word(), after.restored, after.symptoms.len()), ("open", None, 2));
        let other_way = absorb(&earlier, &later, at(300)).incident;
        assert_eq!((other_way.detected, other_way.symptoms.len()), (earlier.detected, 2));
    }

    #[test]
    fn what_still_fails_is_named_in_the_refusal() {
        let refused =
            act(&in_state("open"), &Action::Resolve(Resolution::Measured), &ana(), at(80), at(80)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "still failing: srv-1/net.tcp; wait until it is restored, or resolve it on your own word"
        );
    }

    #[test]
    fn what_was_found_while_commissioning_counts_from_when_it_is_opened() {
        let mut site = Site::new();
        site.view.stage = crate::incident::Stage::Commissioning;
        let found = site.fails("srv-1/net.tcp", 60).remove(0).incident;
        assert!(found.was_found_in_commissioning() && !found.is_ticketed());
        let ticked = act(&found, &Action::Reopen, &ana(), at(500), at(500)).unwrap().unwrap();
        assert_eq!(ticked.desk, Desk::Begins { detected: at(500), received: at(500) });
        assert_eq!((ticked.change, ticked.incident.started), (Change::Opened, found.started));
        assert!(ticked.incident.was_found_in_commissioning() && ticked.incident.is_ticketed());
    }

    #[test]
    fn reopening_what_was_over_when_it_arrived_makes_it_peoples_business() {
        let over = Incident { handling: Handling::Retroactive, ..in_state("resolved") };
        let ticked = act(&over, &Action::Reopen, &ana(), at(500), at(500)).unwrap().unwrap();
        assert_eq!(ticked.desk, Desk::Begins { detected: over.detected, received: over.received });
        assert_eq!((ticked.change, ticked.incident.taken_on), (Change::Reopened, None));
    }

    #[test]
    fn a_note_changes_nothing_else() {
        for state in ["candidate", "open", "watching", "closed", "dismissed"] {
            let incident = in_state(state);
            let effect = act(&incident, &Action::Note { text: "on it".to_owned() }, &ana(), at(80), at(80));
            let effect = effect.unwrap().unwrap();
            assert_eq!(effect.incident, incident);
            assert_eq!(effect.change, Change::Noted { text: "on it".to_owned() });
        }
    }

    #[test]
    fn a_silence_is_merged_only_once_its_agent_was_heard() {
        let mut site = Site::new();
        let silent = site.silent(1_000, 1_300).remove(0).incident;
        let merge = |incident: &Incident, second| {
            act(incident, &Action::Merge { into: another() }, &ana(), at(second), at(second))
        };
        let refused = merge(&silent, 1_400).unwrap_err();
        assert!(refused.to_string().starts_with("agent a1 has not been heard"), "{refused}");
        let on_word = act(&silent, &Action::Resolve(Resolution::OnWord), &ana(), at(1_400), at(1_400));
        assert_eq!(merge(&on_word.unwrap().unwrap().incident, 1_500).unwrap().unwrap().incident.state.word(), "merged");
        let heard = site.back(1_900).remove(0).incident;
        assert_eq!(merge(&heard, 1_950).unwrap().unwrap().incident.state.word(), "merged");
    }

    #[test]
    fn nothing_is_merged_into_a_silence_until_its_agent_was_heard() {
        let mut site = Site::new();
        let silent = site.silent(1_000, 1_300).remove(0).incident;
        assert_eq!(may_carry_on(&silent), Err(Refused::StillSilent { agent: "a1".parse().unwrap() }));
        assert_eq!(may_carry_on(&site.back(1_900).remove(0).incident), Ok(()));
        let resolved = site.wakes(2_800).remove(0).incident;
        assert_eq!(
            may_carry_on(&resolved).unwrap_err().to_string(),
            "it is resolved; carrying another one on is not possible any more"
        );
        assert_eq!(may_carry_on(&in_state("open")), Ok(()));
        assert!(matches!(may_carry_on(&in_state("candidate")), Err(Refused::Over { state: "candidate", .. })));
    }

    #[test]
    fn an_incident_is_not_part_of_itself() {
        let incident = in_state("open");
        let refused = act(&incident, &Action::Merge { into: incident.key }, &ana(), at(80), at(80));
        assert_eq!(refused, Err(Refused::IntoItself));
    }

    fn ana() -> Who {
        Who::Person("ana".to_owned())
    }

    fn another() -> IncidentKey {
        IncidentKey(upheld_model::Digest([9; 32]))
    }

    fn action(name: &str) -> Action {
        match name {
            "take" => Action::Take,
            "respond" => Action::Respond,
            "measured" => Action::Resolve(Resolution::Measured),
            "on-word" => Action::Resolve(Resolution::OnWord),
            "reopen" => Action::Reopen,
            "close" => Action::Close,
            "dismiss" => Action::Dismiss { reason: "a test".to_owned() },
            "merge" => Action::Merge { into: another() },
            "assign" => Action::Assign { to: Who::Person("bo".to_owned()) },
            "cause" => Action::SetCause { cause: Cause::Isp },
            other => panic!("{other}"),
        }
    }

    fn in_state(word: &str) -> Incident {
        let mut site = Site::new();
        if word == "candidate" {
            return site.fails("cam-1/net.icmp", 60).remove(0).incident;
        }
        let open = site.fails("srv-1/net.tcp", 60).remove(0).incident;
        let after = |names: &[&str]| {
            names.iter().fold(open.clone(), |incident, name| {
                act(&incident, &action(name), &ana(), at(70), at(70)).unwrap().unwrap().incident
            })
        };
        match word {
            "open" => open,
            "taken" => after(&["take"]),
            "in-progress" => after(&["respond"]),
            "watching" => site.works("srv-1/net.tcp", 60, 200).remove(0).incident,
            "resolved" => after(&["on-word"]),
            "closed" => after(&["on-word", "close"]),
            "merged" => after(&["merge"]),
            "dismissed" => after(&["dismiss"]),
            other => panic!("{other}"),
        }
    }

    fn answer(incident: &Incident, action: &Action) -> String {
        match act(incident, action, &ana(), at(80), at(80)) {
            Ok(None) => "same".to_owned(),
            Ok(Some(effect)) if effect.incident == *incident => "said".to_owned(),
            Ok(Some(effect)) => effect.incident.state.word().replace(' ', "-"),
            Err(Refused::NotYet { .. }) => "not-yet".to_owned(),
            Err(Refused::StillFailing { .. }) => "failing".to_owned(),
            Err(Refused::NotResolved { .. }) => "unresolved".to_owned(),
            Err(Refused::Over { .. }) => "over".to_owned(),
            Err(Refused::IntoItself) => "into-itself".to_owned(),
            Err(Refused::StillSilent { .. }) => "still-silent".to_owned(),
            Err(Refused::Drill) => "drill".to_owned(),
        }
    }
}
