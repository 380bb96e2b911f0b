//! `secret`: set, listed and removed on this host, sealed by a provider, used by the running agent, and shown to nobody.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use upheld_model::{
    CheckSpec, ProbeSpec,
    check::{HttpAuth, HttpScheme, HttpTrust},
};

use crate::{Host, collector::Collector, mode};

/// What must not be found anywhere but in the one file.
const CANARY: &str = "canary-7bL2-woodpecker";

/// A page on loopback for whoever logs in as `viewer` with `password`.
fn page_for(password: &str) -> u16 {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let login = format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("viewer:{password}")));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let status = if String::from_utf8_lossy(&head).contains(&login) { "200 OK" } else { "401 No" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        }
    });
    port
}

fn http_check(port: u16) -> CheckSpec {
    let auth = HttpAuth {
        scheme: HttpScheme::Basic { user: "viewer".to_owned() },
        secret: "nvr-web".parse().unwrap(),
        trust: HttpTrust::Certificate,
    };
    let url = format!("http://127.0.0.1:{port}/");
    let probe = ProbeSpec::NetHttp { url, status: None, tls_warn_days: 21, tls_bad_days: 7, auth: Some(auth) };
    let check = CheckSpec::with_defaults("nvr-02/net.http".parse().unwrap(), probe);
    CheckSpec { every_ms: 1_000, timeout_ms: 900, fail_after: 1, recover_after: 1, stale_after_ms: 5_000, ..check }
}

fn enrolled(collector: &Collector, port: u16) -> Host {
    collector.state().config = vec![http_check(port)];
    let host = Host::enrolled(collector);
    fs::write(host.path("allow.toml"), format!("loopback_ports = [{port}]\n")).unwrap();
    host
}

/// How the one check stands: its state, and the reason of an unknown one.
fn stands(host: &Host, state: &str, reason: Option<&str>) {
    host.wait_for_status(&format!("the check is {state} ({reason:?})"), |status| {
        let check = &status["checks"][0];
        let is_so = check["state"] == state && reason.is_none_or(|reason| check["reason"] == reason);
        is_so.then_some(())
    });
}

/// Every file beneath the state folder but `but`, and the log.
fn holds_canary(host: &Host, but: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![host.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let has = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
                if has && !but.contains(&name.as_str()) {
                    found.push(name);
                }
            }
        }
    }
    found
}

#[test]
fn security_4_a_secret_is_read_from_standard_input_kept_private_and_never_shown() {
    let host = Host::new();
    let ended = host.agent_given(&["secret", "set", "nvr-web"], &format!("{CANARY}\n"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains("No agent runs here"), "{}", ended.out);
    assert_eq!((mode(&host.state()), mode(&host.path("state/secrets.json"))), (0o700, 0o600));
    let kept = fs::read_to_string(host.path("state/secrets.json")).unwrap();
    assert!(kept.contains(&format!("{CANARY}\"")), "without its line break: {kept}");
    for arguments in [&["secret", "list"][..], &["secret", "list", "--json"], &["status"], &["doctor"]] {
        let said = host.agent(arguments);
        assert!(!format!("{}{}", said.out, said.err).contains(CANARY), "{arguments:?}");
    }
    let listed = host.agent(&["secret", "list", "--json"]).json();
    let line = &listed["secrets"][0];
    assert_eq!((line["name"].as_str(), line["from"].as_str()), (Some("nvr-web"), Some("host")));
    assert_eq!(host.agent(&["secret", "remove", "nvr-web"]).code, Some(0));
    let gone = host.agent(&["secret", "remove", "nvr-web"]);
    assert!(gone.code == Some(1) && gone.err.contains("no secret nvr-web"), "{}", gone.err);
    assert_eq!(holds_canary(&host, &[]), [""; 0]);
}

#[test]
fn hostile_names_and_values_are_refused_and_change_nothing() {
    let host = Host::new();
    for name in ["..", "../x", "a/b", "a b", "a\u{1b}[2J", "", "-x", "é", &"x".repeat(65)] {
        let ended = host.agent_given(&["secret", "set", name], "x");
        assert_eq!(ended.code, Some(2), "{name:?} {}", ended.err);
        assert!(!ended.err.contains('\u{1b}'), "{:?}", ended.err);
    }
    let as_argument = host.agent_given(&["secret", "set", "nvr-web", CANARY], "x");
    assert_eq!(as_argument.code, Some(2), "a value is no argument: {}", as_argument.err);
    for (value, why) in
        [("", "empty"), ("\n", "empty"), ("a\nb", "second line"), ("a\0", "control"), ("\u{7f}", "control")]
            .into_iter()
            .map(|(value, why)| (value.to_owned(), why))
            .chain([("x".repeat(4097), "4096")])
    {
        let ended = host.agent_given(&["secret", "set", "nvr-web"], &value);
        assert!(ended.code == Some(1) && ended.err.contains(why), "{:?}: {}", ended.code, ended.err);
    }
    assert!(!host.path("state/secrets.json").exists());
}

#[test]
fn a_running_agent_takes_a_secret_up_and_puts_it_down_without_a_restart() {
    let collector = Collector::start();
    let mut host = enrolled(&collector, page_for(CANARY));
    host.run();
    stands(&host, "unknown", Some("secret-missing"));
    let listed = host.agent(&["secret", "list"]).out;
    assert!(listed.contains("MISSING") && listed.contains("upheld-agent secret set nvr-web"), "{listed}");
    let now = host.agent(&["check", "now"]).out;
    assert!(now.contains("unknown (secret missing)") && now.contains("upheld-agent secret set nvr-web"), "{now}");

    let doctor = host.agent(&["doctor"]).out;
    let wrong = "WRONG  the secret nvr-web is not on this host";
    assert!(doctor.contains(wrong) && doctor.contains("do: upheld-agent secret set nvr-web"), "{doctor}");

    let set = host.agent_given(&["secret", "set", "nvr-web"], CANARY);
    assert!(set.out.contains("running agent uses it") && set.out.contains("nvr-02/net.http"), "{}{}", set.out, set.err);
    stands(&host, "ok", None);
    assert!(host.agent(&["check", "now"]).out.contains(" ok "));
    let doctor = host.agent(&["doctor"]).out;
    assert!(doctor.contains("each of the 1 that checks name is here") && !doctor.contains(CANARY), "{doctor}");
    let sends = host.agent(&["status", "--sends"]).out;
    assert!(sends.contains("the secret nvr-web") && !sends.contains(CANARY), "{sends}");

    host.agent_given(&["secret", "set", "nvr-web"], "another-word");
    stands(&host, "unknown", Some("credentials"));
    assert_eq!(host.agent(&["secret", "remove", "nvr-web"]).code, Some(0));
    stands(&host, "unknown", Some("secret-missing"));
    assert_eq!(host.end("-TERM"), Some(0));
    assert_eq!(holds_canary(&host, &[]), [""; 0]);
    let told = {
        let state = collector.state();
        format!("{:?}{:?}", state.samples, state.events)
    };
    assert!(told.contains("upheld-agent secret set nvr-web") && !told.contains(CANARY));
    assert!(!host.log().contains("ERROR"), "{}", host.log());
}

#[test]
fn what_the_provider_sealed_is_fetched_opened_in_memory_and_given_back() {
    let collector = Collector::start();
    let mut host = enrolled(&collector, page_for(CANARY));
    host.run();
    stands(&host, "unknown", Some("secret-missing"));
    assert!(!collector.state().requests.iter().any(|path| path == "/v1/secrets"), "an older collector is not asked");

    collector.state().secrets = Some((1, [("nvr-web", CANARY)].into()));
    stands(&host, "ok", None);
    assert_eq!(mode(&host.path("state/sealing.key")), 0o600);
    assert_eq!(mode(&host.path("state/sealed.json")), 0o600);
    let listed = host.agent(&["secret", "list", "--json"]).json();
    assert_eq!(listed["secrets"][0]["from"], "provider");
    let not_ours = host.agent(&["secret", "remove", "nvr-web"]);
    assert!(not_ours.err.contains("upheld-collector secret remove"), "{}", not_ours.err);

    // Alone and after a restart it is still there.
    collector.state().is_deaf = true;
    assert_eq!(host.end("-KILL"), None);
    host.run();
    stands(&host, "ok", None);
    collector.state().is_deaf = false;

    // One of this host goes before it.
    host.agent_given(&["secret", "set", "nvr-web"], "another-word");
    stands(&host, "unknown", Some("credentials"));
    assert!(host.agent(&["secret", "list"]).out.contains("before the provider's"));
    host.agent(&["secret", "remove", "nvr-web"]);
    stands(&host, "ok", None);

    collector.state().secrets = Some((2, [].into()));
    stands(&host, "unknown", Some("secret-missing"));
    let asked = collector.state().requests.iter().filter(|path| *path == "/v1/secrets").count();
    assert!((2..=3).contains(&asked), "asked {asked} times");
    assert_eq!(host.end("-TERM"), Some(0));
    assert_eq!(holds_canary(&host, &[]), [""; 0]);
}

#[test]
fn a_damaged_file_is_said_and_hides_nothing_but_secrets() {
    let collector = Collector::start();
    let mut host = enrolled(&collector, page_for(CANARY));
    host.agent_given(&["secret", "set", "nvr-web"], CANARY);
    fs::write(host.path("state/secrets.json"), format!("{{\"x\":\"{CANARY}")).unwrap();
    host.run();
    stands(&host, "unknown", Some("secret-missing"));
    let ailments = host.wait_for_status("it is an ailment", |status| {
        let text = status["ailments"].to_string();
        text.contains("secrets.json").then_some(text)
    });
    let set = host.agent_given(&["secret", "set", "nvr-web"], CANARY);
    assert!(set.code == Some(78) && set.err.contains("mv "), "{}", set.err);
    host.end("-TERM");
    assert!(!format!("{ailments}{}{}", set.err, host.log()).contains(CANARY));
    assert_eq!(holds_canary(&host, &["secrets.json"]), [""; 0]);
}
