//! The sample book is the language: all of it must be readable.

use upheld_agreement::{
    book::{Book, Code},
    maintenance::{Upon, Window},
};
use upheld_model::{EdgeKind, ProbeSpec};

mod common;

#[test]
fn the_sample_is_accepted_whole_and_says_which_checks_no_agent_can_run() {
    let files = common::sample();
    let book = Book::read(&files).unwrap();
    assert!(book.warnings().iter().all(|warning| warning.code == Code::CheckNotRun), "{:?}", book.warnings());
    let shown: Vec<String> =
        book.warnings().iter().map(|warning| warning.render_under("book/", &files, false)).collect();
    insta::assert_snapshot!(shown.join("\n"));
    let kept: Vec<String> = book.not_acted_on().iter().map(ToString::to_string).collect();
    assert!(kept.contains(
        &"kept, not acted on yet: checks that no agent can run yet (clients/northgate/sites/plant-2.toml)".to_owned()
    ));
}

#[test]
fn a_check_that_no_agent_can_run_is_kept_with_what_it_says_and_sent_to_nobody() {
    let book = Book::read(&common::sample()).unwrap();
    let site = book.site(&"northgate".parse().unwrap(), &"plant-2".parse().unwrap()).unwrap();
    let backup = site.unbuilt().find(|check| check.kind == "backup.restic").unwrap();
    assert_eq!(backup.id.to_string(), "vms-01/backup.restic");
    assert_eq!(backup.says["schedule"], "cron 0 2 * * *");
    let named = site.checks().into_iter().find(|check| check.probe.kind() == "service").unwrap();
    assert_eq!(named.id.to_string(), "nvr-02/recorder.service", "its own name");
    assert_eq!(named.probe, ProbeSpec::Service { unit: Some("recorder.service".to_owned()) }, "which is a unit's");
    assert!(site.checks().iter().all(|check| site.unbuilt().all(|unbuilt| unbuilt.id != check.id)));
    assert_ne!(book.hash(), common::book(&[]).hash(), "it is part of what the book means");
}

#[test]
fn the_whole_sample_has_three_clients_and_no_mistake() {
    let files = common::whole();
    assert!(common::sample().keys().all(|path| files.contains_key(path)));
    let book = Book::read(&files).unwrap_or_else(|refused| {
        let shown: Vec<String> = refused.errors.iter().map(|error| error.render(&files, false)).collect();
        panic!("{}", shown.join("\n"))
    });
    let plans: Vec<_> = book
        .clients
        .values()
        .flat_map(|client| client.agreement.iter().map(move |agreement| (client, agreement)))
        .flat_map(|(client, agreement)| agreement.versions.iter().map(move |version| (client, version)))
        .map(|(client, version)| (client.id.as_str(), client.sites.len(), version.plan.as_str(), version.riders.len()))
        .collect();
    let expected = [
        ("harbor-dental", 1, "silver", 0),
        ("northgate", 2, "gold", 0),
        ("northgate", 2, "gold", 1),
        ("st-brendan", 1, "platinum", 0),
    ];
    assert_eq!(plans, expected);
    let limits = book
        .client(&"st-brendan".parse().unwrap())
        .unwrap()
        .agreement
        .iter()
        .flat_map(|agreement| &agreement.asset_terms);
    assert!(limits.filter_map(|entry| entry.terms.longest_downtime).any(|limit| limit.seconds == 12 * 3600));
}

#[test]
fn without_them_it_is_a_book_and_says_what_it_keeps_without_acting_on_it() {
    let book = common::book(&[]);
    assert!(book.warnings().is_empty(), "{:?}", book.warnings());
    let kept: Vec<String> = book.not_acted_on().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(kept.join("\n"));
}

#[test]
fn its_assets_hang_on_each_other_and_are_watched() {
    let book = common::book(&[]);
    let site = book.site(&"northgate".parse().unwrap(), &"plant-2".parse().unwrap()).unwrap();
    let recorder = &site.assets[&"nvr-02".parse().unwrap()];
    let edges: Vec<_> = recorder.edges.iter().map(|edge| (edge.kind, edge.to.as_str())).collect();
    assert_eq!(edges, [(EdgeKind::PoweredBy, "ups-2"), (EdgeKind::ConnectedTo, "sw-4")]);
    let checks: Vec<String> = site.checks().iter().map(|check| check.id.to_string()).collect();
    assert_eq!(checks, ["nvr-02/host", "nvr-02/recorder.service", "nvr-02/rec.freshness", "sw-4/ping"]);
    assert!(matches!(&recorder.checks[2].probe, ProbeSpec::RecFreshness(spec) if spec.age_max_s == 120));
    assert_eq!(site.commissioned_at(), Some("2026-01-15T06:00:00Z".parse().unwrap()));
    assert!(book.is_critical(&"northgate".parse().unwrap(), &site.id, &recorder.id));
    assert_eq!(
        book.provider.channels.values().next().unwrap().webhook.as_ref().unwrap().secret.as_str(),
        "desk-webhook"
    );
}

#[test]
fn the_hash_names_the_meaning_and_not_the_writing() {
    let plain = common::book(&[]);
    let commented = common::book(&[("plans/gold.toml", "name = \"Gold\"", "# the plan\nname   = 'Gold'")]);
    assert_eq!(plain.hash(), commented.hash());
    let changed = common::book(&[("plans/gold.toml", "within = \"4h\"", "within = \"5h\"")]);
    assert_ne!(plain.hash(), changed.hash());
}

#[test]
fn a_versions_hash_holds_what_it_promises_and_the_version_before() {
    let hashes = |edits: &[(&str, &str, &str)]| -> Vec<_> {
        common::book(edits).versions().into_iter().map(|version| version.hash).collect()
    };
    let plain = hashes(&[]);
    assert_eq!(plain.len(), 2);
    let other_rider = hashes(&[("plans/premium-response.toml", "within = \"1h\"", "within = \"2h\"")]);
    assert_eq!(plain[0], other_rider[0]);
    assert_ne!(plain[1], other_rider[1]);
    let first_changed = hashes(&[("clients/northgate/ssa.toml", "signed = 2025-12-12", "signed = 2025-12-13")]);
    assert_ne!(plain[0], first_changed[0]);
    assert_ne!(plain[1], first_changed[1], "the second version holds the hash of the first");
    let no_edit_of_another_calendar =
        hashes(&[("calendars/business.toml", "mon = [\"08:00-18:00\"]", "mon = [\"08:00-17:00\"]")]);
    assert_ne!(plain[0], no_edit_of_another_calendar[0], "an edited calendar changes what was promised");
}

#[test]
fn windows_of_work_recur_or_are_once_on_assets_checks_or_the_site() {
    const WINDOW: &str = "assets = [\"nvr-02\"]\nrrule = \"FREQ=MONTHLY;BYDAY=2SU\"\nfrom = \"02:00\"\nfor = \"1h\"";
    let window = |text: &str| {
        let book = common::book(&[("clients/northgate/sites/plant-2.toml", WINDOW, text)]);
        let site = book.site(&"northgate".parse().unwrap(), &"plant-2".parse().unwrap()).unwrap();
        site.maintenance[0].window(&site.zone)
    };
    let december = |window: &Window| {
        window.when.stretches(common::at("2026-12-01T00:00:00Z"), common::at("2027-01-01T00:00:00Z")).unwrap()
    };
    let sunday = (common::at("2026-12-13T08:00:00Z"), common::at("2026-12-13T09:00:00Z"));
    let recurring = window(WINDOW);
    assert_eq!(december(&recurring), [sunday]);
    assert_eq!(recurring.upon, Upon::Parts { assets: vec!["nvr-02".parse().unwrap()], checks: Vec::new() });
    let once = window("at = 2026-12-13T02:00:00\nfor = \"1h\"\nreason = \"new disks\"");
    assert_eq!((december(&once), &once.upon, once.reason.as_deref()), (vec![sunday], &Upon::Site, Some("new disks")));
    let check = window("checks = [\"nvr-02/host\"]\nat = 2026-12-13T02:00:00\nfor = \"1h\"");
    assert!(check.upon.check(&"nvr-02/host".parse().unwrap()) && !check.upon.asset(&"nvr-02".parse().unwrap()));
}
