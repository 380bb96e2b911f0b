//! `restore --pgdata`: a PostgreSQL made of the folder that followed it, and its collector's own folder.

use std::{fs, path::Path};

use serde_json::json;

use super::{RestoreArgs, Scratch, refuse_what_is_not_empty};
use crate::{
    backup::{
        self, Archive,
        postgresql::{Made, make},
    },
    cli::Context,
    failure::{Exit, Failure},
    files::{FileError, sync_folder},
};

pub(super) fn run(args: &RestoreArgs, archive: &Archive, context: &Context) -> Result<Exit, Failure> {
    let Some(pgdata) = &args.pgdata else {
        return Err(Failure::new(Exit::Usage, "a PostgreSQL was followed into this folder")
            .because("its data directory has to be made too, beside the collector's own folder")
            .todo("name both: upheld-collector restore --segments DIR --pgdata DIR2 --into DIR3")
            .todo("or the data directory alone, where the collector's folder is there: leave --into out"));
    };
    refuse_what_is_not_empty(pgdata)?;
    let own = args.into.as_deref().map(|into| own_folder(archive, into)).transpose()?;
    // Made beside its place and moved there whole: a restore that is killed leaves nothing that would start.
    let scratch = Scratch::beside(pgdata)?;
    let made = make(archive, args.file.as_deref(), &scratch.0, args.programs.as_deref(), args.as_far_as_whole)?;
    put(&scratch, pgdata)?;
    if let (Some(own), Some(into)) = (&own, &args.into) {
        put(own, into)?;
    }
    let next = next(&made, pgdata, args.into.as_deref());
    let files = made.files;
    let up_to = match made.up_to {
        Some(up_to) => format!("everything that was committed before {up_to:.0} is in it"),
        None => "as far as the log is whole: what was committed last is not in it".to_owned(),
    };
    let steps: String = next.iter().enumerate().map(|(at, step)| format!("\n  {}. {step}", at + 1)).collect();
    let text = format!(
        "{} is a data directory of PostgreSQL {}, made of {} and {files} files of the log: {up_to}.\nNext:{steps}",
        pgdata.display(),
        made.major,
        made.base.display()
    );
    context.output.result(&text, || {
        json!({
            "schema": "upheld.restore/1", "pgdata": pgdata, "into": args.into, "base": made.base, "files": files,
            "up_to": made.up_to, "postgresql": made.major, "next": next,
        })
    })?;
    Ok(Exit::Ok)
}

/// The collector's settings, secrets and keys, beside the place that they will have.
fn own_folder(archive: &Archive, into: &Path) -> Result<Scratch, Failure> {
    refuse_what_is_not_empty(into)?;
    let file = archive.own()?;
    backup::check(&file)?;
    let scratch = Scratch::beside(into)?;
    backup::unpack(&file, &scratch.0)?;
    Ok(scratch)
}

fn put(made: &Scratch, place: &Path) -> Result<(), Failure> {
    fs::rename(&made.0, place).map_err(FileError::of("name", place))?;
    let beside = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(sync_folder(beside).map_err(FileError::of("sync the folder", beside))?)
}

/// What remains to be done, each with its command.
fn next(made: &Made, pgdata: &Path, into: Option<&Path>) -> Vec<String> {
    let major = made.major;
    let data = std::path::absolute(pgdata).unwrap_or_else(|_| pgdata.to_owned());
    let debian = Path::new("/var/lib/postgresql").join(major.to_string());
    let cluster = data.strip_prefix(&debian).ok().filter(|name| name.components().count() == 1).map(Path::to_owned);
    let start = match cluster {
        Some(cluster) => format!("systemctl start postgresql@{major}-{}", cluster.display()),
        None if made.has_settings => format!("as the user postgres: pg_ctl -D {} start", data.display()),
        None => format!(
            "start PostgreSQL {major} on it: its settings were not in it (Debian: data_directory = '{}' in \
             /etc/postgresql/{major}/main/postgresql.conf, then systemctl start postgresql@{major}-main)",
            data.display()
        ),
    };
    let serve = match into {
        Some(into) => format!(
            "if its address is another one now, write it into {}: [database] url; then: upheld-collector serve --data {0}",
            into.display()
        ),
        None => "if its address is another one now, write it into collector.toml: [database] url; then start the \
                 collector; its folder remembers the last commit, so where nothing is missing nobody waits"
            .to_owned(),
    };
    let mut steps = vec![
        "the old server stays off: both would be the same one".to_owned(),
        format!("chown -R postgres: {}", data.display()),
        start,
        "wait until it is through the log, when this says f: psql -c 'SELECT pg_is_in_recovery()'".to_owned(),
        serve,
    ];
    if let Some(into) = into {
        steps.push(format!(
            "what was committed last may not have been followed, and a new folder does not know: it is in recovery until \
             a person has looked: upheld-collector recovery show --data {}",
            into.display()
        ));
    }
    steps.push(
        "follow the new server, into the same folder or another one: upheld-collector backup --follow DIR; it waits for \
         nobody before it answers a write (synchronous_standby_names), until you have it do so with the words that this prints"
            .to_owned(),
    );
    steps
}
