//! `accept`: write down that a client accepted a version of his agreement.

use serde_json::json;
use upheld_model::{ClientId, Digest};

use super::{Context, typist};
use crate::failure::{Exit, Failure};

/// What was accepted, and by whom.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The client.
    client: ClientId,
    /// The version of his agreement, from 1.
    version: u32,
    /// The hash of what he read; `book explain` prints it.
    #[arg(long, value_name = "HASH")]
    hash: Digest,
    /// Who accepted, at the client's.
    #[arg(long, value_name = "WHO")]
    by: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let Args { client, version, hash, by } = args;
    let accepted =
        context.with_desk(async |desk, now| desk.accept_version(client, *version, *hash, by, &typist(), now).await)?;
    let text = format!("{} v{version} is accepted by {} (hash {hash}).", accepted.agreement, accepted.by);
    context.output.result(&text, || {
        let mut document = json!(accepted);
        document["schema"] = json!("upheld.accept/1");
        document["client"] = json!(client);
        document
    })?;
    Ok(Exit::Ok)
}
