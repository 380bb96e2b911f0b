//! Mail with the real collector and a real mail server, which reads each mail with a parser of its own.

use std::{path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use upheld_desk::{Desk, Secret, Secrets, deliverer::Channels};
use upheld_outbound::notify::mail::{HostRule, Mail, MailConfig, Tls};
use upheld_tests::{
    Collector, book,
    book::{CLIENT, SITE},
    program,
    sink::{Sink, SinkTls},
    wait_for,
};

const LONG: Duration = Duration::from_secs(60);
const DESK: &str = "desk@provider.example";
const OWNER: &str = "owner@northgate.example";

/// A book whose desk is told by mail, and one of the client's people.
fn write_book(collector: &Collector) {
    let folder = collector.folder().join("book");
    let asset =
        |id: &str| format!("\n[[asset]]\nid = \"{id}\"\nclass = \"server\"\nchecks = [{{ kind = \"host\" }}]\n");
    book::write_book(&folder, &(asset("srv-1") + &asset("srv-2")), None);
    let provider = folder.join("provider.toml");
    let text = std::fs::read_to_string(&provider).unwrap();
    let channels = format!(
        "\n[channels.desk]\nmail = \"{DESK}\"\n\n[channels.second]\nmail = {{ to = \"second@provider.example\", of = [\"hand-over\"] }}\n"
    );
    std::fs::write(&provider, format!("{text}{channels}")).unwrap();
    let client = format!("name = \"Northgate Foods\"\n\n[mail]\nowner = \"{OWNER}\"\n");
    std::fs::write(folder.join(format!("clients/{CLIENT}/client.toml")), client).unwrap();
    collector.apply(&folder);
}

/// Writes `[mail]` for a server.
fn set_mail(collector: &Collector, sink: &Sink, keys: &str) {
    let file = collector.data().join("collector.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .split("\n[mail]")
        .next()
        .unwrap()
        .replace("webhook_private_hosts = []", "webhook_private_hosts = [\"127.0.0.1\"]");
    let mail = format!(
        "{text}\n[mail]\nserver = \"127.0.0.1\"\nport = {}\nfrom = \"Example Integrators <upheld@collector.example>\"\n\
         reply_to = \"dispatch@provider.example\"\n{keys}\n",
        sink.port
    );
    std::fs::write(&file, mail).unwrap();
}

/// Somebody calls; the collector may run or not.
fn report(collector: &Collector, asset: &str, text: &str) -> Value {
    collector.cli_json(&["report-problem", CLIENT, SITE, "--asset", asset, "--text", text, "--by", "plant manager"])
}

fn to<'a>(mails: &'a [Value], who: &str) -> Vec<&'a Value> {
    mails.iter().filter(|mail| mail["to"][0] == who).collect()
}

#[test]
fn security_31_starttls_tls_and_both_log_ins_reach_a_real_server_and_nothing_less_is_accepted() {
    let collector = Collector::new();
    write_book(&collector);
    let ways = [
        ("starttls", SinkTls::StartTls, "PLAIN"),
        ("starttls", SinkTls::StartTls, "LOGIN"),
        ("implicit", SinkTls::Implicit, "PLAIN"),
        ("implicit", SinkTls::Implicit, "LOGIN"),
    ];
    for (tls, kind, mechanism) in ways {
        let name = format!("{tls} {mechanism}");
        let mut sink = Sink::new(&collector.folder().join(&name), kind, Some(("upheld", "p4ss w\u{f6}rd", mechanism)));
        sink.serve();
        std::fs::write(collector.data().join("secrets.toml"), "mail = \"p4ss w\u{f6}rd\"\n").unwrap();
        std::fs::copy(sink.root(), collector.data().join("mail-ca.pem")).unwrap();
        set_mail(&collector, &sink, &format!("tls = \"{tls}\"\nuser = \"upheld\"\nroot = \"mail-ca.pem\""));
        let tested = collector.cli_json(&["notify", "test", "desk:mail"]);
        let way = &tested["ways"][0];
        assert_eq!(way["outcome"], "delivered", "{name}: {tested}");
        assert!(way["said"].as_str().unwrap().starts_with("250 2.0.0 ok: queued as "), "{name}: {tested}");
        let mail = &sink.mails()[0];
        assert_eq!((&mail["tls"], &mail["user"]), (&Value::Bool(true), &Value::from("upheld")), "{name}");
        assert_eq!(sink.logins()[0]["mechanism"], mechanism, "{name}");
        assert!(mail["headers"]["Subject"].as_str().unwrap().contains("nothing has happened"), "{mail}");

        std::fs::write(collector.data().join("secrets.toml"), "mail = \"wrong\"\n").unwrap();
        let (code, out, err) = program::run(&mut collector.command(&["notify", "test", "desk:mail"]));
        assert!(code == Some(1) && out.contains("did not let us log in: 535"), "{name}: {out}{err}");
        set_mail(&collector, &sink, &format!("tls = \"{tls}\"\nuser = \"upheld\""));
        let (code, out, _) = program::run(&mut collector.command(&["notify", "test", "desk:mail"]));
        assert!(code == Some(1) && out.contains("certificate"), "{name}: a root that nobody trusts: {out}");
        assert_eq!(sink.mails().len(), 1, "{name}: nothing else was said");
    }
    // A server that offers no TLS is told nothing, not even who we are.
    let mut plain = Sink::new(&collector.folder().join("plain"), SinkTls::None, None);
    plain.serve();
    set_mail(&collector, &plain, "");
    let (_, out, _) = program::run(&mut collector.command(&["notify", "test", "desk:mail"]));
    assert!(out.contains("does not offer STARTTLS"), "{out}");
    set_mail(&collector, &plain, "tls = \"none-for-loopback\"");
    assert_eq!(collector.cli_json(&["notify", "test", "desk:mail"])["ways"][0]["outcome"], "delivered");
    assert_eq!(plain.mails().len(), 1);
}

#[test]
fn an_incident_is_mailed_once_to_each_and_reads_as_queue_page_api_and_explain_do() {
    let mut collector = Collector::new();
    write_book(&collector);
    let mut sink = Sink::new(&collector.folder().join("sink"), SinkTls::StartTls, None);
    sink.serve();
    std::fs::copy(sink.root(), collector.data().join("mail-ca.pem")).unwrap();
    set_mail(&collector, &sink, "root = \"mail-ca.pem\"");
    sink.behaves("data 450 4.3.0 busy\n");
    collector.serve();
    report(&collector, "srv-1", "no picture <b>\u{202e}at\r\nBcc: all@example.test");
    // Busy twice over: to each address, and again.
    let first = wait_for("both were tried twice", LONG, || Some(sink.tried()).filter(|tried| tried.len() >= 4));
    sink.behaves("");
    wait_for("both are told", LONG, || (sink.mails().len() == 2).then_some(()));
    let mails = sink.mails();
    assert_eq!((to(&mails, DESK).len(), to(&mails, OWNER).len()), (1, 1));
    for mail in &mails {
        let id = mail["headers"]["Message-ID"].as_str().unwrap();
        assert!(first.iter().any(|tried| tried["message_id"] == id && tried["answered"] == "450 4.3.0 busy"), "{id}");
        assert_eq!(mail["defects"], Value::Array(vec![]), "{mail}");
        assert_eq!(mail["parts"], serde_json::json!(["multipart/alternative", "text/plain", "text/html"]));
        assert_eq!(mail["headers"]["From"], "Example Integrators <upheld@collector.example>");
        assert_eq!(mail["headers"]["Reply-To"], "dispatch@provider.example");
        assert_eq!(mail["headers"]["Auto-Submitted"], "auto-generated");
        assert!(mail["headers"].get("Bcc").is_none(), "a report makes no header");
        let subject = mail["headers"]["Subject"].as_str().unwrap();
        assert!(subject.starts_with("New: response due ") && subject.ends_with("[northgate/INC-1]"), "{subject}");
        let html = mail["html"].as_str().unwrap();
        assert!(!html.contains("<b>") && !html.contains("http://") && !html.contains("<img"), "{html}");
    }
    // The words of the clock, asked of each place for the instant that the mail names.
    let text = to(&mails, DESK)[0]["text"].as_str().unwrap().replace("\r\n", "\n");
    let asked = text.lines().find_map(|line| line.split_once("--at ")).expect("the command").1.trim_end_matches(')');
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Clock: ")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    let explained = program::run(&mut collector.command(&["explain", "northgate/INC-1", "--at", asked])).1;
    let json = collector.cli_json(&["explain", "northgate/INC-1", "--at", asked]);
    for (at, line) in lines.iter().enumerate() {
        assert!(explained.lines().any(|one| one == *line), "explain: {line}\n{explained}");
        assert_eq!(json["incident"]["clocks"][at]["said"]["line"], *line);
    }
    assert!(
        text.contains(explained.split_once("\n\n").unwrap().1.trim_end()),
        "minute by minute:\n{text}\n---\n{explained}"
    );
    let told: Vec<Value> = json["incident"]["deliveries"].as_array().unwrap().clone();
    assert!(told.iter().all(|one| one["status"] == "delivered" && one["attempts"].as_u64().unwrap() >= 3), "{told:?}");
    assert!(told[0]["reference"].as_str().unwrap().contains("queued as"), "{told:?}");
    collector.program().assert_no_errors();
}

#[test]
fn a_refused_address_is_a_warning_shown_and_told_elsewhere_and_no_mail_server_is_said_everywhere() {
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    write_book(&collector);
    let (_, checked, said) = program::run(&mut collector.command(&["book", "check", folder.to_str().unwrap()]));
    assert!(checked.contains("collector.toml has no [mail]"), "{checked}{said}");
    assert_eq!(collector.cli_json(&["book", "check", folder.to_str().unwrap()])["lacks_mail_server"], true);
    collector.serve();
    report(&collector, "srv-1", "no picture");
    let waits = wait_for("the mail waits and says for what", LONG, || {
        let told = &collector.cli_json(&["explain", "northgate/INC-1"])["incident"]["deliveries"];
        Some(told[0].clone()).filter(|one| one["last_error"].is_string())
    });
    assert_eq!((&waits["status"], &waits["attempts"]), (&Value::from("pending"), &Value::from(0)), "{waits}");
    assert!(collector.program().log_text().contains("collector.toml has no [mail]"));
    collector.kill();

    let mut sink = Sink::new(&collector.folder().join("sink"), SinkTls::None, None);
    sink.serve();
    sink.behaves(&format!("rcpt {OWNER} 550 5.1.1 no such user\n"));
    set_mail(&collector, &sink, "tls = \"none-for-loopback\"");
    assert_eq!(collector.cli_json(&["book", "check", folder.to_str().unwrap()])["lacks_mail_server"], false);
    collector.serve();
    // Whoever waits looks again after five minutes at the latest; a new incident is told at once.
    report(&collector, "srv-2", "no sound either");
    let refused = wait_for("the refusal is stored", LONG, || {
        let told = collector.cli_json(&["explain", "northgate/INC-2"])["incident"]["deliveries"].clone();
        told.as_array()
            .unwrap()
            .iter()
            .find(|one| one["channel"] == "client/owner:mail" && one["status"] == "failed")
            .cloned()
    });
    assert!(refused["last_error"].as_str().unwrap().contains("no such user"), "{refused}");
    wait_for("the provider is told", LONG, || {
        let mails = sink.mails();
        // Each of his addresses is, in whatever order.
        let told = |mail: &&Value| mail["headers"]["X-Upheld-Event"] == "delivery.failed" && mail["to"][0] == DESK;
        mails.iter().find(told).map(|mail| {
            assert!(mail["text"].as_str().unwrap().contains("no such user"), "{mail}");
        })
    });
    let log = collector.program().log_text();
    assert!(log.contains("a mail was refused for good") && !log.contains(OWNER), "{log}");
    collector.program().assert_no_errors();
}

#[test]
fn wrong_settings_stop_the_collector_with_the_key_and_what_to_write() {
    let collector = Collector::new();
    let sink = Sink::new(&collector.folder().join("sink"), SinkTls::None, None);
    for (keys, said) in [
        ("tls = \"startls\"", "did you mean \"starttls\"?"),
        ("usr = \"upheld\"", "write user where it says usr"),
        ("user = \"upheld\"", "has no mail"),
        ("user = \"upheld\"\npassword_file = \"/nowhere/mail\"", "/nowhere/mail"),
        ("root = \"none.pem\"", "none.pem cannot be read"),
    ] {
        set_mail(&collector, &sink, keys);
        let (code, _, err) = program::run(&mut collector.command(&["serve"]));
        assert!(code == Some(78) && err.contains(said), "{keys}: {code:?}\n{err}");
    }
}

/// No secret is asked for.
struct NoSecrets;

impl Secrets for NoSecrets {
    fn secret(&self, _: &str) -> Option<Secret> {
        None
    }
}

/// The desk of a collector that is stopped, to let hours pass in.
struct Hours {
    runtime: tokio::runtime::Runtime,
    desk: Desk,
    channels: Channels,
    now: Timestamp,
}

impl Hours {
    fn new(collector: &Collector, port: u16) -> Self {
        let mail = Mail::new(MailConfig {
            host: "127.0.0.1".to_owned(),
            port,
            tls: Tls::None,
            host_rule: HostRule::PrivateAllowed,
            root: None,
            login: None,
            from: "upheld@collector.example".to_owned(),
            reply_to: None,
            base: "https://collector.example".to_owned(),
            timeout: Duration::from_secs(2),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let desk = Desk::new(upheld_store::sqlite::open(&collector.database_file()).unwrap());
        let channels = Channels::new(["127.0.0.1".to_owned()]).with_mail(Some(mail.unwrap()));
        Self { runtime, desk, channels, now: Timestamp::now() + SignedDuration::from_secs(5) }
    }

    /// So many seconds pass, and what is due is tried.
    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        let once = self.desk.deliver_outbox_once("w-1", &self.channels, &NoSecrets, 100, self.now);
        assert_eq!(self.runtime.block_on(once).unwrap().failures, Vec::<String>::new());
    }
}

#[test]
fn a_server_that_is_away_for_hours_drops_hangs_and_loses_gets_each_mail_and_whoever_gets_it_twice_can_tell() {
    let collector = Collector::new();
    write_book(&collector);
    report(&collector, "srv-1", "no picture");
    let mut sink = Sink::new(&collector.folder().join("sink"), SinkTls::None, None);
    let mut hours = Hours::new(&collector, sink.port);
    // Eleven hours without a server.
    for _ in 0..40 {
        hours.pass(1_000);
    }
    assert!(sink.tried().is_empty());
    sink.serve();
    // It drops the line in the middle of the content: that certainly has not arrived.
    sink.behaves("drop\n");
    for _ in 0..3 {
        hours.pass(4_600);
    }
    assert!(sink.mails().is_empty() && sink.tried().len() >= 4, "{:?}", sink.tried());
    // It keeps the mail and never says so: nobody can tell, and it comes again, under the same name.
    sink.behaves("hang\n");
    hours.pass(4_600);
    sink.behaves("lose\n");
    hours.pass(4_600);
    sink.behaves("");
    for _ in 0..4 {
        hours.pass(4_600);
    }
    let mails = sink.mails();
    for who in [DESK, OWNER] {
        let copies = to(&mails, who);
        assert_eq!(copies.len(), 3, "twice nobody knew, once it was taken: {who}");
        assert!(copies.iter().all(|copy| copy["raw"] == copies[0]["raw"]), "the same to the letter");
    }
    let ids = |who: &str| to(&mails, who)[0]["headers"]["Message-ID"].clone();
    assert_ne!(ids(DESK), ids(OWNER));
    let told = collector.cli_json(&["explain", "northgate/INC-1"])["incident"]["deliveries"].clone();
    assert!(told.as_array().unwrap().iter().all(|one| one["status"] == "delivered"), "{told}");
}

#[test]
fn a_preview_is_written_into_a_file_and_says_what_is_missing() {
    let collector = Collector::new();
    write_book(&collector);
    let (code, _, err) = program::run(&mut collector.command(&["notify", "preview", "opened"]));
    assert!(code == Some(1) && err.contains("report-problem"), "{err}");
    report(&collector, "srv-1", "no picture");
    let out = collector.folder().join("mail.html");
    let file = out.to_str().unwrap();
    let preview = ["notify", "preview", "breached", "--client", CLIENT, "--html", "--out", file];
    assert_eq!(program::run(&mut collector.command(&preview)).0, Some(0));
    assert!(std::fs::read_to_string(&out).unwrap().starts_with("<!doctype html>"));
    let json = collector.cli_json(&["notify", "preview", "breached", "--client", CLIENT]);
    assert!(json["subject"].as_str().unwrap().starts_with("Missed: response overdue since "), "{json}");
    assert_eq!(json["html"].as_str().unwrap(), read(&out), "the same mail a moment later");
    let (code, _, err) = program::run(&mut collector.command(&["notify", "preview", "open"]));
    assert!(code == Some(2) && err.contains("opened"), "{err}");
    let (code, _, err) = program::run(&mut collector.command(&["notify", "test", "dusk"]));
    assert!(code == Some(1) && err.contains("it has desk:mail, second:mail"), "{err}");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
