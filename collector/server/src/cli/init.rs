//! `init`: a collector of one's own: folder, keys, database, configuration, and the first way in (SECURITY 30).

use std::net::{SocketAddr, TcpListener};

use jiff::Timestamp;
use serde_json::json;

use super::{Context, runtime, serve, typist};
use crate::{
    config::{Config, Listen},
    failure::{Exit, Failure},
    files::write_private,
    output::write_line,
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
    /// Serve at once.
    #[arg(long)]
    serve: bool,
}

pub(super) fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let listen = reached_by(&args.listen, args.hosts)?;
    let made = make(&listen, &args.webhook_private_hosts, context)?;
    tell(&made, &listen, args.serve, context)?;
    if args.serve { serve::run_for(Greeting::FirstHost, context) } else { Ok(Exit::Ok) }
}

/// What there is to know about a new collector.
struct Made {
    pki: Pki,
    login_link: String,
}

fn make(listen: &Listen, private_hosts: &[String], context: &Context) -> Result<Made, Failure> {
    let data = &context.data;
    if data.is_initialised() {
        return Err(Failure::new(Exit::Config, format!("there is a collector in {} already", data.path().display()))
            .because("making another would replace the keys that its agents trust")
            .todo(format!("upheld-collector serve{}", context.data_option()))
            .todo("or make one elsewhere: upheld-collector init --data OTHER"));
    }
    data.create()?;
    let now = Timestamp::now();
    let pki = Pki::create(&data.pki(), &listen.public, now)?;
    let desk = data.open_database()?;
    let secret = runtime()?.block_on(desk.new_login_link("admin", &typist(), now))?;
    // Last: a folder with a configuration is a whole collector.
    write_private(&data.config_file(), Config::template(listen, private_hosts).as_bytes())?;
    Ok(Made { pki, login_link: format!("{}/in/{secret}", listen.url()) })
}

fn tell(made: &Made, listen: &Listen, serves: bool, context: &Context) -> Result<(), Failure> {
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
            })
            .to_string(),
        );
    }
    let mut text = format!(
        "Collector on {} (self-made certificate, key SHA256:{}), data in {data}\n\
         Certificate as a browser shows it, SHA-256:\n  {}\n\
         Admin link, valid 15 min:   {}\n\
         Your agreements:            upheld-collector book apply DIR{option}\n\
         Add a host:                 upheld-collector agent token --client C --site S{option}\n\
        \x20                           and there: upheld-agent enroll '<link>'",
        listen.url(),
        pki.portal_pin(),
        pki.portal_certificate_sha256(),
        made.login_link,
    );
    if !serves {
        text.push_str(&format!("\nStart it:                   upheld-collector serve{option}"));
    }
    write_line(&text)
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
