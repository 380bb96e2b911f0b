//! Any bytes as what apcupsd answers.

use std::time::Instant;

use super::{Apcupsd, Told, nis};
use crate::fuzzing::hold;

/// Read, judged, and judged once more: the second look compares with the first.
pub(crate) fn answer(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    match runtime.block_on(nis::read(&mut &*bytes)) {
        Ok(keys) => {
            let (told, supplies) = (Told::read(&keys), Apcupsd::new());
            assert!(told.last_dip_s().is_none_or(|lasted| lasted >= 0.0));
            let check = "ups-1/power".parse().expect("a check's name");
            for _ in 0..2 {
                hold(&supplies.judge(&check, "ups-1", 3551, &told, Instant::now()));
            }
        }
        Err(error) => hold(&error.judge("apcupsd at ups-1 port 3551")),
    }
}
