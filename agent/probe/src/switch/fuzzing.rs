//! Any values as what a switch tells of a port.

use jiff::Timestamp;
use upheld_model::snmp::{SnmpAccess, SnmpLogin, SwitchPort};

use super::{
    Found, Ports,
    find::{by_text, feeding, missing},
    judge::{IF_NAME, OF_PORT, POE_STATUS},
};
use crate::{
    fuzzing::hold,
    snmp::{self, Table},
};

/// Values of any type at the objects of a port.
pub(crate) fn told(bytes: &[u8]) {
    let objects: Vec<&[u32]> = OF_PORT.iter().copied().chain([POE_STATUS]).collect();
    judged(&snmp::fuzzing::table(bytes, &objects));
}

/// What the table is worth, of the port that it names and of one that it does not; looked at twice.
pub(crate) fn judged(table: &Table) {
    let login = SnmpLogin::Community { community_secret: None };
    let access = SnmpAccess { target: "sw-1".to_owned(), udp_port: 161, login };
    let spec = SwitchPort { access, port: "7".to_owned(), poe_port: None, speed_mbps: Some(1_000) };
    let check = "sw-1/port".parse().expect("a check's name");
    hold(&missing("the SNMP agent at sw-1", &spec.port, table, table));
    let index = by_text(table, IF_NAME, &spec.port).unwrap_or(7);
    let name = table.text(IF_NAME, &[index]).unwrap_or_else(|| "7".to_owned());
    let ports = Ports::default();
    for feeding in [feeding(table, index, &name), Some((1, 7))] {
        let found = Found { index, name: name.clone(), feeding };
        let _ = found.is_still(table);
        hold(&ports.judge(&check, &spec, found, table, Timestamp::UNIX_EPOCH));
    }
}
