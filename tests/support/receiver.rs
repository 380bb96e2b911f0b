//! Who takes a collector's webhooks, on loopback: a ticket system of a few lines that remembers what it was told.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;

use crate::{Collector, program, wait_for};

/// Signs what goes to it.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Takes messages, or answers with something else.
pub struct Receiver {
    /// Where it listens.
    pub port: u16,
    taken: Arc<Mutex<Vec<Value>>>,
    answer: Arc<Mutex<String>>,
}

/// Lets a collector that does not serve yet tell a receiver on loopback, by the secret `desk`.
pub fn allow(collector: &Collector) {
    let config = collector.data().join("collector.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let allowed = text.replace("webhook_private_hosts = []", "webhook_private_hosts = [\"127.0.0.1\"]");
    std::fs::write(&config, allowed).expect("writing the configuration");
    let secrets = collector.data().join("secrets.toml");
    program::write(&secrets, &format!("desk = \"{SECRET}\"\n"));
    std::fs::set_permissions(&secrets, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its owner's only");
}

impl Receiver {
    /// Begins to listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        let (taken, answer) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::new(Mutex::new("200 OK".to_owned())));
        let (keep, say) = (Arc::clone(&taken), Arc::clone(&answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap_or(0);
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_err() {
                    continue;
                }
                let answer = say.lock().expect("nobody panicked").clone();
                if answer.starts_with("200") {
                    keep.lock().expect("nobody panicked").push(serde_json::from_slice(&body).unwrap_or_default());
                }
                let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                // Who closed meanwhile has had his answer.
                let _ = reader.get_mut().write_all(head.as_bytes());
            }
        });
        Self { port, taken, answer }
    }

    /// Answers with this status from here on.
    pub fn answer(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().expect("nobody panicked"));
    }

    /// What the first message of this kind says.
    pub fn message(&self, kind: &str) -> Value {
        wait_for("the receiver has the message", Duration::from_secs(30), || {
            let taken = self.taken.lock().expect("nobody panicked");
            taken.iter().find(|message| message["type"] == kind).map(|message| message["data"].clone())
        })
    }

    /// Everything that it took, in order.
    pub fn taken(&self) -> Vec<Value> {
        self.taken.lock().expect("nobody panicked").clone()
    }
}
//! Who takes the provider's messages: a webhook's receiver on loopback.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;

use crate::{Collector, program, wait_for};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Its address, for the book.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/hook")
}

/// Lets a collector, which does not serve yet, reach a receiver whose secret is `desk`.
pub fn allow(collector: &Collector) {
    let config = collector.data().join("collector.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let allowed = text.replace("webhook_private_hosts = []", "webhook_private_hosts = [\"127.0.0.1\"]");
    std::fs::write(&config, allowed).expect("writing the configuration");
    let secrets = collector.data().join("secrets.toml");
    program::write(&secrets, &format!("desk = \"{SECRET}\"\n"));
    std::fs::set_permissions(&secrets, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its owner's only");
}

/// Takes messages, or answers with something else.
pub struct Receiver {
    /// Its port.
    pub port: u16,
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    answer: Arc<Mutex<String>>,
}

impl Receiver {
    /// One that takes all.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        let (taken, answer) =
            (Arc::<Mutex<Vec<(String, Value)>>>::default(), Arc::new(Mutex::new("200 OK".to_owned())));
        let (keep, say) = (Arc::clone(&taken), Arc::clone(&answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let (mut length, mut id) = (0, String::new());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap_or(0);
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("webhook-id:") {
                        value.trim().clone_into(&mut id);
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_err() {
                    continue;
                }
                let answer = say.lock().expect("nobody panicked").clone();
                if answer.starts_with("200") {
                    let body = serde_json::from_slice(&body).unwrap_or_default();
                    keep.lock().expect("nobody panicked").push((id, body));
                }
                let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                // Who closed meanwhile has had his answer.
                let _ = reader.get_mut().write_all(head.as_bytes());
            }
        });
        Self { port, taken, answer }
    }

    /// What it answers from now on, such as `503 Service Unavailable`.
    pub fn answer(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().expect("nobody panicked"));
    }

    /// What the first message of this kind says.
    pub fn message(&self, kind: &str) -> Value {
        wait_for("the receiver has the message", Duration::from_secs(30), || {
            let taken = self.taken.lock().expect("nobody panicked");
            taken.iter().find(|(_, message)| message["type"] == kind).map(|(_, message)| message["data"].clone())
        })
    }

    /// The ids of the messages of this kind, one for each time that it came.
    pub fn ids(&self, kind: &str) -> Vec<String> {
        let taken = self.taken.lock().expect("nobody panicked");
        taken.iter().filter(|(_, message)| message["type"] == kind).map(|(id, _)| id.clone()).collect()
    }
}
