//! A small mail server on loopback with the faults that real ones have; the real one is in `tests/e2e`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
};

use jiff::Timestamp;

use super::*;
use crate::EventKind;

/// What the server does when the content has come.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answers(&'static str),
    /// Refuses the receiver.
    RefusesReceiver(&'static str),
    Drops,
    DropsAtData,
    Hangs,
    HangsAtGreeting,
}

fn server(does: Does) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tx, rx) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(talk(stream, does, &tx));
        }
    });
    (port, rx)
}

fn talk(mut stream: TcpStream, does: Does, seen: &Sender<String>) -> std::io::Result<()> {
    if matches!(does, Does::HangsAtGreeting) {
        return stream.read_to_end(&mut Vec::new()).map(drop);
    }
    stream.write_all(b"220 sink\r\n")?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let answer = match (word.as_str(), does) {
            ("EHLO", _) => "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n",
            ("AUTH", _) => "535 5.7.8 you said AHVwaGVsZABtYWlsLXBhc3M=\r\n",
            ("RCPT", Does::RefusesReceiver(answer)) => answer,
            ("DATA", Does::DropsAtData) => return Ok(()),
            ("DATA", _) => {
                stream.write_all(b"354 go on\r\n")?;
                let mut content = String::new();
                while !content.ends_with("\r\n.\r\n") {
                    if reader.read_line(&mut content)? == 0 {
                        return Ok(());
                    }
                }
                let _ = seen.send(content);
                match does {
                    Does::Answers(answer) => answer,
                    Does::Hangs => return reader.read_to_end(&mut Vec::new()).map(drop),
                    Does::RefusesReceiver(_) | Does::Drops | Does::DropsAtData | Does::HangsAtGreeting => return Ok(()),
                }
            }
            ("QUIT", _) => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes())?;
    }
}

fn config(port: u16) -> MailConfig {
    MailConfig {
        host: "127.0.0.1".to_owned(),
        port,
        tls: Tls::None,
        host_rule: HostRule::PrivateAllowed,
        root: None,
        login: None,
        from: "upheld@collector.example".to_owned(),
        reply_to: None,
        base: "https://collector.example/".to_owned(),
        timeout: Duration::from_millis(900),
    }
}

fn letter() -> Letter {
    Letter {
        subject: "Missed: respond, P2: nvr-02 is down [northgate/INC-7]".to_owned(),
        lead: "The time to respond has passed: nvr-02 is down.".to_owned(),
        facts: vec![
            ("Client".to_owned(), "Northgate <Foods> & Sons".to_owned()),
            ("Said by the device".to_owned(), "\u{1b}[2Jno\u{202e}route<img src=http://x/>".to_owned()),
        ],
        listed: vec![Listed { text: "site A".to_owned(), path: Some("/i/northgate/INC-8".to_owned()) }],
        sections: vec![Section {
            heading: "The clocks".to_owned(),
            text: "Response clock: 1 h late\n  from   to\n  16:10  18:00  covered hours\n".to_owned(),
            is_prose: false,
        }],
        path: Some("/i/northgate/INC-7".to_owned()),
        thread: Some("upheld-thread-1".to_owned()),
    }
}

fn delivery(letter: &Letter) -> Delivery {
    let created: Timestamp = "2026-11-16T16:10:00Z".parse().unwrap();
    let body = serde_json::json!({ "letter": letter }).to_string();
    Delivery { key: "upheld-abc12345".parse().unwrap(), kind: EventKind::ClockBreached, body, created }
}

async fn send(does: Does) -> Outcome {
    let (port, _seen) = server(does);
    Mail::new(config(port)).unwrap().send(&delivery(&letter()), "desk@example.test").await
}

#[tokio::test]
async fn every_end_of_a_conversation_has_its_outcome() {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Delivered { .. } => "delivered",
        Outcome::Retry { .. } => "retry",
        Outcome::Permanent { .. } => "permanent",
        Outcome::Unclear { .. } => "unclear",
    };
    for (expected, does) in [
        ("delivered", Does::Answers("250 kept\r\n")),
        ("retry", Does::Answers("450 busy\r\n")),
        ("permanent", Does::Answers("550 never\r\n")),
        ("retry", Does::RefusesReceiver("450 greylisted\r\n")),
        ("permanent", Does::RefusesReceiver("550 no such user\r\n")),
        ("retry", Does::DropsAtData),
        ("retry", Does::HangsAtGreeting),
        ("unclear", Does::Drops),
        ("unclear", Does::Hangs),
        ("unclear", Does::Answers("what?\r\n")),
    ] {
        let started = std::time::Instant::now();
        let outcome = send(does).await;
        assert_eq!(word(&outcome), expected, "{does:?}: {outcome:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{does:?}: {:?}", started.elapsed());
    }
    let Outcome::Permanent { why } = send(Does::RefusesReceiver("550 no such user\r\n")).await else { panic!() };
    assert!(why.contains("no such user") && why.contains("the channel's address in the book"), "{why}");
}

#[tokio::test]
async fn what_the_server_says_on_taking_it_is_its_reference() {
    let taken = |reference: &str| Outcome::Delivered { reference: reference.to_owned(), known_as: None };
    assert_eq!(send(Does::Answers("250 2.0.0 queued as 4F\u{1b}2\r\n")).await, taken(r"250 2.0.0 queued as 4F\u{1b}2"));
    assert_eq!(send(Does::Answers("250 \r\n")).await, taken("<upheld-abc12345@collector.example>"));
}

#[test]
fn a_sender_may_have_a_name_and_another_address_for_answers() {
    let sender = super::Sender::new("Example Integrators <upheld@c.example>", Some("desk@c.example")).unwrap();
    let to = "desk@example.test".parse().unwrap();
    let eml = eml(&delivery(&letter()), &letter(), &sender, &to, "https://c.example").unwrap();
    let eml = String::from_utf8(eml).unwrap();
    for line in ["From: \"Example Integrators\" <upheld@c.example>", "Reply-To: desk@c.example"] {
        assert!(eml.lines().any(|one| one == line), "{line}: {eml}");
    }
    assert!(matches!(super::Sender::new("nobody", None), Err(MailError::From { .. })));
    assert!(matches!(super::Sender::new("a@b.example", Some("c")), Err(MailError::ReplyTo { .. })));
}

#[tokio::test]
async fn a_repetition_is_the_same_mail_byte_for_byte() {
    let (port, seen) = server(Does::Answers("450 busy\r\n"));
    for _ in 0..2 {
        Mail::new(config(port)).unwrap().send(&delivery(&letter()), "desk@example.test").await;
    }
    let first = seen.recv().unwrap();
    assert!(first.contains("Message-ID: <upheld-abc12345@collector.example>"), "{first}");
    assert_eq!(first, seen.recv().unwrap());
}

#[tokio::test]
async fn security_31_without_starttls_nothing_is_said() {
    let (port, seen) = server(Does::Answers("250 kept\r\n"));
    let mail = Mail::new(MailConfig { tls: Tls::StartTls, ..config(port) }).unwrap();
    let Outcome::Retry { why, .. } = mail.send(&delivery(&letter()), "desk@example.test").await else { panic!() };
    assert!(why.contains("does not offer STARTTLS"), "{why}");
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn security_31_a_private_server_is_not_even_connected_to_unless_it_was_allowed() {
    let (port, seen) = server(Does::Answers("250 kept\r\n"));
    let public = MailConfig { host_rule: HostRule::Public, tls: Tls::Implicit, ..config(port) };
    let outcome = Mail::new(public).unwrap().send(&delivery(&letter()), "desk@example.test").await;
    let Outcome::Permanent { why } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("administrator") && seen.try_recv().is_err(), "{why}");
    let plain = MailConfig { host_rule: HostRule::Public, ..config(port) };
    assert!(matches!(Mail::new(plain), Err(MailError::Plain { .. })));
    let far = MailConfig { host: "10.0.0.1".to_owned(), ..config(port) };
    let outcome = Mail::new(far).unwrap().send(&delivery(&letter()), "desk@example.test").await;
    let Outcome::Permanent { why } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("only TLS goes further"), "{why}");
}

#[tokio::test]
async fn a_refused_log_in_waits_for_a_person_and_repeats_no_secret() {
    let (port, _seen) = server(Does::Answers("250 kept\r\n"));
    let login = Some(Login { user: "upheld".to_owned(), password: "mail-pass".to_owned() });
    let mail = Mail::new(MailConfig { login, ..config(port) }).unwrap();
    assert!(!format!("{mail:?}").contains("mail-pass"));
    let Outcome::Retry { why, .. } = mail.send(&delivery(&letter()), "desk@example.test").await else { panic!() };
    assert!(why.contains("did not let us log in: 535") && !why.contains("AHVw"), "{why}");
}

#[test]
fn a_hostile_title_makes_no_header_and_no_line() {
    let hostile = Letter {
        subject: "down\r\nBcc: all@example.test\r\n\r\nhello\u{202e}".to_owned(),
        lead: "a\u{2028}b\rc".to_owned(),
        ..letter()
    };
    let from = super::Sender::new("upheld@collector.example", None).unwrap();
    let to = "desk@example.test".parse().unwrap();
    let eml = String::from_utf8(eml(&delivery(&hostile), &hostile, &from, &to, "https://c.example").unwrap()).unwrap();
    assert!(!eml.lines().any(|line| line.starts_with("Bcc:") || line == "hello"), "{eml}");
    let rendered = hostile.render("https://c.example").unwrap();
    assert_eq!(rendered.subject, r"down\u{d}\u{a}Bcc: all@example.test\u{d}\u{a}\u{d}\u{a}hello\u{202e}");
    assert!(rendered.text.starts_with(r"a\u{2028}b\u{d}c"), "{}", rendered.text);
}

#[test]
fn both_faces_say_the_same_and_load_nothing() {
    let rendered = letter().render("https://collector.example").unwrap();
    insta::assert_snapshot!("letter_text", rendered.text);
    insta::assert_snapshot!("letter_html", rendered.html);
    assert!(!rendered.html.contains("<img") && !rendered.html.contains("url("));
}
