//! The one platform call of this crate: a larger receive buffer for a socket that surge-ping owns.
//!
//! surge-ping hands out its socket only as a number, and a number becomes a socket only by `unsafe`.
#![allow(unsafe_code)]

use socket2::SockRef;
use surge_ping::AsyncSocket;

/// What is asked for. The kernel gives at most `net.core.rmem_max`, which is enough for 64 replies in flight.
const BYTES: usize = 4 << 20;

/// Raises the receive buffer as far as the kernel allows. A smaller one is no error: it only makes loss of our own
/// more likely, and that is what the canary is for.
pub(super) fn raise(socket: &AsyncSocket) {
    let number = socket.get_native_sock();
    // SAFETY: `socket` keeps the descriptor open for the whole of this function, and the borrow ends with it.
    #[cfg(unix)]
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    // SAFETY: as above.
    #[cfg(windows)]
    let borrowed = unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(number) };
    if let Err(error) = SockRef::from(&borrowed).set_recv_buffer_size(BYTES) {
        tracing::debug!(%error, "the ICMP receive buffer stays as it is");
    }
}
