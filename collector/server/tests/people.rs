//! People's commands from outside: the real binary and a real server on loopback, the same incident on the command line,
//! through the API and on the page.

#[path = "support/run.rs"]
mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use support::{Run, collector, command, text};

#[test]
fn an_explanation_is_the_same_text_on_page_command_line_and_in_json() {
    let house = House::new();
    let hour = |hours: i64| house.begun - SignedDuration::from_hours(hours);
    house.ok(&["report-problem", "plant", "north", "--asset", "srv-1", "--text", "nobody can log in", "--by", "Maria"]);
    let called = hour(5).to_string();
    let old = ["report-problem", "plant", "north", "--text", "it is slow", "--by", "Maria", "--called-at", &called];
    house.ok(&old);
    for minutes in [290, 230] {
        let at = (house.begun - SignedDuration::from_mins(minutes)).to_string();
        if minutes == 290 {
            house.ok(&["pause", "INC-2", "--reason", "site-access", "--note", "the gate is shut", "--at", &at]);
        } else {
            house.ok(&["resume", "INC-2", "--at", &at]);
        }
    }
    house.ok(&["dispute", "INC-2", "--text", "the gate was open", "--by", "Maria"]);
    house.ok(&["report-problem", "plant", "north", "--text", "a door stands open", "--by", "Bo"]);
    house.ok(&["pause", "INC-3", "--reason", "site-access", "--note", "nobody at the gate"]);
    let served = house.serve();
    let at = (Timestamp::now() + SignedDuration::from_mins(1)).to_string();
    let mut states = Vec::new();
    for number in 1..=3 {
        let incident = format!("plant/INC-{number}");
        let typed = house.ok(&["explain", &incident, "--at", &at, "--json"]).last_json();
        let printed = house.ok(&["explain", &incident, "--at", &at]).stdout;
        let said = typed["text"].as_str().unwrap();
        assert_eq!(printed.trim_end(), said.trim_end(), "{incident}");
        let api: Value = served.json(&format!("/api/v1/incidents/{incident}/clocks?at={at}"));
        assert_eq!(api["text"], typed["text"], "{incident}");
        assert_eq!(api["clocks"], typed["clocks"], "{incident}");
        let twin: Value = served.json(&format!("/i/{incident}.json?at={at}"));
        assert_eq!(twin["text"], typed["text"], "{incident}");
        assert_eq!(twin["incident"]["clocks"], typed["incident"]["clocks"], "{incident}");
        let page = plain(&served.get(&format!("/i/{incident}?at={at}")));
        assert!(page.contains(&one_line(said)), "the page has no\n{said}\n{page}");
        // The table's cells are the text's columns: every row of every clock stands there word for word.
        for row in said.lines().filter(|line| line.starts_with("  ") && line.contains("  ")) {
            for cell in row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()) {
                assert!(page.matches(&one_line(cell)).count() >= 1, "{incident}: no {cell:?} in\n{page}");
            }
        }
        for clock in typed["incident"]["clocks"].as_array().unwrap() {
            states.push(clock["state"].as_str().unwrap().to_owned());
            states.extend(clock["breached_at"].is_string().then(|| "breached".to_owned()));
        }
        if !typed["incident"]["disputes"].as_array().unwrap().is_empty() {
            states.push("disputed".to_owned());
            assert!(said.contains("Disputed by Maria "), "{said}");
            assert!(said.contains("If the client is right: due "), "{said}");
        }
        if said.contains("v2") && said.contains("carry_elapsed") {
            states.push("amended".to_owned());
        }
    }
    states.sort();
    states.dedup();
    assert_eq!(states, ["amended", "breached", "disputed", "paused", "running", "scheduled"]);
}

#[test]
fn a_command_through_the_api_is_carried_out_once_and_loses_to_what_happened_since() {
    let house = House::new();
    house.ok(&["report-problem", "plant", "north", "--text", "nobody can log in", "--by", "Maria"]);
    let served = house.serve();
    let path = "/api/v1/incidents/plant/INC-1";
    let update = json!({ "text": "we are on it" });
    let post = |command: &str, body: &Value, headers: &[&str]| served.post(&format!("{path}/{command}"), body, headers);
    let first = post("update", &update, &["Idempotency-Key: k-1"]);
    assert_eq!((first.status, first.etag.as_deref()), (200, Some("\"3\"")), "{}", first.body);
    let again = post("update", &update, &["Idempotency-Key: k-1"]);
    assert_eq!((again.status, again.etag), (200, first.etag));
    let other = post("update", &json!({ "text": "no" }), &["Idempotency-Key: k-1"]);
    assert_eq!((other.status, other.code().as_str()), (422, "idempotency-key-reused"));
    let stale = post("acknowledge", &json!({}), &["If-Match: \"1\""]);
    assert_eq!((stale.status, stale.code().as_str()), (412, "stale"), "{}", stale.body);
    let resolved = post("resolve", &json!({ "note": "a cable" }), &["If-Match: \"3\""]);
    assert_eq!(resolved.status, 200, "{}", resolved.body);
    let late = post("acknowledge", &json!({}), &[]);
    assert_eq!((late.status, late.code().as_str()), (409, "wrong-state"));
    for (command, body, status, code) in [
        ("explode", json!({}), 404, "not-found"),
        ("dismiss", json!({ "reason": "because" }), 409, "not-allowed"),
        ("note", json!({}), 400, "malformed"),
        ("note", json!({ "nots": "x" }), 400, "malformed"),
        ("note", json!({ "note": "x", "at": "2126-01-01T00:00:00Z" }), 409, "time-not-possible"),
        ("note", json!({ "note": "x", "at": "1999-01-01T00:00:00Z" }), 409, "time-not-possible"),
        ("set-cause", json!({ "cause": "x".repeat(10_000) }), 409, "not-allowed"),
        ("merge", json!({ "into": "INC-99" }), 404, "not-found"),
    ] {
        let refused = post(command, &body, &[]);
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{command} {body}: {}", refused.body);
    }
    let noted = post("note", &json!({ "note": "x\u{1b}[2J\u{202e}".repeat(2_000) }), &[]);
    assert_eq!(noted.status, 200);
    assert!(!noted.body.contains('\u{202e}') && noted.body.contains("\\\\u{202e}"), "escaped at the edge");
}

#[test]
fn another_clients_incident_and_site_are_as_none_to_every_command() {
    let house = House::new();
    house.ok(&["report-problem", "plant", "north", "--text", "nobody can log in", "--by", "Maria"]);
    let served = house.serve_as(&["--scope", "respond", "--client", "other"]);
    let mut seen = Vec::new();
    for number in ["plant/INC-1", "plant/INC-9", "other/INC-1"] {
        for command in upheld_desk::Command::NAMES {
            let refused = served.post(&format!("/api/v1/incidents/{number}/{command}"), &json!({}), &[]);
            assert_eq!(refused.status, 404, "{number} {command}: {}", refused.body);
            seen.push(refused.body);
        }
    }
    for site in ["plant/north", "plant/nowhere", "nobody/north"] {
        let (client, site) = site.split_once('/').unwrap();
        let path = format!("/api/v1/clients/{client}/sites/{site}/reports");
        let refused = served.post(&path, &json!({ "text": "x", "by": "y" }), &[]);
        assert_eq!(refused.status, 404, "{path}: {}", refused.body);
        seen.push(refused.body);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1, "one body for all: {seen:?}");
    let own = served.post("/api/v1/clients/other/sites/north/reports", &json!({ "text": "our door", "by": "Cy" }), &[]);
    assert_eq!(own.status, 201, "{}", own.body);
    let refused = served.post("/api/v1/incidents/other/INC-1/acknowledge", &json!({}), &[]);
    assert_eq!((refused.status, refused.code().as_str()), (403, "may-not"));
    let note = served.post("/api/v1/incidents/other/INC-1/note", &json!({ "note": "still open" }), &[]);
    assert_eq!(note.status, 200, "{}", note.body);
}

#[test]
fn every_command_says_the_clocks_after_it_and_takes_times_in_the_providers_zone() {
    let house = House::new();
    let wall = |minutes: i64| {
        let at = house.begun - SignedDuration::from_mins(minutes);
        at.to_zoned(TimeZone::get("America/Chicago").unwrap()).strftime("%Y-%m-%d %H:%M").to_string()
    };
    let called = wall(90);
    let run =
        house.ok(&["report-problem", "plant", "north", "--text", "slow", "--by", "Maria", "--called-at", &called]);
    assert!(run.stdout.starts_with("plant/INC-1 north: slow: Reported.\n  "), "{}", run.stdout);
    for arguments in [
        &["take", "INC-1", "--by", "ana"][..],
        &["assign", "INC-1", "--to", "Bo"],
        &["respond", "INC-1", "--manner", "phone", "--with", "Maria", "--at", &wall(30)],
        &["update", "INC-1", "we are on it"],
        &["pause", "INC-1", "--reason", "site-access", "--note", "gate"],
        &["resume", "INC-1"],
        &["note", "INC-1", "text"],
        &["set-cause", "INC-1", "isp", "--note", "their router"],
        &["set-priority", "INC-1", "P2"],
        &["expedite", "INC-1", "--rider", "fast"],
        &["dispute", "INC-1", "--text", "no", "--by", "Maria"],
        &["settle", "INC-1", "--outcome", "withdrawn"],
        &["resolve", "INC-1", "--note", "their router is new"],
        &["reopen", "INC-1"],
        &["dismiss", "INC-1", "--reason", "duplicate"],
    ] {
        let run = house.ok(arguments);
        assert!(run.stdout.contains("\n  response "), "{arguments:?}: {}", run.stdout);
    }
    let refused = house.collector(&["hand-over", "INC-1"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let refused = house.collector(&["note", "INC-1", "x", "--revision", "1"]);
    assert!(refused.stderr.contains("it has changed since: you saw revision 1"), "{}", refused.stderr);
    let refused = house.collector(&["set-cause", "INC-1", "gremlins"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("utility, isp, site-lan"), "{}", refused.stderr);
    let refused = house.collector(&["report-problem", "plant", "south", "--text", "x", "--by", "y"]);
    assert!(refused.stderr.contains("no site plant/south"), "{}", refused.stderr);
    let refused = house.collector(&["report", "plant"]);
    assert_eq!(refused.code, 69, "the reports are not built: {}", refused.stderr);
}

#[test]
fn windows_of_work_are_entered_listed_asked_and_ended() {
    let house = House::new();
    let add = ["maintenance", "add", "plant/north", "--asset", "srv-1", "--for", "2h", "--reason", "new disks"];
    let from = (house.begun - SignedDuration::from_mins(5)).to_string();
    let late = house.ok(&[&add[..], &["--from", &from]].concat());
    assert!(late.stdout.contains("does not count for availability"), "{}", late.stdout);
    let why = house.ok(&["maintenance", "why", "plant/north/srv-1"]);
    assert!(why.stdout.starts_with("Work is agreed on plant/north/srv-1 at "), "{}", why.stdout);
    let tomorrow = (house.begun + SignedDuration::from_hours(24)).to_string();
    house.ok(&[&add[..], &["--from", &tomorrow]].concat());
    let listed = house.ok(&["maintenance", "list", "plant/north", "--json"]).last_json();
    let numbers: Vec<_> = listed["windows"].as_array().unwrap().iter().map(|window| &window["window"]).collect();
    assert_eq!(numbers, ["M-1", "M-2"]);
    house.ok(&["maintenance", "end", "plant/M-1"]);
    let why = house.ok(&["maintenance", "why", "plant/north/srv-1", "--json"]).last_json();
    assert_eq!(why["why"]["is_in_force"], false, "{why}");
    let later = (house.begun + SignedDuration::from_hours(25)).to_string();
    let why = house.ok(&["maintenance", "why", "plant/north/srv-1", "--at", &later, "--json"]).last_json();
    assert_eq!((&why["why"]["is_in_force"], &why["why"]["windows"][0]["is_agreed"]), (&json!(true), &json!(true)));
    for (arguments, said) in [
        (&["maintenance", "end", "plant/M-1"][..], "over already"),
        (&["maintenance", "end", "plant/M-9"], "no window plant/M-9"),
        (&["maintenance", "end", "M-1"], "write client/M-3"),
        (&["maintenance", "why", "plant/north"], "write client/site/asset"),
        (&["maintenance", "why", "plant/north/srv-9"], "it has srv-1"),
        (&["maintenance", "list", "../x"], "site"),
    ] {
        let refused = house.collector(arguments);
        assert!(refused.code != 0 && refused.stderr.contains(said), "{arguments:?}: {}", refused.stderr);
    }
}

/// A collector with a client whose clocks run round the clock from when somebody called.
struct House {
    data: String,
    begun: Timestamp,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = text(&folder.path().join("data"));
        let made = collector(&["init", "--listen", "127.0.0.1:0", "--data", &data, "--json"]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let begun = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let house = Self { data, begun, _folder: folder };
        let book = house._folder.path().join("book");
        for (path, content) in book_files(begun) {
            let path = book.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        house.ok(&["book", "apply", &text(&book)]);
        house
    }

    fn collector(&self, arguments: &[&str]) -> Run {
        collector(&[arguments, &["--data", &self.data]].concat())
    }

    fn ok(&self, arguments: &[&str]) -> Run {
        let run = self.collector(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
        run
    }

    fn serve(&self) -> Served {
        self.serve_as(&["--scope", "respond"])
    }

    fn serve_as(&self, rights: &[&str]) -> Served {
        let token = self.ok(&[&["api-token", "new", "--name", "test", "--json"], rights].concat()).last_json();
        let mut server = command(&["serve", "--data", &self.data]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("https://")).unwrap();
        let url = url.trim_end_matches(['.', ',', '/']).to_owned();
        Served { server, url, token: token["token"].as_str().unwrap().to_owned() }
    }
}

/// A server that ends with the test.
struct Served {
    server: Child,
    url: String,
    token: String,
}

struct Answered {
    status: u16,
    etag: Option<String>,
    body: String,
}

impl Answered {
    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body));
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Served {
    fn ask(&self, path: &str, more: &[&str]) -> Answered {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--insecure", "--include", "--http1.1", "--max-time", "20"])
            .args(["-H", &format!("Authorization: Bearer {}", self.token)])
            .args(more)
            .arg(format!("{}{path}", self.url))
            .output()
            .expect("curl is installed");
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {output:?}"));
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).map(ToOwned::to_owned);
        Answered { status, etag, body: body.to_owned() }
    }

    fn get(&self, path: &str) -> String {
        let answered = self.ask(path, &[]);
        assert_eq!(answered.status, 200, "{path}: {}", answered.body);
        answered.body
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).unwrap()
    }

    fn post(&self, path: &str, body: &Value, headers: &[&str]) -> Answered {
        let body = body.to_string();
        let mut more = vec!["-X", "POST", "-H", "Content-Type: application/json", "--data-binary", &body];
        for header in headers {
            more.extend(["-H", header]);
        }
        self.ask(path, &more)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What a page says: without marks, with its entities read, on one line.
fn plain(page: &str) -> String {
    let mut said = String::new();
    let mut is_mark = false;
    for c in page.chars() {
        match c {
            '<' => is_mark = true,
            '>' => {
                is_mark = false;
                said.push(' ');
            }
            _ if is_mark => {}
            _ => said.push(c),
        }
    }
    let entities = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&"), ("&amp;", "&")];
    one_line(&entities.iter().fold(said, |said, (entity, c)| said.replace(entity, c)))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn book_files(begun: Timestamp) -> Vec<(&'static str, String)> {
    let amended = (begun - SignedDuration::from_hours(2)).to_string();
    let target = |more: &str| format!("[[target]]\ncalendar = \"always\"\nmeasured_from = \"reported\"\n{more}\n");
    let site = "name = \"North\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n\n\
        [[asset]]\nid = \"srv-1\"\nclass = \"server\"\n";
    let day = "[\"00:00-24:00\"]";
    let week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|name| format!("{name} = {day}\n")).concat();
    vec![
        ("provider.toml", "name = \"Example\"\ncurrency = \"USD\"\ntime_zone = \"America/Chicago\"\n".to_owned()),
        ("calendars/always.toml", format!("time_zone = \"America/Chicago\"\n\n[weekly]\n{week}")),
        (
            "catalogue.toml",
            "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"request\"\nmatch = {}\nurgency = \"high\"\n"
                .to_owned(),
        ),
        (
            "plans/gold.toml",
            format!(
                "name = \"Gold\"\n\n[priority]\nhigh = {{ high = \"P1\", medium = \"P2\", low = \"P3\" }}\n\
                 medium = {{ high = \"P2\", medium = \"P3\", low = \"P4\" }}\nlow = {{ high = \"P3\", medium = \"P4\", low = \"P5\" }}\n\n\
                 {}{}{}",
                target("stage = \"respond\"\nwithin = \"1h\""),
                target(
                    "stage = \"on-site\"\nwithin = \"4h\"\nafter = { stage = \"respond\", unresolved_for = \"12h\" }"
                ),
                target("stage = \"resolve\"\nwithin = \"24h\"\npause_for = [\"site-access\"]\nlongest_pause = \"5d\""),
            ),
        ),
        (
            "plans/fast.toml",
            "name = \"Fast\"\nrider = true\nprice = \"50.00/month\"\n\n[[override]]\nstage = \"respond\"\n\
             within = \"15min\"\ncalendar = \"always\"\n"
                .to_owned(),
        ),
        ("clients/plant/client.toml", "name = \"Plant\"\n".to_owned()),
        ("clients/plant/sites/north.toml", site.to_owned()),
        (
            "clients/plant/ssa.toml",
            format!(
                "number = \"SSA-9\"\nsites = [\"north\"]\nfee = \"100.00/month\"\ndispute_within = \"5d\"\n\n\
                 [[version]]\neffective_from = 2026-01-01\nsigned = 2025-12-12\nplan = \"gold\"\n\n\
                 [[version]]\neffective_from = {amended}\nsigned = 2026-01-12\nnote = \"from two hours ago\"\n\
                 open_incidents = \"carry_elapsed\"\n"
            ),
        ),
        ("clients/other/client.toml", "name = \"Other\"\n".to_owned()),
        ("clients/other/sites/north.toml", site.to_owned()),
    ]
}
