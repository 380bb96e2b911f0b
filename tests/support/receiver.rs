//! A receiver of webhooks on loopback, that remembers what it took and can be asked for it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
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

/// Where it can be asked whether it has a message, for the book.
pub fn look_up(port: u16) -> String {
    format!("http://127.0.0.1:{port}/tickets?external_ref={{reference}}")
}

/// Says in a book, whose channel is signed by the secret `desk`, where the receiver can be asked.
pub fn can_be_asked(book: &Path, port: u16) {
    let provider = book.join("provider.toml");
    let text = std::fs::read_to_string(&provider).expect("the book");
    let look_up = format!("secret = \"desk\", look_up = \"{}\"", look_up(port));
    std::fs::write(&provider, text.replace("secret = \"desk\"", &look_up)).expect("writing the book");
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
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<String>>,
}

/// Holds the answer to a message back.
pub struct Held {
    has_it: mpsc::Receiver<()>,
    go: Sender<()>,
}

impl Held {
    /// Waits until the receiver has the first message, which it has not answered.
    pub fn has_it(&self) {
        self.has_it.recv_timeout(Duration::from_secs(60)).expect("the receiver has the message");
    }

    /// Lets it answer; whoever has died meanwhile hears nothing.
    pub fn go(&self) {
        self.go.send(()).expect("the receiver goes on");
    }
}

/// A message that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its `webhook-id`: the same for each try.
    pub id: String,
    /// What it says.
    pub body: Value,
    /// The same as it came.
    pub raw: String,
}

impl Receiver {
    /// One that takes everything.
    pub fn start() -> Self {
        Self::serve(None)
    }

    /// The same, but the answer to its first message waits until the test lets it go.
    pub fn holding() -> (Self, Held) {
        let ((tell, has_it), (go, going)) = (mpsc::channel(), mpsc::channel());
        (Self::serve(Some((tell, going))), Held { has_it, go })
    }

    fn serve(mut hold: Option<(Sender<()>, mpsc::Receiver<()>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        let (taken, asked) = (Arc::<Mutex<Vec<Message>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let answer = Arc::new(Mutex::new("200 OK".to_owned()));
        let (keep, note, say) = (Arc::clone(&taken), Arc::clone(&asked), Arc::clone(&answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let Some((line, message)) = read(&mut reader) else { continue };
                let answer = say.lock().expect("nobody panicked").clone();
                let mut content = String::new();
                if let Some(reference) = line.strip_prefix("GET /tickets?external_ref=") {
                    let reference = reference.split(' ').next().unwrap_or_default();
                    note.lock().expect("nobody panicked").push(reference.to_owned());
                    let has_it = keep.lock().expect("nobody panicked").iter().any(|message| message.id == reference);
                    content = if has_it { format!("[{{\"external_ref\": \"{reference}\"}}]") } else { "[]".to_owned() };
                } else if answer.starts_with("200") {
                    keep.lock().expect("nobody panicked").push(message);
                    if let Some((tell, going)) = hold.take() {
                        // A test that has ended waits for nothing.
                        let _ = tell.send(()).map(|()| going.recv());
                    }
                }
                let head =
                    format!("HTTP/1.1 {answer}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", content.len());
                // Who closed meanwhile has had his answer.
                let _ = reader.get_mut().write_all(format!("{head}{content}").as_bytes());
            }
        });
        Self { port, taken, asked, answer }
    }

    /// The ids that it was asked for, one for each time.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
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

    /// The same of clients' incidents. A database that is away for twenty seconds is the collector's own trouble, which is an
    /// incident too: of the reserved client that no book may name.
    pub fn ids_of_clients(&self, kind: &str) -> Vec<String> {
        let is_a_clients = |message: &Message| {
            let of = message.body["data"]["incident"].as_str().expect("whose incident it is");
            !of.starts_with("collector/")
        };
        let of_kind = self.all().into_iter().filter(|message| message.body["type"] == kind);
        of_kind.filter(is_a_clients).map(|message| message.id).collect()
    }
}

/// The first line of a request, and what it brings.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, Message)> {
    let (mut first, mut length, mut id, mut line) = (String::new(), 0, String::new(), String::new());
    reader.read_line(&mut first).ok()?;
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
        match line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())) {
            Some((name, value)) if name == "content-length" => length = value.parse().unwrap_or(0),
            Some((name, value)) if name == "webhook-id" => value.clone_into(&mut id),
            Some(_) | None => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let raw = String::from_utf8(body).ok()?;
    Some((first, Message { id, body: serde_json::from_str(&raw).unwrap_or_default(), raw }))
}
