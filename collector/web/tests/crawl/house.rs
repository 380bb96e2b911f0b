//! A provider with the sample book: two of its clients have a site with a job, an agent and two incidents.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use tower::ServiceExt;
use upheld_desk::{
    Actor, AgentPeer, Desk, DeskError, Keeper, ProblemReport, Reach, Rights, Role, Scope, accounts::NewUser,
};
use upheld_store::{
    agents::{AgentRow, AgentStatus},
    audit::AuditRow,
    users::UserRow,
};
use upheld_web::{NewHost, Portal, Remote};

use crate::shapes::reader_of;

const HOST: &str = "c.example:7443";
/// Inside the coverage of both clients.
const NOW: &str = "2026-11-16T22:10:00Z";

/// Client and site of whom the crawl asks for, and the one that it must not see.
pub(crate) const OWN: (&str, &str) = ("northgate", "plant-2");
pub(crate) const OTHER: (&str, &str) = ("st-brendan", "main-campus");
/// What is said of the other client alone; none of it may be on a page of the first one's.
pub(crate) const CANARIES: &[&str] = &["st-brendan", "Brendan", "main-campus", "Main campus", "canary"];

pub(crate) struct House {
    pub(crate) desk: Desk,
    router: Router,
    now: Timestamp,
    _folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) name: String,
    /// `authorization` or `cookie` with its value.
    pub(crate) credential: (&'static str, String),
    /// The id under which the audit has him.
    pub(crate) id: String,
}

impl House {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::new(upheld_store::sqlite::open(&folder.path().join("upheld.db")).unwrap());
        let now: Timestamp = NOW.parse().unwrap();
        // Long enough ago for a night's run to have been expected.
        let applied = now - SignedDuration::from_hours(48);
        desk.apply_book(book(), &Actor::person("test"), applied).await.unwrap();
        let router = upheld_web::portal(Portal {
            desk: desk.clone(),
            clock: Arc::new(move || now),
            new_host: Arc::new(|token| NewHost {
                link: format!("https://c.example:7443/e/{}#root", token.token),
                install: None,
            }),
            url: "https://c.example:7443".to_owned(),
            metrics: Arc::new(|| "upheld_build_info 1\n".to_owned()),
            certificates: Arc::new(|| serde_json::json!({})),
        });
        let house = Self { desk, router, now, _folder: folder };
        house.furnish(OWN, "a-own", "recorder-of-the-plant").await;
        house.furnish(OTHER, "a-canary", "canary-host").await;
        house
    }

    /// An agent, two incidents and a reader's account.
    async fn furnish(&self, (client, site): (&str, &str), agent: &str, host: &str) {
        let row = AgentRow {
            client: client.parse().unwrap(),
            agent: agent.parse().unwrap(),
            site: site.parse().unwrap(),
            host: host.to_owned(),
            status: AgentStatus::Active,
            signing_key: [7; 32],
            enrolled_at: self.now,
            status_at: self.now,
            first_seen: None,
        };
        let written = self.desk.store().write("test.agent", move |tx| Ok::<_, DeskError>(tx.insert_agent(&row)?));
        written.await.unwrap();
        let new = NewUser {
            login: reader_of(client),
            name: format!("a reader of {host}"),
            role: Role::ClientReader,
            client: Some(client.parse().unwrap()),
        };
        let keeper = Keeper { actor: Actor::person("test"), reach: Reach::All };
        self.desk.make_user(new, &keeper, self.now).await.unwrap();
        // What the host proposes.
        let peer =
            AgentPeer { client: client.parse().unwrap(), site: site.parse().unwrap(), agent: agent.parse().unwrap() };
        let camera = serde_json::json!({ "assets": [{
            "asset": format!("camera-of-{host}"), "class": "camera", "seen": { "as": "serves", "ports": [554] },
            "checks": [{ "kind": "net.tcp", "target": "10.99.0.7", "port": 554 }],
        }] });
        let camera = serde_json::from_value(camera).unwrap();
        let kept = self.desk.take_proposal(&peer, camera, self.now).await.unwrap();
        assert_eq!(kept.waiting, 1, "{kept:?}");
        for nth in ["first", "second"] {
            let report = ProblemReport {
                asset: None,
                text: format!("the {nth} said by {host}"),
                by: format!("the owner of {host}"),
                called_at: None,
                class: None,
                new: true,
            };
            let place = (&client.parse().unwrap(), &site.parse().unwrap());
            let by = Actor::person("test");
            self.desk.report_problem(&Scope::Provider, place, report, &by, self.now).await.unwrap();
        }
    }

    /// A script with a token.
    pub(crate) async fn token(&self, name: &str, scope: &Scope, rights: Rights) -> Asker {
        let by = Actor::person("test");
        let token = self.desk.new_api_token(name, scope, rights, None, &by, self.now).await.unwrap().token;
        let credential = ("authorization", format!("Bearer {token}"));
        Asker { name: name.to_owned(), credential, id: format!("token:{name}") }
    }

    /// A person who is signed in, with an account of this role: the provider's, or the client's whose own ids are asked for.
    pub(crate) async fn person(&self, role: Role) -> Asker {
        let (name, now) = (format!("the {role}"), self.now);
        let row = UserRow {
            person: format!("p-{role}"),
            role,
            client: role.is_of_a_client().then(|| OWN.0.parse().unwrap()),
            password: None,
            created_at: now,
            created_by: "p-test".to_owned(),
            changed_at: now,
            disabled_at: None,
        };
        let (known, called) = (row.clone(), name.clone());
        let made = self.desk.store().write("test.user", move |tx| {
            if tx.user(&known.person)?.is_none() {
                tx.insert_person(&known.person, &called)?;
                tx.set_login(&known.person, &called)?;
                tx.insert_user(&known)?;
            }
            Ok::<_, DeskError>(())
        });
        made.await.unwrap();
        let link = self.desk.new_login_link(&name, &Actor::person("test"), now).await.unwrap();
        let nobody = Asker { name: String::new(), credential: ("x-nobody", String::new()), id: String::new() };
        let entered = self.ask(&nobody, "POST", &format!("/in/{link}"), "").await;
        let cookie = entered.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Asker { name, credential: ("cookie", cookie), id: row.person }
    }

    pub(crate) async fn ask(&self, asker: &Asker, method: &str, path: &str, body: &str) -> Answer {
        let is_form = !path.starts_with("/api/");
        let kind = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("host", HOST)
            .header("origin", format!("https://{HOST}"))
            .header("content-type", kind)
            .header(asker.credential.0, &asker.credential.1)
            .body(Body::from(body.to_owned()))
            .unwrap();
        request.extensions_mut().insert(Remote("192.0.2.7:5".parse::<SocketAddr>().unwrap()));
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = answer.into_body();
        let is_stream = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let bytes = if is_stream {
            // A stream has no end; its first event is all of the page.
            body.frame().await.unwrap().unwrap().into_data().unwrap()
        } else {
            body.collect().await.unwrap().to_bytes()
        };
        Answer { status, headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// The denied looks in the audit, the newest first.
    pub(crate) async fn denied(&self) -> Vec<AuditRow> {
        let read = self.desk.store().read("test.audit", |tx| Ok::<_, DeskError>(tx.audit(1_000_000)?));
        read.await.unwrap().into_iter().filter(|row| row.what == "access.denied").collect()
    }
}

/// The sample book, with a job at each of the two sites.
fn book() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/agreement/sample-book");
    let mut files = BTreeMap::new();
    read(&root, &root, &mut files);
    for ((client, site), asset) in [(OWN, "job-host"), (OTHER, "canary-1")] {
        let file = files.get_mut(&format!("clients/{client}/sites/{site}.toml")).unwrap();
        *file += &format!(
            "\n[[asset]]\nid = \"{asset}\"\nclass = \"server\"\n\
             checks = [{{ kind = \"backup.job\", name = \"nightly\", schedule = \"cron 0 2 * * *\" }}]\n"
        );
    }
    files
}

fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}
