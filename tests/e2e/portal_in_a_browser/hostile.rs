//! A corpus of hostile texts in every stored field that reaches a page, under the real browser (SECURITY 24).

use std::{fmt::Write as _, fs, time::Duration};

use serde_json::{Value, json};
use upheld_tests::{Agent, Collector, book, free_port, wait_for};

use super::{assert_no_faults, look};

/// Each is a field's whole text.
fn corpus() -> Vec<String> {
    let mut texts: Vec<String> = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)' autofocus onfocus='alert(1)",
        "</textarea></title></style><svg onload=alert(1)><style>*{display:none}</style>",
        "{{7*7}} {% raw %} ${7*7} #{7*7} <%= 7*7 %> [[7*7]]",
        "javascript:alert(1) data:text/html,<script>alert(1)</script> https://evil.example/?x=\"",
        "\u{202e}gnp.tnedicni\u{2066} \u{200f}right to left\u{2069}",
        "a\u{1b}[31mred\u{7}\u{8}\u{b}\r\nSet-Cookie: x=1\r\n\r\n<b>header</b>\u{85}\u{2028}",
        "Z\u{334}\u{337}\u{338}a\u{334}\u{337}\u{338}l\u{334}g\u{334}o \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{fdfd}\u{fdfd}\u{fdfd}",
        "&lt;b&gt; &#60;i&#62; \\u003cscript\\u003e %3Cscript%3E",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("W".repeat(10_000));
    texts.push("many words ".repeat(1_000));
    texts
}

#[test]
fn security_24_hostile_texts_in_every_field_are_texts() {
    let down = free_port();
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    book::write_book(&folder, &super::assets(&[down], collector.port), None);
    // The names of the book are a person's too.
    for (file, name) in [
        ("clients/northgate/client.toml", "Northgate Foods"),
        ("clients/northgate/sites/plant-2.toml", "Plant 2"),
        ("plans/round-the-clock.toml", "Round the clock"),
    ] {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).expect("the file");
        let hostile = format!("'''{name} <script>alert(\"{file}\")</script> {{{{7*7}}}} {}'''", "W".repeat(150));
        fs::write(&path, text.replacen(&format!("\"{name}\""), &hostile, 1)).expect("the file is written");
    }
    collector.apply(&folder);
    collector.serve();
    let allow = format!("loopback_ports = [{down}, {}]\n", collector.port);
    let mut agent = Agent::enroll(&collector.link(collector.port), &allow);
    agent.run();
    wait_for("the agent's incident", Duration::from_secs(60), || {
        let queue = collector.cli_json(&["queue"]);
        (!queue["queue"]["rows"].as_array()?.is_empty()).then_some(())
    });

    let texts = corpus();
    let mut posts: Vec<Value> = Vec::new();
    let mut post = |path: String, data: Value| posts.push(json!({ "path": path, "data": data }));
    for (index, text) in texts.iter().enumerate() {
        // The first number is the agent's.
        let incident = format!("/api/v1/incidents/northgate/INC-{}", index + 2);
        let name: String = text.chars().take(190).collect();
        post(
            "/api/v1/clients/northgate/sites/plant-2/reports".to_owned(),
            json!({ "text": text, "by": name, "new": true, "asset": "srv-0" }),
        );
        post(format!("{incident}/assign"), json!({ "to": name, "note": text }));
        post(format!("{incident}/respond"), json!({ "manner": "phone", "with_whom": name, "note": text }));
        post(format!("{incident}/note"), json!({ "note": text }));
        post(format!("{incident}/update"), json!({ "note": text }));
        post(format!("{incident}/pause"), json!({ "reason": "site-access", "note": text }));
    }
    // What an agent says of itself is a stranger's word: it stands in the store as it came.
    let writing = rusqlite::Connection::open(collector.database_file()).expect("the database");
    writing.busy_timeout(Duration::from_secs(20)).expect("a timeout");
    let host = texts.iter().fold(String::new(), |mut all, text| {
        // Writing to a String cannot fail.
        _ = write!(all, "{} ", text.chars().take(120).collect::<String>());
        all
    });
    let changed = writing.execute("UPDATE agents SET host = ?1", [&host]).expect("the host is written");
    assert_eq!(changed, 1);
    drop(writing);

    let mut pages = vec![
        json!({ "name": "hostile-queue", "path": "/queue", "status": 200 }),
        json!({ "name": "hostile-searched", "path": "/queue?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E&show=%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&client=%27%22%3E", "status": 200 }),
        json!({ "name": "hostile-client", "path": "/c/northgate", "status": 200 }),
        json!({ "name": "hostile-clients", "path": "/clients", "status": 200 }),
        json!({ "name": "hostile-agents", "path": "/agents", "status": 200 }),
        json!({ "name": "hostile-report", "path": "/report?text=%3C%2Ftextarea%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E&by=%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", "status": 200 }),
        json!({ "name": "hostile-address", "path": "/i/%3Cscript%3E/INC-1", "status": 404 }),
    ];
    for index in 0..texts.len() {
        let path = format!("/i/northgate/INC-{}", index + 2);
        pages.push(json!({ "name": format!("hostile-{index}"), "path": path, "status": 200 }));
    }
    // Their size is the corpus's: how much a page may weigh is held where the pages are of usual length.
    let order = json!({ "posts": posts, "heavy": true });
    let report = look(&collector, &json!(pages), &order);
    assert_no_faults(&report);
    let posted = report["seen"]["posted"].as_array().expect("what was posted");
    assert_eq!(posted.len(), texts.len() * 6);
    for (status, post) in posted.iter().zip(&posts) {
        assert!(status == 200 || status == 201, "{status}: {post}");
    }
    for look in report["seen"]["looks"].as_array().expect("looks") {
        assert_eq!(look["injected"], 0, "{look:#}");
    }
    collector.program().assert_no_errors();
}
