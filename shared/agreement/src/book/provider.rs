//! `provider.toml`: who promises, in which money and zone, and how people are told.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::{Spanned, de::DeTable};

use super::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, entries, shown},
    scalar::PlainSeconds,
    schema::Shape,
    told::{DigestDue, MailTo},
};
use crate::{money::Currency, words::BookName};

/// The provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provider {
    /// His name.
    pub name: String,
    /// The one money of the book.
    pub currency: Currency,
    /// The IANA zone of bare dates.
    pub zone: String,
    /// Whom to ask.
    pub contact: Option<Contact>,
    /// `host:port` of others with which the collector checks its own line (DETECTION 4.6).
    pub anchors: Vec<String>,
    /// How often they are asked, in seconds; 15 unless it says otherwise.
    pub anchors_every_s: Option<PlainSeconds>,
    /// Where the collector's own sign of life goes (DETECTION 4.10).
    pub heartbeat: Option<Heartbeat>,
    /// How long things are kept. Kept; a later issue acts on it.
    pub retention: Option<Retention>,
    /// The ways to tell people.
    pub channels: BTreeMap<BookName, Channel>,
    /// When the week's digest is mailed.
    pub digest: DigestDue,
}

impl Provider {
    /// Stands in where `provider.toml` could not be read, so that reading goes on.
    pub(crate) fn empty() -> Self {
        Self {
            name: String::new(),
            currency: Currency::NONE,
            zone: "UTC".to_owned(),
            contact: None,
            anchors: Vec::new(),
            anchors_every_s: None,
            heartbeat: None,
            retention: None,
            channels: BTreeMap::new(),
            digest: DigestDue::default(),
        }
    }
}

/// A sign of life that goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heartbeat {
    /// Where it is posted.
    pub url: String,
    /// How often, in seconds; 60 unless it says otherwise.
    pub every_s: PlainSeconds,
}

/// A person or a desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// What he is there.
    pub role: Option<String>,
    /// His name.
    pub name: Option<String>,
    /// His address.
    pub mail: Option<String>,
    /// His telephone.
    pub phone: Option<String>,
}

/// How long things are kept ([`super::Book::samples_for`], [`super::Book::facts_for`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// Facts, after the agreement's end.
    pub facts_s: Option<PlainSeconds>,
    /// Samples.
    pub samples_s: Option<PlainSeconds>,
}

/// A way to tell people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Channel {
    /// By mail.
    pub mail: Option<MailTo>,
    /// By a signed webhook.
    pub webhook: Option<WebhookChannel>,
}

/// A signed webhook (UX 3.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookChannel {
    /// Where it is posted.
    pub url: String,
    /// The name of the secret that signs it; the secret itself is never in the book.
    pub secret: BookName,
    /// Where the receiver can be asked whether it has a message: `{reference}` stands for the message's
    /// `webhook-id`. On the host and port of `url` (DELIVERY 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look_up: Option<String>,
}

/// The text in a look-up address that a message's `webhook-id` stands for.
const REFERENCE_PLACE: &str = "{reference}";

pub(crate) fn read(table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<Provider> {
    let mut fields = Fields::top(table, "provider.toml", reading);
    let name = fields.required("name", reading);
    let currency = fields.required("currency", reading);
    reading.currency = currency;
    let zone = fields.required::<Zone>("time_zone", reading);
    let contact = fields.optional("contact", reading);
    let anchors = fields.list::<Anchor>("anchors", reading).into_iter().map(|anchor| anchor.0).collect();
    let anchors_every_s =
        within(fields.optional("anchors_every", reading), (1, 60), fields.node("anchors_every"), reading);
    let heartbeat = fields.optional("heartbeat", reading);
    let retention = fields.optional("retention", reading);
    let channels = fields.node("channels").map(|node| read_channels(node, reading)).unwrap_or_default();
    let digest = fields.optional("digest", reading).unwrap_or_default();
    fields.finish(reading);
    Some(Provider {
        name: name?,
        currency: currency?,
        zone: zone?.0,
        contact,
        anchors,
        anchors_every_s,
        heartbeat,
        retention,
        channels,
        digest,
    })
}

/// A duration that must lie between two numbers of seconds.
fn within(
    read: Option<PlainSeconds>,
    (least, most): (u64, u64),
    node: Option<&Node<'_>>,
    reading: &mut Reading<'_>,
) -> Option<PlainSeconds> {
    let seconds = read?;
    if !(least..=most).contains(&seconds.0)
        && let Some(node) = node
    {
        reading.bad_value(node, format!("{} s is not between {least} s and {most} s", seconds.0));
        return None;
    }
    Some(seconds)
}

impl Read for Heartbeat {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a heartbeat", reading)?;
        let url = fields.required::<WebAddress>("url", reading);
        let every = within(fields.optional("every", reading), (10, 3_600), fields.node("every"), reading);
        fields.finish(reading);
        Some(Self { url: url?.0, every_s: every.unwrap_or(PlainSeconds(60)) })
    }
}

fn read_channels(node: &Node<'_>, reading: &mut Reading<'_>) -> BTreeMap<BookName, Channel> {
    let mut channels = BTreeMap::new();
    for (key, value) in entries(node, "channels", reading) {
        let channel = Channel::read(value, reading);
        match (key.get_ref().parse::<BookName>(), channel) {
            (Ok(name), Some(channel)) => {
                channels.insert(name, channel);
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                let place = reading.place(key);
                reading.report(Diagnostic::new(Code::BadName, &place, error.to_string()));
            }
        }
    }
    channels
}

impl Read for Channel {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a channel", reading)?;
        let mail_node = fields.node("mail");
        let mail = mail_node.and_then(|node| MailTo::of_provider(node, reading));
        let webhook = fields.optional("webhook", reading);
        let says_nothing = mail_node.is_none() && fields.node("webhook").is_none();
        if says_nothing {
            fields.missing("webhook", reading);
        }
        fields.finish(reading);
        Some(Self { mail, webhook })
    }
}

impl Read for WebhookChannel {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a webhook", reading)?;
        let url = fields.required::<WebAddress>("url", reading);
        let secret = fields.required("secret", reading);
        let look_up = fields.optional::<WebAddress>("look_up", reading);
        if let (Some(url), Some(look_up), Some(node)) = (&url, &look_up, fields.node("look_up")) {
            check_look_up(&look_up.0, &url.0, node, reading);
        }
        fields.finish(reading);
        Some(Self { url: url?.0, secret: secret?, look_up: look_up.map(|look_up| look_up.0) })
    }
}

/// A look-up names the message in what is sent of an address, and asks whoever took it: one secret and one rule about
/// private hosts speak for both.
fn check_look_up(look_up: &str, webhook: &str, node: &Node<'_>, reading: &mut Reading<'_>) {
    let place = reading.place(node);
    let (path, fragment) = look_up.split_once('#').unwrap_or((look_up, ""));
    let (asked, told) = (origin(look_up), origin(webhook));
    if asked != told {
        let message = format!("the look-up asks {}, and the messages go to {}", shown(&asked), shown(&told));
        let help = "look up on the scheme, host and port of url: its secret signs the question, \
                    and webhook_private_hosts allows it";
        reading.report(Diagnostic::new(Code::BadValue, &place, message).help(help));
    } else if !path.contains(REFERENCE_PLACE) {
        let message = if fragment.contains(REFERENCE_PLACE) {
            format!("{REFERENCE_PLACE} stands behind #, which is never sent")
        } else {
            format!("the look-up does not say what is looked up: {REFERENCE_PLACE} is missing in it")
        };
        let separator = if path.contains('?') { '&' } else { '?' };
        let help = format!(
            "write {REFERENCE_PLACE} where the message's webhook-id is to stand: \
             look_up = \"{}{separator}external_ref={REFERENCE_PLACE}\"",
            shown(path)
        );
        reading.report(Diagnostic::new(Code::BadValue, &place, message).help(help));
    }
}

/// The scheme, host and port of an address that [`WebAddress`] took.
fn origin(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let usual = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}", authority.strip_suffix(usual).unwrap_or(&authority))
}

impl Read for Contact {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a contact", reading)?;
        let role = fields.optional("role", reading);
        let name = fields.optional("name", reading);
        let mail = fields.optional::<Mail>("mail", reading).map(|mail| mail.0);
        let phone = fields.optional("phone", reading);
        fields.finish(reading);
        Some(Self { role, name, mail, phone })
    }
}

/// An IANA zone that the time zone database knows.
pub(crate) struct Zone(pub(crate) String);

impl Read for Zone {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let name = String::read(value, reading)?;
        if jiff::tz::TimeZone::get(&name).is_ok() {
            return Some(Self(name));
        }
        let known: Vec<String> = jiff::tz::db().available().map(|known| known.to_string()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!("{:?} is not a time zone of the IANA database", shown(&name));
        let place = reading.place(value);
        let unknown = Diagnostic::new(Code::UnknownWord, &place, message);
        reading.report(match super::nearest::nearest(&name, known) {
            Some(meant) => unknown.help(format!("did you mean {meant:?}?")),
            None => unknown.help("write the zone of a place, \"America/Chicago\""),
        });
        None
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

/// An address with one `@` and something on both sides of it.
pub(crate) struct Mail(pub(crate) String);

impl Read for Mail {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let is_address = text.split_once('@').is_some_and(|(who, domain)| {
            !who.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace)
        });
        if !is_address || text.len() > 254 {
            reading.bad_value(value, format!("{:?} is not a mail address", shown(&text)));
            return None;
        }
        Some(Self(text))
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

/// An `http` or `https` address without credentials in it.
pub(crate) struct WebAddress(pub(crate) String);

impl Read for WebAddress {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() || authority.contains('@') || text.len() > 2_000 || text.contains(char::is_whitespace) {
            reading.bad_value(
                value,
                format!("{:?} is not an http:// or https:// address without credentials", shown(&text)),
            );
            return None;
        }
        Some(Self(text))
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

/// `host:port`.
pub(super) struct Anchor(pub(super) String);

impl Read for Anchor {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let is_address = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
        if !is_address {
            reading.bad_value(
                value,
                format!("{:?} is not an address with its port: write \"192.0.2.53:53\"", shown(&text)),
            );
            return None;
        }
        Some(Self(text))
    }

    fn shape() -> Shape {
        Shape::Text
    }
}
