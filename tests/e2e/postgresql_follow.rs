//! `backup --follow` of a collector on PostgreSQL: the server is killed and its disk is gone in mid-load, and what is
//! restored of the folder lacks nothing; without the last of the log a person is waited for (DELIVERY 4).

use std::path::Path;

use upheld_tests::{
    Agent,
    follower::{Follower, place, restore, start, text, wait_for_the_follower},
    on_postgresql::{BACKLOG, DATABASE, SOON, Site, audited, count, records, wait_for_more},
    postgresql::Server,
    program::{self, refused},
    wait_for, watched,
};

fn status_of(server: &Server, id: &str) -> String {
    server.sql(DATABASE, &format!("SELECT status FROM agents WHERE agent = '{id}'"))
}

#[test]
fn a_server_whose_disk_is_lost_in_mid_load_is_made_anew_and_lacks_nothing() {
    let mut server = Server::start();
    let mut site = Site::with_backlog(&server, 3);
    let service = site.service();
    let mut follower = Follower::of(&site.collector);
    wait_for_the_follower(&server, &follower.slot());
    let (doomed, link) = (site.enroll(), site.collector.link(site.collector.port));
    site.agents[0].run();
    wait_for_more(&server, 1);
    site.collector.cli_json(&["agent", "revoke", &doomed.id()]);
    let newer = Agent::enroll(&link, &watched::allow(site.service_port));

    // The follower dies, and the server dies under it: what was not in the folder is kept for it.
    follower.program().kill();
    follower.start(&site.collector);
    wait_for_more(&server, 1);
    server.end("KILL");
    server.begin();
    wait_for_more(&server, 1);
    drop(service);
    site.receiver.message("incident.opened");
    site.collector.cli_json(&["acknowledge", "northgate/INC-1", "--by", "Ana Example"]);

    let before = records(&server);
    site.agents[1..].iter_mut().for_each(Agent::run);
    wait_for("an hour of others arrives", SOON, || (records(&server) > before).then_some(()));
    let (at_loss, port) = (records(&server), server.port);
    server.end("KILL");
    drop(server);
    follower.program().stop();
    where_the_collector_was_lost_too_a_person_is_waited_for(&mut site, &follower, port);

    let pgdata = place();
    let made = program::json(restore(&site.collector, &follower, &pgdata, &[]).arg("--json"));
    assert!(made["up_to"].is_string() && made["files"].as_u64() > Some(0), "{made}");
    let server = start(pgdata, port);
    site.collector.serve();
    let restored = records(&server);
    assert_eq!(
        (status_of(&server, &doomed.id()).as_str(), status_of(&server, &newer.id()).as_str()),
        ("revoked", "active")
    );
    assert_eq!(server.sql(DATABASE, "SELECT state FROM incidents"), "taken", "what a person did");
    let (code, ..) = program::run(&mut Agent::unenrolled(&watched::allow(site.service_port)).enrolment(&link));
    assert_ne!(code, Some(0), "a token that was used stays used");
    let total = site.assert_all_arrived_once(&server);
    let (tickets, told) = site.tickets();
    println!(
        "{at_loss} records when the disk was lost, {restored} restored, {total} at the end; {tickets} ticket, told {told} times"
    );
    assert!(restored >= at_loss && total > 3 * BACKLOG);
    assert_eq!((tickets, count(&server, "SELECT count(*) FROM incidents")), (1, 1));
    assert_eq!((audited(&server, "database.went_back"), audited(&server, "recovery.begun")), (0, 0));
    // What was restored waits for nobody, and can be followed into the same folder.
    assert_eq!(server.sql("postgres", "SHOW synchronous_standby_names"), "");
    follower.start(&site.collector);
    follower.wait_for_now();
    follower.program().stop();
    site.collector.cli_json(&["backup", "verify", text(&follower.folder), "--max-age", "5m"]);
}

/// A folder that was restored remembers no commit: its collector does not know that nothing is missing.
fn where_the_collector_was_lost_too_a_person_is_waited_for(site: &mut Site, follower: &Follower, port: u16) {
    let collector = &mut site.collector;
    let (pgdata, own, kept) = (place(), collector.folder().join("own"), collector.folder().join("kept"));
    program::json(restore(collector, follower, &pgdata, &["--into", text(&own)]).arg("--json"));
    collector.kill();
    std::fs::rename(collector.data(), &kept).expect("its folder is away");
    std::fs::rename(&own, collector.data()).expect("its folder");
    let mut server = start(pgdata, port);
    let restored = records(&server);
    collector.serve();
    wait_for("recovery begins by itself", SOON, || (audited(&server, "recovery.begun") > 0).then_some(()));
    assert_eq!(records(&server), restored, "nothing is taken meanwhile");
    collector.kill();
    server.end("INT");
    std::fs::remove_dir_all(collector.data()).expect("its folder");
    std::fs::rename(&kept, collector.data()).expect("its folder is back");
}

#[test]
fn without_the_last_of_the_log_a_person_is_waited_for_and_agents_send_again() {
    let mut server = Server::start();
    let mut site = Site::with_backlog(&server, 2);
    let mut follower = Follower::of(&site.collector);
    site.run();
    wait_for_more(&server, 1);
    let (doomed, link) = (site.enroll(), site.collector.link(site.collector.port));
    follower.wait_for_now();
    server.sql("postgres", "SELECT pg_switch_wal()");
    wait_for_more(&server, 1);
    follower.wait_for_now();
    let there = follower.files_of_the_log();
    server.sql("postgres", "SELECT pg_switch_wal()");
    site.collector.cli_json(&["agent", "revoke", &doomed.id()]);
    let newer = Agent::enroll(&link, &watched::allow(site.service_port));
    wait_for_more(&server, 2);
    follower.wait_for_now();
    let (at_loss, port) = (records(&server), server.port);
    server.end("KILL");
    drop(server);
    follower.program().stop();
    let lost = &follower.files_of_the_log() - &there;
    assert!(!lost.is_empty(), "{there:?}");
    lost.iter().for_each(|path| std::fs::remove_file(path).expect("a file of the log"));

    let pgdata = place();
    let refusal = refused(|| restore(&site.collector, &follower, &pgdata, &[]));
    assert!(refusal.code == 1 && refusal.text.contains("--as-far-as-whole"), "{}", refusal.text);
    assert!(!pgdata.path().join("data").exists(), "nothing half made is left");
    let made = program::json(restore(&site.collector, &follower, &pgdata, &["--as-far-as-whole"]).arg("--json"));
    assert!(made["up_to"].is_null(), "{made}");
    let server = start(pgdata, port);
    let waiting = site.assert_waits_for_a_person(&server, &doomed, &link);
    site.collector.cli_json(&["agent", "revoke", &doomed.id()]);
    site.collector.cli_json(&["recovery", "accept", "--by", "Ana Example"]);
    let agents = site.collector.cli_json(&["agent", "list"]).to_string();
    assert!(!agents.contains(&newer.id()), "{agents}");
    let total = site.assert_all_arrived_once(&server);
    println!("{at_loss} records when the disk was lost, {waiting} without the last of the log, {total} at the end");
    assert!(waiting < at_loss && total >= at_loss);
}

#[test]
fn what_is_missing_is_said_with_its_command_and_leaves_nothing_behind() {
    let server = Server::start();
    let site = Site::with_backlog(&server, 0);
    let (collector, away) = (&site.collector, site.collector.folder().join("away"));
    let slots = || count(&server, "SELECT count(*) FROM pg_replication_slots");
    server.sql("postgres", "CREATE ROLE plain LOGIN PASSWORD 'upheld'");
    server.sql("postgres", "CREATE ROLE replicates LOGIN REPLICATION PASSWORD 'upheld'");
    let files = tempfile::TempDir::new().expect("a folder");
    let (right, wrong, none) = (files.path().join("right"), files.path().join("wrong"), files.path().join("none"));
    program::write(&right, "upheld\n");
    program::write(&wrong, "another\n");
    std::fs::create_dir(&none).expect("a folder");
    let (ca, port) = (server.ca(), server.port);
    let as_role = |role: &str, password: &Path| {
        let url = format!("postgres://{role}@localhost:{port}/{DATABASE}");
        let options = ["--database", &url, "--database-password-file", text(password), "--database-ca", text(&ca)];
        options.map(str::to_owned).to_vec()
    };
    let elsewhere = vec!["--programs".to_owned(), text(&none).to_owned()];
    for (what, options, code, said) in [
        ("a role that may not", as_role("plain", &right), 78, "ALTER ROLE plain REPLICATION"),
        ("a wrong password", as_role("replicates", &wrong), 78, "password authentication failed"),
        ("no programs", elsewhere, 69, "apt-get install postgresql-client-15"),
    ] {
        let refusal = refused(|| {
            let mut command = collector.command(&["backup", "--follow", text(&away)]);
            command.args(&options);
            command
        });
        assert!(refusal.code == code && refusal.text.contains(said), "{what}: {}", refusal.text);
        assert!(!away.exists() && slots() == 0, "{what}: something was made");
    }

    // Whoever may replicate may still be kept out by pg_hba.conf: the slot that was made for him goes again.
    let hba = server.sql("postgres", "SHOW hba_file");
    let rules = std::fs::read_to_string(&hba).expect("its rules");
    let without: String =
        rules.lines().filter(|line| !line.contains("replication")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&hba, without).expect("its rules");
    server.sql("postgres", "SELECT pg_reload_conf()");
    let refusal = refused(|| {
        let mut command = collector.command(&["backup", "--follow", text(&away)]);
        command.args(as_role("replicates", &right));
        command
    });
    assert!(refusal.text.contains("hostssl replication replicates"), "{}", refusal.text);
    assert_eq!(slots(), 0);
    std::fs::write(&hba, rules).expect("its rules");
    server.sql("postgres", "SELECT pg_reload_conf()");

    program::write(&files.path().join("photos/one.jpg"), "");
    let refusal = refused(|| collector.command(&["backup", "--follow", text(&files.path().join("photos"))]));
    assert!(refusal.text.contains("holds one.jpg"), "{}", refusal.text);

    let mut follower = Follower::of(collector);
    let refusal = refused(|| collector.command(&["backup", "--follow", text(&follower.folder)]));
    assert_eq!(refusal.code, 11, "{}", refusal.text);
    follower.program().stop();
    assert_eq!(slots(), 1, "what comes now is kept for it");

    let pgdata = place();
    program::write(&pgdata.path().join("data/PG_VERSION"), "15\n");
    let refusal = refused(|| restore(collector, &follower, &pgdata, &[]));
    assert!(refusal.text.contains("is not empty"), "{}", refusal.text);
    std::fs::remove_dir_all(pgdata.path().join("data")).expect("a folder");
    let refusal = refused(|| restore(collector, &follower, &pgdata, &["--programs", text(&none)]));
    assert!(refusal.code == 69 && refusal.text.contains("apt-get install postgresql-15"), "{}", refusal.text);
    let refusal = refused(|| collector.command(&["restore", "--segments", text(&follower.folder), "--into", "x"]));
    assert!(refusal.code == 2 && refusal.text.contains("--pgdata DIR2"), "{}", refusal.text);
    let map = std::fs::read_dir(&follower.folder)
        .expect("the folder")
        .map(|entry| entry.expect("a file").path().join("global/pg_filenode.map"))
        .find(|path| path.exists())
        .expect("a copy of the whole");
    let mut bytes = std::fs::read(&map).expect("its file");
    bytes[20] ^= 1;
    std::fs::write(&map, bytes).expect("its file");
    let refusal = refused(|| restore(collector, &follower, &pgdata, &[]));
    assert!(refusal.text.contains("pg_filenode.map"), "{}", refusal.text);
    let refusal = refused(|| collector.command(&["backup", "verify", text(&follower.folder)]));
    assert!(refusal.text.contains("pg_filenode.map"), "{}", refusal.text);
}
