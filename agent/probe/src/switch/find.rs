//! Which row of a switch's tables is the port of the book.

use upheld_model::{UnknownReason, snmp::SwitchPort};

use super::judge::{IF_DESCR, IF_NAME, POE_STATUS};
use crate::{
    ProbeResult,
    snmp::{Asked, Table, Value, text},
};

/// So many names of other ports are said where one is not found.
const SAID_MAX: usize = 12;

/// A port in the switch's own numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its `ifIndex`.
    pub(super) index: u32,
    /// Its `ifName`, or its `ifDescr` where it has no name.
    pub(super) name: String,
    /// Group and port by which it feeds; `None` where it is not known to.
    pub(super) feeding: Option<(u32, u32)>,
}

impl Found {
    /// Whether the switch still calls this row so.
    pub(super) fn is_still(&self, table: &Table) -> bool {
        let called = |base: &[u32]| table.text(base, &[self.index]);
        called(IF_NAME).or_else(|| called(IF_DESCR)).as_ref() == Some(&self.name)
    }
}

/// Looks for the port in the switch's tables.
pub(super) async fn port(asked: &Asked, spec: &SwitchPort) -> Result<Found, ProbeResult> {
    let names = asked.walk(IF_NAME).await?;
    let (index, name) = match by_text(&names, IF_NAME, &spec.port) {
        Some(index) => (index, spec.port.clone()),
        None => {
            let described = asked.walk(IF_DESCR).await?;
            let by_number = || spec.port.parse().ok().filter(|index| described.text(IF_DESCR, &[*index]).is_some());
            let index = by_text(&described, IF_DESCR, &spec.port).or_else(by_number);
            let called = |index: u32| names.text(IF_NAME, &[index]).or_else(|| described.text(IF_DESCR, &[index]));
            let named = index.and_then(|index| Some((index, called(index)?)));
            named.ok_or_else(|| missing(asked.at(), &spec.port, &names, &described))?
        }
    };
    let feeding = match spec.poe_numbers() {
        Some(numbers) => Some(numbers),
        None => feeding(&asked.walk(POE_STATUS).await?, index, &name),
    };
    Ok(Found { index, name, feeding })
}

pub(super) fn by_text(table: &Table, base: &[u32], wanted: &str) -> Option<u32> {
    let is_it = |value: &Value| matches!(value, Value::Octets(octets) if text(octets).as_deref() == Some(wanted));
    table.rows(base).find(|(_, value)| is_it(value)).and_then(|(index, _)| index.first().copied())
}

/// The numbers by which the port feeds: those whose port is the last number of its name (`Gi1/0/7`), in the group that is
/// the first one where several have such a port; else those whose port is its index.
pub(super) fn feeding(table: &Table, index: u32, name: &str) -> Option<(u32, u32)> {
    let known: Vec<(u32, u32)> = table
        .rows(POE_STATUS)
        .filter_map(|(row, _)| match row {
            [group, port] => Some((*group, *port)),
            _ => None,
        })
        .collect();
    let numbers: Vec<u32> =
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    let one_of = |wanted: u32| {
        let fits: Vec<&(u32, u32)> = known.iter().filter(|(_, port)| *port == wanted).collect();
        match fits.as_slice() {
            [only] => Some(**only),
            several => several.iter().find(|(group, _)| numbers.first() == Some(group)).map(|found| **found),
        }
    };
    numbers.last().and_then(|last| one_of(*last)).or_else(|| one_of(index))
}

pub(super) fn missing(at: &str, port: &str, names: &Table, described: &Table) -> ProbeResult {
    let said = |table: &Table, base: &[u32]| -> Vec<String> {
        let texts = table.rows(base).filter_map(|(_, value)| match value {
            Value::Octets(octets) => text(octets),
            Value::Integer(_) | Value::Count(_) | Value::Oid(_) => None,
        });
        texts.take(SAID_MAX + 1).collect()
    };
    let mut known = said(names, IF_NAME);
    if known.is_empty() {
        known = said(described, IF_DESCR);
    }
    let more = if known.len() > SAID_MAX { ", …" } else { "" };
    known.truncate(SAID_MAX);
    let known =
        if known.is_empty() { "it tells of no ports".to_owned() } else { format!("it has {}{more}", known.join(", ")) };
    ProbeResult::unknown(UnknownReason::CannotProbe, format!("{at} has no port {port}; {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::Oid;

    #[test]
    fn numbers_by_which_a_port_feeds_are_found_by_its_name_and_else_by_its_index() {
        let mut table = Table::default();
        for row in [[1, 7], [1, 8], [2, 8], [3, 52]] {
            table.insert(Oid::of(POE_STATUS, &row), Value::Integer(3));
        }
        for (name, index, numbers) in [
            ("Gi0/7", 10_107, Some((1, 7))),
            ("7", 7, Some((1, 7))),
            ("Gi1/0/8", 10_108, Some((1, 8))),
            ("Gi2/0/8", 10_208, Some((2, 8))),
            ("Gi4/0/8", 10_408, None),
            ("uplink", 52, Some((3, 52))),
            ("Gi0/9", 9, None),
        ] {
            assert_eq!(feeding(&table, index, name), numbers, "{name}");
        }
    }
}
