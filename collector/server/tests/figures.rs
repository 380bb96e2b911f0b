//! The figures' commands from outside, on a data folder with a past: statement, uptime, what-if, work, cost.

#[path = "support/run.rs"]
mod support;

use std::{fs, path::Path};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::{collector, text};
use upheld_agreement::{
    book::{Book, Files},
    clock::ClockStart,
    matching::{Affected, Detected, MatchQuery, resolve},
};
use upheld_store::{StoreError, incidents::IncidentRow, ledger::LedgerRow};

fn files(respond_within: &str) -> Files {
    let weekly: String =
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|day| format!("{day} = [\"00:00-24:00\"]\n")).concat();
    let files = [
        ("provider.toml", "name = \"Example\"\ncurrency = \"USD\"\ntime_zone = \"America/Chicago\"\n".to_owned()),
        (
            "catalogue.toml",
            "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"high\"\n".to_owned(),
        ),
        (
            "calendars/always.toml",
            format!("time_zone = \"America/Chicago\"\n[weekly]\n{weekly}[bands]\nalways = \"rest\"\n"),
        ),
        (
            "plans/gold.toml",
            format!(
                "name = \"Gold\"\n[[target]]\nstage = \"respond\"\nwithin = \"{respond_within}\"\ncalendar = \"always\"\n\
                 [[credit]]\nwhen = \"missed respond\"\namount = \"7.00\"\n\
                 [[rate]]\nband = \"always\"\nremote = \"80.00/h\"\nphone = \"60.00/h\"\non-site = \"145.00/h\"\ntravel = \"95.00\"\n"
            ),
        ),
        ("clients/acme/client.toml", "name = \"Acme Foods\"\n".to_owned()),
        (
            "clients/acme/ssa.toml",
            "number = \"SSA-1\"\nsites = [\"north\"]\nfee = \"100.00/month\"\n[[version]]\neffective_from = 2020-01-01\nplan = \"gold\"\n\
             [[asset_terms]]\nasset = \"north/srv-1\"\ncost_of_downtime = \"400.00/h\"\n"
                .to_owned(),
        ),
        (
            "clients/acme/sites/north.toml",
            "name = \"North\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2020-01-15\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\n\
             checks = [{ kind = \"net.tcp\", target = \"10.0.0.5\", port = 8080 }]\n"
                .to_owned(),
        ),
    ];
    files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect()
}

fn write(folder: &Path, files: &Files) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// An incident of the past, answered after 90 minutes and resolved after three hours, as the desk would have stored it.
fn past_incident(data: &Path, detected: Timestamp) {
    let after = |minutes| detected + SignedDuration::from_mins(minutes);
    let query = MatchQuery {
        client: "acme".parse().unwrap(),
        site: "north".parse().unwrap(),
        asset: Some("srv-1".parse().unwrap()),
        detected: Detected::at(detected),
        class: "service".parse().unwrap(),
        kind: "down".parse().unwrap(),
        check: None,
        affected: Affected::one(),
    };
    let terms = resolve(&Book::read(&files("1h")).unwrap(), &query).unwrap();
    let pinned = json!({ "terms": terms, "start": ClockStart::new(detected, detected) });
    let body = json!({
        "key": "5d".repeat(32), "dedup": "acme/north/asset/srv-1/down", "client": "acme", "site": "north",
        "class": "service", "kind": "down", "root": { "is": "check", "check": "srv-1/net.tcp" },
        "title": "north: srv-1 does not answer", "started": { "not_before": null, "not_after": detected },
        "detected": detected, "received": detected, "opened": detected, "restored": after(180),
        "state": { "is": "resolved", "at": after(180), "by": { "is": "person", "name": "ana" }, "holder": { "is": "nobody" } },
        "cause": { "cause": "undetermined", "confidence_percent": 0, "by": { "is": "rule", "name": "finding" } },
        "symptoms": [], "handling": { "is": "desk" }, "follows": null, "evidence_opening": null,
        "evidence_restoration": null,
    });
    let fact = |ordinal, minutes, kind: &str, fact: Value| LedgerRow {
        ordinal,
        effective_at: after(minutes),
        recorded_at: after(minutes),
        kind: kind.to_owned(),
        who: "collector".to_owned(),
        body: json!({ "fact": fact }).to_string(),
    };
    let facts = [
        fact(0, 0, "opened", json!({ "fact": "opened" })),
        fact(1, 90, "responded", json!({ "fact": "responded", "manner": "remote" })),
        fact(2, 180, "resolved", json!({ "fact": "resolved" })),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = upheld_store::sqlite::open(&data.join("upheld.db")).unwrap();
    let written = store.write::<_, StoreError, _>("test.past", move |tx| {
        let client: upheld_model::ClientId = "acme".parse().unwrap();
        let number = tx.next_number(&client)?;
        tx.insert_incident(&IncidentRow {
            client: client.clone(),
            number,
            site: "north".parse().unwrap(),
            incident_key: "5d".repeat(32).parse().unwrap(),
            dedup: "acme/north/asset/srv-1/down".to_owned(),
            state: "resolved".to_owned(),
            opened_at: detected,
            over_at: Some(detected + SignedDuration::from_hours(3)),
            next_deadline: None,
            revision: 0,
            body: body.to_string(),
            terms: Some(pinned.to_string()),
            refusal: None,
        })?;
        facts.iter().try_for_each(|row| tx.append_fact(&client, number, row))
    });
    runtime.block_on(written).unwrap();
}

#[test]
fn a_provider_asks_for_every_figure_of_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let (data, book, other) = (folder.path().join("data"), folder.path().join("book"), folder.path().join("other"));
    write(&book, &files("1h"));
    write(&other, &files("2h"));
    let (data_text, book, other) = (text(&data), text(&book), text(&other));
    let run = |arguments: &[&str]| collector(&[arguments, &["--data", &data_text]].concat());
    let done = |arguments: &[&str]| {
        let run = run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {}\n{}", run.stderr, run.stdout);
        run
    };
    done(&["init"]);
    done(&["book", "apply", &book]);
    let detected = Timestamp::from_second(Timestamp::now().as_second() - 40 * 86_400).unwrap();
    past_incident(&data, detected);
    let (since, until) =
        ((detected - SignedDuration::from_hours(24)).to_string(), detected + SignedDuration::from_hours(48));
    let until = until.to_string();

    // Work is entered and corrected; both entries stay.
    let at = |minutes: i64| (detected + SignedDuration::from_mins(minutes)).to_string();
    let add = |from: i64, to: i64, more: &[&str]| {
        let (from, to) = (at(from), at(to));
        let entry = ["work", "add", "acme/INC-1", "--who", "ben", "--manner", "on-site", "--from", &from, "--to", &to];
        done(&[&entry, more].concat())
    };
    add(100, 160, &[]);
    let listed = done(&["work", "list", "acme/INC-1", "--json"]).last_json();
    let number = listed["entries"][0]["fact"].as_u64().unwrap().to_string();
    add(100, 130, &["--corrects", &number]);
    let listed = done(&["work", "list", "acme/INC-1"]);
    assert!(listed.stdout.contains(&format!("in place of {number}")), "{}", listed.stdout);
    let future = run(&[
        "work",
        "add",
        "acme/INC-1",
        "--who",
        "ben",
        "--manner",
        "remote",
        "--from",
        "2999-01-01T00:00:00Z",
        "--to",
        "2999-01-01T01:00:00Z",
    ]);
    assert_eq!((future.code, future.stderr.contains("it lies in the future")), (1, true), "{}", future.stderr);

    // What it costs.
    let cost = done(&["cost", "acme/INC-1"]);
    for part in [
        "sending someone for 1 h costs USD 240.00 now (always, with USD 95.00 for the way)",
        "has cost the client USD 1,200.00 in all: 3 h",
    ] {
        assert!(cost.stdout.contains(part), "{part}\n{}", cost.stdout);
    }

    // The statement and why.
    let statement = done(&["statement", "acme", "--from", &since, "--to", &until]);
    for part in ["1 came late: acme/INC-1 (respond)", "Work: one entry, USD 167.50.", "Fee: USD "] {
        assert!(statement.stdout.contains(part), "{part}\n{}", statement.stdout);
    }
    let json = done(&["statement", "acme", "--from", &since, "--to", &until, "--json"]).last_json();
    assert_eq!(json["statement"]["credits"]["lines"][0]["amount"]["minor"], 700);
    assert_eq!(json["statement"]["time"][0]["unknown"]["not-monitored"], 3 * 86_400, "{json}");
    let why = done(&["statement", "acme", "--from", &since, "--to", &until, "--why", "target/acme/INC-1/respond"]);
    assert!(why.stdout.contains("upheld-collector explain acme/INC-1"), "{}", why.stdout);
    let nearest = run(&["statement", "acme", "--from", &since, "--to", &until, "--why", "target/acme/INC-1/respnd"]);
    assert_eq!(
        (nearest.code, nearest.stderr.contains("--why target/acme/INC-1/respond")),
        (2, true),
        "{}",
        nearest.stderr
    );
    let uptime = done(&["uptime", "acme/north", "--from", &since, "--to", &until, "--pieces"]);
    assert!(
        uptime.stdout.contains("up 0 s, degraded 0 s, down 0 s, unknown 259200 s, in all 259200 s"),
        "{}",
        uptime.stdout
    );

    // Under another book, from the store and from its file.
    let ask =
        |more: &[&str]| run(&[&["what-if", "--book", &other, "--since", &since, "--until", &until], more].concat());
    let stored = ask(&["--json"]);
    assert_eq!(stored.code, 0, "{}", stored.stderr);
    let stored = stored.last_json();
    let row = |document: &Value, name: &str| {
        let rows = document["rows"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {document}"))
    };
    assert_eq!(
        (&row(&stored, "breaches")["before"]["count"], &row(&stored, "breaches")["after"]["count"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        (&row(&stored, "credits")["before"]["minor"], &row(&stored, "credits")["after"]["minor"]),
        (&json!(700), &json!(0))
    );
    assert_eq!(row(&stored, "labour")["after"]["minor"], 16_750);
    assert_eq!(stored["changed"][0]["incident"], "acme/INC-1");
    let told = ask(&[]);
    assert!(told.stdout.contains("acme/INC-1: respond late → in time"), "{}", told.stdout);
    assert_eq!(told.stderr, "", "no bar where nobody looks");
    assert_eq!(ask(&["--fail-if", "breaches > 0"]).code, 0);
    let held = ask(&["--fail-if", "before.breaches > 0 and difference.credits <= -7.00"]);
    assert_eq!((held.code, held.stderr.contains("--fail-if holds")), (4, true), "{}", held.stderr);
    let wrong = ask(&["--fail-if", "breaches => 0"]);
    assert_eq!((wrong.code, wrong.stderr.contains("the operator is one of")), (2, true), "{}", wrong.stderr);
    let ledger = text(&folder.path().join("ledger.jsonl"));
    done(&["what-if", "--since", &since, "--until", &until, "--export-ledger", &ledger]);
    let from_file =
        collector(&["what-if", "--book", &other, "--since", &since, "--until", &until, "--ledger", &ledger, "--json"]);
    assert_eq!(from_file.code, 0, "{}", from_file.stderr);
    let from_file = from_file.last_json();
    for key in ["rows", "changed", "clients", "before", "after"] {
        assert_eq!(from_file[key], stored[key], "{key}");
    }
    let piped = support::Run::with_input(
        &["what-if", "--book", &other, "--ledger", "-"],
        &fs::read_to_string(&ledger).unwrap(),
    );
    assert!(piped.stdout.contains("acme/INC-1: respond late → in time"), "{piped:?}");
    fs::write(&ledger, "{\"is\":\"ticket\"}\n").unwrap();
    let bad = collector(&["what-if", "--book", &other, "--ledger", &ledger]);
    assert_eq!((bad.code, bad.stderr.contains("line 1 of")), (1, true), "{}", bad.stderr);
}

#[test]
fn what_was_found_while_commissioning_is_shown_and_opened_by_command() {
    let folder = tempfile::tempdir().unwrap();
    let (data, book) = (folder.path().join("data"), folder.path().join("book"));
    let dated = files("1h");
    let site = "clients/acme/sites/north.toml";
    let mut undated = dated.clone();
    undated.insert(site.to_owned(), dated[site].replace("commissioned = 2020-01-15\n", ""));
    write(&book, &undated);
    let (data_text, book_text) = (text(&data), text(&book));
    let run = |arguments: &[&str]| collector(&[arguments, &["--data", &data_text]].concat());
    assert_eq!(run(&["init"]).code, 0);
    assert_eq!(run(&["book", "apply", &book_text]).code, 0);
    found_incident(&data, "2026-11-16T16:00:00Z".parse().unwrap());

    let found = run(&["commission", "acme/north"]);
    for part in [
        "North (acme/north) as found while commissioning; no agent is enrolled there yet",
        "srv-1 (server)\n  Fails since 2026-11-16 10:00 CST (INC-1): srv-1: TCP service on port 8080 does not answer.",
        "net.tcp is unknown: no agent judges it at present.",
        "write `commissioned = DATE` into clients/acme/sites/north.toml",
    ] {
        assert!(found.stdout.contains(part), "no {part:?} in\n{}{}", found.stdout, found.stderr);
    }
    let refused = run(&["commission", "acme/north", "--open", "INC-1"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    for part in ["acme/north is still being commissioned", "has no line `commissioned = DATE`", "book apply DIR"] {
        assert!(refused.stderr.contains(part), "no {part:?} in\n{}", refused.stderr);
    }
    assert_eq!(run(&["commission", "north"]).code, 2, "a site has a client");
    assert_eq!(run(&["commission", "acme/south"]).code, 1);

    write(&book, &dated);
    assert_eq!(run(&["book", "apply", &book_text]).code, 0);
    assert_eq!(run(&["commission", "acme/north", "--open", "INC-7"]).code, 1, "it is not on the report");
    assert!(run(&["queue"]).stdout.contains("No clocks running"), "nothing opens by itself");
    let before = Timestamp::now();
    let opened = run(&["commission", "acme/north", "--open", "INC-1", "--json"]);
    assert_eq!(opened.code, 0, "{opened:?}");
    let opened = opened.last_json();
    assert_eq!(
        (&opened["schema"], &opened["opened"][0]["incident"]),
        (&json!("upheld.commission/1"), &json!("acme/INC-1"))
    );
    let due: Timestamp = opened["opened"][0]["clocks"][0]["due"].as_str().unwrap().parse().unwrap();
    let promised = due.duration_since(before).as_secs();
    // Dues are whole seconds.
    assert!((3_599..3_660).contains(&promised), "an hour from when it was opened: {promised} s");
    assert_eq!(opened["as_found"]["assets"][0]["incidents"][0]["stands"], "opened");
    assert!(run(&["queue"]).stdout.contains("acme/INC-1"));

    let digest = run(&["digest", "--client", "acme"]);
    assert_eq!(digest.code, 0, "{digest:?}");
    assert!(digest.stdout.contains("that needs an eye beside the queue"), "{}", digest.stdout);
    let none = run(&["digest", "--json"]).last_json();
    assert_eq!((&none["schema"], &none["digest"]["sites"]), (&json!("upheld.digest/1"), &json!([])));
    assert_eq!(run(&["digest", "--client", "nobody"]).code, 1);
    assert_eq!(run(&["digest", "--since", "2999-01-01T00:00:00Z"]).code, 2);
}

/// What was found while the site was commissioned, as the desk would have stored it.
fn found_incident(data: &Path, began: Timestamp) {
    let (key, dedup) = ("5d".repeat(32), "acme/north/asset/srv-1/down");
    let body = json!({
        "key": key, "dedup": dedup, "client": "acme", "site": "north", "class": "service", "kind": "down",
        "root": { "is": "check", "check": "srv-1/net.tcp" }, "title": "srv-1: TCP service on port 8080 does not answer",
        "started": { "not_before": null, "not_after": began }, "detected": began, "received": began, "opened": began,
        "restored": null, "state": { "is": "open" },
        "cause": { "cause": "undetermined", "confidence_percent": 0, "by": { "is": "rule", "name": "correlate" } },
        "symptoms": [], "handling": { "is": "as-found" }, "follows": null, "evidence_opening": null,
        "evidence_restoration": null,
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = upheld_store::sqlite::open(&data.join("upheld.db")).unwrap();
    let written = store.write::<_, StoreError, _>("test.found", move |tx| {
        let client: upheld_model::ClientId = "acme".parse().unwrap();
        let number = tx.next_number(&client)?;
        tx.insert_incident(&IncidentRow {
            client,
            number,
            site: "north".parse().unwrap(),
            incident_key: key.parse().unwrap(),
            dedup: dedup.to_owned(),
            state: "open".to_owned(),
            opened_at: began,
            over_at: None,
            next_deadline: None,
            revision: 0,
            body: body.to_string(),
            terms: None,
            refusal: None,
        })
    });
    runtime.block_on(written).unwrap();
}
