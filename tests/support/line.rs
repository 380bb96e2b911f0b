//! The line between a site and its collector: a relay on loopback that a test can cut and mend.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::relay::{self, Joined};

/// A relay from its own port to `to`.
pub struct Line {
    /// Where the site connects.
    pub port: u16,
    state: Arc<State>,
}

struct State {
    to: SocketAddr,
    is_cut: AtomicBool,
    /// The next bytes from the collector are lost, and the line is cut with them.
    loses_answer: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Line {
    /// A whole line to a port of this machine.
    pub fn to(port: u16) -> Self {
        let state = Arc::new(State {
            to: SocketAddr::from(([127, 0, 0, 1], port)),
            is_cut: AtomicBool::new(false),
            loses_answer: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&state);
        Self { port: relay::open(move |site| accepting.take(site)), state }
    }

    /// Cuts the line: open connections are reset, new ones end at once.
    pub fn cut(&self) {
        self.state.cut();
    }

    /// Cuts the line at the collector's next answer: what the site sent has arrived, but it is never told so.
    pub fn cut_at_next_answer(&self) {
        self.state.loses_answer.store(true, Ordering::SeqCst);
    }

    /// Makes the line whole again.
    pub fn mend(&self) {
        self.state.loses_answer.store(false, Ordering::SeqCst);
        self.state.is_cut.store(false, Ordering::SeqCst);
    }

    /// Whether the line is cut, by hand or at an answer.
    pub fn is_cut(&self) -> bool {
        self.state.is_cut.load(Ordering::SeqCst)
    }
}

impl State {
    fn take(self: &Arc<Self>, site: TcpStream) {
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        let Some(Joined { up, down, ends }) = relay::join(site, self.to) else { return };
        self.open.lock().expect("no holder panics").extend(ends);
        let (to_collector, to_site) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || to_collector.relay(up.0, up.1, true));
        thread::spawn(move || to_site.relay(down.0, down.1, false));
    }

    fn relay(&self, mut from: TcpStream, mut to: TcpStream, is_up: bool) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read) = from.read(&mut buffer) {
            if read == 0 || self.is_lost(is_up) || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // The other direction ends with this one.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Whether what was just read never arrives.
    fn is_lost(&self, is_up: bool) -> bool {
        if !is_up && self.loses_answer.swap(false, Ordering::SeqCst) {
            self.cut();
        }
        self.is_cut.load(Ordering::SeqCst)
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().expect("no holder panics").drain(..) {
            // A stream that ended by itself is as cut as the others.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
