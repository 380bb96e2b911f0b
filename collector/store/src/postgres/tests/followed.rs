//! What is asked of a server whose log is followed, by a role that may replicate and nothing else.

use super::{Options, Server, options};
use crate::postgres::{Password, follow};

fn as_role(server: &Server, role: &str) -> follow::Server {
    let url = server.database().replace("upheld:upheld@", &format!("{role}@"));
    let password = Some(Password::new("upheld".to_owned()));
    follow::Server::connect(&url, &Options { password, ..options(server) }).unwrap()
}

#[test]
fn a_role_that_may_replicate_sees_all_that_following_needs() {
    let server = Server::start();
    server.sql("postgres", "CREATE ROLE plain LOGIN PASSWORD 'upheld'");
    server.sql("postgres", "CREATE ROLE replicates LOGIN REPLICATION PASSWORD 'upheld'");
    let (plain, followed) = (as_role(&server, "plain"), as_role(&server, "replicates"));
    let ready = followed.ready().unwrap();
    assert_eq!((ready.major, ready.role.as_str(), ready.may_replicate), (15, "replicates", true));
    assert!(ready.bytes > 1 << 20 && ready.senders.0 > 0 && ready.segment == 16 << 20, "{ready:?}");
    assert!(!plain.ready().unwrap().may_replicate);
    assert!(plain.make_slot("upheld_one").is_err());

    followed.make_slot("upheld_one").unwrap();
    followed.make_slot("another").unwrap();
    let before = followed.standing("upheld_one").unwrap();
    assert_eq!(before.system, ready.system);
    server.sql("postgres", "CREATE TABLE filler AS SELECT generate_series(1, 10000)");
    let after = followed.standing("upheld_one").unwrap();
    let slot = after.slot.unwrap();
    assert!(after.written > before.written && slot.kept == before.slot.unwrap().kept);
    assert!(slot.behind > 100_000 && slot.reader.is_none() && slot.state == "reserved", "{slot:?}");
    let slots = plain.slots("upheld_").unwrap();
    assert_eq!(slots.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["upheld_one"]);
    followed.drop_slot("upheld_one").unwrap();
    assert_eq!(followed.standing("upheld_one").unwrap().slot, None);
}
