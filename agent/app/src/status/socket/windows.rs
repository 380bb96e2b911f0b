//! A named pipe. Its name follows from the state folder; its access list is the folder's. Only this host may connect,
//! and who already has the name, whoever it is, keeps the agent from starting: nobody answers in its place unnoticed.
//!
//! One `unsafe`: tokio takes an access list as a pointer only.
#![allow(unsafe_code)]

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    os::windows::fs::OpenOptionsExt,
    sync::mpsc,
    time::{Duration, Instant},
};

use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};
use windows_sys::Win32::{
    Foundation::{ERROR_BROKEN_PIPE, ERROR_PIPE_BUSY},
    Storage::FileSystem::SECURITY_IDENTIFICATION,
};

use super::{ANSWER_BYTES_MAX, WAIT};
use crate::{platform::security::Descriptor, state::StateFolder};

/// Takes connections.
pub(super) struct Listener {
    name: OsString,
    /// The one that the next asker connects to.
    next: NamedPipeServer,
}

impl Listener {
    pub(super) fn bind(state: &StateFolder) -> io::Result<Self> {
        let name = name(state)?;
        let next = make(&name, true)?;
        Ok(Self { name, next })
    }

    pub(super) async fn accept(&mut self) -> io::Result<NamedPipeServer> {
        self.next.connect().await?;
        // There is always one to connect to, so that nobody is told that there is no agent.
        let next = make(&self.name, false)?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

fn make(name: &OsString, is_first: bool) -> io::Result<NamedPipeServer> {
    let descriptor = Descriptor::for_pipe()?;
    let mut attributes = descriptor.attributes();
    let mut options = ServerOptions::new();
    options.first_pipe_instance(is_first).reject_remote_clients(true);
    // SAFETY: the attributes are of the right kind, and they and the descriptor outlive the call.
    unsafe { options.create_with_security_attributes_raw(name, (&raw mut attributes).cast()) }
}

/// Asks the agent that serves this folder; `None` when none does.
pub(super) fn ask(state: &StateFolder, question: &str) -> io::Result<Option<String>> {
    let Some(mut pipe) = connect(state)? else { return Ok(None) };
    let question = question.to_owned();
    let (tell, told) = mpsc::channel();
    // A pipe has no timeouts of its own. Should nobody answer, the thread ends with the command.
    std::thread::spawn(move || {
        let _ = tell.send(exchange(&mut pipe, &question));
    });
    told.recv_timeout(WAIT).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(Some)
}

fn exchange(pipe: &mut File, question: &str) -> io::Result<String> {
    pipe.write_all(question.as_bytes())?;
    let mut document = Vec::new();
    match pipe.take(ANSWER_BYTES_MAX).read_to_end(&mut document) {
        // So an answer ends: the other side has closed.
        Err(error) if error.raw_os_error() == Some(ERROR_BROKEN_PIPE as i32) => {}
        read => drop(read?),
    }
    String::from_utf8(document).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn connect(state: &StateFolder) -> io::Result<Option<File>> {
    let name = name(state)?;
    let until = Instant::now() + WAIT;
    loop {
        // Whoever answers may know who asks, and may not act as he.
        let opened = File::options().read(true).write(true).security_qos_flags(SECURITY_IDENTIFICATION).open(&name);
        match opened {
            Ok(pipe) => return Ok(Some(pipe)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY as i32) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
}

/// `\\.\pipe\upheld-agent-` and a hash of the folder's path, whichever way it is written.
fn name(state: &StateFolder) -> io::Result<OsString> {
    let folder = std::path::absolute(state.root())?.to_string_lossy().to_lowercase();
    let hash = ring::digest::digest(&ring::digest::SHA256, folder.trim_end_matches('\\').as_bytes());
    let (first, _) = hash.as_ref().split_at(16);
    Ok(format!(r"\\.\pipe\upheld-agent-{}", upheld_evidence::to_hex(first)).into())
}
