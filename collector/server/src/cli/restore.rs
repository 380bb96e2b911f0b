//! `restore`: a collector made of a backup, and of what followed it.

mod server;

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use upheld_desk::{Actor, Desk};

use super::{Context, database::DatabaseArgs};
use crate::{
    backup::{self, Archive, DATABASE, Folder},
    config::{Config, Database},
    data_dir::DataDir,
    failure::{Exit, Failure},
    files::{FileError, create_private_folder, read_text, sync_folder, write_private},
};

/// From what, to where.
#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The backup; with --segments the newest copy of the whole in that folder, unless another one of it is named.
    #[arg(required_unless_present = "segments")]
    file: Option<PathBuf>,
    /// The collector's folder to make; it must be empty or not exist.
    #[arg(long, value_name = "DIR", required_unless_present = "pgdata")]
    into: Option<PathBuf>,
    /// A folder that `backup --follow` wrote: what was committed after the copy of the whole is put on top of it.
    #[arg(long, value_name = "DIR")]
    segments: Option<PathBuf>,
    /// Where a segment is missing or damaged, restore what was there before it.
    #[arg(long, requires = "segments")]
    as_far_as_whole: bool,
    /// This person says that the collector wrote nothing after the last segment: nothing is void, and no recovery.
    #[arg(long, value_name = "WHO", requires = "segments", conflicts_with = "as_far_as_whole")]
    nothing_after_by: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// The facts stay in the file upheld.db of the folder, whatever the settings in the backup say.
    #[arg(long, conflicts_with = "database")]
    as_file: bool,
    /// From a folder that followed a PostgreSQL: its data directory to make; it must be empty or not exist.
    #[arg(
        long,
        value_name = "DIR",
        requires = "segments",
        conflicts_with_all = ["database", "as_file", "nothing_after_by"]
    )]
    pgdata: Option<PathBuf>,
    /// With --pgdata: where PostgreSQL's programs are, if not where packages put them.
    #[arg(long, value_name = "DIR", requires = "pgdata")]
    programs: Option<PathBuf>,
}

pub(super) fn run(args: &RestoreArgs, context: &Context) -> Result<Exit, Failure> {
    if let Some(archive) = args.segments.as_deref().and_then(Archive::at) {
        return server::run(args, &archive, context);
    }
    let Some(into) = &args.into else {
        return Err(Failure::new(Exit::Usage, "--pgdata is for a folder into which a PostgreSQL was followed")
            .because("this one holds the segments of a file")
            .todo("upheld-collector restore --segments DIR --into DIR2"));
    };
    refuse_what_is_not_empty(into)?;
    let folder = args.segments.as_deref().map(Folder::at);
    let base = folder.as_ref().map(|folder| folder.base(args.file.as_deref())).transpose()?;
    let Some(file) = base.as_ref().map(|base| &base.path).or(args.file.as_ref()) else {
        return Err(Failure::new(Exit::Usage, "no backup is named").todo("upheld-collector restore FILE --into DIR"));
    };
    backup::check(file)?;
    // Made beside its place and moved there whole: a restore that is killed leaves no folder that would serve.
    let scratch = Scratch::beside(into)?;
    let database = scratch.0.join(DATABASE);
    let manifest = backup::unpack(file, &scratch.0)?;
    if !manifest.has_facts() {
        return Err(Failure::new(Exit::Usage, format!("{} holds no facts", file.display()))
            .because("it holds the settings, secrets and keys of a collector whose facts are in PostgreSQL")
            .todo("name the folder that it is in: upheld-collector restore --segments DIR --pgdata DIR2 --into DIR3"));
    }
    let (taken_at, left) = (manifest.taken_at, manifest.left_out());
    let applied = match (&folder, &base) {
        (Some(folder), Some(base)) => Some(folder.apply(base, &database, args.as_far_as_whole)?),
        _ => None,
    };
    upheld_store::sqlite::backup::inspect(&database)?;
    let made = DataDir::at(scratch.0.clone());
    let config = made.config()?;
    let place = args.place(&config)?;
    let restored = Restored {
        file,
        into,
        segments: applied.map(|applied| applied.segments),
        up_to: applied.map_or(taken_at, |applied| applied.up_to),
        url: place.as_ref().map(|place| place.url().to_owned()),
    };
    let said = {
        // Opening migrates what an older version wrote.
        let desk = Desk::new(upheld_store::sqlite::open(&database)?);
        match args.nothing_after_by.as_deref() {
            Some(who) => restored.whole(&desk, who)?,
            None => restored.in_recovery(&desk)?,
        }
    };
    if let Some(place) = &place {
        move_to(place, &config, &made)?;
    }
    if place != config.database {
        let text = Config::with_database(&read_text(&made.config_file())?, place.as_ref());
        write_private(&made.config_file(), text.as_bytes())?;
    }
    let beside = into.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(&scratch.0, into).map_err(FileError::of("name", into))?;
    sync_folder(beside).map_err(FileError::of("sync the folder", beside))?;
    context.output.result(&(said.0 + &left), || said.1)?;
    Ok(Exit::Ok)
}

impl RestoreArgs {
    /// The PostgreSQL to which the facts go; `None` where they stay in the folder.
    fn place(&self, config: &Config) -> Result<Option<Database>, Failure> {
        match self.database.given()? {
            Some(database) => Ok(Some(database)),
            None if self.as_file => Ok(None),
            None => Ok(config.database.clone()),
        }
    }
}

/// Puts the facts of the folder's file into the database: all of them, compared, or none. The file goes.
fn move_to(place: &Database, config: &Config, made: &DataDir) -> Result<(), Failure> {
    let file = made.database();
    place.copy_from(&file, &config.outbound).map_err(|failure| {
        failure
            .todo("a restore never writes over facts: name an empty database, --database URL")
            .todo("or keep the facts in the folder: --as-file")
    })?;
    for end in ["", "-wal", "-shm"] {
        let path = PathBuf::from(format!("{}{end}", file.display()));
        if path.exists() {
            fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
        }
    }
    Ok(())
}

/// What was put together.
struct Restored<'a> {
    file: &'a Path,
    into: &'a Path,
    segments: Option<u64>,
    up_to: Timestamp,
    /// The database that holds the facts, where that is no file.
    url: Option<String>,
}

impl Restored<'_> {
    /// Facts may be missing: a person has to see that first.
    fn in_recovery(&self, desk: &Desk) -> Result<(String, Value), Failure> {
        let now = Timestamp::now();
        let Self { into, up_to, .. } = self;
        let voided = super::runtime()?.block_on(desk.begin_recovery(*up_to, now))?;
        let path = into.display();
        let text = format!(
            "{path} is restored from {}, and in recovery.\n\
             Facts that may be missing: from {up_to:.0} to {now:.0}.\n\
             Void since then: {} enrolment tokens, {} log-in links, {} sessions, {} API tokens; {} waiting messages are \
             looked up before they are sent.\n\
             Next: upheld-collector recovery show --data {path}",
            self.source(),
            voided.tokens,
            voided.login_links,
            voided.sessions,
            voided.api_tokens,
            voided.doubted
        );
        let document = json!({
            "schema": "upheld.restore/1", "into": into, "database": self.url, "segments": self.segments, "missing_from": up_to,
            "missing_to": now, "voided": voided,
        });
        Ok((text, document))
    }

    /// Somebody says that nothing is missing; the audit holds who.
    fn whole(&self, desk: &Desk, who: &str) -> Result<(String, Value), Failure> {
        let who = super::recovery::person(who, "--nothing-after-by")?;
        super::runtime()?.block_on(desk.note_whole_restore(self.up_to, &Actor::person(who), Timestamp::now()))?;
        let path = self.into.display();
        let text = format!(
            "{path} is restored from {}, up to {:.0}. By the word of {who} nothing was written after that: it serves at \
             once, with everybody's sessions and tokens.\n\
             Next: upheld-collector serve --data {path}",
            self.source(),
            self.up_to
        );
        let document = json!({
            "schema": "upheld.restore/1", "into": self.into, "database": self.url, "segments": self.segments, "up_to": self.up_to,
            "nothing_after_by": who,
        });
        Ok((text, document))
    }

    fn source(&self) -> String {
        let file = self.file.display();
        let source =
            self.segments.map_or_else(|| file.to_string(), |count| format!("{file} and {count} segments after it"));
        match &self.url {
            Some(url) => format!("{source} (facts: {url})"),
            None => source,
        }
    }
}

fn refuse_what_is_not_empty(into: &Path) -> Result<(), Failure> {
    if !into.exists() {
        return Ok(());
    }
    let mut entries = fs::read_dir(into).map_err(FileError::of("read the folder", into))?;
    if entries.next().is_none() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("{} is not empty", into.display()))
        .because("a restore never writes over a collector")
        .todo("name a folder that does not exist yet, or move that one away"))
}

/// A private folder that goes away with this, unless it was moved.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(path: &Path) -> Result<Self, Failure> {
        let mut name = path.as_os_str().to_owned();
        name.push(".restoring");
        let folder = PathBuf::from(name);
        // What an interrupted restore left.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(FileError::of("remove", &folder))?;
        }
        create_private_folder(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After a restore it has been moved away.
        let _ = fs::remove_dir_all(&self.0);
    }
}
