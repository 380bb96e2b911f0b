//! `book schema`: a JSON Schema of each file of the book, for editors.

use std::path::PathBuf;

use serde_json::{Value, json};
use upheld_agreement::book::schema::{KINDS, schema};

use crate::{
    cli::Context,
    failure::{Exit, Failure},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The kind of file; all of them when left out.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(KINDS))]
    kind: Option<String>,
    /// Write KIND.schema.json into this folder in place of printing.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let kinds = KINDS.iter().filter(|kind| args.kind.as_ref().is_none_or(|asked| asked == *kind));
    let schemas: Vec<(&str, Value)> = kinds.filter_map(|kind| Some((*kind, schema(kind)?))).collect();
    let Some(folder) = &args.out else {
        let document = match &schemas[..] {
            [(_, one)] => one.clone(),
            all => all
                .iter()
                .map(|(kind, schema)| ((*kind).to_owned(), schema.clone()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        };
        context.output.result(&format!("{document:#}"), || document.clone())?;
        return Ok(Exit::Ok);
    };
    let cannot = |path: &std::path::Path, error: &std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot write {}", path.display())).because(error.to_string())
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    let mut written = Vec::new();
    for (kind, schema) in schemas {
        let path = folder.join(format!("{kind}.schema.json"));
        std::fs::write(&path, format!("{schema:#}\n")).map_err(|error| cannot(&path, &error))?;
        written.push(path.display().to_string());
    }
    context.output.result(&written.join("\n"), || json!({ "schema": "upheld.book-schema/1", "files": written }))?;
    Ok(Exit::Ok)
}
