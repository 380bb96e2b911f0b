//! The portal as people see it: the real server with its policy, a real Chromium, real incidents.
//!
//! The browser logs in by the one-time link, acknowledges, is refused in words, answers, and looks at every page in
//! five views (UX 2.8, SECURITY 24 and 25). `tests/browser/look.mjs` drives it and reports; what must hold is here.

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use upheld_tests::{Agent, Collector, book, free_port, peer, peers::peer_folder, program, wait_for};

#[path = "portal_in_a_browser/contrast.rs"]
mod contrast;
#[path = "portal_in_a_browser/hostile.rs"]
mod hostile;

/// One TCP window: a page with its style and script, compressed (UX 2.8).
const PAGE_BYTES_MAX: u64 = 14_000;
const VIEWS: usize = 5;

#[test]
fn the_portal_is_usable_in_every_view_and_answers_an_incident() {
    let down = [free_port(), free_port(), free_port()];
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    book::write_book(&folder, &assets(&down, collector.port), None);
    collector.apply(&folder);
    collector.serve();
    let nothing = look(&collector, &json!([{ "name": "empty", "path": "/queue", "status": 200 }]), &Value::Null);
    assert_no_faults(&nothing);

    let allowed = down.iter().chain([&collector.port]).map(u16::to_string).collect::<Vec<_>>().join(", ");
    let mut agent = Agent::enroll(&collector.link(collector.port), &format!("loopback_ports = [{allowed}]\n"));
    agent.run();
    let rows = wait_for("three incidents", Duration::from_secs(60), || {
        let queue = collector.cli_json(&["queue"]);
        let rows = queue["queue"]["rows"].as_array()?.clone();
        (rows.len() >= down.len()).then_some(rows)
    });
    // This host, and what is around it: that is another thing on each machine.
    let discover = ["discover", "--propose", "--network", "127.0.0.1/32"];
    let (code, printed, said) = program::run(&mut agent.command(&discover));
    assert!(code == Some(0) && printed.contains("for a person to decide"), "{printed}{said}");
    let path = |row: &Value| format!("/i/{}", row["incident"].as_str().expect("a reference"));
    let tess = collector.cli_json(&["user", "add", "tess@example.net", "--name", "Tess Tech", "--role", "technician"]);
    let owner = ["user", "add", "olga@northgate.example", "--name", "Olga Owner", "--role", "client-owner", "--client"];
    let olga = collector.cli_json(&[&owner[..], &["northgate"]].concat());
    let invitation = olga["link"].as_str().and_then(|link| link.split_once("/password/")).expect("a link").1;
    let pages = json!([
        { "name": "queue", "path": "/queue", "status": 200, "print": 2 },
        { "name": "answered", "path": path(&rows[0]), "status": 200, "print": 3 },
        { "name": "open", "path": path(&rows[1]), "status": 200, "print": 3 },
        { "name": "clients", "path": "/clients", "status": 200 },
        { "name": "client", "path": "/c/northgate", "status": 200, "print": 2 },
        { "name": "agents", "path": "/agents", "status": 200 },
        { "name": "proposals", "path": "/proposals", "status": 200 },
        { "name": "proposal", "path": "/proposals/northgate/plant-2?all=1", "status": 200, "print": 2 },
        { "name": "report", "path": "/report", "status": 200 },
        { "name": "login", "path": "/login?to=/queue", "status": 200 },
        { "name": "password", "path": format!("/password/{invitation}"), "status": 200 },
        { "name": "account", "path": "/settings/account", "status": 200 },
        { "name": "tokens", "path": "/settings/tokens", "status": 200 },
        { "name": "people", "path": "/settings/users", "status": 200 },
        { "name": "audit", "path": "/settings/audit", "status": 200 },
        { "name": "problems", "path": "/problems", "status": 200 },
        { "name": "problem", "path": "/problems/stale", "status": 200 },
        { "name": "nothing-here", "path": "/i/northgate/INC-4711", "status": 404 },
    ]);
    let instant = rows[0]["opened_at"].as_str().expect("an instant").to_owned();
    let texts = said_everywhere(&path(&rows[0]), &instant);
    let order = json!({
        "answer": { "path": path(&rows[0]) }, "texts": texts, "live": path(&rows[2]), "invite": tess["link"],
        "propose": { "place": "northgate/plant-2", "item": "this host" },
    });
    let report = look(&collector, &pages, &order);
    assert_no_faults(&report);
    assert_eq!(report["seen"]["steps"].as_array().map(Vec::len), Some(13), "{:#}", report["seen"]["steps"]);
    assert_one_renderer(&collector, &report["seen"]["texts"], &rows[0]["incident"], &instant);
    collector.program().assert_no_errors();
}

/// The addresses that say how an incident's clocks stand at an instant.
fn said_everywhere(path: &str, instant: &str) -> Vec<String> {
    let api = path.replace("/i/", "/api/v1/incidents/");
    [format!("/queue?at={instant}"), format!("/queue.json?at={instant}"), format!("{path}?at={instant}")]
        .into_iter()
        .chain([format!("{path}.json?at={instant}"), format!("{api}?at={instant}")])
        .collect()
}

/// At one instant queue, incident, API, command line and mail say the same of a clock, letter by letter.
fn assert_one_renderer(collector: &Collector, texts: &Value, incident: &Value, instant: &str) {
    let incident = incident.as_str().expect("a reference");
    let queue = collector.cli_json(&["queue", "--at", instant]);
    let rows = queue["queue"]["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["incident"] == incident).expect("the incident is in the queue");
    let said = |part: &str| row["clock"]["said"][part].as_str().expect("words").to_owned();
    let (countdown, standing) = (said("countdown"), said("standing"));
    assert!(countdown.len() > 4 && standing.starts_with("due "), "{countdown}, {standing}");
    let (_, text, _) = program::run(&mut collector.command(&["queue", "--at", instant]));
    assert!(text.contains(&countdown) && text.contains(&standing), "{text}");
    let (_, explained, _) = program::run(&mut collector.command(&["explain", incident, "--at", instant]));
    assert!(explained.contains(&said("line")), "{explained}");
    let mail = ["notify", "preview", "opened", "--incident", incident, "--at", instant];
    let mail = collector.cli_json(&mail);
    for face in ["text", "html"] {
        let text = mail[face].as_str().expect("a face");
        assert!(text.contains(&said("line")), "the mail's {face}: {text}");
    }
    for (path, text) in texts.as_object().expect("texts") {
        let text = text.as_str().expect("a text");
        let as_sentence = standing.replacen('d', "D", 1);
        assert!(text.contains(&countdown), "{path} does not say {countdown}: {text}");
        assert!(text.contains(&standing) || text.contains(&as_sentence), "{path} does not say {standing}: {text}");
    }
}

/// Three services that nobody serves, and one that answers, so that the site itself is up.
fn assets(down: &[u16], up: u16) -> String {
    let asset = |(index, port): (usize, &u16)| {
        format!(
            "\n[[asset]]\nid = \"srv-{index}\"\nclass = \"server\"\nchecks = [{{ kind = \"net.tcp\", target = \"127.0.0.1\", port = {port}, every = \"1s\", timeout = \"1s\", fail_after = 1, recover_after = 1 }}]\n"
        )
    };
    down.iter().chain([&up]).enumerate().map(asset).collect()
}

/// What the browser reports; Chromium and what drives it are peers.
fn look(collector: &Collector, pages: &Value, more: &Value) -> Value {
    let link = collector.cli_json(&["login-link"]);
    let mut order = json!({
        "link": link["link"],
        "pages": pages,
        "modules": peer_folder("browser"),
        "chromium": peer("chromium"),
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        order[name] = value.clone();
    }
    // Where somebody wants to look: UPHELD_SHOTS=DIR keeps a picture of each page in each view.
    if let Some(folder) = std::env::var_os("UPHELD_SHOTS") {
        order["shots"] = json!(folder.to_string_lossy());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/look.mjs");
    // A command line has no room for a long order.
    let file = collector.folder().join("order.json");
    std::fs::write(&file, order.to_string()).expect("the order is written");
    let mut report = program::json(Command::new(peer("node")).arg(script).arg(file));
    report["pages"] = pages.clone();
    report["heavy"] = more["heavy"].clone();
    report
}

fn assert_no_faults(report: &Value) {
    assert_eq!(report["faults"], json!([]), "{:#}", report["faults"]);
    let looks = report["seen"]["looks"].as_array().expect("looks");
    let pages = report["pages"].as_array().expect("pages");
    assert_eq!(looks.len(), pages.len() * VIEWS, "every page in every view: {looks:#?}");
    for look in looks {
        let name = format!("{} {}", look["page"], look["view"]);
        let page = pages.iter().find(|page| page["name"] == look["page"]).expect("a page that was asked for");
        assert_eq!(look["status"], page["status"], "{name}");
        assert!(look["text"].as_u64() > Some(40), "{name} shows nothing: {look:#}");
        assert_eq!(look["sideways"], 0, "{name} scrolls sideways");
        assert_eq!(look["away"], json!([]), "{name}: places of the menu that are off the screen");
        if let Some(print) = look.get("print") {
            assert_eq!(print["cut"], json!([]), "{name} is cut on paper");
            let most = page["print"].as_u64().unwrap_or(u64::MAX);
            assert!(
                print["pages"].as_u64().is_some_and(|pages| (1..=most).contains(&pages)),
                "{name} on paper: {print}"
            );
            println!("{name}: {} A4", print["pages"]);
        }
        if look["view"] != "without script" {
            assert_eq!(look["sideways_opened"], 0, "{name} scrolls sideways with its details open");
            assert_eq!(look["violations"], json!([]), "{name}: {:#}", look["violations"]);
            assert_eq!(look["small"], json!([]), "{name} has targets that a finger misses: {:#}", look["small"]);
            assert_eq!(look["paint"]["cls"].as_f64(), Some(0.0), "{name} moves under the reader");
            println!(
                "{name}: LCP {} ms, CLS {}, {} B gzip",
                look["paint"]["lcp"], look["paint"]["cls"], look["weight"]
            );
        }
        if let Some(keys) = look.get("keys") {
            assert_eq!(keys["reached"], keys["wanted"], "{name}: not everything is reached by the keyboard");
            assert_eq!(keys["unseen"], json!([]), "{name}: focus that nobody sees");
        }
        let is_heavy = report["heavy"] == true;
        assert!(is_heavy || look["weight"].as_u64() <= Some(PAGE_BYTES_MAX), "{name} weighs {look:#}");
    }
    let control = report["seen"]["control"].as_array().expect("a control");
    for known in ["image-alt", "color-contrast"] {
        assert!(control.contains(&json!(known)), "axe does not see {known}: {control:?}");
    }
}
