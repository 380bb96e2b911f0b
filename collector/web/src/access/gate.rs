//! The gate before every route: who may ask, held against the row of the table before the handler runs.
//!
//! An address that names a client (`{client}`, `?client=`) is held against the asker's scope first of all: another client's is not
//! found, as one that does not exist, whatever the method and whatever stands behind the name, and the audit has it
//! (SECURITY 23, 35). So a route that forgets to ask shows nothing. The desk's calls take the scope as well.

use axum::{
    extract::{Query, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::Uri,
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::MethodRouter,
};
use upheld_desk::{Command, Rights, Scope, SignedIn, roles::Action};
use upheld_model::ClientId;

use super::identify;
use crate::{
    Portal,
    problem::{Refusal, is_document, wants_json},
};

/// Who may ask a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anybody: it shows nothing of anybody's.
    Anybody,
    /// Whoever's role may do this. What is nothing for any client's people is not there for them.
    May(Action),
    /// Whoever's role may give a command at all; the desk says which.
    Command,
    /// Whoever asks on this machine, else who may read the process's figures; the handler looks.
    Monitor,
}

impl Who {
    /// For the list of routes.
    pub fn words(self) -> String {
        match self {
            Self::Anybody => "anybody".to_owned(),
            Self::May(action) => format!("may {action}"),
            Self::Command => "may give this command".to_owned(),
            Self::Monitor => format!("this machine, or may {}", Action::Figures),
        }
    }
}

/// A row's handler behind the gate.
pub(crate) fn before(answers: MethodRouter<Portal>, portal: &Portal, who: Who) -> MethodRouter<Portal> {
    match who {
        Who::Anybody | Who::Monitor => answers,
        Who::May(_) | Who::Command => answers.route_layer(from_fn_with_state((portal.clone(), who), check)),
    }
}

async fn check(
    State((portal, who)): State<(Portal, Who)>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let path = request.uri().path();
    let (is_json, is_document) = (wants_json(path, request.headers()), is_document(path));
    let signed_in = match identify(&portal, request.headers()).await {
        Ok(Some(signed_in)) => signed_in,
        Ok(None) => return Err(Refusal::NotSignedIn { is_json }),
        Err(error) => return Err(Refusal::from(error).for_reader(is_json)),
    };
    // What is no text is nobody's name.
    let params = params.map_err(|_| Refusal::NotFound { is_json: is_document })?;
    match named(&signed_in.scope, &params, request.uri()) {
        Named::InScope => {}
        Named::Nobody => return Err(Refusal::NotFound { is_json: is_document }),
        Named::Another => {
            let noted = portal.desk.deny(&signed_in, path, portal.now()).await;
            noted.map_err(|error| Refusal::from(error).for_reader(is_document))?;
            return Err(Refusal::NotFound { is_json: is_document });
        }
    }
    if !may(&signed_in, who) {
        return Err(match who {
            Who::May(action) if action.is_the_providers() && signed_in.role.is_of_a_client() => {
                Refusal::NotFound { is_json: is_document }
            }
            _ if signed_in.rights < Rights::Respond => Refusal::MayOnlyLook { is_json },
            Who::May(action) => Refusal::may_not(&signed_in, action).for_reader(is_json),
            Who::Command | Who::Anybody | Who::Monitor => {
                Refusal::may_not(&signed_in, Action::Give("note")).for_reader(is_json)
            }
        });
    }
    request.extensions_mut().insert(signed_in);
    Ok(next.run(request).await)
}

fn may(signed_in: &SignedIn, who: Who) -> bool {
    match who {
        Who::Anybody | Who::Monitor => true,
        Who::May(action) => signed_in.may(action),
        Who::Command => Command::NAMES.iter().any(|name| signed_in.may(Action::Give(name))),
    }
}

/// Whom an address names.
enum Named {
    /// No client, or one in scope.
    InScope,
    /// What is no client's name, to somebody who may see one client.
    Nobody,
    /// A client that is not in scope, whether there is one or not.
    Another,
}

/// Whom the address names, by its path or by `?client=`.
fn named(scope: &Scope, params: &RawPathParams, uri: &Uri) -> Named {
    if *scope == Scope::Provider {
        return Named::InScope;
    }
    // What cannot be read as a query is refused by the handler, which reads it too.
    let query = Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default();
    let in_path = params.iter().map(|(name, value)| (name, value.strip_suffix(".json").unwrap_or(value)));
    let in_query = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(|(_, it)| !it.is_empty());
    let names = in_path.chain(in_query).filter(|(name, _)| *name == "client");
    let mut all = Named::InScope;
    for (_, client) in names {
        match client.parse::<ClientId>() {
            Ok(client) if scope.includes(&client) => {}
            Ok(_) => return Named::Another,
            Err(_) => all = Named::Nobody,
        }
    }
    all
}
