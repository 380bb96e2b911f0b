//! `explain-error`: what a code means and what to do.

use serde_json::json;
use upheld_agreement::book::Code;

use super::Context;
use crate::failure::{Exit, Failure};

/// Which code.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For example E0212.
    code: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let code = Code::find(&args.code).ok_or_else(|| {
        let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        Failure::new(Exit::Usage, format!("there is no code {:?}", args.code))
            .because(format!("known codes: {}", known.join(", ")))
    })?;
    let text = format!("{}: {}\n\n{}", code.as_str(), code.title(), code.explanation());
    context.output.result(&text, || {
        json!({
            "schema": "upheld.explain-error/1",
            "code": code.as_str(),
            "title": code.title(),
            "explanation": code.explanation(),
        })
    })?;
    Ok(Exit::Ok)
}
