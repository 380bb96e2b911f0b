//! A JSON Schema (draft 2020-12) of each file of a book, for editors.
//!
//! The schemas are not written: the sample book is read with somebody who notes which table asks for which key, and
//! what a value may look like. So a key that the reader knows cannot be missing in them, and none stands in them that
//! the reader does not know. What no schema can say (a zone of the IANA database, a price in the provider's currency, one
//! key instead of another) is for `book check`. Dates are text here: editors give TOML's dates to a schema as that.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use super::{
    Parts,
    fields::{Node, Reading},
    layout::{self, Role},
    source::Files,
};
use crate::money::Currency;

/// What a value looks like before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// What it is when it is read.
    Any,
    Text,
    Date,
    Flag,
    /// A whole number, not negative.
    Whole,
    /// One of these.
    Words(Vec<&'static str>),
    /// A list of these, or one that stands for a list of one.
    Many(Box<Shape>),
    /// A table of these under names of the author's choice.
    Named(Box<Shape>),
}

/// Tables that take more keys than are asked for: a check of a kind that no agent can run yet.
const OPEN: &[&str] = &["a check"];

/// One file of the sample book for every kind of file, and every table in one of them.
const SAMPLE: &[(&str, &str)] = &[
    ("provider.toml", include_str!("../../sample-book/provider.toml")),
    ("catalogue.toml", include_str!("../../sample-book/catalogue.toml")),
    ("calendars/business.toml", include_str!("../../sample-book/calendars/business.toml")),
    ("calendars/hospital-days.toml", include_str!("../../sample-book/calendars/hospital-days.toml")),
    ("holidays/us-2026.toml", include_str!("../../sample-book/holidays/us-2026.toml")),
    ("plans/gold.toml", include_str!("../../sample-book/plans/gold.toml")),
    ("plans/platinum.toml", include_str!("../../sample-book/plans/platinum.toml")),
    ("plans/premium-response.toml", include_str!("../../sample-book/plans/premium-response.toml")),
    ("manufacturers/example-recorders.toml", include_str!("../../sample-book/manufacturers/example-recorders.toml")),
    ("clients/northgate/client.toml", include_str!("../../sample-book/clients/northgate/client.toml")),
    ("clients/northgate/ssa.toml", include_str!("../../sample-book/clients/northgate/ssa.toml")),
    ("clients/northgate/sites/plant-1.toml", include_str!("../../sample-book/clients/northgate/sites/plant-1.toml")),
    ("clients/northgate/sites/plant-2.toml", include_str!("../../sample-book/clients/northgate/sites/plant-2.toml")),
    (
        "clients/st-brendan/sites/main-campus.toml",
        include_str!("../../sample-book/clients/st-brendan/sites/main-campus.toml"),
    ),
    // What the sample has no use for.
    (
        "plans/other.toml",
        "name = \"Other\"\nextends = \"gold\"\nincluded_hours = \"4h per month\"\n[[target]]\nstage = \"update\"\nevery = \"2h\"\ncalendar = \"business\"\n[[target]]\nstage = \"respond\"\nby = \"12:00 next business day\"\ncalendar = \"business\"\n",
    ),
    (
        "clients/northgate/sites/other.toml",
        "name = \"Other\"\ntime_zone = \"UTC\"\n[[asset]]\nid = \"a\"\nclass = \"server\"\nchecks = [\n\
         { kind = \"host\" },\n\
         { kind = \"net.icmp\", target = \"gateway\" },\n\
         { kind = \"net.tcp\", target = \"10.0.0.1\", port = 80 },\n\
         { kind = \"net.http\", url = \"https://10.0.0.1/\", auth = { basic = \"viewer\", secret = \"nvr-web\" } },\n\
         { kind = \"net.quality\", target = \"gateway\" },\n\
         { kind = \"net.dns\", look_up = \"a.example\" },\n\
         { kind = \"net.ntp\" },\n\
         { kind = \"net.tls\", target = \"10.0.0.1\" },\n\
         { kind = \"net.link\" },\n\
         { kind = \"net.path\", anchors = [\"192.0.2.1:443\"] },\n\
         { kind = \"power.boot\" },\n\
         { kind = \"ups.nut\", target = \"10.0.0.1\", ups = \"u\" },\n\
         { kind = \"ups.apcupsd\", target = \"10.0.0.1\" },\n\
         { kind = \"ups.snmp\", target = \"10.0.0.1\", user = \"upheld\", auth_secret = \"a\", privacy_secret = \"b\" },\n\
         { kind = \"ups.battery\", battery = \"BAT0\" },\n\
         { kind = \"snmp\", target = \"10.0.0.1\", port = \"7\" },\n\
         { kind = \"service\", unit = \"recorder.service\" },\n\
         { kind = \"exec.nagios\", command = \"check_a\" },\n\
         { kind = \"process\", process = \"nginx\" },\n\
         { kind = \"eventlog\", channel = \"System\", ids = [41] },\n\
         { kind = \"log\", log = \"nginx-error\", match = \"error\" },\n\
         { kind = \"host.smart\", command = \"smart_a\" },\n\
         { kind = \"rec.freshness\", path = \"/srv/rec\" },\n\
         { kind = \"backup.files\", path = \"/srv/bak\", age = \"1d\" },\n\
         { kind = \"backup.job\", schedule = \"every 1d\" },\n]\n\
         [[maintenance]]\nat = 2026-01-01T02:00:00\nfor = \"1h\"\n",
    ),
];

/// The kinds of files, by the names under which `book schema` prints them.
pub const KINDS: &[&str] =
    &["provider", "catalogue", "calendar", "holidays", "plan", "manufacturer", "client", "ssa", "site"];

/// The schema of a kind of file of [`KINDS`]; `None` for another word.
pub fn schema(kind: &str) -> Option<Value> {
    let kind = KINDS.iter().find(|known| **known == kind)?;
    let watch = watched(kind);
    let mut tables = Map::new();
    for (what, table) in &watch.tables {
        tables.insert((*what).to_owned(), table.schema(what));
    }
    let tops: Vec<Value> = watch.tops.iter().map(|what| refer(what)).collect();
    Some(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Upheld's book: {kind}"),
        "anyOf": tops,
        "$defs": tables,
    }))
}

/// Reads the sample's files of one kind, and notes what was asked.
fn watched(kind: &str) -> Watch {
    let files: Files = SAMPLE.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
    let (mut found, mut kept, mut parts) = (Vec::new(), Vec::new(), Parts::default());
    let watch = Rc::new(RefCell::new(Watch::default()));
    // Money of the sample is money of its provider.
    let currency = Currency::parse("USD").ok();
    for (role, path) in layout::roles(&files, &mut found).iter().filter(|(role, _)| kind_of(role) == kind) {
        let mut reading = Reading::new(path, currency, &mut found, &mut kept).watched(Rc::clone(&watch));
        let text = files.get(path.as_ref()).map_or("", String::as_str);
        if let Some(table) = reading.parse(text) {
            watch.borrow_mut().places.clear();
            watch.borrow_mut().is_top = true;
            parts.take(role, &table, &mut reading);
        }
    }
    watch.take()
}

fn kind_of(role: &Role) -> &'static str {
    match role {
        Role::Provider => "provider",
        Role::Catalogue => "catalogue",
        Role::Calendar(_) => "calendar",
        Role::Holidays(_) => "holidays",
        Role::Plan(_) => "plan",
        Role::Manufacturer(_) => "manufacturer",
        Role::Client(_) => "client",
        Role::Agreement(_) => "ssa",
        Role::Site(_, _) => "site",
    }
}

/// Notes what a reader asks for.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    tables: BTreeMap<&'static str, Table>,
    tops: BTreeSet<&'static str>,
    is_top: bool,
    /// Where each value of the file stands that is being read, by its address: it is only compared while it lives.
    places: BTreeMap<usize, Place>,
}

/// A value below a key of a table.
#[derive(Debug, Clone, Copy)]
struct Place {
    what: &'static str,
    name: usize,
    via: Via,
}

/// How a table stands below a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Via {
    Itself,
    Item,
    Entry,
}

#[derive(Debug, Default)]
struct Table {
    /// How often one was read to its end.
    read: usize,
    keys: BTreeMap<&'static str, Key>,
    /// The tables below its keys, by the key as the file writes it.
    below: BTreeMap<String, BTreeSet<(Via, &'static str)>>,
    /// The values without keys below its keys: a band is a word or a table.
    plain: BTreeSet<(String, Via, &'static str)>,
    names: Vec<String>,
}

#[derive(Debug)]
struct Key {
    /// How often it had to be there.
    required: usize,
    shape: Shape,
}

impl Watch {
    /// A table begins to be read.
    pub(crate) fn begin(&mut self, what: &'static str, table: &DeTable<'_>) {
        if std::mem::take(&mut self.is_top) || (self.tops.contains("a plan") && what == "a rider") {
            self.tops.insert(what);
        }
        let known = self.tables.entry(what).or_default();
        for (key, value) in table {
            let at = known.names.iter().position(|known| **known == **key.get_ref()).unwrap_or_else(|| {
                known.names.push(key.get_ref().to_string());
                known.names.len() - 1
            });
            let mut plain = Vec::new();
            mark(&mut self.places, value, Place { what, name: at, via: Via::Itself }, &mut plain);
            known.plain.extend(plain.into_iter().map(|(via, of)| (key.get_ref().to_string(), via, of)));
        }
    }

    /// A table was read to its end.
    pub(crate) fn end(&mut self, what: &'static str) {
        self.tables.entry(what).or_default().read += 1;
    }

    /// A value turns out to be a table of this name.
    pub(crate) fn table_at(&mut self, value: &Node<'_>, what: &'static str) {
        let Some(place) = self.places.get(&address(value)).copied() else { return };
        let Some(above) = self.tables.get_mut(place.what) else { return };
        let Some(name) = above.names.get(place.name).cloned() else { return };
        above.below.entry(name).or_default().insert((place.via, what));
    }

    /// A table asks for a key.
    pub(crate) fn key(&mut self, what: &'static str, key: &'static str, is_required: bool, shape: Shape) {
        let table = self.tables.entry(what).or_default();
        let known = table.keys.entry(key).or_insert(Key { required: 0, shape: Shape::Any });
        known.required += usize::from(is_required);
        if known.shape == Shape::Any {
            known.shape = shape;
        }
    }
}

fn address(value: &Node<'_>) -> usize {
    std::ptr::from_ref(value).addr()
}

fn mark(places: &mut BTreeMap<usize, Place>, value: &Node<'_>, place: Place, plain: &mut Vec<(Via, &'static str)>) {
    places.insert(address(value), place);
    let of = match value.get_ref() {
        DeValue::Array(items) => {
            return items.iter().for_each(|item| mark(places, item, Place { via: Via::Item, ..place }, plain));
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(_, entry)| entry);
            return entries.for_each(|entry| mark(places, entry, Place { via: Via::Entry, ..place }, plain));
        }
        DeValue::String(_) | DeValue::Datetime(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
    };
    plain.push((place.via, of));
}

impl Table {
    fn plain_at(&self, key: &str, via: Via) -> Vec<Value> {
        let here = self.plain.iter().filter(|(name, at, _)| name == key && *at == via);
        here.map(|(_, _, of)| json!({ "type": of })).collect()
    }

    fn schema(&self, what: &str) -> Value {
        let mut properties = Map::new();
        for (name, key) in &self.keys {
            let below = self.below.get(*name).into_iter().flatten().copied();
            properties.insert((*name).to_owned(), key.schema(below, |via| self.plain_at(name, via)));
        }
        let required = self.keys.iter().filter(|(_, key)| key.required >= self.read && self.read > 0);
        let required: Vec<&str> = required.map(|(name, _)| *name).collect();
        json!({
            "type": "object",
            "description": what,
            "properties": properties,
            "required": required,
            "additionalProperties": OPEN.contains(&what),
        })
    }
}

impl Key {
    fn schema(&self, below: impl Iterator<Item = (Via, &'static str)>, plain_at: impl Fn(Via) -> Vec<Value>) -> Value {
        let is_list = matches!(self.shape, Shape::Many(_));
        let (mut any, mut items, mut entries) = (self.shape.schema(), Vec::new(), Vec::new());
        for (via, what) in below {
            match via {
                Via::Itself => any.push(refer(what)),
                Via::Item => items.push(refer(what)),
                Via::Entry => entries.push(refer(what)),
            }
        }
        if !any.is_empty() && self.shape == Shape::Any {
            any.extend(plain_at(Via::Itself));
        }
        if !items.is_empty() {
            items.extend(plain_at(Via::Item));
            if is_list {
                any.extend(items.clone());
            }
            any.push(json!({ "type": "array", "items": alternatives(items) }));
        }
        if !entries.is_empty() {
            entries.extend(plain_at(Via::Entry));
            any.push(json!({ "type": "object", "additionalProperties": alternatives(entries) }));
        }
        alternatives(any)
    }
}

impl Shape {
    /// What it may be; nothing where only reading tells.
    fn schema(&self) -> Vec<Value> {
        match self {
            Self::Any => Vec::new(),
            Self::Text => vec![json!({ "type": "string" })],
            Self::Date => vec![json!({ "type": "string", "format": "date" })],
            Self::Flag => vec![json!({ "type": "boolean" })],
            Self::Whole => vec![json!({ "type": "integer", "minimum": 0 })],
            Self::Words(words) => vec![json!({ "enum": words })],
            Self::Many(one) => match one.schema() {
                one if one.is_empty() => Vec::new(),
                one => [one.clone(), vec![json!({ "type": "array", "items": alternatives(one) })]].concat(),
            },
            Self::Named(one) => vec![json!({ "type": "object", "additionalProperties": alternatives(one.schema()) })],
        }
    }
}

fn alternatives(mut any: Vec<Value>) -> Value {
    match any.len() {
        0 => json!({}),
        1 => any.remove(0),
        _ => json!({ "anyOf": any }),
    }
}

fn refer(what: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{}", what.replace('~', "~0").replace('/', "~1").replace(' ', "%20").replace('\'', "%27")) })
}
