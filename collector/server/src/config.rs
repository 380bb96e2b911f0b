//! `collector.toml`: how this collector is reached and what it may reach. One module per concern.
//!
//! The file is read once; a wrong one is refused with its line and the nearest known key. Secrets are not in it.

mod agents;
mod database;
mod listen;
mod mail;
mod outbound;
mod password;

use std::path::Path;

use serde::Deserialize;
use upheld_outbound::notify::mail::Mail as Transport;

pub(crate) use agents::AgentBounds;
pub(crate) use database::Database;
pub(crate) use listen::Listen;
pub(crate) use mail::Mail;
pub(crate) use outbound::{Outbound, SecretsFile};

use crate::{
    failure::{Exit, Failure},
    files::read_text,
};

/// The configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where it listens and by which names it is reached.
    pub(crate) listen: Listen,
    /// What its messages may reach, and who signs them.
    pub(crate) outbound: Outbound,
    /// The server that takes mail, if one is set.
    pub(crate) mail: Option<Mail>,
    /// Where agents find each of the provider's collectors, itself among them; empty where it is the only one.
    pub(crate) collectors: Vec<String>,
    /// The PostgreSQL that holds its facts; `None` for the file in the data folder.
    pub(crate) database: Option<Database>,
    /// How often one agent may ask.
    pub(crate) agents: AgentBounds,
}

/// Said wherever a book that tells people by mail meets a collector without a mail server.
pub(crate) const MAIL_NEEDED: &str = "the book names mail addresses and collector.toml has no [mail]: mail waits for a day \
    and is then dropped; add the server (docs/notifications.md) and restart, or take the addresses out of the book";

/// The file as it stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: String,
    public: Vec<String>,
    public_port: Option<u16>,
    #[serde(default)]
    collectors: Vec<String>,
    #[serde(default = "outbound::default_secrets")]
    secrets: String,
    #[serde(default)]
    webhook_private_hosts: Vec<String>,
    mail: Option<mail::Raw>,
    database: Option<database::Raw>,
    #[serde(default)]
    agents: agents::Raw,
}

const KEYS: &[&str] = &[
    "listen",
    "public",
    "public_port",
    "collectors",
    "secrets",
    "webhook_private_hosts",
    "mail",
    "database",
    "agents",
];

impl Config {
    /// Reads and checks the file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        Self::parse(&read_text(path)?, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let raw: Raw = toml::from_str(text).map_err(|error| unreadable(path, text, &error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Ok(Self {
            listen: Listen::check(&raw.listen, raw.public, raw.public_port).map_err(|why| invalid(path, why))?,
            collectors: listen::collectors(raw.collectors).map_err(|why| invalid(path, why))?,
            outbound: Outbound::check(folder, &raw.secrets, raw.webhook_private_hosts)
                .map_err(|why| invalid(path, why))?,
            mail: raw.mail.map(|raw| Mail::check(folder, raw)).transpose().map_err(|why| invalid(path, why))?,
            database: raw
                .database
                .map(|raw| Database::check(folder, raw))
                .transpose()
                .map_err(|why| invalid(path, why))?,
            agents: AgentBounds::check(&raw.agents).map_err(|why| invalid(path, why))?,
        })
    }

    /// The way to the mail server, its password read; `None` where no server is set.
    pub(crate) fn mail_transport(&self) -> Result<Option<Transport>, Failure> {
        self.mail.as_ref().map(|mail| mail.transport(&self.outbound, &self.listen.url())).transpose()
    }

    /// The text of a new file.
    pub(crate) fn template(listen: &Listen, webhook_private_hosts: &[String], database: Option<&Database>) -> String {
        let list = |names: &[String]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        format!(
            "# Where the one port is bound; agents, people and the API all come here.\n\
             listen = \"{}\"\n\n\
             # Names and addresses by which it is reached; the first stands in links.\n\
             public = [{}]\n\n\
             # Hosts at private or loopback addresses that webhooks, anchors and the heartbeat may reach.\n\
             webhook_private_hosts = [{}]\n\n\
             # public_port = 443                 # when a proxy or NAT shows another port\n\
             # collectors = [\"a.example:7443\"]  # each of several on one database, as agents find them\n\
             # secrets = \"secrets.toml\"          # NAME = \"value\": what the book names but never contains\n\n\
             # [mail]                             # the server that takes mail for the addresses of the book\n\
             # server = \"smtp.example\"           # tls = \"starttls\" or \"implicit\"\n\
             # from = \"Upheld <upheld@collector.example>\"\n\
             # user = \"upheld\"                   # its password: mail = \"…\" in secrets.toml\n{}",
            listen.address,
            list(&listen.public),
            list(webhook_private_hosts),
            database.map(Database::table).unwrap_or_default(),
        )
    }

    /// The text of a file with this database in the place of the one that it names.
    pub(crate) fn with_database(text: &str, database: Option<&Database>) -> String {
        let mut is_old = false;
        let mut kept = String::new();
        for line in text.lines() {
            let line_begins_a_table = line.trim_start().starts_with('[');
            is_old = if line_begins_a_table { line.trim_start().starts_with("[database]") } else { is_old };
            if !is_old {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        kept + &database.map(Database::table).unwrap_or_default()
    }
}

fn unreadable(path: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let failure = Failure::new(Exit::Config, format!("{} is not valid", path.display())).because(error.to_string());
    match unknown_key(text) {
        Some((unknown, Some(near), _)) => failure.todo(format!("write {near} where it says {unknown}")),
        Some((unknown, None, known)) => failure.todo(format!("remove {unknown}; known keys: {}", known.join(", "))),
        None => failure.todo(format!("put it right in {}", path.display())),
    }
}

/// A key that is unknown in its table, the nearest known one if any is near, and all of them.
fn unknown_key(text: &str) -> Option<(String, Option<&'static str>, &'static [&'static str])> {
    let table: toml::Table = text.parse().ok()?;
    let of_mail = table.get("mail").and_then(toml::Value::as_table);
    let of_database = table.get("database").and_then(toml::Value::as_table);
    let of_agents = table.get("agents").and_then(toml::Value::as_table);
    let tables =
        [(Some(&table), KEYS), (of_mail, mail::KEYS), (of_database, database::KEYS), (of_agents, agents::KEYS)];
    for (table, known) in tables {
        let mut keys = table.into_iter().flat_map(toml::Table::keys);
        if let Some(unknown) = keys.find(|key| !known.contains(&key.as_str())) {
            return Some((unknown.clone(), nearest(unknown, known), known));
        }
    }
    None
}

/// The known word that a person most likely meant, if any is near.
fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}

fn invalid(path: &Path, why: String) -> Failure {
    Failure::new(Exit::Config, format!("{} is not valid", path.display())).because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Failure> {
        Config::parse(text, Path::new("/data/collector.toml"))
    }

    #[test]
    fn the_template_reads_back() {
        let listen =
            Listen::check("127.0.0.1:7443", vec!["127.0.0.1".into(), "collector.example".into()], None).unwrap();
        let config = parse(&Config::template(&listen, &["127.0.0.1".into()], None)).unwrap();
        assert_eq!(config.outbound.private_hosts, ["127.0.0.1"]);
        assert_eq!(config.listen, listen);
        assert_eq!(config.agents, AgentBounds { per_second: 20, at_once: 100 });
        assert_eq!(config.outbound.secrets_file, Path::new("/data/secrets.toml"));
    }

    #[test]
    fn a_database_is_put_in_the_place_of_another_and_the_rest_of_the_file_stays() {
        let text = "listen = \"127.0.0.1:7443\"\npublic = [\"a.example\"]\n# ours\n\n[database]\nurl = \"postgres://u@a.example/one\"\n\n[mail]\nserver = \"m.example\"\nfrom = \"a@b.example\"\n";
        let two = Database::given("postgres://u@b.example/two", None, None).unwrap();
        let there = parse(&Config::with_database(text, Some(&two))).unwrap();
        assert_eq!(there.database.map(|database| database.url().to_owned()).unwrap(), two.url());
        let here = Config::with_database(text, None);
        assert!(here.contains("# ours") && here.contains("[mail]"), "{here}");
        assert!(parse(&here).unwrap().database.is_none());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
        let failure = parse("listen = \"127.0.0.1:7443\"\npublik = [\"a\"]\n").unwrap_err();
        let text = failure.text(false);
        assert_eq!(failure.exit(), Exit::Config);
        assert!(text.contains("publik = "), "{text}");
        assert!(text.contains("line 2"), "{text}");
        assert!(text.contains("write public where it says publik"), "{text}");
    }

    #[test]
    fn a_key_that_is_near_to_nothing_lists_the_known_ones() {
        let text = parse("listen = \"127.0.0.1:7443\"\npublic = [\"a\"]\nxyzzy = 1\n").unwrap_err().text(false);
        assert!(text.contains("remove xyzzy; known keys: listen"), "{text}");
    }

    #[test]
    fn a_value_that_cannot_be_is_named() {
        for (text, why) in [
            ("listen = \"7443\"\npublic = [\"a\"]", "listen \"7443\""),
            ("listen = \"127.0.0.1:7443\"\npublic = []", "public is empty"),
            (
                "listen = \"127.0.0.1:7443\"\npublic = [\"a\"]\ncollectors = [\"https://b/\"]",
                "collectors \"https://b/\" is not a host",
            ),
            ("listen = \"127.0.0.1:7443\"\npublic = [\"https://a/\"]", "public \"https://a/\""),
            ("listen = \"127.0.0.1:7443\"\npublic = [\"a\"]\nsecrets = \"../x\"", "secrets \"../x\""),
            (
                "listen = \"127.0.0.1:7443\"\npublic = [\"a\"]\n[agents]\nat_once = 0",
                "agents.at_once = 0: from 1 to 10000",
            ),
            (
                "listen = \"127.0.0.1:7443\"\npublic = [\"a\"]\n[agents]\natonce = 5",
                "write at_once where it says atonce",
            ),
            (
                "listen = \"127.0.0.1:7443\"\npublic = [\"a\"]\n[mail]\nserver = \"s.example\"\nfrom = \"x\"",
                "the sender \"x\" is not a mail address",
            ),
            (
                "listen = \"127.0.0.1:7443\"\npublic = [\"a\"]\n[mail]\nservr = \"s.example\"\nfrom = \"a@b.example\"",
                "write server where it says servr",
            ),
        ] {
            let message = parse(text).unwrap_err().text(false);
            assert!(message.contains(why), "{message}");
        }
    }
}
