//! Every route, asked by every kind of reader with what is another client's and with what is nobody's: the two cannot be
//! told apart, and each such look is in the audit (SECURITY 23, 35). The routes are the table of which the router is made:
//! a new one fails here until it is said what to put for its parameters and what to send.

mod house;
mod offers;
mod shapes;

use axum::http::StatusCode;
use upheld_desk::{
    Rights, Role, Scope,
    roles::{Action, may},
};
use upheld_web::{Route, Who, routes};

use house::{Answer, Asker, CANARIES, House, OTHER, OWN};
use shapes::{Ask, Shape, shapes};

#[tokio::test]
async fn security_23_no_route_tells_another_clients_ids_from_nobodys() {
    let house = House::open().await;
    let own = Scope::Client(OWN.0.parse().unwrap());
    for asker in [
        house.token("gives", &own, Rights::Respond).await,
        house.token("looks", &own, Rights::Read).await,
        house.person(Role::ClientOwner).await,
        house.person(Role::ClientReader).await,
    ] {
        let mut denied = 0;
        // What is anybody's and has no parameter says nothing of anybody; logging out would end the session.
        for route in routes().filter(|route| route.who != Who::Anybody || route.path.contains('{')) {
            for shape in shapes(&route) {
                denied += nothing_strange_is_seen(&house, &asker, &route, &shape).await;
            }
            let noted = house.denied().await.iter().filter(|row| row.who == asker.id).count();
            assert_eq!(noted, denied, "{}: each denied look is in the audit, and nothing else: {route:?}", asker.name);
        }
        assert!(denied > 100, "{}: only {denied} looks were denied: the crawl has shrunk", asker.name);
        let noted = house.denied().await;
        assert!(noted.iter().all(|row| row.client.as_ref().is_some_and(|client| client.as_str() == OWN.0)));
    }
}

#[tokio::test]
async fn security_23_each_role_gets_what_the_table_allows_and_nothing_of_anothers() {
    for role in Role::ALL {
        let house = House::open().await;
        let asker = house.person(*role).await;
        for route in routes().filter(|route| route.who != Who::Anybody) {
            for shape in shapes(&route) {
                let ask = shape.own();
                let answer = house.ask(&asker, route.method, &ask.path, &ask.body).await;
                match refused(*role, &route) {
                    Some(status) => assert_eq!(answer.status, status, "{role}: {ask:?}"),
                    None if shape.is_refused_in_words => {
                        assert_eq!(answer.status, StatusCode::CONFLICT, "{role}: {ask:?}");
                    }
                    None => assert!(is_done(&answer), "{role}: {ask:?} {answer:?}"),
                }
                if role.is_of_a_client() {
                    no_canary(&ask, &answer);
                }
            }
        }
        assert_eq!(house.denied().await, [], "{role}: asking for one's own is no denied look");
    }
}

/// How a route refuses a role, by the table; `None` when it does not.
fn refused(role: Role, route: &Route) -> Option<StatusCode> {
    let action = match (route.who, route.path) {
        (Who::Anybody, _) => return None,
        (Who::May(action), _) => action,
        (Who::Monitor, _) => Action::Figures,
        (Who::Command, path) if path.ends_with("/responses") => Action::Give("respond"),
        // What the crawl sends of the asker's own.
        (Who::Command, _) => Action::Give("note"),
    };
    let is_hidden = action.is_the_providers() && role.is_of_a_client() && route.who != Who::Command;
    match may(role, action) {
        true => None,
        false if is_hidden => Some(StatusCode::NOT_FOUND),
        false => Some(StatusCode::FORBIDDEN),
    }
}

/// The control: the same requests show the other client's to whom they may show it, so the crawl looks where it would be.
#[tokio::test]
async fn the_provider_sees_both_clients_on_every_route() {
    let mut house = House::open().await;
    let mut asker = house.person(Role::ProviderAdmin).await;
    for route in routes().filter(|route| route.who != Who::Anybody) {
        if route.method == "POST" && route.path.contains("{incident}") {
            // Commands leave their marks on an incident: each of these routes has its own.
            house = House::open().await;
            asker = house.person(Role::ProviderAdmin).await;
        }
        for shape in shapes(&route) {
            let ask = shape.ask((OTHER.0, OTHER.1, "INC-1"));
            let answer = house.ask(&asker, route.method, &ask.path, &ask.body).await;
            // Not every command suits the incident as it stands; that is said with the incident.
            let is_answered = answer.status == StatusCode::CONFLICT && (!shape.is_plain || shape.is_refused_in_words);
            assert!(is_done(&answer) || is_answered, "{ask:?} {answer:?}");
            if matches!(answer.status, StatusCode::OK | StatusCode::CREATED)
                // What is the house's own shows nothing of a client to anybody.
                && !matches!(route.path, "/metrics" | "/settings/collectors" | "/settings/collectors.json")
                && route.who != Who::May(Action::Account)
            {
                let seen = CANARIES.iter().any(|canary| answer.body.contains(canary));
                assert!(seen, "{ask:?} shows the provider nothing of the client: it would show nobody anything");
            }
            let nobodys = shape.ask(("nobody", "nowhere", "INC-1"));
            if shape.is_looked_up && nobodys.path != shape.own().path && route.path.contains('{') {
                let answer = house.ask(&asker, route.method, &nobodys.path, &nobodys.body).await;
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{nobodys:?}");
            }
        }
        assert_eq!(house.denied().await, [], "nothing is another's to the provider");
    }
}

/// Asks with everything strange and holds the answers against each other; how many looks must be in the audit.
async fn nothing_strange_is_seen(house: &House, asker: &Asker, route: &Route, shape: &Shape) -> usize {
    let own = shape.own();
    let own_path = shape.his().path;
    let answer = house.ask(asker, route.method, &own.path, &own.body).await;
    let role_may = !matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
    let (mut first, mut denied): (Option<(Ask, Answer)>, usize) = (None, 0);
    // Where his role may not, his own are refused for that: only what is not his is held against each other.
    for ask in shape.strange().into_iter().filter(|ask| role_may || !ask.is_own_client) {
        let answer = house.ask(asker, route.method, &ask.path, &ask.body).await;
        let allowed = match (route.path, route.method) {
            // The form: what it cannot fill in it leaves.
            ("/report", "GET") => &[StatusCode::OK, StatusCode::FORBIDDEN][..],
            _ if role_may && route.who != Who::Anybody => &[StatusCode::NOT_FOUND][..],
            _ => &[StatusCode::NOT_FOUND, StatusCode::FORBIDDEN, StatusCode::OK],
        };
        assert!(allowed.contains(&answer.status), "{}: {ask:?} {answer:?}", asker.name);
        no_canary(&ask, &answer);
        // Neither a body nor the name of an account is read before the role is asked.
        let is_read = role_may || (ask.path != own_path && !route.path.contains("{user}"));
        let noted = usize::from(ask.is_another && shape.is_looked_up && is_read);
        denied += noted;
        if route.method == "GET" {
            let head = house.ask(asker, "HEAD", &ask.path, "").await;
            assert_eq!((head.status, head.body.as_str()), (answer.status, ""), "HEAD {ask:?}");
            denied += noted;
        }
        for method in ["PUT", "DELETE", "PATCH"].into_iter().filter(|_| shape.is_plain) {
            let refused = house.ask(asker, method, &ask.path, &ask.body).await;
            assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {ask:?}");
        }
        match &first {
            None => first = Some((ask, answer)),
            Some((one, told)) => assert_eq!(told, &answer, "{}: {one:?} and {ask:?} can be told apart", asker.name),
        }
    }
    denied
}

fn is_done(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::OK | StatusCode::CREATED | StatusCode::SEE_OTHER)
}

fn no_canary(ask: &Ask, answer: &Answer) {
    for canary in CANARIES {
        assert!(!answer.body.contains(canary), "{ask:?} says {canary:?}: {}", answer.body);
    }
}
