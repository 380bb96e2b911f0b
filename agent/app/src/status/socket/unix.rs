//! A unix socket. Access is the folder's (0700) and the socket's own (0600).

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
};

use super::{ANSWER_BYTES_MAX, WAIT};
use crate::state::StateFolder;

/// Takes connections.
pub(super) struct Listener {
    listener: tokio::net::UnixListener,
}

impl Listener {
    pub(super) fn bind(state: &StateFolder) -> io::Result<Self> {
        let path = state.status_socket();
        // We hold the folder: a socket that is there is a dead agent's.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = short(&path).and_then(|(_folder, short)| tokio::net::UnixListener::bind(short))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener })
    }

    pub(super) async fn accept(&mut self) -> io::Result<tokio::net::UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

/// Asks the agent that serves this folder; `None` when none does.
pub(super) fn ask(state: &StateFolder, question: &str) -> io::Result<Option<String>> {
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

#[cfg(not(target_os = "linux"))]
fn short(path: &Path) -> io::Result<(Option<fs::File>, PathBuf)> {
    Ok((None, path.to_owned()))
}
