//! `agent.toml`: the few things that only this site can know. The collector never writes it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use upheld_probe::AllowList;
use url::Url;

use crate::{
    alarm::{AlarmTarget, RawTarget},
    cli::Common,
    collectors::{Collectors, is_address},
    failure::{Code, Failure},
    platform::{ALLOW_FILE, SETTINGS_FILE},
    state::Identity,
};

/// The checked settings.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The `http://` proxy through which the collector is reached; `None` for none.
    pub(crate) proxy: Option<Url>,
    /// Where this agent itself tells failures of critical assets while its collector is away; `None` for nowhere.
    pub(crate) alarm: Option<AlarmTarget>,
    /// Where jobs of this host tell over HTTP that they ran; `None` for nowhere.
    pub(crate) jobs: Option<SocketAddr>,
    /// What the journal may take of this host's disk, in bytes; `None` for what it takes by itself.
    pub(crate) journal_bytes: Option<u64>,
    /// Other addresses of the provider's collectors, asked in turn after that of the link.
    pub(crate) collectors: Vec<String>,
    /// The allow file that the settings name.
    allow: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    proxy: Option<String>,
    alarm: Option<RawTarget>,
    allow: Option<PathBuf>,
    jobs: Option<RawJobs>,
    journal: Option<RawJournal>,
    #[serde(default)]
    collectors: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJournal {
    budget_mib: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJobs {
    port: Option<u16>,
    listen: Option<SocketAddr>,
}

impl Settings {
    /// Reads the settings that `common` names, else those of the enrolment, else the default file if there is one.
    pub(crate) fn load(common: &Common, enrolled: Option<&Identity>) -> Result<Self, Failure> {
        let named = common.config.as_deref().or(enrolled.and_then(|identity| identity.settings_file.as_deref()));
        match named {
            Some(path) => Self::parse(path, &read_named(path)?),
            None => read_default(Path::new(SETTINGS_FILE))?
                .map_or(Ok(Self::default()), |text| Self::parse(Path::new(SETTINGS_FILE), &text)),
        }
    }

    /// What checks may reach: the file named on the command line, at the enrolment or in the settings, which must
    /// be there; else the default file; else the package's defaults (SECURITY 3).
    pub(crate) fn allow_list(&self, common: &Common, enrolled: Option<&Identity>) -> Result<AllowList, Failure> {
        let named = common
            .allow
            .as_deref()
            .or(enrolled.and_then(|identity| identity.allow_file.as_deref()))
            .or(self.allow.as_deref());
        if let Some(path) = named {
            // The reader takes a missing file for the defaults; a file that somebody named must not be missed.
            read_named(path)?;
        }
        let path = named.unwrap_or(Path::new(ALLOW_FILE));
        AllowList::read(path).map_err(|error| invalid(path).because(error))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let raw: Raw = toml::from_str(text).map_err(|error| invalid(path).why(error.to_string().trim_end()))?;
        let proxy = raw.proxy.map(|proxy| parse_proxy(path, &proxy)).transpose()?;
        let alarm = raw.alarm.as_ref().map(AlarmTarget::new).transpose().map_err(|why| {
            invalid(path)
                .why(why)
                .help(r#"write: alarm = { url = "https://alarms.example/agent", secret = "whsec_…" }"#)
        })?;
        let jobs = raw.jobs.map(|jobs| parse_jobs(path, &jobs)).transpose()?;
        let journal_bytes = raw.journal.map(|journal| parse_budget(path, journal.budget_mib)).transpose()?;
        if let Some(wrong) = raw.collectors.iter().find(|text| !is_address(text)) {
            return Err(invalid(path)
                .why(format!("collectors: {wrong:?} is no host name or address with a port"))
                .help(r#"write: collectors = ["collector-b.example:7443"]"#));
        }
        Ok(Self { proxy, alarm, jobs, journal_bytes, collectors: raw.collectors, allow: raw.allow })
    }

    /// Where the collector is: the link's address, then those of the settings, then those told at enrolment.
    pub(crate) fn all_collectors(&self, identity: &Identity) -> Collectors {
        Collectors::new(&identity.collector, &self.collectors, &identity.collectors)
    }
}

/// Makes a path absolute, so that it still means the same when the service runs elsewhere.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(Code::Failed, format!("cannot find {}", path.display())).because(error))
}

fn parse_proxy(path: &Path, proxy: &str) -> Result<Url, Failure> {
    let refused = || {
        invalid(path)
            .why("proxy must be an http:// address with a host, without credentials: the tunnel itself is TLS")
            .help(r#"write: proxy = "http://proxy.example:3128""#)
    };
    let url = Url::parse(proxy).map_err(|_| refused())?;
    let is_plain = url.scheme() == "http" && url.host().is_some() && url.username().is_empty();
    if is_plain && url.password().is_none() { Ok(url) } else { Err(refused()) }
}

/// With less the hashes alone of thirty days without a line (23 MiB) would push transitions out.
fn parse_budget(path: &Path, mib: u64) -> Result<u64, Failure> {
    if (64..=65_536).contains(&mib) {
        return Ok(mib << 20);
    }
    Err(invalid(path)
        .why(format!("the journal's budget is 64 to 65536 MiB, not {mib}"))
        .help("write: journal = { budget_mib = 256 }"))
}

/// A port is on loopback; who wants more writes the address.
fn parse_jobs(path: &Path, jobs: &RawJobs) -> Result<SocketAddr, Failure> {
    let address = match (jobs.port, jobs.listen) {
        (Some(port), None) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        (None, Some(address)) => Some(address),
        (Some(_), Some(_)) | (None, None) => None,
    };
    address.filter(|address| address.port() != 0).ok_or_else(|| {
        invalid(path)
            .why("jobs needs either a port, for this host alone, or an address to listen on")
            .help(r#"write: jobs = { port = 8765 }, or: jobs = { listen = "10.20.0.5:8765" }"#)
    })
}

fn read_named(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(Code::Invalid, format!("cannot read {}", path.display())).because(error))
}

fn read_default(path: &Path) -> Result<Option<String>, Failure> {
    crate::files::read_if_there(path)
        .map_err(|error| Failure::new(Code::Invalid, error.to_string()).because(error.source))
}

fn invalid(path: &Path) -> Failure {
    Failure::new(Code::Invalid, format!("{} is not valid", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, Failure> {
        Settings::parse(Path::new("agent.toml"), text)
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_known_ones() {
        let refused = parse("proxi = \"http://p:1\"").unwrap_err();
        assert_eq!(refused.code(), Code::Invalid);
        let text = refused.to_string();
        assert!(text.contains("agent.toml") && text.contains("proxi") && text.contains("`proxy`"), "{text}");
    }

    #[test]
    fn an_alarm_needs_an_address_and_a_secret_and_the_file_is_refused_without_printing_it() {
        let good = "alarm = { url = \"https://a.example/x\", secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\" }";
        assert!(parse(good).unwrap().alarm.is_some());
        assert!(parse("").unwrap().alarm.is_none());
        let refused = parse(&good.replace("https", "http")).unwrap_err().to_string();
        assert!(
            refused.contains("agent.toml") && refused.contains("https://") && !refused.contains("MfKQ"),
            "{refused}"
        );
        assert!(parse("alarm = { url = \"https://a.example/x\" }").is_err());
    }

    #[test]
    fn jobs_are_heard_on_loopback_unless_an_address_is_named() {
        assert_eq!(parse("").unwrap().jobs, None, "no port is open that nobody asked for");
        assert_eq!(parse("jobs = { port = 8765 }").unwrap().jobs, Some("127.0.0.1:8765".parse().unwrap()));
        let named = "jobs = { listen = \"10.20.0.5:8765\" }";
        assert_eq!(parse(named).unwrap().jobs, Some("10.20.0.5:8765".parse().unwrap()));
        for bad in
            ["jobs = {}", "jobs = { port = 0 }", "jobs = { port = 1, listen = \"127.0.0.1:1\" }", "jobs = { prt = 1 }"]
        {
            assert_eq!(parse(bad).unwrap_err().code(), Code::Invalid, "{bad}");
        }
    }

    #[test]
    fn a_journals_budget_is_in_mebibytes_and_has_room_for_thirty_days() {
        assert_eq!(parse("").unwrap().journal_bytes, None);
        assert_eq!(parse("journal = { budget_mib = 512 }").unwrap().journal_bytes, Some(512 << 20));
        for bad in ["journal = { budget_mib = 1 }", "journal = { budget_mib = 70000 }", "journal = {}", "journal = 256"]
        {
            assert_eq!(parse(bad).unwrap_err().code(), Code::Invalid, "{bad}");
        }
    }

    #[test]
    fn other_collectors_are_named_as_in_a_link() {
        assert!(parse("").unwrap().collectors.is_empty());
        assert_eq!(parse("collectors = [\"b.example:7443\"]").unwrap().collectors, ["b.example:7443"]);
        let refused = parse("collectors = [\"https://b.example\"]").unwrap_err().to_string();
        assert!(refused.contains("collector-b.example:7443"), "{refused}");
    }

    #[test]
    fn only_a_plain_http_proxy_is_taken() {
        assert_eq!(parse("proxy = \"http://p:3128\"").unwrap().proxy.unwrap().as_str(), "http://p:3128/");
        for bad in ["https://p", "socks5://p:1", "p:3128", "http://user:word@p:1"] {
            assert!(parse(&format!("proxy = \"{bad}\"")).is_err(), "{bad}");
        }
    }
}
