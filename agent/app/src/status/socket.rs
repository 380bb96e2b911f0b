//! The socket, a named pipe on Windows: one question, one answer, one line each: how the agent is, that a job ran, or a
//! drill. Who may connect is each platform's half's business.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
#[cfg(unix)]
use unix as here;
use upheld_model::DrillId;
#[cfg(windows)]
use windows as here;

use crate::{
    failure::{Code, Failure},
    run::Incoming,
    secret,
    state::StateFolder,
};

/// How long the one who asks, or the one who answers, may take: what is told is answered once the disk has it, and a slow
/// one takes its seconds.
const WAIT: Duration = Duration::from_secs(20);
/// Those who ask at once; a ninth waits.
const ASKERS_MAX: usize = 8;
/// The longest answer that is read: 2,000 checks have under 1 MiB.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Answers whoever asks, for as long as the agent runs.
pub(crate) fn listen(state: &StateFolder, incoming: mpsc::Sender<Incoming>) -> Result<(), Failure> {
    let mut listener = here::Listener::bind(state).map_err(|error| {
        let what = format!("cannot listen for `status` on {}", state.root().display());
        Failure::new(Code::Failed, what).because(error)
    })?;
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(ASKERS_MAX));
    tokio::task::spawn_local(async move {
        loop {
            let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok(stream) => {
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

async fn answer(stream: impl AsyncRead + AsyncWrite, incoming: mpsc::Sender<Incoming>) -> io::Result<()> {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

    let (read, mut write) = tokio::io::split(stream);
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
    } else if question == secret::CHANGED {
        let (tell, told) = tokio::sync::oneshot::channel();
        incoming.send(Incoming::SecretsChanged(tell)).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    } else if let Some(wanted) = drill_of(&question) {
        let (tell, told) = tokio::sync::oneshot::channel();
        incoming.send(Incoming::Drill(wanted, tell)).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    } else {
        r#"{"refused":"ask for: status, drill, secrets, or: ran {\"job\":…}"}"#.to_owned()
    };
    write.write_all(document.as_bytes()).await?;
    write.write_all(b"\n").await?;
    write.flush().await
}

/// `drill`, to begin one, or `drill ID`; `None` for any other question.
fn drill_of(question: &str) -> Option<Option<DrillId>> {
    match question.strip_prefix("drill")?.trim_end() {
        "" => Some(None),
        id => id.strip_prefix(' ')?.parse().ok().map(Some),
    }
}

/// The longest question that is read.
const QUESTION_BYTES_MAX: u64 = 1024;
/// How the agent is.
pub(super) const STATUS: &str = "status\n";

/// Asks the agent that serves this folder; `None` when none does.
pub(crate) fn ask(state: &StateFolder, question: &str) -> io::Result<Option<String>> {
    here::ask(state, question)
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
