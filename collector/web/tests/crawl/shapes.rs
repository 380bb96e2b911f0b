//! What a route is asked with: its parameters, its query, its body.

use upheld_desk::Command;
use upheld_web::Route;

use crate::house::{OTHER, OWN};

/// What ids may name: client, site, the number of an incident.
pub(crate) type Place<'a> = (&'a str, &'a str, &'a str);

const HIS: Place<'_> = (OWN.0, OWN.1, "INC-1");
/// Another client's, nobody's by each of its parts, and what is not there at his own.
const STRANGE: &[Place<'_>] = &[
    (OTHER.0, OTHER.1, "INC-1"),
    (OTHER.0, OTHER.1, "INC-99"),
    (OTHER.0, "nowhere", "INC-1"),
    ("nobody", "nowhere", "INC-1"),
    ("no%20such", "no%20such", "nonsense"),
    ("%E2%80%AEnorthgate", "%E2%80%AEplant-2", "INC-1"),
    (OWN.0, "nowhere", "INC-99"),
    (OWN.0, OTHER.1, "INC-99"),
];

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) path: String,
    pub(crate) body: String,
    /// Whether it names a client that is not the asker's.
    pub(crate) is_another: bool,
    /// Whether the client that it names is the asker's.
    pub(crate) is_own_client: bool,
}

/// One form of a request to a route; its ids are to be filled in.
#[derive(Debug)]
pub(crate) struct Shape {
    route: Route,
    query: usize,
    command: &'static str,
    /// Whether it is the command that everybody who may give one may give.
    pub(crate) is_plain: bool,
    /// Whether what is sent is refused in words, since doing it would end the crawl.
    pub(crate) is_refused_in_words: bool,
    /// Whether what it names is looked up; a field of a form that is filled in is not.
    pub(crate) is_looked_up: bool,
}

/// Every form of a request to the route.
pub(crate) fn shapes(route: &Route) -> Vec<Shape> {
    let commands = if route.path.contains("{command}") { Command::NAMES } else { &["note"] };
    let queries = 0..queries(route, HIS).len();
    let is_looked_up = (route.method, route.path) != ("GET", "/report");
    let shape = |query, command: &&'static str| Shape {
        route: *route,
        query,
        command,
        is_plain: *command == "note",
        is_refused_in_words: route.path == "/settings/account/password",
        is_looked_up,
    };
    queries.flat_map(|query| commands.iter().map(move |command| shape(query, command))).collect()
}

impl Shape {
    /// With what is the asker's own; a command that a client may give.
    pub(crate) fn own(&self) -> Ask {
        Self { route: self.route, command: "note", ..*self }.ask(HIS)
    }

    /// The same with the shape's own command.
    pub(crate) fn his(&self) -> Ask {
        self.ask(HIS)
    }

    /// With each place that is not his, as far as the request names it.
    pub(crate) fn strange(&self) -> Vec<Ask> {
        let own = self.his();
        let is_readable = |place: &Place<'_>| {
            // A form says that a name is none; only an address is then nobody's.
            self.route.method == "GET" || self.route.path.contains("{client}") || !place.0.contains('%')
        };
        let asks = STRANGE.iter().filter(|place| is_readable(place)).map(|place| self.ask(*place));
        asks.filter(|ask| (&ask.path, &ask.body) != (&own.path, &own.body)).collect()
    }

    pub(crate) fn ask(&self, place: Place<'_>) -> Ask {
        // Of accounts only those that are there are another's.
        let is_there = !self.route.path.contains("{user}") || [OWN.0, OTHER.0].contains(&place.0);
        let query = &queries(&self.route, place)[self.query];
        Ask {
            path: filled(&self.route, place, self.command) + query,
            body: body(&self.route, place),
            is_another: is_there && place.0 != OWN.0 && !place.0.contains('%'),
            is_own_client: place.0 == OWN.0,
        }
    }
}

/// The log-in name of a client's reader who is there from the beginning.
pub(crate) fn reader_of(client: &str) -> String {
    format!("reader@{client}.example")
}

/// The address with each parameter filled.
fn filled(route: &Route, (client, site, number): Place<'_>, command: &str) -> String {
    let mut path = String::new();
    for part in route.path.split_inclusive(['{', '}']) {
        match part {
            "client}" => path += client,
            "site}" => path += site,
            "incident}" => path += number,
            "command}" => path += command,
            "token}" => path += "no-such-token",
            "name}" => path += "not-found",
            "user}" => path += &reader_of(client),
            "deed}" => path += "end-sessions",
            _ if part.ends_with('}') => panic!(
                "{} {}: say here what another client's {{{part} is, and what is nobody's",
                route.method, route.path
            ),
            _ => path += part.trim_end_matches('{'),
        }
    }
    path
}

/// What stands behind the path: a query, the form of data.
fn queries(route: &Route, (client, site, _): Place<'_>) -> Vec<String> {
    match (route.method, route.path) {
        ("GET", "/queue" | "/queue.json") => vec![String::new(), format!("?client={client}")],
        ("GET", "/events") => vec!["?view=queue".to_owned(), format!("?view=queue&client={client}")],
        ("GET", "/settings/audit" | "/settings/audit.json") => vec![String::new(), format!("?client={client}")],
        ("GET", "/report") => vec![String::new(), format!("?place={client}/{site}")],
        ("GET", "/api/v1/clients/{client}/runs") => vec![String::new(), format!("?site={site}")],
        ("GET", "/proposals/{client}/{site}") => vec![String::new(), ".json".to_owned(), "?all=1".to_owned()],
        ("GET", "/i/{client}/{incident}" | "/c/{client}") => vec![String::new(), ".json".to_owned()],
        _ => vec![String::new()],
    }
}

/// What is sent to a route that takes something, so that it could be carried out.
fn body(route: &Route, (client, site, _): Place<'_>) -> String {
    match (route.method, route.path) {
        ("GET", _) | ("POST", "/in/{token}" | "/out") => String::new(),
        ("POST", "/login") => "login=nobody&password=four+words+of+mine&to=/queue".to_owned(),
        ("POST", "/password/{token}") => "password=four+words+of+mine&again=four+words+of+mine".to_owned(),
        // Done, it would end the session of the crawl: it is refused in words.
        ("POST", "/settings/account/password") => "password=four+words+of+mine&again=other".to_owned(),
        ("POST", "/settings/account/sessions" | "/settings/tokens/revoke" | "/settings/users/{user}/{deed}") => String::new(),
        ("POST", "/settings/tokens") => "name=script&rights=read&days=7".to_owned(),
        ("POST", "/settings/users") => format!("login=new@{client}.example&role=client-reader&client={client}"),
        ("POST", "/i/{client}/{incident}/{command}") => {
            "note=hello&manner=phone&with_whom=owner&to=ana&reason=false-alarm&cause=utility&priority=P2&rider=premium-response\
             &outcome=upheld&into=INC-2"
                .to_owned()
        }
        ("POST", "/proposals/{client}/{site}") => "do=take-all".to_owned(),
        ("POST", "/agents/waiting") => "agent=a-0000000000000000&decision=approve".to_owned(),
        ("POST", "/agents") => format!("place={client}/{site}"),
        ("POST", "/report") => format!("place={client}/{site}&text=hello&by=ana"),
        ("POST", "/api/v1/incidents/{client}/{incident}/{command}") => {
            r#"{"note":"hello","manner":"phone","with_whom":"the owner","to":"ana","reason":"false-alarm","cause":"utility","priority":"P2",
                "rider":"premium-response","outcome":"upheld","into":"INC-2"}"#
                .to_owned()
        }
        ("POST", "/api/v1/incidents/{client}/{incident}/responses") => r#"{"manner":"phone","with_whom":"the owner"}"#.to_owned(),
        ("POST", "/api/v1/clients/{client}/sites/{site}/reports") => r#"{"text":"hello","by":"ana"}"#.to_owned(),
        (method, path) => panic!("{method} {path}: say here what is sent to it"),
    }
}
