//! The text of `allow.toml`, parsed once into [`AllowList`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use upheld_model::address::Place;

use super::{AllowError, AllowList, LogSource, PrivateSubnets, PublicHost, Subnet};

const KEYS: &[&str] = &[
    "private_subnets",
    "gateway",
    "resolvers",
    "collector",
    "loopback_ports",
    "loopback_echo",
    "public_hosts",
    "paths",
    "commands",
    "logs",
    "event_logs",
];

/// What may be read where the site says nothing: what every user of a Windows host may read.
pub(super) const EVENT_LOGS: [&str; 2] = ["System", "Application"];
/// The longest name of a log that Windows takes.
const EVENT_LOG_MAX: usize = 255;

/// So many logs.
const LOGS_MAX: usize = 64;
/// Places whose files are no logs, whatever they are called: what reads them asks the kernel or a device.
const NO_LOGS_IN: &[&str] = &["/proc", "/sys", "/dev"];
/// What the name of a unit of systemd ends with, and its longest.
const UNIT_KINDS: &[&str] =
    &["automount", "device", "mount", "path", "scope", "service", "slice", "socket", "swap", "target", "timer"];
const UNIT_MAX: usize = 255;
/// So many commands, words of one, and bytes of those.
const COMMANDS_MAX: usize = 64;
const WORDS_MAX: usize = 64;
const WORDS_BYTES_MAX: usize = 8 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    private_subnets: Option<RawSubnets>,
    gateway: Option<bool>,
    resolvers: Option<bool>,
    collector: Option<bool>,
    #[serde(default)]
    loopback_ports: Vec<u16>,
    #[serde(default)]
    loopback_echo: bool,
    #[serde(default)]
    public_hosts: Vec<String>,
    #[serde(default)]
    paths: Vec<PathBuf>,
    #[serde(default)]
    commands: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    logs: BTreeMap<String, LogSource>,
    event_logs: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "true, false, or a list of subnets such as [\"10.20.0.0/16\"]")]
enum RawSubnets {
    All(bool),
    Only(Vec<String>),
}

pub(super) fn parse(text: &str, path: &Path) -> Result<AllowList, AllowError> {
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let hint = unknown_key_hint(text);
        AllowError::Form { path: path.to_owned(), message: format!("{}{hint}", error.to_string().trim_end()) }
    })?;
    let refuse = |key, value: &str, why| AllowError::Value { path: path.to_owned(), key, value: value.to_owned(), why };
    if raw.loopback_ports.contains(&0) {
        return Err(refuse("loopback_ports", "0", "ports go from 1 to 65535"));
    }
    let private = match raw.private_subnets {
        None | Some(RawSubnets::All(true)) => PrivateSubnets::All,
        Some(RawSubnets::All(false)) => PrivateSubnets::None,
        Some(RawSubnets::Only(texts)) => {
            let read = |text: &String| subnet(text).map_err(|why| refuse("private_subnets", text, why));
            PrivateSubnets::Only(texts.iter().map(read).collect::<Result<_, _>>()?)
        }
    };
    let read = |text: &String| public_host(text).map_err(|why| refuse("public_hosts", text, why));
    let public_hosts = raw.public_hosts.iter().map(read).collect::<Result<_, _>>()?;
    if let Some(bad) = raw.paths.iter().find(|root| !is_plain_root(root)) {
        let why = "write an absolute folder without \".\" and \"..\", other than the root of the file system";
        return Err(refuse("paths", &bad.to_string_lossy(), why));
    }
    if raw.commands.len() > COMMANDS_MAX {
        return Err(refuse("commands", &raw.commands.len().to_string(), "at most 64 commands"));
    }
    if raw.logs.len() > LOGS_MAX {
        return Err(refuse("logs", &raw.logs.len().to_string(), "at most 64 logs"));
    }
    let event_logs = raw.event_logs.unwrap_or_else(|| EVENT_LOGS.map(str::to_owned).into());
    if let Some(bad) = event_logs.iter().find(|log| log.is_empty() || log.len() > EVENT_LOG_MAX) {
        return Err(refuse("event_logs", bad, "a log's name, as `wevtutil el` lists it, has 1 to 255 characters"));
    }
    for (name, words) in &raw.commands {
        is_name(name).map_err(|why| refuse("commands", name, why))?;
        is_command(words).map_err(|why| refuse("commands", name, why))?;
    }
    let logs = raw.logs.into_iter().map(|(name, log)| read_log(name, log, &refuse)).collect::<Result<_, _>>()?;
    Ok(AllowList {
        private,
        gateway: raw.gateway.unwrap_or(true),
        resolvers: raw.resolvers.unwrap_or(true),
        collector: raw.collector.unwrap_or(true),
        loopback_ports: raw.loopback_ports.into_iter().collect(),
        loopback_echo: raw.loopback_echo,
        public_hosts,
        paths: raw.paths,
        commands: raw.commands,
        logs,
        event_logs,
    })
}

/// A log by its name; `refuse` makes the error of a key, a value and what is wrong.
fn read_log(
    name: String,
    log: LogSource,
    refuse: &impl Fn(&'static str, &str, &'static str) -> AllowError,
) -> Result<(String, LogSource), AllowError> {
    if is_name(&name).is_err() {
        return Err(refuse("logs", &name, "a log's name is 1 to 64 letters, digits, dots, dashes or underscores"));
    }
    let path = match &log {
        LogSource::File(path) => path,
        LogSource::Journal { journal } if is_unit(journal) || journal == LogSource::WHOLE => return Ok((name, log)),
        LogSource::Journal { journal } => {
            let why = "write a unit's whole name, as in { journal = \"ssh.service\" }, or \"*\" for all of the journal";
            return Err(refuse("logs", journal, why));
        }
    };
    if !is_plain_root(path) {
        let why = "write the absolute path of one file, without \".\", \"..\" and patterns";
        return Err(refuse("logs", &name, why));
    }
    if NO_LOGS_IN.iter().any(|place| path.starts_with(place)) {
        return Err(refuse("logs", &name, "what lies in /proc, /sys and /dev is no log"));
    }
    Ok((name, log))
}

/// A unit of systemd by its whole name: it becomes a word of a command, so nothing that journalctl takes for a pattern.
fn is_unit(name: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b':' | b'-' | b'_' | b'.' | b'\\' | b'@');
    let is_known = name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && UNIT_KINDS.contains(&kind));
    is_known && name.len() <= UNIT_MAX && name.bytes().all(fits)
}

/// A host name as it is compared: lower case, without the final dot and the brackets of an IPv6 address.
pub(super) fn host_name(text: &str) -> String {
    text.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

fn subnet(text: &str) -> Result<Subnet, &'static str> {
    let subnet: Subnet = text.parse()?;
    let places = subnet.ends().map(Place::of);
    let is_one_of_ours = |place: &Place| matches!(place, Place::Private | Place::Shared);
    if places[0] == places[1] && places.iter().all(is_one_of_ours) {
        Ok(subnet)
    } else {
        Err("not wholly inside one of 10/8, 172.16/12, 192.168/16, fc00::/7, 100.64/10")
    }
}

fn public_host(text: &str) -> Result<PublicHost, &'static str> {
    let is_bare_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !is_bare_v6 && !text.ends_with(']') => {
            (name, Some(port.parse().ok().filter(|port| *port != 0).ok_or("the part after the last : is no port")?))
        }
        Some(_) | None => (text, None),
    };
    let name = host_name(name);
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    if !(1..=253).contains(&name.len()) || !name.bytes().all(fits) {
        return Err("write \"name:port\", \"name\" or an address, without http:// and *");
    }
    Ok(PublicHost { name, port })
}

/// Refuses a file that anybody on this host may write: whoever does would choose what the agent runs and reads.
pub(super) fn refuse_anybodys(path: &Path, key: &'static str) -> Result<(), AllowError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let read = |source| AllowError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(read)?.permissions().mode() & 0o002 != 0 {
            let why = "a file that spells out commands or logs must not be writable by everybody: chmod o-w";
            let value = path.display().to_string();
            return Err(AllowError::Value { path: path.to_owned(), key, value, why });
        }
    }
    // On Windows it lies in the agent's folder, whose access list keeps others out, and rights are not bits.
    #[cfg(not(unix))]
    let _ = (path, key);
    Ok(())
}

fn is_name(name: &str) -> Result<(), &'static str> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let is_fit = (1..=64).contains(&name.len()) && name.bytes().all(fits);
    if is_fit { Ok(()) } else { Err("a command's name is 1 to 64 letters, digits, dots, dashes or underscores") }
}

fn is_command(words: &[String]) -> Result<(), &'static str> {
    let Some(program) = words.first() else {
        return Err("write the program and its arguments: [\"/usr/lib/nagios/plugins/check_raid\", \"-w\"]");
    };
    if !is_plain_root(Path::new(program)) {
        return Err("the program must be an absolute path without \".\" and \"..\"; no shell looks for it");
    }
    if cfg!(windows) && !crate::exec::is_windows_program(program) {
        return Err("the program must end with .exe and lie on a drive of this host; a .bat or .cmd is not run");
    }
    let bytes = words.iter().map(String::len).sum::<usize>();
    if words.len() > WORDS_MAX || bytes > WORDS_BYTES_MAX || words.iter().any(|word| word.contains('\0')) {
        return Err("at most 64 words and 8 KiB, without NUL");
    }
    Ok(())
}

fn is_plain_root(root: &Path) -> bool {
    let plain = |part| {
        matches!(
            part,
            std::path::Component::Normal(_) | std::path::Component::RootDir | std::path::Component::Prefix(_)
        )
    };
    root.is_absolute() && root.components().all(plain) && root.file_name().is_some()
}

fn unknown_key_hint(text: &str) -> String {
    let keys = toml::from_str::<toml::Table>(text).map(|table| table.keys().cloned().collect::<Vec<_>>());
    let unknown = keys.unwrap_or_default().into_iter().find(|key| !KEYS.contains(&key.as_str()));
    let nearest = unknown.and_then(|key| {
        KEYS.iter().map(|known| (strsim::damerau_levenshtein(&key, known), *known)).min().filter(|(far, _)| *far <= 6)
    });
    nearest.map(|(_, known)| format!("\n  did you mean `{known}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text, Path::new("/etc/upheld/allow.toml")).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse("", Path::new("x")).unwrap(), AllowList::default());
    }

    #[test]
    fn a_site_says_which_event_logs_may_be_read() {
        let allow = |text: &str| parse(text, Path::new("x")).unwrap();
        let may = |text: &str, channel| allow(text).permits_event_log(channel);
        assert!(may("", "system") && may("", "Application") && !may("", "Security"));
        assert!(may("event_logs = [\"Security\"]", "Security") && !may("event_logs = [\"Security\"]", "System"));
        assert!(!may("event_logs = []", "System"));
        assert!(refused("event_logs = [\"\"]").contains("wevtutil el"));
    }

    #[test]
    fn a_log_is_a_file_or_what_a_unit_writes_into_the_journal() {
        let list = parse(
            "[logs]\napp = \"/var/log/app.log\"\nssh = { journal = \"ssh.service\" }\nvm = { journal = \"qemu@a\\\\x2d1.service\" }\n\
             all = { journal = \"*\" }",
            Path::new("x"),
        );
        let list = list.unwrap();
        let said = |name: &str| list.log(name).map(ToString::to_string);
        assert_eq!(said("app").as_deref(), Some("/var/log/app.log"));
        assert_eq!(said("ssh").as_deref(), Some("the journal of ssh.service"));
        assert_eq!(said("vm").as_deref(), Some("the journal of qemu@a\\x2d1.service"));
        assert_eq!(said("all").as_deref(), Some("the whole journal"));
        assert_eq!(said("other"), None);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest_known_one() {
        let message = refused("gateway = true\nloopback_port = [80]\n");
        for part in ["/etc/upheld/allow.toml", "line 2", "loopback_port", "did you mean `loopback_ports`?"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }

    #[test]
    fn values_that_can_never_be_meant_are_refused_by_name() {
        for (text, part) in [
            ("loopback_ports = [0]", "1 to 65535"),
            ("loopback_ports = [70000]", "loopback_ports"),
            ("loopback_ports = 80", "loopback_ports"),
            ("private_subnets = \"all\"", "true, false, or a list"),
            ("private_subnets = [\"0.0.0.0/0\"]", "not wholly inside"),
            ("private_subnets = [\"8.8.8.0/24\"]", "not wholly inside"),
            ("private_subnets = [\"10.0.0.0/7\"]", "not wholly inside"),
            ("private_subnets = [\"10.1.0.0/8\"]", "beyond the prefix"),
            ("private_subnets = [\"169.254.0.0/16\"]", "not wholly inside"),
            ("public_hosts = [\"https://x\"]", "no port"),
            ("public_hosts = [\"*.example.net\"]", "without http:// and *"),
            ("public_hosts = [\"x:0\"]", "no port"),
            ("public_hosts = [\"\"]", "write \"name:port\""),
            ("paths = [\"srv/rec\"]", "absolute"),
            ("paths = [\"/\"]", "absolute"),
            ("paths = [\"/srv/../etc\"]", "absolute"),
            ("[commands]\nraid = []", "write the program"),
            ("[commands]\nraid = [\"check_raid\"]", "absolute path"),
            ("[commands]\nraid = [\"/usr/../bin/x\"]", "absolute path"),
            ("[commands]\nraid = \"/bin/x -w\"", "sequence"),
            ("[commands]\n\"a b\" = [\"/bin/x\"]", "letters"),
            ("[commands]\nraid = [\"/bin/x\", \"a\\u0000b\"]", "without NUL"),
            ("[logs]\nsyslog = \"var/log/syslog\"", "absolute path"),
            ("[logs]\nsyslog = \"/var/log/../../etc/shadow\"", "absolute path"),
            ("[logs]\nkernel = \"/proc/kmsg\"", "no log"),
            ("[logs]\n\"a b\" = \"/var/log/syslog\"", "a log's name"),
            ("[logs]\nssh = { journal = \"ssh\" }", "a unit's whole name"),
            ("[logs]\nssh = { journal = \"ssh*.service\" }", "a unit's whole name"),
            ("[logs]\nssh = { journal = \"ssh.service --merge\" }", "a unit's whole name"),
            ("[logs]\nssh = { journal = \".service\" }", "a unit's whole name"),
            ("[logs]\nssh = { journal = \"\" }", "a unit's whole name"),
            ("[logs]\nssh = { journal = true }", "{ journal = \"ssh.service\" }"),
            ("[logs]\nssh = { journal = \"ssh.service\", since = 1 }", "{ journal = \"ssh.service\" }"),
            ("[logs]\nssh = 7", "the path of a log"),
            ("gateway = 1", "gateway"),
            ("gateway", "line 1"),
        ] {
            let message = refused(text);
            assert!(message.contains(part), "{text}: {part} in {message}");
        }
    }

    #[test]
    fn hosts_are_read_with_and_without_a_port_in_both_families() {
        for (text, name, port) in [
            ("Status.Example.NET.:443", "status.example.net", Some(443)),
            ("9.9.9.9", "9.9.9.9", None),
            ("2001:db8::7", "2001:db8::7", None),
            ("[2001:db8::7]", "2001:db8::7", None),
            ("[2001:db8::7]:8443", "2001:db8::7", Some(8443)),
        ] {
            assert_eq!(public_host(text), Ok(PublicHost { name: name.to_owned(), port }), "{text}");
        }
    }
}
