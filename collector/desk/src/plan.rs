//! Sites as detection sees them, built from the book: the one home of that, for the running collector and for a replay.
//!
//! Hours in which an asset is expected to run, agreed windows of work and the longest wait become instants here, since
//! detection knows no calendar and no terms. What a book says that cannot be understood (a recurrence, a zone) is an
//! error by name, never a guess.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use upheld_agreement::{
    book::{self, Book},
    calendar::{Calendar, Why},
    matching::{self, Affected, Detected, MatchQuery},
    terms::Within,
    words::{BookName, Stage as ClockStage},
};
use upheld_detection::{
    fold::FoldRule,
    incident::Stage,
    kind::{CheckKind, Family},
    plan::{Asset, Check, Expected, Promised, Site},
    schedule::{Job, Schedule},
    uptime::Span,
};
use upheld_model::{AssetId, CheckId, ClientId, IncidentKind, ProbeSpec, SiteId};
use upheld_store::{ReadTx, agents::AgentRow};

use crate::{
    DeskError,
    facts::CellCache,
    jobs::{GRACE, JobText},
    maintenance,
};

/// Why a site of the book cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{site}: {why}")]
pub struct PlanError {
    /// Which site, with its client.
    pub site: String,
    /// What is wrong and what to write instead.
    pub why: String,
}

/// How far back facts are judged: twice what any rule looks at, so that what began within a month is told by the same
/// begin for another one.
pub(crate) const LOOK_BACK: SignedDuration = SignedDuration::from_hours(62 * 24);
/// How long a plan is good: calendars and terms are asked again then.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The sites of one book, each built once a day.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    plans: Mutex<BTreeMap<(ClientId, SiteId), Built>>,
    /// The hours of their complete days.
    pub(crate) cells: CellCache,
}

/// A plan, and when it was built.
type Built = (Timestamp, Arc<Site>);

impl Sites {
    /// A site with its longest waits; without windows of work, which people enter at any time. `None` when the book has
    /// no such site.
    pub(crate) fn plan(
        &self,
        book: &Book,
        client: &ClientId,
        site: &SiteId,
        now: Timestamp,
    ) -> Result<Option<Arc<Site>>, PlanError> {
        let name = (client.clone(), site.clone());
        let held = self.plans.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some((_, plan)) = held.filter(|(built, _)| *built <= now && now.duration_since(*built) < GOOD_FOR) {
            return Ok(Some(plan));
        }
        let Some(entry) = book.site(client, site) else { return Ok(None) };
        let from = now.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        let mut plan = site_of(book, client, entry, Span { from, to: now })?;
        limit_waits(&mut plan, book, now);
        let plan = Arc::new(plan);
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).insert(name, (now, Arc::clone(&plan)));
        Ok(Some(plan))
    }
}

/// How far calendars are asked beyond the period that is judged: deadlines may fall after it.
const BEYOND: Duration = Duration::from_secs(31 * 86_400);
/// The response target is kept three quarters free for people (DETECTION 4.2).
const WAIT_SHARE: u64 = 4;

/// The site as detection sees it; `period` is what will be judged.
pub fn site_of(book: &Book, client: &ClientId, site: &book::Site, period: Span) -> Result<Site, PlanError> {
    let wrong = |why: String| PlanError { site: format!("{client}/{}", site.id), why };
    let zone = TimeZone::get(&site.zone).map_err(|error| wrong(error.to_string()))?;
    let wide = Span {
        from: period.from.saturating_sub(BEYOND).unwrap_or(period.from),
        to: period.to.saturating_add(BEYOND).unwrap_or(period.to),
    };
    let mut assets = BTreeMap::new();
    for (id, asset) in &site.assets {
        let expected = match &asset.expected {
            Some(name) => Expected::Within(hours(book, &name.value, wide).map_err(wrong)?),
            None => Expected::ByClass,
        };
        assets.insert(
            id.clone(),
            Asset {
                class: asset.class,
                is_critical: book.is_critical(client, &site.id, id),
                edges: asset.edges.iter().map(|edge| (edge.kind, edge.to.value.clone())).collect(),
                expected,
                maintenance: windows(site, id, wide).map_err(wrong)?,
                max_wait: None,
            },
        );
    }
    let stage = match site.commissioned_at() {
        Some(since) => Stage::Commissioned { since },
        None => Stage::Commissioning,
    };
    let checks = checks_of(site);
    Ok(Site { client: client.clone(), site: site.id.clone(), zone, stage, assets, checks })
}

/// The zone in which a site's times are read; UTC where the book's is unknown, which its reading refuses.
pub(crate) fn zone_of(site: &book::Site) -> TimeZone {
    TimeZone::get(&site.zone).unwrap_or(TimeZone::UTC)
}

/// The asset on which an agent of a site runs: the one that has its host's name; else, for the site's only active agent,
/// the one whose `host` check the site has, if it has just one.
pub(crate) fn host_of(plan: &Site, agent: &AgentRow, active: usize) -> Option<AssetId> {
    let hosts = plan.checks.iter().filter(|(_, check)| check.kind.as_str() == "host").map(|(id, _)| &id.asset);
    host_among(agent, active, |asset| plan.assets.contains_key(asset), hosts)
}

/// The same with the site's assets, and those of its `host` checks.
pub(crate) fn host_among<'a>(
    agent: &AgentRow,
    active: usize,
    is_asset: impl Fn(&AssetId) -> bool,
    mut hosts: impl Iterator<Item = &'a AssetId>,
) -> Option<AssetId> {
    let named = agent.host.parse::<AssetId>().ok().filter(is_asset);
    named.or_else(|| match (hosts.next(), hosts.next()) {
        (Some(one), None) if active <= 1 => Some(one.clone()),
        (Some(_), _) | (None, _) => None,
    })
}

/// What each check of the site asks, and when to believe it.
pub(crate) fn checks_of(site: &book::Site) -> BTreeMap<CheckId, Check> {
    let built = site.checks().into_iter().map(|spec| {
        let check =
            Check { kind: CheckKind::from(&spec.probe), rule: FoldRule::from(&spec), promised: promised(&spec.probe) };
        (spec.id, check)
    });
    let unbuilt = site.unbuilt().map(|check| {
        let kind = CheckKind::new(&check.kind);
        let rule = rule_of(&kind, check.fail_after, check.recover_after);
        (check.id.clone(), Check { kind, rule, promised: promised_of(check) })
    });
    let jobs = site.jobs().map(|job| {
        let kind = CheckKind::new(&job.kind);
        let rule = kind.usual_rule();
        (job.id.clone(), Check { kind, rule, promised: Promised::default() })
    });
    unbuilt.chain(built).chain(jobs).collect()
}

/// The jobs of a site that tell when they ran, each watched from when the site was commissioned; in its site's zone
/// unless it names its host's own.
pub fn jobs_of(site: &book::Site) -> Result<BTreeMap<CheckId, Job>, PlanError> {
    let job = |job: &book::JobCheck| Ok((job.id.clone(), job_of(site, job)?));
    site.jobs().map(job).collect()
}

fn job_of(site: &book::Site, job: &book::JobCheck) -> Result<Job, PlanError> {
    let since = site.commissioned_at().unwrap_or(Timestamp::MIN);
    JobText::of(site, job).job(&job.id, since).map_err(|why| PlanError { site: job.id.to_string(), why })
}

/// The jobs of a site that tell nothing to an agent yet, and have a schedule: a trace may tell of their runs.
pub fn unbuilt_jobs_of(site: &book::Site) -> Result<BTreeMap<CheckId, Job>, PlanError> {
    let mut jobs = BTreeMap::new();
    for check in site.unbuilt() {
        let wrong = |why: String| PlanError { site: check.id.to_string(), why };
        let text = |key: &str| check.says.get(key).and_then(serde_json::Value::as_str);
        let Some(schedule) = text("schedule") else { continue };
        let grace = text("grace").map(Schedule::interval).transpose().map_err(|error| wrong(error.to_string()))?;
        let zone = TimeZone::get(text("time_zone").unwrap_or(&site.zone)).map_err(|error| wrong(error.to_string()))?;
        let job = Job {
            schedule: Schedule::read(schedule).map_err(|error| wrong(error.to_string()))?,
            zone,
            grace: grace.unwrap_or(GRACE),
            since: site.commissioned_at().unwrap_or(Timestamp::MIN),
            until: Timestamp::MAX,
            seen_by: None,
        };
        jobs.insert(check.id.clone(), job);
    }
    Ok(jobs)
}

/// What the checks of today's agents are held against.
fn promised(probe: &ProbeSpec) -> Promised {
    let certificate_days = match probe {
        ProbeSpec::NetHttp { tls_warn_days, .. } => Some(*tls_warn_days),
        ProbeSpec::NetTls(spec) => Some(spec.tls_warn_days),
        ProbeSpec::Host { .. }
        | ProbeSpec::NetIcmp { .. }
        | ProbeSpec::NetTcp { .. }
        | ProbeSpec::NetQuality { .. }
        | ProbeSpec::NetDns(_)
        | ProbeSpec::NetNtp(_)
        | ProbeSpec::NetLink { .. }
        | ProbeSpec::NetPath(_)
        | ProbeSpec::PowerBoot {}
        | ProbeSpec::UpsNut { .. }
        | ProbeSpec::UpsApcupsd { .. }
        | ProbeSpec::UpsSnmp(_)
        | ProbeSpec::UpsBattery { .. }
        | ProbeSpec::Snmp(_)
        | ProbeSpec::Service { .. }
        | ProbeSpec::ExecNagios { .. }
        | ProbeSpec::Process(_)
        | ProbeSpec::EventLog(_)
        | ProbeSpec::Log(_)
        | ProbeSpec::HostSmart { .. }
        | ProbeSpec::RecFreshness(_)
        | ProbeSpec::BackupFiles(_)
        | ProbeSpec::Later(_) => None,
    };
    Promised { certificate_days, ..Promised::default() }
}

/// What the site file says of a check that no agent can run: `retention = "30d"` of recordings.
fn promised_of(check: &book::UnbuiltCheck) -> Promised {
    let kind = CheckKind::new(&check.kind);
    let span = |key: &str| {
        let text = check.says.get(key).and_then(serde_json::Value::as_str)?;
        Schedule::interval(text).ok()
    };
    let days = |span: Duration| u32::try_from(span.as_secs() / 86_400).ok();
    let retention_days = span("retention").and_then(days).filter(|_| kind.family() == Family::Recording);
    Promised { retention_days, ..Promised::default() }
}

/// When a check that no agent can run is believed: as its book says, or as is usual for its kind.
pub fn rule_of(kind: &CheckKind, fail_after: Option<u32>, recover_after: Option<u32>) -> FoldRule {
    let usual = kind.usual_rule();
    FoldRule {
        fail_after: fail_after.unwrap_or(usual.fail_after).max(1),
        recover_after: recover_after.unwrap_or(usual.recover_after).max(1),
        ..usual
    }
}

/// Puts the windows of work that were entered, from the book and by people, in the place of the book's own: each holds
/// from when somebody knew of it.
pub(crate) fn enter_windows(plan: &mut Site, tx: &dyn ReadTx, period: Span) -> Result<(), DeskError> {
    let to = period.to.saturating_add(BEYOND).unwrap_or(period.to);
    let stretches = maintenance::stretches(tx, &plan.client, &plan.site, period.from, to)?;
    for (id, asset) in &mut plan.assets {
        let own = stretches.iter().filter(|stretch| stretch.upon.asset(id));
        let spans = own.map(|stretch| Span { from: stretch.from.max(stretch.entered_at), to: stretch.to });
        asset.maintenance = spans.filter(|span| span.from < span.to).collect();
    }
    Ok(())
}

/// Says what the terms in force at `at` promise: how long openings may be held back (a quarter of each asset's response
/// target), and how often a restore is tested.
pub fn limit_waits(plan: &mut Site, book: &Book, at: Timestamp) {
    let Site { client, site, assets, checks, .. } = plan;
    for (id, asset) in assets {
        let Some((check, kind)) = checks.iter().find(|(check, _)| check.asset == *id) else { continue };
        let query = MatchQuery {
            client: client.clone(),
            site: site.clone(),
            asset: Some(id.clone()),
            detected: Detected::at(at),
            class: kind.kind.class_on(asset.class),
            kind: IncidentKind::Down,
            check: Some(check.name.clone()),
            affected: Affected::one(),
        };
        let Ok(terms) = matching::resolve(book, &query) else { continue };
        let prevention = book.plans.get(&terms.plan).and_then(|plan| plan.prevention.as_ref());
        if let Some(often) = prevention.and_then(|prevention| prevention.restore_test) {
            let every = Duration::from_secs(u64::from(often.days_max()) * 86_400);
            let own =
                checks.iter_mut().filter(|(check, own)| check.asset == *id && own.kind.family() == Family::Restore);
            own.for_each(|(_, own)| own.promised.restore_every = Some(every));
        }
        let responses = terms.targets.iter().filter(|target| target.stage == ClockStage::Respond);
        let seconds = responses.filter_map(|target| match target.within {
            Within::Covered { seconds } => Some(seconds.0),
            Within::NextBusinessDay { .. } => None,
        });
        asset.max_wait = seconds.min().map(|seconds| Duration::from_secs(seconds / WAIT_SHARE));
    }
}

/// The stretches in which a calendar is open.
fn hours(book: &Book, name: &BookName, wide: Span) -> Result<Vec<Span>, String> {
    let def = book.calendars.get(name).ok_or_else(|| format!("the book has no calendar `{name}`"))?;
    let calendar = Calendar::compile(def).map_err(|error| error.to_string())?;
    let mut open: Vec<Span> = Vec::new();
    for segment in calendar.segments(wide.from, wide.to, &[]).into_iter().filter(|s| s.why == Why::Counted) {
        match open.last_mut() {
            Some(last) if last.to == segment.from => last.to = segment.to,
            Some(_) | None => open.push(Span { from: segment.from, to: segment.to }),
        }
    }
    Ok(open)
}

/// The windows of work that the book has.
fn windows(site: &book::Site, asset: &AssetId, wide: Span) -> Result<Vec<Span>, String> {
    let mut spans = Vec::new();
    let windows = site.maintenance.iter().map(|window| window.window(&site.zone));
    for window in windows.filter(|window| window.upon.asset(asset)) {
        let own = window.when.stretches(wide.from, wide.to).map_err(|error| error.to_string())?;
        spans.extend(own.into_iter().map(|(from, to)| Span { from, to }));
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_that_no_agent_can_run_yet_are_believed_as_the_book_says() {
        let kind = CheckKind::new("cam.rtsp");
        assert_eq!(rule_of(&kind, None, Some(0)).recover_after, 1, "never without a sample");
        assert_eq!(rule_of(&kind, Some(7), None).fail_after, 7);
    }

    #[test]
    fn nothing_waits_longer_than_a_quarter_of_its_response_target() {
        let book = Book::read(&crate::tests::world::book()).unwrap();
        let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
        let at = "2026-11-16T16:00:00Z".parse().unwrap();
        let mut plan = site_of(&book, &client, book.site(&client, &site).unwrap(), Span { from: at, to: at }).unwrap();
        limit_waits(&mut plan, &book, at);
        let server: AssetId = "srv-1".parse().unwrap();
        assert_eq!(plan.assets[&server].max_wait, Some(Duration::from_secs(900)), "an hour is promised");
        let nobody = "other".parse().unwrap();
        let mut plan = site_of(&book, &nobody, book.site(&nobody, &site).unwrap(), Span { from: at, to: at }).unwrap();
        limit_waits(&mut plan, &book, at);
        assert_eq!(plan.assets[&server].max_wait, None, "nothing is promised");
    }
}
