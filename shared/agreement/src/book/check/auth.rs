//! How `net.http` logs in: `auth = { basic = "viewer", secret = "nvr-web" }`, `auth = { bearer = "api-token" }`.
//!
//! A book names secrets and never holds them (E0209).

use toml::de::DeValue;
use upheld_model::{
    SecretName,
    check::{HttpAuth, HttpScheme, HttpTrust},
};

use super::unbuilt;
use crate::book::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, shown},
    schema::Shape,
};

/// The words of `trust`.
const NETWORK: &str = "network";
const CERTIFICATE: &str = "certificate";

pub(super) fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<HttpAuth> {
    let mut fields = Fields::of(node, "how a check logs in", reading)?;
    let (is_basic, is_bearer) = (fields.node("basic").is_some(), fields.node("bearer").is_some());
    let user = fields.optional::<String>("basic", reading);
    let token = fields.optional::<SecretName>("bearer", reading);
    let password = match is_basic && !is_bearer {
        true => fields.required::<SecretName>("secret", reading),
        false => fields.optional::<SecretName>("secret", reading),
    };
    let has_password = fields.node("secret").is_some();
    let trust = match fields.node("trust") {
        Some(_) => fields.optional::<Trust>("trust", reading).map(|trust| trust.0),
        None => Some(HttpTrust::Certificate),
    };
    let place = fields.place().clone();
    if let DeValue::Table(table) = node.get_ref() {
        unbuilt::refuse_secrets(table, reading);
    }
    fields.finish(reading);
    let mut wrong = |message: &str, help: &str| {
        reading.report(Diagnostic::new(Code::BadValue, &place, message).help(help));
        None
    };
    let (scheme, secret) = match (is_basic, is_bearer) {
        (true, false) => (HttpScheme::Basic { user: user? }, password?),
        (false, true) if has_password => {
            return wrong("`bearer` names the secret already", "take `secret` out: auth = { bearer = \"NAME\" }");
        }
        (false, true) => (HttpScheme::Bearer, token?),
        (true, true) => return wrong("`basic` and `bearer` are two ways to log in", "take one of them out"),
        (false, false) => {
            let help = "auth = { basic = \"USER\", secret = \"NAME\" } or auth = { bearer = \"NAME\" }";
            return wrong("a check logs in with `basic` or `bearer`", help);
        }
    };
    Some(HttpAuth { scheme, secret, trust: trust? })
}

/// `trust = "network"`.
struct Trust(HttpTrust);

impl Read for Trust {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let word = String::read(value, reading)?;
        match word.as_str() {
            CERTIFICATE => Some(Self(HttpTrust::Certificate)),
            NETWORK => Some(Self(HttpTrust::Network)),
            _ => {
                reading.unknown_word(value, "trust", &shown(&word), &[CERTIFICATE, NETWORK]);
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Words(vec![CERTIFICATE, NETWORK])
    }
}
