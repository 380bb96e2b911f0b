//! `[mail]`: the server that takes mail, and as whom.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use upheld_outbound::notify::mail::{HostRule, Login, Mail as Transport, MailConfig, Sender, Tls};

use super::{Outbound, nearest, password::Password};
use crate::failure::{Exit, Failure};

/// The longest one try may take: as for a webhook, well below the lease of a message.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);
/// The secret that is the password unless the file names another.
const PASSWORD: &str = "mail";

/// The table as it stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    server: String,
    port: Option<u16>,
    tls: Option<String>,
    from: String,
    reply_to: Option<String>,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    root: Option<PathBuf>,
}

/// Its keys, for whoever misspelt one.
pub(super) const KEYS: &[&str] =
    &["server", "port", "tls", "from", "reply_to", "user", "password", "password_file", "root"];

/// How mail is handed over, checked as far as the file alone can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    server: String,
    port: u16,
    tls: Tls,
    from: String,
    reply_to: Option<String>,
    login: Option<(String, Password)>,
    root: Option<PathBuf>,
}

impl Mail {
    /// Checks what the file says; `folder` is the data folder.
    pub(super) fn check(folder: &Path, raw: Raw) -> Result<Self, String> {
        let Raw { server, port, tls, from, reply_to, user, password, password_file, root } = raw;
        let (tls, usual) = match tls.as_deref() {
            None | Some("starttls") => (Tls::StartTls, 587),
            Some("implicit") => (Tls::Implicit, 465),
            Some("none-for-loopback") => (Tls::None, 25),
            Some(other) => {
                const KNOWN: &[&str] = &["starttls", "implicit", "none-for-loopback"];
                let near = nearest(other, KNOWN).map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
                return Err(format!("mail.tls {other:?} is none of {}{near}", KNOWN.join(", ")));
            }
        };
        let port = port.unwrap_or(usual);
        if server.contains(':') && server.parse::<std::net::Ipv6Addr>().is_err() && !server.starts_with('[') {
            return Err(format!("mail.server {server:?} is a name or address without a port: write port = {port}"));
        }
        let is_loopback =
            || matches!(server.trim_matches(['[', ']']), "localhost" | "::1") || server.starts_with("127.");
        if tls == Tls::None && !is_loopback() {
            return Err(format!(
                "mail.tls none-for-loopback, and {server:?} is another host: write tls = \"starttls\" or \"implicit\""
            ));
        }
        let sender = Sender::new(&from, reply_to.as_deref()).map_err(|error| format!("mail: {error}"))?;
        if let Some(wrong) = [Some(&sender.from), sender.reply_to.as_ref()]
            .into_iter()
            .flatten()
            .find(|one| !one.email.domain().contains('.') && !one.email.domain().starts_with('['))
        {
            return Err(format!("mail: {:?} has no domain that others can answer to", wrong.email.to_string()));
        }
        let login = match (user, password, password_file) {
            (Some(_), Some(_), Some(_)) => {
                return Err("mail.password names a secret and mail.password_file a file: keep one".to_owned());
            }
            (Some(user), password, None) => Some((user, Password::Secret(password.unwrap_or(PASSWORD.to_owned())))),
            (Some(user), None, Some(file)) => Some((user, Password::File(folder.join(file)))),
            (None, None, None) => None,
            (None, _, _) => return Err("mail has a password and no user: write user = \"…\"".to_owned()),
        };
        if login.is_some() && tls == Tls::None && !is_loopback() {
            return Err("mail.user over a line without TLS".to_owned());
        }
        Ok(Self { server, port, tls, from, reply_to, login, root: root.map(|root| folder.join(root)) })
    }

    /// The way to the server, with its password and root read; sends nothing. `base` is where the pages are.
    pub(crate) fn transport(&self, outbound: &Outbound, base: &str) -> Result<Transport, Failure> {
        let host = self.server.to_ascii_lowercase();
        let is_private =
            self.tls == Tls::None || outbound.private_hosts.iter().any(|one| one.eq_ignore_ascii_case(&host));
        let login = match &self.login {
            None => None,
            Some((user, password)) => {
                let password = password.read("mail.user", outbound, wrong)?;
                Some(Login { user: user.clone(), password })
            }
        };
        let root = match &self.root {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                wrong(format!("mail.root {} cannot be read", path.display())).because(error.to_string())
            })?),
        };
        Transport::new(MailConfig {
            host: self.server.clone(),
            port: self.port,
            tls: self.tls,
            host_rule: if is_private { HostRule::PrivateAllowed } else { HostRule::Public },
            root,
            login,
            from: self.from.clone(),
            reply_to: self.reply_to.clone(),
            base: base.to_owned(),
            timeout: TRY_TIMEOUT,
        })
        .map_err(|error| wrong(error.to_string()))
    }
}

fn wrong(what: String) -> Failure {
    Failure::new(Exit::Config, what).todo("look at [mail] in collector.toml; docs/notifications.md shows each key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Mail, String> {
        Mail::check(Path::new("/data"), toml::from_str(text).unwrap())
    }

    #[test]
    fn ports_follow_the_kind_of_tls() {
        for (tls, port) in [("", 587), ("tls = \"starttls\"", 587), ("tls = \"implicit\"", 465)] {
            let mail = check(&format!("server = \"smtp.example\"\nfrom = \"a@b.example\"\n{tls}")).unwrap();
            assert_eq!(mail.port, port, "{tls}");
        }
        let local = check("server = \"127.0.0.1\"\nfrom = \"a@b.example\"\ntls = \"none-for-loopback\"").unwrap();
        assert_eq!((local.port, local.tls), (25, Tls::None));
    }

    #[test]
    fn what_cannot_be_is_said_with_what_to_write() {
        for (text, why) in [
            ("server = \"smtp.example\"\nfrom = \"nobody\"", "\"nobody\" is not a mail address"),
            ("server = \"smtp.example\"\nfrom = \"a@b\"", "no domain that others can answer to"),
            ("server = \"smtp.example\"\nfrom = \"a@b.example\"\nreply_to = \"x\"", "address for answers \"x\""),
            ("server = \"smtp.example\"\nfrom = \"a@b.example\"\ntls = \"startls\"", "did you mean \"starttls\"?"),
            ("server = \"smtp.example:587\"\nfrom = \"a@b.example\"", "without a port"),
            ("server = \"smtp.example\"\nfrom = \"a@b.example\"\ntls = \"none-for-loopback\"", "is another host"),
            ("server = \"smtp.example\"\nfrom = \"a@b.example\"\npassword = \"x\"", "a password and no user"),
            (
                "server = \"s.example\"\nfrom = \"a@b.example\"\nuser = \"u\"\npassword = \"x\"\npassword_file = \"y\"",
                "keep one",
            ),
        ] {
            let said = check(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn a_password_is_read_from_the_secrets_or_from_a_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let outbound = Outbound { secrets_file: folder.path().join("secrets.toml"), private_hosts: Vec::new() };
        let mail = |keys: &str| {
            let text = format!("server = \"smtp.example\"\nfrom = \"a@b.example\"\nuser = \"upheld\"\n{keys}");
            Mail::check(folder.path(), toml::from_str(&text).unwrap()).unwrap()
        };
        let missing = mail("").transport(&outbound, "https://c.example").unwrap_err().text(false);
        assert!(missing.contains("the secret mail") && missing.contains("mail = \"…\""), "{missing}");
        std::fs::write(&outbound.secrets_file, "mail = \"p4ssword\"\n").unwrap();
        let transport = mail("").transport(&outbound, "https://c.example").unwrap();
        assert!(!format!("{transport:?}").contains("p4ssword"));
        std::fs::write(folder.path().join("pass"), "from-a-file\n").unwrap();
        let file = mail("password_file = \"pass\"");
        let password = &file.login.as_ref().unwrap().1;
        assert_eq!(password.read("mail.user", &outbound, wrong).unwrap(), "from-a-file");
        let none = mail("password_file = \"none\"").transport(&outbound, "https://c.example").unwrap_err();
        assert_eq!(none.exit(), Exit::Config);
        let no_root = mail("root = \"ca.pem\"").transport(&outbound, "https://c.example").unwrap_err().text(false);
        assert!(no_root.contains("mail.root") && no_root.contains("ca.pem"), "{no_root}");
    }
}
