//! A line to the server that can be cut at the worst moment: bytes pass as they are until an answer is to be lost.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    thread,
};

/// A line that may lose an answer.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) port: u16,
    answers_left: Arc<AtomicI32>,
}

impl Proxy {
    /// Listens on a free port of loopback, for as long as the process runs.
    pub(super) fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers_left = Arc::new(AtomicI32::new(i32::MAX));
        let proxy = Self { port, answers_left: Arc::clone(&answers_left) };
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, answers_left) = (client.unwrap(), Arc::clone(&answers_left));
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(from, to, || true));
                thread::spawn(move || pass(server, client, || answer_passes(&answers_left)));
            }
        });
        proxy
    }

    /// After so many answers the next one is lost, and its line with it; later lines are whole.
    pub(super) fn lose_the_answer_after(&self, answers: i32) {
        self.answers_left.store(answers, Ordering::SeqCst);
    }
}

fn answer_passes(left: &AtomicI32) -> bool {
    match left.load(Ordering::SeqCst) {
        i32::MAX => true,
        0 => {
            left.store(i32::MAX, Ordering::SeqCst);
            false
        }
        some => {
            left.store(some - 1, Ordering::SeqCst);
            true
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, passes: impl Fn() -> bool) {
    let mut buffer = [0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !passes() || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // One end that is gone ends the other.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
