//! The sites of a book, as detection sees them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_agreement::book::{Book, Files, JOBS, NOT_BUILT};
use upheld_desk::plan::{PlanError, jobs_of, limit_waits, rule_of, site_of, unbuilt_jobs_of};
use upheld_detection::{
    kind::{CheckKind, Family},
    plan::{Check, Promised, Site},
    replay::Jobs,
    uptime::Span,
};
use upheld_model::{CheckId, ProbeSpec, SiteId};

use crate::failure::{Exit, Failure};

/// Every site of the book, and its jobs. `period` bounds what its calendars and windows of work are asked for.
pub(super) fn of_book(files: &Files, period: Option<Span>) -> Result<(Vec<Site>, Jobs), Failure> {
    let (files, apart) = set_apart(files);
    let book = Book::read(&files)
        .map_err(|refused| Failure::new(Exit::Config, refused.to_string()).todo("upheld-collector book check DIR"))?;
    let period = period.unwrap_or(Span { from: Timestamp::UNIX_EPOCH, to: Timestamp::UNIX_EPOCH });
    let (mut sites, mut jobs) = (Vec::new(), Jobs::new());
    let wrong = |error: PlanError| Failure::of(Exit::Config, &error).todo("upheld-collector book check DIR");
    for (client, entry) in &book.clients {
        for site in entry.sites.values() {
            let mut plan = site_of(&book, client, site, period).map_err(wrong)?;
            let own = apart.get(&(client.to_string(), site.id.to_string()));
            own.into_iter().flatten().for_each(|(id, check)| {
                plan.checks.entry(id.clone()).or_insert_with(|| check.clone());
            });
            limit_waits(&mut plan, &book, period.from);
            sites.push(plan);
            let mut own = unbuilt_jobs_of(site).map_err(wrong)?;
            own.extend(jobs_of(site).map_err(wrong)?);
            jobs.insert((client.clone(), site.id.clone()), own);
        }
    }
    Ok((sites, jobs))
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
    // A job has a reader of its own in the book.
    let kind = Some(kind).filter(|kind| !JOBS.contains(kind))?;
    let name = text("name").unwrap_or(kind);
    let kind = CheckKind::new(kind);
    let is_known = !matches!(kind.family(), Family::Network | Family::Unknown);
    let id = format!("{asset}/{name}").parse().ok().filter(|_| is_known)?;
    let number = |key: &str| check.get(key).and_then(toml::Value::as_integer).and_then(|n| u32::try_from(n).ok());
    let rule = rule_of(&kind, number("fail_after"), number("recover_after"));
    Some((id, Check { kind, rule, promised: Promised::default() }))
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
    }

    #[test]
    fn a_misspelt_kind_stays_for_the_book_to_refuse() {
        let check: toml::Value = "kind = \"net.tpc\"".parse::<toml::Table>().unwrap().into();
        assert_eq!(check_of("a", &check), None);
    }
}
