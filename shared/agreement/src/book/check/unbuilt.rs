//! Checks of a kind that is known and that no agent can run yet: kept with what they say.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use toml::de::{DeTable, DeValue};
use upheld_model::CheckId;

use super::Schedule;
use crate::{
    book::{
        code::Code,
        diagnostic::Diagnostic,
        fields::{Fields, Reading},
        source::{Located, Place},
    },
    words::BookName,
};

/// A check that no agent can run yet. Its state is unknown: never up, never down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnbuiltCheck {
    /// The check's name within its site.
    pub id: CheckId,
    /// Its kind, one of [`super::NOT_BUILT`].
    pub kind: String,
    /// What confirms a failure, where the book says it.
    pub fail_after: Option<u32>,
    /// What confirms a recovery, where the book says it.
    pub recover_after: Option<u32>,
    /// Whatever else it says, by key: numbers with a point as their text.
    pub says: BTreeMap<String, Value>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

/// Keys under which people write secrets.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "token",
    "community",
    "auth_key",
    "priv_key",
    "api_key",
    "auth_password",
    "privacy_password",
    "priv_password",
];

/// Reads a check of a kind that has no reader of its own. Its keys are not known, so none is refused as unknown.
pub(super) fn read(
    id: CheckId,
    kind: &Located<String>,
    schedule: &Schedule,
    mut fields: Fields<'_, '_>,
    reading: &mut Reading<'_>,
) -> Option<UnbuiltCheck> {
    fields.optional::<BookName>("secret", reading);
    let place = fields.place().clone();
    let table = fields.into_table();
    refuse_secrets(table, reading);
    reading.keep_at("checks that no agent can run yet", place.clone());
    let message = format!("no agent can run a check of kind `{}` yet, so `{id}` stays unknown", kind.value);
    reading.report(
        Diagnostic::new(Code::CheckNotRun, &kind.place, message)
            .label("kept, and judged by nobody")
            .help("leave it as it is: it is watched as soon as agents can run it"),
    );
    let says = table
        .iter()
        .filter(|(key, _)| !["kind", "name", "fail_after", "recover_after"].contains(&key.get_ref().as_ref()));
    let says = says.map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref()))).collect();
    let (fail_after, recover_after) = (schedule.fail_after, schedule.recover_after);
    Some(UnbuiltCheck { id, kind: kind.value.clone(), fail_after, recover_after, says, place })
}

/// Refuses keys under which a value would stand that must not be in a book, and says which there were.
pub(super) fn refuse_secrets(table: &DeTable<'_>, reading: &mut Reading<'_>) -> Vec<&'static str> {
    let mut refused = Vec::new();
    for key in table.keys() {
        let Some(known) = SECRETS.iter().find(|known| key.get_ref().eq_ignore_ascii_case(known)) else { continue };
        refused.push(*known);
        let place = reading.place(key);
        let message = format!("`{}` would put a secret into the book", key.get_ref());
        let help = match *known {
            "community" => {
                "name a secret that holds it: community_secret = \"switches\"; at the site: upheld-agent secret set switches"
            }
            _ => "name the secret and keep it out of the book: secret = \"nvr-view\"",
        };
        reading.report(Diagnostic::new(Code::SecretInBook, &place, message).help(help));
    }
    refused
}

fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(number.as_str()),
        },
        DeValue::Float(number) => Value::from(number.as_str()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(moment) => Value::from(moment.to_string()),
        DeValue::Array(items) => items.iter().map(|item| plain(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref())));
            Value::Object(entries.collect())
        }
    }
}
