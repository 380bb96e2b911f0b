//! `secrets.json`: those that were set on this host, one file that is replaced whole.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::SecretName;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    failure::{Code, Failure},
    files::{self, FileError},
    state::StateFolder,
};

/// One secret. It has no `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) value: String,
    pub(super) set_at: Timestamp,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

pub(super) type All = BTreeMap<SecretName, Kept>;

/// The file's form; one of a newer agent is refused by the reader.
#[derive(Serialize, Deserialize)]
enum Schema {
    #[serde(rename = "upheld.agent-own-secrets/1")]
    V1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<T> {
    schema: Schema,
    secrets: T,
}

/// All of them; none where there is no file.
pub(super) fn read(state: &StateFolder) -> Result<All, Failure> {
    let path = state.secrets_json();
    let text = files::read_if_there(&path).map_err(|error| state.unusable(error))?.map(Zeroizing::new);
    let Some(text) = text else { return Ok(All::new()) };
    let file: File<All> = serde_json::from_str(&text).map_err(|error| {
        // Not the reader's own words: they may quote what stands there.
        let at = format!("at line {}, column {}", error.line(), error.column());
        Failure::new(Code::Invalid, format!("cannot understand {}", path.display())).why(at).help(format!(
            "it is damaged or from a newer upheld-agent; move it away, and set the secrets again: mv {0} {0}.damaged",
            path.display()
        ))
    })?;
    Ok(file.secrets)
}

/// Changes them, one command at a time, and gives what `change` says.
pub(super) fn change<T>(state: &StateFolder, change: impl FnOnce(&mut All) -> T) -> Result<T, Failure> {
    let path = state.root().join("secrets.lock");
    let lock = files::private_options().open(&path).map_err(FileError::of("open", &path));
    let lock = lock
        .and_then(|file| files::give_to_owner_of_folder(&file, &path).map(|()| file))
        .map_err(|error| state.unusable(error))?;
    lock.lock().map_err(FileError::of("lock", &path)).map_err(|error| state.unusable(error))?;
    let mut all = read(state)?;
    let said = change(&mut all);
    let file = File { schema: Schema::V1, secrets: &all };
    let text = serde_json::to_vec(&file).map(Zeroizing::new).map_err(|error| {
        Failure::new(Code::Failed, format!("cannot write {}", state.secrets_json().display())).because(error)
    })?;
    files::replace(&state.secrets_json(), &text).map_err(|error| state.unusable(error))?;
    Ok(said)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn set(state: &StateFolder, name: &str, value: &str) {
        let kept = Kept { value: value.to_owned(), set_at: Timestamp::UNIX_EPOCH };
        change(state, |all| drop(all.insert(name.parse().unwrap(), kept))).unwrap();
    }

    #[test]
    fn secrets_are_one_private_file_that_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        set(&state, "nvr-web", "a \"b\" é");
        set(&state, "cam", "x");
        let all = read(&state).unwrap();
        assert_eq!(all[&"nvr-web".parse().unwrap()].value, "a \"b\" é");
        assert_eq!(all.len(), 2);
        for path in [state.secrets_json(), folder.path().join("secrets.lock")] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
        assert!(change(&state, |all| all.remove(&"cam".parse().unwrap()).is_some()).unwrap());
        assert_eq!(read(&state).unwrap().len(), 1);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_without_quoting_it_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        set(&state, "nvr-web", "canary");
        let whole = fs::read_to_string(state.secrets_json()).unwrap();
        for cut in 0..whole.len() {
            fs::write(state.secrets_json(), &whole[..cut]).unwrap();
            let refused = read(&state).err().unwrap();
            assert_eq!(refused.code(), Code::Invalid);
            assert!(!format!("{refused}{refused:?}").contains("canary"), "{refused:?}");
            assert!(
                change(&state, |all| drop(
                    all.insert("b".parse().unwrap(), Kept { value: "y".to_owned(), set_at: Timestamp::UNIX_EPOCH })
                ))
                .is_err()
            );
            assert_eq!(fs::read_to_string(state.secrets_json()).unwrap(), whole[..cut]);
        }
        for strange in [r#"{"schema":"upheld.agent-own-secrets/1","secrets":{"a":"canary"}}"#, r#"{"schema":"canary"}"#]
        {
            fs::write(state.secrets_json(), strange).unwrap();
            assert!(!format!("{:?}", read(&state).err().unwrap()).contains("canary"));
        }
    }

    #[test]
    fn a_crash_before_the_rename_leaves_the_old_ones() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        set(&state, "nvr-web", "old");
        // What a write that was cut short leaves behind.
        fs::write(folder.path().join("secrets.json.new"), "{\"schema\":").unwrap();
        assert_eq!(read(&state).unwrap()[&"nvr-web".parse().unwrap()].value, "old");
        set(&state, "nvr-web", "new");
        assert_eq!(read(&state).unwrap()[&"nvr-web".parse().unwrap()].value, "new");
    }

    #[test]
    fn two_commands_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        std::thread::scope(|scope| {
            for number in 0..8 {
                let state = &state;
                scope.spawn(move || set(state, &format!("s{number}"), "x"));
            }
        });
        assert_eq!(read(&state).unwrap().len(), 8);
    }
}
