//! A receiver of webhooks on loopback, that remembers what it took.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;

use crate::{Collector, program, wait_for};

const SOON: Duration = Duration::from_secs(30);
/// Signs what goes to it.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Its address, for the book.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/hook")
}

/// Lets a collector, which does not serve yet, tell a receiver on loopback by the secret `desk`.
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
    taken: Arc<Mutex<Vec<Message>>>,
    answer: Arc<Mutex<String>>,
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its `webhook-id`: the same for each try.
    pub id: String,
    /// What it says.
    pub body: Value,
}

impl Receiver {
    /// One that takes everything.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        let (taken, answer) = (Arc::<Mutex<Vec<Message>>>::default(), Arc::new(Mutex::new("200 OK".to_owned())));
        let (keep, say) = (Arc::clone(&taken), Arc::clone(&answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let (mut length, mut id, mut line) = (0, String::new(), String::new());
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
                    match line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())) {
                        Some((name, value)) if name == "content-length" => length = value.parse().unwrap_or(0),
                        Some((name, value)) if name == "webhook-id" => value.clone_into(&mut id),
                        Some(_) | None => {}
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
                    keep.lock().expect("nobody panicked").push(Message { id, body });
                }
                let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                // Who closed meanwhile has had his answer.
                let _ = reader.get_mut().write_all(head.as_bytes());
            }
        });
        Self { port, taken, answer }
    }

    /// From here on it answers so.
    pub fn answer(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().expect("nobody panicked"));
    }

    /// All that it took.
    pub fn all(&self) -> Vec<Message> {
        self.taken.lock().expect("nobody panicked").clone()
    }

    /// What the first message of this kind says.
    pub fn message(&self, kind: &str) -> Value {
        wait_for("the receiver has the message", SOON, || {
            let taken = self.taken.lock().expect("nobody panicked");
            taken.iter().find(|message| message.body["type"] == kind).map(|message| message.body["data"].clone())
        })
    }

    /// The ids of the messages of this kind, one for each time that it came.
    pub fn ids(&self, kind: &str) -> Vec<String> {
        let of_kind = self.all().into_iter().filter(|message| message.body["type"] == kind);
        of_kind.map(|message| message.id).collect()
    }
}
