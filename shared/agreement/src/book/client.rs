//! `manufacturers/*.toml` and `clients/<client>/client.toml`: the other parties.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;
use toml::{Spanned, de::DeTable};
use upheld_model::{ClientId, SiteId};

use super::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, shown},
    provider::{Contact, Mail},
    site::Site,
    source::{Located, Place},
    ssa::Agreement,
    told::{self, MailTo},
};
use crate::words::BookName;

/// A client: who he is, what he was promised, where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Client {
    /// The folder's name.
    pub id: ClientId,
    /// His name.
    pub name: String,
    /// Whom to ask there.
    pub contact: Option<Contact>,
    /// Who may look at the portal, as what.
    pub users: Vec<User>,
    /// Which of his own people are told by mail, and of what.
    pub mail: BTreeMap<BookName, MailTo>,
    /// The day on which he ceased to be a client; he is never deleted.
    pub ended: Option<Date>,
    /// His agreement; `None` while there is none.
    pub agreement: Option<Agreement>,
    /// His sites.
    pub sites: BTreeMap<SiteId, Site>,
}

/// A user of the portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// His address.
    pub mail: String,
    /// His role, `client-owner`.
    pub role: BookName,
}

/// `client.toml` alone.
#[derive(Debug, Clone)]
pub(crate) struct ClientFile {
    pub(crate) name: String,
    pub(crate) contact: Option<Contact>,
    pub(crate) users: Vec<User>,
    pub(crate) mail: BTreeMap<BookName, MailTo>,
    pub(crate) ended: Option<Date>,
}

pub(crate) fn read(table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<ClientFile> {
    let mut fields = Fields::top(table, "a client", reading);
    let name = fields.required("name", reading);
    let contact = fields.optional("contact", reading);
    let users = fields.list("users", reading);
    let mail = fields.node("mail").map(|node| told::read_clients(node, reading)).unwrap_or_default();
    let ended = fields.optional("ended", reading);
    fields.finish(reading);
    Some(ClientFile { name: name?, contact, users, mail, ended })
}

impl Read for User {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a user", reading)?;
        let mail = fields.required::<Mail>("mail", reading);
        let role = fields.required("role", reading);
        fields.finish(reading);
        Some(Self { mail: mail?.0, role: role? })
    }
}

/// A manufacturer who supports what stands at the sites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manufacturer {
    /// His name.
    pub name: String,
    /// How his support is reached.
    pub support: Option<Support>,
    /// His own promise.
    pub promises: Option<Promises>,
}

/// A manufacturer's support desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Support {
    /// Its address.
    pub mail: Option<String>,
    /// Its telephone.
    pub phone: Option<String>,
    /// The calendar of its hours.
    pub hours: Option<Located<BookName>>,
}

/// A manufacturer's own promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promises {
    /// By when he answers, as his agreement says it: `next business day`, `4h`.
    pub respond: Option<String>,
}

pub(crate) fn read_manufacturer(table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<Manufacturer> {
    let mut fields = Fields::top(table, "a manufacturer", reading);
    let name = fields.required("name", reading);
    let support = fields.optional("support", reading);
    let promises = fields.optional("promises", reading);
    fields.finish(reading);
    Some(Manufacturer { name: name?, support, promises })
}

impl Read for Support {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a support desk", reading)?;
        let mail = fields.optional::<Mail>("mail", reading).map(|mail| mail.0);
        let phone = fields.optional("phone", reading);
        let hours = fields.optional("hours", reading);
        fields.finish(reading);
        Some(Self { mail, phone, hours })
    }
}

impl Read for Promises {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a promise", reading)?;
        let respond = fields.optional::<Located<String>>("respond", reading);
        fields.finish(reading);
        if let Some(promise) = &respond
            && promise.value != "next business day"
            && super::scalar::PlainSeconds::parse(&promise.value).is_none()
        {
            let message =
                format!("{:?} is not a promise: write \"4h\" or \"next business day\"", shown(&promise.value));
            reading.report(Diagnostic::new(Code::BadValue, &promise.place, message));
        }
        Some(Self { respond: respond.map(|promise| promise.value) })
    }
}

/// Where a client's folder begins, for what is missing in it.
pub(crate) fn folder_place(file: &str) -> Place {
    Place { file: file.into(), from: 0, to: 0 }
}
