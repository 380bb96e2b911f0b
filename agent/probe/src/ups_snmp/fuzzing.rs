//! Any values as what a supply's network card tells.

use std::time::Instant;

use upheld_model::snmp::{SnmpAccess, SnmpLogin};

use super::{SnmpSupplies, ietf, powernet};
use crate::{
    fuzzing::hold,
    snmp::{self, Table},
};

/// Values of any type at the objects of both MIBs.
pub(crate) fn told(bytes: &[u8]) {
    let objects = ietf::bases().chain(powernet::bases()).collect::<Vec<_>>();
    judged(&snmp::fuzzing::table(bytes, &objects));
}

/// What the table is worth, by either MIB; looked at twice.
pub(crate) fn judged(table: &Table) {
    let login = SnmpLogin::Community { community_secret: None };
    let access = SnmpAccess { target: "ups-1".to_owned(), udp_port: 161, login };
    let check = "ups-1/power".parse().expect("a check's name");
    for told in [ietf::read(table), powernet::read(table)] {
        let supplies = SnmpSupplies::default();
        for _ in 0..2 {
            hold(&supplies.judge(&check, &access, &told, table, Instant::now()));
        }
    }
}
