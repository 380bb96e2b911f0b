//! The collector running: doors open, tasks working, certificates kept fresh, until it is told to stop.
//!
//! Order matters. The right to serve comes first (one server a folder), then the port, so that neither a second
//! server nor a taken port changes anything; then the run begins in the store. Stopping goes the other way: no new
//! connections, requests in flight finish, tasks hand back what they have leased, the run ends in the store.

pub(crate) mod certificates;
mod followers;
mod install;
mod manager;
mod signals;

pub(crate) use signals::told_to_stop;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    time::sleep,
};
use tracing::{info, warn};
use upheld_desk::{
    Desk, Scope,
    deliverer::Channels,
    tasks::{Among, Surroundings},
};
use upheld_model::Mono;
use upheld_outbound::notify::mail::Mail;
use upheld_web::{NewHost, Portal};
use upheld_wire::v1::enroll::EnrollLink;

use crate::{
    agents::Agents,
    config::{Config, MAIL_NEEDED},
    data_dir::{DataDir, ServeLock},
    doors::{Doors, Limits, Routers, bounded, connections},
    failure::{Exit, Failure},
    output::{Output, write_line},
    packages::{Packages, install_line},
    pki::Pki,
};
use certificates::Certificates;

/// How often the tasks look for work that nothing woke them for.
const TASK_PERIOD: Duration = Duration::from_secs(1);
/// Connections that the kernel may hold for us: after a restart thousands of agents come at once, and whoever finds no room
/// tries again after a second, then after three. Its own limit (`net.core.somaxconn`) is usually this.
const WAITING_MAX: u32 = 4_096;
/// A form or an API body.
const PORTAL_BYTES_MAX: usize = 256 << 10;

/// What to say once the doors are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// The address.
    Address,
    /// That we wait for the first host, and then its name.
    FirstHost,
}

/// Everything that serving needs, loaded and locked.
pub(crate) struct House {
    /// The configuration.
    pub(crate) config: Config,
    data: DataDir,
    desk: Desk,
    pki: Pki,
    secrets: crate::config::SecretsFile,
    mail: Option<Mail>,
    metrics: PrometheusHandle,
    lock: ServeLock,
}

impl House {
    /// Takes the right to serve the folder and loads what is in it; certificates near their end are replaced.
    pub(crate) fn open(data: &DataDir) -> Result<Self, Failure> {
        let config = data.config()?;
        let lock = data.lock()?;
        let secrets = config.outbound.secrets()?;
        let mail = config.mail_transport()?;
        let pki = Pki::open(&data.pki(), &config.listen.public)?;
        let pki = pki.renewed(Timestamp::now())?.unwrap_or(pki);
        let desk = data.serving_desk(&config)?;
        let metrics = PrometheusBuilder::new()
            .install_recorder()
            .map_err(|error| Failure::new(Exit::Failed, "cannot keep metrics").because(error.to_string()))?;
        Ok(Self { config, data: data.clone(), desk, pki, secrets, mail, metrics, lock })
    }
}

/// Serves until SIGTERM or Ctrl-C. A second Ctrl-C ends the process at once.
pub(crate) async fn serve(house: House, greeting: Greeting, output: &Output) -> Result<(), Failure> {
    let House { config, data, desk, pki, secrets, mail, metrics, lock } = house;
    let listener = bind(config.listen.address)?;
    let clock: Arc<dyn Fn() -> Timestamp + Send + Sync> = Arc::new(Timestamp::now);
    desk.start_run(clock()).await?;
    metrics::gauge!("upheld_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);

    let certificates = Certificates::new(pki, data.pki(), config.listen.public.clone())?;
    warn_of_the_book(&desk, mail.is_some()).await;
    let outbound = Arc::new(Channels::new(config.outbound.private_hosts.clone()).with_mail(mail));
    let booted = Instant::now();
    let among = match config.database {
        Some(_) => Some(Among::at(&here(&config))?),
        None => None,
    };
    let tasks = desk.spawn_tasks(
        Surroundings {
            clock: Arc::clone(&clock),
            secrets: Arc::new(secrets),
            mono: Arc::new(move || Mono(u64::try_from(booted.elapsed().as_nanos()).unwrap_or(u64::MAX))),
            outside: outbound.clone(),
            channel: outbound,
            among,
        },
        TASK_PERIOD,
    );
    let routers = routers(&desk, &certificates, &clock, metrics.clone(), &config, Packages::of(&data));
    let (stop, stopped) = watch::channel(false);
    let doors =
        Doors::new(listener, certificates.tls(), routers, Limits { connections: connections(), ..Limits::default() });
    let serving = tokio::spawn(doors.serve(stopped));
    greet(&config, &data, output)?;
    manager::ready(&config.listen.url());
    if let Some(recovery) = desk.recovery().await? {
        output.say(&upheld_web::words::recovering(&recovery));
    }
    info!(address = %config.listen.address, data = %data.path().display(), "serving");

    tokio::select! {
        name = told_to_stop() => info!("{name}: stopping; requests in flight finish first"),
        () = certificates.keep_fresh(&desk, &clock) => {}
        () = upkeep(&metrics) => {}
        () = manager::watch(&desk) => {}
        () = followers::watch(&config) => {}
        () = tell_of_first_host(&desk, greeting, output) => {}
    }
    manager::stopping();
    signals::end_at_once_when_told_again();
    stop.send_replace(true);
    // A panic in the accept loop has been reported where it happened; stopping goes on.
    let _ = serving.await;
    tasks.stop().await;
    desk.end_run(clock()).await?;
    info!("stopped");
    drop(lock);
    Ok(())
}

/// This host and its port, as people who run several collectors tell them apart.
fn here(config: &Config) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let (host, address) = (host.trim(), config.listen.address);
    if host.is_empty() { address.to_string() } else { format!("{host}:{}", address.port()) }
}

/// What the book in force asks for and this collector cannot do as it is set up. Without anchors an outage of our own line
/// looks like silence of all clients.
async fn warn_of_the_book(desk: &Desk, has_mail: bool) {
    let Ok(book) = desk.current_book().await else { return };
    if book.book.provider.anchors.is_empty() {
        warn!(
            "provider.toml names no anchors: an outage of this collector's own line will look like its clients' silence; \
             add e.g. anchors = [\"192.0.2.53:53\"] with hosts of others that answer, and apply the book"
        );
    }
    if !has_mail && book.book.tells_by_mail() {
        warn!("{MAIL_NEEDED}");
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A port whose last connections still fade is free.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(WAITING_MAX)
    };
    open().map_err(|error| cannot_bind(address, &error))
}

fn cannot_bind(address: SocketAddr, error: &io::Error) -> Failure {
    let failure = |exit, what: String| Failure::new(exit, what).because(error.to_string());
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        return failure(Exit::TryAgain, format!("{address} is in use by another program"))
            .todo(format!("find it: ss -ltnp 'sport = :{}'", address.port()))
            .todo("or listen elsewhere: upheld-collector serve --listen ADDR:PORT, or listen in collector.toml");
    }
    if kind == io::ErrorKind::PermissionDenied {
        return failure(Exit::Failed, format!("{address} may not be used")).todo(
            "use a port above 1023, or give the right: \
             setcap cap_net_bind_service=+ep $(command -v upheld-collector)",
        );
    }
    if kind == io::ErrorKind::AddrNotAvailable {
        return failure(Exit::Config, format!("{} is no address of this host", address.ip()))
            .todo("put an address of this host into listen in collector.toml, or 0.0.0.0");
    }
    failure(Exit::Failed, format!("cannot listen on {address}"))
}

fn routers(
    desk: &Desk,
    certificates: &Certificates,
    clock: &Arc<dyn Fn() -> Timestamp + Send + Sync>,
    metrics: PrometheusHandle,
    config: &Config,
    packages: Packages,
) -> Routers {
    let (pki, authority) = (certificates.pki(), config.listen.authority());
    let url = format!("https://{authority}");
    let (offered, at) = (packages.clone(), url.clone());
    let new_host = move |made: &upheld_desk::NewToken| {
        let pki = pki.borrow();
        let (token, root_fingerprint) = (made.token.clone(), pki.root_fingerprint());
        let link = EnrollLink { authority: authority.clone(), token, root_fingerprint, issued: made.issued_at };
        let key = offered.key().unwrap_or_else(|error| {
            tracing::warn!(error = error.text(false), "No install line is shown: the release key cannot be read.");
            None
        });
        NewHost { install: key.map(|key| install_line(&at, &pki, &link, &key)), link: link.to_string() }
    };
    let (authority, now) = (certificates.pki(), Arc::clone(clock));
    let agents =
        Agents::new(desk.clone(), certificates.pki(), Arc::clone(clock), config.collectors.clone(), config.agents);
    let portal = upheld_web::portal(Portal {
        desk: desk.clone(),
        clock: Arc::clone(clock),
        new_host: Arc::new(new_host),
        url,
        metrics: Arc::new(move || metrics.render()),
        certificates: Arc::new(move || certificates::health(&authority.borrow(), now())),
    });
    let portal = portal.merge(install::routes(packages));
    Routers { data: agents.data(), enrolment: agents.enrolment(), portal: bounded(portal, PORTAL_BYTES_MAX) }
}

fn greet(config: &Config, data: &DataDir, output: &Output) -> Result<(), Failure> {
    let url = config.listen.url();
    if output.json {
        let line = json!({ "type": "listening", "url": url, "address": config.listen.address, "data": data.path() });
        return write_line(&line.to_string());
    }
    write_line(&format!("Serving on {url}, data in {}. Ctrl-C stops.", data.path().display()))
}

/// Never returns: it is one of the things that go on until stopped.
async fn tell_of_first_host(desk: &Desk, greeting: Greeting, output: &Output) {
    if greeting == Greeting::FirstHost {
        output.say("Waiting for the first host …");
        let begun = tokio::time::Instant::now();
        let host = loop {
            // A store that does not answer is the tasks' to report; here it only means not yet.
            if let Some(first) = desk.agents(&Scope::Provider).await.ok().and_then(|agents| agents.into_iter().next()) {
                break first;
            }
            sleep(Duration::from_millis(100)).await;
        };
        let waited = match begun.elapsed().as_secs() {
            seconds @ 0..10 => format!("{seconds}.{} s", begun.elapsed().subsec_millis() / 100),
            seconds => upheld_web::words::two_units(seconds),
        };
        output.say(&format!(
            "{} ({}/{}) enrolled after {waited}. Try there: upheld-agent drill",
            host.host, host.client, host.site
        ));
    }
    std::future::pending::<()>().await;
}

/// Lets the metrics' histograms age; without it they only grow.
async fn upkeep(metrics: &PrometheusHandle) {
    loop {
        sleep(Duration::from_secs(5)).await;
        metrics.run_upkeep();
    }
}
