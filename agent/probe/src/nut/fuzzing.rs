//! Any bytes as what a NUT server answers.

use std::time::Instant;

use super::{Address, Line, unknown_ups, ups};
use crate::fuzzing::hold;

/// A list and the look after it from the same stream; then the same bytes as the list of its supplies.
pub(crate) fn answer(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let address = Address { target: "nas".to_owned(), port: 3493, ups: "ups1".to_owned() };
        let mut held = ups::Held::new();
        let mut line = Line::new(tokio::io::join(bytes, tokio::io::sink()));
        let listed = line.list(&address.ups).await.map(|said| (said, true));
        let looked = if listed.is_ok() { Some(line.look(&address.ups).await) } else { None };
        for heard in [Some(listed), looked].into_iter().flatten() {
            match heard {
                Ok((said, is_listing)) => {
                    let judged = ups::judge(&mut held, &said, Instant::now());
                    hold(&ups::tell(judged, &said, None, is_listing));
                }
                Err(error) => hold(&error.judge(&address)),
            }
        }
        let mut line = Line::new(tokio::io::join(bytes, tokio::io::sink()));
        if let Ok(known) = line.supplies().await {
            hold(&unknown_ups(&address, &known));
        }
    });
}
