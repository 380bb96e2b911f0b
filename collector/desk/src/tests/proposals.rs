//! What hosts propose: kept, shown, taken, dismissed.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use upheld_agreement::book::Files;
use upheld_wire::v1::proposals::{ProposalAnswer, ProposalRequest};

use super::world::World;
use crate::{
    Actor, AgentPeer, Scope,
    proposals::{BookBeside, ProposalError, Standing, Way},
};

fn camera(name: &str, address: &str) -> Value {
    let way = json!({ "kind": "routed_via", "to": "router",
        "why": { "as": "same-network", "network": "10.99.0.0", "prefix": 24, "gateway": "10.99.0.1" } });
    json!({ "asset": name, "class": "camera", "seen": { "as": "serves", "ports": [554] }, "edges": [way],
        "checks": [{ "kind": "net.tcp", "target": address, "port": 554 }] })
}

fn router() -> Value {
    json!({ "asset": "router", "class": "gateway", "seen": { "as": "way-out", "address": "10.99.0.1" },
        "checks": [{ "kind": "net.icmp", "target": "10.99.0.1" }] })
}

/// A folder of its own, in memory.
#[derive(Default)]
struct Folder {
    files: Mutex<Files>,
    is_broken: Mutex<bool>,
}

impl BookBeside for Folder {
    fn shown(&self) -> String {
        "data/book".to_owned()
    }

    fn files(&self) -> Result<Option<Files>, String> {
        Ok(Some(self.files.lock().unwrap().clone()))
    }

    fn write(&self, path: &str, text: &str) -> Result<(), String> {
        if *self.is_broken.lock().unwrap() {
            return Err("no space left".to_owned());
        }
        self.files.lock().unwrap().insert(path.to_owned(), text.to_owned());
        Ok(())
    }
}

struct Site {
    world: World,
    peer: AgentPeer,
    who: Actor,
}

impl Site {
    async fn open() -> Self {
        let world = World::new().await;
        let peer = world.agent("acme", "north").await.peer;
        Self { world, peer, who: Actor::person("ana") }
    }

    async fn send(&self, assets: Value) -> ProposalAnswer {
        let request: ProposalRequest = serde_json::from_value(json!({ "assets": assets })).unwrap();
        self.world.desk.take_proposal(&self.peer, request, self.world.now).await.unwrap()
    }

    async fn view(&self) -> crate::proposals::ProposalView {
        self.world.desk.proposal(&Scope::Provider, &self.peer.client, &self.peer.site).await.unwrap()
    }

    async fn take(&self, names: &[&str]) -> Result<crate::proposals::Taken, ProposalError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.world.desk.take_proposed(&self.peer.client, &self.peer.site, &names, &self.who, self.world.now).await
    }

    async fn dismiss(&self, names: &[&str]) -> Result<Vec<String>, ProposalError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let (client, site) = (&self.peer.client, &self.peer.site);
        self.world.desk.dismiss_proposed(client, site, &names, &self.who, self.world.now).await
    }

    async fn names(&self, fits: impl Fn(&Standing) -> bool) -> Vec<String> {
        let items = self.view().await.items.into_iter();
        items.filter(|item| fits(&item.standing)).map(|item| item.name).collect()
    }
}

#[tokio::test]
async fn what_is_taken_is_a_patch_and_what_is_dismissed_is_asked_for_no_more() {
    let site = Site::open().await;
    let sent = json!([router(), camera("cam-a", "10.99.0.21"), camera("cam-b", "10.99.0.22")]);
    assert_eq!(site.send(sent.clone()).await.waiting, 3);
    assert_eq!(site.dismiss(&["cam-b"]).await.unwrap(), ["cam-b"]);
    let left = site.names(|standing| *standing == Standing::Waiting).await;
    assert_eq!(left, ["router", "cam-a", "cam-a:routed_via:router"], "and what would hang on it");
    let version = site.world.desk.current_book().await.unwrap().version;
    let taken = site.take(&["cam-a"]).await.unwrap();
    assert!(matches!(taken.way, Way::Patch { .. }) && taken.version.is_none(), "{taken:?}");
    assert!(taken.patch.contains("+id = \"cam-a\"") && !taken.patch.contains("cam-b"), "{}", taken.patch);
    assert_eq!(site.world.desk.current_book().await.unwrap().version, version, "nothing is applied");

    // The next proposal asks for what is new alone.
    let again = site.send(json!([router(), camera("cam-a", "10.99.0.21"), camera("other-name", "10.99.0.22")])).await;
    assert_eq!((again.waiting, again.taken, again.dismissed), (1, 1, 1), "{again:?}");
    assert!(
        site.take(&["nobody"]).await.unwrap_err().to_string().contains("router, other-name"),
        "names what there is"
    );
    let suggestion = site.take(&["cam-a:routed_via:router"]).await.unwrap_err();
    assert!(suggestion.to_string().contains("needs `router`"), "{suggestion}");
    // After all.
    site.take(&["other-name"]).await.unwrap();
    assert_eq!(site.names(|standing| matches!(standing, Standing::Dismissed { .. })).await, [""; 0]);
    assert!(site.view().await.taken_patch.contains("10.99.0.22"));

    // A book that has it ends the matter.
    let mut files = site.world.desk.current_book().await.unwrap().files.clone();
    let path = site.view().await.path;
    let text = files[&path].clone();
    let added = site.take(&[]).await.unwrap();
    let added: String =
        added.patch.lines().skip(3).filter_map(|line| line.strip_prefix('+')).map(|line| format!("{line}\n")).collect();
    files.insert(path, text + "\n" + &added);
    site.world.desk.apply_book(files, &site.who, site.world.now).await.unwrap();
    assert_eq!(site.send(sent).await.watched, 3);
    let view = site.view().await;
    assert!(view.taken_patch.is_empty() && view.items.iter().all(|item| item.is_suggestion), "{view:?}");
}

#[tokio::test]
async fn in_the_starter_book_it_is_written_and_applied_or_nothing_is() {
    let site = Site::open().await;
    let folder = Arc::new(Folder::default());
    site.world.desk.keeps_book_in(folder.clone());
    site.send(json!([router(), camera("cam-a", "10.99.0.21")])).await;
    assert!(matches!(&site.view().await.way, Way::Patch { why } if why.contains("edits that are not in force")));
    let before = site.world.desk.current_book().await.unwrap();
    *folder.files.lock().unwrap() = before.files.clone();

    *folder.is_broken.lock().unwrap() = true;
    let refused = site.take(&[]).await.unwrap_err();
    assert_eq!(refused.to_string(), "data/book: no space left; nothing was changed");
    assert_eq!(site.world.desk.current_book().await.unwrap().version, before.version);
    assert_eq!(site.names(|standing| *standing == Standing::Waiting).await.len(), 3, "two things and a suggestion");

    *folder.is_broken.lock().unwrap() = false;
    let taken = site.take(&["router", "cam-a", "cam-a:routed_via:router"]).await.unwrap();
    let now = site.world.desk.current_book().await.unwrap();
    assert_eq!((taken.version, now.version), (Some(before.version + 1), before.version + 1));
    assert_eq!(*folder.files.lock().unwrap(), now.files, "the folder is the book in force");
    let known = now.book.site(&site.peer.client, &site.peer.site).unwrap();
    assert_eq!(known.assets[&"cam-a".parse::<upheld_model::AssetId>().unwrap()].edges.len(), 1);
    assert!(matches!(site.take(&[]).await.unwrap_err(), ProposalError::Nothing(_)));
}

#[tokio::test]
async fn a_hostile_proposal_is_bounded_and_no_word_of_it_is_a_line_of_the_book() {
    let site = Site::open().await;
    let mut assets: Vec<Value> =
        (0..400).map(|n| camera(&format!("c-{n}"), &format!("10.98.{}.{}", n / 200, n % 200 + 1))).collect();
    let injected = "x\"\n[[asset]]\nid = \"evil\"";
    assets.insert(
        0,
        json!({ "asset": injected, "class": "camera", "seen": { "as": "serves", "ports": [] }, "checks": [] }),
    );
    assets.insert(1, json!({ "asset": "a", "class": "server", "seen": { "as": "this-host", "interface": format!("{injected}\u{202e}") },
        "checks": [{ "kind": "exec.nagios", "command": "check_raid" }] }));
    assets.insert(2, json!({ "asset": "b", "class": "server", "seen": { "as": "this-host", "interface": format!("{injected}\u{202e}") },
        "checks": [{ "kind": "net.icmp", "target": "10.99.0.9" }] }));
    assets.insert(3, json!("a text"));
    let answer = site.send(Value::Array(assets)).await;
    assert!(answer.waiting <= 250 && answer.left_out.len() <= 23, "{answer:?}");
    assert!(answer.left_out.iter().any(|why| why.contains("of a kind that is not proposed")), "{answer:?}");
    let view = site.view().await;
    assert!(!view.patch.contains("\n+id = \"evil\"") && !view.patch.contains('\u{202e}'), "{}", view.patch);
    site.take(&["b"]).await.unwrap();
    // Another site's agent changes nothing here.
    let other = AgentPeer { site: "nowhere".parse().unwrap(), ..site.peer.clone() };
    let refused = site.world.desk.take_proposal(&other, ProposalRequest::default(), site.world.now).await;
    assert!(refused.is_err(), "a site that the book does not have");
}
