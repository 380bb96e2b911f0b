//! Which door a ClientHello asks for.

use rustls::server::ClientHello;
use upheld_wire::v1::{ALPN_DATA, ALPN_ENROLL};

use super::Door;

/// By ALPN only: agents name their door there because their link may hold an address, for which no server name is
/// sent. Whatever names no door is a person or his script.
pub(super) fn choose(hello: &ClientHello<'_>) -> Door {
    let Some(mut offered) = hello.alpn() else { return Door::Portal };
    offered.find_map(door_of).unwrap_or(Door::Portal)
}

fn door_of(protocol: &[u8]) -> Option<Door> {
    match protocol {
        ALPN_DATA => Some(Door::Data),
        ALPN_ENROLL => Some(Door::Enrolment),
        _ => None,
    }
}
