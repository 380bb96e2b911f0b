//! `allow.toml`: what this site's administrator lets the collector ask about, and the rules no file can lift
//! (SECURITY 3).
//!
//! Judged is always an *address*, after the name was resolved and before anything is sent to it; the name counts
//! only where the administrator listed it. Every refusal says what to write to lift it, or that nothing can.
//!
//! ```toml
//! private_subnets = true              # or false, or a list: ["10.20.0.0/16", "100.64.7.0/24"]
//! gateway = true                      # the default gateway
//! resolvers = true                    # the configured resolvers: echo and port 53
//! collector = true                    # the collector: echo and its own port, nothing else there
//! loopback_ports = [8080]             # ports of this host itself
//! loopback_echo = false               # echo to this host itself
//! public_hosts = ["status.example.net:443", "9.9.9.9"]   # with a port: that port and echo; without: echo
//! paths = ["/srv/rec"]                # folders beneath which ages and sizes of files may be read
//! event_logs = ["System", "Application"]   # logs of a Windows host of which checks may read events
//! [commands]                          # programs that checks may name, each with all of its arguments
//! check_raid = ["/usr/lib/nagios/plugins/check_raid", "--warn-on-rebuild"]
//! [logs]                              # logs of which checks may read lines
//! nginx-error = "/var/log/nginx/error.log"
//! ssh = { journal = "ssh.service" }   # what this unit writes into the systemd journal, read by /usr/bin/journalctl
//! ```
//! Every key may be left out; these are the defaults, with no port, host, path, command or
//! log (but those of `event_logs`) allowed. `private_subnets = true`
//! is RFC 1918 and RFC 4193; addresses that a provider shares (100.64.0.0/10) are allowed only by a list.

mod file;
mod subnet;

pub(crate) use subnet::Subnet;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use upheld_model::{
    address::Place,
    check::{APCUPSD_PORT, NUT_PORT},
};

/// What checks may reach at this site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    private: PrivateSubnets,
    gateway: bool,
    resolvers: bool,
    collector: bool,
    loopback_ports: BTreeSet<u16>,
    loopback_echo: bool,
    public_hosts: Vec<PublicHost>,
    paths: Vec<PathBuf>,
    commands: BTreeMap<String, Vec<String>>,
    logs: BTreeMap<String, LogSource>,
    event_logs: Vec<String>,
}

/// Where the lines of a log are read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "the path of a log, such as \"/var/log/nginx/error.log\", or { journal = \"ssh.service\" }"
)]
pub(crate) enum LogSource {
    /// One file.
    File(PathBuf),
    /// The systemd journal.
    Journal {
        /// The unit whose lines they are; [`LogSource::WHOLE`] for those of all.
        journal: String,
    },
}

impl LogSource {
    /// In place of a unit: all of the journal.
    pub(crate) const WHOLE: &str = "*";
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Journal { journal } if journal == Self::WHOLE => f.write_str("the whole journal"),
            Self::Journal { journal } => write!(f, "the journal of {journal}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PrivateSubnets {
    None,
    All,
    Only(Vec<Subnet>),
}

/// A host that the administrator named. Names are kept in lower case without a final dot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PublicHost {
    name: String,
    port: Option<u16>,
}

/// Why an `allow.toml` is refused.
#[derive(Debug, thiserror::Error)]
pub enum AllowError {
    /// The file cannot be read.
    #[error("{path}: cannot read the allow rules; the agent's user must be able to read this file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The text is not TOML, a key is unknown, or a value has another type.
    #[error("{path}: {message}")]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and what, with the nearest known key.
        message: String,
    },
    /// A value can never be allowed.
    #[error("{path}: {key} = {value:?}: {why}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// The value as it was written.
        value: String,
        /// What is wrong, and what is right.
        why: &'static str,
    },
}

impl Default for AllowList {
    /// The package's default: the site's own private subnets, its gateway, its resolvers, the collector.
    fn default() -> Self {
        Self {
            private: PrivateSubnets::All,
            gateway: true,
            resolvers: true,
            collector: true,
            loopback_ports: BTreeSet::new(),
            loopback_echo: false,
            public_hosts: Vec::new(),
            paths: Vec::new(),
            commands: BTreeMap::new(),
            logs: BTreeMap::new(),
            event_logs: file::EVENT_LOGS.map(str::to_owned).into(),
        }
    }
}

impl AllowList {
    /// Reads the file; a missing one is the package's default.
    pub fn read(path: &Path) -> Result<Self, AllowError> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let list = Self::parse(&text, path)?;
                let of_danger = [("commands", !list.commands.is_empty()), ("logs", !list.logs.is_empty())];
                for (key, _) in of_danger.into_iter().filter(|(_, is_there)| *is_there) {
                    file::refuse_anybodys(path, key)?;
                }
                Ok(list)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(AllowError::Read { path: path.to_owned(), source }),
        }
    }

    /// Reads the text of a file; `path` is only for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, AllowError> {
        file::parse(text, path)
    }

    /// Whether a check may reach `address`, which is one that `asked` (a name or an address, as the check has it)
    /// resolved to.
    pub(crate) fn permits(
        &self,
        around: &Surroundings,
        asked: &str,
        address: IpAddr,
        reach: Reach,
    ) -> Result<(), Refusal> {
        let address = address.to_canonical();
        let place = Place::of(address);
        if let Place::Never(what) = place {
            return Err(Refusal::Never { address, what });
        }
        let is_known_service = (self.gateway && around.gateways.contains(&address) && place != Place::Loopback)
            || (self.resolvers && around.resolvers.contains(&address) && reach.is_echo_or(53));
        let is_the_collector = around.collector.iter().any(|known| known.ip().to_canonical() == address);
        match place {
            _ if is_known_service || self.names(asked, address, place, reach) => Ok(()),
            Place::Loopback if self.permits_loopback(reach) => Ok(()),
            Place::Loopback => Err(Refusal::Loopback { reach }),
            Place::Private | Place::Shared | Place::Public if is_the_collector => {
                let own_port =
                    |known: &SocketAddr| known.ip().to_canonical() == address && reach.is_echo_or(known.port());
                let permitted = self.collector && around.collector.iter().any(own_port);
                if permitted { Ok(()) } else { Err(Refusal::Collector { address }) }
            }
            Place::Private | Place::Shared => match &self.private {
                PrivateSubnets::All if place == Place::Private => Ok(()),
                PrivateSubnets::Only(subnets) if subnets.iter().any(|subnet| subnet.contains(address)) => Ok(()),
                PrivateSubnets::All | PrivateSubnets::Only(_) | PrivateSubnets::None => {
                    Err(Refusal::Subnet { address })
                }
            },
            Place::Public => Err(Refusal::Public { asked: asked.to_owned(), reach }),
            Place::Never(what) => Err(Refusal::Never { address, what }),
        }
    }

    /// The program and arguments behind a command's name.
    #[cfg(any(target_os = "linux", windows))]
    pub(crate) fn command(&self, name: &str) -> Option<&[String]> {
        self.commands.get(name).map(Vec::as_slice)
    }

    /// What is behind a log's name.
    pub(crate) fn log(&self, name: &str) -> Option<&LogSource> {
        self.logs.get(name)
    }

    /// Whether events of this log of Windows may be read; Windows does not tell its logs apart by case.
    #[cfg_attr(not(windows), allow(dead_code))]
    pub(crate) fn permits_event_log(&self, channel: &str) -> bool {
        self.event_logs.iter().any(|log| log.eq_ignore_ascii_case(channel))
    }

    /// The root that `path` lies beneath, or is; both as they are written.
    pub(crate) fn root_of<'a>(&'a self, path: &Path) -> Result<&'a Path, Refusal> {
        let roots = self.paths.iter().filter(|root| path.starts_with(root));
        let deepest = roots.max_by_key(|root| root.as_os_str().len());
        deepest.map(PathBuf::as_path).ok_or_else(|| Refusal::Path { path: path.to_owned() })
    }

    /// One line for each thing that is allowed, for `check-config`, `doctor` and the quickstart to print.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = match &self.private {
            PrivateSubnets::None => vec![],
            PrivateSubnets::All => {
                vec!["any host in the private subnets (10/8, 172.16/12, 192.168/16, fc00::/7)".into()]
            }
            PrivateSubnets::Only(subnets) => subnets.iter().map(|subnet| format!("any host in {subnet}")).collect(),
        };
        let switches = [
            (self.gateway, "the default gateway"),
            (self.resolvers, "the configured resolvers: echo and port 53"),
            (self.collector, "the collector: echo and its own port"),
            (self.loopback_echo, "echo to this host itself"),
        ];
        lines.extend(switches.into_iter().filter(|(on, _)| *on).map(|(_, what)| what.to_owned()));
        lines.push("ports 3493 (NUT) and 3551 (apcupsd) of this host itself, without HTTP".to_owned());
        lines.extend(self.loopback_ports.iter().map(|port| format!("port {port} of this host itself")));
        lines.extend(self.public_hosts.iter().map(|host| match host.port {
            Some(port) => format!("{}: echo and port {port}", host.name),
            None => format!("{}: echo", host.name),
        }));
        lines.extend(self.paths.iter().map(|root| format!("ages and sizes of files beneath {}", root.display())));
        lines.extend(self.commands.iter().map(|(name, words)| format!("the command {name}: {}", words.join(" "))));
        lines.extend(self.logs.iter().map(|(name, source)| format!("lines of the log {name}: {source}")));
        if cfg!(windows) {
            lines.extend(self.event_logs.iter().map(|log| format!("events of Windows' log {log}")));
        }
        lines
    }

    /// NUT and apcupsd speak a fixed protocol that cannot be made to do harm by connecting; an HTTP request is
    /// another matter, so those two ports are open to it only when they are listed.
    fn permits_loopback(&self, reach: Reach) -> bool {
        match reach {
            Reach::Echo => self.loopback_echo,
            Reach::Connect(port) => matches!(port, NUT_PORT | APCUPSD_PORT) || self.loopback_ports.contains(&port),
            Reach::Nut(port) => port == NUT_PORT || self.loopback_ports.contains(&port),
            Reach::Apcupsd(port) => port == APCUPSD_PORT || self.loopback_ports.contains(&port),
            Reach::Http(port) | Reach::Asks(port) => self.loopback_ports.contains(&port),
        }
    }

    /// A listed name speaks for the public addresses and the private ones that it resolves to, never for this host.
    fn names(&self, asked: &str, address: IpAddr, place: Place, reach: Reach) -> bool {
        let asked = file::host_name(asked);
        let is_it = |host: &PublicHost| {
            let named = host.name == asked || host.name.parse::<IpAddr>() == Ok(address);
            named && (reach == Reach::Echo || host.port.is_some_and(|port| reach.is_echo_or(port)))
        };
        place != Place::Loopback && self.public_hosts.iter().any(is_it)
    }
}

/// What a check wants of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// An ICMP echo.
    Echo,
    /// A connection to a port, over which nothing is said.
    Connect(u16),
    /// An HTTP request to a port.
    Http(u16),
    /// Questions of NUT's protocol to a port.
    Nut(u16),
    /// Questions of apcupsd's protocol to a port.
    Apcupsd(u16),
    /// Questions to a port in a protocol that only reads: DNS, NTP, SNMP, the handshake of TLS.
    Asks(u16),
}

impl Reach {
    fn is_echo_or(self, allowed: u16) -> bool {
        self.port().is_none_or(|port| port == allowed)
    }

    /// The port that is asked for; an echo has none.
    fn port(self) -> Option<u16> {
        match self {
            Self::Echo => None,
            Self::Connect(port) | Self::Http(port) | Self::Nut(port) | Self::Apcupsd(port) | Self::Asks(port) => {
                Some(port)
            }
        }
    }
}

/// What the rules have to know about the network this host is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// Where the uplink goes to.
    pub(crate) collector: Vec<SocketAddr>,
    /// The default gateways.
    pub(crate) gateways: Vec<IpAddr>,
    /// The configured resolvers.
    pub(crate) resolvers: Vec<IpAddr>,
}

/// Why a check may not reach what it asks for; the text tells the site's administrator what would lift it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Never { address: IpAddr, what: &'static str },
    Loopback { reach: Reach },
    Collector { address: IpAddr },
    Subnet { address: IpAddr },
    Public { asked: String, reach: Reach },
    Path { path: PathBuf },
}

impl Refusal {
    /// Whether a name that resolves to this address is an attempt to be led astray, even if another of its
    /// addresses is harmless. A public address beside a private one is only a host with IPv6.
    pub(crate) fn taints_the_name(&self) -> bool {
        match self {
            Self::Never { .. } | Self::Loopback { .. } | Self::Collector { .. } => true,
            Self::Subnet { .. } | Self::Public { .. } | Self::Path { .. } => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never { address, what } => write!(f, "{address} is {what}; no file can allow it"),
            Self::Loopback { reach } => match reach.port() {
                None => f.write_str("this is the agent's own host; loopback_echo = true in allow.toml would allow it"),
                Some(port) => {
                    write!(f, "this is the agent's own host; loopback_ports = [{port}] in allow.toml would allow it")
                }
            },
            Self::Collector { address } => {
                write!(f, "{address} is the collector; only echo and its own port may be allowed, by collector = true")
            }
            Self::Subnet { address } => {
                write!(f, "{address} is in no subnet that private_subnets in allow.toml allows")
            }
            Self::Public { asked, reach } => {
                let port = reach.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "a public address; public_hosts = [\"{asked}{port}\"] in allow.toml would allow it")
            }
            Self::Path { path } => {
                write!(f, "{} is beneath no folder of paths in allow.toml", path.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        loopback_ports = [8080]
        public_hosts = ["status.example.net:443", "9.9.9.9", "[2001:db8::7]:8443"]
        paths = ["/srv/rec", "/srv/rec/north"]
        [commands]
        check_raid = ["/usr/lib/nagios/plugins/check_raid", "-w", "5"]
        [logs]
        nginx-error = "/var/log/nginx/error.log"
        ssh = { journal = "ssh.service" }
    "#;

    fn list(text: &str) -> AllowList {
        AllowList::parse(text, Path::new("allow.toml")).unwrap()
    }

    fn site() -> Surroundings {
        Surroundings {
            collector: vec!["10.9.9.9:7443".parse().unwrap(), "[2001:db8::9]:7443".parse().unwrap()],
            gateways: vec!["203.0.113.1".parse().unwrap()],
            resolvers: vec!["203.0.113.53".parse().unwrap(), "127.0.0.53".parse().unwrap()],
        }
    }

    /// `what` is `echo`, `tcp N` or `http N`.
    fn judge(list: &AllowList, asked: &str, address: &str, what: &str) -> Result<(), String> {
        let reach = match what.split_once(' ') {
            None => Reach::Echo,
            Some(("tcp", port)) => Reach::Connect(port.parse().unwrap()),
            Some((_, port)) => Reach::Http(port.parse().unwrap()),
        };
        list.permits(&site(), asked, address.parse().unwrap(), reach).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn security_3_the_default_reaches_the_site_and_nothing_else() {
        let default = AllowList::default();
        for (address, what) in [
            ("10.20.0.4", "tcp 22"),
            ("192.168.1.9", "http 80"),
            ("fd12::4", "echo"),
            ("::ffff:172.16.0.1", "echo"),
            ("203.0.113.1", "http 80"),
            ("203.0.113.53", "tcp 53"),
            ("203.0.113.53", "echo"),
            ("127.0.0.53", "tcp 53"),
            ("10.9.9.9", "http 7443"),
            ("2001:db8::9", "echo"),
            ("127.0.0.1", "tcp 3493"),
            ("::1", "tcp 3551"),
        ] {
            assert_eq!(judge(&default, "x", address, what), Ok(()), "{address} {what}");
        }
        for (address, what, why) in [
            ("127.0.0.1", "tcp 80", "loopback_ports = [80]"),
            ("127.0.0.1", "http 3493", "loopback_ports = [3493]"),
            ("::1", "echo", "loopback_echo"),
            ("::ffff:127.0.0.1", "tcp 22", "own host"),
            ("127.0.0.53", "http 80", "own host"),
            ("1.1.1.1", "tcp 443", "public_hosts = [\"x:443\"]"),
            ("2606:4700::1111", "echo", "public_hosts = [\"x\"]"),
            ("203.0.113.53", "tcp 22", "public"),
            ("100.64.0.1", "echo", "private_subnets"),
            ("10.9.9.9", "tcp 22", "is the collector"),
            ("169.254.169.254", "http 80", "no file can allow it"),
            ("fe80::1", "echo", "no file can allow it"),
            ("0.0.0.0", "tcp 22", "unspecified"),
            ("224.0.0.1", "echo", "multicast"),
            ("255.255.255.255", "echo", "broadcast"),
        ] {
            let refused = judge(&default, "x", address, what).unwrap_err();
            assert!(refused.contains(why), "{address} {what}: {refused}");
        }
    }

    #[test]
    fn security_3_no_file_allows_link_local_or_metadata() {
        let generous = list(r#"public_hosts = ["169.254.169.254:80", "m.example:80", "fd00:ec2::254"]"#);
        for (asked, address) in [
            ("169.254.169.254", "169.254.169.254"),
            ("m.example", "169.254.169.254"),
            ("m.example", "::ffff:169.254.169.254"),
            ("m.example", "100.100.100.200"),
            ("fd00:ec2::254", "fd00:ec2::254"),
            ("m.example", "64:ff9b::a9fe:a9fe"),
        ] {
            assert!(judge(&generous, asked, address, "http 80").unwrap_err().contains("no file"), "{address}");
        }
        let gateway = Surroundings { gateways: vec!["169.254.1.1".parse().unwrap()], ..Surroundings::default() };
        let refused = generous.permits(&gateway, "gateway", "169.254.1.1".parse().unwrap(), Reach::Echo);
        assert!(matches!(refused, Err(Refusal::Never { .. })));
    }

    #[test]
    fn a_listed_host_is_reached_on_its_port_and_by_echo_only() {
        let list = list(FILE);
        for (asked, address, what) in [
            ("status.example.net", "1.2.3.4", "http 443"),
            ("STATUS.example.net.", "1.2.3.4", "tcp 443"),
            ("status.example.net", "1.2.3.4", "echo"),
            ("9.9.9.9", "9.9.9.9", "echo"),
            ("2001:db8:0::7", "2001:db8::7", "tcp 8443"),
            ("localhost", "127.0.0.1", "http 8080"),
        ] {
            assert_eq!(judge(&list, asked, address, what), Ok(()), "{asked} {what}");
        }
        for (asked, address, what) in [
            ("status.example.net", "1.2.3.4", "http 80"),
            ("other.example.net", "1.2.3.4", "http 443"),
            ("9.9.9.9", "9.9.9.9", "tcp 53"),
            ("status.example.net", "127.0.0.1", "http 443"),
            ("status.example.net", "127.0.0.1", "echo"),
        ] {
            assert!(judge(&list, asked, address, what).is_err(), "{asked} {address} {what}");
        }
    }

    #[test]
    fn switches_take_away_and_a_list_narrows() {
        let none = list("private_subnets = false\ngateway = false\nresolvers = false\ncollector = false");
        for address in ["10.0.0.1", "203.0.113.1", "203.0.113.53", "10.9.9.9", "fd12::4"] {
            assert!(judge(&none, "x", address, "echo").is_err(), "{address}");
        }
        let some = list(r#"private_subnets = ["10.20.0.0/16", "100.64.7.0/24", "fd12::/48"]"#);
        for address in ["10.20.255.255", "100.64.7.1", "fd12::4"] {
            assert_eq!(judge(&some, "x", address, "echo"), Ok(()), "{address}");
        }
        for address in ["10.21.0.0", "100.64.8.1", "fd13::4", "192.168.0.1"] {
            assert!(judge(&some, "x", address, "echo").is_err(), "{address}");
        }
    }

    #[test]
    fn a_path_belongs_to_the_deepest_root_and_a_longer_name_is_not_beneath() {
        let list = list(FILE);
        assert_eq!(list.root_of(Path::new("/srv/rec/cam-1")), Ok(Path::new("/srv/rec")));
        assert_eq!(list.root_of(Path::new("/srv/rec/north/1")), Ok(Path::new("/srv/rec/north")));
        for outside in ["/srv/recordings", "/srv", "/etc"] {
            assert!(list.root_of(Path::new(outside)).is_err(), "{outside}");
        }
        assert!(AllowList::default().root_of(Path::new("/srv/rec")).is_err());
    }

    #[test]
    fn describes_every_permission() {
        let text = list(FILE).describe().join("\n");
        for part in [
            "10/8",
            "gateway",
            "port 8080",
            "status.example.net: echo and port 443",
            "beneath /srv/rec",
            "check_raid -w 5",
            "nginx-error: /var/log/nginx/error.log",
            "ssh: the journal of ssh.service",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
