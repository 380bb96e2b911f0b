//! PostgreSQL's own programs: where they are, and of which version.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::failure::{Exit, Failure};

/// What follows.
const FOLLOWS: &[&str] = &["pg_basebackup", "pg_receivewal"];
/// Where packages put the programs of each version: what stands before and behind its number.
const PLACES: &[(&str, &str)] = &[("/usr/lib/postgresql", "bin"), ("/usr", "bin")];

/// A folder of programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    folder: PathBuf,
    pub(super) major: i32,
}

impl Programs {
    /// Those that follow a server of this version: of the same one, else of the next newer one that there is.
    pub(super) fn that_follow(major: i32, given: Option<&Path>) -> Result<Self, Failure> {
        let found = all(FOLLOWS, given);
        let suitable = found.iter().filter(|programs| programs.major >= major).min_by_key(|programs| programs.major);
        suitable.cloned().ok_or_else(|| {
            Failure::new(
                Exit::Missing,
                format!("pg_basebackup and pg_receivewal of PostgreSQL {major} or newer are needed here"),
            )
            .because(format!("the server is PostgreSQL {major}, and its log is followed by its own programs"))
            .because(here(&found, given))
            .todo(format!("apt-get install postgresql-client-{major}"))
            .todo("or name the folder that they are in: --programs DIR")
        })
    }

    /// Those that check a copy of a server of exactly this version: only they read its log.
    pub(super) fn that_check(major: i32, given: Option<&Path>) -> Result<Self, Failure> {
        Self::exactly(major, &["pg_verifybackup"], "postgresql-client", given)
    }

    /// Those of a server of exactly this version.
    pub(super) fn that_serve(major: i32, given: Option<&Path>) -> Result<Self, Failure> {
        Self::exactly(major, &["postgres", "pg_verifybackup", "pg_waldump"], "postgresql", given)
    }

    fn exactly(major: i32, names: &[&str], package: &str, given: Option<&Path>) -> Result<Self, Failure> {
        let found = all(names, given);
        found.iter().find(|programs| programs.major == major).cloned().ok_or_else(|| {
            Failure::new(Exit::Missing, format!("{} of PostgreSQL {major} is needed here", names.join(", ")))
                .because(format!("the copy was taken of PostgreSQL {major}, and no other version reads it"))
                .because(here(&found, given))
                .todo(format!("apt-get install {package}-{major}"))
                .todo("or name the folder of its programs: --programs DIR")
        })
    }

    /// Where one of them is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.path(name).is_file()
    }
}

fn here(found: &[Programs], given: Option<&Path>) -> String {
    let all: Vec<_> =
        found.iter().map(|programs| format!("{} ({})", programs.folder.display(), programs.major)).collect();
    match (given, all.is_empty()) {
        (Some(given), true) => format!("{} has them not", given.display()),
        (None, true) => "none are here: neither below /usr/lib/postgresql nor in PATH".to_owned(),
        (_, false) => format!("here are: {}", all.join(", ")),
    }
}

/// The folders that have all these programs, with their versions.
fn all(names: &[&str], given: Option<&Path>) -> Vec<Programs> {
    let folders = match given {
        Some(given) => vec![given.to_owned()],
        None => usual_folders(),
    };
    let has_all = |folder: &PathBuf| names.iter().all(|name| folder.join(name).is_file());
    let with_major = |folder: PathBuf| {
        let told = Command::new(folder.join(names.first()?)).arg("--version").env("LC_ALL", "C").output().ok()?;
        Some(Programs { folder, major: major_of(&String::from_utf8_lossy(&told.stdout))? })
    };
    folders.into_iter().filter(has_all).filter_map(with_major).collect()
}

fn usual_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (above, below) in PLACES {
        let Ok(entries) = std::fs::read_dir(above) else { continue };
        let is_ours = |name: &str| name.starts_with("pgsql-") || name.parse::<u32>().is_ok();
        let mut versions: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(is_ours))
            .map(|entry| entry.path().join(below))
            .collect();
        versions.sort();
        folders.append(&mut versions);
    }
    // Debian's in PATH are a Perl program that looks for a cluster of this host: they come last.
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths).filter(|folder| folder.is_absolute()));
    folders
}

/// `pg_receivewal (PostgreSQL) 15.14 (Debian 15.14-1)`.
fn major_of(version: &str) -> Option<i32> {
    let (_, number) = version.split_once(") ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_as_each_program_says_it() {
        for (said, major) in [
            ("pg_receivewal (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("pg_basebackup (EnterpriseDB) 16.2\n", Some(16)),
            ("something else", None),
        ] {
            assert_eq!(major_of(said), major, "{said}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_older_program_will_not_do_and_the_sentence_says_what_is_there() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        for name in FOLLOWS {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\necho '{name} (PostgreSQL) 14.9'\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let failure = Programs::that_follow(15, Some(folder.path())).unwrap_err();
        assert_eq!(failure.exit(), Exit::Missing);
        let text = failure.text(false);
        assert!(text.contains("(14)") && text.contains("apt-get install postgresql-client-15"), "{text}");
        assert_eq!(Programs::that_follow(14, Some(folder.path())).unwrap().major, 14);
        let failure = Programs::that_follow(14, Some(Path::new("/nowhere"))).unwrap_err();
        assert!(failure.text(false).contains("/nowhere has them not"));
    }
}
