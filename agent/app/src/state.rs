//! The state folder: where each thing lies, who may hold it, and who this host is.
//!
//! `identity.json` is written last at enrolment: without it the host is not enrolled, whatever else is there.

mod identity;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Read,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_wire::v1::AgentConfig;

use crate::{
    failure::{Code, Failure},
    files::{self, FileError},
    platform,
};
pub(crate) use identity::{Identity, Schema};

/// `upheld-agent status` shares the lock for an instant to see whether somebody holds it. An agent that starts just then
/// waits so long for it.
const LOOKED_AT: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The state folder of one agent.
#[derive(Debug, Clone)]
pub(crate) struct StateFolder {
    root: PathBuf,
}

/// Holds the state folder for one process; given back when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl StateFolder {
    /// The folder at `root`, which need not exist.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The private key and certificate chain for TLS, PEM, one file so that both change at once.
    pub(crate) fn tls_pem(&self) -> PathBuf {
        self.root.join("tls.pem")
    }

    /// The TLS key of a host that asks to be taken back, PEM: the same at each try, so that its people can be asked about
    /// one host. Gone when it was taken back.
    pub(crate) fn return_pem(&self) -> PathBuf {
        self.root.join("return.pem")
    }

    /// The Ed25519 key for evidence: its seed, 64 hexadecimal digits.
    pub(crate) fn signing_key(&self) -> PathBuf {
        self.root.join("signing.key")
    }

    /// The provider's roots, PEM.
    pub(crate) fn roots_pem(&self) -> PathBuf {
        self.root.join("roots.pem")
    }

    /// Secrets of probes that were set on this host.
    pub(crate) fn secrets_json(&self) -> PathBuf {
        self.root.join("secrets.json")
    }

    /// The key to which the provider seals secrets: 64 hexadecimal digits.
    pub(crate) fn sealing_key(&self) -> PathBuf {
        self.root.join("sealing.key")
    }

    /// What the provider sealed, as it came.
    pub(crate) fn sealed_json(&self) -> PathBuf {
        self.root.join("sealed.json")
    }

    /// What the collector asked this agent to watch.
    pub(crate) fn config_json(&self) -> PathBuf {
        self.root.join("config.json")
    }

    /// The journal's folder.
    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The checks' folded states and the last sign of life.
    pub(crate) fn memory_json(&self) -> PathBuf {
        self.root.join("memory.json")
    }

    /// What probes have learned of this site.
    pub(crate) fn probes_json(&self) -> PathBuf {
        self.root.join("probes.json")
    }

    /// What a service without a console logs.
    #[cfg(windows)]
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("agent.log")
    }

    /// The socket that `status` asks.
    #[cfg(unix)]
    pub(crate) fn status_socket(&self) -> PathBuf {
        self.root.join("status.sock")
    }

    /// Makes the folder, private to this user.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        files::private_folder(&self.root).map_err(|error| self.unusable(error))
    }

    /// Takes the folder for this process.
    pub(crate) fn lock(&self) -> Result<FolderLock, Failure> {
        let path = self.root.join("lock");
        let mut options = files::private_options();
        let mut file = options
            .read(true)
            .open(&path)
            .map_err(FileError::of("open", &path))
            .and_then(|file| files::give_to_owner_of_folder(&file, &path).map(|()| file))
            .map_err(|error| self.unusable(error))?;
        let asked = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => {
                    self.say_holder(&mut file)?;
                    return Ok(FolderLock { _file: file });
                }
                // It may be somebody who only looks whether the folder is held.
                Err(TryLockError::WouldBlock) if asked.elapsed() < LOOKED_AT => thread::sleep(LOOK_AGAIN),
                Err(TryLockError::WouldBlock) => return Err(self.already_running(self.read_holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(self.unusable(FileError::of("lock", &path)(error))),
            }
        }
    }

    /// Refuses a user whose files the folder's owner could not use: root, where the service has a user of its own.
    pub(crate) fn refuse_root_for_another(&self) -> Result<(), Failure> {
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::MetadataExt;
            let is_anothers = fs::metadata(&self.root).is_ok_and(|folder| folder.uid() != 0);
            if is_anothers && rustix::process::geteuid().is_root() {
                return Err(Failure::new(
                    Code::Failed,
                    format!("{} belongs to the service's own user", self.root.display()),
                )
                .why("what root writes there the service could not read")
                .help("systemctl restart upheld-agent"));
            }
        }
        Ok(())
    }

    /// The process that holds the folder, if one does.
    pub(crate) fn holder(&self) -> Option<String> {
        let mut file = OpenOptions::new().read(true).open(self.root.join("lock")).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(self.read_holder(&mut file)),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    /// Who this host is; `None` when it is not enrolled.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Failure> {
        self.read_json(&self.identity_json())
    }

    /// Who this host is; a host that is not enrolled is told how to become so.
    pub(crate) fn require_identity(&self) -> Result<Identity, Failure> {
        self.identity()?.ok_or_else(|| {
            Failure::new(
                Code::NotEnrolled,
                format!("this host is not enrolled: no identity in {}", self.root.display()),
            )
            .help(format!("{}, with a link from `upheld-collector agent token`", platform::ENROLL))
        })
    }

    /// Whether something says who this host is, readable or not.
    pub(crate) fn has_identity(&self) -> bool {
        self.identity_json().exists()
    }

    /// Makes this host enrolled. Call last.
    pub(crate) fn save_identity(&self, identity: &Identity) -> Result<(), Failure> {
        self.write_json(&self.identity_json(), identity)
    }

    /// The last configuration that was taken; `None` before the first.
    pub(crate) fn config(&self) -> Result<Option<AgentConfig>, Failure> {
        self.read_json(&self.config_json())
    }

    /// Keeps a configuration for the next start.
    pub(crate) fn save_config(&self, config: &AgentConfig) -> Result<(), Failure> {
        self.write_json(&self.config_json(), config)
    }

    /// What probes had learned; nothing where it cannot be read, since they learn it again.
    pub(crate) fn probes(&self) -> upheld_probe::Memory {
        self.read_json(&self.probes_json()).ok().flatten().unwrap_or_default()
    }

    /// Keeps what probes have learned for the next start.
    pub(crate) fn save_probes(&self, memory: &upheld_probe::Memory) -> Result<(), Failure> {
        self.write_json(&self.probes_json(), memory)
    }

    /// Moves everything of an earlier enrolment aside, so that nothing of it is sent under a new identity; returns
    /// where it is.
    pub(crate) fn set_aside(&self, now: Timestamp) -> Result<PathBuf, Failure> {
        let aside = self.root.join(format!("before-{}", now.as_second()));
        files::private_folder(&aside)
            .and_then(|()| files::give_folder_to_owner_of_its_folder(&aside))
            .map_err(|error| self.unusable(error))?;
        // The identity goes first: if this is cut short, the host is not enrolled rather than half of two.
        let all = [
            self.identity_json(),
            self.tls_pem(),
            self.return_pem(),
            self.signing_key(),
            self.roots_pem(),
            self.sealing_key(),
            self.sealed_json(),
            // Another provider's checks must not use them.
            self.secrets_json(),
            self.config_json(),
            self.memory_json(),
            self.probes_json(),
            self.journal(),
        ];
        for path in all.iter().filter(|path| path.exists()) {
            let name = path.file_name().unwrap_or_default();
            fs::rename(path, aside.join(name))
                .map_err(FileError::of("set aside", path))
                .map_err(|error| self.unusable(error))?;
        }
        files::sync_folder(&self.root).map_err(|error| self.unusable(error))?;
        Ok(aside)
    }

    /// A failure of the folder as a whole.
    pub(crate) fn unusable(&self, error: FileError) -> Failure {
        let full = error.source.kind() == std::io::ErrorKind::StorageFull;
        let failure = Failure::new(
            if full { Code::TryAgain } else { Code::Failed },
            format!("cannot use the state folder {}", self.root.display()),
        );
        failure.because(error).help(if full {
            format!("free some space; see: {} {}", platform::FREE_SPACE, self.root.display())
        } else {
            format!("{} {}", platform::TAKE_FOLDER, self.root.display())
        })
    }

    /// Writes this process's number where who finds the folder held can read it.
    #[cfg(not(windows))]
    fn say_holder(&self, lock: &mut File) -> Result<(), Failure> {
        use std::io::Write;

        let written = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        let path = self.root.join("lock");
        written.map_err(FileError::of("write", &path)).map_err(|error| self.unusable(error))
    }

    #[cfg(not(windows))]
    fn read_holder(&self, lock: &mut File) -> String {
        read_pid(lock)
    }

    /// Beside the lock: Windows lets nobody read what is locked.
    #[cfg(windows)]
    fn say_holder(&self, _: &mut File) -> Result<(), Failure> {
        let path = self.root.join("lock.pid");
        let written = fs::write(&path, format!("{}\n", std::process::id()));
        written.map_err(FileError::of("write", &path)).map_err(|error| self.unusable(error))
    }

    #[cfg(windows)]
    fn read_holder(&self, _: &mut File) -> String {
        File::open(self.root.join("lock.pid")).map_or_else(|_| "unknown".to_owned(), read_pid)
    }

    fn identity_json(&self) -> PathBuf {
        self.root.join("identity.json")
    }

    fn already_running(&self, pid: String) -> Failure {
        Failure::new(Code::AlreadyRunning, format!("an agent already runs on {} (process {pid})", self.root.display()))
            .help(format!("see what it does: upheld-agent --state {} status", self.root.display()))
    }

    fn read_json<T: for<'de> Deserialize<'de>>(&self, path: &Path) -> Result<Option<T>, Failure> {
        let Some(text) = files::read_if_there(path).map_err(|error| self.unusable(error))? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::new(Code::Invalid, format!("cannot understand {}", path.display())).because(error).help(
                "it is damaged or from a newer upheld-agent: install that version, or enroll again with --replace",
            )
        })
    }

    fn write_json<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(Code::Failed, format!("cannot write {}", path.display())).because(error))?;
        files::replace(path, text.as_bytes()).map_err(|error| self.unusable(error))
    }
}

fn read_pid(file: impl Read) -> String {
    let mut pid = String::new();
    // The number is only for the person who reads the message.
    let _ = file.take(20).read_to_string(&mut pid);
    match pid.trim() {
        "" => "unknown".to_owned(),
        pid => pid.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_the_first_ones_process() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        assert_eq!(state.holder(), None);
        let held = state.lock().unwrap();
        let refused = state.lock().unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyRunning);
        assert!(refused.to_string().contains(&std::process::id().to_string()));
        assert_eq!(state.holder(), Some(std::process::id().to_string()));
        drop(held);
        state.lock().unwrap();
    }

    #[test]
    fn who_only_looks_whether_it_is_held_keeps_no_agent_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        drop(state.lock().unwrap());
        let looked = File::open(folder.path().join("lock")).unwrap();
        looked.try_lock_shared().unwrap();
        thread::scope(|scope| {
            let starts = scope.spawn(|| state.lock().map(drop));
            thread::sleep(Duration::from_millis(100));
            drop(looked);
            starts.join().unwrap().unwrap();
        });
    }

    #[test]
    fn an_identity_of_a_newer_agent_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        fs::write(state.identity_json(), r#"{"schema":"upheld.agent-identity/2"}"#).unwrap();
        let refused = state.identity().unwrap_err();
        assert_eq!(refused.code(), Code::Invalid);
        assert!(refused.to_string().contains("identity.json"), "{refused}");
    }
}
