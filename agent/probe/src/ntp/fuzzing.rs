//! Any bytes as a time server's packet.

use std::time::{Duration, SystemTime};

use upheld_model::check::NtpSpec;

use super::{
    packet::{Exchange, Reply},
    silent,
};
use crate::fuzzing::hold;

/// What stands where our random number is repeated is taken for it, so that the rest is read.
pub(crate) fn reply(bytes: &[u8]) {
    let nonce = bytes.get(24..32).and_then(|nonce| nonce.try_into().ok()).unwrap_or_default();
    let spec = NtpSpec { target: "time".to_owned(), port: 123, warn_ms: 100, bad_ms: 1_000 };
    match Reply::read(bytes, nonce) {
        Some(Reply::Time(server)) => {
            for sent in [SystemTime::UNIX_EPOCH, SystemTime::now()] {
                hold(&Exchange::new(server, sent, Duration::from_millis(bytes.len() as u64)).judge(&spec, "time"));
            }
        }
        Some(Reply::Useless(why)) => hold(&silent(&why)),
        None => {}
    }
}
