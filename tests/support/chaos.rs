//! A line that misbehaves by a script: a relay for TCP on loopback between the real programs, with mTLS inside it.
//!
//! TCP has no loss or doubling of its own to show: what a line does to a request is time, a cut, and not knowing. A fault
//! holds for a stretch; at its end the connections that it has spoiled are reset, as by a router that was restarted.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::relay::{self, Joined};

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing: it carries what it is given.
    None,
    /// Each piece arrives late, by so many milliseconds.
    Delay(u64),
    /// Each piece arrives in pieces of so many bytes.
    Split(usize),
    /// So many bytes a second.
    Slow(u64),
    /// Connections are reset once so many more bytes have gone up: in mid-request.
    ResetAfter(u64),
    /// What goes up arrives; the answer does not, and the connection ends there.
    LoseAnswer,
    /// The collector's end is closed and the site is not told.
    HalfOpen,
    /// Connections are taken and nothing goes either way.
    Blackhole,
    /// Connections are reset at once.
    Refuse,
}

/// The relay.
pub struct Chaos {
    /// Where the site connects.
    pub port: u16,
    state: Arc<State>,
}

struct State {
    to: SocketAddr,
    fault: Mutex<Fault>,
    /// Bytes that went up under the present fault.
    up: AtomicU64,
    /// What was spoiled: connections reset, answers lost, halves closed, bytes swallowed or held.
    struck: AtomicU32,
    open: Mutex<Vec<TcpStream>>,
}

impl Chaos {
    /// A line that is whole, to a port of this machine.
    pub fn to(port: u16) -> Self {
        let state = Arc::new(State {
            to: SocketAddr::from(([127, 0, 0, 1], port)),
            fault: Mutex::new(Fault::None),
            up: AtomicU64::new(0),
            struck: AtomicU32::new(0),
            open: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&state);
        Self { port: relay::open(move |site| accepting.take(site)), state }
    }

    /// How often the present fault has struck.
    pub fn struck(&self) -> u32 {
        self.state.struck.load(Ordering::SeqCst)
    }

    /// From here on the line does this, to connections that are open, too. How often the fault before struck.
    pub fn set(&self, fault: Fault) -> u32 {
        let before = std::mem::replace(&mut *self.state.fault.lock().expect("no holder panics"), fault);
        let struck = self.state.struck.swap(0, Ordering::SeqCst);
        self.state.up.store(0, Ordering::SeqCst);
        if matches!(before, Fault::Slow(_) | Fault::HalfOpen | Fault::Blackhole) {
            self.state.reset_all();
        }
        struck
    }
}

/// What becomes of a piece.
enum Carried {
    On,
    Swallowed,
    End,
}

impl State {
    fn fault(&self) -> Fault {
        *self.fault.lock().expect("no holder panics")
    }

    fn strike(&self) {
        self.struck.fetch_add(1, Ordering::SeqCst);
    }

    fn take(self: &Arc<Self>, site: TcpStream) {
        if self.fault() == Fault::Refuse {
            self.strike();
            return reset(&site);
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
            if read == 0 {
                break;
            }
            match self.carry(&buffer[..read], &mut to, is_up) {
                Carried::On | Carried::Swallowed => {}
                Carried::End => {
                    reset(&from);
                    reset(&to);
                    break;
                }
            }
        }
        // Under a half-open line the site never hears that the other side is gone.
        if self.fault() != Fault::HalfOpen || is_up {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        }
    }

    fn carry(&self, piece: &[u8], to: &mut TcpStream, is_up: bool) -> Carried {
        let fault = self.fault();
        if fault != Fault::None && !matches!(fault, Fault::ResetAfter(_) | Fault::LoseAnswer) {
            self.strike();
        }
        match fault {
            Fault::None => written(to.write_all(piece)),
            Fault::Delay(by_ms) => {
                thread::sleep(Duration::from_millis(by_ms));
                written(to.write_all(piece))
            }
            Fault::Split(size) => written(piece.chunks(size).try_for_each(|part| to.write_all(part))),
            Fault::Slow(bytes) => self.trickle(piece, to, bytes),
            Fault::ResetAfter(bytes) if is_up => {
                let before = self.up.fetch_add(piece.len() as u64, Ordering::SeqCst);
                if before + piece.len() as u64 <= bytes {
                    return written(to.write_all(piece));
                }
                self.strike();
                self.up.store(0, Ordering::SeqCst);
                let part = usize::try_from(bytes.saturating_sub(before)).unwrap_or(0).min(piece.len());
                let _ = to.write_all(&piece[..part]);
                Carried::End
            }
            Fault::LoseAnswer if !is_up => {
                self.strike();
                Carried::End
            }
            Fault::ResetAfter(_) | Fault::LoseAnswer => written(to.write_all(piece)),
            Fault::HalfOpen => {
                if is_up {
                    let _ = to.shutdown(Shutdown::Both);
                }
                Carried::Swallowed
            }
            Fault::Blackhole => Carried::Swallowed,
            Fault::Refuse => Carried::End,
        }
    }

    /// So many bytes a second for as long as the fault holds; what is left then is lost with its connection.
    fn trickle(&self, piece: &[u8], to: &mut TcpStream, bytes: u64) -> Carried {
        for byte in piece.chunks(1) {
            if !matches!(self.fault(), Fault::Slow(_)) || to.write_all(byte).is_err() {
                return Carried::End;
            }
            thread::sleep(Duration::from_micros(1_000_000 / bytes.max(1)));
        }
        Carried::On
    }

    fn reset_all(&self) {
        for stream in self.open.lock().expect("no holder panics").drain(..) {
            reset(&stream);
        }
    }
}

fn written(result: std::io::Result<()>) -> Carried {
    if result.is_ok() { Carried::On } else { Carried::End }
}

/// Ends a connection without a goodbye: what it still holds is thrown away (RST).
fn reset(stream: &TcpStream) {
    // A stream that has ended by itself cannot be reset, and need not be.
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Both);
}
