//! What a package carries beside the program, made from the grammar itself: man pages and completions.

use std::{fs, io, path::Path};

use clap_complete::{Shell, generate_to};

use crate::failure::{Exit, Failure};

/// Writes `man1/*.1` and a completion for each shell into `folder`, which is made.
pub(crate) fn write(grammar: clap::Command, folder: &Path) -> Result<(), Failure> {
    made(grammar.disable_help_subcommand(true), folder).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write into {}", folder.display())).because(error.to_string())
    })
}

fn made(mut grammar: clap::Command, folder: &Path) -> io::Result<()> {
    let (manual, completions) = (folder.join("man1"), folder.join("completions"));
    fs::create_dir_all(&manual)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(grammar.clone(), &manual)?;
    let name = grammar.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
        generate_to(shell, &mut grammar, &name, &completions)?;
    }
    Ok(())
}
