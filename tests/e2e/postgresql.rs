//! A collector whose facts are in PostgreSQL: the real programs, a real server with TLS and scram.

use std::{net::TcpListener, path::Path, time::Duration};

use upheld_tests::{
    Agent, Collector, book,
    postgresql::Server,
    program::{self, refused, write},
    wait_for,
};

const SOON: Duration = Duration::from_secs(40);

#[test]
fn a_host_is_enrolled_an_incident_told_and_worked_on_and_a_restart_forgets_nothing() {
    let server = Server::start();
    let address = server.database();
    let service_port = upheld_tests::free_port();
    let files = tempfile::TempDir::new().expect("a folder");
    let password = files.path().join("password");
    write(&password, "upheld\n");
    let url = address.replace("upheld:upheld@", "upheld@");
    let ca = server.ca();
    let mut collector = Collector::made_with(&[
        "--database",
        &url,
        "--database-ca",
        text(&ca),
        "--database-password-file",
        text(&password),
    ]);
    assert!(!collector.database_file().exists(), "no facts beside the server's");
    let settings = std::fs::read_to_string(collector.data().join("collector.toml")).expect("the settings");
    assert!(settings.contains("[database]") && !settings.contains("upheld:upheld"), "{settings}");
    let assets = format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {{ kind = \"net.tcp\", target = \"127.0.0.1\", \
         port = {service_port}, every = \"1s\", timeout = \"1s\", fail_after = 2, recover_after = 2 }},\n]\n"
    );
    let folder = collector.folder().join("book");
    book::write_book(&folder, &assets, None);
    collector.apply(&folder);
    collector.serve();
    let service = TcpListener::bind(("127.0.0.1", service_port)).expect("the service's port");
    let mut agent = Agent::enroll(&collector.link(collector.port), &format!("loopback_ports = [{service_port}]\n"));
    agent.run();
    let records = || -> u64 { server.sql(name(&address), "SELECT count(*) FROM records").parse().expect("a count") };
    wait_for("the first records arrive", SOON, || (records() > 0).then_some(()));

    drop(service);
    let row = wait_for("the incident is in the queue", SOON, || {
        let queue = collector.cli_json(&["queue"]);
        queue["queue"]["rows"][0]["incident"].as_str().map(|_| queue["queue"]["rows"][0].clone())
    });
    println!("{row}");
    collector.cli_json(&["acknowledge", "northgate/INC-1", "--by", "Ana Example"]);

    a_backup_restores_onto_either_store(&collector, &server, &password);

    collector.kill();
    collector.serve();
    assert_eq!(server.sql(name(&address), "SELECT state FROM incidents"), "taken");
    let explained = program::run(&mut collector.command(&["explain", "northgate/INC-1"])).1;
    assert!(explained.contains("SSA-T-1"), "{explained}");
    let before = records();
    let _service = TcpListener::bind(("127.0.0.1", service_port)).expect("the service's port");
    wait_for("it goes on after the restart", SOON, || (records() > before).then_some(()));
    agent.program().stop();
    collector.program().assert_no_errors();
}

/// The archive holds the facts of one moment, is read without a server, and becomes a collector with a file or with
/// another database, in recovery.
fn a_backup_restores_onto_either_store(collector: &Collector, server: &Server, password: &Path) {
    let file = collector.folder().join("b1");
    let written = collector.cli_json(&["backup", "--out", text(&file)]);
    assert!(written["manifest"]["parts"].to_string().contains("upheld.db"), "{written}");
    collector.cli_json(&["backup", "verify", text(&file)]);

    let restore = |into: &str, more: &[&str]| {
        let into = collector.folder().join(into);
        let mut command = std::process::Command::new(upheld_tests::binary("upheld-collector"));
        command.args(["restore", text(&file), "--into", text(&into)]).args(more);
        (command, into)
    };
    // The settings name the database of the one who serves.
    let full = refused(|| restore("full", &[]).0);
    assert!(full.text.contains("is in use: collectors serve it") && full.text.contains("--as-file"), "{}", full.text);
    assert!(!collector.folder().join("full").exists());
    let show = |into: &Path| {
        let mut command = std::process::Command::new(upheld_tests::binary("upheld-collector"));
        program::json(command.args(["recovery", "show", "--json", "--data", text(into)]))
    };
    let (mut as_file, into) = restore("as-file", &["--as-file", "--json"]);
    assert!(program::json(&mut as_file)["database"].is_null());
    assert!(into.join("upheld.db").exists() && show(&into)["recovery"]["missing_from"].is_string());
    let other = server.database();
    let url = other.replace("upheld:upheld@", "upheld@");
    let ca = server.ca();
    let to_other =
        ["--database", &url, "--database-ca", text(&ca), "--database-password-file", text(password), "--json"];
    let (mut to_other, into) = restore("to-other", &to_other);
    println!("{}", program::json(&mut to_other));
    assert!(!into.join("upheld.db").exists() && show(&into)["recovery"]["missing_from"].is_string());
    assert_eq!(server.sql(name(&other), "SELECT state FROM incidents"), "taken");
}

#[test]
fn a_database_that_cannot_be_used_is_named_and_nothing_is_made() {
    let server = Server::start();
    let url = server.database().replace("upheld:upheld@", "upheld@");
    let files = tempfile::TempDir::new().expect("a folder");
    let (password, data, ca) = (files.path().join("password"), files.path().join("data"), server.ca());
    write(&password, "guessed\n");
    let init = |url: &str, more: &[&str]| {
        let arguments = [&["init", "--database", url, "--data", text(&data)], more].concat();
        refused(|| {
            let mut command = std::process::Command::new(upheld_tests::binary("upheld-collector"));
            command.args(&arguments);
            command
        })
        .text
    };
    let with_password = ["--database-password-file", text(&password), "--database-ca", text(&ca)];
    for (said, why) in [
        (init(&server.database(), &[]), "has a password in it"),
        (init("postgres://upheld@localhost", &[]), "names no database"),
        (init(&url, &with_password), "password authentication failed"),
        (init(&url, &with_password[..2]), "UnknownIssuer"),
        (init("postgres://upheld@127.0.0.1:1/desk", &[]), "refused"),
    ] {
        println!("{said}");
        assert!(said.contains(why), "{why}: {said}");
    }
    assert!(!data.join("collector.toml").exists());
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn name(address: &str) -> &str {
    address.rsplit('/').next().expect("a name")
}
