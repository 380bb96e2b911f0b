//! What is promised by when: each target as the matcher pins it, worked out for the sites of this client.
//!
//! Nothing is computed here. The targets are asked of [`crate::matching`] for every site, complexity and priority, as it
//! pins them to incidents; what differs in nothing but its time is one sentence.

use serde::Serialize;
use upheld_model::SiteId;

use super::{Asked, hours, say};
use crate::{
    matching,
    terms::{Target, Within},
    words::{Level, Manner, MeasuredFrom, Priority, SatisfiedBy, Stage},
};

/// One promise of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetClaim {
    /// As the matcher pins it to an incident of the first case.
    pub target: Target,
    /// For which priorities.
    pub priorities: Vec<Priority>,
    /// The rider that brings it.
    pub rider: Option<String>,
    /// By when, where and for what. Together they cover every site and every complexity of the catalogue.
    pub cases: Vec<Case>,
    /// Whether another target of the stage holds for one of its priorities: the earlier due counts.
    pub has_another: bool,
    #[serde(skip)]
    counted_in: String,
}

/// By when, at some sites and for some issues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// At which sites.
    pub sites: Vec<SiteId>,
    /// For issues of which complexity; `None` is one that the catalogue does not rate.
    pub complexity: Vec<Option<Level>>,
    /// By when.
    pub within: Within,
    /// How the sites are said: `Plant 2, which is far`.
    #[serde(skip)]
    said_sites: Vec<String>,
}

/// One target at one site, for one complexity and priority.
struct Pinned {
    target: Target,
    site: SiteId,
    complexity: Option<Level>,
    priority: Priority,
}

pub(super) fn gather(asked: &Asked<'_>) -> Vec<TargetClaim> {
    let complexities = complexities(asked);
    let mut all: Vec<Pinned> = Vec::new();
    for site in asked.sites() {
        for &complexity in &complexities {
            for &priority in Priority::ALL {
                let promised = matching::promised(asked.book, asked.client, asked.version, site, complexity, priority);
                let pinned = |target| Pinned { target, site: site.id.clone(), complexity, priority };
                all.extend(promised.into_iter().map(pinned));
            }
        }
    }
    let mut claims: Vec<TargetClaim> = Vec::new();
    for pinned in &all {
        let same = claims.iter_mut().find(|claim| is_same_but_for_time(&claim.target, &pinned.target));
        let claim = match same {
            Some(claim) => claim,
            None => {
                claims.push(claim(asked, &pinned.target));
                let Some(claim) = claims.last_mut() else { continue };
                claim
            }
        };
        if !claim.priorities.contains(&pinned.priority) {
            claim.priorities.push(pinned.priority);
        }
        add(claim, pinned, asked);
    }
    claims.sort_by_key(|claim| claim.target.stage);
    let others: Vec<bool> = claims.iter().map(|claim| has_another(claim, &claims)).collect();
    for (claim, has_another) in claims.iter_mut().zip(others) {
        claim.priorities.sort();
        claim.has_another = has_another;
    }
    claims
}

fn claim(asked: &Asked<'_>, target: &Target) -> TargetClaim {
    let rider =
        asked.version.riders.iter().find(|rider| target.source.starts_with(&format!("plans/{}.toml ", rider.value)));
    let name = rider.map(|rider| {
        asked.book.riders.get(&rider.value).map_or_else(|| rider.value.to_string(), |known| known.name.clone())
    });
    TargetClaim {
        target: target.clone(),
        priorities: Vec::new(),
        rider: name,
        cases: Vec::new(),
        has_another: false,
        counted_in: format!(
            "counted {}",
            hours::in_hours(&target.calendar, asked.book.calendars.get(&target.calendar))
        ),
    }
}

/// Puts a site and a complexity where the same time is promised.
fn add(claim: &mut TargetClaim, pinned: &Pinned, asked: &Asked<'_>) {
    let Pinned { target, site, complexity, .. } = pinned;
    // First the sites that share a time for this complexity, then the complexities that share all their sites.
    let same = claim.cases.iter_mut().find(|case| case.complexity == [*complexity] && case.within == target.within);
    match same {
        Some(case) if case.sites.contains(site) => {}
        Some(case) => {
            case.sites.push(site.clone());
            case.said_sites.push(asked.site_in_words(site));
        }
        None => claim.cases.push(Case {
            sites: vec![site.clone()],
            complexity: vec![*complexity],
            within: target.within,
            said_sites: vec![asked.site_in_words(site)],
        }),
    }
}

fn is_same_but_for_time(a: &Target, b: &Target) -> bool {
    let bare = |target: &Target| Target { within: b.within, modified: Vec::new(), ..target.clone() };
    bare(a) == bare(b)
}

fn has_another(claim: &TargetClaim, all: &[TargetClaim]) -> bool {
    all.iter().any(|other| {
        !std::ptr::eq(other, claim)
            && other.target.stage == claim.target.stage
            && other.priorities.iter().any(|priority| claim.priorities.contains(priority))
    })
}

/// The complexities that issues of the catalogue have, none first.
fn complexities(asked: &Asked<'_>) -> Vec<Option<Level>> {
    let mut found: Vec<Option<Level>> = asked.book.catalogue.issues.iter().map(|issue| issue.complexity).collect();
    found.push(None);
    found.sort();
    found.dedup();
    found
}

impl TargetClaim {
    pub(super) fn say(&self) -> String {
        let mut said = vec![self.promise()];
        said.extend(self.manner());
        if self.target.satisfied_by == SatisfiedBy::Acknowledge && self.target.stage == Stage::Respond {
            said.push("It is enough for this that somebody of ours has taken the incident.".to_owned());
        }
        said.extend(self.pauses());
        if !self.target.warn_at.is_empty() {
            let at: Vec<String> = self.target.warn_at.iter().map(|share| share.as_percent()).collect();
            said.push(format!("Our people are warned at {} of that time.", say::list(&at, "and")));
        }
        if self.target.grace_s > 0 {
            said.push(format!(
                "If the time is shortened while an incident runs, at least {} are left from then.",
                say::time(self.target.grace_s)
            ));
        }
        if self.has_another {
            said.push("Where another promise of ours holds as well, the earlier of the two counts.".to_owned());
        }
        said.join(" ")
    }

    /// `For P1 and P2 we answer within 4 hours of receiving it, counted in "business" hours.`
    fn promise(&self) -> String {
        let priorities: Vec<&str> = self.priorities.iter().map(|priority| priority.as_str()).collect();
        let whose = match self.priorities.len() == Priority::ALL.len() {
            true => "for every priority".to_owned(),
            false => format!("for {}", say::list(&priorities, "and")),
        };
        let whose = match &self.rider {
            Some(rider) => format!("With {rider}, {whose}"),
            None => say::capital(&whose),
        };
        let what = match self.target.stage {
            Stage::Acknowledge => "we confirm that somebody has taken it",
            Stage::Respond => "we answer you",
            Stage::OnSite => "we come to the site",
            Stage::Update => "we tell you again and again how it stands, until it works,",
            Stage::Workaround => "we have you working again, if not as before,",
            Stage::Resolve => "we have it working again",
            Stage::VisitReport => "you have our report of a visit",
            Stage::RestoreTest => "we restore a backup and open it",
        };
        let counted = match self.target.within {
            Within::Covered { .. } => format!(", {} from {}", self.counted_in, self.since()),
            Within::NextBusinessDay { .. } => String::new(),
        };
        format!("{whose} {what} {}{counted}.", self.when())
    }

    fn when(&self) -> String {
        let mut said: Vec<String> = Vec::new();
        for group in self.groups() {
            let is_one = group.len() == 1;
            let each: Vec<String> = group
                .iter()
                .map(|case| {
                    let at = if is_one { String::new() } else { format!(" at {}", say::list(&case.said_sites, "and")) };
                    format!("{}{at}", self.by(case.within))
                })
                .collect();
            let complexity = group.first().map(|case| case.complexity.as_slice()).unwrap_or_default();
            let prefix = if said.is_empty() {
                String::new()
            } else {
                format!("for issues of {} complexity ", levels(complexity))
            };
            said.push(format!("{prefix}{}", say::list(&each, "and")));
        }
        said.join(", and ")
    }

    /// The cases by complexity, those of one set of times together; the plainest complexity first.
    fn groups(&self) -> Vec<Vec<Case>> {
        let mut groups: Vec<Vec<Case>> = Vec::new();
        let mut complexities: Vec<Option<Level>> =
            self.cases.iter().flat_map(|case| case.complexity.iter().copied()).collect();
        complexities.sort();
        complexities.dedup();
        for complexity in complexities {
            let own: Vec<Case> =
                self.cases.iter().filter(|case| case.complexity.contains(&complexity)).cloned().collect();
            let same_times = |group: &&mut Vec<Case>| {
                let times =
                    |cases: &[Case]| cases.iter().map(|case| (case.within, case.sites.clone())).collect::<Vec<_>>();
                times(group) == times(&own)
            };
            match groups.iter_mut().find(same_times) {
                Some(group) => group.iter_mut().for_each(|case| case.complexity.push(complexity)),
                None => groups.push(own),
            }
        }
        groups
    }

    fn by(&self, within: Within) -> String {
        match within {
            Within::Covered { seconds } if self.target.stage == Stage::Update => {
                format!("each time within {}", say::time(seconds.0))
            }
            Within::Covered { seconds } => format!("within {}", say::time(seconds.0)),
            Within::NextBusinessDay { by, received_by } => {
                let clock = |at: jiff::civil::Time| say::clock(&at.strftime("%H:%M").to_string());
                let cut_off = received_by
                    .map(|at| format!(", or of the one after that if {} is after {}", self.since(), clock(at)))
                    .unwrap_or_default();
                let calendar = &self.target.calendar;
                format!("by {} of the next day that has \"{calendar}\" hours{cut_off}", clock(by))
            }
        }
    }

    /// From where the time is measured.
    fn since(&self) -> String {
        let since = match (self.target.stage, self.target.measured_from) {
            (Stage::VisitReport, _) => "our coming to the site",
            (Stage::RestoreTest, _) => "its working again",
            (Stage::Update, _) => "our receiving it, then from our last word",
            (_, MeasuredFrom::Received) => "our receiving it",
            (_, MeasuredFrom::Detected) => "its being detected at your site",
            (_, MeasuredFrom::Reported) => "your call, or our receiving it where nobody called",
        };
        match self.target.after {
            None => since.to_owned(),
            Some(after) => format!(
                "when {} so counted have passed since our answer, or since it was due, and it still does not work",
                say::time(after.unresolved_for.0)
            ),
        }
    }

    fn manner(&self) -> Option<String> {
        if self.target.stage != Stage::Respond || self.target.manners.is_empty() {
            return None;
        }
        let manners: Vec<&str> = self.target.manners.iter().map(|&manner: &Manner| say::manner(manner)).collect();
        Some(format!("We answer {}; nothing else counts as an answer.", say::list(&manners, "or")))
    }

    fn pauses(&self) -> Option<String> {
        if self.target.pause_for.is_empty() {
            return None;
        }
        let reasons: Vec<String> =
            self.target.pause_for.iter().map(|reason| format!("\"{}\"", say::unhyphened(reason.as_str()))).collect();
        let longest = self
            .target
            .longest_pause_s
            .map(|at_most| format!(", for {} at most each time", say::long_time(at_most)))
            .unwrap_or_default();
        Some(format!("The time stands still while we wait for {}{longest}.", say::list(&reasons, "or")))
    }
}

/// `high`, `low or medium`; issues that are not rated are of no complexity.
fn levels(complexity: &[Option<Level>]) -> String {
    let said: Vec<&str> = complexity.iter().map(|level| level.map_or("no rated", Level::as_str)).collect();
    say::list(&said, "or")
}
