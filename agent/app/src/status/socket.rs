//! The socket: one question, one answer, one line each: how the agent is, that a job ran, or a drill. Access is the folder's (0700) and the socket's own (0600).

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc;
use upheld_model::DrillId;

use crate::{
    failure::{Code, Failure},
    run::Incoming,
    state::StateFolder,
};

/// How long the one who asks, or the one who answers, may take.
const WAIT: Duration = Duration::from_secs(5);
/// Those who ask at once; a ninth waits.
#[cfg(unix)]
const ASKERS_MAX: usize = 8;
/// The longest answer that is read: 2,000 checks have under 1 MiB.
#[cfg(unix)]
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Answers whoever asks, for as long as the agent runs.
#[cfg(unix)]
pub(crate) fn listen(state: &StateFolder, incoming: mpsc::Sender<Incoming>) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;

    let path = state.status_socket();
    let failed =
        |error: io::Error| Failure::new(Code::Failed, format!("cannot listen on {}", path.display())).because(error);
    // We hold the folder: a socket that is there is a dead agent's.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = short(&path).and_then(|(_folder, short)| tokio::net::UnixListener::bind(short)).map_err(failed)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(ASKERS_MAX));
    tokio::task::spawn_local(async move {
        loop {
            let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let incoming = incoming.clone();
                    tokio::task::spawn_local(async move {
                        // Whoever asks badly or too slowly gets nothing, and there is nobody to tell.
                        let _ = tokio::time::timeout(WAIT, answer(stream, incoming)).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "Nobody can ask for the status at the moment.");
                    tokio::time::sleep(WAIT).await;
                }
            }
        }
    });
    Ok(())
}

/// Local status is not built for this system.
#[cfg(not(unix))]
pub(crate) fn listen(_state: &StateFolder, _incoming: mpsc::Sender<Incoming>) -> Result<(), Failure> {
    tracing::warn!("`upheld-agent status` is not built for this system.");
    Ok(())
}

#[cfg(unix)]
async fn answer(mut stream: tokio::net::UnixStream, incoming: mpsc::Sender<Incoming>) -> io::Result<()> {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

    let (read, mut write) = stream.split();
    let mut question = String::new();
    tokio::io::BufReader::new(read.take(QUESTION_BYTES_MAX)).read_line(&mut question).await?;
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let document = if question == STATUS {
        let (tell, told) = tokio::sync::oneshot::channel();
        incoming.send(Incoming::Asked(tell)).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    } else if let Some(Ok(word)) = question.strip_prefix("ran ").map(serde_json::from_str) {
        let (tell, told) = tokio::sync::oneshot::channel();
        incoming.send(Incoming::Ran(word, tell)).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    } else if let Some(wanted) = drill_of(&question) {
        let (tell, told) = tokio::sync::oneshot::channel();
        incoming.send(Incoming::Drill(wanted, tell)).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    } else {
        r#"{"refused":"ask for: status, drill, or: ran {\"job\":…}"}"#.to_owned()
    };
    write.write_all(document.as_bytes()).await?;
    write.write_all(b"\n").await
}

/// `drill`, to begin one, or `drill ID`; `None` for any other question.
#[cfg(unix)]
fn drill_of(question: &str) -> Option<Option<DrillId>> {
    match question.strip_prefix("drill")?.trim_end() {
        "" => Some(None),
        id => id.strip_prefix(' ')?.parse().ok().map(Some),
    }
}

/// The longest question that is read.
#[cfg(unix)]
const QUESTION_BYTES_MAX: u64 = 1024;
/// How the agent is.
pub(super) const STATUS: &str = "status\n";

/// Asks the agent that serves this folder; `None` when none does.
#[cfg(unix)]
pub(crate) fn ask(state: &StateFolder, question: &str) -> io::Result<Option<String>> {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    let connected = short(&state.status_socket()).and_then(|(_folder, short)| UnixStream::connect(short));
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    stream.write_all(question.as_bytes())?;
    let mut document = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut document)?;
    Ok(Some(document))
}

/// Local status is not built for this system.
#[cfg(not(unix))]
pub(crate) fn ask(_state: &StateFolder, _question: &str) -> io::Result<Option<String>> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// A path to the socket that fits into the 108 bytes of a socket address, however deep the state folder lies: by way
/// of an open descriptor of the folder, which must be held until the path was used.
#[cfg(target_os = "linux")]
fn short(path: &Path) -> io::Result<(Option<fs::File>, PathBuf)> {
    use std::os::fd::AsRawFd;

    const FITS: usize = 100;
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if path.as_os_str().len() > FITS => {
            let folder = fs::File::open(folder)?;
            let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
            Ok((Some(folder), short))
        }
        (Some(_) | None, Some(_) | None) => Ok((None, path.to_owned())),
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn short(path: &Path) -> io::Result<(Option<fs::File>, PathBuf)> {
    Ok((None, path.to_owned()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn ask_in_thread(state: &StateFolder) -> tokio::task::JoinHandle<io::Result<Option<String>>> {
        let state = state.clone();
        tokio::task::spawn_blocking(move || ask(&state, STATUS))
    }

    #[tokio::test]
    async fn the_status_is_answered_even_in_a_folder_that_lies_deep() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(&folder.path().join("deep".repeat(40)));
        state.create().unwrap();
        assert_eq!(ask(&state, STATUS).unwrap(), None);
        let (incoming, mut inbox) = mpsc::channel(1);
        let served = tokio::task::LocalSet::new();
        served
            .run_until(async {
                listen(&state, incoming).unwrap();
                let asked = ask_in_thread(&state);
                let Some(Incoming::Asked(tell)) = inbox.recv().await else { panic!("somebody asks") };
                tell.send("{}".to_owned()).unwrap();
                assert_eq!(asked.await.unwrap().unwrap().as_deref(), Some("{}\n"));
                let strange = state.clone();
                let strange = tokio::task::spawn_blocking(move || ask(&strange, "ran {\"job\":1}\n"));
                assert!(strange.await.unwrap().unwrap().unwrap().contains("ask for: status"));
            })
            .await;
    }
}
