//! Where the database is and how it is talked to: address, TLS, a pool, and what each session is told first.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use deadpool_postgres::{ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio_postgres::{
    Config, NoTls,
    config::{Host, SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Options, Password, SERVES, follow::Environment};
use crate::StoreError;

/// Shown in `pg_stat_activity`.
const APPLICATION: &str = "upheld-collector";
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server waits for a transaction that says nothing.
const IDLE: Duration = Duration::from_secs(60);
/// The same for a collector that serves beside others: frozen in the middle of a transaction, it holds up all who write.
const IDLE_BESIDE: Duration = Duration::from_secs(4);

/// An address that was read and found usable.
pub(super) struct Address {
    config: Config,
    /// For people: without the password.
    pub(super) shown: String,
    clear: bool,
}

impl Address {
    /// Reads `postgres://user@host:port/name`, or PostgreSQL's `key=value` form. A database on another host is
    /// talked to over TLS only.
    pub(super) fn read(url: &str, password: Option<&Password>) -> Result<Self, StoreError> {
        let wrong = |why: String| unusable("postgres://…", why);
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            wrong(format!("{why}: write postgres://USER@HOST:PORT/DATABASE"))
        })?;
        if config.get_dbname().is_none() {
            return Err(wrong("the address names no database: write postgres://USER@HOST:PORT/DATABASE".into()));
        }
        let here =
            config.get_hosts().iter().all(is_this_host) && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
        let socket = config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_)));
        let clear = socket || (here && config.get_ssl_mode() == SslMode::Disable);
        if !here && config.get_ssl_mode() == SslMode::Disable {
            return Err(wrong("sslmode=disable is for a database on this host alone: leave it out".into()));
        }
        if !clear {
            config.ssl_mode(SslMode::Require);
        }
        if let Some(Password(password)) = password {
            config.password(password);
        }
        config.application_name(APPLICATION);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        // Of several servers the one that takes writes: never a replica.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(30));
        Ok(Self { shown: shown(&config), clear, config })
    }

    /// Refuses an address with a password in it.
    pub(super) fn refuse_password(&self) -> Result<(), StoreError> {
        match self.config.get_password() {
            None => Ok(()),
            Some(_) => Err(unusable(
                &self.shown,
                "the address has a password in it, and its place is a secret or a file of its own".to_owned(),
            )),
        }
    }

    /// The same address for programs that use libpq, by its variables: the rules for TLS and for replicas are ours.
    /// `public` are the authorities that everybody trusts, for an address without one of its own.
    pub(super) fn environment(&self, options: &Options, public: Option<&Path>) -> Environment {
        let Self { config, clear, .. } = self;
        let all = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join(","));
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let authority = options.ca.as_deref().or(public).map(|path| path.display().to_string());
        let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        let mode = if *clear { "disable" } else { "verify-full" };
        [
            ("PGHOST", all(config.get_hosts().iter().map(host).collect())),
            ("PGHOSTADDR", all(config.get_hostaddrs().iter().map(ToString::to_string).collect())),
            ("PGPORT", all(config.get_ports().iter().map(ToString::to_string).collect())),
            ("PGUSER", config.get_user().map(str::to_owned)),
            ("PGPASSWORD", password),
            ("PGSSLMODE", Some(mode.to_owned())),
            ("PGSSLROOTCERT", authority.filter(|_| !clear)),
            ("PGTARGETSESSIONATTRS", Some("read-write".to_owned())),
            ("PGCONNECT_TIMEOUT", Some(CONNECT.as_secs().to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// A pool of at most `size` connections, each of which has this place.
    pub(super) fn pool(&self, options: &Options, size: usize, place: Place) -> Result<Pool, StoreError> {
        let how = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if self.clear {
            Manager::from_config(self.config.clone(), NoTls, how)
        } else {
            Manager::from_config(self.config.clone(), MakeRustlsConnect::new(self.tls(options.ca.as_deref())?), how)
        };
        let first = first_words(options, place);
        let hook = Hook::async_fn(move |client: &mut ClientWrapper, _| {
            let first = first.clone();
            Box::pin(async move {
                client.batch_execute(&first).await.map_err(HookError::Backend)?;
                take(place, client).await
            })
        });
        Pool::builder(manager).max_size(size).post_create(hook).build().map_err(|error| self.unreachable(error))
    }

    pub(super) fn unreachable(&self, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        StoreError::Unreachable { address: self.shown.clone(), source: Arc::new(error) }
    }

    /// Why the first connection was not had.
    pub(super) fn refused(&self, error: PoolError) -> StoreError {
        match error {
            PoolError::PostCreateHook(HookError::Message(_)) => StoreError::Served { address: self.shown.clone() },
            PoolError::PostCreateHook(HookError::Backend(error)) | PoolError::Backend(error) => self.unreachable(error),
            other @ (PoolError::Timeout(_) | PoolError::Closed | PoolError::NoRuntimeSpecified) => {
                self.unreachable(other)
            }
        }
    }

    /// The server's certificate is always verified: by the authority in `ca`, else by Mozilla's list.
    fn tls(&self, ca: Option<&Path>) -> Result<ClientConfig, StoreError> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(path) => {
                let open = |source| StoreError::Open { path: path.to_owned(), source };
                for found in CertificateDer::pem_file_iter(path).map_err(|error| open(Arc::new(error)))? {
                    let found = found.map_err(|error| open(Arc::new(error)))?;
                    roots.add(found).map_err(|error| open(Arc::new(error)))?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unreachable(error))?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

/// What a session is, among others of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// One that anybody may have.
    None,
    /// That of a collector that serves, beside others.
    Beside,
    /// That of whoever needs the database for himself.
    Alone,
}

/// Takes a place for as long as this session lasts.
async fn take(place: Place, client: &ClientWrapper) -> Result<(), HookError> {
    let lock = match place {
        Place::None => return Ok(()),
        Place::Beside => "SELECT pg_try_advisory_lock_shared($1)",
        Place::Alone => "SELECT pg_try_advisory_lock($1)",
    };
    let asked = client.query_one(lock, &[&SERVES]).await.map_err(HookError::Backend)?;
    if asked.get(0) { Ok(()) } else { Err(HookError::message("the database is in use")) }
}

/// What each session is told first. A server that hears nothing of us for a minute ends the session, and its locks. An answered write is on the disk: a role that was set to answer sooner is overruled.
fn first_words(options: &Options, place: Place) -> String {
    let Options { lock_wait, statement_timeout, .. } = options;
    let idle = if place == Place::Beside { IDLE_BESIDE } else { IDLE };
    format!(
        "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; \
         SET lock_timeout = {}; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
         SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        lock_wait.as_millis(),
        statement_timeout.as_millis(),
        idle.as_millis()
    )
}

fn is_this_host(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// An address that will not do, and why.
pub(super) fn unusable(address: &str, why: String) -> StoreError {
    let source: Box<dyn std::error::Error + Send + Sync> = why.into();
    StoreError::Unreachable { address: address.to_owned(), source: Arc::from(source) }
}

fn shown(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().first().map_or_else(String::new, ToString::to_string),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("postgres://{host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        match Address::read(url, None).err() {
            Some(StoreError::Unreachable { source, .. }) => source.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let address = Address::read("postgres://upheld:s3cret@db.example:6432/desk", None).unwrap();
        assert_eq!(address.shown, "postgres://db.example:6432/desk");
        assert!(!address.clear);
    }

    #[test]
    fn only_a_database_on_this_host_is_talked_to_in_the_clear() {
        assert!(Address::read("postgres://u@127.0.0.1/desk?sslmode=disable", None).unwrap().clear);
        assert!(!Address::read("postgres://u@127.0.0.1/desk", None).unwrap().clear);
        assert!(refused("postgres://u@db.example/desk?sslmode=disable").contains("on this host alone"));
    }

    #[test]
    fn programs_of_postgresql_are_given_the_same_address_and_the_same_rules() {
        let told = |url: &str, ca: Option<&str>| {
            let options = Options { ca: ca.map(Into::into), password: None, ..Options::default() };
            let password = Password::new("s3cret".to_owned());
            let address = Address::read(url, Some(&password)).unwrap();
            let told = address.environment(&options, Some(Path::new("/all.pem")));
            told.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            told("postgres://u@one.example:5432,two.example:6432/desk?sslmode=prefer", None),
            "PGHOST=one.example,two.example PGPORT=5432,6432 PGUSER=u PGPASSWORD=s3cret PGSSLMODE=verify-full \
             PGSSLROOTCERT=/all.pem PGTARGETSESSIONATTRS=read-write PGCONNECT_TIMEOUT=10"
        );
        assert!(told("postgres://u@db.example/desk", Some("/own.pem")).contains("PGSSLROOTCERT=/own.pem"));
        let here = told("postgres://u@127.0.0.1/desk?sslmode=disable", Some("/own.pem"));
        assert!(here.contains("PGSSLMODE=disable") && !here.contains("PGSSLROOTCERT"), "{here}");
    }

    #[test]
    fn an_address_that_cannot_be_read_says_how_one_is_written() {
        assert!(refused("postgres://u@h:port/desk").contains("postgres://USER@HOST:PORT/DATABASE"));
        assert!(refused("postgres://u@h").contains("names no database"));
    }
}
