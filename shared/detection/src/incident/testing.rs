//! A small site for tests: it keeps what [`super::reconcile()`] and [`super::decide()`] return, as a store would.

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_model::{AssetClass, Cause, CheckId, FindingId, IncidentKind, ObservedAt, ProbeSpec, check::FreshnessSpec};

use super::{
    Action, AssetView, Bounds, Desk, Handling, Incident, IncidentEffect, IncidentKey, OpeningCause, Resolution, Root,
    Rules, SilenceSeen, SiteView, Stage, Trigger, Who, act, decide, open_after, reconcile,
};
use crate::{
    correlate::{Judged, Subject},
    facts::{Ended, FindingFact, SiteFacts},
    plan::plus,
};

pub(super) struct Site {
    pub(super) view: SiteView,
    pub(super) now: Timestamp,
    findings: Vec<FindingFact>,
}

impl Site {
    pub(super) fn new() -> Self {
        let asset = |class, is_critical| AssetView { class, is_critical };
        let icmp = || ProbeSpec::NetIcmp { target: "10.0.0.9".to_owned(), tcp_port: None };
        let http = "http://10.0.0.1/login?token=s".to_owned();
        let files = FreshnessSpec { path: "/rec".to_owned(), age_max_s: 600, bytes_min: 1, ends_with: None };
        let checks = [
            ("srv-1/net.tcp", ProbeSpec::NetTcp { target: "10.0.0.1".to_owned(), port: 8080 }),
            (
                "srv-1/net.http",
                ProbeSpec::NetHttp { url: http, status: None, tls_warn_days: 21, tls_bad_days: 7, auth: None },
            ),
            ("cam-1/net.icmp", icmp()),
            ("cam-2/net.icmp", icmp()),
            ("wan-1/net.icmp", icmp()),
            ("rec-1/files", ProbeSpec::RecFreshness(files)),
        ];
        let assets = [
            ("srv-1", asset(AssetClass::Server, false)),
            ("cam-1", asset(AssetClass::Camera, false)),
            ("cam-2", asset(AssetClass::Camera, true)),
            ("wan-1", asset(AssetClass::InternetLink, false)),
            ("rec-1", asset(AssetClass::Recorder, false)),
        ];
        Self {
            view: SiteView {
                client: "northgate".parse().unwrap(),
                site: "plant-2".parse().unwrap(),
                stage: Stage::Commissioned { since: Timestamp::UNIX_EPOCH },
                assets: assets.into_iter().map(|(id, asset)| (id.parse().unwrap(), asset)).collect(),
                checks: checks.into_iter().map(|(id, probe)| (check(id), probe)).collect::<BTreeMap<_, _>>(),
                unknown: Default::default(),
                incidents: Vec::new(),
            },
            now: at(0),
            findings: Vec::new(),
        }
    }

    pub(super) fn incidents(&self) -> &[Incident] {
        &self.view.incidents
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.view.incidents.iter().filter_map(Incident::next_deadline).min()
    }

    /// A check whose first bad sample is at this second; the last good one was 10 s before, it was confirmed 4 s after
    /// and received 2 s after that.
    pub(super) fn fails(&mut self, name: &str, first_bad: u64) -> Vec<IncidentEffect> {
        self.findings.push(FindingFact {
            id: FindingId { check: check(name), first_bad: ObservedAt(at(first_bad)) },
            started: Bounds { not_before: Some(at(first_bad - 10)), not_after: at(first_bad) },
            detected: at(first_bad + 4),
            received: at(first_bad + 6),
            ended: None,
            recovering: None,
            evidence: Some("connection refused".into()),
            culprit: None,
        });
        self.judge(first_bad + 6)
    }

    pub(super) fn works(&mut self, name: &str, first_bad: u64, first_ok: u64) -> Vec<IncidentEffect> {
        let id = FindingId { check: check(name), first_bad: ObservedAt(at(first_bad)) };
        let finding = self.findings.iter_mut().find(|finding| finding.id == id).unwrap();
        let restored = Bounds { not_before: Some(at(first_ok - 1)), not_after: at(first_ok) };
        finding.ended = Some(Ended { restored, confirmed: at(first_ok + 10), received: at(first_ok + 12) });
        self.judge(first_ok + 12)
    }

    /// Each finding is an incident of its own here: what belongs together is [`crate::correlate`]'s.
    fn judge(&mut self, second: u64) -> Vec<IncidentEffect> {
        self.now = self.now.max(at(second));
        let mut facts = SiteFacts { until: self.now, checks: BTreeMap::new(), boots: Vec::new(), off: Vec::new() };
        for finding in &self.findings {
            facts.checks.entry(finding.id.check.clone()).or_default().findings.push(finding.clone());
        }
        let judged: Vec<Judged> = self.findings.iter().map(|finding| self.judged(finding)).collect();
        let effects = reconcile(&self.view, &judged, &facts, &Rules::default(), self.now);
        effects.iter().for_each(|effect| self.keep(effect));
        effects
    }

    fn judged(&self, finding: &FindingFact) -> Judged {
        let check = finding.id.check.clone();
        let root = Root::Check { check: check.clone() };
        let cause = OpeningCause::Concluded { source: "finding".to_owned(), occurrence: finding.started.not_after };
        let is_told = matches!(self.view.stage, Stage::Commissioned { .. });
        Judged {
            key: IncidentKey::new(&self.view.client, &self.view.site, &root, &cause),
            class: self.view.checks[&check].class(),
            kind: IncidentKind::Down,
            root: Subject::Asset { asset: check.asset.clone(), check: Some(check.clone()) },
            started: finding.started,
            detected: finding.detected,
            received: finding.received,
            opened: plus(finding.detected, open_after(&self.view.assets[&check.asset])).max(finding.received),
            restored: finding.restored(),
            parent: None,
            symptoms: [finding.id.clone()].into(),
            title: format!("{}: fails", check.asset),
            cause: Cause::Undetermined,
            critical: Default::default(),
            handling: if is_told { Handling::Desk } else { Handling::AsFound },
            is_ticketed: is_told,
            is_paged: is_told,
        }
    }

    pub(super) fn silent(&mut self, last_heard: u64, deadline: u64) -> Vec<IncidentEffect> {
        self.now = self.now.max(at(deadline));
        let trigger = self.trigger_silent(last_heard, deadline);
        self.apply(&trigger)
    }

    pub(super) fn trigger_silent(&self, last_heard: u64, deadline: u64) -> Trigger {
        Trigger::AgentSilent(SilenceSeen {
            agent: "a1".parse().unwrap(),
            host: Some("srv-1".parse().unwrap()),
            extent: crate::silence::Extent::Site,
            zone: jiff::tz::TimeZone::UTC,
            said_power: false,
            together: None,
            last_heard: at(last_heard),
            expected_by: at(last_heard + 30),
            deadline: at(deadline),
        })
    }

    pub(super) fn back(&mut self, heard: u64) -> Vec<IncidentEffect> {
        self.now = self.now.max(at(heard));
        let trigger = self.trigger_back(heard);
        self.apply(&trigger)
    }

    pub(super) fn trigger_back(&self, heard: u64) -> Trigger {
        Trigger::AgentBack { agent: "a1".parse().unwrap(), heard: at(heard) }
    }

    pub(super) fn wakes(&mut self, second: u64) -> Vec<IncidentEffect> {
        self.now = at(second);
        self.apply(&Trigger::Deadline)
    }

    pub(super) fn takes(&mut self, second: u64) {
        self.person(&Action::Take, second);
    }

    pub(super) fn resolves(&mut self, second: u64) {
        self.person(&Action::Resolve(Resolution::Measured), second);
    }

    pub(super) fn dismisses(&mut self, second: u64) {
        self.person(&Action::Dismiss { reason: "known".to_owned() }, second);
    }

    pub(super) fn apply(&mut self, trigger: &Trigger) -> Vec<IncidentEffect> {
        let effects = decide(&self.view, trigger, &Rules::default(), self.now);
        effects.iter().for_each(|effect| self.keep(effect));
        effects
    }

    /// Asks the same of every incident; those that refuse stay.
    fn person(&mut self, action: &Action, second: u64) {
        let by = Who::Person("ana".to_owned());
        for incident in self.view.incidents.clone() {
            if let Ok(Some(effect)) = act(&incident, action, &by, at(second), at(second)) {
                self.keep(&effect);
            }
        }
    }

    fn keep(&mut self, effect: &IncidentEffect) {
        assert!(effect.due_at <= effect.noticed_at, "{effect:?}");
        match self.view.incidents.iter_mut().find(|incident| incident.key == effect.incident.key) {
            Some(incident) => *incident = effect.incident.clone(),
            None => self.view.incidents.push(effect.incident.clone()),
        }
    }
}

pub(super) fn at(second: u64) -> Timestamp {
    Timestamp::from_second(second.try_into().unwrap()).unwrap()
}

/// `opened begins(detected,received)@due state`, one per effect.
pub(super) fn told(effects: &[IncidentEffect]) -> String {
    let one = |effect: &IncidentEffect| {
        let change = effect.change.word();
        let desk = match effect.desk {
            Desk::Begins { detected, received } => {
                format!(" begins({},{})", detected.as_second(), received.as_second())
            }
            Desk::AsBefore => String::new(),
        };
        format!("{change}{desk}@{} {}", effect.due_at.as_second(), effect.incident.state.word())
    };
    effects.iter().map(one).collect::<Vec<_>>().join(" | ")
}

fn check(name: &str) -> CheckId {
    name.parse().unwrap()
}
