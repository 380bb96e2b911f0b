//! `init`: a collector of one's own: folder, keys, database, configuration, and the first way in (SECURITY 30).

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_agreement::book::Book;
use upheld_model::{ClientId, SiteId};
use upheld_wire::v1::enroll::EnrollLink;

use super::{Context, book, database::DatabaseArgs, runtime, serve, typist};
use crate::{
    config::{Config, Database, Listen},
    failure::{Exit, Failure},
    files::{read_text, write_private},
    output::write_line,
    packages::{Packages, install_line},
    pki::Pki,
    service::Greeting,
};

/// How the new collector is reached.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7443", value_name = "ADDR:PORT")]
    listen: String,
    /// A name or address by which agents and people reach it; repeat for more, the first stands in links.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// A host at a private or loopback address that webhooks may reach; repeat for more.
    #[arg(long = "webhook-private-host", value_name = "NAME")]
    webhook_private_hosts: Vec<String>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Serve at once, with a book and the line that adds the first host.
    #[arg(long)]
    serve: bool,
    /// With --serve: your own book, whose first site gets the first host, in place of a starter one.
    #[arg(long, value_name = "DIR", requires = "serve")]
    book: Option<PathBuf>,
    /// With --serve: the client of the starter book, by the name of his folder.
    #[arg(long, value_name = "CLIENT", default_value = "first-client", conflicts_with = "book")]
    client: ClientId,
    /// With --serve: the public key of whoever builds the packages; what hosts install must be signed by it.
    #[arg(long, value_name = "FILE", requires = "serve")]
    release_key: Option<PathBuf>,
    /// With --release-key: the agent's signed package, which the line for new hosts installs.
    #[arg(long, value_name = "FILE", requires = "release_key")]
    package: Option<PathBuf>,
}

pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let listen = reached_by(&args.listen, args.hosts)?;
    let begun = if args.serve { Some(Begun::read(args.book.as_deref(), &args.client, context)?) } else { None };
    let database = args.database.given()?;
    let made = make(&listen, &args.webhook_private_hosts, database.as_ref(), context)?;
    let packages = Packages::of(&context.data);
    if let Some(file) = &args.release_key {
        packages.set_key(&read_text(file)?, file)?;
    }
    if let Some(file) = &args.package {
        packages.add(file)?;
    }
    let first = begun.map(|begun| begun.apply(&made.pki, &listen, context)).transpose()?;
    tell(&made, &listen, first.as_ref(), context)?;
    if args.serve { serve::run_for(Greeting::FirstHost, context) } else { Ok(Exit::Ok) }
}

/// What there is to know about a new collector.
struct Made {
    pki: Pki,
    login_link: String,
}

fn make(
    listen: &Listen,
    private_hosts: &[String],
    database: Option<&Database>,
    context: &Context,
) -> Result<Made, Failure> {
    let data = &context.data;
    if data.is_initialised() {
        return Err(Failure::new(Exit::Config, format!("there is a collector in {} already", data.path().display()))
            .because("making another would replace the keys that its agents trust")
            .todo(format!("upheld-collector serve{}", context.data_option()))
            .todo("or make one elsewhere: upheld-collector init --data OTHER"));
    }
    data.create()?;
    let now = Timestamp::now();
    // Before anything is made: a database that cannot be reached leaves nothing behind.
    let desk = data.open_database(database, &data.usual_secrets())?;
    if database.is_some() && runtime()?.block_on(desk.is_in_use())? {
        return Err(Failure::new(Exit::Config, "the database holds a collector's facts already: nothing was made")
            .because("a new collector has new keys, which that one's agents would not trust")
            .todo("name an empty database")
            .todo("or put that collector's folder back (collector.toml, secrets.toml, pki/) and serve it"));
    }
    let pki = Pki::create(&data.pki(), &listen.public, now)?;
    let secret = runtime()?.block_on(desk.new_login_link("admin", &typist(), now))?;
    // Last: a folder with a configuration is a whole collector.
    write_private(&data.config_file(), Config::template(listen, private_hosts, database).as_bytes())?;
    Ok(Made { pki, login_link: format!("{}/in/{secret}", listen.url()) })
}

/// The book with which a collector begins that serves at once: read before anything is made, so that a mistake in it
/// leaves nothing behind.
struct Begun {
    files: BTreeMap<String, String>,
    /// Where the first host goes.
    client: ClientId,
    site: SiteId,
    /// Whether it is the starter book, which is written into the data folder.
    is_starter: bool,
}

/// What the first host needs.
struct First {
    client: ClientId,
    site: SiteId,
    /// Where the starter book lies, where one was made.
    starter: Option<PathBuf>,
    link: EnrollLink,
    /// What installs the agent too; `None` where no release key is set.
    line: Option<String>,
}

impl Begun {
    fn read(own: Option<&Path>, client: &ClientId, context: &Context) -> Result<Self, Failure> {
        let files = match own {
            Some(folder) => book::read_folder(folder)?,
            None => book::starter(client, context)?,
        };
        let book = Book::read(&files).map_err(|refused| {
            let folder = own.unwrap_or(Path::new("book")).display().to_string();
            Failure::new(Exit::Config, format!("the book in {folder} has mistakes: nothing was made"))
                .because(refused.to_string())
                .todo(format!("upheld-collector book check {folder}"))
        })?;
        let first =
            book.clients.values().find_map(|client| Some((client.id.clone(), client.sites.keys().next()?.clone())));
        let Some((client, site)) = first else {
            return Err(Failure::new(Exit::Config, "the book has no site, so no host can be added: nothing was made")
                .todo("write clients/CLIENT/sites/SITE.toml, or begin with the starter book: leave --book out"));
        };
        Ok(Self { files, client, site, is_starter: own.is_none() })
    }

    fn apply(self, pki: &Pki, listen: &Listen, context: &Context) -> Result<First, Failure> {
        let Self { files, client, site, is_starter } = self;
        let starter = is_starter.then(|| context.data.book());
        if let Some(folder) = &starter {
            book::write_folder(folder, &files)?;
        }
        let made = context.with_desk(async |desk, now| -> Result<_, Failure> {
            desk.apply_book(files, &typist(), now).await?;
            Ok(desk.new_token(&client, &site, SignedDuration::from_hours(24), &typist(), now).await?)
        })?;
        let link = EnrollLink {
            authority: listen.authority(),
            token: made.token,
            root_fingerprint: pki.root_fingerprint(),
            issued: made.issued_at,
        };
        let key = Packages::of(&context.data).key()?;
        let line = key.map(|key| install_line(&listen.url(), pki, &link, &key));
        Ok(First { client, site, starter, link, line })
    }
}

fn tell(made: &Made, listen: &Listen, first: Option<&First>, context: &Context) -> Result<(), Failure> {
    let (pki, data, option) = (&made.pki, context.data.path().display(), context.data_option());
    if context.output.json {
        return write_line(
            &json!({
                "schema": "upheld.init/1",
                "url": listen.url(),
                "login_link": made.login_link,
                "portal_pin": pki.portal_pin(),
                "certificate_sha256": pki.portal_certificate_sha256(),
                "root_fingerprint": pki.root_fingerprint(),
                "data": context.data.path(),
                "enroll_link": first.map(|first| first.link.to_string()),
                "install_line": first.and_then(|first| first.line.as_ref()),
            })
            .to_string(),
        );
    }
    let mut text = format!(
        "Collector on {} (self-made certificate, key SHA256:{}), data in {data}\n\
         Certificate as a browser shows it, SHA-256:\n  {}\n\
         Admin link, valid 15 min:   {}\n",
        listen.url(),
        pki.portal_pin(),
        pki.portal_certificate_sha256(),
        made.login_link,
    );
    text.push_str(&match first {
        Some(first) => first.told(&option),
        None => format!(
            "Your agreements:            upheld-collector book apply DIR{option}\n\
             Add a host:                 upheld-collector agent token --client C --site S{option}\n\
            \x20                           and there: upheld-agent enroll '<link>'\n\
             Start it:                   upheld-collector serve{option}"
        ),
    });
    write_line(&text)
}

impl First {
    fn told(&self, option: &str) -> String {
        let Self { client, site, starter, link, line } = self;
        let book = match starter {
            Some(folder) => format!(
                "Your agreements:            a starter book is in {0}: client {client}, site {site}; edit it, then\n\
                \x20                           upheld-collector book apply {0}{option}\n",
                folder.display()
            ),
            None => format!("Your agreements:            applied; the line below is for {client}/{site}\n"),
        };
        let linux = match line {
            Some(line) => format!("{line}\nWhere the agent is already: upheld-agent enroll '{link}'"),
            None => format!(
                "dpkg -i upheld-agent_*.deb && upheld-agent enroll '{link}'\n\
                \x20                           (a line that installs too wants signed packages: upheld-collector package --help)"
            ),
        };
        format!(
            "{book}Add a host, Linux:          {linux}\n\
             Add a host, Windows:        not offered: this version has no package for Windows"
        )
    }
}

/// Checks the address; a port of 0 is replaced by one that is free now, so that links can name it.
fn reached_by(listen: &str, hosts: Vec<String>) -> Result<Listen, Failure> {
    let usage = |why: String| Failure::new(Exit::Usage, why);
    let mut address = Listen::check(listen, vec!["localhost".to_owned()], None).map_err(usage)?.address;
    if address.port() == 0 {
        let free = TcpListener::bind(address).and_then(|listener| listener.local_addr());
        address = free.map_err(|error| usage(format!("no port is free on {address}: {error}")))?;
    }
    let hosts = if hosts.is_empty() { vec![own_name(&address)?] } else { hosts };
    Listen::check(&address.to_string(), hosts, None).map_err(usage)
}

/// The address itself, where it names one host.
fn own_name(address: &SocketAddr) -> Result<String, Failure> {
    if address.ip().is_unspecified() {
        return Err(Failure::new(
            Exit::Usage,
            format!("{address} listens everywhere, but does not say how to get here"),
        )
        .todo(format!("upheld-collector init --listen {address} --host collector.example")));
    }
    Ok(address.ip().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_listens_everywhere_must_be_named() {
        let failure = reached_by("0.0.0.0:7443", vec![]).unwrap_err();
        assert!(failure.text(false).contains("--host collector.example"));
        let named = reached_by("0.0.0.0:7443", vec!["c.example".into()]).unwrap();
        assert_eq!(named.url(), "https://c.example:7443");
    }

    #[test]
    fn port_0_becomes_a_port_that_links_can_name() {
        let listen = reached_by("127.0.0.1:0", vec![]).unwrap();
        assert_ne!(listen.address.port(), 0);
        assert_eq!(listen.public, ["127.0.0.1"]);
    }
}
