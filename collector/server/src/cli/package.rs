//! `package key | add | list`: what new hosts install, and who must have signed it.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    files::read_text,
    packages::{Offered, Packages},
};

/// What can be done with packages.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Set the release key: the public Ed25519 key of whoever builds the packages, in PEM. Without FILE, show it.
    Key {
        /// The file: `openssl pkey -in release.pem -pubout -out release.pub`.
        file: Option<PathBuf>,
    },
    /// Offer a package to new hosts; its manifest and signature lie beside it (`dist/build-deb --sign`).
    Add {
        /// `upheld-agent_VERSION_ARCH.deb`.
        file: PathBuf,
    },
    /// The packages that are offered.
    List,
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    context.data.config()?;
    let packages = Packages::of(&context.data);
    match command {
        Command::Key { file: Some(file) } => {
            let key = packages.set_key(&read_text(&file)?, &file)?;
            tell_key(Some(&key), context)
        }
        Command::Key { file: None } => tell_key(packages.key()?.as_deref(), context),
        Command::Add { file } => {
            let offered = packages.add(&file)?;
            let text =
                format!("{} is offered to new hosts: upheld-collector agent token prints the line", words(&offered));
            context.output.result(&text, || json!({ "schema": "upheld.package-add/1", "package": of(&offered) }))?;
            Ok(Exit::Ok)
        }
        Command::List => {
            let all = packages.list();
            let lines: Vec<String> = all.iter().map(words).collect();
            let none = "No package. Build and sign one: dist/build-deb --only agent --sign release.pem".to_owned();
            let text = if lines.is_empty() { none } else { lines.join("\n") };
            let document =
                || json!({ "schema": "upheld.packages/1", "packages": all.iter().map(of).collect::<Vec<_>>() });
            context.output.result(&text, document)?;
            Ok(Exit::Ok)
        }
    }
}

fn tell_key(key: Option<&str>, context: &Context) -> Result<Exit, Failure> {
    let text =
        key.map_or_else(|| "No release key is set: upheld-collector package key FILE".to_owned(), ToOwned::to_owned);
    context.output.result(&text, || json!({ "schema": "upheld.release-key/1", "key": key }))?;
    Ok(Exit::Ok)
}

fn words(offered: &Offered) -> String {
    let Offered { name, arch, version, sha256 } = offered;
    format!("{name} {version} {arch}  sha256 {sha256}")
}

fn of(offered: &Offered) -> serde_json::Value {
    let Offered { name, arch, version, sha256 } = offered;
    json!({ "name": name, "arch": arch, "version": version, "sha256": sha256 })
}
