//! PostgreSQL dies, is full, hands over to a replica that lacks the last commits, or loses its disk: nothing that an agent
//! was told is lost or doubled, one incident is one ticket, and nobody who was kept out gets in (DELIVERY 6).

use std::time::Duration;

use upheld_tests::{
    Agent,
    namespace::{self, Own},
    on_postgresql::{Archive, BACKLOG, DATABASE, SOON, Site, audited, base_backup, count, records, wait_for_more},
    postgresql::{Server, answers},
    program, wait_for, watched,
};

#[test]
fn a_server_killed_in_mid_load_loses_and_doubles_nothing() {
    let mut server = Server::start();
    let mut site = Site::with_backlog(&server, 3);
    let service = site.service();
    site.run();
    let mut at_kill = vec![0];
    for _ in 0..4 {
        let before = at_kill.last().copied().unwrap_or_default();
        wait_for("records arrive", SOON, || (records(&server) > before).then_some(()));
        at_kill.push(records(&server));
        server.end("KILL");
        server.begin();
    }
    drop(service);
    site.receiver.message("incident.opened");
    server.end("KILL");
    server.begin();
    let total = site.assert_all_arrived_once(&server);
    let (tickets, told) = site.tickets();
    println!("killed 5 times, at {at_kill:?} records; {total} records, {tickets} ticket, told {told} times");
    assert!(total > 3 * BACKLOG);
    assert_eq!(tickets, 1);
    assert_eq!((audited(&server, "recovery.begun"), audited(&server, "database.went_back")), (0, 0));
}

#[test]
fn a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room() {
    let test = "a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room";
    namespace::inside(Own::Mounts, test, || {
        let folder = Server::folder();
        let (place, filler) = (folder.path().to_owned(), folder.path().join("filler"));
        namespace::mount_small(&place, 140);
        let mut server = Server::start_in(folder, &["max_wal_size=64MB", "min_wal_size=32MB"]);
        let mut site = Site::with_backlog(&server, 3);
        site.run();
        wait_for("records arrive", SOON, || (records(&server) > 0).then_some(()));
        let refused = |site: &mut Site| site.collector.program().log_text().contains("disk is full");
        wait_for("the full disk is met", SOON, || {
            namespace::fill_up(&filler);
            refused(&mut site).then_some(())
        });
        std::fs::remove_file(&filler).expect("room again");
        if !answers(server.port) {
            // Without room for its log it ends itself.
            server.end("KILL");
            server.begin();
        }
        let full_at = records(&server);
        let total = site.assert_all_arrived_once(&server);
        println!("full at {full_at} records; {total} records at the end");
        assert!(total > 3 * BACKLOG);
    });
}

/// A primary and its replica, which follows asynchronously.
fn pair() -> (Server, Server) {
    let primary = Server::start();
    assert!(primary.database().ends_with(DATABASE));
    let replica = Server::around(base_backup(&primary, true), upheld_tests::free_port(), &[]);
    wait_for("the replica follows", SOON, || {
        (primary.sql("postgres", "SELECT count(*) FROM pg_stat_replication") == "1").then_some(())
    });
    (primary, replica)
}

/// From here on the replica hears nothing of what is committed.
fn cut_off(primary: &Server, replica: &Server) {
    replica.sql("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
    replica.sql("postgres", "SELECT pg_reload_conf()");
    wait_for("the replica follows no more", SOON, || {
        (primary.sql("postgres", "SELECT count(*) FROM pg_stat_replication") == "0").then_some(())
    });
}

fn promote(replica: &Server) {
    assert_eq!(replica.sql("postgres", "SELECT pg_promote()"), "t");
}

#[test]
fn a_replica_without_the_last_commits_is_given_them_again_and_nobody_waits() {
    let (mut primary, replica) = pair();
    let mut site = Site::on(&primary, &[primary.port, replica.port], 1);
    let service = site.service();
    site.run();
    wait_for_more(&primary, 1);
    cut_off(&primary, &replica);
    let known = records(&replica);
    drop(service);
    site.receiver.message("incident.opened");
    wait_for_more(&primary, 1);
    let lost = records(&primary) - known;
    primary.end("KILL");
    promote(&replica);
    wait_for("the collector has found the replica", SOON, || {
        (audited(&replica, "database.went_back") > 0).then_some(())
    });
    let total = site.assert_all_arrived_once(&replica);
    let (tickets, told) = site.tickets();
    println!("{lost} records were lost with the primary; {total} at the end; {tickets} ticket, told {told} times");
    assert!(lost >= 2);
    assert_eq!(tickets, 1);
    assert_eq!(count(&replica, "SELECT count(*) FROM incidents"), 1);
    assert_eq!((audited(&replica, "database.went_back"), audited(&replica, "recovery.begun")), (1, 0));
}

/// A search index needs two minutes, and an agent that was away begins with its present.
const LONG: Duration = Duration::from_secs(300);

#[test]
fn what_two_agents_saw_is_one_ticket_whichever_of_them_sends_first_after_a_fail_over() {
    let (mut primary, replica) = pair();
    let mut site = Site::asking(&primary, &[primary.port, replica.port], 2);
    let service = site.service();
    site.run();
    wait_for_more(&primary, 2);
    site.agents[1].program().stop();
    cut_off(&primary, &replica);
    drop(service);
    // It is opened, and told, by what the first one saw.
    site.receiver.message("incident.opened");
    site.agents[1].run();
    let findings = |server: &Server| count(server, "SELECT count(*) FROM findings");
    wait_for("the second one sees it too", SOON, || (findings(&primary) == 2).then_some(()));
    assert_eq!(site.tickets(), (1, 1));
    site.agents[0].program().stop();
    primary.end("KILL");
    promote(&replica);
    let incidents = |server: &Server| count(server, "SELECT count(*) FROM incidents");
    wait_for("it is opened by what the second one saw", SOON, || (incidents(&replica) == 1).then_some(()));
    assert_eq!(findings(&replica), 1);
    site.agents[0].run();
    let waiting = "SELECT count(*) FROM outbox WHERE status <> 'delivered'";
    wait_for("the receiver was asked", LONG, || (count(&replica, waiting) == 0).then_some(()));
    let total = site.assert_all_arrived_once(&replica);
    let opened = site.receiver.ids("incident.opened");
    println!("{total} records; told by {opened:?}, asked for {:?}", site.receiver.asked());
    assert_eq!((site.tickets(), incidents(&replica), findings(&replica)), ((1, 1), 1, 2));
    assert!(site.receiver.asked().len() >= 2 && site.receiver.asked().last() == opened.first());
    assert_eq!((audited(&replica, "database.went_back"), audited(&replica, "recovery.begun")), (1, 0));
}

#[test]
fn a_replica_that_lost_nothing_takes_over_unnoticed() {
    let (mut primary, replica) = pair();
    primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
    primary.sql("postgres", "SELECT pg_reload_conf()");
    let mut site = Site::on(&primary, &[primary.port, replica.port], 2);
    site.run();
    wait_for_more(&primary, 2);
    let link = site.collector.link(site.collector.port);
    primary.end("KILL");
    promote(&replica);
    let before = records(&replica);
    wait_for_more(&replica, 2);
    let late = Agent::enroll(&link, &watched::allow(site.service_port));
    let total = site.assert_all_arrived_once(&replica);
    println!("{before} records at the fail-over, {total} at the end, and {} enrolled after it", late.id());
    assert_eq!((audited(&replica, "database.went_back"), audited(&replica, "recovery.begun")), (0, 0));
}

#[test]
fn a_replica_that_lost_a_revocation_waits_for_a_person() {
    let (mut primary, replica) = pair();
    let mut site = Site::on(&primary, &[primary.port, replica.port], 2);
    site.run();
    let doomed = site.enroll();
    let link = site.collector.link(site.collector.port);
    wait_for_more(&primary, 2);
    wait_for("the replica has all of it", SOON, || {
        (primary.sql("postgres", "SELECT sent_lsn = replay_lsn FROM pg_stat_replication") == "t").then_some(())
    });
    cut_off(&primary, &replica);
    site.collector.cli_json(&["agent", "revoke", &doomed.id()]);
    let newer = Agent::enroll(&link, &watched::allow(site.service_port));
    wait_for_more(&primary, 1);
    primary.end("KILL");
    promote(&replica);
    let waiting = site.assert_waits_for_a_person(&replica, &doomed, &link);
    site.collector.cli_json(&["agent", "revoke", &doomed.id()]);
    site.collector.cli_json(&["recovery", "accept", "--by", "Ana Example"]);
    let agents = site.collector.cli_json(&["agent", "list"]).to_string();
    assert!(!agents.contains(&newer.id()), "{agents}");
    let total = site.assert_all_arrived_once(&replica);
    println!("{waiting} records while a person was waited for, {total} at the end");
    assert!(total > waiting);
}

#[test]
fn a_lost_disk_is_made_good_by_base_and_log_and_a_base_alone_waits_for_a_person() {
    let mut server = Server::start();
    let mut site = Site::with_backlog(&server, 2);
    site.run();
    wait_for("records arrive", SOON, || (records(&server) > 0).then_some(()));
    let mut archive = Archive::of(&server);
    let doomed = site.enroll();
    let link = site.collector.link(site.collector.port);
    let (alone, followed) = (base_backup(&server, false), base_backup(&server, false));
    site.collector.cli_json(&["agent", "revoke", &doomed.id()]);
    let newer = Agent::enroll(&link, &watched::allow(site.service_port));
    wait_for_more(&server, 2);
    let (port, at_loss) = (server.port, records(&server));
    server.end("KILL");
    drop(server);
    archive.end();
    site.collector.kill();
    let mark = site.collector.data().join("database.mark");
    let remembered = std::fs::read(&mark).expect("the mark");

    let mut older = Server::around(alone, port, &["synchronous_standby_names="]);
    site.collector.serve();
    let at_base = site.assert_waits_for_a_person(&older, &doomed, &link);
    site.collector.kill();
    older.end("INT");
    drop(older);

    // As if the base alone had never been served.
    std::fs::write(&mark, remembered).expect("the mark");
    archive.put_behind(&followed);
    let server = Server::around(followed, port, &["synchronous_standby_names="]);
    wait_for("the log is gone through", SOON, || {
        (server.sql("postgres", "SELECT pg_is_in_recovery()") == "f").then_some(())
    });
    let restored = records(&server);
    site.collector.serve();
    let status = |id: &str| server.sql(DATABASE, &format!("SELECT status FROM agents WHERE agent = '{id}'"));
    assert_eq!((status(&doomed.id()).as_str(), status(&newer.id()).as_str()), ("revoked", "active"));
    let (code, ..) = program::run(&mut Agent::unenrolled(&watched::allow(site.service_port)).enrolment(&link));
    assert_ne!(code, Some(0), "a token that was used stays used");
    let total = site.assert_all_arrived_once(&server);
    println!(
        "{at_loss} records when the disk was lost, {at_base} in the base alone, {restored} with the log, {total} at the end"
    );
    assert!(restored >= at_loss && at_base < at_loss);
    assert_eq!((audited(&server, "database.went_back"), audited(&server, "recovery.begun")), (0, 0));
}
