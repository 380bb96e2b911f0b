//! A line to the server that can be cut at the worst moment, and that counts how often it is asked: bytes pass as they are
//! until it falls silent. The desk's tests use this file too.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A line that may lose answers.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_silent: AtomicBool,
    turns: AtomicU64,
    hold_ms: AtomicU64,
    ends: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a free port of loopback, for as long as the process runs.
    pub(super) fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), shared: Arc::default() };
        let shared = Arc::clone(&proxy.shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                join(client.unwrap(), TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap(), &shared);
            }
        });
        proxy
    }

    /// How often a client began to speak after the server had answered: each is a way there and back. What is sent
    /// together and comes in pieces, as it does on a busy machine, counts once where answers are held back for longer than
    /// pieces are apart.
    pub(super) fn turns(&self) -> u64 {
        self.shared.turns.load(Ordering::SeqCst)
    }

    /// From now on an answer waits until its client has said nothing for so long.
    pub(super) fn hold_back(&self, pause: Duration) {
        self.shared.hold_ms.store(pause.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// No answer gets through any more.
    pub(super) fn fall_silent(&self) {
        self.shared.is_silent.store(true, Ordering::SeqCst);
    }

    /// Cuts all lines; later ones are whole.
    pub(super) fn cut(&self) {
        for end in self.shared.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
        self.shared.is_silent.store(false, Ordering::SeqCst);
    }
}

fn join(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    shared.ends.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (up, down) = (Arc::clone(shared), Arc::clone(shared));
    // When the client last said something, and whether that was since it was last answered.
    let talk = Arc::new(Mutex::new((Instant::now(), false)));
    let said = Arc::clone(&talk);
    thread::spawn(move || {
        pass(from, to, || {
            let (_, was_asking) = std::mem::replace(&mut *said.lock().unwrap(), (Instant::now(), true));
            up.turns.fetch_add(u64::from(!was_asking), Ordering::SeqCst);
            true
        });
    });
    thread::spawn(move || {
        pass(server, client, || {
            let hold = Duration::from_millis(down.hold_ms.load(Ordering::SeqCst));
            loop {
                let mut talk = talk.lock().unwrap();
                let Some(rest) = hold.checked_sub(talk.0.elapsed()).filter(|rest| !rest.is_zero()) else {
                    talk.1 = false;
                    break;
                };
                drop(talk);
                thread::sleep(rest);
            }
            !down.is_silent.load(Ordering::SeqCst)
        });
    });
}

fn pass(mut from: TcpStream, mut to: TcpStream, passes: impl Fn() -> bool) {
    let mut buffer = [0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if passes() && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // One end that is gone ends the other.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
