//! Keeping accounts, and each one's own.

use jiff::SignedDuration;

use super::world::{World, ana};
use crate::{
    AccountError, Actor, Desk, Keeper, Reach, Rights, Role, Scope,
    accounts::{Cost, INVITE_TTL, LinkKind, LogIn, NewUser, RESET_TTL, UserView},
    audit::AuditWanted,
};

pub(super) const FAST: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
pub(super) const WORDS: &str = "four words of mine";
pub(super) const HOME: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

#[tokio::test]
async fn an_invitation_is_used_once_within_a_week_and_logs_its_person_in() {
    let mut house = House::open().await;
    let (user, link) = house.make("Eve@Example.NET", "Eve Example", Role::Dispatcher, None).await.unwrap();
    assert_eq!((user.login.as_str(), user.name.as_str(), user.has_password), ("eve@example.net", "Eve Example", false));
    assert_eq!((link.kind, link.expires_at), (LinkKind::Invite, house.world.now + INVITE_TTL));
    assert!(!format!("{link:?}").contains(&link.secret), "{link:?}");
    let shown = house.desk.password_link(&link.secret, house.world.now).await.unwrap().unwrap();
    assert_eq!((shown.login.as_str(), shown.name.as_str()), ("eve@example.net", "Eve Example"));
    for [password, again] in
        [["short", "short"], [WORDS, "four words of others"], ["eve@example.net", "eve@example.net"]]
    {
        let refused = house.choose(&link.secret, [password, again]).await.unwrap_err();
        assert!(matches!(refused, AccountError::Password(_)), "{refused}");
    }
    let session = house.choose(&link.secret, [WORDS, WORDS]).await.unwrap();
    let who = house.desk.session(&session, house.world.now).await.unwrap().unwrap();
    assert_eq!(who.actor, Actor::person("Eve Example"));
    let twice = house.choose(&link.secret, [WORDS, WORDS]).await;
    assert!(matches!(twice, Err(AccountError::LinkGone)), "{twice:?}");
    assert_eq!(house.desk.password_link(&link.secret, house.world.now).await.unwrap(), None);
    let more = house.desk.invite("eve@example.net", &house.admin, house.world.now).await;
    assert!(matches!(more, Err(AccountError::HasPassword { .. })), "{more:?}");
    let (_, late) = house.make("ben", "", Role::Technician, None).await.unwrap();
    house.world.now += INVITE_TTL;
    assert!(matches!(house.choose(&late.secret, [WORDS, WORDS]).await, Err(AccountError::LinkGone)));
}

#[tokio::test]
async fn a_newer_link_a_disabling_and_a_restore_make_links_void() {
    let mut house = House::open().await;
    house.make("eve", "Eve", Role::Dispatcher, None).await.unwrap();
    let works =
        async |house: &House, secret: &str| house.desk.password_link(secret, house.world.now).await.unwrap().is_some();
    let one = house.desk.invite("eve", &house.admin, house.world.now).await.unwrap().secret;
    let two = house.desk.reset("eve", &house.admin, house.world.now).await.unwrap();
    assert_eq!(two.expires_at, house.world.now + RESET_TTL);
    assert_eq!((works(&house, &one).await, works(&house, &two.secret).await), (false, true));
    let login = house.desk.new_login_link("eve", &ana(), house.world.now).await.unwrap();
    house.desk.disable_user("eve", None, &house.admin, house.world.now).await.unwrap();
    assert!(!works(&house, &two.secret).await);
    assert_eq!(house.desk.sign_in(&login, house.world.now).await.unwrap(), None);
    for refused in [
        house.desk.reset("eve", &house.admin, house.world.now).await.map(drop),
        house.desk.new_login_link("eve", &ana(), house.world.now).await.map(drop),
    ] {
        assert!(matches!(refused, Err(AccountError::Disabled { .. })), "{refused:?}");
    }
    house.desk.enable_user("eve", None, &house.admin, house.world.now).await.unwrap();
    assert!(!works(&house, &two.secret).await, "void stays void");
    let three = house.desk.invite("eve", &house.admin, house.world.now).await.unwrap().secret;
    house.world.pass(60);
    house.desk.begin_recovery(house.world.now, house.world.now).await.unwrap();
    assert!(!works(&house, &three).await);
}

#[tokio::test]
async fn a_disabled_account_and_a_changed_role_end_sessions_and_tokens_at_once() {
    let mut house = House::open().await;
    let session = house.member("eve", Role::Dispatcher, None).await;
    let ttl = SignedDuration::from_hours(24);
    let token = house.desk.new_own_token(&session, "mine", Rights::Respond, ttl, house.world.now).await.unwrap();
    assert!(house.desk.api_token(&token.token, house.world.now).await.unwrap().is_some());
    house.desk.disable_user("eve", None, &house.admin, house.world.now).await.unwrap();
    assert_eq!(house.desk.session(&session, house.world.now).await.unwrap(), None);
    assert_eq!(house.desk.api_token(&token.token, house.world.now).await.unwrap(), None);
    assert_eq!(house.log_in("eve", WORDS).await, LogIn::Refused);
    house.desk.enable_user("eve", None, &house.admin, house.world.now).await.unwrap();
    assert_eq!(house.desk.session(&session, house.world.now).await.unwrap(), None, "it was ended, not put aside");
    assert!(house.desk.api_token(&token.token, house.world.now).await.unwrap().is_some());
    let LogIn::In(session) = house.log_in("eve", WORDS).await else { panic!("she may log in again") };
    house.world.pass(1);
    house.desk.set_role("eve", (Role::Technician, None), None, &house.admin, house.world.now).await.unwrap();
    assert_eq!(house.desk.session(&session, house.world.now).await.unwrap(), None);
}

#[tokio::test]
async fn who_looked_at_an_older_state_changes_nothing_and_nobody_takes_the_last_keys() {
    let house = House::open().await;
    let (eve, _) = house.make("eve", "Eve", Role::Dispatcher, None).await.unwrap();
    let seen = Some(eve.changed_at);
    house.desk.set_role("eve", (Role::Technician, None), seen, &house.admin, house.world.now).await.unwrap();
    let stale = house.desk.disable_user(&eve.id, seen, &house.admin, house.world.now).await;
    assert!(matches!(stale, Err(AccountError::Stale)), "{stale:?}");
    let boss = house.desk.new_login_link("Boss", &ana(), house.world.now).await.unwrap();
    house.desk.sign_in(&boss, house.world.now).await.unwrap().unwrap();
    let of_boss = Keeper { actor: Actor::person("Boss"), reach: Reach::All };
    let own = house.desk.set_role("boss", (Role::Technician, None), None, &of_boss, house.world.now).await;
    assert!(matches!(own, Err(AccountError::Yourself)), "{own:?}");
    let last = house.desk.disable_user("boss", None, &house.admin, house.world.now).await;
    assert!(matches!(last, Err(AccountError::LastAdmin)), "{last:?}");
    house.make("second", "Second", Role::ProviderAdmin, None).await.unwrap();
    house.desk.disable_user("boss", None, &house.admin, house.world.now).await.unwrap();
    let again = house.desk.disable_user("boss", None, &house.admin, house.world.now).await.unwrap();
    assert!(again.disabled_at.is_some(), "twice is once");
}

#[tokio::test]
async fn a_clients_owner_keeps_his_readers_and_does_not_learn_of_others() {
    let house = House::open().await;
    let acme = || Some("acme".parse().unwrap());
    house.make("owner@acme.example", "Olga Owner", Role::ClientOwner, acme()).await.unwrap();
    house.make("rita@acme.example", "Rita Reader", Role::ClientReader, acme()).await.unwrap();
    house.make("otto@other.example", "Otto Other", Role::ClientReader, Some("other".parse().unwrap())).await.unwrap();
    let owner = Keeper { actor: Actor::person("Olga Owner"), reach: Reach::ReadersOf("acme".parse().unwrap()) };
    let seen = house.desk.users(&owner.reach).await.unwrap();
    assert_eq!(seen.iter().map(|user| user.login.as_str()).collect::<Vec<_>>(), ["rita@acme.example"]);
    assert_eq!(house.desk.users(&Reach::All).await.unwrap().len(), 3);
    for user in ["otto@other.example", "owner@acme.example", "nobody@example.net"] {
        let refused = house.desk.disable_user(user, None, &owner, house.world.now).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("there is no account {user}: see `upheld-collector user list`"));
        assert!(house.desk.reset(user, &owner, house.world.now).await.is_err());
        assert!(house.desk.end_sessions(user, &owner, house.world.now).await.is_err());
    }
    let role = |role, client| house.desk.set_role("rita@acme.example", (role, client), None, &owner, house.world.now);
    for refused in [role(Role::ClientOwner, acme()).await, role(Role::Dispatcher, None).await] {
        assert!(matches!(refused, Err(AccountError::BeyondReach)), "{refused:?}");
    }
    house.desk.disable_user("rita@acme.example", None, &owner, house.world.now).await.unwrap();
    // Ana applied the book: she is a person of the ledger without an account, and no client's owner may become her.
    let new = |name: &str| NewUser {
        login: "new@acme.example".to_owned(),
        name: name.to_owned(),
        role: Role::ClientReader,
        client: acme(),
    };
    let taken = house.desk.make_user(new("ana"), &owner, house.world.now).await;
    assert!(matches!(taken, Err(AccountError::Taken { what: "name", .. })), "{taken:?}");
    house.desk.make_user(new("Nora New"), &owner, house.world.now).await.unwrap();
}

#[tokio::test]
async fn what_is_no_account_is_refused_with_what_to_do() {
    let house = House::open().await;
    let acme = Some("acme".parse().unwrap());
    let long = "x".repeat(10_000);
    for (login, name, role, client, expected) in [
        ("", "", Role::Dispatcher, None, "the log-in name is empty"),
        (long.as_str(), "Eve", Role::Dispatcher, None, "10000 characters, and at most 254"),
        ("eve", long.as_str(), Role::Dispatcher, None, "10000 characters, and at most 200"),
        ("eve", "Eve\u{202e}", Role::Dispatcher, None, "turns the text around (\\u{202e})"),
        ("eve\n", "E\u{7}ve", Role::Dispatcher, None, "nobody sees"),
        ("eve", "Eve", Role::ClientReader, None, "name the client"),
        ("eve", "Eve", Role::Technician, acme, "leave the client out"),
        ("eve", "Eve", Role::ClientReader, Some("nobody".parse().unwrap()), "the book has no client nobody"),
    ] {
        let refused = house.make(login, name, role, client).await.unwrap_err();
        assert!(refused.to_string().contains(expected), "{expected}: {refused}");
    }
    house.make("eve", "Eve", Role::Dispatcher, None).await.unwrap();
    let twice = house.make("EVE", "Another", Role::Dispatcher, None).await.unwrap_err();
    assert!(matches!(twice, AccountError::Taken { what: "log-in name", .. }), "{twice}");
    let same = house.make("eve2", "Eve", Role::Dispatcher, None).await.unwrap_err();
    assert!(matches!(same, AccountError::Taken { what: "name", .. }), "{same}");
    let nobody = house.desk.disable_user("no\u{1b}[2Jbody", None, &house.admin, house.world.now).await.unwrap_err();
    assert!(!nobody.to_string().contains('\u{1b}'), "{nobody:?}");
}

#[tokio::test]
async fn an_own_token_does_no_more_than_its_owner_and_is_his_to_revoke() {
    let house = House::open().await;
    let (eve, ben) =
        (house.member("eve", Role::Dispatcher, None).await, house.member("ben", Role::Technician, None).await);
    let ttl = SignedDuration::from_hours(1);
    let made = house.desk.new_own_token(&eve, " ci  job ", Rights::Read, ttl, house.world.now).await.unwrap();
    let who = house.desk.api_token(&made.token, house.world.now).await.unwrap().unwrap();
    assert_eq!((who.actor, who.scope, who.rights), (Actor::Token("ci job".into()), Scope::Provider, Rights::Read));
    let of_ben = house.desk.new_own_token(&ben, "his", Rights::Respond, ttl, house.world.now).await.unwrap();
    let who = house.desk.api_token(&of_ben.token, house.world.now).await.unwrap().unwrap();
    assert_eq!(who.role, Role::Technician, "a token stands for its owner, not for a dispatcher");
    let [his] = &house.desk.own_tokens(&ben, house.world.now).await.unwrap()[..] else { panic!("one token") };
    assert!(house.desk.revoke_own_token(&ben, &his.id, house.world.now).await.unwrap());
    let [token] = &house.desk.own_tokens(&eve, house.world.now).await.unwrap()[..] else { panic!("one token") };
    assert_eq!((token.name.as_str(), token.rights), ("ci job", Rights::Read));
    assert!(!made.token.contains(&token.id));
    assert_eq!(house.desk.own_tokens(&ben, house.world.now).await.unwrap(), []);
    assert!(!house.desk.revoke_own_token(&ben, &token.id, house.world.now).await.unwrap(), "it is not his");
    assert!(house.desk.api_token(&made.token, house.world.now).await.unwrap().is_some());
    assert!(house.desk.revoke_own_token(&eve, &token.id, house.world.now).await.unwrap());
    assert!(!house.desk.revoke_own_token(&eve, &token.id, house.world.now).await.unwrap(), "once");
    assert_eq!(house.desk.api_token(&made.token, house.world.now).await.unwrap(), None);
    let nobody = house.desk.new_own_token("no session", "x", Rights::Read, ttl, house.world.now).await;
    assert!(nobody.is_err());
    let bens = house.desk.new_own_token(&ben, "ben's", Rights::Respond, ttl, house.world.now).await.unwrap();
    for (role, is_then) in [(Role::Technician, Role::Technician), (Role::ProviderAdmin, Role::Dispatcher)] {
        house.desk.set_role("ben", (role, None), None, &house.admin, house.world.now).await.unwrap();
        let who = house.desk.api_token(&bens.token, house.world.now).await.unwrap().unwrap();
        assert_eq!(who.role, is_then, "of a {role}");
    }
}

#[tokio::test]
async fn the_audit_says_who_did_what_from_where_and_holds_no_secret() {
    let house = House::open().await;
    let acme: Option<upheld_model::ClientId> = Some("acme".parse().unwrap());
    let (user, link) = house.make("rita@acme.example", "Rita Reader", Role::ClientReader, acme.clone()).await.unwrap();
    let session = house.choose(&link.secret, [WORDS, WORDS]).await.unwrap();
    house.log_in("rita@acme.example", "another few words").await;
    house.log_in("four words of mine", "").await;
    let all = house.desk.audit(&Scope::Provider, AuditWanted::default()).await.unwrap();
    let told = serde_json::to_string(&all).unwrap();
    for secret in [WORDS, "another few words", link.secret.as_str(), session.as_str(), "argon2"] {
        assert!(!told.contains(secret), "{secret} is in the audit: {told}");
    }
    let lines: Vec<_> = all.entries.iter().map(|entry| (entry.what.as_str(), entry.who.as_str())).collect();
    let expected = [
        ("login.refused", "collector"),
        ("login.refused", "collector"),
        ("session.begun", "Rita Reader"),
        ("password.chosen", "Rita Reader"),
        ("password-link.made", "ana"),
        ("user.made", "ana"),
    ];
    assert_eq!(lines[..6], expected);
    assert_eq!(all.entries[0].detail["why"], "no such account");
    assert_eq!(all.entries[1].detail["user"], "Rita Reader");
    assert_eq!(all.entries[1].detail["from"], "192.0.2.7");
    let own = house.desk.audit(&Scope::Client("acme".parse().unwrap()), AuditWanted::default()).await.unwrap();
    assert!(own.entries.iter().all(|entry| entry.client == acme), "{own:#?}");
    assert_eq!(own.entries.len(), 5, "all but the name that nobody has");
    let foreign = AuditWanted { client: Some("other".parse().unwrap()), ..AuditWanted::default() };
    let none = house.desk.audit(&Scope::Client("acme".parse().unwrap()), foreign).await.unwrap();
    assert_eq!(none.entries, []);
    for who in ["rita@ACME.example", "Rita Reader", user.id.as_str()] {
        let wanted = AuditWanted { who: Some(who.to_owned()), ..AuditWanted::default() };
        assert_eq!(house.desk.audit(&Scope::Provider, wanted).await.unwrap().entries.len(), 2, "{who}");
    }
}

/// A provider's desk whose passwords cost next to nothing, and its admin.
pub(super) struct House {
    pub(super) world: World,
    pub(super) desk: Desk,
    pub(super) admin: Keeper,
}

impl House {
    pub(super) async fn open() -> Self {
        let world = World::new().await;
        let desk = Desk::with_cost(world.desk.store().clone(), FAST);
        Self { world, desk, admin: Keeper { actor: ana(), reach: Reach::All } }
    }

    pub(super) async fn make(
        &self,
        login: &str,
        name: &str,
        role: Role,
        client: Option<upheld_model::ClientId>,
    ) -> Result<(UserView, crate::accounts::PasswordLink), AccountError> {
        let new = NewUser { login: login.to_owned(), name: name.to_owned(), role, client };
        self.desk.make_user(new, &self.admin, self.world.now).await
    }

    pub(super) async fn choose(&self, secret: &str, passwords: [&str; 2]) -> Result<String, AccountError> {
        self.desk.choose_password(secret, passwords, HOME, None, self.world.now).await
    }

    /// Somebody with [`WORDS`] as his password, logged in.
    pub(super) async fn member(&self, login: &str, role: Role, client: Option<upheld_model::ClientId>) -> String {
        let (_, link) = self.make(login, login, role, client).await.unwrap();
        self.choose(&link.secret, [WORDS, WORDS]).await.unwrap()
    }

    pub(super) async fn log_in(&self, login: &str, password: &str) -> LogIn {
        self.desk.log_in(login, password, HOME, None, self.world.now).await.unwrap()
    }
}
