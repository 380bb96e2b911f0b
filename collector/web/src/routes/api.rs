//! `/api/v1`: incidents, their clocks, what people do. Problems are RFC 9457; numbers come from the same views as the
//! pages. `/openapi.json` describes all of it, generated from the types that are sent.
//!
//! A POST may carry an `Idempotency-Key`; sent again within 24 h it is carried out once. An incident's `ETag` is its
//! revision: with `If-Match` a command loses to whatever happened since, and is told how it stands.

pub(super) mod asked;
mod incidents;
mod listed;

use axum::Json;
use upheld_desk::Command;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, RefOr,
        path::Operation,
        schema::{ObjectBuilder, Type},
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

pub(super) use incidents::{clocks, command, list, one, report, respond};
pub(super) use listed::list as runs;

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 500;

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Upheld collector", description = "Incidents, their clocks, and what people do. Times are RFC 3339."),
    paths(
        incidents::list, incidents::one, incidents::clocks, incidents::respond, incidents::command, incidents::report,
        listed::list,
    ),
    modifiers(&Finished),
)]
struct Description;

/// What no attribute says: how one signs in, and the names of the commands.
struct Finished;

impl Modify for Finished {
    fn modify(&self, api: &mut openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-upheld")));
        components.add_security_scheme("token", bearer);
        components.add_security_scheme("session", cookie);
        let either = ["token", "session"].map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
        api.security = Some(either.to_vec());
        for path in api.paths.paths.values_mut() {
            [&mut path.get, &mut path.post].into_iter().flatten().for_each(name_commands);
        }
    }
}

fn name_commands(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        if parameter.name == "command" {
            let names = Command::NAMES.iter().copied();
            let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
            parameter.schema = Some(schema.into());
        }
    }
}

/// `/openapi.json`, open to anybody: it says nothing of this collector but its version.
pub(super) async fn description() -> Json<openapi::OpenApi> {
    Json(Description::openapi())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in the document and what is served are one list.
    #[test]
    fn every_route_of_the_api_is_described_and_no_other() {
        let api = Description::openapi();
        let mut described = Vec::new();
        for (path, item) in &api.paths.paths {
            let methods = [("GET", &item.get), ("POST", &item.post)].into_iter();
            described.extend(
                methods.filter(|(_, operation)| operation.is_some()).map(|(method, _)| (method, path.as_str())),
            );
        }
        let served = crate::routes::routes().filter(|route| route.path.starts_with("/api/"));
        let mut served: Vec<_> = served.map(|route| (route.method, route.path)).collect();
        served.sort_by_key(|(method, path)| (*path, *method));
        assert_eq!(described, served);
    }
}
