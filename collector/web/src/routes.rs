//! The map of addresses, one module per resource: [`table`] has every route with who may ask it and what it is, and the
//! router is made of nothing else. So no route escapes the gate ([`crate::access::gate`]) or a test that walks the table;
//! docs/routes.md prints it.

mod agents;
mod api;
mod assets;
mod client;
mod health;
mod incident;
mod login;
mod password;
mod problems;
mod proposals;
mod queue;
mod report;
mod settings;
#[cfg(test)]
mod tests;

use axum::{
    Router,
    handler::Handler,
    http::{HeaderMap, Uri},
    response::Redirect,
    routing::{self, MethodRouter},
};

use upheld_desk::roles::Action;

use crate::{
    Portal,
    access::{
        self,
        gate::{self, Who},
    },
    problem::{Refusal, wants_json},
};

/// One route, as tests and documents see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// `GET` (which answers `HEAD` too) or `POST`.
    pub method: &'static str,
    /// The address, with its parameters in braces: `/i/{client}/{incident}`.
    pub path: &'static str,
    /// Who may ask.
    pub who: Who,
    /// What it is, for people.
    pub what: &'static str,
}

/// A route with what answers it.
struct Row {
    route: Route,
    answers: MethodRouter<Portal>,
}

fn get<H, T>(path: &'static str, who: Who, what: &'static str, handler: H) -> Row
where
    H: Handler<T, Portal>,
    T: 'static,
{
    Row { route: Route { method: "GET", path, who, what }, answers: routing::get(handler) }
}

fn post<H, T>(path: &'static str, who: Who, what: &'static str, handler: H) -> Row
where
    H: Handler<T, Portal>,
    T: 'static,
{
    Row { route: Route { method: "POST", path, who, what }, answers: routing::post(handler) }
}

/// Every route. A new one names its parameters as the others do: `{client}` is held against the asker's scope before
/// anything is looked up.
#[rustfmt::skip] // a row a line: it is read as a table
fn table() -> Vec<Row> {
    use Action::{Account, Agents, Audit, Clients, Look, Proposals, Propose, Readers, Report};
    use Who::{Anybody, Command, May, Monitor};
    vec![
        get("/", Anybody, "to the queue, or to a client's own page", home),
        get("/in/{token}", Anybody, "a link that logs in once: the button", login::ask),
        post("/in/{token}", Anybody, "uses the link up", login::use_link),
        get("/login", Anybody, "log in by name and password; `?to=`: where to go then, an own address", login::page),
        post("/login", Anybody, "tries them", login::log_in),
        get("/password/{token}", Anybody, "a link to choose a password: the form", password::page),
        post("/password/{token}", Anybody, "chooses it, uses the link up and logs in", password::choose),
        post("/out", Anybody, "log out", login::leave),
        get("/queue", May(Look), "clocks by time left; `?show=`, `?client=`, `?q=`, `?rows=`, `?at=`", queue::page),
        get("/queue.json", May(Look), "the same as data", queue::json),
        get("/events", May(Look), "`?view=queue`: what changed on the queue, as it happens", queue::events::listen),
        get("/i/{client}/{incident}", May(Look), "one incident and why its clocks are due; `.json` the same as data; `?at=`", incident::page),
        post("/i/{client}/{incident}/{command}", Command, "one command by its form", incident::command),
        get("/clients", May(Clients), "every client", client::list),
        get("/clients.json", May(Clients), "the same as data", client::list_json),
        get("/c/{client}", May(Look), "what a client gets for his fee; `.json` the same as data", client::page),
        get("/agents", May(Look), "who reports, since when", agents::page),
        post("/agents", May(Agents), "makes the line that enrols a host", agents::enrol),
        post("/agents/waiting", May(Agents), "lets a host in that waits, or refuses it", agents::decide),
        get("/agents.json", May(Look), "who reports, as data", agents::json),
        get("/proposals", May(Proposals), "what hosts propose to watch, a site a line", proposals::list),
        get("/proposals.json", May(Proposals), "the same as data", proposals::list_json),
        get("/proposals/{client}/{site}", May(Proposals), "what is proposed for a site, and the change of its file; `.json` the same as data; `?all=`", proposals::page),
        post("/proposals/{client}/{site}", May(Propose), "takes or dismisses what is ticked", proposals::decide),
        get("/proposals/{client}/{site}/patch", May(Proposals), "what was taken and is not in the book yet, for `git apply`", proposals::patch),
        get("/report", May(Report), "report a problem: the form", report::page),
        get("/report.json", May(Report), "where a problem can be, as data", report::json),
        post("/report", May(Report), "report a problem", report::enter),
        get("/settings/account", May(Account), "one's own password and sessions", settings::account::page),
        post("/settings/account/password", May(Account), "changes one's password; all other sessions end", settings::account::password),
        post("/settings/account/sessions", May(Account), "ends one of one's other sessions, or all", settings::account::end),
        get("/settings/tokens", May(Account), "one's own API tokens", settings::tokens::page),
        post("/settings/tokens", May(Account), "makes one", settings::tokens::make),
        post("/settings/tokens/revoke", May(Account), "takes one back", settings::tokens::revoke),
        get("/settings/users", May(Readers), "the accounts that one keeps", settings::users::page),
        get("/settings/users.json", May(Readers), "the same as data", settings::users::json),
        post("/settings/users", May(Readers), "makes one and shows its invitation", settings::users::add),
        post("/settings/users/{user}/{deed}", May(Readers), "`invite`, `reset`, `role`, `disable`, `enable`, `end-sessions`", settings::users::change),
        get("/settings/audit", May(Audit), "who did what; `?who=`, `?client=`, `?what=`, `?from=`, `?to=`, `?before=`", settings::audit::page),
        get("/settings/audit.json", May(Audit), "the same as data", settings::audit::json),
        get("/settings/collectors", May(Audit), "which collector does which task, and who is late or away", settings::collectors::page),
        get("/settings/collectors.json", May(Audit), "the same as data", settings::collectors::json),
        get("/api/v1/incidents", May(Look), "the newest incidents, open or not; `?limit=`, `?cursor=`", api::list),
        get("/api/v1/incidents/{client}/{incident}", May(Look), "one, as of an instant; `?at=`", api::one),
        get("/api/v1/incidents/{client}/{incident}/clocks", May(Look), "why each clock is due when it is; `?at=`", api::clocks),
        post("/api/v1/incidents/{client}/{incident}/responses", Command, "a response fact (TERMS F12)", api::respond),
        post("/api/v1/incidents/{client}/{incident}/{command}", Command, "one command by its name", api::command),
        post("/api/v1/clients/{client}/sites/{site}/reports", May(Report), "a problem report", api::report),
        get("/api/v1/clients/{client}/runs", May(Look), "expected runs of jobs and what became of each; `?site=`, `?job=`, `?since=` (a week when absent), `?limit=`, `?cursor=`", api::runs),
        get("/openapi.json", Anybody, "the description of the API: OpenAPI 3.1", api::description),
        get("/problems", Anybody, "each refusal by its name", problems::list),
        get("/problems.json", Anybody, "the same as data", problems::list_json),
        get("/problems/{name}", Anybody, "what a refusal means and what to do; `.json` the same as data", problems::one),
        get("/healthz", Anybody, "alive, store reachable, tasks running", health::health),
        get("/metrics", Monitor, "the process's figures, for Prometheus", health::metrics),
        get("/app.css", Anybody, "the look", assets::style),
        get("/live.js", Anybody, "what keeps a page current", assets::script),
        get("/icon.svg", Anybody, "the icon", assets::icon),
    ]
}

/// Where somebody begins. Who is not signed in is told so there.
async fn home(reader: Result<access::Reader, Refusal>) -> Redirect {
    match reader.as_ref().ok().and_then(|reader| reader.scope().client()) {
        Some(client) => Redirect::to(&format!("/c/{client}")),
        None => Redirect::to("/queue"),
    }
}

/// Every route with who may ask it: for whoever holds something against all of them.
pub fn routes() -> impl Iterator<Item = Route> {
    table().into_iter().map(|row| row.route)
}

/// The router: each row of the table behind the gate of its row.
pub(crate) fn all(portal: Portal) -> Router {
    table()
        .into_iter()
        .fold(Router::new(), |router, Row { route, answers }| {
            router.route(route.path, gate::before(answers, &portal, route.who))
        })
        .method_not_allowed_fallback(async |uri: Uri, headers: HeaderMap| Refusal::WrongMethod {
            is_json: wants_json(uri.path(), &headers),
        })
        .fallback(async |uri: Uri, headers: HeaderMap| Refusal::NotFound { is_json: wants_json(uri.path(), &headers) })
        .with_state(portal)
}
