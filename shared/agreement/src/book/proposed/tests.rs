use upheld_model::proposal::Seen;

use super::*;
use crate::book::{Book, Files};

const SITE: &str = r#"name = "Plant"
time_zone = "UTC"

[[asset]]
id = "srv-1"                # the recorder
class = "server"            # in the rack
checks = [
    { kind = "host" },      # all of it
]

[[asset]]
id = "cam-1"
class = "camera"
powered_by = "ups-1"
checks = [{ kind = "net.icmp", target = "10.40.0.21" }]

[[asset]]
id = "ups-1"
class = "ups"
"#;

fn files(site: &str) -> Files {
    [
        ("provider.toml", "name = \"P\"\ncurrency = \"USD\"\ntime_zone = \"UTC\"\n"),
        (
            "catalogue.toml",
            "[[issue]]\nid = \"ANY\"\nname = \"Any\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"medium\"\n",
        ),
        ("clients/acme/client.toml", "name = \"Acme\"\n"),
        ("clients/acme/sites/plant.toml", site),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into()
}

fn site(text: &str) -> Site {
    let book = Book::read(&files(text)).unwrap_or_else(|refused| panic!("{refused}\n{text}"));
    book.site(&"acme".parse().unwrap(), &"plant".parse().unwrap()).unwrap().clone()
}

fn proposed() -> Vec<ProposedAsset> {
    let router = r#"{ "kind": "routed_via", "to": "router", "why": { "as": "same-network", "network": "10.40.0.0", "prefix": 24, "gateway": "10.40.0.1" } }"#;
    let text = format!(
        r#"[
        {{ "asset": "nvr", "class": "server", "seen": {{ "as": "this-host", "interface": "eth0" }},
           "edges": [{{ "kind": "powered_by", "to": "ups1", "why": {{ "as": "runs-its-server" }} }}, {router}],
           "checks": [{{ "kind": "host" }}, {{ "kind": "net.link" }}] }},
        {{ "asset": "router", "class": "gateway", "seen": {{ "as": "way-out", "address": "10.40.0.1" }},
           "checks": [{{ "kind": "net.icmp", "target": "gateway" }}] }},
        {{ "asset": "ups1", "class": "ups", "seen": {{ "as": "nut-server", "address": "127.0.0.1" }},
           "checks": [{{ "kind": "ups.nut", "target": "127.0.0.1", "ups": "ups1" }}] }},
        {{ "asset": "camera-10-40-0-21", "class": "camera", "seen": {{ "as": "serves", "ports": [554] }},
           "edges": [{router}], "checks": [{{ "kind": "net.tcp", "target": "10.40.0.21", "port": 554 }}] }},
        {{ "asset": "cam-1", "class": "recorder", "seen": {{ "as": "serves", "ports": [554, 8000] }},
           "edges": [{router}], "checks": [{{ "kind": "net.tcp", "target": "10.40.0.12", "port": 8000 }}] }}
        ]"#
    );
    serde_json::from_str(&text).unwrap()
}

fn names(items: &[Item]) -> Vec<String> {
    items.iter().map(Item::name).collect()
}

#[test]
fn what_the_book_has_is_no_news_and_checks_go_to_the_asset_that_they_are_of() {
    let looked = look(&site(SITE), &proposed());
    assert_eq!(
        names(&looked.items),
        [
            "srv-1",
            "router",
            "ups1",
            "cam-1",
            "cam-1-2",
            "srv-1:powered_by:ups1",
            "srv-1:routed_via:router",
            "cam-1:routed_via:router",
            "cam-1-2:routed_via:router"
        ]
    );
    assert_eq!(looked.items[0].lines(), [r#"{ kind = "net.link" }"#], "the host is watched already");
    let [Item::Checks { .. }, .., Item::Asset(other), _, _, _, _] = looked.items.as_slice() else { panic!() };
    assert_eq!(other.class.as_str(), "recorder", "a name that another kind of thing has is not its");
}

#[test]
fn taken_whole_it_is_a_book_and_proposed_again_nothing_is_new() {
    let taken = look(&site(SITE), &proposed()).items;
    let after = written(SITE, &site(SITE), &taken).unwrap();
    let read = site(&after);
    let edges = |asset: &str| {
        let said = read.assets[&asset.parse::<AssetId>().unwrap()].edges.iter();
        said.map(|edge| format!("{} {}", edge.kind.as_str(), edge.to.value)).collect::<Vec<_>>()
    };
    assert_eq!(edges("srv-1"), ["powered_by ups1", "routed_via router"]);
    assert_eq!(edges("cam-1"), ["powered_by ups-1", "routed_via router"]);
    assert_eq!(read.assets[&"cam-1".parse::<AssetId>().unwrap()].checks.len(), 2);
    assert_eq!(look(&read, &proposed()), Looked { items: vec![], watched: 5 });
    insta::assert_snapshot!(patch("clients/acme/sites/plant.toml", SITE, &after));
}

#[test]
fn what_is_not_taken_leaves_no_trace() {
    let items = look(&site(SITE), &proposed()).items;
    let only: Vec<Item> = items.iter().filter(|item| item.name() == "cam-1").cloned().collect();
    let after = written(SITE, &site(SITE), &only).unwrap();
    assert_eq!(after.lines().count(), SITE.lines().count());
    assert_eq!(look(&site(&after), &proposed()).watched, 1);
    assert_eq!(written(SITE, &site(SITE), &[]).unwrap(), SITE);
    assert_eq!(patch("x", SITE, SITE), "");
    let edge: Vec<Item> = items.into_iter().filter(|item| item.name() == "cam-1:routed_via:router").collect();
    let refused = written(SITE, &site(SITE), &edge).unwrap_err();
    assert!(refused.to_string().contains("needs `router`"), "{refused}");
}

#[test]
fn a_check_that_is_left_out_is_left_out_alone() {
    let item = look(&site(SITE), &proposed()).items.remove(4);
    assert_eq!(item.keys(), [r#"{ kind = "net.tcp", target = "10.40.0.12", port = 8000 }"#]);
    assert_eq!(item.narrowed(|_| false), None);
    assert_eq!(item.narrowed(|_| true), Some(item));
}

#[test]
fn files_in_every_form_are_added_to_or_refused_in_words() {
    let head = "name = \"Plant\"\ntime_zone = \"UTC\"\n";
    for (asset, fits) in [
        ("[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{ kind = \"host\" }, ]", true),
        ("[[asset]]\r\nid = \"srv-1\"\r\nclass = \"server\" # a\r\nchecks = [{ kind = \"host\" }]\r\n", true),
        ("[[asset]]\nid = 'srv-1'\nchecks = [\n  { kind = \"host\" }, # last\n]\nclass = 'server'", true),
        ("asset = [{ id = \"srv-1\", class = \"server\", checks = [{ kind = \"host\" }] }]\n", false),
    ] {
        let text = format!("{head}{asset}");
        let before = site(&text);
        let items = look(&before, &proposed()).items;
        let after = written(&text, &before, &items).map(|after| Book::read(&files(&after)).map(|_| after));
        match (after, fits) {
            (Ok(Ok(after)), true) => assert_eq!(look(&site(&after), &proposed()).items, [], "{after}"),
            (Err(_) | Ok(Err(_)), false) => {}
            (other, _) => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn no_word_of_a_device_gets_into_the_file_but_as_a_comment() {
    let hostile = "eth0\n[[asset]]\nid = \"evil\"\u{202e}";
    let mut all = proposed();
    all[0].seen = Seen::ThisHost { interface: Some(upheld_model::DeviceText::new(hostile)) };
    all[0].checks = vec![ProbeSpec::NetIcmp { target: "10.40.0.9".to_owned(), tcp_port: None }];
    let items = look(&site(SITE), &all).items;
    let after = written(SITE, &site(SITE), &items).unwrap();
    assert!(!site(&after).assets.contains_key(&"evil".parse::<AssetId>().unwrap()), "{after}");
}
