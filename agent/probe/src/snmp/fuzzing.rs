//! Any bytes as what an SNMP agent says.

use super::{Oid, Table, Value, client};

/// A whole message of it, through the library's reader; then both judges see what it tells.
pub(crate) fn message(bytes: &[u8]) {
    let Some(table) = client::decode(bytes) else { return };
    crate::ups_snmp::fuzzing::judged(&table);
    crate::switch::fuzzing::judged(&table);
}

/// What `bytes` tell of the objects at `bases`. Each begins with which of them it is, its index and its type.
pub(crate) fn table(bytes: &[u8], bases: &[&[u32]]) -> Table {
    let (mut table, mut rest) = (Table::default(), bytes);
    while let Some(([base, index, kind], behind)) = rest.split_first_chunk::<3>() {
        let base = bases[usize::from(*base) % bases.len()];
        let (value, behind) = match kind % 4 {
            3 => {
                let (length, behind) = behind.split_first().unwrap_or((&0, behind));
                let (octets, behind) = behind.split_at(usize::from(*length).min(behind.len()));
                (Value::Octets(octets.to_vec()), behind)
            }
            kind => {
                let Some((number, behind)) = behind.split_first_chunk::<8>() else { break };
                let number = u64::from_be_bytes(*number);
                let value = match kind {
                    0 => Value::Integer(number.cast_signed()),
                    1 => Value::Count(number),
                    // An alarm that everybody knows, or one that nobody does.
                    _ => Value::Oid(Oid::of(&[1, 3, 6, 1, 2, 1, 33, 1, 6, 3], &[(number % 32) as u32])),
                };
                (value, behind)
            }
        };
        table.insert(Oid::of(base, &[(*index).into()]), value);
        rest = behind;
    }
    table
}
