//! The sites of a book, as detection sees them.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use upheld_agreement::{
    book::{self, Book, Files, NOT_BUILT},
    calendar::{Calendar, Why},
    words::BookName,
};
use upheld_detection::{
    fold::FoldRule,
    incident::Stage,
    kind::{CheckKind, Family},
    plan::{Asset, Check, Expected, Site},
    uptime::Span,
};
use upheld_model::{AssetId, CheckId, ClientId, ProbeSpec, SiteId};

use crate::failure::{Exit, Failure};

/// How far beyond the last sample calendars are asked: deadlines may fall after it.
const BEYOND: Duration = Duration::from_secs(31 * 86_400);

/// Every site of the book. `period` bounds what its calendars and windows of work are asked for.
pub(super) fn of_book(files: &Files, period: Option<Span>) -> Result<Vec<Site>, Failure> {
    let (files, apart) = set_apart(files);
    let book = Book::read(&files)
        .map_err(|refused| Failure::new(Exit::Config, refused.to_string()).todo("upheld-collector book check DIR"))?;
    let period = period.unwrap_or(Span { from: Timestamp::UNIX_EPOCH, to: Timestamp::UNIX_EPOCH });
    let wide = Span {
        from: period.from.saturating_sub(BEYOND).unwrap_or(period.from),
        to: period.to.saturating_add(BEYOND).unwrap_or(period.to),
    };
    let mut sites = Vec::new();
    for (client, entry) in &book.clients {
        for site in entry.sites.values() {
            let own = apart.get(&(client.to_string(), site.id.to_string()));
            sites.push(site_of(&book, client, site, own.map(Vec::as_slice).unwrap_or_default(), wide)?);
        }
    }
    Ok(sites)
}

fn site_of(
    book: &Book,
    client: &ClientId,
    site: &book::Site,
    apart: &[(CheckId, Check)],
    wide: Span,
) -> Result<Site, Failure> {
    let zone = TimeZone::get(&site.zone).map_err(|error| Failure::of(Exit::Config, &error))?;
    let mut checks: BTreeMap<CheckId, Check> = apart.iter().cloned().collect();
    checks.extend(
        site.checks()
            .iter()
            .map(|spec| (spec.id.clone(), Check { kind: CheckKind::from(&spec.probe), rule: FoldRule::from(spec) })),
    );
    checks.extend(site.unbuilt().map(|check| {
        let kind = CheckKind::new(&check.kind);
        let rule = rule_of(&kind, check.fail_after, check.recover_after);
        (check.id.clone(), Check { kind, rule })
    }));
    let mut assets = BTreeMap::new();
    for (id, asset) in &site.assets {
        assets.insert(
            id.clone(),
            Asset {
                class: asset.class,
                is_critical: book.is_critical(client, &site.id, id),
                edges: asset.edges.iter().map(|edge| (edge.kind, edge.to.value.clone())).collect(),
                expected: match &asset.expected {
                    Some(name) => Expected::Within(hours(book, &name.value, wide)?),
                    None => Expected::ByClass,
                },
                maintenance: windows(site, id, wide)?,
                // No terms are matched here: nothing waits longer than its time to settle.
                max_wait: None,
            },
        );
    }
    let stage = match site.commissioned_at() {
        Some(since) => Stage::Commissioned { since },
        None => Stage::Commissioning,
    };
    let (client, site) = (client.clone(), site.id.clone());
    Ok(Site { client, site, zone, stage, assets, checks })
}

/// The stretches in which a calendar is open.
fn hours(book: &Book, name: &BookName, wide: Span) -> Result<Vec<Span>, Failure> {
    let Some(def) = book.calendars.get(name) else {
        return Err(Failure::new(Exit::Config, format!("the book has no calendar `{name}`")));
    };
    let calendar = Calendar::compile(def).map_err(|error| Failure::of(Exit::Config, &error))?;
    let mut open: Vec<Span> = Vec::new();
    for segment in calendar.segments(wide.from, wide.to, &[]).into_iter().filter(|s| s.why == Why::Counted) {
        match open.last_mut() {
            Some(last) if last.to == segment.from => last.to = segment.to,
            Some(_) | None => open.push(Span { from: segment.from, to: segment.to }),
        }
    }
    Ok(open)
}

fn windows(site: &book::Site, asset: &AssetId, wide: Span) -> Result<Vec<Span>, Failure> {
    let mut spans = Vec::new();
    let windows = site.maintenance.iter().map(|window| window.window(&site.zone));
    for window in windows.filter(|window| window.upon.asset(asset)) {
        let own = window.when.stretches(wide.from, wide.to).map_err(|error| Failure::of(Exit::Config, &error))?;
        spans.extend(own.into_iter().map(|(from, to)| Span { from, to }));
    }
    Ok(spans)
}

type Apart = BTreeMap<(String, String), Vec<(CheckId, Check)>>;

/// Takes checks of kinds that only a trace knows out of the site files: a book with them is refused. A file without
/// such checks stays as it is.
fn set_apart(files: &Files) -> (Files, Apart) {
    let mut files = files.clone();
    let mut apart = Apart::new();
    for (path, text) in &mut files {
        let parts: Vec<&str> = path.split('/').collect();
        let ["clients", client, "sites", file] = parts.as_slice() else { continue };
        let (Some(site), Ok(mut table)) = (file.strip_suffix(".toml"), text.parse::<toml::Table>()) else { continue };
        let taken = take_checks(&mut table);
        if taken.is_empty() || site.parse::<SiteId>().is_err() {
            continue;
        }
        if let Ok(rewritten) = toml::to_string(&table) {
            *text = rewritten;
            apart.insert(((*client).to_owned(), site.to_owned()), taken);
        }
    }
    (files, apart)
}

fn take_checks(table: &mut toml::Table) -> Vec<(CheckId, Check)> {
    let mut taken = Vec::new();
    let assets = table.get_mut("asset").and_then(toml::Value::as_array_mut);
    for asset in assets.into_iter().flatten().filter_map(toml::Value::as_table_mut) {
        let Some(id) = asset.get("id").and_then(toml::Value::as_str).map(str::to_owned) else { continue };
        let Some(checks) = asset.get_mut("checks").and_then(toml::Value::as_array_mut) else { continue };
        checks.retain(|check| match check_of(&id, check) {
            Some(check) => {
                taken.push(check);
                false
            }
            None => true,
        });
    }
    taken
}

/// A check of a kind that only a trace can hold.
fn check_of(asset: &str, check: &toml::Value) -> Option<(CheckId, Check)> {
    let text = |key: &str| check.get(key).and_then(toml::Value::as_str);
    let kind = text("kind").filter(|kind| !ProbeSpec::KINDS.contains(kind) && !NOT_BUILT.contains(kind))?;
    let name = text("name").unwrap_or(kind);
    let kind = CheckKind::new(kind);
    let is_known = !matches!(kind.family(), Family::Network | Family::Unknown);
    let id = format!("{asset}/{name}").parse().ok().filter(|_| is_known)?;
    let number = |key: &str| check.get(key).and_then(toml::Value::as_integer).and_then(|n| u32::try_from(n).ok());
    let rule = rule_of(&kind, number("fail_after"), number("recover_after"));
    Some((id, Check { kind, rule }))
}

/// When a check that no agent can run is believed: as its book says, or as is usual for its kind.
fn rule_of(kind: &CheckKind, fail_after: Option<u32>, recover_after: Option<u32>) -> FoldRule {
    let usual = kind.usual_rule();
    FoldRule {
        fail_after: fail_after.unwrap_or(usual.fail_after).max(1),
        recover_after: recover_after.unwrap_or(usual.recover_after).max(1),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_of_kinds_that_only_a_trace_knows_are_known_to_a_replay() {
        let text = "name = \"x\"\n[[asset]]\nid = \"ups-2\"\nclass = \"ups\"\nchecks = [{ kind = \"ups.usb\" }, { kind = \"net.icmp\", target = \"a\" }]\n";
        let files: Files = [("clients/a/sites/b.toml".to_owned(), text.to_owned())].into();
        let (files, apart) = set_apart(&files);
        let taken = &apart[&("a".to_owned(), "b".to_owned())];
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].0.to_string().as_str(), taken[0].1.kind.as_str()), ("ups-2/ups.usb", "ups.usb"));
        let left = &files["clients/a/sites/b.toml"];
        assert!(left.contains("net.icmp") && !left.contains("ups.usb"), "{left}");
    }

    #[test]
    fn checks_that_no_agent_can_run_yet_are_the_books_own() {
        let known: toml::Value = "kind = \"cam.rtsp\"".parse::<toml::Table>().unwrap().into();
        assert_eq!(check_of("a", &known), None);
        let kind = CheckKind::new("cam.rtsp");
        assert_eq!(rule_of(&kind, None, Some(0)).recover_after, 1, "never without a sample");
        assert_eq!(rule_of(&kind, Some(7), None).fail_after, 7);
    }

    #[test]
    fn a_misspelt_kind_stays_for_the_book_to_refuse() {
        let check: toml::Value = "kind = \"net.tpc\"".parse::<toml::Table>().unwrap().into();
        assert_eq!(check_of("a", &check), None);
    }
}
