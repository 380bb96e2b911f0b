//! Agreements: what they name must be there.

use std::collections::BTreeMap;

use jiff::{civil::Date, tz::TimeZone};
use upheld_model::{ClientId, SiteId};

use super::{
    Check, Dues,
    plans::{by_when, covered},
};
use crate::{
    book::{Agreement, AssetPath, Book, Client, Code, Diagnostic, Located, Plan, Rider, TargetTerms, Version},
    calendar::Due,
    words::{BookName, Priority},
};

pub(super) fn validate<'a>(check: &mut Check<'a>, dues: &mut Dues<'a>) {
    let book = check.book;
    let mut numbers: BTreeMap<&str, &Agreement> = BTreeMap::new();
    for client in book.clients.values() {
        let Some(agreement) = &client.agreement else { continue };
        if let Some(first) = numbers.get(agreement.number.as_str()) {
            let message = format!("agreement number {} is there twice", agreement.number);
            check.report(Diagnostic::new(Code::Twice, &agreement.place, message).other(&first.place, "the first one"));
        }
        numbers.insert(&agreement.number, agreement);
        for version in &agreement.versions {
            validate_version(version, client, check);
            targets(agreement, version, check, dues);
        }
        let mut seen: BTreeMap<&AssetPath, &Located<AssetPath>> = BTreeMap::new();
        for entry in &agreement.asset_terms {
            if let Some(first) = seen.insert(&entry.asset.value, &entry.asset) {
                let message = format!("the terms of `{}/{}` are there twice", entry.asset.site, entry.asset.asset);
                let twice = Diagnostic::new(Code::Twice, &entry.asset.place, message);
                check.report(twice.other(&first.place, "the first one").help("say all of it in one [[asset_terms]]"));
            }
            known_asset(&entry.asset, client, check);
            if let Some(maker) = &entry.maker {
                check.reference("manufacturer", "manufacturers", maker);
            }
        }
    }
}

fn validate_version(version: &Version, client: &Client, check: &mut Check<'_>) {
    named_as(&version.plan, Named::Plan, check);
    for rider in &version.riders {
        named_as(rider, Named::Rider, check);
    }
    for site in &version.sites {
        if !check.has_file(&site_file(client, &site.value)) {
            let there: Vec<&str> = client.sites.keys().map(SiteId::as_str).collect();
            check.no_such_thing("site", site.as_str(), &site.place, &there);
        }
    }
    for asset in &version.not_covered {
        known_asset(asset, client, check);
    }
    if version.sites.is_empty() && !client.sites.is_empty() {
        let message = format!("version {} covers no site", version.number);
        check.report(Diagnostic::new(Code::NoSites, &version.place, message).help("write sites = [\"…\"]"));
    }
    distance_bands(version, client, check);
}

/// E0217 and W0106: what the version promises can fall due, and its riders make something earlier.
fn targets<'a>(agreement: &'a Agreement, version: &'a Version, check: &mut Check<'a>, dues: &mut Dues<'a>) {
    let book = check.book;
    let plan = book.plans.get(&version.plan.value);
    let riders: Vec<&Rider> = version.riders.iter().filter_map(|rider| book.riders.get(&rider.value)).collect();
    let of_plan = plan.map_or(&[][..], |plan| plan.targets.as_slice());
    for target in of_plan.iter().chain(riders.iter().flat_map(|rider| &rider.overrides)) {
        if dues.due(target, version.from) == Some(Due::Never) && !check.has_mistakes(calendar_file(target).as_str()) {
            let message = format!(
                "`{}` within {} can never fall due under {} v{}",
                target.stage.value,
                by_when(target),
                agreement.number,
                version.number
            );
            let never = Diagnostic::new(Code::NeverDue, &target.within.place, message);
            check.report(never.other(&version.place, "from here on").help("give the calendar weekly hours"));
        }
    }
    for rider in riders {
        // What never falls due has been said above, or where its calendar is.
        for target in &rider.overrides {
            if dues.due(target, version.from) != Some(Due::Never) {
                rider_makes_earlier(target, plan, rider, check, dues);
            }
        }
    }
}

fn calendar_file(target: &TargetTerms) -> String {
    format!("calendars/{}.toml", target.calendar.value)
}

/// A rider's target that is due no earlier than a target of the plan for each of its priorities is bought for nothing.
fn rider_makes_earlier<'a>(
    target: &'a TargetTerms,
    plan: Option<&'a Plan>,
    rider: &Rider,
    check: &mut Check<'a>,
    dues: &mut Dues<'a>,
) {
    let of_stage = plan.into_iter().flat_map(|plan| &plan.targets);
    let of_stage: Vec<&TargetTerms> =
        of_stage.filter(|own| own.stage.value == target.stage.value && own.after.is_none()).collect();
    let mut beaten_by: Option<&TargetTerms> = None;
    for priority in Priority::ALL.iter().copied().filter(|&priority| target.holds_for(priority)) {
        let earlier = of_stage.iter().find(|own| own.holds_for(priority) && is_never_earlier(target, own, dues));
        let Some(earlier) = earlier else { return };
        beaten_by = Some(earlier);
    }
    let (Some(own), Some(plan)) = (beaten_by, plan) else { return };
    let message = format!(
        "rider \"{}\" would lengthen `{}`: {} is never earlier than what plan \"{}\" promises",
        rider.name,
        target.stage.value,
        by_when(target),
        plan.name
    );
    let lengthens = Diagnostic::new(Code::RiderNoEarlier, &target.within.place, message);
    check.report(
        lengthens
            .label("this never counts")
            .other(&own.within.place, format!("the plan's is {}", by_when(own)))
            .help("shorten it, count it under a calendar that covers more, or leave it out"),
    );
}

fn is_never_earlier<'a>(target: &'a TargetTerms, own: &'a TargetTerms, dues: &mut Dues<'a>) -> bool {
    match (covered(target), covered(own)) {
        (Some(a), Some(b)) if target.calendar == own.calendar => a >= b,
        (_, _) => match (dues.all(target), dues.all(own)) {
            (Some(target), Some(own)) => target.iter().zip(own.iter()).all(|(a, b)| a >= b),
            (None, _) | (_, None) => false,
        },
    }
}

enum Named {
    Plan,
    Rider,
}

/// Both stand below `plans`: a rider in the place of a plan is worth its own words.
fn named_as(name: &Located<BookName>, named: Named, check: &mut Check<'_>) {
    let (is_plan, is_rider) = (check.book.plans.contains_key(&name.value), check.book.riders.contains_key(&name.value));
    match named {
        Named::Plan if is_rider => {
            let message = format!("`{}` is a rider, not a plan", name.value);
            let mistaken = Diagnostic::new(Code::NoSuchThing, &name.place, message);
            check.report(mistaken.help("name it in `riders`, and a plan here"));
        }
        Named::Rider if is_plan => {
            let message = format!("`{}` is a plan, not a rider", name.value);
            let mistaken = Diagnostic::new(Code::NoSuchThing, &name.place, message);
            check.report(mistaken.help("a rider's file says `rider = true`"));
        }
        Named::Plan => check.reference("plan", "plans", name),
        Named::Rider => check.reference("rider", "plans", name),
    }
}

/// A band that the plan's factors do not know would silently count as the nearest one.
fn distance_bands(version: &Version, client: &Client, check: &mut Check<'_>) {
    let Some(plan) = check.book.plans.get(&version.plan.value) else { return };
    let bands: Vec<&str> = plan.modifiers.distance.iter().map(|(band, _)| band.as_str()).collect();
    let covered = version.sites.iter().filter_map(|site| client.sites.get(&site.value));
    for distance in covered.filter_map(|site| site.distance.as_ref()) {
        if !bands.is_empty() && !bands.contains(&distance.as_str()) {
            check.no_such_thing("distance band", distance.as_str(), &distance.place, &bands);
        }
    }
}

fn known_asset(asset: &Located<AssetPath>, client: &Client, check: &mut Check<'_>) {
    let is_there = client.sites.get(&asset.site).is_some_and(|site| site.assets.contains_key(&asset.asset));
    // In a site file with mistakes the asset may be there and unread.
    if !is_there && !check.has_mistakes(&site_file(client, &asset.site)) {
        let all: Vec<String> = client
            .sites
            .values()
            .flat_map(|site| site.assets.keys().map(|asset| format!("{}/{asset}", site.id)))
            .collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        check.no_such_thing("asset", &format!("{}/{}", asset.site, asset.asset), &asset.place, &all);
    }
}

fn site_file(client: &Client, site: &SiteId) -> String {
    format!("clients/{}/sites/{site}.toml", client.id)
}

/// The calendars under which agreements count on `today` or later: whose, which, and the last day.
pub(super) fn calendars_in_use(book: &Book, today: Date) -> Vec<(ClientId, BookName, Option<Date>)> {
    let Ok(zone) = TimeZone::get(&book.provider.zone) else { return Vec::new() };
    let mut used = Vec::new();
    for client in book.clients.values() {
        for version in client.agreement.iter().flat_map(|agreement| &agreement.versions) {
            let last_day = client
                .agreement
                .as_ref()
                .and_then(|agreement| agreement.ends(version))
                .and_then(|end| zone.to_datetime(end).date().yesterday().ok());
            if last_day.is_some_and(|last_day| last_day < today) {
                continue;
            }
            let plan = book.plans.get(&version.plan.value);
            let riders = version.riders.iter().filter_map(|rider| book.riders.get(&rider.value));
            let targets = plan.into_iter().flat_map(|plan| &plan.targets);
            let targets = targets.chain(riders.flat_map(|rider| &rider.overrides));
            used.extend(targets.map(|target| (client.id.clone(), target.calendar.value.clone(), last_day)));
        }
    }
    used
}
