//! Logging in by password, in virtual time.

use jiff::SignedDuration;

use super::accounts::{FAST, HOME, House, WORDS};
use crate::{
    AccountError, Desk, Role, Scope,
    accounts::{
        Cost, LogIn,
        throttle::{FREE_OF_ACCOUNT, WAIT_FIRST},
    },
    audit::AuditWanted,
};

const AWAY: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9));

#[tokio::test]
async fn a_log_in_gives_a_new_session_and_ends_the_one_before() {
    let house = House::open().await;
    let first = house.member("eve@example.net", Role::Dispatcher, None).await;
    let again = house.desk.log_in(" EVE@example.NET ", WORDS, HOME, Some(&first), house.world.now).await.unwrap();
    let LogIn::In(second) = again else { panic!("{again:?}") };
    assert_ne!(first, second);
    assert_eq!(house.desk.session(&first, house.world.now).await.unwrap(), None);
    assert!(house.desk.session(&second, house.world.now).await.unwrap().is_some());
}

#[tokio::test]
async fn a_wrong_password_an_unknown_name_and_an_account_without_one_are_answered_alike() {
    let house = House::open().await;
    house.member("eve", Role::Dispatcher, None).await;
    house.make("new", "New", Role::Dispatcher, None).await.unwrap();
    let long = "x".repeat(10_000);
    for (login, password) in
        [("eve", "other words of mine"), ("nobody", WORDS), ("new", WORDS), ("", ""), (&long, WORDS), ("eve", &long)]
    {
        assert_eq!(house.log_in(login, password).await, LogIn::Refused, "{login:.20}");
    }
}

#[tokio::test]
async fn tries_are_held_up_ever_longer_and_the_audit_says_so_once() {
    let mut house = House::open().await;
    house.member("eve", Role::Dispatcher, None).await;
    let away = async |house: &House, password: &str| {
        house.desk.log_in("eve", password, AWAY, None, house.world.now).await.unwrap()
    };
    for _ in 0..FREE_OF_ACCOUNT {
        assert_eq!(away(&house, "other words of mine").await, LogIn::Refused);
    }
    let until = house.world.now + WAIT_FIRST;
    for _ in 0..3 {
        assert_eq!(away(&house, WORDS).await, LogIn::Wait(until), "the right one is not even looked at");
    }
    let held = AuditWanted { what: Some("login.held".to_owned()), ..AuditWanted::default() };
    let held = house.desk.audit(&Scope::Provider, held).await.unwrap().entries;
    assert_eq!(held.len(), 1, "{held:#?}");
    assert_eq!((held[0].detail["user"].as_str(), held[0].detail["from"].as_str()), (Some("eve"), Some("198.51.100.9")));
    assert_eq!(house.desk.log_in("eve", WORDS, HOME, None, house.world.now).await.unwrap(), LogIn::Wait(until));
    house.world.now = until;
    assert!(matches!(away(&house, WORDS).await, LogIn::In(_)));
    assert!(
        matches!(away(&house, "other words of mine").await, LogIn::Refused),
        "known here now: her own tries are free"
    );
}

#[tokio::test]
async fn nobody_locks_an_owner_out_where_she_logs_in() {
    let house = House::open().await;
    house.member("eve", Role::Dispatcher, None).await;
    assert!(matches!(house.log_in("eve", WORDS).await, LogIn::In(_)));
    for address in 0..100_u8 {
        let stranger = std::net::IpAddr::from([203, 0, 113, address]);
        house.desk.log_in("eve", "a guess of many words", stranger, None, house.world.now).await.unwrap();
    }
    assert!(matches!(house.log_in("eve", WORDS).await, LogIn::In(_)));
}

#[tokio::test]
async fn a_hash_of_lesser_cost_is_made_anew_at_the_next_log_in() {
    let house = House::open().await;
    let (user, link) = house.make("eve", "Eve", Role::Dispatcher, None).await.unwrap();
    house.choose(&link.secret, [WORDS, WORDS]).await.unwrap();
    let stored = async || {
        let id = user.id.clone();
        let row = house.desk.store().read::<_, crate::DeskError, _>("user", move |tx| Ok(tx.user(&id)?)).await.unwrap();
        row.unwrap()
    };
    let before = stored().await;
    let dearer = Desk::with_cost(house.desk.store().clone(), Cost { passes: 3, ..FAST });
    assert!(matches!(dearer.log_in("eve", WORDS, HOME, None, house.world.now).await.unwrap(), LogIn::In(_)));
    let after = stored().await;
    assert!(before.password.unwrap().contains("t=1") && after.password.unwrap().contains("t=3"));
    assert_eq!(before.changed_at, after.changed_at, "nobody's form is stale for it");
    assert!(matches!(house.log_in("eve", WORDS).await, LogIn::In(_)), "a dearer one is taken as it is");
}

#[tokio::test]
async fn changing_ones_password_needs_the_present_one_and_ends_all_other_sessions() {
    let mut house = House::open().await;
    let here = house.member("eve", Role::Dispatcher, None).await;
    let LogIn::In(there) = house.log_in("eve", WORDS).await else { panic!("no session") };
    let new = "other words, also mine";
    let change = async |house: &House, present: &str, pair: [&str; 2]| {
        house.desk.change_password(&here, present, pair, HOME, house.world.now).await
    };
    assert!(matches!(change(&house, "wrong words of mine", [new, new]).await, Err(AccountError::WrongPassword)));
    assert!(matches!(change(&house, WORDS, [new, WORDS]).await, Err(AccountError::Password(_))));
    assert!(matches!(change(&house, WORDS, ["short", "short"]).await, Err(AccountError::Password(_))));
    house.world.pass(1);
    let fresh = change(&house, WORDS, [new, new]).await.unwrap();
    for over in [&here, &there] {
        assert_eq!(house.desk.session(over, house.world.now).await.unwrap(), None);
    }
    assert!(house.desk.session(&fresh, house.world.now).await.unwrap().is_some());
    assert_eq!(house.log_in("eve", WORDS).await, LogIn::Refused);
    assert!(matches!(house.log_in("eve", new).await, LogIn::In(_)));
    let gone = change(&house, new, [WORDS, WORDS]).await;
    assert!(matches!(gone, Err(AccountError::NoSuchUser(_))), "a session that ended changes nothing: {gone:?}");
}

#[tokio::test]
async fn ones_own_sessions_are_listed_and_ended() {
    let mut house = House::open().await;
    let first = house.member("eve", Role::Dispatcher, None).await;
    house.world.pass(10);
    let mut more = Vec::new();
    for _ in 0..2 {
        let LogIn::In(session) = house.log_in("eve", WORDS).await else { panic!("no session") };
        house.world.pass(10);
        more.push(session);
    }
    let bens = house.member("ben", Role::Technician, None).await;
    let listed = house.desk.own_sessions(&first, house.world.now).await.unwrap();
    assert_eq!(listed.iter().map(|session| session.is_this).collect::<Vec<_>>(), [false, false, true]);
    let of_ben = house.desk.own_sessions(&bens, house.world.now).await.unwrap();
    let end = async |id: Option<&str>| house.desk.end_own_sessions(&first, id, house.world.now).await.unwrap();
    assert_eq!(end(Some(&of_ben[0].id)).await, 0, "another's");
    assert_eq!(end(Some(&listed[2].id)).await, 0, "the one that asks ends by logging out");
    assert_eq!(end(Some(&listed[0].id)).await, 1);
    assert_eq!(house.desk.session(&more[1], house.world.now).await.unwrap(), None);
    assert_eq!(end(None).await, 1);
    assert!(house.desk.session(&first, house.world.now).await.unwrap().is_some());
    assert!(house.desk.session(&bens, house.world.now).await.unwrap().is_some());
    house.world.now += SignedDuration::from_mins(31);
    assert_eq!(house.desk.own_sessions(&first, house.world.now).await.unwrap(), [], "over by itself");
}

#[tokio::test]
async fn who_came_by_a_link_chooses_a_first_password_without_a_present_one() {
    let house = House::open().await;
    let link = house.desk.new_login_link("Dana", &super::world::ana(), house.world.now).await.unwrap();
    let session = house.desk.sign_in(&link, house.world.now).await.unwrap().unwrap();
    house.desk.change_password(&session, "", [WORDS, WORDS], HOME, house.world.now).await.unwrap();
    assert!(matches!(house.log_in("dana", WORDS).await, LogIn::In(_)));
}
