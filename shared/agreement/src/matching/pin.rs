//! Putting the terms of one version together, calendars inside.

use std::collections::BTreeMap;

use jiff::civil::time;

use super::{Asked, Candidate, MatchQuery, NoMatch, issue, moment, targets};
use crate::{
    book::{Agreement, Book, Channel, PlainSeconds, Version},
    calendar::{CalendarDef, Hours, Weekly},
    terms::{AssetTerms, CoveredSeconds, PinnedManufacturer, PinnedTerms, Why, Within},
};

pub(super) fn pin(
    book: &Book,
    query: &MatchQuery,
    candidate: &Result<Candidate<'_>, NoMatch>,
    asked: &Asked,
) -> Result<PinnedTerms, NoMatch> {
    let candidate = candidate.as_ref().map_err(Clone::clone)?;
    let Candidate { client, agreement, version, .. } = candidate;
    let plan = book.plans.get(&version.plan.value).ok_or_else(|| NoMatch::PlanMissing {
        agreement: agreement.number.clone(),
        version: version.number,
        plan: version.plan.value.to_string(),
    })?;
    let judged = issue::judge(book, plan, candidate, query, asked);
    let (targets, why_targets) = targets::targets(book, plan, candidate, judged.issue.complexity, judged.priority);
    let calendars: BTreeMap<_, _> = targets
        .iter()
        .filter_map(|target| Some((target.calendar.clone(), book.calendars.get(&target.calendar)?.clone())))
        .collect();
    let version_hash = book
        .versions_of(client)
        .into_iter()
        .find(|summary| summary.version == version.number)
        .map_or_else(|| crate::canonical::digest(version), |summary| summary.hash);
    let mut why = vec![why_version(book, candidate, query)];
    why.extend(judged.why);
    why.push(Why::because(format!("{} targets hold", targets.len())).with(why_targets));
    why.extend(why_not_others(book, candidate));
    let asset_terms = query.asset.as_ref().and_then(|asset| agreement.terms_of(&query.site, asset));
    let what = format!("{} with {}", plan.name, riders_in_words(book, candidate));
    Ok(PinnedTerms {
        client: query.client.clone(),
        site: query.site.clone(),
        asset: query.asset.clone(),
        agreement: agreement.number.clone(),
        version: version.number,
        version_hash,
        in_force_from: version.from,
        in_force_until: agreement.ends(version),
        open_incidents: version.open_incidents,
        plan: version.plan.value.clone(),
        plan_name: plan.name.clone(),
        riders: version.riders.iter().map(|rider| rider.value.clone()).collect(),
        issue: judged.issue,
        impact: judged.impact,
        priority: judged.priority,
        calendars,
        targets,
        tell: tellable(book),
        fee: version.fee,
        asset_terms: asset_terms.cloned(),
        manufacturer: manufacturer(book, asset_terms),
        dispute_within_s: agreement.dispute_within_s.map(|seconds| seconds.0),
        inputs: Some(judged.inputs),
        expedited: asked.expedited.clone(),
        explanation: Why::because(what).with(why),
        amendments: Vec::new(),
    })
}

/// The manufacturer's own promise. "Next business day" without a time of day is until that day ends.
fn manufacturer(book: &Book, asset: Option<&AssetTerms>) -> Option<PinnedManufacturer> {
    let maker = &asset?.manufacturer.as_ref()?.maker;
    let known = book.manufacturers.get(maker)?;
    let promise = known.promises.as_ref()?.respond.as_deref()?;
    let respond = match PlainSeconds::parse(promise) {
        Some(seconds) => Within::Covered { seconds: CoveredSeconds(seconds.0) },
        None => Within::NextBusinessDay { by: time(23, 59, 59, 0), received_by: None },
    };
    let hours = known.support.as_ref().and_then(|support| support.hours.as_ref());
    let hours = hours.and_then(|hours| book.calendars.get(&hours.value)).cloned().unwrap_or_else(|| CalendarDef {
        tz: book.provider.zone.clone(),
        weekly: Weekly::every_day(&[Hours("00:00".to_owned(), "24:00".to_owned())]),
        ..CalendarDef::default()
    });
    let (maker, name) = (maker.clone(), known.name.clone());
    let source = format!("manufacturers/{maker}.toml promises");
    Some(PinnedManufacturer { maker, name, respond, hours, source })
}

/// The channels that are told: every one of the provider's, by its name.
fn tellable(book: &Book) -> Vec<crate::words::BookName> {
    let can_tell = |channel: &Channel| channel.webhook.is_some() || channel.mail.is_some();
    book.provider.channels.iter().filter(|(_, channel)| can_tell(channel)).map(|(name, _)| name.clone()).collect()
}

fn riders_in_words(book: &Book, candidate: &Candidate<'_>) -> String {
    let names: Vec<String> = candidate
        .version
        .riders
        .iter()
        .map(|rider| book.riders.get(&rider.value).map_or_else(|| rider.value.to_string(), |known| known.name.clone()))
        .collect();
    if names.is_empty() { "no rider".to_owned() } else { names.join(" and ") }
}

fn why_version(book: &Book, candidate: &Candidate<'_>, query: &MatchQuery) -> Why {
    let Candidate { client, agreement, version, .. } = candidate;
    let (earliest, latest) = (moment(book, query.detected.earliest), moment(book, query.detected.latest));
    let detected = if earliest == latest {
        format!("detected at {latest}")
    } else {
        format!("detected between {earliest} and {latest}")
    };
    let what =
        format!("{} v{}, in force {}: {detected}", agreement.number, version.number, span(book, agreement, version));
    Why::because(what).at(format!("clients/{}/ssa.toml version {}", client.id, version.number))
}

/// The versions that do not hold, each with its dates.
fn why_not_others<'a>(book: &'a Book, candidate: &'a Candidate<'_>) -> impl Iterator<Item = Why> + 'a {
    let Candidate { client, agreement, version, .. } = candidate;
    agreement.versions.iter().filter(|other| other.number != version.number).map(|other| {
        let what =
            format!("not used: {} v{}, in force {}", agreement.number, other.number, span(book, agreement, other));
        Why::because(what).at(format!("clients/{}/ssa.toml version {}", client.id, other.number))
    })
}

/// `from 2026-11-03 00:00:00 CST until 2027-01-01 00:00:00 CST`.
fn span(book: &Book, agreement: &Agreement, version: &Version) -> String {
    let until = agreement.ends(version).map(|end| format!(" until {}", moment(book, end))).unwrap_or_default();
    format!("from {}{until}", moment(book, version.from))
}
