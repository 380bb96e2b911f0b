//! `serve`: the collector itself, until it is told to stop.

use super::Context;
use crate::{
    config::Listen,
    failure::{Exit, Failure},
    logging,
    service::{self, Greeting, House},
};

/// Where to serve.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Listen here in place of what collector.toml says; links go on naming what the file says.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    serve(args.listen.as_deref(), Greeting::Address, context)
}

/// Serves with another greeting: `init --serve` waits for the first host.
pub(super) fn run_for(greeting: Greeting, context: &Context) -> Result<Exit, Failure> {
    serve(None, greeting, context)
}

fn serve(listen: Option<&str>, greeting: Greeting, context: &Context) -> Result<Exit, Failure> {
    logging::start(context.output.json);
    let mut house = House::open(&context.data)?;
    if let Some(address) = listen {
        let public = house.config.listen.public.clone();
        house.config.listen.address =
            Listen::check(address, public, None).map_err(|why| Failure::new(Exit::Usage, why))?.address;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "cannot start").because(error.to_string()))?;
    runtime.block_on(service::serve(house, greeting, &context.output))?;
    Ok(Exit::Ok)
}
